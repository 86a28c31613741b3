//! Heads and bodies of HTTP/1, one case per line.

use proptest::prelude::*;

use super::*;
use crate::fuzz_checks::{check_chunked, check_http_request, check_http_response};
use crate::http::request::MAX_EMPTY_LINES;
use crate::{Parse, RequestHost, WhyNot};

mod chunks;
mod framing;
mod rewriting;

/// A request head that must be complete.
fn request(text: &str) -> RequestHead {
    check_http_request(text.as_bytes());
    match parse_request_head(text.as_bytes()) {
        Parse::Done(head, _) => head,
        verdict => panic!("{text:?}: {verdict:?}"),
    }
}

/// A response head that must be complete.
fn response(text: &str, method: &str) -> ResponseHead {
    check_http_response(&[b"\0", text.as_bytes()].concat());
    match parse_response_head(text.as_bytes(), method) {
        Parse::Done(head, _) => head,
        verdict => panic!("{text:?}: {verdict:?}"),
    }
}

#[test]
fn targets() {
    let check = |line: &str, expected: &str| {
        let head = request(&format!("{line} HTTP/1.1\r\nHost: other.test\r\n\r\n"));
        let told = match head.target {
            Target::Connect { host, port } => format!("connect {host} {port}"),
            Target::Absolute {
                host,
                port,
                path_and_query,
            } => {
                let path = String::from_utf8(path_and_query).unwrap();
                format!("absolute {host} {port} {path}")
            }
            Target::Origin(path) => format!("origin {}", String::from_utf8(path).unwrap()),
        };
        assert_eq!(told, expected, "{line}");
    };
    check("CONNECT a.test:443", "connect a.test 443");
    check("CONNECT 192.0.2.1:443", "connect 192.0.2.1 443");
    check("CONNECT [2001:db8::1]:443", "connect [2001:db8::1] 443");
    check("GET http://a.test/", "absolute a.test 80 /");
    check(
        "GET http://A.test:8080/x?y=http://z",
        "absolute A.test 8080 /x?y=http://z",
    );
    check("GET HTTP://a.test", "absolute a.test 80 /");
    check("GET http://a.test:/", "absolute a.test 80 /");
    check("GET http://a.test?q", "absolute a.test 80 /?q");
    check("GET http://a.test/x#part", "absolute a.test 80 /x");
    check("GET http://[::1]:81/", "absolute [::1] 81 /");
    check("OPTIONS http://a.test", "absolute a.test 80 *");
    check("GET ws://a.test/chat", "absolute a.test 80 /chat");
    check("GET WS://a.test:81", "absolute a.test 81 /");
    check(
        "GET http://a.test/\u{6d4b}\u{8bd5}?q=\u{e9}",
        "absolute a.test 80 /\u{6d4b}\u{8bd5}?q=\u{e9}",
    );
    check(
        "GET http://b\u{fc}cher.test/",
        "absolute b\u{fc}cher.test 80 /",
    );
    check(
        "CONNECT b\u{fc}cher.test:443",
        "connect b\u{fc}cher.test 443",
    );
    check("OPTIONS *", "origin *");
    check("GET /x?y", "origin /x?y");
}

