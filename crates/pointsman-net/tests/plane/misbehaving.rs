//! Plain HTTP with peers that do what they should not: servers that say nothing, too much, or something else, and
//! clients that leave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_net::record::{By, End, Fault, FlowRecord, Limit, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::stage::*;

/// A server's side of a connection, under the test's hand.
struct Servers(mpsc::UnboundedReceiver<TcpStream>);

/// A server that hands over each connection.
async fn servers() -> (SocketAddr, Servers) {
    let (sender, arrived) = mpsc::unbounded_channel();
    let address = serve(move |client| {
        let _ = sender.send(client);
        std::future::ready(())
    });
    (address.await, Servers(arrived))
}

impl Servers {
    /// The next connection, and the head of the request on it.
    async fn next(&mut self) -> (Client, String) {
        let stream = timeout(PATIENCE, self.0.recv()).await.unwrap().unwrap();
        let mut server = Client(stream);
        let head = server.head().await;
        (server, head)
    }
}

async fn asking(stage: &Stage, request: String) -> Client {
    let mut client = stage.connect().await;
    client.send(request).await;
    client
}

fn get(at: SocketAddr) -> String {
    format!("GET http://{at}/ HTTP/1.1\r\n\r\n")
}

/// Plays one answer to one request; all that the client gets, and the record.
async fn answered(request: &str, answer: &str) -> (std::io::Result<Vec<u8>>, Arc<FlowRecord>) {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let mut client = asking(&stage, request.replace("HOST", &at.to_string())).await;
    let (mut server, _) = servers.next().await;
    server.send(answer).await;
    server.0.shutdown().await.unwrap();
    let rest = client.rest().await;
    (rest, stage.record().await)
}

fn reset(peer: Client) {
    peer.0.set_zero_linger().unwrap();
}

/// Gone, whether in order or not: nothing more will come, and nothing is held.
async fn is_gone(peer: &mut Client) -> bool {
    match timeout(PATIENCE, peer.0.read(&mut [0; 1])).await {
        Ok(read) => !matches!(read, Ok(1..)),
        Err(_elapsed) => false,
    }
}

