//! What the tests play on: a plane with a policy, servers to reach, clients that connect.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_net::dial::Dialer;
use pointsman_net::lookup::{
    Addresses, Answer, Asking, LookingUp, NotFound, Question, Resolve, Source, Transport,
};
use pointsman_net::plane::{Plane, PlaneSetup};
use pointsman_net::record::FlowRecord;
use pointsman_net::spec::{Bootstrap, Number, Records, Spec};
use pointsman_policy::condition::{Condition, DomainTest};
use pointsman_policy::fact::InboundKind;
use pointsman_policy::model::udp::Udp;
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, OutboundInfo, OutboundKind, Rule};
use pointsman_policy::{Domain, Host, Node, OutboundId, Policy};
use pointsman_spec::address::Server;
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::AskSpec;
use pointsman_spec::door::{Admission, DoorLimits, DoorSpec, Speaks};
use pointsman_spec::ids::PolicyId;
use pointsman_spec::limits::{DatagramLimits, SniffLimits, Timeouts};
use pointsman_spec::login::{Secret, User};
use pointsman_spec::outbound::{Carrier, Group, How, Kind, Outbound, Protocol, Refusal, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// No step of a test takes longer, also on a machine under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Every name is on the loopback, but for `nowhere.test`; `silent.test` is never answered, `late.test` after some turns.
#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn ask<'a>(&'a self, _: &'a Question, _: &'a dyn Transport) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Failed("not asked here".into())))
    }

    fn addresses<'a>(&'a self, name: &'a Domain, _: &'a dyn Transport) -> LookingUp<'a> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let answer = match name.as_str() {
            "nobody.test" => Ok(vec![IpAddr::V4(NOBODY)]),
            "group.test" => Ok(vec![IpAddr::from([239, 1, 2, 3])]),
            "all.test" => Ok(vec![here, IpAddr::from([255; 4])]),
            // Nobody listens at the first one.
            "mixed.test" => Ok(vec![IpAddr::V4(NOBODY), here]),
            "nowhere.test" => Err(NotFound::NoName {
                name: name.clone(),
                from: Source::Configuration,
            }),
            _ => Ok(vec![here]),
        };
        let answer = answer.map(Addresses::fixed);
        match name.as_str() {
            "silent.test" => Box::pin(std::future::pending()),
            "late.test" => Box::pin(async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                answer
            }),
            _ => Box::pin(std::future::ready(answer)),
        }
    }
}

/// A configuration in the making. Outbounds 0 to 3 are DIRECT, REJECT, RESET, BLACKHOLE.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) outbounds: Vec<Outbound>,
    pub(crate) rules: Vec<(Condition, &'static str)>,
    pub(crate) fallback: &'static str,
    pub(crate) order: DomainOrder,
    pub(crate) inbounds: Vec<DoorSpec>,
    pub(crate) limits: Timeouts,
    pub(crate) sniff: SniffLimits,
    pub(crate) number: u64,
}

impl Script {
    pub(crate) fn new() -> Self {
        let outbound = |name: &str, kind| Outbound {
            name: name.into(),
            kind,
        };
        let limits = Timeouts {
            blackhole: Duration::from_millis(300),
            ..Timeouts::default()
        };
        Self {
            outbounds: vec![
                outbound("DIRECT", direct(Uplink::default())),
                outbound("REJECT", Kind::Refuse(Refusal::Reject)),
                outbound("RESET", Kind::Refuse(Refusal::Reset)),
                outbound("BLACKHOLE", Kind::Refuse(Refusal::Blackhole)),
            ],
            rules: Vec::new(),
            fallback: "DIRECT",
            order: DomainOrder::Native,
            inbounds: vec![inbound("mixed", InboundKind::Mixed)],
            limits,
            sniff: SniffLimits::default(),
            number: 1,
        }
    }

    pub(crate) fn inbounds(mut self, inbounds: impl IntoIterator<Item = DoorSpec>) -> Self {
        self.inbounds = inbounds.into_iter().collect();
        self
    }

    pub(crate) fn outbound(mut self, name: &str, kind: Kind) -> Self {
        self.outbounds.push(Outbound {
            name: name.into(),
            kind,
        });
        self
    }

    pub(crate) fn rule(mut self, condition: Condition, outbound: &'static str) -> Self {
        self.rules.push((condition, outbound));
        self
    }

