//! The client's side of a decision: what deciding asks of it, whatever it is made of.
//!
//! Invariant: whoever decides waits for nothing longer than there is a guest. A stream is a guest, datagrams that are held
//! are one, a question to the DNS server is one; how a guest is answered is not asked here.

use pointsman_policy::fact::{Fact, Look};
use pointsman_spec::limits::SniffLimits;

/// The client is gone: there is nobody left to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Whom a decision is for.
pub(crate) trait Guest: Send + Sync {
    /// What it said first, without taking it; absent where there is nothing to look at. One that waits for success
    /// before it says anything is told of it first. `port` is the one that it wants to reach.
    ///
    /// # Errors
    /// [`Gone`].
    fn look(
        &mut self,
        limits: SniffLimits,
        port: u16,
    ) -> impl Future<Output = Result<Fact<Look>, Gone>> + Send;

    /// Ends when it has gone, and consumes nothing. Dropping the future loses nothing.
    fn gone(&self) -> impl Future<Output = ()> + Send;

    /// Whether it was told of success for the sake of a look.
    fn answered_early(&self) -> bool;
}

/// What `work` comes to, as long as there is a guest.
pub(crate) async fn while_here<T>(
    guest: &impl Guest,
    work: impl Future<Output = T>,
) -> Result<T, Gone> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = guest.gone() => Err(Gone),
    }
}
