//! Ways out over other proxies: chains, logins, groups, and the guard against circles.

use std::sync::Arc;

use pointsman_net::login::{Login, Secret};
use pointsman_net::outbound::{Kind, Upstream};
use pointsman_net::record::End;
use pointsman_policy::fact::{Fact, InboundKind};
use pointsman_policy::{Host, OutboundId};

use crate::stage::*;

fn login(mut upstream: Upstream, user: &str, password: &str) -> Upstream {
    upstream.login = Some(Login {
        user: user.into(),
        password: Secret::new(password),
    });
    upstream
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
            Kind::Socks5(login(upstream(near.ports[0]), "a", "1")),
        )
        .outbound("far", Kind::Http(login(upstream(far.ports[0]), "b", "2")));
    let hops = vec![script.id("DIRECT"), script.id("near"), script.id("far")];
    let stage = script
        .outbound("both", Kind::Chain(hops))
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
    let at = || upstream(proxy.ports[0]);
    let script = Script::new()
        .outbound("socks", Kind::Socks5(login(at(), "a", "1")))
        .outbound("http", Kind::Http(login(at(), "a", "1")))
        .outbound("nobody", Kind::Socks5(at()))
        .outbound("wrong", Kind::Http(login(at(), "a", "2")));
    let check = async |outbound, host, port, code, why: &str| {
        let stage = script.clone().fallback(outbound).play().await;
        let mut client = stage.connect().await;
        assert_eq!(client.socks5(host, port).await, code, "{outbound} {host}");
        assert_eq!(stage.record().await.ended, Some(End::Failed(why.into())));
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

#[tokio::test]
async fn a_groups_selection_outlives_generations() {
    let members = vec![OutboundId(1), OutboundId(2)];
    let group = Kind::Select {
        members,
        uplink: Default::default(),
    };
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
    assert_eq!(stage.plane().selected("group").as_deref(), Some("RESET"));
}

#[tokio::test]
async fn our_own_connection_to_ourselves_goes_direct() {
    let server = echo().await;
    let both = [
        inbound("a", InboundKind::Mixed),
        inbound("b", InboundKind::Mixed),
    ];
    let stage = Script::new().inbounds(both).play().await;
    // Everything goes to the second listener, also what arrives there.
    let script = Script::new()
        .inbounds([
            inbound("a", InboundKind::Mixed),
            inbound("b", InboundKind::Mixed),
        ])
        .outbound("b", Kind::Socks5(upstream(stage.ports[1])))
        .fallback("b");
    stage.plane().apply(script.spec()).await.unwrap();
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    client.send("round").await;
    client.expect("round").await;
    drop(client);
    let records = stage.records(2).await;
    let second = records
        .iter()
        .find(|record| &*record.listener == "b")
        .unwrap();
    assert_eq!(second.outbound.as_deref(), Some("DIRECT"));
    assert!(matches!(&second.facts.guarded, Fact::Known(who, _) if &**who == "pointsman"));
}

#[tokio::test]
async fn circles_of_outbounds_end() {
    let script = Script::new();
    let circle = OutboundId(u32::try_from(script.outbounds.len()).unwrap());
    let stage = script
        .outbound("circle", Kind::Chain(vec![circle]))
        .fallback("circle")
        .play()
        .await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("a.test", 80).await, 1);
}
