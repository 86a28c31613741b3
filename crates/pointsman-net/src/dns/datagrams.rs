//! Queries by datagram: each socket that listens is served on its worker, a batch at a time.
//!
//! Invariants: a reply comes from the address that was asked; what cannot be sent now is dropped, for the client asks
//! again; what is asked for is a task of its own, and nobody waits for it here.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pointsman_os::datagram::{Offload, Outgoing, Received};
use pointsman_policy::fact::Network;
use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::answering::{Asker, Outcome, Service};
use crate::datagram::{Batch, Entrance, Scratch};
use crate::ends::LocalAddr;
use crate::generation::Generation;
use crate::tasks::Tasks;

/// Batches in one turn; then it is the others'.
const TURNS: usize = 4;
/// Between two looks whether all that was asked is answered.
const LOOK: Duration = Duration::from_millis(20);

/// Answers what comes there, until the listener is gone.
pub(crate) async fn serve(entrance: Entrance) {
    let listening = entrance.listening.clone();
    match Desk::new(entrance) {
        Ok(mut desk) => {
            tokio::select! {
                () = listening.stopping() => {}
                () = desk.serve() => {}
            }
            desk.part();
        }
        Err(error) => tracing::error!(%error, "a listener could not be started"),
    }
}

/// A socket, and what is known of it.
struct Desk {
    entrance: EntranceParts,
    socket: Arc<UdpSocket>,
    local: LocalAddr,
    /// Replies of the batch in hand, one behind the other.
    written: Vec<u8>,
    replies: Vec<(Back, Range<usize>)>,
    /// Held by each query that is asked for.
    asking: Arc<()>,
}

/// The parts of an entrance that stay.
struct EntranceParts {
    shared: Arc<crate::shared::Shared>,
    tasks: Tasks,
    /// The last one that knew the listener; a desk that nobody asks keeps none.
    generation: Weak<Generation>,
    listener: crate::spec::listening::ListenerId,
}

/// Where a reply goes, and the address that it comes from.
#[derive(Clone, Copy, Debug)]
struct Back {
    to: SocketAddr,
    from: Option<IpAddr>,
}

impl Desk {
    fn new(entrance: Entrance) -> std::io::Result<Self> {
        let Entrance {
            shared,
            tasks,
            generation,
            listener,
            socket,
            listening: _,
        } = entrance;
        let socket = UdpSocket::from_std(socket)?;
        let local = LocalAddr::new(socket.local_addr()?);
        Ok(Self {
            entrance: EntranceParts {
                shared,
                tasks,
                generation: Arc::downgrade(&generation),
                listener,
            },
            socket: Arc::new(socket),
            local,
            written: Vec::new(),
            replies: Vec::new(),
            asking: Arc::default(),
        })
    }

    async fn serve(&mut self) {
        loop {
            // What a client's host said of a reply is read with the next batch, and is nothing to us.
            if self.socket.readable().await.is_err() {
                return;
            }
            let mut scratch = Scratch::take();
            for _ in 0..TURNS {
                let Scratch { inbox, batch } = &mut *scratch;
                match inbox.try_receive(&self.socket) {
                    Ok(received) => self.answer(received, batch),
                    Err(_) => break,
                }
            }
            scratch.give_back();
            tokio::task::yield_now().await;
        }
    }

    /// Where the whole daemon ends, nobody listens there next: what was asked is answered first.
    fn part(self) {
        let parts = self.entrance;
        if !parts.shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        let (socket, asking) = (self.socket, self.asking);
        parts.tasks.spawn(async move {
            while Arc::strong_count(&asking) > 1 {
                sleep(LOOK).await;
            }
            drop(socket);
        });
    }

    fn answer(&mut self, received: Received<'_>, batch: &mut Batch) {
        let parts = &mut self.entrance;
        let Some(service) = Service::now(&parts.shared, &mut parts.generation, parts.listener)
        else {
            return;
        };
        self.written.clear();
        self.replies.clear();
        for datagram in received.iter().filter(|datagram| !datagram.truncated) {
            let back = Back {
                to: datagram.from,
                from: datagram.to.filter(|to| !to.is_multicast()),
            };
            let here = datagram
                .to
                .map(|to| SocketAddr::new(to, self.local.get().port()));
            let asker = Asker {
                client: Some(datagram.from),
                here: here.or_else(|| Some(self.local.get())),
                network: Network::Udp,
                is_private: false,
            };
            for message in datagram.each() {
                let begin = self.written.len();
                match service.take(message, asker, &mut self.written) {
                    Outcome::Replied => self.replies.push((back, begin..self.written.len())),
                    Outcome::Silent => {}
                    Outcome::Asking(asking) => {
                        // Who listens there next is not kept waiting by what was asked before.
                        let socket = Arc::downgrade(&self.socket);
                        let asked = Arc::clone(&self.asking);
                        parts.tasks.spawn(async move {
                            let mut reply = Vec::new();
                            asking.finish(&mut reply).await;
                            if reply.is_empty() {
                                return;
                            }
                            let Some(socket) = socket.upgrade() else {
                                return;
                            };
                            let mut scratch = Scratch::take();
                            let whole = 0..reply.len();
                            send(&socket, &reply, &[(back, whole)], &mut scratch.batch);
                            scratch.give_back();
                            drop(asked);
                        });
                    }
                }
            }
        }
        send(&self.socket, &self.written, &self.replies, batch);
    }
}

/// Sends replies that were written one behind the other; what the socket takes not now is dropped.
fn send(socket: &UdpSocket, written: &[u8], replies: &[(Back, Range<usize>)], batch: &mut Batch) {
    if replies.is_empty() {
        return;
    }
    let (mut slices, mut messages) = batch.lists();
    for (_, range) in replies {
        let reply = written.get(range.clone()).unwrap_or(&[]);
        slices.extend([IoSlice::new(&[]), IoSlice::new(reply)]);
    }
    for (at, (back, _)) in replies.iter().enumerate() {
        messages.push(Outgoing {
            to: back.to,
            from: back.from,
            class: None,
            hops: None,
            segment: None,
            parts: slices.get(2 * at..2 * at + 2).unwrap_or(&[]),
        });
    }
    batch.send(socket, &Offload::off(), &messages, |_| {});
    batch.keep_messages(messages);
    batch.keep_slices(slices);
}
