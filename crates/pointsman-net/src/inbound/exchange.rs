//! Carrying one plain HTTP request to its server and the answer back.
//!
//! Invariant: the client's connection is used again only when request and answer both ended where
//! their framing says; what it sent behind the request is put back. A client that ends its side has
//! hung up, whatever the server is at, and frees both connections at once. An exchange that is cut, or dropped,
//! ends with resets: an orderly end means that all bytes came.

mod ends;
mod response;

use std::time::Duration;

use pointsman_spec::limits::Timeouts;
use pointsman_wire::http::{self, Persistence};
use tokio::time::{Instant, sleep_until};

use self::ends::Ends;
use self::response::{ResponsePart, ResponseReader};
use super::http::Request;
use super::reply::farewell;
use crate::record::{End, Fault, Limit, Side};
use crate::relay::FlowBytes;
use crate::stream::{Socket, Stream};

/// What became of an exchange.
#[derive(Debug)]
pub(crate) enum Exchanged {
    /// The client may bring another request; the server's connection where a login belongs to it.
    Again(Stream, Option<Stream>),
    /// The connection is over.
    Over(End),
    /// The server switched protocols: what follows is anybody's.
    Tunnel(Stream, Stream),
}

/// A server's connection, and what it is to the client.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) stream: Stream,
    /// Whether it carried requests of this client before: logins belong to it.
    pub(crate) is_kept: bool,
}

/// Carries one request and its answer.
pub(crate) async fn exchange(
    mut client: Stream,
    server: Server,
    request: &Request,
    flow: &FlowBytes,
    limits: &Timeouts,
    is_of_a_stranger: impl Fn() -> bool,
) -> Exchanged {
    let Server {
        stream: mut server,
        is_kept,
    } = server;
    // An answer may be long in coming, and nobody tells an exchange that it is old.
    if let Some(probes) = server.take_probes() {
        probes.set(&server.socket);
    }
    let mut upload = Upload::new(request, std::mem::take(&mut client.prefix));
    let mut answer = ResponseReader::new(&request.head);
    let early = std::mem::take(&mut server.prefix);
    let passed = {
        let mut torn = [Torn::new(&client.socket), Torn::new(&server.socket)];
        let passing = Passing {
            client: &client.socket,
            server: &server.socket,
            flow,
            limits,
        };
        let passed = passing.pass(&mut upload, &mut answer, early).await;
        // Who has the whole request is told so, and not that it is to be forgotten.
        let [client, server] = &mut torn;
        client.spare();
        if upload.is_whole() {
            server.spare();
        }
        passed
    };
    match passed {
        Ok(()) if answer.has_switched() => {
            client.unread(upload.behind);
            server.unread(answer.take_behind());
            Exchanged::Tunnel(client, server)
        }
        Ok(()) if answer.client_goes_on() => {
            client.unread(upload.behind);
            let keep = (is_kept || answer.asks_login()) && answer.server_goes_on();
            Exchanged::Again(client, keep.then_some(server))
        }
        Ok(()) => {
            drop(server);
            farewell(client, b"").await;
            Exchanged::Over(End::Closed)
        }
        Err(Cut::Client) if answer.has_begun() => {
            client.reset();
            Exchanged::Over(End::Reset(Side::Client))
        }
        Err(Cut::Client) => Exchanged::Over(End::ClientGone),
        // In the middle of an answer only a reset tells the client that it is not whole.
        Err(Cut::Server(why)) if answer.has_begun() => {
            client.reset();
            Exchanged::Over(End::Failed(Fault::Answer, why.into()))
        }
        Err(Cut::Late { limit, .. }) if answer.has_begun() => {
            client.reset();
            Exchanged::Over(End::TimedOut(limit))
        }
        // A server may close what it kept at any time; a client that sees the connection close knows that it may
        // ask again, and one that is told of an error does not.
        Err(Cut::Server(why)) if is_kept && answer.is_silent() => {
            Exchanged::Over(End::Failed(Fault::Answer, why.into()))
        }
        Err(cut) => {
            drop(server);
            let (status, why, end) = match cut {
                Cut::Request(why) => (400, why.clone(), End::Denied(why.into())),
                Cut::Late { status, why, limit } => (status, why, End::TimedOut(limit)),
                Cut::Server(why) => {
                    let told = match is_of_a_stranger() {
                        true => NO_ANSWER.to_owned(),
                        false => why.clone(),
                    };
                    (502, told, End::Failed(Fault::Answer, why.into()))
                }
                Cut::Client => return Exchanged::Over(End::ClientGone),
            };
            farewell(client, &http::write_refusal(status, &why)).await;
            Exchanged::Over(end)
        }
    }
}

