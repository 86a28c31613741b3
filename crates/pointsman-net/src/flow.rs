//! The life of a flow. Read this file first.
//!
//! Invariant: [`run`] has no branch on a protocol's name. What differs between inbounds stands in
//! [`Reply`] and [`Payload`], what differs between ways out in [`Ways`], and what the rules want to
//! know is the policy's business: it decides or names the first fact that it lacks.

mod above;
mod bound;
mod held;
mod steps;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pointsman_policy::decision::Step;
use pointsman_policy::model::Origin;
use pointsman_policy::request::RequestId;
use pointsman_policy::{Domain, Facts};

pub(crate) use self::bound::Bound;
use self::held::Held;
use crate::door::Door;
use crate::ends::Ends;
use crate::guard::Token;
use crate::inbound::{Payload, Refusal, Reply};
use crate::ledger::Ticket;
use crate::outbound::{Lent, Pick, Stay, Ways};
use crate::record::{By, End, Fault, Limit, Side, Timings};
use crate::relay::{Carrying, Closed, Ended};
use crate::stream::Stream;

/// Lives the life of one flow, as far as to the relay.
pub(crate) async fn run(begin: Begin) -> Next {
    let mut flow = match Flow::arrive(begin).await {
        Ok(flow) => flow,
        Err(over) => return over,
    };
    let decision = loop {
        match flow.decide() {
            Step::Decided(decision) => break decision,
            Step::NoRoute => return flow.refuse(Refusal::Reset, "no route").await,
            Step::Need(need) => {
                if flow.find(need).await.is_err() {
                    return flow.over(End::ClientGone);
                }
            }
        }
    };
    let pick = match flow.choose(decision).await {
        Ok(Choice::Open(pick)) => pick,
        Ok(Choice::Refuse(refusal, why)) => return flow.refuse(refusal, &why).await,
        Err(_gone) => return flow.over(End::ClientGone),
    };
    let to = flow.leads_to(&pick);
    let kept = flow.take_bound(to.as_ref());
    let is_kept = kept.is_some();
    let opened = match kept {
        Some(stream) => stream.into(),
        None => match flow.open(pick).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return flow.fail(&error).await,
            Err(_gone) => return flow.over(End::ClientGone),
        },
    };
    if flow.reply.grant(&mut flow.client).await.is_err() {
        // Whoever hears of the end finds its place free.
        drop(opened);
        return flow.over(End::ClientGone);
    }
    flow.carry(to, opened, is_kept).await
}

/// What there is of a flow at its beginning.
pub(crate) struct Begin {
    /// The outbounds of its generation.
    pub(crate) ways: Ways,
    /// Where it came in.
    pub(crate) door: Arc<Door>,
    /// Its place among the live ones, with the facts of accept.
    pub(crate) ticket: Ticket,
    /// The client.
    pub(crate) client: Stream,
    /// The server's connection that a login of this client belongs to.
    pub(crate) bound: Option<Box<Bound>>,
    /// The addresses that its connection has.
    pub(crate) ends: Ends,
}

/// A flow between arrival and relay.
pub(crate) struct Flow {
    ways: Ways,
    door: Arc<Door>,
    ticket: Ticket,
    client: Held,
    bound: Option<Box<Bound>>,
    reply: Reply,
    payload: Payload,
    facts: Facts,
    /// The addresses that its connection has.
    ends: Ends,
    /// What of this host its client is lent.
    lent: Lent,
    /// The rule that decided.
    rule: Option<Origin>,
    took: Timings,
    /// What rules said of it: each once, in the words that it was said in first.
    messages: Vec<(u32, Arc<str>)>,
    /// How long each request waited, in microseconds.
    waits: Vec<(RequestId, u64)>,
    answered_early: bool,
}

/// Where a decision leads.
enum Choice {
    Open(Pick),
    Refuse(Refusal, Arc<str>),
}

/// What is left to do.
pub(crate) enum Next {
    /// The client may bring another request, with the server's connection that its login belongs to.
    Again(Stream, Option<Box<Bound>>),
    /// Nothing.
    Over,
    /// Bytes, until both sides have ended.
    Relay(Box<Relaying>),
}

/// A flow that relays: what is left of it. Ends with its record filed.
pub(crate) struct Relaying {
    /// Taken at the end.
    ticket: Option<Ticket>,
    carrying: Carrying,
    /// Given back before anybody hears of the end.
    stay: Stay,
    /// By which the connection to the server is known as our own.
    _token: Option<Token>,
}

impl Relaying {
    fn new(ticket: Ticket, carrying: Carrying, stay: Stay, token: Option<Token>) -> Self {
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

/// The name whose resolver answers, where the destination is one.
fn named(facts: &Facts) -> Option<Domain> {
    facts.destination_name().cloned()
}
