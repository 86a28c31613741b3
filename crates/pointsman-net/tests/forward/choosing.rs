//! Which target a connection gets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pointsman_net::forward::{Balance, Target};
use pointsman_net::record::{End, FlowRecord};
use pointsman_net::resolver::Families;
use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;

use crate::stage::*;

fn member(record: &FlowRecord) -> &str {
    record.member.as_deref().unwrap_or("")
}

#[tokio::test]
async fn the_first_that_can_be_reached_serves() {
    let live = greeter("live").await;
    let mut forward = to([tcp("dead", nobody()), tcp("live", live), tcp("third", live)]);
    forward.balance = Balance::Failover;
    let stage = Stage::of(forward).await;
    stage.hears("live").await;
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.outbound.as_deref(), Some("f"));
    assert_eq!(member(&record), "live");
    assert_eq!(&*record.listener, "f");
    assert!(direct(&record));
    assert_eq!(record.ended, Some(End::Closed));
    let inbound = record.facts.inbound.known().unwrap();
    assert_eq!(inbound.kind, InboundKind::Forward);
    assert_eq!(inbound.port, Some(stage.port().port()));
    assert_eq!(
        record.facts.destination.known(),
        Some(&Host::Address(stage.port().ip()))
    );
}

#[tokio::test]
async fn where_none_can_be_reached_the_client_is_closed_and_the_record_names_each() {
    let mut forward = to([tcp("a", nobody()), tcp("b", nobody())]);
    forward.balance = Balance::Failover;
    let stage = Stage::of(forward).await;
    assert!(stage.closes().await);
    let record = stage.records(1).await.remove(0);
    let Some(End::Failed(why)) = &record.ended else {
        panic!("{:?}", record.ended)
    };
    assert!(why.contains("a: ") && why.contains("b: "), "{why}");
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn without_a_balance_the_first_alone_is_tried() {
    let live = greeter("live").await;
    let stage = Stage::of(to([tcp("dead", nobody()), tcp("live", live)])).await;
    assert!(stage.closes().await);
    let record = stage.records(1).await.remove(0);
    assert_eq!(member(&record), "dead");
    assert!(matches!(record.ended, Some(End::Failed(_))));
}

#[tokio::test]
async fn turns_go_round_and_do_not_fail_over() {
    let (a, b) = (greeter("a").await, greeter("b").await);
    let mut forward = to([tcp("a", a), tcp("dead", nobody()), tcp("b", b)]);
    forward.balance = Balance::RoundRobin;
    let stage = Stage::of(forward).await;
    for round in 0..2 {
        stage.hears("a").await;
        stage.records(round * 3 + 1).await;
        assert!(stage.closes().await);
        stage.records(round * 3 + 2).await;
        stage.hears("b").await;
        stage.records(round * 3 + 3).await;
    }
    let members: Vec<String> = stage
        .records(6)
        .await
        .iter()
        .map(|record| member(record).to_owned())
        .collect();
    assert_eq!(members, ["a", "dead", "b", "a", "dead", "b"]);
}

#[tokio::test]
async fn attempts_are_apart_by_a_pause_that_doubles() {
    let tries = Target {
        attempts: 3,
        backoff: Duration::from_millis(100),
        ..tcp("dead", nobody())
    };
    let stage = Stage::of(to([tries])).await;
    assert!(stage.closes().await);
    let took = Duration::from_micros(stage.records(1).await[0].took.dial_us);
    let pauses = Duration::from_millis(300);
    assert!(took >= pauses && took < PATIENCE, "{took:?}");
}

#[tokio::test]
async fn a_target_that_comes_back_between_attempts_serves() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = place.local_addr().unwrap();
    drop(place);
    let tries = Target {
        attempts: 40,
        backoff: Duration::from_millis(1),
        ..tcp("late", at)
    };
    let stage = Stage::of(to([tries])).await;
    let mut client = stage.connect().await;
    stage.living(1).await;
    let listener = tokio::net::TcpListener::bind(at).await.unwrap();
    client.send("hello").await;
    let (served, _) = listener.accept().await.unwrap();
    tokio::spawn(echoing(served));
    client.expect("hello").await;
}

