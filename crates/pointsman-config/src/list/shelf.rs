//! The shelf of sets: what was read once is not read again while it is the same.
//!
//! Invariant: a set from the shelf is what reading its list would give. In memory it is found as long
//! as some policy still has it; with a [`Cache`] also after a restart. A list whose entries refer to
//! other sets belongs to its configuration and never comes here.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pointsman_policy::line::Scope;
use pointsman_policy::set::{Key, RuleSet, RuleSetBuilder, WeakContent};
use serde::{Deserialize, Serialize};

use super::cache::{self, Cache, KEY};
use super::scope::Watched;
use super::{ReadReport, Recipe, Unreadable, again, read};
use crate::files::{Opened, Stamp};

/// A list that is read faster than its cache is opened, in bytes.
const SMALL: u64 = 64 << 10;

/// Changes with every change of what a cache holds or of how lists are read. A test compares it with what is read of
/// a few lists.
pub(super) const VERSION: u32 = 11;

/// A list that is wanted as a set.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// The set's name.
    pub name: &'a str,
    /// Its file, as explanations name it.
    pub file: &'a str,
    /// Its file.
    pub path: &'a Path,
    /// How it is read.
    pub recipe: &'a Recipe,
}

/// The sets of a process. One for the daemon's whole life; one for each command of the client.
pub struct Shelf {
    key: Key,
    cache: Option<Box<dyn Cache>>,
    held: Mutex<HashMap<Identity, ShelvedSet>>,
    /// Names in the cache that were asked for since the last sweep.
    used: Mutex<BTreeSet<String>>,
    trouble: Mutex<Option<String>>,
}

/// What makes two readings of a list the same, apart from its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Identity {
    path: PathBuf,
    recipe: Recipe,
    has_country_db: bool,
    has_asn_db: bool,
    ip_rules_resolve: bool,
}

struct ShelvedSet {
    stamp: Stamp,
    told: ReadReport,
    content: WeakContent,
}

/// The first line of a cache; the set's bytes follow.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    identity: Identity,
    stamp: Stamp,
    told: ReadReport,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf(...)")
    }
}

impl Shelf {
    /// A shelf in memory, with a key of its own that nobody knows.
    #[must_use]
    pub fn fresh() -> Self {
        Self::with_key(fresh_key())
    }

    /// A shelf in memory with this key. A key that others know is for tests.
    #[must_use]
    pub fn with_key(key: Key) -> Self {
        Self {
            key,
            cache: None,
            held: Mutex::default(),
            used: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// A shelf that keeps compiled sets over restarts, and its key with them. Where nothing can be
    /// kept it is a shelf in memory; [`Self::trouble`] says why.
    #[must_use]
    pub fn kept(cache: Box<dyn Cache>) -> Self {
        match cache::key(&*cache, fresh_key()) {
            Ok(key) => Self {
                cache: Some(cache),
                ..Self::with_key(key)
            },
            Err(error) => {
                let shelf = Self::fresh();
                shelf.tell(&error);
                shelf
            }
        }
    }

    /// The key of its sets; inline sets of the same process take it too.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Why the last set was not kept on disk, once.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).take()
    }

    /// The set of a list that was opened, from memory, from the cache, or read now; and what was told
    /// when it was read.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn take(
        &self,
        mut opened: Opened,
        want: &Want<'_>,
        scope: &dyn Scope,
    ) -> Result<(RuleSet, ReadReport), Unreadable> {
        let identity = Identity {
            path: want.path.to_owned(),
            recipe: want.recipe.clone(),
            has_country_db: scope.has_country_db(),
            has_asn_db: scope.has_asn_db(),
            ip_rules_resolve: scope.ip_rules_resolve(),
        };
        let stamp = opened.stamp;
        if let Some(known) = self.known(&identity, stamp, want) {
            return Ok(known);
        }
        let cached = self.cache.as_deref().filter(|_| stamp.length >= SMALL);
        let name = cached.map(|_| identity.file_name());
        if let (Some(cache), Some(name)) = (cached, &name)
            && let Some(bytes) = cache.load(name)
            && let Some((set, told)) = self.parse(&bytes, &identity, stamp, want, scope)
        {
            self.hold(identity, stamp, &told, &set);
            return Ok((set, told));
        }
        let watched = Watched {
            scope,
            asked: Cell::new(false),
        };
        let mut told = ReadReport::default();
        let mut set = RuleSetBuilder::new(want.name, want.file, self.key);
        let bytes = &mut *opened.bytes;
        read(bytes, want.file, want.recipe, &watched, &mut set, &mut told)?;
        let set = set.finish();
        if watched.asked.get() {
            return Ok((set, told));
        }
        if let (Some(cache), Some(name)) = (cached, &name) {
            let head = Head {
                version: VERSION,
                identity: identity.clone(),
                stamp,
                told: told.clone(),
            };
            if let Err(error) = store(cache, name, &head, &set) {
                self.tell(&error);
            }
        }
        self.hold(identity, stamp, &told, &set);
        Ok((set, told))
    }

    /// Forgets what nobody has any more, and removes from the cache what was not asked for since the
    /// last sweep. To be called when a configuration has been put in force.
    pub fn sweep(&self) {
        lock(&self.held).retain(|_, held| held.content.is_kept());
        let used = std::mem::take(&mut *lock(&self.used));
        let Some(cache) = &self.cache else { return };
        for name in cache.names() {
            if name != KEY && !used.contains(&name) {
                cache.remove(&name);
            }
        }
    }

    /// A set in memory.
    fn known(
        &self,
        identity: &Identity,
        stamp: Stamp,
        want: &Want<'_>,
    ) -> Option<(RuleSet, ReadReport)> {
        lock(&self.used).insert(identity.file_name());
        let held = lock(&self.held);
        let held = held.get(identity).filter(|held| held.stamp == stamp)?;
        let set = held.content.upgrade(want.name, want.file)?;
        Some((set, held.told.clone()))
    }

    fn hold(&self, identity: Identity, stamp: Stamp, told: &ReadReport, set: &RuleSet) {
        let held = ShelvedSet {
            stamp,
            told: told.clone(),
            content: set.downgrade(),
        };
        lock(&self.held).insert(identity, held);
    }

    /// A set from its cache, if that was made of the same list.
    fn parse(
        &self,
        bytes: &[u8],
        identity: &Identity,
        stamp: Stamp,
        want: &Want<'_>,
        scope: &dyn Scope,
    ) -> Option<(RuleSet, ReadReport)> {
        let end = bytes.iter().position(|b| *b == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        if (head.version, &head.identity, head.stamp) != (VERSION, identity, stamp) {
            return None;
        }
        let told = head.told;
        let other = |_line: u32, text: &str| again(text, want.recipe, &told, scope);
        let bytes = &bytes[end + 1..];
        let set = RuleSet::from_bytes(want.name, want.file, self.key, bytes, other).ok()?;
        Some((set, told))
    }

    fn tell(&self, error: &dyn std::fmt::Display) {
        *lock(&self.trouble) = Some(format!("rule sets are not kept on disk: {error}"));
    }
}

impl Identity {
    fn file_name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        format!("{:016x}.set", hasher.finish())
    }
}

fn store(cache: &dyn Cache, name: &str, head: &Head, set: &RuleSet) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(head)?;
    bytes.push(b'\n');
    bytes.extend(set.to_bytes());
    cache.store(name, &bytes)
}

/// A key from what the standard library seeds its tables with, which is the system's randomness.
fn fresh_key() -> Key {
    let state = RandomState::new();
    Key([state.hash_one(0_u8), state.hash_one(1_u8)])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
