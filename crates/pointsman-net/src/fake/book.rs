//! Which fake address stands for which name.
//!
//! Invariants: a name has one slot and a slot one name; a slot is given to another name only when nobody can still mean the
//! one before: not within so long after it was last told or gone to, and not while a record of a flow to it is kept.
//! Absent: clocks, files.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pointsman_policy::set::Key;
use pointsman_policy::set::keyed_hash;
use pointsman_policy::{Domain, Prefix};
use pointsman_spec::dns::FakeSpec;

/// Seconds since boot.
pub(crate) type Seconds = u32;

/// Names that have an address at once: some 10 MiB.
const MOST: usize = 1 << 16;

/// Slots that a look for idle ones finds at once, so that not each name costs one.
const FOUND: usize = 256;

/// Slots of a range of IPv6 alone: far more than there are names, so that few want the same.
const WIDE: u32 = 1 << 24;

/// Clones of a name that the book itself has.
const OWN: usize = 2;

/// Names and their slots.
#[derive(Debug)]
pub(super) struct Book {
    ranges: Ranges,
    key: Key,
    slots: u32,
    by_name: HashMap<Domain, u32>,
    by_slot: HashMap<u32, Slot>,
    /// Slots that were idle when they were looked for, with when they were last used then.
    idle: VecDeque<(u32, Seconds)>,
}

#[derive(Debug)]
struct Slot {
    name: Domain,
    /// When it was told or gone to.
    used: AtomicU32,
}

/// The ranges that fake addresses are of: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ranges {
    v4: Option<Prefix>,
    v6: Option<Prefix>,
}

/// The fake addresses of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fake {
    /// That of IPv4, where there is such a range.
    pub v4: Option<Ipv4Addr>,
    /// That of IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// All slots have names that may still be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Ranges {
    pub(crate) fn of(spec: &FakeSpec) -> Self {
        Self {
            v4: spec.v4,
            v6: spec.v6,
        }
    }

    /// Whether an address is of one of them.
    pub(crate) fn hold(&self, address: IpAddr) -> bool {
        self.all().any(|range| range.contains(address))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Prefix> {
        self.v4.into_iter().chain(self.v6)
    }

    /// As the journal has them: `198.18.0.0/15 -`.
    pub(super) fn text(&self) -> String {
        let text = |range: Option<Prefix>| range.map_or_else(|| "-".into(), |it| it.to_string());
        format!("{} {}", text(self.v4), text(self.v6))
    }

    /// How many names there is room for; the first and the last address of a range may mean all of it.
    fn slots(&self) -> u32 {
        let of = |range: Prefix, widest: u8| {
            let bits = u32::from(widest - range.length()).min(31);
            (1_u32 << bits).saturating_sub(2)
        };
        let v4 = self.v4.map(|range| of(range, 32));
        let v6 = self.v6.map(|range| of(range, 128).min(WIDE));
        let both = v4.into_iter().chain(v6).min();
        both.unwrap_or(0)
    }

    fn addresses(&self, slot: u32) -> Fake {
        let v4 = self.v4.and_then(|range| match range.address() {
            IpAddr::V4(first) => Some(Ipv4Addr::from_bits(first.to_bits().wrapping_add(slot))),
            IpAddr::V6(_) => None,
        });
        let v6 = self.v6.and_then(|range| match range.address() {
            IpAddr::V6(first) => Some(Ipv6Addr::from_bits(
                first.to_bits().wrapping_add(u128::from(slot)),
            )),
            IpAddr::V4(_) => None,
        });
        Fake { v4, v6 }
    }

    fn slot(&self, address: IpAddr) -> Option<u32> {
        let range = self.all().find(|range| range.contains(address))?;
        match (address, range.address()) {
            (IpAddr::V4(address), IpAddr::V4(first)) => {
                address.to_bits().checked_sub(first.to_bits())
            }
            (IpAddr::V6(address), IpAddr::V6(first)) => {
                u32::try_from(address.to_bits().checked_sub(first.to_bits())?).ok()
            }
            _ => None,
        }
    }
}

impl Book {
    pub(super) fn new(ranges: Ranges, key: Key) -> Self {
        Self {
            slots: ranges.slots(),
            ranges,
            key,
            by_name: HashMap::new(),
            by_slot: HashMap::new(),
            idle: VecDeque::new(),
        }
    }

