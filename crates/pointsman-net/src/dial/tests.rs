//! Connections are made, raced and refused as said.

use tokio::net::TcpListener;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn refusing() -> SocketAddr {
    listener().await.1
}

#[test]
fn families_take_turns() {
    let parse = |text: &str| {
        text.split_whitespace()
            .map(|a| a.parse().unwrap())
            .collect::<Vec<SocketAddr>>()
    };
    for (given, expected) in [
        (
            "1.1.1.1:1 2.2.2.2:1 [::1]:1 [::2]:1",
            "1.1.1.1:1 [::1]:1 2.2.2.2:1 [::2]:1",
        ),
        ("[::1]:1 1.1.1.1:1 2.2.2.2:1", "[::1]:1 1.1.1.1:1 2.2.2.2:1"),
        ("1.1.1.1:1 2.2.2.2:1", "1.1.1.1:1 2.2.2.2:1"),
    ] {
        assert_eq!(interleaved(&parse(given)), parse(expected));
    }
}

#[tokio::test]
async fn source_is_what_the_uplink_says() {
    let (listener, address) = listener().await;
    let uplink = Uplink {
        source: Some("127.0.0.9".parse().unwrap()),
        ..Uplink::default()
    };
    let _ours = Dialer::new(None)
        .tcp(address, &uplink, LIMIT)
        .await
        .unwrap();
    assert_eq!(
        listener.accept().await.unwrap().1.ip(),
        uplink.source.unwrap()
    );
}

#[tokio::test]
async fn refusal_names_the_address() {
    let address = refusing().await;
    let error = Dialer::new(None)
        .tcp(address, &Uplink::default(), LIMIT)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_refused_address_does_not_delay_the_next() {
    let (_listener, address) = listener().await;
    let begun = Instant::now();
    let addresses = [refusing().await, refusing().await, address];
    let ours = Dialer::new(None)
        .tcp_any(&addresses, &Uplink::default(), LIMIT)
        .await
        .unwrap();
    assert_eq!(ours.peer_addr().unwrap(), address);
    assert!(begun.elapsed() < ATTEMPT_DELAY);
}

#[tokio::test]
async fn when_all_fail_the_first_failure_is_told() {
    let addresses = [refusing().await, refusing().await];
    let error = Dialer::new(None)
        .tcp_any(&addresses, &Uplink::default(), LIMIT)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("1 more"), "{error}");
}

#[tokio::test]
async fn a_listener_that_never_answers_times_out() {
    // A full queue of a listener that nobody accepts from: the next handshake is not answered.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(0).unwrap();
    let address = silent.local_addr().unwrap();
    let dialer = Dialer::new(None);
    let mut held = Vec::new();
    let error = loop {
        match dialer
            .tcp(address, &Uplink::default(), Duration::from_millis(200))
            .await
        {
            Ok(connected) => held.push(connected),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(held.len() < 5);
    // With another address behind it the race goes on after the attempt delay.
    let (_listener, living) = listener().await;
    let ours = dialer
        .tcp_any(&[address, living], &Uplink::default(), LIMIT)
        .await
        .unwrap();
    assert_eq!(ours.peer_addr().unwrap(), living);
}
