//! What a short connection costs in allocations: a budget that is not to be overdrawn. A process of its own, for its
//! allocator counts.

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
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use pointsman_policy::fact::InboundKind;

/// For a connection with one question and one answer, from its accept to its record.
const FORWARDED: usize = 7;
const BY_SOCKS5: usize = 10;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

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
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !OURS.with(Cell::get) {
            ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::test]
async fn a_short_connection_allocates_little() {
    OURS.set(true);
    let server = answering();
    let forwarded = forward::Stage::of(forward::to([forward::tcp("server", server)])).await;
    let at = forwarded.port();
    let count = cheapest(|| TcpStream::connect(at).unwrap());
    eprintln!("forwarded: {count} allocations");
    let proxied = plane::Script::new().inbounds([plane::inbound("proxy", InboundKind::Socks5)]);
    let proxied = proxied.play().await;
    let at = proxied.ports[0];
    let by_socks5 = cheapest(|| socks5(at, server));
    eprintln!("by SOCKS5: {by_socks5} allocations");
    assert!(count <= FORWARDED, "{count} allocations");
    assert!(by_socks5 <= BY_SOCKS5, "{by_socks5} allocations");
}

/// The least of many: a map or a queue that grows is not one connection's.
fn cheapest(connection: impl Fn() -> TcpStream) -> usize {
    let mut cheapest = usize::MAX;
    for _ in 0..200 {
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        asks(connection());
        // The record is filed behind the last byte.
        std::thread::sleep(std::time::Duration::from_millis(2));
        cheapest = cheapest.min(ALLOCATIONS.load(Ordering::SeqCst) - before);
    }
    cheapest
}

fn socks5(at: SocketAddr, server: SocketAddr) -> TcpStream {
    let mut connection = TcpStream::connect(at).unwrap();
    connection.write_all(&[5, 1, 0]).unwrap();
    connection.read_exact(&mut [0; 2]).unwrap();
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
