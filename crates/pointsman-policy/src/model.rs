//! The policy as data: outbounds by name, rule sets, zones, and a body of nodes in order.
//!
//! Every dialect lowers to this one model. It is immutable once built; a reload builds another.

mod body;

use std::sync::Arc;

pub use body::{Body, each_origin};

use crate::condition::{Asks, Condition, TextField, TextTest, ZoneOf};
use crate::fact::Protocol;
use crate::geo::GeoDatabases;
use crate::request::Request;
use crate::rule_text::RuleText;
use crate::set::RuleSet;
use crate::zone::{ZoneId, Zones};

/// An outbound of the configuration: an index into [`Policy::outbounds`], the same in every policy
/// of one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboundId(pub u32);

/// A rule set: an index into [`Policy::sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u32);

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
    /// Whether it can carry UDP. For a group it is the member's that counts.
    pub carries_udp: bool,
}

/// What an outbound is.
#[derive(Clone, Debug)]
pub enum OutboundKind {
    /// One of its members at a time. The first is selected until somebody selects another.
    Group(Vec<OutboundId>),
    /// One way out (chains too).
    Plain(Action),
}

/// Where a rule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Relative to the configuration's directory.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// The rule as written, on one line, without its comment.
    pub text: RuleText,
}

/// One step of a policy, tried in order until one decides.
#[derive(Clone, Debug)]
pub enum Node {
    /// Its nodes in order; falls through when none decides (`any [ ... ]`).
    Any(Vec<Self>),
    /// A message when the condition holds; never decides (`.INSTRUMENT`).
    Instrument {
        /// When.
        condition: Condition,
        /// The subscription's number.
        id: u32,
        /// What to say.
        message: Template,
        /// Where it stands.
        origin: Origin,
    },
    /// Decides.
    Leaf {
        /// The way out.
        outbound: OutboundId,
        /// Where it stands. `FALLBACK` and a tree's last word are leaves.
        origin: Origin,
    },
    /// Somebody outside is asked where the condition holds: the answer decides, or lets the flow go on (`.REQUEST`).
    Request {
        /// When.
        condition: Condition,
        /// Who, and what counts where nobody answers.
        request: Request,
        /// Where it stands.
        origin: Origin,
    },
    /// From here on the address of a named destination is known (`.LOCAL-RESOLVE`).
    Resolve(Origin),
    /// Decides when the condition holds: a line of a rule list.
    Rule(Rule),
    /// Looks a key up; falls through where no arm has it or its branch does not decide
    /// (`cond domain|ip|protocol { key => branch }`).
    Select(Select),
    /// Once the condition holds, the body alone decides: no way back (`.SUB-DISPATCH`).
    Sub {
        /// When.
        condition: Condition,
        /// The sub-rules, `FALLBACK` last.
        body: Vec<Self>,
        /// Where it stands.
        origin: Origin,
    },
    /// Tries the branch when the condition holds; falls through when that does not decide
    /// (`cond port eq N => branch`).
    When {
        /// When.
        condition: Condition,
        /// The branch.
        then: Box<Self>,
        /// `else =>`, tried when the condition does not hold.
        otherwise: Option<Box<Self>>,
        /// Where it stands.
        origin: Origin,
    },
}

/// A condition and the way out of those who meet it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// When.
    pub condition: Condition,
    /// The way out.
    pub outbound: OutboundId,
    /// Where it stands.
    pub origin: Origin,
    /// For app and domain rules: which of the fixed steps it belongs to.
    pub class: Option<Class>,
}

/// policy-router's part of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The step.
    pub source: Source,
    /// How the pattern matched. A suffix pattern that equals the name reports [`Matcher::Exact`].
    pub pattern: Arc<str>,
}

/// policy-router's fixed steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An app rule.
    AppRule,
    /// A blocked app.
    BlockApp,
    /// A blocked domain.
    BlockDomain,
    /// Nothing matched.
    Default,
    /// A domain rule.
    DomainRule,
}

/// How a pattern matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// The name itself.
    Exact,
    /// A name below.
    Suffix,
}

/// `cond domain|ip|protocol { ... }`.
#[derive(Clone, Debug)]
pub struct Select {
    /// What is looked up.
    pub on: SelectOn,
    /// In the order written; keys differ.
    pub arms: Vec<Arm>,
    /// Where it stands.
    pub origin: Origin,
}

/// What a [`Select`] looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectOn {
    /// The protocol.
    Protocol,
    /// The zone of the address or the domain.
    Zone(ZoneOf, Asks),
}

/// One `key => branch`.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The key.
    pub key: ArmKey,
    /// The branch.
    pub then: Node,
    /// Where it stands: `secret-sites => privacyproxy`; text of a nested branch's arm ends with
    /// its first line (`https-only => cond protocol {`).
    pub origin: Origin,
}

/// The key of an [`Arm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArmKey {
    /// A protocol.
    Protocol(Protocol),
    /// A zone.
    Zone(ZoneId),
}

/// A message with variables, checked when it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub Vec<TemplatePart>);

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text.
    Text(Arc<str>),
    /// A variable by its name (`addr.dst`); known to be one of those that exist.
    Variable(Arc<str>),
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
}

/// A text field and test, as [`Condition::Text`] takes them.
pub type TextCondition = (TextField, TextTest);
