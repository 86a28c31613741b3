//! What a configuration asks for that this daemon cannot find on this host: told when it comes into force, before the
//! first flow passes by a rule, or goes round.

use std::net::SocketAddr;

use pointsman_config::Setup;
use pointsman_config::setup::OnUnknown;
use pointsman_net::spec::{Guard, ServedBy};
use pointsman_os::owner::{Owners, listener, may_see_others, user_named};
use pointsman_os::socket::is_own_address;

use crate::logging::flows::SEE_OTHERS;
use crate::mapping;

/// The warnings. It looks at processes, and so takes up to a quarter of a second for each proxy of this host.
pub(super) fn of(setup: &Setup) -> Vec<String> {
    rules(setup).into_iter().chain(guards(setup)).collect()
}

/// Of rules that ask for the programs of other users.
fn rules(setup: &Setup) -> Option<String> {
    if may_see_others() {
        return None;
    }
    let mut policies = setup.policies.iter();
    let asking = policies.find_map(|it| Some((it, it.first_asking_for_a_program()?)));
    let (policy, rule) = asking?;
    let then = match policy.on_unknown {
        OnUnknown::Skip => "do not hold for their flows",
        OnUnknown::Reject => "refuse their flows",
    };
    Some(format!(
        "this daemon cannot see the programs of other users, so rules that ask for programs {then}; the first such rule is \
         {rule}; {SEE_OTHERS}"
    ))
}

/// Of proxies of this host whose programs cannot be looked at.
fn guards(setup: &Setup) -> Option<String> {
    let owners = Owners::default();
    let mut hidden: Vec<String> = Vec::new();
    for guard in mapping::guards(setup.outbounds.iter().map(|outbound| &outbound.what)) {
        let name = format!("`{}`", guard.outbound);
        if !hidden.contains(&name) && is_hidden(&guard, &owners) {
            hidden.push(name);
        }
    }
    if hidden.is_empty() {
        return None;
    }
    let outbounds = hidden.join(", ");
    Some(format!(
        "loop guard: this daemon cannot tell which flows the program behind {outbounds} sends itself, so they may be sent back \
         to it, round and round, until there are too many of them; run that program as a user of its own and say \
         `served_by: {{ user: NAME }}`, or let this daemon look: {SEE_OTHERS}"
    ))
}

fn is_hidden(guard: &Guard, owners: &Owners) -> bool {
    let own = |at: &&SocketAddr| is_own_address(at.ip());
    let endpoints: Vec<&SocketAddr> = match &guard.by {
        ServedBy::User(name) if user_named(name).is_some() => return false,
        ServedBy::Endpoint(at) => [at].into_iter().filter(own).collect(),
        ServedBy::Program(_) | ServedBy::User(_) => guard.instead.iter().filter(own).collect(),
    };
    if endpoints.is_empty() {
        // What is elsewhere is not known by its endpoint; by its program it would be looked for.
        return matches!(guard.by, ServedBy::Program(_)) && !may_see_others();
    }
    let mut listening = endpoints
        .into_iter()
        .filter_map(|at| listener(*at).ok().flatten())
        .peekable();
    match listening.peek() {
        Some(_) => listening.any(|socket| !matches!(owners.process_of(&socket), Ok(Some(_)))),
        // Whose it will be nobody knows.
        None => !may_see_others(),
    }
}
