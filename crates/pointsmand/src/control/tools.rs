//! Handlers of the tools that take a policy as a program: replay, rules.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use pointsman_api as api;
use pointsman_config::{Dialect, Problem};
use serde::Deserialize;

use super::Refusal;
use super::door::OnSocket;
use super::reload::{not_taken, read_body};
use crate::app::App;
use crate::candidate::Refused;
use crate::{replay, rules};

/// `POST /v1/replay`
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    extensions: Extensions,
    body: String,
) -> Response {
    let request: api::ReplayRequest = match read_body(&body) {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let on_socket = extensions.get::<OnSocket>().is_some();
    if let Err(refusal) = may_be_named(&request, on_socket) {
        return refusal.into_response();
    }
    let dialect = request.dialect.as_deref().map(dialect);
    let Some(dialect) = dialect.map_or(Some(None), |known| known.map(Some)) else {
        let text = "there is no such dialect".to_owned();
        return Refusal(StatusCode::BAD_REQUEST, "bad-request", text).into_response();
    };
    // What the client sent it may be shown; nothing of what it merely named.
    let shown = match (&request.config, &request.text) {
        (None, _) => Shown::All,
        (Some(_), None) => Shown::Nothing,
        (Some(config), Some(_)) => {
            let name = Path::new(config).file_name().unwrap_or_default();
            Shown::File(name.to_string_lossy().into_owned())
        }
    };
    let asked = replay::ReplayOptions {
        config: request.config.map(Into::into),
        text: request.text,
        dialect,
        last: request.last,
        redact: request.redact,
    };
    let path = asked.config.clone();
    match replay::run(&app, asked).await {
        Ok((replay, _warnings)) => Json(replay).into_response(),
        Err(refused) if shown == Shown::All => not_taken(&app, path, &refused),
        Err(ref refused @ (Refused::Check(ref problems) | Refused::Tests(ref problems))) => {
            let problems = problems.told();
            let problems = problems.iter().map(|problem| shown.of(problem)).collect();
            let path = path.unwrap_or_default();
            let why = match refused {
                Refused::Tests(_) => "the candidate's own tests fail: `pointsman test` runs them",
                _ => "the candidate has errors",
            };
            let error = api::Error {
                problems,
                ..api::Error::new("reload-refused", format!("{}: {why}", path.display()))
            };
            (StatusCode::CONFLICT, Json(error)).into_response()
        }
        Err(refused) => not_taken(&app, path, &refused),
    }
}

/// A candidate that the daemon is to read is named on the socket alone, and absolutely.
fn may_be_named(request: &api::ReplayRequest, on_socket: bool) -> Result<(), Refusal> {
    let bad = |text: &str| Refusal(StatusCode::BAD_REQUEST, "bad-request", text.into());
    match (&request.config, &request.text) {
        (None, Some(_)) => Err(bad("`text` needs `config`: where its relative paths begin")),
        (Some(config), _) if !Path::new(config).is_absolute() => {
            Err(bad("`config` is an absolute path"))
        }
        (Some(_), _) if !on_socket => {
            let text = "a path is taken on the control socket alone".to_owned();
            Err(Refusal(StatusCode::FORBIDDEN, "not-here", text))
        }
        _ => Ok(()),
    }
}

/// What of a candidate's files may stand in an answer.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// The daemon's own configuration.
    All,
    /// This one, which the client sent.
    File(String),
    Nothing,
}

impl Shown {
    /// A problem for the client: of other files its place and its kind, for whatever else it says may quote them.
    fn of(&self, problem: &Problem) -> api::Problem {
        let told = api::Problem::from(problem);
        if matches!(self, Self::File(name) if *name == told.file) {
            return told;
        }
        let message = "`pointsman check` says what is wrong here".to_owned();
        let api::Problem {
            severity,
            code,
            file,
            line,
            column,
            count,
            ..
        } = told;
        let text = format!("{file}:{line}:{column}: {severity}[{code}]: {message}");
        api::Problem {
            severity,
            code,
            message,
            file,
            line,
            column,
            count,
            hint: None,
            related: None,
            text,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_on_the_socket_alone() {
        let request = |config: Option<&str>, text: Option<&str>| api::ReplayRequest {
            config: config.map(Into::into),
            text: text.map(Into::into),
            ..api::ReplayRequest::default()
        };
        let status = |request, on_socket| {
            let refused = may_be_named(&request, on_socket).err();
            refused.map(|Refusal(status, ..)| status.as_u16())
        };
        assert_eq!(status(request(Some("/a"), None), true), None);
        assert_eq!(status(request(Some("/a"), None), false), Some(403));
        assert_eq!(status(request(Some("/a"), Some("")), false), Some(403));
        assert_eq!(status(request(Some("a"), None), true), Some(400));
        assert_eq!(status(request(None, Some("")), true), Some(400));
        assert_eq!(status(request(None, None), false), None);
    }
}
