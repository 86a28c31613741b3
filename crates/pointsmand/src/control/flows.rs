//! Handlers of flows: list, one, close, explain.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_api::flow::Untold;
use pointsman_api::route::MOST_FLOWS;
use pointsman_config::Setup;
use pointsman_config::explain::{self, Detail, View, World};
use pointsman_config::flow::{NameQuery, Query as Flow, Situation, answer_of, kind_of};
use pointsman_config::own::Listeners;
use pointsman_config::setup::{Balance, ResolverId};
use pointsman_net::lookup::{self, NotFound};
use pointsman_net::plane::LiveFlow;
use pointsman_net::record::{FlowRecord, rfc3339};
use pointsman_net::spec::listening::At;
use pointsman_policy::fact::{InboundKind, Network};
use pointsman_policy::{Domain, Fact, Facts, Host, Need, Policy, Provenance, Trace, settle};
use pointsman_spec::asks::Asked;
use serde::Deserialize;

use super::Refusal;
use super::flow_filter::{Fit, FlowFilter};
use crate::app::{App, InForce};
use crate::members::{Recorded, Selected};
use crate::records;

/// `?full=true`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default)]
    full: bool,
}

/// `?recent=true`, `?after=7&limit=100`, `?flow=`, `?contains=`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    #[serde(default)]
    recent: Option<bool>,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default, alias = "filter")]
    flow: String,
    #[serde(default)]
    contains: String,
}

/// `GET /v1/flows`: live ones and the last that ended, by their numbers; `?recent=false` leaves those out.
pub(crate) async fn list(State(app): State<Arc<App>>, Query(listed): Query<Listed>) -> Response {
    let bad = |code, text| Refusal(StatusCode::BAD_REQUEST, code, text).into_response();
    let limit = listed.limit.unwrap_or(MOST_FLOWS);
    if !(1..=MOST_FLOWS).contains(&limit) {
        return bad("bad-request", format!("`limit` is 1 to {MOST_FLOWS}"));
    }
    let filter = match FlowFilter::new(&listed.flow, &listed.contains) {
        Ok(filter) => filter,
        Err(why) => return bad("bad-flow", why),
    };
    let (_, setup) = app.generation();
    let from_the_first = listed.after == 0;
    // A hundred thousand flows take a while.
    let listing =
        tokio::task::spawn_blocking(move || (page(&app, &listed, &filter, limit), filter));
    match listing.await {
        // Those of inbounds that are gone may be there yet.
        Ok((page, filter)) if page.flows.is_empty() && from_the_first => match filter.of(&setup) {
            Ok(_) => Json(page).into_response(),
            Err(why) => bad("bad-flow", why),
        },
        Ok((page, _)) => Json(page).into_response(),
        Err(error) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Refusal(status, "failed", error.to_string()).into_response()
        }
    }
}

/// A flow of the list, live or ended.
enum ListedFlow {
    Live(Arc<LiveFlow>),
    Ended(Arc<FlowRecord>),
}

fn page(app: &App, listed: &Listed, filter: &FlowFilter, limit: usize) -> api::FlowList {
    // Live ones first: one that ends in between is in both, and in none of them never.
    let live = app.plane.flows();
    let mut found: BTreeMap<u64, ListedFlow> = live
        .into_iter()
        .map(|flow| (flow.id, ListedFlow::Live(flow)))
        .collect();
    if listed.recent.unwrap_or(true) {
        let ended = app.plane.recent();
        found.extend(ended.into_iter().map(|it| (it.id, ListedFlow::Ended(it))));
    }
    let mut list = api::FlowList::default();
    let mut seen = listed.after;
    for flow in found
        .split_off(&listed.after.saturating_add(1))
        .into_values()
    {
        let record = match flow {
            ListedFlow::Live(flow) => Arc::new(flow.record()),
            ListedFlow::Ended(record) => record,
        };
        let fit = filter.fits(&record);
        if fit == Fit::Yes && list.flows.len() == limit {
            list.next = Some(seen);
            break;
        }
        seen = record.id;
        match fit {
            Fit::Yes => list.flows.push(app.wire(&record)),
            Fit::No => {}
            Fit::Untold(fact) => {
                let fact = fact.to_owned();
                let untold = list.untold.get_or_insert(Untold { fact, flows: 0 });
                untold.flows += 1;
            }
        }
    }
    list
}

