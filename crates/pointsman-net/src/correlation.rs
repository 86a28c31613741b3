//! Which name an address stands for: what our DNS server answered, remembered for the client that asked.
//!
//! Invariants: a name that may be the wrong one is not told. Several that an address was given for at once are told as
//! several; what still holds is never dropped to make room, and a client for whom there was no room is not believed
//! until what it missed is over. All of it is bounded in bytes, and clients that may be forged leave room for those that are
//! not. Absent: clocks; whoever comes brings the seconds since boot.

mod table;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pointsman_os::socket::is_own_address;
use pointsman_policy::Domain;
use pointsman_policy::fact::{Fact, Provenance};
use pointsman_wire::dns::Cached;
use tokio::time::Instant;

use self::table::{Room, Table};
use crate::ends::Ends;

/// Seconds since boot, those of sleep included.
pub(crate) type Seconds = u32;

/// So long a name is remembered beyond the time that its answer holds: browsers keep each for a minute at least.
const GRACE: Seconds = 60;

/// No answer is believed to hold longer than the DNS server keeps it.
const LONGEST: Seconds = 86_400;

/// What all names may take, in bytes: some 22,000 addresses.
const BYTES: usize = 4 << 20;

/// Parts with a lock each; a client's names are all in one.
const SHARDS: usize = 4;

/// Answers that are known to be remembered: 64 KiB.
const TOLD: usize = 1 << 13;

/// After so many seconds it is seen to that they still are.
const REPEATED: Seconds = 32;

/// The programs of this host: they are one client, whichever of its addresses they come from.
pub(crate) const THIS_HOST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Names by the client that asked for them and the address that it was given.
#[derive(Debug)]
pub(crate) struct Correlation {
    shards: [Mutex<Table>; SHARDS],
    /// What was remembered of late, in hashes: who asks again and again costs no look at a table.
    told: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// What an address is known to stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Correlated {
    /// The client was given it for this name, and for no other.
    Name(Domain),
    /// ... for several, of which each may be meant.
    Several(Vec<Domain>),
    /// ... for that name, and may have been for others that there was no room for.
    Doubtful(Domain),
}

/// A name that is known, for whoever looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownName {
    /// Who asked for it; `None`: programs of this host.
    pub client: Option<IpAddr>,
    /// The name.
    pub name: Domain,
    /// For how many seconds more it counts.
    pub seconds: u32,
    /// There may be others that are not known.
    pub doubtful: bool,
}

impl Default for Correlation {
    fn default() -> Self {
        let hasher = RandomState::new();
        let room = Room {
            all: BYTES / SHARDS,
            // Of one client, and of all that may be forged.
            part: BYTES / SHARDS / 2,
        };
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Table::new(room, hasher.clone()))),
            told: (0..TOLD).map(|_| AtomicU64::new(0)).collect(),
            hasher,
        }
    }
}

impl Correlation {
    /// Remembers an answer that came to a name at `since` and is given to a client now. Allocates nothing where the client
    /// was given it before.
    pub(crate) fn remember(
        &self,
        client: IpAddr,
        name: &Domain,
        answer: &Cached,
        since: Instant,
        now: Instant,
        seconds: Seconds,
    ) {
        // Looked at again now and then, for one clock leaves the host's sleep out.
        let kind = answer.kind();
        let told = (client, name, kind, since, seconds / REPEATED);
        let told = self.hasher.hash_one(told) | 1;
        // As wide as the table is long.
        let place = &self.told[usize::try_from(told >> 1).unwrap_or(0) % TOLD];
        if place.load(Ordering::Relaxed) == told {
            return;
        }
        let Some(response) = answer.response() else {
            return;
        };
        let age = now.saturating_duration_since(since).as_secs();
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        let (mut table, mut whole) = (self.table(client), true);
        response.each_address(|address, ttl| {
            if says(address) {
                let until = until(ttl.saturating_sub(age), seconds);
                let address = address.to_canonical();
                whole &= table.remember(client, address, name, until, seconds);
            }
        });
        drop(table);
        if whole {
            place.store(told, Ordering::Relaxed);
        }
    }

