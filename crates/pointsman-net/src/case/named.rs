//! The name of a destination that its client gives as an address: what our DNS server answered to that client.
//!
//! Invariant: it is found out before any rule is asked, and once.

use pointsman_policy::Host;
use pointsman_policy::fact::{Fact, Network};

use super::Case;
use crate::correlation;

impl Case {
    /// Notes the name that an address was given to the client for, where there is one.
    pub(crate) fn note_name(&self) {
        if self.ways.generation().spec().dns.is_none() {
            return;
        }
        let (address, network) = {
            let facts = &self.known().facts;
            let host = facts.destination.known();
            (host.and_then(Host::address), facts.network)
        };
        let Some(address) = address else {
            return;
        };
        let client = correlation::goer(&self.ends);
        // Who connected has heard us; who sent a datagram may have forged where from.
        let proves = network == Network::Tcp;
        let known = &self.ways.shared().correlation;
        let name = known.find(client, address, proves, correlation::now());
        if name != Fact::Absent {
            self.note(|record| record.facts.sought.to_mut().correlated = name);
        }
    }
}
