//! Decisions for a guest without a socket, and what is left of one that is dropped at any of its waits.

use std::net::{IpAddr, Ipv4Addr};

use pointsman_policy::Node;
use pointsman_policy::condition::{AddressOf, Asks, Condition};
use pointsman_policy::fact::{Look, Network, Protocol, Provenance};
use pointsman_policy::model::{Origin, Rule};
use pointsman_policy::request::{Request, Route};
use pointsman_spec::limits::SniffLimits;
use tokio::task::yield_now;

use super::stage::{DIRECT, REJECT, Slow, Stage};
use super::*;
use crate::drops::dropped_at_each_wait;
use crate::record::By;
use crate::requests::Event;
use crate::spec::listening::At;

const FOUND: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// Who is asked by the policy.
const SUBSCRIBER: u32 = 7;
/// The waits of each search that is not real.
const WAITS: usize = 2;

/// Datagrams that are held would be such a guest: it has no connection.
struct Held {
    look: Fact<Look>,
    /// After so many polls it is gone.
    patience: Option<usize>,
}

impl Guest for Held {
    async fn look(&mut self, _: SniffLimits, port: u16) -> Result<Fact<Look>, Gone> {
        assert_eq!(port, 443);
        for _ in 0..WAITS {
            yield_now().await;
        }
        Ok(self.look.clone())
    }

    async fn gone(&self) {
        match self.patience {
            Some(patience) => {
                for _ in 0..patience {
                    yield_now().await;
                }
            }
            None => std::future::pending().await,
        }
    }

    fn answered_early(&self) -> bool {
        false
    }
}

/// Rules each of which lacks something: first bytes, an address, somebody's word.
fn stage() -> Stage {
    let rule = |condition, outbound| {
        Node::Rule(Rule {
            condition,
            outbound,
            origin: Origin::default(),
            class: None,
        })
    };
    let elsewhere = Condition::Address {
        of: AddressOf::Destination,
        prefix: "198.51.100.0/24".parse().unwrap(),
        asks: Asks::Resolve,
    };
    let request = Node::Request {
        condition: Condition::Always,
        request: Request::new(SUBSCRIBER, REJECT, REJECT),
        origin: Origin::default(),
    };
    let body = vec![
        rule(Condition::Protocol(Protocol::Stun), REJECT),
        rule(elsewhere, REJECT),
        request,
        rule(Condition::Protocol(Protocol::Quic), DIRECT),
    ];
    let names = Slow {
        waits: WAITS,
        address: FOUND,
    };
    Stage::of(body, names)
}

/// A case of datagrams for a name.
fn case(stage: &Stage) -> Case {
    let facts = Facts {
        network: Network::Udp,
        destination: Fact::Known(Host::parse("quic.test").unwrap(), Provenance::Request),
        port: Fact::Known(443, Provenance::Request),
        ..Facts::default()
    };
    stage.case(facts, Ends::default())
}

/// Answers whatever is asked with "go on", until the test ends.
fn subscribe(stage: &Stage) {
    let requests = Arc::clone(&stage.shared.requests);
    let mut subscription = requests.subscribe(&[SUBSCRIBER]).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the subscriber is not ours")]
    tokio::task::spawn(async move {
        while let Some(event) = subscription.next().await {
            if let Event::Asked(question) = event {
                let go_on = Some(Answer::Route(Route::Continue));
                requests.answer(subscription.number(), question.number, go_on);
            }
        }
    });
}

fn quic() -> Held {
    let look = Look {
        protocol: Protocol::Quic,
        ..Look::default()
    };
    Held {
        look: Fact::Known(look, Provenance::Quic),
        patience: None,
    }
}

async fn decided(stage: &Stage, mut guest: Held) -> Result<Choice, Gone> {
    case(stage).decide(&mut guest).await
}

/// How many of the facts that the policy lacked are found.
fn found(record: &FlowRecord) -> usize {
    let sought = &record.facts.sought;
    let each = [
        matches!(sought.look, Fact::Known(..)),
        matches!(sought.resolved, Fact::Known(..)),
        !sought.verdicts.is_empty(),
    ];
    each.into_iter().filter(|known| *known).count()
}

