//! Asking a SOCKS5 proxy for a stream (RFC 1928, RFC 1929).
//!
//! Invariant: only the bytes of its answers are consumed; what follows stays the stream's.

use std::sync::Arc;

use pointsman_spec::login::Credentials;
use pointsman_wire::Unwritable;
use pointsman_wire::socks::{self, Method, ReplyCode};

use super::waiting::Waiting;
use super::{Asked, DialError, Failure, Target};
use crate::exact::{self, Broken};
use crate::stream::Stream;

/// Has the proxy at the other end of `stream` connect to `target`.
pub(super) async fn connect(
    outbound: &Arc<str>,
    mut stream: Stream,
    login: Option<&Credentials>,
    target: &Target,
    waiting: &Waiting,
) -> Result<Stream, DialError> {
    let asked = Asked::Socks5Greeting;
    let broken = |broken: Broken| proxy_failed(outbound, broken, asked);
    waiting.asked(asked);
    let unwritable = |Unwritable(what): Unwritable| DialError::ProxyBroke {
        outbound: Arc::clone(outbound),
        why: format!("its protocol cannot carry {what}"),
    };
    send(&mut stream, &socks::write_client_greeting(login.is_some()))
        .await
        .map_err(broken)?;
    let method = exact::read(&mut stream, 2, socks::parse_method_choice)
        .await
        .map_err(broken)?;
    match (method, login) {
        (Method::NoAuthentication, _) => {}
        (Method::Password, Some(login)) => {
            let asked = Asked::Socks5Login;
            let broken = |broken: Broken| proxy_failed(outbound, broken, asked);
            waiting.asked(asked);
            let message = socks::write_userpass(&login.user, login.password.reveal());
            send(&mut stream, &message.map_err(unwritable)?)
                .await
                .map_err(broken)?;
            let status = exact::read(&mut stream, 2, socks::parse_auth_status).await;
            if !status.map_err(broken)? {
                return Err(DialError::Login {
                    outbound: Arc::clone(outbound),
                });
            }
        }
        _ => {
            return Err(DialError::Login {
                outbound: Arc::clone(outbound),
            });
        }
    }
    let asked = Asked::Socks5;
    let broken = |broken: Broken| proxy_failed(outbound, broken, asked);
    waiting.asked(asked);
    let request = socks::write_connect(&target.on_the_wire(), target.port).map_err(unwritable)?;
    send(&mut stream, &request).await.map_err(broken)?;
    let reply = exact::read(&mut stream, socks::MAX_REPLY, socks::parse_reply).await;
    match reply.map_err(broken)?.code {
        ReplyCode::Succeeded => Ok(stream),
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

async fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Broken> {
    stream.write_all(bytes).await.map_err(Broken::Io)
}

/// The answer that could not be read, as the proxy's fault.
pub(super) fn proxy_failed(outbound: &Arc<str>, broken: Broken, asked: Asked) -> DialError {
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
