//! Which members of groups carry flows: those selected now, and those that one flow was given.

use std::net::IpAddr;

use pointsman_config::explain::Selection;
use pointsman_net::record::FlowRecord;
use pointsman_os::socket::is_own_address;
use pointsman_policy::decision::Reason;
use pointsman_policy::model::OutboundKind;
use pointsman_policy::{Action, OutboundId, Policy};

use crate::app::InForce;

/// The members that groups give their flows now.
pub(crate) struct Selected<'a> {
    pub(crate) in_force: &'a InForce,
    pub(crate) policy: &'a Policy,
}

impl Selection for Selected<'_> {
    fn selected(&self, group: OutboundId) -> Option<OutboundId> {
        let name = self.in_force.selected(&self.policy.outbound(group).name)?;
        let found = self
            .policy
            .outbounds
            .iter()
            .position(|outbound| outbound.name == name)?;
        u32::try_from(found).ok().map(OutboundId)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        is_own_address(address)
    }
}

/// The members that groups gave one flow when it was decided; somebody may have selected others since.
pub(crate) struct Recorded<'a> {
    now: Selected<'a>,
    /// What carried it; for the loop guard, anything that is a proxy.
    led_to: Option<OutboundId>,
    guarded: bool,
}

impl<'a> Recorded<'a> {
    pub(crate) fn new(in_force: &'a InForce, policy: &'a Policy, record: &FlowRecord) -> Self {
        let name = record.member.as_ref().or(record.outbound.as_ref());
        let mut known = policy.outbounds.iter();
        let found = name.and_then(|name| known.position(|outbound| outbound.name == *name));
        let reason = record.decision.as_ref().map(|decision| &decision.reason);
        Self {
            now: Selected { in_force, policy },
            led_to: found.and_then(|at| u32::try_from(at).ok()).map(OutboundId),
            guarded: matches!(reason, Some(Reason::LoopGuard { .. })),
        }
    }

    /// Whether an outbound comes to what the flow was carried by.
    fn leads(&self, id: OutboundId, depth: u8) -> bool {
        match &self.now.policy.outbound(id).kind {
            OutboundKind::Group(members) => {
                depth > 0 && members.iter().any(|member| self.leads(*member, depth - 1))
            }
            OutboundKind::Plain(action) => match self.guarded {
                true => *action == Action::Proxy,
                false => self.led_to == Some(id),
            },
        }
    }
}

impl Selection for Recorded<'_> {
    fn selected(&self, group: OutboundId) -> Option<OutboundId> {
        /// Groups within groups: as many as the data plane follows.
        const DEEPEST: u8 = 12;
        let OutboundKind::Group(members) = &self.now.policy.outbound(group).kind else {
            return None;
        };
        let mut members = members.iter().copied();
        let then = members.find(|member| self.leads(*member, DEEPEST));
        then.or_else(|| self.now.selected(group))
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.now.is_own(address)
    }
}
