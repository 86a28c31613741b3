//! The name of a destination that its client gives as an address: what our DNS server answered to that client.
//!
//! Invariant: it is found out before any rule is asked, and once; a fake address without a name leads nowhere.

use pointsman_policy::fact::{Fact, Network, Provenance};
use pointsman_policy::refused::Refused;
use pointsman_policy::{Host, guard};

use super::Case;
use crate::correlation;

impl Case {
    /// Notes the name that an address stands for, or was given to the client for, where there is one.
    ///
    /// # Errors
    /// It is a fake address, and what it stood for is not known.
    pub(crate) fn note_name(&self) -> Result<(), Refused> {
        let (address, network) = {
            let facts = &self.known().facts;
            let host = facts.destination.known();
            (host.and_then(Host::address), facts.network)
        };
        let Some(address) = address else {
            return Ok(());
        };
        let dns = self.ways.generation().spec().dns.as_ref();
        if self.ways.dialer().is_fake(address) {
            let fakes = dns.and_then(|dns| dns.fakes());
            let name = fakes.and_then(|(fakes, _)| fakes.go_to(address));
            let name = name.ok_or_else(|| guard::fake_address(address))?;
            let name = Fact::Known(name, Provenance::FakeIp);
            self.note(|record| record.facts.sought.to_mut().fake_ip = name);
            return Ok(());
        }
        if dns.is_none() {
            return Ok(());
        }
        let client = correlation::goer(&self.ends);
        // Who connected has heard us; who sent a datagram may have forged where from.
        let proves = network == Network::Tcp;
        let known = &self.ways.shared().correlation;
        let name = known.find(client, address, proves, correlation::now());
        if name != Fact::Absent {
            self.note(|record| record.facts.sought.to_mut().correlated = name);
        }
        Ok(())
    }
}
