//! Clash's name servers.

use super::super::emit::{Map, list, quoted};
use super::{Clash, get, items, place, scalar};
use crate::setup::NameServer;

/// Keys that say how and what Clash itself answers, or how fast.
const QUIET: [&str; 9] = [
    "cache-algorithm",
    "default-nameserver",
    "enhanced-mode",
    "fake-ip-filter",
    "fake-ip-filter-mode",
    "fake-ip-range",
    "listen",
    "prefer-h3",
    "use-system-hosts",
];

impl Clash<'_> {
    pub(super) fn dns(&mut self) {
        let root = self.root;
        let Some(dns) = get(root, "dns") else {
            return self.without_ipv6();
        };
        if scalar(dns, "enable") != Some("true") {
            let what = "`dns` is not switched on: the system's resolver answers, as there";
            self.draft.report.note(place(dns), what);
            return self.without_ipv6();
        }
        let mut servers = Vec::new();
        for node in items(get(dns, "nameserver")) {
            let Some(server) = node.scalar() else {
                continue;
            };
            let (address, parameters) = server.split_once('#').unwrap_or((server, ""));
            if !parameters.is_empty() {
                let what =
                    format!("`#{parameters}` of the name server `{address}` is not carried over");
                self.draft.report.lost(place(node), what);
            }
            let full = match address.parse::<std::net::IpAddr>() {
                _ if matches!(address, "system" | "system://") => "system".to_owned(),
                Ok(std::net::IpAddr::V6(v6)) => format!("udp://[{v6}]"),
                Ok(v4) => format!("udp://{v4}"),
                Err(_) if address.contains("://") => address.to_owned(),
                Err(_) => format!("udp://{address}"),
            };
            match crate::value::parse_name_server(&full) {
                Ok(NameServer::NotYet(what)) => {
                    let what = format!("{what} is not built: it gives no answer");
                    self.draft.report.lost(place(node), what);
                }
                Ok(_) => {}
                Err(_unsaid) => {
                    let what = format!("the name server `{server}` is left out");
                    self.draft.report.lost(place(node), what);
                    continue;
                }
            }
            servers.push(quoted(&full));
        }
        if !servers.is_empty() {
            let mut map = Map::default();
            map.raw("clash", list(servers));
            self.draft.dns.map("upstreams", &map);
            let on = |node| scalar(node, "ipv6") == Some("true");
            if !on(dns) || scalar(root, "ipv6") == Some("false") {
                self.draft.dns.text("family", "ipv4");
            }
        }
        self.unknown("`dns`", dns, &["enable", "ipv6", "nameserver"], &QUIET);
    }

    fn without_ipv6(&mut self) {
        if let Some(node) = get(self.root, "ipv6").filter(|node| node.scalar() == Some("false")) {
            let what = "`ipv6: false` is not carried over: names may be found to be IPv6 addresses";
            self.draft.report.lost(place(node), what);
        }
    }
}
