//! A small resolver: A and AAAA over UDP and TCP, through an outbound where the configuration says so.
//!
//! Invariant: a look-up uses the servers that it was configured with and no other. Where none answers
//! it fails and says why; it never falls back to the system's. Absent: DoT, DoH, DNSSEC, serving.

mod cache;
mod exchange;
mod message;
mod system;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pointsman_policy::{Domain, OutboundId};
use tokio::time::Instant;

use self::cache::Cache;
use self::message::{Answer, Family};
pub use self::system::SystemResolver;
use crate::lookup::{self, LookingUp, Lookup};
use crate::outbound::Ways;

/// What a resolver is made of.
#[derive(Clone, Debug, Default)]
pub struct ResolverSpec {
    /// Tried in order until one answers.
    pub servers: Vec<NameServer>,
    /// Names with fixed addresses: exact, or with all names below (`true`).
    pub hosts: Vec<(Domain, bool, IpAddr)>,
    /// Names with servers of their own, most specific first.
    pub by_domain: Vec<(Domain, bool, Vec<NameServer>)>,
    /// Which families are asked for.
    pub families: Families,
}

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameServer {
    /// A kind that is not built yet: look-ups that come to it fail with this text.
    NotYet(String),
    /// DNS over TCP.
    Tcp {
        /// Where it is.
        address: SocketAddr,
        /// The way to it.
        via: Option<OutboundId>,
    },
    /// DNS over UDP, TCP where an answer is cut short. Through a proxy it is DNS over TCP.
    Udp {
        /// Where it is.
        address: SocketAddr,
        /// The way to it.
        via: Option<OutboundId>,
    },
}

/// Which families are asked for, and whose addresses come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// A alone.
    Ipv4Only,
    /// AAAA alone.
    Ipv6Only,
    /// Both, A first.
    #[default]
    PreferIpv4,
    /// Both, AAAA first.
    PreferIpv6,
}

/// A resolver of the configuration.
#[derive(Debug)]
pub struct Resolver {
    spec: ResolverSpec,
    cache: Cache,
}

impl Resolver {
    /// A resolver with an empty cache.
    #[must_use]
    pub fn new(spec: ResolverSpec) -> Self {
        Self {
            spec,
            cache: Cache::default(),
        }
    }

    async fn find(&self, name: &Domain, ways: &Ways) -> lookup::Answer {
        if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
            return Ok(ordered(
                vec![[127, 0, 0, 1].into()],
                vec![IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
                self.spec.families,
            ));
        }
        let fixed: Vec<IpAddr> = self
            .spec
            .hosts
            .iter()
            .filter(|(n, below, _)| covers(n, *below, name))
            .map(|(_, _, a)| *a)
            .collect();
        if !fixed.is_empty() {
            return Ok(fixed);
        }
        let own = self
            .spec
            .by_domain
            .iter()
            .find(|(n, below, _)| covers(n, *below, name));
        let servers = own.map_or(&self.spec.servers, |(_, _, servers)| servers);
        ask_all(&self.cache, servers, self.spec.families, name, ways).await
    }
}

impl Lookup for Resolver {
    fn lookup<'a>(&'a self, name: &'a Domain, ways: &'a Ways) -> LookingUp<'a> {
        Box::pin(self.find(name, ways))
    }
}

fn covers(pattern: &Domain, below: bool, name: &Domain) -> bool {
    pattern == name || (below && name.is_within(pattern))
}

/// Asks for the families wanted, at once, and puts their addresses in order.
async fn ask_all(
    cache: &Cache,
    servers: &[NameServer],
    families: Families,
    name: &Domain,
    ways: &Ways,
) -> lookup::Answer {
    let one = |family| ask(cache, servers, name, family, ways);
    let (v4, v6) = match families {
        Families::Ipv4Only => (one(Family::V4).await, Ok(Vec::new())),
        Families::Ipv6Only => (Ok(Vec::new()), one(Family::V6).await),
        Families::PreferIpv4 | Families::PreferIpv6 => {
            tokio::join!(one(Family::V4), one(Family::V6))
        }
    };
    match (v4, v6) {
        (Ok(v4), Ok(v6)) if v4.is_empty() && v6.is_empty() => {
            Err(format!("{name} has no address").into())
        }
        (Ok(v4), Ok(v6)) => Ok(ordered(v4, v6, families)),
        // One family's failure does not take the other's answer.
        (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

fn ordered(v4: Vec<IpAddr>, v6: Vec<IpAddr>, families: Families) -> Vec<IpAddr> {
    match families {
        Families::Ipv4Only => v4,
        Families::Ipv6Only => v6,
        Families::PreferIpv4 => [v4, v6].concat(),
        Families::PreferIpv6 => [v6, v4].concat(),
    }
}

/// Asks the servers in order until one answers.
async fn ask(
    cache: &Cache,
    servers: &[NameServer],
    name: &Domain,
    family: Family,
    ways: &Ways,
) -> lookup::Answer {
    if let Some(kept) = cache.get(name, family, Instant::now()) {
        return kept;
    }
    let mut whys: Vec<String> = Vec::new();
    for server in servers {
        match exchange::ask(server, name, family, ways).await {
            Answer::Addresses(addresses, ttl) => {
                cache.put(name, family, Ok(addresses.clone()), ttl, Instant::now());
                return Ok(addresses);
            }
            Answer::NoSuchName(ttl) => {
                let why: Arc<str> = format!("there is no name {name}").into();
                cache.put(name, family, Err(Arc::clone(&why)), ttl, Instant::now());
                return Err(why);
            }
            Answer::Failed(why) => whys.push(format!("{}: {why}", shown(server))),
            Answer::Truncated => whys.push(format!("{}: cut short over TCP", shown(server))),
        }
    }
    match whys.as_slice() {
        [] => Err("no name server is configured".into()),
        _ => Err(whys.join("; ").into()),
    }
}

fn shown(server: &NameServer) -> String {
    match server {
        NameServer::NotYet(what) => what.clone(),
        NameServer::Tcp { address, .. } => format!("tcp {address}"),
        NameServer::Udp { address, .. } => format!("udp {address}"),
    }
}
