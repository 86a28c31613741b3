//! Lowering of L4 forwards, shared by the dialects that have them: a forward becomes a group of
//! hidden targets and a policy of at most two rules.
//!
//! Invariant: where there is a list of allowed sources, a client that has no address (a Unix
//! socket's) is not on it.

use std::sync::Arc;

use pointsman_policy::condition::AddressOf;
use pointsman_policy::condition::Asks;
use pointsman_policy::model::{DomainOrder, OnUnknown, Origin, OutboundInfo, Rule};
use pointsman_policy::{Condition, Node, OutboundId, Policy, Prefix};

use crate::outbounds::Outbounds;
use crate::problem::{Problems, Span};
use crate::setup::{Balance, Endpoint, Forward, OutboundKind, Target};
use crate::yaml::Node as Key;

/// Where the parts of a forward stand, for explanations.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// The list of allowed sources.
    pub allow: Origin,
    /// The targets.
    pub targets: Origin,
}

/// Adds the group of the forward `index` and its targets to the table.
pub fn define(
    index: usize,
    name: &str,
    targets: &[Target],
    span: &Span,
    outbounds: &mut Outbounds,
    problems: &mut Problems,
) -> Option<OutboundId> {
    let group = outbounds.define(name, OutboundKind::Forward(index), span, problems)?;
    for (target, number) in targets.iter().zip(0..) {
        let kind = OutboundKind::Target {
            forward: index,
            target: number,
            via: target.via,
        };
        outbounds.define_hidden(&target.name, kind, span);
    }
    Some(group)
}

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
        outbound: forward.outbound,
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
pub fn check_targets(targets: &[(Target, Span)], balance: Balance, problems: &mut Problems) {
    for (at, (target, span)) in targets.iter().enumerate() {
        let earlier = targets[..at].iter().find(|(t, _)| t.name == target.name);
        if let Some((_, first)) = earlier {
            let message = format!(
                "two targets are named `{}`: explanations cannot tell them apart",
                target.name
            );
            problems.warning("duplicate-name", span, message).related =
                Some((first.clone(), "first here".into()));
        }
    }
    if balance == Balance::None
        && let [_, (_, second), ..] = targets
    {
        let message = "without a balance only the first target is used";
        problems.warning("unused-target", second, message).hint =
            Some("`failover` tries them in turn".into());
    }
}
