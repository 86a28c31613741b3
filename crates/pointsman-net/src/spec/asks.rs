//! Who is asked for the names that flows bring, by the resolvers and the DNS server of a generation.

use pointsman_policy::fact::Facts;
use pointsman_policy::{Domain, OutboundId, Policy};
use pointsman_spec::address::Families;
use pointsman_spec::asks::{Asked, Leaves, Seeker};
use pointsman_spec::dns::DnsEnd;
use pointsman_spec::ids::ResolverId;

use super::Spec;
use crate::lookup::{NotFound, Source};

impl Spec {
    /// Who is asked for the name of a flow that leaves by these: what the policy chose, then what groups selected.
    pub(crate) fn asked_by(
        &self,
        facts: &Facts,
        inbound: Option<ResolverId>,
        outbounds: &[OutboundId],
    ) -> Asked {
        self.asked(facts, inbound, Leaves::By(outbounds))
    }

    /// Who is asked for the name of a flow of which that policy wants the address.
    pub(crate) fn asked_for(
        &self,
        facts: &Facts,
        inbound: Option<ResolverId>,
        policy: &Policy,
    ) -> Asked {
        self.asked(facts, inbound, Leaves::Undecided(policy))
    }

    fn asked(&self, facts: &Facts, inbound: Option<ResolverId>, leaves: Leaves<'_>) -> Asked {
        let rules = || {
            let server = self.dns.as_ref().filter(|_| self.asks.heeds_rules)?;
            Some(server.rules(facts.destination_name()?))
        };
        let seeker = Seeker {
            facts,
            inbound,
            leaves,
            rules: rules(),
        };
        self.asks.whom(seeker).0
    }
}

/// What a name comes to for which nobody is asked.
pub(crate) fn unasked(name: &Domain, end: Option<DnsEnd>) -> NotFound {
    let name = name.clone();
    let from = Source::Rules;
    match end {
        Some(DnsEnd::NoName) => NotFound::NoName { name, from },
        // The address of no host is none to go to.
        Some(DnsEnd::NoData | DnsEnd::Zero) => NotFound::NoAddress {
            name,
            families: Families::default(),
            from,
        },
        Some(
            DnsEnd::Ask(_)
            | DnsEnd::Drop
            | DnsEnd::Fake
            | DnsEnd::Follow
            | DnsEnd::Pass
            | DnsEnd::Refused,
        ) => NotFound::Failed("a rule of `dns` refuses it".into()),
        None => {
            let why = "it means nothing to the world, and no rule of `dns` sends it to an upstream";
            NotFound::Failed(why.into())
        }
    }
}
