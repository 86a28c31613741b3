//! Who asks name servers, over UDP, TCP, TLS and HTTPS, through an outbound where the configuration says so: for addresses
//! ([`Resolver`]), and for whatever a client of the DNS server asks (`Upstream`).
//!
//! Invariant: a look-up uses the servers that it was configured with and no other. Where none answers
//! it fails and says why; it never falls back to the system's. All that it asks has one budget of time.
//! What was answered outlives the resolver in its [`Station`]. Absent: DNSSEC, clients.

mod asker;
mod cache;
pub(crate) mod clock;
mod exchange;
mod families;
mod heard;
mod line;
mod list;
mod look_up;
mod message;
mod names;
mod question;
mod questions;
mod scope;
mod sockets;
mod station;
mod system;
mod tally;
mod turns;
mod upstream;
mod way;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Domain;
use pointsman_spec::address::Families;
use pointsman_spec::outbound::Outbound;
use pointsman_spec::resolver::{NameServer, ResolverSpec, Servers};
use tokio::time::Instant;

use self::asker::Asker;
pub(crate) use self::heard::Heard;
use self::list::List;
use self::look_up::LookUp;
pub(crate) use self::names::ByName;
pub(crate) use self::question::{Folded, WireQuestion};
pub use self::station::Station;
pub use self::system::System;
use self::system::SystemFiles;
pub use self::tally::UpstreamCounts;
pub(crate) use self::upstream::Upstream;

use crate::lookup::{
    AddressResult, Addresses, Answer, Asking, Data, LookingUp, NotFound, Question, Record,
    RecordType, Resolve, Source, Transport,
};

/// A wrong time to live of a week must not outlive a change of address by a week.
const LONGEST: Duration = Duration::from_secs(3600);

fn too_long(name: &Domain) -> Arc<str> {
    format!("{name} cannot be asked for: it is too long").into()
}

/// A resolver of the configuration.
#[derive(Debug)]
pub struct Resolver {
    hosts: ByName<IpAddr>,
    by_domain: ByName<List>,
    servers: List,
    families: Families,
    station: Arc<Station>,
}

/// Who tells what a name is.
enum Teller<'a> {
    /// Nobody is asked.
    Fixed(Vec<IpAddr>, Source),
    /// With what the system's files say, where they count.
    Servers(&'a List, Option<Arc<SystemFiles>>),
}

impl Resolver {
    /// A resolver that asks by `outbounds`, those of its generation. It knows what `station` keeps of the same servers by
    /// the same ways.
    #[must_use]
    pub fn new(spec: ResolverSpec, outbounds: &[Outbound], station: &Arc<Station>) -> Self {
        let ResolverSpec {
            servers,
            hosts,
            by_domain,
            families,
        } = spec;
        let list = |servers: &Servers| List::new(servers, outbounds, station);
        let by_domain = by_domain
            .into_iter()
            .map(|(name, below, servers)| (name, below, list(&servers)));
        Self {
            hosts: ByName::new(hosts),
            by_domain: ByName::new(by_domain),
            servers: list(&servers),
            families,
            station: Arc::clone(station),
        }
    }

    /// One that resolves as the system is configured to.
    #[must_use]
    pub fn system(station: &Arc<Station>) -> Self {
        let spec = ResolverSpec {
            servers: vec![NameServer::System].into(),
            ..ResolverSpec::default()
        };
        Self::new(spec, &[], station)
    }

