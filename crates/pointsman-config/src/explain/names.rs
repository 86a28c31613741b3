//! Who the DNS server asks for a name, and why: what the data plane does with a query, told.

use std::net::{IpAddr, SocketAddr};

use pointsman_api::explain::Rule;
use pointsman_api::{NameExplanation, NameWay};
use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::local_names::{LocalName, local_name};
use pointsman_policy::model::Origin;
use pointsman_policy::{Action, Agreement, Domain, End, Host, OutboundId, Policy, Possible};

use crate::setup::{DnsEnd, DnsServer, NameServer, Setup};

/// The number of the type of IPv4 addresses: what names are usually asked for with.
const A: u16 = 1;

/// Who is asked for a name by that client, with an address' type.
///
/// # Errors
/// A sentence: there is no DNS server.
pub fn name(
    setup: &Setup,
    name: &Domain,
    client: Option<IpAddr>,
) -> Result<NameExplanation, &'static str> {
    let Some(server) = &setup.dns else {
        return Err("there is no DNS server: `dns.listen` is not given");
    };
    let mut told = NameExplanation {
        name: name.to_string(),
        client: client.map(|client| client.to_string()),
        end: String::new(),
        upstream: None,
        servers: Vec::new(),
        reason: String::new(),
        rule: None,
        ways: Vec::new(),
        generation: None,
    };
    let is_fixed = |(known, below, _): &&(Domain, bool, IpAddr)| match below {
        true => name.is_within(known),
        false => name == known,
    };
    let fixed = server.what.hosts.iter().filter(is_fixed);
    let fixed: Vec<String> = fixed.map(|(_, _, address)| address.to_string()).collect();
    if !fixed.is_empty() {
        told.end = "hosts".to_owned();
        told.reason = format!("its addresses are fixed by `hosts`: {}", fixed.join(", "));
        return Ok(told);
    }
    let facts = Facts {
        query_type: Some(A),
        source: Fact::from_option(client.map(|it| SocketAddr::new(it, 0)), Provenance::Given),
        destination: Fact::Known(Host::Name(name.clone()), Provenance::Given),
        port: Fact::Absent,
        ..Facts::default()
    };
    let policy = &server.what.policy;
    let decision = policy.decide_query(facts.clone());
    let end = decision.as_ref().and_then(|decision| decision.outbound);
    let end = end.and_then(|end| server.what.ends.get(usize::try_from(end.0).ok()?));
    let is_sent = || matches!(end, Some(DnsEnd::Ask(_))) && policy.names_query(&facts);
    let local = local_name(name, A).filter(|_| !server.what.asks_for_local_names);
    if let Some(local) = local.filter(|_| !is_sent()) {
        told.end = "local".to_owned();
        told.reason = match local {
            LocalName::Localhost => "it is this host",
            LocalName::NoData => "it means something here alone, and has no address",
            LocalName::NoName => {
                "it means nothing to the world, and no rule sends it to an upstream"
            }
        }
        .to_owned();
        return Ok(told);
    }
    told.rule = decision.and_then(|decision| decision.rule).map(rule);
    match end {
        Some(DnsEnd::Ask(at)) => asked(server, *at, "a rule names it", setup, &mut told),
        Some(DnsEnd::Follow) => follow(server, setup, name, client, &mut told),
        Some(DnsEnd::Drop) => here("drop", "a rule drops it: there is no answer", &mut told),
        Some(DnsEnd::NoData) => here(
            "nodata",
            "a rule says that there is no such record",
            &mut told,
        ),
        Some(DnsEnd::NoName) => here(
            "nxdomain",
            "a rule says that there is no such name",
            &mut told,
        ),
        Some(DnsEnd::Refused) => here("refused", "a rule refuses it", &mut told),
        Some(DnsEnd::Zero) => here(
            "zero",
            "a rule answers with the address of no host",
            &mut told,
        ),
        Some(DnsEnd::Pass) | None => here("nobody", "no rule says who is asked for it", &mut told),
    }
    Ok(told)
}

fn here(end: &str, reason: &str, told: &mut NameExplanation) {
    told.end = end.to_owned();
    reason.clone_into(&mut told.reason);
}

fn asked(server: &DnsServer, at: usize, reason: &str, setup: &Setup, told: &mut NameExplanation) {
    let Some(upstream) = server.what.upstreams.get(at) else {
        return;
    };
    here("asked", reason, told);
    told.upstream = Some(upstream.name.to_string());
    let servers = upstream.servers.iter();
    told.servers = servers.map(|it| self::server(it, setup)).collect();
}

/// A server, and the way to it.
pub(super) fn server(server: &NameServer, setup: &Setup) -> String {
    match server.via().and_then(|via| setup.outbound(via)) {
        Some(via) => format!("{server} by {}", via.name),
        None => server.to_string(),
    }
}

fn follow(
    server: &DnsServer,
    setup: &Setup,
    name: &Domain,
    client: Option<IpAddr>,
    told: &mut NameExplanation,
) {
    let followed = server.what.follow.as_ref();
    let policy = followed.and_then(|follow| setup.policies.get(follow.policy.0));
    let Some((follow, policy)) = followed.zip(policy) else {
        return here("nobody", "there is no policy to follow", told);
    };
    let ask = |outbound: OutboundId| {
        let at = usize::try_from(outbound.0).ok()?;
        follow.ask.get(at).copied().flatten()
    };
    let upstream = |at: usize| server.what.upstreams.get(at).map(|it| it.name.to_string());
    let ends = policy.possible_for(name, client);
    told.ways = ends
        .iter()
        .map(|it| way(policy, it, |id| upstream(ask(id)?)))
        .collect();
    match policy.agree(&ends, ask) {
        Agreement::All(at) => asked(
            server,
            at,
            "all its flows leave where it is asked",
            setup,
            told,
        ),
        Agreement::Differ(..) => match follow.undecided {
            Some(at) => {
                let reason = "its flows may leave by several ways: `dns.undecided` is asked";
                asked(server, at, reason, setup, told);
            }
            None => here(
                "nobody",
                "its flows may leave by several ways, and `dns.undecided` names nobody",
                told,
            ),
        },
        Agreement::Nobody(_) => here(
            "nobody",
            "`dns.ask` names nobody for a way that its flows may take",
            told,
        ),
        Agreement::Refused(Action::Blackhole) => {
            here("drop", "all its flows are dropped in silence", told);
        }
        Agreement::Refused(_) => here("nxdomain", "all its flows are refused", told),
    }
}

fn way(
    policy: &Policy,
    possible: &Possible,
    upstream: impl Fn(OutboundId) -> Option<String>,
) -> NameWay {
    let outbound = match possible.end {
        End::To(outbound) => Some(outbound),
        End::NoRoute | End::Refused => None,
    };
    NameWay {
        outbound: outbound.map(|id| policy.outbound(id).name.to_string()),
        upstream: outbound.and_then(upstream),
        rule: possible.rule.clone().map(rule),
    }
}

pub(super) fn rule(origin: Origin) -> Rule {
    Rule {
        text: origin.text.to_string(),
        file: origin.file.to_string(),
        line: origin.line,
        entry: None,
    }
}