/// `GET /v1/flows/{id}`
pub(crate) async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    let id = match number(&id) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    match app.plane.record(id) {
        Some(record) => Json(app.wire(&record)).into_response(),
        None => unknown(id).into_response(),
    }
}

/// `DELETE /v1/flows/{id}`
pub(crate) async fn close(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    let id = match number(&id) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    match app.plane.close(id) {
        Some(flow) => Json(app.wire(&ended(&flow).await)).into_response(),
        None => unknown(id).into_response(),
    }
}

/// The record of a flow that was just closed, whether or not it is kept: as it ended, if it does within a second.
async fn ended(flow: &LiveFlow) -> FlowRecord {
    const LOOKS: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..LOOKS {
        let record = flow.record();
        if record.ended.is_some() {
            return record;
        }
        tokio::time::sleep(PAUSE).await;
    }
    flow.record()
}

/// `GET /v1/flows/{id}/explain`: what the policy of its generation says of what was known of it.
pub(crate) async fn explain_one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    let id = match number(&id) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(record) = app.plane.record(id) else {
        return unknown(id).into_response();
    };
    let explanation = explanation(&app, &record, which.full);
    match app.like(record.generation) {
        Some(setup) => Json(verified(&app, explanation, setup).await).into_response(),
        None => Json(explanation).into_response(),
    }
}

/// What the policy of a flow's generation says of what was known of it, and what the flow went through. Where that
/// generation is no longer kept, what the record says.
pub(super) fn explanation(app: &App, record: &FlowRecord, full: bool) -> api::Explanation {
    let unasked = records::unasked(record);
    // Where its lists were refreshed since, by what they are now.
    let setup = app.like(record.generation);
    let policy = setup
        .as_ref()
        .filter(|_| unasked.is_none())
        .and_then(|setup| Some((setup, setup.policies.get(record.policy)?)));
    let again = policy.map(|(setup, policy)| decided_again(app, setup, policy, record, full));
    let refreshed = app.generation_of(record.generation).is_none();
    let (mut explanation, asked) = match again {
        Some((again, asked)) if !(refreshed && records::differs(record, &again)) => (again, asked),
        Some((again, asked)) => {
            let mut told = records::remembered(record);
            told.hints = vec![records::refreshed_since(&again)];
            (told, asked)
        }
        None => {
            let told = unasked.unwrap_or_else(|| records::remembered(record));
            (told, records::sought(&record.facts))
        }
    };
    if let Some(flow) = &mut explanation.flow {
        flow.time = Some(rfc3339(record.started_ms));
        flow.ended = record.ended.as_ref().map(|end| end.as_str().to_owned());
        flow.error = record.error().map(str::to_owned);
    }
    explanation.decision.groups = record.groups.iter().map(ToString::to_string).collect();
    records::above_rules(record, &mut explanation);
    explanation.id = Some(record.id.into());
    explanation.generation = Some(record.generation.to_string());
    explanation.steps = records::steps(record, &asked);
    explanation
}

