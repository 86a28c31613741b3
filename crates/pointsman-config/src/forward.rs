//! Lowering of L4 forwards, shared by the dialects that have them: a forward becomes a group of
//! hidden targets and a policy of at most two rules.
//!
//! Invariant: where there is a list of allowed sources, a client that has no address (a Unix
//! socket's) is not on it.

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::condition::AddressOf;
use pointsman_policy::condition::Asks;
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, OutboundInfo, Rule};
use pointsman_policy::{Condition, Node, OutboundId, Policy, Prefix};
use pointsman_spec::door::{Admission, DoorLimits, Speaks};

use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::setup::{
    Balance, Balancing, Carrier, DoorSpec, Endpoint, Forward, Group, How, Inbound, Kind, Listen,
    PolicyId, Setup, Target,
};
use crate::yaml::Node as Key;

/// The longest silence before a probe that Linux takes (`MAX_TCP_KEEPIDLE`).
pub(crate) const LONGEST_PROBES: Duration = Duration::from_secs(32_767);

/// Where the parts of a forward stand, for explanations.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// The list of allowed sources.
    pub allow: Origin,
    /// The targets.
    pub targets: Origin,
}

/// What the group of a forward is made of.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The targets, each with its name, which is the member's in explanations.
    pub targets: Vec<(Arc<str>, Target, Span)>,
    /// How they are tried.
    pub balancing: Balancing,
}

impl Draft {
    /// The names of the targets: `a, b`.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.targets.iter().map(|(name, ..)| &**name).collect();
        names.join(", ")
    }

    /// Adds the group and its targets to the table.
    pub fn define(
        self,
        name: &str,
        span: &Span,
        outbounds: &mut Outbounds,
        problems: &mut Problems,
    ) -> Option<OutboundId> {
        let Self { targets, balancing } = self;
        let mut group = Group {
            members: Vec::new(),
            how: How::Balanced(balancing),
        };
        let id = outbounds.define(name, Kind::Choose(group.clone()), span, problems)?;
        for (name, target, place) in targets {
            let kind = Kind::Carry(Carrier::Target(target));
            let member = outbounds.define_hidden(&name, kind, &place);
            group.members.push(member);
        }
        outbounds.set_kind(id, Kind::Choose(group));
        Some(id)
    }
}

/// The door of a forward, but for its policy, which is made when all outbounds are known.
#[must_use]
pub fn door(name: &str, listen: Vec<Listen>) -> DoorSpec {
    DoorSpec {
        name: name.into(),
        alias: Some(name.into()),
        listen,
        policy: PolicyId::default(),
        resolver: None,
        admits: Admission::default(),
        speaks: Speaks::Nothing,
        tls: None,
        web_path: None,
        same_family: false,
        limits: DoorLimits::default(),
        access_log: None,
    }
}

/// How targets are chosen, by the words that a dialect has for it; `None`: by server name, which is not built yet.
pub type Chosen = Option<Balance>;

/// Why a group refuses every flow whose targets are to be chosen by server name.
pub const NOT_BY_NAME: &str = "choosing a target by server name is not built yet";

/// The policy of a forward: who is not on its list is reset, the others get its group.
#[must_use]
pub fn policy(
    forward: &Forward,
    origins: Origins,
    outbounds: &Arc<[OutboundInfo]>,
    direct: OutboundId,
    reset: OutboundId,
) -> Policy {
    let mut body = Vec::new();
    if !forward.allow.is_empty() {
        body.push(Node::Rule(Rule {
            condition: not_from(&forward.allow),
            outbound: reset,
            origin: origins.allow,
            class: None,
        }));
    }
    body.push(Node::Leaf {
        outbound: forward.group,
        origin: origins.targets,
    });
    Policy {
        name: Arc::clone(&forward.name),
        outbounds: Arc::clone(outbounds),
        direct,
        body: body.into(),
        sets: Arc::default(),
        zones: Arc::default(),
        databases: Arc::default(),
        domain_order: DomainOrder::Native,
        on_unknown: OnUnknown::Reject,
    }
}

/// Holds for clients with no address in `allow`, so for those without an address too.
#[must_use]
pub fn not_from(allow: &[Prefix]) -> Condition {
    let from = |prefix: &Prefix| Condition::Address {
        of: AddressOf::Source,
        prefix: *prefix,
        asks: Asks::Never,
    };
    Condition::Not(Box::new(Condition::Or(allow.iter().map(from).collect())))
}

/// From where clients of an inbound with a list of allowed sources may come: the ranges of the rule with which its policy
/// begins; none where it begins otherwise.
#[must_use]
pub fn allowed(setup: &Setup, inbound: &Inbound) -> Vec<Prefix> {
    let policy = setup.policies.get(inbound.policy.0);
    let first = policy.and_then(|policy| policy.body.first());
    let Some(Condition::Not(inner)) = first.and_then(Node::condition) else {
        return Vec::new();
    };
    let Condition::Or(ranges) = &**inner else {
        return Vec::new();
    };
    let range = |condition: &Condition| match condition {
        Condition::Address {
            of: AddressOf::Source,
            prefix,
            ..
        } => Some(*prefix),
        _ => None,
    };
    ranges.iter().filter_map(range).collect()
}

/// The place of a key for explanations: its line, and what it says in one line of text.
#[must_use]
pub fn origin(key: &Span, text: String) -> Origin {
    Origin {
        file: Arc::clone(key.file()),
        line: key.line(),
        text: text.into(),
    }
}

/// Warns of Unix sockets whose clients a list of allowed sources, the key `list`, shuts out.
pub fn check_unix<'a>(
    listen: impl Iterator<Item = &'a Endpoint>,
    key: &Key,
    list: &str,
    problems: &mut Problems,
) {
    let (unix, others): (Vec<_>, Vec<_>) =
        listen.partition(|endpoint| matches!(endpoint, Endpoint::Unix(_)));
    if unix.is_empty() {
        return;
    }
    let (whom, hint) = match others.is_empty() {
        true => ("every connection", "leave it out"),
        false => (
            "each of theirs",
            "give the socket a forward of its own without the list",
        ),
    };
    let message = format!(
        "clients of a Unix socket have no address, so none is in `{list}`: {whom} is refused"
    );
    problems
        .warning("unreachable-forward", &key.span, message)
        .hint = Some(format!(
        "{hint}; who may use a socket is said by the rights of its directory and its file"
    ));
}

/// Warns of what a forward can never do: targets without a turn, two of one name.
pub fn check_targets(targets: &[(Arc<str>, Span)], chosen: Chosen, problems: &mut Problems) {
    for (at, (target, span)) in targets.iter().enumerate() {
        let earlier = targets[..at].iter().find(|(name, _)| name == target);
        if let Some((_, first)) = earlier {
            let message =
                format!("two targets are named `{target}`: explanations cannot tell them apart");
            let name = |span: &Span| span.find(target).unwrap_or_else(|| span.clone());
            problems
                .warning("duplicate-name", &name(span), message)
                .related = Some((name(first), "first here".into()));
        }
    }
    if chosen == Some(Balance::None)
        && let [_, (_, second), ..] = targets
    {
        let message = "without a balance only the first target is used";
        problems.warning("unused-target", second, message).hint =
            Some("`failover` tries them in turn".into());
    }
}
