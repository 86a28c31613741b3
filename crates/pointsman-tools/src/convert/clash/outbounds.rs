//! Clash's proxies and groups.

use super::super::ITSELF;
use super::super::draft::Section;
use super::super::emit::{Map, list, quoted, text};
use super::super::outbounds::{is_builtin, not_built};
use super::{Clash, endpoint, get, is_on, items, place, scalar};
use pointsman_config::yaml::Node;

/// Keys of proxies that are written.
const PROXY: [&str; 12] = [
    "dialer-proxy",
    "interface-name",
    "name",
    "password",
    "port",
    "routing-mark",
    "server",
    "tls",
    "type",
    "udp",
    "username",
    "uot",
];

/// Keys of proxies that send no flow elsewhere.
const PROXY_QUIET: [&str; 7] = [
    "client-fingerprint",
    "fingerprint",
    "ip-version",
    "mptcp",
    "skip-cert-verify",
    "sni",
    "tfo",
];

/// Keys of groups that are written, or told of together.
const GROUP: [&str; 8] = [
    "disable-udp",
    "include-all",
    "include-all-providers",
    "include-all-proxies",
    "name",
    "proxies",
    "type",
    "use",
];

/// Keys of groups that send no flow elsewhere, or not where a member is selected by hand.
const GROUP_QUIET: [&str; 15] = [
    "default-selected",
    "empty-fallback",
    "exclude-filter",
    "exclude-type",
    "expected-status",
    "filter",
    "hidden",
    "icon",
    "interval",
    "lazy",
    "max-failed-times",
    "strategy",
    "timeout",
    "tolerance",
    "url",
];

/// Types of proxies that carry UDP without being told.
const ALWAYS_UDP: [&str; 5] = ["hysteria", "hysteria2", "mieru", "tuic", "masque"];

impl<'a> Clash<'a> {
    /// A name that the native language has not built in.
    pub(super) fn own_name(&mut self, name: &str) -> String {
        let mut own = name.to_owned();
        while is_builtin(&own) || (own != name && self.names.values().any(|known| *known == own)) {
            own.push_str("-2");
        }
        self.names.insert(name.to_owned(), own.clone());
        own
    }

    pub(super) fn proxies(&mut self) {
        let proxies = items(get(self.root, "proxies"));
        for node in proxies.iter().chain(items(get(self.root, "proxy-groups"))) {
            let name = scalar(node, "name").filter(|name| !self.names.contains_key(*name));
            match (name, scalar(node, "type")) {
                (None, _) => {}
                // Of all types of proxies and groups this one alone is a word here.
                (Some(name), Some("reject")) => {
                    self.names.insert(name.to_owned(), "REJECT".to_owned());
                    self.udp.insert(name.to_owned(), true);
                }
                (Some(name), _) => {
                    self.own_name(name);
                }
            }
        }
        for node in proxies {
            self.proxy(node);
        }
    }

    fn proxy(&mut self, node: &Node) {
        let at = place(node);
        let (Some(name), Some(kind)) = (scalar(node, "name"), scalar(node, "type")) else {
            let what = "a proxy without a name or a type is left out";
            return self.draft.report.lost(at, what);
        };
        let own = self.names.get(name).cloned();
        let Some(own) = own.filter(|own| !self.draft.is_taken(Section::Outbounds, own, &at)) else {
            return;
        };
        if own == "REJECT" {
            return;
        }
        let tls = get(node, "tls").is_some_and(is_on);
        let udp = get(node, "udp").is_some_and(is_on);
        let mut map = Map::default();
        let mut carries = udp;
        let mut refuses = None;
        match kind {
            "socks5" | "http" if !tls => {
                let host = scalar(node, "server").unwrap_or_default();
                let port = scalar(node, "port").unwrap_or_default();
                map.text("type", kind)
                    .raw("server", quoted(&endpoint(host, port)));
                if let (Some(user), Some(password)) =
                    (scalar(node, "username"), scalar(node, "password"))
                {
                    map.raw("username", quoted(user))
                        .secret("password", password);
                }
                carries = udp && kind == "socks5";
                map.flag("udp", carries);
                link(node, Some(self.root), &mut map);
                self.unknown(&format!("`{name}`"), node, &PROXY, &PROXY_QUIET);
            }
            "direct" => {
                carries = true;
                map.text("type", "direct");
                link(node, Some(self.root), &mut map);
                self.unknown(&format!("`{name}`"), node, &PROXY, &PROXY_QUIET);
            }
            kind => {
                carries |= ALWAYS_UDP.contains(&kind);
                let is_tls = matches!(kind, "socks5" | "http");
                let who = format!("the proxy `{name}`");
                refuses = not_built(&who, kind, is_tls, &mut map, &at, &mut self.draft.report);
            }
        }
        self.udp.insert(name.to_owned(), carries);
        if let Some(by) = scalar(node, "dialer-proxy").filter(|by| !matches!(*by, "" | "DIRECT")) {
            let Some(by) = self.out(by) else {
                let what = format!(
                    "`{name}` goes through `{by}`, which does not exist: it refuses every flow"
                );
                self.draft.report.lost(&at, what);
                map = Map::default();
                map.text("type", "select").raw("members", "[reject]");
                let why = "its `dialer-proxy` does not exist".to_owned();
                self.draft.known.refusing.insert(own.clone(), why);
                return self.draft.item(Section::Outbounds, &own, &map, &at);
            };
            let (inner, mut chain) = (format!("{own}{ITSELF}"), Map::default());
            if let Some(why) = refuses.take() {
                self.draft.known.refusing.insert(inner.clone(), why);
            }
            chain
                .text("type", "chain")
                .raw("hops", list([text(&by), text(&inner)]));
            self.draft.item(Section::Outbounds, &inner, &map, &at);
            map = chain;
        }
        if let Some(why) = refuses {
            self.draft.known.refusing.insert(own.clone(), why);
        }
        self.draft.item(Section::Outbounds, &own, &map, &at);
    }

