//! What a specification must not say, found before it is prepared.
//!
//! Invariant: whatever passes here breaks no flow later: indexes lead somewhere, groups have what they need.

use std::sync::Arc;

use pointsman_policy::OutboundId;
use pointsman_spec::address::Endpoint;
use pointsman_spec::door::{Listen, Speaks};
use pointsman_spec::outbound::{Carrier, Kind, Outbound};
use pointsman_spec::target;

use super::ApplyError;
use crate::spec::Spec;

/// What would otherwise be found out flow by flow.
pub(super) fn check(spec: &Spec) -> Result<(), ApplyError> {
    let outbounds = spec.outbounds.len();
    for policy in &spec.policies {
        if policy.outbounds.len() != outbounds {
            let text = format!("policy `{}` knows other outbounds", policy.name);
            return Err(ApplyError::Spec(text));
        }
    }
    for inbound in &spec.inbounds {
        let resolver = inbound
            .resolver
            .is_none_or(|id| id.0 < spec.resolvers.len());
        // No flow comes in by one that speaks DNS.
        let policy = inbound.speaks == Speaks::Dns || inbound.policy.0 < spec.policies.len();
        if !policy || !resolver {
            let text = format!(
                "inbound `{}` names a policy or resolver that is not there",
                inbound.name
            );
            return Err(ApplyError::Spec(text));
        }
    }
    let mut doors = spec.inbounds.iter();
    if let (None, Some(door)) = (&spec.dns, doors.find(|door| door.speaks == Speaks::Dns)) {
        let text = format!(
            "inbound `{}` leads to a DNS server that is not there",
            door.name
        );
        return Err(ApplyError::Spec(text));
    }
    for outbound in &spec.outbounds {
        check_group(spec, outbound)?;
    }
    Ok(())
}

/// Groups that try their members have targets alone, and no door of theirs is where one of those is.
fn check_group(spec: &Spec, group: &Outbound) -> Result<(), ApplyError> {
    if group.kind.balancing().is_none() {
        return Ok(());
    }
    let (name, members) = (&group.name, group.kind.members());
    let found = |id: OutboundId| spec.outbounds.get(usize::try_from(id.0).ok()?);
    let target = |id: &OutboundId| {
        let member = found(*id)?;
        match &member.kind {
            Kind::Carry(Carrier::Target(target)) => Some((&member.name, target)),
            _ => None,
        }
    };
    let targets: Option<Vec<_>> = members.iter().map(target).collect();
    let known = |targets: &Vec<(&Arc<str>, &target::Target)>| {
        let mut via = targets.iter().filter_map(|(_, target)| target.via);
        !targets.is_empty() && via.all(|via| found(via).is_some())
    };
    let Some(targets) = targets.filter(known) else {
        let text =
            format!("forward `{name}` has no target, or names an outbound that is not there");
        return Err(ApplyError::Spec(text));
    };
    // Its door has its name.
    let mut doors = spec.inbounds.iter().filter(|door| door.name == *name);
    let mut circle = |address: &Endpoint| match address {
        Endpoint::Unix(path) => doors.any(|door| {
            let at = |listen: &Listen| matches!(&listen.at, Endpoint::Unix(own) if own == path);
            door.listen.iter().any(at)
        }),
        Endpoint::Fd(_) | Endpoint::Tcp(_) | Endpoint::Udp(_) => false,
    };
    match targets.iter().find(|(_, target)| circle(&target.address)) {
        Some((target, _)) => {
            let text = format!("forward `{name}` listens where its target `{target}` is");
            Err(ApplyError::Spec(text))
        }
        None => Ok(()),
    }
}
