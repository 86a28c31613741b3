//! Recent flows through another configuration: which would go elsewhere, and why.
//!
//! Invariant: nothing is asked of the network or the host. What was learned of a flow is taken as it was then; the
//! databases alone are the candidate's own. An answer to a request holds for the same request. A flow that lacks a fact for the candidate is counted, never guessed.
//! A name that stays and means another server is another way.

mod behind;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_api as api;
use pointsman_api::explain::Decision;
use pointsman_api::flow::RuleRef;
use pointsman_api::replay::{Gone, MovedFlow, MovedGroup, OtherServer, Untold};
use pointsman_config::Problems;
use pointsman_config::explain::{Way, World, way};
use pointsman_config::own::Listeners;
use pointsman_config::setup::{Dialect, Setup};
use pointsman_net::record::FlowRecord;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Fact, Facts, Need, Policy, Step, Trace, explain};

use self::behind::{Behind, Teller};
use crate::app::{App, InForce};
use crate::candidate::{Checked, Occasion, Refused, checked};
use crate::dependencies::Recorder;
use crate::members::Selected;
use crate::records;

/// Examples of each group.
const EXAMPLES: usize = 3;

/// What is asked of a replay.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayOptions {
    /// The candidate; `None`: the daemon's own configuration as it is now.
    pub config: Option<PathBuf>,
    /// Its text, where it is not to be read.
    pub text: Option<String>,
    /// Its language.
    pub dialect: Option<Dialect>,
    /// So many flows at most, the latest.
    pub last: Option<usize>,
    /// Whether to keep names, addresses and programs out of the answer.
    pub redact: bool,
}

/// Recent flows that were decided, or that no rule decides: oldest first, the live ones too.
pub(crate) fn lately(app: &App, last: Option<usize>) -> Vec<Arc<FlowRecord>> {
    let mut all = app.plane.recent();
    all.extend(app.plane.flows().iter().map(|flow| Arc::new(flow.record())));
    all.retain(|record| record.action.is_some() && !records::is_over_a_limit(record));
    all.sort_by_key(|record| record.id);
    // One that ended in between is in both.
    all.dedup_by_key(|record| record.id);
    let surplus = all.len().saturating_sub(last.unwrap_or(usize::MAX));
    all.drain(..surplus);
    all
}

/// What of a flow's fate is found by a policy without asking anybody.
pub(crate) fn decide(policy: &Policy, facts: &mut Facts) -> Result<Step, Need> {
    loop {
        match policy.decide(facts) {
            Step::Need(Need::Country) if facts.lacks(Need::Country) => find_country(policy, facts),
            Step::Need(need) => return Err(need),
            step => return Ok(step),
        }
    }
}

pub(crate) fn find_country(policy: &Policy, facts: &mut Facts) {
    facts.sought.to_mut().geo = match facts.destination_address() {
        Some(address) => policy.databases.lookup(address),
        None => Fact::Absent,
    };
}

/// Reads, checks and tests a configuration (the daemon's as it is now, where no other is named), puts the flows of
/// lately through it, and changes nothing. As [`App::reload`] it goes to its end.
pub(crate) async fn run(
    app: &Arc<App>,
    asked: ReplayOptions,
) -> Result<(api::Replay, Problems), Refused> {
    let turn = app.turn_to_replay().await?;
    let going_on = Arc::clone(app);
    app.to_its_end(async move {
        let _turn = turn;
        run_now(going_on, asked).await
    })
    .await
}

async fn run_now(app: Arc<App>, asked: ReplayOptions) -> Result<(api::Replay, Problems), Refused> {
    let mut origin = app.origin.clone();
    if let Some(config) = &asked.config {
        origin.path = Some(config.clone());
        origin.dialect = asked.dialect;
    }
    let mut files = Recorder::new(Arc::clone(&app.origin.spares));
    if let (Some(path), Some(text)) = (&origin.path, &asked.text) {
        files.pretend(path.clone(), text.clone());
    }
    let occasion = Occasion::Reload(app.generation().1);
    let reading = tokio::task::spawn_blocking(move || checked(&origin, &occasion, &files));
    let candidate = reading
        .await
        .map_err(|error| Refused::Apply(error.to_string()))?;
    let Checked { setup, problems } = candidate?;
    let replaying = tokio::task::spawn_blocking(move || put_through(&app, &setup, &asked));
    let replayed = replaying
        .await
        .map_err(|error| Refused::Apply(error.to_string()))?;
    Ok((replayed, problems))
}