#[test]
fn requests_that_are_refused() {
    let check = |text: &str, why: WhyNot| {
        check_http_request(text.as_bytes());
        assert_eq!(
            parse_request_head(text.as_bytes()),
            Parse::Not(why),
            "{text:?}"
        );
    };
    let bad = WhyNot::Malformed;
    check("\x05\x01\0", WhyNot::AnotherProtocol);
    let lines = "\r\n".repeat(MAX_EMPTY_LINES + 1);
    check(&lines, WhyNot::AnotherProtocol);
    check("\nGET / HTTP/1.1\r\n", WhyNot::AnotherProtocol);
    check("\r\n\nGET / HTTP/1.1\r\n", WhyNot::AnotherProtocol);
    check(&"A".repeat(33), WhyNot::AnotherProtocol);
    check("GET  ", bad("request target"));
    check("GET a.test HTTP/1.1\r\n\r\n", bad("request target"));
    check("GET * HTTP/1.1\r\n\r\n", bad("request target"));
    check("GET /\x7f HTTP/1.1\r\n\r\n", bad("request line"));
    check("GET / HTTP/2.0\r\n\r\n", bad("request line"));
    check("GET / HTTP/1.1 \r\n\r\n", bad("end of the request line"));
    check("GET / HTTP/1.1\n\n", bad("end of the request line"));
    check("GET / HTTP/1.1\r\nA: b\n\r\n", bad("line without CR LF"));
    check("GET / HTTP/1.1\r\nA : b\r\n\r\n", bad("header line"));
    check("GET / HTTP/1.1\r\n A: b\r\n\r\n", bad("header line"));
    check(
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        bad("header line"),
    );
    check("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", bad("header line"));
    check("GET / HTTP/1.1\r\nno colon\r\n\r\n", bad("header line"));
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        bad("several Host headers"),
    );
    check(
        "GET https://a.test/ HTTP/1.1\r\n\r\n",
        WhyNot::Unsupported("scheme of the target"),
    );
    for scheme in ["ftp", "wss"] {
        check(
            &format!("GET {scheme}://a.test/ HTTP/1.1\r\n\r\n"),
            WhyNot::Unsupported("scheme of the target"),
        );
    }
    for authority in [
        "",
        ":80",
        "u:p@a.test",
        "a.test:0",
        "a.test:65536",
        "a.test:+1",
        "a\\b",
        "[::1",
        "[a.test]",
        "a:1:2",
    ] {
        check(
            &format!("GET http://{authority}/ HTTP/1.1\r\n\r\n"),
            bad("authority of the target"),
        );
    }
    for target in [
        "a.test",
        "a.test:",
        "a.test:0",
        "::1:443",
        "2001:db8::1:443",
        "http://a.test/",
        "/",
        ":443",
        "u@a.test:1",
    ] {
        check(
            &format!("CONNECT {target} HTTP/1.1\r\n\r\n"),
            bad("target of CONNECT, which is host:port"),
        );
    }
    check(&format!("GET /{}", "x".repeat(MAX_HEAD)), WhyNot::TooLong);
    check(
        &format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_HEADERS + 1)
        ),
        WhyNot::TooLong,
    );
    // Told at the first line that is too much, not at the end of the head.
    check(
        &format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(MAX_HEADERS + 1)),
        WhyNot::TooLong,
    );
    assert_eq!(
        request(&format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_HEADERS)
        ))
        .headers
        .len(),
        MAX_HEADERS
    );
}

#[test]
fn bytes_above_127_are_passed_on_as_they_are() {
    let bytes = b"GET http://a.test/caf\xe9?\xff HTTP/1.1\r\n\r\n";
    check_http_request(bytes);
    let Parse::Done(head, _) = parse_request_head(bytes) else {
        panic!("not read")
    };
    assert!(
        head.rewritten(Persistence::Close)
            .starts_with(b"GET /caf\xe9?\xff HTTP/1.1\r\n")
    );
    // A host is text, or it is nobody's name.
    let host = b"GET http://caf\xe9.test/ HTTP/1.1\r\n\r\n";
    check_http_request(host);
    let refused = Parse::Not(WhyNot::Malformed("authority of the target"));
    assert_eq!(parse_request_head(host), refused);
    let tunnel = b"CONNECT caf\xe9.test:1 HTTP/1.1\r\n\r\n";
    check_http_request(tunnel);
    assert!(matches!(
        parse_request_head(tunnel),
        Parse::Not(WhyNot::Malformed(_))
    ));
}

