//! The access log of a forward: one JSON object a line, with the keys that bitflow gave it, and those of the record.
//!
//! Invariant: a connection has one line however it ended; `error` is there where it did not end in order. What has a
//! key in records ([`RECORD`]) has it here, too, with the same value; bitflow's keys are for scripts that know them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pointsman_policy::Host;
use pointsman_policy::fact::Network;
use pointsman_spec::address::Endpoint;
use pointsman_spec::address::Server;
use pointsman_spec::target::Target;
use serde_json::{Map, Value, json};

use super::log::AccessLog;
use super::{End, FlowRecord, rfc3339};
use crate::stream::{Socket, Stream};

/// Keys of a record that each line has.
const RECORD: [&str; 13] = [
    "id",
    "generation",
    "time",
    "duration_ms",
    "source",
    "member",
    "passed_by",
    "action",
    "bytes_sent",
    "bytes_received",
    "ended",
    "ended_by",
    "attempts",
];

/// The line to be of a connection.
#[derive(Debug)]
pub(crate) struct Line {
    log: Arc<AccessLog>,
    destination: LineEnd,
}

/// One side of a connection.
#[derive(Clone, Debug, Default)]
struct LineEnd {
    /// Endpoint, path, or name.
    at: String,
    port: u16,
    protocol: &'static str,
}

impl Line {
    /// A line in the log of a forward.
    pub(crate) fn new(log: &Arc<AccessLog>) -> Box<Self> {
        Box::new(Self {
            log: Arc::clone(log),
            destination: LineEnd::default(),
        })
    }

    /// The target was connected.
    pub(crate) fn reached(&mut self, target: &Target, stream: &Stream) {
        self.destination = match (&stream.socket, target.via, stream.peer_addr()) {
            (Socket::Tcp(_), None, Some(peer)) => LineEnd::of(peer, Network::Tcp),
            _ => LineEnd::asked(target),
        };
    }

    /// Datagrams go to the target: to that address, where no proxy is between.
    pub(crate) fn sent_to(&mut self, target: &Target, to: Option<SocketAddr>) {
        self.destination = match (target.via, to) {
            (None, Some(to)) => LineEnd::of(to, Network::Udp),
            _ => LineEnd::asked(target),
        };
    }

    /// The target was not reached.
    pub(crate) fn tried(&mut self, target: &Target) {
        self.destination = LineEnd::asked(target);
    }

    /// The connection is over.
    pub(crate) fn write(self, record: Arc<FlowRecord>) {
        let Self { log, destination } = self;
        log.write_text(Box::new(Entry {
            record,
            destination,
        }));
    }
}

impl LineEnd {
    fn of(address: SocketAddr, network: Network) -> Self {
        Self {
            at: address.ip().to_canonical().to_string(),
            port: address.port(),
            protocol: protocol(address.ip(), network),
        }
    }

    fn server(Server { host, port }: &Server, network: Network) -> Self {
        Self {
            at: host.to_string(),
            port: *port,
            protocol: match (host, network) {
                (Host::Address(address), _) => protocol(*address, network),
                (Host::Name(_), Network::Udp) => "udp",
                (Host::Name(_), _) => "tcp",
            },
        }
    }

    fn asked(target: &Target) -> Self {
        match &target.address {
            Endpoint::Fd(number) => Self {
                at: format!("fd:{number}"),
                port: 0,
                protocol: "fd",
            },
            Endpoint::Tcp(server) => Self::server(server, Network::Tcp),
            Endpoint::Udp(server) => Self::server(server, Network::Udp),
            Endpoint::Unix(path) => Self {
                at: path.display().to_string(),
                port: 0,
                protocol: "unix",
            },
        }
    }
}

fn protocol(address: IpAddr, network: Network) -> &'static str {
    match (address.to_canonical(), network) {
        (IpAddr::V4(_), Network::Udp) => "udp4",
        (IpAddr::V6(_), Network::Udp) => "udp6",
        (IpAddr::V4(_), _) => "tcp4",
        (IpAddr::V6(_), _) => "tcp6",
    }
}

/// What a line says; put into words by the log's own thread.
struct Entry {
    record: Arc<FlowRecord>,
    destination: LineEnd,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = &self.record;
        let source = match record.facts.source.known() {
            Some(source) => LineEnd::of(*source, record.facts.network),
            None => LineEnd {
                protocol: "unix",
                ..LineEnd::default()
            },
        };
        let micros = (record.lasted.as_secs_f64() * 1e6).round();
        let keys = [
            ("name", json!(&*record.listener)),
            ("timestamp", json!(rfc3339(record.started_ms))),
            ("duration", json!(micros / 1000.0)),
            ("source_ip", json!(source.at)),
            ("source_port", json!(source.port)),
            ("source_protocol", json!(source.protocol)),
            ("source_transport", json!("plaintext")),
            ("destination_ip", json!(self.destination.at)),
            ("destination_port", json!(self.destination.port)),
            ("destination_protocol", json!(self.destination.protocol)),
            ("destination_transport", json!("plaintext")),
            ("source_sent_bytes", json!(record.bytes_sent)),
            ("destination_receive_bytes", json!(record.bytes_received)),
        ];
        let mut line: Map<String, Value> = keys
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        if let Value::Object(record) = record.to_json() {
            let common = record.into_iter();
            line.extend(common.filter(|(key, _)| RECORD.contains(&key.as_str())));
        }
        if let Some(error) = error(record) {
            line.insert("error".to_owned(), json!(error));
        }
        write!(f, "{}", Value::Object(line))
    }
}

/// What was not in order; `None` for a connection that both sides ended.
fn error(record: &FlowRecord) -> Option<String> {
    let end = record.ended.as_ref()?;
    let text = match end {
        End::Closed => return None,
        End::ClientGone => "the client went away",
        End::Refused if record.note.is_empty() => "refused by the policy",
        End::Refused => &record.note,
        End::Stopped(_) => "stopped",
        End::Denied(_) | End::Failed(..) | End::Reset(_) | End::TimedOut(_) => end.error()?,
    };
    Some(text.to_owned())
}
