//! HTTP proxy requests: CONNECT, and plain requests with an absolute target.
//!
//! Invariant: a request without the right credentials is answered 407 before its target is looked
//! at. Absent: requests meant for a server (`GET /path`): answered 400, for sending them where their
//! `Host` says would make every proxy port a transparent one.

use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::door::DoorSpec;
use pointsman_wire::http::{self, RequestHead, Target};
use pointsman_wire::{RequestHost, WhyNot};

use super::{ClientRequest, Denial, HandshakeResult, Payload, Reply, host};
use crate::exact;
use crate::login::{NOT_FROM_THERE, WRONG_LOGIN, admit};
use crate::stream::Stream;

/// A plain request; its body is still to be read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: RequestHead,
}

pub(super) async fn request(door: &DoorSpec, client: &mut Stream) -> HandshakeResult {
    let read = exact::read_head(client, http::parse_request_head).await;
    let mut head = read.map_err(|broken| Denial::of(broken, not_understood))?;
    let user = match (&head.proxy_authorization, door.admits.users.as_slice()) {
        (_, []) => None,
        (Some(_), _) if !door.admits.allows(client.peer_addr()) => {
            let answer = http::write_refusal(407, WRONG_LOGIN);
            return Err(Denial::told(NOT_FROM_THERE, answer));
        }
        (Some(told), users) => match admit(users, &told.user, &told.password) {
            Some(user) => Some(user),
            None => {
                let answer = http::write_refusal(407, WRONG_LOGIN);
                return Err(Denial::WrongLogin { answer });
            }
        },
        (None, _) => return Err(refuse(407, "this proxy needs a user and a password")),
    };
    let (asked, port) = match &head.target {
        Target::Absolute {
            host,
            port,
            path_and_query: _,
        }
        | Target::Connect { host, port } => (host, *port),
        Target::Origin(_) => {
            return Err(refuse(
                400,
                "this is a proxy: the request must name its server",
            ));
        }
    };
    let Some(host) = host(asked) else {
        return Err(refuse(400, "the target is no name"));
    };
    if head.max_forwards == Some(0) {
        return Err(answered_here(&head.method));
    }
    if let Target::Absolute { host: sent, .. } = &mut head.target
        && matches!(sent, RequestHost::Name(raw) if !raw.is_ascii())
    {
        // A server knows itself by the name that is in DNS.
        *sent = match &host {
            Host::Name(name) => RequestHost::Name(name.as_str().to_owned()),
            Host::Address(address) => RequestHost::Address(*address),
        };
    }
    let asked = ClientRequest::new(door, InboundKind::Http, host, port, user);
    Ok(match head.target {
        Target::Connect { .. } => (asked, Reply::Connect, Payload::Bytes),
        _ => (
            asked,
            Reply::Plain,
            Payload::Request(Box::new(Request { head })),
        ),
    })
}

fn refuse(status: u16, why: &'static str) -> Denial {
    Denial::told(why, http::write_refusal(status, why))
}

/// A request that may pass no further proxy is answered by the one that has it (RFC 9110, 7.6.2).
fn answered_here(method: &str) -> Denial {
    match method {
        "OPTIONS" => refuse(
            200,
            "this proxy is as far as Max-Forwards lets the request go",
        ),
        _ => refuse(405, "this proxy does not send requests back"),
    }
}

fn not_understood(why: WhyNot) -> Vec<u8> {
    let status = match why {
        WhyNot::AnotherProtocol | WhyNot::Malformed(_) => 400,
        WhyNot::TooLong => 431,
        WhyNot::Unsupported(_) => 501,
    };
    http::write_refusal(status, &exact::why_no_head(why))
}
