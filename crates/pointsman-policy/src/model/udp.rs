//! Which outbounds carry UDP, as far as their configuration says; of groups it is the member that counts.
//!
//! Invariant: what the data plane refuses for this reason is refused here, for the same outbound and in the same words.

use std::sync::Arc;

use super::{MOST_NESTED, OutboundId, OutboundInfo, OutboundKind};

/// Why a proxy of SOCKS5 carries none that may well do: its key is not set.
pub const NOT_SAID: &str = "`udp: true` is not set";

/// Whether an outbound carries UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Udp {
    /// It does; of a group, as far as its member does.
    Carried,
    /// It does as far as each of these hops does: a chain.
    Each(Arc<[OutboundId]>),
    /// It does not, for this reason.
    Not(&'static str),
}

/// What on the way of a flow carries no UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoUdp {
    /// The first outbound on the way that carries none.
    pub outbound: OutboundId,
    /// Why it does not.
    pub why: &'static str,
}

/// The most members of groups that are gone through for one question.
const MOST_ASKED: usize = 10_000;

/// What on the way by an outbound carries no UDP, with the members of groups that are selected; of others the first.
#[must_use]
pub fn no_udp(
    outbounds: &[OutboundInfo],
    by: OutboundId,
    selected: &dyn Fn(OutboundId) -> Option<OutboundId>,
) -> Option<NoUdp> {
    let member = |group, members: &[OutboundId]| {
        let selected = selected(group).filter(|member| members.contains(member));
        let member = selected.or_else(|| members.first().copied());
        member.into_iter().collect()
    };
    look(outbounds, by, &member, 0, &mut 0)
}

/// What on the way by an outbound carries no UDP, whichever members of groups are selected.
#[must_use]
pub fn never_udp(outbounds: &[OutboundInfo], by: OutboundId) -> Option<NoUdp> {
    look(outbounds, by, &|_, members| members.to_vec(), 0, &mut 0)
}

type Members<'a> = dyn Fn(OutboundId, &[OutboundId]) -> Vec<OutboundId> + 'a;

fn look(
    outbounds: &[OutboundInfo],
    at: OutboundId,
    members: &Members<'_>,
    depth: u8,
    asked: &mut usize,
) -> Option<NoUdp> {
    *asked += 1;
    if depth > MOST_NESTED || *asked > MOST_ASKED {
        // Refused where it is read, or more than anybody wrote by hand: nothing is said of it.
        return None;
    }
    let outbound = outbounds.get(at.0 as usize)?;
    match (&outbound.udp, &outbound.kind) {
        (Udp::Not(why), _) => Some(NoUdp { outbound: at, why }),
        (Udp::Each(hops), _) => {
            let mut hops = hops.iter();
            hops.find_map(|hop| look(outbounds, *hop, members, depth + 1, asked))
        }
        (Udp::Carried, OutboundKind::Plain(_)) => None,
        (Udp::Carried, OutboundKind::Group(all)) => {
            let mut first = None;
            for member in members(at, all) {
                first = first.or(Some(look(outbounds, member, members, depth + 1, asked)?));
            }
            first
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    #[test]
    fn chains_carry_what_each_hop_does_and_groups_what_their_member_does() {
        let plain = |name: &str, udp| OutboundInfo {
            name: name.into(),
            kind: OutboundKind::Plain(Action::Proxy),
            udp,
        };
        let ids = |all: &[u32]| all.iter().copied().map(OutboundId).collect::<Vec<_>>();
        let group = |all: &[u32]| OutboundInfo {
            name: "group".into(),
            kind: OutboundKind::Group(ids(all)),
            udp: Udp::Carried,
        };
        let chain = |all: &[u32]| plain("chain", Udp::Each(ids(all).into()));
        let outbounds = [
            plain("socks", Udp::Carried),
            plain("web", Udp::Not("it is http")),
            group(&[0, 1]),
            chain(&[0, 2, 0]),
            group(&[1, 1]),
            chain(&[0, 4]),
            // Within itself.
            group(&[6]),
        ];
        let check = |id: u32, selected: u32, now: Option<u32>, never: Option<u32>| {
            let selected = |group| (group == OutboundId(2)).then_some(OutboundId(selected));
            let first = no_udp(&outbounds, OutboundId(id), &selected);
            let always = never_udp(&outbounds, OutboundId(id));
            assert_eq!(first.map(|it| it.outbound.0), now, "{id}");
            assert_eq!(always.map(|it| it.outbound.0), never, "{id}");
        };
        check(0, 0, None, None);
        check(1, 0, Some(1), Some(1));
        check(2, 0, None, None);
        check(2, 1, Some(1), None);
        check(2, 5, None, None);
        check(3, 0, None, None);
        check(3, 1, Some(1), None);
        check(4, 0, Some(1), Some(1));
        check(5, 0, Some(1), Some(1));
        check(6, 0, None, None);
    }
}
