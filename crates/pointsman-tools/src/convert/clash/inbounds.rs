//! Who comes in: Clash's ports, `listeners`, users and lists of clients.
//!
//! Invariant: no client is let in that Clash turns away; where that cannot be said, the inbound is
//! left out.

use pointsman_policy::Prefix;

use super::super::access;
use super::super::draft::Section;
use super::super::emit::{Map, list, quoted};
use super::{Clash, endpoint, get, is_on, items, pairs, place, scalar};
use pointsman_config::yaml::{Node, Value};

/// Keys of `listeners` that are written.
const LISTENER: [&str; 6] = ["listen", "name", "port", "type", "udp", "users"];

/// Who may use an inbound.
#[derive(Default)]
struct Clients {
    /// Empty: everybody.
    users: Vec<(String, String)>,
    /// Empty: everybody.
    allow: Vec<Prefix>,
    /// Why nobody is let in: what Clash asks of clients cannot be said.
    nobody: Option<String>,
}

impl Clash<'_> {
    pub(super) fn inbounds(&mut self) {
        let root = self.root;
        let lan = get(root, "allow-lan").is_some_and(is_on);
        let bind = scalar(root, "bind-address").filter(|b| *b != "*");
        let host = match lan {
            true => bind.unwrap_or("::"),
            false => "127.0.0.1",
        };
        let clients = self.clients();
        for (key, kind) in [
            ("mixed-port", "mixed"),
            ("port", "http"),
            ("socks-port", "socks5"),
        ] {
            let Some(node) = get(root, key).filter(|node| node.scalar() != Some("0")) else {
                continue;
            };
            let port = node.scalar().unwrap_or_default();
            let name = key.trim_end_matches("-port");
            self.inbound(name, kind, host, port, &clients, &place(node));
        }
        for key in ["redir-port", "tproxy-port"] {
            if let Some(node) = get(root, key).filter(|node| node.scalar() != Some("0")) {
                self.draft.known.captures.insert(key.to_owned());
                let what = format!("`{key}` is not carried over: its flows do not come in");
                self.draft.report.lost(place(node), what);
            }
        }
        for node in items(get(root, "listeners")) {
            self.listener(node, &clients);
        }
    }

    fn inbound(
        &mut self,
        name: &str,
        kind: &str,
        host: &str,
        port: &str,
        clients: &Clients,
        at: &str,
    ) {
        if let Some(why) = &clients.nobody {
            let what =
                format!("the inbound `{name}` is left out ({why}): no client can connect to it");
            return self.draft.report.lost(at, what);
        }
        if self.draft.is_taken(Section::Inbounds, name, at) {
            return;
        }
        let mut map = Map::default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        map.text("type", kind)
            .raw("listen", quoted(&endpoint(bare, port)));
        if !clients.users.is_empty() {
            let mut users = Map::default();
            for (user, password) in &clients.users {
                users.secret(user, password);
            }
            map.map("users", &users);
        }
        if !clients.allow.is_empty() {
            let ranges = clients.allow.iter().map(|range| quoted(&range.to_string()));
            map.raw("allow", list(ranges));
        }
        map.some("resolver", self.names_by);
        self.draft.item(Section::Inbounds, name, &map, at);
    }

    /// Who may use the ports at the top.
    fn clients(&mut self) -> Clients {
        let root = self.root;
        let mut clients = Clients::default();
        let mut nobody = None;
        if let Some(node) = given(root, "authentication") {
            let list = items(Some(node));
            for item in list {
                match item.scalar().and_then(|s| s.split_once(':')) {
                    Some((user, password)) => add(&mut clients.users, user, password),
                    None => {
                        let what = "this user has no password and is left out";
                        self.draft.report.lost(place(item), what);
                    }
                }
            }
            let empty = matches!(&node.value, Value::List(list) if list.is_empty());
            if clients.users.is_empty() && !empty && !node.is_null() {
                nobody = Some("no user of `authentication` can be carried over");
            }
        }
        if let Some(node) = given(root, "skip-auth-prefixes")
            && !clients.users.is_empty()
            && !items(Some(node)).is_empty()
        {
            let what =
                "`skip-auth-prefixes` is not carried over: these clients log in like all others";
            self.draft.report.lost(place(node), what);
        }
        let allowed = given(root, "lan-allowed-ips").filter(|node| !node.is_null());
        let denied = given(root, "lan-disallowed-ips").filter(|node| !node.is_null());
        if allowed.is_some() || denied.is_some() {
            let everybody = access::everybody();
            let allow = match allowed {
                None => everybody.to_vec(),
                // A range that cannot be read lets nobody in.
                Some(node) => self.ranges_of(node).0,
            };
            let (deny, all_read) = denied.map_or((Vec::new(), true), |node| self.ranges_of(node));
            match access::without(&allow, &deny).filter(|_| all_read) {
                None if all_read => nobody = Some("there are too many ranges of clients"),
                None => nobody = Some("`lan-disallowed-ips` cannot be read"),
                Some(allow) if allow.is_empty() => nobody = Some("no client is allowed"),
                Some(allow) if everybody.iter().all(|range| allow.contains(range)) => {}
                Some(allow) => clients.allow = allow,
            }
        }
        clients.nobody = nobody.map(str::to_owned);
        clients
    }

    /// The ranges of a list, and whether all could be read.
    fn ranges_of(&mut self, node: &Node) -> (Vec<Prefix>, bool) {
        let mut ranges = Vec::new();
        let mut all_read = matches!(node.value, Value::List(_));
        for item in items(Some(node)) {
            match item.scalar().unwrap_or_default().parse::<Prefix>() {
                Ok(range) => ranges.push(range),
                Err(why) => {
                    all_read = false;
                    self.draft.report.lost(place(item), why.to_string());
                }
            }
        }
        (ranges, all_read)
    }

    /// One of `listeners`: those that are proxies and send flows by the rules.
    fn listener(&mut self, node: &Node, of_all: &Clients) {
        let at = place(node);
        let name = scalar(node, "name").unwrap_or_default();
        let kind = match scalar(node, "type").unwrap_or_default() {
            "socks" => "socks5",
            kind @ ("http" | "mixed") => kind,
            other => {
                if matches!(other, "redir" | "tproxy" | "tun") {
                    self.draft.known.captures.insert(other.to_owned());
                }
                let what = format!(
                    "the listener `{name}` of type `{other}` is left out: its flows do not come in"
                );
                return self.draft.report.lost(at, what);
            }
        };
        let mut keys = pairs(Some(node)).iter();
        let beyond = keys.find(|(key, value)| {
            !LISTENER.contains(&key.scalar().unwrap_or_default()) && super::says(value)
        });
        if let Some((key, _)) = beyond {
            let key = key.scalar().unwrap_or_default();
            let what = format!(
                "the listener `{name}` is left out (`{key}` cannot be carried over): its flows do not come in"
            );
            return self.draft.report.lost(at, what);
        }
        let own = given(node, "users").filter(|users| !users.is_null());
        let mut clients = Clients::default();
        if let Some(users) = own {
            for user in items(Some(users)) {
                match (scalar(user, "username"), scalar(user, "password")) {
                    (Some(user), Some(password)) => add(&mut clients.users, user, password),
                    _ => {
                        let what = "this user has no name or no password and is left out";
                        self.draft.report.lost(place(user), what);
                    }
                }
            }
            let empty = matches!(&users.value, Value::List(list) if list.is_empty());
            if clients.users.is_empty() && !empty {
                clients.nobody = Some("none of its users can be carried over".to_owned());
            }
        }
        let host = scalar(node, "listen").unwrap_or("0.0.0.0");
        let port = scalar(node, "port").unwrap_or_default();
        let clients = if own.is_some() { &clients } else { of_all };
        self.inbound(name, kind, host, port, clients, &at);
    }
}

/// The value of a key, null too.
fn given<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let mut pairs = pairs(Some(node)).iter();
    let (_, value) = pairs.find(|(k, _)| k.scalar() == Some(key))?;
    Some(value)
}

/// Adds a user; of one that is given twice the last password counts, as there.
fn add(users: &mut Vec<(String, String)>, user: &str, password: &str) {
    users.retain(|(known, _)| known != user);
    users.push((user.to_owned(), password.to_owned()));
}
