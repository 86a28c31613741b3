//! Plain HTTP requests: each is a flow of its own, on a connection that is kept.

use std::net::SocketAddr;

use pointsman_net::record::End;
use pointsman_policy::condition::{Condition, TextField, TextTest};
use pointsman_policy::fact::{Fact, InboundKind};
use pointsman_spec::door::Speaks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::*;

/// Reads a head, and a body of the length that it says; then answers by the path.
async fn origin(name: &'static str) -> SocketAddr {
    serve(move |mut client| async move {
        let Some(head) = read_head(&mut client).await else { return };
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        if head.to_ascii_lowercase().contains("expect: 100-continue") {
            let _ = client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        let mut body = vec![0; length];
        let _ = client.read_exact(&mut body).await;
        let path = head.split(' ').nth(1).unwrap();
        let mut answer = match path {
            "/chunked" => {
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()
            }
            "/until-close" => b"HTTP/1.1 200 OK\r\n\r\nall of it".to_vec(),
            "/upgrade" => b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi".to_vec(),
            "/nothing" => Vec::new(),
            "/garbage" => b"SSH-2.0-x\r\n".to_vec(),
            "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec(),
            _ => {
                let text = format!("{name}{path}:");
                let length = text.len() + body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}").into_bytes()
            }
        };
        if path.starts_with("/echo") {
            answer.extend(body);
        }
        let _ = client.write_all(&answer).await;
        if path == "/upgrade" {
            let (mut from, mut to) = client.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        }
    })
    .await
}

