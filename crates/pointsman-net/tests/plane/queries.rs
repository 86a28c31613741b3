//! Clients of the DNS server who mean no good, or have none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_net::plane::Plane;
use pointsman_net::resolver::Station;
use pointsman_net::spec::dns::DnsServer;
use pointsman_policy::model::udp::Udp;
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, OutboundInfo, OutboundKind};
use pointsman_policy::{Action, Node, OutboundId, Policy};
use pointsman_spec::dns::{DnsEnd, DnsLimits, DnsSpec, UpstreamSpec};
use pointsman_spec::door::{DoorSpec, Speaks};
use pointsman_spec::resolver::{NameServer, Place};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::nameserver::{Mood, Names};
use super::stage::{PATIENCE, Script, Stage, inbound};

/// A DNS server that asks there.
async fn asking(server: NameServer, limits: DnsLimits) -> Stage {
    let mut script = Script::new();
    script.inbounds = vec![DoorSpec {
        speaks: Speaks::Dns,
        ..inbound("dns", pointsman_policy::fact::InboundKind::Mixed)
    }];
    let mut spec = script.spec();
    let end = OutboundInfo {
        name: "names".into(),
        kind: OutboundKind::Plain(Action::Direct),
        udp: Udp::Not("an end of queries"),
    };
    let policy = Policy {
        name: "dns".into(),
        outbounds: [end].into(),
        direct: OutboundId(0),
        body: vec![Node::Leaf {
            outbound: OutboundId(0),
            origin: Origin::default(),
        }]
        .into(),
        sets: [].into(),
        zones: Arc::default(),
        databases: Arc::default(),
        domain_order: DomainOrder::Native,
        on_unknown: OnUnknown::Skip,
    };
    let dns = DnsSpec {
        policy: Arc::new(policy),
        answers: None,
        ends: vec![DnsEnd::Ask(0)],
        upstreams: vec![UpstreamSpec {
            name: "names".into(),
            servers: vec![server].into(),
            timeout: DnsLimits::TIMEOUT,
        }],
        follow: None,
        hosts: Vec::new(),
        asks_for_local_names: false,
        fake: None,
        limits,
    };
    let station = Arc::<Station>::default();
    spec.dns = Some(Arc::new(DnsServer::new(&dns, &spec.outbounds, &station)));
    Stage::of(spec).await
}

/// A query for that name's address, behind its length.
fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(message);
    framed
}

/// The next reply; `None` where the connection has ended.
async fn reply(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let length = stream.read_u16().await.ok()?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await.ok()?;
        Some(message)
    };
    timeout(PATIENCE, read).await.unwrap()
}

async fn connect(stage: &Stage, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let at = stage.ports.last().unwrap();
    timeout(PATIENCE, socket.connect(*at))
        .await
        .unwrap()
        .unwrap()
}

/// Whether it is answered.
async fn is_served(stream: &mut TcpStream) -> bool {
    stream.write_all(&query("a.test")).await.is_ok() && reply(stream).await.is_some()
}

fn limits(edit: impl FnOnce(&mut DnsLimits)) -> DnsLimits {
    let mut limits = DnsLimits::default();
    edit(&mut limits);
    limits
}

#[tokio::test]
async fn connections_of_one_client_keep_nobody_out() {
    let names = Names::start(Mood::Plain).await;
    let stage = asking(names.server(), limits(|it| it.streams = 8)).await;
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut stream = connect(&stage, [127, 0, 0, 1]).await;
        assert!(is_served(&mut stream).await);
        held.push(stream);
    }
    let mut other = connect(&stage, [127, 0, 0, 2]).await;
    assert!(is_served(&mut other).await);
    // A quarter of all are its own; those that were idle for longest gave way.
    let mut left = 0;
    for stream in &mut held {
        left += usize::from(is_served(stream).await);
    }
    assert_eq!(left, 2);
    // Many clients: who is idle gives way.
    for last in 3..30 {
        let mut stream = connect(&stage, [127, 0, 0, last]).await;
        assert!(is_served(&mut stream).await, "{last}");
        held.push(stream);
    }
}

#[tokio::test]
async fn a_query_that_comes_byte_by_byte_has_the_time_of_none() {
    let names = Names::start(Mood::Plain).await;
    let idle = Duration::from_millis(600);
    let stage = asking(names.server(), limits(|it| it.stream_idle = idle)).await;
    let mut stream = connect(&stage, [127, 0, 0, 1]).await;
    let begun = Instant::now();
    let ended = loop {
        let mut one = [0];
        match timeout(Duration::from_millis(100), stream.read(&mut one)).await {
            Err(_elapsed) if begun.elapsed() < PATIENCE => {
                let _gone = stream.write_all(&[1]).await;
            }
            Err(_elapsed) => break false,
            Ok(_over) => break true,
        }
    };
    assert!(ended && begun.elapsed() < PATIENCE / 2);
}

/// A name server over TCP whose every answer has 60 kB.
async fn long_winded() -> NameServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(mut answer) = reply(&mut stream).await else {
                continue;
            };
            // The question alone, and a record of a type that nobody reads.
            let end = 12 + answer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            answer.truncate(end);
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 60]);
            answer.extend(60_000_u16.to_be_bytes());
            answer.resize(answer.len() + 60_000, 0);
            let length = u16::try_from(answer.len()).unwrap();
            let _gone = stream.write_u16(length).await;
            let _gone = stream.write_all(&answer).await;
        }
    });
    NameServer::Tcp(Place {
        address,
        interface: None,
        via: None,
    })
}

/// Resident memory in bytes; 0 where the system does not tell.
fn resident() -> usize {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = told.split(' ').nth(1).map_or(0, |it| it.parse().unwrap());
    pages * 4096
}

#[tokio::test]
async fn replies_that_nobody_reads_are_not_written() {
    let stage = asking(long_winded().await, DnsLimits::default()).await;
    let mut first = connect(&stage, [127, 0, 0, 1]).await;
    assert!(is_served(&mut first).await);
    let before = resident();
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(&stage, [127, 0, 0, 1]).await;
        stream
            .write_all(&query("a.test").repeat(100))
            .await
            .unwrap();
        held.push(stream);
    }
    // Some are at the end of what is written for them.
    for stream in &mut held {
        stream.readable().await.unwrap();
    }
    let mut most = 0;
    for _ in 0..20 {
        sleep(Duration::from_millis(20)).await;
        most = most.max(resident().saturating_sub(before));
    }
    // It was 240 MB. Others of this process take some, too.
    assert!(most < 120_000_000, "{most}");
    // Whoever reads gets all of them.
    for _ in 0..100 {
        assert!(
            reply(&mut held[0])
                .await
                .is_some_and(|it| it.len() > 60_000)
        );
    }
}

async fn drain(plane: &Plane) -> bool {
    plane.drain(PATIENCE).await
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered() {
    let names = Names::start(Mood::OnceTold).await;
    let stage = asking(names.server(), DnsLimits::default()).await;
    let mut idle = connect(&stage, [127, 0, 0, 1]).await;
    let mut stream = connect(&stage, [127, 0, 0, 1]).await;
    stream.write_all(&query("a.test")).await.unwrap();
    while names.asked().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    let asked = async {
        assert_eq!(reply(&mut idle).await, None);
        names.speak();
        assert!(reply(&mut stream).await.is_some());
        assert_eq!(reply(&mut stream).await, None);
    };
    let (drained, ()) = tokio::join!(drain(stage.plane()), asked);
    assert!(drained);
}