    /// The addresses that a name has, told now.
    pub(super) fn tell(&self, name: &Domain, now: Seconds) -> Option<Fake> {
        let slot = self.by_name.get(name)?;
        if let Some(known) = self.by_slot.get(slot) {
            known.used.store(now, Ordering::Relaxed);
        }
        Some(self.ranges.addresses(*slot))
    }

    /// The addresses that a name has; nobody is told.
    pub(super) fn look_up(&self, name: &Domain) -> Option<Fake> {
        let slot = self.by_name.get(name)?;
        Some(self.ranges.addresses(*slot))
    }

    /// The name that an address stands for; `now`: it is gone to.
    pub(super) fn name(&self, address: IpAddr, now: Option<Seconds>) -> Option<&Domain> {
        let known = self.by_slot.get(&self.ranges.slot(address)?)?;
        if let Some(now) = now {
            known.used.store(now, Ordering::Relaxed);
        }
        Some(&known.name)
    }

    /// A slot for a name that has none: the one that its hash says, or the next that is free; where all names have one
    /// that there may be, the one that was idle for longest, and for `idle` at least.
    pub(super) fn give(&mut self, name: &Domain, idle: Seconds, now: Seconds) -> Result<u32, Full> {
        let most = usize::try_from(self.slots).unwrap_or(MOST).min(MOST);
        let slot = match self.by_name.len() < most {
            true => self.free(name).ok_or(Full)?,
            false => self.reuse(idle, now).ok_or(Full)?,
        };
        self.put(name.clone(), slot, now);
        Ok(slot)
    }

    /// What was given once: the last that is said of a slot, or of a name, counts.
    pub(super) fn restore(&mut self, name: Domain, slot: u32, now: Seconds) {
        if slot == 0 || slot > self.slots {
            return;
        }
        if let Some(before) = self.by_name.remove(&name) {
            self.by_slot.remove(&before);
        }
        if let Some(before) = self.by_slot.remove(&slot) {
            self.by_name.remove(&before.name);
        }
        if self.by_name.len() < MOST {
            self.put(name, slot, now);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Names and their slots.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Domain, u32)> {
        self.by_name.iter().map(|(name, slot)| (name, *slot))
    }

    fn put(&mut self, name: Domain, slot: u32, now: Seconds) {
        self.by_name.insert(name.clone(), slot);
        let used = AtomicU32::new(now);
        self.by_slot.insert(slot, Slot { name, used });
    }

    fn free(&self, name: &Domain) -> Option<u32> {
        let hash = keyed_hash(self.key, name.as_str().as_bytes());
        // Below `slots`, which has 32 bits.
        let first = u32::try_from(hash % u64::from(self.slots.max(1))).unwrap_or(0);
        let mut probed =
            (0..self.slots).map(|n| (u64::from(first) + u64::from(n)) % u64::from(self.slots));
        probed.find_map(|at| {
            let slot = u32::try_from(at).ok()? + 1;
            (!self.by_slot.contains_key(&slot)).then_some(slot)
        })
    }

    fn reuse(&mut self, idle: Seconds, now: Seconds) -> Option<u32> {
        if self.idle.is_empty() {
            self.find_idle(idle, now);
        }
        while let Some((slot, used)) = self.idle.pop_front() {
            let Some(known) = self.by_slot.get(&slot) else {
                continue;
            };
            if known.used.load(Ordering::Relaxed) == used && !known.is_held() {
                let name = known.name.clone();
                self.by_name.remove(&name);
                self.by_slot.remove(&slot);
                return Some(slot);
            }
        }
        None
    }

    fn find_idle(&mut self, idle: Seconds, now: Seconds) {
        let used = |slot: &Slot| slot.used.load(Ordering::Relaxed);
        let is_idle = |slot: &Slot| now.saturating_sub(used(slot)) >= idle && !slot.is_held();
        let found = self.by_slot.iter().filter(|(_, slot)| is_idle(slot));
        let mut found: Vec<_> = found.map(|(at, slot)| (used(slot), *at)).collect();
        if found.len() > FOUND {
            found.select_nth_unstable(FOUND);
            found.truncate(FOUND);
        }
        found.sort_unstable();
        self.idle = found.into_iter().map(|(used, at)| (at, used)).collect();
    }
}

impl Slot {
    /// Whether a flow to it lives, or its record is kept: both have the name from here.
    fn is_held(&self) -> bool {
        Arc::strong_count(self.name.text()) > OWN
    }
}

#[cfg(test)]
mod tests;
