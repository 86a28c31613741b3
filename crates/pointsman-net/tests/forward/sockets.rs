//! Unix sockets and inherited ones.

use std::net::Ipv4Addr;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use pointsman_net::plane::ApplyError;
use pointsman_net::record::End;
use pointsman_spec::address::Endpoint;
use pointsman_spec::outbound::Balance;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::net::UnixListener;

use crate::stage::*;

/// As a parent process would leave it: open, with a number alone.
pub(crate) fn inherit(socket: impl Into<OwnedFd>) -> i32 {
    let socket = socket.into();
    fcntl_setfd(&socket, FdFlags::empty()).unwrap();
    socket.into_raw_fd()
}

#[tokio::test]
async fn streams_pass_between_unix_and_tcp() {
    let (_kept, directory) = directory();
    let (path, server) = (directory.join("f"), directory.join("server"));
    unix_echo(&server);
    let mut down = to([tcp("t", echo().await)]);
    down.listen = vec![Endpoint::Unix(path.clone()).into()];
    let mut up = to([target("u", Endpoint::Unix(server))]);
    up.name = "up".into();
    let stage = Stage::play(spec(1, &[], vec![down, up])).await;
    assert_eq!(
        stage.at[0].at.to_string(),
        format!("unix:{}", path.display())
    );

    let mut client = unix_client(&path).await;
    client.send("down").await;
    client.expect("down").await;
    client.finish().await;
    assert_eq!(client.rest().await.unwrap(), b"");

    let mut client = crate::stage::client(stage.at[1].at.tcp().unwrap()).await;
    client.send("up").await;
    client.finish().await;
    assert_eq!(client.rest().await.unwrap(), b"up");
    for record in stage.records(2).await {
        assert_eq!(record.ended, Some(End::Closed));
    }
}

/// A forward from `path` to `server`, which is tried until it is there.
async fn to_one_that_is_down(path: &Path, server: &Path) -> Stage {
    let late = Target {
        attempts: u32::MAX,
        backoff: Duration::from_millis(5),
        ..target("late", Endpoint::Unix(server.to_owned()))
    };
    let mut forward = to([late]);
    forward.listen = vec![Endpoint::Unix(path.to_owned()).into()];
    Stage::of(forward).await
}

