//! One question to one server.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use pointsman_policy::Domain;
use tokio::time::{Instant, sleep_until};

use super::message::{self, Answer, Family};
use super::{NameServer, Place};
use crate::dial::Uplink;
use crate::lookup::Transport;
use crate::stream::Stream;

/// The pauses after each of the three datagrams that one server is sent; the answers to all are heard until the end.
const DATAGRAMS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::ZERO,
];
/// The largest datagram that we take; servers may send more than the 512 bytes that they should.
const MAX_DATAGRAM: usize = 4096;

/// Asks one server; past `until` nobody waits for the answer.
pub(super) async fn ask(
    server: &NameServer,
    name: &Domain,
    family: Family,
    transport: &dyn Transport,
    until: Instant,
) -> Answer {
    let id = random_id();
    let query = match message::query(id, name, family) {
        Ok(query) => query,
        Err(why) => return Answer::Failed(why),
    };
    let question = Question {
        id,
        name,
        family,
        query,
        transport,
        until,
    };
    match server {
        NameServer::NotYet(why) => Answer::Unreached(why.clone()),
        NameServer::System => Answer::Unreached("the system's servers are not known".into()),
        NameServer::Tcp(place) => question.by_tcp(place).await,
        NameServer::Udp(place) => {
            let uplink = match place.via {
                Some(via) => transport.datagrams(via),
                None => Some(Uplink::default()),
            };
            match uplink {
                Some(uplink) => match question.by_udp(place, &uplink).await {
                    Answer::Truncated => question.by_tcp(place).await,
                    answer => answer,
                },
                // A proxy takes streams.
                None => question.by_tcp(place).await,
            }
        }
    }
}

/// Unpredictable to whoever is not on the way; the source port is the kernel's.
fn random_id() -> u16 {
    (RandomState::new().hash_one(0_u8) & 0xffff)
        .try_into()
        .unwrap_or(0)
}

struct Question<'a> {
    id: u16,
    name: &'a Domain,
    family: Family,
    query: Vec<u8>,
    transport: &'a dyn Transport,
    until: Instant,
}

impl Question<'_> {
    async fn by_udp(&self, place: &Place, uplink: &Uplink) -> Answer {
        let address = match scoped(place) {
            Ok(address) => address,
            Err(error) => return Answer::Unreached(error.to_string()),
        };
        let mut sent = 0;
        let mut again = std::pin::pin!(sleep_until(Instant::now()));
        let mut waiting: Vec<Pin<Box<dyn Future<Output = io::Result<Answer>> + Send + '_>>> =
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
                    Some(Err(error)) => return Poll::Ready(Answer::Unreached(error.to_string())),
                    None => {}
                }
                let Some(pause) = DATAGRAMS.get(sent) else {
                    return Poll::Pending;
                };
                if again.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                sent += 1;
                again.as_mut().reset(Instant::now() + *pause);
                waiting.push(Box::pin(self.datagram(address, uplink)));
            }
        })
        .await
    }

    /// Each datagram has a socket, and so a port, of its own.
    async fn datagram(&self, address: SocketAddr, uplink: &Uplink) -> io::Result<Answer> {
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

    async fn by_tcp(&self, place: &Place) -> Answer {
        let stream = match self.open(place).await {
            Ok(stream) => stream,
            Err(why) => return Answer::Unreached(why),
        };
        match self.stream(stream).await {
            Ok(answer) => answer,
            Err(why) => Answer::Failed(why),
        }
    }

    async fn open(&self, place: &Place) -> Result<Stream, String> {
        // Whoever waits gives up first, and takes it for silence.
        let limit = self.until.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
        let address = match place.via {
            Some(_) => place.address,
            None => scoped(place).map_err(|error| error.to_string())?,
        };
        self.transport.stream(place.via, address, limit).await
    }

    async fn stream(&self, mut stream: Stream) -> Result<Answer, String> {
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
                        Some(Answer::Truncated) => Err("cut short over TCP".into()),
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

    fn read(&self, bytes: &[u8]) -> Option<Answer> {
        message::answer(bytes, self.id, self.name, self.family)
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
