//! The life of a flow over TCP. Read this file first.
//!
//! Invariant: [`run`] has no branch on a protocol's name. What differs between inbounds stands in
//! [`Reply`](crate::inbound::Reply) and [`Payload`](crate::inbound::Payload), what differs between ways out in
//! [`Ways`](crate::outbound::Ways), and what the rules want to know is the [`Case`]'s business: its policy decides or names
//! the first fact that it lacks.

mod bound;
mod client;
mod reset_on_drop;
mod steps;

use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) use self::bound::Bound;
use self::client::Client;
use crate::case::{Case, Choice};
use crate::datagram::Association;
use crate::guard::Token;
use crate::guest::Gone;
use crate::ledger::{LiveFlow, Ticket};
use crate::outbound::Stay;
use crate::record::{By, End, Fault, Limit, Side};
use crate::relay::{Carrying, Closed, Ended};
use crate::stream::Stream;

/// Lives the life of one flow, as far as to the relay.
pub(crate) async fn run(begin: Begin) -> Next {
    let mut flow = match Flow::arrive(begin).await {
        Ok(flow) => flow,
        Err(over) => return over,
    };
    let pick = match flow.case.decide(&mut flow.client).await {
        Ok(Choice::Open(pick)) => pick,
        Ok(Choice::Refuse(refusal, why)) => return flow.refuse(refusal, why).await,
        Err(Gone) => return flow.over(End::ClientGone),
    };
    let to = flow.leads_to(&pick);
    let kept = flow.take_bound(to.as_ref());
    let is_kept = kept.is_some();
    let opened = match kept {
        Some(stream) => stream.into(),
        None => match flow.open(pick).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return flow.fail(&error).await,
            Err(Gone) => return flow.over(End::ClientGone),
        },
    };
    if flow.client.grant().await.is_err() {
        // Whoever hears of the end finds its place free.
        drop(opened);
        return flow.over(End::ClientGone);
    }
    if !flow.carries() {
        drop(opened);
        return flow.over(End::gave_way());
    }
    flow.carry(to, opened, is_kept).await
}

/// What there is of a flow at its beginning.
pub(crate) struct Begin {
    /// With the facts of accept.
    pub(crate) case: Case,
    /// The client.
    pub(crate) client: Stream,
    /// The server's connection that a login of this client belongs to.
    pub(crate) bound: Option<Box<Bound>>,
}

/// A flow between arrival and relay.
pub(crate) struct Flow {
    case: Case,
    client: Client,
    bound: Option<Box<Bound>>,
}

/// What is left to do.
pub(crate) enum Next {
    /// The client may bring another request, with the server's connection that its login belongs to.
    Again(Stream, Option<Box<Bound>>),
    /// Datagrams, each flow of which is decided by itself.
    Associate(Box<Association>),
    /// Nothing.
    Over,
    /// Bytes, until both sides have ended.
    Relay(Relaying),
}

/// A flow that relays: what is left of it. Ends with its record filed.
pub(crate) struct Relaying {
    /// Taken at the end.
    ticket: Option<Ticket>,
    carrying: Carrying<LiveFlow>,
    /// Given back before anybody hears of the end.
    stay: Stay,
    /// By which the connection to the server is known as our own.
    _token: Option<Token>,
}

impl Relaying {
    fn new(ticket: Ticket, carrying: Carrying<LiveFlow>, stay: Stay, token: Option<Token>) -> Self {
        let ticket = Some(ticket);
        Self {
            ticket,
            carrying,
            stay,
            _token: token,
        }
    }
}

impl Future for Relaying {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(outcome) = Pin::new(&mut self.carrying).poll(cx) else {
            return Poll::Pending;
        };
        self.stay = Stay::default();
        if let Some(ticket) = self.ticket.take() {
            ticket.end(end(outcome.ended));
        }
        Poll::Ready(())
    }
}

fn end(ended: Ended) -> End {
    let failed =
        |fault, whose, kind| End::Failed(fault, format!("the {whose}'s connection: {kind}").into());
    match ended {
        Ended::ClientReset => End::Reset(Side::Client),
        Ended::ServerReset => End::Reset(Side::Target),
        Ended::ClientFailed(kind) => failed(Fault::Client, "client", kind),
        Ended::ServerFailed(kind) => failed(Fault::Target, "target", kind),
        Ended::Closed(Closed::HalfClosed) => End::TimedOut(Limit::HalfClosed),
        Ended::Closed(Closed::Idle) => End::TimedOut(Limit::Idle),
        Ended::Closed(Closed::Operator) => End::Stopped(By::Operator),
        Ended::Closed(Closed::Shutdown) => End::Stopped(By::Shutdown),
        Ended::Done => End::Closed,
        Ended::TimedOut(limit) => End::TimedOut(limit),
    }
}

#[cfg(test)]
mod tests;
