//! The control API: HTTP/1.1 over the control socket, one connection for each request.
//!
//! Invariant: a daemon that cannot be reached is [`Stop::NoDaemon`], one that says no is
//! [`Stop::Refused`]; an answer that cannot be read is a failure, never an empty answer. Nobody is waited for without
//! a limit.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use pointsman_api::{Error as Refusal, route};
use pointsman_config::paths::{Holder, LOCK};
use pointsman_os::local::{self, LocalStream, Process};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::options::Global;
use crate::output::Stop;

/// GETs a reply.
pub(crate) fn get<T: DeserializeOwned>(global: &Global, path: &str) -> Result<T, Stop> {
    request(global, Method::GET, path, Bytes::new())
}

/// DELETEs, and reads what is left to say.
pub(crate) fn delete<T: DeserializeOwned>(global: &Global, path: &str) -> Result<T, Stop> {
    request(global, Method::DELETE, path, Bytes::new())
}

/// POSTs a request.
pub(crate) fn post<T: DeserializeOwned>(
    global: &Global,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Stop> {
    request(global, Method::POST, path, json(body)?)
}

/// PUTs a request.
pub(crate) fn put<T: DeserializeOwned>(
    global: &Global,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Stop> {
    request(global, Method::PUT, path, json(body)?)
}

/// A flow that cannot be is a wrong call, as it is without a daemon.
pub(crate) fn said_wrongly(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(refusal) if refusal.code == "bad-flow" => Stop::Usage(refusal.error),
        other => other,
    }
}

/// What is said where [`events`] end, which nobody asked for.
pub(crate) const ENDED: &str = "the daemon stops: there is nothing more to follow";

/// The process that serves the control socket, where the system tells it.
pub(crate) fn other_end(global: &Global) -> Result<Option<Process>, Stop> {
    let at = address(global)?;
    block_on(async { Ok(Process::at_other_end(&connect(&at).await?).ok()) })
}

/// GETs server-sent events and hands each over: its name and its data. Ends when the daemon ends or
/// `each` says so.
pub(crate) fn events(
    global: &Global,
    path: &str,
    mut each: impl FnMut(&str, &str) -> Result<(), Stop>,
) -> Result<(), Stop> {
    block_on(async {
        let begun = send(global, Method::GET, path, Bytes::new());
        let mut response = in_time(global.timeout.unwrap_or(ANSWER), begun).await?;
        let mut events = Events::default();
        while let Some(frame) = heard(response.next()).await? {
            for (name, data) in events.take(&frame?)? {
                each(&name, &data)?;
            }
        }
        Ok(())
    })
}

fn request<T: DeserializeOwned>(
    global: &Global,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<T, Stop> {
    let usual = match path {
        // Files are read and listeners closed meanwhile.
        route::RELOAD | route::ROLL_BACK | route::REPLAY => LONG_ANSWER,
        _ => ANSWER,
    };
    let answer = async {
        let mut response = send(global, method, path, body).await?;
        let mut text = Vec::new();
        while let Some(frame) = response.next().await {
            text.extend_from_slice(&frame?);
            if text.len() > MAX_REPLY {
                return Err(Stop::Failed("the daemon's answer is too long".into()));
            }
        }
        serde_json::from_slice(&text).map_err(unreadable)
    };
    block_on(in_time(global.timeout.unwrap_or(usual), answer))
}

async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    match timeout(limit, answer).await {
        Ok(answered) => answered,
        Err(_late) => Err(Stop::Failed(format!(
            "the daemon did not answer within {limit:?}; what was asked of it may still be done"
        ))),
    }
}

/// The next part of a stream, of which the daemon says something every 15 s.
async fn heard<T>(
    next: impl Future<Output = Option<Result<T, Stop>>>,
) -> Result<Option<Result<T, Stop>>, Stop> {
    timeout(SILENCE, next)
        .await
        .map_err(|_late| Stop::Failed(format!("nothing was heard of the daemon for {SILENCE:?}")))
}

/// An answer whose body is still to come.
struct Reply {
    body: Incoming,
    connection: http1::Connection<TokioIo<LocalStream>, Full<Bytes>>,
    ended: bool,
}

impl Reply {
    /// The next part of the body; `None` at its end.
    async fn next(&mut self) -> Option<Result<Bytes, Stop>> {
        loop {
            let frame = if self.ended {
                self.body.frame().await
            } else {
                tokio::select! {
                    frame = self.body.frame() => frame,
                    ended = &mut self.connection => {
                        self.ended = true;
                        if let Err(error) = ended {
                            return Some(Err(broken(&error)));
                        }
                        continue;
                    }
                }
            };
            match frame? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_trailers) => continue,
                },
                Err(error) => return Some(Err(broken(&error))),
            }
        }
    }
}

/// Sends a request; an answer that is no success is the daemon's no.
async fn send(global: &Global, method: Method, path: &str, body: Bytes) -> Result<Reply, Stop> {
    let at = address(global)?;
    let stream = connect(&at).await?;
    let broken = |error: &hyper::Error| broken_at(&at, error);
    let (mut sender, mut connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "pointsman")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|error| Stop::Usage(error.to_string()))?;
    let sent = sender.send_request(request);
    tokio::pin!(sent);
    let mut ended = false;
    let response: Response<Incoming> = loop {
        tokio::select! {
            response = &mut sent => break response.map_err(|error| broken(&error))?,
            done = &mut connection, if !ended => {
                ended = true;
                done.map_err(|error| broken(&error))?;
            }
        }
    };
    let status = response.status();
    let mut reply = Reply {
        body: response.into_body(),
        connection,
        ended,
    };
    if status.is_success() {
        return Ok(reply);
    }
    let mut text = Vec::new();
    while let Some(frame) = reply.next().await {
        text.extend_from_slice(&frame?);
        if text.len() > MAX_REPLY {
            break;
        }
    }
    let said = String::from_utf8_lossy(&text).into_owned();
    Err(Stop::Refused(serde_json::from_slice(&text).unwrap_or_else(
        |_no_refusal| Refusal::new("http", format!("{status}: {}", said.trim())),
    )))
}

