//! What a connection costs in memory: allocations while it is short, bytes while it rests; and a datagram: nothing. Budgets
//! that are not to be overdrawn. A process of its own, for its allocator counts.

#![expect(unsafe_code, reason = "an allocator that counts has to be one")]
#![expect(
    clippy::disallowed_methods,
    reason = "the clients and servers of these tests are not ours"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(dead_code, reason = "the stages are other tests'")]

#[path = "../forward/stage.rs"]
mod forward;
#[path = "../plane/stage.rs"]
mod plane;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use pointsman_policy::fact::InboundKind;

/// For a connection with one question and one answer, from its accept to its record.
const FORWARDED: usize = 6;
const BY_SOCKS5: usize = 6;

/// For a connection that has carried one question and one answer and rests, by either way: what was asked of the
/// allocator, without what that adds of its own. Of it two times 256 bytes are the runtime's, one for each socket.
const RESTING: isize = 1250;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// Threads of the test itself, which do not count.
    static OURS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches an atomic and a thread-local that
// needs no destructor and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !OURS.with(Cell::get) {
            ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
            count(layout.size(), 0);
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !OURS.with(Cell::get) {
            ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
            count(size, layout.size());
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !OURS.with(Cell::get) {
            count(0, layout.size());
        }
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(more: usize, less: usize) {
    let signed = |bytes: usize| isize::try_from(bytes).unwrap_or(isize::MAX);
    BYTES.fetch_add(signed(more) - signed(less), Ordering::SeqCst);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One after the other, for what one allocates is not the other's.
#[tokio::test]
async fn a_connection_costs_little() {
    OURS.set(true);
    let (forwarded, by_socks5) = short().await;
    eprintln!("short: {forwarded} allocations forwarded, {by_socks5} by SOCKS5");
    assert!(forwarded <= FORWARDED, "{forwarded} allocations");
    assert!(by_socks5 <= BY_SOCKS5, "{by_socks5} allocations");
    let echoes = echoes().await;
    eprintln!("{ECHOES} echoes of datagrams: {echoes:?} allocations");
    assert_eq!(echoes, [0; 2], "by its address, by its name");
    let (forwarded, by_socks5) = resting().await;
    eprintln!("at rest: {forwarded} bytes forwarded, {by_socks5} by SOCKS5");
    assert!(forwarded <= RESTING, "{forwarded} bytes");
    assert!(by_socks5 <= RESTING, "{by_socks5} bytes");
}

/// Allocations of a short connection: forwarded, and by SOCKS5.
async fn short() -> (usize, usize) {
    let server = answering();
    let stage = forward::Stage::of(forward::to([forward::tcp("server", server)])).await;
    let at = stage.port();
    let forwarded = cheapest(|| TcpStream::connect(at).unwrap());
    let proxied = plane::Script::new().inbounds([plane::inbound("proxy", InboundKind::Socks5)]);
    let proxied = proxied.play().await;
    let at = proxied.ports[0];
    (forwarded, cheapest(|| socks5(at, server)))
}

/// Datagrams of a flow that is carried, and their answers.
const ECHOES: usize = 100;

/// Allocations of so many echoes: with a place that the client names by its address, and by its name.
async fn echoes() -> [usize; 2] {
    let echo = echoing();
    let proxied = plane::Script::new().inbounds([plane::inbound("proxy", InboundKind::Socks5)]);
    let proxied = proxied.play().await;
    let mut control = greeted(proxied.ports[0]);
    control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut answer = [0; 10];
    control.read_exact(&mut answer).unwrap();
    let relay = u16::from_be_bytes([answer[8], answer[9]]);
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect((Ipv4Addr::LOCALHOST, relay)).unwrap();
    client.set_read_timeout(Some(plane::PATIENCE)).unwrap();
    let port = echo.port().to_be_bytes();
    let by_address = [&[0, 0, 0, 1, 127, 0, 0, 1][..], &port].concat();
    let by_name = [&b"\0\0\0\x03\x09here.test"[..], &port].concat();
    [by_address, by_name].map(|head| {
        let question = [&head[..], b"question"].concat();
        let several = || {
            let before = ALLOCATIONS.load(Ordering::SeqCst);
            for _ in 0..ECHOES {
                client.send(&question).unwrap();
                let mut answer = [0; 64];
                let length = client.recv(&mut answer).unwrap();
                assert_eq!(answer[..length], question);
            }
            ALLOCATIONS.load(Ordering::SeqCst) - before
        };
        // The first rounds decide the flow, and make room; others may allocate meanwhile.
        (0..20).map(|_| several()).min().unwrap()
    })
}

/// Sends back what comes.
fn echoing() -> SocketAddrV4 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        OURS.set(true);
        let mut bytes = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            socket.send_to(&bytes[..length], from).unwrap();
        }
    });
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// Bytes of a connection at rest: forwarded, and by SOCKS5.
async fn resting() -> (isize, isize) {
    let server = resting_with();
    let stage = forward::Stage::of(forward::to([forward::tcp("server", server)])).await;
    let at = stage.port();
    let forwarded = each(|| TcpStream::connect(at).unwrap());
    let proxied = plane::Script::new().inbounds([plane::inbound("proxy", InboundKind::Socks5)]);
    let proxied = proxied.play().await;
    let at = proxied.ports[0];
    (forwarded, each(|| socks5(at, server)))
}