/// The families that the target saw, of a client of each family.
async fn families(same_family: bool, target: impl Fn(u16) -> Target) -> [Option<&'static str>; 2] {
    // One port on both loopbacks; another process may hold the second, so try a few.
    let (four, six) = loop {
        let four = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = four.local_addr().unwrap().port();
        if let Ok(six) = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            break (four, six);
        }
    };
    let port = four.local_addr().unwrap().port();
    for (listener, name) in [(four, "4"), (six, "6")] {
        std::thread::spawn(move || {
            while let Ok((mut client, _)) = listener.accept() {
                let _ = std::io::Write::write_all(&mut client, name.as_bytes());
            }
        });
    }
    let mut forward = to([target(port)]);
    forward.listen = vec![local(), listen(Ipv6Addr::LOCALHOST)];
    forward.same_family = same_family;
    let stage = Stage::of(forward).await;
    let mut seen = [None; 2];
    for (seen, at) in seen.iter_mut().zip(&stage.at) {
        let heard = match tokio::net::TcpStream::connect(at.at.tcp().unwrap()).await {
            Ok(socket) => Client(socket).rest().await.unwrap_or_default(),
            Err(_reset_already) => Vec::new(),
        };
        *seen = match heard.as_slice() {
            b"4" => Some("4"),
            b"6" => Some("6"),
            _ => None,
        };
    }
    seen
}

#[tokio::test]
async fn the_client_or_the_address_says_over_which_family() {
    let both = |port| named("t", "both.test", port);
    let only = |families| {
        move |port| Target {
            families,
            ..both(port)
        }
    };
    assert_eq!(families(true, both).await, [Some("4"), Some("6")]);
    assert_eq!(families(false, both).await, [Some("4"), Some("4")]);
    let six = only(Families::Ipv6Only);
    assert_eq!(families(false, six).await, [Some("6"), Some("6")]);
    let six_first = only(Families::PreferIpv6);
    assert_eq!(families(false, six_first).await, [Some("6"), Some("6")]);
    let four = |port| named("t", "four.test", port);
    assert_eq!(families(true, four).await, [Some("4"), None]);
}

#[tokio::test]
async fn names_are_resolved_within_their_limit() {
    let silent = Target {
        resolve_timeout: Some(Duration::from_millis(30)),
        ..named("t", "silent.test", 1)
    };
    for target in [silent, named("t", "nowhere.test", 1)] {
        let stage = Stage::of(to([target])).await;
        assert!(stage.closes().await);
        let record = stage.records(1).await.remove(0);
        let Some(End::Failed(why)) = &record.ended else {
            panic!("{:?}", record.ended)
        };
        assert!(why.contains("was not resolved"), "{why}");
    }
}

#[tokio::test]
async fn a_forward_to_itself_is_a_loop() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = place.local_addr().unwrap();
    drop(place);
    let mut forward = to([tcp("me", at)]);
    forward.listen = vec![pointsman_net::forward::Listen::Tcp {
        host: Host::Address(at.ip()),
        port: at.port(),
        families: Families::default(),
    }];
    let stage = Stage::of(forward).await;
    assert!(stage.closes().await);
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.ended, Some(End::Refused));
    assert!(
        record.note.starts_with("loop guard: own listener: "),
        "{}",
        record.note
    );
    assert_eq!(stage.plane().counters().begun, 1);
}

#[tokio::test]
async fn a_forward_to_its_own_path_is_a_loop_by_whatever_way_it_leads_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.sock");
    let link = directory.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut forward = to([target("me", pointsman_net::forward::Address::Unix(link))]);
    forward
        .listen
        .push(pointsman_net::forward::Listen::Unix(path));
    let stage = Stage::of(forward).await;
    assert!(stage.closes().await);
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.ended, Some(End::Refused));
    assert!(
        record.note.starts_with("loop guard: own listener: unix:"),
        "{}",
        record.note
    );
    assert_eq!(stage.plane().counters().begun, 1);
}
