//! Handlers of the daemon's own state: status, diagnostics, reload, stop, outbounds, policy.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_api::daemon::LONGEST_TRIAL_MS;
use pointsman_config::list_print::{Unsayable, as_list};
use pointsman_config::picture::{Runs, as_dot, as_svg, need_headings, scenes};
use pointsman_config::setup::{Carrier, Group, How, Kind, Outbound, Protocol};
use pointsman_config::tree::print::as_tree;
use pointsman_config::{Problems, Setup, Severity};
use pointsman_policy::model::OutboundInfo;
use pointsman_policy::model::udp::no_udp;
use pointsman_policy::{OutboundId, Policy};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Refusal;
use crate::app::{App, InForce};
use crate::candidate::{MOST_TOLD, Refused};
use crate::replay;

/// `GET /v1/status`
pub(crate) async fn status(State(app): State<Arc<App>>) -> Json<api::Status> {
    let (in_force, awaiting) = app.standing();
    let setup = in_force.about();
    let state = if app.stopping() {
        "draining"
    } else {
        "running"
    };
    let inbounds = in_force
        .listening()
        .iter()
        .map(|listening| api::daemon::InboundState {
            name: listening.name.to_string(),
            kind: listening.kind.as_str().to_owned(),
            address: listening.at.to_string(),
        });
    Json(api::Status {
        state: state.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_ms: uptime(&app),
        config_path: path(&app),
        dialect: setup.dialect.as_str().to_owned(),
        generation: in_force.number().to_string(),
        awaiting,
        setback: app.setback(),
        failing_tests: failing_tests(setup).take(TESTS_TOLD).collect(),
        inbounds: inbounds.collect(),
        outbounds: states(&app, &in_force),
        rule_sets: rule_sets(setup),
        lists: lists(&app, setup),
        lacking: lacking(&app),
    })
}

/// The most failing tests that `status` tells; `diagnostics` counts all.
const TESTS_TOLD: usize = 20;

fn failing_tests(setup: &Setup) -> impl Iterator<Item = api::daemon::FailingTest> {
    setup.tests.iter().filter_map(|test| {
        let failing = test.failing.as_ref()?;
        Some(api::daemon::FailingTest {
            file: test.span.file().to_string(),
            line: test.span.line(),
            flow: test.flow.clone(),
            expected: test.expect.clone(),
            got: failing.got.clone(),
            reason: failing.reason.clone(),
            lists: failing.lists.iter().map(ToString::to_string).collect(),
        })
    })
}

/// `GET /v1/diagnostics`
pub(crate) async fn diagnostics(State(app): State<Arc<App>>) -> Json<api::Diagnostics> {
    let in_force = app.in_force();
    let setup = in_force.about();
    let counters = app.plane.counters();
    let [reload_ok, reload_err] = &app.reloads;
    Json(api::Diagnostics {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: uptime(&app),
        config_path: path(&app),
        socket: app.origin.control.display().to_string(),
        running: !app.stopping(),
        generation: in_force.number().to_string(),
        outbound_count: states(&app, &in_force).len(),
        ipc_requests: app.requests.load(Ordering::Relaxed),
        reload_ok: reload_ok.load(Ordering::Relaxed),
        reload_err: reload_err.load(Ordering::Relaxed),
        flows_live: counters.begun.saturating_sub(counters.ended),
        flows_total: counters.begun,
        flows_refused: counters.refused,
        flows_failed: counters.failed,
        flows_denied: counters.denied,
        accept_refused: counters.accept_refused,
        log_lines_dropped: app.plane.access_log_dropped(),
        udp_lost: lost(&app),
        bytes_sent: counters.bytes_sent,
        bytes_received: counters.bytes_received,
        tests_failing: failing_tests(setup).count(),
        host_changes: Vec::new(),
        lists: lists(&app, setup),
        lacking: lacking(&app),
    })
}

/// The sets in force, by name: policies share them.
fn sets(setup: &Setup) -> HashMap<&str, usize> {
    let sets = setup.policies.iter().flat_map(|policy| policy.sets.iter());
    sets.map(|set| (&*set.name, set.len())).collect()
}

/// How many there are: one that no policy uses is fetched all the same.
fn rule_sets(setup: &Setup) -> usize {
    let fetched = setup.sources.iter().map(|source| &*source.name);
    sets(setup)
        .into_keys()
        .chain(fetched)
        .collect::<HashSet<_>>()
        .len()
}

/// What is known of fetched lists.
fn lists(app: &App, setup: &Setup) -> Vec<api::FetchedList> {
    let entries = sets(setup);
    let mut lists = app.lists.all();
    for list in &mut lists {
        list.entries = entries.get(&*list.name).map(|count| *count as u64);
    }
    lists
}

