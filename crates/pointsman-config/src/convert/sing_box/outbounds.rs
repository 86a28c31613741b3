//! sing-box's outbounds.

use serde_json::Value;

use super::super::emit::{Map, list, quoted, text};
use super::super::outbounds::{is_builtin, later};
use super::{SingBox, items, strings};

impl SingBox<'_> {
    pub(super) fn outbounds(&mut self) {
        let all = items(&self.root["outbounds"]);
        for outbound in all {
            let (Some(tag), kind) = (outbound["tag"].as_str(), outbound["type"].as_str()) else {
                continue;
            };
            let plain = outbound.as_object().is_some_and(|keys| keys.len() == 2);
            let own = match kind {
                Some("direct") if plain && tag.eq_ignore_ascii_case("direct") => {
                    "DIRECT".to_owned()
                }
                Some("block") => "REJECT".to_owned(),
                _ if is_builtin(tag) => format!("{tag}-2"),
                _ => tag.to_owned(),
            };
            self.names.insert(tag.to_owned(), own);
        }
        for (number, outbound) in all.iter().enumerate() {
            let place = self.place(&format!("outbounds[{number}]"));
            self.outbound(outbound, &place);
        }
    }

    fn outbound(&mut self, outbound: &Value, place: &str) {
        let kind = outbound["type"].as_str().unwrap_or_default();
        let Some(own) = outbound["tag"]
            .as_str()
            .and_then(|tag| self.names.get(tag))
            .cloned()
        else {
            return;
        };
        if matches!(own.as_str(), "DIRECT" | "REJECT") {
            return;
        }
        let mut map = Map::default();
        let tls = outbound
            .get("tls")
            .is_some_and(|tls| tls["enabled"] == true);
        match kind {
            "direct" => {
                map.text("type", "direct");
                link(outbound, &mut map);
            }
            "socks" | "http"
                if !tls && matches!(outbound["version"].as_str(), None | Some("5")) =>
            {
                let host = outbound["server"].as_str().unwrap_or_default();
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.to_owned()
                };
                let port = outbound["server_port"].as_u64().unwrap_or(0);
                map.text("type", if kind == "http" { "http" } else { "socks5" });
                map.raw("server", quoted(&format!("{host}:{port}")));
                if let (Some(user), Some(password)) =
                    (outbound["username"].as_str(), outbound["password"].as_str())
                {
                    map.raw("username", quoted(user))
                        .raw("password", quoted(password));
                }
                map.flag(
                    "udp",
                    kind == "socks" && outbound["network"].as_str() != Some("tcp"),
                );
                link(outbound, &mut map);
            }
            "selector" | "urltest" => {
                let mut members: Vec<String> = strings(&outbound["outbounds"]);
                if let Some(first) = outbound["default"].as_str()
                    && let Some(at) = members.iter().position(|member| member == first)
                {
                    members.swap(0, at);
                }
                let members = members
                    .iter()
                    .filter_map(|m| self.names.get(m))
                    .map(|m| text(m));
                let mut members: Vec<String> = members.collect();
                if members.is_empty() {
                    members.push("reject".to_owned());
                }
                map.text("type", "select").raw("members", list(members));
                if kind == "urltest" {
                    let what = format!(
                        "`{own}` measures its members: it is one to select from, the first member first"
                    );
                    self.draft.report.lost(place, what);
                }
            }
            kind => {
                let what = format!("`{own}` (`{kind}`) is not built: it refuses every flow");
                self.draft.report.lost(place, what);
                match later(kind) {
                    Some(word) => map.text("type", word),
                    None => map.text("type", "select").raw("members", "[reject]"),
                };
            }
        }
        if outbound["detour"].is_string() {
            let what =
                format!("`{own}` goes through another outbound (`detour`), which is not written");
            self.draft.report.lost(place, what);
        }
        self.draft.outbounds.raw(&own, map.flow());
    }
}

fn link(outbound: &Value, map: &mut Map) {
    map.some("interface", outbound["bind_interface"].as_str());
    map.some("source", outbound["inet4_bind_address"].as_str());
    if let Some(mark) = outbound["routing_mark"].as_u64() {
        map.raw("mark", mark.to_string());
    }
}
