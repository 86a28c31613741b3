//! Policies in the native language: lists where the original is a list, else trees; zones as rule
//! sets.
//!
//! Invariant: a zone's set holds what the zone owns and nothing that a more specific entry of
//! another zone owns.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::condition::{Asks, ZoneOf};
use pointsman_policy::model::{ArmKey, Node, OutboundInfo, SelectOn, SetId};
use pointsman_policy::set::RuleSet;
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{Condition, Domain, Policy, Prefix};

use super::emit::{Map, list, quoted, text};

/// Zones as rule sets.
#[derive(Default)]
pub(super) struct ZoneSets {
    numbers: BTreeMap<(bool, u32), SetId>,
    sets: Vec<Arc<RuleSet>>,
}

impl ZoneSets {
    /// Makes a set of each zone, written into `section`.
    pub(super) fn new(policy: &Policy, section: &mut Map) -> Self {
        let mut all = Self {
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

    /// The policy as the native language says it: sets for zones, outbounds under their new names.
    pub(super) fn rewritten(&self, policy: &Policy, names: &[String]) -> Policy {
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
        policy.body = self.nodes(&policy.body).into();
        policy
    }

    /// Steps within steps of the same kind stand beside them: they are tried in order either way.
    fn nodes(&self, nodes: &[Node]) -> Vec<Node> {
        let mut all = Vec::new();
        for node in nodes {
            match self.node(node) {
                Node::Any(inner) => all.extend(inner),
                node => all.push(node),
            }
        }
        all
    }

    /// Nesting is bounded by the readers.
    fn node(&self, node: &Node) -> Node {
        let all = |nodes: &[Node]| self.nodes(nodes);
        let mut node = node.clone();
        match &mut node {
            Node::Any(nodes) => *nodes = all(nodes),
            Node::Leaf { .. } | Node::Resolve(_) => {}
            Node::Instrument { condition, .. } => *condition = self.condition(condition),
            Node::Rule(rule) => rule.condition = self.condition(&rule.condition),
            Node::Sub {
                condition, body, ..
            } => {
                *condition = self.condition(condition);
                *body = all(body);
            }
            Node::When {
                condition,
                then,
                otherwise,
                ..
            } => {
                *condition = self.condition(condition);
                **then = self.node(then);
                if let Some(otherwise) = otherwise {
                    **otherwise = self.node(otherwise);
                }
            }
            Node::Select(select) => {
                for arm in &mut select.arms {
                    arm.then = self.node(&arm.then);
                }
                if let SelectOn::Zone(of, asks) = select.on {
                    // Zones are disjoint: one arm at most is entered, in whatever order.
                    let arms = select.arms.iter().filter_map(|arm| match &arm.key {
                        ArmKey::Zone(zone) => Some(Node::When {
                            condition: self.condition(&Condition::Zone(of, *zone, asks)),
                            then: Box::new(arm.then.clone()),
                            otherwise: None,
                            origin: arm.origin.clone(),
                        }),
                        ArmKey::Protocol(_) => None,
                    });
                    return Node::Any(arms.collect());
                }
            }
        }
        node
    }

    fn condition(&self, condition: &Condition) -> Condition {
        let all = |parts: &[Condition]| parts.iter().map(|part| self.condition(part)).collect();
        match condition {
            Condition::And(parts) => Condition::And(all(parts)),
            Condition::Or(parts) => Condition::Or(all(parts)),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(inner))),
            Condition::Zone(of, zone, asks) => {
                let of_names = *of == ZoneOf::Domain;
                let asks = if of_names { Asks::Never } else { *asks };
                match self.numbers.get(&(of_names, zone.0)) {
                    Some(id) => Condition::Set(*id, asks),
                    None => Condition::Never,
                }
            }
            other => other.clone(),
        }
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
