//! A flood of look-ups, to a server that says nothing.

#![expect(clippy::disallowed_methods, reason = "the servers are not ours")]

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pointsman_policy::{Domain, OutboundId};
use pointsman_spec::address::Uplink;
use pointsman_spec::resolver::{NameServer, Place as At, ResolverSpec};
use tokio::net::UdpSocket;

use super::*;
use crate::dial::Dialer;
use crate::lookup::{Behalf, LookingUp, NotFound, Picks, Resolve, Streaming, Transport};
use crate::resolver::{Resolver, Station};
use crate::tasks::Tasks;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
struct From {
    behalf: Behalf,
    dialer: Dialer,
    tasks: Tasks,
}

impl Transport for From {
    fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    fn datagrams(&self, _: OutboundId) -> Option<Uplink> {
        None
    }

    fn stream<'a>(
        &'a self,
        _: Option<OutboundId>,
        _: &'a [SocketAddr],
        _: Duration,
    ) -> Streaming<'a> {
        Box::pin(async { Err("no streams here".to_owned()) })
    }

    fn bootstrap<'a>(&'a self, _: &'a Domain) -> LookingUp<'a> {
        Box::pin(async { Err(NotFound::Failed("no names here".into())) })
    }

    fn picks(&self, _: OutboundId) -> Picks {
        Picks::new()
    }

    fn depth(&self) -> u8 {
        1
    }

    fn behalf(&self) -> Behalf {
        self.behalf
    }

    fn questions(&self) -> &Tasks {
        &self.tasks
    }

    fn connections(&self) -> &Tasks {
        &self.tasks
    }

    fn share(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }
}

fn client(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn on_behalf_of(behalf: Behalf) -> From {
    From {
        behalf,
        dialer: Dialer::new(None),
        tasks: Tasks::new(),
    }
}

/// A resolver with so many sockets whose names below `told` are answered.
async fn resolver(most: usize) -> (Arc<Resolver>, UdpSocket) {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let telling = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = |socket: &UdpSocket| {
        NameServer::Udp(At {
            address: socket.local_addr().unwrap(),
            interface: None,
            via: None,
        })
    };
    let spec = ResolverSpec {
        servers: vec![server(&silent)].into(),
        by_domain: vec![(
            Domain::parse("told").unwrap(),
            true,
            vec![server(&telling)].into(),
        )],
        ..ResolverSpec::default()
    };
    let station = Arc::new(Station::with_sockets(Sockets::new(most)));
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        while let Ok((count, from)) = telling.recv_from(&mut bytes).await {
            // There is no such name.
            bytes[2] |= 0x80;
            bytes[3] = (bytes[3] & 0xf0) | 3;
            let _sent = telling.send_to(&bytes[..count], from).await;
        }
    });
    (Arc::new(Resolver::new(spec, &[], &station)), silent)
}

/// The sockets from which a server that says nothing was asked, until it hears nothing for a second.
async fn heard_from(server: &UdpSocket) -> usize {
    let (mut from, mut bytes) = (HashSet::new(), [0; 512]);
    while let Ok(Ok((_, at))) = tokio::time::timeout(SECOND, server.recv_from(&mut bytes)).await {
        from.insert(at);
    }
    from.len()
}

#[tokio::test]
async fn one_clients_look_ups_take_half_of_the_sockets_and_leave_the_rest() {
    let (resolver, silent) = resolver(32).await;
    let (flooding, other) = (
        on_behalf_of(Behalf::Client(client(1))),
        on_behalf_of(Behalf::Client(client(2))),
    );
    let mut flood = tokio::task::JoinSet::new();
    for at in 0..100 {
        let (resolver, flooding) = (Arc::clone(&resolver), flooding.clone());
        flood.spawn(async move {
            let name = Domain::parse(&format!("n{at}.test")).unwrap();
            resolver.addresses(&name, &flooding).await
        });
    }
    assert_eq!(heard_from(&silent).await, 16);
    let name = Domain::parse("a.told").unwrap();
    let told = tokio::time::timeout(SECOND, resolver.addresses(&name, &other)).await;
    let told = told.expect("the other client is not kept").unwrap_err();
    assert!(told.to_string().contains("there is no name"), "{told}");
    flood.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn two_clients_do_not_take_all_sockets() {
    let sockets = Sockets::new(32);
    let mut taken = Vec::new();
    for at in [1, 2, 1, 2].repeat(20) {
        taken.extend(sockets.enter(client(at), 1, Instant::now()).await);
    }
    assert_eq!(taken.len(), 20);
    let other = sockets.enter(client(3), 4, Instant::now()).await;
    assert!(other.is_ok());
}

#[tokio::test]
async fn sockets_are_bounded_whatever_is_sent_again() {
    let (resolver, silent) = resolver(32).await;
    let mut flood = tokio::task::JoinSet::new();
    for at in 0..200 {
        let flooding = on_behalf_of(Behalf::Client(client(at)));
        let resolver = Arc::clone(&resolver);
        flood.spawn(async move {
            let name = Domain::parse(&format!("n{at}.test")).unwrap();
            resolver.addresses(&name, &flooding).await
        });
    }
    let heard = heard_from(&silent).await;
    assert_eq!(heard, 32);
    flood.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_told_why() {
    let sockets = Sockets::new(16);
    let until = Instant::now() + SECOND;
    let mut own = Vec::new();
    for _ in 0..4 {
        own.push(sockets.enter(client(1), 8, until).await.unwrap());
    }
    let refused = sockets.enter(client(1), 2, until).await.unwrap_err();
    assert_eq!(
        refused,
        "too many look-ups of the same client are under way"
    );
    let until = Instant::now() + SECOND;
    let other = sockets.enter(client(2), 100, until).await.unwrap();
    drop((own, other));
    assert!(sockets.enter(client(1), 8, until).await.is_ok());
    let until = Instant::now() + SECOND;
    let (first, second) = (
        sockets.seat(8, until).await.unwrap(),
        sockets.seat(8, until).await.unwrap(),
    );
    assert!(first.more().is_none());
    let refused = sockets.seat(1, until).await.unwrap_err();
    assert_eq!(refused, "too many look-ups are under way");
    assert!(sockets.within_another().more().is_none());
    drop((first, second));
    let seat = sockets.seat(1, until).await.unwrap();
    assert!(seat.more().is_some());
}

#[test]
fn clients_that_are_gone_are_forgotten() {
    let sockets = Sockets::new(16);
    let held = sockets.client(client(0));
    for at in 0..=255 {
        drop(sockets.client(client(at)));
    }
    assert!(Arc::ptr_eq(&held, &sockets.client(client(0))));
    assert!(sockets.clients.lock().unwrap().len() < 16);
}
