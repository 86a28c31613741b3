//! Clash's name servers in native words.
//!
//! Invariant: no name is asked of a server that Clash would not ask, nor by another way, but for one case: where
//! all the usual servers are of kinds that are not built, and are asked directly, the plain ones that the file
//! has (else the system's) are asked in their stead, because no name would get an address; one that is asked by a
//! proxy is asked by it without encryption. The report warns of it.

use std::net::IpAddr;

use super::super::dns::address_in;
use super::super::draft::Section;
use super::super::emit::{list, quoted, text};
use super::{Clash, get, items, place};
use pointsman_config::setup::{NameServer, Place};
use pointsman_config::yaml::{Node, Value};

/// What may be asked in the stead of servers that are not built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InStead {
    /// Nobody: these names are to be asked of these servers and no others.
    Nobody,
    /// The plain servers of the file, else the system's.
    Plain,
}

/// A server as it can be said.
enum DnsServer {
    Built(String),
    /// Of a kind that is not built.
    Later {
        address: String,
        /// `DNS over https://`
        kind: String,
        /// By which it is asked, where that is not directly.
        by: Option<String>,
    },
}

/// Where plain servers for all names are sought, the nearest to their use first.
const PLAIN: [&str; 2] = ["direct-nameserver", "default-nameserver"];

