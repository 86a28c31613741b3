//! What a configuration says of the outbound that a described flow would take, besides its name.

use pointsman_api::explain::Explained;
use pointsman_api::{Action, Explanation};
use pointsman_policy::{Domain, Host, Need, OutboundId};

use crate::setup::{Kind, Outbound, ResolverId, Setup};
use crate::unbuilt;

/// Adds what the outbound makes of the flow where that is not what its action says.
pub(super) fn hint(explanation: &mut Explanation, setup: &Setup) {
    let decision = &explanation.decision;
    let named = |name: &str| setup.outbounds.iter().find(|it| *it.name == *name);
    let chosen = decision.outbound.as_deref().and_then(named);
    let leaf = decision.member.as_deref().and_then(named).or(chosen);
    let balancing = chosen.and_then(|outbound| outbound.kind.balancing());
    let not_yet = balancing.and_then(|balancing| balancing.not_yet.as_ref());
    let refused = match (not_yet, leaf) {
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
    let lookup = match refused {
        Some(_) => None,
        None => lookup(explanation, leaf, setup),
    };
    explanation.hints.extend(refused.or(lookup));
}

/// Where the flow needs a name looked up, and nobody who would be asked for it can answer.
fn lookup(explanation: &Explanation, leaf: Option<&Outbound>, setup: &Setup) -> Option<String> {
    let fails = |id: Option<ResolverId>, name: &Domain| {
        let resolver = setup.resolvers.get(id?.0)?;
        let why = unbuilt::unanswered(resolver, name)?;
        Some(format!(
            "nobody who would be asked for `{name}` can answer ({why})"
        ))
    };
    let flow = explanation.flow.as_ref()?;
    let dials = explanation.decision.action == Action::Direct;
    let looks = dials
        || explanation
            .asked
            .iter()
            .any(|need| need == Need::Resolve.as_str());
    if looks && let Some(Host::Name(name)) = destination(flow) {
        let own = flow
            .inbound
            .as_ref()
            .and_then(|inbound| inbound.name.as_deref());
        let named = |own: &str| setup.inbounds.iter().find(|inbound| *inbound.name == *own);
        let inbound = own.and_then(named).or_else(|| setup.inbounds.first());
        let resolver = inbound.and_then(|inbound| inbound.resolver);
        let what = match dials {
            true => "so the flow fails",
            false => "so the look-up that the rules ask for fails",
        };
        let fails = fails(resolver.or(setup.server_resolver), &name)?;
        return Some(format!("{fails}, {what}"));
    }
    let name = leaf?.kind.upstream()?.server.host.name()?;
    let fails = fails(setup.server_resolver, name)?;
    Some(format!("{fails}, so the proxy is not reached"))
}

/// The host that the client asked for.
fn destination(flow: &Explained) -> Option<Host> {
    let asked = flow.dst.as_deref()?;
    let (host, _) = asked.rsplit_once(':').unwrap_or((asked, ""));
    Host::parse(host).ok()
}

/// Says which members of groups are taken where no daemon knows which are selected: of each group with several that
/// the flow would pass, the first.
pub fn hint_of_groups(explanation: &mut Explanation, setup: &Setup) {
    let decision = &explanation.decision;
    let way = decision.outbound.iter().chain(&decision.groups);
    let way: Vec<&str> = way.chain(&decision.member).map(String::as_str).collect();
    let chooses = |name: &str| {
        let mut outbounds = setup.outbounds.iter();
        let outbound = outbounds.find(|it| *it.name == *name);
        let members = outbound.and_then(|it| it.kind.selectable());
        members.is_some_and(|members| members.len() > 1)
    };
    let choices: Vec<(&str, &str)> = way
        .windows(2)
        .filter_map(|pair| match pair {
            [group, member] if chooses(group) => Some((*group, *member)),
            _ => None,
        })
        .collect();
    let hint = match choices.as_slice() {
        [] => return,
        [(group, member)] => {
            format!("without a daemon, group `{group}` is taken to be its first member, `{member}`")
        }
        many => {
            let all: Vec<String> = many
                .iter()
                .map(|(group, member)| format!("`{group}` is `{member}`"))
                .collect();
            format!(
                "without a daemon, each group is taken to be its first member: {}",
                all.join(", ")
            )
        }
    };
    explanation.hints.push(hint);
}

fn hops(outbound: &Outbound) -> &[OutboundId] {
    match &outbound.kind {
        Kind::Through(hops) => hops,
        _ => &[],
    }
}

fn not_built(leaf: &Outbound, setup: &Setup) -> Option<String> {
    let hops = hops(leaf)
        .iter()
        .filter_map(|id| setup.outbounds.get(id.0 as usize));
    let mut on_the_way = std::iter::once(leaf).chain(hops);
    on_the_way.find_map(|outbound| match &outbound.kind {
        Kind::NotYet { kind, .. } => Some(format!(
            "`{}` is of type `{kind}`, which is not built yet: the flow would be refused",
            outbound.name
        )),
        _ => None,
    })
}
