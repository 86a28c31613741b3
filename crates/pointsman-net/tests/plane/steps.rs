//! A generation in its three steps, each dropped at each of its waits: nothing has changed, or everything has.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_net::plane::Prepared;
use pointsman_net::spec::Number;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Domain, Host};
use pointsman_spec::address::{Endpoint, Families, Server};
use pointsman_spec::door::{DoorSpec, Listen};

use crate::dropping::{dropped_at_each_wait, polled};
use crate::stage::*;

fn at(name: &str, listen: Listen) -> DoorSpec {
    DoorSpec {
        listen: vec![listen],
        ..inbound(name, InboundKind::Mixed)
    }
}

fn tcp(ip: impl Into<Ipv4Addr>, port: u16) -> Listen {
    SocketAddr::from((ip.into(), port)).into()
}

/// What waits for a name, binds an address and a path, and opens logs.
fn demanding(number: u64, directory: &Path) -> Script {
    let server = Server {
        host: Host::Name(Domain::parse("late.test").unwrap()),
        port: 0,
    };
    let listen = |at| Listen {
        at,
        families: Families::PreferIpv4,
    };
    let socket = Endpoint::Unix(directory.join("socket"));
    let mut logged = at("logged", tcp([127, 0, 0, 1], 0));
    logged.access_log = Some(directory.join("door.log"));
    let mut script = Script::new().fallback("REJECT").inbounds([
        at("named", listen(Endpoint::Tcp(server))),
        at("path", listen(socket)),
        logged,
    ]);
    script.number = number;
    script
}

fn prepare(stage: &Stage, number: u64, directory: &Path) -> impl Future<Output = Prepared> {
    let mut spec = demanding(number, directory).spec();
    spec.records.access_log = Some(directory.join("all.log"));
    async { stage.plane().prepare(spec).await.unwrap() }
}

async fn code(at: SocketAddr, port: u16) -> u8 {
    Client::to(at).await.socks5("echo.test", port).await
}

#[tokio::test]
async fn preparing_leaves_what_is_in_force_wherever_it_is_dropped() {
    let server = echo().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let stage = Script::new().play().await;
    let before = stage.plane().in_force().unwrap();
    let unchanged = async |times: usize| {
        let now = stage.plane().in_force().unwrap();
        assert!(Arc::ptr_eq(&now, &before), "dropped after {times} polls");
        assert_eq!(code(stage.ports[0], server.port()).await, 0);
        assert!(!path.join("socket").exists());
    };
    let (prepared, polls) = dropped_at_each_wait(|| prepare(&stage, 2, path), unchanged).await;
    assert!(polls > 3, "it waits for a name: {polls}");
    // Also where it is whole, and nobody wants it any more.
    drop(prepared);
    unchanged(polls).await;
    let logged = std::fs::read(path.join("all.log")).unwrap();
    assert!(logged.is_empty(), "flows are logged where they were");

    // From one moment on all is of the new one.
    let retired = stage.plane().commit(prepare(&stage, 2, path).await, ());
    let now = stage.plane().in_force().unwrap();
    assert_eq!(now.number().load, 2);
    let names: Vec<_> = now
        .listening()
        .iter()
        .map(|it| it.name.to_string())
        .collect();
    assert_eq!(names, ["named", "path", "logged"]);
    for (name, address) in retired.addresses() {
        assert_eq!(code(*address, server.port()).await, 2, "{name}");
    }
    assert!(path.join("socket").exists());
    retired.retire().await;
    let logged = || std::fs::read_to_string(path.join("all.log")).unwrap();
    let begun = Instant::now();
    while logged().lines().count() < 2 {
        assert!(begun.elapsed() < PATIENCE, "{}", logged());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether every address of that port is listened on.
fn is_wide(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.contains(&format!(" 00000000:{port:04X} 00000000:0000 0A "))
}

#[tokio::test]
async fn what_is_gone_closes_in_order_wherever_its_retirement_is_dropped() {
    let server = echo().await;
    // It waits once.
    for times in 0..2 {
        let wide = tcp(Ipv4Addr::UNSPECIFIED, 0);
        let leaves = at("leaves", tcp([127, 0, 0, 1], 0));
        let script = Script::new().inbounds([at("wide", wide), leaves]);
        let stage = script.play().await;
        let (port, leaves) = (stage.ports[0].port(), stage.ports[1]);
        let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // One goes at once, one narrows: it lingers for a second.
        let next = Script::new().inbounds([at("wide", inside.into())]);
        let prepared = stage.plane().prepare(next.spec()).await.unwrap();
        let committed = Instant::now();
        let gone = stage.plane().commit(prepared, ());
        assert!(polled(times, gone.retire()).await.is_none());
        while tokio::net::TcpStream::connect(leaves).await.is_ok() {
            assert!(committed.elapsed() < PATIENCE, "it does not close");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let lingers = is_wide(port);
        if committed.elapsed() < Duration::from_secs(1) {
            assert!(lingers, "dropped after {times} polls");
        }
        while is_wide(port) {
            assert!(committed.elapsed() < PATIENCE, "it does not close");
            assert_eq!(code(inside, server.port()).await, 0);
        }
        assert_eq!(code(inside, server.port()).await, 0);
    }
}

#[tokio::test]
async fn a_refresh_is_not_half_in_force_wherever_it_is_dropped() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let before = stage.plane().in_force().unwrap();
    let policies = Script::new().fallback("REJECT").spec().policies;
    let number = Number {
        load: 1,
        refresh: 1,
    };
    let prepare = || {
        stage
            .plane()
            .prepare_refresh(number, policies.clone(), None)
    };
    let unchanged = async |_times: usize| {
        let now = stage.plane().in_force().unwrap();
        assert!(Arc::ptr_eq(&now, &before));
    };
    // Somebody else prepares meanwhile, so that it waits for its turn.
    let other = stage.plane().prepare(Script::new().spec()).await.unwrap();
    for times in 0..2 {
        assert!(polled(times, prepare()).await.is_none());
        unchanged(times).await;
    }
    drop(other);
    let (prepared, _) = dropped_at_each_wait(prepare, unchanged).await;
    stage.plane().commit_refresh(prepared.unwrap(), ());
    assert_eq!(stage.plane().in_force().unwrap().number(), number);
    assert_eq!(code(stage.ports[0], server.port()).await, 2);
}
