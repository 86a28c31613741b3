//! What a relay sets once its flow is old.

use std::net::{TcpListener, TcpStream as StdStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pointsman_spec::address::Uplink;
use rustix::net::sockopt;
use tokio::net::TcpStream;

use super::{FlowBytes, Limits, PipePool, relay};
use crate::dial::{Dialer, Keepalive, Probing};
use crate::stream::Stream;

/// Both ends of a connection, the second one known to the runtime.
fn pair() -> (StdStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    #[expect(clippy::disallowed_methods, reason = "the peer in a test")]
    let far = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (far, TcpStream::from_std(near).unwrap())
}

#[tokio::test]
async fn probes_are_set_when_the_flow_is_old_and_on_the_server_alone() {
    let ((_client, near_client), (_server, near_server)) = (pair(), pair());
    let [client, server] = [&near_client, &near_server].map(|near| {
        let handle = rustix::fd::AsFd::as_fd(near);
        StdStream::from(handle.try_clone_to_owned().unwrap())
    });
    let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
    let near_server = Stream::from(near_server).probed_by(Probing::WhenOld(15, 7).later());
    let near_client = Stream::from(near_client);
    let mut relay = pin!(relay(
        near_client,
        near_server,
        &Limits::default(),
        &flow,
        &pool
    ));
    let moment = Duration::from_millis(20);
    assert!(tokio::time::timeout(moment, &mut relay).await.is_err());
    assert!(!sockopt::socket_keepalive(&server).unwrap());
    // It sleeps meanwhile, and is woken for it.
    let growing = async {
        tokio::time::sleep(moment).await;
        flow.grow_old();
        tokio::time::sleep(moment).await;
    };
    tokio::select! {
        outcome = &mut relay => panic!("{outcome:?}"),
        () = growing => {}
    }
    assert!(sockopt::socket_keepalive(&server).unwrap());
    let seconds = Duration::from_secs;
    assert_eq!(sockopt::tcp_keepidle(&server).unwrap(), seconds(15));
    assert_eq!(sockopt::tcp_keepintvl(&server).unwrap(), seconds(7));
    assert!(!sockopt::socket_keepalive(&client).unwrap());
}

#[tokio::test]
async fn probes_that_were_asked_for_are_set_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let second = Duration::from_secs(1);
    let keepalive = Keepalive {
        time: second,
        interval: second,
    };
    for (keepalive, expected) in [
        (Probing::AtOnce(keepalive), true),
        (Probing::USUAL, false),
        (Probing::Never, false),
    ] {
        let dialer = Dialer {
            keepalive,
            ..Dialer::default()
        };
        let limit = Duration::from_secs(20);
        let made = dialer
            .tcp(address, &Uplink::default(), limit)
            .await
            .unwrap();
        assert_eq!(sockopt::socket_keepalive(&made).unwrap(), expected);
    }
}
