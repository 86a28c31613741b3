//! The only place where connections leave this host.
//!
//! Invariant: every outgoing socket is made here: bound to its uplink and marked, so that capture never takes our own
//! traffic again. Absent: names (the resolver's) and what is said on the connection (the outbounds').

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use pointsman_os::datagram;
use pointsman_os::descriptors::for_a_flow;
use pointsman_os::local::LocalStream;
use pointsman_os::socket as os;
pub use pointsman_os::socket::Keepalive;
use pointsman_policy::Prefix;
use pointsman_spec::address::Uplink;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout};

use crate::stream::Probes;

/// Makes outgoing sockets.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    /// Mark for all sockets whose uplink names none; needs privilege.
    pub mark: Option<u32>,
    /// Probes for silent peers.
    pub keepalive: Probing,
    /// Ranges of addresses that stand for names: none is a host's, and nothing is sent there.
    pub fakes: Arc<ArcSwap<Vec<Prefix>>>,
}

/// When a connection of TCP is set to probe a silent peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probing {
    /// Never.
    #[default]
    Never,
    /// When it is made.
    AtOnce(Keepalive),
    /// When it has carried bytes for a while (see [`FlowBytes::grow_old`](crate::relay::FlowBytes::grow_old)): most
    /// connections are over before, and are spared three system calls. Seconds of silence, and between probes.
    WhenOld(u16, u16),
}

impl Probing {
    /// The usual probes, of [`Keepalive::default`].
    pub const USUAL: Self = Self::WhenOld(120, 20);

    pub(crate) fn later(self) -> Option<Probes> {
        match self {
            Self::WhenOld(time, interval) => Some(Probes { time, interval }),
            Self::Never | Self::AtOnce(_) => None,
        }
    }
}

impl Dialer {
    /// A dialer whose sockets carry `mark` and the usual keepalive.
    pub fn new(mark: Option<u32>) -> Self {
        Self {
            mark,
            keepalive: Probing::USUAL,
            fakes: Arc::default(),
        }
    }

