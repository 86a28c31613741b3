//! The loop guard: what a process that serves an outbound is not sent to.
//!
//! Invariant: it never lets by what the rules refuse. It turns a way through a proxy into the direct way, and
//! nothing else; so whoever can pass for such a process gains the direct way where he was given a proxy.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use crate::decision::{Decision, Reason};
use crate::domain::Domain;
use crate::fact::Fact;
use crate::ids::OutboundId;
use crate::model::Action;
use crate::refused::{Refused, Refuser};

/// Whether the guard has to know whose flow it is, once the rules chose a way that does `action`.
#[must_use]
pub fn concerns(action: Option<Action>) -> bool {
    action == Some(Action::Proxy)
}

/// The decision for a flow whose process serves the outbound `serves`: direct where the rules chose a way that
/// does `action`, groups followed, and that is a proxy; else as it is. The rule stays, as the one overridden.
#[must_use]
pub fn apply(
    decision: Decision,
    action: Option<Action>,
    serves: &Fact<Arc<str>>,
    direct: OutboundId,
) -> Decision {
    match serves {
        Fact::Known(serves, _) if concerns(action) => Decision {
            outbound: Some(direct),
            reason: Reason::LoopGuard {
                serves: Arc::clone(serves),
            },
            ..decision
        },
        _ => decision,
    }
}

/// Why a flow to a listener of this daemon is refused, whatever its rules say.
#[must_use]
pub fn own_listener(at: impl Display) -> Refused {
    let why = format_args!("own listener: {at} is where Pointsman itself listens");
    Refused::new(Refuser::LoopGuard, why)
}

/// Why a connection of our own that arrives at us is refused.
#[must_use]
pub fn came_back() -> Refused {
    Refused::new(Refuser::LoopGuard, "own connection: it came back to us")
}

/// Why a flow is refused that goes to a proxy of this host where `most` go to the same place already, and nobody can
/// tell whether the proxy itself sends them.
#[must_use]
pub fn like_a_loop(outbound: &str, most: usize) -> Refused {
    let why = format_args!(
        "this looks like a loop: {most} flows to one destination by `{outbound}` at once, and whether the \
         program behind it sends them cannot be told"
    );
    Refused::new(Refuser::LoopGuard, why)
}

/// Why a flow of a client of another host is refused that would go direct to such an address.
#[must_use]
pub fn local_address(address: IpAddr) -> Refused {
    let why = format_args!(
        "{address} is not for clients of other hosts, unless a rule names it in particular"
    );
    Refused::new(Refuser::LocalAddress, why)
}

/// Why a flow to an address is refused that stands for a name, where it is not known for which.
#[must_use]
pub fn fake_address(address: IpAddr) -> Refused {
    let why = format_args!(
        "{address} stands for no name that is known: who asks for the name again hears another"
    );
    Refused::new(Refuser::StaleFake, why)
}

/// Why a flow to such a name is refused that would go by a proxy: the rules saw no address.
#[must_use]
pub fn like_address(name: &Domain) -> Refused {
    let why = format_args!("`{name}` ends in a number, and a proxy may take it for an address");
    Refused::new(Refuser::NameLikeAddress, why)
}

/// Why a flow over UDP is refused that would go by an outbound which carries none.
#[must_use]
pub fn no_udp(outbound: &str, why: &str) -> Refused {
    let text = format!("outbound `{outbound}` carries no UDP: {why}");
    Refused::sentence(Refuser::NetworkUdp, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Provenance;

    #[test]
    fn only_a_proxy_is_turned_into_direct() {
        let decision = Decision {
            outbound: Some(OutboundId(3)),
            reason: Reason::Rule,
            rule: None,
            entry: None,
            class: None,
        };
        let serves = Fact::Known(Arc::from("core"), Provenance::System);
        let guarded = |action, serves: &Fact<Arc<str>>| {
            apply(decision.clone(), action, serves, OutboundId(0)).outbound
        };
        assert_eq!(guarded(Some(Action::Proxy), &serves), Some(OutboundId(0)));
        for stays in [
            Action::Blackhole,
            Action::Direct,
            Action::Reject,
            Action::Reset,
        ] {
            assert_eq!(
                guarded(Some(stays), &serves),
                Some(OutboundId(3)),
                "{stays:?}"
            );
        }
        assert_eq!(guarded(None, &serves), Some(OutboundId(3)));
        for unknown in [Fact::Absent, Fact::Unknown, Fact::Failed("broke".into())] {
            assert_eq!(guarded(Some(Action::Proxy), &unknown), Some(OutboundId(3)));
        }
    }
}
