//! Facts that are derived: which name is the domain, which address is the destination's.

use std::net::IpAddr;

use super::{Hit, Value, Walk, asked, settled};
use crate::condition::{Asks, ZoneOf};
use crate::domain::Domain;
use crate::fact::{Fact, Geo, Look, Need, Network, Protocol, Provenance};
use crate::ids::ZoneId;
use crate::model::DomainOrder;

/// The flow's domain, and why it is not what one would expect.
pub(super) struct Named<'a> {
    pub(super) value: Value<'a, &'a Domain>,
    pub(super) note: Option<&'static str>,
}

/// The outer name of an encrypted hello is the provider's, not the site's (RFC 9849).
const ENCRYPTED: &str = "ECH is offered: this may be the outer name";

/// Neither this rule nor one before it asks for the address.
const UNRESOLVED: &str = "the name is not resolved here";

impl<'a> Walk<'a, '_> {
    /// The domain, in the dialect's order; asks where a higher source is still unknown.
    pub(super) fn domain(&self) -> Result<Named<'a>, Need> {
        if let Some(alias) = self.alias {
            return Ok(plain(Value::Known(alias, Provenance::Resolver)));
        }
        let requested = self.requested();
        match self.domain_order {
            DomainOrder::Requested => Ok(plain(requested)),
            DomainOrder::RequestedElseSniffed => match requested {
                Value::Absent => self.sniffed(),
                found => Ok(plain(found)),
            },
            DomainOrder::Native => match requested {
                Value::Absent => {
                    let sniffed = self.sniffed()?;
                    match sniffed.value {
                        Value::Absent => Ok(Named {
                            value: settled(&self.facts.sought.correlated),
                            note: sniffed.note,
                        }),
                        _ => Ok(sniffed),
                    }
                }
                found => Ok(plain(found)),
            },
            DomainOrder::SniffedElseRequested => {
                let sniffed = self.sniffed()?;
                // A name that may be an outer one does not outdo the one that the client asked for.
                let doubtful = sniffed.note.is_some() && matches!(requested, Value::Known(..));
                match sniffed.value {
                    Value::Known(..) if !doubtful => Ok(sniffed),
                    Value::Failed(_) => Ok(sniffed),
                    _ => Ok(Named {
                        value: requested,
                        note: sniffed.note,
                    }),
                }
            }
        }
    }

    /// The name in the request, else the fake address's.
    fn requested(&self) -> Value<'a, &'a Domain> {
        match settled(&self.facts.destination).part(|host| host.name()) {
            Value::Absent => settled(&self.facts.sought.fake_ip),
            found => found,
        }
    }

    fn sniffed(&self) -> Result<Named<'a>, Need> {
        let look = self.look()?;
        let encrypted = matches!(look, Value::Known(look, _) if look.ech && look.domain.is_some());
        // Browsers send the extension to every server (GREASE), so its presence cannot discard the name.
        Ok(Named {
            value: look.part(|look| look.domain.as_ref()),
            note: encrypted.then_some(ENCRYPTED),
        })
    }

    pub(super) fn look(&self) -> Result<Value<'a, &'a Look>, Need> {
        Ok(asked(&self.facts.sought.look, Need::Sniff)?.part(|look| Some(&**look)))
    }

    /// As [`Self::look`] for what first bytes tell over this transport alone: over another nobody looks, whether they
    /// were looked at for others or not.
    pub(super) fn look_over(&self, told: Option<Network>) -> Result<Value<'a, &'a Look>, Need> {
        match told {
            Some(network) if network != self.facts.network => Ok(Value::Absent),
            _ => self.look(),
        }
    }

    /// The protocol, for conditions on those that are told over this transport ([`Protocol::network`]).
    pub(super) fn protocol_over(&self, told: Option<Network>) -> Result<Value<'a, Protocol>, Need> {
        Ok(self.look_over(told)?.part(|look| Some(look.protocol)))
    }

    /// The destination's address. That of a name is absent until a rule had it resolved, even when
    /// somebody knows it already: what a rule sees must not depend on what others looked up.
    pub(super) fn destination(&mut self, asks: Asks) -> Result<Value<'a, IpAddr>, Need> {
        if self.facts.destination_name().is_none() {
            return Ok(settled(&self.facts.destination).part(|host| host.address()));
        }
        self.resolved |= asks == Asks::Resolve;
        if !self.resolved {
            return Ok(Value::Absent);
        }
        let resolved = asked(&self.facts.sought.resolved, Need::Resolve)?;
        Ok(resolved.part(|addresses| addresses.first().copied()))
    }

    pub(super) fn source(&self) -> Value<'a, IpAddr> {
        settled(&self.facts.source).part(|source| Some(source.ip().to_canonical()))
    }

    /// What the databases say of the destination's address; nobody is asked where there is none.
    pub(super) fn geo(&mut self, asks: Asks) -> Result<Value<'a, &'a Geo>, Need> {
        let address = self.destination(asks)?;
        match address {
            Value::Absent => {
                self.see_address(&address, None);
                Ok(Value::Absent)
            }
            Value::Failed(why) => Ok(Value::Failed(why)),
            Value::Known(..) => asked(&self.facts.sought.geo, Need::Country),
        }
    }

    /// The one zone that the domain or the address belongs to.
    pub(super) fn zone(
        &mut self,
        of: ZoneOf,
        asks: Asks,
    ) -> Result<Value<'a, (ZoneId, Hit<'a>)>, Need> {
        let zones = &self.policy.zones;
        match of {
            ZoneOf::Address => {
                let address = self.destination(asks)?;
                let found = address.part(|address| zones.zone_of_address(address));
                let found = found.part(|(zone, entry)| {
                    Some((
                        zone,
                        Hit::Zone(zones.address_names().get(zone.0 as usize)?, entry),
                    ))
                });
                self.see_address(&address, hit(&found));
                Ok(found)
            }
            ZoneOf::Domain => {
                let name = self.domain()?;
                let found = name.value.part(|name| zones.zone_of_domain(name));
                let found = found.part(|(zone, entry)| {
                    Some((
                        zone,
                        Hit::Zone(zones.domain_names().get(zone.0 as usize)?, entry),
                    ))
                });
                self.see_domain(&name, hit(&found));
                Ok(found)
            }
        }
    }

    pub(super) fn see_domain(&mut self, name: &Named<'a>, hit: Option<Hit<'a>>) {
        let text = |name: &&Domain| name.text().clone();
        self.see_noted("domain", &name.value, text, hit, name.note);
    }

    pub(super) fn see_address(&mut self, address: &Value<'a, IpAddr>, hit: Option<Hit<'a>>) {
        let hidden = !self.resolved && self.facts.destination_name().is_some();
        let note = hidden.then_some(UNRESOLVED);
        self.see_noted("ip", address, |ip| ip.to_string().into(), hit, note);
    }

    /// The domain as far as it can be told without asking.
    pub(super) fn domain_without_asking(&self) -> Option<&'a Domain> {
        match self.domain().ok()?.value {
            Value::Known(name, _) => Some(name),
            Value::Absent | Value::Failed(_) => None,
        }
    }

    /// The destination's address as far as this walk may see it.
    pub(super) fn visible_address(&self) -> Option<IpAddr> {
        let named = self.facts.destination_name().is_some();
        if named && !self.resolved {
            return None;
        }
        self.facts.destination_address()
    }

    /// Whether the databases could be asked of an address and were not.
    pub(super) fn lacks_geo(&self) -> bool {
        self.visible_address().is_some() && matches!(self.facts.sought.geo, Fact::Unknown)
    }
}

fn plain<'a>(value: Value<'a, &'a Domain>) -> Named<'a> {
    Named { value, note: None }
}

fn hit<'a>(zone: &Value<'a, (ZoneId, Hit<'a>)>) -> Option<Hit<'a>> {
    match zone {
        Value::Known((_, hit), _) => Some(*hit),
        Value::Absent | Value::Failed(_) => None,
    }
}
