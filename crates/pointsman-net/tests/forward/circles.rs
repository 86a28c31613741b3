//! Forwards of UDP of two planes that lead to each other.

use std::net::SocketAddr;
use std::time::Duration;

use pointsman_net::plane::Loss;
use pointsman_policy::Host;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::datagrams::{client, forward, lost, udp};
use crate::stage::{PATIENCE, Stage};

/// An address that was free a moment ago.
async fn free(at: &str) -> SocketAddr {
    let socket = UdpSocket::bind(at).await.unwrap();
    socket.local_addr().unwrap()
}

async fn leading(from: SocketAddr, to: SocketAddr) -> Stage {
    let endpoint = |at: SocketAddr| udp(Host::Address(at.ip()), at.port());
    let mut forward = forward("f", endpoint(to));
    forward.listen = vec![endpoint(from).into()];
    Stage::of(forward).await
}

#[tokio::test]
async fn a_datagram_does_not_go_round_for_ever() {
    for (at, hops) in [("127.0.0.1:0", 64), ("[::1]:0", 64)] {
        let (one, two) = (free(at).await, free(at).await);
        let stages = [leading(one, two).await, leading(two, one).await];
        let client = UdpSocket::bind(at).await.unwrap();
        client.send_to(b"round", one).await.unwrap();
        let lost = || {
            stages
                .iter()
                .map(|stage| lost(stage, Loss::Hops))
                .sum::<u64>()
        };
        let over = async {
            while lost() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, over).await.expect("it ends");
        // Each hop is a flow: it comes from another address.
        let live = stages.iter().map(|stage| stage.plane().flows().len());
        assert_eq!(live.sum::<usize>(), hops - 1, "{at}");
        assert_eq!(lost(), 1);
    }
}

#[tokio::test]
async fn a_datagram_goes_on_with_the_hops_that_it_has_left() {
    let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = target.local_addr().unwrap();
    let stage = Stage::of(forward(
        "f",
        udp(Host::Address(endpoint.ip()), endpoint.port()),
    ))
    .await;
    let at = stage.at[0].at.address().unwrap();
    let client = client(at).await;
    client.set_ttl(2).unwrap();
    client.send(b"one more").await.unwrap();
    timeout(PATIENCE, target.recv(&mut [0; 16]))
        .await
        .unwrap()
        .unwrap();
    client.set_ttl(1).unwrap();
    client.send(b"none").await.unwrap();
    client.set_ttl(255).unwrap();
    client.send(b"many").await.unwrap();
    let mut heard = [0; 16];
    let length = timeout(PATIENCE, target.recv(&mut heard)).await.unwrap();
    assert_eq!(&heard[..length.unwrap()], b"many");
    assert_eq!(lost(&stage, Loss::Hops), 1);
}
