//! What must hold of every parser for every input; shared by fuzz targets, corpus replay and
//! property tests.
//!
//! Each `check_*` panics, by `assert`, where a promise is broken: that is its only output.
//! Absent: anything a program should call.

use std::fmt::Debug;

use crate::http::{ChunkedBody, Chunks, Persistence, ResponseBody, Scan, Target};
use crate::{Parse, http, proxy_protocol, sniff, socks};

mod datagrams;
mod dns;
#[cfg(test)]
mod tests;

pub use datagrams::{check_datagrams, check_quic_frames};
#[cfg(test)]
pub(crate) use datagrams::{initial, joined, parts};
pub use dns::{check_dns, check_dns_web};

/// Asserts the three promises of a parser on `bytes` and returns its verdict on all of them.
pub fn promises<T: Debug + PartialEq>(
    bytes: &[u8],
    max: usize,
    parse: impl Fn(&[u8]) -> Parse<T>,
) -> Parse<T> {
    let verdict = parse(bytes);
    if let Parse::Done(_, used) = &verdict {
        assert!(*used <= bytes.len(), "used {used} of {}", bytes.len());
    }
    if verdict == Parse::NeedMore {
        assert!(bytes.len() < max, "waits for more than {max} bytes");
    }
    // All prefixes of what is short, and a choice of about a hundred of what is long.
    let stride = (bytes.len() / 100).max(1);
    for end in (0..bytes.len()).step_by(stride) {
        let prefix = &bytes[..end];
        match parse(prefix) {
            Parse::NeedMore => {}
            early => assert_eq!(
                early, verdict,
                "the verdict on {end} bytes changed with more"
            ),
        }
    }
    verdict
}

/// The sniffers.
pub fn check_sniff(bytes: &[u8]) {
    let verdict = promises(bytes, sniff::MAX_LOOK, sniff::look);
    if let Parse::Done(glance, _) = verdict {
        check_name(&glance);
    }
}

