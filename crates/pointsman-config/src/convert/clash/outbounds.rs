//! Clash's proxies and groups.

use super::super::emit::{Map, list, quoted, text};
use super::super::outbounds::{is_builtin, later};
use super::{Clash, get, items, place, scalar};
use crate::yaml::Node;

impl Clash<'_> {
    /// A name that the native language has not built in.
    fn own_name(&mut self, name: &str) -> String {
        let own = if is_builtin(name) {
            format!("{name}-2")
        } else {
            name.to_owned()
        };
        self.names.insert(name.to_owned(), own.clone());
        own
    }

    pub(super) fn proxies(&mut self) {
        for node in items(get(self.root, "proxies")) {
            let (Some(name), Some(kind)) = (scalar(node, "name"), scalar(node, "type")) else {
                self.draft
                    .report
                    .lost(place(node), "a proxy without a name or a type is left out");
                continue;
            };
            let own = self.own_name(name);
            let udp = scalar(node, "udp") == Some("true");
            let mut map = Map::default();
            match kind {
                "socks5" | "http" if scalar(node, "tls") != Some("true") => {
                    let host = scalar(node, "server").unwrap_or_default();
                    let host = if host.contains(':') {
                        format!("[{host}]")
                    } else {
                        host.to_owned()
                    };
                    let port = scalar(node, "port").unwrap_or_default();
                    map.text("type", kind)
                        .raw("server", quoted(&format!("{host}:{port}")));
                    if let (Some(user), Some(password)) =
                        (scalar(node, "username"), scalar(node, "password"))
                    {
                        map.raw("username", quoted(user))
                            .raw("password", quoted(password));
                    }
                    map.flag("udp", udp && kind == "socks5");
                    map.some("interface", scalar(node, "interface-name"));
                    self.udp.insert(name.to_owned(), udp && kind == "socks5");
                }
                "direct" => {
                    map.text("type", "direct")
                        .some("interface", scalar(node, "interface-name"));
                    self.udp.insert(name.to_owned(), true);
                }
                kind => {
                    let what = format!(
                        "the proxy `{name}` (`{kind}`) is not built: it refuses every flow"
                    );
                    self.draft.report.lost(place(node), what);
                    match later(kind) {
                        Some(word) => map.text("type", word),
                        None => map.text("type", "select").raw("members", "[reject]"),
                    };
                    self.udp.insert(name.to_owned(), udp);
                }
            }
            self.draft.outbounds.raw(&own, map.flow());
        }
    }

    pub(super) fn groups(&mut self) {
        let groups = items(get(self.root, "proxy-groups"));
        for node in groups {
            if let Some(name) = scalar(node, "name") {
                self.own_name(name);
            }
        }
        for node in groups {
            let Some(name) = scalar(node, "name") else {
                continue;
            };
            let kind = scalar(node, "type").unwrap_or("select");
            if kind != "select" {
                let what = format!(
                    "the group `{name}` is of type `{kind}`: it is one to select from, the first member first"
                );
                self.draft.report.lost(place(node), what);
            }
            if get(node, "use").is_some() || get(node, "include-all").is_some() {
                self.draft.report.lost(
                    place(node),
                    format!("members of `{name}` that come from providers are left out"),
                );
            }
            let mut members = Vec::new();
            let mut carried = Vec::new();
            for member in items(get(node, "proxies")).iter().filter_map(Node::scalar) {
                carried.extend(self.udp.get(member).copied());
                match self.out(member) {
                    Some(own) => members.push(text(&own)),
                    None => self
                        .draft
                        .report
                        .lost(place(node), format!("there is no `{member}` for `{name}`")),
                }
            }
            if members.is_empty() {
                members.push("reject".to_owned());
            }
            let all = carried.iter().all(|udp| *udp);
            if !all && carried.contains(&true) {
                let what = format!(
                    "where a member of `{name}` carries no UDP, UDP is refused there and does not go on to further rules"
                );
                self.draft.report.lost(place(node), what);
            }
            self.udp
                .insert(name.to_owned(), all || carried.contains(&true));
            let mut map = Map::default();
            map.text("type", "select").raw("members", list(members));
            let own = self
                .names
                .get(name)
                .cloned()
                .unwrap_or_else(|| name.to_owned());
            self.draft.outbounds.raw(&own, map.flow());
        }
    }

    pub(super) fn out(&self, name: &str) -> Option<String> {
        match name {
            "DIRECT" | "COMPATIBLE" => Some("DIRECT".to_owned()),
            "REJECT" => Some("REJECT".to_owned()),
            "REJECT-DROP" => Some("BLACKHOLE".to_owned()),
            name => self.names.get(name).cloned(),
        }
    }
}
