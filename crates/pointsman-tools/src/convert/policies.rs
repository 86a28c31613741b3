//! Policies in the native language: lists where the original is a list, else trees; zones as rule
//! sets.
//!
//! Invariant: a zone's set holds what the zone owns and nothing that a more specific entry of
//! another zone owns. No rule is written that would hold for more flows than it did.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::condition::{Asks, ZoneOf};
use pointsman_policy::model::{ArmKey, Node, OutboundInfo, Select, SelectOn, SetId};
use pointsman_policy::rewrite::Rewrite;
use pointsman_policy::set::RuleSet;
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{Condition, Domain, Policy, Prefix};

use super::Report;
use super::emit::{Map, list, quoted, text};

/// Zones as rule sets, and what sets say beyond their native form.
#[derive(Default)]
pub(super) struct ZoneSets {
    beyond: Beyond,
    numbers: BTreeMap<(bool, u32), SetId>,
    sets: Vec<Arc<RuleSet>>,
}

impl ZoneSets {
    /// Makes a set of each zone, written into `section`.
    pub(super) fn new(policy: &Policy, beyond: Beyond, section: &mut Map) -> Self {
        let mut all = Self {
            beyond,
            numbers: BTreeMap::new(),
            sets: policy.sets.to_vec(),
        };
        let mut taken: HashSet<String> = all.sets.iter().map(|s| s.name.to_string()).collect();
        let zones = &policy.zones;
        let domains: BTreeMap<Domain, ZoneId> = zones
            .domains()
            .map(|(name, zone, _)| (name.clone(), zone))
            .collect();
        let addresses: BTreeMap<(IpAddr, u8), ZoneId> = zones
            .addresses()
            .map(|(range, zone, _)| ((range.address(), range.length()), zone))
            .collect();
        for (number, name) in (0_u32..).zip(zones.domain_names()) {
            let map = domain_set(ZoneId(number), &domains);
            all.add(true, number, name, map, &mut taken, section);
        }
        for (number, name) in (0_u32..).zip(zones.address_names()) {
            let map = address_set(ZoneId(number), &addresses);
            all.add(false, number, name, map, &mut taken, section);
        }
        all
    }

    fn add(
        &mut self,
        of_names: bool,
        number: u32,
        name: &str,
        map: Map,
        taken: &mut HashSet<String>,
        section: &mut Map,
    ) {
        let mut own = name.to_owned();
        while !taken.insert(own.clone()) {
            own.push_str(if of_names { "-names" } else { "-addresses" });
        }
        section.raw(&own, map.flow());
        let id = SetId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        self.sets.push(Arc::new(RuleSet::new(own, "")));
        self.numbers.insert((of_names, number), id);
    }

    /// The policy as the native language says it: sets for zones, outbounds under their new names. A rule
    /// that would hold for more flows than it did is left out and reported.
    pub(super) fn rewritten(
        &self,
        policy: &Policy,
        names: &[String],
        report: &mut Report,
    ) -> Policy {
        let outbounds = policy.outbounds.iter().zip(names);
        let outbounds = outbounds.map(|(info, name)| OutboundInfo {
            name: name.as_str().into(),
            ..info.clone()
        });
        let mut policy = Policy {
            outbounds: outbounds.collect(),
            sets: self.sets.clone().into(),
            ..policy.clone()
        };
        let mut rewrite = NativeRewrite { of: self, report };
        policy.body = rewrite.nodes(&policy.body).into();
        policy
    }
}

/// Says steps natively.
struct NativeRewrite<'a> {
    of: &'a ZoneSets,
    report: &'a mut Report,
}

impl NativeRewrite<'_> {
    /// Whether its condition, or what else hangs on that, would hold for more than it did.
    fn widens(&self, node: &Node) -> bool {
        let lacking = &self.of.beyond.lacking;
        let Some(condition) = node.condition() else {
            return false;
        };
        let either = matches!(
            node,
            Node::When {
                otherwise: Some(_),
                ..
            }
        );
        lacks(condition, lacking, true) || either && lacks(condition, lacking, false)
    }
}

impl Rewrite for NativeRewrite<'_> {
    /// Steps within steps of the same kind stand beside them: they are tried in order either way.
    fn nodes(&mut self, nodes: &[Node]) -> Vec<Node> {
        let mut all = Vec::new();
        for node in nodes {
            if self.widens(node) {
                let (place, text) = match node.origin() {
                    Some(origin) => (format!("{}:{}", origin.file, origin.line), &*origin.text),
                    None => (String::new(), "a rule"),
                };
                let what = format!(
                    "`{text}` is left out: it takes what is not in a rule set, the rule set lacks entries here, and so it would \
                     take more flows; its flows now go to the rules below"
                );
                self.report.lost(place, what);
                continue;
            }
            match self.node(node) {
                Node::Any(inner) => all.extend(inner),
                node => all.push(node),
            }
        }
        all
    }

    fn select(&mut self, select: Select) -> Node {
        let SelectOn::Zone(of, asks) = select.on else {
            return Node::Select(select);
        };
        // Zones are disjoint: one arm at most is entered, in whatever order.
        let arms = select.arms.into_iter().filter_map(|arm| match arm.key {
            ArmKey::Zone(zone) => Some(Node::When {
                condition: self.test(&Condition::Zone(of, zone, asks)),
                then: Box::new(arm.then),
                otherwise: None,
                origin: arm.origin,
            }),
            ArmKey::Protocol(_) => None,
        });
        Node::Any(arms.collect())
    }

    fn test(&mut self, condition: &Condition) -> Condition {
        match condition {
            Condition::Zone(of, zone, asks) => {
                let of_names = *of == ZoneOf::Domain;
                let asks = if of_names { Asks::Never } else { *asks };
                match self.of.numbers.get(&(of_names, zone.0)) {
                    Some(id) => Condition::Set(*id, asks),
                    None => Condition::Never,
                }
            }
            Condition::Set(id, asks) => match self.of.beyond.lifted.get(id) {
                None => condition.clone(),
                Some(entries) => {
                    let entries = entries.iter().map(|entry| Limited(*asks).condition(entry));
                    Condition::Or([condition.clone()].into_iter().chain(entries).collect())
                }
            },
            other => other.clone(),
        }
    }
}

