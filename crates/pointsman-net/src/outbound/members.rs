//! Groups: the member that a flow is given, and how members are tried until one is reached.
//!
//! Invariants: a flow is carried by what was selected when it was decided, whatever is selected meanwhile; and whatever
//! was tried, its record names the member that was tried last, and each attempt that failed.

use std::sync::Arc;

use pointsman_policy::OutboundId;
use pointsman_spec::outbound::{Carrier, Kind, Outbound};
use pointsman_spec::target::Target;
use tokio::time::Instant;

use super::target::Errand;
use super::trials::{Balanced, Trial, Trials};
use super::{DialError, MAX_DEPTH, Opened, Ways};
use crate::doubt::Doubt;
use crate::ends::ClientAddr;
use crate::group::{Permit, Turn};

/// An outbound as far as to what carries, or to the group that tries its members; groups of which a member is selected
/// are followed once: what is recorded, guarded and opened is one way, also when somebody selects another meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// What was chosen.
    pub(crate) outbound: OutboundId,
    /// What it comes to.
    pub(crate) member: OutboundId,
    /// Each group on the way, with its member.
    pub(super) groups: Vec<(OutboundId, OutboundId)>,
}

impl Pick {
    /// The groups between what was chosen and what it comes to, outermost first.
    pub(crate) fn between(&self) -> impl Iterator<Item = OutboundId> {
        self.groups.iter().skip(1).map(|(group, _)| *group)
    }

    /// What was chosen, and all that groups made of it, outermost first.
    pub(crate) fn all(&self) -> impl Iterator<Item = OutboundId> {
        let chosen = std::iter::once(self.outbound);
        let member = (self.member != self.outbound).then_some(self.member);
        chosen.chain(self.between()).chain(member)
    }
}

/// What a flow occupies until its end.
#[derive(Debug, Default)]
pub(crate) struct Stay {
    _permit: Option<Permit>,
    _turn: Option<Turn>,
    _doubt: Option<Doubt>,
}

impl From<Permit> for Stay {
    fn from(permit: Permit) -> Self {
        Self {
            _permit: Some(permit),
            ..Self::default()
        }
    }
}

impl Stay {
    /// Also for what may be a flow of a loop.
    pub(crate) fn in_doubt(self, doubt: Option<Doubt>) -> Self {
        Self {
            _doubt: doubt,
            ..self
        }
    }
}

impl Ways {
    /// The outbound that carries a flow given to `id`: groups are followed to the member selected.
    #[must_use]
    pub fn member(&self, id: OutboundId) -> OutboundId {
        self.pick(id).member
    }

    /// Follows groups to the members that are selected now.
    pub(crate) fn pick(&self, outbound: OutboundId) -> Pick {
        let mut pick = Pick {
            outbound,
            member: outbound,
            groups: Vec::new(),
        };
        for _ in 0..MAX_DEPTH {
            let found = self.generation.outbound(pick.member);
            let Some(member) = found.and_then(|outbound| self.selected(outbound)) else {
                break;
            };
            pick.groups.push((pick.member, member));
            pick.member = member;
        }
        pick
    }

    /// The outbound whose server is connected to first on that way.
    pub(crate) fn nearest(&self, pick: &Pick) -> Option<&Arc<str>> {
        let mut id = pick.member;
        for _ in 0..MAX_DEPTH {
            let outbound = self.generation.outbound(id)?;
            match &outbound.kind {
                Kind::Through(hops) => id = self.member(*hops.first()?),
                Kind::Carry(Carrier::Upstream(_)) => return Some(&outbound.name),
                Kind::Carry(_) | Kind::Choose(_) | Kind::NotYet { .. } | Kind::Refuse(_) => {
                    return None;
                }
            }
        }
        None
    }

    /// The member that is selected now; `None` for what is no group, or one that tries its members.
    pub(super) fn selected(&self, outbound: &Outbound) -> Option<OutboundId> {
        let members = outbound.kind.selectable()?;
        self.shared
            .selected(&self.generation, &outbound.name, members)
    }

    /// A group that tries its members.
    pub(super) fn balanced(&self, id: OutboundId) -> Option<Balanced<'_>> {
        let Outbound { name, kind } = self.generation.outbound(id)?;
        let (members, how) = (kind.members(), kind.balancing()?);
        Some(Balanced {
            name,
            members,
            how,
            tried: self.generation.groups().get(id)?,
        })
    }

    /// A stream to a member of a group.
    ///
    /// # Errors
    /// [`DialError::Shut`]: it is refused. Else no member could be reached.
    pub(super) async fn try_members(
        &self,
        group: Balanced<'_>,
        errand: Errand<'_>,
    ) -> Result<Opened, DialError> {
        let permit = group.admit()?;
        let (failures, members) = (&group.tried.state.failures, &group.tried.members);
        let mut trials = Trials::new(self, group, errand.ends.client.map(ClientAddr::get));
        while let Some(trial) = trials.next(errand.ticket).await {
            let Trial {
                aim,
                index,
                begun,
                trying,
            } = trial;
            let member = &members[index];
            let reached = aim.reach(&errand).await;
            // Else the next one tries: a failure that says nothing of the target is as none.
            if reached.as_ref().err().is_none_or(DialError::may_pass) {
                trying.known();
            }
            match reached {
                Ok((stream, mut turn)) => {
                    failures.forgive(member);
                    if let Some(line) = errand.ticket.line() {
                        line.reached(aim.target, &stream);
                    }
                    // The flow's bytes go there from now on.
                    turn.iter_mut().for_each(Turn::used);
                    return Ok(Opened {
                        stream,
                        stay: Stay {
                            _permit: Some(permit),
                            _turn: turn,
                            _doubt: None,
                        },
                        read_timeout: aim.target.read_timeout,
                        write_timeout: aim.target.write_timeout,
                    });
                }
                Err(error) => {
                    if error.may_pass() {
                        failures.note(members, member, begun, Instant::now());
                    }
                    trials.failed(&aim, error, errand.ticket);
                }
            }
        }
        Err(trials.over())
    }

    /// The target of that number, with its name.
    pub(super) fn target(&self, id: OutboundId) -> Option<(&Arc<str>, &Target)> {
        let outbound = self.generation.outbound(id)?;
        match &outbound.kind {
            Kind::Carry(Carrier::Target(target)) => Some((&outbound.name, target)),
            _ => None,
        }
    }
}
