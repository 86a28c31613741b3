//! Explanations: what the engine decided, as the control API says it.
//!
//! Invariant: the same [`render`] serves `explain` offline, the daemon's answers and policy tests; it
//! decides nothing, except what a group's selection and a flow's transport make of an outbound.

mod above;
mod asked;
mod decided;
mod looked_into;
mod names;
mod requests;
mod told;
mod ways;

use std::net::IpAddr;

use pointsman_api::explain::{self as api, AppDomain, Explained, TraceLine};
use pointsman_api::{Action, Explanation};
use pointsman_policy::decision::{Decision, Reason, Step, Trace, Verdict, Visit};
use pointsman_policy::fact::{Facts, Need, Network};
use pointsman_policy::model::udp::NoUdp;
use pointsman_policy::model::{Matcher, OutboundKind, Source};
use pointsman_policy::refused::{Refused, Refuser};
use pointsman_policy::{Matched, OutboundId, Policy, explain, guard};

pub use self::above::{Above, way};
pub use self::asked::{asked, tell_look_up};
pub use self::decided::{Decided, LookedInto};
pub(crate) use self::names::name_looked;
pub use self::names::{name, server};
pub use self::ways::hint_of_groups;
use crate::files::Files;
use crate::flow::{BadFlow, Query};
use crate::list::ListFile;
use crate::list::query::{Standing, stands};
use crate::own::Listeners;
use crate::setup::{Dialect, Setup};

/// What only a running daemon knows.
pub trait Selection {
    /// The member of a group that is selected; `None` where nobody selected one, then it is the first.
    fn selected(&self, group: OutboundId) -> Option<OutboundId>;

    /// Whether an address is this host's own.
    fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback()
    }
}

/// Nobody selected anything: the first member of each group; and of this host nothing but loopback is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct First;

impl Selection for First {
    fn selected(&self, _group: OutboundId) -> Option<OutboundId> {
        None
    }
}

/// How much of a trace is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Runs of rules that did not hold are counted.
    #[default]
    Folded,
    /// Every rule visited.
    Full,
}

/// All that an explanation is made of.
pub struct View<'a> {
    /// The dialect, for what app and domain rules have besides.
    pub dialect: Dialect,
    /// The policy that decided.
    pub policy: &'a Policy,
    /// The flow.
    pub facts: &'a Facts,
    /// What the policy answered.
    pub step: &'a Step,
    /// The way there.
    pub trace: &'a Trace,
    /// What was asked, in order.
    pub asked: &'a [Need],
    /// What was said, where the flow was described.
    pub said: Option<&'a Query>,
    /// What else there is.
    pub world: World<'a>,
    /// How much is told.
    pub detail: Detail,
}

/// What a flow's way depends on besides its policy.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The groups, and which addresses are this host's.
    pub selection: &'a dyn Selection,
    /// What the configuration listens on.
    pub listeners: &'a Listeners<'a>,
    /// The addresses of a named destination that would be dialled, where the policy did not ask for them.
    pub dialled: &'a [IpAddr],
}

/// Where a decision leads once groups and transport are minded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The outbound of the decision.
    pub outbound: Option<OutboundId>,
    /// For a group: the way out finally selected.
    pub member: Option<OutboundId>,
    /// The groups between them, outermost first.
    pub groups: Vec<OutboundId>,
    /// What becomes of the flow.
    pub action: Action,
    /// Why the flow is refused although the rules let it go.
    pub refused: Option<Above>,
    /// The loop guard turned a proxy into this.
    pub guarded: bool,
}

/// Explains a flow that is described, asking nobody.
///
/// # Errors
/// [`BadFlow`] when the description does not fit the configuration.
pub fn explain(
    setup: &Setup,
    query: &Query,
    selection: &dyn Selection,
    detail: Detail,
) -> Result<Explanation, BadFlow> {
    Ok(Decided::of(setup, query)?.explanation(selection, detail))
}

/// Compares the list's entry that an explanation names with the file, which is read for it, and adds to the
/// reason where the file says something else by now: sets know fingerprints and lines, no texts.
pub fn verify(explanation: &mut Explanation, lists: &[ListFile], files: &dyn Files) {
    let rule = explanation.rule.as_ref();
    let Some(entry) = rule.and_then(|rule| rule.entry.as_ref()) else {
        return;
    };
    if entry.line == 0 {
        return;
    }
    let standing = Standing {
        line: entry.line,
        text: entry.text.clone(),
    };
    let mut read = lists
        .iter()
        .filter(|list| list.shown() == Some(&entry.file))
        .map(|list| stands(list, files, &standing).unwrap_or(false))
        .peekable();
    // Several sets may be parts of one file.
    if read.peek().is_some() && !read.any(|stands| stands) {
        let said = format!(
            "; `{}` does not say so any more: it changed since it was loaded",
            entry.file
        );
        explanation.reason.push_str(&said);
    }
}