/// Puts the flows of lately through the candidate.
fn put_through(app: &App, candidate: &Setup, asked: &ReplayOptions) -> api::Replay {
    let in_force = app.in_force();
    let redact = asked.redact || in_force.about().history.redact || candidate.history.redact;
    let config = asked.config.as_ref().or(app.origin.path.as_ref());
    let mut replay = api::Replay {
        config: config.map(|path| path.display().to_string()),
        generation: in_force.number().to_string(),
        flows: 0,
        same: 0,
        by_another_rule: 0,
        moved: 0,
        untold: Vec::new(),
        gone: Vec::new(),
        groups: Vec::new(),
        redacted: redact,
        warnings: app.would_lose(candidate),
    };
    let mut untold: BTreeMap<&str, u64> = BTreeMap::new();
    let mut gone: BTreeMap<&str, u64> = BTreeMap::new();
    let mut groups: HashMap<Alike, MovedGroup> = HashMap::new();
    let records = lately(app, asked.last);
    let teller = Teller::default();
    for record in &records {
        replay.flows += 1;
        let Some((policy, mut facts)) = arrival(candidate, record) else {
            *gone.entry(&record.listener).or_default() += 1;
            continue;
        };
        carry_verdicts(app, record, policy, &mut facts);
        let step = match decide(policy, &mut facts) {
            Ok(step) => step,
            Err(need) => {
                *untold.entry(need.as_str()).or_default() += 1;
                continue;
            }
        };
        let setup = app.generation_of(record.generation);
        let (from, before) = went(app, &in_force, &teller, record);
        let (to, then) = would_go(&in_force, &teller, candidate, policy, &facts, &step);
        // Nobody knows any more what stood behind a name of a generation that is gone.
        let behind = match (before, then) {
            (Some(before), Some(then)) if from == to && before != then => Some((before, then)),
            _ => None,
        };
        let old_rule = record.decision.as_ref().and_then(|d| d.rule.as_ref());
        let old_rule = old_rule.map(records::rule);
        let new_rule = match &step {
            Step::Decided(decision) => decision.rule.as_ref().map(records::rule),
            Step::Need(_) | Step::NoRoute => None,
        };
        if from == to && behind.is_none() {
            replay.same += 1;
            // A rule that merely moved is the same one.
            let text = |rule: Option<RuleRef>| rule.map(|rule| rule.text);
            replay.by_another_rule += u64::from(text(old_rule) != text(new_rule));
            continue;
        }
        replay.moved += 1;
        let alike = Alike {
            from,
            to,
            behind,
            old_rule,
            new_rule,
        };
        let group = groups.entry(alike).or_insert_with_key(|alike| MovedGroup {
            from: alike.from.clone(),
            to: alike.to.clone(),
            other_server: alike.behind.as_ref().map(|ends| other_server(ends, redact)),
            old_rule: alike.old_rule.clone(),
            new_rule: alike.new_rule.clone(),
            flows: 0,
            old_reason: old_reason(record, setup.as_deref(), redact),
            new_reason: new_reason(policy, &facts, &step, redact),
            examples: Vec::new(),
        });
        group.flows += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(example(record, redact));
        }
    }
    let count = |(fact, flows): (&str, u64)| (fact.to_owned(), flows);
    let untold = untold.into_iter().map(count);
    replay.untold = untold.map(|(fact, flows)| Untold { fact, flows }).collect();
    let gone = gone.into_iter().map(count);
    replay.gone = gone
        .map(|(inbound, flows)| Gone { inbound, flows })
        .collect();
    replay.groups = groups.into_values().collect();
    let first = |group: &MovedGroup| group.examples.first().map(|flow| flow.id);
    replay
        .groups
        .sort_by_key(|group| (std::cmp::Reverse(group.flows), first(group)));
    replay
}

