//! Flows as the control API tells them: the data plane's records in the wire's words.

use std::sync::Arc;

use pointsman_api as api;
use pointsman_config::Setup;
use pointsman_net::record::{End, FlowRecord};
use pointsman_policy::{Action, Host, Step, explain};

/// A record for clients; `setup` is its generation's.
pub(crate) fn wire(record: &FlowRecord, setup: Option<&Setup>) -> api::FlowRecord {
    let facts = &record.facts;
    let inbound = facts.inbound.known();
    let process = facts.owner.known();
    let decision = record.decision.as_ref();
    let rule = decision.and_then(|d| d.rule.as_ref());
    let text = |text: &Arc<str>| text.to_string();
    api::FlowRecord {
        id: record.id,
        generation: record.generation.to_string(),
        start: record.started_ms,
        duration_ms: u64::try_from(record.lasted.as_millis()).unwrap_or(u64::MAX),
        network: facts.network.as_str().to_owned(),
        source: facts.source.known().map(ToString::to_string),
        destination: api::flow::Destination {
            host: facts.destination.known().map(Host::to_string),
            port: facts.port.known().copied(),
        },
        domain: domain(record),
        protocol: facts
            .look
            .known()
            .map(|look| look.protocol.as_str().to_owned()),
        inbound: api::flow::Inbound {
            kind: inbound.map_or("", |i| i.kind.as_str()).to_owned(),
            name: inbound
                .and_then(|i| i.name.as_ref())
                .or(Some(&record.listener))
                .map(text),
            port: inbound.and_then(|i| i.port),
            user: inbound.and_then(|i| i.user.as_ref()).map(text),
        },
        outbound: record.outbound.as_ref().map(text),
        member: record.member.as_ref().map(text),
        action: record.action.map_or(api::Action::None, action),
        rule: rule.map(|origin| api::flow::RuleRef {
            text: origin.text.to_string(),
            file: origin.file.to_string(),
            line: origin.line,
        }),
        reason: reason(record, setup),
        answered_early: record.answered_early,
        bytes_sent: record.bytes_sent,
        bytes_received: record.bytes_received,
        ended: record.ended.as_ref().map(|end| end.as_str().to_owned()),
        error: record.ended.as_ref().and_then(End::error).map(text),
        process: process.map(|p| api::flow::ProcessRef {
            name: p.name.known().map(text),
            pid: p.pid.known().copied(),
        }),
        messages: record
            .messages
            .iter()
            .map(|(_, message)| message.clone())
            .collect(),
    }
}

/// The name that was learned of the flow: the request's, else the fake address's, else the first bytes'.
fn domain(record: &FlowRecord) -> Option<String> {
    let facts = &record.facts;
    let asked = facts.destination.known().and_then(Host::name);
    let looked = facts.look.known().and_then(|look| look.domain.as_ref());
    let name = asked
        .or_else(|| facts.fake_ip.known())
        .or(looked)
        .or_else(|| facts.correlated.known());
    name.map(ToString::to_string)
}

/// In the engine's words; short where the flow's generation is no longer kept.
fn reason(record: &FlowRecord, setup: Option<&Setup>) -> String {
    if !record.note.is_empty() {
        return record.note.to_string();
    }
    let Some(decision) = &record.decision else {
        return String::new();
    };
    match setup.and_then(|setup| setup.policies.get(record.policy)) {
        Some(policy) => explain::sentence(policy, &Step::Decided(decision.clone()), None),
        None => decision.reason.to_string(),
    }
}

fn action(action: Action) -> api::Action {
    match action {
        Action::Blackhole => api::Action::Blackhole,
        Action::Direct => api::Action::Direct,
        Action::Proxy => api::Action::Proxy,
        Action::Reject => api::Action::Reject,
        Action::Reset => api::Action::Reset,
    }
}
