//! Where bodies end, and what is refused because readers could disagree about it.

use super::*;

#[test]
fn bodies_of_requests() {
    let check = |headers: &str, expected: BodyLength| {
        let head = request(&format!(
            "POST http://a.test/ HTTP/1.1\r\n{headers}\r\n\r\n"
        ));
        assert_eq!(head.body, expected, "{headers}");
    };
    check("A: b", BodyLength::None);
    check("Content-Length: 0", BodyLength::Length(0));
    check("content-length:  42 ", BodyLength::Length(42));
    check(
        "Content-Length: 18446744073709551615",
        BodyLength::Length(u64::MAX),
    );
    check(
        "Content-Length: 5\r\nContent-Length: 5",
        BodyLength::Length(5),
    );
    check("Content-Length: 5, 5", BodyLength::Length(5));
    check("Transfer-Encoding: chunked", BodyLength::Chunked);
    check("TRANSFER-ENCODING: Chunked", BodyLength::Chunked);
    let tunnel = request("CONNECT a.test:1 HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(tunnel.body, BodyLength::None);
}

#[test]
fn ambiguous_framing_is_refused() {
    let check = |version: &str, headers: &str, why: WhyNot| {
        let text = format!("POST http://a.test/ HTTP/{version}\r\n{headers}\r\n\r\n");
        check_http_request(text.as_bytes());
        assert_eq!(
            parse_request_head(text.as_bytes()),
            Parse::Not(why),
            "{headers}"
        );
    };
    let length = WhyNot::Malformed("Content-Length");
    let differ = WhyNot::Malformed("several Content-Lengths that differ");
    let coding = WhyNot::Unsupported("transfer coding");
    let both = WhyNot::Malformed("both Content-Length and Transfer-Encoding");
    let early = WhyNot::Malformed("Transfer-Encoding with chunked before its end");
    check("1.1", "Content-Length: 5\r\nContent-Length: 6", differ);
    check("1.1", "Content-Length: 5, 6", differ);
    for value in [
        "",
        "+5",
        "-5",
        "5a",
        "0x5",
        "5 5",
        "5,",
        "18446744073709551616",
    ] {
        check("1.1", &format!("Content-Length: {value}"), length);
    }
    check(
        "1.1",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        both,
    );
    check(
        "1.1",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        both,
    );
    check("1.1", "Transfer-Encoding: identity", coding);
    check("1.1", "Transfer-Encoding: xchunked", coding);
    check("1.1", "Transfer-Encoding: gzip, chunked", coding);
    check("1.1", "Transfer-Encoding: chunked;a=b", coding);
    check(
        "1.1",
        "Transfer-Encoding: foo\r\nTransfer-Encoding: chunked",
        coding,
    );
    check(
        "1.1",
        "Transfer-Encoding: \x0bchunked",
        WhyNot::Malformed("header line"),
    );
    check("1.1", "Transfer-Encoding: chunked, gzip", early);
    check(
        "1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        early,
    );
    check(
        "1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        early,
    );
    check(
        "1.1",
        "Transfer-Encoding:",
        WhyNot::Malformed("empty Transfer-Encoding"),
    );
    check(
        "1.0",
        "Transfer-Encoding: chunked",
        WhyNot::Malformed("Transfer-Encoding in HTTP/1.0"),
    );
}

#[test]
fn bodies_of_responses() {
    let check = |method: &str, status: u16, headers: &str, expected: ResponseBody| {
        let head = response(&format!("HTTP/1.1 {status} X\r\n{headers}\r\n\r\n"), method);
        assert_eq!(head.body, expected, "{method} {status} {headers}");
    };
    check("GET", 200, "Content-Length: 5", ResponseBody::Length(5));
    check(
        "GET",
        200,
        "Transfer-Encoding: chunked",
        ResponseBody::Chunked,
    );
    check("GET", 200, "A: b", ResponseBody::UntilClose);
    check("GET", 200, "Content-Length : 5", ResponseBody::Length(5));
    check("GET", 200, "Content-Length\t : 5", ResponseBody::Length(5));
    check(
        "GET",
        200,
        "Transfer-Encoding : chunked",
        ResponseBody::Chunked,
    );
    check(
        "GET",
        200,
        "Transfer-Encoding: Identity",
        ResponseBody::UntilClose,
    );
    check(
        "GET",
        200,
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        ResponseBody::Length(5),
    );
    check(
        "GET",
        200,
        "Transfer-Encoding: identity, chunked",
        ResponseBody::Chunked,
    );
    check("GET", 204, "A: b", ResponseBody::None);
    check("GET", 304, "Content-Length: 5", ResponseBody::None);
    check("GET", 100, "A: b", ResponseBody::None);
    check("GET", 101, "Upgrade: websocket", ResponseBody::None);
    check("HEAD", 200, "Content-Length: 5", ResponseBody::None);
    check(
        "HEAD",
        404,
        "Transfer-Encoding: chunked",
        ResponseBody::None,
    );
    check("CONNECT", 200, "Content-Length: 5", ResponseBody::None);
    check("CONNECT", 403, "Content-Length: 5", ResponseBody::Length(5));
}

#[test]
fn radio_streams_are_answers_of_old_servers() {
    let head = response(
        "ICY 200 OK\r\nicy-name: jazz\r\nContent-Type: audio/mpeg\r\n\r\n",
        "GET",
    );
    assert_eq!((head.version_minor, head.status), (0, 200));
    assert_eq!(head.body, ResponseBody::UntilClose);
    let sent = String::from_utf8(head.rewritten(Persistence::Keep, Chunks::Kept)).unwrap();
    assert_eq!(
        sent,
        "HTTP/1.1 200 OK\r\nicy-name: jazz\r\nContent-Type: audio/mpeg\r\nConnection: close\r\n\r\n"
    );
    // A proxy that is asked for a tunnel speaks HTTP.
    let tunnel = parse_connect_response(b"ICY 200 OK\r\n\r\n");
    assert_eq!(tunnel, Parse::Not(WhyNot::AnotherProtocol));
}

#[test]
fn responses_that_are_refused() {
    let check = |text: &str, why: WhyNot| {
        check_http_response(&[b"\0", text.as_bytes()].concat());
        assert_eq!(
            parse_response_head(text.as_bytes(), "GET"),
            Parse::Not(why),
            "{text:?}"
        );
    };
    let bad = WhyNot::Malformed;
    check("ICX 200 OK\r\n\r\n", WhyNot::AnotherProtocol);
    check("ICY/1.1 200 OK\r\n\r\n", bad("status line"));
    check("ICY 20\r\n\r\n", bad("status"));
    check("HTTP/2 200\r\n\r\n", WhyNot::AnotherProtocol);
    check("HTTP/1.1 20\r\n\r\n", bad("status"));
    check("HTTP/1.1 099 X\r\n\r\n", bad("status"));
    check("HTTP/1.1 2000 X\r\n\r\n", bad("status line"));
    check("HTTP/1.1  200 X\r\n\r\n", bad("status"));
    check("HTTP/1.1 200 a\rb\r\n\r\n", bad("status line"));
    check("HTTP/1.1 200 OK\r\nA b : c\r\n\r\n", bad("header line"));
    check("HTTP/1.1 200 OK\r\n : c\r\n\r\n", bad("header line"));
    check(
        "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n",
        bad("header line"),
    );
    for coding in ["gzip", "gzip, chunked", "xchunked", "chunked;a=b"] {
        check(
            &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n"),
            WhyNot::Unsupported("transfer coding"),
        );
    }
    // A blank before the colon hides nothing.
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding : chunked\r\n\r\n",
        bad("both Content-Length and Transfer-Encoding"),
    );
    check(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
        bad("Transfer-Encoding in HTTP/1.0"),
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        bad("several Content-Lengths that differ"),
    );
    check(
        &format!("HTTP/1.1 200 {}", "x".repeat(MAX_HEAD)),
        WhyNot::TooLong,
    );
}

#[test]
fn connections_that_are_kept() {
    let asks = |version: &str, headers: &str, expected: bool| {
        let head = request(&format!(
            "GET http://a.test/ HTTP/{version}\r\n{headers}\r\n\r\n"
        ));
        assert_eq!(head.keep_alive, expected, "{version} {headers}");
    };
    asks("1.1", "A: b", true);
    asks("1.1", "Connection: close", false);
    asks("1.1", "Connection: x, Close", false);
    asks("1.1", "Proxy-Connection: close", false);
    asks("1.0", "A: b", false);
    asks("1.0", "Connection: Keep-Alive", false);
    asks("1.0", "Proxy-Connection: keep-alive", false);
    asks("1.0", "Connection: keep-alive, close", false);
    let grants = |text: &str, method: &str, expected: bool| {
        assert_eq!(response(text, method).keep_alive, expected, "{text}");
    };
    grants("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", true);
    grants(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "GET",
        false,
    );
    grants("HTTP/1.1 200 OK\r\n\r\n", "GET", false);
    grants("HTTP/1.1 200 OK\r\n\r\n", "HEAD", true);
    grants("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", false);
    grants("HTTP/1.1 200 OK\r\n\r\n", "CONNECT", false);
}
