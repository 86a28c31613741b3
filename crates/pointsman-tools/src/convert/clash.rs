//! Clash's and mihomo's YAML.
//!
//! Invariant: rules on addresses resolve unless they say `no-resolve`, as there; nobody is let in,
//! nothing is sent out and no name is asked that Clash would not. A rule whose way out carries no UDP
//! refuses UDP, which Clash would hand on to the rules below: that is told.

mod dns;
mod inbounds;
mod lists;
mod mode;
mod old;
mod outbounds;
mod parts;
mod rules;
mod servers;
mod types;

use std::collections::HashMap;

use super::draft::{Draft, Section};
use super::emit::Map;
use super::told::{left, words};
use super::types::wrong;
use pointsman_config::problem::Problems;
use pointsman_config::yaml::{Node, Value};

/// Keys at the top that are written, or told of one by one.
const KNOWN: [&str; 29] = [
    "allow-lan",
    "authentication",
    "bind-address",
    "dns",
    "geox-url",
    "hosts",
    "interface-name",
    "ipv6",
    "lan-allowed-ips",
    "lan-disallowed-ips",
    "listeners",
    "log-level",
    "mixed-port",
    "mode",
    "port",
    "proxies",
    "proxy-groups",
    "proxy-providers",
    "redir-port",
    "routing-mark",
    "rule-providers",
    "rules",
    "script",
    "skip-auth-prefixes",
    "sniffer",
    "socks-port",
    "sub-rules",
    "tproxy-port",
    "tunnels",
];

/// Keys at the top that send flows elsewhere, or let others in. What else is not known is not known
/// to Clash either (anchors stand there), or concerns how Clash itself is run.
const LOUD: [&str; 8] = [
    "ebpf",
    "inbound-mptcp",
    "inbound-tfo",
    "iptables",
    "ss-config",
    "tuic-server",
    "tun",
    "vmess-config",
];

/// Keys that change what flows do where they are off.
const USUALLY_ON: [&str; 3] = ["parse-pure-ip", "use-hosts", "use-system-hosts"];

/// The native form of a configuration; values of types that Clash does not take go into `problems`.
pub(super) fn convert(root: &Node, problems: &mut Problems) -> Draft {
    let root = &old::renamed(root);
    for wrong in wrong(root, types::TABLE) {
        problems.error("wrong-type", &wrong.value.span, wrong.text);
    }
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
        names_by: None,
        direct: "DIRECT".to_owned(),
        used: Vec::new(),
        has_no_bootstrap: false,
        astray: Vec::new(),
        unfolded: 0,
        unfolded_bytes: 0,
        root,
    };
    clash.general();
    clash.sniffer();
    clash.link();
    clash.inbounds();
    clash.proxies();
    clash.groups();
    clash.udp();
    clash.providers();
    clash.dns();
    clash.mode();
    clash.rules();
    // Where no rule holds flows go direct.
    let direct = clash.direct.clone();
    clash.draft.last_resort(&direct);
    clash.draft
}

struct Clash<'a> {
    draft: Draft,
    /// Whether what rules may name carries UDP.
    udp: HashMap<String, bool>,
    /// Native names of what is called otherwise.
    names: HashMap<String, String>,
    /// What looks up names for the inbounds, where something else does it for servers.
    names_by: Option<&'static str>,
    /// The way out that `DIRECT` is.
    direct: String,
    /// Keys of `dns` whose servers are asked in the stead of others.
    used: Vec<&'static str>,
    /// Whether nobody can be carried over who knows the names of name servers, which was told.
    has_no_bootstrap: bool,
    /// What sent names to name servers of their own, and does not here.
    astray: Vec<String>,
    /// How many rules the lists of `sub-rules` had so far, each as often as it is named.
    unfolded: usize,
    /// How long they were, with the conditions above them.
    unfolded_bytes: usize,
    root: &'a Node,
}

