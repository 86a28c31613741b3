//! `GET /v1/explain/follow`: one explanation for each flow that is decided from now on.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pointsman_api::flow::Missed;
use pointsman_api::route::{EVENT_DECISION, EVENT_MISSED};
use pointsman_config::flow::{BadFlow, Query as Flow, Via};
use pointsman_net::plane::Decisions;
use pointsman_net::record::FlowRecord;
use pointsman_policy::fact::{Look, Process};
use pointsman_policy::{Domain, Fact, Host};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::events::reset;
use super::history::{Feed, Reader, Told};
use super::sse::{self, KEEP_ALIVE, Source, event, numbered, place};
use super::{Refusal, Streams, flows};
use crate::app::App;
use crate::records;

/// `?flow=`, `?contains=`, `?full=true`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default)]
    flow: String,
    #[serde(default)]
    contains: String,
    #[serde(default)]
    full: bool,
}

/// The stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let wanted = match Wanted::new(&asked.flow, &asked.contains) {
        Ok(wanted) => wanted,
        Err(why) => return Refusal(StatusCode::BAD_REQUEST, "bad-flow", why).into_response(),
    };
    let last = sse::last_id(&headers);
    let feed = Decided(app.plane.decisions());
    let reader = streams.read(&streams.decisions, &app, last, feed);
    sse::respond(Following {
        hello: Some(place(&reader.id(), "from here on")),
        last: last.map(str::to_owned),
        reader,
        app,
        wanted,
        full: asked.full,
    })
}

struct Decided(Decisions);

impl Feed<Arc<FlowRecord>> for Decided {
    async fn next(&mut self) -> Result<Arc<FlowRecord>, RecvError> {
        self.0.recv().await
    }
}

struct Following {
    hello: Option<String>,
    last: Option<String>,
    reader: Reader<Arc<FlowRecord>>,
    app: Arc<App>,
    wanted: Wanted,
    full: bool,
}

impl Source for Following {
    async fn next(&mut self) -> Option<String> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        let heard = tokio::select! {
            heard = timeout(KEEP_ALIVE, self.reader.next()) => heard,
            () = self.app.stopped() => return None,
        };
        let id = self.reader.id();
        let text = match heard {
            Ok(Told::News(record)) if self.wanted.fits(&record) => {
                match flows::explanation(&self.app, &record, self.full) {
                    Ok(explained) => event(EVENT_DECISION, &explained),
                    // Of a generation that is no longer kept: reloaded three times since it was decided.
                    Err(_gone) => return Some(String::new()),
                }
            }
            Ok(Told::News(_other)) => return Some(String::new()),
            Ok(Told::Missed(missed)) => event(EVENT_MISSED, &Missed { missed }),
            Ok(Told::Reset) => reset(self.last.take()),
            Err(_quiet) => return Some(place(&id, "quiet")),
        };
        Some(numbered(&id, &text))
    }
}

/// What a flow must be to be told. What was not said is not asked.
pub(super) struct Wanted {
    flow: Flow,
    /// Whether `network` was said: a flow without it would be TCP.
    network: bool,
    /// In lower case; empty: anything.
    contains: String,
}

impl Wanted {
    pub(super) fn new(words: &str, contains: &str) -> Result<Self, String> {
        let flow = Flow::parse(words).map_err(|error: BadFlow| error.to_string())?;
        for (said, what) in [
            (flow.resolved.is_some(), "resolved"),
            (flow.serves.is_some(), "serves"),
            (flow.local.is_some(), "local"),
        ] {
            if said {
                return Err(format!("flows cannot be chosen by `{what}`"));
            }
        }
        Ok(Self {
            flow,
            network: ["network=", "\"network\""]
                .iter()
                .any(|word| words.contains(word)),
            contains: contains.to_lowercase(),
        })
    }

    pub(super) fn fits(&self, record: &FlowRecord) -> bool {
        let (flow, facts) = (&self.flow, &record.facts);
        let look = facts.look.known().map(|look| &**look);
        let names = [
            facts.destination_name(),
            look.and_then(|look| look.domain.as_ref()),
            facts.correlated.known(),
        ];
        let within = |domain: &Domain| names.iter().flatten().any(|name| name.is_within(domain));
        let destination = flow.destination.as_ref().is_none_or(|host| match host {
            Host::Name(name) => within(name),
            Host::Address(address) => {
                let resolved = facts
                    .resolved
                    .known()
                    .is_some_and(|all| all.contains(address));
                resolved || facts.destination.known().and_then(Host::address) == Some(*address)
            }
        });
        let source = flow.source.is_none_or(|source| {
            facts.source.known().is_some_and(|seen| {
                seen.ip() == source.ip() && (source.port() == 0 || seen.port() == source.port())
            })
        });
        let inbound = flow.inbound.as_ref().is_none_or(|via| came_by(via, record));
        let looked = flow.look.as_ref().is_none_or(|wanted| {
            look.is_some_and(|seen| {
                let Look {
                    protocol, domain, ..
                } = wanted;
                // `sniff.domain` alone says nothing of the protocol.
                let protocol = domain.is_some() || seen.protocol == *protocol;
                protocol && domain.as_ref().is_none_or(&within)
            })
        });
        let process = flow.process.as_ref().is_none_or(|wanted| {
            facts
                .owner
                .known()
                .is_some_and(|seen| is_process(wanted, seen))
        });
        destination
            && (!self.network || facts.network == flow.network)
            && flow
                .port
                .is_none_or(|port| facts.port.known() == Some(&port))
            && source
            && inbound
            && looked
            && process
            && self.contained(record)
    }

    fn contained(&self, record: &FlowRecord) -> bool {
        if self.contains.is_empty() {
            return true;
        }
        let facts = &record.facts;
        let rule = record.decision.as_ref().and_then(|it| it.rule.as_ref());
        let owner = facts.owner.known();
        let texts = [
            facts.destination.known().map(ToString::to_string),
            records::domain(record),
            owner.and_then(|it| it.name.known().map(ToString::to_string)),
            owner.and_then(|it| it.path.known().map(ToString::to_string)),
            rule.map(|rule| rule.text.to_string()),
            record.outbound.as_ref().map(ToString::to_string),
            record.member.as_ref().map(ToString::to_string),
        ];
        let has = |text: &String| text.to_lowercase().contains(&self.contains);
        texts.iter().flatten().any(has)
    }
}

fn came_by(via: &Via, record: &FlowRecord) -> bool {
    let Some(seen) = record.facts.inbound.known() else {
        return false;
    };
    let name = |name: &Arc<str>| Some(name) == seen.name.as_ref() || *name == record.listener;
    via.kind.is_none_or(|kind| kind.fits(seen.kind))
        && via.name.as_ref().is_none_or(name)
        && via.port.is_none_or(|port| seen.port == Some(port))
        && via
            .user
            .as_ref()
            .is_none_or(|user| seen.user.as_ref() == Some(user))
}

/// By what was said of it: a path, else a name; its number; its user.
fn is_process(wanted: &Process, seen: &Process) -> bool {
    fn same<T: PartialEq>(wanted: &Fact<T>, seen: &Fact<T>) -> bool {
        wanted
            .known()
            .is_none_or(|wanted| seen.known() == Some(wanted))
    }
    same(&wanted.path, &seen.path)
        && same(&wanted.name, &seen.name)
        && same(&wanted.pid, &seen.pid)
        && same(&wanted.user, &seen.user)
}
