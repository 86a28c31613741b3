//! Flows as the control API tells them: the data plane's records in the wire's words.

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_api as api;
use pointsman_config::Setup;
use pointsman_config::explain::{flow, refuse};
use pointsman_net::record::{Attempt, End, FlowRecord, Note, PassedBy, rfc3339};
use pointsman_policy::fact::{Geo, InboundKind, Look, Process};
use pointsman_policy::model::Origin;
use pointsman_policy::refused::Refuser;
use pointsman_policy::{Action, Fact, Facts, Host, Matched, Need, Step, explain};

/// A record for clients; `setup` is its generation's.
pub(crate) fn wire(record: &FlowRecord, setup: Option<&Setup>) -> api::FlowRecord {
    let facts = &record.facts;
    let inbound = facts.inbound.known();
    let process = facts.sought.owner.known();
    let decision = record.decision.as_ref();
    let rule = decision.and_then(|d| d.rule.as_ref());
    let incidents = &record.incidents;
    let text = |text: &Arc<str>| text.to_string();
    api::FlowRecord {
        id: record.id,
        generation: record.generation.to_string(),
        time: rfc3339(record.started_ms),
        start: record.started_ms,
        duration_ms: u64::try_from(record.lasted.as_millis()).unwrap_or(u64::MAX),
        network: facts.network.as_str().to_owned(),
        source: facts.source.known().map(ToString::to_string),
        destination: api::flow::Destination {
            host: facts.destination.known().map(Host::to_string),
            port: facts.port.known().copied(),
        },
        domain: record.domain().map(ToString::to_string),
        dns_name_from: record.domain_from().map(str::to_owned),
        dns_name_error: record.domain_error().map(str::to_owned),
        protocol: facts
            .sought
            .look
            .known()
            .map(|look| look.protocol.as_str().to_owned()),
        server: incidents.banner.as_ref().map(|banner| api::flow::Server {
            protocol: banner.protocol.as_str().to_owned(),
            software: banner.software.clone(),
        }),
        inbound: api::flow::Inbound {
            kind: inbound.map_or("", |i| i.kind.as_str()).to_owned(),
            name: inbound
                .and_then(|i| i.name.as_ref())
                .or(Some(&record.listener))
                .map(text),
            port: inbound.and_then(|i| i.port),
            user: inbound.and_then(|i| i.user.as_ref()).map(text),
        },
        association: record.note == Note::Association,
        outbound: record.outbound.as_ref().map(text),
        member: record.member.as_ref().map(text),
        target: setup.and_then(|setup| target(record, setup)),
        groups: record.groups.iter().map(text).collect(),
        passed_by: incidents.passed_by.iter().map(passed_by).collect(),
        attempts: incidents.attempts.iter().map(attempt).collect(),
        action: record.action.map_or(api::Action::None, action),
        rule: rule.map(self::rule),
        reason: reason(record, setup),
        answered_early: record.answered_early,
        bytes_sent: record.bytes_sent,
        bytes_received: record.bytes_received,
        ended: record.ended.as_ref().map(|end| end.as_str().to_owned()),
        ended_by: record.ended.as_ref().and_then(End::by).map(str::to_owned),
        error: record.error().map(str::to_owned),
        process: process.map(|p| api::flow::ProcessRef {
            name: p.name.known().map(text),
            pid: p.pid.known().copied(),
        }),
        messages: incidents
            .messages
            .iter()
            .map(|(_, message)| text(message))
            .collect(),
        took_us: api::flow::Took {
            sniff: record.took.sniff_us,
            resolve: record.took.resolve_us,
            owner: record.took.owner_us,
            country: record.took.country_us,
            local: record.took.local_us,
            verdict: record.took.verdict_us,
            dial: record.took.dial_us,
        },
    }
}

