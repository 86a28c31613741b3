//! What is left of a flow that is dropped at any of its waits.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use pointsman_policy::model::Origin;
use pointsman_policy::{Facts, Node};

use super::*;
use crate::case::stage::{BLACKHOLE, Slow, Stage};
use crate::drops::{dropped_at_each_wait, polled};
use crate::ends::Ends;
use crate::shared::SILENCES;

/// A client that says this, and the same client as a flow sees it.
#[expect(clippy::disallowed_methods, reason = "the client is not ours")]
fn client(says: &[u8]) -> (TcpStream, Stream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(says).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let accepted = tokio::net::TcpStream::from_std(accepted).unwrap();
    (client, Stream::from(accepted))
}

const GREETING: [u8; 3] = [5, 1, 0];
const REQUEST: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 7, 0, 80];

fn silent() -> Stage {
    let body = vec![Node::Leaf {
        outbound: BLACKHOLE,
        origin: Origin::default(),
    }];
    let names = Slow {
        waits: 0,
        address: Ipv4Addr::LOCALHOST.into(),
    };
    Stage::of(body, names)
}

fn begun(stage: &Stage, client: Stream) -> Begin {
    Begin {
        case: stage.case(Facts::default(), Ends::default()),
        client,
        bound: None,
    }
}

/// Nothing is left but the record, and of the client nothing.
fn check(stage: &Stage, mut client: TcpStream, decided: bool) {
    let Stage {
        shared,
        generation,
        door,
    } = stage;
    assert!(shared.flows.live().is_empty());
    assert_eq!(shared.silences.free(), SILENCES);
    assert_eq!(Arc::strong_count(generation), 1);
    assert_eq!(Arc::strong_count(door), 1);
    let record = stage.last();
    assert_eq!(record.ended, Some(End::Stopped(By::Shutdown)));
    assert_eq!(record.decision.is_some(), decided);
    assert_eq!(record.facts.destination.known().is_some(), decided);
    let mut rest = Vec::new();
    let _broken = client.read_to_end(&mut rest);
    // No answer that was not due.
    assert!(rest.len() <= 2, "{rest:?}");
}

#[tokio::test]
async fn a_flow_that_is_dropped_in_its_handshake_is_written_down_and_occupies_nothing() {
    let stage = silent();
    for says in [&[][..], &GREETING, &[&GREETING[..], &REQUEST[..4]].concat()] {
        let (client, accepted) = client(says);
        let next = polled(1, run(begun(&stage, accepted))).await;
        assert!(next.is_none());
        check(&stage, client, false);
    }
}

#[tokio::test]
async fn one_that_is_dropped_after_its_decision_is_no_other() {
    let stage = silent();
    let said = [&GREETING[..], &REQUEST].concat();
    let kept = std::cell::RefCell::new(None);
    let flow = || {
        let (client, accepted) = client(&said);
        *kept.borrow_mut() = Some(client);
        run(begun(&stage, accepted))
    };
    let mut waits = 0;
    let (next, _) = dropped_at_each_wait(flow, async |times| {
        let client = kept.borrow_mut().take().unwrap();
        if times > 0 {
            waits += 1;
            check(&stage, client, true);
        }
    })
    .await;
    assert!(matches!(next, Next::Over));
    assert!(waits > 0);
    assert_eq!(stage.last().ended, Some(End::Refused));
    assert_eq!(stage.shared.silences.free(), SILENCES);
}

#[test]
fn what_is_left_of_a_flow_that_relays_is_small() {
    assert!(
        size_of::<Relaying>() <= 256,
        "{} bytes",
        size_of::<Relaying>()
    );
}
