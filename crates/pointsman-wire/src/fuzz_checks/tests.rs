//! Replays the fuzzing corpus, and mutates its seeds, under plain `cargo test`.
//!
//! `UPDATE_EXPECT=1` writes the seeds listed here into `/fuzz/corpus`; other files there, as found by
//! fuzzing, are replayed and never touched.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::RequestHost;
use crate::proxy_protocol::ProxyHeader;
use crate::sniff::tests::hello::Hello;
use crate::sniff::tests::{banner, datagrams, quic, streams};

/// Each target with its check and its seeds, by name.
type Target = (&'static str, fn(&[u8]), Vec<(&'static str, Vec<u8>)>);

fn targets() -> Vec<Target> {
    vec![
        ("sniff", check_sniff, sniff_seeds()),
        ("banner", check_banner, banner::seeds()),
        ("datagrams", check_datagrams, datagram_seeds()),
        ("dns", check_dns, crate::dns::tests::seeds()),
        ("dns_web", check_dns_web, dns_web_seeds()),
        ("quic_frames", check_quic_frames, quic::frames_seeds()),
        ("socks", check_socks, socks_seeds()),
        ("http_request", check_http_request, http_request_seeds()),
        ("http_response", check_http_response, http_response_seeds()),
        ("chunked", check_chunked, chunked_seeds()),
        (
            "proxy_protocol",
            check_proxy_protocol,
            proxy_protocol_seeds(),
        ),
    ]
}

fn datagram_seeds() -> Vec<(&'static str, Vec<u8>)> {
    [quic::seeds(), datagrams::seeds()].concat()
}

fn dns_web_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let texts = [
        ("get", "dns=AAABAAABAAAAAAAAAWEEdGVzdAAAAQAB"),
        ("padded", "ct=x&dns=_-8=&y"),
        ("twice", "dns=AAEC&dns=AAEC"),
        ("escaped", "dns=AA%3D%3D"),
    ];
    texts.map(|(name, text)| (name, text.into())).into()
}

fn sniff_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let ech = Hello {
        ech: true,
        key_share: 0,
        ..Hello::browser("outer.test")
    };
    let mut seeds = vec![
        (
            "http-behind-blanks",
            b"\r\n\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n".into(),
        ),
        ("tls-plain", Hello::named("a.test").bytes()),
        ("tls-nameless", Hello::default().bytes()),
        ("tls-browser", Hello::browser("a.test").bytes()),
        ("tls-ech", ech.bytes()),
        ("tls-records-of-1", Hello::named("a.test").in_records_of(1)),
        (
            "tls-records-of-40",
            Hello::named("a.test").in_records_of(40),
        ),
        (
            "http-get",
            b"GET / HTTP/1.1\r\nHost: a.test:80\r\nUser-Agent: x/1\r\n\r\n".into(),
        ),
        (
            "http-absolute",
            b"GET http://u@b.test/x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        ),
        ("http-2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("ssh", b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n".into()),
        ("smtp", b"EHLO a.test\r\n".into()),
    ];
    seeds.extend(streams::seeds());
    seeds
}

fn socks_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let name = RequestHost::Name("a.test".into());
    let v6 = RequestHost::Address("2001:db8::1".parse().unwrap());
    let bound = SocketAddr::from(([192, 0, 2, 1], 1080));
    let mut datagram = Vec::new();
    socks::write_udp_header(&mut datagram, &name, 53).unwrap();
    vec![
        ("greeting", socks::write_client_greeting(true)),
        ("userpass", socks::write_userpass("joe", "pw").unwrap()),
        ("request-name", socks::write_connect(&name, 443).unwrap()),
        ("request-v6", socks::write_connect(&v6, 443).unwrap()),
        (
            "reply",
            socks::write_reply(socks::ReplyCode::NotAllowed, bound),
        ),
        ("datagram", datagram),
        ("socks4", b"\x04\x01\0\x50\xc0\0\x02\x01joe\0".into()),
        ("socks4a", b"\x04\x01\0\x50\0\0\0\x01joe\0a.test\0".into()),
    ]
}

fn http_request_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let texts = [
        (
            "connect",
            "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "absolute",
            "GET http://a.test:81/x?y#z HTTP/1.1\r\nProxy-Connection: close\r\n\r\n",
        ),
        (
            "origin",
            "\r\nPOST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3, 3\r\n\r\nabc",
        ),
        (
            "chunked",
            "POST http://a.test HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTE: x\r\n\r\n",
        ),
        (
            "both",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "upgrade",
            "GET http://a.test/ HTTP/1.1\r\nConnection: upgrade, x\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
        ),
        (
            "chat",
            "GET ws://b\u{fc}cher.test/\u{6d4b}?q=\u{e9} HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        (
            "login",
            "GET http://a.test/ HTTP/1.0\r\nProxy-Authorization: Basic am9lOnB3\r\n\r\n",
        ),
    ];
    texts.map(|(name, text)| (name, text.into())).into()
}

