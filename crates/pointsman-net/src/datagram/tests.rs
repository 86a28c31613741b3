//! What is left of an association, and of a flow that is decided, where it is dropped at any of its waits: nothing.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use pointsman_policy::condition::{AddressOf, Asks, Condition};
use pointsman_policy::fact::{Fact, Facts, Inbound, InboundKind, Network, Protocol, Provenance};
use pointsman_policy::model::{Origin, Rule};
use pointsman_policy::{Host, Node};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::association::{self, Association};
use super::decide;
use super::hold_queue::{HoldQueue, Sender};
use super::marks::Marks;
use super::quota::Owner;
use crate::case::stage::{DIRECT, REJECT, Slow, Stage};
use crate::drops::{dropped_at_each_wait, polled};
use crate::ends::{ClientAddr, Ends, LocalAddr};
use crate::record::{By, End};
use crate::spec::listening::ListenerId;
use crate::stream::Stream;
use crate::tasks::Tasks;

const LISTENER: ListenerId = ListenerId(1);
const PATIENCE: Duration = Duration::from_secs(20);
const PAYLOAD: &[u8] = b"a question";
/// The turns that it takes to find an address.
const TURNS: usize = 3;

/// Rules that lack the first datagrams, and an address that is found after some turns.
fn stage() -> Stage {
    let rule = |condition| {
        Node::Rule(Rule {
            condition,
            outbound: REJECT,
            origin: Origin::default(),
            class: None,
        })
    };
    let elsewhere = Condition::Address {
        of: AddressOf::Destination,
        prefix: "198.51.100.0/24".parse().unwrap(),
        asks: Asks::Resolve,
    };
    let body = vec![
        rule(Condition::Protocol(Protocol::Ssh)),
        rule(elsewhere),
        Node::Leaf {
            outbound: DIRECT,
            origin: Origin::default(),
        },
    ];
    let names = Slow {
        waits: TURNS,
        address: Ipv4Addr::LOCALHOST.into(),
    };
    Stage::led_to_by(&[LISTENER], body, names)
}

fn client() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 5000).into()
}