    /// Connects to one address within `limit`.
    ///
    /// # Errors
    /// Those of the system, or `TimedOut`; each names the address.
    pub async fn tcp(
        &self,
        address: SocketAddr,
        uplink: &Uplink,
        limit: Duration,
    ) -> io::Result<TcpStream> {
        match timeout(limit, self.connect(address, uplink)).await {
            Ok(connected) => connected,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{address}: no answer within {limit:?}"),
            )),
        }
    }

    /// Connects to the first of `addresses` that answers, all within `limit` (RFC 8305).
    ///
    /// Families take turns, beginning with the first address's; the next attempt begins 250 ms after the last one, or at
    /// once when one failed.
    ///
    /// # Errors
    /// When all failed: kind and text of the first failure, and how many others there were; `TimedOut` when the limit was
    /// over; `InvalidInput` for an empty list.
    pub async fn tcp_any(
        &self,
        addresses: &[SocketAddr],
        uplink: &Uplink,
        limit: Duration,
    ) -> io::Result<TcpStream> {
        match *addresses {
            [] => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no address to connect to",
            )),
            [only] => self.tcp(only, uplink, limit).await,
            [first, ..] => match timeout(limit, self.race(interleaved(addresses), uplink)).await {
                Ok(connected) => connected,
                Err(_) => {
                    let others = addresses.len() - 1;
                    Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("{first} and {others} more: no answer within {limit:?}"),
                    ))
                }
            },
        }
    }

    /// Connects to a local stream socket; waits for as long as its queue is full, as TCP does: the caller ends that.
    ///
    /// # Errors
    /// Those of the system, with the path.
    #[expect(clippy::disallowed_methods, reason = "this is the dialer")]
    pub async fn unix(&self, path: &Path) -> io::Result<LocalStream> {
        let mut pause = Duration::from_millis(1);
        loop {
            match LocalStream::connect(path).await.and_then(for_a_flow) {
                // Nothing tells when there is room (unix(7): EAGAIN).
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                done => {
                    let named = |error: io::Error| {
                        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                    };
                    return done.map_err(named);
                }
            }
        }
    }

    /// A UDP socket, not connected, for datagrams to `destination`'s family by `uplink`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn udp(&self, destination: SocketAddr, uplink: &Uplink) -> io::Result<UdpSocket> {
        self.refuse_fake(destination.ip())?;
        let socket = os::datagram_prepare(destination, self.marked(uplink))?;
        UdpSocket::from_std(for_a_flow(socket)?)
    }

    /// A UDP socket for a client's datagrams: as [`Self::udp`], with all that is told of datagrams.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn datagrams(&self, first: SocketAddr, uplink: &Uplink) -> io::Result<UdpSocket> {
        self.refuse_fake(first.ip())?;
        let options = datagram::Options {
            coalesce: true,
            tell_class: true,
            tell_errors: true,
            receive_buffer: DATAGRAM_BUFFER,
            send_buffer: DATAGRAM_BUFFER,
            ..datagram::Options::default()
        };
        let socket = datagram::mapping_socket(first, self.marked(uplink), &options)?;
        UdpSocket::from_std(for_a_flow(socket)?)
    }

    /// Whether this host has a route to an address, by that uplink; nothing is sent.
    pub(crate) fn has_route(&self, address: IpAddr, uplink: &Uplink) -> bool {
        // Any port: that of "discard".
        let destination = SocketAddr::new(address, 9);
        let socket = os::datagram_prepare(destination, self.marked(uplink));
        socket.is_ok_and(|socket| socket.connect(destination).is_ok())
    }

    /// From now on nothing is sent to those ranges either: to former ones clients may hold on.
    pub(crate) fn refuse(&self, ranges: impl Iterator<Item = Prefix>) {
        let mut all = Vec::clone(&self.fakes.load());
        for range in ranges {
            if !all.contains(&range) {
                all.push(range);
            }
        }
        // Whoever changes them again and again means the last ones.
        let spare = all.len().saturating_sub(MOST_FAKES);
        all.drain(..spare);
        self.fakes.store(Arc::new(all));
    }

    /// Whether an address stands for a name.
    pub(crate) fn is_fake(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.fakes
            .load()
            .iter()
            .any(|range| range.contains(address))
    }

    fn refuse_fake(&self, address: IpAddr) -> io::Result<()> {
        match self.is_fake(address) {
            true => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("{address} is a fake address, and no host's"),
            )),
            false => Ok(()),
        }
    }

    async fn connect(&self, address: SocketAddr, uplink: &Uplink) -> io::Result<TcpStream> {
        self.refuse_fake(address.ip())?;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
        let socket = os::connect_prepare(address, self.marked(uplink));
        let socket = socket.and_then(for_a_flow).map_err(named)?;
        os::set_nodelay(&socket)?;
        if let Probing::AtOnce(keepalive) = &self.keepalive {
            os::set_keepalive(&socket, keepalive)?;
        }
        TcpSocket::from_std_stream(socket)
            .connect(address)
            .await
            .map_err(named)
    }

    async fn race(&self, addresses: Vec<SocketAddr>, uplink: &Uplink) -> io::Result<TcpStream> {
        let mut waiting = addresses.into_iter();
        let mut attempts: Vec<Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + '_>>> =
            Vec::new();
        let mut first_failure: Option<io::Error> = None;
        let mut failures = 0_usize;
        let mut next_at = std::pin::pin!(sleep_until(Instant::now()));
        std::future::poll_fn(|cx| {
            loop {
                let mut index = 0;
                let mut failed = false;
                while index < attempts.len() {
                    match attempts[index].as_mut().poll(cx) {
                        Poll::Pending => index += 1,
                        Poll::Ready(Ok(connected)) => return Poll::Ready(Ok(connected)),
                        Poll::Ready(Err(error)) => {
                            drop(attempts.swap_remove(index));
                            first_failure.get_or_insert(error);
                            failures += 1;
                            failed = true;
                        }
                    }
                }
                let due = next_at.as_mut().poll(cx).is_ready();
                if (due || failed || attempts.is_empty())
                    && let Some(address) = waiting.next()
                {
                    next_at.as_mut().reset(Instant::now() + ATTEMPT_DELAY);
                    attempts.push(Box::pin(self.connect(address, uplink)));
                    continue;
                }
                if !attempts.is_empty() {
                    return Poll::Pending;
                }
                let first = first_failure
                    .take()
                    .unwrap_or_else(|| io::ErrorKind::InvalidInput.into());
                let others = failures.saturating_sub(1);
                return Poll::Ready(Err(io::Error::new(
                    first.kind(),
                    format!("{first} (and {others} more addresses failed)"),
                )));
            }
        })
        .await
    }

    fn marked<'u>(&self, uplink: &'u Uplink) -> os::Uplink<'u> {
        let Uplink {
            interface,
            source,
            mark,
        } = uplink;
        os::Uplink {
            interface: interface.as_deref(),
            source: *source,
            mark: mark.or(self.mark),
        }
    }
}

/// Bytes that may wait in a socket for datagrams, of whichever side: some milliseconds of a gigabit link.
pub(crate) const DATAGRAM_BUFFER: usize = 1 << 20;

/// Ranges of fake addresses that nothing is sent to, former ones among them.
const MOST_FAKES: usize = 16;

/// "Connection Attempt Delay" of RFC 8305, section 8.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Families in turn, the first address's first, each family in its given order.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, other): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let mut order = Vec::with_capacity(addresses.len());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    while order.len() < addresses.len() {
        order.extend(preferred.next());
        order.extend(other.next());
    }
    order
}

#[cfg(test)]
mod tests;
