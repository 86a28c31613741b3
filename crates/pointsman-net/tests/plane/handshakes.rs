//! What clients say first, and how they are answered.

use pointsman_net::record::End;
use pointsman_policy::fact::InboundKind;

use crate::stage::*;

#[tokio::test]
async fn socks5_reaches_a_server_by_address_and_by_name() {
    let server = echo().await;
    let stage = Script::new().play().await;
    for host in ["127.0.0.1", "echo.test"] {
        let mut client = stage.connect().await;
        assert_eq!(client.socks5(host, server.port()).await, 0);
        client.send("hello").await;
        client.expect("hello").await;
        drop(client);
    }
    let records = stage.records(2).await;
    assert_eq!(records[0].ended, Some(End::Closed));
    assert_eq!((records[0].bytes_sent, records[0].bytes_received), (5, 5));
    assert_eq!(records[0].outbound.as_deref(), Some("DIRECT"));
    assert!(!records[0].answered_early);
}

#[tokio::test]
async fn pipelined_bytes_are_not_lost() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    let mut all = vec![5, 1, 0];
    all.extend(socks5_request("echo.test", server.port()));
    all.extend(b"early bird");
    client.send(all).await;
    client.expect([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    client.expect("early bird").await;
}

#[tokio::test]
async fn socks4a_is_served_where_nobody_has_to_log_in() {
    let server = echo().await;
    let open = inbound("open", InboundKind::Socks5);
    let closed = with_user(inbound("closed", InboundKind::Mixed), "alice", "secret");
    let stage = Script::new().inbounds([open, closed]).play().await;
    let mut request = vec![4, 1];
    request.extend(server.port().to_be_bytes());
    request.extend([0, 0, 0, 1]);
    request.extend(b"me\0echo.test\0");
    let mut client = Client::to(stage.ports[0]).await;
    client.send(&request).await;
    client.expect([0, 90, 0, 0, 0, 0, 0, 0]).await;
    client.send("ping").await;
    client.expect("ping").await;
    let mut client = Client::to(stage.ports[1]).await;
    client.send(&request).await;
    assert_eq!(client.rest().await.unwrap(), [0, 91, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn connect_reaches_a_server() {
    let server = echo().await;
    let stage = Script::new()
        .inbounds([inbound("web", InboundKind::Http)])
        .play()
        .await;
    let mut client = stage.connect().await;
    let port = server.port();
    client
        .send(format!(
            "CONNECT echo.test:{port} HTTP/1.1\r\nHost: echo.test:{port}\r\n\r\nab"
        ))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    client.expect("ab").await;
    client.send("cd").await;
    client.expect("cd").await;
}

#[tokio::test]
async fn socks5_users_need_their_password() {
    let server = echo().await;
    let inbound = with_user(inbound("desk", InboundKind::Mixed), "alice", "se:cret");
    let stage = Script::new().inbounds([inbound]).play().await;
    let check = async |user: &str, password: &str, admitted: bool| {
        let mut client = stage.connect().await;
        client.send([5, 2, 0, 2]).await;
        client.expect([5, 2]).await;
        let mut login = vec![1, u8::try_from(user.len()).unwrap()];
        login.extend(user.as_bytes());
        login.push(u8::try_from(password.len()).unwrap());
        login.extend(password.as_bytes());
        client.send(login).await;
        if admitted {
            client.expect([1, 0]).await;
            client
                .send(socks5_request("127.0.0.1", server.port()))
                .await;
            assert_eq!(client.get(10).await[1], 0);
        } else {
            assert_eq!(client.rest().await.unwrap(), [1, 1]);
        }
    };
    check("alice", "se:cret", true).await;
    check("alice", "secret", false).await;
    check("bob", "se:cret", false).await;
    // Offers no password at all.
    let mut client = stage.connect().await;
    client.send([5, 1, 0]).await;
    assert_eq!(client.rest().await.unwrap(), [5, 255]);
    let records = stage.records(4).await;
    let known = records
        .iter()
        .find(|record| record.ended == Some(End::Closed))
        .unwrap();
    assert_eq!(
        known.facts.inbound.known().unwrap().user.as_deref(),
        Some("alice")
    );
}

#[tokio::test]
async fn http_users_need_their_password() {
    let server = echo().await;
    let inbound = with_user(inbound("web", InboundKind::Http), "Aladdin", "open sesame");
    let stage = Script::new().inbounds([inbound]).play().await;
    let check = async |header: &str, status: &str| {
        let mut client = stage.connect().await;
        client
            .send(format!(
                "CONNECT echo.test:{} HTTP/1.1\r\n{header}\r\n",
                server.port()
            ))
            .await;
        let head = client.head().await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{header}: {head}"
        );
        assert_eq!(
            status == "407",
            head.contains("Proxy-Authenticate: Basic"),
            "{head}"
        );
    };
    check("", "407").await;
    check(
        "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
        "200",
    )
    .await;
    check("Proxy-Authorization: Basic QWxhZGRpbjpvcGVu\r\n", "407").await;
    check(
        "Proxy-Authorization: Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n",
        "407",
    )
    .await;
}

#[tokio::test]
async fn what_is_not_served_is_answered_in_the_protocol() {
    let stage = Script::new().play().await;
    let check = async |bytes: &[u8], answer: &[u8], why: &str| {
        let before = stage.plane().recent().len();
        let mut client = stage.connect().await;
        client.send(bytes).await;
        let got = client.rest().await.unwrap();
        assert!(
            got.starts_with(answer),
            "{bytes:?}: {}",
            String::from_utf8_lossy(&got)
        );
        let record = stage.records(before + 1).await.pop().unwrap();
        assert_eq!(record.ended, Some(End::Denied(why.into())), "{bytes:?}");
    };
    let bind = [5, 1, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0];
    check(&bind, &[5, 0, 5, 7], "BIND is not supported").await;
    let kind = [5, 1, 0, 5, 1, 0, 9, 0, 0, 0, 0, 0, 0];
    check(&kind, &[5, 0, 5, 8], "not supported: address type").await;
    check(&[5, 0], &[], "malformed: greeting that offers no method").await;
    let origin = "this is a proxy: the request must name its server";
    check(
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"HTTP/1.1 400 ",
        origin,
    )
    .await;
    check(
        b"\x16\x03\x01",
        b"HTTP/1.1 400 ",
        "not the expected protocol: the client begins like TLS",
    )
    .await;
    let stage = Script::new().inbounds([inbound("only", InboundKind::Socks5)]);
    let stage = stage.play().await;
    let mut client = stage.connect().await;
    client.send(b"CONNECT a.test:443 HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.rest().await.unwrap(), b"");
    let why = "SOCKS was expected, and the client begins like HTTP";
    assert_eq!(stage.record().await.ended, Some(End::Denied(why.into())));
}

#[tokio::test]
async fn failures_have_their_codes() {
    let stage = Script::new().play().await;
    let closed = nobody().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("127.99.1.1", closed.port()).await, 5);
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("nowhere.test", 80).await, 4);
    let mut client = stage.connect().await;
    client
        .send(format!("CONNECT {closed} HTTP/1.1\r\n\r\n"))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 "));
    let records = stage.records(3).await;
    let texts: Vec<String> = records
        .iter()
        .map(|record| format!("{:?}", record.ended))
        .collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("there is no name nowhere.test, says the configuration")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("outbound `DIRECT` could not connect")),
        "{texts:?}"
    );
}

