//! The system's own configuration: `/etc/hosts` and `/etc/resolv.conf` (hosts(5), resolv.conf(5)).
//!
//! Invariants: the files are read by a thread that may block, one at a time, and indexed once; a look-up waits for
//! them a bounded time, and then makes do with what was read before. Absent: `options` of resolv.conf.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pointsman_policy::Domain;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{NameServer, Place, message};

/// Larger files are cut there, at a line's end: four times the largest hosts file that people publish.
const MAX_FILE: u64 = 32 << 20;
/// glibc takes three servers, others some more.
const MAX_SERVERS: usize = 8;
/// resolv.conf(5): glibc took six before it took any number.
const MAX_SEARCH: usize = 6;
/// How old may be what is known of the files: whoever edits one looks up a second later.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look-up waits for the files: a disk that wakes up needs some seconds the first time.
const FIRST_READ: Duration = Duration::from_secs(3);
/// ... and where they were read before.
const NEXT_READ: Duration = Duration::from_millis(500);

/// The files, and what they said.
#[derive(Debug)]
pub struct System {
    files: Files,
    latest: Mutex<Option<(Arc<Known>, Instant)>>,
    /// The reading that is under way. On a disk that hangs, it is the only one.
    reading: tokio::sync::Mutex<Option<JoinHandle<Arc<Known>>>>,
}

#[derive(Clone, Debug)]
struct Files {
    hosts: PathBuf,
    configuration: PathBuf,
}

/// What the files said when they were last read.
#[derive(Debug, Default)]
pub(super) struct Known {
    changed: [Option<(SystemTime, u64)>; 2],
    hosts: HashMap<Domain, Vec<IpAddr>>,
    servers: Vec<NameServer>,
    search: Vec<Domain>,
}

impl Default for System {
    fn default() -> Self {
        Self::new("/etc/hosts", "/etc/resolv.conf")
    }
}

impl System {
    /// The system as these files say.
    pub fn new(hosts: impl Into<PathBuf>, configuration: impl Into<PathBuf>) -> Self {
        let files = Files {
            hosts: hosts.into(),
            configuration: configuration.into(),
        };
        Self {
            files,
            latest: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// What the files say; where they cannot be looked at in time, what they said before.
    pub(super) async fn known(&self) -> Result<Arc<Known>, Arc<str>> {
        let latest = self.latest();
        let limit = match &latest {
            Some((known, seen)) if seen.elapsed() < LOOK_EVERY => return Ok(Arc::clone(known)),
            Some(_) => NEXT_READ,
            None => FIRST_READ,
        };
        match (timeout(limit, self.read()).await, latest) {
            (Ok(Some(known)), _) | (_, Some((known, _))) => Ok(known),
            (_, None) => Err(format!(
                "{} and {} could not be read within {limit:?}",
                self.files.hosts.display(),
                self.files.configuration.display()
            )
            .into()),
        }
    }

    fn latest(&self) -> Option<(Arc<Known>, Instant)> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.clone()
    }

    async fn read(&self) -> Option<Arc<Known>> {
        let mut reading = self.reading.lock().await;
        let latest = match self.latest() {
            Some((known, seen)) if seen.elapsed() < LOOK_EVERY => return Some(known),
            latest => latest.map(|(known, _)| known),
        };
        let task = reading.get_or_insert_with(|| {
            let files = self.files.clone();
            tokio::task::spawn_blocking(move || files.read(latest))
        });
        let read = task.await;
        *reading = None;
        let known = read.ok()?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((Arc::clone(&known), Instant::now()));
        Some(known)
    }
}

impl Files {
    fn read(&self, latest: Option<Arc<Known>>) -> Arc<Known> {
        let changed = [&self.hosts, &self.configuration].map(|path| changed(path));
        if let Some(latest) = latest
            && latest.changed == changed
        {
            return latest;
        }
        let (servers, search) = parse_configuration(&read(&self.configuration));
        Arc::new(Known {
            changed,
            hosts: parse_hosts(&read(&self.hosts)),
            servers,
            search,
        })
    }
}

impl Known {
    /// The addresses that the hosts file gives a name, by family.
    pub(super) fn hosts(&self, name: &Domain) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let addresses = self.hosts.get(name).map_or(&[][..], Vec::as_slice);
        addresses.iter().partition(|address| address.is_ipv4())
    }

    /// The longer names that a name of one label may stand for.
    pub(super) fn searched(&self, name: &Domain) -> Vec<Domain> {
        if name.as_str().contains('.') {
            return Vec::new();
        }
        let longer = |suffix: &Domain| Domain::parse(&format!("{name}.{suffix}")).ok();
        self.search.iter().filter_map(longer).collect()
    }

    /// The servers with the system's own where [`NameServer::System`] stands.
    pub(super) fn in_place_of_system(&self, servers: &[NameServer]) -> Arc<[NameServer]> {
        let mut all = Vec::new();
        for server in servers {
            match server {
                NameServer::System => all.extend_from_slice(&self.servers),
                other => all.push(other.clone()),
            }
        }
        all.into()
    }
}

fn changed(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A file that is missing, or none, is as an empty one: there is nobody to tell.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && let Ok(file) = std::fs::File::open(path)
    {
        let _what_was_read_counts = file.take(MAX_FILE).read_to_end(&mut bytes);
    }
    if u64::try_from(bytes.len()).is_ok_and(|read| read >= MAX_FILE) {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(end.unwrap_or_default());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn parse_hosts(text: &str) -> HashMap<Domain, Vec<IpAddr>> {
    let mut hosts: HashMap<Domain, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(address) = words.next().and_then(|w| w.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words.filter_map(|word| Domain::parse(word).ok()) {
            message::add(hosts.entry(name).or_default(), address);
        }
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
                let server = words.next().and_then(name_server);
                servers.extend(server.filter(|_| servers.len() < MAX_SERVERS));
            }
            Some("search" | "domain") => {
                search = words
                    .filter_map(|w| Domain::parse(w).ok())
                    .take(MAX_SEARCH)
                    .collect();
            }
            _ => {}
        }
    }
    if servers.is_empty() {
        // resolv.conf(5): "If no nameserver entries are present, the default is to use the name
        // server on the local machine."
        servers.extend(name_server("127.0.0.1"));
    }
    (servers, search)
}

/// An address, a link-local one with its interface (`fe80::1%eth0`; RFC 4007, section 11).
fn name_server(word: &str) -> Option<NameServer> {
    let (ip, interface) = match word.split_once('%') {
        Some((ip, interface)) if !interface.is_empty() => {
            (ip.parse::<Ipv6Addr>().ok()?.into(), Some(interface.into()))
        }
        _ => (word.parse().ok()?, None),
    };
    Some(NameServer::Udp(Place {
        address: SocketAddr::new(ip, 53),
        interface,
        via: None,
    }))
}

#[cfg(test)]
mod tests;
