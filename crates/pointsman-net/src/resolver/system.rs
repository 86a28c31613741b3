//! The system's own configuration: `/etc/hosts` and `/etc/resolv.conf` (hosts(5), resolv.conf(5)).
//!
//! Invariants: the files are read by a thread that may block, one at a time, and indexed once; a look-up waits for
//! them a bounded time, and then makes do with what was read before. Absent: of `options` all but `ndots`, `timeout` and `attempts`.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pointsman_policy::Domain;
use pointsman_spec::resolver::{NameServer, Place};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::heard::MAX_ADDRESSES;

/// Larger files are cut there, at a line's end: four times the largest hosts file that people publish.
const MAX_FILE: u64 = 32 << 20;
/// glibc takes three servers, others some more.
const MAX_SERVERS: usize = 8;
/// resolv.conf(5): glibc took six before it took any number.
const MAX_SEARCH: usize = 6;
/// resolv.conf(5): "silently capped" at these.
const MAX_NDOTS: u32 = 15;
const MAX_TIMEOUT: u32 = 30;
const MAX_ATTEMPTS: u32 = 5;
/// What a look-up may take in all, whatever the options say.
const MAX_WHOLE: Duration = Duration::from_secs(30);
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
    latest: Mutex<Option<(Arc<SystemFiles>, Instant)>>,
    /// The reading that is under way. On a disk that hangs, it is the only one.
    reading: tokio::sync::Mutex<Option<JoinHandle<Arc<SystemFiles>>>>,
}

#[derive(Clone, Debug)]
struct Files {
    hosts: PathBuf,
    configuration: PathBuf,
}

/// What the files said when they were last read.
#[derive(Debug, Default)]
pub(super) struct SystemFiles {
    changed: [Option<(SystemTime, u64)>; 2],
    hosts: HashMap<Domain, Vec<IpAddr>>,
    configuration: Configuration,
}

/// What resolv.conf said.
#[derive(Debug)]
struct Configuration {
    servers: Vec<NameServer>,
    search: Vec<Domain>,
    /// A name with fewer dots stands for a longer one first.
    ndots: usize,
    timeout: Option<u32>,
    attempts: Option<u32>,
}

/// How much servers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// What a look-up may take in all.
    pub(super) whole: Duration,
    /// How many datagrams each server is sent at most.
    pub(super) datagrams: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // Less than the 5 s after which those who asked would ask elsewhere.
            whole: Duration::from_secs(4),
            datagrams: 3,
        }
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: None,
            attempts: None,
        }
    }
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
    pub(super) async fn known(&self) -> Result<Arc<SystemFiles>, Arc<str>> {
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

    /// What they say, as far as that needs no look.
    pub(super) fn fresh(&self) -> Option<Arc<SystemFiles>> {
        let latest = self.latest();
        let fresh = latest.filter(|(_, seen)| seen.elapsed() < LOOK_EVERY);
        fresh.map(|(known, _)| known)
    }

    /// What they said when they were last read.
    pub(super) fn last_known(&self) -> Option<Arc<SystemFiles>> {
        self.latest().map(|(known, _)| known)
    }

    fn latest(&self) -> Option<(Arc<SystemFiles>, Instant)> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.clone()
    }

    async fn read(&self) -> Option<Arc<SystemFiles>> {
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
    fn read(&self, latest: Option<Arc<SystemFiles>>) -> Arc<SystemFiles> {
        let changed = [&self.hosts, &self.configuration].map(|path| changed(path));
        if let Some(latest) = latest
            && latest.changed == changed
        {
            return latest;
        }
        Arc::new(SystemFiles {
            changed,
            hosts: parse_hosts(&read(&self.hosts)),
            configuration: parse_configuration(&read(&self.configuration)),
        })
    }
}

impl SystemFiles {
    /// The addresses that the hosts file gives a name.
    pub(super) fn hosts(&self, name: &Domain) -> &[IpAddr] {
        self.hosts.get(name).map_or(&[], Vec::as_slice)
    }

    /// The servers, in the order to ask them in.
    pub(super) fn servers(&self) -> &[NameServer] {
        &self.configuration.servers
    }

    /// The longer names that a short name may stand for.
    pub(super) fn searched(&self, name: &Domain) -> Vec<Domain> {
        let Configuration { search, ndots, .. } = &self.configuration;
        if name.as_str().matches('.').count() >= *ndots {
            return Vec::new();
        }
        let longer = |suffix: &Domain| Domain::parse(&format!("{name}.{suffix}")).ok();
        search.iter().filter_map(longer).collect()
    }

    /// As `timeout` and `attempts` say: so many seconds for each attempt at each server.
    pub(super) fn patience(&self) -> Patience {
        let Configuration {
            servers,
            timeout,
            attempts,
            ..
        } = &self.configuration;
        let usual = Patience::default();
        let whole = timeout.map(|seconds| {
            let servers = u32::try_from(servers.len()).unwrap_or(u32::MAX);
            // resolv.conf(5): two attempts are the default.
            let whole = seconds * attempts.unwrap_or(2);
            Duration::from_secs(whole.saturating_mul(servers).into()).min(MAX_WHOLE)
        });
        let attempts = attempts.and_then(|attempts| usize::try_from(attempts).ok());
        Patience {
            whole: whole.unwrap_or(usual.whole),
            datagrams: attempts.unwrap_or(usual.datagrams),
        }
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

/// One more address of a name: each once, and an IPv4 address in IPv6 as what it is, for rules and sockets alike.
fn add(addresses: &mut Vec<IpAddr>, address: IpAddr) {
    let address = address.to_canonical();
    // A list of advertisers names each a thousand times in vain.
    if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
        addresses.push(address);
    }
}

fn parse_hosts(text: &str) -> HashMap<Domain, Vec<IpAddr>> {
    let mut hosts: HashMap<Domain, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(address) = words.next().and_then(|w| w.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words.filter_map(|word| Domain::parse(word).ok()) {
            add(hosts.entry(name).or_default(), address);
        }
    }
    hosts
}

fn parse_configuration(text: &str) -> Configuration {
    let mut read = Configuration::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or("");
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let server = words.next().and_then(name_server);
                let room = read.servers.len() < MAX_SERVERS;
                read.servers.extend(server.filter(|_| room));
            }
            Some("search" | "domain") => {
                read.search = words
                    .filter_map(|w| Domain::parse(w).ok())
                    .take(MAX_SEARCH)
                    .collect();
            }
            Some("options") => words.for_each(|word| option(&mut read, word)),
            _ => {}
        }
    }
    if read.servers.is_empty() {
        // resolv.conf(5): "If no nameserver entries are present, the default is to use the name
        // server on the local machine."
        read.servers.extend(name_server("127.0.0.1"));
    }
    read
}

/// Takes an option that says something to us; as glibc, the largest that is taken where it says more.
fn option(read: &mut Configuration, word: &str) {
    let Some((name, value)) = word.split_once(':') else {
        return;
    };
    let Ok(value) = value.parse::<u32>() else {
        return;
    };
    match name {
        "ndots" => read.ndots = usize::try_from(value.min(MAX_NDOTS)).unwrap_or(read.ndots),
        "timeout" => read.timeout = Some(value.clamp(1, MAX_TIMEOUT)),
        "attempts" => read.attempts = Some(value.clamp(1, MAX_ATTEMPTS)),
        _ => {}
    }
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
