//! Who may connect, how many at once, and for how long.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_net::record::{End, FlowRecord, Limit};
use pointsman_policy::Action;
use pointsman_policy::refused::Refuser;
use pointsman_spec::address::Endpoint;

use crate::stage::*;

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn sources_that_are_not_allowed_are_reset() {
    let server = echo().await;
    for (allow, four, six) in [
        (&["127.0.0.0/8"][..], true, false),
        (&["::1/128"], false, true),
        (&["10.0.0.0/8", "fd00::/8"], false, false),
        (&["127.0.0.1/32", "::1/128"], true, true),
        (&[], true, true),
    ] {
        let mut forward = to([tcp("t", server)]);
        forward.listen = vec![local(), listen(Ipv6Addr::LOCALHOST)];
        let stage = Stage::play(spec(1, allow, vec![forward])).await;
        for (at, allowed) in stage.at.iter().zip([four, six]) {
            let connected = tokio::net::TcpStream::connect(at.at.tcp().unwrap()).await;
            match connected.map(Client) {
                Ok(mut client) if allowed => {
                    client.send("hello").await;
                    client.expect("hello").await;
                }
                Ok(mut client) => assert!(client.is_reset().await, "{allow:?} {at:?}"),
                Err(error) => {
                    assert!(!allowed, "{allow:?} {at:?}: {error}");
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                }
            }
        }
        for record in stage.records(2).await {
            let allowed = record.ended == Some(End::Closed);
            if !allowed {
                assert_eq!(record.ended, Some(End::Refused));
                assert_eq!(record.action, Some(Action::Reset));
                assert_eq!(record.outbound.as_deref(), Some("RESET"));
            }
        }
    }
}

#[tokio::test]
async fn a_unix_client_is_on_no_list() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    let mut forward = to([tcp("t", echo().await)]);
    forward.listen = vec![Endpoint::Unix(path.clone()).into()];
    let stage = Stage::play(spec(1, &["0.0.0.0/0", "::/0"], vec![forward])).await;
    assert!(unix_client(&path).await.is_closed().await);
    assert_eq!(stage.records(1).await[0].ended, Some(End::Refused));
}

#[tokio::test]
async fn the_one_too_many_is_reset_at_once_and_makes_no_difference_later() {
    let mut forward = to([tcp("t", echo().await)]);
    forward.connection_limit = 1;
    let stage = Stage::of(forward).await;
    let mut first = stage.connect().await;
    first.send("a").await;
    first.expect("a").await;
    // The reset may come before it is connected. An end in order would mean that all bytes came.
    let address = stage.at[0].at.tcp().unwrap();
    match tokio::net::TcpStream::connect(address).await {
        Ok(second) => assert!(Client(second).is_reset().await),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.ended, Some(End::Refused));
    let refused = record.note.refused().unwrap();
    assert_eq!(refused.by(), Refuser::ConnectionLimit);
    assert_eq!(
        refused.why(),
        "as many connections are open as `connection_limit` allows (1)"
    );
    first.send("b").await;
    first.expect("b").await;
    drop(first);
    stage.records(2).await;
    let mut third = stage.connect().await;
    third.send("c").await;
    third.expect("c").await;
}

#[tokio::test]
async fn a_burst_never_gets_more_than_the_limit() {
    const LIMIT: usize = 5;
    let mut forward = to([tcp("t", greeter_that_stays().await)]);
    forward.connection_limit = LIMIT;
    let stage = Arc::new(Stage::of(forward).await);
    let mut clients = Vec::new();
    for _ in 0..40 {
        let stage = Arc::clone(&stage);
        clients.push(tokio::spawn(async move {
            // Who is one too many may see the reset before it is connected.
            let address = stage.at[0].at.tcp().unwrap();
            let mut client = tokio::net::TcpStream::connect(address).await.ok()?;
            let mut byte = [0];
            let read = tokio::io::AsyncReadExt::read(&mut client, &mut byte).await;
            matches!(read, Ok(1)).then_some(client)
        }));
    }
    let mut served = Vec::new();
    for client in clients {
        served.extend(client.await.unwrap());
    }
    assert_eq!(served.len(), LIMIT);
    assert_eq!(stage.records(40 - LIMIT).await.len(), 40 - LIMIT);
}

/// Says one byte and stays.
async fn greeter_that_stays() -> std::net::SocketAddr {
    serve(Ipv4Addr::LOCALHOST, |mut client| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client, b"!").await;
        let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
    })
    .await
}

async fn ended(stage: &Stage) -> (End, FlowRecord) {
    let record = stage.records(1).await.remove(0);
    (record.ended.clone().unwrap(), FlowRecord::clone(&record))
}

#[tokio::test]
async fn a_life_is_over_when_it_is_over() {
    let mut forward = to([tcp("t", echo().await)]);
    forward.lifetime = Some(Duration::from_millis(400));
    let stage = Stage::of(forward).await;
    let begun = Instant::now();
    let mut client = stage.connect().await;
    client.send("hello").await;
    client.expect("hello").await;
    assert!(client.is_reset().await);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    let (end, record) = ended(&stage).await;
    assert_eq!(end, End::TimedOut(Limit::Lifetime));
    assert_eq!((record.bytes_sent, record.bytes_received), (5, 5));
}