    pub(super) fn groups(&mut self) {
        let root = self.root;
        let groups = items(get(root, "proxy-groups"));
        // Groups may name groups that stand below them: a group carries UDP where any that it leads to does, a
        // relay where all do.
        let mut found = true;
        while found {
            found = false;
            for node in groups {
                let Some(name) = scalar(node, "name") else {
                    continue;
                };
                let mut members = items(get(node, "proxies")).iter().filter_map(Node::scalar);
                let does = |member: &str| self.udp.get(member) == Some(&true);
                let carries = match scalar(node, "type") == Some("relay") {
                    true => members.all(does),
                    false => members.any(does),
                };
                if carries && self.udp.get(name) != Some(&true) {
                    self.udp.insert(name.to_owned(), true);
                    found = true;
                }
            }
        }
        for node in groups {
            if let Some(name) = scalar(node, "name") {
                self.group(node, name);
            } else {
                let what = "a group without a name is left out";
                self.draft.report.lost(place(node), what);
            }
        }
    }

    fn group(&mut self, node: &Node, name: &str) {
        let at = place(node);
        let kind = scalar(node, "type").unwrap_or("select");
        let own = self.names.get(name).cloned();
        let Some(own) = own.filter(|own| !self.draft.is_taken(Section::Outbounds, own, &at)) else {
            return;
        };
        let on = |key| get(node, key).is_some_and(super::says);
        let from_providers = on("use")
            || ((on("include-all") || on("include-all-providers"))
                && get(self.root, "proxy-providers").is_some_and(super::says));
        if from_providers {
            let what = format!("members of `{name}` that come from `proxy-providers` are left out");
            self.draft.report.lost(&at, what);
        }
        let mut known = GROUP.to_vec();
        if self.includes(node) {
            known.extend(["exclude-filter", "exclude-type", "filter"]);
        }
        self.unknown(&format!("`{name}`"), node, &known, &GROUP_QUIET);
        let mut named = Vec::new();
        let members = items(get(node, "proxies")).iter().filter_map(Node::scalar);
        for member in members.chain(self.included(node, name, &at)) {
            if named.iter().any(|(known, _)| *known == member) {
                continue;
            }
            if let Some(own) = self.out(member) {
                named.push((member, own));
                continue;
            }
            let what = match member {
                "PASS" => format!(
                    "`PASS` in `{name}` hands flows on to the rules below, which no group can do here: a member that \
                     refuses every flow replaces it"
                ),
                _ => format!(
                    "`{name}` names `{member}`, which does not exist: a member that refuses every flow replaces it"
                ),
            };
            self.draft.report.lost(&at, what);
            if named.is_empty() && kind != "relay" {
                let why = if member == "PASS" {
                    "not built yet"
                } else {
                    "does not exist"
                };
                self.draft.first_is_replaced(&own, member, why);
            }
            named.push((member, "REJECT".to_owned()));
        }
        if let Some((_, first)) = named.first() {
            self.draft.firsts.insert(own.clone(), first.clone());
        }
        if kind == "relay" {
            return self.relay(name, &own, named, &at);
        }
        if kind != "select" && !named.is_empty() {
            let what = format!(
                "the group `{name}` is of type `{kind}`, which is not built yet: it uses its first member until another is selected"
            );
            self.draft.report.lost(&at, what);
            self.draft.known.changing.insert(own.clone());
        }
        let known = named.iter().filter_map(|(member, _)| self.udp.get(*member));
        let carried: Vec<bool> = known.copied().collect();
        let any = carried.contains(&true);
        self.udp.insert(name.to_owned(), any || named.is_empty());
        if any && get(node, "disable-udp").is_some_and(is_on) {
            let what = format!(
                "`disable-udp` of `{name}` is not carried over: UDP goes by its members that carry it, in Clash it goes \
                 on to the rules below"
            );
            self.draft.report.lost(&at, what);
        }
        let mut members: Vec<String> = named.iter().map(|(_, own)| text(own)).collect();
        if members.is_empty() {
            let what = format!("the group `{name}` has no members: it refuses every flow");
            self.draft.report.lost(&at, what);
            self.draft.known.empty.insert(own.clone());
            members.push("reject".to_owned());
        }
        let mut map = Map::default();
        map.text("type", "select").raw("members", list(members));
        self.draft.item(Section::Outbounds, &own, &map, &at);
    }