/// What servers say first.
pub fn check_banner(bytes: &[u8]) {
    let verdict = promises(bytes, sniff::MAX_BANNER, sniff::banner);
    if let Parse::Done(banner, _) = verdict {
        let software = banner.software.unwrap_or_default();
        assert!(software.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

fn check_name(glance: &sniff::Glance) {
    if let Some(name) = &glance.name {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(*name, name.to_ascii_lowercase());
    }
}

/// All messages of SOCKS, in both directions; what was read is written and read again.
pub fn check_socks(bytes: &[u8]) {
    promises(bytes, socks::MAX_GREETING, socks::parse_greeting);
    promises(bytes, 2, socks::parse_method_choice);
    promises(bytes, 2, socks::parse_auth_status);
    promises(bytes, socks::MAX_SOCKS4, socks::parse_socks4);
    let userpass = promises(bytes, socks::MAX_USERPASS, socks::parse_userpass);
    if let Parse::Done(read, used) = userpass {
        let written = socks::write_userpass(&read.user, &read.password);
        assert_eq!(written.as_deref(), Ok(&bytes[..used]));
    }
    let request = promises(bytes, socks::MAX_REQUEST, socks::parse_request);
    if let Parse::Done(read, _) = request {
        let written = socks::write_request(read.command, &read.host, read.port);
        let written = written.unwrap_or_default();
        assert_eq!(
            socks::parse_request(&written),
            Parse::Done(read, written.len())
        );
    }
    let reply = promises(bytes, socks::MAX_REPLY, socks::parse_reply);
    if let Parse::Done(
        socks::Reply {
            code,
            bound: Some(bound),
        },
        _,
    ) = reply
    {
        let written = socks::write_reply(code, bound);
        let read = socks::Reply {
            code,
            bound: Some(bound),
        };
        assert_eq!(
            socks::parse_reply(&written),
            Parse::Done(read, written.len())
        );
    }
    let header = promises(bytes, socks::MAX_UDP_HEADER, socks::parse_udp_header);
    let length = socks::udp_header_length(bytes);
    match &header {
        Parse::Done(_, used) => assert_eq!(length, Some(*used)),
        Parse::NeedMore => assert_eq!(length, None),
        // A name that is none has a length.
        Parse::Not(_) => assert!(length.is_none_or(|length| length <= bytes.len())),
    }
    if let Parse::Done(read, _) = header {
        let mut written = Vec::new();
        assert_eq!(
            socks::write_udp_header(&mut written, &read.host, read.port),
            Ok(())
        );
        assert_eq!(
            socks::parse_udp_header(&written),
            Parse::Done(read, written.len())
        );
    }
}

/// Request heads; what is sent on must be understood as what was read.
pub fn check_http_request(bytes: &[u8]) {
    let Parse::Done(head, _) = promises(bytes, http::MAX_HEAD, http::parse_request_head) else {
        return;
    };
    let sent = head.rewritten(Persistence::Close);
    if outgrown(&sent, head.headers.len()) {
        return;
    }
    let Parse::Done(again, used) = http::parse_request_head(&sent) else {
        panic!(
            "what is sent on cannot be read: {:?}",
            String::from_utf8_lossy(&sent)
        );
    };
    assert_eq!(used, sent.len());
    assert_eq!((&again.method, again.body), (&head.method, head.body));
    assert_eq!(again.proxy_authorization, None);
    assert_eq!(again.upgrade, head.upgrade);
    let fewer = head.max_forwards.map(|most| most.saturating_sub(1));
    assert_eq!(again.max_forwards, fewer);
    match &head.target {
        Target::Absolute {
            host,
            port,
            path_and_query,
        } => {
            assert_eq!(again.target, Target::Origin(path_and_query.clone()));
            let sent_host = again
                .host_header()
                .map(|(host, port)| (host, port.unwrap_or(80)));
            assert_eq!(sent_host, Some((host.clone(), *port)));
        }
        Target::Connect { .. } | Target::Origin(_) => assert_eq!(again.target, head.target),
    }
}

/// Response heads; the first byte chooses the method of the request.
pub fn check_http_response(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let method = ["GET", "HEAD", "CONNECT"][usize::from(*choice) % 3];
    promises(bytes, http::MAX_HEAD, http::parse_connect_response);
    let parse = |bytes: &[u8]| http::parse_response_head(bytes, method);
    let Parse::Done(head, _) = promises(bytes, http::MAX_HEAD, parse) else {
        return;
    };
    let sent = head.rewritten(Persistence::Keep, Chunks::Kept);
    if outgrown(&sent, head.headers.len()) {
        return;
    }
    let Parse::Done(again, used) = parse(&sent) else {
        panic!(
            "what is sent on cannot be read: {:?}",
            String::from_utf8_lossy(&sent)
        );
    };
    assert_eq!(used, sent.len());
    assert_eq!((again.status, again.body), (head.status, head.body));
    assert!(!(again.body == ResponseBody::UntilClose && again.keep_alive));
}

/// Whether writing anew may have brought a head that was just short enough above a limit.
fn outgrown(sent: &[u8], headers: usize) -> bool {
    sent.len() > http::MAX_HEAD || headers + 3 > http::MAX_HEADERS
}

/// Chunked bodies: the cut of the bytes must not matter, and what goes on is read as what was read.
pub fn check_chunked(bytes: &[u8]) {
    let (mut written, mut dropped) = (Vec::new(), Vec::new());
    let at_once = ChunkedBody::new(Chunks::Kept).feed(bytes, &mut written);
    let mut dripped = ChunkedBody::new(Chunks::Kept);
    let mut used = 0;
    let mut by_drops = Ok(Scan {
        used: 0,
        done: false,
    });
    for byte in bytes {
        match dripped.feed(&[*byte], &mut dropped) {
            Ok(scan) => {
                used += scan.used;
                by_drops = Ok(Scan {
                    used,
                    done: scan.done,
                });
                if scan.done {
                    break;
                }
            }
            Err(why) => {
                by_drops = Err(why);
                break;
            }
        }
    }
    assert_eq!((at_once, &written), (by_drops, &dropped));
    let mut again = Vec::new();
    let read = ChunkedBody::new(Chunks::Kept).feed(&written, &mut again);
    assert_eq!(again, written);
    let (mut joined, mut data) = (Vec::new(), Vec::new());
    assert_eq!(
        ChunkedBody::new(Chunks::Joined).feed(bytes, &mut joined),
        at_once
    );
    let _ = ChunkedBody::new(Chunks::Joined).feed(&written, &mut data);
    assert_eq!(joined, data);
    let done = at_once.is_ok_and(|scan| scan.done);
    let used = written.len();
    assert_eq!(read, Ok(Scan { used, done }));
    if let Ok(Scan { used, done }) = at_once {
        assert!(used <= bytes.len() && (done || used == bytes.len()));
    }
}

/// Both versions of the PROXY protocol; what was read is written and read again.
pub fn check_proxy_protocol(bytes: &[u8]) {
    use proxy_protocol::{MAX_V1, MAX_V2, ProxyHeader, parse, parse_v1, parse_v2};
    promises(bytes, MAX_V1, parse_v1);
    promises(bytes, MAX_V2, parse_v2);
    let Parse::Done(header, _) = promises(bytes, MAX_V2, parse) else {
        return;
    };
    let written = proxy_protocol::write_v2(&header);
    assert_eq!(parse(&written), Parse::Done(header, written.len()));
    if let ProxyHeader::Stream {
        source,
        destination,
    } = header
    {
        let written = proxy_protocol::write_v1(Some(source), Some(destination));
        assert_eq!(parse(&written), Parse::Done(header, written.len()));
    }
}
