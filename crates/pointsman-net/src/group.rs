//! Groups that try their members in turn, as a generation has them, and what of them outlives one.
//!
//! Invariant: what must outlive a generation (connections counted, whose turn it is, who failed, inherited connections)
//! is keyed by the group's name, or by the descriptor.
//! Absent: how a flow is taken to a member: see [`crate::outbound`].

mod dialogue;
mod failures;
mod inherited;
mod last_answer;
mod order;
mod states;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_policy::OutboundId;
use pointsman_spec::outbound::{Balance, Balancing};
use tokio::time::Instant;

use self::dialogue::Dialogue;
pub(crate) use self::dialogue::SILENCE;
use crate::record::Rest;

pub(crate) use self::failures::{Next, Trying};
pub(crate) use self::inherited::{Connected, NotNow, Turn};
use self::last_answer::LastAnswer;
pub(crate) use self::order::{Member, Untried};
pub(crate) use self::states::{GroupStates, Permit, State, Unfit};
pub(crate) use self::watch::{Look, Watch};

/// The groups of a generation that try their members.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<OutboundId, Group>,
    /// Connections that were handed over, by their descriptors.
    connected: HashMap<i32, Arc<Connected>>,
}

/// A group that tries its members.
#[derive(Debug)]
pub(crate) struct Group {
    name: Arc<str>,
    pub(crate) state: Arc<State>,
    /// In order.
    pub(crate) members: Arc<[Member]>,
    /// When each answered last.
    heard: Box<[Arc<LastAnswer>]>,
}

impl Group {
    /// Its members that could not be reached, by name, and what keeps flows from each.
    pub(crate) fn failing(&self, now: Instant) -> Vec<(Arc<str>, Rest)> {
        self.state.failures.failing(&self.members, now)
    }

    /// For a flow over UDP that was given a member at that moment.
    ///
    /// `how` the members are chosen also says whether they are expected to say nothing.
    pub(crate) fn watch(&self, index: usize, begun: Instant, how: &Balancing) -> Watch {
        Watch {
            state: Arc::clone(&self.state),
            members: Arc::clone(&self.members),
            heard: self.heard.get(index).map(Arc::clone).unwrap_or_default(),
            index,
            begun,
            one_way: how.one_way,
            told: 0,
            known: false,
            alone: how.balance == Balance::None,
            looked: false,
            dialogue: Dialogue::default(),
        }
    }
}

impl Groups {
    /// The group of that number.
    pub(crate) fn get(&self, id: OutboundId) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// The connection that was handed over as that descriptor.
    pub(crate) fn connected(&self, number: i32) -> Option<&Arc<Connected>> {
        self.connected.get(&number)
    }
}
