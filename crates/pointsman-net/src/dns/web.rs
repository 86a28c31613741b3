//! Queries by HTTP (RFC 8484): a request is a query, over HTTP/2 and HTTP/1.1.
//!
//! Invariants: what is no query costs its client as much of its rate as one; a connection that neither brings requests nor
//! takes replies ends within the limit; what is held for one connection is bounded: its requests, one body that is longer
//! than queries are, and replies that it does not read.

mod activity;
mod site;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;

use self::activity::Activity;
use self::site::Site;
use super::visit::Visit;
use crate::stream::Stream;
use crate::tasks::Tasks;

/// Requests at once: browsers ask some dozens when they start; RFC 9113 §6.5.2 wants no fewer.
const STREAMS: u32 = 100;

/// What a connection's client may send ahead, in bytes: a query of the longest, and as much again for the others.
const AHEAD: u32 = 1 << 17;

/// ... of one request.
const AHEAD_OF_ONE: u32 = 1 << 16;

/// The longest head of a request, in bytes: the names of its fields, and a target with a query in it.
const HEAD: usize = 16 << 10;

/// The most fields of a request; browsers send some twenty.
const FIELDS: usize = 64;

/// Requests that are taken back before anybody looked at them (CVE-2023-44487): more end the connection.
const TAKEN_BACK: usize = 20;

/// How long a connection that is to end may take for what is under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// Answers the queries of a connection, until the client has no more.
pub(super) async fn serve(visit: Visit, path: Arc<str>, stream: TlsStream<Stream>) {
    let is_second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (tasks, idle) = (visit.tasks.clone(), visit.limits.stream_idle);
    let activity = Arc::new(Activity::new(Arc::clone(&visit.place), Instant::now()));
    let site = Arc::new(Site::new(visit, path, Arc::clone(&activity)));
    let answer = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { site.answer(request).await }
    });
    let stream = TokioIo::new(stream);
    let watched = Watched {
        tasks: tasks.clone(),
        activity,
        idle,
    };
    if is_second {
        let connection = http2::Builder::new(Spawner(tasks))
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_connection_window_size(AHEAD)
            .initial_stream_window_size(AHEAD_OF_ONE)
            .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(TAKEN_BACK)
            .max_send_buf_size(HEAD)
            .serve_connection(stream, answer);
        watched.run(connection, |it| it.graceful_shutdown()).await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(HEAD)
            .max_headers(FIELDS)
            .serve_connection(stream, answer);
        watched.run(connection, |it| it.graceful_shutdown()).await;
    }
}

/// A connection, and what ends it.
struct Watched {
    tasks: Tasks,
    activity: Arc<Activity>,
    idle: Duration,
}

impl Watched {
    /// Runs it until it is over; where it has to end, `end` lets it finish what is under way.
    async fn run<C: Future>(self, connection: C, end: impl Fn(Pin<&mut C>)) {
        let Self {
            tasks,
            activity,
            idle,
        } = self;
        let mut connection = pin!(connection);
        let mut ends_at = None;
        loop {
            let next = ends_at.unwrap_or_else(|| activity.since() + idle);
            tokio::select! {
                _over = connection.as_mut() => return,
                () = tasks.stopping(), if ends_at.is_none() => {}
                () = sleep_until(next) => match ends_at {
                    Some(_) => return,
                    None if activity.is_over(Instant::now(), idle) => {}
                    None => continue,
                },
            }
            end(connection.as_mut());
            ends_at = Some(Instant::now() + FAREWELL.min(idle));
        }
    }
}

/// Requests are tasks of the connection's group.
#[derive(Clone)]
struct Spawner(Tasks);

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
