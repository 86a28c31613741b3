//! Lowering of DNS servers, shared by the dialects that have one: a policy whose ends are upstreams and answers.
//!
//! Invariant: the policy of a DNS server knows its own ends alone; an outbound of flows cannot be meant by mistake.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::model::udp::Udp;
use pointsman_policy::model::{DomainOrder, OnUnknown, OutboundInfo, OutboundKind, each_node};
use pointsman_policy::request::Route;
use pointsman_policy::{Action, Domain, Host, Node, OutboundId, Policy, Prefix};
use pointsman_spec::door::{Admission, DoorLimits, Speaks};

use crate::setup::{
    DnsEnd, DnsLimits, DnsSpec, DoorSpec, Endpoint, PolicyId, Server, Servers, UpstreamSpec,
};

/// The ends of a DNS server's policy, as they are named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    ends: Vec<(Arc<str>, DnsEnd)>,
    upstreams: Vec<UpstreamSpec>,
    hosts: Vec<(Domain, bool, IpAddr)>,
}

impl Ends {
    /// The end of that name, which is new where it is named for the first time.
    pub(crate) fn end(&mut self, name: &str, end: DnsEnd) -> OutboundId {
        let known = self.ends.iter().position(|(known, _)| **known == *name);
        let at = known.unwrap_or_else(|| {
            self.ends.push((name.into(), end));
            self.ends.len() - 1
        });
        OutboundId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The end that asks those servers.
    pub(crate) fn ask(
        &mut self,
        name: &str,
        servers: impl Into<Servers>,
        timeout: Duration,
    ) -> OutboundId {
        if let Some(known) = self.ends.iter().position(|(known, _)| **known == *name) {
            return OutboundId(u32::try_from(known).unwrap_or(u32::MAX));
        }
        self.upstreams.push(UpstreamSpec {
            name: name.into(),
            servers: servers.into(),
            timeout,
        });
        self.end(name, DnsEnd::Ask(self.upstreams.len() - 1))
    }

    /// What an end is.
    pub(crate) fn get(&self, OutboundId(at): OutboundId) -> Option<&DnsEnd> {
        let end = self.ends.get(usize::try_from(at).ok()?);
        end.map(|(_, end)| end)
    }

    /// Names with fixed addresses: exact, or with all names below (`true`).
    pub(crate) fn with_hosts(&mut self, hosts: &[(Domain, bool, IpAddr)]) {
        self.hosts = hosts.to_vec();
    }

    /// The server whose policy has those steps; the rest of it as `like` says.
    pub(crate) fn server(self, body: Vec<Node>, like: &Policy) -> DnsSpec {
        let Self {
            ends,
            upstreams,
            hosts,
        } = self;
        let infos = ends.iter().map(|(name, end)| OutboundInfo {
            name: Arc::clone(name),
            kind: OutboundKind::Plain(match end {
                DnsEnd::Ask(_) | DnsEnd::Fake | DnsEnd::Follow | DnsEnd::Pass => Action::Direct,
                DnsEnd::Drop => Action::Blackhole,
                DnsEnd::NoData | DnsEnd::NoName | DnsEnd::Refused | DnsEnd::Zero => Action::Reject,
            }),
            udp: Udp::Carried,
        });
        let policy = Policy {
            name: "dns".into(),
            outbounds: infos.collect(),
            direct: OutboundId(0),
            body: body.into(),
            // The name is what the query asks for.
            domain_order: DomainOrder::Requested,
            on_unknown: OnUnknown::Skip,
            ..like.clone()
        };
        DnsSpec {
            policy: Arc::new(policy),
            answers: None,
            ends: ends.into_iter().map(|(_, end)| end).collect(),
            upstreams,
            follow: None,
            hosts,
            asks_for_local_names: false,
            fake: None,
            limits: DnsLimits::default(),
        }
    }
}

/// Where queries come in, over UDP and over TCP (RFC 7766 §5).
pub(crate) fn door(name: &str, at: SocketAddr, allow: Option<Vec<Prefix>>) -> DoorSpec {
    let server = Server {
        host: Host::Address(at.ip()),
        port: at.port(),
    };
    let listen = [Endpoint::Udp(server.clone()), Endpoint::Tcp(server)];
    DoorSpec {
        name: name.into(),
        alias: None,
        listen: listen.into_iter().map(Into::into).collect(),
        // No flow comes in by it.
        policy: PolicyId(0),
        resolver: None,
        admits: Admission {
            users: Vec::new(),
            allow,
        },
        speaks: Speaks::Dns,
        tls: None,
        web_path: None,
        same_family: false,
        limits: DoorLimits::default(),
        access_log: None,
    }
}

/// The ends that steps may lead to.
pub(crate) fn leads_to(steps: &[Node]) -> BTreeSet<OutboundId> {
    let mut found = BTreeSet::new();
    each_node(steps, &mut |step| match step {
        Node::Leaf { outbound, .. } => drop(found.insert(*outbound)),
        Node::Rule(rule) => drop(found.insert(rule.outbound)),
        Node::Request { request, .. } => {
            found.extend(
                Route::ALL
                    .iter()
                    .filter_map(|route| request.outbound(*route)),
            );
        }
        _ => {}
    });
    found
}

/// The upstreams that queries may come to.
pub(crate) fn reached(what: &DnsSpec) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for id in leads_to(&what.policy.body) {
        let end = usize::try_from(id.0).ok().and_then(|at| what.ends.get(at));
        match end {
            Some(DnsEnd::Ask(at)) => drop(found.insert(*at)),
            Some(DnsEnd::Follow) => {
                let follow = what.follow.iter();
                let asked = follow.flat_map(|it| it.ask.iter().chain([&it.undecided]));
                found.extend(asked.flatten());
            }
            _ => {}
        }
    }
    found
}

/// Whether a door takes queries at that address.
pub(crate) fn listens(door: &DoorSpec, at: SocketAddr, is_own: impl Fn(IpAddr) -> bool) -> bool {
    let mut listens = door.listen.iter();
    listens.any(|listen| match &listen.at {
        Endpoint::Udp(Server {
            host: Host::Address(address),
            port,
        }) => {
            let same = *address == at.ip() || address.is_unspecified() && is_own(at.ip());
            same && *port == at.port()
        }
        _ => false,
    })
}