#[tokio::test]
async fn a_client_that_leaves_frees_everything_while_the_server_is_silent() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    // More behind the request than is looked at; a body that the server does not take; half an answer.
    let many = "GET / HTTP/1.1\r\n\r\n".repeat(1000);
    let body = vec![b'x'; 16 << 20];
    let client = asking(&stage, get(at)).await;
    let (mut server, _) = servers.next().await;
    drop(client);
    assert!(is_gone(&mut server).await);
    let client = asking(&stage, get(at) + &many).await;
    let (mut server, _) = servers.next().await;
    drop(client);
    assert!(is_gone(&mut server).await);
    let post = format!(
        "POST http://{at}/ HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = asking(&stage, post).await;
    let (server, _) = servers.next().await;
    let stuck = timeout(Duration::from_millis(300), client.0.write_all(&body)).await;
    assert!(stuck.is_err(), "buffers of 16 MiB");
    // An orderly end would stand behind bytes for which there is no room, and come when there is.
    reset(client);
    // Nothing is read, so that nothing but the client's end can end it.
    let records = stage.records(3).await;
    drop(server);
    let client = asking(&stage, get(at)).await;
    let (mut server, _) = servers.next().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let mut client = client;
    client.head().await;
    drop(client);
    assert!(is_gone(&mut server).await);
    assert!(
        records
            .iter()
            .all(|record| record.ended == Some(End::ClientGone)),
        "{records:#?}"
    );
    assert_eq!(
        stage.records(4).await[3].ended,
        Some(End::Reset(Side::Client))
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_of_in_time() {
    let (at, mut servers) = servers().await;
    let mut script = Script::new();
    script.limits.first_byte = Some(Duration::from_millis(200));
    let stage = script.play().await;
    // Silence, half a head, and an interim answer that is followed by silence.
    for words in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let mut client = asking(&stage, get(at)).await;
        let (mut server, _) = servers.next().await;
        server.send(words).await;
        let mut head = client.head().await;
        if words.contains("100") {
            assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
            head = client.head().await;
        }
        assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
        let body = client.rest().await.unwrap();
        assert_eq!(body, b"the server did not answer within 200ms\n");
        assert!(is_gone(&mut server).await);
    }
    let records = stage.records(3).await;
    assert!(
        records
            .iter()
            .all(|record| record.ended == Some(End::TimedOut(Limit::FirstByte))),
        "{records:#?}"
    );
}

#[tokio::test]
async fn the_limit_for_the_first_byte_is_none_for_the_body() {
    let (at, mut servers) = servers().await;
    let mut script = Script::new();
    script.limits.first_byte = Some(Duration::from_millis(100));
    let stage = script.play().await;
    let post = format!("POST http://{at}/ HTTP/1.1\r\nContent-Length: 2\r\n\r\na");
    let mut client = asking(&stage, post).await;
    let (mut server, _) = servers.next().await;
    server.expect("a").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send("b").await;
    server.expect("b").await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.send("k").await;
    client.expect("ok").await;
}

#[tokio::test]
async fn an_exchange_without_a_byte_ends_in_the_way_that_says_so() {
    let (at, mut servers) = servers().await;
    let mut script = Script::new();
    script.limits.idle = Some(Duration::from_millis(200));
    let stage = script.play().await;
    let mut client = asking(&stage, get(at)).await;
    let (mut server, _) = servers.next().await;
    server.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    assert!(client.is_reset().await, "no end of the body has come");
    let post = format!("POST http://{at}/ HTTP/1.1\r\nContent-Length: 2\r\n\r\na");
    let mut client = asking(&stage, post).await;
    let (mut server_two, _) = servers.next().await;
    assert!(client.head().await.starts_with("HTTP/1.1 408 "));
    server_two.expect("a").await;
    assert!(server_two.is_reset().await, "half a request");
    let records = stage.records(2).await;
    assert!(
        records
            .iter()
            .all(|record| record.ended == Some(End::TimedOut(Limit::Idle))),
        "{records:#?}"
    );
}

#[tokio::test]
async fn an_exchange_that_is_closed_ends_with_resets() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let mut client = asking(&stage, get(at)).await;
    let (mut server, _) = servers.next().await;
    server.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
    client.head().await;
    client.expect("half").await;
    let id = stage.plane().flows()[0].id;
    assert!(stage.plane().close(id).is_some());
    assert!(client.is_reset().await);
    assert!(server.is_reset().await);
    assert_eq!(stage.record().await.ended, Some(End::Stopped(By::Operator)));
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_tunnel() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let switch = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    for offer in ["", "Connection: upgrade\r\nUpgrade: websocket\r\n"] {
        let request = format!("GET http://{at}/ HTTP/1.1\r\n{offer}\r\n");
        let mut client = asking(&stage, request).await;
        let (mut server, _) = servers.next().await;
        server.send(switch).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        // The client may not have seen that; its next request must not reach the first one's server.
        let next = "GET http://bank.test/ HTTP/1.1\r\nCookie: secret\r\n\r\n";
        let _ = client.0.write_all(next.as_bytes()).await;
        let body = client.rest().await.unwrap();
        assert_eq!(
            body,
            b"the server switched to a protocol that it was not offered\n"
        );
        let mut stolen = Vec::new();
        let _ = timeout(PATIENCE, server.0.read_to_end(&mut stolen))
            .await
            .unwrap();
        assert_eq!(stolen, b"");
    }
    let why = "the server switched to a protocol that it was not offered";
    for record in stage.records(2).await {
        assert_eq!(record.ended, Some(End::Failed(Fault::Answer, why.into())));
    }
}

#[tokio::test]
async fn a_switch_waits_for_the_body_of_its_request() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let request = format!(
        "POST http://{at}/ HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 4\r\n\r\nab"
    );
    let mut client = asking(&stage, request).await;
    let (mut server, _) = servers.next().await;
    server.expect("ab").await;
    server
        .send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send("cdtunnel").await;
    server.expect("cdtunnel").await;
    client.expect("hi").await;
}

#[tokio::test]
async fn interim_answers_without_end_come_to_an_end() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(1000);
    let (got, record) = answered("GET http://HOST/ HTTP/1.1\r\n\r\n", &hints).await;
    let got = String::from_utf8(got.unwrap()).unwrap();
    assert!(got.contains("HTTP/1.1 502 Bad Gateway\r\n"), "{got}");
    assert!(got.ends_with("\r\n\r\nthe server sent more than 64 interim answers\n"));
    assert!(matches!(record.ended, Some(End::Failed(Fault::Answer, _))));
}

/// Nothing is waited for where there is no body, and the next request is no body either.
#[tokio::test]
async fn who_expects_without_a_body_may_ask_again() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let expecting = |fields: &str| {
        format!("POST http://{at}/ HTTP/1.1\r\nExpect: 100-continue\r\n{fields}\r\n")
    };
    let mut client = stage.connect().await;
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for fields in ["", "Content-Length: 0\r\n", ""] {
        client.send(expecting(fields)).await;
        let (mut server, head) = servers.next().await;
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        server.send(answer).await;
        assert!(client.head().await.starts_with("HTTP/1.1 100 "));
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        client.expect("ok").await;
        assert_eq!(server.rest().await.unwrap(), b"");
    }
    for record in stage.records(3).await {
        assert_eq!(record.ended, Some(End::Closed));
    }
}

