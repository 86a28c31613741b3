//! From a flow to a connected target: attempts, addresses, the PROXY header.
//!
//! Invariant: each attempt that fails is written down, and told.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::refused::{Refused, Refuser};
use pointsman_policy::{Host, OutboundId};
use pointsman_spec::address::{Endpoint, Families, Uplink};
use pointsman_spec::asks::Asked;
use pointsman_spec::target::{Keepalive, Target};
use pointsman_wire::proxy_protocol;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::{Destination, DialError, Ways};
use crate::dial::{self, Dialer};
use crate::ends::{ClientAddr, Ends, LocalAddr};
use crate::group::{Connected, NotNow, Turn};
use crate::ledger::Ticket;
use crate::record::chain;
use crate::stream::Stream;

/// Between two attempts at one target it is never longer, unless the configuration begins with more: a client that
/// still waits is served soon after the target is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest silence before a probe that Linux takes (`MAX_TCP_KEEPIDLE`); more fails.
const LONGEST_PROBES: Duration = Duration::from_secs(32_767);

/// A flow whose client does not say where it goes, so that it may be taken to targets: what they need of it, and who
/// hears how they are tried.
pub(crate) struct Errand<'a> {
    /// The addresses of the client's connection.
    pub(crate) ends: Ends,
    /// Targets are reached over the client's family alone.
    pub(crate) same_family: bool,
    /// Its place among the live ones.
    pub(crate) ticket: &'a mut Ticket,
    /// Told of each attempt that fails.
    pub(crate) failed: &'a Notify,
}

/// A target that one flow is taken to.
pub(super) struct Aim<'a> {
    pub(super) ways: &'a Ways,
    /// Its group.
    pub(super) group: &'a Arc<str>,
    pub(super) name: &'a Arc<str>,
    pub(super) target: &'a Target,
}

/// How a target is reached.
enum Way {
    /// From here.
    Direct(Uplink),
    /// By an outbound that may take it elsewhere.
    By(OutboundId),
}

/// A stream, and the use of an inherited connection where it is one.
pub(super) type Reached = (Stream, Option<Turn>);

