//! A small resolver: A and AAAA over UDP and TCP, through an outbound where the configuration says so.
//!
//! Invariant: a look-up uses the servers that it was configured with and no other. Where none answers
//! it fails and says why; it never falls back to the system's. All that it asks has one budget of time.
//! Absent: DoT, DoH, DNSSEC, serving.

mod cache;
mod exchange;
mod families;
mod message;
mod names;
mod questions;
mod system;
mod turns;

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_policy::{Domain, OutboundId};
use tokio::time::{Instant, timeout_at};

use self::cache::Cache;
use self::families::{Asking, Half, Out, Told, both};
use self::message::{Answer, Family};
use self::names::ByName;
use self::questions::{Turn, hear};
use self::system::Known;
pub use self::system::System;
use self::turns::{PASS_BY, Silences, in_turn};
pub use crate::lookup::Families;
use crate::lookup::{self, LookingUp, Lookup, Transport};

/// What a look-up may take in all: less than the 5 s after which those who asked would ask elsewhere.
const BUDGET: Duration = Duration::from_secs(4);
/// How long it holds that nobody could tell (RFC 9520, section 3.2: at least a second, 5 s at first).
const FAILED_FOR: u32 = 5;
/// Questions that go on behind their look-ups, each a socket or three for at most [`BUDGET`].
const MAX_LATE: usize = 256;

/// What a resolver is made of.
#[derive(Clone, Debug, Default)]
pub struct ResolverSpec {
    /// Asked in turn until one answers.
    pub servers: Vec<NameServer>,
    /// Names with fixed addresses: exact, or with all names below (`true`).
    pub hosts: Vec<(Domain, bool, IpAddr)>,
    /// Names with servers of their own, most specific first.
    pub by_domain: Vec<(Domain, bool, Vec<NameServer>)>,
    /// Which families are asked for.
    pub families: Families,
}

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameServer {
    /// A kind that is not built yet: look-ups that come to it fail with this text.
    NotYet(String),
    /// Those that the system is configured with, its hosts file before them.
    System,
    /// DNS over TCP.
    Tcp(Place),
    /// DNS over UDP, TCP where an answer is cut short. Through a proxy it is DNS over TCP.
    Udp(Place),
}

/// Where a name server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Address and port.
    pub address: SocketAddr,
    /// The interface that a link-local address is on, by name or number.
    pub interface: Option<Arc<str>>,
    /// The way to it.
    pub via: Option<OutboundId>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(
                f,
                "[{}%{interface}]:{}",
                self.address.ip(),
                self.address.port()
            ),
            None => write!(f, "{}", self.address),
        }
    }
}

/// A resolver of the configuration; clones are the same one.
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hosts: ByName<IpAddr>,
    by_domain: ByName<Arc<[NameServer]>>,
    servers: Arc<[NameServer]>,
    families: Families,
    system: Arc<System>,
    /// What was answered, as long as the system's own configuration stays what it was.
    kept: Mutex<(Option<Arc<Known>>, Arc<Cache>)>,
    silences: Silences,
    /// Questions that go on behind their look-ups.
    late: Mutex<HashSet<(Domain, Family)>>,
}

impl Resolver {
    /// A resolver with an empty cache. `system` is what [`NameServer::System`] stands for.
    #[must_use]
    pub fn new(spec: ResolverSpec, system: &Arc<System>) -> Self {
        let ResolverSpec {
            servers,
            hosts,
            by_domain,
            families,
        } = spec;
        let by_domain = by_domain
            .into_iter()
            .map(|(name, below, servers)| (name, below, Arc::from(servers)));
        Self(Arc::new(Inner {
            hosts: ByName::new(hosts),
            by_domain: ByName::new(by_domain),
            servers: servers.into(),
            families,
            system: Arc::clone(system),
            kept: Mutex::default(),
            silences: Silences::default(),
            late: Mutex::default(),
        }))
    }

    /// One that resolves as the system is configured to.
    #[must_use]
    pub fn system(system: &Arc<System>) -> Self {
        let spec = ResolverSpec {
            servers: vec![NameServer::System],
            ..ResolverSpec::default()
        };
        Self::new(spec, system)
    }

    async fn find(&self, name: &Domain, transport: &dyn Transport) -> lookup::Answer {
        let Inner {
            hosts, by_domain, ..
        } = &*self.0;
        let until = Instant::now() + BUDGET;
        let fixed = hosts.all(name).into_iter().copied();
        let (v4, v6) = fixed.partition(IpAddr::is_ipv4);
        if let Some(answer) = self.0.families.fixed(name, v4, v6) {
            return answer;
        }
        if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
            // RFC 6761, 6.3.
            let (v4, v6) = ([127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into());
            return Ok(self.0.families.ordered(vec![v4], vec![v6]));
        }
        let servers = by_domain.nearest(name).unwrap_or(&self.0.servers);
        let mut known = None;
        let mut names = Vec::new();
        let mut servers = Arc::clone(servers);
        if servers.contains(&NameServer::System) {
            let system = self.0.system.known().await?;
            let (v4, v6) = system.hosts(name);
            if let Some(answer) = self.0.families.fixed(name, v4, v6) {
                return answer;
            }
            names = system.searched(name);
            servers = system.in_place_of_system(&servers);
            known = Some(system);
        }
        let mut search = Search {
            resolver: self,
            cache: self.0.cache(known),
            servers,
            transport,
            until,
            limit: BUDGET,
        };
        let mut left = u32::try_from(names.len()).unwrap_or(u32::MAX);
        for longer in names {
            // So that a silent domain leaves time for those behind it.
            search.limited(until, left.saturating_add(1));
            left = left.saturating_sub(1);
            if let Ok(found) = search.families(&longer).await {
                return Ok(found);
            }
        }
        search.limited(until, 1);
        search.families(name).await
    }
}

