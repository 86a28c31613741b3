//! The control socket: HTTP/1.1 + JSON under `/v1/`, for its owner only.
//!
//! Invariant: nothing here decides or changes anything by itself; each handler asks [`App`].

mod door;
mod events;
mod flow_filter;
mod flow_stream;
mod flows;
mod follow;
mod handlers;
mod history;
mod known_names;
mod lobby;
mod names;
mod outbounds;
mod reload;
mod requests;
mod sse;
mod steady;
mod tools;
mod untold;
mod wording;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Extension, Router};
use pointsman_api::route;
use pointsman_net::record::FlowRecord;
use pointsman_net::tasks::Tasks;
use pointsman_os::local::ControlListener;

use self::door::Places;
use self::events::StreamEvent;
use self::history::{Feed, History, Reader};
use crate::app::App;
use crate::clock::unix_ms;

/// The routes, each path once.
fn router(app: Arc<App>) -> Router {
    let methods: [(&str, MethodRouter<Arc<App>>); 25] = [
        (route::STATUS, get(handlers::status)),
        (route::DIAGNOSTICS, get(handlers::diagnostics)),
        (route::RELOAD, post(reload::reload)),
        (route::CONFIRM, post(reload::confirm)),
        (route::ROLL_BACK, post(reload::roll_back)),
        (route::REPLAY, post(tools::replay)),
        (route::STOP, post(handlers::stop)),
        (route::EXPLAIN, post(flows::explain)),
        (route::FOLLOW, get(follow::stream)),
        (route::FLOWS, get(flows::list)),
        (route::FLOW, get(flows::one).merge(delete(flows::close))),
        (route::FLOW_EXPLAIN, get(flows::explain_one)),
        (route::EVENTS, get(events::stream)),
        (route::REQUESTS, get(requests::stream)),
        (route::REQUEST, post(requests::answer)),
        (route::OUTBOUNDS, get(outbounds::outbounds)),
        (route::OUTBOUND_MEMBER, put(outbounds::select)),
        (route::RULES, get(tools::rules)),
        (route::POLICY, get(handlers::policy)),
        (route::DNS_QUERY, get(names::query)),
        (route::DNS, get(flows::dns)),
        (route::DNS_EXPLAIN, get(flows::explain_name)),
        (route::DNS_NAMES, get(known_names::known_names)),
        (route::DNS_FAKE, get(known_names::fake)),
        (route::OPENAPI, get(handlers::openapi)),
    ];
    let mut router = Router::new();
    for (path, method) in methods {
        router = router.route(path, method);
    }
    router
        .fallback(async || {
            Refusal(
                StatusCode::NOT_FOUND,
                "unknown-route",
                "there is no such route".into(),
            )
        })
        .method_not_allowed_fallback(async || {
            Refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong-method",
                "this route has no such method: see `Allow`".into(),
            )
        })
        .layer(Extension(Arc::new(Streams::default())))
        // Bodies are whole by then, and no longer than they may be.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            Arc::new(Places::default()),
            door::admit,
        ))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), counted))
        .layer(middleware::from_fn(wording::in_json))
        .with_state(app)
}

/// What followers read, over all of them.
#[derive(Debug, Default)]
struct Streams {
    events: Arc<History<StreamEvent>>,
    /// With flows that begin: who does not read of them does not pay for them.
    events_with_begun: Arc<History<StreamEvent>>,
    decisions: Arc<History<Arc<FlowRecord>>>,
}

impl Streams {
    /// A reader, and somebody who collects for it, until the daemon ends.
    fn read<T: Clone + Send + 'static>(
        &self,
        history: &Arc<History<T>>,
        app: &Arc<App>,
        last: Option<&str>,
        feed: impl Feed<T>,
    ) -> Reader<T> {
        let (reader, begins) = history.read(last, unix_ms());
        if begins {
            let (app_ends, collecting) = (Arc::clone(app), Arc::clone(history).collect(feed));
            app.tasks.spawn(async move {
                tokio::select! {
                    () = collecting => {}
                    () = app_ends.stopped() => {}
                }
            });
        }
        reader
    }
}

async fn counted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.requests.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

/// A request that is answered with a reason.
pub(super) struct Refusal(pub StatusCode, pub &'static str, pub String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, text) = self;
        (status, axum::Json(pointsman_api::Error::new(code, text))).into_response()
    }
}

/// Serves until the tasks are asked to stop.
pub(crate) async fn serve(app: Arc<App>, listener: ControlListener, tasks: Tasks) {
    door::serve(router(app), listener, tasks).await;
}
