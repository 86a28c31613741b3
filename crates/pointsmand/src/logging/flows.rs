//! Flows that failed or were refused, and what rules say of flows, in the daemon's log.
//!
//! Invariants: what a line says of a flow is decided in [`Line::of`], which is data in, data out. With `history.redact`
//! it names neither where the flow went nor whose it was, in no field; a message of a rule, which may name anything, is
//! only counted then. A message is one line, whatever clients and programs put into it.

use std::borrow::Cow;
use std::sync::Arc;

use pointsman_net::plane::{FLOW_LOG, Gravity, Lack, TargetTrouble, Trouble, TroubleEvent};
use pointsman_net::record::{End, FlowRecord};
use pointsman_net::tasks::Tasks;
use pointsman_os::owner::may_see_others;
use pointsman_policy::Host;
use pointsman_policy::shown::plain;

use crate::app::App;

/// Tells them until the daemon's tasks end.
pub(crate) async fn run(app: Arc<App>, tasks: Tasks) {
    let mut stopping = std::pin::pin!(tasks.stopping());
    loop {
        let told = tokio::select! {
            biased;
            told = app.plane.trouble() => told,
            () = &mut stopping => return,
        };
        let redact = app.generation().1.history.redact;
        match told {
            TroubleEvent::Flow(trouble, record) => Line::of(trouble, &record, redact).say(),
            TroubleEvent::LeftOut {
                outbound,
                trouble,
                count,
            } => left_out(outbound.as_deref(), trouble, count),
            TroubleEvent::Target(attempt) => target(&attempt, redact),
            TroubleEvent::TargetsLeftOut {
                way,
                trouble,
                count,
            } => {
                let (outbound, member) = way.as_ref().map(|(a, b)| (&**a, &**b)).unzip();
                let reason = trouble.as_str();
                tracing::warn!(
                    target: FLOW_LOG,
                    count, outbound, member, reason, "more attempts failed alike and are not listed"
                );
            }
            TroubleEvent::Lacks {
                flow,
                lack,
                why,
                count,
            } => lacks(flow, lack, &why, count, redact),
            TroubleEvent::Said { flow, id, text } => {
                tracing::info!(target: FLOW_LOG, flow, id, "{}", message(&text, redact));
            }
            TroubleEvent::SaidMore { id, count } => {
                tracing::info!(target: FLOW_LOG, id, count, "more messages of rules are not listed");
            }
        }
    }
}

/// A fact was not found: what asks for it is neither true nor false.
fn lacks(flow: u64, lack: Lack, why: &str, count: u64, redact: bool) {
    let (fact, error) = (lack.as_str(), Some(why).filter(|_| !redact));
    let hint = (lack == Lack::Program && !may_see_others()).then_some(SEE_OTHERS);
    tracing::warn!(
        target: FLOW_LOG,
        fact, error, flow, count, hint, "a fact that a rule asks for was not found"
    );
}

/// What lets a daemon find the programs of other users.
pub(crate) const SEE_OTHERS: &str = "it needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH to look at the programs of other \
    users: a unit gives them by `AmbientCapabilities=` (packaging/process-rules.conf), or run it as root";

/// What is written of a rule's message.
fn message(text: &str, redact: bool) -> Cow<'_, str> {
    match redact {
        true => "a rule's message, which `history.redact` hides".into(),
        false => plain(text).into(),
    }
}

/// What is said of one flow.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    gravity: Option<Gravity>,
    flow: u64,
    inbound: String,
    source: Option<String>,
    destination: Option<String>,
    outbound: Option<String>,
    member: Option<String>,
    reason: &'static str,
    error: String,
    rule: Option<String>,
}

impl Line {
    fn of(trouble: Trouble, record: &FlowRecord, redact: bool) -> Self {
        let facts = &record.facts;
        let said = record.ended.as_ref().and_then(End::error);
        let said = said.or_else(|| Some(&*record.note).filter(|note| !note.is_empty()));
        let rule = record.decision.as_ref().and_then(|it| it.rule.as_ref());
        // Of what was carried, the rule is not to blame.
        let rule = rule.filter(|_| trouble.gravity() == Gravity::Refused);
        let error = match said {
            Some(said) if !redact => said,
            _ => trouble.sentence(),
        };
        Self {
            gravity: Some(trouble.gravity()),
            flow: record.id,
            inbound: record.listener.to_string(),
            source: facts
                .source
                .known()
                .filter(|_| !redact)
                .map(ToString::to_string),
            destination: destination(record).filter(|_| !redact),
            outbound: record.outbound.as_deref().map(str::to_owned),
            member: record.member.as_deref().map(str::to_owned),
            reason: trouble.as_str(),
            error: error.to_owned(),
            rule: rule.map(ToString::to_string),
        }
    }

    fn say(&self) {
        let Self {
            gravity,
            flow,
            reason,
            ..
        } = self;
        let inbound = self.inbound.as_str();
        let (source, destination) = (self.source.as_deref(), self.destination.as_deref());
        let (outbound, member) = (self.outbound.as_deref(), self.member.as_deref());
        let (error, rule) = (self.error.as_str(), self.rule.as_deref());
        macro_rules! say {
            ($level:ident, $what:literal) => {
                tracing::$level!(
                    target: FLOW_LOG,
                    flow, inbound, source, destination, outbound, member, reason, error, rule, $what
                )
            };
        }
        match gravity {
            Some(Gravity::Failed) => say!(warn, "flow failed"),
            Some(Gravity::Guessed) => say!(info, "flow denied"),
            Some(Gravity::Limited) => say!(warn, "flow refused"),
            Some(Gravity::Refused) | None => say!(debug, "flow refused"),
        }
    }
}

