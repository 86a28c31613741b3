//! The clients: what is done through a relay, and how long it took.
//!
//! Invariant: sockets are blocking and one thread drives one stream, so that the clients cost the same whatever
//! stands between them and the origin. Client addresses rotate through 127.0.0.0/24, or ports would run out.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use super::origin::{CHUNK, DOWNLOAD, ECHO, LENGTH_AT, MESSAGE};

/// How a relay is reached.
#[derive(Clone, Copy)]
pub(super) struct Door {
    /// Where to connect.
    pub(super) address: SocketAddr,
    /// Where the relay is to connect to, when it is asked by SOCKS5; `None`: it knows, or it is the origin.
    pub(super) ask: Option<SocketAddrV4>,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Door {
    /// A connection to the origin.
    pub(super) fn open(&self) -> anyhow::Result<TcpStream> {
        let flags = SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        net::bind(&socket, &SocketAddrV4::new(next_source(), 0))?;
        net::connect(&socket, &self.address)
            .with_context(|| format!("connecting to {}", self.address))?;
        let mut stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if let Some(target) = self.ask {
            ask(&mut stream, target).context("asking by SOCKS5")?;
        }
        Ok(stream)
    }
}

fn next_source() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    Ipv4Addr::new(127, 0, 0, 2 + NEXT.fetch_add(1, Ordering::Relaxed) % 64)
}

/// RFC 1928, without authentication.
fn ask(stream: &mut TcpStream, target: SocketAddrV4) -> anyhow::Result<()> {
    stream.write_all(&[5, 1, 0])?;
    let mut method = [0; 2];
    stream.read_exact(&mut method)?;
    let [a, b, c, d] = target.ip().octets();
    let [high, low] = target.port().to_be_bytes();
    stream.write_all(&[5, 1, 0, 1, a, b, c, d, high, low])?;
    // An answer with an IPv4 address; all of the relays answer so.
    let mut answer = [0; 10];
    stream.read_exact(&mut answer)?;
    if method != [5, 0] || answer[..2] != [5, 0] || answer[3] != 1 {
        bail!("the answer was {answer:?}");
    }
    Ok(())
}

/// Downloads so many bytes over so many streams at once; returns the seconds it took.
pub(super) fn download(door: &Door, streams: usize, bytes: u64) -> anyhow::Result<f64> {
    let each = bytes / streams as u64;
    let open: Vec<TcpStream> = (0..streams)
        .map(|_| door.open())
        .collect::<Result<_, _>>()?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = open
            .into_iter()
            .map(|stream| scope.spawn(move || download_one(stream, each)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let result = thread.join();
            result.unwrap_or_else(|_| bail!("a client's thread panicked"))
        })
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

fn download_one(mut stream: TcpStream, bytes: u64) -> anyhow::Result<()> {
    let mut message = [0; MESSAGE];
    message[0] = DOWNLOAD;
    message[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&bytes.to_le_bytes());
    stream.write_all(&message)?;
    let mut left = bytes as usize;
    let mut buffer = vec![0; CHUNK];
    while left > 0 {
        let count = stream.read(&mut buffer).context("downloading")?;
        if count == 0 {
            bail!("the relay ended a download {left} bytes early");
        }
        left = left.saturating_sub(count);
    }
    Ok(())
}

/// Sends so many messages over one connection, each after the answer to the one before; returns the sorted
/// microseconds that each took.
pub(super) fn ping(door: &Door, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut stream = door.open()?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        echo(&mut stream)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times)
}

/// Connects, asks once and closes, one after the other; returns the seconds it took.
pub(super) fn connect(door: &Door, count: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for _ in 0..count {
        echo(&mut door.open()?)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Clients of [`crowd`].
pub(super) const CROWD: usize = 32;

/// Many clients at once, each of which connects, asks once and closes so many times, one after the other; returns the
/// sorted microseconds that each of all connections took, up to its answer.
pub(super) fn crowd(door: &Door, count: usize) -> anyhow::Result<Vec<f64>> {
    let begin = Barrier::new(CROWD);
    let client = || -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::with_capacity(count);
        // All begin together, or the first ones would meet nobody.
        begin.wait();
        for _ in 0..count {
            let begun = Instant::now();
            echo(&mut door.open()?)?;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        Ok(times)
    };
    let mut all = Vec::with_capacity(CROWD * count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CROWD).map(|_| scope.spawn(client)).collect();
        for thread in threads {
            let times = thread.join();
            all.extend(times.unwrap_or_else(|_| bail!("a client's thread panicked"))?);
        }
        anyhow::Ok(())
    })?;
    all.sort_unstable_by(f64::total_cmp);
    Ok(all)
}

/// Connections that have each carried a message and now rest.
pub(super) fn rest(door: &Door, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = door.open()?;
        echo(&mut stream).with_context(|| format!("connection {number}"))?;
        open.push(stream);
    }
    Ok(open)
}

fn echo(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut message = [ECHO; MESSAGE];
    stream.write_all(&message)?;
    stream
        .read_exact(&mut message)
        .context("waiting for an answer")
}

/// Closes by a reset, so that nothing lingers in TIME_WAIT.
pub(super) fn abort(open: Vec<TcpStream>) -> anyhow::Result<()> {
    for stream in open {
        net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    }
    Ok(())
}