impl Clash<'_> {
    /// Servers under a name; where none can be written, one that gives no answer.
    pub(super) fn upstream(
        &mut self,
        name: &str,
        node: Option<&Node>,
        by_rules: bool,
        in_stead: InStead,
        at: &str,
    ) {
        let mut all = Vec::new();
        for node in servers(node) {
            all.extend(self.server(node, by_rules).map(|one| (place(node), one)));
        }
        let any = all
            .iter()
            .any(|(_, one)| matches!(one, DnsServer::Built(_)));
        let directly = |one: &DnsServer| matches!(one, DnsServer::Later { by: None, .. });
        let all_directly = all.iter().all(|(_, one)| directly(one));
        let replaced = !any && !all.is_empty() && all_directly && in_stead == InStead::Plain;
        let plain = replaced.then(|| self.plain_servers());
        let in_their_stead = !any && in_stead == InStead::Plain;
        let through = |one: &DnsServer| self.through(one).filter(|_| in_their_stead);
        let through: Vec<_> = all.iter().map(|(_, one)| through(one)).collect();
        let any = any || through.iter().any(Option::is_some);
        let mut values = Vec::new();
        for ((place, one), through) in all.into_iter().zip(through) {
            let (value, kind, by) = match one {
                DnsServer::Built(value) => {
                    values.push(value);
                    continue;
                }
                DnsServer::Later { address, kind, by } => (quoted(&address), kind, by),
            };
            if let Some((value, shown)) = through {
                self.draft.in_clear(&place, &kind, &shown, true);
                values.push(value);
                continue;
            }
            let what = match (&plain, by) {
                (Some((_, shown)), _) => {
                    self.draft.in_clear(&place, &kind, shown, false);
                    continue;
                }
                (None, _) if any => {
                    format!("{kind} is not built yet: the other servers of `{name}` are asked")
                }
                (None, Some(by)) => format!(
                    "{kind} is not built yet, and no other server is asked by way of `{by}`: what is asked of `{name}` gets no answer"
                ),
                (None, None) => {
                    format!("{kind} is not built yet: what is asked of `{name}` gets no answer")
                }
            };
            self.draft.report.lost(place, what);
            values.push(value);
        }
        if !any && plain.is_none() {
            self.draft.known.silent.insert(name.to_owned());
        }
        if let Some((plain, _)) = plain {
            values = plain;
        }
        let value = match values.as_slice() {
            [] => {
                let what = format!(
                    "no name server of `{name}` can be carried over: what is asked of it gets no answer"
                );
                self.draft.report.lost(at, what);
                return self.draft.silent(name, at);
            }
            [one] => one.clone(),
            _ => list(values),
        };
        self.draft.entry(Section::Upstreams, name, value, at);
    }

    /// The same server by the same proxy, without encryption; and who it is, in words.
    fn through(&self, one: &DnsServer) -> Option<(String, String)> {
        let DnsServer::Later {
            address,
            by: Some(by),
            ..
        } = one
        else {
            return None;
        };
        let server = NameServer::Tcp(Place::at((address_in(address)?, 53).into()));
        let own = self.way_to(&server, Some(by)).ok()??;
        let refuses = ["BLACKHOLE", "REJECT"].contains(&own.as_str());
        let NameServer::Tcp(place) = server else {
            return None;
        };
        let address = format!("tcp://{place}");
        let shown = format!("`{address}` by way of `{by}` is");
        (!refuses).then(|| (written(&address, Some(&own)), shown))
    }

    /// The plain servers of the file that are asked directly, else the system's; and who they are, in words.
    fn plain_servers(&mut self) -> (Vec<String>, String) {
        let dns = get(self.root, "dns");
        for key in PLAIN {
            let nodes = servers(dns.and_then(|dns| get(dns, key)));
            let read = |node: &Node| {
                let server = node.scalar()?;
                let (address, by) = server.split_once('#').unwrap_or((server, ""));
                let address = native_address(address);
                let found = pointsman_config::value::parse_name_server(&address).ok()?;
                let directly = matches!(by, "" | "DIRECT");
                let in_clear = matches!(
                    found,
                    NameServer::System | NameServer::Tcp(_) | NameServer::Udp(_)
                );
                let plain = directly && in_clear;
                let by = plain.then(|| self.way_to(&found, None).ok())??;
                Some((written(&address, by.as_deref()), address))
            };
            let (values, shown): (Vec<String>, Vec<String>) = nodes.iter().filter_map(read).unzip();
            if values.is_empty() {
                continue;
            }
            if !self.used.contains(&key) {
                self.used.push(key);
            }
            let are = if shown.len() == 1 { "is" } else { "are" };
            let shown = format!("`{}` of `{key}` {are}", shown.join("`, `"));
            return (values, shown);
        }
        (
            vec!["system".to_owned()],
            "the system's resolver is".to_owned(),
        )
    }

    /// A server in native words; what cannot be said is told and left out.
    fn server(&mut self, node: &Node, by_rules: bool) -> Option<DnsServer> {
        let at = place(node);
        let server = node.scalar()?;
        let (address, parameters) = server.split_once('#').unwrap_or((server, ""));
        let address = native_address(address);
        let (ways, options): (Vec<&str>, Vec<&str>) = parameters
            .split('&')
            .filter(|part| !part.is_empty())
            .partition(|part| !part.contains('='));
        let by = match ways.last() {
            None if by_rules => Some("RULES"),
            last => last.copied(),
        };
        let found =
            pointsman_config::value::parse_name_server(&address).map_err(|error| error.to_string());
        if let Ok(NameServer::NotYet(kind)) = found {
            return Some(DnsServer::Later {
                address,
                kind,
                by: by.filter(|by| *by != "DIRECT").map(str::to_owned),
            });
        }
        let name = match &found {
            Ok(NameServer::Https(at) | NameServer::Tls(at)) => at.name_to_look_up().cloned(),
            _ => None,
        };
        let by = match found.and_then(|server| self.way_to(&server, by)) {
            Ok(by) => by,
            Err(why) => {
                let what = format!("the name server `{server}` is left out: {why}");
                self.draft.report.lost(&at, what);
                return None;
            }
        };
        if !options.is_empty() {
            let options = options.join("&");
            let what = format!("`#{options}` of the name server `{address}` is not carried over");
            self.draft.report.lost(&at, what);
        }
        if name.is_some() {
            self.bootstrap(&at);
        }
        Some(DnsServer::Built(written(&address, by.as_deref())))
    }

    /// Carries over who knows the names of name servers.
    fn bootstrap(&mut self, at: &str) {
        if self.draft.dns.has("bootstrap") || self.has_no_bootstrap {
            return;
        }
        let key = "default-nameserver";
        let nodes = servers(get(self.root, "dns").and_then(|dns| get(dns, key)));
        let read = |node: &Node| {
            let address = native_address(node.scalar()?.split('#').next()?);
            let found = pointsman_config::value::parse_name_server(&address).ok()?;
            let is_address = match &found {
                NameServer::Https(at) | NameServer::Tls(at) => at.name_to_look_up().is_none(),
                NameServer::NotYet(_) => false,
                NameServer::System => true,
                NameServer::Tcp(place) | NameServer::Udp(place) => !place.lacks_interface(),
            };
            is_address.then(|| quoted(&address))
        };
        let values: Vec<String> = nodes.iter().filter_map(read).collect();
        if values.is_empty() {
            self.has_no_bootstrap = true;
            let what = "the system's servers are asked for the names of name servers: there is no `default-nameserver` that can be carried over";
            return self.draft.report.lost(at, what);
        }
        if !self.used.contains(&key) {
            self.used.push(key);
        }
        self.draft.dns.raw("bootstrap", list(values));
        let by_name = |proxy: &Node| {
            let host = get(proxy, "server").and_then(Node::scalar);
            host.is_some_and(|host| host.parse::<IpAddr>().is_err())
        };
        if items(get(self.root, "proxies")).iter().any(by_name) {
            let what = "names of proxies' servers are asked of `default-nameserver`, too";
            self.draft.report.lost(at, what);
        }
    }

    /// The outbound that a server is asked by, where it is not the usual way; or why it cannot be asked so.
    fn way_to(&self, server: &NameServer, by: Option<&str>) -> Result<Option<String>, String> {
        let place = match server {
            NameServer::NotYet(_) => return Ok(None),
            // It is asked as the system is configured, there too.
            NameServer::System if matches!(by, None | Some("RULES")) => return Ok(None),
            NameServer::System => return Err("it is asked as the system is configured".into()),
            NameServer::Tcp(place) | NameServer::Udp(place) => Some(place),
            NameServer::Https(_) | NameServer::Tls(_) => None,
        };
        if place.is_some_and(Place::lacks_interface) {
            return Err("a link-local address needs an interface, and none is given".into());
        }
        let by = match by {
            Some("RULES") => {
                return Err(
                    "Clash asks it by the outbound that the rules choose, and here a name server has one outbound for all"
                        .into(),
                );
            }
            None | Some("DIRECT") => self.direct.clone(),
            Some(way) => {
                let unknown = || format!("`{way}`, by which it is asked, is no proxy here");
                self.out(way).ok_or_else(unknown)?
            }
        };
        match by.as_str() {
            "DIRECT" => Ok(None),
            _ if place.is_some_and(|place| place.interface.is_some()) => {
                Err("a link-local server can only be reached by its own link".into())
            }
            _ => Ok(Some(by)),
        }
    }
}

/// The servers of a list, or the only one.
fn servers(node: Option<&Node>) -> &[Node] {
    match node.map(|node| (&node.value, node)) {
        None => &[],
        Some((Value::List(items), _)) => items.as_slice(),
        Some((_, one)) => std::slice::from_ref(one),
    }
}

fn written(address: &str, by: Option<&str>) -> String {
    match by {
        None => quoted(address),
        Some(by) => format!("{{ address: {}, via: {} }}", quoted(address), text(by)),
    }
}

/// A name server as the native language writes it.
fn native_address(address: &str) -> String {
    match address.parse::<IpAddr>() {
        _ if matches!(address, "system" | "system://") => "system".to_owned(),
        Ok(IpAddr::V6(v6)) => format!("udp://[{v6}]"),
        Ok(v4) => format!("udp://{v4}"),
        Err(_) if address.contains("://") => address.to_owned(),
        Err(_) => format!("udp://{address}"),
    }
}
