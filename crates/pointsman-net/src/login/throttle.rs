//! Wrong passwords by address: whoever guesses is answered later.
//!
//! Invariant: bounded in addresses, in tries of each, and in answers that are held back at once. Absent: accounts;
//! shutting anybody out, for who knows the password is let in at once, also from an address that guesses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::seldom::Seldom;
use crate::stream::Stream;

/// Wrong passwords within [`WINDOW`] that are answered at once: who mistypes one does not notice.
const FREE: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// How long the answer to any further one is held back.
const WAIT: Duration = Duration::from_secs(1);
/// Addresses that are remembered, with some 200 bytes each.
const ADDRESSES: usize = 4096;
/// Answers that are held back at once: each holds a descriptor for nothing.
const HELD: usize = 1024;

/// The throttle of a plane: one over all inbounds and generations.
#[derive(Debug)]
pub(crate) struct LoginThrottle {
    wrongs: Mutex<Wrongs>,
    held: Semaphore,
    guessed: Seldom,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DelayOutcome {
    /// It is due.
    Due,
    /// Nobody waits for it any more.
    Left,
    /// Too many are held back: it is not to be given.
    Spared,
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self {
            wrongs: Mutex::default(),
            held: Semaphore::new(HELD),
            guessed: Seldom::default(),
        }
    }
}

impl LoginThrottle {
    /// Notes a wrong password, and holds its answer back where there were many from that address.
    pub(crate) async fn wrong(&self, client: &Stream) -> DelayOutcome {
        // A local stream has no address, and an owner that the operator chose.
        let Some(peer) = client.peer_addr() else {
            return DelayOutcome::Due;
        };
        let wait = {
            let mut wrongs = self.wrongs.lock().unwrap_or_else(PoisonError::into_inner);
            wrongs.wrong(peer.ip(), Instant::now())
        };
        let Some(wait) = wait else {
            return DelayOutcome::Due;
        };
        if self.guessed.is_due(Instant::now()) {
            let address = peer.ip().to_canonical();
            tracing::warn!(
                client = %address,
                "{address} sent more than {FREE} wrong passwords within a minute: the answers to such clients are held \
                 back for a second each"
            );
        }
        self.hold(client, wait).await
    }

    async fn hold(&self, client: &Stream, wait: Duration) -> DelayOutcome {
        let Ok(_place) = self.held.try_acquire() else {
            return DelayOutcome::Spared;
        };
        tokio::select! {
            biased;
            () = client.hung_up(true) => DelayOutcome::Left,
            () = sleep(wait) => DelayOutcome::Due,
        }
    }
}

/// The wrong passwords of late.
#[derive(Debug, Default)]
struct Wrongs(HashMap<IpAddr, Tries>);

/// When the last [`FREE`] wrong passwords of an address came.
#[derive(Debug, Default)]
struct Tries {
    times: [Option<Instant>; FREE],
    /// The place of the oldest.
    next: usize,
    last: Option<Instant>,
}

impl Wrongs {
    /// Notes a wrong password; how long its answer is to wait.
    fn wrong(&mut self, address: IpAddr, now: Instant) -> Option<Duration> {
        let address = who(address);
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            self.make_room(now);
        }
        let tries = self.0.entry(address).or_default();
        let oldest = tries.times[tries.next].replace(now);
        tries.next = (tries.next + 1) % FREE;
        tries.last = Some(now);
        oldest
            .is_some_and(|oldest| now.saturating_duration_since(oldest) < WINDOW)
            .then_some(WAIT)
    }

    /// Looks at all of them: some microseconds, for a connection that cost more.
    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, tries| {
            let last = tries.last;
            last.is_some_and(|last| now.saturating_duration_since(last) < WINDOW)
        });
        if self.0.len() < ADDRESSES {
            return;
        }
        let stalest = self.0.iter().min_by_key(|(_, tries)| tries.last);
        if let Some(stalest) = stalest.map(|(address, _)| *address) {
            self.0.remove(&stalest);
        }
    }
}

/// Who has that address: a host gets a /64 of IPv6, and may take any address in it.
fn who(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
