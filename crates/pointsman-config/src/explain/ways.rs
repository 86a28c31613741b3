//! What a configuration says of the outbound that a described flow would take, besides its name.

use pointsman_api::Explanation;

use pointsman_policy::OutboundId;

use crate::setup::{Outbound, OutboundKind, Setup};

/// Adds what the outbound makes of the flow where that is not what its action says.
pub(super) fn hint(explanation: &mut Explanation, setup: &Setup) {
    let decision = &explanation.decision;
    let named = |name: &str| setup.outbounds.iter().find(|it| *it.name == *name);
    let chosen = decision.outbound.as_deref().and_then(named);
    let leaf = decision.member.as_deref().and_then(named).or(chosen);
    let forward = chosen.and_then(|outbound| match &outbound.kind {
        OutboundKind::Forward(index) => setup.forwards.get(*index),
        _ => None,
    });
    let refused = match (forward.and_then(|forward| forward.not_yet.as_ref()), leaf) {
        (Some(why), _) => Some(format!("this forward refuses every flow: {why}")),
        (None, Some(leaf)) => not_built(leaf, setup),
        (None, None) => None,
    };
    let hops = leaf.map_or(&[][..], hops);
    explanation.hops = hops
        .iter()
        .filter_map(|id| setup.outbounds.get(id.0 as usize))
        .map(|hop| hop.name.to_string())
        .collect();
    explanation.hints.extend(refused);
}

fn hops(outbound: &Outbound) -> &[OutboundId] {
    match &outbound.kind {
        OutboundKind::Chain { hops } => hops,
        _ => &[],
    }
}

fn not_built(leaf: &Outbound, setup: &Setup) -> Option<String> {
    let hops = hops(leaf)
        .iter()
        .filter_map(|id| setup.outbounds.get(id.0 as usize));
    let mut on_the_way = std::iter::once(leaf).chain(hops);
    on_the_way.find_map(|outbound| match &outbound.kind {
        OutboundKind::NotYet { kind, .. } => Some(format!(
            "`{}` is of type `{kind}`, which is not built yet: the flow would be refused",
            outbound.name
        )),
        _ => None,
    })
}