/// Where the target is that a forward's flow was taken to.
fn target(record: &FlowRecord, setup: &Setup) -> Option<String> {
    let name = record.member.as_ref()?;
    let forward = setup.forwards.iter().find(|it| {
        let group = setup.outbound(it.group).map(|it| &it.name);
        group == record.outbound.as_ref()
    })?;
    let mut targets = setup.targets_of(forward);
    let (_, target) = targets.find(|(known, _)| *known == name)?;
    Some(target.address.to_string())
}

fn passed_by(PassedBy { target, rest }: &PassedBy) -> api::flow::PassedBy {
    api::flow::PassedBy {
        target: target.to_string(),
        reason: rest.to_string(),
    }
}

fn attempt(attempt: &Attempt) -> api::flow::Attempt {
    let Attempt {
        target,
        error,
        times,
        took_us,
    } = attempt;
    api::flow::Attempt {
        target: target.to_string(),
        error: error.to_string(),
        times: *times,
        took_us: *took_us,
    }
}

/// A rule for clients.
pub(crate) fn rule(origin: &Origin) -> api::flow::RuleRef {
    api::flow::RuleRef {
        text: origin.text.to_string(),
        file: origin.file.to_string(),
        line: origin.line,
    }
}

/// Where a flow was refused although its rules let it go, the explanation says so: the data plane may have seen
/// more than the facts tell, as the address that a name was dialled at, or how many connections there were.
pub(crate) fn above_rules(record: &FlowRecord, explanation: &mut api::Explanation) {
    let carried = [api::Action::Direct, api::Action::Proxy];
    let refused = record.note.refused();
    if let Some(refused) = refused.filter(|_| record.action == Some(Action::Reject))
        && carried.contains(&explanation.decision.action)
    {
        refuse(explanation, refused);
        if record
            .facts
            .inbound
            .known()
            .is_some_and(|it| it.kind == InboundKind::Forward)
        {
            // Its targets are no rule that has a say in it.
            explanation.reason = record.note.to_string();
        }
        explanation.decision.member = record.member.as_ref().map(ToString::to_string);
    }
}

/// What a record alone tells of its flow: no trace, for the configuration that decided it is no longer kept.
pub(crate) fn remembered(record: &FlowRecord) -> api::Explanation {
    let hint = format!(
        "there is no trace: the configuration that decided this flow (generation {}) is no longer kept; \
         the last three loads are",
        record.generation
    );
    told(record, hint)
}

/// Whether a limit refused a flow before any rule was asked.
pub(crate) fn is_over_a_limit(record: &FlowRecord) -> bool {
    let refused = record.note.refused();
    refused.is_some_and(|refused| refused.by() == Refuser::FlowLimit)
}

/// What is to be said of a flow about which no rule was asked; `None`: they were, or are yet to be.
pub(crate) fn unasked(record: &FlowRecord) -> Option<api::Explanation> {
    if record.decision.is_some() {
        return None;
    }
    let why = match (&record.note, &record.ended) {
        (Note::Association, _) => {
            "no rule was asked: this is the connection of an association, and its flows are decided one by one \
             (`pointsman flows list network=udp --recent`)"
        }
        _ if is_over_a_limit(record) => "no rule was asked: a limit refused the flow before",
        (note, Some(_)) if note.is_empty() => "no rule was asked: the flow ended before",
        _ => return None,
    };
    let mut told = told(record, why.to_owned());
    if told.reason.is_empty() {
        let ended = record.ended.as_ref();
        let why = ended.and_then(End::error);
        told.reason = why.unwrap_or("the client left").to_owned();
    }
    Some(told)
}

