//! An address that becomes wider or narrower while clients connect, and generations that are dropped half-way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pointsman_net::plane::ApplyError;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::door::DoorSpec;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::dropping::dropped_at_each_wait;
use crate::stage::*;

fn at(listen: SocketAddr) -> DoorSpec {
    DoorSpec {
        listen: vec![listen.into()],
        ..inbound("mixed", InboundKind::Mixed)
    }
}

fn told(stage: &Stage) -> Vec<String> {
    let now = stage.plane().in_force().unwrap();
    now.listening().iter().map(|it| it.at.to_string()).collect()
}

async fn code(at: SocketAddr, port: u16) -> u8 {
    Client::to(at).await.socks5("echo.test", port).await
}

/// A thread that connects again and again until it is told to end; each time it has to be served.
struct Knocking {
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Knocking {
    fn begin(at: SocketAddr, port: u16) -> Self {
        let over: Arc<AtomicBool> = Arc::default();
        let served: Arc<AtomicUsize> = Arc::default();
        let (ends, counts) = (Arc::clone(&over), Arc::clone(&served));
        let knock = async move {
            while !ends.load(Ordering::Relaxed) {
                let mut client = Client::to(at).await;
                assert_eq!(client.socks5("echo.test", port).await, 0);
                client.send("x").await;
                client.expect("x").await;
                counts.fetch_add(1, Ordering::Relaxed);
            }
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(knock));
        Self {
            over,
            served,
            thread,
        }
    }

    async fn is_served(&self, more: usize) {
        let until = self.served.load(Ordering::Relaxed) + more;
        while self.served.load(Ordering::Relaxed) < until {
            assert!(!self.thread.is_finished(), "a connection was lost");
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        while !self.thread.is_finished() {
            tokio::task::yield_now().await;
        }
        self.thread.join().expect("no connection was lost");
    }
}

#[tokio::test]
async fn an_address_widens_and_narrows_without_a_lost_connection() {
    let server = echo().await;
    for loopback in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let narrow = SocketAddr::new(loopback, 0);
        let stage = Script::new().inbounds([at(narrow)]).play().await;
        let narrow = stage.ports[0];
        let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, narrow.port()));
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, narrow.port()));
        let mut steps = vec![
            (both, vec![four.to_string(), both.to_string()]),
            (narrow, vec![narrow.to_string()]),
        ];
        if loopback.is_ipv4() {
            steps.push((four, vec![four.to_string()]));
            // Narrower without a narrower socket from before.
            steps.push((both, vec![four.to_string(), both.to_string()]));
        }
        let clients: Vec<_> = (0..3)
            .map(|_| Knocking::begin(narrow, server.port()))
            .collect();
        for (listen, expected) in [steps.clone(), steps.clone(), steps].concat() {
            let spec = Script::new().inbounds([at(listen)]).spec();
            stage.plane().apply(spec).await.unwrap();
            assert_eq!(told(&stage), expected);
            for client in &clients {
                client.is_served(4).await;
            }
        }
        for client in clients {
            client.end().await;
        }
    }
}

#[tokio::test]
async fn a_first_narrowing_loses_no_connection_and_closes_the_rest() {
    let server = echo().await;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let stage = Script::new().inbounds([at(any)]).play().await;
    let port = stage.ports[0].port();
    let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let outside = SocketAddr::from(([127, 0, 0, 2], port));
    assert_eq!(code(outside, server.port()).await, 0);
    let client = Knocking::begin(inside, server.port());
    client.is_served(8).await;
    let spec = Script::new().inbounds([at(inside)]).spec();
    let retired = {
        let prepared = stage.plane().prepare(spec).await.unwrap();
        stage.plane().commit(prepared, ())
    };
    // Who comes from now on to what is not listened on any more gets nothing, while those inside are taken.
    let mut late = Client::to(outside).await;
    assert!(late.rest().await.unwrap_or_default().is_empty());
    retired.retire().await;
    assert!(tokio::net::TcpStream::connect(outside).await.is_err());
    client.is_served(8).await;
    client.end().await;
}

/// A client whose datagrams are relayed.
struct Associated {
    _control: Client,
    socket: UdpSocket,
    relay: SocketAddr,
}

