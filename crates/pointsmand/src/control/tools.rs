//! Handlers of the tools that take a policy as a program: replay, rules.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_config::Dialect;
use serde::Deserialize;

use super::Refusal;
use super::handlers::{not_taken, read_body};
use crate::app::App;
use crate::{replay, rules};

/// `POST /v1/replay`
pub(crate) async fn replay(State(app): State<Arc<App>>, body: String) -> Response {
    let request: api::ReplayRequest = match read_body(&body) {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let dialect = request.dialect.as_deref().map(dialect);
    let Some(dialect) = dialect.map_or(Some(None), |known| known.map(Some)) else {
        let text = "there is no such dialect".to_owned();
        return Refusal(StatusCode::BAD_REQUEST, "bad-request", text).into_response();
    };
    let asked = replay::Asked {
        config: request.config.map(Into::into),
        dialect,
        last: request.last,
        redact: request.redact,
    };
    let path = asked.config.clone();
    match app.replay(asked).await {
        Ok((replay, _warnings)) => Json(replay).into_response(),
        Err(refused) => not_taken(&app, path, &refused),
    }
}

fn dialect(word: &str) -> Option<Dialect> {
    let all = [
        Dialect::Bitflow,
        Dialect::Boltconn,
        Dialect::Native,
        Dialect::PolicyRouter,
        Dialect::Reflow,
    ];
    all.into_iter().find(|dialect| dialect.as_str() == word)
}

/// `?shadowed=true`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default)]
    shadowed: bool,
}

/// `GET /v1/rules`
pub(crate) async fn rules(State(app): State<Arc<App>>, Query(which): Query<Which>) -> Response {
    let counting = tokio::task::spawn_blocking(move || rules::list(&app, which.shadowed));
    match counting.await {
        Ok(list) => Json(list).into_response(),
        Err(error) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Refusal(status, "failed", error.to_string()).into_response()
        }
    }
}
