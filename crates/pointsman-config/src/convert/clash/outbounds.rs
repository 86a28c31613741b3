//! Clash's proxies and groups.

use super::super::draft::Section;
use super::super::emit::{Map, list, quoted, text};
use super::super::outbounds::{is_builtin, later};
use super::{Clash, endpoint, get, items, place, scalar};
use crate::yaml::Node;

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

impl Clash<'_> {
    /// A name that the native language has not built in.
    fn own_name(&mut self, name: &str) -> String {
        let mut own = name.to_owned();
        while is_builtin(&own) || (own != name && self.names.values().any(|known| *known == own)) {
            own.push_str("-2");
        }
        self.names.insert(name.to_owned(), own.clone());
        own
    }

    pub(super) fn proxies(&mut self) {
        let proxies = items(get(self.root, "proxies"));
        for node in proxies {
            if let Some(name) = scalar(node, "name") {
                self.own_name(name);
            }
        }
        for node in items(get(self.root, "proxy-groups")) {
            if let Some(name) = scalar(node, "name") {
                self.own_name(name);
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
        let Some(own) = self.out(name) else { return };
        let tls = scalar(node, "tls") == Some("true");
        let udp = scalar(node, "udp") == Some("true");
        let mut map = Map::default();
        let mut carries = udp;
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
                link(node, &mut map);
                self.unknown(&format!("`{name}`"), node, &PROXY, &PROXY_QUIET);
            }
            "direct" => {
                carries = true;
                map.text("type", "direct");
                link(node, &mut map);
                self.unknown(&format!("`{name}`"), node, &PROXY, &PROXY_QUIET);
            }
            kind => {
                carries |= ALWAYS_UDP.contains(&kind);
                let with = if matches!(kind, "socks5" | "http") {
                    " over TLS"
                } else {
                    ""
                };
                let what = format!(
                    "the proxy `{name}` (`{kind}`{with}) is not built: it refuses every flow"
                );
                self.draft.report.lost(&at, what);
                match later(kind) {
                    Some(word) => map.text("type", word),
                    None => map.text("type", "select").raw("members", "[reject]"),
                };
            }
        }
        self.udp.insert(name.to_owned(), carries);
        if let Some(by) = scalar(node, "dialer-proxy").filter(|by| !matches!(*by, "" | "DIRECT")) {
            let Some(by) = self.out(by) else {
                let what = format!("there is no `{by}` for `{name}`: it refuses every flow");
                self.draft.report.lost(&at, what);
                map = Map::default();
                map.text("type", "select").raw("members", "[reject]");
                return self.draft.item(Section::Outbounds, &own, &map, &at);
            };
            let (inner, mut chain) = (format!("{own} itself"), Map::default());
            chain
                .text("type", "chain")
                .raw("hops", list([text(&by), text(&inner)]));
            self.draft.item(Section::Outbounds, &inner, &map, &at);
            map = chain;
            if carries {
                let what = format!(
                    "`{name}` goes through another proxy: it carries no UDP, which goes on to further rules"
                );
                self.draft.report.lost(&at, what);
                self.udp.insert(name.to_owned(), false);
            }
        }
        self.draft.item(Section::Outbounds, &own, &map, &at);
    }

    pub(super) fn groups(&mut self) {
        let root = self.root;
        let groups = items(get(root, "proxy-groups"));
        // Groups may name groups that stand below them: a group carries UDP where any that it leads to does.
        let mut found = true;
        while found {
            found = false;
            for node in groups {
                let Some(name) = scalar(node, "name").filter(|_| carries(node)) else {
                    continue;
                };
                let mut members = items(get(node, "proxies")).iter().filter_map(Node::scalar);
                let any = members.any(|member| self.udp.get(member) == Some(&true));
                if any && self.udp.get(name) != Some(&true) {
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
        let on = |key| get(node, key).is_some_and(|node| node.scalar() != Some("false"));
        let foreign = [
            "use",
            "include-all",
            "include-all-providers",
            "include-all-proxies",
        ];
        if foreign.into_iter().any(on) {
            let what = format!(
                "members of `{name}` that it does not name itself (`use`, `include-all`) are left out"
            );
            self.draft.report.lost(&at, what);
        }
        self.unknown(&format!("`{name}`"), node, &GROUP, &GROUP_QUIET);
        let mut named = Vec::new();
        for member in items(get(node, "proxies")).iter().filter_map(Node::scalar) {
            match self.out(member) {
                Some(own) => named.push((member, own)),
                None => {
                    let what = format!("there is no `{member}` for `{name}`");
                    self.draft.report.lost(&at, what);
                }
            }
        }
        let own = self.out(name).unwrap_or_else(|| name.to_owned());
        if kind == "relay" {
            return self.relay(name, &own, named, &at);
        }
        if kind != "select" {
            let what = format!(
                "the group `{name}` is of type `{kind}`: it is one to select from, the first member first"
            );
            self.draft.report.lost(&at, what);
        }
        let known = named.iter().filter_map(|(member, _)| self.udp.get(*member));
        let carried: Vec<bool> = known.copied().collect();
        let any = carried.contains(&true) && carries(node);
        if any && carried.contains(&false) {
            let what = format!(
                "where a member of `{name}` carries no UDP, UDP is refused there and does not go on to further rules"
            );
            self.draft.report.lost(&at, what);
        }
        self.udp.insert(name.to_owned(), any || named.is_empty());
        let mut members: Vec<String> = named.iter().map(|(_, own)| text(own)).collect();
        if members.is_empty() {
            members.push("reject".to_owned());
        }
        let mut map = Map::default();
        map.text("type", "select").raw("members", list(members));
        self.draft.item(Section::Outbounds, &own, &map, &at);
    }

    /// Through one after the other, the nearest first; a direct one is no part of the way.
    fn relay(&mut self, name: &str, own: &str, named: Vec<(&str, String)>, at: &str) {
        let (refusals, hops): (Vec<_>, Vec<_>) = named
            .into_iter()
            .filter(|(_, hop)| hop != "DIRECT")
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
            map.text("type", "select").raw("members", "[direct]");
        } else {
            map.text("type", "chain")
                .raw("hops", list(hops.iter().map(|(_, hop)| text(hop))));
        }
        let chained = refusals.is_empty() && !hops.is_empty();
        if chained && !carried.contains(&false) {
            let what = format!("`{name}` carries no UDP: it goes on to further rules");
            self.draft.report.lost(at, what);
        }
        self.udp.insert(name.to_owned(), !chained);
        self.draft.item(Section::Outbounds, own, &map, at);
    }

    pub(super) fn out(&self, name: &str) -> Option<String> {
        match name {
            "DIRECT" | "COMPATIBLE" => Some("DIRECT".to_owned()),
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

/// Whether a group carries UDP where its members do.
fn carries(node: &Node) -> bool {
    scalar(node, "disable-udp") != Some("true") && scalar(node, "type") != Some("relay")
}

fn link(node: &Node, map: &mut Map) {
    map.some("interface", scalar(node, "interface-name"));
    let digits = |mark: &&str| !mark.is_empty() && mark.bytes().all(|b| b.is_ascii_digit());
    if let Some(mark) = scalar(node, "routing-mark").filter(digits) {
        map.raw("mark", mark);
    }
}
