//! Connections that were handed over, to be targets.
//!
//! Invariant: an inherited connection serves one flow at a time, and none after a flow was carried by it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_os::local::{Inherited, LocalStream};
use pointsman_os::socket as os;
use tokio::net::TcpStream;

use crate::stream::Stream;

/// A connection that was handed over.
#[derive(Debug)]
pub(crate) struct Connected {
    /// `None` once a flow was carried by it: what is left of one flow is not for another.
    socket: Mutex<Option<Inherited>>,
    taken: AtomicBool,
}

/// The use of an inherited connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    of: Arc<Connected>,
    used: bool,
}

/// Why an inherited connection cannot be used.
pub(crate) enum NotNow {
    /// A flow uses it.
    Busy,
    /// It has ended, or the system says no.
    Broken(io::Error),
}

impl Connected {
    pub(super) fn new(socket: Inherited) -> Self {
        Self {
            socket: Mutex::new(Some(socket)),
            taken: AtomicBool::new(false),
        }
    }

    /// The connection, for one flow.
    pub(crate) fn take(self: &Arc<Self>) -> Result<(Stream, Turn), NotNow> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return Err(NotNow::Busy);
        }
        let turn = Turn {
            of: Arc::clone(self),
            used: false,
        };
        let stream = self.stream().map_err(NotNow::Broken)?;
        Ok((stream, turn))
    }

    fn stream(&self) -> io::Result<Stream> {
        let stream = match &*self.socket() {
            Some(Inherited::Tcp(socket)) => Stream::from(TcpStream::from_std(socket.try_clone()?)?),
            Some(Inherited::Unix(socket)) => {
                Stream::from(LocalStream::from_std(socket.try_clone()?)?)
            }
            Some(Inherited::TcpListener(_) | Inherited::UnixListener(_) | Inherited::Udp(_)) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        // Writing nothing fails where nothing can be written any more.
        os::send(&stream.socket, &[])?;
        if os::hung_up(&stream.socket)? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(stream)
    }

    fn socket(&self) -> MutexGuard<'_, Option<Inherited>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// A flow's bytes go there from now on: no other flow gets it.
    pub(crate) fn used(&mut self) {
        self.used = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.used {
            // Ours was the last descriptor but the relay's: the connection ends as that one ends it.
            *self.of.socket() = None;
        }
        self.of.taken.store(false, Ordering::Release);
    }
}