impl Lookup for Resolver {
    fn lookup<'a>(&'a self, name: &'a Domain, transport: &'a dyn Transport) -> LookingUp<'a> {
        Box::pin(self.find(name, transport))
    }
}

impl Inner {
    fn cache(&self, known: Option<Arc<Known>>) -> Arc<Cache> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            && !kept.0.as_ref().is_some_and(|old| Arc::ptr_eq(old, &known))
        {
            // Other servers may answer otherwise.
            *kept = (Some(known), Arc::default());
        }
        Arc::clone(&kept.1)
    }

    fn late(&self) -> MutexGuard<'_, HashSet<(Domain, Family)>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One look-up: who is asked, until when.
struct Search<'a> {
    resolver: &'a Resolver,
    cache: Arc<Cache>,
    servers: Arc<[NameServer]>,
    transport: &'a dyn Transport,
    until: Instant,
    /// How long that was when it began.
    limit: Duration,
}

impl Search<'_> {
    /// Takes one share of the time that is left to the end.
    fn limited(&mut self, end: Instant, shares: u32) {
        let now = Instant::now();
        self.limit = end.saturating_duration_since(now) / shares.max(1);
        self.until = now + self.limit;
    }

    /// Asks for the families wanted, at once, and puts their addresses in order.
    async fn families(&self, name: &Domain) -> lookup::Answer {
        let families = self.resolver.0.families;
        let told = match families {
            Families::Ipv4Only => vec![self.one(name, Family::V4).await],
            Families::Ipv6Only => vec![self.one(name, Family::V6).await],
            Families::PreferIpv4 | Families::PreferIpv6 => self.two(name).await,
        };
        let (mut v4, mut v6, mut why) = (Vec::new(), Vec::new(), None);
        for told in told {
            match told {
                Told::Addresses(addresses) => {
                    for address in addresses {
                        if address.is_ipv4() {
                            v4.push(address);
                        } else {
                            v6.push(address);
                        }
                    }
                }
                Told::NoSuchName(said) | Told::Failed(said) => why = why.or(Some(said)),
            }
        }
        // One family's failure does not take the other's answer.
        let addresses = families.ordered(v4, v6);
        if addresses.is_empty() {
            return Err(why.unwrap_or_else(|| format!("{name} has no address").into()));
        }
        Ok(addresses)
    }

    async fn one(&self, name: &Domain, family: Family) -> Told {
        match self.half(name, family) {
            Half::Told(kept) => kept,
            Half::Asking(asking) => asking.await,
        }
    }

    async fn two(&self, name: &Domain) -> Vec<Told> {
        let families = [Family::V4, Family::V6];
        let halves = families.map(|family| self.half(name, family));
        let out = families.map(|family| self.out(name, family));
        let dialer = self.transport.dialer();
        let reachable = |addresses: &[IpAddr]| addresses.iter().any(|ip| dialer.has_route(*ip));
        let halves = both(halves, out, reachable).await;
        let mut told = Vec::new();
        for (family, half) in families.into_iter().zip(halves) {
            match half {
                Half::Told(one) => told.push(one),
                Half::Asking(asking) => self.finish_later(name, family, asking),
            }
        }
        told
    }

    fn out(&self, name: &Domain, family: Family) -> Out {
        let silences = &self.resolver.0.silences;
        Out {
            late: self.resolver.0.late().contains(&(name.clone(), family)),
            silent: silences.all(&self.servers, family, Instant::now()),
        }
    }

    /// An answer that comes late is for the next who asks.
    fn finish_later(&self, name: &Domain, family: Family, asking: Asking) {
        let key = (name.clone(), family);
        {
            let mut late = self.resolver.0.late();
            if late.len() >= MAX_LATE || !late.insert(key.clone()) {
                return;
            }
        }
        let late = Late(self.resolver.clone(), key);
        self.transport.late().spawn(async move {
            asking.await;
            drop(late);
        });
    }

    /// What is known of a family, or the question.
    fn half(&self, name: &Domain, family: Family) -> Half {
        if let Some(kept) = self.cache.get(name, family, Instant::now()) {
            return Half::Told(kept);
        }
        let asker = Asker {
            resolver: self.resolver.clone(),
            cache: Arc::clone(&self.cache),
            servers: Arc::clone(&self.servers),
            transport: self.transport.share(),
            until: self.until,
            limit: self.limit,
        };
        let name = name.clone();
        Half::Asking(Box::pin(async move { asker.ask(&name, family).await }))
    }
}

