//! Finding facts that a rule asked for.
//!
//! Invariant: every search has a limit of time, and ends in known, absent (there is honestly none) or
//! failed (and why); none is made that no rule needed. A search needs values and gives one: whose record they stand in is
//! not known here.

mod sniff;

use std::net::{IpAddr, SocketAddr};

use pointsman_policy::fact::{Fact, Facts, Geo, Look, Network, Process, Provenance};
use pointsman_policy::{Domain, Need};
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::Asked;
use pointsman_spec::ids::PolicyId;

pub(crate) use self::sniff::{glance, header_of, look, told_by, told_in};
use crate::ends::Ends;
use crate::guest::{Gone, Guest, while_here};
use crate::outbound::Ways;
use crate::owner;

/// What is searched for: what it takes to know of a flow, or of a question.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    network: Network,
    /// The name that a resolver would be asked for.
    name: Option<Domain>,
    /// The address that databases and routes would be asked for.
    address: Option<IpAddr>,
    port: Option<u16>,
}

/// By what it is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) ways: &'a Ways,
    /// The policy that asks: its databases are looked into.
    pub(crate) policy: PolicyId,
    /// Who is asked for what the flow itself names.
    pub(crate) asked: Asked,
    /// The addresses of the connection.
    pub(crate) ends: &'a Ends,
}

/// What a search came to.
#[derive(Debug)]
pub(crate) enum FoundFact {
    Country(Fact<Geo>),
    Local(Fact<IpAddr>),
    Look(Fact<Look>),
    Owner(Fact<Process>),
    Resolved(Fact<Vec<IpAddr>>),
    /// It is none that a search could find.
    Nothing,
}

impl Subject {
    pub(crate) fn of(facts: &Facts) -> Self {
        Self {
            network: facts.network,
            name: facts.destination_name().cloned(),
            address: facts.destination_address(),
            port: facts.port.known().copied(),
        }
    }
}

impl FoundFact {
    /// Writes it down.
    pub(crate) fn put(self, facts: &mut Facts) {
        let sought = match &self {
            Self::Nothing => return,
            _ => facts.sought.to_mut(),
        };
        match self {
            Self::Country(geo) => sought.geo = geo,
            Self::Local(local) => sought.local = local,
            Self::Look(look) => sought.look = look.boxed(),
            Self::Owner(owner) => sought.owner = owner.boxed(),
            Self::Resolved(resolved) => sought.resolved = resolved,
            Self::Nothing => {}
        }
    }
}

impl Means<'_> {
    /// Searches, as long as there is a guest. A verdict is not found by searching.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) async fn find(
        self,
        need: Need,
        subject: Subject,
        guest: &mut impl Guest,
    ) -> Result<FoundFact, Gone> {
        Ok(match need {
            Need::Sniff => {
                let limits = self.ways.generation().spec().sniff;
                let looked = guest.look(limits, subject.port.unwrap_or(0)).await;
                FoundFact::Look(looked?)
            }
            Need::Resolve => FoundFact::Resolved(match &subject.name {
                Some(name) => while_here(guest, self.resolve(name)).await?,
                None => Fact::Absent,
            }),
            Need::Owner => {
                let memory = &self.ways.shared().memory;
                let search = owner::process(memory, subject.network, self.ends);
                FoundFact::Owner(while_here(guest, search).await?)
            }
            Need::Country => FoundFact::Country(self.country(subject.address)),
            Need::Local => FoundFact::Local(local(self.ways, subject.address, subject.port)),
            Need::Verdict(_) => FoundFact::Nothing,
        })
    }

    /// The addresses of the destination's name.
    async fn resolve(self, name: &Domain) -> Fact<Vec<IpAddr>> {
        let limit = self.ways.generation().spec().timeouts.resolve;
        match self.ways.look_up_asking(self.asked, name, limit).await {
            Ok(found) => Fact::Known(found.list, Provenance::Resolver),
            Err(why) => Fact::Failed(why.to_string().into()),
        }
    }

    fn country(self, address: Option<IpAddr>) -> Fact<Geo> {
        let databases = &self.ways.generation().spec().policies[self.policy.0].databases;
        address.map_or(Fact::Absent, |address| databases.lookup(address))
    }
}

/// The address that a plain direct connection to the destination would leave by, asked of the
/// routing table: a UDP socket is connected, nothing is sent.
pub(crate) fn local(ways: &Ways, address: Option<IpAddr>, port: Option<u16>) -> Fact<IpAddr> {
    let Some(address) = address else {
        return Fact::Absent;
    };
    // Any port will do, but not 0.
    let to = SocketAddr::new(address, port.unwrap_or(1).max(1));
    let asked = (|| {
        let socket = ways.dialer().udp(to, &Uplink::default())?.into_std()?;
        socket.connect(to)?;
        socket.local_addr()
    })();
    match asked {
        Ok(local) => Fact::Known(local.ip().to_canonical(), Provenance::System),
        Err(error) => Fact::Failed(format!("no route to {address}: {error}").into()),
    }
}
