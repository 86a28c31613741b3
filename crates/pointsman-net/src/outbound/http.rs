//! Asking an HTTP proxy for a tunnel (RFC 9110, 9.3.6).
//!
//! Invariant: only the bytes of its answer's head are consumed; what follows stays the stream's.

use std::sync::Arc;

use pointsman_spec::login::Credentials;
use pointsman_wire::Unwritable;
use pointsman_wire::http;

use super::progress::Progress;
use super::socks5::proxy_failed;
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
    let asked = ProxyStep::Http;
    progress.asked(asked);
    let login = login.map(|login| (&*login.user, login.password.reveal()));
    let request = http::write_connect_request(&destination.on_the_wire(), destination.port, login);
    let request = request.map_err(|Unwritable(what)| DialError::ProxyBroke {
        outbound: Arc::clone(outbound),
        why: format!("its protocol cannot carry {what}"),
    })?;
    let sent = stream.write_all(&request).await;
    sent.map_err(|error| proxy_failed(outbound, Broken::Io(error), asked))?;
    for _ in 0..MAX_INTERIM {
        let answer = exact::read_head(&mut stream, http::parse_connect_response).await;
        let answer = answer.map_err(|broken| proxy_failed(outbound, broken, asked))?;
        let failure = match answer.status {
            _ if answer.is_open() => return Ok(stream),
            // Nothing was offered that it could switch to.
            101 => Failure::General,
            100..=199 => continue,
            407 => {
                return Err(DialError::Login {
                    outbound: Arc::clone(outbound),
                });
            }
            504 => Failure::TimedOut,
            502 | 503 => Failure::HostUnreachable,
            _ => Failure::General,
        };
        let answer = format!("status {}", answer.status);
        return Err(DialError::ProxyRefused {
            outbound: Arc::clone(outbound),
            answer,
            failure,
        });
    }
    let why = "it answers with interim answers without end".to_owned();
    Err(DialError::ProxyBroke {
        outbound: Arc::clone(outbound),
        why,
    })
}

/// Interim answers (1xx) before the real one.
const MAX_INTERIM: usize = 8;
