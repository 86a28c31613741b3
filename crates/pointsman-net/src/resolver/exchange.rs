//! One question to one server.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use pointsman_spec::address::Uplink;
use pointsman_spec::resolver::{NameServer, Place};
use tokio::time::{Instant, sleep_until};

use super::line::{Errand, Line};
use super::message::{self, EdnsForm, Said};
use super::question::WireQuestion;
use super::scope::scoped;
use super::sockets::Seat;
use super::tally::Tally;
use crate::lookup::Transport;

/// The pause after the first datagram that a server is sent; the answers to all are heard until the end.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// ... and after each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest datagram that we take; servers may send more than the 512 bytes that they should.
const MAX_DATAGRAM: usize = 4096;

/// Asks one server, over UDP by so many datagrams where there are sockets for them; past `until` nobody waits for the
/// answer.
pub(super) async fn ask(
    (server, line, question): (&NameServer, &Arc<Line>, &WireQuestion),
    transport: &dyn Transport,
    until: Instant,
    datagrams: usize,
    (seat, tally): (&Seat<'_>, &Tally),
) -> Said {
    let mut exchange = Exchange {
        id: random_id(),
        server,
        line,
        question,
        query: Vec::new(),
        transport,
        until,
        datagrams,
        seat,
        tally,
    };
    // Whoever speaks TLS is new enough for EDNS, and that fills messages up so that their lengths tell little.
    let edns = match server {
        NameServer::Https(_) | NameServer::Tls(_) => EdnsForm::Padded,
        _ if question.is_with_edns() => EdnsForm::Plain,
        _ => EdnsForm::None,
    };
    exchange.query = message::query(exchange.id, question, edns);
    let said = exchange.run().await;
    if !(edns != EdnsForm::None && said.is_of_the_query()) {
        return said;
    }
    exchange.query = message::query(exchange.id, question, EdnsForm::None);
    exchange.run().await
}

/// Unpredictable to whoever is not on the way; the source port is the kernel's.
fn random_id() -> u16 {
    (RandomState::new().hash_one(0_u8) & 0xffff)
        .try_into()
        .unwrap_or(0)
}

struct Exchange<'a> {
    id: u16,
    server: &'a NameServer,
    line: &'a Arc<Line>,
    question: &'a WireQuestion,
    query: Vec<u8>,
    transport: &'a dyn Transport,
    until: Instant,
    datagrams: usize,
    seat: &'a Seat<'a>,
    tally: &'a Tally,
}

impl Exchange<'_> {
    async fn run(&self) -> Said {
        match self.server {
            NameServer::Https(_)
            | NameServer::NotYet(_)
            | NameServer::System
            | NameServer::Tcp(_)
            | NameServer::Tls(_) => self.by_line().await,
            NameServer::Udp(place) => {
                let uplink = match place.via {
                    Some(via) => self.transport.datagrams(via),
                    None => Some(Uplink::default()),
                };
                match uplink {
                    Some(uplink) => match self.by_udp(place, &uplink).await {
                        Said::Truncated => self.by_line().await,
                        answer => answer,
                    },
                    // A proxy takes streams.
                    None => self.by_line().await,
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
            let bytes = &bytes[..count];
            if let Some(answer) = self.read(bytes) {
                return Ok(answer);
            }
            if message::is_garbled(bytes, self.id) {
                return Ok(Said::Truncated);
            }
            self.tally.drops();
        }
    }

    /// Over TCP, by a connection that others use, too.
    async fn by_line(&self) -> Said {
        let errand = Errand {
            server: self.server,
            question: self.question,
            query: &self.query,
            transport: self.transport,
            until: self.until,
            is_within: self.seat.is_within_another(),
        };
        self.line.ask(&errand).await
    }

    fn read(&self, bytes: &[u8]) -> Option<Said> {
        message::response(bytes, self.id, self.question)
    }
}
