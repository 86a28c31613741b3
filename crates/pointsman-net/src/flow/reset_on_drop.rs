//! A client whose flow is under way.
//!
//! Invariant: whoever drops the flow in the middle resets its client: an orderly end would tell of a whole answer of no
//! bytes.

use std::ops::{Deref, DerefMut};

use crate::stream::Stream;

/// A client's connection until somebody takes it to answer, to carry or to close it.
#[derive(Debug)]
pub(super) struct ResetOnDrop(Option<Stream>);

impl ResetOnDrop {
    pub(super) fn new(client: Stream) -> Self {
        Self(Some(client))
    }

    /// The connection, which from now on ends in order; asked for once, by a step that ends the flow's own part.
    pub(super) fn take(&mut self) -> Stream {
        match self.0.take() {
            Some(client) => client,
            None => unreachable!("a step that takes the client is the flow's last"),
        }
    }
}

impl Deref for ResetOnDrop {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        match &self.0 {
            Some(client) => client,
            None => unreachable!("a step that takes the client is the flow's last"),
        }
    }
}

impl DerefMut for ResetOnDrop {
    fn deref_mut(&mut self) -> &mut Stream {
        match &mut self.0 {
            Some(client) => client,
            None => unreachable!("a step that takes the client is the flow's last"),
        }
    }
}

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            client.reset();
        }
    }
}