fn lost(app: &App) -> BTreeMap<String, u64> {
    let lost = app.plane.lost();
    lost.map(|(loss, count)| (loss.as_str().to_owned(), count))
        .collect()
}

fn lacking(app: &App) -> BTreeMap<String, u64> {
    let lacking = app.plane.lacking().into_iter();
    lacking
        .map(|(lack, count)| (lack.as_str().to_owned(), count))
        .collect()
}

/// `POST /v1/reload`
pub(crate) async fn reload(State(app): State<Arc<App>>, body: String) -> Response {
    let request: api::ReloadRequest = match read_body(&body) {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let within = request.confirm_within_ms;
    let bad = |text: &str| Refusal(StatusCode::BAD_REQUEST, "bad-request", text.into());
    if within == Some(0) || within.is_some_and(|within| within > LONGEST_TRIAL_MS) {
        let text = format!("`confirm_within_ms` is 1 to {LONGEST_TRIAL_MS}: a day");
        return bad(&text).into_response();
    }
    if request.plan && within.is_some() {
        return bad("a plan puts nothing in force that could be confirmed").into_response();
    }
    let (mut notice, mut warnings) = (None, Vec::new());
    let (applied, plan, taken) = if request.plan {
        let asked = replay::ReplayOptions {
            redact: request.redact,
            ..replay::ReplayOptions::default()
        };
        match replay::run(&app, asked).await {
            Ok((plan, problems)) => (false, Some(plan), Ok(problems)),
            Err(refused) => (false, None, Err(refused)),
        }
    } else {
        let taken = app.reload(within.map(Duration::from_millis)).await;
        let taken = taken.map(|taken| {
            (notice, warnings) = (taken.before, taken.warnings);
            taken.problems
        });
        (taken.is_ok(), None, taken)
    };
    match taken {
        Ok(problems) => Json(api::Reload {
            generation: app.generation().0.to_string(),
            applied,
            problems: told(&problems),
            plan,
            awaiting: app.awaiting(),
            back: None,
            notice,
            warnings,
        })
        .into_response(),
        Err(refused) => not_taken(&app, None, &refused),
    }
}

/// Those that an answer has room for, errors first; notes that many rules have once.
fn told(problems: &Problems) -> Vec<api::Problem> {
    let problems = problems.folded();
    let (first, _) = problems.first(MOST_TOLD);
    first.into_iter().map(api::Problem::from).collect()
}

/// The answer to a configuration that was refused.
pub(super) fn not_taken(app: &App, config: Option<PathBuf>, refused: &Refused) -> Response {
    let config = config.map(|path| path.display().to_string());
    let path = config.or_else(|| path(app)).unwrap_or_default();
    let code = match refused {
        Refused::Awaiting(_) => "awaiting-confirmation",
        Refused::Apply(_) | Refused::Check(_) | Refused::RolledBack | Refused::Tests(_) => {
            "reload-refused"
        }
        Refused::Stopping => "stopping",
    };
    let mut error = api::Error::new(code, String::new());
    let why = match refused {
        // They say themselves what is wrong, once.
        Refused::Check(problems) => {
            error.problems = told(problems);
            match problems.count(Severity::Error) {
                errors if errors > MOST_TOLD => format!(
                    "the configuration has {errors} errors, of which the first {MOST_TOLD} are told: `pointsman check` tells all"
                ),
                _ => "the configuration has errors".to_owned(),
            }
        }
        Refused::Tests(problems) => {
            error.problems = told(problems);
            "the policy's own tests fail".to_owned()
        }
        _ => refused.to_string(),
    };
    error.error = format!("{path}: not reloaded, nothing changed: {why}");
    (StatusCode::CONFLICT, Json(error)).into_response()
}

/// A request's body; an empty one is the default request.
pub(super) fn read_body<T: Default + DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    if body.trim().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(body).map_err(|error| {
        let text = format!("the body is no such request: {error}");
        Refusal(StatusCode::BAD_REQUEST, "bad-request", text)
    })
}

/// `POST /v1/reload/confirm`
pub(crate) async fn confirm(State(app): State<Arc<App>>) -> Response {
    match app.confirm().await {
        Some(warnings) => tried(&app, None, warnings),
        None => nothing_waits(),
    }
}

/// `POST /v1/reload/roll-back`
pub(crate) async fn roll_back(State(app): State<Arc<App>>) -> Response {
    let (code, why) = match app.take_back().await {
        Ok(Some(back)) => return tried(&app, Some(back.earlier.to_string()), back.lost),
        Ok(None) => return nothing_waits(),
        Err(why @ Refused::Stopping) => ("stopping", why),
        Err(why) => ("not-rolled-back", why),
    };
    let text = format!("not rolled back, nothing changed: {why}");
    Refusal(StatusCode::CONFLICT, code, text).into_response()
}

