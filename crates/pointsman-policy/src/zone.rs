//! reflow's zones: every name and address belongs to at most one, by its most specific entry.
//!
//! Invariant: no entry belongs to two zones. A look-up finds the most specific entry over *all*
//! zones and never climbs from there: who asks for another zone gets no match.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::address::Prefix;
use crate::domain::Domain;
use crate::entry::Entry;
pub use crate::ids::ZoneId;
use crate::local::loopback_of;

/// All zones of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    domain_names: Vec<Arc<str>>,
    address_names: Vec<Arc<str>>,
    /// Ordinary order of labels (`www.reddit.com`).
    domains: HashMap<Domain, (ZoneId, Entry)>,
    addresses: HashMap<Prefix, (ZoneId, Entry)>,
    /// The lengths in `addresses`, per family, so that a look-up tries no others.
    lengths: [BTreeSet<u8>; 2],
}

/// Two zones claim one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` ({}:{}) is in zone `{second_zone}` and, at {}:{}, in zone `{first_zone}`",
    second.text, second.file, second.line, first.file, first.line
)]
pub struct Claimed {
    /// The zone that has it.
    pub first_zone: Arc<str>,
    /// Where that one says so.
    pub first: Entry,
    /// The zone that claims it too.
    pub second_zone: Arc<str>,
    /// Where that one says so.
    pub second: Entry,
}

impl Zones {
    /// The name zone of this name, made where there is none yet (a zone may be empty).
    pub fn add_domain_zone(&mut self, name: &str) -> ZoneId {
        number(&mut self.domain_names, name)
    }

    /// The address zone of this name, made where there is none yet.
    pub fn add_address_zone(&mut self, name: &str) -> ZoneId {
        number(&mut self.address_names, name)
    }

    /// Adds a name and all below it to a name zone. Saying it twice in one zone is harmless; the
    /// first entry stays.
    ///
    /// # Errors
    /// [`Claimed`] when another zone has this very entry; nothing changes then.
    pub fn add_domain(&mut self, zone: ZoneId, name: Domain, entry: Entry) -> Result<(), Claimed> {
        match self.domains.get(&name) {
            Some((owner, first)) if *owner != zone => {
                Err(claimed(&self.domain_names, (*owner, first), (zone, entry)))
            }
            Some(_said_twice) => Ok(()),
            None => {
                self.domains.insert(name, (zone, entry));
                Ok(())
            }
        }
    }

    /// Adds a range of addresses to an address zone, as [`Self::add_domain`] does with names.
    ///
    /// # Errors
    /// [`Claimed`] when another zone has this very range; nothing changes then.
    pub fn add_address(
        &mut self,
        zone: ZoneId,
        range: Prefix,
        entry: Entry,
    ) -> Result<(), Claimed> {
        match self.addresses.get(&range) {
            Some((owner, first)) if *owner != zone => {
                Err(claimed(&self.address_names, (*owner, first), (zone, entry)))
            }
            Some(_said_twice) => Ok(()),
            None => {
                let family = usize::from(range.address().is_ipv6());
                self.lengths[family].insert(range.length());
                self.addresses.insert(range, (zone, entry));
                Ok(())
            }
        }
    }

    /// The name zone of this name.
    #[must_use]
    pub fn domain_zone(&self, name: &str) -> Option<ZoneId> {
        position(&self.domain_names, name)
    }

    /// The address zone of this name.
    #[must_use]
    pub fn address_zone(&self, name: &str) -> Option<ZoneId> {
        position(&self.address_names, name)
    }

    /// The names of the name zones, by [`ZoneId`].
    #[must_use]
    pub fn domain_names(&self) -> &[Arc<str>] {
        &self.domain_names
    }

    /// The names of the address zones, by [`ZoneId`].
    #[must_use]
    pub fn address_names(&self) -> &[Arc<str>] {
        &self.address_names
    }

    /// The one zone that `name` belongs to, and the entry that says so.
    #[must_use]
    pub fn zone_of_domain(&self, name: &Domain) -> Option<(ZoneId, &Entry)> {
        let mut ancestors = name.ancestors();
        let (zone, entry) = ancestors.find_map(|ancestor| self.domains.get(ancestor))?;
        Some((*zone, entry))
    }

    /// The one zone that `address` (canonical) belongs to, and the entry that says so. The unspecified address
    /// leads to this host: the longer one of its own range and of loopback's counts.
    #[must_use]
    pub fn zone_of_address(&self, address: IpAddr) -> Option<(ZoneId, &Entry)> {
        let twin = loopback_of(address).unwrap_or(address);
        let mut lengths = self.lengths[usize::from(address.is_ipv6())].iter().rev();
        let (zone, entry) = lengths.find_map(|length| {
            let of = |ip| self.addresses.get(&Prefix::new(ip, *length));
            of(address).or_else(|| of(twin))
        })?;
        Some((*zone, entry))
    }

