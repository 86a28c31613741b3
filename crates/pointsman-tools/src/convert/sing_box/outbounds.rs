//! sing-box's outbounds and endpoints.

use serde_json::Value;

use super::super::ITSELF;
use super::super::draft::Section;
use super::super::emit::{Map, list, quoted, text};
use super::super::outbounds::{is_builtin, not_built};
use super::{SingBox, endpoint, items, strings, tag_of, text_of};

/// Keys of what dials that are written.
const DIAL: [&str; 7] = [
    "bind_interface",
    "detour",
    "domain_resolver",
    "inet4_bind_address",
    "routing_mark",
    "tag",
    "type",
];

/// Keys that send no flow elsewhere.
const QUIET: [&str; 16] = [
    "connect_timeout",
    "domain_strategy",
    "fallback_delay",
    "idle_timeout",
    "interrupt_exist_connections",
    "interval",
    "network_strategy",
    "path",
    "protect_path",
    "reuse_addr",
    "tcp_fast_open",
    "tcp_multi_path",
    "tolerance",
    "udp_fragment",
    "udp_over_tcp",
    "url",
];

/// Keys by which flows go elsewhere than they ask, or leave another way: without them they would go where
/// they did not.
const LEADS_AWAY: [&str; 4] = [
    "inet6_bind_address",
    "netns",
    "override_address",
    "override_port",
];

/// An outbound, and where it stands.
struct Part<'a> {
    place: String,
    tag: String,
    outbound: &'a Value,
}