/// The answer at the end of a trial.
fn tried(app: &App, back: Option<String>, warnings: Vec<String>) -> Response {
    Json(api::Reload {
        generation: app.generation().0.to_string(),
        applied: true,
        problems: Vec::new(),
        plan: None,
        awaiting: None,
        back,
        notice: None,
        warnings,
    })
    .into_response()
}

fn nothing_waits() -> Response {
    let text = "no reload waits for confirmation".to_owned();
    Refusal(StatusCode::CONFLICT, "nothing-to-confirm", text).into_response()
}

/// `POST /v1/stop`
pub(crate) async fn stop(State(app): State<Arc<App>>) -> Json<api::Stop> {
    let (_, setup) = app.generation();
    let counters = app.plane.counters();
    let again = app.stop();
    let grace = match again {
        true => Duration::ZERO,
        false => setup.shutdown_grace,
    };
    Json(api::Stop {
        state: "draining".to_owned(),
        flows_live: counters.begun.saturating_sub(counters.ended),
        grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        again,
    })
}

/// `GET /v1/outbounds`
pub(crate) async fn outbounds(State(app): State<Arc<App>>) -> Json<api::OutboundList> {
    Json(api::OutboundList {
        outbounds: states(&app, &app.in_force()),
    })
}

/// `PUT /v1/outbounds/{name}/member`
pub(crate) async fn select(
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    Json(request): Json<api::SelectRequest>,
) -> Response {
    let refuse = |code, text: String| Refusal(StatusCode::NOT_FOUND, code, text).into_response();
    let known = states(&app, &app.in_force());
    let Some(state) = known.into_iter().find(|state| state.name == group) else {
        return refuse(
            "unknown-outbound",
            format!("there is no outbound `{group}`"),
        );
    };
    if state.kind != "select" {
        return refuse(
            "not-a-group",
            format!("`{group}` is of type {}, not a group", state.kind),
        );
    }
    if !state.members.contains(&request.member) {
        let members = state.members.join(", ");
        let text = format!(
            "`{}` is no member of `{group}` (members: {members})",
            request.member
        );
        return refuse("unknown-member", text);
    }
    let not_kept = match app.select(&group, &request.member).await {
        Ok(not_kept) => not_kept,
        Err(error) => return refuse("not-selected", error.to_string()),
    };
    let known = states(&app, &app.in_force());
    let state = known.into_iter().find(|state| state.name == group);
    let state = state.map(|state| api::OutboundState { not_kept, ..state });
    Json(state).into_response()
}

/// `?as=` of the policy, and whether pictures fold nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    #[serde(rename = "as")]
    form: Option<String>,
    #[serde(default)]
    open: bool,
}

/// `GET /v1/policy?as=tree|list|dot|svg&open=true`
pub(crate) async fn policy(State(app): State<Arc<App>>, Query(asked): Query<Form>) -> Response {
    let (_, setup) = app.generation();
    let form = asked.form.unwrap_or_else(|| "list".to_owned());
    let print: fn(&Policy) -> Result<String, Vec<Unsayable>> = match form.as_str() {
        "list" => as_list,
        "tree" => |policy| Ok(as_tree(policy)),
        "dot" | "svg" => {
            let runs = match asked.open {
                true => Runs::Open,
                false => Runs::Folded,
            };
            let text = match form.as_str() {
                "dot" => as_dot(&setup, runs),
                _ => as_svg(&setup, runs),
            };
            return Json(api::PolicyReply { form, text }).into_response();
        }
        other => {
            let text = format!("`{other}` is no form of a policy (tree, list, dot, svg)");
            return Refusal(StatusCode::BAD_REQUEST, "bad-request", text).into_response();
        }
    };
    let scenes = scenes(&setup);
    let headed = need_headings(&scenes);
    let mut text = String::new();
    for scene in &scenes {
        if headed {
            text.push_str(&format!("# {}\n", scene.heading()));
        }
        match print(scene.policy) {
            Ok(printed) => text.push_str(&printed),
            Err(unsaid) => {
                let why: Vec<String> = unsaid.iter().map(ToString::to_string).collect();
                let name = &scene.policy.name;
                let why = format!("`{name}` is no rule list: {}", why.join("; "));
                return Refusal(StatusCode::BAD_REQUEST, "no-list", why).into_response();
            }
        }
    }
    Json(api::PolicyReply { form, text }).into_response()
}

