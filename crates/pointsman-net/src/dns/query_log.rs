//! The log of queries: one JSON object a line, written by the log's own thread.
//!
//! Invariant: a query waits for no log; what does not fit is dropped and counted, as lines of access logs are. Where there
//! is no log nothing is noted.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::answered::print_code;
use pointsman_policy::fact::Network;
use pointsman_policy::model::Origin;
use pointsman_policy::record_type;
use pointsman_wire::dns::{WireName, parse_query, parse_response};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::door::Door;
use crate::record::rfc3339;
use crate::spec::dns::DnsServer;

/// What is noted while a query is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// The rule that decided.
    pub(super) rule: Option<Origin>,
    /// The number of the upstream that gave the answer.
    pub(super) at: Option<usize>,
}

/// A query that is to be logged once it is answered.
#[derive(Debug)]
pub(super) struct Entry {
    door: Arc<Door>,
    client: Option<SocketAddr>,
    network: Network,
    began: Instant,
    /// Milliseconds since 1970 (UTC).
    began_ms: u64,
    pub(super) trail: Trail,
}

impl Entry {
    /// One that begins now; `None` where the door has no log.
    pub(super) fn new(
        door: &Arc<Door>,
        client: Option<SocketAddr>,
        network: Network,
        clock: impl FnOnce() -> u64,
    ) -> Option<Self> {
        door.log.as_ref()?;
        Some(Self {
            door: Arc::clone(door),
            client,
            network,
            began: Instant::now(),
            began_ms: clock(),
            trail: Trail::default(),
        })
    }

    /// Queues the line: the message that asked, and the reply, empty where there is none. What is no query has no line.
    pub(super) fn write(
        self,
        server: &DnsServer,
        (message, reply): (&[u8], &[u8]),
        from: &'static str,
    ) {
        let Some(log) = self.door.log.as_ref().map(Arc::clone) else {
            return;
        };
        let Ok(query) = parse_query(message) else {
            return;
        };
        let response = parse_response(reply).ok();
        let mut answers = 0;
        if let Some(response) = &response {
            response.each_answer_text(&mut |_, _, _| answers += 1);
        }
        let line = Line {
            name: query.name(),
            kind: query.kind(),
            code: response.map(|response| response.code()),
            answers,
            took_us: self.began.elapsed().as_micros(),
            from,
            upstream: self.trail.at.and_then(|at| server.name_of(at)),
            entry: self,
        };
        log.write_text(Box::new(line));
    }
}

struct Line {
    name: WireName,
    kind: u16,
    code: Option<u16>,
    answers: usize,
    took_us: u128,
    from: &'static str,
    upstream: Option<Arc<str>>,
    entry: Entry,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            door,
            client,
            network,
            began: _,
            began_ms,
            trail: Trail { rule, at: _ },
        } = &self.entry;
        let mut line = Map::new();
        let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
        put("time", json!(rfc3339(*began_ms)));
        put(
            "client",
            json!(client.map(|it| it.ip().to_canonical().to_string())),
        );
        put("inbound", json!(&*door.spec.name));
        put("network", json!(network.as_str()));
        put("name", json!(self.name.to_string()));
        put("type", json!(record_type::print(self.kind)));
        put("rcode", json!(self.code.map(print_code)));
        put("answers", json!(self.answers));
        put("from", json!(self.from));
        put("upstream", json!(self.upstream.as_deref()));
        let rule = rule.as_ref().map(
            |rule| json!({ "text": rule.text.to_string(), "file": &*rule.file, "line": rule.line }),
        );
        put("rule", rule.unwrap_or_default());
        let took = u64::try_from(self.took_us).unwrap_or(u64::MAX);
        put("ms", json!(took as f64 / 1000.0));
        write!(f, "{}", Value::Object(line))
    }
}
