//! SOCKS5 (RFC 1928, RFC 1929) and SOCKS 4a, the server's side.
//!
//! Invariant: where there are users, nobody passes without a password; SOCKS 4 knows none, so there
//! it is refused. Absent: BIND; what becomes of datagrams.

use std::net::{IpAddr, Ipv4Addr};

use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::door::DoorSpec;
use pointsman_spec::login::User;
use pointsman_wire::WhyNot;
use pointsman_wire::socks::{self, Command, Method, ReplyCode};

use super::{ClientRequest, Denial, HandshakeResult, Payload, Reply, host};
use crate::exact;
use crate::login::{NOT_FROM_THERE, admit};
use crate::stream::Stream;

/// What a client asks for that wants its datagrams relayed.
const ANY: Host = Host::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

pub(super) async fn five(door: &DoorSpec, client: &mut Stream) -> HandshakeResult {
    let silent = |broken| Denial::of(broken, |_| Vec::new());
    let greeting = exact::read(client, socks::MAX_GREETING, socks::parse_greeting).await;
    let greeting = greeting.map_err(silent)?;
    let wanted = match door.admits.users.is_empty() {
        true => Method::NoAuthentication,
        false => Method::Password,
    };
    if !greeting.offers(wanted) {
        let why = "the client offers no way to authenticate that serves here";
        return Err(Denial::told(
            why,
            socks::write_method(Method::NoneAcceptable).to_vec(),
        ));
    }
    say(client, &socks::write_method(wanted)).await?;
    let user = match wanted {
        Method::Password => Some(login(door, client).await?),
        _ => None,
    };
    let refuse = |code| socks::write_unbound_reply(code).to_vec();
    let request = exact::read(client, socks::MAX_REQUEST, socks::parse_request).await;
    let request = request.map_err(|broken| {
        Denial::of(broken, |why| {
            refuse(match why {
                WhyNot::Unsupported(_) => ReplyCode::AddressTypeNotSupported,
                _ => ReplyCode::GeneralFailure,
            })
        })
    })?;
    let unserved = match request.command {
        Command::Connect => None,
        Command::UdpAssociate if client.peer_addr().is_some() => {
            let asked = ClientRequest {
                host: None,
                port: None,
                ..ClientRequest::new(door, InboundKind::Socks5, ANY, 0, user)
            };
            return Ok((asked, Reply::Socks5, Payload::Datagrams(request.port)));
        }
        Command::UdpAssociate => Some("UDP is relayed for clients that connect over TCP"),
        Command::Bind => Some("BIND is not supported"),
        Command::Other(_) => Some("an unknown command"),
    };
    if let Some(why) = unserved {
        return Err(Denial::told(why, refuse(ReplyCode::CommandNotSupported)));
    }
    let Some(host) = host(&request.host) else {
        let why = "what the client asked for is no name";
        return Err(Denial::told(why, refuse(ReplyCode::HostUnreachable)));
    };
    let asked = ClientRequest::new(door, InboundKind::Socks5, host, request.port, user);
    Ok((asked, Reply::Socks5, Payload::Bytes))
}

pub(super) async fn four(door: &DoorSpec, client: &mut Stream) -> HandshakeResult {
    let refused = || socks::write_socks4_reply(false).to_vec();
    let request = exact::read(client, socks::MAX_SOCKS4, socks::parse_socks4).await;
    let request = request.map_err(|broken| Denial::of(broken, |_| refused()))?;
    if !door.admits.users.is_empty() {
        return Err(Denial::told(
            "SOCKS 4 cannot authenticate, and users have to",
            refused(),
        ));
    }
    if request.command != Command::Connect {
        return Err(Denial::told(
            "of SOCKS 4 only CONNECT is supported",
            refused(),
        ));
    }
    let Some(host) = host(&request.host) else {
        return Err(Denial::told(
            "what the client asked for is no name",
            refused(),
        ));
    };
    let asked = ClientRequest::new(door, InboundKind::Socks5, host, request.port, None);
    Ok((asked, Reply::Socks4, Payload::Bytes))
}

async fn login<'d>(door: &'d DoorSpec, client: &mut Stream) -> Result<&'d User, Denial> {
    let told = exact::read(client, socks::MAX_USERPASS, socks::parse_userpass).await;
    let told =
        told.map_err(|broken| Denial::of(broken, |_| socks::write_auth_status(false).to_vec()))?;
    if !door.admits.allows(client.peer_addr()) {
        let answer = socks::write_auth_status(false).to_vec();
        return Err(Denial::told(NOT_FROM_THERE, answer));
    }
    match admit(&door.admits.users, &told.user, &told.password) {
        Some(user) => {
            say(client, &socks::write_auth_status(true)).await?;
            Ok(user)
        }
        None => Err(Denial::WrongLogin {
            answer: socks::write_auth_status(false).to_vec(),
        }),
    }
}

async fn say(client: &mut Stream, bytes: &[u8]) -> Result<(), Denial> {
    client.write_all(bytes).await.map_err(|_gone| Denial::Gone)
}
