//! Which target a connection gets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::time::Duration;

use pointsman_net::record::{End, FlowRecord};
use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Host, OutboundId};
use pointsman_spec::address::{Endpoint, Families, Uplink};
use pointsman_spec::outbound::{Balance, Carrier, Group, How, Kind, Refusal};

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
    assert_eq!(ways(&[std::sync::Arc::clone(&record)]), ["dead x1, live"]);
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
    let Some(End::Failed(_, why)) = &record.ended else {
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
    assert!(matches!(record.ended, Some(End::Failed(..))));
}

/// The target that each connection reached, and those that failed before it.
fn ways(records: &[std::sync::Arc<FlowRecord>]) -> Vec<String> {
    let way = |record: &std::sync::Arc<FlowRecord>| {
        let tried = record.incidents.attempts.iter().map(|attempt| {
            assert!(attempt.error.contains("refused"), "{}", attempt.error);
            format!("{} x{}, ", attempt.target, attempt.times)
        });
        format!("{}{}", tried.collect::<String>(), member(record))
    };
    records.iter().map(way).collect()
}

#[tokio::test]
async fn turns_go_round_and_go_on_where_one_is_dead() {
    let (a, b) = (greeter("a").await, greeter("b").await);
    let mut forward = to([tcp("a", a), tcp("dead", nobody()), tcp("b", b)]);
    forward.balance = Balance::RoundRobin;
    let stage = Stage::of(forward).await;
    for (count, heard) in ["a", "b", "b", "a", "b", "b"].into_iter().enumerate() {
        stage.hears(heard).await;
        stage.records(count + 1).await;
    }
    let expected = ["a", "dead x1, b", "b", "a", "b", "b"];
    assert_eq!(ways(&stage.records(6).await), expected);
}

#[tokio::test]
async fn a_dead_first_target_costs_one_connection_and_not_each() {
    let live = greeter("live").await;
    let dead = Target {
        attempts: 2,
        ..tcp("dead", nobody())
    };
    let mut forward = to([dead, tcp("live", live)]);
    forward.balance = Balance::Failover;
    let stage = Stage::of(forward).await;
    for count in 1..=4 {
        stage.hears("live").await;
        stage.records(count).await;
    }
    let records = stage.records(4).await;
    assert_eq!(ways(&records), ["dead x2, live", "live", "live", "live"]);
    let json = records[0].to_json();
    assert_eq!(json["attempts"][0]["target"], "dead");
    assert_eq!(json["attempts"][0]["times"], 2);
    assert_eq!(json["member"], "live");
    assert!(json.get("passed_by").is_none(), "{json}");
    for record in &records[1..] {
        let json = record.to_json();
        assert!(json.get("attempts").is_none(), "{json}");
        assert_eq!(json["passed_by"][0]["target"], "dead", "{json}");
        let reason = json["passed_by"][0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("is not tried for "), "{reason}");
        assert!(reason.ends_with(" s after 1 failure"), "{reason}");
    }
}

#[tokio::test]
async fn what_has_failed_everywhere_is_tried_again() {
    let mut forward = to([tcp("a", nobody()), tcp("b", nobody())]);
    forward.balance = Balance::Failover;
    let stage = Stage::of(forward).await;
    for count in 1..=2 {
        assert!(stage.closes().await);
        stage.records(count).await;
    }
    let expected = ["a x1, b x1, b"; 2];
    assert_eq!(ways(&stage.records(2).await), expected);
}

