//! Asking a SOCKS5 proxy for a stream, or for a relay of datagrams (RFC 1928, RFC 1929).
//!
//! Invariant: only the bytes of its answers are consumed; what follows stays the stream's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pointsman_spec::login::Credentials;
use pointsman_wire::socks::{self, Command, Method, ReplyCode};
use pointsman_wire::{RequestHost, Unwritable};

use super::progress::Progress;
use super::{Destination, DialError, Failure, ProxyStep};
use crate::exact::{self, Broken};
use crate::stream::Stream;

/// Has the proxy at the other end of `stream` connect to `destination`.
pub(super) async fn connect(
    outbound: &Arc<str>,
    mut stream: Stream,
    login: Option<&Credentials>,
    destination: &Destination,
    progress: &Progress,
) -> Result<Stream, DialError> {
    log_in(outbound, &mut stream, login, progress).await?;
    progress.asked(ProxyStep::Socks5);
    let request = socks::write_connect(&destination.on_the_wire(), destination.port);
    let request = request.map_err(|what| unwritable(outbound, what))?;
    ask(outbound, &mut stream, &request, ProxyStep::Socks5).await?;
    Ok(stream)
}

/// Has the proxy relay datagrams, as long as the stream is open; where it takes and sends them: its address, as it
/// says it.
pub(super) async fn associate(
    outbound: &Arc<str>,
    mut stream: Stream,
    login: Option<&Credentials>,
    progress: &Progress,
) -> Result<(Stream, SocketAddr), DialError> {
    log_in(outbound, &mut stream, login, progress).await?;
    progress.asked(ProxyStep::Socks5Associate);
    // From where our datagrams come we cannot say: there may be others between.
    let anywhere = RequestHost::Address(Ipv4Addr::UNSPECIFIED.into());
    let request = socks::write_request(Command::UdpAssociate, &anywhere, 0);
    let request = request.map_err(|what| unwritable(outbound, what))?;
    let bound = ask(outbound, &mut stream, &request, ProxyStep::Socks5Associate).await?;
    match bound.filter(|bound| bound.port() != 0) {
        Some(bound) => Ok((stream, bound)),
        None => Err(DialError::ProxyBroke {
            outbound: Arc::clone(outbound),
            why: "it did not say at which address it relays UDP".to_owned(),
        }),
    }
}

/// Agrees with the proxy on who we are.
async fn log_in(
    outbound: &Arc<str>,
    stream: &mut Stream,
    login: Option<&Credentials>,
    progress: &Progress,
) -> Result<(), DialError> {
    let asked = ProxyStep::Socks5Greeting;
    let broken = |broken: Broken| proxy_failed(outbound, broken, asked);
    progress.asked(asked);
    send(stream, &socks::write_client_greeting(login.is_some()))
        .await
        .map_err(broken)?;
    let method = exact::read(stream, 2, socks::parse_method_choice)
        .await
        .map_err(broken)?;
    match (method, login) {
        (Method::NoAuthentication, _) => Ok(()),
        (Method::Password, Some(login)) => {
            let asked = ProxyStep::Socks5Login;
            let broken = |broken: Broken| proxy_failed(outbound, broken, asked);
            progress.asked(asked);
            let message = socks::write_userpass(&login.user, login.password.reveal());
            let message = message.map_err(|what| unwritable(outbound, what))?;
            send(stream, &message).await.map_err(broken)?;
            let status = exact::read(stream, 2, socks::parse_auth_status).await;
            match status.map_err(broken)? {
                true => Ok(()),
                false => Err(DialError::Login {
                    outbound: Arc::clone(outbound),
                }),
            }
        }
        _ => Err(DialError::Login {
            outbound: Arc::clone(outbound),
        }),
    }
}

/// What the proxy bound for a request that it grants.
async fn ask(
    outbound: &Arc<str>,
    stream: &mut Stream,
    request: &[u8],
    asked: ProxyStep,
) -> Result<Option<SocketAddr>, DialError> {
    let broken = |broken: Broken| proxy_failed(outbound, broken, asked);
    send(stream, request).await.map_err(broken)?;
    let reply = exact::read(stream, socks::MAX_REPLY, socks::parse_reply).await;
    let reply = reply.map_err(broken)?;
    match reply.code {
        ReplyCode::Succeeded => Ok(reply.bound),
        code => {
            let (answer, failure) = meaning(code);
            let outbound = Arc::clone(outbound);
            Err(DialError::ProxyRefused {
                outbound,
                answer,
                failure,
            })
        }
    }
}

fn unwritable(outbound: &Arc<str>, Unwritable(what): Unwritable) -> DialError {
    DialError::ProxyBroke {
        outbound: Arc::clone(outbound),
        why: format!("its protocol cannot carry {what}"),
    }
}

async fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Broken> {
    stream.write_all(bytes).await.map_err(Broken::Io)
}

/// The answer that could not be read, as the proxy's fault.
pub(super) fn proxy_failed(outbound: &Arc<str>, broken: Broken, asked: ProxyStep) -> DialError {
    let outbound = Arc::clone(outbound);
    match broken {
        Broken::Ended => DialError::ProxyClosed { outbound, asked },
        Broken::Io(source) => DialError::ProxyGone { outbound, source },
        Broken::Not(why, first) => DialError::ProxyBroke {
            outbound,
            why: asked.answered(why, &first),
        },
    }
}

/// A reply in words, and what it means (RFC 1928, 6).
fn meaning(code: ReplyCode) -> (String, Failure) {
    let (words, failure) = match code {
        ReplyCode::Succeeded => ("succeeded", Failure::General),
        ReplyCode::GeneralFailure => ("general failure", Failure::General),
        ReplyCode::NotAllowed => ("not allowed", Failure::General),
        ReplyCode::NetworkUnreachable => ("network unreachable", Failure::NetworkUnreachable),
        ReplyCode::HostUnreachable => ("host unreachable", Failure::HostUnreachable),
        ReplyCode::ConnectionRefused => ("connection refused", Failure::Refused),
        ReplyCode::TtlExpired => ("time ran out", Failure::TimedOut),
        ReplyCode::CommandNotSupported => ("command not supported", Failure::General),
        ReplyCode::AddressTypeNotSupported => ("address type not supported", Failure::General),
        ReplyCode::Unassigned(code) => return (format!("code {code}"), Failure::General),
    };
    (words.to_owned(), failure)
}