/// What flows have in common that would go elsewhere alike.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    from: Decision,
    to: Decision,
    /// Where both are the same, what stood behind it and what would.
    behind: Option<(Behind, Behind)>,
    old_rule: Option<RuleRef>,
    new_rule: Option<RuleRef>,
}

/// What was answered to the questions of the flow's own policy, as far as `policy` asks the same ones; where its own
/// is no longer kept nobody knows what was asked.
pub(crate) fn carry_verdicts(app: &App, record: &FlowRecord, policy: &Policy, facts: &mut Facts) {
    if facts.sought.verdicts.is_empty() {
        return;
    }
    let setup = app.like(record.generation);
    let own = setup
        .as_deref()
        .and_then(|setup| setup.policies.get(record.policy));
    facts.sought.to_mut().verdicts = own.map_or_else(Vec::new, |own| {
        policy
            .body
            .carried(&record.facts.sought.verdicts, &own.body)
    });
}

/// Whether a flow came by a forward: an inbound may have the same name.
pub(crate) fn is_of_forward(record: &FlowRecord) -> bool {
    let inbound = record.facts.inbound.known();
    inbound.is_some_and(|it| it.kind == InboundKind::Forward)
}

/// The policy that the flow would meet, and its facts as they would be there.
fn arrival<'s>(candidate: &'s Setup, record: &FlowRecord) -> Option<(&'s Policy, Facts)> {
    let mut facts = record.facts.clone();
    // The candidate has databases of its own.
    facts.sought.to_mut().geo = Fact::Unknown;
    if is_of_forward(record) {
        let mut forwards = candidate.forwards.iter();
        let forward = forwards.find(|it| it.name == record.listener)?;
        let policy = candidate.policies.get(forward.policy.0)?;
        return Some((policy, facts));
    }
    let inbounds = &candidate.inbounds;
    let inbound = inbounds.iter().find(|it| it.name == record.listener)?;
    if let Fact::Known(seen, _) = &mut facts.inbound {
        let user = inbound
            .users
            .iter()
            .find(|user| Some(&user.name) == seen.user.as_ref());
        let own = user.and_then(|user| user.alias.clone());
        seen.name = own.or_else(|| inbound.alias.clone());
    }
    let policy = candidate.policies.get(inbound.policy.0)?;
    Some((policy, facts))
}

/// Where the flow went, by the members that are selected now: who selected another one since moved the flow, not
/// the candidate. By its record where its generation is no longer kept.
fn went(
    app: &App,
    in_force: &InForce,
    teller: &Teller,
    record: &FlowRecord,
) -> (Decision, Option<Behind>) {
    let setup = app.like(record.generation);
    let known = setup
        .as_deref()
        .and_then(|setup| Some((setup, setup.policies.get(record.policy)?)));
    match known {
        Some((setup, policy)) => {
            let step = record.decision.clone().map_or(Step::NoRoute, Step::Decided);
            would_go(in_force, teller, setup, policy, &record.facts, &step)
        }
        None => {
            let decision = Decision {
                outbound: record.outbound.as_ref().map(ToString::to_string),
                action: record.action.map_or(api::Action::None, records::action),
                member: record.member.as_ref().map(ToString::to_string),
                groups: Vec::new(),
            };
            (decision, None)
        }
    }
}

