//! The one answer that an inbound owes its client.
//!
//! Invariant: it is given once. After success only a reset can take it back, so a refusal then is a
//! reset; a client that waits for no answer gets resets alone.

use std::time::Duration;

use pointsman_wire::http;
use pointsman_wire::socks::{self, ReplyCode};
use tokio::time::timeout;

use crate::outbound::Failure;
use crate::shared::Silences;
use crate::stream::Stream;

/// How a client is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An HTTP client that waits for its tunnel.
    Connect,
    /// Not any more, or not at all.
    Nothing,
    /// An HTTP client that waits for its response.
    Plain,
    /// A SOCKS 4 client.
    Socks4,
    /// A SOCKS 5 client.
    Socks5,
}

/// Why a client is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// Silence.
    Blackhole,
    /// No way out could be opened.
    Failed(Failure),
    /// The protocol's own refusal.
    Reject,
    /// RST.
    Reset,
}

impl Unserved {
    /// What anybody may be told.
    pub(crate) fn in_general(self) -> &'static str {
        match self {
            Self::Blackhole | Self::Reject | Self::Reset => REFUSED,
            Self::Failed(Failure::General) => "this proxy could not reach the destination",
            Self::Failed(Failure::HostUnreachable) => {
                "there is no way to the destination, or no such host"
            }
            Self::Failed(Failure::NetworkUnreachable) => {
                "there is no way to the network of the destination"
            }
            Self::Failed(Failure::Refused) => "the destination refused the connection",
            Self::Failed(Failure::TimedOut) => "the destination did not answer in time",
        }
    }
}

/// What a client is told whose flow the rules refuse.
pub(crate) const REFUSED: &str = "refused by the rules of this proxy";

impl Reply {
    /// Whether the client sends nothing before it is told success.
    pub(crate) fn waits(self) -> bool {
        match self {
            Self::Connect | Self::Socks4 | Self::Socks5 => true,
            Self::Nothing | Self::Plain => false,
        }
    }

    /// Tells a client that waits that it may go on.
    pub(crate) async fn grant(&mut self, client: &mut Stream) -> std::io::Result<()> {
        let granted: &[u8] = match self {
            Self::Nothing | Self::Plain => return Ok(()),
            Self::Connect => b"HTTP/1.1 200 Connection established\r\n\r\n",
            Self::Socks4 => &socks::write_socks4_reply(true),
            Self::Socks5 => &socks::write_unbound_reply(ReplyCode::Succeeded),
        };
        *self = Self::Nothing;
        client.write_all(granted).await
    }

    /// Ends the connection in the way that says most of why.
    pub(crate) async fn refuse(
        self,
        client: Stream,
        refusal: Unserved,
        why: &str,
        silences: &Silences,
        silence: Duration,
    ) {
        let failure = match refusal {
            Unserved::Blackhole => return keep_silent(client, silences, silence).await,
            Unserved::Reset => return client.reset(),
            Unserved::Failed(failure) => Some(failure),
            Unserved::Reject => None,
        };
        let answer = match self {
            Self::Nothing => return client.reset(),
            Self::Socks4 => socks::write_socks4_reply(false).to_vec(),
            Self::Socks5 => socks::write_unbound_reply(socks_code(failure)).to_vec(),
            Self::Connect | Self::Plain => http::write_refusal(http_status(failure), why),
        };
        farewell(client, &answer).await;
    }
}

fn socks_code(failure: Option<Failure>) -> ReplyCode {
    match failure {
        None => ReplyCode::NotAllowed,
        Some(Failure::General) => ReplyCode::GeneralFailure,
        Some(Failure::HostUnreachable) => ReplyCode::HostUnreachable,
        Some(Failure::NetworkUnreachable) => ReplyCode::NetworkUnreachable,
        Some(Failure::Refused) => ReplyCode::ConnectionRefused,
        Some(Failure::TimedOut) => ReplyCode::TtlExpired,
    }
}

fn http_status(failure: Option<Failure>) -> u16 {
    match failure {
        None => 403,
        Some(Failure::TimedOut) => 504,
        Some(_) => 502,
    }
}

/// The last words to a client. What it still sends is read over for a moment: a close with bytes
/// unread is a reset, which would overtake the words.
pub(super) async fn farewell(mut client: Stream, words: &[u8]) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const MOST: usize = 256 * 1024;
    let _ = timeout(PATIENCE, async {
        if client.write_all(words).await.is_ok() && client.shutdown_write().is_ok() {
            read_over(&mut client, MOST).await;
        }
    })
    .await;
}

/// Holds the connection and says nothing until the client gives up, or the time is over.
async fn keep_silent(mut client: Stream, silences: &Silences, silence: Duration) {
    // Too many already: a reset is the cheapest refusal that is left.
    let Some(_place) = silences.place() else {
        return client.reset();
    };
    let _ = timeout(silence, read_over(&mut client, usize::MAX)).await;
    client.reset();
}

async fn read_over(client: &mut Stream, most: usize) {
    let mut scratch = Vec::new();
    let mut read = 0_usize;
    while read < most {
        scratch.clear();
        match client.read_some(&mut scratch, 4096).await {
            Ok(0) | Err(_) => return,
            Ok(more) => read = read.saturating_add(more),
        }
    }
}
