//! Which servers are connected to from this host, and which ways leave it: an address of the loopback beyond a proxy is
//! another host's.
//!
//! Least fixed points over outbounds. Where a group may or may not leave this host it is said to: the data plane refuses
//! what comes back all the same.

use pointsman_policy::OutboundId;
use pointsman_policy::model::{Node, each_node};

use crate::setup::{Carrier, Kind, Outbound, Setup};

/// The ways of a configuration.
pub(super) struct Ways {
    /// By number: whether what is sent that way may be taken to another host first.
    away: Vec<bool>,
    /// By number: whether its first connection is made from here.
    from_here: Vec<bool>,
}

impl Ways {
    pub(super) fn of(setup: &Setup) -> Self {
        let away = away(&setup.outbounds);
        let from_here = from_here(setup, &away);
        Self { away, from_here }
    }

    /// Whether an address that is asked for by that way may be another host's.
    pub(super) fn leads_away(&self, id: OutboundId) -> bool {
        self.away.get(id.0 as usize).copied().unwrap_or(true)
    }

    /// Whether the server of that outbound is connected to from this host.
    pub(super) fn starts_here(&self, id: OutboundId) -> bool {
        self.from_here.get(id.0 as usize).copied().unwrap_or(true)
    }
}

/// By number: whether what is sent by an outbound may be taken to another host first.
pub(crate) fn away(outbounds: &[Outbound]) -> Vec<bool> {
    let mut away = vec![false; outbounds.len()];
    loop {
        let is = |id: &OutboundId| away.get(id.0 as usize).copied().unwrap_or(true);
        let leaves = |kind: &Kind| match kind {
            Kind::Carry(Carrier::Direct(_)) => false,
            Kind::Through(parts) => parts.iter().any(is),
            Kind::Choose(_) => kind.selectable().is_none_or(|parts| parts.iter().any(is)),
            Kind::Carry(Carrier::Target(_) | Carrier::Upstream(_))
            | Kind::NotYet { .. }
            | Kind::Refuse(_) => true,
        };
        let next: Vec<bool> = outbounds.iter().map(|it| leaves(&it.kind)).collect();
        if next == away {
            return away;
        }
        away = next;
    }
}

fn from_here(setup: &Setup, away: &[bool]) -> Vec<bool> {
    let mut found = vec![false; setup.outbounds.len()];
    let mut open = named(setup);
    while let Some(id) = open.pop() {
        let at = id.0 as usize;
        let (Some(outbound), Some(known)) = (setup.outbounds.get(at), found.get_mut(at)) else {
            continue;
        };
        if std::mem::replace(known, true) {
            continue;
        }
        match &outbound.kind {
            Kind::Choose(group) => open.extend(&group.members),
            Kind::Through(hops) => {
                let leaves = |id: &OutboundId| away.get(id.0 as usize).copied().unwrap_or(true);
                let near = hops.iter().position(leaves).map_or(hops.len(), |at| at + 1);
                open.extend(hops.iter().take(near));
            }
            _ => {}
        }
    }
    found
}

/// What something else than a chain or a group names, and what nothing names.
fn named(setup: &Setup) -> Vec<OutboundId> {
    let mut named = Vec::new();
    for policy in &setup.policies {
        each_node(&policy.body, &mut |node| match node {
            Node::Leaf { outbound, .. } => named.push(*outbound),
            Node::Rule(rule) => named.push(rule.outbound),
            _ => {}
        });
    }
    for forward in &setup.forwards {
        named.extend(setup.targets_of(forward).filter_map(|(_, it)| it.via));
    }
    for resolver in &setup.resolvers {
        let own = resolver.by_domain.iter().flat_map(|(_, _, own)| own);
        for server in resolver.servers.iter().chain(own) {
            named.extend(server.via());
        }
    }
    named.extend(setup.sources.iter().filter_map(|list| list.via));
    let mut is_part = vec![false; setup.outbounds.len()];
    for outbound in &setup.outbounds {
        let parts = match &outbound.kind {
            Kind::Through(hops) => hops.as_slice(),
            kind => kind.members(),
        };
        for part in parts {
            if let Some(is_part) = is_part.get_mut(part.0 as usize) {
                *is_part = true;
            }
        }
    }
    let numbers = (0..).map(OutboundId).zip(is_part);
    named.extend(numbers.filter_map(|(id, is_part)| (!is_part).then_some(id)));
    named
}
