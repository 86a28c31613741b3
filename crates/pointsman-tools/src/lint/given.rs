//! What the inbounds of a policy can give at all: their kinds, names, ports, users and transports, and whose
//! programs and addresses they get to see.

use std::rc::Rc;
use std::sync::Arc;

use pointsman_policy::condition::{Condition, TextField, TextTest};
use pointsman_policy::fact::{InboundKind, Network};

use super::logic::{Atom, Case, Test};
use pointsman_config::setup::{Inbound, PolicyId, Setup};

/// The most inbounds of which a message tells.
const MOST_SHOWN: usize = 5;

/// The inbounds that a policy serves, at least one.
#[derive(Clone)]
pub(super) struct Given<'s> {
    pub(super) inbounds: Vec<&'s Inbound>,
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

    /// As if there were this one alone.
    pub(super) fn only(inbound: &'s Inbound) -> Self {
        Self {
            inbounds: vec![inbound],
        }
    }

    /// Why no flow of these inbounds is of this case, in words that follow "because".
    pub(super) fn never(&self, case: &Case<'_>) -> Option<String> {
        let held = || case.iter().filter(|literal| literal.holds);
        let alone = held().find_map(|literal| self.none_meets(&literal.atom));
        if alone.is_some() || self.of(case).next().is_some() {
            return alone;
        }
        Some(format!(
            "no inbound of this configuration ({}) matches it",
            self.shown()
        ))
    }

    /// The inbounds whose flows may be of this case.
    pub(super) fn of(&self, case: &Case<'_>) -> impl Iterator<Item = &'s Inbound> {
        let fits = |inbound: &&'s Inbound| {
            case.iter().all(|literal| match literal.holds {
                true => may_meet(inbound, &literal.atom.test),
                false => !always_meets(inbound, &literal.atom.test),
            })
        };
        self.inbounds.iter().copied().filter(fits)
    }

    fn none_meets(&self, atom: &Atom<'_>) -> Option<String> {
        let test = &*atom.test;
        if self.inbounds.iter().any(|inbound| may_meet(inbound, test)) {
            return None;
        }
        Some(match test {
            Condition::Text(..) => {
                let names: Vec<&str> = self.inbounds.iter().flat_map(|i| names(i)).collect();
                match names.is_empty() {
                    true => "no inbound here has a name".to_owned(),
                    false => format!(
                        "the inbounds of this configuration are named {}",
                        names.join(", ")
                    ),
                }
            }
            Condition::Network(Network::Icmp)
            | Condition::Port {
                network: Some(Network::Icmp),
                ..
            } => "proxy clients send no ICMP".to_owned(),
            Condition::Network(_) | Condition::Port { .. } => {
                "HTTP proxies carry no UDP".to_owned()
            }
            _ => format!(
                "no inbound of this configuration ({}) matches it",
                self.shown()
            ),
        })
    }

    /// `socks5:1080, http:8080`.
    pub(super) fn shown(&self) -> String {
        let some = self.inbounds.iter().take(MOST_SHOWN);
        let shown =
            some.map(|inbound| format!("{}:{}", inbound.kind.as_str(), inbound.listen.port()));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// What is certain of every flow of an inbound.
pub(super) fn certain(inbound: &Inbound) -> Vec<Test<'static>> {
    let kind = Some(inbound.kind).filter(|kind| *kind != InboundKind::Mixed);
    let port = Some(inbound.listen.port()).filter(|port| *port > 0);
    let mut all = vec![Condition::Inbound {
        kind,
        port,
        user: None,
    }];
    let mut names = names(inbound);
    if let (Some(_), Some(name), None) = (&inbound.alias, names.next(), names.next()) {
        all.push(Condition::Text(
            TextField::InboundName,
            TextTest::Exact(name.into()),
        ));
    }
    all.into_iter()
        .map(|test| Test::Key(Rc::new(test)))
        .collect()
}

/// Whether a flow of an inbound may meet a test.
fn may_meet(inbound: &Inbound, test: &Condition) -> bool {
    match test {
        Condition::Inbound { kind, port, user } => {
            let kinds = kind.is_none_or(|kind| kind.fits(inbound.kind) || inbound.kind.fits(kind));
            let own = inbound.listen.port();
            let ports = port.is_none_or(|port| own == 0 || own == port);
            let users = user
                .as_ref()
                .is_none_or(|user| inbound.users.iter().any(|known| known.name == *user));
            kinds && ports && users
        }
        Condition::Text(TextField::InboundName, test) => {
            names(inbound).any(|name| test.passes(name))
        }
        Condition::Network(network)
        | Condition::Port {
            network: Some(network),
            ..
        } => match network {
            Network::Icmp => false,
            Network::Tcp => true,
            Network::Udp => inbound.kind != InboundKind::Http,
        },
        _ => true,
    }
}

/// Whether every flow of an inbound meets a test.
fn always_meets(inbound: &Inbound, test: &Condition) -> bool {
    match test {
        Condition::Inbound {
            kind,
            port,
            user: None,
        } => {
            let kinds = kind.is_none_or(|kind| kind.fits(inbound.kind));
            kinds && port.is_none_or(|port| inbound.listen.port() == port)
        }
        Condition::Text(TextField::InboundName, test) => {
            inbound.alias.is_some() && names(inbound).all(|name| test.passes(name))
        }
        Condition::Network(Network::Tcp) => inbound.kind == InboundKind::Http,
        _ => false,
    }
}

/// The names that conditions may see: of users, else of the inbound itself.
fn names(inbound: &Inbound) -> impl Iterator<Item = &str> {
    let of_users = inbound.users.iter().filter_map(|user| user.alias.as_ref());
    of_users.chain(&inbound.alias).map(Arc::as_ref)
}
