//! What may be anything: rule sets, and facts of flows that did not come in yet.

use std::net::IpAddr;

use super::truths::Views;
use crate::condition::{AddressOf, Asks, Condition, NumberField, TextField};
use crate::fact::{Facts, Need};
use crate::ids::SetId;
use crate::model::Policy;
use crate::plan::Class;

/// What may be anything besides the facts that may be asked for.
pub(super) struct Free {
    pub(super) at_accept: AtAccept,
    /// By [`SetId`]: those of which nobody knows whether they hold.
    sets: Vec<bool>,
    /// Whether an entry of such a set may look at something that could not be found.
    pub(super) breaks: bool,
}

/// The facts that a flow has when it comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AtAccept {
    /// All are settled.
    Known,
    /// No flow came in: its name is known.
    Name { client: Client },
}

/// The client's address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Known,
    Free,
}

/// How a test may come out whatever is known.
pub(super) enum Either {
    /// As what is known says.
    Told,
    /// It may hold before anything else is looked at; or as what is known says.
    YesOrTold,
    YesOrNo,
    /// Also unknown.
    Any,
}

impl Free {
    /// Those of a flow that came in.
    pub(super) fn of_flow(policy: &Policy, facts: &Facts, free: &[SetId]) -> Self {
        let mut sets = Vec::new();
        if !free.is_empty() {
            let all = (0..).map(SetId).take(policy.sets.len());
            sets.extend(all.map(|id| free.contains(&id)));
        }
        Self {
            at_accept: AtAccept::Known,
            sets,
            breaks: breaks(facts),
        }
    }

    /// Those of flows to a name, by what is known of their client.
    pub(super) fn of_name(client: Option<IpAddr>) -> Self {
        let client = match client {
            Some(_) => Client::Known,
            None => Client::Free,
        };
        Self {
            at_accept: AtAccept::Name { client },
            sets: Vec::new(),
            breaks: true,
        }
    }

    /// Whether the facts of a class may be anything, where the address of a named destination is seen so.
    pub(super) fn class(&self, class: Class, at: Views) -> bool {
        let AtAccept::Name { client } = self.at_accept else {
            return false;
        };
        match class {
            Class::Asn(asks) | Class::Country(asks) | Class::Destination(asks) => {
                asks == Asks::Resolve || at.has(true)
            }
            Class::Inbound
            | Class::Network
            | Class::Outgoing
            | Class::Port
            | Class::Protocol(_)
            | Class::SourcePort
            | Class::Text(_) => true,
            Class::Source => client == Client::Free,
            Class::AddressKind | Class::Domain => false,
        }
    }

    pub(super) fn set(&self, id: SetId) -> bool {
        self.sets.get(id.0 as usize) == Some(&true)
    }

    /// How a test on facts may come out; of a set its entries tell.
    pub(super) fn test(&self, test: &Condition) -> Either {
        let AtAccept::Name { client } = self.at_accept else {
            return Either::Told;
        };
        match test {
            Condition::Address { of, .. } => match (of, client) {
                (AddressOf::Either, Client::Free) => Either::YesOrTold,
                (AddressOf::Source, Client::Free) => Either::YesOrNo,
                (AddressOf::Destination | AddressOf::Outgoing, _) | (_, Client::Known) => {
                    Either::Told
                }
            },
            // Whatever comes in has an inbound and a network, and may have ports.
            Condition::Inbound { .. }
            | Condition::Network(_)
            | Condition::Port { .. }
            | Condition::Text(TextField::InboundName, _) => Either::YesOrNo,
            // Some of these are told over one network alone, which is not known.
            // No flow has one.
            Condition::Number(NumberField::DnsType, _) => Either::Told,
            Condition::Number(..) | Condition::Protocol(_) | Condition::Text(..) => Either::Any,
            Condition::AddressKind(_)
            | Condition::Always
            | Condition::And(_)
            // No flow has one.
            | Condition::Answer(_)
            | Condition::Asn(..)
            | Condition::Country(..)
            | Condition::Domain(_)
            | Condition::Never
            | Condition::Not(_)
            | Condition::Or(_)
            | Condition::Set(..)
            | Condition::Zone(..) => Either::Told,
        }
    }
}

/// Whether any fact could not be found, or may yet come out so.
fn breaks(facts: &Facts) -> bool {
    let asked = |need| facts.lacks(need) || facts.failure(need).is_some();
    let Facts {
        network: _,
        query_type: _,
        inbound,
        source,
        destination,
        port,
        sought,
    } = facts;
    let of_owner = sought.owner.known().is_some_and(|process| {
        let texts = [
            &process.name,
            &process.path,
            &process.command_line,
            &process.user,
            &process.cgroup,
            &process.unit,
            &process.tag,
        ];
        process.pid.failure().is_some() || texts.iter().any(|text| text.failure().is_some())
    });
    Need::ALL.into_iter().any(asked)
        || of_owner
        || inbound.failure().is_some()
        || source.failure().is_some()
        || destination.failure().is_some()
        || port.failure().is_some()
        || sought.dscp.failure().is_some()
        || sought.fake_ip.failure().is_some()
        || sought.correlated.failure().is_some()
}