impl Associated {
    async fn by(at: SocketAddr) -> Self {
        let mut control = Client::to(at).await;
        control.send([5, 1, 0]).await;
        control.expect([5, 0]).await;
        control.send([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        control.expect([5, 0, 0, 1, 127, 0, 0, 1]).await;
        let port = control.get(2).await;
        let port = u16::from_be_bytes([port[0], port[1]]);
        Self {
            _control: control,
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            relay: (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    /// Whether a datagram to that server arrives there.
    async fn reaches(&self, server: &UdpSocket) -> bool {
        let mut datagram = vec![0, 0, 0, 1, 127, 0, 0, 1];
        datagram.extend(server.local_addr().unwrap().port().to_be_bytes());
        datagram.extend(b"hello");
        self.socket.send_to(&datagram, self.relay).await.unwrap();
        let mut heard = [0; 16];
        let heard = timeout(Duration::from_secs(1), server.recv(&mut heard));
        matches!(heard.await, Ok(Ok(5)))
    }
}

#[tokio::test]
async fn an_association_outlives_its_listener_where_another_admits_its_client() {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let stage = Script::new().inbounds([at(any)]).play().await;
    let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, stage.ports[0].port()));
    let outside = SocketAddr::from(([127, 0, 0, 2], inside.port()));
    let bind = || async { UdpSocket::bind("127.0.0.1:0").await.unwrap() };
    let (one, two, three) = (bind().await, bind().await, bind().await);
    let client = Associated::by(inside).await;
    assert!(client.reaches(&one).await);
    let narrower = at(inside);
    let mut script = Script::new().inbounds([narrower]);
    script.number = 2;
    stage.plane().apply(script.spec()).await.unwrap();
    assert!(client.reaches(&two).await, "a new flow");
    assert!(client.reaches(&one).await, "an old one");
    // Once more, with the listener that came in the other's stead.
    script = script.fallback("REJECT");
    script.number = 3;
    stage.plane().apply(script.spec()).await.unwrap();
    assert!(!client.reaches(&three).await, "the new rules refuse it");
    assert!(client.reaches(&one).await, "those before let it go");
    // Nobody listens any more where it came in.
    let mut script = Script::new().inbounds([at(outside)]);
    script.number = 4;
    stage.plane().apply(script.spec()).await.unwrap();
    assert!(!client.reaches(&three).await);
    assert!(!client.reaches(&one).await, "the association is over");
}

#[tokio::test]
async fn an_association_ends_where_the_listener_in_its_stead_does_not_admit_its_client() {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let stage = Script::new().inbounds([at(any)]).play().await;
    let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, stage.ports[0].port()));
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = Associated::by(inside).await;
    assert!(client.reaches(&server).await);
    let closed = with_user(at(inside), "alice", "secret");
    let mut script = Script::new().inbounds([closed]);
    script.number = 2;
    stage.plane().apply(script.spec()).await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert!(!client.reaches(&other).await);
    assert!(!client.reaches(&server).await, "the association is over");
}

#[tokio::test]
async fn any_address_is_of_both_families_on_one_port() {
    let server = echo().await;
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let stage = Script::new().inbounds([at(any)]).play().await;
    let port = stage.ports[0].port();
    let expected = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    assert_eq!(told(&stage), expected);
    for client in ["127.0.0.1", "[::1]"] {
        let at = format!("{client}:{port}").parse().unwrap();
        assert_eq!(code(at, server.port()).await, 0, "{client}");
    }
}

#[tokio::test]
async fn who_waits_at_a_listener_that_goes_is_served_by_what_was_in_force() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let mut script = Script::new().inbounds([at(([127, 0, 0, 1], 0).into())]);
    script.inbounds[0].listen = vec![SocketAddr::from(([127, 0, 0, 3], 0)).into()];
    script = script.fallback("REJECT");
    let prepared = stage.plane().prepare(script.spec()).await.unwrap();
    // Whether they are taken before the commit or after it, they came before.
    let waiting: Vec<std::net::TcpStream> = (0..50)
        .map(|_| std::net::TcpStream::connect(stage.ports[0]).unwrap())
        .collect();
    stage.plane().commit(prepared, ()).retire().await;
    for client in waiting {
        client.set_nonblocking(true).unwrap();
        let mut client = Client(tokio::net::TcpStream::from_std(client).unwrap());
        assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    }
}

