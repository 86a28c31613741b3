//! What a policy may ask for at all, told from its text alone.
//!
//! Invariant: [`Policy::decide`] never names a need that [`Policy::wants`] denies.

use super::message::needed;
use crate::condition::{AddressOf, Asks, Condition, NumberField, TextField, ZoneOf};
use crate::fact::{Need, Network};
use crate::model::{Arm, DomainOrder, Node, Policy, SelectOn};
use crate::origin::Origin;
use crate::template::Variable;

impl Policy {
    /// Whether some rule may ask for this fact. A daemon that nobody asks for processes need not
    /// be able to find them.
    #[must_use]
    pub fn wants(&self, need: Need) -> bool {
        self.first_asking(need).is_some()
    }

    /// The first rule, from the top, that may ask for this fact.
    #[must_use]
    pub fn first_asking(&self, need: Need) -> Option<&Origin> {
        Wants::new(self, Some(need)).first(self.body.iter())
    }

    /// The same among the rules that may hold of a flow over TCP: those on UDP alone ask nothing of it.
    #[must_use]
    pub fn first_asking_of_streams(&self, need: Need) -> Option<&Origin> {
        let wants = Wants {
            streams: true,
            ..Wants::new(self, Some(need))
        };
        wants.first(self.body.iter())
    }

    /// The first rule, from the top, that may ask for more of the client's process than its user: for what is known
    /// only to whom may look at the process.
    #[must_use]
    pub fn first_asking_for_a_program(&self) -> Option<&Origin> {
        let need = Some(Need::Owner);
        let wants = Wants {
            user: true,
            ..Wants::new(self, need)
        };
        wants.first(self.body.iter())
    }

    /// Whether some rule or message looks at the code point of the client's packets, which costs a daemon two
    /// calls of the system a flow.
    #[must_use]
    pub fn reads_dscp(&self) -> bool {
        Wants::new(self, None).first(self.body.iter()).is_some()
    }
}

struct Wants<'a> {
    policy: &'a Policy,
    /// `None`: DSCP, which is known at accept and so never asked for.
    need: Option<Need>,
    /// Whether a process's user is none of its facts.
    user: bool,
    /// Of flows over TCP alone.
    streams: bool,
}

impl<'a> Wants<'a> {
    fn new(policy: &'a Policy, need: Option<Need>) -> Self {
        Self {
            policy,
            need,
            user: false,
            streams: false,
        }
    }

    /// The first of these steps, or of those within them, that may ask.
    fn first<'p>(&self, mut nodes: impl Iterator<Item = &'p Node>) -> Option<&'p Origin> {
        nodes.find_map(|node| self.within(node))
    }

    fn within<'p>(&self, node: &'p Node) -> Option<&'p Origin> {
        let asks = |condition| self.top(condition);
        if node.condition().is_some_and(asks) || self.by_itself(node) {
            return node.origin();
        }
        self.first(node.children())
    }

    /// Whether a step may ask besides its condition and the steps within it.
    fn by_itself(&self, node: &Node) -> bool {
        match node {
            Node::Instrument { message, .. } => {
                let mut variables = message.variables();
                variables.any(|variable| self.said(variable))
            }
            Node::Request { request, .. } => {
                let own = [Need::Owner, Need::Verdict(request.number())].map(Some);
                own.contains(&self.need)
            }
            Node::Resolve(_) => self.need == Some(Need::Resolve),
            Node::Select(select) => match select.on {
                SelectOn::Protocol => {
                    let may_be = |arm: &Arm| !self.streams || arm.key.may_be_over(Network::Tcp);
                    self.need == Some(Need::Sniff) && select.arms.iter().any(may_be)
                }
                SelectOn::Zone(ZoneOf::Address, asks) => self.address(asks),
                SelectOn::Zone(ZoneOf::Domain, _) => self.domain(),
            },
            Node::Any(_)
            | Node::Leaf { .. }
            | Node::Rule(_)
            | Node::Sub { .. }
            | Node::When { .. } => false,
        }
    }

    fn said(&self, variable: Variable) -> bool {
        match self.need {
            None => variable == Variable::Number(NumberField::Dscp),
            need => needed(variable) == need,
        }
    }

    fn top(&self, condition: &Condition) -> bool {
        self.condition(condition, Asks::Resolve, 0)
    }

    fn condition(&self, condition: &Condition, limit: Asks, depth: usize) -> bool {
        let least = |own: Asks| match limit {
            Asks::Never => Asks::Never,
            Asks::Resolve => own,
        };
        if self.streams && is_of_datagrams(condition) {
            return false;
        }
        match condition {
            Condition::Address { of, asks, .. } => match of {
                AddressOf::Destination | AddressOf::Either => self.address(least(*asks)),
                AddressOf::Outgoing => self.need == Some(Need::Local),
                AddressOf::Source => false,
            },
            // Conditions are tested in their order.
            Condition::And(all) => {
                let may_hold = |inner: &&Condition| !(self.streams && is_of_datagrams(inner));
                let mut tested = all.iter().take_while(may_hold);
                tested.any(|inner| self.condition(inner, limit, depth))
            }
            Condition::Or(any) => any.iter().any(|inner| self.condition(inner, limit, depth)),
            Condition::Asn(_, asks) | Condition::Country(_, asks) => {
                self.need == Some(Need::Country) || self.address(least(*asks))
            }
            Condition::Domain(_) => self.domain(),
            Condition::Not(inner) => self.condition(inner, limit, depth),
            Condition::Number(NumberField::DnsType, _) => false,
            Condition::Number(field, _) => field.need() == self.need,
            Condition::Protocol(_) => self.need == Some(Need::Sniff),
            Condition::Set(id, asks) => {
                let Some(set) = self.policy.sets.get(id.0 as usize) else {
                    return false;
                };
                let asks = least(*asks);
                (set.has_names() && self.domain())
                    || (set.has_prefixes() && self.address(asks))
                    || (depth < super::conditions::DEEPEST
                        && set
                            .others()
                            .iter()
                            .any(|other| self.condition(&other.condition, asks, depth + 1)))
            }
            Condition::Text(TextField::User, _) if self.user => false,
            Condition::Text(field, _) => self.need.is_some() && field.need() == self.need,
            Condition::Zone(ZoneOf::Address, _, asks) => self.address(least(*asks)),
            Condition::Zone(ZoneOf::Domain, ..) => self.domain(),
            Condition::AddressKind(_)
            | Condition::Always
            | Condition::Answer(_)
            | Condition::Inbound { .. }
            | Condition::Network(_)
            | Condition::Never
            | Condition::Port { .. } => false,
        }
    }

    fn domain(&self) -> bool {
        self.need == Some(Need::Sniff)
            && match self.policy.domain_order {
                DomainOrder::Requested => false,
                DomainOrder::Native
                | DomainOrder::RequestedElseSniffed
                | DomainOrder::SniffedElseRequested => true,
            }
    }

    fn address(&self, asks: Asks) -> bool {
        self.need == Some(Need::Resolve) && asks == Asks::Resolve
    }
}

/// Whether no flow over TCP fits: of such a flow it asks nothing.
fn is_of_datagrams(condition: &Condition) -> bool {
    condition.network().is_some_and(|of| of != Network::Tcp)
}
