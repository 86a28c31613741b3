//! Resolvers that never answer, because none of their name servers is of a kind that is built.

use pointsman_policy::Domain;

use crate::problem::Problems;
use crate::setup::{NameServer, ResolverId, ResolverSpec, Setup};

/// Warns of each resolver that never answers, and that something asks.
pub(crate) fn check(setup: &Setup, problems: &mut Problems) {
    for (number, resolver) in setup.resolvers.iter().enumerate() {
        let Some(span) = &resolver.span else { continue };
        if is_asked(setup, ResolverId(number)) && why(&resolver.servers).is_some() {
            let message = "none of these name servers is of a kind that is built: all that needs this resolver fails";
            problems.warning("unbuilt-resolver", span, message).hint =
                Some("add a name server that is asked over UDP, TCP, TLS or HTTPS".into());
        }
    }
}

/// Whether names of servers, of an inbound's flows or of some domains are asked of it.
fn is_asked(setup: &Setup, id: ResolverId) -> bool {
    let mut inbounds = setup.inbounds.iter();
    let servers = setup.resolvers.get(id.0).map(|it| &it.servers);
    let mut by_domain = setup.resolvers.iter().flat_map(|it| &it.by_domain);
    setup.server_resolver == Some(id)
        || inbounds.any(|inbound| inbound.resolver == Some(id))
        || by_domain.any(|(_, _, asked)| Some(asked) == servers)
}

/// Why a resolver never has an answer for a name; `None` where it may have one.
pub(crate) fn unanswered<'r>(resolver: &'r ResolverSpec, name: &Domain) -> Option<&'r str> {
    match resolver.fixed(name).next() {
        Some(_) => None,
        None => why(resolver.servers_for(name)),
    }
}

/// What the first server lacks, where all lack something.
fn why(servers: &[NameServer]) -> Option<&str> {
    let mut whys = servers.iter().map(|server| match server {
        NameServer::NotYet(why) => Some(why.as_str()),
        _ => None,
    });
    let first = whys.next()?;
    first.filter(|_| whys.all(|why| why.is_some()))
}