#[tokio::test]
async fn a_generation_is_not_half_in_force_wherever_it_is_dropped() {
    let server = echo().await;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let stage = Script::new().inbounds([at(any)]).play().await;
    let port = stage.ports[0].port();
    let spec = |number: u64, ip: Ipv4Addr| {
        let mut script = Script::new().inbounds([
            inbound(&format!("first-{number}"), InboundKind::Mixed),
            at((ip, port).into()),
        ]);
        script.number = number;
        script.spec()
    };
    let mut number = 0;
    // One that narrows its address is slow to close: it lingers.
    let mut moving = || {
        number += 2;
        let (wide, narrow) = (
            spec(number, Ipv4Addr::UNSPECIFIED),
            spec(number + 1, Ipv4Addr::LOCALHOST),
        );
        async {
            stage.plane().apply(wide).await?;
            stage.plane().apply(narrow).await
        }
    };
    let mut last = (1, told(&stage));
    let look = async |_times: usize| {
        let now = stage.plane().in_force().unwrap();
        let number = now.number().load;
        if number == last.0 {
            assert_eq!(told(&stage), last.1);
        } else {
            let listening = now.listening().iter();
            let names: Vec<_> = listening.map(|it| it.name.to_string()).collect();
            assert_eq!(names, [format!("first-{number}"), "mixed".to_owned()]);
        }
        last = (number, told(&stage));
        for listening in now.listening() {
            let at = listening.at.tcp().unwrap();
            let code = code(at, server.port()).await;
            assert_eq!(code, 0, "generation {number} at {at}");
        }
    };
    let (applied, polls) = dropped_at_each_wait(&mut moving, look).await;
    assert_eq!(applied.unwrap().len(), 2);
    assert!(polls > 1, "it waits for what it closes");
    // What was dropped holds nobody up.
    assert_eq!(moving().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_stop_waits_for_no_generation_that_is_prepared() {
    let stage = Script::new().play().await;
    let prepared = stage.plane().prepare(Script::new().spec()).await.unwrap();
    assert!(stage.plane().drain(PATIENCE).await);
    let late = stage.plane().commit(prepared, ());
    let addresses: Vec<_> = late.addresses().iter().map(|(_, at)| *at).collect();
    late.retire().await;
    // What came too late is in force, and listens nowhere.
    for at in [&stage.ports[..], &addresses[..]].concat() {
        assert!(tokio::net::TcpStream::connect(at).await.is_err(), "{at}");
    }
    let next = stage.plane().prepare(Script::new().spec()).await;
    assert!(matches!(next, Err(ApplyError::Stopping)), "{next:?}");
}

/// Whether this very address of the loopback is listened on.
fn is_listened_on(at: SocketAddr) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listening = format!(" 0100007F:{:04X} 00000000:0000 0A ", at.port());
    sockets.contains(&listening)
}

#[tokio::test]
async fn a_listener_that_lingers_serves_nobody_after_the_end() {
    let server = echo().await;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let stage = Script::new().inbounds([at(any)]).play().await;
    let narrow = SocketAddr::from((Ipv4Addr::LOCALHOST, stage.ports[0].port()));
    let spec = Script::new().inbounds([at(narrow)]).spec();
    let prepared = stage.plane().prepare(spec).await.unwrap();
    let lingering = stage.plane().commit(prepared, ());
    let mut flow = Client::to(narrow).await;
    assert_eq!(flow.socks5("echo.test", server.port()).await, 0);
    assert!(is_listened_on(narrow));
    let late = async {
        while is_listened_on(narrow) {
            tokio::task::yield_now().await;
        }
        // As long as the wider socket is there, it takes it.
        if let Ok(mut late) = tokio::net::TcpStream::connect(narrow).await {
            let _closed = tokio::io::AsyncWriteExt::write_all(&mut late, &[5, 1, 0]).await;
            let mut byte = [0];
            let read = tokio::io::AsyncReadExt::read(&mut late, &mut byte).await;
            assert!(matches!(read, Ok(0) | Err(_)), "it is served: {read:?}");
        }
        // The flow from before goes on, and ends the wait.
        flow.send("x").await;
        flow.expect("x").await;
        drop(flow);
    };
    let (drained, late) = tokio::join!(stage.plane().drain(PATIENCE), timeout(PATIENCE, late));
    late.unwrap();
    assert!(drained);
    // The end waits for it.
    let closed = tokio::net::TcpStream::connect(narrow).await;
    assert!(closed.is_err(), "{closed:?}");
    drop(lingering);
}