/// No flow lives, none has a place, nothing is held.
fn is_empty(stage: &Stage) -> bool {
    let shared = &stage.shared;
    shared.flows.live().is_empty()
        && shared.datagrams.count() == (0, 0)
        && shared.datagrams.held() == 0
        && shared.relays.count() == 0
        && Arc::strong_count(&stage.generation) == 1
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_is_dropped_while_it_is_decided_leaves_its_record_and_nothing_else() {
    let stage = stage();
    let decided = || {
        let facts = Facts {
            network: Network::Udp,
            source: Fact::Known(client(), Provenance::Inbound),
            destination: Fact::Known(Host::parse("quic.test").unwrap(), Provenance::Request),
            port: Fact::Known(443, Provenance::Request),
            ..Facts::default()
        };
        let case = stage.case(facts, Ends::default());
        let limits = &stage.generation.spec().datagrams;
        let owner = Owner::Client(client().ip());
        let seat = stage
            .shared
            .datagrams
            .join(owner, Waker::noop().clone(), limits);
        let seat = seat.unwrap();
        let place = seat.enter(client().ip(), limits).unwrap();
        let held = Arc::new(HoldQueue::new(limits.held, &seat));
        assert!(held.push(PAYLOAD, Marks::default()));
        async move {
            let leaves = decide::decide(case, Sender(held)).await;
            drop((place, seat));
            leaves
        }
    };
    let (leaves, polls) = dropped_at_each_wait(decided, async |times| {
        assert!(is_empty(&stage), "{times}");
        assert_eq!(stage.shared.flows.recent().len(), times + 1);
        let ended = stage.last().ended.clone();
        assert_eq!(ended, Some(End::Stopped(By::Shutdown)), "{times}");
    })
    .await;
    assert!(leaves.is_some_and(|leaves| leaves.to == Some((Ipv4Addr::LOCALHOST, 443).into())));
    assert!(polls > TURNS, "{polls}");
    assert!(is_empty(&stage));
}

/// A client and its association, not answered yet.
#[expect(clippy::disallowed_methods, reason = "the client is not ours")]
fn asked(stage: &Stage) -> (TcpStream, Association) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let client = TcpStream::connect(at).unwrap();
    let (accepted, from) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let accepted = tokio::net::TcpStream::from_std(accepted).unwrap();
    let inbound = Inbound {
        kind: InboundKind::Socks5,
        name: None,
        port: Some(at.port()),
        user: None,
    };
    let facts = Facts {
        inbound: Fact::Known(inbound, Provenance::Inbound),
        source: Fact::Known(from, Provenance::Inbound),
        ..Facts::default()
    };
    let ends = Ends {
        client: Some(ClientAddr::new(from)),
        local: Some(LocalAddr::new(at)),
        original: None,
    };
    let association = Association {
        case: stage.case(facts, ends),
        client: Stream::from(accepted),
        announced: 0,
    };
    (client, association)
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_while_its_client_is_answered_leaves_nothing() {
    let stage = stage();
    let tasks = Tasks::new();
    // A client that reads nothing: its answer waits, until the patience is over.
    let kept = std::cell::RefCell::new(Vec::new());
    let begun = || {
        let (client, mut association) = asked(&stage);
        kept.borrow_mut().push(client);
        let tasks = tasks.clone();
        async move {
            let filling = vec![0; 64 << 10];
            while polled(1, association.client.write_all(&filling))
                .await
                .is_some()
            {}
            association::begin(association, LISTENER, &tasks).await
        }
    };
    let (relay, polls) = dropped_at_each_wait(begun, async |times| {
        assert!(is_empty(&stage), "{times}");
    })
    .await;
    assert!(relay.is_none());
    assert!(polls > 1, "{polls}");
    assert_eq!(stage.last().ended, Some(End::ClientGone));
    assert!(is_empty(&stage));
}

#[tokio::test(start_paused = true)]
async fn where_its_datagrams_come_is_known_before_its_client_is() {
    let stage = stage();
    let tasks = Tasks::new();
    let (_client, mut association) = asked(&stage);
    let filling = vec![0; 64 << 10];
    while polled(1, association.client.write_all(&filling))
        .await
        .is_some()
    {}
    let begun = std::pin::pin!(association::begin(association, LISTENER, &tasks));
    // Its answer waits: nobody can have heard where it is.
    assert!(polled(1, begun).await.is_none());
    assert_eq!(stage.shared.relays.count(), 1);
}

/// Sends what belongs to an association whose answer came.
#[expect(clippy::disallowed_methods, reason = "the client is not ours")]
fn ask_for_flows(client: &mut TcpStream, flows: u16) -> UdpSocket {
    let mut answer = [0; 10];
    client.read_exact(&mut answer).unwrap();
    let port = u16::from_be_bytes([answer[8], answer[9]]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for flow in 0..flows {
        let mut datagram = vec![0, 0, 0, 3, 9];
        datagram.extend(b"quic.test");
        datagram.extend((1000 + flow).to_be_bytes());
        datagram.extend(PAYLOAD);
        let sent = socket.send_to(&datagram, (Ipv4Addr::LOCALHOST, port));
        assert!(sent.is_ok());
    }
    socket
}

#[tokio::test]
async fn one_that_is_dropped_at_any_turn_ends_its_flows_with_it() {
    const FLOWS: u16 = 3;
    let stage = stage();
    // At each of its turns, and after the last one: until its flows are carried.
    for times in 0..100 {
        let tasks = Tasks::new();
        let (mut client, association) = asked(&stage);
        let relay = association::begin(association, LISTENER, &tasks).await;
        let relay = relay.unwrap();
        let socket = ask_for_flows(&mut client, FLOWS);
        let enough = timeout(Duration::from_secs(2), polled(times, relay)).await;
        // It waits for more than ever comes.
        let over = enough.is_err();
        drop((socket, client));
        // Whoever decides ends when it hears that nobody waits.
        let empty = async {
            while !is_empty(&stage) || tasks.count() > 0 {
                yield_now().await;
            }
        };
        let cleared = timeout(PATIENCE, empty).await;
        assert!(cleared.is_ok(), "{times}");
        if over {
            let ended = stage.shared.flows.recent();
            let carried = ended.iter().rev().take(1 + usize::from(FLOWS));
            let carried = carried.filter(|record| record.outbound.as_deref() == Some("DIRECT"));
            assert_eq!(carried.count(), usize::from(FLOWS));
            assert!(times > 1, "{times}");
            return;
        }
    }
    panic!("it never came to rest");
}