/// What anybody may be told of a server whose answer is none.
const NO_ANSWER: &str = "the destination left, or its answer is not to be understood";

/// Why passing stopped.
#[derive(Debug)]
enum Cut {
    /// The client went away.
    Client,
    /// A time limit is over.
    Late {
        status: u16,
        why: String,
        limit: Limit,
    },
    /// The body of the request is none.
    Request(String),
    /// The server, and what it did.
    Server(String),
}

/// The client's request on its way.
#[derive(Debug)]
struct Upload {
    ends: Ends,
    state: Sending,
    /// Bytes for the server.
    out: Outgoing,
    /// What the client sent behind its request.
    behind: Vec<u8>,
    /// What was read with the head, and is still to be looked at.
    ahead: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// The server takes no more of it; it may answer nevertheless.
    Declined,
    More,
    /// All of it was read.
    Read,
}

impl Upload {
    fn new(request: &Request, ahead: Vec<u8>) -> Self {
        // The client would go on, so a login may come to belong to the server's connection.
        let persistence = match request.head.keep_alive {
            true => Persistence::Keep,
            false => Persistence::Close,
        };
        let out = Outgoing {
            bytes: request.head.rewritten(persistence),
            sent: 0,
        };
        Self {
            ends: Ends::of_request(request.head.body),
            state: Sending::More,
            out,
            behind: Vec::new(),
            ahead,
        }
    }

    /// Takes what the client sent next.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        let taken = self.ends.take(bytes, &mut self.out.bytes);
        let (used, done) =
            taken.map_err(|why| Cut::Request(format!("the body of the request: {why}")))?;
        if done {
            self.state = Sending::Read;
            self.behind.extend_from_slice(&bytes[used..]);
        }
        Ok(())
    }

    fn reads(&self) -> bool {
        self.state == Sending::More && self.out.is_empty()
    }

    fn is_whole(&self) -> bool {
        self.state == Sending::Read && self.out.is_empty()
    }

    fn decline(&mut self) {
        self.state = Sending::Declined;
        self.out = Outgoing::default();
    }
}

/// Bytes of which some have been sent.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    fn advance(&mut self, sent: usize) {
        self.sent += sent;
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

/// Both connections while an exchange passes.
struct Passing<'a> {
    client: &'a Socket,
    server: &'a Socket,
    flow: &'a FlowBytes,
    limits: &'a Timeouts,
}