/// Says in the words of the control API what the engine decided.
#[must_use]
pub fn render(view: &View<'_>) -> Explanation {
    let View { policy, trace, .. } = view;
    let (step, way) = way(policy, view.facts, view.step, view.world);
    let step = &step;
    let name = |id: OutboundId| policy.outbound(id).name.to_string();
    let decision = match step {
        Step::Decided(decision) => Some(decision),
        Step::Need(_) | Step::NoRoute => None,
    };
    let app_domain = app_domain(view, decision, &way);
    let reason = match (&app_domain, decision) {
        (
            Some(app_domain),
            Some(Decision {
                reason: Reason::Fallback { .. } | Reason::Rule,
                ..
            }),
        ) => app_domain_reason(app_domain),
        _ => explain::sentence(policy, step, Some(trace)),
    };
    let above = match way.refused {
        None if way.guarded => Some((Refuser::LoopGuard, reason.clone())),
        Some(_) | None => None,
    };
    let rule = decision.and_then(api_rule);
    let mut explanation = Explanation {
        id: None,
        decision: api::Decision {
            outbound: way.outbound.map(name),
            action: way.action,
            member: way.member.map(name),
            groups: way.groups.iter().copied().map(name).collect(),
        },
        rule,
        trace: trace_lines(view, above),
        hops: Vec::new(),
        look_up: None,
        reason,
        asked: view
            .asked
            .iter()
            .map(|need| need.as_str().to_owned())
            .collect(),
        app_domain,
        generation: None,
        steps: Vec::new(),
        requests: Vec::new(),
        flow: Some(told::flow(view.facts)),
        hints: Vec::new(),
    };
    if let Some(query) = view.said {
        if let Some(flow) = &mut explanation.flow {
            told::complete(flow, query);
        }
        explanation.hints = told::hints(query, view.asked, trace, view.facts);
        if let (Some(Above::OwnListener(network, at)), None) = (way.refused, &query.inbound) {
            explanation
                .hints
                .extend(told::whose(network, at, view.world));
        }
    }
    match way.refused {
        Some(Above::OwnListener(Network::Udp, at)) => {
            let at = format!("udp://{at}");
            refuse(&mut explanation, &guard::own_listener(at));
        }
        Some(Above::OwnListener(_, at)) => refuse(&mut explanation, &guard::own_listener(at)),
        Some(Above::LocalAddress(at)) => refuse(&mut explanation, &guard::local_address(at)),
        Some(Above::LikeAddress) => {
            if let Some(name) = view.facts.destination_name() {
                refuse(&mut explanation, &guard::like_address(name));
            }
        }
        Some(Above::Nowhere(nowhere)) => refuse(&mut explanation, &nowhere.refused()),
        Some(Above::NoUdp(NoUdp { outbound, why })) => {
            refuse(&mut explanation, &guard::no_udp(&name(outbound), why));
        }
        None => {}
    }
    explanation
}

/// Says of a described flow where the outbound that it would take is not built yet, and so refuses it.
pub fn hint_of_the_way(explanation: &mut Explanation, setup: &Setup) {
    ways::hint(explanation, setup);
}

/// Says of a described flow which rule sets its rules looked into that hold nothing, because they were never fetched.
pub fn hint_of_sets(explanation: &mut Explanation, setup: &Setup, policy: &Policy, trace: &Trace) {
    let empty = looked_into::of(setup, policy, || trace).unfetched;
    explanation.hints.extend(empty.iter().map(|name| {
        format!("the rule set `{name}` was not fetched yet and is empty: once it is fetched this may be otherwise")
    }));
}

/// What is known of a flow, without any policy.
#[must_use]
pub fn flow(facts: &Facts) -> Explained {
    told::flow(facts)
}

/// Says that a flow is refused which the rules let go, by what and why; in the trace that is a row of its own.
pub fn refuse(explanation: &mut Explanation, refused: &Refused) {
    let line = above_rules(refused.by(), refused.why().to_owned());
    explanation.trace.push(line);
    explanation.reason = format!("{refused}; {}", explanation.reason);
    explanation.decision.action = Action::Reject;
}

/// An outbound, each group behind it, and the way out; groups that hold each other end at the last one.
fn chain(policy: &Policy, outbound: OutboundId, selection: &dyn Selection) -> Vec<OutboundId> {
    let mut all = vec![outbound];
    let mut at = outbound;
    for _ in 0..=policy.outbounds.len() {
        match &policy.outbound(at).kind {
            OutboundKind::Plain(_) => break,
            OutboundKind::Group(members) => {
                let selected = selection
                    .selected(at)
                    .filter(|member| members.contains(member));
                match selected.or_else(|| members.first().copied()) {
                    Some(member) => at = member,
                    None => break,
                }
            }
        }
        all.push(at);
    }
    all
}