/// What an entry means in a set of which a rule says whether it resolves.
struct Limited(Asks);

impl Rewrite for Limited {
    fn test(&mut self, condition: &Condition) -> Condition {
        let mut condition = condition.clone();
        if let (
            Asks::Never,
            Condition::Address { asks, .. }
            | Condition::Asn(_, asks)
            | Condition::Country(_, asks)
            | Condition::Set(_, asks)
            | Condition::Zone(_, _, asks),
        ) = (self.0, &mut condition)
        {
            *asks = Asks::Never;
        }
        condition
    }
}

/// Whether one of some sets stands in a condition: below an odd number of `NOT`s (`negated`), or an
/// even one.
pub(super) fn lacks(condition: &Condition, sets: &BTreeSet<SetId>, negated: bool) -> bool {
    match condition {
        Condition::Set(id, _) => !negated && sets.contains(id),
        Condition::Not(inner) => lacks(inner, sets, !negated),
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().any(|part| lacks(part, sets, negated))
        }
        _ => false,
    }
}

fn domain_set(own: ZoneId, all: &BTreeMap<Domain, ZoneId>) -> Map {
    let (mut whole, mut holed) = (Vec::new(), Vec::new());
    for (name, _) in all.iter().filter(|(_, zone)| **zone == own) {
        let below = |other: &Domain| {
            let mut above = other.ancestors();
            other != name && above.any(|up| up == name.as_str())
        };
        let inside: Vec<_> = all.iter().filter(|(other, _)| below(other)).collect();
        if inside.iter().all(|(_, zone)| **zone == own) {
            whole.push(quoted(name.as_str()));
            continue;
        }
        let holes = inside
            .iter()
            .map(|(other, _)| format!("[DOMAIN-SUFFIX, {}]", other.as_str()));
        let holes: Vec<String> = holes.collect();
        holed.push(quoted(&format!(
            "AND, [DOMAIN-SUFFIX, {}], {}",
            name.as_str(),
            none_of(&holes)
        )));
    }
    set("domains", whole, holed)
}

fn address_set(own: ZoneId, all: &BTreeMap<(IpAddr, u8), ZoneId>) -> Map {
    let (mut whole, mut holed) = (Vec::new(), Vec::new());
    for ((address, length), _) in all.iter().filter(|(_, zone)| **zone == own) {
        let range = Prefix::new(*address, *length);
        let within =
            |(other, other_length): &(IpAddr, u8)| other_length > length && range.contains(*other);
        let inside: Vec<_> = all.iter().filter(|(other, _)| within(other)).collect();
        if inside.iter().all(|(_, zone)| **zone == own) {
            whole.push(quoted(&range.to_string()));
            continue;
        }
        let holes = inside
            .iter()
            .map(|((address, length), _)| format!("[IP-CIDR, {}]", Prefix::new(*address, *length)));
        let holes: Vec<String> = holes.collect();
        holed.push(quoted(&format!(
            "AND, [IP-CIDR, {range}], {}",
            none_of(&holes)
        )));
    }
    set("ips", whole, holed)
}

/// That none of some rules holds; one rule alone is no `OR`.
fn none_of(rules: &[String]) -> String {
    match rules {
        [one] => format!("[NOT, {one}]"),
        _ => format!("[NOT, [OR, {}]]", rules.join(", ")),
    }
}

fn set(key: &str, whole: Vec<String>, holed: Vec<String>) -> Map {
    let mut map = Map::default();
    if holed.is_empty() || !whole.is_empty() {
        map.raw(key, list(whole));
    }
    if !holed.is_empty() {
        map.raw("rules", list(holed));
    }
    map
}

/// A name that is no outbound's, no other policy's and not `main`.
pub(super) fn policy_name(wanted: &str, taken: &mut HashSet<String>) -> String {
    let mut name = wanted.to_owned();
    while name == "main" || !taken.insert(name.clone()) {
        name.push_str("-policy");
    }
    name
}

/// A key with a block of text.
pub(super) fn key(name: &str) -> String {
    format!("{}: |", text(name))
}

/// What sets say that their native form does not.
#[derive(Default)]
pub(super) struct Beyond {
    /// Entries that refer to sets, which native sets cannot: rules say them beside the set.
    pub(super) lifted: BTreeMap<SetId, Vec<Condition>>,
    /// Sets that hold fewer flows than they did.
    pub(super) lacking: BTreeSet<SetId>,
}
