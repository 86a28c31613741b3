//! What becomes of flows by what the rules say, and by what they have to know.

use std::net::SocketAddr;
use std::time::Duration;

use pointsman_net::record::{End, Fault};
use pointsman_policy::condition::{AddressOf, Asks, Condition};
use pointsman_policy::fact::{Fact, InboundKind, Protocol};
use pointsman_policy::model::DomainOrder;
use pointsman_policy::{Action, Domain};
use pointsman_spec::door::DoorSpec;
use pointsman_spec::outbound::Kind;
use tokio::io::AsyncWriteExt;

use crate::stage::*;

#[tokio::test]
async fn each_refusal_has_its_own_answer() {
    let script = Script::new()
        .rule(domain("reject.test"), "REJECT")
        .rule(domain("reset.test"), "RESET")
        .rule(domain("silence.test"), "BLACKHOLE");
    let stage = script.play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("reject.test", 80).await, 2);
    assert_eq!(client.rest().await.unwrap(), b"");

    let mut client = stage.connect().await;
    client
        .send("CONNECT Reject.Test:443 HTTP/1.1\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 403 "));

    for request in [
        "CONNECT reset.test:443 HTTP/1.1\r\n\r\n",
        "GET http://reset.test/ HTTP/1.1\r\n\r\n",
    ] {
        let mut client = stage.connect().await;
        client.send(request).await;
        assert!(client.is_reset().await, "{request}");
    }

    let mut client = stage.connect().await;
    client.send([5, 1, 0]).await;
    client.expect([5, 0]).await;
    client.send(socks5_request("reset.test", 80)).await;
    assert!(client.is_reset().await);

    let begun = std::time::Instant::now();
    let mut client = stage.connect().await;
    client
        .send("CONNECT silence.test:443 HTTP/1.1\r\n\r\nanybody there?")
        .await;
    assert!(client.is_reset().await, "not one byte before the end");
    assert!(begun.elapsed() >= Duration::from_millis(300));

    let records = stage.records(6).await;
    assert!(
        records
            .iter()
            .all(|record| record.ended == Some(End::Refused)),
        "{records:#?}"
    );
    let count = |action| {
        records
            .iter()
            .filter(|record| record.action == Some(action))
            .count()
    };
    assert_eq!(
        (
            count(Action::Reject),
            count(Action::Reset),
            count(Action::Blackhole)
        ),
        (2, 3, 1)
    );
}

#[tokio::test]
async fn a_blackholed_client_that_leaves_is_let_go() {
    let mut script = Script::new().fallback("BLACKHOLE");
    script.limits.blackhole = Duration::from_secs(600);
    let stage = script.play().await;
    let mut client = stage.connect().await;
    client.send("GET http://a.test/ HTTP/1.1\r\n\r\n").await;
    drop(client);
    assert_eq!(stage.record().await.ended, Some(End::Refused));
}

#[tokio::test]
async fn what_no_rule_decides_is_reset() {
    let stage = Script::new().fallback("").play().await;
    let mut client = stage.connect().await;
    client.send("CONNECT a.test:443 HTTP/1.1\r\n\r\n").await;
    assert!(client.is_reset().await);
    let record = stage.record().await;
    assert_eq!(
        (&*record.note, record.outbound.as_deref()),
        ("no route", None)
    );
    assert_eq!(record.ended, Some(End::Refused));
}

#[tokio::test]
async fn a_waiting_client_is_answered_before_its_first_bytes() {
    let server = echo().await;
    let script = Script::new().rule(domain("bad.test"), "REJECT");
    let stage = script.play().await;
    let check = async |name: &str, refused: bool| {
        let before = stage.plane().recent().len();
        let mut client = stage.connect().await;
        // By address: only the first bytes tell the name.
        assert_eq!(client.socks5("127.0.0.1", server.port()).await, 0);
        let hello = client_hello(name, 1800);
        for byte in &hello {
            client.0.write_all(&[*byte]).await.unwrap();
        }
        if refused {
            assert!(
                client.is_reset().await,
                "after success a refusal is a reset"
            );
        } else {
            client.expect(&hello).await;
            drop(client);
        }
        let record = stage.records(before + 1).await.pop().unwrap();
        assert!(record.answered_early);
        let Fact::Known(look, _) = &record.facts.sought.look else {
            panic!("no look")
        };
        assert_eq!(look.protocol, Protocol::Tls);
        assert_eq!(look.domain, Some(Domain::parse(name).unwrap()));
    };
    check("good.test", false).await;
    check("bad.test", true).await;
}

#[tokio::test]
async fn pipelined_first_bytes_need_no_early_answer() {
    let script = Script::new().rule(domain("bad.test"), "REJECT");
    let stage = script.play().await;
    let mut client = stage.connect().await;
    client.send([5, 1, 0]).await;
    client.expect([5, 0]).await;
    let mut all = socks5_request("192.0.2.1", 443);
    all.extend(client_hello("bad.test", 600));
    client.send(all).await;
    assert_eq!(
        client.get(10).await[1],
        2,
        "the right code, for nothing was promised yet"
    );
    assert!(!stage.record().await.answered_early);
}

