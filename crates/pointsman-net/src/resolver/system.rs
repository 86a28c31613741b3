//! The system's own configuration: `/etc/hosts` and `/etc/resolv.conf` (hosts(5), resolv.conf(5)).
//!
//! Used where the configuration names no resolver. Read again when a file changed.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use pointsman_policy::Domain;

use super::cache::Cache;
use super::{Families, NameServer, ask_all, ordered};
use crate::lookup::{Answer, LookingUp, Lookup};
use crate::outbound::Ways;

/// Files larger than this are not hosts files of a person.
const MAX_FILE: usize = 4 << 20;

/// Resolves as the system is configured to.
#[derive(Debug)]
pub struct SystemResolver {
    hosts: PathBuf,
    configuration: PathBuf,
    known: Mutex<Arc<Known>>,
}

/// What the files said when they were last read.
#[derive(Debug, Default)]
struct Known {
    changed: [Option<SystemTime>; 2],
    hosts: Vec<(Domain, IpAddr)>,
    servers: Vec<NameServer>,
    search: Vec<Domain>,
    cache: Cache,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new("/etc/hosts", "/etc/resolv.conf")
    }
}

impl SystemResolver {
    /// A resolver over these files.
    pub fn new(hosts: impl Into<PathBuf>, configuration: impl Into<PathBuf>) -> Self {
        Self {
            hosts: hosts.into(),
            configuration: configuration.into(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> Arc<Known> {
        let changed = [&self.hosts, &self.configuration].map(|path| changed(path));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.changed != changed || changed == [None, None] {
            let (servers, search) = parse_configuration(&read(&self.configuration));
            let hosts = parse_hosts(&read(&self.hosts));
            *known = Arc::new(Known {
                changed,
                hosts,
                servers,
                search,
                cache: Cache::default(),
            });
        }
        Arc::clone(&known)
    }

    async fn find(&self, name: &Domain, ways: &Ways) -> Answer {
        let known = self.known();
        let own = |v4: bool| {
            let found = known
                .hosts
                .iter()
                .filter(|(n, a)| n == name && a.is_ipv4() == v4);
            found.map(|(_, a)| *a).collect::<Vec<_>>()
        };
        let fixed = ordered(own(true), own(false), Families::PreferIpv4);
        if !fixed.is_empty() {
            return Ok(fixed);
        }
        if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
            // RFC 6761, 6.3.
            return Ok(vec![
                [127, 0, 0, 1].into(),
                [0_u16, 0, 0, 0, 0, 0, 0, 1].into(),
            ]);
        }
        let ask = |name| {
            let known = &known;
            async move {
                ask_all(
                    &known.cache,
                    &known.servers,
                    Families::PreferIpv4,
                    &name,
                    ways,
                )
                .await
            }
        };
        if !name.as_str().contains('.') {
            for suffix in &known.search {
                if let Ok(longer) = Domain::parse(&format!("{name}.{suffix}"))
                    && let Ok(found) = ask(longer).await
                {
                    return Ok(found);
                }
            }
        }
        ask(name.clone()).await
    }
}

impl Lookup for SystemResolver {
    fn lookup<'a>(&'a self, name: &'a Domain, ways: &'a Ways) -> LookingUp<'a> {
        Box::pin(self.find(name, ways))
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// A file that is missing or too large is as an empty one: there is nobody to tell.
fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_FILE)]).into_owned()
}

fn parse_hosts(text: &str) -> Vec<(Domain, IpAddr)> {
    let mut hosts = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(address) = words.next().and_then(|w| w.parse::<IpAddr>().ok()) else {
            continue;
        };
        hosts.extend(
            words
                .filter_map(|w| Domain::parse(w).ok())
                .map(|name| (name, address)),
        );
    }
    hosts
}

fn parse_configuration(text: &str) -> (Vec<NameServer>, Vec<Domain>) {
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or("");
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|w| w.parse::<IpAddr>().ok());
                servers.extend(address.map(|ip| NameServer::Udp {
                    address: SocketAddr::new(ip, 53),
                    via: None,
                }));
            }
            Some("search" | "domain") => {
                search = words
                    .filter_map(|w| Domain::parse(w).ok())
                    .take(6)
                    .collect();
            }
            _ => {}
        }
    }
    if servers.is_empty() {
        // resolv.conf(5): "If no nameserver entries are present, the default is to use the name
        // server on the local machine."
        servers.push(NameServer::Udp {
            address: SocketAddr::from(([127, 0, 0, 1], 53)),
            via: None,
        });
    }
    (servers, search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_their_manuals_say() {
        let hosts = parse_hosts("127.0.0.1 localhost a # b\n\n::1 ip6 A\nx y\n");
        let shown: Vec<String> = hosts.iter().map(|(n, a)| format!("{n}={a}")).collect();
        assert_eq!(
            shown,
            ["localhost=127.0.0.1", "a=127.0.0.1", "ip6=::1", "a=::1"]
        );
        let (servers, search) = parse_configuration(
            "# x\nsearch a.test b.test\nnameserver 9.9.9.9 ; c\nnameserver x\n",
        );
        assert_eq!(
            servers,
            [NameServer::Udp {
                address: ([9, 9, 9, 9], 53).into(),
                via: None
            }]
        );
        assert_eq!(search.len(), 2);
        assert_eq!(parse_configuration("").0.len(), 1);
    }
}
