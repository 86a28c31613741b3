//! Forwards of UDP that are flooded: datagrams of senders who are nobody, and a client among them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pointsman_net::lookup::{Addresses, Answer, Asking, LookingUp, Question, Resolve, Transport};
use pointsman_net::plane::Loss;
use pointsman_policy::{Domain, Host};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::datagrams::{client, echo, forward, is_answered, lost, silent, udp};
use crate::stage::{Forward, PATIENCE, Stage, spec};

/// Finds every name on the loopback, until it finds nothing any more and goes on searching.
#[derive(Debug, Default)]
struct Fading(AtomicBool);

impl Resolve for Fading {
    fn ask<'a>(&'a self, _: &'a Question, _: &'a dyn Transport) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Failed("not asked here".into())))
    }

    fn addresses<'a>(&'a self, _: &'a Domain, _: &'a dyn Transport) -> LookingUp<'a> {
        Box::pin(async {
            if self.0.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(Addresses::fixed(vec![Ipv4Addr::LOCALHOST.into()]))
        })
    }
}

/// One datagram of each of so many senders.
async fn flood(to: SocketAddr, senders: u16) {
    for sender in 0..senders {
        let [high, low] = sender.to_be_bytes();
        let forged = Ipv4Addr::new(127, 8, high, low);
        let forged = UdpSocket::bind((forged, 0)).await.unwrap();
        forged.send_to(b"forged", to).await.unwrap();
    }
}

/// A plane with these forwards where so many flows may be, and where each listens.
async fn stage(
    forwards: Vec<Forward>,
    flows: u16,
    names: Arc<dyn Resolve>,
) -> (Stage, Vec<SocketAddr>) {
    stage_for(&[], forwards, flows, names).await
}

/// The same, for these sources alone.
async fn stage_for(
    allow: &[&str],
    forwards: Vec<Forward>,
    flows: u16,
    names: Arc<dyn Resolve>,
) -> (Stage, Vec<SocketAddr>) {
    let mut spec = spec(1, allow, forwards);
    spec.datagrams.flows = flows.into();
    spec.server_resolver = names;
    let stage = Stage::play(spec).await;
    let at = stage.at.iter().map(|it| it.at.address().unwrap());
    let at = at.collect();
    (stage, at)
}

#[tokio::test]
async fn flows_that_are_decided_without_end_take_no_place_of_one_that_was_answered() {
    const FLOWS: u16 = 200;
    let target = echo().await;
    let names = Arc::<Fading>::default();
    let host = Host::Name(Domain::parse("target.test").unwrap());
    let forward = forward("f", udp(host, target.port()));
    let (stage, at) = stage(vec![forward], FLOWS, names.clone()).await;
    // Of one address, which has more flows than any forged one.
    let players = [
        client(at[0]).await,
        client(at[0]).await,
        client(at[0]).await,
    ];
    for player in &players {
        assert!(is_answered(player).await);
    }
    names.0.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        flood(at[0], 2 * FLOWS).await;
        for player in &players {
            assert!(is_answered(player).await);
        }
    }
    let live = stage.plane().flows();
    assert_eq!(live.len(), usize::from(FLOWS / 4) + players.len());
    assert!(lost(&stage, Loss::Unanswered) > 0);
    assert_eq!(lost(&stage, Loss::GaveWay), 0, "nobody's flow had to go");
}

#[tokio::test]
async fn flows_that_nobody_answers_take_no_place_of_another_forwards() {
    const FLOWS: u16 = 100;
    const PLAYERS: u16 = 60;
    let address = |at: SocketAddr| udp(Host::Address(at.ip()), at.port());
    let forwards = vec![
        forward("games", address(echo().await)),
        forward("flooded", address(silent().await)),
    ];
    let (stage, at) = stage(forwards, FLOWS, Arc::<Fading>::default()).await;
    let mut players = Vec::new();
    for _ in 0..PLAYERS {
        let player = client(at[0]).await;
        assert!(is_answered(&player).await);
        players.push(player);
    }
    flood(at[1], 5 * FLOWS).await;
    let of = |name: &str| {
        let live = stage.plane().flows();
        let records = live.iter().map(|live| live.record());
        records
            .filter(|it| it.outbound.as_deref() == Some(name))
            .count()
    };
    let flooded = async {
        // Where deciding is slow, more are lost at once and fewer give way.
        let gone = || lost(&stage, Loss::GaveWay) + lost(&stage, Loss::Unanswered);
        while gone() < u64::from(FLOWS) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, flooded).await.unwrap();
    assert_eq!(of("games"), usize::from(PLAYERS));
    assert!(of("flooded") <= 2 * 16, "{}", of("flooded"));
    for player in &players {
        assert!(is_answered(player).await);
    }
}

#[tokio::test]
async fn who_is_not_allowed_costs_no_place_and_no_record() {
    const FLOWS: u16 = 4;
    let address = |at: SocketAddr| udp(Host::Address(at.ip()), at.port());
    let forwards = vec![forward("f", address(echo().await))];
    let allow = ["127.0.0.1/32", "::1/128"];
    let names = Arc::<Fading>::default();
    let (stage, at) = stage_for(&allow, forwards, FLOWS, names).await;
    flood(at[0], 100).await;
    let dropped = async {
        while lost(&stage, Loss::NotAllowed) < 100 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, dropped).await.unwrap();
    assert!(stage.plane().flows().is_empty());
    assert!(stage.plane().recent().is_empty());
    assert!(is_answered(&client(at[0]).await).await);
    assert_eq!(lost(&stage, Loss::Flows), 0);
}
