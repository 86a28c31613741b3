//! Ways out over other proxies: chains, logins, groups, and the guard against circles.

use std::sync::Arc;

use pointsman_net::record::End;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Action, Host, OutboundId};
use pointsman_spec::door::DoorSpec;
use pointsman_spec::ids::PolicyId;
use pointsman_spec::login::{Credentials, Secret};
use pointsman_spec::outbound::{Kind, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::*;

fn login(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials {
        user: user.into(),
        password: Secret::new(password),
    })
}

#[tokio::test]
async fn a_chain_goes_through_each_hop_and_keeps_the_name() {
    let server = echo().await;
    let near = with_user(inbound("near", InboundKind::Socks5), "a", "1");
    let far = with_user(inbound("far", InboundKind::Http), "b", "2");
    let near = Script::new().inbounds([near]).play().await;
    let far = Script::new().inbounds([far]).play().await;
    let script = Script::new()
        .outbound(
            "near",
            upstream(near.ports[0], Protocol::Socks5(login("a", "1"))),
        )
        .outbound(
            "far",
            upstream(far.ports[0], Protocol::HttpConnect(login("b", "2"))),
        );
    let hops = vec![script.id("DIRECT"), script.id("near"), script.id("far")];
    let stage = script
        .outbound("both", Kind::Through(hops))
        .fallback("both")
        .play()
        .await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    client.send("through two").await;
    client.expect("through two").await;
    drop(client);
    assert_eq!(stage.record().await.outbound.as_deref(), Some("both"));
    let target =
        |record: Arc<pointsman_net::record::FlowRecord>| record.facts.destination.known().cloned();
    assert_eq!(
        target(near.record().await),
        Some(Host::Address(far.ports[0].ip()))
    );
    assert_eq!(
        target(far.record().await),
        Some(Host::parse("echo.test").unwrap())
    );
}

#[tokio::test]
async fn what_the_proxy_says_is_passed_on() {
    let closed = nobody().await;
    let proxy = Script::new()
        .inbounds([with_user(inbound("proxy", InboundKind::Mixed), "a", "1")])
        .rule(domain("reject.test"), "REJECT")
        .play()
        .await;
    let at = |protocol| upstream(proxy.ports[0], protocol);
    let script = Script::new()
        .outbound("socks", at(Protocol::Socks5(login("a", "1"))))
        .outbound("http", at(Protocol::HttpConnect(login("a", "1"))))
        .outbound("nobody", at(Protocol::Socks5(None)))
        .outbound("wrong", at(Protocol::HttpConnect(login("a", "2"))));
    let check = async |outbound, host, port, code, why: &str| {
        let stage = script.clone().fallback(outbound).play().await;
        let mut client = stage.connect().await;
        assert_eq!(client.socks5(host, port).await, code, "{outbound} {host}");
        let record = stage.record().await;
        assert_eq!(record.ended.as_ref().and_then(End::error), Some(why));
        assert_eq!(record.ended.as_ref().and_then(End::by), Some("dial"));
    };
    let port = closed.port();
    // By name: an address would have the proxy look at first bytes, and answer early.
    let refused = "the proxy `socks` answered: connection refused";
    check("socks", "nobody.test", port, 5, refused).await;
    check(
        "socks",
        "reject.test",
        port,
        1,
        "the proxy `socks` answered: not allowed",
    )
    .await;
    check(
        "http",
        "nobody.test",
        port,
        4,
        "the proxy `http` answered: status 502",
    )
    .await;
    check(
        "http",
        "reject.test",
        port,
        1,
        "the proxy `http` answered: status 403",
    )
    .await;
    check(
        "nobody",
        "a.test",
        port,
        1,
        "the proxy `nobody` does not accept our login",
    )
    .await;
    check(
        "wrong",
        "a.test",
        port,
        1,
        "the proxy `wrong` does not accept our login",
    )
    .await;
}

