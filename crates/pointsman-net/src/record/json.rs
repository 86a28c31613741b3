//! A record as one JSON object: the line of the access log.
//!
//! Invariant: the keys are those of the control API's record, with the same values, and some facts more (`resolved`,
//! `geo`, `local`, `sniff`); a test of the daemon compares them. Keys are stable. Of those facts, what was not asked is
//! absent, what there honestly is none of is null.

use pointsman_policy::condition::NumberField;
use pointsman_policy::fact::{Fact, Geo, Look, Process};
use pointsman_policy::model::Origin;
use pointsman_policy::{Action, Domain, Host};
use pointsman_wire::sniff::Banner;
use serde_json::{Value, json};
use std::net::IpAddr;

use super::{End, FlowRecord, Note, Timings, rfc3339};

impl FlowRecord {
    /// The record as a JSON object.
    ///
    /// `time` in RFC 3339, durations in milliseconds, steps in microseconds, sizes in bytes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let facts = &self.facts;
        let always = Some;
        let ended = self.ended.as_ref();
        let rule = self.decision.as_ref();
        let rule = rule.and_then(|decision| decision.rule.as_ref());
        let known = facts.sought.look.known();
        let protocol = known.map(|look| look.protocol.as_str());
        let lasted = u64::try_from(self.lasted.as_millis()).unwrap_or(u64::MAX);
        let messages = self
            .incidents
            .messages
            .iter()
            .map(|(_, text)| json!(&**text));
        let line = [
            ("id", always(json!(self.id))),
            ("generation", always(json!(self.generation.to_string()))),
            ("time", always(json!(rfc3339(self.started_ms)))),
            ("start", always(json!(self.started_ms))),
            ("duration_ms", always(json!(lasted))),
            ("network", always(json!(facts.network.as_str()))),
            (
                "source",
                always(json!(facts.source.known().map(ToString::to_string))),
            ),
            ("destination", always(destination(self))),
            (
                "domain",
                always(json!(self.domain().map(ToString::to_string))),
            ),
            ("dns_name_from", self.domain_from().map(|from| json!(from))),
            ("dns_name_error", self.domain_error().map(|why| json!(why))),
            ("protocol", always(json!(protocol))),
            ("server", self.incidents.banner.as_ref().map(server)),
            ("inbound", always(inbound(self))),
            (
                "association",
                (self.note == Note::Association).then_some(Value::Bool(true)),
            ),
            ("outbound", always(json!(self.outbound.as_deref()))),
            ("member", always(json!(self.member.as_deref()))),
            ("groups", filled(self.groups.iter().map(|it| json!(&**it)))),
            ("passed_by", filled(self.passed_by_json())),
            ("attempts", filled(self.attempts_json())),
            ("action", always(json!(action(self.action)))),
            ("rule", always(json!(rule.map(origin)))),
            ("reason", always(json!(self.reason()))),
            ("answered_early", always(json!(self.answered_early))),
            ("bytes_sent", always(json!(self.bytes_sent))),
            ("bytes_received", always(json!(self.bytes_received))),
            ("ended", always(json!(ended.map(End::as_str)))),
            ("ended_by", ended.and_then(End::by).map(|by| json!(by))),
            ("error", always(json!(self.error()))),
            (
                "process",
                Some(asked(&facts.sought.owner, |found| process(found)).unwrap_or_default()),
            ),
            ("messages", always(messages.collect())),
            ("took_us", always(took(&self.took))),
            ("sniff", asked(&facts.sought.look, |found| look(found))),
            ("resolved", asked(&facts.sought.resolved, |all| texts(all))),
            ("geo", asked(&facts.sought.geo, geo)),
            (
                "local",
                asked(&facts.sought.local, |local| json!(local.to_string())),
            ),
        ];
        let said = line
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(said.collect())
    }

    /// The name that was learned of the flow: the request's, else the fake address's, else the first bytes', else the one
    /// that the address was given for.
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        Some(self.learned()?.0)
    }

    /// From where that name was learned, where the client did not ask for it by itself: `fake`, `sniffed`, `answer`.
    #[must_use]
    pub fn domain_from(&self) -> Option<&'static str> {
        self.learned()?.1
    }

    /// Why it is not known which name an address stands for, where that is all there is.
    #[must_use]
    pub fn domain_error(&self) -> Option<&str> {
        let why = self.facts.sought.correlated.failure()?;
        self.domain().is_none().then_some(why)
    }

    fn learned(&self) -> Option<(&Domain, Option<&'static str>)> {
        let facts = &self.facts;
        let asked = facts.destination.known().and_then(Host::name);
        let looked = facts.sought.look.known();
        let looked = looked.and_then(|look| look.domain.as_ref());
        let learned = [
            (asked, None),
            (facts.sought.fake_ip.known(), Some("fake")),
            (looked, Some("sniffed")),
            (facts.sought.correlated.known(), Some("answer")),
        ];
        learned
            .into_iter()
            .find_map(|(name, from)| Some((name?, from)))
    }

    /// What broke, which limit was over, or why it was refused where no rule refuses it; `None` while it lives.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        let ended = self.ended.as_ref()?;
        let refused = *ended == End::Refused && !self.note.is_empty();
        ended.error().or_else(|| refused.then_some(&*self.note))
    }

    /// Why it went there, as far as it is known without its policy.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.decision {
            _ if !self.note.is_empty() => self.note.to_string(),
            Some(decision) => decision.reason.to_string(),
            None => String::new(),
        }
    }

    /// The attempts that failed.
    fn attempts_json(&self) -> impl Iterator<Item = Value> {
        let attempts = self.incidents.attempts.iter();
        attempts.map(|attempt| {
            json!({
                "target": &*attempt.target,
                "error": &*attempt.error,
                "times": attempt.times,
                "took_us": attempt.took_us,
            })
        })
    }

    /// The targets that were passed by.
    fn passed_by_json(&self) -> impl Iterator<Item = Value> {
        let passed_by = self.incidents.passed_by.iter();
        passed_by.map(|it| json!({"target": &*it.target, "reason": it.rest.to_string()}))
    }
}

