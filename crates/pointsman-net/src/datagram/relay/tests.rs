//! An association between a client and a server that are sockets of the test.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;

use pointsman_policy::Node;
use pointsman_policy::condition::Condition;
use pointsman_policy::fact::{Inbound, InboundKind};
use pointsman_policy::model::{Origin, Rule};
use pointsman_spec::address::Uplink;
use pointsman_spec::outbound::{Carrier, Kind, Outbound};
use pointsman_wire::RequestHost;

use super::*;
use crate::case::stage::{DIRECT, Slow, Stage};
use crate::datagram::client_side::{self, Associated};
use crate::group::Groups;
use crate::ledger::{Flows, Rules};

mod uplink;

const LISTENER: ListenerId = ListenerId(1);

struct Play {
    shared: Arc<Shared>,
    /// The client's connection and its socket, and where it sends.
    _control: std::net::TcpStream,
    client: UdpSocket,
    at: SocketAddr,
    server: UdpSocket,
    relay: Relay,
}

async fn play() -> Play {
    play_with(0).await
}

/// Names are found after so many turns.
async fn play_with(waits: usize) -> Play {
    play_by(Uplink::default(), waits).await
}

/// All leaves by that uplink.
#[expect(clippy::disallowed_methods, reason = "client and server are not ours")]
async fn play_by(uplink: Uplink, waits: usize) -> Play {
    let rule = Node::Rule(Rule {
        condition: Condition::Always,
        outbound: DIRECT,
        origin: Origin::default(),
        class: None,
    });
    let direct = Outbound {
        name: "DIRECT".into(),
        kind: Kind::Carry(Carrier::Direct(uplink)),
    };
    let names = Slow {
        waits,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let stage = Stage::with(vec![direct], vec![rule], names);
    let doors = HashMap::from([(LISTENER, Arc::clone(&stage.door))]);
    let generation = Generation::new(
        stage.generation.spec().clone(),
        doors,
        Groups::default(),
        Rules::default(),
        Vec::new(),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let control = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, from) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let accepted = tokio::net::TcpStream::from_std(accepted).unwrap();
    let bind = || async { UdpSocket::bind("127.0.0.1:0").await.unwrap() };
    let (client, server, socket) = (bind().await, bind().await, bind().await);
    let at = socket.local_addr().unwrap();
    let name = Arc::clone(&stage.door.spec.name);
    let flows = &stage.shared.flows;
    let ticket = Ticket::take(flows, generation.number(), name, 0, Default::default());
    let inbound = Inbound {
        kind: InboundKind::Socks5,
        name: None,
        port: None,
        user: None,
    };
    let owner = Owner::Client(from.ip());
    let limits = &generation.spec().datagrams;
    let (wakers, seat) = Stand::sit(&stage.shared, owner, limits).unwrap();
    let relay = Relay::new(Stand {
        _taken: None,
        wakers,
        seat,
        shared: Arc::clone(&stage.shared),
        tasks: Tasks::new(),
        generation: Arc::new(generation),
        listener: LISTENER,
        control: Box::pin(ended(accepted.into())),
        ticket: Some(ticket),
        client_side: ClientSide::Association(Associated::new(from.ip(), 0), inbound),
        socket,
        local: LocalAddr::new(at),
    });
    Play {
        shared: stage.shared,
        _control: control,
        client,
        at,
        server,
        relay,
    }
}

impl Play {
    /// Has the client say something to the server, and the server hear it.
    async fn say(&mut self, words: &[u8]) {
        let to = self.server.local_addr().unwrap();
        let mut datagram = Vec::new();
        client_side::write_head(&mut datagram, &RequestHost::Address(to.ip()), to.port());
        datagram.extend_from_slice(words);
        self.client.send_to(&datagram, self.at).await.unwrap();
        let hearing = async {
            let mut heard = vec![0; 64];
            let length = self.server.recv(&mut heard).await.unwrap();
            heard.truncate(length);
            heard
        };
        let mut hearing = pin!(hearing);
        let relay = &mut self.relay;
        let heard = poll_fn(|cx| {
            assert!(Pin::new(&mut *relay).poll(cx).is_pending());
            hearing.as_mut().poll(cx)
        })
        .await;
        assert_eq!(heard, words);
    }
}

#[tokio::test]
async fn a_flow_that_has_lived_for_long_is_still_closed_by_an_operator() {
    let mut play = play().await;
    play.say(b"hello").await;
    let live = play.shared.flows.live();
    let flow = live.last().unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    // A look lets it grow old, which wakes whoever carries it.
    play.shared.flows.look();
    tokio::time::resume();
    play.say(b"still there").await;
    flow.close(Closed::Operator);
    let relay = &mut play.relay;
    poll_fn(|cx| {
        assert!(Pin::new(&mut *relay).poll(cx).is_pending());
        match flow.record().ended {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    })
    .await;
    assert_eq!(flow.record().ended, Some(End::Stopped(By::Operator)));
}

#[tokio::test]
async fn what_is_dropped_is_not_counted_as_carried() {
    let mut play = play().await;
    // The system refuses it: the socket may not send to all hosts of a network.
    let all_hosts = RequestHost::Address([127, 255, 255, 255].into());
    let mut datagram = Vec::new();
    client_side::write_head(&mut datagram, &all_hosts, 9);
    datagram.extend_from_slice(b"to nobody");
    play.client.send_to(&datagram, play.at).await.unwrap();
    play.say(b"hello").await;
    let relay = &mut play.relay;
    let flows = Arc::clone(&play.shared.flows);
    let failed = poll_fn(|cx| {
        assert!(Pin::new(&mut *relay).poll(cx).is_pending());
        match flows.recent().last() {
            Some(record) => Poll::Ready(Arc::clone(record)),
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await;
    assert!(matches!(failed.ended, Some(End::Failed(..))), "{failed:?}");
    assert_eq!(failed.bytes_sent, 0);
    let carried = flows.live();
    assert_eq!(carried.last().unwrap().record().bytes_sent, 5);
}

#[tokio::test]
async fn what_ends_an_association_ends_flows_that_are_still_decided() {
    let mut play = play_with(usize::MAX).await;
    let association = Arc::clone(play.shared.flows.live().first().unwrap());
    let mut datagram = Vec::new();
    client_side::write_head(&mut datagram, &RequestHost::Name("slow.test".into()), 53);
    datagram.extend_from_slice(b"a question");
    play.client.send_to(&datagram, play.at).await.unwrap();
    let (relay, flows) = (&mut play.relay, &play.shared.flows);
    poll_fn(|cx| {
        assert!(Pin::new(&mut *relay).poll(cx).is_pending());
        match flows.live().len() {
            2 => Poll::Ready(()),
            _ => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await;
    association.close(Closed::Operator);
    Pin::new(&mut *relay).await;
    while !flows.live().is_empty() {
        tokio::task::yield_now().await;
    }
    for record in flows.recent() {
        let ended = &record.ended;
        assert_eq!(ended, &Some(End::Stopped(By::Operator)), "{record:?}");
    }
}
