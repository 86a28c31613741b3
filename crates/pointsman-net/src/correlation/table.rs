//! A part of all names, with what each client takes of it.

use std::collections::HashMap;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv6Addr};

use pointsman_policy::Domain;

use super::{Correlated, KnownName, Seconds, THIS_HOST};

/// Names of one address and one client. Those that hold longest are kept: where one alone of them still holds, all
/// others are over.
const MOST_NAMES: usize = 4;

/// An entry in bytes: its slot in a table that is half empty at times, and what the allocator adds to a name.
const SLOT: usize = size_of::<(Key, Names)>() * 3 / 2 + 32;

/// A client in bytes.
const CLIENT: usize = size_of::<(IpAddr, Client)>() * 3 / 2;

/// How often a full table is looked through for what is over, at most.
const SWEEP: Seconds = 1;

/// A client that had a flow is believed so long not to be forged, without another.
const PROVEN_FOR: Seconds = 3600;

/// What there is room for, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// In all.
    pub(super) all: usize,
    /// For one client, and for all together that may be forged.
    pub(super) part: usize,
}

/// Names, and clients.
#[derive(Debug)]
pub(super) struct Table {
    names: HashMap<Key, Names, RandomState>,
    clients: HashMap<IpAddr, Client, RandomState>,
    room: Room,
    used: usize,
    /// ... by clients that may be forged.
    used_unproven: usize,
    swept: Seconds,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    client: IpAddr,
    address: IpAddr,
}

#[derive(Debug)]
struct Names {
    first: Held,
    /// Few have any.
    others: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    name: Domain,
    until: Seconds,
}

/// What is known of a client, by its [`network`].
#[derive(Debug, Default)]
struct Client {
    used: usize,
    /// Until then it is believed not to be forged.
    proven: Seconds,
    /// Until then names hold that there was no room for.
    missed: Seconds,
}

/// By what a client is counted: a host gets a /64 of IPv6 and may take any address in it.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) if !address.is_unicast_link_local() => {
            Ipv6Addr::from(u128::from(address) >> 64 << 64).into()
        }
        other => other,
    }
}

impl Table {
    pub(super) fn new(room: Room, hasher: RandomState) -> Self {
        Self {
            names: HashMap::with_hasher(hasher.clone()),
            clients: HashMap::with_hasher(hasher),
            room,
            used: 0,
            used_unproven: 0,
            swept: 0,
        }
    }

    /// Whether there was room for it.
    pub(super) fn remember(
        &mut self,
        client: IpAddr,
        address: IpAddr,
        name: &Domain,
        until: Seconds,
        now: Seconds,
    ) -> bool {
        let key = Key { client, address };
        if let Some(names) = self.names.get_mut(&key) {
            let before = names.weight();
            names.add(name, until, now);
            let after = names.weight();
            self.count(client, before, after, now);
            return true;
        }
        let needed = SLOT + name.as_str().len();
        if !self.has_room(client, needed, now) {
            self.sweep(now);
            if !self.has_room(client, needed, now) {
                if let Some(known) = self.clients.get_mut(&network(client)) {
                    known.missed = known.missed.max(until);
                }
                return false;
            }
        }
        let first = Held {
            name: name.clone(),
            until,
        };
        let names = Names {
            first,
            others: Vec::new(),
        };
        let weight = names.weight();
        self.names.insert(key, names);
        self.count(client, 0, weight, now);
        true
    }

    pub(super) fn find(&self, client: IpAddr, address: IpAddr, now: Seconds) -> Option<Correlated> {
        let names = self.names.get(&Key { client, address })?;
        let mut live = names.all().filter(|held| held.until > now);
        let first = live.next()?;
        let mut others: Vec<&Held> = live.collect();
        if others.is_empty() {
            let name = first.name.clone();
            return Some(match self.is_doubtful(client, now) {
                true => Correlated::Doubtful(name),
                false => Correlated::Name(name),
            });
        }
        others.push(first);
        let mut names: Vec<Domain> = others.iter().map(|held| held.name.clone()).collect();
        names.sort();
        Some(Correlated::Several(names))
    }

    pub(super) fn of(
        &self,
        address: IpAddr,
        client: Option<IpAddr>,
        now: Seconds,
        each: &mut impl FnMut(KnownName),
    ) {
        let meant = |key: &Key| key.address == address && client.is_none_or(|it| it == key.client);
        for (key, names) in self.names.iter().filter(|(key, _)| meant(key)) {
            for held in names.all().filter(|held| held.until > now) {
                each(KnownName {
                    client: (key.client != THIS_HOST).then_some(key.client),
                    name: held.name.clone(),
                    seconds: held.until - now,
                    doubtful: self.is_doubtful(key.client, now),
                });
            }
        }
    }

