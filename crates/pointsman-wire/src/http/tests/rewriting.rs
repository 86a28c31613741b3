//! Heads as they are sent on.

use super::*;

fn sent(text: &str) -> String {
    String::from_utf8(request(text).rewritten()).unwrap()
}

#[test]
fn requests_are_sent_in_origin_form() {
    let check = |text: &str, expected: &str| assert_eq!(sent(text), expected);
    check(
        "GET http://a.test/x?y HTTP/1.1\r\nHost: evil.test\r\nAccept: */*\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic am9lOnB3\r\n\r\n",
        "GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    );
    check(
        "POST http://[::1]:8080 HTTP/1.0\r\nContent-Length: 3, 3\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: [::1]:8080\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
    );
    check(
        "POST http://a.test/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTrailer: X\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n",
    );
    // What Connection lists goes, but never what frames the message or names the host.
    check(
        "GET http://a.test/ HTTP/1.1\r\nX-Hop: 1\r\nContent-Length: 1\r\nConnection: x-hop, content-length, host\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
    );
    check(
        "OPTIONS http://a.test:80 HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
    );
    check(
        "GET /x HTTP/1.1\r\nHost: a.test:81\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a.test:81\r\nConnection: close\r\n\r\n",
    );
}

#[test]
fn upgrades_are_passed_on() {
    let ask = "GET http://a.test/ HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    assert!(request(ask).upgrade);
    assert_eq!(
        sent(ask),
        "GET / HTTP/1.1\r\nHost: a.test\r\nSec-WebSocket-Key: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    );
    // HTTP/2 in clear cannot be passed on; nor what old clients or half a question ask.
    for text in [
        "GET http://a.test/ HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
        "GET http://a.test/ HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET http://a.test/ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "GET http://a.test/ HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
    ] {
        assert!(!request(text).upgrade, "{text}");
        assert!(
            sent(text).ends_with("Host: a.test\r\nConnection: close\r\n\r\n"),
            "{text}"
        );
    }
}

#[test]
fn responses_are_passed_on() {
    let check = |method: &str, text: &str, persistence, expected: &str| {
        let head = response(text, method);
        assert_eq!(
            String::from_utf8(head.rewritten(persistence)).unwrap(),
            expected
        );
    };
    let (keep, close) = (Persistence::Keep, Persistence::Close);
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
        keep,
        "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.0 200\nContent-Length: 5\n\n",
        close,
        "HTTP/1.1 200 \r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.1 200 OK\r\n\r\n",
        keep,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
        keep,
        "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
    );
    check(
        "HEAD",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        keep,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n",
        keep,
        "HTTP/1.1 204 X\r\nConnection: keep-alive\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.1 100 Continue\r\nConnection: x\r\n\r\n",
        keep,
        "HTTP/1.1 100 Continue\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        keep,
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    );
}

#[test]
fn interim_responses_are_told_apart() {
    let is_interim =
        |status: u16| response(&format!("HTTP/1.1 {status} X\r\n\r\n"), "GET").is_interim();
    assert!(is_interim(100) && is_interim(103));
    assert!(!is_interim(101) && !is_interim(200));
}