async fn read_head(client: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(client.read_u8().await.ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The body of the answer to a request of which the connection is kept.
async fn body(client: &mut Client) -> String {
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(header(&head, "connection"), Some("keep-alive"), "{head}");
    let length = header(&head, "content-length").unwrap().parse().unwrap();
    String::from_utf8(client.get(length).await).unwrap()
}

#[tokio::test]
async fn a_kept_connection_outlives_its_listener_where_another_is_in_its_stead() {
    let server = origin("one").await;
    let at = |ip: [u8; 4], port| {
        let listen = SocketAddr::from((ip, port));
        let mut door = inbound("mixed", InboundKind::Mixed);
        door.listen = vec![listen.into()];
        door
    };
    let stage = Script::new().inbounds([at([0; 4], 0)]).play().await;
    let inside = SocketAddr::from(([127, 0, 0, 1], stage.ports[0].port()));
    let mut client = Client::to(inside).await;
    let request = format!("GET http://one.test:{}/a HTTP/1.1\r\n\r\n", server.port());
    for number in 1..=3 {
        client.send(&request).await;
        assert_eq!(body(&mut client).await, "one/a:");
        let mut script = Script::new().inbounds([at([127, 0, 0, 1], inside.port())]);
        script.number = number + 1;
        stage.plane().apply(script.spec()).await.unwrap();
    }
    let mut script = Script::new().inbounds([at([127, 0, 0, 2], inside.port())]);
    script.number = 5;
    stage.plane().apply(script.spec()).await.unwrap();
    client.send(&request).await;
    assert!(client.rest().await.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn requests_of_one_connection_go_each_to_its_host() {
    let (one, two) = (origin("one").await, origin("two").await);
    let stage = Script::new()
        .rule(domain("bad.test"), "REJECT")
        .play()
        .await;
    let mut client = stage.connect().await;
    client
        .send(format!(
            "GET http://One.test:{}/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
            one.port()
        ))
        .await;
    assert_eq!(body(&mut client).await, "one/a?b:");
    let request = format!(
        "POST http://127.0.0.1:{}/echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        two.port()
    );
    client.send(request).await;
    assert_eq!(body(&mut client).await, "two/echo:hello");
    client.send("GET http://bad.test/ HTTP/1.1\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 403 "));
    let records = stage.records(3).await;
    let hosts: Vec<_> = records
        .iter()
        .map(|record| record.facts.destination.known().unwrap().to_string())
        .collect();
    assert_eq!(hosts, ["one.test", "127.0.0.1", "bad.test"]);
    assert_eq!(records[2].ended, Some(End::Refused));
    assert!(records.iter().all(|record| !record.answered_early));
    assert!(records[0].bytes_received > 8 && records[1].bytes_sent > 5);
}

#[tokio::test]
async fn a_connection_whose_listener_became_a_forward_brings_it_no_request() {
    let one = origin("one").await.port();
    let door = inbound("desk", InboundKind::Http);
    let mut script = Script::new().inbounds([door.clone()]);
    let stage = script.play().await;
    let mut client = stage.connect().await;
    let request =
        format!("GET http://one.test:{one}/a HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
    client.send(&request).await;
    assert_eq!(body(&mut client).await, "one/a:");
    script.inbounds[0].speaks = Speaks::Nothing;
    script.number = 2;
    stage.plane().apply(script.spec()).await.unwrap();
    client.send(&request).await;
    assert!(client.is_reset().await);
    assert_eq!(stage.plane().counters().begun, 1);

    // Another inbound that speaks the same serves on.
    script.inbounds[0] = door;
    script.number = 3;
    stage.plane().apply(script.spec()).await.unwrap();
    let mut client = stage.connect().await;
    client.send(&request).await;
    assert_eq!(body(&mut client).await, "one/a:");
    script.number = 4;
    stage.plane().apply(script.spec()).await.unwrap();
    client.send(&request).await;
    assert_eq!(body(&mut client).await, "one/a:");
}

#[tokio::test]
async fn what_the_log_tells_as_failed_is_counted_as_failed() {
    let resets = serve(|mut client| async move {
        let _ = client.read_u8().await;
        client.set_zero_linger().unwrap();
    })
    .await;
    let silent = serve(|mut client| async move {
        let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
    })
    .await;
    let mut script = Script::new();
    script.limits.first_byte = Some(std::time::Duration::from_millis(50));
    let stage = script.play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("127.0.0.1", resets.port()).await, 0);
    client.send("x").await;
    assert!(client.is_reset().await);
    let mut client = stage.connect().await;
    let port = silent.port();
    client
        .send(format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 504 "));
    stage.records(2).await;
    assert_eq!(stage.plane().counters().failed, 2);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let one = origin("one").await.port();
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    client
        .send(format!(
            "POST http://one.test:{one}/echo/1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab\
             GET http://one.test:{one}/2 HTTP/1.1\r\n\r\n"
        ))
        .await;
    assert_eq!(body(&mut client).await, "one/echo/1:ab");
    assert_eq!(body(&mut client).await, "one/2:");
}

#[tokio::test]
async fn bodies_end_where_their_framing_says() {
    let one = origin("one").await.port();
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    client
        .send(format!(
            "GET http://one.test:{one}/chunked HTTP/1.1\r\n\r\n"
        ))
        .await;
    assert!(client.head().await.contains("chunked"));
    client.expect("3\r\nabc\r\n0\r\n\r\n").await;
    // The connection is still good.
    client
        .send(format!(
            "HEAD http://one.test:{one}/chunked HTTP/1.1\r\n\r\n"
        ))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200"));
    client
        .send(format!(
            "GET http://one.test:{one}/until-close HTTP/1.1\r\n\r\n"
        ))
        .await;
    let head = client.head().await;
    assert_eq!(header(&head, "connection"), Some("close"), "{head}");
    assert_eq!(client.rest().await.unwrap(), b"all of it");
}

#[tokio::test]
async fn a_client_that_asks_first_hears_that_it_may_go_on() {
    let one = origin("one").await.port();
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let head = format!(
        "PUT http://one.test:{one}/echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    );
    client.send(head).await;
    assert!(client.head().await.starts_with("HTTP/1.1 100 "));
    client.send("xyz").await;
    assert_eq!(body(&mut client).await, "one/echo:xyz");
}

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel() {
    let one = origin("one").await.port();
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let head = format!(
        "GET http://one.test:{one}/upgrade HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    );
    client.send(head).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(header(&head, "upgrade"), Some("echo"), "{head}");
    client.expect("hi").await;
    client.send("anything").await;
    client.expect("anything").await;
}

#[tokio::test]
async fn servers_that_fail_are_told_of() {
    let one = origin("one").await.port();
    let closed = nobody().await;
    let stage = Script::new().play().await;
    let check = async |url: String, status: &str| {
        let mut client = stage.connect().await;
        client.send(format!("GET {url} HTTP/1.1\r\n\r\n")).await;
        let head = client.head().await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{url}: {head}"
        );
    };
    check(format!("http://{closed}/"), "502").await;
    check("http://nowhere.test/".into(), "502").await;
    check(format!("http://one.test:{one}/nothing"), "502").await;
    check(format!("http://one.test:{one}/garbage"), "502").await;
    let records = stage.records(4).await;
    assert!(
        records
            .iter()
            .all(|r| matches!(r.ended, Some(End::Failed(..)))),
        "{records:#?}"
    );
    let mut client = stage.connect().await;
    client
        .send(format!("GET http://one.test:{one}/cut HTTP/1.1\r\n\r\n"))
        .await;
    assert!(
        client.is_reset().await,
        "half an answer must not look whole"
    );
}

#[tokio::test]
async fn a_plain_request_is_its_own_first_bytes() {
    let one = origin("one").await.port();
    let protocol = Condition::Protocol(pointsman_policy::fact::Protocol::Http);
    let stage = Script::new()
        .rule(protocol, "DIRECT")
        .fallback("REJECT")
        .play()
        .await;
    let mut client = stage.connect().await;
    client
        .send(format!(
            "GET http://one.test:{one}/ HTTP/1.1\r\nUser-Agent: t/1\r\n\r\n"
        ))
        .await;
    assert_eq!(body(&mut client).await, "one/:");
    let record = stage.record().await;
    let Fact::Known(look, _) = &record.facts.sought.look else {
        panic!("no look")
    };
    assert_eq!(
        (look.method.as_deref(), look.user_agent.as_deref()),
        (Some("GET"), Some("t/1"))
    );
    assert!(!record.answered_early);
}

#[tokio::test]
async fn no_field_hides_behind_others() {
    let one = origin("one").await.port();
    let agent = Condition::Text(TextField::UserAgent, TextTest::Exact("evil/1".into()));
    let stage = Script::new().rule(agent, "REJECT").play().await;
    let cookies = format!("Cookie: {}\r\n", "c".repeat(20_000));
    let many = "X: y\r\n".repeat(150);
    for (before, stuffing) in [("", &*cookies), ("", &*many), ("\r\n\r\n", "")] {
        let mut client = stage.connect().await;
        client
            .send(format!(
                "{before}GET http://One.test:{one}/ HTTP/1.1\r\n{stuffing}User-Agent: evil/1\r\n\r\n"
            ))
            .await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    }
    for record in stage.records(3).await {
        let look = record.facts.sought.look.known().expect("a look");
        assert_eq!(look.method.as_deref(), Some("GET"));
        assert_eq!(
            look.domain.as_ref().map(|name| name.as_str()),
            Some("one.test")
        );
    }
}

#[tokio::test]
async fn each_request_shows_who_sends_it() {
    let one = origin("one").await.port();
    let inbound = with_user(inbound("web", InboundKind::Http), "Aladdin", "open sesame");
    let stage = Script::new().inbounds([inbound]).play().await;
    let mut client = stage.connect().await;
    let secret = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    client
        .send(format!(
            "GET http://one.test:{one}/ HTTP/1.1\r\n{secret}\r\n\r\n"
        ))
        .await;
    assert_eq!(body(&mut client).await, "one/:");
    client
        .send(format!("GET http://one.test:{one}/ HTTP/1.1\r\n\r\n"))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 407 "));
}
