//! Addresses of this host where associations take datagrams: no flow of ours is taken there.
//!
//! An association whose client has sent nothing yet takes the first sender at the client's address for the client. A flow
//! that another client has us send from there would be taken for it.
//!
//! Invariant: an address stands here as long as its [`RelayGuard`] lives.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where all associations take datagrams.
#[derive(Debug, Default)]
pub(crate) struct Relays(Mutex<HashSet<SocketAddr>>);

/// Where one does.
#[derive(Debug)]
pub(super) struct RelayGuard {
    relays: Arc<Relays>,
    at: SocketAddr,
}

impl Relays {
    pub(super) fn take(self: &Arc<Self>, at: SocketAddr) -> RelayGuard {
        self.all().insert(at);
        RelayGuard {
            relays: Arc::clone(self),
            at,
        }
    }

    /// Whether an association takes datagrams there.
    pub(crate) fn has(&self, at: SocketAddr) -> bool {
        self.all().contains(&at)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    fn all(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RelayGuard {
    fn drop(&mut self) {
        self.relays.all().remove(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_associations_as_long_as_that_lives() {
        let relays = Arc::new(Relays::default());
        let at: SocketAddr = "10.0.0.1:5000".parse().unwrap();
        let taken = relays.take(at);
        assert!(relays.has(at) && !relays.has("10.0.0.1:5001".parse().unwrap()));
        drop(taken);
        assert!(!relays.has(at));
    }
}
