//! Finding facts that a rule asked for.
//!
//! Invariant: every search has a limit of time, and ends in known, absent (there is honestly none) or
//! failed (and why); none is made that no rule needed.

mod sniff;

use std::net::SocketAddr;

use pointsman_policy::Domain;
use pointsman_policy::fact::{Fact, Facts, Provenance};
use std::net::IpAddr;

pub(crate) use self::sniff::{glance, look, told_by};
use crate::dial::Uplink;
use crate::outbound::Ways;

/// The addresses of the destination's name.
pub(crate) async fn resolve(
    ways: &Ways,
    resolver: Option<usize>,
    name: &Domain,
) -> Fact<Vec<IpAddr>> {
    let generation = ways.generation();
    let limit = generation.spec().limits.resolve;
    match ways
        .look_up(&**generation.resolver(resolver), name, limit)
        .await
    {
        Ok(found) => Fact::Known(found.list, Provenance::Resolver),
        Err(why) => Fact::Failed(why.to_string().into()),
    }
}

/// The address that a plain direct connection to the destination would leave by, asked of the
/// routing table: a UDP socket is connected, nothing is sent.
pub(crate) fn local(ways: &Ways, facts: &Facts) -> Fact<IpAddr> {
    let Some(address) = facts.destination_address() else {
        return Fact::Absent;
    };
    // Any port will do, but not 0.
    let to = SocketAddr::new(address, facts.port.known().copied().unwrap_or(1).max(1));
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
