//! From a visit at a forward to a connected target.
//!
//! Invariant: whatever was tried, the record names the target that was tried last, and each attempt that failed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Action, Host};
use pointsman_wire::proxy_protocol;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::Visit;
use crate::forward::{Connected, Left, NotNow, Trying, Turn};
use crate::ledger::Ticket;
use crate::lookup::Families;
use crate::outbound::{self, DialError, Ways};
use crate::record::chain;
use crate::spec::forward::{Address, Balance, Target};
use crate::stream::Stream;

/// Between two attempts at one target it is never longer, unless the configuration begins with more: a client that
/// still waits is served soon after the target is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Visit {
    /// A stream to a target, after the PROXY header where there is one. Tells `failed` of each attempt that fails.
    ///
    /// # Errors
    /// [`DialError::Shut`]: it is refused. Else no target could be reached.
    pub(crate) async fn open(
        &mut self,
        ways: &Ways,
        ticket: &mut Ticket,
        failed: &Notify,
    ) -> Result<Stream, DialError> {
        let forward = Arc::clone(&self.forward);
        let spec = &forward.spec;
        let shut = |why: Arc<str>| DialError::Shut {
            outbound: Arc::clone(&spec.name),
            why,
        };
        if let Some(why) = &spec.not_yet {
            return Err(shut(Arc::clone(why)));
        }
        let most = spec.connection_limit;
        let permit = forward.state.admit(most);
        let over = || {
            let why = "connection limit: as many connections are open as `connection_limit` allows";
            shut(format!("{why} ({most})").into())
        };
        self.stay.permit = Some(permit.ok_or_else(over)?);

        let turn = match spec.balance {
            Balance::RoundRobin => forward.state.turn(),
            Balance::Failover | Balance::None => 0,
        };
        let mut left = Left::new(spec, turn);
        let mut failures: Vec<(&Target, DialError)> = Vec::new();
        let mut pause = spec.retry.pause;
        while left.any() {
            if !failures.is_empty() && !pause.is_zero() {
                sleep(pause.min(spec.retry.most)).await;
                pause = pause.saturating_mul(2);
            }
            let begun = Instant::now();
            let next = forward.state.failures.next(spec, &mut left, begun);
            let Some((index, target)) =
                next.and_then(|index| Some((index, spec.targets.get(index)?)))
            else {
                continue;
            };
            self.target = index;
            let action = target.via.and_then(|via| ways.action(via));
            ticket.note(|record| {
                record.member = Some(Arc::clone(&target.name));
                record.action = Some(action.unwrap_or(Action::Direct));
            });
            let trying = Trying::new(&forward.state.failures, target, begun);
            let reached = self.reach(ways, target, ticket, failed).await;
            // Else the next one tries: a failure that says nothing of the target is as none.
            if reached.as_ref().err().is_none_or(DialError::may_pass) {
                trying.known();
            }
            match reached {
                Ok(stream) => {
                    forward.state.failures.forgive(target);
                    if let Some(line) = ticket.line() {
                        line.reached(target, &stream);
                    }
                    return Ok(stream);
                }
                Err(error) => {
                    if error.may_pass() {
                        let now = Instant::now();
                        forward.state.failures.note(spec, target, begun, now);
                    }
                    if let Some(line) = ticket.line() {
                        line.tried(target);
                    }
                    // The last one's is told of the flow itself.
                    if left.any() {
                        ticket.tried(&spec.name, &target.name, error.fault(), &error);
                    }
                    failures.push((target, error));
                }
            }
        }
        Err(none_of(&spec.name, failures))
    }

    /// As many attempts as the target allows; each that fails is written down.
    async fn reach(
        &mut self,
        ways: &Ways,
        target: &Target,
        ticket: &Ticket,
        failed: &Notify,
    ) -> Result<Stream, DialError> {
        let mut pause = target.backoff;
        let longest = target.backoff.max(LONGEST_PAUSE);
        let mut left = target.attempts.max(1);
        loop {
            left -= 1;
            let begun = Instant::now();
            let error = match self.attempt(ways, target).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            ticket.note(|record| record.attempted(&target.name, &chain(&error), took_us));
            failed.notify_one();
            if left == 0 || !error.may_pass() {
                return Err(error);
            }
            let name = &self.forward.spec.name;
            ticket.tried(name, &target.name, error.fault(), &error);
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    async fn attempt(&mut self, ways: &Ways, target: &Target) -> Result<Stream, DialError> {
        let usual = ways.generation().spec().limits.dial;
        let limit = target.connect_timeout.unwrap_or(usual);
        let mut turn = None;
        let mut stream = match &target.address {
            Address::Fd(_) => {
                let (stream, taken) = self.take(target)?;
                if let Some(peer) = stream.peer_addr() {
                    ways.refuse_own(&[peer])?;
                }
                turn = Some(taken);
                stream
            }
            Address::Tcp { host, port } => self.tcp(ways, target, host, *port, limit).await?,
            Address::Unix(path) => {
                ways.refuse_own_path(path)?;
                let connecting = ways.dialer().unix(path);
                let Ok(connected) = timeout(limit, connecting).await else {
                    let outbound = Arc::clone(&target.name);
                    return Err(DialError::TimedOut { outbound, limit });
                };
                Stream::from(connected.map_err(|source| unreachable(target, source))?)
            }
        };
        if self.forward.spec.proxy_header {
            // Half a header is more than another flow could stand.
            turn.iter_mut().for_each(Turn::used);
            let header = proxy_protocol::write_v1(self.source, self.local);
            let Ok(written) = timeout(limit, stream.write_all(&header)).await else {
                let outbound = Arc::clone(&target.name);
                return Err(DialError::TimedOut { outbound, limit });
            };
            written.map_err(|source| unreachable(target, source))?;
        }
        self.stay.turn = turn;
        Ok(stream)
    }

    fn take(&self, target: &Target) -> Result<(Stream, Turn), DialError> {
        let connected = self
            .forward
            .connected
            .get(self.target)
            .and_then(Option::as_ref);
        let taken = connected.map(Connected::take);
        match taken {
            Some(Ok(taken)) => Ok(taken),
            Some(Err(NotNow::Broken(source))) => Err(unreachable(target, source)),
            Some(Err(NotNow::Busy)) | None => Err(DialError::Shut {
                outbound: Arc::clone(&target.name),
                why: "target busy".into(),
            }),
        }
    }

    async fn tcp(
        &self,
        ways: &Ways,
        target: &Target,
        host: &Host,
        port: u16,
        limit: Duration,
    ) -> Result<Stream, DialError> {
        let families = match self.source {
            Some(source) if self.forward.spec.same_family => match source {
                SocketAddr::V4(_) => Families::Ipv4Only,
                SocketAddr::V6(_) => Families::Ipv6Only,
            },
            _ => target.families,
        };
        let bound = matches!(families, Families::Ipv4Only | Families::Ipv6Only);
        if let (Some(via), Host::Name(_), false) = (target.via, host, bound) {
            // A proxy gets the name; what is direct has it resolved.
            let to = outbound::Target {
                host: host.clone(),
                port,
                resolved: Vec::new(),
            };
            return ways.open(via, &to, limit).await;
        }
        let addresses = match host {
            Host::Address(address) if target.via.is_none() && allows(families, *address) => {
                return self
                    .connect(ways, target, &[SocketAddr::new(*address, port)], limit)
                    .await;
            }
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let generation = ways.generation();
                let usual = generation.spec().limits.resolve;
                let most = target.resolve_timeout.unwrap_or(usual);
                let answer = ways.look_up(&**generation.resolver(None), name, most).await;
                let found = answer.map_err(|why| DialError::Unresolved {
                    name: name.clone(),
                    why,
                })?;
                found.list
            }
        };
        let addresses = of_families(addresses, families);
        let Some(first) = addresses.first() else {
            let text = format!("{host} has no address of the family that it is to be reached over");
            let source = io::Error::new(io::ErrorKind::AddrNotAvailable, text);
            return Err(unreachable(target, source));
        };
        match target.via {
            None => {
                let to: Vec<SocketAddr> = addresses
                    .iter()
                    .map(|address| SocketAddr::new(*address, port))
                    .collect();
                self.connect(ways, target, &to, limit).await
            }
            Some(via) => {
                let to = outbound::Target {
                    host: Host::Address(*first),
                    port,
                    resolved: Vec::new(),
                };
                ways.open(via, &to, limit).await
            }
        }
    }

    async fn connect(
        &self,
        ways: &Ways,
        target: &Target,
        to: &[SocketAddr],
        limit: Duration,
    ) -> Result<Stream, DialError> {
        let dialer = self.forward.dialers.get(self.target);
        let dialer = dialer.unwrap_or_else(|| ways.dialer());
        ways.connect(&target.name, to, dialer, limit).await
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

fn unreachable(target: &Target, source: io::Error) -> DialError {
    DialError::Unreachable {
        outbound: Arc::clone(&target.name),
        source,
    }
}

/// One error of all that went wrong.
fn none_of(forward: &Arc<str>, mut failures: Vec<(&Target, DialError)>) -> DialError {
    if failures.len() == 1
        && let Some((_, only)) = failures.pop()
    {
        return only;
    }
    let each = failures
        .iter()
        .map(|(target, error)| format!("{}: {}", target.name, chain(error)));
    let failure = failures
        .last()
        .map_or(outbound::Failure::General, |(_, error)| error.failure());
    DialError::NoTarget {
        outbound: Arc::clone(forward),
        why: each.collect::<Vec<_>>().join("; "),
        failure,
    }
}
