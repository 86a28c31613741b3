//! Walking a list by its index: rules that would come to nothing are not visited, only counted.
//!
//! Invariant: it decides, asks and resolves as the plain walk does, and counts as many rules. Whatever an index tells
//! is visited by the plain walk's own code.

use std::net::IpAddr;

use super::{Stop, Value, Walk, asked, settled};
use crate::address::Host;
use crate::condition::{AddressKind, Asks};
use crate::domain::Domain;
use crate::fact::{Geo, Inbound, Need};
use crate::model::{Node, OnUnknown};
use crate::plan::{
    APP_NAME, Class, EXACT, Entry, FOLDED, Hasher, Index, KIND, MOST, NOWHERE, PORT, Plan, SUFFIX,
    USER, tag,
};

/// How far the look-ups of a list have come.
struct Scan {
    /// By entry of the index: the earliest rule that it tells, or one not behind that.
    next: [u32; MOST],
    /// Bits of the entries whose `next` is the earliest.
    told: u32,
    /// How many of the rules that are always visited are passed.
    always: usize,
}

impl<'a> Walk<'a, '_> {
    pub(super) fn indexed(
        &mut self,
        nodes: &'a [Node],
        index: &'a Index,
        plan: &'a Plan,
    ) -> Result<(), Stop> {
        let mut scan = Scan::new(index);
        let mut from = 0;
        loop {
            let next = self.next_candidate(index, &mut scan, from);
            let Some(node) = nodes.get(next as usize) else {
                self.tried += nodes.len() - from as usize;
                return Ok(());
            };
            self.tried += (next - from) as usize;
            let resolved = self.resolved;
            self.node(node, plan.inner(next as usize))?;
            from = next + 1;
            if resolved != self.resolved {
                // From here on rules see an address that they did not see before.
                scan.forget(index, from);
            }
        }
    }

    /// The earliest rule from `from` on that may be more than a silent no. Only classes that might tell an earlier
    /// one than is known already are looked up.
    fn next_candidate(&self, index: &'a Index, scan: &mut Scan, from: u32) -> u32 {
        let always = index.always.next_after(&mut scan.always, from);
        loop {
            let mut best = always;
            let mut entry = None;
            for (at, (next, known)) in scan.next.iter().zip(&index.entries).enumerate() {
                if *next < best {
                    best = *next;
                    entry = Some((at, known));
                }
            }
            let Some((at, known)) = entry else {
                return best;
            };
            let bit = 1 << at;
            if scan.told & bit != 0 && best >= from {
                return best;
            }
            scan.next[at] = self.next_of(index, known, from);
            scan.told |= bit;
        }
    }

    /// The earliest rule from `from` on that may see what it looks for in this class of facts.
    fn next_of(&self, index: &Index, entry: &Entry, from: u32) -> u32 {
        let look = Look {
            index,
            entry,
            from,
            on_unknown: self.policy.on_unknown,
        };
        let facts = self.facts;
        match entry.class {
            Class::AddressKind => look.upon(Ok(settled(&facts.destination)), |host| {
                let kinds = match (facts.destination_name(), host) {
                    (Some(_), _) => [AddressKind::Domain; 2],
                    (None, Host::Address(IpAddr::V4(_))) => [AddressKind::Ip, AddressKind::Ipv4],
                    (None, Host::Address(IpAddr::V6(_))) => [AddressKind::Ip, AddressKind::Ipv6],
                    // A host that is a name has one.
                    (None, Host::Name(_)) => return NOWHERE,
                };
                let next = kinds.map(|kind| look.number(KIND, kind as u64));
                next[0].min(next[1])
            }),
            Class::Asn(asks) => look.upon(self.databases(asks), |geo| match geo.asn {
                Some(asn) => look.number(KIND, u64::from(asn)),
                None => NOWHERE,
            }),
            Class::Country(asks) => look.upon(self.databases(asks), |geo| match &geo.country {
                Some(code) => look.table(look.hasher().text(tag(entry.class, EXACT), code)),
                None => NOWHERE,
            }),
            Class::Destination(asks) => look.upon(self.address(asks), |ip| look.address(ip)),
            Class::Domain => {
                let name = self.domain().map(|name| name.value);
                look.upon(name, |name| look.domain(name))
            }
            Class::Inbound => {
                look.upon(Ok(settled(&facts.inbound)), |inbound| look.inbound(inbound))
            }
            Class::Network => look.number(KIND, facts.network as u64),
            Class::Outgoing => {
                let local = asked(&facts.local, Need::Local);
                look.upon(local, |address| look.address(*address))
            }
            Class::Port => look.upon(Ok(settled(&facts.port)), |port| look.port(*port)),
            Class::Protocol => look.upon(self.protocol(), |protocol| {
                look.number(KIND, protocol as u64)
            }),
            Class::Source => look.upon(Ok(self.source()), |address| look.address(address)),
            Class::SourcePort => {
                let source = settled(&facts.source);
                look.upon(Ok(source), |source| look.port(source.port()))
            }
            Class::Text(field) => look.upon(self.texts(field), |texts| {
                let mut best = NOWHERE;
                texts.each(|text| best = best.min(look.text(text)));
                best
            }),
        }
    }

    /// As `Walk::destination`, and whoever would have the address resolved for others has to be visited.
    fn address(&self, asks: Asks) -> Result<Value<'a, IpAddr>, Need> {
        if self.facts.destination_name().is_none() {
            return Ok(settled(&self.facts.destination).part(|host| host.address()));
        }
        match (self.resolved, asks) {
            (false, Asks::Never) => Ok(Value::Absent),
            (false, Asks::Resolve) => Err(Need::Resolve),
            (true, _) => {
                let resolved = asked(&self.facts.resolved, Need::Resolve)?;
                Ok(resolved.part(|addresses| addresses.first().copied()))
            }
        }
    }

    /// As `Walk::geo`.
    fn databases(&self, asks: Asks) -> Result<Value<'a, &'a Geo>, Need> {
        match self.address(asks)? {
            Value::Absent => Ok(Value::Absent),
            Value::Failed(why) => Ok(Value::Failed(why)),
            Value::Known(..) => asked(&self.facts.geo, Need::Country),
        }
    }
}

