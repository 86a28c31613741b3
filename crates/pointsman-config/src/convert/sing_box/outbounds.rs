//! sing-box's outbounds and endpoints.

use serde_json::Value;

use super::super::draft::Section;
use super::super::emit::{Map, list, quoted, text};
use super::super::outbounds::{is_builtin, later};
use super::{SingBox, endpoint, items, strings};

/// Keys of what dials that are written.
const DIAL: [&str; 6] = [
    "bind_interface",
    "detour",
    "inet4_bind_address",
    "routing_mark",
    "tag",
    "type",
];

/// Keys that send no flow elsewhere.
const QUIET: [&str; 17] = [
    "connect_timeout",
    "domain_resolver",
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

impl SingBox<'_> {
    pub(super) fn outbounds(&mut self) {
        let root = self.root;
        let of = |key: &'static str| {
            items(&root[key])
                .iter()
                .enumerate()
                .map(move |(at, o)| (format!("{key}[{at}]"), o))
        };
        let all: Vec<(String, &Value)> = of("outbounds").chain(of("endpoints")).collect();
        for (part, outbound) in &all {
            let Some(tag) = outbound["tag"].as_str() else {
                let place = self.place(part);
                self.draft
                    .report
                    .lost(place, "an outbound without a tag is left out");
                continue;
            };
            let mut keys = outbound.as_object().into_iter().flatten();
            let plain = keys.all(|(key, _)| {
                ["tag", "type"].contains(&key.as_str()) || QUIET.contains(&key.as_str())
            });
            let own = match outbound["type"].as_str() {
                Some("direct") if plain && tag.eq_ignore_ascii_case("direct") => {
                    "DIRECT".to_owned()
                }
                Some("block") => "REJECT".to_owned(),
                _ => self.free(tag, &all),
            };
            self.names.insert(tag.to_owned(), own);
        }
        for (part, outbound) in &all {
            self.outbound(outbound, part);
        }
    }

    /// A name that is not built in, and no other outbound's.
    fn free(&self, tag: &str, all: &[(String, &Value)]) -> String {
        let mut own = tag.to_owned();
        while is_builtin(&own) || (own != tag && all.iter().any(|(_, o)| o["tag"] == own.as_str()))
        {
            own.push_str("-2");
        }
        own
    }

    fn outbound(&mut self, outbound: &Value, part: &str) {
        let place = self.place(part);
        let kind = outbound["type"].as_str().unwrap_or_default();
        let own = outbound["tag"].as_str().and_then(|tag| self.names.get(tag));
        let Some(own) = own.cloned() else { return };
        if matches!(own.as_str(), "DIRECT" | "REJECT") {
            return self.unknown(part, outbound, &DIAL, &QUIET);
        }
        let mut map = Map::default();
        let tls = outbound["tls"]["enabled"] == true;
        let mut known: Vec<&str> = DIAL.to_vec();
        let mut carries = false;
        match kind {
            "direct" => {
                map.text("type", "direct");
                link(outbound, &mut map);
            }
            "socks" | "http"
                if !tls && matches!(outbound["version"].as_str(), None | Some("5")) =>
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
                carries = kind == "socks" && udp;
                map.flag("udp", carries);
                link(outbound, &mut map);
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
                let with = if tls && matches!(kind, "socks" | "http") {
                    " over TLS"
                } else {
                    ""
                };
                let what = format!("`{own}` (`{kind}`{with}) is not built: it refuses every flow");
                self.draft.report.lost(&place, what);
                match later(kind) {
                    Some(word) => map.text("type", word),
                    None => map.text("type", "select").raw("members", "[reject]"),
                };
            }
        }
        self.unknown(part, outbound, &known, &QUIET);
        match outbound["detour"].as_str().map(|by| self.names.get(by)) {
            None => {}
            Some(None) => {
                let what =
                    format!("`{own}` goes through an outbound that is not there: it is left out");
                return self.draft.report.lost(&place, what);
            }
            // Directly is the same as by no way.
            Some(Some(by)) if by == "DIRECT" => {}
            Some(Some(by)) => {
                if carries {
                    let what = format!("`{own}` goes through another outbound: it carries no UDP");
                    self.draft.report.lost(&place, what);
                }
                let (inner, mut chain) = (format!("{own} itself"), Map::default());
                chain
                    .text("type", "chain")
                    .raw("hops", list([text(by), text(&inner)]));
                self.draft.item(Section::Outbounds, &inner, &map, &place);
                map = chain;
            }
        }
        self.draft.item(Section::Outbounds, &own, &map, &place);
    }

    fn group(&mut self, group: &Value, kind: &str, own: &str, place: &str, map: &mut Map) {
        let mut members = strings(&group["outbounds"]).unwrap_or_default();
        if let Some(first) = group["default"].as_str()
            && let Some(at) = members.iter().position(|member| member == first)
        {
            members.swap(0, at);
        }
        let mut written = Vec::new();
        for member in &members {
            match self.names.get(member) {
                Some(member) => written.push(text(member)),
                None => {
                    let what = format!("there is no `{member}` for `{own}`");
                    self.draft.report.lost(place, what);
                }
            }
        }
        if written.is_empty() {
            written.push("reject".to_owned());
        }
        map.text("type", "select").raw("members", list(written));
        if kind == "urltest" {
            let what = format!(
                "`{own}` measures its members: it is one to select from, the first member first"
            );
            self.draft.report.lost(place, what);
        }
    }
}

fn link(outbound: &Value, map: &mut Map) {
    map.some("interface", outbound["bind_interface"].as_str());
    map.some("source", outbound["inet4_bind_address"].as_str());
    if let Some(mark) = mark(&outbound["routing_mark"]) {
        map.raw("mark", mark.to_string());
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
