//! The loop guard at the door: is this flow one of our own making?
//!
//! Invariant: a guarded flow goes direct whatever the rules say. Our own connections are known by
//! their exact source address, noted when they were made to one of our own listeners: no process
//! is asked for, and others of this process (an embedding, a test) are not taken for us.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Connections of ours to listeners of ours that have not been seen to arrive.
#[derive(Debug, Default)]
pub(crate) struct Own(Mutex<HashMap<SocketAddr, Instant>>);

/// A connection that did not arrive by then never will.
const FORGOTTEN: Duration = Duration::from_secs(60);

impl Own {
    /// A connection from `source` to one of our listeners is ours. Called before its first byte is
    /// sent, so that whoever has read a byte of it finds it here.
    pub(crate) fn made(&self, source: SocketAddr) {
        let now = Instant::now();
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, at| now.duration_since(*at) < FORGOTTEN);
        made.insert(source, now);
    }

    /// Whether a connection that came from `source` is ours; asked once for each.
    pub(crate) fn arrived(&self, source: SocketAddr) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&source)
            .is_some()
    }
}
