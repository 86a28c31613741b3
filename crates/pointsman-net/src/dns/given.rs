//! What clients are told of a name's addresses, for their flows that bring an address alone.
//!
//! Invariant: it is remembered before it is sent: who is answered may connect at once.

use std::net::IpAddr;

use pointsman_policy::Domain;
use pointsman_wire::dns::kind;
use tokio::time::Instant;

use crate::correlation::{Correlation, Seconds};
use crate::resolver::Heard;

/// Who is told, and of which name, where it is a host's.
#[derive(Clone, Debug)]
pub(super) struct Told {
    client: IpAddr,
    asked: u16,
    name: Option<Domain>,
}

impl Told {
    /// Of a query of that type for a name, where it is all that is asked for; the client is known by
    /// [`crate::correlation::asker`].
    pub(super) fn new(client: IpAddr, asked: u16, name: Option<&Domain>) -> Self {
        let is_address = matches!(asked, kind::A | kind::AAAA);
        Self {
            client,
            asked,
            name: name.filter(|_| is_address).cloned(),
        }
    }

    /// What a server said.
    pub(super) fn heard(
        &self,
        heard: &Heard,
        correlation: &Correlation,
        now: Instant,
        seconds: Seconds,
    ) {
        let told = match heard {
            Heard::Told(kept) => Some((&kept.message, kept.since())),
            // Its times begin anew.
            Heard::Stale(kept) => Some((&kept.message, now)),
            Heard::Failed(_) => None,
        };
        if let (Some((answer, since)), Some(name)) = (told, &self.name) {
            correlation.remember(self.client, name, answer, since, now, seconds);
        }
    }

    /// Fixed addresses; those of the type that was asked for are told.
    pub(super) fn fixed(
        &self,
        addresses: &[IpAddr],
        ttl: u32,
        correlation: &Correlation,
        seconds: Seconds,
    ) {
        if let Some(name) = &self.name {
            let told = |it: &&IpAddr| it.is_ipv4() == (self.asked == kind::A);
            let addresses = addresses.iter().filter(told);
            correlation.remember_fixed(self.client, name, addresses, ttl, seconds);
        }
    }
}
