//! Fake addresses: the DNS server answers with one in a name's stead, and a flow to it is one to the name.
//!
//! Invariants: a fake address is no host's, and nothing is sent there; what it stands for outlives generations, and, as long
//! as the disk lets it be written down, the daemon. What could not be written down counts all the same.

mod book;
mod journal;
mod keeper;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};
use std::time::Duration;

use pointsman_policy::set::Key;
use pointsman_policy::{Domain, Prefix};
use pointsman_spec::dns::FakeSpec;
use tokio::time::timeout;

pub use self::book::Fake;
use self::book::{Book, Ranges, Seconds};
use self::keeper::Keeper;

/// So long a slot is kept for its name beyond the time that its answer holds: browsers keep each for a minute at least.
const GRACE: Seconds = 60;

/// How long a disk may take to write a name down before it is answered all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// The fake addresses of some ranges, and what they stand for.
#[derive(Debug)]
pub(crate) struct Fakes {
    ranges: Ranges,
    key: Key,
    book: RwLock<Book>,
    pending: Mutex<Pending>,
    /// Held by the one that writes.
    gate: Arc<tokio::sync::Mutex<()>>,
    keeper: Arc<Keeper>,
}

/// What is to be written down.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    names: usize,
    /// How many were ever to be, and how many of them are no longer pending.
    begun: u64,
    done: u64,
}

/// Fake addresses of all generations, and where they are written down.
#[derive(Debug, Default)]
pub(crate) struct FakeHome {
    keeper: Arc<Keeper>,
    key: OnceLock<Key>,
    known: Mutex<Vec<(Ranges, Weak<Fakes>)>>,
}

impl FakeHome {
    /// One that writes into that directory.
    pub(crate) fn within(state: Option<&Path>) -> Self {
        Self {
            keeper: Arc::new(Keeper::within(state)),
            ..Self::default()
        }
    }

    /// Those of some ranges: the same as long as somebody has them, else as they were written down. Changes nothing on the
    /// disk.
    pub(crate) fn of(&self, spec: &FakeSpec) -> Arc<Fakes> {
        let ranges = Ranges::of(spec);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, fakes)| fakes.strong_count() > 0);
        let mut found = known.iter().filter(|(of, _)| *of == ranges);
        if let Some(fakes) = found.find_map(|(_, fakes)| fakes.upgrade()) {
            return fakes;
        }
        let key = *self.key.get_or_init(|| self.keeper.key());
        let mut book = Book::new(ranges, key);
        let now = now();
        for (name, slot) in self.keeper.read(key, &ranges.text()) {
            book.restore(name, slot, now);
        }
        let fakes = Arc::new(Fakes {
            ranges,
            key,
            book: RwLock::new(book),
            pending: Mutex::default(),
            gate: Arc::default(),
            keeper: Arc::clone(&self.keeper),
        });
        known.push((ranges, Arc::downgrade(&fakes)));
        fakes
    }
}

impl Fakes {
    /// Whether an address is of one of its ranges.
    pub(crate) fn hold(&self, address: IpAddr) -> bool {
        self.ranges.hold(address)
    }

    /// Its ranges.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Prefix> {
        self.ranges.all()
    }

    /// The addresses of a name that has some; they are told.
    pub(crate) fn tell(&self, name: &Domain) -> Option<Fake> {
        self.book().tell(name, now())
    }

    /// The addresses of a name that has some.
    pub(crate) fn look_up(&self, name: &Domain) -> Option<Fake> {
        self.book().look_up(name)
    }

    /// The name that an address stands for that a flow goes to.
    pub(crate) fn go_to(&self, address: IpAddr) -> Option<Domain> {
        self.book().name(address, Some(now())).cloned()
    }

    /// The name that an address stands for.
    pub(crate) fn name(&self, address: IpAddr) -> Option<Domain> {
        self.book().name(address, None).cloned()
    }

    /// The addresses of a name, which has some from now on; each answer holds for so many seconds. Waits until they are
    /// written down, but not for long. `None`: all may still be meant. Dropping it leaves them given.
    pub(crate) async fn give(self: &Arc<Self>, name: &Domain, ttl: u32) -> Option<Fake> {
        let nth = {
            let mut book = self.book_to_change();
            if let Some(fake) = book.tell(name, now()) {
                return Some(fake);
            }
            let idle = ttl.saturating_add(GRACE);
            let slot = book.give(name, idle, now()).ok()?;
            let mut pending = self.pending();
            journal::write(self.key, name, slot, &mut pending.bytes);
            pending.names += 1;
            pending.begun += 1;
            pending.begun
        };
        let _late = timeout(PATIENCE, self.keep(nth)).await;
        self.look_up(name)
    }

    async fn keep(self: &Arc<Self>, nth: u64) {
        let gate = Arc::clone(&self.gate).lock_owned().await;
        if self.pending().done >= nth {
            return;
        }
        let fakes = Arc::clone(self);
        let write = move || {
            let _gate = gate;
            fakes.write();
        };
        let _ended = tokio::task::spawn_blocking(write).await;
    }

    /// Writes down what is pending.
    fn write(&self) {
        let (bytes, names) = {
            let mut pending = self.pending();
            pending.done = pending.begun;
            (
                std::mem::take(&mut pending.bytes),
                std::mem::take(&mut pending.names),
            )
        };
        let whole = || {
            let book = self.book();
            let mut bytes = journal::header(&self.ranges.text());
            for (name, slot) in book.all() {
                journal::write(self.key, name, slot, &mut bytes);
            }
            (bytes, book.len())
        };
        let live = self.book().len();
        self.keeper
            .append(self.key, self.ranges, &bytes, names, live, whole);
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn book_to_change(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Seconds {
    Seconds::try_from(pointsman_os::clock::boottime() / 1000).unwrap_or(Seconds::MAX)
}