    pub(crate) fn fallback(mut self, outbound: &'static str) -> Self {
        self.fallback = outbound;
        self
    }

    pub(crate) fn id(&self, name: &str) -> OutboundId {
        let found = self
            .outbounds
            .iter()
            .position(|outbound| &*outbound.name == name);
        OutboundId(u32::try_from(found.expect("an outbound of the script")).unwrap())
    }

    pub(crate) fn spec(&self) -> Spec {
        let infos: Vec<OutboundInfo> = self.outbounds.iter().map(info).collect();
        let mut body: Vec<Node> = self
            .rules
            .iter()
            .map(|(condition, name)| {
                Node::Rule(Rule {
                    condition: condition.clone(),
                    outbound: self.id(name),
                    origin: Origin::default(),
                    class: None,
                })
            })
            .collect();
        if !self.fallback.is_empty() {
            let outbound = self.id(self.fallback);
            body.push(Node::Leaf {
                outbound,
                origin: Origin::default(),
            });
        }
        let policy = Policy {
            name: "main".into(),
            outbounds: infos.into(),
            direct: OutboundId(0),
            body: body.into(),
            sets: [].into(),
            zones: Arc::default(),
            databases: Arc::default(),
            domain_order: self.order,
            on_unknown: OnUnknown::Skip,
        };
        Spec {
            number: Number {
                load: self.number,
                refresh: 0,
            },
            policies: vec![Arc::new(policy)],
            outbounds: self.outbounds.clone(),
            inbounds: self.inbounds.clone(),
            resolvers: Vec::new(),
            bootstrap: Bootstrap {
                resolver: Arc::new(Loopback),
                for_outbounds: false,
            },
            server_resolver: Arc::new(Loopback),
            asks: AskSpec::default(),
            sniff: self.sniff,
            guards: Vec::new(),
            dns: None,
            timeouts: self.limits,
            datagrams: DatagramLimits::default(),
            records: Records::default(),
        }
    }

    /// Raises the curtain.
    pub(crate) async fn play(&self) -> Stage {
        Stage::of(self.spec()).await
    }
}
fn info(outbound: &Outbound) -> OutboundInfo {
    let kind = match &outbound.kind {
        Kind::Choose(group) => OutboundKind::Group(group.members.clone()),
        kind => OutboundKind::Plain(kind.action().expect("not a group")),
    };
    OutboundInfo {
        name: Arc::clone(&outbound.name),
        kind,
        udp: Udp::Not("not here"),
    }
}

pub(crate) fn inbound(name: &str, kind: InboundKind) -> DoorSpec {
    DoorSpec {
        name: name.into(),
        alias: None,
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()],
        policy: PolicyId(0),
        resolver: None,
        admits: Admission::default(),
        speaks: match kind {
            InboundKind::Http => Speaks::Http,
            InboundKind::Mixed => Speaks::Mixed,
            InboundKind::Socks5 => Speaks::Socks,
            other => panic!("{other:?} is no proxy"),
        },
        tls: None,
        web_path: None,
        same_family: false,
        limits: DoorLimits::default(),
        access_log: None,
    }
}

pub(crate) fn with_user(mut inbound: DoorSpec, name: &str, password: &str) -> DoorSpec {
    inbound.admits.users.push(User {
        name: name.into(),
        password: Secret::new(password),
        alias: None,
    });
    inbound
}

pub(crate) fn domain(name: &str) -> Condition {
    Condition::Domain(DomainTest::Exact(Domain::parse(name).unwrap()))
}

pub(crate) fn direct(uplink: Uplink) -> Kind {
    Kind::Carry(Carrier::Direct(uplink))
}

pub(crate) fn select(members: Vec<OutboundId>, uplink: Uplink) -> Kind {
    Kind::Choose(Group {
        members,
        how: How::Selected { uplink },
    })
}

/// A SOCKS5 proxy without a login.
pub(crate) fn socks5(at: SocketAddr) -> Kind {
    upstream(at, Protocol::Socks5(None))
}

pub(crate) fn upstream(at: SocketAddr, protocol: Protocol) -> Kind {
    Kind::Carry(Carrier::Upstream(Upstream::new(
        Server {
            host: Host::Address(at.ip()),
            port: at.port(),
        },
        protocol,
    )))
}

/// A plane in service.
pub(crate) struct Stage {
    plane: Option<Plane>,
    pub(crate) ports: Vec<SocketAddr>,
}