fn told(record: &FlowRecord, hint: String) -> api::Explanation {
    let decision = record.decision.as_ref();
    let rule = decision.and_then(|decision| decision.rule.as_ref());
    let entry = decision.and_then(|decision| decision.entry.as_ref());
    let entry = entry.map(Matched::entry).map(|entry| api::explain::Entry {
        text: entry.text.to_string(),
        file: entry.file.to_string(),
        line: entry.line,
    });
    let text = |text: &Arc<str>| text.to_string();
    let sought = sought(&record.facts);
    api::Explanation {
        id: None,
        decision: api::explain::Decision {
            outbound: record.outbound.as_ref().map(text),
            action: record.action.map_or(api::Action::None, action),
            member: record.member.as_ref().map(text),
            groups: Vec::new(),
        },
        rule: rule.map(|origin| api::explain::Rule {
            text: origin.text.to_string(),
            file: text(&origin.file),
            line: origin.line,
            entry,
        }),
        reason: record.reason(),
        trace: Vec::new(),
        hops: Vec::new(),
        look_up: None,
        asked: sought.iter().map(|need| need.as_str().to_owned()).collect(),
        app_domain: None,
        generation: None,
        steps: Vec::new(),
        requests: Vec::new(),
        flow: Some(flow(&record.facts)),
        hints: vec![hint],
    }
}

/// Whether an explanation says another rule or outbound than the record of its flow.
pub(crate) fn differs(record: &FlowRecord, explanation: &api::Explanation) -> bool {
    let rule = record.decision.as_ref().and_then(|it| it.rule.as_ref());
    let rule = rule.map(|origin| (&*origin.file, origin.line));
    let explained = explanation.rule.as_ref();
    let explained = explained.map(|rule| (&*rule.file, rule.line));
    rule != explained || record.outbound.as_deref() != explanation.decision.outbound.as_deref()
}

/// What is to be said of a flow that rule sets would send elsewhere by now.
pub(crate) fn refreshed_since(explanation: &api::Explanation) -> String {
    let now = explanation.decision.outbound.as_deref().unwrap_or("none");
    let rule = explanation.rule.as_ref();
    let rule = rule.map_or_else(String::new, |rule| {
        format!(" by `{}` ({}:{})", rule.text, rule.file, rule.line)
    });
    format!(
        "there is no trace: rule sets were refreshed since; with what they hold now it would go to `{now}`{rule}"
    )
}

/// What was asked of a flow, in no order that it is known to have had.
pub(crate) fn sought(facts: &Facts) -> Vec<Need> {
    let needs = [
        Need::Sniff,
        Need::Resolve,
        Need::Owner,
        Need::Country,
        Need::Local,
    ];
    let mut sought = needs.to_vec();
    sought.retain(|need| !facts.lacks(*need));
    sought
}

/// What the flow went through, in the order in which its policy asked, with what came of each step.
pub(crate) fn steps(record: &FlowRecord, asked: &[Need]) -> Vec<api::explain::FlowStep> {
    let step = |step: &str, outcome: String, us: u64| api::explain::FlowStep {
        step: step.to_owned(),
        outcome,
        #[expect(
            clippy::cast_precision_loss,
            reason = "years in microseconds are exact"
        )]
        ms: us as f64 / 1000.0,
    };
    let (facts, took) = (&record.facts, &record.took);
    let of_need = |need: &Need| {
        let (outcome, us) = match need {
            Need::Country => (outcome(&facts.sought.geo, geo), took.country_us),
            Need::Local => (
                outcome(&facts.sought.local, ToString::to_string),
                took.local_us,
            ),
            Need::Owner => (
                outcome(&facts.sought.owner, |it| process(it)),
                took.owner_us,
            ),
            Need::Resolve => (
                outcome(&facts.sought.resolved, |it| texts(it)),
                took.resolve_us,
            ),
            Need::Sniff => (outcome(&facts.sought.look, |it| look(it)), took.sniff_us),
            Need::Verdict(request) => {
                let said = outcome(facts.verdict(*request), |it| it.as_str().to_owned());
                let mut waits = record.incidents.waits.iter();
                let waited = waits.find(|(of, _)| of == request).map_or(0, |(_, us)| *us);
                (said, waited)
            }
        };
        step(need.as_str(), outcome, us)
    };
    let mut steps: Vec<_> = asked.iter().map(of_need).collect();
    let passed_by = record.incidents.passed_by.iter();
    steps.extend(passed_by.map(|PassedBy { target, rest }| {
        let outcome = format!("{target}: passed by: it {rest}");
        step("dial", outcome, 0)
    }));
    let failed = record.incidents.attempts.iter().map(|attempt| {
        let times = match attempt.times {
            1 => String::new(),
            times => format!("{times} times "),
        };
        let outcome = format!("{}: {times}failed: {}", attempt.target, attempt.error);
        step("dial", outcome, attempt.took_us)
    });
    steps.extend(failed);
    let incidents = &record.incidents;
    let of_several = !incidents.attempts.is_empty() || !incidents.passed_by.is_empty();
    let dialled = match (&record.ended, &record.member) {
        // What broke later was open.
        (Some(end @ End::Failed(_, why)), _) if end.by() == Some("dial") => {
            Some(format!("failed: {why}"))
        }
        (Some(End::ClientGone | End::Refused), _) => None,
        _ if record.took.dial_us == 0 => None,
        (_, Some(member)) if of_several => Some(format!("{member}: open")),
        _ => Some("open".to_owned()),
    };
    steps.extend(dialled.map(|outcome| step("dial", outcome, took.dial_us)));
    steps
}

