//! Answers as text: what the client is told of them, however they are cut.

use pointsman_wire::Parse;
use pointsman_wire::http::{RequestHead, parse_request_head};

use super::*;

fn request(text: &str) -> RequestHead {
    match parse_request_head(text.as_bytes()) {
        Parse::Done(head, _) => head,
        verdict => panic!("{text}: {verdict:?}"),
    }
}

fn get(headers: &str) -> RequestHead {
    request(&format!("GET http://a.test/ HTTP/1.1\r\n{headers}\r\n"))
}

/// What the client is told of `answer` after which the server closes, at once and byte by byte; and how it ended.
fn told(request: &RequestHead, sent: bool, answer: &str) -> (String, Result<ResponsePart, Wrong>) {
    let play = |step: usize| {
        let mut out = Vec::new();
        let mut heard = ResponseReader::new(request);
        let mut last = Ok(ResponsePart::Head { interim: false });
        for bytes in answer.as_bytes().chunks(step) {
            last = heard.hear(bytes, sent, &mut out);
            if last.is_err() {
                break;
            }
        }
        if last.is_ok() && heard.wants_more() {
            last = heard.ended().map(|()| ResponsePart::Whole);
        }
        let goes_on = heard.client_goes_on();
        (String::from_utf8(out).unwrap(), last, goes_on)
    };
    let whole = play(answer.len().max(1));
    let (text, ended, goes_on) = play(1);
    assert_eq!((&whole.0, whole.2), (&text, goes_on), "{answer:?}");
    assert_eq!(whole.1, ended, "{answer:?}");
    assert_eq!(
        goes_on,
        ended.is_ok() && text.contains("keep-alive"),
        "{answer:?}"
    );
    (text, ended)
}

#[test]
fn bodies_end_where_they_end() {
    let check = |method: &str, answer: &str, expected: &str| {
        let request = request(&format!("{method} http://a.test/ HTTP/1.1\r\n\r\n"));
        let (text, ended) = told(&request, true, answer);
        assert_eq!(ended, Ok(ResponsePart::Whole), "{answer:?}");
        assert_eq!(text, expected, "{method} {answer:?}");
    };
    let keep = "Connection: keep-alive\r\n\r\n";
    check(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{keep}ok"),
    );
    // A body where there is none belongs to nobody.
    check(
        "HEAD",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{keep}"),
    );
    check(
        "GET",
        "HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        &format!("HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n{keep}"),
    );
    check(
        "GET",
        "HTTP/1.1 204 X\r\n\r\nbody",
        &format!("HTTP/1.1 204 X\r\n{keep}"),
    );
    check(
        "GET",
        "ICY 200 OK\r\n\r\nmusic",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nmusic",
    );
}

#[test]
fn what_breaks_off_is_not_whole() {
    let check = |answer: &str, expected: &str| {
        let (_, ended) = told(&get(""), true, answer);
        assert_eq!(ended, Err(expected.to_owned()), "{answer:?}");
    };
    check("", "the server closed without an answer");
    check("HTTP/1.1 200 OK\r\n", "the server closed without an answer");
    check(
        "HTTP/1.1 100 Continue\r\n\r\n",
        "the server closed without an answer",
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "the server broke off its answer",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        "the server broke off its answer",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        "the server's answer breaks its framing",
    );
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(http::MAX_HEAD));
    check(
        &long,
        "the server's answer: its head is longer than 64 KiB or has more than 200 fields",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "the server's answer: not supported: transfer coding",
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(201));
    check(
        &many,
        "the server's answer: its head is longer than 64 KiB or has more than 200 fields",
    );
}