    /// A client is where it says it is.
    pub(super) fn prove(&mut self, client: IpAddr, now: Seconds) {
        let by = network(client);
        if client == THIS_HOST {
            return;
        }
        if !self.clients.contains_key(&by) {
            // Who asks for no names leaves room for those who do.
            if self.used + CLIENT > self.room.part {
                return;
            }
            self.used += CLIENT;
            self.used_unproven += CLIENT;
            self.clients.insert(
                by,
                Client {
                    used: CLIENT,
                    ..Client::default()
                },
            );
        }
        if let Some(known) = self.clients.get_mut(&by) {
            if known.proven <= now {
                self.used_unproven = self.used_unproven.saturating_sub(known.used);
            }
            known.proven = now.saturating_add(PROVEN_FOR);
        }
    }

    fn is_doubtful(&self, client: IpAddr, now: Seconds) -> bool {
        let known = self.clients.get(&network(client));
        known.is_some_and(|known| known.missed > now)
    }

    fn has_room(&self, client: IpAddr, needed: usize, now: Seconds) -> bool {
        let known = self.clients.get(&network(client));
        let needed = needed + if known.is_none() { CLIENT } else { 0 };
        let own = known.map_or(0, |known| known.used);
        let proven = is_proven(client, known, now);
        self.used + needed <= self.room.all
            && own + needed <= self.room.part
            && (proven || self.used_unproven + needed <= self.room.part)
    }

    fn count(&mut self, client: IpAddr, before: usize, after: usize, now: Seconds) {
        let by = network(client);
        let (mut before, mut after) = (before, after);
        if !self.clients.contains_key(&by) {
            after += CLIENT;
            before = 0;
        }
        let known = self.clients.entry(by).or_default();
        let proven = is_proven(client, Some(known), now);
        known.used = (known.used + after).saturating_sub(before);
        self.used = (self.used + after).saturating_sub(before);
        if !proven {
            self.used_unproven = (self.used_unproven + after).saturating_sub(before);
        }
    }

    /// Forgets what is over, and counts anew.
    fn sweep(&mut self, now: Seconds) {
        if now.saturating_sub(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for client in self.clients.values_mut() {
            client.used = CLIENT;
        }
        let clients = &mut self.clients;
        self.names.retain(|key, names| {
            let holds = names.prune(now);
            if let Some(client) = clients.get_mut(&network(key.client)).filter(|_| holds) {
                client.used += names.weight();
            }
            holds
        });
        clients
            .retain(|_, client| client.used > CLIENT || client.proven > now || client.missed > now);
        self.used = clients.values().map(|client| client.used).sum();
        let unproven = clients
            .iter()
            .filter(|(at, it)| !is_proven(**at, Some(it), now));
        self.used_unproven = unproven.map(|(_, client)| client.used).sum();
    }
}

/// Nobody forges the programs of this host.
fn is_proven(client: IpAddr, known: Option<&Client>, now: Seconds) -> bool {
    client == THIS_HOST || known.is_some_and(|known| known.proven > now)
}

impl Names {
    fn all(&self) -> impl Iterator<Item = &Held> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn weight(&self) -> usize {
        let own = |held: &Held| size_of::<Held>() + 32 + held.name.as_str().len();
        SLOT + self.first.name.as_str().len() + self.others.iter().map(own).sum::<usize>()
    }

    fn add(&mut self, name: &Domain, until: Seconds, now: Seconds) {
        if self.first.name == *name {
            self.first.until = self.first.until.max(until);
            return;
        }
        let others = &mut self.others;
        if let Some(held) = others.iter_mut().find(|held| held.name == *name) {
            held.until = held.until.max(until);
            return;
        }
        let new = Held {
            name: name.clone(),
            until,
        };
        if self.first.until <= now {
            self.first = new;
            return;
        }
        others.retain(|held| held.until > now);
        others.push(new);
        if others.len() < MOST_NAMES {
            return;
        }
        let ends_first = (0..others.len()).min_by_key(|at| others[*at].until);
        if let Some(at) = ends_first.filter(|at| others[*at].until <= self.first.until) {
            others.swap_remove(at);
        } else if let Some(last) = others.pop() {
            self.first = last;
        }
    }

    /// Forgets what is over; whether anything is left.
    fn prune(&mut self, now: Seconds) -> bool {
        self.others.retain(|held| held.until > now);
        if self.first.until <= now
            && let Some(other) = self.others.pop()
        {
            self.first = other;
        }
        self.first.until > now
    }
}
