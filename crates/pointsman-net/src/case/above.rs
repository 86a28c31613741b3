//! What stands above the rules: the loop guard, own listeners, what of this host strangers are lent, and what is no
//! destination.
//!
//! Invariant: nothing here lets by what the rules refuse; and what it takes to know is asked only where it matters: who
//! serves an outbound where a proxy was chosen, who the client is where an address of this host is about to be dialled.

use std::net::{IpAddr, SocketAddr};
use std::slice;
use std::sync::Arc;

use pointsman_os::socket::peer_is_local;
use pointsman_policy::decision::{Decision, Reason, Step};
use pointsman_policy::fact::{Fact, Network};
use pointsman_policy::nowhere::Nowhere;
use pointsman_policy::refused::Refused;
use pointsman_policy::{Action, Facts, Host, Need, guard, local, settle};

use super::Case;
use crate::doubt::MOST;
use crate::guest::{Gone, Guest, while_here};
use crate::inbound::Unserved;
use crate::ledger::Lack;
use crate::outbound::{Failure, Lent, Pick};
use crate::owner::Serves;
use crate::spec::listening::At;
use crate::{facts, owner};

impl Case {
    /// The decision with the loop guard applied, and the way that it comes to.
    pub(super) async fn guarded(
        &mut self,
        decision: Decision,
        guest: &impl Guest,
    ) -> Result<(Decision, Option<Pick>), Gone> {
        let pick = decision.outbound.map(|id| self.ways.pick(id));
        let leads_to = pick.as_ref().and_then(|pick| self.ways.action(pick.member));
        if !guard::concerns(leads_to) {
            return Ok((decision, pick));
        }
        self.find_serves(guest).await?;
        let direct = self.policy().direct;
        let known = self.known();
        let decision = guard::apply(decision, leads_to, &known.facts.sought.serves, direct);
        let pick = match decision.reason {
            Reason::LoopGuard { .. } => Some(self.ways.pick(direct)),
            _ => pick,
        };
        Ok((decision, pick))
    }

    /// Finds whether the client's process serves an outbound, as long as there is a client.
    pub(super) async fn find_serves(&mut self, guest: &impl Guest) -> Result<(), Gone> {
        let (network, asked) = {
            let facts = &self.known().facts;
            let asked = !matches!(facts.sought.serves, Fact::Unknown);
            (facts.network, asked)
        };
        if asked {
            return Ok(());
        }
        let memory = &self.ways.shared().memory;
        let guards = self.ways.generation().guards();
        let search = owner::serves(memory, &guards, network, &self.ends);
        let Serves { outbound, untold } = while_here(guest, search).await?;
        if let Some(why) = outbound.failure() {
            self.ticket.lacks(Lack::Program, why);
        }
        self.untold = untold;
        self.note(|record| record.facts.sought.to_mut().serves = outbound);
        Ok(())
    }

    /// Why the flow is refused as one of a loop: it goes to a proxy that may have sent it, and too many do.
    pub(super) fn like_a_loop(&mut self, pick: &Pick, action: Option<Action>) -> Option<Refused> {
        if self.untold.is_empty() || !guard::concerns(action) {
            return None;
        }
        let nearest = self.ways.nearest(pick)?;
        if !self.untold.contains(nearest) {
            return None;
        }
        let known = self.known();
        let (host, port) = (known.facts.destination.known()?, known.facts.port.known()?);
        self.doubt = self.ways.shared().doubtful.admit(nearest, host, *port);
        match self.doubt {
            Some(_) => None,
            None => Some(guard::like_a_loop(nearest, MOST)),
        }
    }

