//! Connections of clients that bring queries: how many there may be, and who gives way.
//!
//! Invariant: a client has at most a quarter of all, and the place of one that waits for nothing is another's when it is
//! needed: whoever asks seldom finds one, however many connections somebody else holds.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_spec::dns::DnsLimits;
use tokio::sync::Notify;

/// That part of all connections is one client's: many programs may be behind one address.
const OF_CLIENT: usize = 4;

/// Connections of all clients.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    table: Mutex<Table>,
    /// Counts changes, for an order in time.
    turns: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Open>,
    /// Of those who have any.
    by_client: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Open {
    client: IpAddr,
    state: Arc<State>,
}

/// What a connection is about.
#[derive(Debug, Default)]
struct State {
    /// The turn at which it changed last; how it is since is the lowest bit: 1 where it is idle.
    since: AtomicU64,
    gives_way: Notify,
}

/// The place of a connection.
#[derive(Debug)]
pub(super) struct StreamPlace {
    streams: Arc<Streams>,
    number: u64,
    state: Arc<State>,
}

impl Streams {
    /// A place for a connection of a client, as it is counted ([`crate::ends::counted`]); `None` where nobody gives way.
    pub(super) fn place(
        self: &Arc<Self>,
        client: IpAddr,
        limits: &DnsLimits,
    ) -> Option<Arc<StreamPlace>> {
        let mut table = self.table();
        let own = table.by_client.get(&client).copied().unwrap_or(0);
        if own >= limits.streams.div_ceil(OF_CLIENT) {
            table.give_way(|of, _, idle| of == client && idle)?;
        } else if table.open.len() >= limits.streams {
            // Whoever has no more than the new one would have waits for no less.
            table.give_way(|_, count, idle| idle || count > own + 1)?;
        }
        let state = Arc::<State>::default();
        let number = table.next;
        table.next += 1;
        *table.by_client.entry(client).or_default() += 1;
        let open = Open {
            client,
            state: Arc::clone(&state),
        };
        table.open.insert(number, open);
        drop(table);
        let place = StreamPlace {
            streams: Arc::clone(self),
            number,
            state,
        };
        place.is_idle(true);
        Some(Arc::new(place))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes the place of a connection of those that may go, by their client, how many that has, and whether they are
    /// idle: of an idle one rather, then of the client that has most, then of the one that is so for longest.
    fn give_way(&mut self, may_go: impl Fn(IpAddr, usize, bool) -> bool) -> Option<()> {
        let candidates = self.open.iter().filter_map(|(number, open)| {
            let count = self.by_client.get(&open.client).copied().unwrap_or(0);
            let since = open.state.since.load(Ordering::Relaxed);
            let idle = since & 1 == 1;
            let order = (Reverse(idle), Reverse(count), since, *number);
            may_go(open.client, count, idle).then_some(order)
        });
        let (.., number) = candidates.min()?;
        self.open.get(&number)?.state.gives_way.notify_one();
        self.leave(number);
        Some(())
    }

    fn leave(&mut self, number: u64) {
        let Some(Open { client, .. }) = self.open.remove(&number) else {
            return;
        };
        if let Some(own) = self.by_client.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}

impl StreamPlace {
    /// Whether the connection waits for nothing but its client's next query.
    pub(super) fn is_idle(&self, idle: bool) {
        let (idle, since) = (u64::from(idle), &self.state.since);
        // At 0 it is new.
        if since.load(Ordering::Relaxed) > 1 && since.load(Ordering::Relaxed) & 1 == idle {
            return;
        }
        let turn = self.streams.turns.fetch_add(1, Ordering::Relaxed) + 1;
        since.store(turn << 1 | idle, Ordering::Relaxed);
    }

    /// Ends when the place is another's.
    pub(super) async fn given_to_another(&self) {
        self.state.gives_way.notified().await;
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.streams.table().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(streams: usize) -> DnsLimits {
        DnsLimits {
            streams,
            ..DnsLimits::default()
        }
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Whether it gives way, asked once.
    fn gives_way(place: &StreamPlace) -> bool {
        let mut given = std::pin::pin!(place.given_to_another());
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        given.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn a_client_has_a_share_and_its_own_idle_ones_give_way_first() {
        let (streams, limits) = (Arc::<Streams>::default(), limits(8));
        let one = streams.place(client(1), &limits).unwrap();
        let two = streams.place(client(1), &limits).unwrap();
        one.is_idle(false);
        // The one that is idle, though it came later.
        let three = streams.place(client(1), &limits).unwrap();
        assert!(!gives_way(&one) && gives_way(&two));
        three.is_idle(false);
        assert!(streams.place(client(1), &limits).is_none());
        assert!(streams.place(client(2), &limits).is_some());
        drop((one, two, three));
        assert!(streams.table().open.is_empty() && streams.table().by_client.is_empty());
    }

    #[test]
    fn who_has_most_gives_way_to_who_has_few() {
        let (streams, limits) = (Arc::<Streams>::default(), limits(8));
        let held: Vec<_> = (0..8)
            .map(|n| streams.place(client(n / 2), &limits).unwrap())
            .collect();
        held.iter().for_each(|place| place.is_idle(false));
        held[3].is_idle(true);
        held[3].is_idle(false);
        // All wait for something: of those who have two, one loses the older.
        let new = streams.place(client(9), &limits).unwrap();
        assert_eq!(held.iter().filter(|place| gives_way(place)).count(), 1);
        assert_eq!(streams.table().open.len(), 8);
        new.is_idle(false);
        drop(held);
        assert_eq!(streams.table().open.len(), 1);
        // Where all have one, only an idle one goes.
        let each: Vec<_> = (10..17)
            .map(|n| streams.place(client(n), &limits).unwrap())
            .collect();
        each.iter().for_each(|place| place.is_idle(false));
        assert!(streams.place(client(20), &limits).is_none());
        each[4].is_idle(true);
        assert!(streams.place(client(20), &limits).is_some());
        assert!(gives_way(&each[4]));
    }
}
