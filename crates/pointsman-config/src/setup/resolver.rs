//! What a resolver does with a name.

use std::net::IpAddr;

use pointsman_policy::Domain;

use super::{NameServer, Resolver};

impl Resolver {
    /// The addresses that the configuration itself gives a name.
    pub fn fixed(&self, name: &Domain) -> impl Iterator<Item = IpAddr> {
        let own = self.hosts.iter();
        own.filter(|(known, below, _)| fits(name, known, *below))
            .map(|(_, _, address)| *address)
    }

    /// The servers that are asked for a name.
    #[must_use]
    pub fn servers_for(&self, name: &Domain) -> &[NameServer] {
        let mut own = self.by_domain.iter();
        let own = own.find(|(known, below, _)| fits(name, known, *below));
        own.map_or(&self.servers, |(_, _, servers)| servers)
    }
}

fn fits(name: &Domain, known: &Domain, below: bool) -> bool {
    match below {
        true => name.is_within(known),
        false => name == known,
    }
}