/// A question of a look-up. It owns what it needs, so that it may outlive whoever asked.
struct Asker {
    resolver: Resolver,
    cache: Arc<Cache>,
    servers: Arc<[NameServer]>,
    transport: Arc<dyn Transport>,
    until: Instant,
    /// How long that was when the look-up began.
    limit: Duration,
}

impl Asker {
    /// What is known, what another look-up hears, or what the servers say.
    async fn ask(&self, name: &Domain, family: Family) -> Told {
        loop {
            if let Some(kept) = self.cache.get(name, family, Instant::now()) {
                return kept;
            }
            let key = (name.clone(), family, self.transport.depth());
            match self.cache.questions.turn(key) {
                Turn::Ask(asked) => {
                    let told = self.ask_servers(name, family).await;
                    asked.tell(&told);
                    return told;
                }
                Turn::Hear(hearing) => match timeout_at(self.until, hear(hearing)).await {
                    Ok(Some(told)) => return told,
                    Ok(None) => {}
                    Err(_elapsed) => return Told::Failed(silent(self.limit).into()),
                },
            }
        }
    }

    /// Asks the servers in turn until one answers.
    async fn ask_servers(&self, name: &Domain, family: Family) -> Told {
        let silences = &self.resolver.0.silences;
        let servers = silences.order(&self.servers, family, Instant::now());
        let ask = |server: &NameServer| {
            let (server, transport) = (server.clone(), &*self.transport);
            async move { exchange::ask(&server, name, family, transport, self.until).await }
        };
        let heard = |server: &NameServer, sound| {
            silences.note(server, family, sound, Instant::now());
        };
        let answer = in_turn(&servers, self.until, |_| PASS_BY, ask, heard).await;
        let (told, ttl) = match answer {
            Ok(Answer::Addresses(addresses, ttl)) => (Told::Addresses(addresses), Some(ttl)),
            Ok(Answer::NoSuchName(ttl)) => {
                let why = format!("there is no name {name}");
                (Told::NoSuchName(why.into()), Some(ttl))
            }
            Ok(other) => failed(&servers, vec![(0, other)], self.limit),
            Err(failures) => failed(&servers, failures, self.limit),
        };
        if let Some(ttl) = ttl {
            self.cache
                .put(name, family, told.clone(), ttl, Instant::now());
        }
        told
    }
}

/// A question that goes on behind its look-up.
struct Late(Resolver, (Domain, Family));

impl Drop for Late {
    fn drop(&mut self) {
        self.0.0.late().remove(&self.1);
    }
}

fn silent(limit: Duration) -> String {
    format!("no answer within {limit:.1?}")
}

/// Why nobody could tell, and how many seconds that holds: not where there was no way to a server, which costs nothing
/// to try and may change at once.
fn failed(
    servers: &[NameServer],
    failures: Vec<(usize, Answer)>,
    limit: Duration,
) -> (Told, Option<u32>) {
    let unreached = |(_, why): &(usize, Answer)| matches!(why, Answer::Unreached(_));
    let ttl = (!failures.is_empty() && !failures.iter().any(unreached)).then_some(FAILED_FOR);
    let whys = failures.into_iter().map(|(index, why)| {
        let why = match why {
            Answer::Failed(why) | Answer::Unreached(why) => why,
            Answer::Truncated => "cut short over TCP".into(),
            Answer::Addresses(..) | Answer::NoSuchName(_) | Answer::Silent => silent(limit),
        };
        match servers.get(index) {
            Some(NameServer::Tcp(place)) => format!("tcp {place}: {why}"),
            Some(NameServer::Udp(place)) => format!("udp {place}: {why}"),
            Some(NameServer::NotYet(_) | NameServer::System) | None => why,
        }
    });
    // Servers that are not built have no address to be told apart by.
    let mut seen = HashSet::new();
    let whys: Vec<String> = whys.filter(|why| seen.insert(why.clone())).collect();
    let why = match whys.as_slice() {
        [] if servers.is_empty() => "no name server is configured".into(),
        [] => "no time was left to ask for it".into(),
        _ => whys.join("; ").into(),
    };
    (Told::Failed(why), ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_servers_and_no_time_are_told_apart() {
        let why = |servers: &[NameServer]| failed(servers, Vec::new(), BUDGET);
        let told = |why: &str| (Told::Failed(why.into()), None);
        assert_eq!(why(&[]), told("no name server is configured"));
        let servers = [NameServer::System];
        assert_eq!(why(&servers), told("no time was left to ask for it"));
        let later = || Answer::Unreached("DNS over `tls://` is not built yet".into());
        let servers_of_later = [(0, later()), (1, later())].into();
        let (told, _) = failed(&[], servers_of_later, BUDGET);
        assert_eq!(
            told,
            Told::Failed("DNS over `tls://` is not built yet".into())
        );
        let silent = failed(&servers, vec![(0, Answer::Silent)], BUDGET);
        let expected = Told::Failed("no answer within 4.0s".into());
        assert_eq!(silent, (expected, Some(FAILED_FOR)));
    }
}