fn said(action: pointsman_policy::Action) -> Action {
    use pointsman_policy::Action as Engine;
    match action {
        Engine::Blackhole => Action::Blackhole,
        Engine::Direct => Action::Direct,
        Engine::Proxy => Action::Proxy,
        Engine::Reject => Action::Reject,
        Engine::Reset => Action::Reset,
    }
}

fn trace_lines(view: &View<'_>, above: Option<(Refuser, String)>) -> Vec<TraceLine> {
    let mut lines = folded(view.trace, view.detail);
    lines.extend(above.map(|(by, because)| above_rules(by, because)));
    lines
}

/// The rules that were visited.
fn folded(trace: &Trace, detail: Detail) -> Vec<TraceLine> {
    let mut lines = Vec::new();
    for visit in &trace.visits {
        let no = visit.verdict == Verdict::No;
        match lines.last_mut() {
            Some(TraceLine::Skipped { skipped }) if no && detail == Detail::Folded => {
                *skipped += 1;
            }
            _ if no && detail == Detail::Folded => {
                lines.push(TraceLine::Skipped { skipped: 1 });
            }
            _ => lines.push(TraceLine::Visit(visited(visit))),
        }
    }
    lines
}

/// The rule that decided, with the entry that it found.
fn api_rule(decision: &Decision) -> Option<api::Rule> {
    let origin = decision.rule.as_ref()?;
    let entry = decision.entry.as_ref().map(Matched::entry);
    Some(api::Rule {
        text: origin.text.to_string(),
        file: origin.file.to_string(),
        line: origin.line,
        entry: entry.map(|entry| api::Entry {
            text: entry.text.to_string(),
            file: entry.file.to_string(),
            line: entry.line,
        }),
    })
}

fn visited(visit: &Visit) -> api::Visit {
    api::Visit {
        file: visit.origin.file.to_string(),
        line: visit.origin.line,
        text: visit.origin.text.to_string(),
        result: match visit.verdict {
            Verdict::No => "no",
            Verdict::Unknown(_) => "unknown",
            Verdict::Yes => "yes",
        }
        .to_owned(),
        because: visit.to_string(),
    }
}

/// What stands in no file.
fn above_rules(by: Refuser, because: String) -> TraceLine {
    TraceLine::Visit(api::Visit {
        file: String::new(),
        line: 0,
        text: by.as_str().to_owned(),
        result: "yes".to_owned(),
        because,
    })
}

// === app and domain rules ===

fn app_domain(view: &View<'_>, decision: Option<&Decision>, way: &Way) -> Option<AppDomain> {
    if view.dialect != Dialect::PolicyRouter {
        return None;
    }
    let decision = decision?;
    let (source, matcher) = match (&decision.class, &decision.reason) {
        (_, Reason::LoopGuard { .. }) => ("loop_guard", None),
        (Some((class, matcher)), _) => {
            let matcher = api::Matcher {
                kind: match matcher {
                    Matcher::Exact => "exact",
                    Matcher::Suffix => "suffix",
                }
                .to_owned(),
                pattern: class.pattern.to_string(),
            };
            (source_word(class.source), Some(matcher))
        }
        (None, _) => (source_word(Source::Default), None),
    };
    let egress = way
        .outbound
        .map(|id| view.policy.outbound(id).name.to_string());
    Some(AppDomain {
        source: source.to_owned(),
        rule_egress: egress.unwrap_or_default(),
        matcher,
    })
}

fn source_word(source: Source) -> &'static str {
    match source {
        Source::AppRule => "app_rule",
        Source::BlockApp => "block_app",
        Source::BlockDomain => "block_domain",
        Source::Default => "default",
        Source::DomainRule => "domain_rule",
    }
}

/// The sentences that users of app and domain rules know.
fn app_domain_reason(explained: &AppDomain) -> String {
    let AppDomain {
        source,
        rule_egress: egress,
        matcher,
    } = explained;
    let Some(api::Matcher { kind, pattern }) = matcher else {
        return format!("default: egress '{egress}' (no rules matched)");
    };
    match source.as_str() {
        "block_app" => {
            format!(
                "blocked: app {kind} match '{pattern}' -> egress '{egress}' has highest priority"
            )
        }
        "block_domain" => {
            format!(
                "blocked: domain {kind} match '{pattern}' -> egress '{egress}' has highest priority"
            )
        }
        "app_rule" => format!("app rule: {kind} match '{pattern}' -> egress '{egress}'"),
        _ => format!("domain rule: {kind} match '{pattern}' -> egress '{egress}'"),
    }
}

#[cfg(test)]
mod tests;
