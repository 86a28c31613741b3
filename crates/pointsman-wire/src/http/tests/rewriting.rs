//! Heads as they are sent on.

use super::*;

fn sent(text: &str) -> String {
    String::from_utf8(request(text).rewritten(Persistence::Close)).unwrap()
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
        "POST / HTTP/1.1\r\nHost: a.test\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
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
fn a_request_says_what_becomes_of_its_connection() {
    let check = |text: &str, expected: &str| {
        let sent = String::from_utf8(request(text).rewritten(Persistence::Keep)).unwrap();
        assert!(
            sent.ends_with(&format!("\r\nConnection: {expected}\r\n\r\n")),
            "{sent}"
        );
    };
    check("GET http://a.test/ HTTP/1.1\r\n\r\n", "keep-alive");
    check("GET http://a.test/ HTTP/1.0\r\n\r\n", "close");
    check(
        "GET http://a.test/ HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "Upgrade",
    );
}

#[test]
fn forwards_are_counted_down() {
    let check = |method: &str, value: &str, expected: Option<u64>, line: &str| {
        let text = format!("{method} http://a.test/ HTTP/1.1\r\nMax-Forwards: {value}\r\n\r\n");
        assert_eq!(request(&text).max_forwards, expected, "{text}");
        assert!(
            sent(&text).contains(&format!("\r\nMax-Forwards: {line}\r\n")),
            "{text}"
        );
    };
    check("TRACE", "5", Some(5), "4");
    check("OPTIONS", "1", Some(1), "0");
    check("OPTIONS", "0", Some(0), "0");
    check("OPTIONS", "+1", None, "+1");
    check(
        "OPTIONS",
        "99999999999999999999",
        None,
        "99999999999999999999",
    );
    check("GET", "0", None, "0");
}

#[test]
fn a_switch_is_one_that_was_offered() {
    let check = |offer: &str, answer: &str, expected: bool| {
        let ask = request(&format!("GET http://a.test/ HTTP/1.1\r\n{offer}\r\n\r\n"));
        let answer = response(&format!("HTTP/1.1 101 X\r\n{answer}\r\n\r\n"), "GET");
        assert_eq!(
            answer.accepts_upgrade_of(&ask),
            expected,
            "{offer} {answer:?}"
        );
    };
    let offer = "Connection: upgrade\r\nUpgrade: websocket, other/1";
    check(offer, "Connection: upgrade\r\nUpgrade: WebSocket", true);
    check(offer, "Upgrade: other/1, websocket", true);
    check(offer, "Upgrade: websocket, evil", false);
    check(offer, "Upgrade: evil", false);
    check(offer, "Connection: upgrade", false);
    check("A: b", "Connection: upgrade\r\nUpgrade: websocket", false);
    check("Upgrade: websocket", "Upgrade: websocket", false);
    check("Connection: upgrade\r\nUpgrade: h2c", "Upgrade: h2c", false);
    let ask = request(&format!("GET http://a.test/ HTTP/1.1\r\n{offer}\r\n\r\n"));
    let other = response("HTTP/1.1 200 X\r\nUpgrade: websocket\r\n\r\n", "GET");
    assert!(!other.accepts_upgrade_of(&ask));
}

#[test]
fn logins_of_connections_are_told_apart() {
    let check = |status: u16, header: &str, expected: bool| {
        let head = response(&format!("HTTP/1.1 {status} X\r\n{header}\r\n\r\n"), "GET");
        assert_eq!(
            head.asks_for_connection_login(),
            expected,
            "{status} {header}"
        );
    };
    check(401, "WWW-Authenticate: NTLM", true);
    check(401, "WWW-Authenticate: ntlm TlRMTVNTUAACAAAA", true);
    check(
        401,
        "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Negotiate",
        true,
    );
    check(401, "WWW-Authenticate: Basic realm=\"x\", NTLM", true);
    check(407, "Proxy-Authenticate: Negotiate", true);
    check(401, "WWW-Authenticate: Basic realm=\"NTLM\"", false);
    check(401, "Proxy-Authenticate: NTLM", false);
    check(403, "WWW-Authenticate: NTLM", false);
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
        "GET http://a.test/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
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
            String::from_utf8(head.rewritten(persistence, Chunks::Kept)).unwrap(),
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
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nServer \t: x\r\nContent-Length: 5\r\n\r\n",
        keep,
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
    );
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nProxy-Authenticate: Basic\r\nProxy-Status: x; error=y\r\nContent-Length: 0\r\n\r\n",
        keep,
        "HTTP/1.1 200 OK\r\nProxy-Status: x; error=y\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
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