async fn connect(at: &Path) -> Result<LocalStream, Stop> {
    let connected = local::connect_control(at).await;
    connected.map_err(|error| {
        Stop::NoDaemon(match error.kind() {
            // The queue is full: nobody takes connections out of it.
            ErrorKind::WouldBlock => format!("{}: nobody accepts connections there", at.display()),
            _ => error.to_string(),
        })
    })
}

/// Where the daemon listens: as was said, else by the directory of state that was said, else as the environment says.
fn address(global: &Global) -> Result<PathBuf, Stop> {
    let told = global.control.clone();
    if let Some(path) = told.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path);
    }
    if let Some(state) = &global.state {
        return holder(state);
    }
    let told = std::env::var_os("POINTSMAN_CONTROL").map(PathBuf::from);
    let told = told.filter(|path| !path.as_os_str().is_empty());
    Ok(told.unwrap_or_else(local::usual_control_path))
}

/// The control socket of the daemon that keeps its state there.
fn holder(state: &Path) -> Result<PathBuf, Stop> {
    let path = state.join(LOCK);
    if !local::is_locked(&path).unwrap_or(true) {
        let state = state.display();
        return Err(Stop::NoDaemon(format!("none keeps its state in {state}")));
    }
    let read = local::read_regular(&path, 64 << 10);
    let known = read.map_err(|error| error.to_string()).and_then(|bytes| {
        serde_json::from_slice::<Holder>(&bytes).map_err(|error| error.to_string())
    });
    known.map(|holder| holder.control).map_err(|why| {
        let state = state.display();
        Stop::NoDaemon(format!(
            "none keeps its state in {state}: {}: {why}",
            path.display()
        ))
    })
}

fn block_on<T>(future: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| Stop::Failed(error.to_string()))?
        .block_on(future)
}

fn json(body: &impl Serialize) -> Result<Bytes, Stop> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(unreadable)
}

fn broken(error: &hyper::Error) -> Stop {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    let cut = io.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof);
    Stop::Failed(match cut || error.is_incomplete_message() {
        true => "the daemon's answer broke off: the daemon ended or was killed".to_owned(),
        false => format!("the connection to the daemon broke: {}", chain(error)),
    })
}

fn broken_at(path: &Path, error: &hyper::Error) -> Stop {
    if error.is_parse() {
        let path = path.display();
        return Stop::Failed(format!(
            "{path} is no control socket of Pointsman: it answers in another language ({error})"
        ));
    }
    broken(error)
}

/// The error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn unreadable(error: serde_json::Error) -> Stop {
    Stop::Failed(format!("the daemon's answer cannot be read: {error}"))
}

/// Server-sent events out of the parts of a body (WHATWG HTML, 9.2.6); `id:` and `retry:` are passed over.
#[derive(Default)]
struct Events {
    buffer: Vec<u8>,
}

impl Events {
    /// Takes a part in; gives the events that it completes.
    fn take(&mut self, part: &[u8]) -> Result<Vec<(String, String)>, Stop> {
        self.buffer.extend_from_slice(part);
        let mut events = Vec::new();
        while let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..at + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let (mut name, mut data) = (String::new(), String::new());
            for line in block.lines() {
                if let Some(value) = line.strip_prefix("event:") {
                    name = value.trim().to_owned();
                } else if let Some(value) = line.strip_prefix("data:") {
                    if !data.is_empty() {
                        data.push('\n');
                    }
                    data.push_str(value.strip_prefix(' ').unwrap_or(value));
                }
            }
            if !data.is_empty() {
                events.push((name, data));
            }
        }
        if self.buffer.len() > MAX_REPLY {
            return Err(Stop::Failed("an event of the daemon is too long".into()));
        }
        Ok(events)
    }
}

/// How long an answer may take unless somebody says otherwise: nothing of it takes seconds.
const ANSWER: Duration = Duration::from_secs(30);
/// The same where configurations are read.
const LONG_ANSWER: Duration = Duration::from_secs(300);
/// The longest silence of a stream, four times that of the daemon.
const SILENCE: Duration = Duration::from_secs(60);

/// The longest answer or event read, in bytes: a hundred thousand flows.
const MAX_REPLY: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_any_parts() {
        let text = b"event: open\ndata: {\"a\":1}\n\n: keep\n\ndata: x\ndata: y\n\nevent: end\n";
        let whole = Events::default().take(text).unwrap();
        let expected = [("open", "{\"a\":1}"), ("", "x\ny")];
        let expected = expected.map(|(name, data)| (name.to_owned(), data.to_owned()));
        assert_eq!(whole, expected);
        let mut events = Events::default();
        let mut parts = Vec::new();
        for byte in text {
            parts.extend(events.take(&[*byte]).unwrap());
        }
        assert_eq!(parts, expected);
    }
}
