//! What a socket is ready for, and what is told of datagrams that were sent by it, waited for by hand: the one task of
//! all sockets polls.
//!
//! Invariant: who was told to wait is woken; waiting again allocates nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pointsman_os::datagram;
use tokio::io::Ready;
use tokio::net::UdpSocket;

/// What one socket is ready for.
pub(super) struct Readiness(Box<dyn Wait>);

impl Readiness {
    pub(super) fn new(socket: &Arc<UdpSocket>) -> Self {
        let socket = Arc::clone(socket);
        let again = move || {
            let socket = Arc::clone(&socket);
            async move { datagram::ready(&socket).await }
        };
        Self(Box::new(Again {
            future: Box::pin(None),
            again,
        }))
    }

    /// What there is, else the task is woken when there is something.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.0.poll_again(cx)
    }
}

/// Whatever the future is called: that of an `async` block has no name.
trait Wait: Send {
    fn poll_again(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>>;
}

struct Again<T, F> {
    future: Pin<Box<Option<T>>>,
    again: F,
}

impl<T, F> Wait for Again<T, F>
where
    T: Future<Output = io::Result<Ready>> + Send,
    F: Fn() -> T + Send,
{
    fn poll_again(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        if self.future.is_none() {
            self.future.set(Some((self.again)()));
        }
        let polled = match self.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            None => Poll::Pending,
        };
        if polled.is_ready() {
            self.future.set(None);
        }
        polled
    }
}
