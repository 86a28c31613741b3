//! `GET /v1/requests` and `POST /v1/requests/{id}`: flows that wait for somebody's word.
//!
//! A subscriber is live as long as it reads the stream; each number has one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pointsman_api::request::{Answered, Over, Request, Subscribed, Verdict};
use pointsman_api::route::{EVENT_OVER, EVENT_REQUEST, EVENT_SUBSCRIBED};
use pointsman_net::requests::{Event, Outcome, Question, Subscription};
use pointsman_policy::request::Answer;
use serde::Deserialize;
use tokio::time::timeout;

use super::Refusal;
use super::sse::{self, KEEP_ALIVE, QUIET, Source, event, numbered, reset};
use crate::app::App;
use crate::records;

/// Numbers that one client may subscribe to.
const MOST: usize = 256;

/// `?id=200,201`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestsQuery {
    #[serde(default)]
    id: String,
}

/// `GET /v1/requests?id=200,201`: the stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Query(asked): Query<RequestsQuery>,
    headers: HeaderMap,
) -> Response {
    let ids: Result<Vec<u32>, _> = asked.id.split(',').map(|id| id.trim().parse()).collect();
    let ids = match ids {
        Ok(ids) if ids.len() <= MOST => ids,
        _ => {
            let text = format!("`id` is the numbers to subscribe to (at most {MOST}): 200,201");
            return Refusal(StatusCode::BAD_REQUEST, "bad-subscriber", text).into_response();
        }
    };
    match app.plane.requests().subscribe(&ids) {
        Ok(subscription) => {
            let hello = Subscribed {
                sub_id: subscription.number(),
                ids,
            };
            // What was asked of an earlier subscription had its fallback when that ended.
            let last = sse::last_id(&headers).map(str::to_owned);
            let lost = last.map(|last| reset(Some(last)));
            sse::respond(Requests {
                first: [Some(event(EVENT_SUBSCRIBED, &hello)), lost],
                number: 0,
                subscription,
                app,
            })
        }
        Err(taken) => {
            Refusal(StatusCode::CONFLICT, "subscribed", taken.to_string()).into_response()
        }
    }
}

struct Requests {
    /// What is told before all else.
    first: [Option<String>; 2],
    /// Of the last event.
    number: u64,
    subscription: Subscription,
    app: Arc<App>,
}

impl Requests {
    fn numbered(&mut self, event: &str) -> String {
        self.number += 1;
        let id = format!("{}-{}", self.subscription.number(), self.number);
        numbered(&id, event)
    }
}

impl Source for Requests {
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.iter_mut().find_map(Option::take) {
            return Some(self.numbered(&first));
        }
        let heard = tokio::select! {
            heard = timeout(KEEP_ALIVE, self.subscription.next()) => heard,
            () = self.app.stopped() => return None,
        };
        let text = match heard {
            Ok(Some(Event::Asked(question))) => {
                let request = told(&self.app, self.subscription.number(), &question);
                event(EVENT_REQUEST, &request)
            }
            Ok(Some(Event::Over(request_id))) => event(EVENT_OVER, &Over { request_id }),
            Ok(None) => return None,
            Err(_quiet) => return Some(QUIET.to_owned()),
        };
        Some(self.numbered(&text))
    }
}

fn told(app: &App, sub_id: u64, question: &Question) -> Request {
    let Question {
        number,
        request,
        record,
    } = question;
    let facts = &record.facts;
    let flow = app.wire(record);
    Request {
        request_id: *number,
        sub_id,
        id: request.subscriber,
        suggested_route: request.suggested.as_str().to_owned(),
        fallback: request.fallback.as_str().to_owned(),
        timeout_s: request.timeout.as_secs(),
        time_ms: record.started_ms.saturating_add(flow.duration_ms),
        flow: flow.id,
        network: flow.network,
        source: flow.source,
        destination: flow.destination,
        resolved: facts
            .sought
            .resolved
            .known()
            .map(|all| all.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        domain: flow.domain,
        protocol: flow.protocol,
        inbound: flow.inbound,
        process: facts
            .sought
            .owner
            .known()
            .map(|process| records::program(process)),
    }
}

/// `POST /v1/requests/{id}`: an answer. What is no route gives the flow its fallback.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Path(request): Path<String>,
    Json(verdict): Json<Verdict>,
) -> Response {
    let answer = Answer::of(&verdict.route);
    let requests = app.plane.requests();
    let refuse = |status, code, text: String| Refusal(status, code, text).into_response();
    let Ok(request_id) = request.parse() else {
        let text = format!("`{request}` is no number of a request");
        return refuse(StatusCode::BAD_REQUEST, "bad-request", text);
    };
    match requests.answer(verdict.sub_id, request_id, answer) {
        Outcome::Taken => {
            let route = answer.map_or("", Answer::as_str).to_owned();
            Json(Answered { request_id, route }).into_response()
        }
        Outcome::Invalid => refuse(
            StatusCode::BAD_REQUEST,
            "invalid-route",
            format!(
                "`{}` is none of CONTINUE, REJECT, BLACKHOLE, FALLBACK: the flow has its fallback",
                verdict.route
            ),
        ),
        Outcome::NotYours => refuse(
            StatusCode::CONFLICT,
            "not-yours",
            format!("another subscriber was asked request {request_id}"),
        ),
        Outcome::Unknown => refuse(
            StatusCode::NOT_FOUND,
            "unknown-request",
            format!("no flow waits for an answer to request {request_id}"),
        ),
    }
}
