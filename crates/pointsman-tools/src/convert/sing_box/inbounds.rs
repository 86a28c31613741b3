//! sing-box's inbounds.

use serde_json::Value;

use super::super::draft::Section;
use super::super::emit::{Map, quoted};
use super::{SingBox, endpoint, items, text_of};

/// Keys of inbounds that are written, or read elsewhere.
const KNOWN: [&str; 9] = [
    "domain_strategy",
    "listen",
    "listen_port",
    "sniff",
    "sniff_override_destination",
    "tag",
    "tls",
    "type",
    "users",
];

/// Keys that send no flow elsewhere.
const QUIET: [&str; 9] = [
    "disable_tcp_keep_alive",
    "reuse_addr",
    "set_system_proxy",
    "sniff_timeout",
    "tcp_fast_open",
    "tcp_multi_path",
    "udp_disable_domain_unmapping",
    "udp_fragment",
    "udp_timeout",
];

/// Keys that keep clients away, or hand their flows to another inbound: without them more come in.
const KEEPS_OUT: [&str; 3] = ["bind_interface", "detour", "netns"];

impl SingBox<'_> {
    pub(super) fn inbounds(&mut self) {
        let root = self.root;
        for (number, inbound) in items(&root["inbounds"]).iter().enumerate() {
            self.inbound(number, inbound);
        }
        // Until 1.12 inbounds could say what actions say now, before all rules.
        let legacy = |key: &str| {
            let all = items(&root["inbounds"]).iter();
            all.filter(|i| self.inbounds.contains(&tag(i)))
                .map(|i| i[key].clone())
                .collect::<Vec<_>>()
        };
        let (sniffs, strategies) = (legacy("sniff"), legacy("domain_strategy"));
        let at = self.place("inbounds");
        if sniffs.iter().any(|sniff| *sniff == true) {
            self.sniffed = true;
            if sniffs.iter().any(|sniff| *sniff != true) {
                let what = "`sniff` of some inbounds: first bytes are looked at for all";
                self.draft.report.lost(&at, what);
            }
        }
        if strategies
            .iter()
            .any(|strategy| strategy.as_str().is_some_and(|s| !s.is_empty()))
        {
            let what = "`domain_strategy` of an inbound is not carried over: names are not resolved before the rules";
            self.draft.report.lost(&at, what);
        }
    }

    fn inbound(&mut self, number: usize, inbound: &Value) {
        let part = format!("inbounds[{number}]");
        let place = self.place(&part);
        let kind = inbound["type"].as_str().unwrap_or_default();
        let word = match kind {
            "mixed" | "http" => kind,
            "socks" => "socks5",
            other => {
                if matches!(other, "redirect" | "tproxy" | "tun") {
                    self.draft.known.captures.insert(other.to_owned());
                }
                let what =
                    format!("the inbound of type `{other}` is left out: its flows do not come in");
                return self.draft.report.lost(place, what);
            }
        };
        if inbound["tls"]["enabled"] == true {
            let what = "TLS of an inbound is not built yet: the inbound is left out, and its flows do not come in";
            return self.draft.report.lost(&place, what);
        }
        let kept = KEEPS_OUT.into_iter().find(|key| !inbound[*key].is_null());
        if let Some(key) = kept {
            let what = format!(
                "`{key}` of an inbound cannot be carried over: the inbound is left out, and its flows do not come in"
            );
            return self.draft.report.lost(&place, what);
        }
        let tag = match text_of(&inbound["tag"]) {
            Some(tag) => tag.to_owned(),
            None => format!("{kind}-{number}"),
        };
        if self.draft.is_taken(Section::Inbounds, &tag, &place) {
            return;
        }
        let host = inbound["listen"].as_str().unwrap_or("127.0.0.1");
        let mut map = Map::default();
        map.text("type", word)
            .raw("listen", quoted(&endpoint(host, &inbound["listen_port"])));
        match self.users(inbound, &part) {
            Some(users) if users.is_empty() => {}
            Some(users) => {
                map.map("users", &users);
            }
            None => {
                let what = "none of its users can be carried over: the inbound is left out, and its flows do not come in";
                return self.draft.report.lost(&place, what);
            }
        }
        if let Some(resolver) = self.names_by() {
            map.text("resolver", &resolver);
        }
        if inbound["sniff_override_destination"] == true {
            let what = "`sniff_override_destination` is not carried over: what the client asked for is dialled";
            self.draft.report.lost(&place, what);
        }
        self.unknown(&part, inbound, &KNOWN, &QUIET);
        self.inbounds.insert(tag.clone());
        self.draft.item(Section::Inbounds, &tag, &map, &place);
    }

    /// What looks up names for inbounds, where it is not what does so for servers.
    fn names_by(&self) -> Option<String> {
        let of_all = self.final_server()?;
        let of_servers = self.server_resolver()?;
        (self.resolves() && of_servers != of_all).then_some(of_all)
    }

    /// Who may use it; `None` where it asks for users and none can be said.
    fn users(&mut self, inbound: &Value, part: &str) -> Option<Map> {
        let mut users = Map::default();
        let all = match &inbound["users"] {
            Value::Null => return Some(users),
            Value::Array(all) => all,
            _ => return None,
        };
        for (number, user) in all.iter().enumerate() {
            let why = match (user["username"].as_str(), user["password"].as_str()) {
                (None | Some(""), _) | (_, None | Some("")) => "has no name or no password",
                (Some(name), Some(_)) if users.has(name) => {
                    "is given twice: the first password counts"
                }
                (Some(name), Some(password)) => {
                    users.secret(name, password);
                    continue;
                }
            };
            let place = self.place(&format!("{part}.users[{number}]"));
            self.draft
                .report
                .lost(place, format!("this user is left out: it {why}"));
        }
        (all.is_empty() || !users.is_empty()).then_some(users)
    }
}

fn tag(inbound: &Value) -> String {
    inbound["tag"].as_str().unwrap_or_default().to_owned()
}
