//! A connection's task, and the room on the heap that its conversation takes place in until there is nothing but a
//! relay: kilobytes, for as long as a short connection lasts. A worker keeps some of it for the next ones.
//!
//! Invariant: what is kept holds nothing of the conversation before.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::connection::{AfterHandshake, Arriving, converse};
use crate::datagram::Relay;
use crate::flow::Relaying;

/// Rooms that a worker keeps: about as many as begin at once, and 100 kB at most.
const KEPT: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<Box<dyn Room>>> = const { RefCell::new(Vec::new()) };
}

/// Serves a connection until its end.
pub(super) fn serve(arriving: Arriving) -> Connection {
    Connection::Talking(Talk::begin(arriving))
}

/// A connection's task: the relay's room, where the conversation is held as long as that lasts. By hand,
/// for an `async` function would keep the room of its largest moment.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all connections come to relay"
)]
pub(super) enum Connection {
    /// The datagrams of an association.
    Associated(Box<Relay>),
    /// Before the relay.
    Talking(Talk),
    /// Nothing but the relay is left.
    Relaying(Relaying),
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Self::Talking(talk) => match Pin::new(talk).poll(cx) {
                    Poll::Ready(Some(AfterHandshake::Bytes(relaying))) => {
                        *self = Self::Relaying(relaying);
                    }
                    Poll::Ready(Some(AfterHandshake::Datagrams(relay))) => {
                        *self = Self::Associated(relay);
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                },
                Self::Associated(relay) => return Pin::new(&mut **relay).poll(cx),
                Self::Relaying(relaying) => return Pin::new(relaying).poll(cx),
            }
        }
    }
}

/// A conversation under way. Dropped, it is over, and its room is the next one's.
pub(super) struct Talk {
    /// None only while it is dropped.
    room: Option<Box<dyn Room>>,
}

impl Talk {
    /// Begins the conversation with a client.
    pub(super) fn begin(arriving: Arriving) -> Self {
        let free = FREE.try_with(|free| free.borrow_mut().pop());
        let mut room = free.ok().flatten().unwrap_or_else(|| {
            Box::new(Furnished {
                talk: Box::pin(None),
                begin: converse,
            })
        });
        room.begin(arriving);
        Self { room: Some(room) }
    }
}

impl Future for Talk {
    type Output = Option<AfterHandshake>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.room {
            Some(room) => room.poll(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let Some(mut room) = self.room.take() else {
            return;
        };
        room.end();
        // Where the thread ends there is no next one.
        let _ending = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(room);
            }
        });
    }
}

/// A room, whatever the conversation in it is called: the type of an `async` function's future has no name.
trait Room: Send {
    fn begin(&mut self, arriving: Arriving);

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<AfterHandshake>>;

    fn end(&mut self);
}

struct Furnished<T, B> {
    talk: Pin<Box<Option<T>>>,
    begin: B,
}

impl<T, B> Room for Furnished<T, B>
where
    T: Future<Output = Option<AfterHandshake>> + Send,
    B: Fn(Arriving) -> T + Send,
{
    fn begin(&mut self, arriving: Arriving) {
        self.talk.set(Some((self.begin)(arriving)));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<AfterHandshake>> {
        match self.talk.as_mut().as_pin_mut() {
            Some(talk) => talk.poll(cx),
            None => Poll::Ready(None),
        }
    }

    fn end(&mut self) {
        self.talk.set(None);
    }
}