    async fn teller(&self, name: &Domain) -> Result<Teller<'_>, Arc<str>> {
        let fixed: Vec<IpAddr> = self.hosts.all(name).into_iter().copied().collect();
        if !fixed.is_empty() {
            return Ok(Teller::Fixed(fixed, Source::Configuration));
        }
        if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
            // RFC 6761, 6.3.
            let both = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(Teller::Fixed(both, Source::Standard));
        }
        let list = self.by_domain.nearest(name).unwrap_or(&self.servers);
        if !list.has_system() {
            return Ok(Teller::Servers(list, None));
        }
        let system = self.station.system.known().await?;
        Ok(match system.hosts(name) {
            [] => Teller::Servers(list, Some(system)),
            fixed => Teller::Fixed(fixed.to_vec(), Source::HostsFile),
        })
    }

    fn asker<'a>(
        &'a self,
        list: &List,
        known: Option<&SystemFiles>,
        transport: &'a dyn Transport,
    ) -> Asker<'a> {
        Asker::new(&self.station, list, known, LONGEST, transport)
    }

    async fn answer(&self, question: &Question, transport: &dyn Transport) -> Answer {
        match self.teller(&question.name).await {
            Ok(Teller::Fixed(addresses, from)) => fixed_answer(&addresses, question.kind, from),
            Ok(Teller::Servers(list, known)) => {
                let asker = self.asker(list, known.as_deref(), transport);
                let until = Instant::now() + asker.patience().whole;
                let Some(asked) = WireQuestion::new(question) else {
                    return Answer::Failed(too_long(&question.name));
                };
                match asker.enter(std::slice::from_ref(&asked), until).await {
                    Ok(_place) => asker.ask(&asked, until).await.answer(LONGEST),
                    Err(why) => Answer::Failed(why.into()),
                }
            }
            Err(why) => Answer::Failed(why),
        }
    }

    async fn find(&self, name: &Domain, transport: &dyn Transport) -> AddressResult {
        let begun = Instant::now();
        let (list, known) = match self.teller(name).await.map_err(NotFound::Failed)? {
            Teller::Fixed(addresses, from) => {
                return fixed_addresses(name, addresses, self.families, from);
            }
            Teller::Servers(list, known) => (list, known),
        };
        let names = known.as_ref().map_or_else(Vec::new, |it| it.searched(name));
        let look_up = LookUp {
            asker: self.asker(list, known.as_deref(), transport),
            families: self.families,
        };
        look_up.run(name, names, begun).await
    }
}

impl Resolve for Resolver {
    fn ask<'a>(&'a self, question: &'a Question, transport: &'a dyn Transport) -> Asking<'a> {
        Box::pin(self.answer(question, transport))
    }

    fn addresses<'a>(&'a self, name: &'a Domain, transport: &'a dyn Transport) -> LookingUp<'a> {
        Box::pin(self.find(name, transport))
    }
}

/// A name with fixed addresses has no others, and nobody else is asked. They may change at any time.
fn fixed_answer(addresses: &[IpAddr], kind: RecordType, from: Source) -> Answer {
    let until = Instant::now();
    let wanted = addresses
        .iter()
        .filter(|address| address.is_ipv4() == (kind == RecordType::A));
    let record = |address: &IpAddr| Record {
        data: Data::from(*address),
        ttl: 0,
    };
    let records: Arc<[Record]> = wanted.map(record).collect();
    match records.is_empty() {
        true => Answer::NoData { until, from },
        false => Answer::Records {
            records,
            until,
            from,
        },
    }
}

fn fixed_addresses(
    name: &Domain,
    addresses: Vec<IpAddr>,
    families: Families,
    from: Source,
) -> AddressResult {
    let (v4, v6) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let list = families.ordered(v4, v6);
    let until = Instant::now();
    match list.is_empty() {
        true => Err(NotFound::NoAddress {
            name: name.clone(),
            families,
            from,
        }),
        false => Ok(Addresses { list, until, from }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_addresses_of_the_other_family_alone_end_the_look_up() {
        let name = Domain::parse("a.test").unwrap();
        let (v4, v6) = (IpAddr::from([1; 4]), IpAddr::from([1; 16]));
        let found = |of: &[IpAddr], families| {
            let found = fixed_addresses(&name, of.to_vec(), families, Source::HostsFile);
            found.map(|found| found.list).map_err(|why| why.to_string())
        };
        let both = [v4, v6];
        assert_eq!(found(&both, Families::PreferIpv6), Ok(vec![v6, v4]));
        assert_eq!(found(&both, Families::Ipv4Only), Ok(vec![v4]));
        let none = |why: &str| Err(format!("a.test has no {why}, says the hosts file"));
        assert_eq!(found(&[v6], Families::Ipv4Only), none("IPv4 address"));
        assert_eq!(found(&[v4], Families::Ipv6Only), none("IPv6 address"));
        let answer = |kind| fixed_answer(&[v4], kind, Source::HostsFile);
        assert!(matches!(answer(RecordType::Aaaa), Answer::NoData { .. }));
        let Answer::Records { records, .. } = answer(RecordType::A) else {
            panic!("no records");
        };
        assert_eq!(records[0].data, Data::A([1; 4].into()));
    }
}
