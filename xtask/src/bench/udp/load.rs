//! The clients: associations of SOCKS5, floods at a pace, echoes, and flows that rest.
//!
//! Invariant: sending is by plain calls, one for each datagram, so that it costs the same whatever stands between.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use super::origin::{COUNT, ECHO, bound};

/// Clients that ask at once.
pub(super) const CLIENTS: usize = 16;

const PATIENCE: Duration = Duration::from_secs(5);
/// Of a header with an address of IPv4.
const HEAD: usize = 10;

/// A client with an association.
pub(super) struct Client {
    _control: TcpStream,
    socket: UdpSocket,
}

/// Asks for an association from that address (RFC 1928, without authentication).
pub(super) fn associate(door: SocketAddr, from: Ipv4Addr) -> anyhow::Result<Client> {
    let flags = SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    net::bind(&socket, &SocketAddrV4::new(from, 0))?;
    net::connect(&socket, &door).with_context(|| format!("connecting to {door}"))?;
    let mut control = TcpStream::from(socket);
    control.set_nodelay(true)?;
    control.set_read_timeout(Some(PATIENCE))?;
    control.write_all(&[5, 1, 0])?;
    let mut method = [0; 2];
    control.read_exact(&mut method)?;
    control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0])?;
    // An answer with an IPv4 address; all of the relays answer so.
    let mut answer = [0; 10];
    control.read_exact(&mut answer)?;
    let [_, code, _, kind, a, b, c, d, high, low] = answer;
    if method != [5, 0] || code != 0 || kind != 1 {
        bail!("the answer was {answer:?}");
    }
    let relay = SocketAddrV4::new([a, b, c, d].into(), u16::from_be_bytes([high, low]));
    let socket = bound(from, 0)?;
    net::connect(&socket, &relay)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(Client {
        _control: control,
        socket,
    })
}

/// The client of that number: no address has many flows.
pub(super) fn resting_address(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number / 50 + 1)
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1)
}

/// A datagram of SOCKS5 with so many bytes behind its header.
fn datagram(to: SocketAddrV4, kind: u8, bytes: usize) -> Vec<u8> {
    let mut datagram = vec![0, 0, 0, 1];
    datagram.extend(to.ip().octets());
    datagram.extend(to.port().to_be_bytes());
    datagram.resize(HEAD + bytes, b'x');
    datagram[HEAD] = kind;
    datagram
}

impl Client {
    /// A question and its answer; asked again where it was lost.
    pub(super) fn ask(&self, to: SocketAddrV4) -> anyhow::Result<()> {
        let (question, mut answer) = (datagram(to, ECHO, 32), [0; 64]);
        self.socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        for _ in 0..5 {
            self.socket.send(&question)?;
            if self.socket.recv(&mut answer).is_ok() {
                return Ok(());
            }
        }
        bail!("no answer came from {to}")
    }
}

/// Datagrams at a pace.
pub(super) struct Flood {
    pub(super) client: Client,
    pub(super) to: SocketAddrV4,
    /// Datagrams a second.
    pub(super) rate: u32,
    /// Of each, without the header of SOCKS5.
    pub(super) bytes: usize,
}

impl Flood {
    /// Sends for so long; how many.
    pub(super) fn send(&self, lasts: Duration) -> anyhow::Result<u64> {
        let datagram = datagram(self.to, COUNT, self.bytes);
        let all = (lasts.as_secs_f64() * f64::from(self.rate)) as u64;
        let begun = Instant::now();
        let mut sent = 0;
        while sent < all {
            let elapsed = begun.elapsed();
            let due = (elapsed.as_secs_f64() * f64::from(self.rate)) as u64 + 1;
            while sent < due.min(all) {
                self.client.socket.send(&datagram).context("sending")?;
                sent += 1;
            }
            let next = Duration::from_secs_f64(sent as f64 / f64::from(self.rate));
            let wait = next.saturating_sub(begun.elapsed());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
        }
        Ok(sent)
    }
}

/// Each client asks again once it was answered, until so many answers came; the sorted microseconds that each took.
pub(super) fn echoes(
    clients: &[Client],
    to: SocketAddrV4,
    count: usize,
) -> anyhow::Result<Vec<f64>> {
    let question = datagram(to, ECHO, 64);
    let mut answer = [0; 2048];
    let mut times = Vec::with_capacity(count);
    let mut asked = vec![Instant::now(); clients.len()];
    for client in clients {
        client.socket.set_nonblocking(true)?;
        client.socket.send(&question)?;
    }
    let patience = rustix::time::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    while times.len() < count {
        let mut waited: Vec<_> = clients
            .iter()
            .map(|it| PollFd::new(&it.socket, PollFlags::IN))
            .collect();
        let came = poll(&mut waited, Some(&patience))?;
        for (client, asked) in clients.iter().zip(&mut asked) {
            let lost = came == 0 && asked.elapsed() > Duration::from_secs(1);
            if !lost && client.socket.recv(&mut answer).is_err() {
                continue;
            }
            times.push(asked.elapsed().as_secs_f64() * 1e6);
            *asked = Instant::now();
            client.socket.send(&question)?;
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    // What is still under way is the next sample's trouble, unless it is taken here.
    std::thread::sleep(Duration::from_millis(20));
    for client in clients {
        while client.socket.recv(&mut answer).is_ok() {}
    }
    Ok(times)
}
