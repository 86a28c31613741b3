//! Inbounds: from a connection to what its client asks for.
//!
//! Invariant: a handshake ends, within [`Timeouts::handshake`](pointsman_spec::limits::Timeouts::handshake) and a bounded
//! buffer; it consumes exactly its own bytes; whoever is not admitted or not understood is told so
//! in the protocol's own words. Absent: deciding. What a client is answered later is its [`Reply`]'s.

mod exchange;
mod http;
mod reply;
mod socks;

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::door::{DoorSpec, Speaks};
use pointsman_spec::login::User;
use pointsman_wire::{RequestHost, WhyNot, likeness};
use tokio::time::timeout;

pub(crate) use self::exchange::{Exchanged, Server, exchange};
pub(crate) use self::http::Request;
pub(crate) use self::reply::{REFUSED, Reply, Unserved};
use crate::ends::{Ends, LocalAddr, OriginalDst};
use crate::exact::{self, Broken};
use crate::login::WRONG_LOGIN;
use crate::login::throttle::{DelayOutcome, LoginThrottle};
use crate::record::{End, Limit};
use crate::stream::Stream;

/// A client and what it asks for.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Behind its request.
    pub(crate) client: Stream,
    /// How it is answered.
    pub(crate) reply: Reply,
    /// What it brings.
    pub(crate) payload: Payload,
    /// What it asked for.
    pub(crate) asked: ClientRequest,
}

/// What is to be carried.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Whatever both sides say.
    Bytes,
    /// Datagrams, as long as the connection lasts: from the client's address, and from that port where it is none of 0.
    Datagrams(u16),
    /// One request and its answer; the client may then bring another.
    Request(Box<Request>),
}

/// What a client asked for.
#[derive(Debug)]
pub(crate) struct ClientRequest {
    /// The protocol that it spoke.
    pub(crate) kind: InboundKind,
    /// Where to; `None` where it came in by a local stream that says nothing of it.
    pub(crate) host: Option<Host>,
    /// Where to.
    pub(crate) port: Option<u16>,
    /// Who authenticated.
    pub(crate) user: Option<Arc<str>>,
    /// The inbound's name, as conditions see it.
    pub(crate) alias: Option<Arc<str>>,
}

/// Why there is no arrival.
#[derive(Debug)]
enum Denial {
    /// The client is gone; there is nobody to tell.
    Gone,
    /// It is told why.
    Told { why: Arc<str>, answer: Vec<u8> },
    /// It is told so, at a time that depends on how often it was.
    WrongLogin { answer: Vec<u8> },
}

impl Denial {
    fn told(why: impl Into<Arc<str>>, answer: Vec<u8>) -> Self {
        Self::Told {
            why: why.into(),
            answer,
        }
    }

    /// `answer` says what is to be said of bytes that are no message.
    fn of(broken: Broken, answer: impl FnOnce(WhyNot) -> Vec<u8>) -> Self {
        match broken {
            Broken::Ended | Broken::Io(_) => Self::Gone,
            Broken::Not(why, first) => Self::told(not_heard(why, &first), answer(why)),
        }
    }
}

/// Why the client's first bytes are no request.
fn not_heard(why: WhyNot, first: &[u8]) -> String {
    match likeness::of_client(first) {
        Some(likeness) if why == WhyNot::AnotherProtocol => {
            format!("{why}: the client begins like {likeness}")
        }
        _ => why.to_string(),
    }
}

/// Hears what the client wants, within `limit`; `ends` say it where it does not.
///
/// # Errors
/// How the flow ended; the client has then been told what there was to tell.
pub(crate) async fn receive(
    door: &DoorSpec,
    mut client: Stream,
    ends: &Ends,
    limit: Duration,
    throttle: &LoginThrottle,
) -> Result<Arrival, End> {
    if door.speaks == Speaks::Nothing {
        return Ok(Arrival {
            client,
            reply: Reply::Nothing,
            payload: Payload::Bytes,
            asked: ClientRequest::of(door, ends),
        });
    }
    let Ok(heard) = timeout(limit, hear(door, &mut client)).await else {
        return Err(End::TimedOut(Limit::Handshake));
    };
    match heard {
        Ok((asked, reply, payload)) => {
            exact::give_back(client.take_room());
            Ok(Arrival {
                client,
                reply,
                payload,
                asked,
            })
        }
        Err(Denial::Gone) => Err(End::ClientGone),
        Err(Denial::Told { why, answer }) => {
            reply::farewell(client, &answer).await;
            Err(End::Denied(why))
        }
        Err(Denial::WrongLogin { answer }) => {
            match throttle.wrong(&client).await {
                DelayOutcome::Due => reply::farewell(client, &answer).await,
                DelayOutcome::Left => {}
                DelayOutcome::Spared => client.reset(),
            }
            Err(End::Denied(WRONG_LOGIN.into()))
        }
    }
}

type HandshakeResult = Result<(ClientRequest, Reply, Payload), Denial>;

/// A mixed port tells by the first byte: SOCKS begins with its version, and no method of HTTP does.
async fn hear(door: &DoorSpec, client: &mut Stream) -> HandshakeResult {
    let mut begun = exact::room();
    match client.read_some(&mut begun, exact::STEP).await {
        Ok(1..) => {}
        Ok(0) | Err(_) => return Err(Denial::Gone),
    }
    let (first, likeness) = (begun[0], likeness::of_client(&begun));
    client.unread(begun);
    let (socks, http) = match door.speaks {
        Speaks::Http => (false, true),
        Speaks::Mixed => (true, true),
        // No flow comes in by DNS.
        Speaks::Dns | Speaks::Nothing => (false, false),
        Speaks::Socks => (true, false),
    };
    match first {
        pointsman_wire::socks::VERSION_5 if socks => socks::five(door, client).await,
        pointsman_wire::socks::VERSION_4 if socks => socks::four(door, client).await,
        _ if http => http::request(door, client).await,
        _ => {
            let why = match likeness {
                Some(likeness) => {
                    format!("SOCKS was expected, and the client begins like {likeness}")
                }
                None => "the client does not speak SOCKS".to_owned(),
            };
            Err(Denial::told(why, Vec::new()))
        }
    }
}

impl ClientRequest {
    /// By a client that says nothing: the address that it connected to.
    fn of(door: &DoorSpec, ends: &Ends) -> Self {
        let original = ends.original.map(OriginalDst::get);
        let to = original.or_else(|| ends.local.map(LocalAddr::get));
        Self {
            kind: door.speaks.kind(),
            host: to.map(|to| Host::Address(to.ip().to_canonical())),
            port: to.map(|to| to.port()),
            user: None,
            alias: door.alias.clone(),
        }
    }

    fn new(door: &DoorSpec, kind: InboundKind, host: Host, port: u16, user: Option<&User>) -> Self {
        let own = user.and_then(|user| user.alias.clone());
        Self {
            kind,
            host: Some(host),
            port: Some(port),
            user: user.map(|user| Arc::clone(&user.name)),
            alias: own.or_else(|| door.alias.clone()),
        }
    }
}

/// The name or address of a request; `None` for a text that is no name.
fn host(asked: &RequestHost) -> Option<Host> {
    match asked {
        RequestHost::Address(address) => Some(Host::Address(address.to_canonical())),
        RequestHost::Name(name) => Host::parse(name).ok(),
    }
}