#[tokio::test]
async fn an_answer_before_the_body_is_passed_on_whole() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let request = format!("POST http://{at}/ HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nsome");
    let mut client = asking(&stage, request).await;
    let (mut server, _) = servers.next().await;
    server.expect("some").await;
    server
        .send("HTTP/1.1 413 X\r\nContent-Length: 8\r\n\r\ntoo long")
        .await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("\r\nConnection: close\r\n"));
    assert_eq!(client.rest().await.unwrap(), b"too long");
    assert_eq!(stage.record().await.ended, Some(End::Closed));
    assert!(server.is_reset().await, "half a request");
}

#[tokio::test]
async fn a_body_where_there_is_none_is_nobodys_answer() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    for (method, status) in [("HEAD", "200"), ("GET", "304"), ("GET", "204")] {
        client
            .send(format!("{method} http://{at}/ HTTP/1.1\r\n\r\n"))
            .await;
        let (mut server, _) = servers.next().await;
        server
            .send(format!("HTTP/1.1 {status} X\r\n\r\n{forged}"))
            .await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    client.send(get(at)).await;
    let (mut server, _) = servers.next().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    client.expect("true").await;
}

#[tokio::test]
async fn half_an_answer_never_looks_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfx",
    ] {
        let (got, record) = answered("GET http://HOST/ HTTP/1.1\r\n\r\n", answer).await;
        let error = got.expect_err(answer).kind();
        assert_eq!(error, std::io::ErrorKind::ConnectionReset, "{answer}");
        assert!(
            matches!(record.ended, Some(End::Failed(Fault::Answer, _))),
            "{answer}"
        );
    }
    // Where only the end of the connection tells, a reset of the server must not look like one.
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let mut client = asking(&stage, get(at)).await;
    let (mut server, _) = servers.next().await;
    server.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
    client.head().await;
    client.expect("half").await;
    reset(server);
    assert!(client.is_reset().await);
}

#[tokio::test]
async fn a_body_that_is_none_is_the_clients_mistake() {
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let request =
        format!("POST http://{at}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    let mut client = asking(&stage, request).await;
    let (mut server, _) = servers.next().await;
    server.expect("2\r\nab\r\n").await;
    client.send("zz\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(server.is_reset().await, "half a request");
    assert!(matches!(stage.record().await.ended, Some(End::Denied(_))));
}

#[tokio::test]
async fn of_a_chunked_body_its_data_alone_goes_on() {
    let told = "4;a=\"b\" ; c\r\ndata\r\n000\t\r\nProxy-Authorization: Basic am9lOnB3\r\nContent-Length: 9\r\n\r\n";
    let written = "4\r\ndata\r\n0\r\n\r\n";
    let (at, mut servers) = servers().await;
    let stage = Script::new().play().await;
    let head = format!("POST http://{at}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut client = asking(&stage, format!("{head}{told}{}", get(at))).await;
    let (mut server, _) = servers.next().await;
    server.expect(written).await;
    server
        .send(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{told}"
        ))
        .await;
    client.head().await;
    client.expect(written).await;
    // Both ended where they say: the next request is one.
    assert!(servers.next().await.1.starts_with("GET / "));
}

#[tokio::test]
async fn a_trailer_that_is_no_field_is_refused() {
    for trailer in ["GET / HTTP/1.1", "A : b", " folded", ": b", "A"] {
        let (at, mut servers) = servers().await;
        let stage = Script::new().play().await;
        let request = format!("POST http://{at}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut client = asking(&stage, request).await;
        let (mut server, _) = servers.next().await;
        client.send(format!("0\r\n{trailer}\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{trailer}: {head}");
        assert!(server.is_reset().await, "{trailer}");
    }
}

#[tokio::test]
async fn an_old_client_is_answered_once_and_in_its_own_words() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let request = "GET http://HOST/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (got, _) = answered(request, answer).await;
    let got = String::from_utf8(got.unwrap()).unwrap();
    assert_eq!(
        got,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    );
}

#[tokio::test]
async fn requests_that_may_pass_no_further_proxy_are_answered_here() {
    let (at, _servers) = servers().await;
    let stage = Script::new().play().await;
    for (method, status) in [("OPTIONS", "200"), ("TRACE", "405")] {
        let request = format!("{method} http://{at}/ HTTP/1.1\r\nMax-Forwards: 0\r\n\r\n");
        let head = asking(&stage, request).await.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}
