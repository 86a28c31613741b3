//! Outbounds that nobody can ever reach: their server's name is looked up by way of themselves.
//!
//! An outbound is grounded when its first connection needs nothing but this host. A server's name is grounded by
//! the configuration itself (`hosts`), or by one name server that is asked directly or by way of a grounded outbound.
//! Least fixed point: circles, however long, stay outside.

use pointsman_policy::{Domain, Host, OutboundId};

use crate::problem::Problems;
use crate::setup::{Carrier, Kind, NameServer, Setup, Upstream};

/// Refuses each outbound whose server can only be looked up by way of outbounds that need it themselves.
pub(super) fn check(setup: &Setup, problems: &mut Problems) {
    if setup.bootstrap.for_outbounds {
        // It is found by addresses, from here.
        return;
    }
    let resolver = setup.server_resolver;
    let Some(resolver) = resolver.and_then(|id| setup.resolvers.get(id.0)) else {
        // The system's.
        return;
    };
    let mut grounded = vec![false; setup.outbounds.len()];
    loop {
        let is = |id: &OutboundId| grounded.get(id.0 as usize).copied().unwrap_or(true);
        let asked = |server: &NameServer| server.via().as_ref().is_none_or(is);
        let name = |name: &Domain| {
            let servers = resolver.servers_for(name);
            let is_fixed = resolver.fixed(name).next().is_some();
            is_fixed || servers.is_empty() || servers.iter().any(asked)
        };
        let reached = |kind: &Kind| match kind {
            // Names of later hops are told to the hop before.
            Kind::Through(hops) => hops.first().is_none_or(is),
            Kind::Carry(Carrier::Upstream(upstream)) => match &upstream.server.host {
                Host::Address(_) => true,
                Host::Name(host) => name(host),
            },
            Kind::Carry(Carrier::Direct(_) | Carrier::Target(_))
            | Kind::NotYet { .. }
            | Kind::Refuse(_) => true,
            Kind::Choose(_) => match kind.selectable() {
                Some(members) => members.is_empty() || members.iter().any(is),
                None => true,
            },
        };
        let next: Vec<bool> = setup.outbounds.iter().map(|it| reached(&it.kind)).collect();
        if next == grounded {
            break;
        }
        grounded = next;
    }
    for (outbound, grounded) in setup.outbounds.iter().zip(grounded) {
        let Some(Upstream { server, .. }) = outbound.kind.upstream() else {
            continue;
        };
        if let (false, Some(span)) = (grounded, &outbound.span) {
            let name = &outbound.name;
            let message = format!(
                "the server {server} of `{name}` is looked up by way of outbounds that need `{name}` themselves"
            );
            problems.error("lookup-cycle", span, message).hint = Some(
                "give the server by address, name it in `hosts`, ask a name server without `via` for it, or give `dns.bootstrap`".into(),
            );
        }
    }
}
