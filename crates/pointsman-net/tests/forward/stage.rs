//! What the tests play on: a plane with forwards, targets to reach, clients that connect.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_net::dial::Dialer;
use pointsman_net::lookup::{
    Addresses, Answer, Asking, LookingUp, NotFound, Question, Resolve, Source, Transport,
};
use pointsman_net::plane::{Plane, PlaneSetup};
use pointsman_net::record::FlowRecord;
use pointsman_net::spec::listening::Listening;
use pointsman_net::spec::{Bootstrap, Number, Records, Spec};
use pointsman_policy::condition::{AddressOf, Asks, Condition};
use pointsman_policy::model::udp::Udp;
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, OutboundInfo, OutboundKind, Rule};
use pointsman_policy::{Action, Domain, Host, Node, OutboundId, Policy, Prefix};
use pointsman_spec::address::Endpoint;
use pointsman_spec::address::Families;
use pointsman_spec::address::Server;
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::AskSpec;
use pointsman_spec::door::Listen;
use pointsman_spec::door::{Admission, DoorLimits, DoorSpec, Speaks};
use pointsman_spec::ids::PolicyId;
use pointsman_spec::limits::{DatagramLimits, SniffLimits, Timeouts};
use pointsman_spec::outbound::{
    Balance, Balancing, Carrier, Group, How, Kind, Outbound, Refusal, Retry,
};
use pointsman_spec::target;
use pointsman_spec::target::Keepalive;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

/// No step of a test takes longer, also on a machine under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `both.test` is on the loopback of both families, `four.test` and `six.test` of one.
#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn ask<'a>(&'a self, _: &'a Question, _: &'a dyn Transport) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Failed("not asked here".into())))
    }

    fn addresses<'a>(&'a self, name: &'a Domain, _: &'a dyn Transport) -> LookingUp<'a> {
        let (four, six) = (
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        );
        let answer = match name.as_str() {
            "both.test" => Ok(vec![four, six]),
            "four.test" => Ok(vec![four]),
            "six.test" => Ok(vec![six]),
            _ => Err(NotFound::NoName {
                name: name.clone(),
                from: Source::Configuration,
            }),
        };
        let answer = answer.map(Addresses::fixed);
        Box::pin(async move {
            if name.as_str() == "silent.test" {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

pub(crate) fn local() -> Listen {
    listen(Ipv4Addr::LOCALHOST)
}

pub(crate) fn listen(address: impl Into<IpAddr>) -> Listen {
    SocketAddr::new(address.into(), 0).into()
}

/// A target, with its outbound's name.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) name: Arc<str>,
    pub(crate) address: Endpoint,
    pub(crate) via: Option<OutboundId>,
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) resolve_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) keepalive: Keepalive,
    pub(crate) families: Families,
}

impl Target {
    fn kind(&self, forward: &Forward) -> Kind {
        Kind::Carry(Carrier::Target(target::Target {
            address: self.address.clone(),
            via: self.via,
            attempts: self.attempts,
            backoff: self.backoff,
            connect_timeout: self.connect_timeout,
            resolve_timeout: self.resolve_timeout,
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
            keepalive: self.keepalive,
            families: self.families,
            proxy_header: forward.proxy_header,
        }))
    }
}

/// A forward: a door, and the group that its policy ends in.
#[derive(Clone)]
pub(crate) struct Forward {
    pub(crate) name: Arc<str>,
    pub(crate) listen: Vec<Listen>,
    pub(crate) targets: Vec<Target>,
    pub(crate) balance: Balance,
    pub(crate) connection_limit: usize,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) access_log: Option<PathBuf>,
    pub(crate) proxy_header: bool,
    pub(crate) same_family: bool,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) half_closed: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) one_way: bool,
    pub(crate) retry: Retry,
    pub(crate) not_yet: Option<Arc<str>>,
}

impl Forward {
    fn door(&self, policy: usize) -> DoorSpec {
        DoorSpec {
            name: Arc::clone(&self.name),
            alias: Some(Arc::clone(&self.name)),
            listen: self.listen.clone(),
            policy: PolicyId(policy),
            resolver: None,
            admits: Admission::default(),
            speaks: Speaks::Nothing,
            tls: None,
            web_path: None,
            same_family: self.same_family,
            limits: DoorLimits {
                lifetime: self.lifetime,
                read_timeout: self.read_timeout,
                write_timeout: self.write_timeout,
                half_closed: self.half_closed,
                idle: self.idle,
            },
            access_log: self.access_log.clone(),
        }
    }

    fn group(&self, members: Vec<OutboundId>) -> Kind {
        Kind::Choose(Group {
            members,
            how: How::Balanced(Balancing {
                balance: self.balance,
                retry: self.retry,
                connection_limit: self.connection_limit,
                one_way: self.one_way,
                not_yet: self.not_yet.clone(),
            }),
        })
    }
}