#[test]
fn long_heads_are_taken_up_to_the_limit() {
    let start = "GET http://a.test/ HTTP/1.1\r\nCookie: ";
    let head = |cookie: usize| format!("{start}{}\r\n\r\n", "c".repeat(cookie));
    let most = MAX_HEAD - start.len() - 4;
    assert_eq!(request(&head(most)).header("cookie").unwrap().len(), most);
    let verdict = parse_request_head(head(most + 1).as_bytes());
    assert_eq!(verdict, Parse::Not(WhyNot::TooLong));
    let fields: String = (0..150)
        .map(|n| format!("Set-Cookie: c{n}=v\r\n"))
        .collect();
    let answer = response(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), "GET");
    assert_eq!(answer.headers.len(), 150);
}

#[test]
fn a_head_may_come_in_parts_and_after_empty_lines() {
    let lines = "\r\n".repeat(MAX_EMPTY_LINES);
    let text = &format!("{lines}GET http://a.test/ HTTP/1.1\r\nA: b\r\n\r\nbody");
    for end in 0..text.len() - 4 {
        assert_eq!(
            parse_request_head(&text.as_bytes()[..end]),
            Parse::NeedMore,
            "{end}"
        );
    }
    let Parse::Done(head, used) = parse_request_head(text.as_bytes()) else {
        unreachable!()
    };
    assert_eq!(
        (used, head.header("a")),
        (text.len() - 4, Some(b"b".as_slice()))
    );
}

#[test]
fn credentials() {
    let check = |header: &str, expected: Option<(&str, &str)>| {
        let head = request(&format!("GET http://a.test/ HTTP/1.1\r\n{header}\r\n\r\n"));
        let found = head
            .proxy_authorization
            .map(|found| (found.user, found.password));
        assert_eq!(
            found,
            expected.map(|(user, password)| (user.into(), password.into())),
            "{header}"
        );
    };
    check("Proxy-Authorization: Basic am9lOnB3", Some(("joe", "pw")));
    check("proxy-authorization: basic   am9lOnB3", Some(("joe", "pw")));
    check(
        "Proxy-Authorization: Basic am9lOnA6dw==",
        Some(("joe", "p:w")),
    );
    check("Proxy-Authorization: Basic Og==", Some(("", "")));
    check("Proxy-Authorization: Basic am9l", None);
    // Bits that no byte holds, and padding that is missing: one value has one spelling (RFC 4648, 3.5).
    check("Proxy-Authorization: Basic Oh==", None);
    check("Proxy-Authorization: Basic Og", None);
    check("Proxy-Authorization: Basic !", None);
    check("Proxy-Authorization: Basic", None);
    check("Proxy-Authorization: Bearer am9lOnB3", None);
    check(
        "Proxy-Authorization: Basic am9lOnB3\r\nProxy-Authorization: Basic am9lOnB3",
        None,
    );
    check("Authorization: Basic am9lOnB3", None);
}

