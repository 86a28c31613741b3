//! The flow that an explanation is about, and what nobody said of it that rules looked at.

use std::net::SocketAddr;

use pointsman_api::explain::Explained;
use pointsman_api::flow::{Inbound, ProcessRef};
use pointsman_policy::decision::{Trace, Visit};
use pointsman_policy::fact::{Facts, Look, Need, Network, Process, Protocol};
use pointsman_policy::{Fact, Host};

use super::World;
use crate::flow::Query;
use crate::own::Listener;

/// The flow, as far as it is known.
pub(super) fn flow(facts: &Facts) -> Explained {
    let asked = facts.destination.known();
    let look = facts.sought.look.known().map(|look| &**look);
    let learned = facts.sought.fake_ip.known();
    let learned = learned.or_else(|| look.and_then(|look| look.domain.as_ref()));
    let learned = learned.or_else(|| facts.sought.correlated.known());
    let domain = learned.filter(|name| asked.and_then(Host::name) != Some(name));
    Explained {
        time: None,
        ended: None,
        error: None,
        network: facts.network.as_str().to_owned(),
        dst: asked.map(|host| place(host, facts.port.known().copied())),
        domain: domain.map(ToString::to_string),
        protocol: look.and_then(protocol),
        src: facts.source.known().map(client),
        process: facts
            .sought
            .owner
            .known()
            .and_then(|process| program(process)),
        inbound: facts.inbound.known().map(|inbound| Inbound {
            kind: inbound.kind.as_str().to_owned(),
            name: inbound.name.as_ref().map(ToString::to_string),
            port: inbound.port,
            user: inbound.user.as_ref().map(ToString::to_string),
        }),
    }
}

/// Adds what was said and no rule asked for.
pub(super) fn complete(flow: &mut Explained, query: &Query) {
    if let Some(look) = query.first_bytes() {
        flow.protocol = protocol(&look);
        let asked = query.destination.as_ref().and_then(Host::name);
        let domain = look.domain.as_ref().filter(|name| asked != Some(name));
        flow.domain = domain.map(ToString::to_string);
    }
    if let Some(process) = &query.process {
        flow.process = program(process);
    }
}

/// What rules looked at that was not said and that a real flow may have: what nobody would ask for is not there either.
pub(super) fn hints(query: &Query, asked: &[Need], trace: &Trace, facts: &Facts) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    if let (Fact::Failed(why), true) = (&facts.sought.resolved, asked.contains(&Need::Resolve)) {
        hints.push(look_up_failed(why));
    }
    for visit in &trace.visits {
        let unseen = visit.seen.iter().filter(|seen| seen.value.is_none());
        let of = |fact| match (fact, &facts.sought.resolved) {
            ("ip", Fact::Failed(why)) => Some(look_up_failed(why)),
            _ => hint(query, asked, visit, fact),
        };
        for fact in unseen.map(|seen| seen.fact) {
            let Some(hint) = of(fact).filter(|_| !told.contains(&fact)) else {
                continue;
            };
            told.push(fact);
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
    }
    hints
}

fn look_up_failed(why: &str) -> String {
    format!(
        "the look-up of the name's address failed ({why}), and a rule looks at it: `resolved=ADDRESS` says what it would be"
    )
}

/// What to ask where the destination is a listener of the configuration's own.
pub(super) fn whose(network: Network, at: SocketAddr, world: World<'_>) -> Option<String> {
    let host = Host::Address(at.ip());
    let is_own = |address| world.selection.is_own(address);
    Some(
        match world.listeners.whose(network, &host, at.port(), is_own)? {
            Listener::Forward(name) => format!(
                "this is where forward `{name}` listens: `inbound=forward:{name}` explains what its clients get"
            ),
            Listener::Inbound(name) => format!(
                "this is where inbound `{name}` listens: `dst=HOST:PORT inbound={name}` explains what its clients get"
            ),
        },
    )
}

fn hint(query: &Query, asked: &[Need], visit: &Visit, fact: &str) -> Option<String> {
    let said = |said: bool, what: &str, add: &str| {
        (!said).then(|| format!("{what} was not said, and a rule looks at it: add `{add}`"))
    };
    let source = query.source.is_some();
    match fact {
        "source" => (!source).then(|| {
            format!(
                "the client's address was not said, and a rule looks at it (`{}`): add `src=ADDRESS`",
                visit.origin.text
            )
        }),
        "source.port" => said(source, "the client's port", "src=ADDRESS:PORT"),
        "port" => said(query.port.is_some(), "the port", "dst=HOST:PORT"),
        "ip" if asked.contains(&Need::Resolve) => {
            let said_so = query.resolved.is_some();
            said(said_so, "the name's address", "resolved=ADDRESS")
        }
        "domain" | "tls.sni" if asked.contains(&Need::Sniff) => {
            said(query.first_bytes().is_some(), "the name", "domain=NAME")
        }
        "protocol" if asked.contains(&Need::Sniff) => said(
            query.first_bytes().is_some(),
            "the protocol of the first bytes",
            match query.network {
                Some(Network::Udp) => "protocol=quic",
                _ => "protocol=tls",
            },
        ),
        _ if fact.starts_with("process.") && asked.contains(&Need::Owner) => {
            said(query.process.is_some(), "the program", "process=NAME")
        }
        _ if fact.starts_with("inbound") => {
            said(query.inbound.is_some(), "the inbound", "inbound=NAME")
        }
        _ => None,
    }
}

fn place(host: &Host, port: Option<u16>) -> String {
    match (host, port) {
        (Host::Address(address), Some(port)) => SocketAddr::new(*address, port).to_string(),
        (Host::Name(name), Some(port)) => format!("{name}:{port}"),
        (host, None) => host.to_string(),
    }
}

/// A client of which only the address is known has port 0.
fn client(source: &SocketAddr) -> String {
    match source.port() {
        0 => source.ip().to_string(),
        _ => source.to_string(),
    }
}

fn protocol(look: &Look) -> Option<String> {
    // Where a name alone was said, the protocol was not.
    let said = look.protocol != Protocol::Other;
    said.then(|| look.protocol.as_str().to_owned())
}

fn program(process: &Process) -> Option<ProcessRef> {
    let name = process.name.known().map(ToString::to_string);
    let pid = match process.pid {
        Fact::Known(pid, _) => Some(pid),
        _ => None,
    };
    (name.is_some() || pid.is_some()).then_some(ProcessRef { name, pid })
}