/// The same policy over what was known, and the facts that it asks for.
fn decided_again(
    app: &App,
    setup: &Setup,
    policy: &Policy,
    record: &FlowRecord,
    full: bool,
) -> (api::Explanation, Vec<Need>) {
    // Asked again from the beginning, so that the order of questions is told too.
    let known = &record.facts;
    let facts = Facts {
        sought: known.sought.unasked(),
        ..known.clone()
    };
    let mut asked = Vec::new();
    let find = |need, facts: &mut Facts| {
        asked.push(need);
        match need {
            Need::Country => facts.sought.to_mut().geo = known.sought.geo.clone(),
            Need::Local => facts.sought.to_mut().local = known.sought.local.clone(),
            Need::Owner => facts.sought.to_mut().owner = known.sought.owner.clone(),
            Need::Resolve => facts.sought.to_mut().resolved = known.sought.resolved.clone(),
            Need::Sniff => facts.sought.to_mut().look = known.sought.look.clone(),
            Need::Verdict(request) => facts.answer(request, known.verdict(request).clone()),
        }
    };
    let in_force = app.in_force();
    let selection = Recorded::new(&in_force, policy, record);
    let listeners = Listeners::of(setup);
    let how = (&listeners, full);
    let explanation = render(&selection, setup, policy, facts, find, None, how);
    (explanation, asked)
}

/// `POST /v1/explain`: an imagined flow, by the configuration in force and the members selected now.
pub(crate) async fn explain(State(app): State<Arc<App>>, body: String) -> Response {
    let bad = |text: String| Refusal(StatusCode::BAD_REQUEST, "bad-flow", text).into_response();
    let request: api::ExplainRequest = match serde_json::from_str(&body) {
        Ok(request) => request,
        Err(error) => return bad(format!("the body is no request to explain: {error}")),
    };
    let flow = match Flow::from_value(&request.flow) {
        Ok(flow) => flow,
        Err(error) => return bad(error.to_string()),
    };
    let in_force = app.in_force();
    let setup = Arc::clone(in_force.about());
    let situation = match Situation::new(&setup, &flow) {
        Ok(situation) => situation,
        Err(error) => return bad(error.to_string()),
    };
    let resolved = match request.resolve && flow.resolved.is_none() {
        true => resolve(&in_force, &situation).await,
        false => Fact::Unknown,
    };
    let find = |need, facts: &mut Facts| match (need, &resolved) {
        (Need::Resolve, Fact::Known(..) | Fact::Failed(_)) => {
            facts.sought.to_mut().resolved = resolved.clone();
        }
        _ => situation.answer(&setup, &flow, need, facts),
    };
    let policy = situation.policy;
    let mut facts = situation.facts.clone();
    if let (Some(Host::Address(address)), None) = (facts.destination.known(), &flow.dns_names) {
        let client = facts.source.known().map(|source| source.ip());
        let fake = app.plane.fake_name(*address);
        let told = || app.plane.name_of(client, *address);
        let sought = facts.sought.to_mut();
        match fake {
            Some(name) => sought.fake_ip = Fact::Known(name, Provenance::FakeIp),
            None => sought.correlated = told(),
        }
    }
    let selection = Selected {
        in_force: &in_force,
        policy,
    };
    let said = Some(&flow);
    let listening = in_force.listening();
    let reached = listening.iter().filter_map(|it| {
        let is_forward = it.kind == InboundKind::Forward;
        let (network, at) = match (&it.at, it.reached) {
            (At::Udp(at), _) => (Network::Udp, *at),
            (_, reached) => (Network::Tcp, reached?),
        };
        Some((&*it.name, is_forward, network, at))
    });
    let how = (&Listeners::bound(reached), request.full);
    let mut explanation = render(&selection, &setup, policy, facts, find, said, how);
    explain::hint_of_the_way(&mut explanation, &setup);
    explanation.hints.extend(resting(&in_force, &explanation));
    explanation.id = flow.id.clone();
    explanation.generation = Some(in_force.number().to_string());
    if request.verify {
        drop(situation);
        explanation = verified(&app, explanation, setup).await;
    }
    Json(explanation).into_response()
}