    /// Whether a group takes proxies of this file by their names.
    fn includes(&self, node: &Node) -> bool {
        let on = |key| get(node, key).is_some_and(is_on);
        on("include-all") || on("include-all-proxies")
    }

    /// The proxies of this file that a group takes by their names alone.
    fn included(&mut self, node: &Node, group: &str, at: &str) -> Vec<&'a str> {
        if !self.includes(node) {
            return Vec::new();
        }
        let mut lost = |why: String| {
            let what = format!("proxies that `{group}` includes are left out: {why}");
            self.draft.report.lost(at, what);
        };
        let mut patterns = |key| {
            // Several are parted by backticks; any of them is enough.
            let all = scalar(node, key).unwrap_or_default().split('`');
            let all = all.filter(|one| !one.is_empty()).map(regex::Regex::new);
            let all: Result<Vec<_>, _> = all.collect();
            all.map_err(|error| lost(format!("`{key}` is no expression here: {error}")))
                .ok()
        };
        let (Some(wanted), Some(unwanted)) = (patterns("filter"), patterns("exclude-filter"))
        else {
            return Vec::new();
        };
        let types = scalar(node, "exclude-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let types: Vec<&str> = types.split('|').collect();
        let matches = |list: &[regex::Regex], name: &str| list.iter().any(|one| one.is_match(name));
        let root = self.root;
        let proxies = items(get(root, "proxies")).iter().filter(|proxy| {
            let kind = scalar(proxy, "type")
                .unwrap_or_default()
                .to_ascii_lowercase();
            let kind = match kind.as_str() {
                "ss" => "shadowsocks".to_owned(),
                "ssr" => "shadowsocksr".to_owned(),
                _ => kind,
            };
            !types.contains(&kind.as_str())
        });
        let names = proxies.filter_map(|proxy| scalar(proxy, "name"));
        names
            .filter(|name| wanted.is_empty() || matches(&wanted, name))
            .filter(|name| !matches(&unwanted, name))
            .collect()
    }

    /// Through one after the other, the nearest first; a direct one is no part of the way.
    fn relay(&mut self, name: &str, own: &str, named: Vec<(&str, String)>, at: &str) {
        let (refusals, hops): (Vec<_>, Vec<_>) = named
            .into_iter()
            .filter(|(_, hop)| *hop != self.direct)
            .partition(|(_, hop)| matches!(hop.as_str(), "REJECT" | "BLACKHOLE"));
        let groups = items(get(self.root, "proxy-groups"));
        if hops
            .iter()
            .any(|(hop, _)| groups.iter().any(|g| scalar(g, "name") == Some(hop)))
        {
            let what = format!(
                "`{name}` goes through a group: where a direct or refusing member is selected there, it fails"
            );
            self.draft.report.lost(at, what);
        }
        let carried: Vec<bool> = hops
            .iter()
            .filter_map(|(hop, _)| self.udp.get(*hop).copied())
            .collect();
        let mut map = Map::default();
        if let Some((_, refusal)) = refusals.first() {
            map.text("type", "select")
                .raw("members", list([text(refusal)]));
        } else if hops.is_empty() {
            map.text("type", "select")
                .raw("members", list([text(&self.direct)]));
        } else {
            map.text("type", "chain")
                .raw("hops", list(hops.iter().map(|(_, hop)| text(hop))));
        }
        let chained = refusals.is_empty() && !hops.is_empty();
        let all = !carried.contains(&false);
        self.udp.insert(name.to_owned(), !chained || all);
        self.draft.item(Section::Outbounds, own, &map, at);
    }

    pub(super) fn out(&self, name: &str) -> Option<String> {
        match name {
            "DIRECT" | "COMPATIBLE" => Some(self.direct.clone()),
            "REJECT" => Some("REJECT".to_owned()),
            "REJECT-DROP" => Some("BLACKHOLE".to_owned()),
            name => self.names.get(name).cloned().or_else(|| {
                let builtins = ["DIRECT", "COMPATIBLE", "REJECT", "REJECT-DROP"];
                let meant = builtins.iter().find(|own| own.eq_ignore_ascii_case(name))?;
                self.out(meant)
            }),
        }
    }
}

/// By which link it leaves: its own, else that of the top.
pub(super) fn link(node: &Node, top: Option<&Node>, map: &mut Map) {
    let given = |key| {
        let own = scalar(node, key).filter(|value| !value.is_empty());
        own.or_else(|| scalar(top?, key).filter(|value| !value.is_empty()))
    };
    map.some("interface", given("interface-name"));
    let mark = given("routing-mark").and_then(|mark| match mark.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => mark.parse().ok(),
    });
    if let Some(mark) = mark.filter(|mark| *mark > 0) {
        map.raw("mark", mark.to_string());
    }
}
