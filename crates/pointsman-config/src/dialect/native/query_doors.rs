//! `dns.listen`: where queries come in, and by what: `udp://` with TCP, `tls://`, `https://`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::Prefix;

use super::{allow, certificates, given};
use crate::input::Input;
use crate::name_server::door;
use crate::problem::{Problems, Span};
use crate::setup::{DoorSpec, Endpoint, Written};
use crate::value::{self, parse_bind};
use crate::yaml::{KeyStyle, Node, Value};

/// The path where none is written (RFC 8484 has it in its examples, and clients as their default).
const USUAL_PATH: &str = "/dns-query";

/// How queries come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    /// Over UDP and TCP.
    Datagrams,
    /// Over TLS.
    Tls,
    /// By HTTP over TLS, at that path.
    Web(Arc<str>),
}

impl By {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Datagrams => "udp",
            Self::Tls => "tls",
            Self::Web(_) => "https",
        }
    }
}

/// One listener, or a list of them.
pub(super) fn read(
    node: &Node,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Vec<Written<DoorSpec>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
    };
    if items.is_empty() {
        let message = "`listen` needs at least one address";
        problems.error("missing-key", &node.span, message);
    }
    let mut doors: Vec<Written<DoorSpec>> = Vec::new();
    for item in items {
        let (address, name, allowed, tls) = match &item.value {
            Value::Map(_) => {
                let mut keys = item.keys("a listener of `dns`", KeyStyle::Exact, problems);
                let address = keys.require("address", problems);
                let name = given(&mut keys, "name");
                let name = name.and_then(|node| value::name(node, "`name`", problems));
                let allowed = allow::read(keys.take_pair("allow"), problems);
                let tls = keys.take_pair("tls");
                keys.finish(problems);
                let Some(address) = address else { continue };
                (address, name, allowed.map(|(ranges, _)| ranges), tls)
            }
            Value::List(_) | Value::Scalar(..) => (item, None, None, None),
        };
        let server = tls.map(|(_, node)| certificates::read(node, input, files, problems));
        let Some((by, at)) = listen_at(address, problems) else {
            continue;
        };
        match (&by, tls) {
            (By::Datagrams, Some((key, _))) => {
                let message = "`udp://` speaks no TLS: queries and answers are for all to read";
                problems.error("invalid-value", &key.span, message).hint =
                    Some(format!("write `tls://{at}`"));
            }
            (By::Tls | By::Web(_), None) => {
                let scheme = by.scheme();
                let message =
                    format!("a listener by `{scheme}://` needs `tls`: a certificate to show");
                problems.error("missing-key", &address.span, message).hint =
                    Some(format!("write {}", certificates::EXAMPLE));
            }
            (By::Datagrams, None) | (By::Tls | By::Web(_), Some(_)) => {}
        }
        open(at, allowed.as_deref(), &address.span, problems);
        let name = name.map_or_else(|| free_name(&doors), str::to_owned);
        if doors.iter().any(|other| *other.name == *name) {
            let message = format!("two listeners of `dns` are called `{name}`");
            problems.error("duplicate-name", &item.span, message);
        }
        let plain = door(&name, at, allowed);
        let what = match by {
            By::Datagrams => plain,
            By::Tls | By::Web(_) => secured(plain, &by, server.flatten()),
        };
        doors.push(Written {
            what,
            span: Some(item.span.clone()),
        });
    }
    doors
}

/// The same over TLS, which goes over TCP alone.
fn secured(
    plain: DoorSpec,
    by: &By,
    server: Option<Arc<pointsman_spec::tls::TlsServer>>,
) -> DoorSpec {
    let mut listen = plain.listen;
    listen.retain(|listen| matches!(listen.at, Endpoint::Tcp(_)));
    DoorSpec {
        listen,
        tls: server,
        web_path: match by {
            By::Web(path) => Some(Arc::clone(path)),
            By::Datagrams | By::Tls => None,
        },
        ..plain
    }
}

/// `dns`, then `dns-2` ...
fn free_name(doors: &[Written<DoorSpec>]) -> String {
    match doors.len() {
        0 => "dns".to_owned(),
        others => format!("dns-{}", others + 1),
    }
}

/// `udp://ADDRESS[:PORT]`, which opens TCP, too; `tls://ADDRESS[:PORT]`; `https://ADDRESS[:PORT][/PATH]`.
fn listen_at(node: &Node, problems: &mut Problems) -> Option<(By, SocketAddr)> {
    let text = node.text("`listen`", problems)?;
    let (by, rest, port) = match text.split_once("://") {
        Some(("udp", rest)) => (By::Datagrams, rest, 53),
        Some(("tls", rest)) => (By::Tls, rest, 853),
        Some(("https", rest)) => {
            let (rest, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, USUAL_PATH),
            };
            if !is_path(path) {
                let message = format!("`listen`: `{path}` is no path that a request can name");
                problems.error("invalid-address", &node.span, message).hint =
                    Some(format!("write `https://{rest}{USUAL_PATH}`"));
                return None;
            }
            (By::Web(path.into()), rest, 443)
        }
        Some(("quic", _)) => {
            let message = "queries by `quic://`; this address is not opened";
            problems.not_yet(&node.span, message);
            return None;
        }
        Some(("tcp", _)) => {
            let message = "a DNS server listens by `udp://`, which opens TCP, too";
            problems.error("invalid-value", &node.span, message);
            return None;
        }
        Some(_) | None => {
            let message = format!("`listen`: `{text}` is no address of a DNS server");
            problems.error("invalid-address", &node.span, message).hint =
                Some("write `udp://127.0.0.1:53`".into());
            return None;
        }
    };
    let bare = rest.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let with_port = match bare.unwrap_or(rest).parse::<std::net::IpAddr>() {
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_with_port) => rest.to_owned(),
    };
    let at = value::or_problem(parse_bind(&with_port), node, "`listen`", problems)?;
    Some((by, at))
}

/// Whether requests can name it as it stands here: what would have to be escaped is not compared.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    path.len() <= 256 && path.bytes().all(plain)
}

fn open(at: SocketAddr, allowed: Option<&[Prefix]>, span: &Span, problems: &mut Problems) {
    if at.ip().is_loopback() || allowed.is_some() {
        return;
    }
    let message = format!("anybody who reaches {at} can ask this DNS server");
    let hint = "say who may: `{ address: ..., allow: [192.168.0.0/16] }`, or listen on 127.0.0.1";
    problems.warning("open-resolver", span, message).hint = Some(hint.into());
}
