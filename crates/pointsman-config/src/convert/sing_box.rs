//! sing-box's JSON.
//!
//! Invariant: what is not written is reported at its place, `FILE: path.to[0].it`.

mod conditions;
mod outbounds;
mod route;

use std::collections::HashMap;

use serde_json::Value;

use super::draft::Draft;
use super::emit::{Map, quoted};

/// The native form of a configuration. `name` is the file's.
pub(super) fn convert(root: &Value, name: &str) -> Draft {
    let draft = Draft::new("sing-box");
    let mut this = SingBox {
        draft,
        file: name.to_owned(),
        names: HashMap::new(),
        root,
    };
    this.inbounds();
    this.outbounds();
    this.rule_sets();
    this.dns();
    this.rules();
    this.draft
}

struct SingBox<'a> {
    draft: Draft,
    file: String,
    /// Native names of outbounds.
    names: HashMap<String, String>,
    root: &'a Value,
}

impl SingBox<'_> {
    fn place(&self, part: &str) -> String {
        format!("{}: {part}", self.file)
    }

    fn inbounds(&mut self) {
        for (number, inbound) in items(&self.root["inbounds"]).iter().enumerate() {
            let place = self.place(&format!("inbounds[{number}]"));
            let kind = inbound["type"].as_str().unwrap_or_default();
            let word = match kind {
                "mixed" | "http" => kind,
                "socks" => "socks5",
                other => {
                    let what = format!(
                        "the inbound of type `{other}` is left out: its flows do not come in"
                    );
                    self.draft.report.lost(place, what);
                    continue;
                }
            };
            let host = inbound["listen"].as_str().unwrap_or("127.0.0.1");
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            let port = inbound["listen_port"].as_u64().unwrap_or(0);
            let mut map = Map::default();
            map.text("type", word)
                .raw("listen", quoted(&format!("{host}:{port}")));
            let mut users = Map::default();
            for user in items(&inbound["users"]) {
                if let (Some(name), Some(password)) =
                    (user["username"].as_str(), user["password"].as_str())
                {
                    users.raw(name, quoted(password));
                }
            }
            if !users.is_empty() {
                map.raw("users", users.flow());
            }
            if inbound.get("tls").is_some_and(|tls| tls["enabled"] == true) {
                self.draft.report.lost(
                    &place,
                    "TLS of the inbound is not built: it is left out whole",
                );
                continue;
            }
            let tag = inbound["tag"]
                .as_str()
                .map_or_else(|| format!("{kind}-{number}"), str::to_owned);
            self.draft.inbounds.raw(&tag, map.flow());
        }
    }

    fn dns(&mut self) {
        let mut upstreams = Map::default();
        for (number, server) in items(&self.root["dns"]["servers"]).iter().enumerate() {
            let address = match (server["type"].as_str(), server["server"].as_str()) {
                (Some(kind @ ("udp" | "tcp")), Some(host)) => format!("{kind}://{host}"),
                _ => server["address"].as_str().unwrap_or_default().to_owned(),
            };
            let address = match address.parse::<std::net::IpAddr>() {
                Ok(_) => format!("udp://{address}"),
                Err(_full) => address,
            };
            if crate::value::parse_name_server(&address).is_err() {
                let place = self.place(&format!("dns.servers[{number}]"));
                self.draft.report.lost(place, "the name server is left out");
                continue;
            }
            let tag = server["tag"]
                .as_str()
                .map_or_else(|| format!("dns-{number}"), str::to_owned);
            let mut map = Map::default();
            map.raw("address", quoted(&address));
            let via = server["detour"]
                .as_str()
                .and_then(|via| self.names.get(via));
            map.some("via", via.map(String::as_str));
            upstreams.raw(&tag, map.flow());
        }
        if !upstreams.is_empty() {
            self.draft.dns.raw("upstreams", upstreams.flow());
        }
        if !items(&self.root["dns"]["rules"]).is_empty() {
            let place = self.place("dns.rules");
            self.draft.report.lost(
                place,
                "rules of DNS are left out: the first server answers all",
            );
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One value or a list of them, numbers as their digits.
fn strings(value: &Value) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// A rule in the report.
fn shown(rule: &Value) -> String {
    let text = rule.to_string();
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
