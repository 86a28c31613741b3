//! Handlers of reloads: what would come of one, what came of it, and the end of its trial.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_api::daemon::LONGEST_TRIAL_MS;
use pointsman_config::{Problems, Severity};
use serde::de::DeserializeOwned;

use super::Refusal;
use super::handlers::path;
use crate::app::App;
use crate::candidate::{MOST_TOLD, Refused};
use crate::replay;

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