impl Clash<'_> {
    fn general(&mut self) {
        let root = self.root;
        if let Some(node) = get(root, "ipv6").filter(|node| is_off(node)) {
            // Without it Clash serves no flow to an IPv6 address, either.
            let rule = "IP-CIDR, ::/0, no-resolve";
            self.draft.rule(&place(node), "ipv6: false", rule, "REJECT");
            let what = format!(
                "`ipv6: false` is written as a rule: `{rule}` refuses flows to IPv6 addresses, as Clash does"
            );
            self.draft.report.note(place(node), what);
        }
        let dns = get(root, "dns").filter(|dns| get(dns, "enable").is_some_and(is_on));
        let of_servers = dns.and_then(|dns| get(dns, "proxy-server-nameserver"));
        self.names_by = of_servers.filter(|node| says(node)).map(|_| "nameserver");
        match scalar(root, "log-level") {
            Some("warning") => self.draft.head.push("log: { level: warn }".to_owned()),
            Some(level @ ("debug" | "error" | "info")) => {
                self.draft.head.push(format!("log: {{ level: {level} }}"));
            }
            Some("silent") => {
                self.draft.head.push("log: { level: error }".to_owned());
                self.log_level("there is no level `silent` here: errors are logged");
            }
            Some(level) if !level.is_empty() => {
                self.log_level(&format!(
                    "there is no level `{level}`: it is not carried over"
                ));
            }
            _ => {}
        }
        for (key, value) in pairs(Some(root)) {
            let word = key.scalar().unwrap_or_default();
            if word == "find-process-mode" && is_off(value) {
                let what =
                    "`find-process-mode: off` is not carried over: rules on programs are used here";
                self.draft.report.lost(place(key), what);
            }
            if KNOWN.contains(&word) || !says(value) {
                continue;
            }
            if matches!(word, "ebpf" | "iptables" | "tun") {
                self.draft.known.captures.insert(word.to_owned());
            }
            let what = format!("`{word}` is not carried over");
            match LOUD.contains(&word) {
                true => self.draft.report.lost(place(key), what),
                false => self.draft.report.note(place(key), what),
            }
        }
        self.told_apart();
    }

    fn log_level(&mut self, what: &str) {
        let at = get(self.root, "log-level").map_or_else(String::new, place);
        self.draft.report.note(at, what);
    }

    /// Parts of which each item is a loss of its own.
    fn told_apart(&mut self) {
        let root = self.root;
        for (key, _) in pairs(get(root, "proxy-providers")) {
            let what = format!(
                "the proxies of the provider `{}` are not fetched: fetch its list, put what stands under its `proxies:` \
                 into this file, name them in the groups that `use` it, and convert again",
                key.scalar().unwrap_or_default()
            );
            self.draft.report.lost(place(key), what);
        }
        for node in items(get(root, "tunnels")) {
            let what = "this tunnel is not carried over, and its flows do not come in: write it under `forwards`";
            self.draft.report.lost(place(node), what);
        }
        if let Some(node) = get(root, "script") {
            let what = "scripts are not carried over, and rules that use a script are left out";
            self.draft.report.lost(place(node), what);
        }
    }

    /// How all that is dialled directly leaves, where the top says so.
    fn link(&mut self) {
        let root = self.root;
        let mut map = Map::default();
        map.text("type", "direct");
        outbounds::link(root, None, &mut map);
        if !map.has("interface") && !map.has("mark") {
            return;
        }
        let node = get(root, "interface-name").or_else(|| get(root, "routing-mark"));
        let at = node.map_or_else(String::new, place);
        self.direct = "direct by link".to_owned();
        self.draft.item(Section::Outbounds, &self.direct, &map, &at);
        let what = "`DIRECT` leaves by the link that `interface-name` or `routing-mark` names; look-ups by the system's resolver, and fetched lists, leave as the system decides";
        self.draft.report.lost(at, what);
    }

    /// Clash hands UDP on to the rules below where a way out carries none; here it is refused.
    fn udp(&mut self) {
        let mut without = 0;
        let mut first = None;
        for section in ["proxies", "proxy-groups"] {
            for node in items(get(self.root, section)) {
                let name = scalar(node, "name").unwrap_or_default();
                if self.udp.get(name) == Some(&false) {
                    without += 1;
                    first = first.or_else(|| Some((place(node), name)));
                }
            }
        }
        let in_by_udp = ["mixed-port", "socks-port", "listeners"];
        if let Some((at, name)) =
            first.filter(|_| in_by_udp.iter().any(|key| get(self.root, key).is_some()))
        {
            let more = match without {
                1 => String::new(),
                more => format!(" and {} more", more - 1),
            };
            let what = format!(
                "no UDP goes by `{name}`{more}: a rule that leads there refuses it, in Clash it goes on to the rules below"
            );
            self.draft.report.lost(at, what);
        }
    }

    fn sniffer(&mut self) {
        let sniffer = get(self.root, "sniffer");
        let on = sniffer.filter(|s| get(s, "enable").is_some_and(is_on));
        let order = match on {
            Some(_) => "requested-else-sniffed",
            None => "requested",
        };
        self.draft.head.push(format!("domain_order: {order}"));
        if let Some(node) = on {
            let what = "the sniffer looks at first bytes on every port, and only where the client gave an address: \
                        its lists of ports and domains are not carried over";
            self.draft.report.lost(place(node), what);
            let known = ["enable", "override-destination", "parse-pure-ip"];
            self.unknown("`sniffer`", node, &known, &["force-dns-mapping"]);
            self.overrides(node);
        }
    }

    /// Clash dials the name that it finds, unless it is told not to.
    fn overrides(&mut self, sniffer: &Node) {
        let key = "override-destination";
        let protocols = pairs(get(sniffer, "sniff")).iter();
        let of_each: Vec<&Node> = protocols.filter_map(|(_, one)| get(one, key)).collect();
        let of_all = get(sniffer, key);
        if of_all.is_some_and(is_off) && !of_each.iter().any(|node| is_on(node)) {
            return;
        }
        let at = of_all
            .or_else(|| of_each.first().copied())
            .unwrap_or(sniffer);
        let what = "`override-destination` of `sniffer` is not carried over: what the client asked for is dialled, not the \
                    name that is found";
        self.draft.report.lost(place(at), what);
    }

    /// Reports the keys of a mapping that are not carried over. `quiet` ones send no flow elsewhere.
    fn unknown(&mut self, of: &str, node: &Node, known: &[&str], quiet: &[&str]) {
        let mut hushed = Vec::new();
        for (key, value) in pairs(Some(node)) {
            let word = key.scalar().unwrap_or_default();
            let off = USUALLY_ON.contains(&word) && is_off(value);
            if off {
                let what = format!("`{word}: false` of {of} is not carried over");
                self.draft.report.lost(place(key), what);
            }
            if off || known.contains(&word) || !says(value) {
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
            let what = format!("{} of {of} {}", words(&hushed), left(hushed.len()));
            self.draft.report.note(place(node), what);
        }
    }
}

/// Whether a value asks for anything.
fn says(value: &Node) -> bool {
    match &value.value {
        Value::List(items) => !items.is_empty(),
        Value::Map(pairs) => !pairs.is_empty() && !get(value, "enable").is_some_and(is_off),
        Value::Scalar(text, _) => !value.is_null() && !text.is_empty() && !is_off(value),
    }
}

/// Whether a value is one of the words for yes that Clash reads.
fn is_on(value: &Node) -> bool {
    let word = value.scalar().unwrap_or_default().to_ascii_lowercase();
    matches!(word.as_str(), "true" | "yes" | "on" | "y" | "1")
}

/// Whether a value is one of its words for no.
fn is_off(value: &Node) -> bool {
    let word = value.scalar().unwrap_or_default().to_ascii_lowercase();
    matches!(word.as_str(), "false" | "no" | "off" | "n")
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