/// What each of many holds while it rests; tables that grow are shared by all.
fn each(connection: impl Fn() -> TcpStream) -> isize {
    const MANY: isize = 200;
    // What is made once, with the first connections, belongs to none.
    let first: Vec<TcpStream> = (0..20).map(|_| rests(connection())).collect();
    std::thread::sleep(MOMENT);
    let before = BYTES.load(Ordering::SeqCst);
    let open: Vec<TcpStream> = (0..MANY).map(|_| rests(connection())).collect();
    std::thread::sleep(MOMENT);
    let after = BYTES.load(Ordering::SeqCst);
    drop((first, open));
    (after - before) / MANY
}

/// After which a conversation is over, and its relay rests.
const MOMENT: Duration = Duration::from_millis(200);

fn rests(mut connection: TcpStream) -> TcpStream {
    connection.write_all(b"question").unwrap();
    connection.read_exact(&mut [0; 6]).unwrap();
    connection
}

/// Answers one question of each client, and keeps it.
fn resting_with() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        OURS.set(true);
        let answered = listener.incoming().map_while(Result::ok).map(|mut client| {
            let _gone = client.read_exact(&mut [0; 8]);
            let _gone = client.write_all(b"answer");
            client
        });
        let _kept: Vec<TcpStream> = answered.collect();
    });
    address
}

/// The least of many: a map or a queue that grows is not one connection's.
fn cheapest(connection: impl Fn() -> TcpStream) -> usize {
    let mut cheapest = usize::MAX;
    for _ in 0..200 {
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        asks(connection());
        // The record is filed behind the last byte.
        std::thread::sleep(Duration::from_millis(2));
        cheapest = cheapest.min(ALLOCATIONS.load(Ordering::SeqCst) - before);
    }
    cheapest
}

fn greeted(at: SocketAddr) -> TcpStream {
    let mut connection = TcpStream::connect(at).unwrap();
    connection.write_all(&[5, 1, 0]).unwrap();
    connection.read_exact(&mut [0; 2]).unwrap();
    connection
}

fn socks5(at: SocketAddr, server: SocketAddr) -> TcpStream {
    let mut connection = greeted(at);
    let [high, low] = server.port().to_be_bytes();
    connection
        .write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low])
        .unwrap();
    connection.read_exact(&mut [0; 10]).unwrap();
    connection
}

/// One question and one answer, then the ends of both sides.
fn asks(mut connection: TcpStream) {
    connection.write_all(b"question").unwrap();
    let mut answer = [0; 6];
    connection.read_exact(&mut answer).unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap(), 0);
}

/// Answers each question, and ends when its client does.
fn answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        OURS.set(true);
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut question = [0; 8];
            while client.read_exact(&mut question).is_ok() {
                client.write_all(b"answer").unwrap();
            }
        }
    });
    address
}
