//! Names: which name server is asked, by what way, and how long one that is silent is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_net::record::End;
use pointsman_net::resolver::{Resolver, Station, System};
use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Domain, Host};
use pointsman_spec::address::Families;
use pointsman_spec::address::Server;
use pointsman_spec::address::Uplink;
use pointsman_spec::door::DoorSpec;
use pointsman_spec::ids::ResolverId;
use pointsman_spec::outbound::{Carrier, Kind, Protocol, Upstream};
use pointsman_spec::resolver::{NameServer, Place, ResolverSpec};

use crate::nameserver::{Mood, Names};
use crate::stage::*;

/// A look-up without any silence takes a millisecond; with one that was waited for, it takes 4 s.
const SOON: Duration = Duration::from_millis(1500);

pub(crate) fn resolver(servers: Vec<NameServer>, families: Families) -> Arc<Resolver> {
    let spec = ResolverSpec {
        servers: servers.into(),
        families,
        ..ResolverSpec::default()
    };
    Arc::new(Resolver::new(spec, &[], &Arc::default()))
}

/// With the system as files with these texts say: no longer than the directory is there.
async fn with(
    resolver: ResolverSpec,
    hosts: &str,
    configuration: &str,
) -> (Stage, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("hosts"), hosts).unwrap();
    std::fs::write(path.join("resolv.conf"), configuration).unwrap();
    let system = System::new(path.join("hosts"), path.join("resolv.conf"));
    let mut spec = Script::new().spec();
    let station = Arc::new(Station::new(system));
    spec.server_resolver = Arc::new(Resolver::new(resolver, &[], &station));
    (Stage::of(spec).await, directory)
}

/// The reply's code, and how long it took.
pub(crate) async fn visit(stage: &Stage, name: &str, port: u16) -> (u8, Duration) {
    let begun = Instant::now();
    let code = stage.connect().await.socks5(name, port).await;
    (code, begun.elapsed())
}

#[tokio::test]
async fn a_family_that_is_never_answered_keeps_nobody_waiting() {
    let server = echo().await;
    for families in [Families::PreferIpv4, Families::PreferIpv6] {
        let names = Names::start(Mood::SilentForV6).await;
        let mut spec = Script::new().spec();
        spec.server_resolver = resolver(vec![names.server()], families);
        let stage = Stage::of(spec).await;
        for name in ["one.test", "one.test", "one.test", "two.test"] {
            let (code, took) = visit(&stage, name, server.port()).await;
            assert_eq!(code, 0, "{families:?} {name}");
            assert!(took < SOON, "{families:?} {name}: {took:?}");
        }
        // A was asked for once for each name: the answer was kept though the other look-up went on.
        let asked = names.asked();
        assert_eq!(asked.iter().filter(|(_, kind)| *kind == 1).count(), 2);
    }
}