#[tokio::test]
async fn a_guest_without_a_socket_is_decided_on() {
    let stage = stage();
    subscribe(&stage);
    let choice = decided(&stage, quic()).await;
    assert!(
        matches!(&choice, Ok(Choice::Open(pick)) if pick.member == DIRECT),
        "{choice:?}"
    );
    let record = stage.last();
    assert_eq!(record.facts.network, Network::Udp);
    assert_eq!(record.outbound.as_deref(), Some("DIRECT"));
    assert_eq!(found(&record), 3);
    assert_eq!(record.incidents.waits.len(), 1);
    let resolved = record.facts.sought.resolved.known();
    assert_eq!(resolved.map(Vec::as_slice), Some(&[FOUND][..]));
}

/// What has the number of a listener's port, but of UDP, is another program's.
#[tokio::test]
async fn a_listener_takes_no_datagrams() {
    let direct = Node::Rule(Rule {
        condition: Condition::Always,
        outbound: DIRECT,
        origin: Origin::default(),
        class: None,
    });
    let names = Slow {
        waits: 0,
        address: FOUND,
    };
    let stage = Stage::of(vec![direct], names);
    stage
        .shared
        .listens_at(vec![At::Tcp(([192, 0, 2, 9], 443).into())]);
    for (network, is_served) in [(Network::Tcp, false), (Network::Udp, true)] {
        let facts = Facts {
            network,
            destination: Fact::Known(Host::parse("192.0.2.9").unwrap(), Provenance::Request),
            port: Fact::Known(443, Provenance::Request),
            ..Facts::default()
        };
        let mut case = stage.case(facts, Ends::default());
        let choice = case.decide(&mut quic()).await;
        let opened = matches!(choice, Ok(Choice::Open(_)));
        assert_eq!(opened, is_served, "{network:?}: {choice:?}");
    }
}

#[tokio::test]
async fn there_may_be_nothing_to_look_at() {
    let stage = stage();
    subscribe(&stage);
    let guest = Held {
        look: Fact::Absent,
        patience: None,
    };
    // No rule is left that fits.
    let choice = decided(&stage, guest).await;
    assert!(
        matches!(choice, Ok(Choice::Refuse(Unserved::Reset, _))),
        "{choice:?}"
    );
    assert_eq!(stage.last().facts.sought.look, Fact::Absent);
}

#[tokio::test]
async fn a_guest_that_goes_is_waited_for_no_longer() {
    let stage = stage();
    // Somebody who never answers.
    let _mute = stage.shared.requests.subscribe(&[SUBSCRIBER]).unwrap();
    let guest = Held {
        patience: Some(8),
        ..quic()
    };
    let choice = decided(&stage, guest).await;
    assert!(matches!(choice, Err(Gone)), "{choice:?}");
    assert_eq!(stage.shared.requests.waiting(), 0);
    assert_eq!(found(&stage.last()), 2);
}

#[tokio::test]
async fn one_that_is_dropped_at_any_wait_leaves_its_record_and_nothing_else() {
    let stage = stage();
    subscribe(&stage);
    let mut before = 0;
    let (choice, polls) = dropped_at_each_wait(
        || decided(&stage, quic()),
        async |times| {
            let Stage {
                shared,
                generation,
                door,
            } = &stage;
            assert!(shared.flows.live().is_empty(), "{times}");
            assert_eq!(shared.flows.recent().len(), times);
            assert_eq!(shared.requests.waiting(), 0, "{times}");
            assert_eq!(Arc::strong_count(generation), 1, "{times}");
            assert_eq!(Arc::strong_count(door), 1, "{times}");
            if times > 0 {
                let record = stage.last();
                assert_eq!(record.ended, Some(End::Stopped(By::Shutdown)), "{times}");
                assert!(record.decision.is_none(), "{times}");
                // What was found by then is not lost, however it ended.
                assert!(found(&record) >= before, "{times}");
                before = found(&record);
            }
        },
    )
    .await;
    assert!(matches!(choice, Ok(Choice::Open(_))), "{choice:?}");
    assert_eq!(before, 2);
    // Two searches of so many waits, and the word of a subscriber.
    assert!(polls > 2 * WAITS + 1, "{polls}");
}
