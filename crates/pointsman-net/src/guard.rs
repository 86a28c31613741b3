//! Connections of our own, known again should one come back to us.
//!
//! Invariant: a connection is known by both of its ends, and only as long as the [`Token`] lives that its dialler
//! made: nobody else, and nobody later, is ever taken for us. Whoever is taken for us is refused, so being taken
//! for us gains nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Our end, then the other.
type Ends = (SocketAddr, SocketAddr);

/// Connections of ours that go where a listener of ours might be.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// How many there are: an accept that finds none takes no lock.
    count: AtomicUsize,
    made: Mutex<HashMap<Ends, usize>>,
}

/// A connection of ours; ends with it. Few flows have one, so it takes a word of each and not nine.
#[derive(Debug)]
pub(crate) struct Token {
    _made: Box<Made>,
}

/// What a token stands for.
#[derive(Debug)]
struct Made {
    own: Arc<Own>,
    ends: Ends,
}

impl Own {
    /// A connection from `source` to `peer` is ours. Called before its first byte is sent, so that whoever has read
    /// a byte of it finds it here.
    pub(crate) fn made(self: &Arc<Self>, source: SocketAddr, peer: SocketAddr) -> Token {
        let ends = (canonical(source), canonical(peer));
        *self.lock().entry(ends).or_default() += 1;
        self.count.fetch_add(1, Ordering::Release);
        let own = Arc::clone(self);
        Token {
            _made: Box::new(Made { own, ends }),
        }
    }

    /// Whether the connection that came from `source` to `local` is ours.
    pub(crate) fn arrived(&self, source: SocketAddr, local: SocketAddr) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self
                .lock()
                .contains_key(&(canonical(source), canonical(local)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ends, usize>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let mut made = self.own.lock();
        if let Some(count) = made.get_mut(&self.ends) {
            *count -= 1;
            if *count == 0 {
                made.remove(&self.ends);
            }
        }
        self.own.count.fetch_sub(1, Ordering::Release);
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_is_ours_by_both_ends_and_as_long_as_it_lives() {
        let own = Arc::new(Own::default());
        let (here, there) = (at("127.0.0.1:5000"), at("127.0.0.1:7890"));
        assert!(!own.arrived(here, there));
        let token = own.made(here, there);
        assert!(own.arrived(here, there));
        assert!(own.arrived(at("[::ffff:127.0.0.1]:5000"), there));
        // Somebody else may have our end's address and port at the same time, to another place.
        assert!(!own.arrived(here, at("127.0.0.1:7891")));
        assert!(!own.arrived(at("127.0.0.1:5001"), there));
        let twice = own.made(here, there);
        drop(token);
        assert!(own.arrived(here, there));
        drop(twice);
        // The port is anybody's from now on.
        assert!(!own.arrived(here, there));
        assert_eq!(own.count.load(Ordering::Relaxed), 0);
    }
}