    /// Every entry of the name zones; in no order.
    pub fn domains(&self) -> impl Iterator<Item = (&Domain, ZoneId, &Entry)> {
        let entries = self.domains.iter();
        entries.map(|(name, (zone, entry))| (name, *zone, entry))
    }

    /// Every entry of the address zones; in no order.
    pub fn addresses(&self) -> impl Iterator<Item = (&Prefix, ZoneId, &Entry)> {
        let entries = self.addresses.iter();
        entries.map(|(range, (zone, entry))| (range, *zone, entry))
    }
}

fn number(names: &mut Vec<Arc<str>>, name: &str) -> ZoneId {
    position(names, name).unwrap_or_else(|| {
        names.push(name.into());
        // No configuration names four thousand million zones.
        ZoneId(u32::try_from(names.len() - 1).unwrap_or(u32::MAX))
    })
}

fn position(names: &[Arc<str>], name: &str) -> Option<ZoneId> {
    let at = names.iter().position(|known| **known == *name)?;
    u32::try_from(at).ok().map(ZoneId)
}

fn claimed(names: &[Arc<str>], first: (ZoneId, &Entry), second: (ZoneId, Entry)) -> Claimed {
    let name = |zone: ZoneId| names.get(zone.0 as usize).cloned().unwrap_or_default();
    Claimed {
        first_zone: name(first.0),
        first: first.1.clone(),
        second_zone: name(second.0),
        second: second.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: u32) -> Entry {
        Entry {
            text: format!("entry {line}").into(),
            file: "namezone/x".into(),
            line,
        }
    }

    fn name(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn the_most_specific_entry_over_all_zones_counts() {
        let mut zones = Zones::default();
        let (a, b) = (zones.add_domain_zone("a"), zones.add_domain_zone("b"));
        assert_eq!(zones.add_domain_zone("a"), a);
        zones.add_domain(a, name("google.com"), entry(1)).unwrap();
        zones
            .add_domain(b, name("www.google.com"), entry(2))
            .unwrap();
        let check = |query: &str, expected: Option<(ZoneId, u32)>| {
            let got = zones.zone_of_domain(&name(query)).map(|(z, e)| (z, e.line));
            assert_eq!(got, expected, "{query}");
        };
        check("google.com", Some((a, 1)));
        check("mail.google.com", Some((a, 1)));
        check("www.google.com", Some((b, 2)));
        check("x.www.google.com", Some((b, 2)));
        check("notgoogle.com", None);
        check("com", None);
    }

    #[test]
    fn the_longest_range_counts() {
        let mut zones = Zones::default();
        let (work, mars) = (
            zones.add_address_zone("work"),
            zones.add_address_zone("mars"),
        );
        let mut add = |zone, range: &str, line| {
            let range = range.parse().unwrap();
            zones.add_address(zone, range, entry(line)).unwrap();
        };
        add(work, "10.3.0.0/16", 1);
        add(mars, "10.3.5.0/24", 2);
        add(work, "10.3.5.7", 3);
        add(mars, "2001:db8::/32", 4);
        add(work, "::/0", 5);
        let check = |query: &str, expected: Option<(ZoneId, u32)>| {
            let got = zones.zone_of_address(query.parse().unwrap());
            assert_eq!(got.map(|(z, e)| (z, e.line)), expected, "{query}");
        };
        check("10.3.4.1", Some((work, 1)));
        check("10.3.5.1", Some((mars, 2)));
        check("10.3.5.7", Some((work, 3)));
        check("10.4.0.0", None);
        check("2001:db8::1", Some((mars, 4)));
        check("2001:db9::1", Some((work, 5)));
    }

    #[test]
    fn two_zones_cannot_claim_one_entry() {
        let mut zones = Zones::default();
        let (a, b) = (zones.add_domain_zone("a"), zones.add_domain_zone("b"));
        zones.add_domain(a, name("google.com"), entry(1)).unwrap();
        zones.add_domain(a, name("google.com"), entry(2)).unwrap();
        let claimed = zones
            .add_domain(b, name("google.com"), entry(3))
            .unwrap_err();
        assert_eq!(
            claimed.to_string(),
            "`entry 3` (namezone/x:3) is in zone `b` and, at namezone/x:1, in zone `a`"
        );
        assert_eq!(zones.zone_of_domain(&name("google.com")).unwrap().1.line, 1);
    }
}