fn target(attempt: &TargetTrouble, redact: bool) {
    let (outbound, member) = (&*attempt.forward, &*attempt.target);
    let (flow, reason) = (attempt.flow, attempt.trouble.as_str());
    let error = cause(attempt, redact);
    tracing::warn!(
        target: FLOW_LOG,
        flow, outbound, member, reason, error, "target failed, the flow goes on"
    );
}

/// Why a target was not reached, as it may be written.
fn cause(attempt: &TargetTrouble, redact: bool) -> &str {
    match redact {
        true => attempt.trouble.sentence(),
        false => &attempt.error,
    }
}

fn left_out(outbound: Option<&str>, trouble: Trouble, count: u64) {
    let reason = trouble.as_str();
    macro_rules! say {
        ($level:ident, $what:literal) => {
            tracing::$level!(target: FLOW_LOG, count, outbound, reason, $what)
        };
    }
    match trouble.gravity() {
        Gravity::Failed => say!(warn, "more flows failed alike and are not listed"),
        Gravity::Limited => say!(warn, "more flows were refused alike and are not listed"),
        Gravity::Guessed => say!(info, "more flows were denied alike and are not listed"),
        Gravity::Refused => say!(debug, "more flows were refused alike and are not listed"),
    }
}

/// Where the client asked to go, with its port.
fn destination(record: &FlowRecord) -> Option<String> {
    let host = record.facts.destination.known()?;
    let Some(port) = record.facts.port.known() else {
        return Some(host.to_string());
    };
    Some(match host {
        Host::Address(address) => std::net::SocketAddr::new(*address, *port).to_string(),
        Host::Name(name) => format!("{name}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use pointsman_net::record::Fault;
    use pointsman_policy::{Fact, Facts, Provenance};

    use super::*;

    fn record() -> FlowRecord {
        let known = |text: &str| Fact::Known(Host::parse(text).unwrap(), Provenance::Request);
        let why = "outbound `p` could not connect: 192.0.2.1:443: Connection refused";
        FlowRecord {
            id: 17,
            listener: "desk".into(),
            facts: Facts {
                source: Fact::Known("127.0.0.1:5".parse().unwrap(), Provenance::Inbound),
                destination: known("secret.example"),
                port: Fact::Known(443, Provenance::Request),
                ..Facts::default()
            },
            outbound: Some("p".into()),
            ended: Some(End::Failed(Fault::ConnectionRefused, why.into())),
            ..FlowRecord::default()
        }
    }

    fn line(redact: bool) -> Line {
        let record = record();
        Line::of(Trouble::of(&record).unwrap(), &record, redact)
    }

    #[test]
    fn a_line_has_what_is_looked_for() {
        let expected = Line {
            gravity: Some(Gravity::Failed),
            flow: 17,
            inbound: "desk".into(),
            source: Some("127.0.0.1:5".into()),
            destination: Some("secret.example:443".into()),
            outbound: Some("p".into()),
            member: None,
            reason: "connection-refused",
            error: "outbound `p` could not connect: 192.0.2.1:443: Connection refused".into(),
            rule: None,
        };
        assert_eq!(line(false), expected);
    }

    #[test]
    fn a_message_is_one_line_and_none_that_names_anything_where_that_is_hidden() {
        let text = "to a.test by x\nERROR forged\u{1b}[31m";
        let shown = "to a.test by x\u{fffd}ERROR forged\u{fffd}[31m";
        assert_eq!(message(text, false), shown);
        assert!(!message(text, true).contains("a.test"));
    }

    #[test]
    fn a_target_that_failed_is_told_without_addresses_where_they_are_hidden() {
        let attempt = TargetTrouble {
            flow: 1,
            forward: "edge".into(),
            target: "a".into(),
            trouble: Trouble::Fault(Fault::ConnectionRefused),
            error: "192.0.2.1:443: Connection refused".into(),
        };
        assert!(cause(&attempt, false).contains("192.0.2.1"));
        assert_eq!(cause(&attempt, true), Fault::ConnectionRefused.sentence());
    }

    #[test]
    fn the_reference_has_each_reason() {
        let text = include_str!("../../../../docs/reference/logs.md");
        let table = text.split("<!-- reasons -->").nth(1).unwrap();
        let rows = table
            .lines()
            .skip(3)
            .take_while(|line| line.starts_with('|'));
        let documented: Vec<String> = rows.map(str::to_owned).collect();
        let expected: Vec<String> = Trouble::all()
            .map(|it| format!("| `{}` | {} |", it.as_str(), it.sentence()))
            .collect();
        assert_eq!(documented, expected);
    }

    #[test]
    fn a_redacted_line_names_neither_where_nor_whose() {
        let line = line(true);
        let text = format!("{line:?}");
        for secret in ["secret.example", "443", "192.0.2.1", "127.0.0.1"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(line.reason, "connection-refused");
        assert_eq!(line.error, Fault::ConnectionRefused.sentence());
        for trouble in Trouble::all() {
            let line = Line::of(trouble, &record(), true);
            assert!(!format!("{line:?}").contains("secret.example"), "{line:?}");
        }
    }
}
