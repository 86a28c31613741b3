//! Walking a list by its index: rules that would come to nothing are not visited, only counted.
//!
//! Invariant: it decides, asks and resolves as the plain walk does, and counts as many rules. Whatever an index tells
//! is visited by the plain walk's own code, but for a rule with a card ([`crate::plan::Proof`]) that certainly holds.

use std::net::IpAddr;

use super::{Stop, Value, Walk, asked, settled};
use crate::address::Host;
use crate::condition::{AddressKind, Asks};
use crate::fact::{Geo, Inbound, Need};
use crate::local::loopback_of;
use crate::model::{Node, OnUnknown};
use crate::plan::{
    APP_NAME, Class, EXACT, Entry, FOLDED, Hasher, Index, KIND, MOST, NOWHERE, PORT, Plan, Proof,
    SUFFIX, USER, of_name, tag,
};
use crate::set::Fingerprints;

/// So many names are looked up at once; with few labels that is all.
const AT_ONCE: usize = 8;

/// How far the look-ups of a list have come.
struct Scan {
    /// By entry of the index: the earliest rule that it tells, or one not behind that.
    next: [u32; MOST],
    /// Bits of the entries whose `next` is the earliest.
    told: u32,
    /// Bits of the entries whose fact is known, without which no card proves anything; their class says what else it takes.
    proven: u32,
    /// The other half of the fingerprint by which a name was found last.
    print: u32,
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
            let (next, proof) = self.next_candidate(index, &mut scan, from);
            let Some(node) = nodes.get(next as usize) else {
                self.tried += nodes.len() - from as usize;
                return Ok(());
            };
            if let Some(decision) = index.cards.decision(next, proof)
                && decision.outbound.is_none_or(|end| !self.is_tried(end))
            {
                return Err(Stop::Decided(decision));
            }
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

    /// The earliest rule from `from` on that may be more than a silent no, and whether that is known to hold. Only
    /// classes that might tell an earlier one than is known already are looked up.
    fn next_candidate(&mut self, index: &'a Index, scan: &mut Scan, from: u32) -> (u32, Proof) {
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
                return (best, Proof::None);
            };
            let bit = 1 << at;
            if scan.told & bit != 0 && best >= from {
                let proof = match known.class {
                    _ if scan.proven & bit == 0 => Proof::None,
                    Class::Domain => Proof::Name(scan.print),
                    Class::Destination(_)
                    | Class::Outgoing
                    | Class::Port
                    | Class::Source
                    | Class::SourcePort => Proof::Range,
                    // Found by 32 bits of a hash, which a name may share.
                    _ => Proof::None,
                };
                return (best, proof);
            }
            let told = self.next_of(index, known, from);
            scan.next[at] = told.next;
            scan.told |= bit;
            scan.proven &= !bit;
            if told.is_known {
                scan.proven |= bit;
                if known.class == Class::Domain {
                    scan.print = told.print;
                }
            }
        }
    }

    /// The earliest rule from `from` on that may see what it looks for in this class of facts.
    pub(super) fn next_of(&mut self, index: &'a Index, entry: &'a Entry, from: u32) -> Told {
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
            Class::Destination(asks) => look.upon(self.address(asks), |ip| {
                let twin = loopback_of(ip).map_or(NOWHERE, |twin| look.address(twin));
                look.address(ip).min(twin)
            }),
            Class::Domain => {
                let name = self.domain().map(|name| name.value);
                let mut print = 0;
                let told = look.upon(name, |name| {
                    let [exact, suffix, _] = entry.sizes;
                    let mut next = NOWHERE;
                    if exact | suffix != 0 {
                        (next, print) = match &mut self.fingerprints {
                            Some(prints) if prints.key() == index.key => look.names(prints),
                            Some(_) => look.names(&Fingerprints::of(index.key, name)),
                            none @ None => {
                                look.names(none.insert(Fingerprints::of(index.key, name)))
                            }
                        };
                    }
                    index.cards.touch(next);
                    match &entry.parts {
                        Some(parts) if parts.first() < next => next.min(parts.next(name, from)),
                        _ => next,
                    }
                });
                Told { print, ..told }
            }
            Class::Inbound => {
                look.upon(Ok(settled(&facts.inbound)), |inbound| look.inbound(inbound))
            }
            Class::Network => Told::maybe(look.number(KIND, facts.network as u64)),
            Class::Outgoing => {
                let local = asked(&facts.sought.local, Need::Local);
                look.upon(local, |address| look.address(*address))
            }
            Class::Port => look.upon(Ok(settled(&facts.port)), |port| look.port(*port)),
            Class::Protocol(told) => look.upon(self.protocol_over(told), |protocol| {
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
                let resolved = asked(&self.facts.sought.resolved, Need::Resolve)?;
                Ok(resolved.part(|addresses| addresses.first().copied()))
            }
        }
    }

    /// As `Walk::geo`.
    fn databases(&self, asks: Asks) -> Result<Value<'a, &'a Geo>, Need> {
        match self.address(asks)? {
            Value::Absent => Ok(Value::Absent),
            Value::Failed(why) => Ok(Value::Failed(why)),
            Value::Known(..) => asked(&self.facts.sought.geo, Need::Country),
        }
    }
}