    /// Remembers fixed addresses of a name that a client is given for so many seconds.
    pub(crate) fn remember_fixed<'a>(
        &self,
        client: IpAddr,
        name: &Domain,
        addresses: impl Iterator<Item = &'a IpAddr>,
        ttl: u32,
        seconds: Seconds,
    ) {
        let addresses = addresses.filter(|address| says(**address));
        let mut table = self.table(client);
        for address in addresses {
            let until = until(ttl, seconds);
            table.remember(client, address.to_canonical(), name, until, seconds);
        }
    }

    /// What an address stands for that a client goes to; `proves`: that it comes from there, for it heard us.
    pub(crate) fn find(
        &self,
        client: IpAddr,
        address: IpAddr,
        proves: bool,
        now: Seconds,
    ) -> Fact<Domain> {
        let mut table = self.table(client);
        if proves {
            table.prove(client, now);
        }
        match table.find(client, address.to_canonical(), now) {
            None => Fact::Absent,
            Some(Correlated::Name(name)) => Fact::Known(name, Provenance::DnsCorrelation),
            Some(Correlated::Several(names)) => {
                let names: Vec<&str> = names.iter().map(Domain::as_str).collect();
                Fact::Failed(format!("ambiguous: {}", names.join(", ")).into())
            }
            Some(Correlated::Doubtful(name)) => {
                let why = format!("ambiguous: {name}, or one that there was no room for");
                Fact::Failed(why.into())
            }
        }
    }

    /// The names that an address was given for, of one client or of all; at most so many.
    pub(crate) fn of(
        &self,
        address: IpAddr,
        client: Option<IpAddr>,
        most: usize,
        now: Seconds,
    ) -> Vec<KnownName> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let table = lock(shard);
            table.of(address.to_canonical(), client, now, &mut |name| {
                if found.len() < most {
                    found.push(name);
                }
            });
        }
        found.sort_by(|a, b| (a.client, &a.name).cmp(&(b.client, &b.name)));
        found
    }

    fn table(&self, client: IpAddr) -> MutexGuard<'_, Table> {
        let hash = self.hasher.hash_one(table::network(client));
        // Of four parts any two bits tell.
        let at = usize::from(hash.to_be_bytes()[0]) % SHARDS;
        lock(&self.shards[at])
    }
}

/// The time for whoever comes.
pub(crate) fn now() -> Seconds {
    Seconds::try_from(pointsman_os::clock::boottime() / 1000).unwrap_or(Seconds::MAX)
}

/// Until when a name counts that a client was told for so many seconds.
fn until(ttl: u32, now: Seconds) -> Seconds {
    now.saturating_add(ttl.min(LONGEST)).saturating_add(GRACE)
}

/// Whether an address says anything of a name: that of this host, or of none, is given for many.
fn says(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !(address.is_loopback() || address.is_unspecified())
}

fn lock(shard: &Mutex<Table>) -> MutexGuard<'_, Table> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By what the names of a client are known that comes from there to an address of this host.
pub(crate) fn asker(client: Option<IpAddr>, here: Option<IpAddr>) -> IpAddr {
    let (client, here) = (
        client.map(|it| it.to_canonical()),
        here.map(|it| it.to_canonical()),
    );
    match client {
        Some(client) if !client.is_loopback() && Some(client) != here => client,
        // Local streams, too.
        Some(_) | None => THIS_HOST,
    }
}

/// By what they may be known of a client that is only said to be one: nobody is this host, and so is one of its addresses
/// where it does not stand for itself.
pub(crate) fn said(client: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let own = client.is_none_or(is_own_address).then_some(THIS_HOST);
    client
        .map(|client| asker(Some(client), None))
        .into_iter()
        .chain(own)
}

/// The same, of a flow between these ends.
pub(crate) fn goer(ends: &Ends) -> IpAddr {
    let client = ends.client.map(|client| client.get().ip());
    asker(client, ends.local.map(|local| local.get().ip()))
}

#[cfg(test)]
mod tests;