#[tokio::test]
async fn one_silent_side_is_enough() {
    // The client says nothing while the server talks on.
    let talker = serve(Ipv4Addr::LOCALHOST, |mut client| async move {
        while tokio::io::AsyncWriteExt::write_all(&mut client, b".")
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut forward = to([tcp("t", talker)]);
    forward.read_timeout = Some(SHORT);
    let stage = Stage::of(forward).await;
    let mut client = stage.connect().await;
    client.expect(".").await;
    assert!(client.is_reset().await);
    assert_eq!(ended(&stage).await.0, End::TimedOut(Limit::Read));

    // The server says nothing.
    let silent = Target {
        read_timeout: Some(SHORT),
        ..tcp("t", greeter_that_stays().await)
    };
    let stage = Stage::of(to([silent])).await;
    let mut client = stage.connect().await;
    client.expect("!").await;
    assert!(client.is_reset().await);
    assert_eq!(ended(&stage).await.0, End::TimedOut(Limit::TargetRead));
}

/// Both sides' ways to half-close, and the forward's own limit before that of all.
#[tokio::test]
async fn what_is_half_closed_and_silent_ends() {
    for own in [false, true] {
        for client_ends in [false, true] {
            let server = serve(Ipv4Addr::LOCALHOST, move |mut client| async move {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut client, b"!").await;
                if !client_ends {
                    tokio::io::AsyncWriteExt::shutdown(&mut client)
                        .await
                        .unwrap();
                }
                std::future::pending::<()>().await;
            })
            .await;
            let mut forward = to([tcp("t", server)]);
            forward.half_closed = own.then_some(SHORT);
            let mut spec = spec(1, &[], vec![forward]);
            if !own {
                spec.timeouts.half_closed = Some(SHORT);
            }
            let stage = Stage::play(spec).await;
            let mut client = stage.connect().await;
            client.expect("!").await;
            if client_ends {
                client.finish().await;
                assert!(client.is_reset().await);
            } else {
                assert_eq!(client.rest().await.unwrap(), b"");
            }
            let (end, record) = ended(&stage).await;
            assert_eq!(end, End::TimedOut(Limit::HalfClosed));
            assert_eq!(record.bytes_received, 1);
        }
    }
}

/// Takes nothing, and keeps the connection.
async fn deaf() -> std::net::SocketAddr {
    serve(Ipv4Addr::LOCALHOST, |client| async move {
        let _client = client;
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn who_takes_nothing_is_given_up() {
    let much = vec![7; 32 << 20];
    let deaf = Target {
        write_timeout: Some(SHORT),
        ..tcp("t", deaf().await)
    };
    let stage = Stage::of(to([deaf])).await;
    let mut client = stage.connect().await;
    let sent = tokio::io::AsyncWriteExt::write_all(&mut client.0, &much);
    assert!(tokio::time::timeout(PATIENCE, sent).await.unwrap().is_err());
    assert_eq!(ended(&stage).await.0, End::TimedOut(Limit::TargetWrite));

    let talker = serve(Ipv4Addr::LOCALHOST, |mut client| async move {
        let much = vec![7; 32 << 20];
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client, &much).await;
    })
    .await;
    let mut forward = to([tcp("t", talker)]);
    forward.write_timeout = Some(SHORT);
    let stage = Stage::of(forward).await;
    let _client = stage.connect().await;
    assert_eq!(ended(&stage).await.0, End::TimedOut(Limit::Write));
}

#[tokio::test]
async fn who_talks_is_not_cut_off() {
    let limit = SHORT * 5;
    for _ in 0..20 {
        let mut forward = to([Target {
            read_timeout: Some(limit),
            ..tcp("t", echo().await)
        }]);
        forward.read_timeout = Some(limit);
        let stage = Stage::of(forward).await;
        let mut client = stage.connect().await;
        let (begun, mut last) = (Instant::now(), Instant::now());
        let mut longest = Duration::ZERO;
        // For longer than the limit, and each time well within it.
        while begun.elapsed() < limit * 2 && longest < limit / 2 {
            client.send("x").await;
            client.expect("x").await;
            tokio::time::sleep(SHORT / 4).await;
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        if longest >= limit / 2 {
            // The machine stood still: whether it was cut off then says nothing.
            continue;
        }
        drop(client);
        assert_eq!(ended(&stage).await.0, End::Closed);
        return;
    }
    panic!("the machine stood still each time");
}

#[tokio::test]
async fn what_is_not_built_yet_refuses_and_says_so() {
    let mut forward = to([tcp("t", echo().await)]);
    forward.not_yet = Some("TLS at a listener is not built yet".into());
    let stage = Stage::of(forward).await;
    assert!(stage.closes().await);
    let (end, record) = ended(&stage).await;
    assert_eq!(end, End::Refused);
    assert_eq!(&*record.note, "TLS at a listener is not built yet");
}