fn http_response_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let texts = [
        (
            "length",
            "\0HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
        ),
        (
            "chunked",
            "\0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
        ),
        ("until-close", "\0HTTP/1.0 200\nServer: x\n\n"),
        ("head", "\x01HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("tunnel", "\x02HTTP/1.1 200 Connection established\r\n\r\n"),
        (
            "switch",
            "\0HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        ("radio", "\0ICY 200 OK\r\nicy-br : 128\r\n\r\n"),
        (
            "identity",
            "\0HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nX : y\r\n\r\n",
        ),
        ("interim", "\0HTTP/1.1 100 Continue\r\n\r\n"),
    ];
    texts.map(|(name, text)| (name, text.into())).into()
}

fn chunked_seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", b"0\r\n\r\n".into()),
        (
            "two",
            b"3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nrest".into(),
        ),
        ("trailers", b"00\r\nA: b\r\nC: d\r\n\r\n".into()),
        ("huge", b"FFFFFFFFFFFFFFFF\r\nx".into()),
    ]
}

fn proxy_protocol_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let (v4, v6) = (
        SocketAddr::from(([192, 0, 2, 1], 1)),
        SocketAddr::from(([1; 8], 2)),
    );
    let mixed = ProxyHeader::Stream {
        source: v4,
        destination: v6,
    };
    let datagram = ProxyHeader::Datagram {
        source: v4,
        destination: v4,
    };
    vec![
        ("v1-tcp4", proxy_protocol::write_v1(Some(v4), Some(v4))),
        ("v1-tcp6", proxy_protocol::write_v1(Some(v6), Some(v4))),
        ("v1-unknown", proxy_protocol::write_v1(None, Some(v4))),
        ("v2-stream", proxy_protocol::write_v2(&mixed)),
        ("v2-datagram", proxy_protocol::write_v2(&datagram)),
        ("v2-local", proxy_protocol::write_v2(&ProxyHeader::Local)),
    ]
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

#[test]
fn seeds_are_in_the_corpus() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    for (target, _, seeds) in targets() {
        for (name, bytes) in seeds {
            let path = corpus(target).join(name);
            if update {
                fs::create_dir_all(corpus(target)).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            let same = fs::read(&path).is_ok_and(|found| found == bytes);
            assert!(
                same,
                "{target}/{name} is missing or stale: run with UPDATE_EXPECT=1"
            );
        }
    }
}

#[test]
fn the_corpus_holds() {
    for (target, check, seeds) in targets() {
        let mut replayed = 0;
        for entry in fs::read_dir(corpus(target)).unwrap() {
            check(&fs::read(entry.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed >= seeds.len(), "{target}");
    }
}

#[test]
fn every_seed_but_the_refused_is_understood() {
    let refused = ["smtp", "both"];
    let understood = |target: &str, bytes: &[u8]| match target {
        "sniff" => matches!(sniff::look(bytes), Parse::Done(..)),
        "banner" => matches!(sniff::banner(bytes), Parse::Done(..)),
        "datagrams" => {
            let mut first = sniff::FirstDatagrams::default();
            let last = parts(bytes).into_iter().map(|part| first.push(part)).last();
            matches!(last, Some(Parse::Done(..)))
        }
        "http_request" => matches!(http::parse_request_head(bytes), Parse::Done(..)),
        "http_response" => matches!(
            http::parse_response_head(&bytes[1..], "GET"),
            Parse::Done(..)
        ),
        "chunked" => ChunkedBody::new(Chunks::Kept)
            .feed(bytes, &mut Vec::new())
            .is_ok(),
        "proxy_protocol" => matches!(proxy_protocol::parse(bytes), Parse::Done(..)),
        _ => true,
    };
    for (target, _, seeds) in targets() {
        for (name, bytes) in seeds {
            assert_eq!(
                understood(target, &bytes),
                !refused.contains(&name),
                "{target}/{name}"
            );
        }
    }
}

/// What a mutation does at a place.
#[derive(Debug, Clone)]
enum Mutation {
    Cut,
    Insert(Vec<u8>),
    Remove,
    Set(u8),
}

fn mutations() -> impl Strategy<Value = Vec<(Index, Mutation)>> {
    // Bytes that mean something somewhere.
    let telling =
        prop::sample::select(b"\r\n\0\x01\x04\x05 \t:;,/@[]*=Hx0159\x7f\x80\xff".to_vec());
    let mutation = prop_oneof![
        1 => Just(Mutation::Cut),
        3 => prop::collection::vec(telling.clone(), 1..4).prop_map(Mutation::Insert),
        2 => Just(Mutation::Remove),
        3 => prop_oneof![any::<u8>(), telling].prop_map(Mutation::Set),
    ];
    prop::collection::vec((any::<Index>(), mutation), 0..5)
}

fn mutate(bytes: &mut Vec<u8>, mutations: Vec<(Index, Mutation)>) {
    for (place, mutation) in mutations {
        if bytes.is_empty() {
            return;
        }
        let at = place.index(bytes.len());
        match mutation {
            Mutation::Cut => bytes.truncate(at),
            Mutation::Insert(more) => drop(bytes.splice(at..at, more)),
            Mutation::Remove => drop(bytes.remove(at)),
            Mutation::Set(byte) => bytes[at] = byte,
        }
    }
}

proptest! {
    #[test]
    fn mutated_seeds_break_no_promise(seed: Index, mutations in mutations()) {
        for (_, check, seeds) in targets() {
            let mut bytes = seeds[seed.index(seeds.len())].1.clone();
            mutate(&mut bytes, mutations.clone());
            check(&bytes);
        }
    }

    #[test]
    fn garbage_breaks_no_promise(bytes: Vec<u8>) {
        for (_, check, _) in targets() {
            check(&bytes);
        }
    }
}