/// Of the forward that a described flow would take: which targets it would pass by, for they failed.
fn resting(in_force: &InForce, explanation: &api::Explanation) -> Option<String> {
    let name = explanation.decision.outbound.as_deref()?;
    let setup = in_force.about();
    let chosen = setup.outbounds.iter().find(|it| *it.name == *name)?;
    let balancing = chosen.kind.balancing()?;
    // The only one that such a forward tries is not passed by.
    if balancing.balance == Balance::None || balancing.not_yet.is_some() {
        return None;
    }
    let failing = in_force.failing(name);
    if failing.is_empty() {
        return None;
    }
    let told = failing
        .iter()
        .map(|(target, rest)| format!("target `{target}` {rest}"));
    let told = told.collect::<Vec<_>>().join(", ");
    let passed_by = failing.iter().filter(|(_, rest)| rest.passes()).count();
    let then = match passed_by {
        0 => return Some(told),
        all if all == chosen.kind.members().len() => {
            "as all of them failed, they are tried all the same"
        }
        _ => "the next one is taken",
    };
    Some(format!("{told}; {then}"))
}

/// An explanation whose entry of a list was compared with the file, which may take a while.
async fn verified(app: &App, explanation: api::Explanation, setup: Arc<Setup>) -> api::Explanation {
    let mut compared = explanation.clone();
    let files = Arc::clone(&app.origin.spares);
    let comparing = tokio::task::spawn_blocking(move || {
        explain::verify(&mut compared, &setup.lists, &*files);
        compared
    });
    comparing.await.unwrap_or(explanation)
}

/// What the daemon's resolver answers for a named destination.
async fn resolve(in_force: &InForce, situation: &Situation<'_>) -> Fact<Vec<IpAddr>> {
    let name = situation.facts.destination.known().and_then(Host::name);
    let Some(name) = name else {
        return Fact::Unknown;
    };
    let setup = in_force.about();
    let resolver = match explain::asked(setup, situation.policy, &situation.facts) {
        Asked::Resolver(resolver) => resolver,
        Asked::Here(_) | Asked::Local => {
            return Fact::Failed("nobody is asked for such names".into());
        }
    };
    match look_up(in_force, resolver, name).await {
        Ok(found) => Fact::Known(found.list, Provenance::Resolver),
        Err(why) => Fact::Failed(why.to_string().into()),
    }
}

/// `GET /v1/dns/{name}`: by the resolver of the first inbound.
pub(crate) async fn dns(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    let name = match Domain::parse(&name) {
        Ok(name) => name,
        Err(error) => {
            let text = format!("`{name}` is no name: {error}");
            return Refusal(StatusCode::BAD_REQUEST, "bad-name", text).into_response();
        }
    };
    let in_force = app.in_force();
    let resolver = in_force
        .about()
        .inbounds
        .first()
        .and_then(|inbound| inbound.resolver);
    let answer = look_up(&in_force, resolver, &name).await;
    Json(dns_reply(&name, answer)).into_response()
}

/// What `GET /v1/dns/{name}/explain` may say.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct AskedFor {
    client: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    answer: Option<String>,
    #[serde(default)]
    full: bool,
}

/// `GET /v1/dns/{name}/explain`: who the DNS server asks.
pub(crate) async fn explain_name(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(asked): Query<AskedFor>,
) -> Response {
    let name = match Domain::parse(&name) {
        Ok(name) => name,
        Err(error) => {
            let text = format!("`{name}` is no name: {error}");
            return Refusal(StatusCode::BAD_REQUEST, "bad-name", text).into_response();
        }
    };
    let AskedFor {
        client,
        kind,
        answer,
        full,
    } = asked;
    let Ok(client) = client.as_deref().map(str::parse::<IpAddr>).transpose() else {
        let text = "`client` is no address".to_owned();
        return Refusal(StatusCode::BAD_REQUEST, "bad-client", text).into_response();
    };
    let mut query = NameQuery {
        client,
        ..NameQuery::of(name)
    };
    let kind = kind.as_deref().map(kind_of).transpose();
    let answer = answer.as_deref().map(answer_of).transpose();
    match (kind, answer) {
        (Ok(kind), Ok(answer)) => {
            query.kind = kind.unwrap_or(query.kind);
            query.answer = answer;
        }
        (Err(error), _) | (_, Err(error)) => {
            return Refusal(StatusCode::BAD_REQUEST, "bad-query", error.to_string())
                .into_response();
        }
    }
    let detail = match full {
        true => Detail::Full,
        false => Detail::Folded,
    };
    let in_force = app.in_force();
    match explain::name(in_force.about(), &query, detail) {
        Ok(explained) => Json(api::NameExplanation {
            generation: Some(in_force.number().to_string()),
            ..explained
        })
        .into_response(),
        Err(why) => Refusal(StatusCode::NOT_FOUND, "no-dns-server", why.to_owned()).into_response(),
    }
}

