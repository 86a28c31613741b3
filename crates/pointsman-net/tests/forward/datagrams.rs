//! Forwards of UDP, targets that answer and that do not, and clients.

use std::net::{Ipv4Addr, SocketAddr};

use pointsman_net::plane::Loss;
use pointsman_policy::Host;
use pointsman_spec::address::{Endpoint, Server};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::stage::*;

pub(crate) fn udp(host: Host, port: u16) -> Endpoint {
    Endpoint::Udp(Server { host, port })
}

/// Answers each datagram with itself.
pub(crate) async fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let _gone = socket.send_to(&bytes[..length], from).await;
        }
    });
    at
}

/// Takes what comes, and says nothing.
pub(crate) async fn silent() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move { while socket.recv(&mut [0; 64]).await.is_ok() {} });
    at
}

/// Whether a word is answered.
pub(crate) async fn is_answered(client: &UdpSocket) -> bool {
    let asked = timeout(PATIENCE, async {
        client.send(b"word").await.unwrap();
        client.recv(&mut [0; 64]).await.is_ok()
    });
    asked.await == Ok(true)
}

pub(crate) async fn client(to: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(to).await.unwrap();
    client
}

/// A forward of UDP to that target.
pub(crate) fn forward(name: &str, endpoint: Endpoint) -> Forward {
    let mut forward = to([target("t", endpoint)]);
    forward.name = name.into();
    forward.listen = vec![udp(Host::Address(Ipv4Addr::LOCALHOST.into()), 0).into()];
    forward
}

/// How much was lost so.
pub(crate) fn lost(stage: &Stage, loss: Loss) -> u64 {
    let mut all = stage.plane().lost();
    all.find(|(what, _)| *what == loss).unwrap().1
}