/// Waits until the target of a living flow was tried.
async fn tried(stage: &Stage) {
    let tried = async {
        while stage
            .plane()
            .flows()
            .iter()
            .all(|flow| flow.record().incidents.attempts.is_empty())
        {
            assert!(stage.plane().recent().is_empty(), "the flow is over");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tried).await.unwrap();
}

#[tokio::test]
async fn what_a_local_client_said_before_it_left_reaches_its_target() {
    for leaves_at_once in [true, false] {
        let (_kept, directory) = directory();
        let (path, server) = (directory.join("f"), directory.join("server"));
        let stage = to_one_that_is_down(&path, &server).await;
        let mut client = unix_client(&path).await;
        client.send("hello").await;
        if leaves_at_once {
            drop(client);
            tried(&stage).await;
        } else {
            tried(&stage).await;
            drop(client);
        }
        let listener = UnixListener::bind(&server).unwrap();
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
        let (served, _) = accepted.expect("a connection").unwrap();
        assert_eq!(Client(served).rest().await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn a_local_client_that_leaves_without_a_word_is_gone() {
    for leaves_at_once in [true, false] {
        let (_kept, directory) = directory();
        let (path, server) = (directory.join("f"), directory.join("server"));
        let stage = to_one_that_is_down(&path, &server).await;
        let client = unix_client(&path).await;
        if !leaves_at_once {
            tried(&stage).await;
        }
        drop(client);
        assert_eq!(stage.records(1).await[0].ended, Some(End::ClientGone));
    }
}

#[tokio::test]
async fn a_path_is_kept_private_and_removed_in_the_end() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    // Left by a dead process.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut forward = to([tcp("t", echo().await)]);
    forward.listen = vec![Endpoint::Unix(path.clone()).into()];
    let stage = Stage::of(forward).await;
    let mode = std::fs::metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut client = unix_client(&path).await;
    client.send("x").await;
    client.expect("x").await;
    drop(client);
    stage.plane().drain(PATIENCE).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_path_that_lives_is_not_taken() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    let _living = UnixListener::bind(&path).unwrap();
    let mut forward = to([tcp("t", echo().await)]);
    forward.listen = vec![local(), Endpoint::Unix(path.clone()).into()];
    let refused = Stage::dark()
        .plane()
        .apply(spec(1, &[], vec![forward]))
        .await;
    let Err(ApplyError::Bind { address, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(address.to_string(), format!("unix:{}", path.display()));
    assert!(path.exists());
}

#[tokio::test]
async fn an_inherited_listener_serves_over_reloads() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let number = inherit(socket);
    let forward = |server| {
        let mut forward = to([tcp("t", server)]);
        forward.listen = vec![Endpoint::Fd(number).into()];
        forward
    };
    let first = forward(greeter("one").await);
    let stage = Stage::of(first).await;
    assert_eq!(stage.at[0].at.to_string(), format!("fd:{number}"));
    client(at).await.expect("one").await;
    let second = forward(greeter("two").await);
    let again = stage.plane().apply(spec(2, &[], vec![second])).await;
    again.unwrap();
    client(at).await.expect("two").await;
}

#[tokio::test]
async fn a_forward_to_the_path_of_what_it_inherited_is_a_loop() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    let number = inherit(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut forward = to([target("me", Endpoint::Unix(path.clone()))]);
    forward.listen = vec![Endpoint::Fd(number).into()];
    let stage = Stage::of(forward).await;
    let mut client = unix_client(&path).await;
    assert!(client.is_closed().await);
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.ended, Some(End::Refused));
    assert!(
        record.note.starts_with("loop guard: own listener: unix:"),
        "{}",
        record.note
    );
    assert_eq!(stage.plane().counters().begun, 1);
}

#[tokio::test]
async fn a_refused_generation_does_not_lose_what_was_inherited() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let number = inherit(socket);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap();
    let mut forward = to([tcp("t", greeter("hello").await)]);
    let tcp_at = busy.into();
    forward.listen = vec![Endpoint::Fd(number).into(), tcp_at];
    let stage = Stage::dark();
    let refused = stage
        .plane()
        .apply(spec(1, &[], vec![forward.clone()]))
        .await;
    assert!(
        matches!(refused, Err(ApplyError::Bind { .. })),
        "{refused:?}"
    );
    forward.listen.pop();
    let applied = stage.plane().apply(spec(2, &[], vec![forward])).await;
    applied.unwrap();
    client(at).await.expect("hello").await;
}

#[tokio::test]
async fn what_was_not_inherited_is_an_error() {
    let mut forward = to([tcp("t", echo().await)]);
    forward.listen = vec![Endpoint::Fd(1 << 20).into()];
    let refused = Stage::dark()
        .plane()
        .apply(spec(1, &[], vec![forward]))
        .await;
    assert!(
        matches!(refused, Err(ApplyError::Bind { .. })),
        "{refused:?}"
    );
    let forward = to([target("t", Endpoint::Fd(1 << 20))]);
    let refused = Stage::dark()
        .plane()
        .apply(spec(1, &[], vec![forward]))
        .await;
    assert!(
        matches!(refused, Err(ApplyError::Lacks { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_inherited_connection_serves_one_at_a_time() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut server = Client(tokio::net::UnixStream::from_std(theirs).unwrap());
    let number = inherit(ours);
    let stage = Stage::of(to([target("t", Endpoint::Fd(number))])).await;
    let mut first = stage.connect().await;
    first.send("ping").await;
    server.expect("ping").await;
    assert!(stage.closes().await);
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.ended, Some(End::Refused));
    assert_eq!(&*record.note, "target busy");
    server.send("pong").await;
    first.expect("pong").await;
    first.finish().await;
    // The end travels like any other, and then the connection is spent.
    assert_eq!(server.rest().await.unwrap(), b"");
    drop((first, server));
    stage.records(2).await;
    assert!(stage.closes().await);
    assert!(matches!(
        stage.records(3).await[2].ended,
        Some(End::Failed(..))
    ));
}

#[tokio::test]
async fn a_busy_target_is_one_that_cannot_be_reached() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut server = Client(tokio::net::UnixStream::from_std(theirs).unwrap());
    let other = greeter("other").await;
    let mut forward = to([target("t", Endpoint::Fd(inherit(ours))), tcp("o", other)]);
    forward.balance = Balance::Failover;
    let stage = Stage::of(forward).await;
    let mut first = stage.connect().await;
    first.send("ping").await;
    server.expect("ping").await;
    stage.hears("other").await;
}

#[tokio::test]
async fn an_inherited_tcp_connection_is_a_target_too() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    theirs.set_nonblocking(true).unwrap();
    tokio::spawn(echoing(tokio::net::TcpStream::from_std(theirs).unwrap()));
    let stage = Stage::of(to([target("t", Endpoint::Fd(inherit(ours)))])).await;
    let mut client = stage.connect().await;
    client.send("hello").await;
    client.finish().await;
    assert_eq!(client.rest().await.unwrap(), b"hello");
}

#[tokio::test]
async fn what_one_flow_left_on_an_inherited_connection_is_not_for_the_next() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut server = Client(tokio::net::TcpStream::from_std(theirs).unwrap());
    let stage = Stage::of(to([target("t", Endpoint::Fd(inherit(ours)))])).await;
    let mut first = stage.connect().await;
    first.send("half").await;
    server.expect("half").await;
    first.0.set_zero_linger().unwrap();
    drop(first);
    stage.records(1).await;
    // An abort arrives as one.
    assert!(server.rest().await.is_err());
    assert!(stage.closes().await);
    let ended = stage.records(2).await.remove(1).ended.clone();
    assert!(matches!(ended, Some(End::Failed(..))), "{ended:?}");
}

#[tokio::test]
async fn a_local_target_that_is_slow_to_accept_is_waited_for() {
    let (_kept, directory) = directory();
    let path = directory.join("server");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let stage = Stage::of(to([target("t", Endpoint::Unix(path))])).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = stage.connect().await;
        client.send("x").await;
        clients.push(client);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    std::thread::spawn(move || {
        while let Ok((mut served, _)) = listener.accept() {
            std::io::Write::write_all(&mut served, b"served").unwrap();
        }
    });
    for mut client in clients {
        client.expect("served").await;
    }
}