#[test]
fn a_switch_is_one_that_was_asked_for() {
    let switch = |token: &str| {
        format!("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: {token}\r\n\r\nhi")
    };
    let refused = |request: &RequestHead, answer: &str| {
        let (text, ended) = told(request, true, answer);
        let why = "the server switched to a protocol that it was not offered";
        assert_eq!((text.as_str(), ended), ("", Err(why.to_owned())));
    };
    let offer = get("Connection: upgrade\r\nUpgrade: echo\r\n");
    refused(&get(""), &switch("echo"));
    refused(&get("Upgrade: echo\r\n"), &switch("echo"));
    refused(&offer, &switch("evil"));
    refused(&offer, &switch("echo, evil"));
    refused(&offer, "HTTP/1.1 101 X\r\n\r\nhi");
    let mut out = Vec::new();
    let mut answer = ResponseReader::new(&offer);
    let text = format!("HTTP/1.1 100 Continue\r\n\r\n{}", switch("echo"));
    assert_eq!(
        answer.hear(text.as_bytes(), true, &mut out),
        Ok(ResponsePart::Switched)
    );
    assert!(answer.has_switched() && !answer.client_goes_on());
    assert_eq!(answer.take_behind(), b"hi");
}

#[test]
fn interim_answers_have_a_limit_and_never_reach_an_old_client() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let most = format!("{}{last}", interim.repeat(64));
    let (text, ended) = told(&get(""), true, &most);
    assert_eq!(ended, Ok(ResponsePart::Whole));
    assert_eq!(text.matches(interim).count(), 64);
    let (_, ended) = told(&get(""), true, &interim.repeat(65));
    assert_eq!(
        ended,
        Err("the server sent more than 64 interim answers".to_owned())
    );
    let old = request("GET http://a.test/ HTTP/1.0\r\n\r\n");
    let (text, _) = told(&old, true, &format!("{interim}{last}"));
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn an_old_client_gets_no_chunks() {
    let check = |method: &str, status: u16, body: &str, expected: Result<&str, &str>| {
        let old = request(&format!("{method} http://a.test/ HTTP/1.0\r\n\r\n"));
        let fields = "Transfer-Encoding: chunked\r\nA: b\r\n";
        let answer = format!("HTTP/1.1 {status} X\r\n{fields}\r\n{body}");
        let (text, ended) = told(&old, true, &answer);
        match expected {
            Ok(_) => assert_eq!(ended, Ok(ResponsePart::Whole), "{body:?}"),
            Err(_) => assert!(ended.is_err(), "{body:?}"),
        }
        let data = expected.unwrap_or_else(|data| data);
        let head = format!("HTTP/1.1 {status} X\r\nA: b\r\nConnection: close\r\n\r\n");
        assert_eq!(text, format!("{head}{data}"), "{method} {body:?}");
    };
    check(
        "GET",
        200,
        "2\r\nab\r\n1;x\r\nc\r\n0\r\nT: x\r\n\r\n",
        Ok("abc"),
    );
    check("GET", 200, "0\r\n\r\nmore", Ok(""));
    check("GET", 200, "2\r\nab\r\n", Err("ab"));
    check("GET", 200, "2\r\nabc", Err("ab"));
    check("HEAD", 200, "", Ok(""));
    check("GET", 304, "", Ok(""));
}

#[test]
fn an_answer_before_the_body_ends_the_connection() {
    let answer = "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno";
    let (text, _) = told(&get(""), false, answer);
    assert_eq!(
        text,
        "HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    );
}

#[test]
fn only_a_server_with_nothing_more_to_say_goes_on() {
    let check = |answer: &str, expected: bool| {
        let request = get("");
        let mut heard = ResponseReader::new(&request);
        let mut out = Vec::new();
        assert_eq!(
            heard.hear(answer.as_bytes(), true, &mut out),
            Ok(ResponsePart::Whole)
        );
        assert_eq!(heard.server_goes_on(), expected, "{answer:?}");
        assert!(heard.asks_login(), "{answer:?}");
    };
    let head = "HTTP/1.1 401 X\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n";
    check(&format!("{head}\r\n"), true);
    check(&format!("{head}Connection: close\r\n\r\n"), false);
    check(&format!("{head}\r\nHTTP/1.1 200 OK\r\n"), false);
}
