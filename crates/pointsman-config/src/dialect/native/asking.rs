//! Who is asked for the names that flows bring: what `ask`, `undecided`, `resolver` and the rules for queries say of it.

use pointsman_policy::OutboundId;

use super::dns::{Dns, ServerKeys};
use super::named;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Severity, nearest};
use crate::setup::{AskSpec, Carrier, DnsServer, Kind, NameServer, ResolverId, Uplink};
use crate::yaml::Node;

/// What `ask` and `undecided` say. Upstreams of the DNS server have the numbers of resolvers.
#[derive(Default)]
pub(super) struct Said {
    /// By outbound.
    pub(super) ask: Vec<Option<usize>>,
    pub(super) undecided: Option<usize>,
    /// Whether they name what is not there.
    pub(super) failed: bool,
}

/// Reads both keys, once for flows and queries.
pub(super) fn said(dns: &Dns<'_>, outbounds: &Outbounds, problems: &mut Problems) -> Said {
    let ServerKeys { ask, undecided, .. } = dns.server;
    let before = problems.count(Severity::Error);
    let count = usize::try_from(outbounds.count()).unwrap_or(0);
    let mut asked: Vec<Option<usize>> = vec![None; count];
    for (name, span, node) in named(ask.map(|(_, node)| node), "`ask`", problems) {
        let outbound = outbounds.resolve(name, span, problems);
        let upstream = upstream(node, dns, problems);
        if let (Some(OutboundId(at)), Some(upstream)) = (outbound, upstream)
            && let Some(place) = usize::try_from(at).ok().and_then(|at| asked.get_mut(at))
        {
            *place = Some(upstream);
        }
    }
    let undecided = undecided.and_then(|(_, node)| upstream(node, dns, problems));
    Said {
        ask: asked,
        undecided,
        failed: problems.count(Severity::Error) > before,
    }
}

/// The upstream that a key names.
fn upstream(node: &Node, dns: &Dns<'_>, problems: &mut Problems) -> Option<usize> {
    let name = node.text("the name of an upstream", problems)?;
    let found = dns.names.iter().position(|known| known == name);
    if found.is_none() {
        let message = format!("`dns.upstreams` has no `{name}`");
        let known = dns.names.iter().map(String::as_str);
        problems.error("unknown-resolver", &node.span, message).hint =
            nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    }
    found
}

/// Who is asked for names of flows, as the DNS server says where there is one.
pub(super) fn spec(
    dns: &Dns<'_>,
    said: &Said,
    server: Option<&DnsServer>,
    outbounds: &Outbounds,
) -> AskSpec {
    let all = || (0..outbounds.count()).map(OutboundId);
    let carrying = |id: OutboundId| {
        let kind = outbounds.kind(id);
        kind.filter(|kind| !matches!(kind, Kind::Refuse(_)))
    };
    let named = |id: OutboundId| {
        let at = usize::try_from(id.0).ok()?;
        let said = said.ask.get(at).copied().flatten();
        said.or_else(|| carrying(id).and_then(|_| by_way(id, dns)))
    };
    let follows = server.is_some_and(|server| server.what.follow.is_some());
    let usual = |id: OutboundId| {
        let kind = carrying(id).filter(|_| follows)?;
        own(id, kind, dns)
    };
    let of_system = (0..).zip(&dns.resolvers).filter(|(_, resolver)| {
        let mut servers = resolver.servers.iter();
        servers.any(|server| *server == NameServer::System)
    });
    AskSpec {
        heeds_rules: server.is_some(),
        by_outbound: all().map(|id| named(id).map(ResolverId)).collect(),
        usual: all().map(|id| usual(id).map(ResolverId)).collect(),
        undecided: said.undecided.map(ResolverId),
        resolver: dns.server_resolver,
        names_resolver: dns.names_resolver,
        of_system: of_system.map(|(at, _)| ResolverId(at)).collect(),
    }
}

/// The one upstream that is asked by that outbound.
fn by_way(id: OutboundId, dns: &Dns<'_>) -> Option<usize> {
    only((0..dns.names.len()).filter(|at| is_by(*at, Some(id), dns)))
}

/// The same; of the plain way out the one for what is dialled directly, else the one that is asked from here.
pub(super) fn own(id: OutboundId, kind: &Kind, dns: &Dns<'_>) -> Option<usize> {
    by_way(id, dns).or_else(|| {
        let is_plain =
            matches!(kind, Kind::Carry(Carrier::Direct(uplink)) if *uplink == Uplink::default());
        let last = dns.names.len().saturating_sub(1);
        let ResolverId(usual) = dns.server_resolver.unwrap_or(ResolverId(last));
        // The last one is the system's, which nobody wrote.
        let from_here = || only((0..last).filter(|at| is_by(*at, None, dns)));
        let own = Some(usual).filter(|at| is_by(*at, None, dns));
        own.or_else(from_here).filter(|_| is_plain)
    })
}

/// Whether all servers of an upstream are asked by that way.
fn is_by(at: usize, via: Option<OutboundId>, dns: &Dns<'_>) -> bool {
    let servers = dns.resolvers.get(at).map(|it| &it.servers);
    servers.is_some_and(|servers| {
        let is = |server: &NameServer| match server {
            NameServer::NotYet(_) => false,
            other => other.via() == via,
        };
        !servers.is_empty() && servers.iter().all(is)
    })
}

fn only(mut all: impl Iterator<Item = usize>) -> Option<usize> {
    let first = all.next();
    first.filter(|_| all.next().is_none())
}