/// Where it goes by that policy of that configuration, and what stands behind that.
fn would_go(
    in_force: &InForce,
    teller: &Teller,
    setup: &Setup,
    policy: &Policy,
    facts: &Facts,
    step: &Step,
) -> (Decision, Option<Behind>) {
    let selected = Selected { in_force, policy };
    let world = World {
        selection: &selected,
        listeners: &Listeners::of(setup),
        dialled: &[],
    };
    let (
        _,
        Way {
            outbound,
            member,
            action,
            refused: _,
            guarded: _,
            // The same way out by other groups is the same way.
            groups: _,
        },
    ) = way(policy, facts, step, world);
    let behind = outbound.map(|id| teller.tell(setup, &selected, id, member));
    let name = |id| policy.outbound(id).name.to_string();
    let decision = Decision {
        outbound: outbound.map(name),
        action,
        member: member.map(name),
        groups: Vec::new(),
    };
    (decision, behind)
}

fn other_server((before, then): &(Behind, Behind), redact: bool) -> OtherServer {
    let told = |end: &Behind| (!redact).then(|| end.text.clone());
    OtherServer {
        from: told(before),
        to: told(then),
        // What else there is that differs, and is not told.
        other_login: before.text == then.text,
    }
}

fn old_reason(record: &FlowRecord, setup: Option<&Setup>, redact: bool) -> String {
    let policy = setup.and_then(|setup| setup.policies.get(record.policy));
    match (policy, &record.decision) {
        (Some(policy), Some(decision)) => {
            let step = Step::Decided(decision.clone());
            new_reason(policy, &record.facts, &step, redact)
        }
        (None, Some(decision)) if redact || record.note.is_empty() => redacted(decision),
        (None, Some(decision)) => format!("{}: {}", redacted(decision), record.note),
        (_, None) => records::reason(record, setup),
    }
}

/// One sentence; a redacted one says which rule, and nothing that it saw.
fn new_reason(policy: &Policy, facts: &Facts, step: &Step, redact: bool) -> String {
    if !redact {
        let mut trace = Trace::default();
        policy.decide_traced(facts, &mut trace);
        return explain::sentence(policy, step, Some(&trace));
    }
    match step {
        Step::Decided(decision) => redacted(decision),
        Step::Need(_) | Step::NoRoute => explain::sentence(policy, step, None),
    }
}

fn redacted(decision: &pointsman_policy::decision::Decision) -> String {
    match &decision.rule {
        Some(rule) => rule.to_string(),
        None => decision.reason.to_string(),
    }
}

fn example(record: &FlowRecord, redact: bool) -> MovedFlow {
    let facts = &record.facts;
    let (mut destination, mut process) = (None, None);
    if !redact {
        let host = facts.destination.known().map(ToString::to_string);
        let host = record.domain().map(ToString::to_string).or(host);
        let port = facts.port.known().map(|port| format!(":{port}"));
        destination = host.map(|host| host + &port.unwrap_or_default());
        let owner = facts.sought.owner.known();
        process = owner.and_then(|owner| owner.name.known().map(ToString::to_string));
    }
    MovedFlow {
        id: record.id,
        destination,
        process,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pointsman_policy::Provenance;
    use pointsman_policy::fact::Inbound;

    use super::*;

    #[test]
    fn a_flow_meets_the_policy_of_its_own_listener_where_two_have_one_name() {
        let files = pointsman_config::files::Memory::new([(
            "c.yaml",
            "version: 1\ninbounds: { x: { type: mixed, listen: 1, policy: main } }\n\
             forwards: { x: { listen: 'tcp://127.0.0.1:2', targets: [ { name: t, address: 'tcp://192.0.2.1:1' } ] } }\n\
             policies: { main: direct }\n",
        )]);
        let loaded = pointsman_config::load(Path::new("c.yaml"), None, None, &files);
        let setup = loaded.setup.unwrap();
        let meets = |kind| {
            let mut record = FlowRecord {
                listener: "x".into(),
                ..FlowRecord::default()
            };
            let inbound = Inbound {
                kind,
                name: None,
                port: None,
                user: None,
            };
            record.facts.inbound = Fact::Known(inbound, Provenance::Inbound);
            let (policy, _) = arrival(&setup, &record).unwrap();
            policy.name.to_string()
        };
        assert_eq!(meets(InboundKind::Forward), "x");
        assert_eq!(meets(InboundKind::Socks5), "main");
    }
}
