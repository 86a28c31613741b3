//! Resolvers that never answer, because none of their name servers is of a kind that is built.

use pointsman_policy::Domain;

use crate::problem::Problems;
use crate::setup::{NameServer, ResolverSpec, Setup};

/// Warns of each resolver that never answers.
pub(crate) fn check(setup: &Setup, problems: &mut Problems) {
    for resolver in &setup.resolvers {
        let Some(span) = &resolver.span else { continue };
        if why(&resolver.servers).is_some() {
            let message = "none of these name servers is of a kind that is built: all that needs this resolver fails";
            problems.warning("unbuilt-resolver", span, message).hint =
                Some("add a name server that is asked over UDP or TCP".into());
        }
    }
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
        NameServer::System | NameServer::Tcp(_) | NameServer::Udp(_) => None,
    });
    let first = whys.next()?;
    first.filter(|_| whys.all(|why| why.is_some()))
}