    /// How and why the flow is refused although the rules let it go, as far as its addresses are known by now.
    pub(super) fn above_rules(&mut self, action: Option<Action>) -> Option<(Unserved, Refused)> {
        let carried = matches!(action, Some(Action::Direct | Action::Proxy));
        if !carried {
            return None;
        }
        let record = self.known();
        let facts = &record.facts;
        let literal = facts.destination.known().and_then(Host::address);
        let nowhere = Nowhere::of(literal, facts.port.known().copied());
        let concerns = |it: &Nowhere| it.concerns(facts.network, || self.is_of_a_stranger());
        if let Some(nowhere) = nowhere.filter(concerns) {
            return Some((Unserved::Failed(Failure::from(nowhere)), nowhere.refused()));
        }
        let known = match (facts.destination_name(), &literal) {
            (Some(_), _) => facts.sought.resolved.known().map_or(&[][..], Vec::as_slice),
            (None, Some(address)) => slice::from_ref(address),
            (None, None) => &[],
        };
        if let Some(port) = facts.port.known() {
            for address in known {
                let to = SocketAddr::new(*address, *port);
                let to = match facts.network {
                    Network::Udp => At::Udp(to),
                    Network::Icmp | Network::Tcp => At::Tcp(to),
                };
                if self.ways.shared().arrives_at(&to) {
                    return Some((Unserved::Reject, guard::own_listener(to)));
                }
            }
        }
        let local = known
            .iter()
            .copied()
            .find(|address| local::is_local(*address))?;
        // What a proxy does with such an address is done where the proxy is.
        if action != Some(Action::Direct) || self.lends(local) {
            return None;
        }
        Some((Unserved::Reject, guard::local_address(local)))
    }

    /// Whether the flow may be taken to a local address; asked of the system and of the rules once.
    pub(crate) fn lends(&mut self, address: IpAddr) -> bool {
        if self.lent != Lent::Unasked {
            return false;
        }
        self.lent = match self.is_of_a_stranger() {
            true => {
                let particular = self.policy().particular(&self.known().facts);
                Lent::Named(Arc::new(particular))
            }
            false => Lent::All,
        };
        self.lent.allows(address)
    }

    /// The addresses of a destination's name that may be dialled: the first, which the rules saw, and those further ones
    /// that they send the same way. Where no rule asked for them, none: the dial asks itself.
    pub(super) fn decided_alike(&self, facts: &Facts) -> Vec<IpAddr> {
        let Fact::Known(resolved, from) = &facts.sought.resolved else {
            return Vec::new();
        };
        let [first, others @ ..] = resolved.as_slice() else {
            return Vec::new();
        };
        let policy = self.policy();
        let decided = |mut facts: Facts| {
            let databases = &policy.databases;
            let settled = settle(policy, &mut facts, |need, facts| match need {
                Need::Country => {
                    let address = facts.destination_address();
                    facts.sought.to_mut().geo =
                        address.map_or(Fact::Absent, |address| databases.lookup(address));
                }
                Need::Local => {
                    let port = facts.port.known().copied();
                    let local = facts::local(&self.ways, facts.destination_address(), port);
                    facts.sought.to_mut().local = local;
                }
                // All else is the same for every address; what nobody asked before is not asked for this.
                Need::Owner | Need::Resolve | Need::Sniff | Need::Verdict(_) => {}
            });
            match settled.step {
                Step::Decided(decision) => decision.outbound,
                Step::Need(_) | Step::NoRoute => None,
            }
        };
        let of = |address: IpAddr| {
            let mut facts = facts.clone();
            let sought = facts.sought.to_mut();
            sought.resolved = Fact::Known(vec![address], *from);
            sought.geo = Fact::Unknown;
            sought.local = Fact::Unknown;
            facts
        };
        let mut alike = vec![*first];
        if !others.is_empty() {
            let outbound = decided(of(*first));
            let same = |address: &&IpAddr| decided(of(**address)) == outbound;
            alike.extend(others.iter().filter(|address| same(address)));
        }
        alike
    }

    /// Whether the client is of another host.
    pub(crate) fn is_of_a_stranger(&self) -> bool {
        let (Some(client), Some(local)) = (self.ends.client, self.ends.local) else {
            return false;
        };
        !peer_is_local(client.get().ip(), local.get().ip())
    }
}
