//! From what the rules decided to what becomes of a flow: groups, the loop guard, and what refuses a flow that the
//! rules let go.
//!
//! Invariant: nothing here lets by what the rules refuse.

use std::net::{IpAddr, SocketAddr};

use pointsman_api::Action;
use pointsman_policy::decision::Step;
use pointsman_policy::fact::{Facts, InboundKind, Network};
use pointsman_policy::model::OutboundKind;
use pointsman_policy::model::udp::{NoUdp, no_udp};
use pointsman_policy::nowhere::Nowhere;
use pointsman_policy::{Domain, Host, OutboundId, Policy, guard, local};

use super::{Way, World, chain, said};

/// Why a flow is refused that the rules let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// Its name ends in a number, and it goes to a proxy.
    LikeAddress,
    /// Its client is of another host, and the address is loopback, link-local or metadata.
    LocalAddress(IpAddr),
    /// Its destination is none.
    Nowhere(Nowhere),
    /// It is UDP, and something on the way carries none.
    NoUdp(NoUdp),
    /// It goes to a listener of this daemon.
    OwnListener(Network, SocketAddr),
}

/// What becomes of a flow: the decision with the loop guard applied, and the way that it goes.
#[must_use]
pub fn way(policy: &Policy, facts: &Facts, step: &Step, world: World<'_>) -> (Step, Way) {
    let nowhere = Way {
        outbound: None,
        member: None,
        groups: Vec::new(),
        action: Action::None,
        refused: None,
        guarded: false,
    };
    let Step::Decided(decision) = step else {
        return (step.clone(), nowhere);
    };
    let Some(chosen) = decision.outbound else {
        // The policy itself refuses (`on_unknown: reject`).
        let action = Action::Reject;
        return (step.clone(), Way { action, ..nowhere });
    };
    let plain = |outbound| match &policy.outbound(outbound).kind {
        OutboundKind::Plain(action) => Some(*action),
        // A group without a way out.
        OutboundKind::Group(_) => None,
    };
    let leaf = |all: &[OutboundId]| all.last().copied().unwrap_or(chosen);
    let leads_to = plain(leaf(&chain(policy, chosen, world.selection)));
    let direct = policy.direct;
    let guarded = guard::apply(decision.clone(), leads_to, &facts.sought.serves, direct);
    let outbound = guarded.outbound.unwrap_or(chosen);
    let all = passed_by(
        policy,
        facts,
        chain(policy, outbound, world.selection),
        world,
    );
    let leaf = leaf(&all);
    let action = plain(leaf).map_or(Action::Reject, said);
    let refused = refusal(policy, facts, leaf, action, world);
    let way = Way {
        outbound: Some(outbound),
        member: (leaf != outbound).then_some(leaf),
        groups: all.get(1..all.len() - 1).unwrap_or_default().to_vec(),
        action: if refused.is_some() {
            Action::Reject
        } else {
            action
        },
        guarded: guarded != *decision,
        refused,
    };
    (Step::Decided(guarded), way)
}

/// As the chain, where a forward of UDP has a later target to which there is a way that carries it.
fn passed_by(
    policy: &Policy,
    facts: &Facts,
    all: Vec<OutboundId>,
    world: World<'_>,
) -> Vec<OutboundId> {
    let selected = |group| world.selection.selected(group);
    let carries = |member: &&OutboundId| no_udp(&policy.outbounds, **member, &selected).is_none();
    let [group, first] = *all else { return all };
    let OutboundKind::Group(members) = &policy.outbound(group).kind else {
        return all;
    };
    if facts.network != Network::Udp || !is_forwarded(facts) || carries(&&first) {
        return all;
    }
    let next = members.iter().find(carries);
    next.map_or(all, |next| vec![group, *next])
}

fn is_forwarded(facts: &Facts) -> bool {
    let inbound = facts.inbound.known();
    inbound.is_some_and(|inbound| inbound.kind == InboundKind::Forward)
}

fn refusal(
    policy: &Policy,
    facts: &Facts,
    leaf: OutboundId,
    action: Action,
    world: World<'_>,
) -> Option<Above> {
    let carried = matches!(action, Action::Direct | Action::Proxy);
    let udp = facts.network == Network::Udp;
    if !carried {
        return None;
    }
    if udp {
        let selected = |group| world.selection.selected(group);
        if let Some(no_udp) = no_udp(&policy.outbounds, leaf, &selected) {
            return Some(Above::NoUdp(no_udp));
        }
    }
    // A forward's destination is where the client came in; its targets are the operator's own.
    if is_forwarded(facts) {
        return None;
    }
    let host = facts.destination.known();
    let is_own = |address| world.selection.is_own(address);
    let port = facts.port.known().copied().unwrap_or(0);
    let literal = host.and_then(Host::address);
    let resolved = facts.sought.resolved.known().map(Vec::as_slice);
    let dialled = resolved.unwrap_or(world.dialled);
    let addresses = || literal.into_iter().chain(dialled.iter().copied());
    let stranger = facts
        .source
        .known()
        .is_some_and(|source| !is_own(source.ip().to_canonical()));
    let known_port = facts.port.known().copied();
    // What a name is matters where it is dialled here: datagrams go to the first address, a connection may to any.
    let here: Vec<IpAddr> = match action {
        Action::Direct => addresses().take(if udp { 1 } else { usize::MAX }).collect(),
        _ => literal.into_iter().collect(),
    };
    let each = here.into_iter().map(Some).chain([None]);
    let mut nowhere = each.filter_map(|address| Nowhere::of(address, known_port));
    if let Some(nowhere) = nowhere.find(|it| it.concerns(facts.network, || stranger)) {
        return Some(Above::Nowhere(nowhere));
    }
    let network = facts.network;
    let arrives = |host: &Host| {
        let found = world.listeners.at(network, host, port, is_own);
        found.is_some()
    };
    let own = addresses().find(|address| arrives(&Host::Address(*address)));
    if let Some(address) = own {
        let at = SocketAddr::new(address, port);
        return Some(Above::OwnListener(network, at));
    }
    if action == Action::Proxy {
        // A proxy may take it for an address that the rules did not see.
        let like_address = facts.destination_name().is_some_and(Domain::ends_in_number);
        return like_address.then_some(Above::LikeAddress);
    }
    if !stranger {
        return None;
    }
    let particular = policy.particular(facts);
    let refused = addresses().find(|ip| local::is_local(*ip) && !particular.names(*ip));
    refused.map(Above::LocalAddress)
}