fn outcome<T>(fact: &Fact<T>, say: impl FnOnce(&T) -> String) -> String {
    match fact {
        Fact::Absent => "there is none".to_owned(),
        Fact::Failed(why) => format!("failed: {why}"),
        Fact::Known(value, _) => say(value),
        Fact::Unknown => "not yet".to_owned(),
    }
}

fn look(look: &Look) -> String {
    let name = look.domain.as_ref().map(|name| format!(" {name}"));
    format!("{}{}", look.protocol.as_str(), name.unwrap_or_default())
}

/// Whose flow somebody is asked about.
pub(crate) fn program(process: &Process) -> api::request::Program {
    let text = |fact: &Fact<Arc<str>>| fact.known().map(ToString::to_string);
    let parents = process.parents.iter();
    let parents = parents.map(|parent| parent.name.as_deref().unwrap_or("N/A").to_owned());
    api::request::Program {
        name: text(&process.name),
        path: text(&process.path),
        cmdline: text(&process.command_line),
        pid: process.pid.known().copied(),
        user: text(&process.user),
        tag: text(&process.tag),
        parents: parents.collect(),
    }
}

fn process(process: &Process) -> String {
    let Some(name) = process.name.known() else {
        return match process.user.known() {
            Some(user) => format!("a process of {user}"),
            None => "a process".to_owned(),
        };
    };
    let pid = process.pid.known().map(|pid| format!(" ({pid})"));
    format!("{name}{}", pid.unwrap_or_default())
}

fn texts(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn geo(geo: &Geo) -> String {
    let country = geo.country.as_deref().unwrap_or("no country");
    match geo.asn {
        Some(number) => format!("{country}, AS{number}"),
        None => country.to_owned(),
    }
}

/// In the engine's words; short where the flow's generation is no longer kept.
pub(crate) fn reason(record: &FlowRecord, setup: Option<&Setup>) -> String {
    if !record.note.is_empty() {
        return record.note.to_string();
    }
    let policy = setup.and_then(|setup| setup.policies.get(record.policy));
    match (&record.decision, policy) {
        (Some(decision), Some(policy)) => {
            explain::sentence(policy, &Step::Decided(decision.clone()), None)
        }
        _ => record.reason(),
    }
}

pub(crate) fn action(action: Action) -> api::Action {
    match action {
        Action::Blackhole => api::Action::Blackhole,
        Action::Direct => api::Action::Direct,
        Action::Proxy => api::Action::Proxy,
        Action::Reject => api::Action::Reject,
        Action::Reset => api::Action::Reset,
    }
}

#[cfg(test)]
mod tests;