#[tokio::test]
async fn no_more_targets_than_may_be_are_tried() {
    let live = greeter("live").await;
    for balance in [Balance::Failover, Balance::RoundRobin] {
        let mut forward = to([tcp("a", nobody()), tcp("b", nobody()), tcp("live", live)]);
        forward.balance = balance;
        forward.retry.targets = NonZeroUsize::new(2);
        let stage = Stage::of(forward).await;
        assert!(stage.closes().await);
        assert_eq!(ways(&stage.records(1).await), ["a x1, b x1, b"]);
        // Both are known to be dead by now.
        stage.hears("live").await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_target_that_is_down_gives_its_place_back() {
    for reset in [false, true] {
        let down = Target {
            attempts: u32::MAX,
            backoff: PATIENCE * 10,
            ..tcp("down", nobody())
        };
        let mut forward = to([down]);
        forward.connection_limit = 1;
        let stage = Stage::of(forward).await;
        for count in 1..=2 {
            let client = stage.connect().await;
            stage.living(1).await;
            if reset {
                pointsman_os::socket::reset_on_close(&client.0).unwrap();
            }
            drop(client);
            let records = stage.records(count).await;
            assert!(
                records.iter().all(|r| r.ended == Some(End::ClientGone)),
                "{records:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_left_without_a_word_does_not_wait_for_a_target_that_does_not_answer() {
    let silent = Target {
        resolve_timeout: Some(PATIENCE * 10),
        connect_timeout: Some(PATIENCE * 10),
        ..named("t", "silent.test", 1)
    };
    let mut forward = to([silent]);
    forward.connection_limit = 1;
    let stage = Stage::of(forward).await;
    for count in 1..=2 {
        let client = stage.connect().await;
        stage.living(1).await;
        drop(client);
        let record = stage.records(count).await.pop().unwrap();
        assert_eq!(record.ended, Some(End::ClientGone));
    }
}

#[tokio::test]
async fn a_client_whose_flow_is_stopped_in_the_dial_is_reset() {
    let silent = Target {
        resolve_timeout: Some(PATIENCE * 10),
        connect_timeout: Some(PATIENCE * 10),
        ..named("t", "silent.test", 1)
    };
    let stage = Stage::of(to([silent])).await;
    let mut client = stage.connect().await;
    stage.living(1).await;
    let id = stage.plane().flows()[0].id;
    assert!(stage.plane().close(id).is_some());
    let error = client.rest().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_said_all_waits_for_a_target_that_comes_back() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = place.local_addr().unwrap();
    drop(place);
    let tries = Target {
        attempts: u32::MAX,
        backoff: Duration::from_millis(5),
        ..tcp("late", at)
    };
    let stage = Stage::of(to([tries])).await;
    let mut client = stage.connect().await;
    client.send("hello").await;
    client.finish().await;
    let tried = async {
        while stage
            .plane()
            .flows()
            .iter()
            .all(|flow| flow.record().incidents.attempts.is_empty())
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tried).await.unwrap();
    let listener = tokio::net::TcpListener::bind(at).await.unwrap();
    let (served, _) = listener.accept().await.unwrap();
    tokio::spawn(echoing(served));
    assert_eq!(client.rest().await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_client_that_breaks_off_ends_a_look_up() {
    let mut forward = to([named("t", "silent.test", 1)]);
    forward.connection_limit = 1;
    let mut spec = spec(1, &[], vec![forward]);
    spec.timeouts.resolve = PATIENCE * 10;
    let stage = Stage::play(spec).await;
    let client = stage.connect().await;
    stage.living(1).await;
    pointsman_os::socket::reset_on_close(&client.0).unwrap();
    drop(client);
    assert_eq!(stage.records(1).await[0].ended, Some(End::ClientGone));
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
    families_by(same_family, target, Kind::Refuse(Refusal::Blackhole)).await
}

/// The same with `extra` as the outbound 2, which the target may name.
async fn families_by(
    same_family: bool,
    target: impl Fn(u16) -> Target,
    extra: Kind,
) -> [Option<&'static str>; 2] {
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
    let stage = Stage::play(spec_with(1, &[], vec![forward], extra)).await;
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

/// An uplink of its own, by which the loopback is reached all the same.
fn by_loopback() -> Kind {
    Kind::Carry(Carrier::Direct(Uplink {
        source: Some(Ipv4Addr::LOCALHOST.into()),
        ..Uplink::default()
    }))
}

#[tokio::test]
async fn a_direct_outbound_on_the_way_takes_nothing_from_a_targets_family() {
    let six_first = |port| Target {
        families: Families::PreferIpv6,
        via: Some(OutboundId(2)),
        ..named("t", "both.test", port)
    };
    let direct = || Kind::Carry(Carrier::Direct(Uplink::default()));
    let seen = families_by(false, six_first, direct()).await;
    assert_eq!(seen, [Some("6"), Some("6")]);
    // By way of a group, too.
    let group = Kind::Choose(Group {
        members: vec![OutboundId(0)],
        how: How::Selected {
            uplink: Uplink::default(),
        },
    });
    let seen = families_by(false, six_first, group).await;
    assert_eq!(seen, [Some("6"), Some("6")]);
}

#[tokio::test]
async fn names_are_resolved_within_their_limit() {
    let silent = Target {
        resolve_timeout: Some(Duration::from_millis(30)),
        ..named("t", "silent.test", 1)
    };
    let by_way = Target {
        via: Some(OutboundId(2)),
        ..silent.clone()
    };
    let nowhere = named("t", "nowhere.test", 1);
    for (target, expected) in [
        (silent, "`silent.test` was not resolved"),
        (by_way, "no answer within 30ms"),
        (nowhere, "there is no name nowhere.test"),
    ] {
        let stage = Stage::play(spec_with(1, &[], vec![to([target])], by_loopback())).await;
        assert!(stage.closes().await);
        let record = stage.records(1).await.remove(0);
        let Some(End::Failed(_, why)) = &record.ended else {
            panic!("{:?}", record.ended)
        };
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test]
async fn a_forward_to_itself_is_a_loop() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = place.local_addr().unwrap();
    drop(place);
    let mut forward = to([tcp("me", at)]);
    forward.listen = vec![at.into()];
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
    let mut forward = to([target("me", Endpoint::Unix(link))]);
    forward.listen.push(Endpoint::Unix(path).into());
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