/// A list, where anything is in it.
fn filled(all: impl Iterator<Item = Value>) -> Option<Value> {
    let all: Vec<Value> = all.collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

fn server(banner: &Banner) -> Value {
    json!({"protocol": banner.protocol.as_str(), "software": banner.software})
}

fn destination(record: &FlowRecord) -> Value {
    let facts = &record.facts;
    json!({
        "host": facts.destination.known().map(Host::to_string),
        "port": facts.port.known(),
    })
}

fn action(action: Option<Action>) -> &'static str {
    match action {
        Some(Action::Blackhole) => "blackhole",
        Some(Action::Direct) => "direct",
        Some(Action::Proxy) => "proxy",
        Some(Action::Reject) => "reject",
        Some(Action::Reset) => "reset",
        None => "none",
    }
}

fn took(took: &Timings) -> Value {
    json!({
        "sniff": took.sniff_us,
        "resolve": took.resolve_us,
        "owner": took.owner_us,
        "country": took.country_us,
        "local": took.local_us,
        "verdict": took.verdict_us,
        "dial": took.dial_us,
    })
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
        "quic_version": look.quic_version.map(|version| {
            NumberField::QuicVersion.print(version).to_string()
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

fn inbound(record: &FlowRecord) -> Value {
    let inbound = record.facts.inbound.known();
    let name = inbound.and_then(|inbound| inbound.name.as_ref());
    json!({
        "type": inbound.map_or("", |inbound| inbound.kind.as_str()),
        "name": &**name.unwrap_or(&record.listener),
        "port": inbound.and_then(|inbound| inbound.port),
        "user": inbound.and_then(|inbound| inbound.user.as_deref()),
    })
}

fn origin(rule: &Origin) -> Value {
    json!({"text": &*rule.text, "file": &*rule.file, "line": rule.line})
}
