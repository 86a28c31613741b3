//! Rules with what they decided, and what earlier ones took from later ones.
//!
//! Invariant: what a rule shadows is told of flows that were there, by the policy in force; a later rule that would
//! need a fact that was never learned took nothing.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use pointsman_api as api;
use pointsman_api::rules::{RuleState, Shadow};
use pointsman_config::Setup;
use pointsman_net::plane::{RuleTally, Tallied, Tally};
use pointsman_net::record::FlowRecord;
use pointsman_policy::decision::{Decision, Reason};
use pointsman_policy::model::{Origin, RuleKey};
use pointsman_policy::{Policy, Step};

use crate::app::App;
use crate::records;
use crate::replay::{carry_verdicts, decide, find_country, is_of_forward, lately};

/// Conditions that are tried at most for what rules shadow: some seconds' work. With very long lists fewer flows are
/// looked at, the latest, and the answer says how many.
const MOST_TRIED: usize = 20_000_000;
/// Earlier rules that are named for each rule.
const SHADOWS: usize = 5;

/// All rules; with `shadowed` also what earlier ones took from them.
pub(crate) fn list(app: &App, shadowed: bool) -> api::RuleList {
    let in_force = app.in_force();
    let setup = in_force.about();
    let mut rules = in_force.rules().to_vec();
    // Others decide only where something broke, and a named tree that no flow comes to counts where it is used.
    let met = policies_met(setup);
    rules.retain(|rule| {
        let name = setup.policies.get(rule.policy).map(|policy| &*policy.name);
        let met = name.is_some_and(|name| met.contains(name));
        (rule.decides && met) || rule.tally.numbers().flows > 0
    });
    // First those that ended: a flow that ends in between is missed, and never counted twice.
    let ended: Vec<Tallied> = rules.iter().map(|rule| rule.tally.numbers()).collect();
    let mut live: HashMap<*const Tally, Tallied> = HashMap::new();
    for flow in app.plane.flows() {
        let Some(tally) = flow.tally() else { continue };
        let record = flow.record();
        let now = live.entry(std::ptr::from_ref(&**tally)).or_default();
        now.flows += 1;
        now.bytes_sent += record.bytes_sent;
        now.bytes_received += record.bytes_received;
        now.last_ms = record.started_ms.max(now.last_ms);
    }
    let now = |rule: &RuleTally| {
        let now = live.get(&std::ptr::from_ref(&*rule.tally)).copied();
        now.unwrap_or_default()
    };
    let counted = rules.iter().zip(ended);
    let counted: Vec<(Arc<Tally>, Tallied)> = counted
        .map(|(rule, ended)| (Arc::clone(&rule.tally), together(ended, now(rule))))
        .collect();
    // What was missed makes nothing fall.
    let counted = app.hits.told(counted);
    let (mut shadows, replayed) = match shadowed {
        true => {
            let (shadows, replayed) = shadows(app, setup, rules.len());
            (shadows, Some(replayed))
        }
        false => (HashMap::new(), None),
    };
    let state = |(rule, hits): (&RuleTally, Tallied)| {
        let policy = setup.policies.get(rule.policy);
        RuleState {
            policy: policy.map_or_else(String::new, |policy| policy.name.to_string()),
            rule: records::rule(&rule.origin),
            last_word: rule.last_word,
            hits: hits.flows,
            bytes_sent: hits.bytes_sent,
            bytes_received: hits.bytes_received,
            last_hit: (hits.last_ms > 0).then_some(hits.last_ms),
            shadowed_by: shadows.remove(&rule.origin.key()).unwrap_or_default(),
        }
    };
    api::RuleList {
        generation: in_force.number().to_string(),
        since: Some(app.counts.since()),
        rules: rules.iter().zip(counted).map(state).collect(),
        replayed,
    }
}

fn together(one: Tallied, other: Tallied) -> Tallied {
    Tallied {
        flows: one.flows.saturating_add(other.flows),
        bytes_sent: one.bytes_sent.saturating_add(other.bytes_sent),
        bytes_received: one.bytes_received.saturating_add(other.bytes_received),
        last_ms: one.last_ms.max(other.last_ms),
    }
}

/// The names of the policies that flows meet; who admits not everybody has a copy of the same name.
fn policies_met(setup: &Setup) -> HashSet<&str> {
    let of_forwards = setup.forwards.iter().map(|it| it.policy);
    let of_inbounds = setup.inbounds.iter().map(|it| it.policy);
    let met = of_forwards.chain(of_inbounds);
    met.filter_map(|id| Some(&*setup.policies.get(id.0)?.name))
        .collect()
}

type Shadows = HashMap<RuleKey, Vec<Shadow>>;

/// For each rule the earlier ones that took its flows; and how many flows were looked at.
fn shadows(app: &App, setup: &Setup, rules: usize) -> (Shadows, u64) {
    let records = lately(app, Some(MOST_TRIED / rules.max(1)));
    // Later rule, earlier rule: flows, and those that would go another way.
    let mut taken: HashMap<(RuleKey, RuleKey), (Origin, u64, u64)> = HashMap::new();
    for record in &records {
        let Some(policy) = policy_of(setup, record) else {
            continue;
        };
        let mut facts = record.facts.clone();
        carry_verdicts(app, record, policy, &mut facts);
        // Where it is not told what decides, nobody knows from whom it was taken.
        let Ok(Step::Decided(Decision {
            rule: Some(earlier),
            outbound,
            ..
        })) = decide(policy, &mut facts)
        else {
            continue;
        };
        find_country(policy, &mut facts);
        policy.every_decision(&facts, |decision| {
            if let Some(later) = &decision.rule
                && decision.reason == Reason::Rule
                && *later != earlier
            {
                let key = (later.key(), earlier.key());
                let entry = taken.entry(key);
                let (_, flows, elsewhere) = entry.or_insert_with(|| (earlier.clone(), 0, 0));
                *flows += 1;
                *elsewhere += u64::from(decision.outbound != outbound);
            }
            ControlFlow::Continue(())
        });
    }
    let mut shadows = Shadows::new();
    for ((later, _), (earlier, flows, elsewhere)) in taken {
        shadows.entry(later).or_default().push(Shadow {
            rule: records::rule(&earlier),
            flows,
            elsewhere,
        });
    }
    for shadow in shadows.values_mut() {
        shadow.sort_by_key(|shadow| (std::cmp::Reverse(shadow.flows), shadow.rule.line));
        shadow.truncate(SHADOWS);
    }
    (shadows, u64::try_from(records.len()).unwrap_or(u64::MAX))
}

/// The policy that a flow meets.
fn policy_of<'s>(setup: &'s Setup, record: &FlowRecord) -> Option<&'s Policy> {
    let listener = &record.listener;
    let id = match is_of_forward(record) {
        true => {
            let mut forwards = setup.forwards.iter();
            forwards.find(|it| it.name == *listener)?.policy
        }
        false => {
            let mut inbounds = setup.inbounds.iter();
            inbounds.find(|it| it.name == *listener)?.policy
        }
    };
    setup.policies.get(id.0).map(|policy| &**policy)
}