impl Scan {
    fn new(index: &Index) -> Self {
        let mut scan = Self {
            next: [NOWHERE; MOST],
            told: 0,
            always: 0,
        };
        for (next, entry) in scan.next.iter_mut().zip(&index.entries) {
            *next = entry.first;
        }
        scan
    }

    fn forget(&mut self, index: &Index, from: u32) {
        for (at, (next, entry)) in self.next.iter_mut().zip(&index.entries).enumerate() {
            if entry.class.is_of_address() {
                self.told &= !(1 << at);
                *next = entry.first.max(from);
            }
        }
    }
}

/// A look-up in one class.
#[derive(Clone, Copy)]
struct Look<'i> {
    index: &'i Index,
    entry: &'i Entry,
    from: u32,
    on_unknown: OnUnknown,
}

impl Look<'_> {
    /// What the state of the fact alone tells; `known` where there is a value.
    #[inline]
    fn upon<T>(&self, fact: Result<Value<'_, T>, Need>, known: impl FnOnce(T) -> u32) -> u32 {
        let entry = self.entry;
        match fact {
            Err(_) => entry
                .users
                .next(self.from)
                .min(entry.asking.next(self.from)),
            Ok(Value::Absent) => NOWHERE,
            Ok(Value::Failed(_)) => match self.on_unknown {
                OnUnknown::Reject => entry.users.next(self.from),
                OnUnknown::Skip => entry.broken.next(self.from),
            },
            Ok(Value::Known(value, _)) => known(value).min(entry.any_value.next(self.from)),
        }
    }

    fn hasher(&self) -> &Hasher {
        &self.index.hasher
    }

    fn table(&self, hash: u32) -> u32 {
        self.index.table.next(hash, self.from)
    }

    fn number(&self, kind: u8, number: u64) -> u32 {
        self.table(self.hasher().number(tag(self.entry.class, kind), number))
    }

    fn address(&self, address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(v4) => {
                let ranges = self.entry.v4.as_ref();
                ranges.map_or(NOWHERE, |ranges| ranges.next(v4.to_bits(), self.from))
            }
            IpAddr::V6(v6) => {
                let ranges = self.entry.v6.as_ref();
                ranges.map_or(NOWHERE, |ranges| ranges.next(v6.to_bits(), self.from))
            }
        }
    }

    fn port(&self, port: u16) -> u32 {
        let ranges = self.entry.v4.as_ref();
        ranges.map_or(NOWHERE, |ranges| {
            ranges.next(u32::from(port) << 16, self.from)
        })
    }

    fn domain(&self, name: &Domain) -> u32 {
        let class = self.entry.class;
        let [exact, suffix, _] = self.entry.sizes;
        let mut best = NOWHERE;
        if exact | suffix != 0 {
            let has = |sizes: u128, labels: usize| sizes >> (labels - 1).min(127) & 1 != 0;
            let (mut all, mut whole) = (0, 0);
            self.hasher().labels(name.as_str(), |labels, state| {
                (all, whole) = (labels, state);
                if has(suffix, labels) {
                    let hash = self.hasher().name(tag(class, SUFFIX), state);
                    best = best.min(self.table(hash));
                }
            });
            if has(exact, all) {
                let hash = self.hasher().name(tag(class, EXACT), whole);
                best = best.min(self.table(hash));
            }
        }
        if let Some(parts) = &self.entry.parts
            && parts.first() < best
        {
            best = best.min(parts.next(name, self.from));
        }
        best
    }

    fn inbound(&self, inbound: &Inbound) -> u32 {
        let mut best = self.number(KIND, inbound.kind as u64);
        if let Some(port) = inbound.port {
            best = best.min(self.number(PORT, u64::from(port)));
        }
        if let Some(user) = &inbound.user {
            let hash = self.hasher().text(tag(self.entry.class, USER), user);
            best = best.min(self.table(hash));
        }
        best
    }

    fn text(&self, text: &str) -> u32 {
        let class = self.entry.class;
        let [exact, folded, app_name] = self.entry.sizes.map(|sizes| sizes != 0);
        let mut best = NOWHERE;
        if exact {
            best = best.min(self.table(self.hasher().text(tag(class, EXACT), text)));
        }
        if folded {
            best = best.min(self.table(self.hasher().folded(tag(class, FOLDED), text)));
        }
        if app_name {
            let base = super::base_name(text);
            best = best.min(self.table(self.hasher().folded(tag(class, APP_NAME), base)));
        }
        self.within(text, best)
    }

    /// The earlier of `best` and of the rules that look for a part of this text.
    fn within(&self, text: &str, mut best: u32) -> u32 {
        if let Some(keywords) = &self.entry.keywords
            && keywords.first() < best
        {
            best = best.min(keywords.next(text, self.from));
        }
        if let Some(patterns) = &self.entry.patterns
            && patterns.first() < best
        {
            best = best.min(patterns.next(text, self.from));
        }
        best
    }
}
