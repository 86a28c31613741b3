//! The control socket: HTTP/1.1 + JSON under `/v1/`, for its owner only.
//!
//! Invariant: nothing here decides or changes anything by itself; each handler asks [`App`].

mod events;
mod flows;
mod follow;
mod handlers;
mod requests;
mod sse;
mod tools;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pointsman_api::route;
use pointsman_net::tasks::Tasks;
use pointsman_os::local::ControlListener;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

pub(crate) use self::flows::Selected;
use crate::app::App;

/// Clients at once: streams of events included.
const MAX_CLIENTS: usize = 64;
/// The longest request head and body that a client sends, in bytes: a flow as JSON.
const MAX_BODY: usize = 1 << 20;
/// How long a client may take to send a request's head.
const HEAD_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// The routes, each path once.
fn router(app: Arc<App>) -> Router {
    let methods: [(&str, MethodRouter<Arc<App>>); 20] = [
        (route::STATUS, get(handlers::status)),
        (route::DIAGNOSTICS, get(handlers::diagnostics)),
        (route::RELOAD, post(handlers::reload)),
        (route::CONFIRM, post(handlers::confirm)),
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
        (route::OUTBOUNDS, get(handlers::outbounds)),
        (route::OUTBOUND_MEMBER, put(handlers::select)),
        (route::RULES, get(tools::rules)),
        (route::POLICY, get(handlers::policy)),
        (route::DNS, get(flows::dns)),
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
                "not with this method".into(),
            )
        })
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), counted))
        .with_state(app)
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
    let router = router(app);
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping() => return,
        };
        match accepted {
            Ok(stream) => {
                let router = router.clone();
                tasks.spawn(async move {
                    if let Err(error) = client(stream, router).await {
                        tracing::debug!("control client: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("control socket: {error}");
                // Out of descriptors, most likely; accepting again at once would spin.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn client(stream: UnixStream, router: Router) -> io::Result<()> {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    served.map_err(io::Error::other)
}
