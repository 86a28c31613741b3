//! The policy as data: outbounds by name, rule sets, zones, and a body of nodes in order.
//!
//! Every dialect lowers to this one model. It is immutable once built; a reload builds another.

mod body;
mod node;
mod requests;
pub mod udp;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use body::Body;
pub use node::{
    Arm, ArmKey, Node, Rule, Select, SelectOn, Template, TemplatePart, each_node, each_origin,
};

use crate::condition::{AnswerTest, Condition};
use crate::geo::GeoDatabases;
pub use crate::ids::{OutboundId, SetId};
pub use crate::origin::{Class, Matcher, Origin, RuleKey, Source};
use crate::set::RuleSet;
use crate::zone::Zones;
use udp::Udp;

/// The most outbounds that a flow passes on its way: groups, chains, and each of a chain's hops. More are refused where
/// a configuration is read, and not followed where it runs.
pub const MOST_NESTED: u8 = 12;

/// What an outbound does to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Silence.
    Blackhole,
    /// From this host, without another in between.
    Direct,
    /// By way of another host.
    Proxy,
    /// The inbound protocol's own refusal, else as [`Action::Reset`].
    Reject,
    /// TCP RST, ICMP unreachable.
    Reset,
}

/// An outbound as the policy sees it.
#[derive(Clone, Debug)]
pub struct OutboundInfo {
    /// As the configuration spells it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: OutboundKind,
    /// Whether it carries UDP.
    pub udp: Udp,
}

/// What an outbound is.
#[derive(Clone, Debug)]
pub enum OutboundKind {
    /// One of its members at a time. The first is selected until somebody selects another.
    Group(Vec<OutboundId>),
    /// One way out (chains too).
    Plain(Action),
}

/// In which order the names of a flow count as its domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DomainOrder {
    /// The request or the fake address, else the first bytes, else DNS correlation.
    #[default]
    Native,
    /// The request or the fake address alone (BoltConn).
    Requested,
    /// The request or the fake address, else the first bytes (BoltConn with `sni_sniff`).
    RequestedElseSniffed,
    /// The first bytes, which are always asked for, else the request (reflow).
    SniffedElseRequested,
}

impl DomainOrder {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::Native,
        Self::Requested,
        Self::RequestedElseSniffed,
        Self::SniffedElseRequested,
    ];

    /// Its word in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "all",
            Self::Requested => "requested",
            Self::RequestedElseSniffed => "requested-else-sniffed",
            Self::SniffedElseRequested => "sniffed-else-requested",
        }
    }
}

/// What becomes of a flow at a rule whose condition is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// It is refused there.
    Reject,
    /// The rule does not match.
    #[default]
    Skip,
}

/// A policy, whole and immutable.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name (a reflow rule's name, `main` for others).
    pub name: Arc<str>,
    /// All outbounds of the configuration, by [`OutboundId`].
    pub outbounds: Arc<[OutboundInfo]>,
    /// The plain direct outbound: where the loop guard sends flows.
    pub direct: OutboundId,
    /// The steps, in order.
    pub body: Body,
    /// Rule sets, by [`SetId`].
    pub sets: Arc<[Arc<RuleSet>]>,
    /// reflow's zones.
    pub zones: Arc<Zones>,
    /// Country and ASN databases: who answers [`crate::Need::Country`] asks them.
    pub databases: Arc<GeoDatabases>,
    /// Which name is the domain.
    pub domain_order: DomainOrder,
    /// What an unknown condition does.
    pub on_unknown: OnUnknown,
}

impl Policy {
    /// The outbound's entry.
    ///
    /// # Panics
    /// When the number is not of this configuration.
    #[must_use]
    pub fn outbound(&self, id: OutboundId) -> &OutboundInfo {
        &self.outbounds[id.0 as usize]
    }

    /// Adds the rule sets that a condition may look into, by way of other sets' entries too.
    pub fn gather_sets(&self, condition: &Condition, found: &mut BTreeSet<SetId>) {
        condition.each_test(&mut |test| {
            if let Condition::Set(id, _) | Condition::Answer(AnswerTest::AliasIn(id)) = test
                && found.insert(*id)
                && let Some(set) = self.sets.get(id.0 as usize)
            {
                for other in set.others() {
                    self.gather_sets(&other.condition, found);
                }
            }
        });
    }
}