impl Scan {
    fn new(index: &Index) -> Self {
        let mut scan = Self {
            next: [NOWHERE; MOST],
            told: 0,
            proven: 0,
            print: 0,
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

/// What a class tells.
pub(super) struct Told {
    pub(super) next: u32,
    /// Whether the fact has a value: what was found was found by it.
    is_known: bool,
    /// As in [`Proof::Name`].
    print: u32,
}

impl Told {
    fn maybe(next: u32) -> Self {
        Self {
            next,
            is_known: false,
            print: 0,
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
    fn upon<T>(&self, fact: Result<Value<'_, T>, Need>, known: impl FnOnce(T) -> u32) -> Told {
        let entry = self.entry;
        let is_known = matches!(fact, Ok(Value::Known(..)));
        let next = match fact {
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
        };
        Told {
            is_known,
            ..Told::maybe(next)
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
                let next = ranges.map_or(NOWHERE, |ranges| ranges.next(v4.to_bits(), self.from));
                self.index.cards.touch(next);
                next
            }
            IpAddr::V6(v6) => {
                let ranges = self.entry.v6.as_ref();
                let next = ranges.map_or(NOWHERE, |ranges| ranges.next(v6.to_bits(), self.from));
                self.index.cards.touch(next);
                next
            }
        }
    }

    fn port(&self, port: u16) -> u32 {
        let ranges = self.entry.v4.as_ref();
        ranges.map_or(NOWHERE, |ranges| {
            ranges.next(u32::from(port) << 16, self.from)
        })
    }

    /// The earliest rule that looks for the name or for one above it, and the half of the fingerprint that the index
    /// does not compare.
    fn names(&self, prints: &Fingerprints<'_>) -> (u32, u32) {
        let [exact, suffix, _] = self.entry.sizes;
        let labels = prints.labels();
        let deepest = u128::BITS - (exact | suffix).leading_zeros();
        if prints.kept().len() == labels || deepest as usize <= prints.kept().len() {
            self.names_of(prints.kept(), labels)
        } else {
            self.names_of(&prints.all(), labels)
        }
    }

    fn names_of(&self, chain: &[u64], labels: usize) -> (u32, u32) {
        let [exact, suffix, _] = self.entry.sizes;
        let has = |sizes: u128, labels: usize| sizes >> (labels - 1).min(127) & 1 != 0;
        let mut best = (NOWHERE, 0);
        let mut wanted = [(0, 0); AT_ONCE];
        let mut count = 0;
        let mut judge = |wanted: &[(u32, u32)]| {
            let touched = wanted.iter().map(|(hash, _)| self.index.table.touch(*hash));
            std::hint::black_box(touched.fold(0, |all, slot| all | slot));
            for (hash, print) in wanted {
                let next = self.table(*hash);
                if next < best.0 {
                    best = (next, *print);
                }
            }
        };
        for (print, length) in chain.iter().zip(1..) {
            let kinds = [
                (SUFFIX, has(suffix, length)),
                (EXACT, length == labels && has(exact, length)),
            ];
            for (kind, _) in kinds.into_iter().filter(|(_, is_there)| *is_there) {
                if let Some(place) = wanted.get_mut(count) {
                    *place = (of_name(*print, kind), *print as u32);
                    count += 1;
                }
            }
            if count + kinds.len() > AT_ONCE {
                judge(&wanted[..count]);
                count = 0;
            }
        }
        judge(&wanted[..count]);
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
