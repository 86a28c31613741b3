//! Looking at first bytes.
//!
//! Invariant: nothing is consumed. The look ends with a verdict, with the client's end, with the
//! limit of time or of bytes; what is not recognised by then is `other`. A hello that is dripped wakes
//! us a few times, for the kernel is told how long its record is.

use std::io;

use pointsman_policy::Domain;
use pointsman_policy::fact::{Fact, Look, Protocol, Provenance};
use pointsman_spec::limits::SniffLimits;
use pointsman_wire::http::{RequestHead, Target};
use pointsman_wire::sniff::{self, Glance, server_speaks_first};
use pointsman_wire::{Parse, RequestHost};
use tokio::time::{Instant, timeout_at};

use crate::stream::Stream;

/// Looks at what a client has said already, without waiting; `None` where more has to be waited for,
/// and will come before the server says anything.
///
/// # Errors
/// The client is gone.
pub(crate) async fn glance(
    client: &mut Stream,
    limits: SniffLimits,
    port: u16,
) -> io::Result<Option<Fact<Look>>> {
    let mut bytes = vec![0; limits.max_bytes.clamp(1, sniff::MAX_LOOK)];
    let said = now_there(client, &mut bytes).await?;
    Ok(match sniff::look(&bytes[..said]) {
        Parse::NeedMore if server_speaks_first(port) => Some(other()),
        Parse::NeedMore => None,
        Parse::Done(..) | Parse::Not(_) => Some(look_at(&bytes[..said])),
    })
}

/// Looks at bytes that are all there.
fn look_at(bytes: &[u8]) -> Fact<Look> {
    match sniff::look(bytes) {
        Parse::Done(glance, _) => seen(glance),
        Parse::NeedMore | Parse::Not(_) => other(),
    }
}

/// What a plain request says of itself, all of its head looked at: no field is hidden by others before it.
pub(crate) fn told_by(head: &RequestHead) -> Fact<Look> {
    let domain = match &head.target {
        Target::Absolute { host, .. } | Target::Connect { host, .. } => match host {
            RequestHost::Name(name) => name_of(name),
            RequestHost::Address(_) => None,
        },
        Target::Origin(_) => None,
    };
    let agent = head.header("user-agent").map(String::from_utf8_lossy);
    let look = Look {
        protocol: Protocol::Http,
        domain,
        method: Some(head.method.as_str().into()),
        user_agent: agent.map(|agent| agent.as_ref().into()),
        ..Look::default()
    };
    Fact::Known(look, Provenance::HttpHost)
}

/// Looks at what a client says first.
///
/// # Errors
/// The client is gone.
pub(crate) async fn look(client: &mut Stream, limits: SniffLimits) -> io::Result<Fact<Look>> {
    let deadline = Instant::now() + limits.timeout;
    let mut bytes = vec![0; limits.max_bytes.clamp(1, sniff::MAX_LOOK)];
    let mut seen = 0;
    loop {
        let wanted = enough(&bytes[..seen]);
        let Ok(there) = timeout_at(deadline, client.peek_more(&mut bytes, seen, wanted)).await
        else {
            break;
        };
        let there = there?;
        match sniff::look(&bytes[..there]) {
            Parse::Done(..) | Parse::Not(_) => return Ok(look_at(&bytes[..there])),
            // The end, or as much as we look at.
            Parse::NeedMore if there <= seen || there == bytes.len() => return Ok(other()),
            Parse::NeedMore => seen = there,
        }
    }
    // Time is over; the kernel may hold more than it woke us for.
    let there = now_there(client, &mut bytes).await?;
    Ok(look_at(&bytes[..there]))
}

/// Looks at what is there now.
async fn now_there(client: &mut Stream, bytes: &mut [u8]) -> io::Result<usize> {
    let ahead = client.prefix.len().min(bytes.len());
    match timeout_at(Instant::now(), client.peek_more(bytes, ahead, 1)).await {
        Ok(there) => there,
        // Nothing more than what was read ahead, which the look has copied.
        Err(_nothing_more) => Ok(ahead),
    }
}

/// How many bytes there should be before the next look: the end of a TLS record (RFC 8446, 5.1) that
/// has begun, else one more.
fn enough(seen: &[u8]) -> usize {
    const HEADER: usize = 5;
    const HANDSHAKE: u8 = 22;
    let mut end = 0;
    while let Some([HANDSHAKE, _, _, high, low]) = seen.get(end..end + HEADER) {
        end += HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    }
    match seen.get(end) {
        // Within a record.
        None if end > seen.len() => end,
        // Within a header.
        Some(&HANDSHAKE) => end + HEADER,
        // At a border, or in no TLS at all.
        None | Some(_) => seen.len() + 1,
    }
}

/// What the first datagrams of a flow say, as far as they were looked at.
pub(crate) fn told_in(glance: Option<Glance>) -> Fact<Look> {
    glance.map_or_else(other, seen)
}

/// What a flow's first datagram is by its header; nothing of it is opened.
pub(crate) fn header_of(datagram: &[u8]) -> Option<Protocol> {
    sniff::header_of(datagram).map(|protocol| named(protocol).0)
}

fn other() -> Fact<Look> {
    Fact::Known(
        Look {
            protocol: Protocol::Other,
            ..Look::default()
        },
        Provenance::Inbound,
    )
}

/// An address in a Host header is no name, nor is one with a dot behind it.
fn name_of(text: &str) -> Option<Domain> {
    let is_name = |name: &Domain| name.as_str().parse::<std::net::IpAddr>().is_err();
    Domain::parse(text).ok().filter(is_name)
}