impl Aim<'_> {
    /// As many attempts as the target allows; each that fails is written down.
    pub(super) async fn reach(&self, errand: &Errand<'_>) -> Result<Reached, DialError> {
        let mut pause = self.target.backoff;
        let longest = self.target.backoff.max(LONGEST_PAUSE);
        let mut left = self.target.attempts.max(1);
        loop {
            left -= 1;
            let begun = Instant::now();
            let error = match self.attempt(errand).await {
                Ok(reached) => return Ok(reached),
                Err(error) => error,
            };
            let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let ticket = &errand.ticket;
            ticket.note(|record| record.attempted(self.name, &chain(&error), took_us));
            errand.failed.notify_one();
            if left == 0 || !error.may_pass() {
                return Err(error);
            }
            ticket.tried(self.group, self.name, error.fault(), &error);
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    async fn attempt(&self, errand: &Errand<'_>) -> Result<Reached, DialError> {
        let usual = self.ways.generation().spec().timeouts.dial;
        let limit = self.target.connect_timeout.unwrap_or(usual);
        let families = self.families(&errand.ends, errand.same_family);
        let mut turn = None;
        let mut stream = match &self.target.address {
            Endpoint::Fd(number) => {
                let (stream, taken) = self.take(*number)?;
                if let Some(peer) = stream.peer_addr() {
                    self.ways.refuse_own(&[peer])?;
                }
                turn = Some(taken);
                stream
            }
            Endpoint::Tcp(server) => self.tcp(&server.host, server.port, families, limit).await?,
            Endpoint::Udp(_) => {
                let why = io::Error::other("it takes datagrams, and no connection");
                return Err(self.unreachable(why));
            }
            Endpoint::Unix(path) => {
                self.ways.refuse_own_path(path)?;
                let connecting = self.ways.dialer().unix(path);
                let connected = timeout(limit, connecting).await;
                let connected = connected.map_err(|_elapsed| self.timed_out(limit))?;
                Stream::from(connected.map_err(|source| self.unreachable(source))?)
            }
        };
        if self.target.proxy_header {
            // Half a header is more than another flow could stand.
            turn.iter_mut().for_each(Turn::used);
            let header = header(&errand.ends);
            let written = timeout(limit, stream.write_all(&header)).await;
            let written = written.map_err(|_elapsed| self.timed_out(limit))?;
            written.map_err(|source| self.unreachable(source))?;
        }
        Ok((stream, turn))
    }

    fn take(&self, number: i32) -> Result<(Stream, Turn), DialError> {
        let connected = self.ways.generation().groups().connected(number);
        match connected.map(Connected::take) {
            Some(Ok(taken)) => Ok(taken),
            Some(Err(NotNow::Broken(source))) => Err(self.unreachable(source)),
            Some(Err(NotNow::Busy)) | None => Err(DialError::Shut {
                outbound: Arc::clone(self.name),
                why: Refused::sentence(Refuser::TargetBusy, "target busy"),
            }),
        }
    }

    pub(super) fn families(&self, ends: &Ends, same_family: bool) -> Families {
        match ends.client.filter(|_| same_family) {
            Some(client) => match client.get() {
                SocketAddr::V4(_) => Families::Ipv4Only,
                SocketAddr::V6(_) => Families::Ipv6Only,
            },
            None => self.target.families,
        }
    }

    async fn tcp(
        &self,
        host: &Host,
        port: u16,
        families: Families,
        limit: Duration,
    ) -> Result<Stream, DialError> {
        let way = match self.target.via {
            None => Way::Direct(Uplink::default()),
            // What goes out directly obeys the target's own keys, whichever interface it leaves by.
            Some(via) => match self.ways.direct_by(via) {
                Some(uplink) => Way::Direct(uplink),
                None => Way::By(via),
            },
        };
        let bound = matches!(families, Families::Ipv4Only | Families::Ipv6Only);
        if let (Way::By(via), Host::Name(_), false) = (&way, host, bound) {
            // A proxy gets the name.
            let to = Destination {
                host: host.clone(),
                port,
                resolved: Vec::new(),
                asked: Asked::default(),
            };
            return self.ways.open(*via, &to, limit).await;
        }
        if let (Host::Address(address), Way::Direct(uplink)) = (host, &way)
            && allows(families, *address)
        {
            let to = SocketAddr::new(*address, port);
            return self.connect(&[to], uplink, limit).await;
        }
        let (first, others) = self.addresses(host, families).await?;
        match way {
            Way::Direct(uplink) => {
                let all = std::iter::once(first).chain(others);
                let to: Vec<SocketAddr> =
                    all.map(|address| SocketAddr::new(address, port)).collect();
                self.connect(&to, &uplink, limit).await
            }
            Way::By(via) => {
                let to = Destination {
                    host: Host::Address(first),
                    port,
                    resolved: Vec::new(),
                    asked: Asked::default(),
                };
                self.ways.open(via, &to, limit).await
            }
        }
    }

    /// The addresses of a host that may be gone to, preferred ones first: at least one.
    pub(super) async fn addresses(
        &self,
        host: &Host,
        families: Families,
    ) -> Result<(IpAddr, impl Iterator<Item = IpAddr> + use<>), DialError> {
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let generation = self.ways.generation();
                let usual = generation.spec().timeouts.resolve;
                let most = self.target.resolve_timeout.unwrap_or(usual);
                let resolver = &**generation.resolver(None);
                let answer = self.ways.look_up(resolver, name, most).await;
                let found = answer.map_err(|why| DialError::Unresolved {
                    name: name.clone(),
                    why,
                })?;
                found.list
            }
        };
        let mut addresses = of_families(addresses, families).into_iter();
        match addresses.next() {
            Some(first) => Ok((first, addresses)),
            None => {
                let text =
                    format!("{host} has no address of the family that it is to be reached over");
                let source = io::Error::new(io::ErrorKind::AddrNotAvailable, text);
                Err(self.unreachable(source))
            }
        }
    }

    async fn connect(
        &self,
        to: &[SocketAddr],
        uplink: &Uplink,
        limit: Duration,
    ) -> Result<Stream, DialError> {
        let dialer = Dialer {
            keepalive: probes(self.target.keepalive),
            ..self.ways.dialer().clone()
        };
        self.ways
            .connect(self.name, to, uplink, &dialer, limit)
            .await
    }

    fn unreachable(&self, source: io::Error) -> DialError {
        DialError::Unreachable {
            outbound: Arc::clone(self.name),
            source,
        }
    }

    fn timed_out(&self, limit: Duration) -> DialError {
        DialError::TimedOut {
            outbound: Arc::clone(self.name),
            limit,
        }
    }
}

fn header(ends: &Ends) -> Vec<u8> {
    let client = ends.client.map(ClientAddr::get);
    proxy_protocol::write_v1(client, ends.local.map(LocalAddr::get))
}

fn probes(keepalive: Keepalive) -> dial::Probing {
    match keepalive {
        Keepalive::Default => dial::Probing::WhenOld(15, 15),
        // The kernel counts in whole seconds.
        Keepalive::Every(every) => {
            let every = every.clamp(Duration::from_secs(1), LONGEST_PROBES);
            dial::Probing::AtOnce(dial::Keepalive {
                time: every,
                interval: every,
            })
        }
        Keepalive::Off => dial::Probing::Never,
    }
}

fn allows(families: Families, address: IpAddr) -> bool {
    match families {
        Families::Ipv4Only => address.is_ipv4(),
        Families::Ipv6Only => address.is_ipv6(),
        Families::PreferIpv4 | Families::PreferIpv6 => true,
    }
}

/// Those that are allowed, preferred ones first.
fn of_families(mut addresses: Vec<IpAddr>, families: Families) -> Vec<IpAddr> {
    match families {
        Families::Ipv4Only | Families::Ipv6Only => {
            addresses.retain(|address| allows(families, *address));
        }
        Families::PreferIpv4 => addresses.sort_by_key(IpAddr::is_ipv6),
        Families::PreferIpv6 => addresses.sort_by_key(IpAddr::is_ipv4),
    }
    addresses
}
