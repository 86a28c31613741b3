//! What a picture shows: each policy once, with the inbounds and forwards that lead to it.
//!
//! An inbound with a list of allowed sources has a policy of its own in the [`Setup`], which begins with that list.
//! Here it leads to the policy that was written, and the list stands at the inbound.

use std::fmt;
use std::sync::Arc;

use pointsman_policy::condition::AddressOf;
use pointsman_policy::model::Node;
use pointsman_policy::{Condition, Policy, Prefix};

use crate::setup::{Balancing, Endpoint, Forward, PolicyId, Setup, Target};

/// How many ranges of allowed sources are named.
const RANGES: usize = 3;

/// Whether runs of alike rules are one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runs {
    /// One row that says how many.
    #[default]
    Folded,
    /// A row for each rule.
    Open,
}

/// A policy and what leads to it.
#[derive(Clone, Debug)]
pub struct Scene<'s> {
    /// As it was written.
    pub policy: &'s Policy,
    /// Inbounds, or the forward whose policy it is.
    pub entrances: Vec<Entrance>,
    /// Where the forward connects to whose policy it is.
    pub(super) forward: Option<Targets<'s>>,
}

/// Where a forward connects to.
#[derive(Clone, Debug)]
pub(super) struct Targets<'s> {
    /// Each with its name.
    pub(super) list: Vec<(&'s Arc<str>, &'s Target)>,
    /// How they are tried.
    pub(super) balancing: Option<&'s Balancing>,
}

/// An inbound or a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Its name.
    pub name: Arc<str>,
    /// Its type and where it listens: `mixed on 127.0.0.1:7890`.
    pub listens: String,
    /// Whom alone it takes: `192.168.1.0/24`; `None`: whoever reaches it.
    pub only_from: Option<String>,
}

impl Entrance {
    /// All but the name.
    pub(super) fn about(&self) -> String {
        match &self.only_from {
            Some(from) => format!("{}, only from {from}", self.listens),
            None => self.listens.clone(),
        }
    }
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.about())
    }
}

impl<'s> Scene<'s> {
    /// One line on the policy and what leads to it.
    #[must_use]
    pub fn heading(&self) -> String {
        let mut text = self.policy.name.to_string();
        if !self.entrances.is_empty() {
            let entrances: Vec<String> = self.entrances.iter().map(ToString::to_string).collect();
            text.push_str(", from ");
            text.push_str(&entrances.join(", "));
        }
        text.replace(char::is_control, "\u{fffd}")
    }

    /// A policy by itself.
    #[cfg(test)]
    pub(super) fn of(policy: &'s Policy) -> Self {
        Self {
            policy,
            entrances: Vec::new(),
            forward: None,
        }
    }
}

/// Every policy of a configuration once, in its order.
#[must_use]
pub fn scenes(setup: &Setup) -> Vec<Scene<'_>> {
    // Of each policy: the scene that shows it, and the list of allowed sources that it begins with.
    let mut shown: Vec<(usize, Option<String>)> = Vec::new();
    let mut scenes: Vec<Scene<'_>> = Vec::new();
    for (number, policy) in setup.policies.iter().enumerate() {
        let mut forwards = setup.forwards.iter();
        let forward = forwards.find(|forward| forward.policy == PolicyId(number));
        let written = forward.is_none().then(|| original(policy, &scenes));
        if let Some((scene, allowed)) = written.flatten() {
            shown.push((scene, Some(allowed)));
            continue;
        }
        shown.push((scenes.len(), None));
        scenes.push(Scene {
            policy,
            entrances: forward.map(of_forward).into_iter().collect(),
            forward: forward.map(|forward| Targets {
                list: setup.targets_of(forward).collect(),
                balancing: setup.balancing_of(forward),
            }),
        });
    }
    for inbound in &setup.inbounds {
        let Some((scene, only_from)) = shown.get(inbound.policy.0) else {
            continue;
        };
        if let Some(scene) = scenes.get_mut(*scene) {
            scene.entrances.push(Entrance {
                name: Arc::clone(&inbound.name),
                listens: format!("{} on {}", inbound.kind.as_str(), inbound.listen),
                only_from: only_from.clone(),
            });
        }
    }
    scenes
}

/// Whether the policies need headings to be told apart, or to be told whole.
#[must_use]
pub fn need_headings(scenes: &[Scene<'_>]) -> bool {
    let restricted = |scene: &Scene<'_>| scene.entrances.iter().any(|e| e.only_from.is_some());
    scenes.len() > 1 || scenes.iter().any(restricted)
}

/// The scene of the policy that this one is after its list of allowed sources, and that list.
fn original(policy: &Policy, scenes: &[Scene<'_>]) -> Option<(usize, String)> {
    let [Node::Rule(first), rest @ ..] = policy.body.nodes() else {
        return None;
    };
    let allowed = allowed(&first.condition)?;
    // Names of written policies differ, so one of the same name is the original.
    let known = scenes.iter().position(|scene| {
        let same = scene.policy.name == policy.name && scene.forward.is_none();
        same && scene.policy.body.nodes().len() == rest.len()
    })?;
    Some((known, ranges(allowed.into_iter())))
}

/// The ranges of a condition that holds for all sources but these.
fn allowed(condition: &Condition) -> Option<Vec<Prefix>> {
    let Condition::Not(inner) = condition else {
        return None;
    };
    let Condition::Or(parts) = &**inner else {
        return None;
    };
    let range = |part: &Condition| match part {
        Condition::Address {
            of: AddressOf::Source,
            prefix,
            ..
        } => Some(*prefix),
        _ => None,
    };
    parts.iter().map(range).collect()
}

fn of_forward(forward: &Forward) -> Entrance {
    let listens = forward.listen.iter();
    let listens: Vec<String> = listens.map(|listen| address(&listen.at)).collect();
    Entrance {
        name: Arc::clone(&forward.name),
        listens: format!("forward on {}", listens.join(", ")),
        only_from: (!forward.allow.is_empty()).then(|| ranges(forward.allow.iter().copied())),
    }
}

fn ranges(all: impl ExactSizeIterator<Item = Prefix>) -> String {
    let more = all.len().saturating_sub(RANGES);
    let mut shown: Vec<String> = all.take(RANGES).map(|range| range.to_string()).collect();
    if more > 0 {
        shown.push(format!("... and {more} more"));
    }
    shown.join(", ")
}

/// A listener's or a target's address, as configurations spell it.
pub(super) fn address(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Fd(number) => format!("fd://{number}"),
        Endpoint::Tcp(server) => format!("tcp://{server}"),
        Endpoint::Udp(server) => format!("udp://{server}"),
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
    }
}
