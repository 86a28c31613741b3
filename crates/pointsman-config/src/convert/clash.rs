//! Clash's and mihomo's YAML.
//!
//! Invariant: rules on addresses resolve unless they say `no-resolve`, as there; a rule whose way out
//! carries no UDP is passed by by UDP, as there.

mod outbounds;
mod rules;

use std::collections::HashMap;

use super::draft::{Draft, line_text};
use super::emit::{Map, list, quoted};
use crate::yaml::{Node, Value};

/// The native form of a configuration.
pub(super) fn convert(root: &Node) -> Draft {
    let mut draft = Draft::new("Clash");
    draft.head.push("ip_rules_resolve: true".to_owned());
    let sniffs = get(root, "sniffer").and_then(|s| scalar(s, "enable")) == Some("true");
    let order = if sniffs {
        "requested-else-sniffed"
    } else {
        "requested"
    };
    draft.head.push(format!("domain_order: {order}"));
    let mut clash = Clash {
        draft,
        udp: HashMap::from([("DIRECT".to_owned(), true), ("REJECT".to_owned(), true)]),
        names: HashMap::new(),
        root,
    };
    clash.general();
    clash.proxies();
    clash.groups();
    clash.providers();
    clash.dns();
    clash.rules();
    clash.draft
}

struct Clash<'a> {
    draft: Draft,
    /// Whether what rules may name carries UDP.
    udp: HashMap<String, bool>,
    /// Native names of what is called otherwise.
    names: HashMap<String, String>,
    root: &'a Node,
}

impl Clash<'_> {
    fn general(&mut self) {
        let root = self.root;
        let lan = scalar(root, "allow-lan") == Some("true");
        let bind = scalar(root, "bind-address")
            .filter(|b| *b != "*")
            .unwrap_or("[::]");
        let host = if lan { bind } else { "127.0.0.1" };
        let host = match host.parse::<std::net::Ipv6Addr>() {
            Ok(v6) => format!("[{v6}]"),
            Err(_is_v4) => host.to_owned(),
        };
        let mut users = Map::default();
        for item in items(get(root, "authentication")) {
            if let Some((user, password)) = item.scalar().and_then(|s| s.split_once(':')) {
                users.raw(user, quoted(password));
            }
        }
        for (key, kind) in [
            ("mixed-port", "mixed"),
            ("port", "http"),
            ("socks-port", "socks5"),
        ] {
            let Some(port) = scalar(root, key).filter(|port| *port != "0") else {
                continue;
            };
            let mut map = Map::default();
            map.text("type", kind)
                .raw("listen", quoted(&format!("{host}:{port}")));
            if !users.is_empty() {
                map.raw("users", users.flow());
            }
            self.draft
                .inbounds
                .raw(key.trim_end_matches("-port"), map.flow());
        }
        for key in [
            "redir-port",
            "tproxy-port",
            "tun",
            "listeners",
            "tunnels",
            "hosts",
            "proxy-providers",
        ] {
            if let Some(node) = get(root, key) {
                let what = format!("`{key}` is not carried over");
                self.draft.report.lost(place(node), what);
            }
        }
        if let Some(mode) = scalar(root, "mode").filter(|mode| !mode.eq_ignore_ascii_case("rule")) {
            let what = format!("`mode: {mode}`: the rules are written, and decide");
            self.draft.report.lost("", what);
        }
    }

    fn dns(&mut self) {
        let Some(dns) = get(self.root, "dns") else {
            return;
        };
        let mut servers = Vec::new();
        for server in items(get(dns, "nameserver"))
            .iter()
            .filter_map(Node::scalar)
        {
            let plain = server.parse::<std::net::IpAddr>().is_ok();
            let full = if plain {
                format!("udp://{server}")
            } else {
                server.to_owned()
            };
            let full = full.split('#').next().unwrap_or_default().to_owned();
            match crate::value::parse_name_server(&full) {
                Ok(_) => servers.push(quoted(&full)),
                Err(_unsaid) => self.draft.report.lost(
                    place(dns),
                    format!("the name server `{server}` is left out"),
                ),
            }
        }
        if !servers.is_empty() {
            let mut map = Map::default();
            map.raw("clash", list(servers));
            self.draft.dns.raw("upstreams", map.flow());
        }
        for key in [
            "fake-ip-range",
            "nameserver-policy",
            "fallback",
            "listen",
            "hosts",
        ] {
            if let Some(node) = get(dns, key) {
                self.draft
                    .report
                    .note(place(node), format!("`dns.{key}` is not carried over"));
            }
        }
    }
}

fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let (_, value) = pairs(Some(node))
        .iter()
        .find(|(k, _)| k.scalar() == Some(key))?;
    (!value.is_null()).then_some(value)
}

fn scalar<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    get(node, key)?.scalar()
}

fn pairs(node: Option<&Node>) -> &[(Node, Node)] {
    match node.map(|node| &node.value) {
        Some(Value::Map(pairs)) => pairs,
        _ => &[],
    }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn place(node: &Node) -> String {
    format!("{}:{}", node.span.file(), node.span.line())
}

/// A name in a rule.
pub(super) fn word(value: &str) -> String {
    line_text(value)
}
