//! What the inbounds of a policy can give at all: their kinds, names, ports, users and transports.

use std::sync::Arc;

use pointsman_policy::condition::{Condition, TextField};
use pointsman_policy::fact::{InboundKind, Network};

use super::logic::Atom;
use crate::setup::{Inbound, PolicyId, Setup};

/// The inbounds that a policy serves.
pub(super) struct Given<'s> {
    inbounds: Vec<&'s Inbound>,
}

impl<'s> Given<'s> {
    /// What a policy is given; `None` where no inbound uses it, so that nothing can be said.
    pub(super) fn to(policy: PolicyId, setup: &'s Setup) -> Option<Self> {
        let inbounds = setup
            .inbounds
            .iter()
            .filter(|inbound| inbound.policy == policy);
        let inbounds: Vec<&Inbound> = inbounds.collect();
        (!inbounds.is_empty()).then_some(Self { inbounds })
    }

    /// Why no flow of these inbounds meets a test, in words that follow "because".
    pub(super) fn never(&self, atom: &Atom<'_>) -> Option<String> {
        match &*atom.test {
            Condition::Inbound { kind, port, user } => {
                let fits = |inbound: &&Inbound| {
                    let kinds = kind.is_none_or(|kind| kinds_meet(kind, inbound.kind));
                    let ports = port.is_none_or(|port| {
                        inbound.listen.port() == 0 || inbound.listen.port() == port
                    });
                    let users = user
                        .as_ref()
                        .is_none_or(|user| inbound.users.iter().any(|known| known.name == *user));
                    kinds && ports && users
                };
                let none = !self.inbounds.iter().any(fits);
                none.then(|| format!("of the inbounds here ({}) none is such", self.shown()))
            }
            Condition::Text(TextField::InboundName, test) => {
                let none = !self.names().any(|name| test.passes(name));
                let names: Vec<&str> = self.names().map(|name| &**name).collect();
                none.then(|| match names.is_empty() {
                    true => "no inbound here has a name".to_owned(),
                    false => format!("the inbounds here are named {}", names.join(", ")),
                })
            }
            Condition::Network(network) => self.without(*network),
            Condition::Port {
                network: Some(network),
                ..
            } => self.without(*network),
            _ => None,
        }
    }

    fn without(&self, network: Network) -> Option<String> {
        match network {
            Network::Tcp => None,
            Network::Icmp => Some("proxy clients send no ICMP".to_owned()),
            Network::Udp => {
                let http = self
                    .inbounds
                    .iter()
                    .all(|inbound| inbound.kind == InboundKind::Http);
                http.then(|| "HTTP proxies carry no UDP".to_owned())
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.inbounds.iter().flat_map(|inbound| {
            let users = inbound.users.iter().filter_map(|user| user.alias.as_ref());
            users.chain(&inbound.alias).chain([&inbound.name])
        })
    }

    fn shown(&self) -> String {
        let shown = self
            .inbounds
            .iter()
            .take(5)
            .map(|inbound| format!("{}:{}", inbound.kind.as_str(), inbound.listen.port()));
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn kinds_meet(rule: InboundKind, inbound: InboundKind) -> bool {
    rule.fits(inbound) || inbound.fits(rule)
}