fn seen(glance: Glance) -> Fact<Look> {
    let (protocol, from) = named(glance.protocol);
    let domain = glance.name.and_then(|name| name_of(&name));
    let look = Look {
        protocol,
        domain,
        alpn: glance.alpn.into_iter().map(Into::into).collect(),
        user_agent: glance.user_agent.map(Into::into),
        method: glance.method.map(Into::into),
        ech: glance.ech,
        quic_version: glance.quic_version,
        ssh_software: glance.ssh_software.map(Into::into),
        tls_version: glance.tls_version,
    };
    Fact::Known(look, from)
}

/// As policies know a protocol, and what tells it.
fn named(protocol: sniff::Protocol) -> (Protocol, Provenance) {
    match protocol {
        sniff::Protocol::Bittorrent => (Protocol::Bittorrent, Provenance::Inbound),
        sniff::Protocol::Dns => (Protocol::Dns, Provenance::Inbound),
        sniff::Protocol::Dtls => (Protocol::Dtls, Provenance::Inbound),
        sniff::Protocol::Http => (Protocol::Http, Provenance::HttpHost),
        sniff::Protocol::Ntp => (Protocol::Ntp, Provenance::Inbound),
        sniff::Protocol::Postgresql => (Protocol::Postgresql, Provenance::Inbound),
        sniff::Protocol::Quic => (Protocol::Quic, Provenance::Quic),
        sniff::Protocol::Rdp => (Protocol::Rdp, Provenance::Inbound),
        sniff::Protocol::Ssh => (Protocol::Ssh, Provenance::SshBanner),
        sniff::Protocol::Stun => (Protocol::Stun, Provenance::Inbound),
        sniff::Protocol::Tls => (Protocol::Tls, Provenance::TlsHello),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_the_words_of_rules() {
        let check = |bytes: &[u8], expected: &str| {
            let looked = look_at(bytes);
            let told = looked.known().map(|look| look.protocol.as_str());
            assert_eq!(told, Some(expected));
            if let Parse::Done(glance, _) = sniff::look(bytes) {
                assert_eq!(glance.protocol.as_str(), expected);
            }
        };
        check(b"GET / HTTP/1.1\r\n\r\n", "http");
        check(b"SSH-2.0-x\r\n", "ssh");
        check(&hello("a.test", 200), "tls");
        check(b"\x13BitTorrent protocol", "bittorrent");
        check(b"\0\0\0\x08\x04\xd2\x16\x2f", "postgresql");
        check(
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
            "rdp",
        );
        check(
            b"\0\x18\x17\x64\x01\x20\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01",
            "dns",
        );
        check(b"EHLO a.test\r\n", "other");
    }

    #[test]
    fn the_kernel_is_told_where_a_record_ends() {
        let check = |seen: &[u8], expected| assert_eq!(enough(seen), expected, "{seen:?}");
        check(b"", 1);
        check(b"GET /", 6);
        check(&[22], 5);
        check(&[22, 3, 1, 0], 5);
        check(&[22, 3, 1, 2, 0], 5 + 512);
        check(&[22, 3, 1, 0, 1, 9], 7);
        check(&[22, 3, 1, 0, 1, 9, 22], 6 + 5);
        check(&[22, 3, 1, 0, 1, 9, 23], 8);
    }

    /// A client that sends its hello byte by byte must not make us work for each of them.
    #[test]
    fn a_dripped_hello_costs_next_to_nothing() {
        if cpu_ns().is_none() {
            eprintln!("skipped: this system does not say what a thread has spent");
            return;
        }
        let hello = hello("dripped.test", 1800);
        // Others on the machine may make a run dearer, and none cheaper.
        let least = (0..5).map(|_| drip(&hello)).min();
        assert!(
            least.is_some_and(|spent| spent < 1_000_000),
            "{least:?} ns of CPU for {} bytes",
            hello.len()
        );
    }

    /// What looking at a hello that comes byte by byte costs, in nanoseconds.
    #[expect(clippy::disallowed_methods, reason = "the client is not ours")]
    fn drip(hello: &[u8]) -> u64 {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let dripping = hello.to_vec();
        let client = std::thread::spawn(move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            socket.set_nodelay(true).unwrap();
            for byte in dripping {
                socket.write_all(&[byte]).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
            socket
        });
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let limits = SniffLimits {
            timeout: std::time::Duration::from_secs(20),
            ..SniffLimits::default()
        };
        let (looked, spent) = runtime.block_on(async {
            let mut stream = Stream::from(tokio::net::TcpStream::from_std(accepted).unwrap());
            let before = cpu_ns();
            let looked = look(&mut stream, limits).await.unwrap();
            (
                looked,
                cpu_ns().zip(before).map(|(now, before)| now - before),
            )
        });
        let _socket = client.join().unwrap();
        let domain = looked
            .known()
            .and_then(|look| look.domain.as_ref())
            .map(Domain::as_str);
        assert_eq!(domain, Some("dripped.test"));
        spent.unwrap()
    }

    /// What this thread has spent on a CPU, where the system says it.
    fn cpu_ns() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok()
    }

    /// A ClientHello that asks for `name`, in one record of about `size` bytes.
    fn hello(name: &str, size: usize) -> Vec<u8> {
        let counted = |width: usize, bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length[4 - width..], bytes].concat()
        };
        let server = [&[0][..], &counted(2, name.as_bytes())].concat();
        let server = [&[0, 0][..], &counted(2, &counted(2, &server))].concat();
        let padding = [&[0, 21][..], &counted(2, &vec![0; size - 80])].concat();
        let extensions = counted(2, &[padding, server].concat());
        let hello = [
            &[3, 3][..],
            &[7; 32],
            &[0, 0, 2, 0x13, 1, 1, 0],
            &extensions,
        ]
        .concat();
        let handshake = [&[1][..], &counted(3, &hello)].concat();
        [&[22, 3, 1][..], &counted(2, &handshake)].concat()
    }
}
