//! Handlers of the daemon's own state: status, diagnostics, stop, policy.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_config::Setup;
use pointsman_config::explain;
use pointsman_config::list_print::{Unsayable, as_list};
use pointsman_config::picture::{Runs, as_dot, as_svg, need_headings, scenes};
use pointsman_config::tree::print::as_tree;
use pointsman_net::plane::DnsCounts;
use pointsman_net::resolver::UpstreamCounts;
use pointsman_net::spec::listening::{At, Listening};
use pointsman_policy::Policy;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::dns::UpstreamSpec;
use serde::Deserialize;

use super::Refusal;
use super::outbounds::states;
use crate::app::{App, InForce};

/// `GET /v1/status`
pub(crate) async fn status(State(app): State<Arc<App>>) -> Json<api::Status> {
    let (in_force, awaiting) = app.standing();
    let setup = in_force.about();
    let state = if app.stopping() {
        "draining"
    } else {
        "running"
    };
    let listening = in_force.listening();
    // Queries come in by UDP and TCP at one address.
    let is_same = |it: &&Listening| match it.at {
        At::Tcp(at) => listening
            .iter()
            .any(|other| other.kind == InboundKind::Dns && other.at == At::Udp(at)),
        _ => false,
    };
    let inbounds = listening
        .iter()
        .filter(|it| it.kind != InboundKind::Dns || !is_same(it))
        .map(|listening| api::daemon::InboundState {
            name: listening.name.to_string(),
            kind: listening.kind.as_str().to_owned(),
            address: listening.shown(),
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
        upstreams: upstreams(&in_force),
        rule_sets: rule_sets(setup),
        lists: lists(&app, setup),
        lacking: lacking(&app),
    })
}

/// The upstreams of the DNS server, in the order of the configuration.
fn upstreams(in_force: &InForce) -> Vec<api::daemon::UpstreamState> {
    let setup = in_force.about();
    let ways = in_force.ways();
    let alive = ways.generation().spec().dns.as_ref();
    let Some((written, alive)) = setup.dns.as_ref().zip(alive) else {
        return Vec::new();
    };
    let state = |(upstream, counts): (&UpstreamSpec, UpstreamCounts)| {
        let servers = upstream.servers.iter();
        let took = u64::try_from(counts.took.as_millis()).unwrap_or(u64::MAX);
        api::daemon::UpstreamState {
            name: upstream.name.to_string(),
            servers: servers.map(|it| explain::server(it, setup)).collect(),
            asked: counts.asked,
            answered: counts.answered,
            failed: counts.failed,
            ms: took.checked_div(counts.answered),
        }
    };
    let all = written.what.upstreams.iter().zip(alive.counts());
    all.map(state).collect()
}

/// What came from upstreams of the DNS server that was no answer, by upstream.
fn answers_dropped(in_force: &InForce) -> BTreeMap<String, u64> {
    let ways = in_force.ways();
    let alive = ways.generation().spec().dns.iter();
    let counts = alive.flat_map(|server| server.counts());
    let written = in_force.about().dns.iter();
    let names = written.flat_map(|server| &server.what.upstreams);
    let all = names.zip(counts);
    let dropped = all.map(|(upstream, counts)| (upstream.name.to_string(), counts.dropped));
    dropped.filter(|(_, count)| *count > 0).collect()
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
        udp_offload: offloads(&app),
        queries: queries(&app),
        dns_answers_dropped: answers_dropped(&in_force),
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

fn offloads(app: &App) -> BTreeMap<String, u64> {
    let all = app.plane.offloads().into_iter();
    all.map(|(uplink, is_on)| (uplink.to_string(), u64::from(is_on)))
        .collect()
}

fn queries(app: &App) -> BTreeMap<String, u64> {
    let DnsCounts {
        queries: _,
        known,
        asked,
        here,
        stale,
        failed,
        refused,
        dropped,
        connections_refused,
    } = app.plane.dns_counts();
    let all = [
        ("known", known),
        ("asked", asked),
        ("here", here),
        ("stale", stale),
        ("failed", failed),
        ("refused", refused),
        ("dropped", dropped),
        ("connections_refused", connections_refused),
    ];
    all.map(|(word, count)| (word.to_owned(), count)).into()
}

fn lacking(app: &App) -> BTreeMap<String, u64> {
    let lacking = app.plane.lacking().into_iter();
    lacking
        .map(|(lack, count)| (lack.as_str().to_owned(), count))
        .collect()
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

pub(super) fn path(app: &App) -> Option<String> {
    app.origin
        .path
        .as_ref()
        .map(|path| path.display().to_string())
}