/// `GET /v1/openapi.json`
pub(crate) async fn openapi() -> Json<serde_json::Value> {
    Json(api::openapi::document(env!("CARGO_PKG_VERSION")))
}

fn uptime(app: &App) -> u64 {
    u64::try_from(app.started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn path(app: &App) -> Option<String> {
    app.origin
        .path
        .as_ref()
        .map(|path| path.display().to_string())
}

/// The targets of a forward that could not be reached.
fn failing(in_force: &InForce, outbound: &Outbound) -> Vec<api::outbound::Failing> {
    if outbound.kind.balancing().is_none() {
        return Vec::new();
    }
    let failing = in_force.failing(&outbound.name).into_iter();
    failing
        .map(|(target, rest)| api::outbound::Failing {
            target: target.to_string(),
            rests_ms: u64::try_from(rest.left.as_millis()).unwrap_or(u64::MAX),
        })
        .collect()
}

/// The outbounds that rules can name, with the members that are selected now.
fn states(app: &App, in_force: &InForce) -> Vec<api::OutboundState> {
    let setup = in_force.about();
    let name_of = |id: &OutboundId| {
        setup
            .outbounds
            .get(id.0 as usize)
            .map_or_else(String::new, |o| o.name.to_string())
    };
    let mut live: HashMap<Arc<str>, u64> = HashMap::new();
    for flow in app.plane.flows() {
        if let Some(outbound) = flow.outbound() {
            *live.entry(outbound).or_default() += 1;
        }
    }
    let infos: Vec<OutboundInfo> = setup.outbounds.iter().map(Outbound::info).collect();
    let by_name: HashMap<&str, OutboundId> = (0..)
        .map(OutboundId)
        .zip(&infos)
        .map(|(id, info)| (&*info.name, id))
        .collect();
    let member_of = |group: OutboundId| {
        let name = in_force.selected(&infos.get(group.0 as usize)?.name)?;
        by_name.get(&*name).copied()
    };
    let state = |(id, outbound): (OutboundId, &Outbound)| {
        let kind = match &outbound.kind {
            Kind::Carry(Carrier::Direct(_)) => "direct",
            Kind::Carry(Carrier::Target(_)) => return None,
            Kind::Carry(Carrier::Upstream(upstream)) => match upstream.protocol {
                Protocol::HttpConnect(_) => "http",
                Protocol::Socks5(_) => "socks5",
            },
            Kind::Choose(Group { how, .. }) => match how {
                How::Balanced(_) => "forward",
                How::Selected { .. } => "select",
            },
            Kind::NotYet { kind, .. } => kind.as_ref(),
            Kind::Refuse(refusal) => refusal.as_str(),
            Kind::Through(_) => "chain",
        };
        let endpoint = outbound.kind.upstream().map(|it| it.server.to_string());
        let members: Vec<String> = match &outbound.kind {
            Kind::Through(hops) => hops.iter().map(name_of).collect(),
            kind => kind.members().iter().map(name_of).collect(),
        };
        let targets = outbound.kind.members().iter();
        let targets = targets.filter_map(|id| match &setup.outbound(*id)?.kind {
            Kind::Carry(Carrier::Target(target)) => Some(target.address.to_string()),
            _ => None,
        });
        let selected = (kind == "select")
            .then(|| in_force.selected(&outbound.name))
            .flatten();
        let uplink = outbound.kind.uplink();
        Some(api::OutboundState {
            name: outbound.name.to_string(),
            aliases: Vec::new(),
            interface: uplink.and_then(|uplink| uplink.interface.clone()),
            source: uplink
                .and_then(|uplink| uplink.source)
                .map(|address| address.to_string()),
            kind: kind.to_owned(),
            declared: outbound.declared.map(str::to_owned),
            endpoint,
            udp: no_udp(&infos, id, &member_of).is_none(),
            selected: selected.map(|name| name.to_string()),
            members,
            targets: targets.collect(),
            failing: failing(in_force, outbound),
            flows: live.get(&*outbound.name).copied().unwrap_or(0),
            not_kept: None,
        })
    };
    let mut states: Vec<api::OutboundState> = Vec::new();
    for (id, outbound) in (0..).map(OutboundId).zip(&setup.outbounds) {
        let Some(state) = state((id, outbound)) else {
            continue;
        };
        // Built-in outbounds have a name for each language: `direct`, `DIRECT`.
        let builtin = outbound.span.is_none();
        let known = states.iter_mut().find(|known| {
            builtin && known.kind == state.kind && known.name.eq_ignore_ascii_case(&state.name)
        });
        match known {
            Some(known) => {
                known.aliases.push(state.name);
                known.flows += state.flows;
            }
            None => states.push(state),
        }
    }
    states
}
