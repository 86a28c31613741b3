//! Where the datagrams go: a process of its own, which counts them or sends them back.
//!
//! The first byte says which: `E` comes back as it is, `C` is counted, `Q` is answered by how many were counted since
//! it was asked last, as eight bytes. Invariant: it listens on loopback addresses only, and ends with its standard input.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::super::origin::address as numbered;
use super::super::subject;

pub(super) const ECHO: u8 = b'E';
pub(super) const COUNT: u8 = b'C';
const ASK: u8 = b'Q';

/// Places that a client's flows go to: one port at so many addresses.
const PLACES: usize = super::FLOWS;
/// Room for what waits in a socket: the origin is not what is measured, and may not lose anything.
const BUFFER: usize = 64 << 20;

/// The origin's process.
pub(super) struct Origin {
    child: Child,
    port: u16,
    asking: UdpSocket,
}

impl Origin {
    pub(super) fn start() -> anyhow::Result<Self> {
        let (child, port) = subject::own("datagrams", &[])?;
        let asking = bound(Ipv4Addr::LOCALHOST, 0)?;
        asking.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self {
            child,
            port,
            asking,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The place of that number.
    pub(super) fn address(&self, number: usize) -> SocketAddrV4 {
        let [_, _, _, last] = [127, 0, 1, u8::try_from(number + 1).unwrap_or(u8::MAX)];
        SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, last), self.port)
    }

    /// How many datagrams came since this was asked last.
    pub(super) fn counted(&self) -> anyhow::Result<u64> {
        self.asking.send_to(&[ASK], self.address(0))?;
        let mut answer = [0; 8];
        self.asking.recv(&mut answer).context("asking the origin")?;
        Ok(u64::from_le_bytes(answer))
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Serves until standard input ends; prints its port.
pub(crate) fn run() -> anyhow::Result<()> {
    let first = bound(numbered(0).parse()?, 0)?;
    let port = first.local_addr()?.port();
    let mut sockets = vec![first];
    for number in 1..PLACES {
        sockets.push(bound(numbered(number).parse()?, port)?);
    }
    for socket in &sockets {
        socket.set_nonblocking(true)?;
        // Where we may not, the system's limit holds.
        let _smaller = sockopt::set_socket_recv_buffer_size_force(socket, BUFFER);
    }
    println!("{port}");
    let stdin = std::io::stdin();
    let (mut counted, mut bytes) = (0_u64, [0; 2048]);
    loop {
        let mut counts = false;
        for socket in &sockets {
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                counts |= bytes[0] == COUNT;
                match bytes[0] {
                    COUNT => counted += 1,
                    // Whoever is gone needs no answer.
                    ECHO => drop(socket.send_to(&bytes[..length], from)),
                    ASK => drop(socket.send_to(&std::mem::take(&mut counted).to_le_bytes(), from)),
                    other => bail!("a datagram begins with {other}"),
                }
            }
        }
        if counts {
            // To be woken for each is the origin's cost and, on loopback, the relay's; none of them needs it.
            std::thread::sleep(Duration::from_micros(500));
            continue;
        }
        let mut waited: Vec<_> = sockets
            .iter()
            .map(|it| PollFd::new(it, PollFlags::IN))
            .collect();
        waited.push(PollFd::new(&stdin, PollFlags::IN));
        poll(&mut waited, None)?;
        let ends = waited.last().is_some_and(|it| !it.revents().is_empty());
        if ends && stdin.lock().read(&mut [0])? == 0 {
            return Ok(());
        }
    }
}

/// A socket for datagrams at that address.
pub(super) fn bound(address: Ipv4Addr, port: u16) -> anyhow::Result<UdpSocket> {
    let flags = SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    let at = SocketAddr::from((address, port));
    net::bind(&socket, &at).with_context(|| at.to_string())?;
    Ok(UdpSocket::from(socket))
}