pub(crate) fn target(name: &str, address: Endpoint) -> Target {
    Target {
        name: name.into(),
        address,
        via: None,
        attempts: 1,
        backoff: Duration::ZERO,
        connect_timeout: Some(PATIENCE),
        resolve_timeout: None,
        read_timeout: None,
        write_timeout: None,
        keepalive: Keepalive::Default,
        families: Families::default(),
    }
}

pub(crate) fn tcp(name: &str, at: SocketAddr) -> Target {
    target(name, at.into())
}

pub(crate) fn named(name: &str, host: &str, port: u16) -> Target {
    let host = Host::Name(Domain::parse(host).unwrap());
    target(name, Endpoint::Tcp(Server { host, port }))
}

/// A forward named `f` that listens on the loopback.
pub(crate) fn to(targets: impl IntoIterator<Item = Target>) -> Forward {
    Forward {
        name: "f".into(),
        listen: vec![local()],
        targets: targets.into_iter().collect(),
        balance: Balance::None,
        connection_limit: 0,
        lifetime: None,
        access_log: None,
        proxy_header: false,
        same_family: false,
        read_timeout: None,
        write_timeout: None,
        half_closed: None,
        idle: None,
        one_way: false,
        retry: Retry::default(),
        not_yet: None,
    }
}

/// A generation of forwards, all with the same sources allowed (none: anybody).
pub(crate) fn spec(number: u64, allow: &[&str], forwards: Vec<Forward>) -> Spec {
    spec_with(number, allow, forwards, Kind::Refuse(Refusal::Blackhole))
}

/// Outbounds: 0 is DIRECT, 1 RESET, 2 `extra`; then each forward's group, before its targets.
pub(crate) fn spec_with(number: u64, allow: &[&str], forwards: Vec<Forward>, extra: Kind) -> Spec {
    let outbound = |name: &str, kind| Outbound {
        name: name.into(),
        kind,
    };
    let mut outbounds = vec![
        outbound("DIRECT", Kind::Carry(Carrier::Direct(Uplink::default()))),
        outbound("RESET", Kind::Refuse(Refusal::Reset)),
        outbound("extra", extra),
    ];
    let mut groups = Vec::new();
    for forward in &forwards {
        let group = u32::try_from(outbounds.len()).unwrap();
        let members = (group + 1..).take(forward.targets.len());
        let members = forward.group(members.map(OutboundId).collect());
        outbounds.push(outbound(&forward.name, members));
        let targets = forward.targets.iter();
        outbounds.extend(targets.map(|target| outbound(&target.name, target.kind(forward))));
        groups.push(OutboundId(group));
    }
    let info = |outbound: &Outbound| OutboundInfo {
        name: Arc::clone(&outbound.name),
        kind: match outbound.kind.action() {
            Some(action) => OutboundKind::Plain(action),
            None => OutboundKind::Group(vec![]),
        },
        udp: Udp::Not("not here"),
    };
    let infos: Arc<[OutboundInfo]> = outbounds.iter().map(info).collect();
    let policies = forwards.iter().zip(groups);
    let policies = policies.map(|(forward, group)| Arc::new(policy(forward, group, allow, &infos)));
    let policies = policies.collect();
    let doors = forwards.iter().enumerate();
    Spec {
        number: Number {
            load: number,
            refresh: 0,
        },
        policies,
        outbounds,
        inbounds: doors
            .map(|(policy, forward)| forward.door(policy))
            .collect(),
        resolvers: Vec::new(),
        server_resolver: Arc::new(Loopback),
        asks: AskSpec::default(),
        bootstrap: Bootstrap {
            resolver: Arc::new(Loopback),
            for_outbounds: false,
        },
        sniff: SniffLimits::default(),
        guards: Vec::new(),
        dns: None,
        timeouts: Timeouts::default(),
        datagrams: DatagramLimits::default(),
        records: Records::default(),
    }
}

/// Who is not allowed is reset, the others are given the group.
fn policy(
    forward: &Forward,
    group: OutboundId,
    allow: &[&str],
    outbounds: &Arc<[OutboundInfo]>,
) -> Policy {
    let from = |text: &&str| Condition::Address {
        of: AddressOf::Source,
        prefix: text.parse::<Prefix>().unwrap(),
        asks: Asks::Never,
    };
    let mut body = Vec::new();
    if !allow.is_empty() {
        body.push(Node::Rule(Rule {
            condition: Condition::Not(Box::new(Condition::Or(allow.iter().map(from).collect()))),
            outbound: OutboundId(1),
            origin: Origin::default(),
            class: None,
        }));
    }
    body.push(Node::Leaf {
        outbound: group,
        origin: Origin::default(),
    });
    Policy {
        name: Arc::clone(&forward.name),
        outbounds: Arc::clone(outbounds),
        direct: OutboundId(0),
        body: body.into(),
        sets: [].into(),
        zones: Arc::default(),
        databases: Arc::default(),
        domain_order: DomainOrder::Native,
        on_unknown: OnUnknown::Reject,
    }
}

