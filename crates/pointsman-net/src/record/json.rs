//! A record as one JSON object: the line of the access log.
//!
//! Invariant: keys are stable; what was not asked is absent, what there honestly is none of is null.

use pointsman_policy::condition::NumberField;
use pointsman_policy::fact::{Fact, Geo, Inbound, Look, Process};
use pointsman_policy::model::Origin;
use pointsman_policy::{Action, Host};
use serde_json::{Value, json};
use std::net::IpAddr;

use super::FlowRecord;

impl FlowRecord {
    /// The record as a JSON object.
    ///
    /// Times in milliseconds, steps in microseconds, `generation` as text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let facts = &self.facts;
        let always = Some;
        let error = self.ended.as_ref().and_then(super::End::error);
        let rule = self
            .decision
            .as_ref()
            .and_then(|decision| decision.rule.as_ref());
        let took = &self.took;
        let line = [
            ("id", always(json!(self.id))),
            ("generation", always(json!(self.generation.to_string()))),
            ("start", always(json!(self.started_ms))),
            (
                "duration_ms",
                always(json!(
                    u64::try_from(self.lasted.as_millis()).unwrap_or(u64::MAX)
                )),
            ),
            ("network", always(json!(facts.network.as_str()))),
            (
                "src",
                always(json!(facts.source.known().map(ToString::to_string))),
            ),
            ("dst", always(json!(destination(self)))),
            ("listener", always(json!(&*self.listener))),
            ("inbound", facts.inbound.known().map(inbound)),
            ("sniff", asked(&facts.look, |found| look(found))),
            ("process", asked(&facts.owner, |found| process(found))),
            ("resolved", asked(&facts.resolved, |all| texts(all))),
            ("geo", asked(&facts.geo, geo)),
            (
                "local",
                asked(&facts.local, |local| json!(local.to_string())),
            ),
            ("outbound", always(json!(self.outbound.as_deref()))),
            ("member", always(json!(self.member.as_deref()))),
            (
                "attempts",
                Some(self.attempts_json()).filter(|_| !self.attempts.is_empty()),
            ),
            ("action", always(json!(self.action.map(action)))),
            ("rule", rule.map(origin)),
            (
                "note",
                Some(json!(&*self.note)).filter(|_| !self.note.is_empty()),
            ),
            (
                "messages",
                Some(
                    self.messages
                        .iter()
                        .map(|(id, text)| json!([id, &**text]))
                        .collect(),
                )
                .filter(|_| !self.messages.is_empty()),
            ),
            ("answered_early", always(json!(self.answered_early))),
            ("bytes_sent", always(json!(self.bytes_sent))),
            ("bytes_received", always(json!(self.bytes_received))),
            (
                "ended",
                always(json!(self.ended.as_ref().map(super::End::as_str))),
            ),
            ("error", error.map(|why| json!(why))),
            (
                "took_us",
                always(json!({
                    "sniff": took.sniff_us,
                    "resolve": took.resolve_us,
                    "owner": took.owner_us,
                    "country": took.country_us,
                    "local": took.local_us,
                    "verdict": took.verdict_us,
                    "dial": took.dial_us,
                })),
            ),
        ];
        let said = line
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(said.collect())
    }

    /// The attempts that failed, for logs.
    pub(crate) fn attempts_json(&self) -> Value {
        let attempts = self.attempts.iter();
        attempts
            .map(|attempt| {
                json!({
                    "target": &*attempt.target,
                    "error": &*attempt.error,
                    "times": attempt.times,
                    "took_us": attempt.took_us,
                })
            })
            .collect()
    }
}

fn destination(record: &FlowRecord) -> Option<String> {
    let host = record.facts.destination.known()?;
    let port = record.facts.port.known().copied().unwrap_or(0);
    Some(match host {
        Host::Address(address) => std::net::SocketAddr::new(*address, port).to_string(),
        Host::Name(name) => format!("{name}:{port}"),
    })
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Blackhole => "blackhole",
        Action::Direct => "direct",
        Action::Proxy => "proxy",
        Action::Reject => "reject",
        Action::Reset => "reset",
    }
}

/// Nothing for what nobody asked.
fn asked<T>(fact: &Fact<T>, say: impl FnOnce(&T) -> Value) -> Option<Value> {
    match fact {
        Fact::Unknown => None,
        Fact::Absent => Some(Value::Null),
        Fact::Failed(why) => Some(json!({"error": &**why})),
        Fact::Known(value, _) => Some(say(value)),
    }
}

fn look(look: &Look) -> Value {
    json!({
        "protocol": look.protocol.as_str(),
        "domain": look.domain.as_ref().map(ToString::to_string),
        "ech": look.ech,
        "tls_version": look.tls_version.map(|version| {
            NumberField::TlsVersion.print(u32::from(version)).to_string()
        }),
    })
}

fn process(process: &Process) -> Value {
    json!({
        "name": process.name.known().map(|name| &**name),
        "path": process.path.known().map(|path| &**path),
        "pid": process.pid.known(),
        "user": process.user.known().map(|user| &**user),
    })
}

fn texts(addresses: &[IpAddr]) -> Value {
    addresses
        .iter()
        .map(|address| json!(address.to_string()))
        .collect()
}

fn geo(geo: &Geo) -> Value {
    json!({"country": geo.country.as_deref(), "asn": geo.asn})
}

fn inbound(inbound: &Inbound) -> Value {
    json!({
        "type": inbound.kind.as_str(),
        "name": inbound.name.as_deref(),
        "port": inbound.port,
        "user": inbound.user.as_deref(),
    })
}

fn origin(rule: &Origin) -> Value {
    json!({"text": &*rule.text, "file": &*rule.file, "line": rule.line})
}