fn dns_reply(name: &Domain, answer: lookup::AddressResult) -> api::daemon::DnsReply {
    let mut reply = api::daemon::DnsReply {
        name: name.to_string(),
        addresses: Vec::new(),
        error: answer.as_ref().err().map(ToString::to_string),
        outcome: api::daemon::DnsOutcome::Addresses,
        from: None,
        holds_s: None,
    };
    let from = match answer {
        Ok(found) => {
            let now = tokio::time::Instant::now();
            reply.addresses = found.list.iter().map(ToString::to_string).collect();
            reply.holds_s = Some(found.until.saturating_duration_since(now).as_secs());
            Some(found.from)
        }
        Err(NotFound::NoName { from, .. }) => {
            reply.outcome = api::daemon::DnsOutcome::NoName;
            Some(from)
        }
        Err(NotFound::NoAddress { from, .. }) => {
            reply.outcome = api::daemon::DnsOutcome::NoAddress;
            Some(from)
        }
        Err(NotFound::Failed(_)) => {
            reply.outcome = api::daemon::DnsOutcome::Failed;
            None
        }
    };
    reply.from = from.map(|from| from.to_string());
    reply
}

async fn look_up(
    in_force: &InForce,
    resolver: Option<ResolverId>,
    name: &Domain,
) -> lookup::AddressResult {
    let ways = in_force.ways();
    let spec = ways.generation().spec();
    let own = resolver.and_then(|id| spec.resolvers.get(id.0));
    let limit = spec.timeouts.resolve;
    ways.look_up(&**own.unwrap_or(&spec.server_resolver), name, limit)
        .await
}

fn render(
    selection: &dyn explain::Selection,
    setup: &Setup,
    policy: &Policy,
    mut facts: Facts,
    find: impl FnMut(Need, &mut Facts),
    said: Option<&Flow>,
    (listeners, full): (&Listeners<'_>, bool),
) -> api::Explanation {
    let settled = settle(policy, &mut facts, find);
    let mut trace = Trace::default();
    let step = policy.decide_traced(&facts, &mut trace);
    let mut explanation = explain::render(&View {
        dialect: setup.dialect,
        policy,
        facts: &facts,
        step: &step,
        trace: &trace,
        asked: &settled.asked,
        said,
        world: World {
            selection,
            listeners,
            dialled: &[],
        },
        detail: if full { Detail::Full } else { Detail::Folded },
    });
    explain::tell_look_up(&mut explanation, setup, policy, &facts);
    if said.is_some() {
        explain::hint_of_sets(&mut explanation, setup, policy, &trace);
    }
    explanation
}

/// The number of a flow, as a path has it.
fn number(id: &str) -> Result<u64, Refusal> {
    id.parse().map_err(|_not_one| {
        let text = format!("`{id}` is no number of a flow");
        Refusal(StatusCode::BAD_REQUEST, "bad-request", text)
    })
}

fn unknown(id: u64) -> Refusal {
    Refusal(
        StatusCode::NOT_FOUND,
        "unknown-flow",
        format!("there is no live or recent flow {id}"),
    )
}