/// A plane in service.
pub(crate) struct Stage {
    plane: Option<Plane>,
    pub(crate) at: Vec<Listening>,
}

impl Stage {
    pub(crate) async fn of(forward: Forward) -> Self {
        Self::play(spec(1, &[], vec![forward])).await
    }

    pub(crate) async fn play(spec: Spec) -> Self {
        let mut stage = Self::dark();
        stage.plane().apply(spec).await.unwrap();
        stage.at = stage.listening();
        stage
    }

    /// Nothing is listened on yet.
    pub(crate) fn dark() -> Self {
        let plane = Plane::start(PlaneSetup {
            workers: 2,
            dialer: Dialer::default(),
            clock: || 1_700_000_000_000,
        });
        Self {
            plane: Some(plane.unwrap()),
            at: Vec::new(),
        }
    }

    pub(crate) fn plane(&self) -> &Plane {
        self.plane.as_ref().unwrap()
    }

    pub(crate) fn listening(&self) -> Vec<Listening> {
        self.plane().in_force().unwrap().listening().to_vec()
    }

    pub(crate) fn port(&self) -> SocketAddr {
        self.at[0].at.tcp().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        client(self.port()).await
    }

    /// Whether a connection is closed without a byte; a reset may overtake the end of the connect.
    pub(crate) async fn closes(&self) -> bool {
        match timeout(PATIENCE, TcpStream::connect(self.port()))
            .await
            .unwrap()
        {
            Ok(socket) => Client(socket).is_closed().await,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Connects, and hears what `greeter` says.
    pub(crate) async fn hears(&self, expected: &str) {
        self.connect().await.expect(expected).await;
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

    /// Waits until so many flows live.
    pub(crate) async fn living(&self, count: usize) {
        let reached = async {
            while self.plane().flows().len() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, reached).await.expect("so many flows");
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
pub(crate) struct Client<S>(pub(crate) S);

pub(crate) async fn client(address: SocketAddr) -> Client<TcpStream> {
    let connecting = timeout(PATIENCE, TcpStream::connect(address));
    Client(connecting.await.unwrap().unwrap())
}

pub(crate) async fn unix_client(path: &Path) -> Client<UnixStream> {
    let connecting = timeout(PATIENCE, UnixStream::connect(path));
    Client(connecting.await.unwrap().unwrap())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(PATIENCE, self.0.write_all(bytes.as_ref())).await;
        sent.unwrap().unwrap();
    }

    pub(crate) async fn finish(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    pub(crate) async fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let mut bytes = vec![0; expected.as_ref().len()];
        let read = timeout(PATIENCE, self.0.read_exact(&mut bytes)).await;
        read.expect("bytes in time").expect("bytes before the end");
        assert_eq!(
            bytes,
            expected.as_ref(),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }

    /// All that comes until the end.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        read.expect("an end in time")?;
        Ok(bytes)
    }

    /// Whether it ends without a byte, by a reset or in order.
    pub(crate) async fn is_closed(&mut self) -> bool {
        match self.rest().await {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    pub(crate) async fn is_reset(&mut self) -> bool {
        let rest = self.rest().await;
        rest.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
    }
}

/// Answers each connection with what it sends.
pub(crate) async fn echo() -> SocketAddr {
    serve(Ipv4Addr::LOCALHOST, echoing).await
}

pub(crate) async fn echoing(client: impl AsyncRead + AsyncWrite) {
    let (mut from, mut to) = tokio::io::split(client);
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Says its name to each connection, and ends it.
pub(crate) async fn greeter(name: &'static str) -> SocketAddr {
    serve(Ipv4Addr::LOCALHOST, move |mut client| async move {
        let _ = client.write_all(name.as_bytes()).await;
    })
    .await
}

/// Hears all that each connection sends, then says it in answer with `got ` before.
pub(crate) async fn hearer(at: impl Into<IpAddr>) -> SocketAddr {
    serve(at, |mut client| async move {
        let mut heard = b"got ".to_vec();
        if client.read_to_end(&mut heard).await.is_ok() {
            let _ = client.write_all(&heard).await;
        }
    })
    .await
}

/// A server that does so with each connection.
pub(crate) async fn serve<F>(
    at: impl Into<IpAddr>,
    with: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((at.into(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(with(client));
        }
    });
    address
}

/// Answers each connection at a path with what it sends.
pub(crate) fn unix_echo(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(echoing(client));
        }
    });
}

/// An address where nobody listens: no test binds to this part of the loopback.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 98, 7, 1], 9))
}

pub(crate) fn direct(record: &FlowRecord) -> bool {
    record.action == Some(Action::Direct)
}

/// A directory of the test's own.
pub(crate) fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}