#[tokio::test]
async fn a_server_that_speaks_first_is_reached_after_a_short_wait() {
    let greeter = serve(|mut client| async move {
        let _ = client.write_all(b"220 mail.test\r\n").await;
    })
    .await;
    let tls = Condition::Protocol(Protocol::Tls);
    let stage = Script::new().rule(tls, "REJECT").play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("mail.test", greeter.port()).await, 0);
    client.expect("220 mail.test\r\n").await;
    drop(client);
    let record = stage.record().await;
    assert!(record.answered_early);
    assert!(
        (300_000..5_000_000).contains(&record.took.sniff_us),
        "{}",
        record.took.sniff_us
    );
}

#[tokio::test]
async fn ports_where_the_server_speaks_first_do_not_wait() {
    let tls = Condition::Protocol(Protocol::Tls);
    let mut script = Script::new().rule(tls, "REJECT");
    script.sniff.timeout = Duration::from_secs(600);
    let stage = script.play().await;
    // Nobody serves mail at this address of the loopback.
    let mut client = stage.connect().await;
    assert_eq!(
        client.socks5("127.86.75.30", 25).await,
        5,
        "the real answer, not an early one"
    );
    assert!(!stage.record().await.answered_early);
}

#[tokio::test]
async fn a_look_ends_with_the_clients_end() {
    let server = echo().await;
    let tls = Condition::Protocol(Protocol::Tls);
    let mut script = Script::new().rule(tls, "REJECT");
    script.sniff.timeout = Duration::from_secs(600);
    let stage = script.play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    client.send([22, 3, 1]).await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await.unwrap(), [22, 3, 1]);
    let record = stage.record().await;
    assert_eq!(
        record.facts.sought.look.known().unwrap().protocol,
        Protocol::Other
    );
}

#[tokio::test]
async fn the_sniffed_name_never_replaces_the_address() {
    let server = echo().await;
    let mut script = Script::new()
        .rule(domain("elsewhere.test"), "DIRECT")
        .fallback("REJECT");
    script.order = DomainOrder::SniffedElseRequested;
    let stage = script.play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("127.0.0.1", server.port()).await, 0);
    let hello = client_hello("elsewhere.test", 400);
    client.send(&hello).await;
    client.expect(&hello).await;
}

#[tokio::test]
async fn what_is_not_built_refuses_and_says_so() {
    let script = Script::new().outbound(
        "wg",
        Kind::NotYet {
            kind: "wireguard".into(),
            carries_udp: true,
        },
    );
    let stage = script.fallback("wg").play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", 80).await, 1);
    let why = "outbound `wg` is of type wireguard, which is not built yet";
    assert_eq!(
        stage.record().await.ended,
        Some(End::Failed(Fault::NotBuilt, why.into()))
    );
}

#[tokio::test]
async fn a_flow_to_an_own_listener_is_refused_by_any_spelling() {
    let any = |name| DoorSpec {
        listen: vec![SocketAddr::from(([0, 0, 0, 0], 0)).into()],
        ..inbound(name, InboundKind::Mixed)
    };
    let script = Script::new().inbounds([inbound("near", InboundKind::Mixed), any("any")]);
    let stage = script.play().await;
    let [near, any] = [stage.ports[0].port(), stage.ports[1].port()];
    let mut count = 0;
    for (host, port) in [
        ("localhost", near),
        ("127.0.0.1", near),
        ("0.0.0.0", near),
        ("::ffff:127.0.0.1", near),
        ("127.0.0.1", any),
        ("127.5.6.7", any),
        ("localhost", any),
    ] {
        let mut client = stage.connect().await;
        assert_eq!(client.socks5(host, port).await, 2, "{host}:{port}");
        count += 1;
        let record = stage.records(count).await.pop().unwrap();
        assert_eq!(record.ended, Some(End::Refused), "{host}:{port}");
        assert_eq!(record.action, Some(Action::Reject));
        assert_eq!(record.outbound.as_deref(), Some("DIRECT"));
        assert!(
            record.note.starts_with("loop guard: own listener: "),
            "{}",
            record.note
        );
        assert_eq!(
            &*record.listener, "near",
            "nothing arrived at the other one"
        );
    }
    assert_eq!(stage.plane().recent().len(), count);
}

#[tokio::test]
async fn an_address_that_the_rules_refuse_is_not_dialled_for_another_ones_sake() {
    let server = echo().await;
    let within = |range: &str| Condition::Address {
        of: AddressOf::Destination,
        prefix: range.parse().unwrap(),
        asks: Asks::Resolve,
    };
    // The rules see the first address; the server is at the second.
    for (range, outbound, fallback, code) in [
        ("127.0.0.1", "REJECT", "DIRECT", 5),
        ("127.99.1.1", "DIRECT", "REJECT", 5),
        ("127.0.0.0/8", "DIRECT", "REJECT", 0),
        ("192.0.2.0/24", "REJECT", "DIRECT", 0),
    ] {
        let script = Script::new()
            .rule(within(range), outbound)
            .fallback(fallback);
        let stage = script.play().await;
        let mut client = stage.connect().await;
        assert_eq!(
            client.socks5("mixed.test", server.port()).await,
            code,
            "{range}"
        );
    }
}
