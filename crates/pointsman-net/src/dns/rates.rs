//! How many queries a client may ask: a bucket of tokens for each, and silence for who goes on regardless.
//!
//! Invariants: clients are as many as the table holds, whatever senders are forged; where it is full, nobody is limited who
//! is not in it, for a limit that the innocent meet would be the attacker's gain. Absent: clocks; whoever comes brings the
//! time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pointsman_spec::dns::DnsLimits;
use tokio::time::Instant;

/// So many seconds' worth may be asked at once: a page with many names, and its images'.
const BURST: Duration = Duration::from_secs(5);

/// Refusals that are said; whoever asks on hears nothing until half of the burst is there again, so that forged queries
/// send nothing more to whom they are said to come from.
const SAID: u32 = 50;

/// Clients that are known: some 4 MiB.
const CLIENTS: usize = 1 << 16;

/// How often a full table is looked through, at most.
const SWEEP: Duration = Duration::from_secs(1);

/// What clients asked of late.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    clients: HashMap<IpAddr, Bucket>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Bucket {
    /// What is left: a time of which each query takes its part.
    left: Duration,
    /// When that was so.
    at: Instant,
    /// Refusals since there was half of the burst.
    refused: u32,
}

/// Whether a query is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// It is.
    Yes,
    /// It is refused.
    Refused,
    /// Nothing is said: refusals were not heeded.
    Silent,
}

impl Rates {
    /// Whether one more of a client, as it is counted ([`crate::ends::counted`]), is answered now.
    pub(super) fn allows(&self, client: IpAddr, limits: &DnsLimits, now: Instant) -> Allowed {
        // Nobody forges these, and behind one of them may be the resolver of the whole host.
        if client.is_loopback() || client.is_unspecified() {
            return Allowed::Yes;
        }
        let cost = Duration::from_secs(1) / limits.client_rate.max(1);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.clients.len() >= CLIENTS && !table.clients.contains_key(&client) {
            table.sweep(now);
            if table.clients.len() >= CLIENTS {
                return Allowed::Yes;
            }
        }
        let bucket = table.clients.entry(client).or_insert(Bucket {
            left: BURST,
            at: now,
            refused: 0,
        });
        (bucket.left, bucket.at) = (bucket.now(now), now);
        if bucket.left >= BURST / 2 {
            bucket.refused = 0;
        }
        match bucket.left.checked_sub(cost) {
            Some(left) => {
                bucket.left = left;
                Allowed::Yes
            }
            None if bucket.refused < SAID => {
                bucket.refused += 1;
                Allowed::Refused
            }
            None => Allowed::Silent,
        }
    }
}

impl Bucket {
    fn now(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.at);
        self.left.saturating_add(since).min(BURST)
    }
}

impl Table {
    /// Forgets who has asked nothing for so long that nothing is known of it.
    fn sweep(&mut self, now: Instant) {
        let is_recent = |swept| now.saturating_duration_since(swept) < SWEEP;
        if self.swept.is_some_and(is_recent) {
            return;
        }
        self.swept = Some(now);
        self.clients.retain(|_, bucket| bucket.now(now) < BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> IpAddr {
        IpAddr::from((number + (10 << 24)).to_be_bytes())
    }

    #[test]
    fn a_client_has_a_burst_and_then_its_rate() {
        let (rates, begun) = (Rates::default(), Instant::now());
        let limits = DnsLimits::default();
        let ask = |client, after: u64| {
            let now = begun + Duration::from_millis(after);
            rates.allows(client, &limits, now)
        };
        let one = client(1);
        for _ in 0..1000 {
            assert_eq!(ask(one, 0), Allowed::Yes);
        }
        for _ in 0..SAID {
            assert_eq!(ask(one, 1), Allowed::Refused);
        }
        assert_eq!(ask(one, 2), Allowed::Silent);
        assert_eq!(ask(client(2), 2), Allowed::Yes);
        // One for each 5 ms, and no more words until it has been quieter.
        assert_eq!((ask(one, 5), ask(one, 5)), (Allowed::Yes, Allowed::Silent));
        let later = (0..500).filter(|_| ask(one, 1005) == Allowed::Yes);
        assert_eq!(later.count(), 200);
        for _ in 0..600 {
            ask(one, 4005);
        }
        assert_eq!(ask(one, 4005), Allowed::Refused);
        // Programs of this host.
        let here = IpAddr::from([127, 0, 0, 1]);
        assert!((0..2000).all(|_| ask(here, 0) == Allowed::Yes));
    }

    #[test]
    fn forged_clients_take_no_more_room_and_limit_nobody_else() {
        let (rates, begun) = (Rates::default(), Instant::now());
        let limits = DnsLimits::default();
        let most = u32::try_from(CLIENTS).unwrap();
        for number in 0..most + 10 {
            assert_eq!(rates.allows(client(number), &limits, begun), Allowed::Yes);
        }
        assert_eq!(rates.0.lock().unwrap().clients.len(), CLIENTS);
        let later = begun + Duration::from_secs(2);
        assert_eq!(rates.allows(client(most), &limits, later), Allowed::Yes);
        assert_eq!(rates.0.lock().unwrap().clients.len(), 1);
    }
}