impl Stage {
    /// A plane with that in force.
    pub(crate) async fn of(spec: Spec) -> Self {
        let plane = Plane::start(PlaneSetup {
            workers: 2,
            dialer: Dialer::default(),
            clock: || 1_700_000_000_000,
        });
        let plane = plane.unwrap();
        let bound = plane.apply(spec).await.unwrap();
        Self {
            ports: bound.into_iter().map(|(_, address)| address).collect(),
            plane: Some(plane),
        }
    }

    pub(crate) fn plane(&self) -> &Plane {
        self.plane.as_ref().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::to(self.ports[0]).await
    }

    /// The record of the only flow so far, once it has ended.
    pub(crate) async fn record(&self) -> Arc<FlowRecord> {
        self.records(1).await.remove(0)
    }

    /// All records, once there are so many.
    pub(crate) async fn records(&self, count: usize) -> Vec<Arc<FlowRecord>> {
        let mut tail = self.plane().tail();
        let all = timeout(PATIENCE, async {
            loop {
                let recent = self.plane().recent();
                if recent.len() >= count {
                    return recent;
                }
                let _ = tail.recv().await;
            }
        });
        all.await.expect("as many flows as expected")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let plane = self.plane.take();
        // It blocks for its threads, which a thread of a runtime must not.
        std::thread::spawn(move || drop(plane)).join().unwrap();
    }
}

/// One end of a connection, with a limit to each wait.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(
            timeout(PATIENCE, TcpStream::connect(address))
                .await
                .unwrap()
                .unwrap(),
        )
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(PATIENCE, self.0.write_all(bytes.as_ref()))
            .await
            .unwrap()
            .unwrap();
    }

    /// Exactly so many bytes.
    pub(crate) async fn get(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = timeout(PATIENCE, self.0.read_exact(&mut bytes)).await;
        read.expect("bytes in time").expect("bytes before the end");
        bytes
    }

    pub(crate) async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let got = self.get(bytes.len()).await;
        assert_eq!(got, bytes, "{}", String::from_utf8_lossy(&got));
    }

    /// All that comes until the end.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .expect("an end in time")?;
        Ok(bytes)
    }

    /// Up to and with an empty line.
    pub(crate) async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.extend(self.get(1).await);
        }
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) async fn is_reset(&mut self) -> bool {
        match self.rest().await {
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// SOCKS5 without a password; answers with the reply's code.
    pub(crate) async fn socks5(&mut self, host: &str, port: u16) -> u8 {
        self.send([5, 1, 0]).await;
        self.expect([5, 0]).await;
        self.send(socks5_request(host, port)).await;
        let reply = self.get(10).await;
        assert_eq!(reply[0], 5);
        reply[1]
    }
}

pub(crate) fn socks5_request(host: &str, port: u16) -> Vec<u8> {
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            request.extend([3, u8::try_from(host.len()).unwrap()]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    request
}

/// Answers each connection with what it sends.
pub(crate) async fn echo() -> SocketAddr {
    serve(|mut client| async move {
        let (mut from, mut to) = client.split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    })
    .await
}

/// A server that does so with each connection.
pub(crate) async fn serve<F>(with: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(with(client));
        }
    });
    address
}

/// Where nobody listens: no other test uses this part of the loopback.
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 99, 1, 1);

/// An address where nobody listens; `nobody.test` is there too.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind((NOBODY, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A ClientHello (RFC 8446, 4.1.2) that asks for `name`, padded to about `size` bytes.
pub(crate) fn client_hello(name: &str, size: usize) -> Vec<u8> {
    let counted = |width: usize, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[4 - width..], bytes].concat()
    };
    let server = [&[0][..], &counted(2, name.as_bytes())].concat();
    let server = [&[0, 0][..], &counted(2, &counted(2, &server))].concat();
    let padding = vec![0; size.saturating_sub(name.len() + 70)];
    let padding = [&[0, 21][..], &counted(2, &padding)].concat();
    let extensions = counted(2, &[padding, server].concat());
    let ciphers = [0, 2, 0x13, 1];
    let hello = [&[3, 3][..], &[7; 32], &[0], &ciphers, &[1, 0], &extensions].concat();
    let handshake = [&[1][..], &counted(3, &hello)].concat();
    [&[22, 3, 1][..], &counted(2, &handshake)].concat()
}