/// A server that says `answer`, and then nothing more.
async fn says(answer: &'static [u8]) -> std::net::SocketAddr {
    serve(async move |mut client: tokio::net::TcpStream| {
        let _ = client.write_all(answer).await;
        // The end of the flow, and not before: what the other side does not wait for it does not get.
        let _ = client.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test]
async fn a_proxy_that_is_silent_or_something_else_is_told_as_that() {
    let check = async |answer, protocol, why: &str| {
        let at = says(answer).await;
        let mut script = Script::new();
        script.limits.dial = std::time::Duration::from_millis(300);
        let script = script.outbound("p", upstream(at, protocol)).fallback("p");
        let stage = script.play().await;
        stage.connect().await.socks5("a.test", 80).await;
        let record = stage.record().await;
        let error = record.ended.as_ref().and_then(End::error).unwrap();
        assert_eq!(error, why.replace("AT", &at.to_string()));
    };
    let silent =
        "outbound `p` connected to AT, but had no answer to the SOCKS5 greeting within 300ms";
    check(b"", Protocol::Socks5(None), silent).await;
    let asked = "outbound `p` connected to AT, but had no answer to the SOCKS5 request to connect within 300ms";
    check(b"\x05\0", Protocol::Socks5(None), asked).await;
    let asked = "outbound `p` connected to AT, but had no answer to the HTTP request to connect (CONNECT) within 300ms";
    check(b"HTTP/1.1 ", Protocol::HttpConnect(None), asked).await;
    let not = |what: &str| format!("the proxy `p` broke its protocol: {what}");
    let http = "SOCKS5 was expected, and it answered like an HTTP server: is `type: http` meant?";
    check(
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Protocol::Socks5(None),
        &not(http),
    )
    .await;
    let tls = "it answered like a TLS server: has it another port, without TLS?";
    let alert = b"\x15\x03\x01\0\x02\x02\x0a";
    check(
        alert,
        Protocol::Socks5(None),
        &not(&format!("SOCKS5 was expected, and {tls}")),
    )
    .await;
    check(
        alert,
        Protocol::HttpConnect(None),
        &not(&format!("HTTP was expected, and {tls}")),
    )
    .await;
    let socks = "HTTP was expected, and it answered like a SOCKS5 server: is `type: socks5` meant?";
    check(b"\x05\xff", Protocol::HttpConnect(None), &not(socks)).await;
    let other = "HTTP was expected, and its answer is of another protocol";
    check(b"220 mail\r\n", Protocol::HttpConnect(None), &not(other)).await;
}

#[tokio::test]
async fn a_groups_selection_outlives_generations() {
    let members = vec![OutboundId(1), OutboundId(2)];
    let group = select(members, Default::default());
    let script = Script::new().outbound("group", group).fallback("group");
    let stage = script.play().await;
    let check = async |member: &str| {
        let before = stage.plane().recent().len();
        let mut client = stage.connect().await;
        client.send("CONNECT a.test:80 HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.is_reset().await, member == "RESET");
        let record = stage.records(before + 1).await.pop().unwrap();
        assert_eq!(record.outbound.as_deref(), Some("group"));
        assert_eq!(record.member.as_deref(), Some(member));
    };
    check("REJECT").await;
    assert!(stage.plane().select("group", "DIRECT").is_err());
    assert!(stage.plane().select("DIRECT", "DIRECT").is_err());
    stage.plane().select("group", "RESET").unwrap();
    check("RESET").await;
    stage.plane().apply(script.spec()).await.unwrap();
    check("RESET").await;
    assert_eq!(
        stage
            .plane()
            .in_force()
            .unwrap()
            .selected("group")
            .as_deref(),
        Some("RESET")
    );
}

/// Two listeners, `a` with a policy that lets all go, `b` with the script's.
async fn open_and_strict(script: &Script) -> Stage {
    let names = ["a", "b"].map(|name| inbound(name, InboundKind::Mixed));
    let stage = script.clone().inbounds(names).play().await;
    let mut spec = script.clone().inbounds([]).spec();
    let open = Script {
        rules: Vec::new(),
        fallback: "DIRECT",
        ..script.clone()
    };
    spec.policies.push(open.spec().policies.remove(0));
    for name in ["a", "b"] {
        spec.inbounds.push(DoorSpec {
            policy: PolicyId(usize::from(name == "a")),
            ..inbound(name, InboundKind::Mixed)
        });
    }
    stage.plane().apply(spec).await.unwrap();
    stage
}

#[tokio::test]
async fn nobody_passes_a_listeners_rules_by_way_of_another_listener() {
    let server = echo().await;
    let stage = open_and_strict(&Script::new().fallback("REJECT")).await;
    // The way past: ask the open listener for the strict one, and that one for the server.
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("127.0.0.1", stage.ports[1].port()).await, 2);
    assert_eq!(client.rest().await.unwrap(), b"");
    let record = stage.record().await;
    assert_eq!(record.ended, Some(End::Refused));
    // And nothing is left over that a stranger could use: the strict listener's rules hold.
    for host in ["127.0.0.1", "echo.test"] {
        let mut stranger = Client::to(stage.ports[1]).await;
        assert_eq!(stranger.socks5(host, server.port()).await, 2, "{host}");
    }
    let records = stage.records(3).await;
    assert!(records[1..].iter().all(|record| &*record.listener == "b"));
    assert!(
        records
            .iter()
            .all(|record| record.action == Some(Action::Reject))
    );
}

#[tokio::test]
async fn a_server_that_is_an_own_listener_is_refused_before_it_is_dialled() {
    let server = echo().await;
    let stage = open_and_strict(&Script::new()).await;
    let b = stage.ports[1];
    for protocol in [Protocol::Socks5(None), Protocol::HttpConnect(None)] {
        let script = Script::new()
            .inbounds(["a", "b"].map(|name| inbound(name, InboundKind::Mixed)))
            .outbound("b", upstream(b, protocol))
            .fallback("b");
        let before = stage.plane().recent().len();
        stage.plane().apply(script.spec()).await.unwrap();
        let mut client = stage.connect().await;
        assert_eq!(client.socks5("echo.test", server.port()).await, 2);
        let record = stage.records(before + 1).await.pop().unwrap();
        assert_eq!(record.ended, Some(End::Refused));
        assert_eq!(record.outbound.as_deref(), Some("b"));
        let expected = format!("loop guard: own listener: {b} is where Pointsman itself listens");
        assert_eq!(&*record.note, expected);
    }
}

#[tokio::test]
async fn circles_of_outbounds_end() {
    let script = Script::new();
    let circle = OutboundId(u32::try_from(script.outbounds.len()).unwrap());
    let stage = script
        .outbound("circle", Kind::Through(vec![circle]))
        .fallback("circle")
        .play()
        .await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("a.test", 80).await, 1);
}

#[tokio::test]
async fn a_name_is_no_way_around_what_rules_say_of_addresses() {
    let proxy = Script::new().play().await;
    for protocol in [Protocol::Socks5(None), Protocol::HttpConnect(None)] {
        let script = Script::new().outbound("px", upstream(proxy.ports[0], protocol));
        let stage = script.fallback("px").play().await;
        for (at, name) in ["127.0.0.9.", "１27.0.0.9"].into_iter().enumerate() {
            let mut client = stage.connect().await;
            client.socks5(name, 9).await;
            let record = stage.records(at + 1).await[at].clone();
            let nine = Host::Address([127, 0, 0, 9].into());
            assert_eq!(record.facts.destination.known(), Some(&nine), "{name}");
        }
        let through = proxy.plane().recent().len();
        for (at, name) in ["10.5", "0x0a.5", "167772165"].into_iter().enumerate() {
            let mut client = stage.connect().await;
            assert_eq!(client.socks5(name, 9).await, 2, "{name}");
            let record = stage.records(at + 3).await[at + 2].clone();
            assert_eq!(record.ended, Some(End::Refused));
            assert!(record.note.contains("ends in a number"), "{}", record.note);
        }
        // Nobody was asked.
        assert_eq!(proxy.plane().recent().len(), through);
    }
}

/// As deep as configurations may be nested, flows are taken, also to a name; what is deeper is told as what it is.
#[tokio::test]
async fn groups_within_groups_end_at_the_limit() {
    let server = echo().await;
    let groups = |count: u8| {
        let script = Script::new();
        let first = u32::try_from(script.outbounds.len()).unwrap();
        let direct = script.id("DIRECT");
        (0..count).fold(script, |script, at| {
            let below = at
                .checked_sub(1)
                .map(|at| OutboundId(first + u32::from(at)));
            let group = select(vec![below.unwrap_or(direct)], Default::default());
            let name = if at + 1 == count { "top" } else { "below" };
            script.outbound(name, group)
        })
    };
    let most = pointsman_policy::model::MOST_NESTED;
    // `DIRECT` itself is one of them.
    let stage = groups(most - 1).fallback("top").play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    drop(client);
    let stage = groups(most).fallback("top").play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 1);
    let ended = stage.record().await.ended.clone();
    let said = ended
        .as_ref()
        .and_then(End::error)
        .unwrap_or_default()
        .to_owned();
    assert!(said.ends_with("nested deeper than 12"), "{said}");
}