#[tokio::test]
async fn a_family_without_a_route_waits_for_the_one_that_is_late() {
    let server = echo().await;
    for mood in [Mood::LostForV4, Mood::LateForV4] {
        for families in [Families::PreferIpv4, Families::PreferIpv6] {
            let names = Names::start(mood).await;
            let mut spec = Script::new().spec();
            spec.server_resolver = resolver(vec![names.server()], families);
            let stage = Stage::of(spec).await;
            for name in ["one.test", "two.test", "one.test"] {
                let (code, _) = visit(&stage, name, server.port()).await;
                assert_eq!(code, 0, "{mood:?} {families:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_flow_that_resolves_while_the_plane_drains_goes_on() {
    let server = echo().await;
    let names = Names::start(Mood::LateForV4).await;
    let mut spec = Script::new().spec();
    spec.server_resolver = resolver(vec![names.server()], Families::Ipv4Only);
    let stage = Stage::of(spec).await;
    let mut client = stage.connect().await;
    let flow = async {
        let code = client.socks5("late.test", server.port()).await;
        drop(client);
        code
    };
    let drained = async {
        while names.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.plane().drain(PATIENCE).await
    };
    let (code, drained) = tokio::join!(flow, drained);
    assert_eq!(code, 0);
    assert!(drained);
    assert_eq!(stage.record().await.ended, Some(End::Closed));
}

#[tokio::test]
async fn one_slow_name_takes_nothing_from_others() {
    let server = echo().await;
    let names = Names::start(Mood::SlowForV4).await;
    let mut spec = Script::new().spec();
    spec.server_resolver = resolver(vec![names.server()], Families::PreferIpv4);
    let stage = Stage::of(spec).await;
    assert_eq!(visit(&stage, "kept.test", server.port()).await.0, 0);
    // Sent a second time, after the server was passed by.
    let for_a = || names.asked().iter().filter(|(_, kind)| *kind == 1).count();
    let others = async {
        while for_a() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for name in ["kept.test", "other.test"] {
            assert_eq!(visit(&stage, name, server.port()).await.0, 0, "{name}");
        }
    };
    let slow = async {
        loop {
            visit(&stage, "slow.test", server.port()).await;
        }
    };
    tokio::select! {
        () = others => {}
        () = slow => {}
    }
}

#[tokio::test]
async fn a_name_server_that_is_an_own_listener_is_refused_before_it_is_dialled() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let own = stage.ports[0];
    let tcp = NameServer::Tcp(Place {
        address: own,
        interface: None,
        via: None,
    });
    let mut spec = Script::new().spec();
    spec.server_resolver = resolver(vec![tcp], Families::Ipv4Only);
    stage.plane().apply(spec).await.unwrap();
    visit(&stage, "one.test", server.port()).await;
    let record = stage.record().await;
    let error = record
        .ended
        .as_ref()
        .and_then(End::error)
        .unwrap_or_default();
    let expected =
        format!("tcp {own}: loop guard: own listener: {own} is where Pointsman itself listens");
    assert!(error.contains(&expected), "{error}");
    // The question did not come back to us as a flow.
    assert_eq!(stage.plane().recent().len(), 1);
}

#[tokio::test]
async fn a_name_server_that_is_not_built_says_so_once() {
    let later = NameServer::NotYet("DNS over `https://` is not built yet".into());
    let mut spec = Script::new().spec();
    let both = vec![later.clone(), later];
    spec.server_resolver = resolver(both, Families::PreferIpv4);
    let stage = Stage::of(spec).await;
    assert_ne!(visit(&stage, "one.test", 80).await.0, 0);
    let record = stage.record().await;
    let error = record
        .ended
        .as_ref()
        .and_then(End::error)
        .unwrap_or_default();
    assert_eq!(error.matches("not built yet").count(), 1, "{error}");
}

#[tokio::test]
async fn many_who_ask_for_one_name_ask_one_question() {
    let server = echo().await;
    let names = Names::start(Mood::LateForV4).await;
    let mut spec = Script::new().spec();
    spec.server_resolver = resolver(vec![names.server()], Families::PreferIpv4);
    let stage = Stage::of(spec).await;
    let mut visits = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (at, port) = (stage.ports[0], server.port());
        visits.spawn(async move { Client::to(at).await.socks5("one.test", port).await });
    }
    assert_eq!(visits.join_all().await, [0; 20]);
    // One for each family.
    assert_eq!(names.questions(), 2, "{:?}", names.asked());
}

#[tokio::test]
async fn a_silent_domain_leaves_time_for_the_name_itself() {
    let server = echo().await;
    let names = Names::start(Mood::SilentForCorp).await;
    // The system's server is on an interface that does not exist: it fails at once.
    let (stage, _files) = with(
        ResolverSpec {
            servers: vec![NameServer::System, names.server()].into(),
            families: Families::Ipv4Only,
            ..ResolverSpec::default()
        },
        "",
        "search corp\nnameserver fe80::1%none0\n",
    )
    .await;
    assert_eq!(visit(&stage, "one", server.port()).await.0, 0);
    // Asked for `one.corp` in vain, more than once, and then for `one`.
    assert!(names.asked().len() > 2);
}

#[tokio::test]
async fn fixed_addresses_come_as_families_are_wanted_and_nobody_else_is_asked() {
    let server = echo().await;
    let names = Names::start(Mood::Plain).await;
    let fixed = |address: &str| {
        (
            Domain::parse("fixed.test").unwrap(),
            false,
            address.parse().unwrap(),
        )
    };
    for (hosts, text) in [
        (vec![fixed("::1"), fixed("127.0.0.1")], ""),
        (vec![], "::1 fixed.test\n127.0.0.1 fixed.test\n"),
    ] {
        let only = |families| {
            let spec = ResolverSpec {
                servers: vec![NameServer::System, names.server()].into(),
                hosts: hosts.clone(),
                families,
                ..ResolverSpec::default()
            };
            with(spec, text, "nameserver fe80::1%none0\n")
        };
        let (stage, _files) = only(Families::Ipv4Only).await;
        assert_eq!(visit(&stage, "fixed.test", server.port()).await.0, 0);
        let (stage, _files) = only(Families::Ipv6Only).await;
        assert_ne!(visit(&stage, "fixed.test", server.port()).await.0, 0);
    }
    for (hosts, text) in [
        (vec![fixed("127.0.0.1")], ""),
        (vec![], "127.0.0.1 fixed.test\n"),
    ] {
        let spec = ResolverSpec {
            servers: vec![NameServer::System, names.server()].into(),
            hosts,
            families: Families::Ipv6Only,
            ..ResolverSpec::default()
        };
        let (stage, _files) = with(spec, text, "nameserver fe80::1%none0\n").await;
        assert_ne!(visit(&stage, "fixed.test", server.port()).await.0, 0);
        let record = stage.record().await;
        let error = record.ended.as_ref().and_then(End::error);
        let error = error.unwrap_or_default();
        assert!(error.contains("fixed.test has no IPv6 address"), "{error}");
    }
    assert_eq!(names.asked(), []);
}

#[tokio::test]
async fn a_silent_server_is_passed_by_and_remembered() {
    let server = echo().await;
    for mood in [Mood::Silent, Mood::Short] {
        let silent = [Names::start(mood).await, Names::start(mood).await];
        let good = Names::start(Mood::Plain).await;
        let servers = vec![silent[0].server(), silent[1].server(), good.server()];
        let mut spec = Script::new().spec();
        spec.server_resolver = resolver(servers, Families::Ipv4Only);
        let stage = Stage::of(spec).await;
        let (code, took) = visit(&stage, "one.test", server.port()).await;
        assert_eq!(code, 0, "{mood:?}");
        assert!(took < SOON, "{mood:?}: {took:?}");
        let before = silent.each_ref().map(|one| one.asked().len());
        assert!(
            before.iter().all(|asked| *asked > 0),
            "{mood:?}: {before:?}"
        );
        // From now on the one that answers comes first.
        assert_eq!(visit(&stage, "two.test", server.port()).await.0, 0);
        let after = silent.each_ref().map(|one| one.asked().len());
        assert_eq!(after, before, "{mood:?}");
        assert_eq!(good.asked().len(), 2, "{mood:?}");
    }
}

#[tokio::test]
async fn what_a_flow_names_is_asked_of_its_own_resolver() {
    let server = echo().await;
    let (own, other) = (
        Names::start(Mood::Plain).await,
        Names::start(Mood::Plain).await,
    );
    let script = Script::new().inbounds([DoorSpec {
        resolver: Some(ResolverId(0)),
        ..inbound("mixed", InboundKind::Mixed)
    }]);
    let near = Script::new()
        .inbounds([inbound("near", InboundKind::Socks5)])
        .play()
        .await;
    let by_name = Upstream::new(
        Server {
            host: Host::parse("proxy.test").unwrap(),
            port: near.ports[0].port(),
        },
        Protocol::Socks5(None),
    );
    let script = script
        .outbound("far", Kind::Carry(Carrier::Upstream(by_name)))
        .rule(domain("far.test"), "far");
    let mut spec = script.spec();
    spec.resolvers = vec![resolver(vec![own.server()], Families::Ipv4Only)];
    spec.server_resolver = resolver(vec![other.server()], Families::Ipv4Only);
    let stage = Stage::of(spec).await;
    assert_eq!(visit(&stage, "direct.test", server.port()).await.0, 0);
    assert_eq!((own.asked().len(), other.asked().len()), (1, 0));
    // A proxy's own name is not the flow's, and the flow's is the proxy's to find.
    assert_eq!(visit(&stage, "far.test", server.port()).await.0, 0);
    assert_eq!((own.asked().len(), other.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_question_leaves_as_the_group_says() {
    let server = echo().await;
    let link = |source: &str| Uplink {
        source: Some(source.parse().unwrap()),
        ..Uplink::default()
    };
    let names = Names::start(Mood::Plain).await;
    let script = Script::new().outbound("own", direct(link("127.0.0.7")));
    let group = |uplink| select(vec![script.id("own")], uplink);
    let script = script
        .clone()
        .outbound("strong", group(link("127.0.0.9")))
        .outbound("plain", group(Uplink::default()));
    for (via, source) in [
        ("strong", [127, 0, 0, 9]),
        ("plain", [127, 0, 0, 7]),
        ("own", [127, 0, 0, 7]),
    ] {
        let via = Some(script.id(via));
        let mut spec = script.spec();
        spec.server_resolver = resolver(vec![names.by(via)], Families::Ipv4Only);
        let stage = Stage::of(spec).await;
        assert_eq!(visit(&stage, "one.test", server.port()).await.0, 0);
        assert_eq!(names.asked().pop(), Some((source.into(), 1)));
    }
}