#[tokio::test]
async fn what_is_no_destination_is_not_dialled() {
    let proxy = nobody().await;
    let proxied = Script::new().outbound("up", socks5(proxy)).fallback("up");
    let refused = async |stage: &Stage, count: usize, why: &str| {
        let record = stage.records(count).await.pop().unwrap();
        assert_eq!(record.ended, Some(End::Refused), "{why}");
        assert_eq!(&*record.note, why);
    };
    for (stage, is_proxied) in [
        (Script::new().play().await, false),
        (proxied.play().await, true),
    ] {
        let mut count = 0;
        for (host, port, code, why) in [
            ("127.0.0.1", 0, 5, "nothing listens on port 0"),
            ("echo.test", 0, 5, "nothing listens on port 0"),
            ("224.0.0.1", 80, 3, "224.0.0.1 is a multicast address"),
            ("ff02::1", 80, 3, "ff02::1 is a multicast address"),
            (
                "::ffff:239.1.2.3",
                80,
                3,
                "239.1.2.3 is a multicast address",
            ),
            (
                "255.255.255.255",
                80,
                3,
                "255.255.255.255 is the broadcast address",
            ),
        ] {
            let mut client = stage.connect().await;
            assert_eq!(client.socks5(host, port).await, code, "{host}:{port}");
            count += 1;
            refused(&stage, count, &format!("no destination: {why}")).await;
        }
        // What the name is, only who dials it here knows.
        if !is_proxied {
            for (name, why) in [
                ("group.test", "239.1.2.3 is a multicast address"),
                ("all.test", "255.255.255.255 is the broadcast address"),
            ] {
                let mut client = stage.connect().await;
                assert_eq!(client.socks5(name, 80).await, 3, "{name}");
                count += 1;
                refused(&stage, count, &format!("no destination: {why}")).await;
            }
        }
        for (request, answer) in [
            ("\x04\x01\0\0\x7f\0\0\x01\0", "\0\x5b"),
            ("CONNECT 224.0.0.1:80 HTTP/1.1\r\n\r\n", "HTTP/1.1 502 "),
            (
                "GET http://255.255.255.255/ HTTP/1.1\r\n\r\n",
                "HTTP/1.1 502 ",
            ),
            ("CONNECT a.test:0 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
            ("GET http://a.test:0/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        ] {
            let mut client = stage.connect().await;
            client.send(request).await;
            let got = client.rest().await.unwrap();
            assert!(got.starts_with(answer.as_bytes()), "{request:?}");
        }
    }
}