impl SingBox<'_> {
    pub(super) fn outbounds(&mut self) {
        let root = self.root;
        let of = |key: &'static str| {
            items(&root[key])
                .iter()
                .enumerate()
                .map(move |(at, outbound)| Part {
                    place: format!("{key}[{at}]"),
                    tag: tag_of(at, outbound),
                    outbound,
                })
        };
        let all: Vec<Part<'_>> = of("outbounds").chain(of("endpoints")).collect();
        for Part { tag, outbound, .. } in &all {
            // Of two of one tag the first counts, and is told below.
            if self.names.contains_key(tag) {
                continue;
            }
            let mut keys = outbound.as_object().into_iter().flatten();
            let plain = keys.all(|(key, _)| {
                ["tag", "type"].contains(&key.as_str()) || QUIET.contains(&key.as_str())
            });
            if outbound["type"] == "dns" {
                self.answering.insert(tag.clone());
            }
            let own = match outbound["type"].as_str() {
                Some("direct")
                    if plain && !self.is_linked() && tag.eq_ignore_ascii_case("direct") =>
                {
                    "DIRECT".to_owned()
                }
                Some("block" | "dns") => "REJECT".to_owned(),
                _ => self.free(tag, &all),
            };
            self.names.insert(tag.clone(), own);
        }
        for part in &all {
            self.outbound(part);
        }
    }

    /// A name that is not built in, and no other outbound's.
    fn free(&self, tag: &str, all: &[Part<'_>]) -> String {
        let mut own = tag.to_owned();
        while is_builtin(&own) || (own != tag && all.iter().any(|other| other.tag == own)) {
            own.push_str("-2");
        }
        own
    }

    fn outbound(&mut self, of: &Part<'_>) {
        let (outbound, part) = (of.outbound, of.place.as_str());
        let place = self.place(part);
        let kind = outbound["type"].as_str().unwrap_or_default();
        let Some(own) = self.names.get(&of.tag).cloned() else {
            return;
        };
        if self.draft.is_taken(Section::Outbounds, &own, &place) {
            return;
        }
        if kind == "dns" {
            let what = format!(
                "`{}` answers the DNS questions of programs, which is not built yet: flows to it are refused. Programs may ask `dns.listen`",
                of.tag
            );
            return self.draft.report.lost(&place, what);
        }
        if matches!(own.as_str(), "DIRECT" | "REJECT") {
            self.domain_resolver(outbound, part);
            return self.unknown(part, outbound, &DIAL, &QUIET);
        }
        if let Some(key) = LEADS_AWAY.into_iter().find(|key| !outbound[*key].is_null()) {
            let what = format!("`{key}` of `{own}` cannot be carried over: it refuses every flow");
            self.draft.report.lost(&place, what);
            let mut map = Map::default();
            map.text("type", "select").raw("members", "[reject]");
            let why = format!("`{key}` cannot be carried over");
            self.draft.known.refusing.insert(own.clone(), why);
            return self.draft.item(Section::Outbounds, &own, &map, &place);
        }
        let mut map = Map::default();
        let tls = outbound["tls"]["enabled"] == true;
        let mut known: Vec<&str> = DIAL.to_vec();
        let mut refuses = None;
        match kind {
            "direct" => {
                map.text("type", "direct");
                self.link(outbound, &mut map);
                self.domain_resolver(outbound, part);
            }
            "socks" | "http"
                if !tls && (outbound["version"].is_null() || outbound["version"] == "5") =>
            {
                known.extend([
                    "network",
                    "password",
                    "server",
                    "server_port",
                    "tls",
                    "username",
                    "version",
                ]);
                let host = outbound["server"].as_str().unwrap_or_default();
                map.text("type", if kind == "http" { "http" } else { "socks5" });
                map.raw("server", quoted(&endpoint(host, &outbound["server_port"])));
                if let (Some(user), Some(password)) =
                    (outbound["username"].as_str(), outbound["password"].as_str())
                {
                    map.raw("username", quoted(user))
                        .secret("password", password);
                }
                let networks = strings(&outbound["network"]).unwrap_or_default();
                let udp = networks.is_empty() || networks.iter().any(|n| n == "udp");
                map.flag("udp", kind == "socks" && udp);
                self.link(outbound, &mut map);
                self.domain_resolver(outbound, part);
            }
            "selector" | "urltest" => {
                known.extend(["default", "outbounds"]);
                self.group(outbound, kind, &own, &place, &mut map);
            }
            kind => {
                known.extend(
                    outbound
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, _)| key.as_str()),
                );
                let is_tls = tls && matches!(kind, "socks" | "http");
                let who = format!("`{own}`");
                refuses = not_built(&who, kind, is_tls, &mut map, &place, &mut self.draft.report);
            }
        }
        self.unknown(part, outbound, &known, &QUIET);
        match text_of(&outbound["detour"]).map(|by| self.names.get(by)) {
            None => {}
            Some(None) => {
                let what =
                    format!("`{own}` goes through an outbound that does not exist: it is left out");
                return self.draft.report.lost(&place, what);
            }
            // Directly is the same as by no way.
            Some(Some(by)) if by == "DIRECT" => {}
            Some(Some(by)) => {
                let (inner, mut chain) = (format!("{own}{ITSELF}"), Map::default());
                if let Some(why) = refuses.take() {
                    self.draft.known.refusing.insert(inner.clone(), why);
                }
                chain
                    .text("type", "chain")
                    .raw("hops", list([text(by), text(&inner)]));
                self.draft.item(Section::Outbounds, &inner, &map, &place);
                map = chain;
            }
        }
        if let Some(why) = refuses {
            self.draft.known.refusing.insert(own.clone(), why);
        }
        self.draft.item(Section::Outbounds, &own, &map, &place);
    }

    /// Whether all that is dialled leaves by a link that `route` names.
    fn is_linked(&self) -> bool {
        let route = &self.root["route"];
        text_of(&route["default_interface"]).is_some() || mark(&route["default_mark"]).is_some()
    }

    /// By which link it leaves: its own, else that of `route`.
    fn link(&self, outbound: &Value, map: &mut Map) {
        let route = &self.root["route"];
        let interface = text_of(&outbound["bind_interface"]);
        map.some(
            "interface",
            interface.or_else(|| text_of(&route["default_interface"])),
        );
        map.some("source", outbound["inet4_bind_address"].as_str());
        let mark = mark(&outbound["routing_mark"]).or_else(|| mark(&route["default_mark"]));
        if let Some(mark) = mark.filter(|mark| *mark > 0) {
            map.raw("mark", mark.to_string());
        }
    }

    /// Tells of a resolver of its own, where another one looks names up here.
    fn domain_resolver(&mut self, outbound: &Value, part: &str) {
        let given = &outbound["domain_resolver"];
        let Some(own) = text_of(given).or_else(|| text_of(&given["server"])) else {
            return;
        };
        let usual = self.server_resolver().or_else(|| self.final_server());
        if usual.as_deref() != Some(own) {
            let place = self.place(&format!("{part}.domain_resolver"));
            let what =
                format!("`domain_resolver` is not carried over: names are not asked of `{own}`");
            self.draft.report.lost(place, what);
        }
    }

    fn group(&mut self, group: &Value, kind: &str, own: &str, place: &str, map: &mut Map) {
        let mut members = strings(&group["outbounds"]).unwrap_or_default();
        if let Some(first) = text_of(&group["default"])
            && let Some(at) = members.iter().position(|member| member == first)
        {
            members.swap(0, at);
        }
        if let Some(first) = members.first().and_then(|first| self.names.get(first)) {
            self.draft.firsts.insert(own.to_owned(), first.clone());
        }
        let mut written = Vec::new();
        for member in &members {
            if written.is_empty() && self.answering.contains(member) {
                self.draft.first_is_replaced(own, member, "not built yet");
            }
            match self.names.get(member) {
                Some(member) => written.push(text(member)),
                None => {
                    if written.is_empty() {
                        self.draft.first_is_replaced(own, member, "does not exist");
                    }
                    let what = format!(
                        "`{own}` names `{member}`, which does not exist: a member that refuses every flow replaces it"
                    );
                    self.draft.report.lost(place, what);
                    written.push("reject".to_owned());
                }
            }
        }
        if written.is_empty() {
            let what = format!("`{own}` has no members: it refuses every flow");
            self.draft.report.lost(place, what);
            self.draft.known.empty.insert(own.to_owned());
            written.push("reject".to_owned());
        }
        map.text("type", "select").raw("members", list(written));
        if kind == "urltest" {
            let what = format!(
                "`{own}` is of type `{kind}`, which is not built yet: it uses its first member until another is selected"
            );
            self.draft.report.lost(place, what);
            self.draft.known.changing.insert(own.to_owned());
        }
    }
}

/// A number, or a text with `0x`.
fn mark(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let text = value.as_str()?;
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    })
}
