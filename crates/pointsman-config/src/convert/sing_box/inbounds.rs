//! sing-box's inbounds.

use serde_json::Value;

use super::super::draft::Section;
use super::super::emit::{Map, quoted};
use super::{SingBox, endpoint, items};

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
    "bind_interface",
    "disable_tcp_keep_alive",
    "reuse_addr",
    "sniff_timeout",
    "tcp_fast_open",
    "tcp_multi_path",
    "udp_disable_domain_unmapping",
    "udp_fragment",
    "udp_timeout",
];

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
                let what =
                    format!("the inbound of type `{other}` is left out: its flows do not come in");
                return self.draft.report.lost(place, what);
            }
        };
        if inbound["tls"]["enabled"] == true {
            let what = "TLS of the inbound is not built: it is left out whole";
            return self.draft.report.lost(&place, what);
        }
        let host = inbound["listen"].as_str().unwrap_or("127.0.0.1");
        let mut map = Map::default();
        map.text("type", word)
            .raw("listen", quoted(&endpoint(host, &inbound["listen_port"])));
        let mut users = Map::default();
        for user in items(&inbound["users"]) {
            let name = user["username"].as_str().unwrap_or_default();
            users.secret(name, user["password"].as_str().unwrap_or_default());
        }
        if !users.is_empty() {
            map.map("users", &users);
        }
        if inbound["sniff_override_destination"] == true {
            let what = "`sniff_override_destination` is not carried over: what the client asked for is dialled";
            self.draft.report.lost(&place, what);
        }
        self.unknown(&part, inbound, &KNOWN, &QUIET);
        let tag = match inbound["tag"].as_str() {
            Some(tag) => tag.to_owned(),
            None => format!("{kind}-{number}"),
        };
        self.inbounds.insert(tag.clone());
        self.draft.item(Section::Inbounds, &tag, &map, &place);
    }
}

fn tag(inbound: &Value) -> String {
    inbound["tag"].as_str().unwrap_or_default().to_owned()
}
