//! One question to one server.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use pointsman_spec::address::Uplink;
use pointsman_spec::resolver::{NameServer, Place};
use tokio::time::{Instant, sleep_until};

use super::message::{self, Refusal, Said};
use super::question::WireQuestion;
use super::sockets::Seat;
use crate::lookup::Transport;
use crate::stream::Stream;

/// The pause after the first datagram that a server is sent; the answers to all are heard until the end.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// ... and after each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest datagram that we take; servers may send more than the 512 bytes that they should.
const MAX_DATAGRAM: usize = 4096;

/// Asks one server, over UDP by so many datagrams where there are sockets for them; past `until` nobody waits for the
/// answer.
pub(super) async fn ask(
    (server, question): (&NameServer, &WireQuestion),
    transport: &dyn Transport,
    until: Instant,
    datagrams: usize,
    seat: &Seat<'_>,
) -> Said {
    let mut exchange = Exchange {
        id: random_id(),
        question,
        query: Vec::new(),
        transport,
        until,
        datagrams,
        seat,
    };
    exchange.query = message::query(exchange.id, question, question.is_with_edns());
    let said = exchange.with(server).await;
    if !(question.is_with_edns() && said.is_of_the_query()) {
        return said;
    }
    exchange.query = message::query(exchange.id, question, false);
    exchange.with(server).await
}

/// Unpredictable to whoever is not on the way; the source port is the kernel's.
fn random_id() -> u16 {
    (RandomState::new().hash_one(0_u8) & 0xffff)
        .try_into()
        .unwrap_or(0)
}

struct Exchange<'a> {
    id: u16,
    question: &'a WireQuestion,
    query: Vec<u8>,
    transport: &'a dyn Transport,
    until: Instant,
    datagrams: usize,
    seat: &'a Seat<'a>,
}

impl Exchange<'_> {
    async fn with(&self, server: &NameServer) -> Said {
        match server {
            NameServer::NotYet(why) => Said::Unreached(why.clone()),
            NameServer::System => Said::Unreached("the system's servers are not known".into()),
            NameServer::Tcp(place) => self.by_tcp(place).await,
            NameServer::Udp(place) => {
                let uplink = match place.via {
                    Some(via) => self.transport.datagrams(via),
                    None => Some(Uplink::default()),
                };
                match uplink {
                    Some(uplink) => match self.by_udp(place, &uplink).await {
                        Said::Truncated => self.by_tcp(place).await,
                        answer => answer,
                    },
                    // A proxy takes streams.
                    None => self.by_tcp(place).await,
                }
            }
        }
    }

    async fn by_udp(&self, place: &Place, uplink: &Uplink) -> Said {
        let address = match scoped(place) {
            Ok(address) => address,
            Err(error) => return Said::Unreached(error.to_string()),
        };
        if let Err(why) = self.transport.refuse_datagrams(address) {
            return Said::Unreached(why);
        }
        let mut sent = 0;
        let mut again = std::pin::pin!(sleep_until(Instant::now()));
        let mut waiting: Vec<Pin<Box<dyn Future<Output = io::Result<Said>> + Send + '_>>> =
            Vec::new();
        poll_fn(|cx| {
            loop {
                let heard = waiting
                    .iter_mut()
                    .find_map(|one| match one.as_mut().poll(cx) {
                        Poll::Ready(heard) => Some(heard),
                        Poll::Pending => None,
                    });
                match heard {
                    Some(Ok(answer)) => return Poll::Ready(answer),
                    Some(Err(error)) => return Poll::Ready(Said::Unreached(error.to_string())),
                    None => {}
                }
                if sent >= self.datagrams {
                    return Poll::Pending;
                }
                if again.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let pause = if sent == 0 { FIRST_PAUSE } else { PAUSE };
                again.as_mut().reset(Instant::now() + pause);
                let more = match sent {
                    0 => None,
                    // Where there is no socket for another one, the first may still be answered.
                    _ => match self.seat.more() {
                        Some(more) => Some(more),
                        None => continue,
                    },
                };
                sent += 1;
                let datagram = self.datagram(address, uplink);
                waiting.push(Box::pin(async move {
                    let _more = more;
                    datagram.await
                }));
            }
        })
        .await
    }

    /// Each datagram has a socket, and so a port, of its own.
    async fn datagram(&self, address: SocketAddr, uplink: &Uplink) -> io::Result<Said> {
        let socket = self.transport.dialer().udp(address, uplink)?;
        // Connected: the kernel drops what others send, and tells of a closed port.
        socket.connect(address).await?;
        socket.send(&self.query).await?;
        let mut bytes = vec![0; MAX_DATAGRAM];
        loop {
            let count = socket.recv(&mut bytes).await?;
            if let Some(answer) = self.read(&bytes[..count]) {
                return Ok(answer);
            }
        }
    }

    async fn by_tcp(&self, place: &Place) -> Said {
        let stream = match self.open(place).await {
            Ok(stream) => stream,
            Err(why) => return Said::Unreached(why),
        };
        match self.stream(stream).await {
            Ok(answer) => answer,
            Err(why) => Said::Failed(Refusal::from(why)),
        }
    }

    async fn open(&self, place: &Place) -> Result<Stream, String> {
        // Whoever waits gives up first, and takes it for silence.
        let limit = self.until.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
        let leads_away = |via| self.transport.datagrams(via).is_none();
        let address = match place.via {
            Some(via) if leads_away(via) => place.address,
            Some(_) | None => scoped(place).map_err(|error| error.to_string())?,
        };
        self.transport.stream(place.via, address, limit).await
    }

    async fn stream(&self, mut stream: Stream) -> Result<Said, String> {
        // RFC 1035, 4.2.2: two bytes of length, in one write with the message.
        let length = u16::try_from(self.query.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes();
        let framed = [&length[..], &self.query].concat();
        stream
            .write_all(&framed)
            .await
            .map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        loop {
            if let Some((length, rest)) = bytes.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                if rest.len() >= length {
                    return match self.read(&rest[..length]) {
                        Some(Said::Truncated) => Err("cut short over TCP".into()),
                        Some(answer) => Ok(answer),
                        None => Err("an answer to another question".into()),
                    };
                }
            }
            // The longest message, and its length.
            let room = (2 + usize::from(u16::MAX)).saturating_sub(bytes.len());
            let count = stream
                .read_some(&mut bytes, room)
                .await
                .map_err(|error| error.to_string())?;
            if count == 0 {
                return Err("closed without an answer".into());
            }
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<Said> {
        message::response(bytes, self.id, self.question)
    }
}

/// The address with the number of the interface that it is on: interfaces come and go, so it is asked for each time.
fn scoped(place: &Place) -> io::Result<SocketAddr> {
    match (&place.interface, place.address) {
        (Some(interface), SocketAddr::V6(address)) => {
            let index = pointsman_os::socket::interface_index(interface)?;
            let (ip, port, flow) = (*address.ip(), address.port(), address.flowinfo());
            Ok(SocketAddrV6::new(ip, port, flow, index).into())
        }
        (_, address) => Ok(address),
    }
}
