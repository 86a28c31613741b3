//! Clash's and mihomo's YAML.
//!
//! Invariant: rules on addresses resolve unless they say `no-resolve`, as there; a rule whose way out
//! carries no UDP is passed by by UDP, as there.

mod dns;
mod lists;
mod outbounds;
mod rules;

use std::collections::HashMap;

use super::draft::{Draft, Section, line_text};
use super::emit::{Map, quoted};
use crate::yaml::{Node, Value};

/// Keys at the top that are written.
const KNOWN: [&str; 19] = [
    "allow-lan",
    "authentication",
    "bind-address",
    "dns",
    "geox-url",
    "ipv6",
    "log-level",
    "mixed-port",
    "mode",
    "port",
    "proxies",
    "proxy-groups",
    "redir-port",
    "rule-providers",
    "rules",
    "sniffer",
    "socks-port",
    "sub-rules",
    "tproxy-port",
];

/// Keys at the top that send flows elsewhere, or let others in. What else is not known is not known
/// to Clash either (anchors stand there), or concerns how Clash itself is run.
const LOUD: [&str; 14] = [
    "hosts",
    "inbound-mptcp",
    "inbound-tfo",
    "interface-name",
    "iptables",
    "lan-allowed-ips",
    "lan-disallowed-ips",
    "listeners",
    "proxy-providers",
    "routing-mark",
    "skip-auth-prefixes",
    "ss-config",
    "tun",
    "tunnels",
];

/// The native form of a configuration.
pub(super) fn convert(root: &Node) -> Draft {
    let mut draft = Draft::new("Clash");
    draft.head.push("ip_rules_resolve: true".to_owned());
    let mut clash = Clash {
        draft,
        udp: HashMap::from([
            ("COMPATIBLE".to_owned(), true),
            ("DIRECT".to_owned(), true),
            ("REJECT".to_owned(), true),
            ("REJECT-DROP".to_owned(), true),
        ]),
        names: HashMap::new(),
        root,
    };
    clash.general();
    clash.sniffer();
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
            match item.scalar().and_then(|s| s.split_once(':')) {
                Some((user, password)) => {
                    users.secret(user, password);
                }
                None => self
                    .draft
                    .report
                    .lost(place(item), "this user has no password and is left out"),
            }
        }
        for (key, kind) in [
            ("mixed-port", "mixed"),
            ("port", "http"),
            ("socks-port", "socks5"),
        ] {
            let Some(node) = get(root, key).filter(|node| node.scalar() != Some("0")) else {
                continue;
            };
            let mut map = Map::default();
            let port = node.scalar().unwrap_or_default();
            map.text("type", kind)
                .raw("listen", quoted(&format!("{host}:{port}")));
            if !users.is_empty() {
                map.map("users", &users);
            }
            let name = key.trim_end_matches("-port");
            self.draft.item(Section::Inbounds, name, &map, &place(node));
        }
        for key in ["redir-port", "tproxy-port"] {
            if let Some(node) = get(root, key).filter(|node| node.scalar() != Some("0")) {
                let what = format!("`{key}` is not carried over: its flows do not come in");
                self.draft.report.lost(place(node), what);
            }
        }
        if let Some(mode) = get(root, "mode") {
            let word = mode.scalar().unwrap_or_default();
            if !word.eq_ignore_ascii_case("rule") {
                let what = format!("`mode: {word}`: the rules are written, and decide");
                self.draft.report.lost(place(mode), what);
            }
        }
        match scalar(root, "log-level") {
            Some("warning") => self.draft.head.push("log: { level: warn }".to_owned()),
            Some(level @ ("debug" | "error" | "info")) => {
                self.draft.head.push(format!("log: {{ level: {level} }}"));
            }
            _ => {}
        }
        for (key, value) in pairs(Some(root)) {
            let word = key.scalar().unwrap_or_default();
            if KNOWN.contains(&word)
                || !says(value)
                || (word, value.scalar()) == ("ipv6", Some("true"))
            {
                continue;
            }
            let what = format!("`{word}` is not carried over");
            match LOUD.contains(&word) {
                true => self.draft.report.lost(place(key), what),
                false => self.draft.report.note(place(key), what),
            }
        }
    }

    fn sniffer(&mut self) {
        let sniffer = get(self.root, "sniffer");
        let on = sniffer.filter(|s| scalar(s, "enable") == Some("true"));
        let order = match on {
            Some(_) => "requested-else-sniffed",
            None => "requested",
        };
        self.draft.head.push(format!("domain_order: {order}"));
        if let Some(node) = on {
            let what = "the sniffer looks at first bytes on every port, and only where the client gave an address: \
                        its lists of ports and domains are not carried over";
            self.draft.report.lost(place(node), what);
        }
    }

    /// Reports the keys of a mapping that are not carried over. `quiet` ones send no flow elsewhere.
    fn unknown(&mut self, of: &str, node: &Node, known: &[&str], quiet: &[&str]) {
        let mut hushed = Vec::new();
        for (key, value) in pairs(Some(node)) {
            let word = key.scalar().unwrap_or_default();
            if known.contains(&word) || !says(value) {
                continue;
            }
            if quiet.contains(&word) {
                hushed.push(word);
                continue;
            }
            let what = format!("`{word}` of {of} is not carried over");
            self.draft.report.lost(place(key), what);
        }
        if !hushed.is_empty() {
            let what = format!("`{}` of {of}: not carried over", hushed.join("`, `"));
            self.draft.report.note(place(node), what);
        }
    }
}

/// Whether a value asks for anything.
fn says(value: &Node) -> bool {
    match &value.value {
        Value::List(items) => !items.is_empty(),
        Value::Map(pairs) => {
            let off = get(value, "enable").is_some_and(|on| on.scalar() == Some("false"));
            !pairs.is_empty() && !off
        }
        Value::Scalar(text, _) => !value.is_null() && !matches!(text.as_str(), "" | "false"),
    }
}

/// `host:port`, IPv6 in brackets.
fn endpoint(host: &str, port: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
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