#[test]
fn secrets_are_not_shown() {
    let head = request(
        "GET http://a.test/ HTTP/1.1\r\nCookie: hunter2\r\nProxy-Authorization: Basic am9lOmh1bnRlcjI=\r\n\r\n",
    );
    let shown = format!("{head:?} {:?}", head.proxy_authorization);
    assert!(shown.contains("Cookie") && shown.contains("joe"), "{shown}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("am9l"),
        "{shown}"
    );
    let shown = format!(
        "{:?}",
        response("HTTP/1.1 200 OK\r\nSet-Cookie: hunter2\r\n\r\n", "GET")
    );
    assert!(
        shown.contains("Set-Cookie") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn host_headers() {
    let check = |value: &str, expected: Option<(&str, Option<u16>)>| {
        let head = request(&format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n"));
        let found = head
            .host_header()
            .map(|(host, port)| (host.to_string(), port));
        assert_eq!(
            found,
            expected.map(|(host, port)| (host.into(), port)),
            "{value}"
        );
    };
    check("a.test", Some(("a.test", None)));
    check("a.test:81", Some(("a.test", Some(81))));
    check("[::1]:81", Some(("[::1]", Some(81))));
    check("a b", None);
    check("", None);
}

#[test]
fn tunnels_through_a_proxy() {
    let host = |text: &str| RequestHost::parse(text).unwrap();
    let check = |text: &str, port, auth, expected: &str| {
        let written = write_connect_request(&host(text), port, auth).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    };
    check(
        "a.test",
        443,
        None,
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    );
    check(
        "::1",
        22,
        Some(("joe", "p:w")),
        "CONNECT [::1]:22 HTTP/1.1\r\nHost: [::1]:22\r\nProxy-Authorization: Basic am9lOnA6dw==\r\n\r\n",
    );
    let declined = |name: &str, auth| {
        write_connect_request(&RequestHost::Name(name.into()), 1, auth).unwrap_err();
    };
    declined("a.test\r\nX: y", None);
    declined("a b", None);
    declined("", None);
    declined("b\u{fc}cher.test", None);
    declined("a.test", Some(("jo:e", "pw")));

    let answer = |text: &str, expected: Parse<ConnectResponse>| {
        assert_eq!(
            parse_connect_response(text.as_bytes()),
            expected,
            "{text:?}"
        );
        check_http_response(&[b"\x02", text.as_bytes()].concat());
    };
    answer(
        "HTTP/1.1 200 OK\r\n\r\n\x16\x03",
        Parse::Done(ConnectResponse { status: 200 }, 19),
    );
    answer(
        "HTTP/1.0 200\r\nA: b\r\n\r\n",
        Parse::Done(ConnectResponse { status: 200 }, 22),
    );
    answer(
        "HTTP/1.1 407 No\r\nContent-Length: 9\r\n\r\n",
        Parse::Done(ConnectResponse { status: 407 }, 38),
    );
    answer("HTTP/1.1 200 OK\r\n", Parse::NeedMore);
    answer("\x05\0", Parse::Not(WhyNot::AnotherProtocol));
    assert!(
        ConnectResponse { status: 204 }.is_open() && !ConnectResponse { status: 302 }.is_open()
    );
}

#[test]
fn refusals_are_whole_messages() {
    for status in [400, 403, 407, 502, 504, 599] {
        let text = String::from_utf8(write_refusal(status, "no rule allows it")).unwrap();
        let Parse::Done(head, used) = parse_response_head(text.as_bytes(), "GET") else {
            panic!("{text}")
        };
        assert_eq!(head.status, status);
        assert_eq!(head.body, ResponseBody::Length((text.len() - used) as u64));
        assert!(!head.keep_alive && text.ends_with("no rule allows it\n"));
        assert_eq!(head.header("proxy-authenticate").is_some(), status == 407);
    }
}

proptest! {
    #[test]
    fn tunnels_come_back(name in "[a-z][a-z0-9-]{0,60}", port in 1_u16.., user in "[^:]{0,20}", password in ".{0,20}") {
        let host = RequestHost::Name(name);
        let bytes = write_connect_request(&host, port, Some((&user, &password))).unwrap();
        let Parse::Done(head, used) = parse_request_head(&bytes) else { panic!("not complete") };
        prop_assert_eq!(used, bytes.len());
        prop_assert_eq!(head.target, Target::Connect { host, port });
        prop_assert_eq!(head.proxy_authorization, Some(Credentials { user, password }));
    }

    #[test]
    fn any_chunks_are_followed(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5), tail: Vec<u8>) {
        let (mut body, mut written) = (Vec::new(), Vec::new());
        for chunk in &chunks {
            body.extend_from_slice(format!("{:X};x=y\r\n", chunk.len()).as_bytes());
            written.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            for out in [&mut body, &mut written] {
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
        }
        written.extend_from_slice(b"0\r\n\r\n");
        body.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
        let used = body.len();
        body.extend_from_slice(&tail);
        let mut out = Vec::new();
        prop_assert_eq!(ChunkedBody::new(Chunks::Kept).feed(&body, &mut out), Ok(Scan { used, done: true }));
        prop_assert_eq!(out, written);
        let mut joined = Vec::new();
        ChunkedBody::new(Chunks::Joined).feed(&body, &mut joined).unwrap();
        prop_assert_eq!(joined, chunks.concat());
        check_chunked(&body);
    }
}
