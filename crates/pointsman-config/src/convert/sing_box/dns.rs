//! sing-box's name servers.

use serde_json::Value;

use super::super::emit::{Map, quoted};
use super::{SingBox, endpoint, items};
use crate::setup::NameServer;

impl SingBox<'_> {
    pub(super) fn dns(&mut self) {
        let root = self.root;
        let dns = &root["dns"];
        let known = ["final", "rules", "servers", "strategy"];
        let quiet = [
            "cache_capacity",
            "disable_cache",
            "disable_expire",
            "independent_cache",
            "reverse_mapping",
        ];
        self.unknown("dns", dns, &known, &quiet);
        let mut upstreams = Map::default();
        let mut tags = Vec::new();
        for (number, server) in items(&dns["servers"]).iter().enumerate() {
            let part = format!("dns.servers[{number}]");
            let place = self.place(&part);
            let address = address(server);
            match crate::value::parse_name_server(&address) {
                Ok(NameServer::NotYet(what)) => {
                    let what = format!("{what} is not built: what asks this server gets no answer");
                    self.draft.report.lost(&place, what);
                }
                Ok(_) => {}
                Err(_unsaid) => {
                    self.draft.report.lost(place, "the name server is left out");
                    continue;
                }
            }
            let known = ["address", "detour", "server", "server_port", "tag", "type"];
            let quiet = [
                "address_resolver",
                "domain_resolver",
                "domain_strategy",
                "tls",
            ];
            self.unknown(&part, server, &known, &quiet);
            let tag = match server["tag"].as_str() {
                Some(tag) => tag.to_owned(),
                None => format!("dns-{number}"),
            };
            let mut map = Map::default();
            map.raw("address", quoted(&address));
            if let Some(via) = server["detour"].as_str() {
                match self.names.get(via) {
                    // Directly is the same as by no way.
                    Some(own) if own == "DIRECT" => {}
                    Some(own) => {
                        map.text("via", own);
                    }
                    None => {
                        let what =
                            format!("there is no outbound `{via}`: the name server is left out");
                        self.draft.report.lost(&place, what);
                        continue;
                    }
                }
            }
            if !tags.contains(&tag) {
                upstreams.map(&tag, &map);
                tags.push(tag);
            }
        }
        if !upstreams.is_empty() {
            self.draft.dns.map("upstreams", &upstreams);
            match dns["strategy"].as_str() {
                Some("prefer_ipv4") => {
                    self.draft.dns.text("family", "prefer-ipv4");
                }
                Some("prefer_ipv6") => {
                    self.draft.dns.text("family", "prefer-ipv6");
                }
                Some("ipv4_only") => {
                    self.draft.dns.text("family", "ipv4");
                }
                Some("ipv6_only") => {
                    self.draft.dns.text("family", "ipv6");
                }
                _ => {}
            }
        }
        if let Some(last) = dns["final"].as_str() {
            if tags.iter().any(|tag| tag == last) {
                self.draft.dns.text("resolver", last);
            } else {
                let place = self.place("dns.final");
                let what = format!("the name server `{last}` is not written: another one answers");
                self.draft.report.lost(place, what);
            }
        }
        if !items(&dns["rules"]).is_empty() {
            let place = self.place("dns.rules");
            let what = "rules of DNS are left out: one server answers all";
            self.draft.report.lost(place, what);
        }
    }
}

/// A server's address as the native language writes it; from 1.12 on it has a type.
fn address(server: &Value) -> String {
    let host = server["server"].as_str().unwrap_or_default();
    let port = match server["server_port"].as_u64() {
        Some(_) => endpoint(host, &server["server_port"]),
        None if host.contains(':') => format!("[{host}]"),
        None => host.to_owned(),
    };
    match server["type"].as_str() {
        Some(kind @ ("udp" | "tcp" | "tls" | "https" | "h3" | "quic")) => {
            format!("{kind}://{port}")
        }
        Some("local") => "system".to_owned(),
        Some("legacy") | None => {
            let address = server["address"].as_str().unwrap_or_default();
            if address == "local" {
                return "system".to_owned();
            }
            match address.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V6(v6)) => format!("udp://[{v6}]"),
                Ok(v4) => format!("udp://{v4}"),
                Err(_full) => address.to_owned(),
            }
        }
        Some(_) => String::new(),
    }
}
