//! What the first bytes of a client say: the protocol, the name it wants, and a few words about itself.
//!
//! Invariant: cheap on incomplete input. A dripped ClientHello costs a walk over its record headers
//! per look and is decoded once.
//! [`look`] is for streams, [`FirstDatagrams`] for datagrams, [`banner()`] for servers that speak first.
//! Absent: decryption with secrets, HTTP/2 header blocks.

mod banner;
mod bittorrent;
mod datagrams;
mod dns;
mod dtls;
mod http;
mod ntp;
mod postgresql;
pub(crate) mod quic;
mod rdp;
mod ssh;
mod stun;
mod tls;

pub use banner::{Banner, MAX_BANNER, ServerProtocol, banner};
pub(crate) use datagrams::claims;
pub use datagrams::{FirstDatagrams, MAX_DATAGRAMS, MAX_HELD, header_of};

use crate::Parse;
use crate::read::{Stop, bounded};

#[cfg(test)]
pub(crate) mod tests;

/// The most bytes that are ever looked at: a ClientHello with post-quantum key shares has about
/// 1.8 kB, a request head with fat cookies up to 16 KiB.
pub const MAX_LOOK: usize = 16_384;

/// A protocol that first bytes can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// BitTorrent: between peers, to trackers, and its table of peers.
    Bittorrent,
    /// A DNS query.
    Dns,
    /// DTLS.
    Dtls,
    /// HTTP/1.x, or HTTP/2 by prior knowledge.
    Http,
    /// An NTP client.
    Ntp,
    /// PostgreSQL.
    Postgresql,
    /// QUIC.
    Quic,
    /// RDP.
    Rdp,
    /// SSH 2.
    Ssh,
    /// STUN.
    Stun,
    /// TLS of any version.
    Tls,
}

impl Protocol {
    /// The name that policies and records use: lower-case, such as `tls`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bittorrent => "bittorrent",
            Self::Dns => "dns",
            Self::Dtls => "dtls",
            Self::Http => "http",
            Self::Ntp => "ntp",
            Self::Postgresql => "postgresql",
            Self::Quic => "quic",
            Self::Rdp => "rdp",
            Self::Ssh => "ssh",
            Self::Stun => "stun",
            Self::Tls => "tls",
        }
    }
}

/// What one look at the first bytes told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The application protocols offered in the TLS handshake, in the client's order, without GREASE.
    pub alpn: Vec<String>,
    /// Whether the ClientHello has an encrypted_client_hello extension (0xfe0d): then `name` is the
    /// outer name, which need not be the name wanted. Browsers also send a meaningless one (GREASE).
    pub ech: bool,
    /// The method of the HTTP/1 request.
    pub method: Option<String>,
    /// The name wanted, from SNI or the HTTP request: lower-case ASCII, without port or brackets; not
    /// yet checked to be a domain, and possibly an IP literal.
    pub name: Option<String>,
    /// The protocol.
    pub protocol: Protocol,
    /// The version of QUIC, as on the wire (1; 0x6b3343cf is version 2).
    pub quic_version: Option<u32>,
    /// The software version of the SSH client, such as `OpenSSH_9.6`.
    pub ssh_software: Option<String>,
    /// The highest TLS version offered, as on the wire (0x0304 is TLS 1.3).
    pub tls_version: Option<u16>,
    /// The User-Agent of the HTTP request; bytes that are not UTF-8 are replaced.
    pub user_agent: Option<String>,
}

impl Glance {
    fn of(protocol: Protocol) -> Self {
        Self {
            alpn: Vec::new(),
            ech: false,
            method: None,
            name: None,
            protocol,
            quic_version: None,
            ssh_software: None,
            tls_version: None,
            user_agent: None,
        }
    }
}

/// Looks at the first bytes that a client sent.
///
/// `NeedMore` while they may still become one of the protocols (never at [`MAX_LOOK`] bytes), `Not`
/// when they are certainly none. A head or hello that does not fit into [`MAX_LOOK`] is told from the
/// part that does, so that stuffing cannot hide a name that came early. Nothing is to be consumed by
/// `used`: the bytes belong to whomever the flow goes.
pub fn look(bytes: &[u8]) -> Parse<Glance> {
    bounded(bytes, MAX_LOOK, |reader| {
        let seen = reader.rest();
        let cut = seen.len() == MAX_LOOK;
        let bare = |protocol| move |used| (Glance::of(protocol), used);
        // By the first bytes: each protocol has its own, so that none has to wait for another.
        let (glance, used) = match seen {
            [tls::HANDSHAKE, ..] => tls::look(seen, cut)?,
            [bittorrent::NAME_LENGTH, ..] => {
                bittorrent::stream(seen).map(bare(Protocol::Bittorrent))?
            }
            [rdp::TPKT, ..] => rdp::stream(seen).map(bare(Protocol::Rdp))?,
            [0] => return Err(Stop::More),
            [0, 0, ..] => postgresql::stream(seen).map(bare(Protocol::Postgresql))?,
            [0..=2, ..] => dns::stream(seen).map(bare(Protocol::Dns))?,
            [b'S', b'S', b'H', b'-', ..] => ssh::look(seen)?,
            _ => http::look(seen, cut)?,
        };
        reader.take(used)?;
        Ok(glance)
    })
}

/// Whether the server usually speaks first on `port`, so that waiting for a client's bytes only
/// delays the flow.
///
/// FTP, SMTP and submission, POP3, NNTP, IMAP, MySQL, VNC and IRC greet first. SSH (22) is not listed, for its clients send their banner without waiting; nor are the ports of
/// implicit TLS (465, 993, 995), where the client does.
pub fn server_speaks_first(port: u16) -> bool {
    matches!(
        port,
        21 | 25 | 110 | 119 | 143 | 587 | 2525 | 3306 | 5900 | 6667
    )
}

/// Bytes as a name: printable ASCII, lower-cased; otherwise there is no name.
fn name_text(bytes: &[u8]) -> Option<String> {
    let fits = !bytes.is_empty() && bytes.len() <= crate::host::MAX_NAME;
    if !fits || !bytes.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(str::to_ascii_lowercase)
}
