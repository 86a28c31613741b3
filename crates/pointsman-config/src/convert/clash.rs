//! Clash's and mihomo's YAML.
//!
//! Invariant: rules on addresses resolve unless they say `no-resolve`, as there; a rule whose way out
//! carries no UDP is passed by by UDP, as there.

use std::collections::HashMap;
use std::time::Duration;

use super::draft::{Draft, line_text};
use super::emit::{Map, list, quoted, text};
use super::outbounds::{is_builtin, later};
use super::rules::{self, Ranges};
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

    /// A name that the native language has not built in.
    fn own_name(&mut self, name: &str) -> String {
        let own = if is_builtin(name) {
            format!("{name}-2")
        } else {
            name.to_owned()
        };
        self.names.insert(name.to_owned(), own.clone());
        own
    }

    fn proxies(&mut self) {
        for node in items(get(self.root, "proxies")) {
            let (Some(name), Some(kind)) = (scalar(node, "name"), scalar(node, "type")) else {
                self.draft
                    .report
                    .lost(place(node), "a proxy without a name or a type is left out");
                continue;
            };
            let own = self.own_name(name);
            let udp = scalar(node, "udp") == Some("true");
            let mut map = Map::default();
            match kind {
                "socks5" | "http" if scalar(node, "tls") != Some("true") => {
                    let host = scalar(node, "server").unwrap_or_default();
                    let host = if host.contains(':') {
                        format!("[{host}]")
                    } else {
                        host.to_owned()
                    };
                    let port = scalar(node, "port").unwrap_or_default();
                    map.text("type", kind)
                        .raw("server", quoted(&format!("{host}:{port}")));
                    if let (Some(user), Some(password)) =
                        (scalar(node, "username"), scalar(node, "password"))
                    {
                        map.raw("username", quoted(user))
                            .raw("password", quoted(password));
                    }
                    map.flag("udp", udp && kind == "socks5");
                    map.some("interface", scalar(node, "interface-name"));
                    self.udp.insert(name.to_owned(), udp && kind == "socks5");
                }
                "direct" => {
                    map.text("type", "direct")
                        .some("interface", scalar(node, "interface-name"));
                    self.udp.insert(name.to_owned(), true);
                }
                kind => {
                    let what = format!(
                        "the proxy `{name}` (`{kind}`) is not built: it refuses every flow"
                    );
                    self.draft.report.lost(place(node), what);
                    match later(kind) {
                        Some(word) => map.text("type", word),
                        None => map.text("type", "select").raw("members", "[reject]"),
                    };
                    self.udp.insert(name.to_owned(), udp);
                }
            }
            self.draft.outbounds.raw(&own, map.flow());
        }
    }

    fn groups(&mut self) {
        let groups = items(get(self.root, "proxy-groups"));
        for node in groups {
            if let Some(name) = scalar(node, "name") {
                self.own_name(name);
            }
        }
        for node in groups {
            let Some(name) = scalar(node, "name") else {
                continue;
            };
            let kind = scalar(node, "type").unwrap_or("select");
            if kind != "select" {
                let what = format!(
                    "the group `{name}` is of type `{kind}`: it is one to select from, the first member first"
                );
                self.draft.report.lost(place(node), what);
            }
            if get(node, "use").is_some() || get(node, "include-all").is_some() {
                self.draft.report.lost(
                    place(node),
                    format!("members of `{name}` that come from providers are left out"),
                );
            }
            let mut members = Vec::new();
            let mut carried = Vec::new();
            for member in items(get(node, "proxies")).iter().filter_map(Node::scalar) {
                carried.extend(self.udp.get(member).copied());
                match self.out(member) {
                    Some(own) => members.push(text(&own)),
                    None => self
                        .draft
                        .report
                        .lost(place(node), format!("there is no `{member}` for `{name}`")),
                }
            }
            if members.is_empty() {
                members.push("reject".to_owned());
            }
            let all = carried.iter().all(|udp| *udp);
            if !all && carried.contains(&true) {
                let what = format!(
                    "where a member of `{name}` carries no UDP, UDP is refused there and does not go on to further rules"
                );
                self.draft.report.lost(place(node), what);
            }
            self.udp
                .insert(name.to_owned(), all || carried.contains(&true));
            let mut map = Map::default();
            map.text("type", "select").raw("members", list(members));
            let own = self
                .names
                .get(name)
                .cloned()
                .unwrap_or_else(|| name.to_owned());
            self.draft.outbounds.raw(&own, map.flow());
        }
    }

    fn out(&self, name: &str) -> Option<String> {
        match name {
            "DIRECT" | "COMPATIBLE" => Some("DIRECT".to_owned()),
            "REJECT" => Some("REJECT".to_owned()),
            "REJECT-DROP" => Some("BLACKHOLE".to_owned()),
            name => self.names.get(name).cloned(),
        }
    }

    fn providers(&mut self) {
        for (key, node) in pairs(get(self.root, "rule-providers")) {
            let Some(name) = key.scalar() else { continue };
            let behavior = scalar(node, "behavior")
                .unwrap_or("classical")
                .to_ascii_lowercase();
            let mut map = Map::default();
            match scalar(node, "type") {
                Some("inline") => {
                    let rules = self.inline(node, &behavior);
                    map.raw("rules", list(rules));
                }
                kind => {
                    if let Some(url) = scalar(node, "url").filter(|_| kind == Some("http")) {
                        map.raw("url", quoted(url));
                        let seconds = scalar(node, "interval").and_then(|s| s.parse().ok());
                        map.time(
                            "interval",
                            seconds.filter(|s| *s > 0).map(Duration::from_secs),
                        );
                        let via = scalar(node, "proxy").and_then(|via| self.out(via));
                        map.some("via", via.as_deref());
                    }
                    if let Some(path) = scalar(node, "path") {
                        map.raw("path", quoted(path.trim_start_matches("./")));
                    }
                    map.text("format", scalar(node, "format").unwrap_or("yaml"));
                    map.text("behavior", &behavior);
                }
            }
            self.draft.rule_sets.raw(name, map.flow());
            self.draft.sets.push(name.to_owned());
        }
    }

    /// The entries of a list in the configuration. One that cannot be said is left out.
    fn inline(&mut self, node: &Node, behavior: &str) -> Vec<String> {
        let mut rules = Vec::new();
        for item in items(get(node, "payload")) {
            let Some(entry) = item.scalar() else { continue };
            let mut sets = Vec::new();
            let rule = match behavior {
                "ipcidr" => Some(format!("IP-CIDR, {entry}")),
                "domain" => rules::domain_entry(entry),
                _ => rules::clash(entry, &mut sets, 0).ok(),
            };
            let fits = |rule: &String| sets.is_empty() && super::draft::stands_alone(rule);
            match rule.filter(fits) {
                Some(rule) => rules.push(quoted(&rule)),
                None => {
                    let what = format!(
                        "the entry `{entry}` is left out: flows that it took now fall to the rules below"
                    );
                    self.draft.report.lost(place(item), what);
                }
            }
        }
        rules
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

    fn rules(&mut self) {
        for node in items(get(self.root, "rules")) {
            if let Some(rule) = node.scalar() {
                self.rule(rule, None, &place(node), 0);
            }
        }
    }

    /// One rule, perhaps below the condition of a `SUB-RULE`.
    fn rule(&mut self, rule: &str, above: Option<&str>, place: &str, depth: usize) {
        let parts = rules::split(rule);
        let kind = parts
            .first()
            .map(|k| k.to_ascii_uppercase())
            .unwrap_or_default();
        if kind == "SUB-RULE" {
            return self.sub_rule(rule, &parts, above, place, depth);
        }
        let at = if kind == "MATCH" { 1 } else { 2 };
        let Some(target) = parts.get(at) else {
            return self.draft.left_out(place, rule, "it names no way out");
        };
        if target == "PASS" {
            let what = format!("`{rule}` passes flows on, as if it were not there: it is left out");
            return self.draft.report.note(place, what);
        }
        let Some(out) = self.out(target) else {
            return self
                .draft
                .left_out(place, rule, &format!("there is no `{target}`"));
        };
        let udp = self.udp.get(target).copied().unwrap_or(true);
        if kind == "MATCH" && above.is_none() && udp {
            return self.draft.fallback(&out);
        }
        let own = match kind.as_str() {
            "MATCH" => Ok("ALWAYS".to_owned()),
            _ => {
                let blind = parts.iter().skip(3).any(|flag| flag == "no-resolve");
                let mut inner = format!("{kind},{}", parts.get(1).map_or("", String::as_str));
                if blind {
                    inner.push_str(",no-resolve");
                }
                self.condition(&inner)
            }
        };
        match own {
            Err(why) => self.draft.left_out(place, rule, &why),
            Ok(own) => {
                let tcp = (!udp).then_some("NETWORK, tcp");
                let all: Vec<&str> = above.into_iter().chain([own.as_str()]).chain(tcp).collect();
                let all: Vec<&str> = match all.len() {
                    1 => all,
                    _ => all.into_iter().filter(|part| *part != "ALWAYS").collect(),
                };
                self.draft.rule(place, rule, &rules::all(&all), &out);
            }
        }
    }

    fn sub_rule(
        &mut self,
        rule: &str,
        parts: &[String],
        above: Option<&str>,
        place: &str,
        depth: usize,
    ) {
        let [_, condition, name, ..] = parts else {
            return self.draft.left_out(place, rule, "it names no list");
        };
        let inner = condition
            .strip_prefix('(')
            .and_then(|c| c.strip_suffix(')'));
        let condition = match self.condition(inner.unwrap_or(condition)) {
            Ok(condition) if depth < 4 => condition,
            Ok(_) => return self.draft.left_out(place, rule, "lists within lists"),
            Err(why) => return self.draft.left_out(place, rule, &why),
        };
        let condition = match above {
            None => condition,
            Some(above) => rules::all(&[above, &condition]),
        };
        let lists = get(self.root, "sub-rules");
        for node in items(lists.and_then(|lists| get(lists, name))) {
            if let Some(rule) = node.scalar() {
                let place = self::place(node);
                self.rule(rule, Some(&condition), &place, depth + 1);
            }
        }
    }

    /// A rule without its way out, in native words.
    fn condition(&mut self, rule: &str) -> Result<String, String> {
        let mut found = Vec::new();
        let condition = rules::clash(rule, &mut found, 0)?;
        for ranges in found {
            self.ranges(&ranges);
        }
        Ok(condition)
    }

    /// A set that stands for Clash's own databases.
    fn ranges(&mut self, ranges: &Ranges) {
        let name = ranges.name();
        if self.draft.sets.contains(&name) {
            return;
        }
        let mut map = Map::default();
        if let Some((key, usual, format, select)) = ranges.database() {
            let given = get(self.root, "geox-url").and_then(|urls| scalar(urls, key));
            map.raw("url", quoted(given.unwrap_or(usual)));
            map.text("format", format).text("select", &select);
            let what = format!("`{name}` is fetched: until then no flow is in it");
            self.draft.report.note("", what);
        } else {
            map.raw(
                "ips",
                list(rules::PRIVATE.iter().map(|range| quoted(range))),
            );
        }
        self.draft.rule_sets.raw(&name, map.flow());
        self.draft.sets.push(name);
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