impl Passing<'_> {
    /// Until the answer is whole and was sent, or the protocol was switched and the request was sent.
    async fn pass(
        &self,
        upload: &mut Upload,
        answer: &mut ResponseReader<'_>,
        early: Vec<u8>,
    ) -> Result<(), Cut> {
        let mut down = Outgoing::default();
        let mut times = Times::new(self.limits);
        let ahead = std::mem::take(&mut upload.ahead);
        upload.take(&ahead)?;
        if !early.is_empty() {
            answer
                .hear(&early, false, &mut down.bytes)
                .map_err(Cut::Server)?;
        }
        loop {
            if down.is_empty() && !answer.wants_more() {
                match answer.has_switched() {
                    // What belongs to the request comes before what belongs to the other protocol.
                    true if upload.is_whole() => return Ok(()),
                    true if upload.state == Sending::Declined => {
                        return Err(Cut::Server("the server broke the connection".into()));
                    }
                    true => {}
                    false => return Ok(()),
                }
            }
            if upload.is_whole() || upload.state == Sending::Declined {
                times.asked();
            }
            tokio::select! {
                biased;
                sent = self.server.send_some(upload.out.rest()), if !upload.out.is_empty() => match sent {
                    Ok(sent) => {
                        upload.out.advance(sent);
                        self.flow.add_up(sent as u64);
                        times.moved();
                    }
                    // It may refuse the rest of a body and yet answer.
                    Err(_refused) => upload.decline(),
                },
                read = self.client.receive_some(STEP), if upload.reads() => match read {
                    Ok(bytes) if !bytes.is_empty() => {
                        upload.take(&bytes)?;
                        times.moved();
                    }
                    Ok(_) | Err(_) => return Err(Cut::Client),
                },
                sent = self.client.send_some(down.rest()), if !down.is_empty() => match sent {
                    Ok(sent) => {
                        down.advance(sent);
                        self.flow.add_down(sent as u64);
                        times.moved();
                    }
                    Err(_gone) => return Err(Cut::Client),
                },
                read = self.server.receive_some(STEP), if down.is_empty() && answer.wants_more() => {
                    let bytes = read.map_err(|error| {
                        Cut::Server(format!("the server broke the connection: {error}"))
                    })?;
                    times.moved();
                    if bytes.is_empty() {
                        answer.ended().map_err(Cut::Server)?;
                        continue;
                    }
                    let heard = answer.hear(&bytes, upload.is_whole(), &mut down.bytes);
                    match heard.map_err(Cut::Server)? {
                        ResponsePart::Head { interim: true } => times.asked_again(),
                        ResponsePart::Head { interim: false } => {}
                        ResponsePart::Body | ResponsePart::Switched | ResponsePart::Whole => times.answered(),
                    }
                },
                () = self.client.ended_by_peer(), if !upload.reads() => return Err(Cut::Client),
                () = until(times.deadline()) => return Err(times.late(upload, answer)),
            }
        }
    }
}

/// What the limits of time are counted from.
struct Times<'l> {
    limits: &'l Timeouts,
    moved: Instant,
    asked: Option<Instant>,
    answered: bool,
}

impl<'l> Times<'l> {
    fn new(limits: &'l Timeouts) -> Self {
        Self {
            limits,
            moved: Instant::now(),
            asked: None,
            answered: false,
        }
    }

    /// A byte moved.
    fn moved(&mut self) {
        self.moved = Instant::now();
    }

    /// The request was sent, all of it.
    fn asked(&mut self) {
        self.asked.get_or_insert(self.moved);
    }

    /// The server said that it is at it.
    fn asked_again(&mut self) {
        self.asked = self.asked.map(|_before| self.moved);
    }

    fn answered(&mut self) {
        self.answered = true;
    }

    /// When somebody has been waited for too long.
    fn deadline(&self) -> Option<Instant> {
        let (since, time, _) = self.running();
        since.checked_add(time?)
    }

    fn running(&self) -> (Instant, Option<Duration>, Limit) {
        match self.asked {
            Some(asked) if !self.answered => (asked, self.limits.first_byte, Limit::FirstByte),
            _ => (self.moved, self.limits.idle, Limit::Idle),
        }
    }

    fn late(&self, upload: &Upload, answer: &ResponseReader<'_>) -> Cut {
        let (_, time, limit) = self.running();
        let time = time.unwrap_or_default();
        let (status, why) = match () {
            () if upload.reads() => (408, "nothing more of the request came"),
            () if !upload.is_whole() && !answer.has_begun() => {
                (504, "the server took no more of the request")
            }
            () => (504, "the server did not answer"),
        };
        let why = format!("{why} within {time:?}");
        Cut::Late { status, why, limit }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Has a connection end with a reset, should its exchange be dropped.
struct Torn<'s> {
    socket: &'s Socket,
    spared: bool,
}

impl<'s> Torn<'s> {
    fn new(socket: &'s Socket) -> Self {
        Self {
            socket,
            spared: false,
        }
    }

    fn spare(&mut self) {
        self.spared = true;
    }
}

impl Drop for Torn<'_> {
    fn drop(&mut self) {
        if !self.spared {
            self.socket.reset_when_closed();
        }
    }
}

/// One read's worth.
const STEP: usize = 16 * 1024;
