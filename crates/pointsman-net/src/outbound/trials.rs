//! The members of a group, tried one after the other: which is next, after which pause, and what the record is told.
//!
//! Invariant: a flow is given each member at most once, and its record names the member that was tried last, and those
//! that were passed by. How a member is reached, and what its
//! group remembers of that, is the caller's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::refused::{Refused, Refuser};
use pointsman_policy::{Action, OutboundId};
use pointsman_spec::outbound::{Balance, Balancing};
use tokio::time::{Instant, sleep};

use super::target::Aim;
use super::{DialError, Failure, Ways};
use crate::group::{Group as Tried, Next, Permit, Trying, Untried};
use crate::ledger::Ticket;
use crate::record::chain;

/// A group that tries its members.
#[derive(Clone, Copy)]
pub(super) struct Balanced<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) members: &'a [OutboundId],
    pub(super) how: &'a Balancing,
    /// What is known of it, and of its members.
    pub(super) tried: &'a Tried,
}

impl Balanced<'_> {
    /// The members that a flow of that client may try, in its order.
    pub(super) fn untried(&self, client: Option<SocketAddr>) -> Untried {
        let turn = match self.how.balance {
            Balance::RoundRobin => self.tried.state.turn(),
            Balance::Failover | Balance::None | Balance::Source => 0,
        };
        let client = client.map(|client| client.ip());
        Untried::new(self.how, &self.tried.members, turn, client)
    }

    /// Counts one more flow.
    pub(super) fn admit(&self) -> Result<Permit, DialError> {
        let shut = |why| DialError::Shut {
            outbound: Arc::clone(self.name),
            why,
        };
        if let Some(why) = &self.how.not_yet {
            return Err(shut(Refused::sentence(Refuser::NotBuilt, Arc::clone(why))));
        }
        let most = self.how.connection_limit;
        let over = || {
            let why = "as many connections are open as `connection_limit` allows";
            let why = format_args!("{why} ({most})");
            shut(Refused::new(Refuser::ConnectionLimit, why))
        };
        self.tried.state.admit(most).ok_or_else(over)
    }
}

/// What is left of a group's members for one flow.
pub(super) struct Trials<'a> {
    ways: &'a Ways,
    group: Balanced<'a>,
    untried: Untried,
    pause: Duration,
    failures: Vec<(&'a Arc<str>, DialError)>,
}

/// A member whose turn it is.
pub(super) struct Trial<'a> {
    pub(super) aim: Aim<'a>,
    /// Its place in the group.
    pub(super) index: usize,
    /// Since when.
    pub(super) begun: Instant,
    /// Lets the next flow try the member where this one leaves without a word: it may be the only one that tries.
    pub(super) trying: Trying<'a>,
}

impl<'a> Trials<'a> {
    /// The members that a flow of that client may try, in the order of their group.
    pub(super) fn new(ways: &'a Ways, group: Balanced<'a>, client: Option<SocketAddr>) -> Self {
        Self {
            ways,
            untried: group.untried(client),
            pause: group.how.retry.pause,
            group,
            failures: Vec::new(),
        }
    }

    /// The next one that does not rest, after a pause where others failed before, with its name in the record; `None`:
    /// there is none.
    pub(super) async fn next(&mut self, ticket: &Ticket) -> Option<Trial<'a>> {
        let Balanced {
            name: group,
            members,
            how,
            tried,
        } = self.group;
        while self.untried.any() {
            if !self.failures.is_empty() && !self.pause.is_zero() {
                sleep(self.pause.min(how.retry.most)).await;
                self.pause = self.pause.saturating_mul(2);
            }
            let begun = Instant::now();
            let failures = &tried.state.failures;
            let Next { index, passed_by } =
                failures.next(&tried.members, &mut self.untried, begun)?;
            let trying = Trying::new(failures, &tried.members[index], begun);
            let target = members.get(index).and_then(|id| self.ways.target(*id));
            let Some((name, target)) = target else {
                continue;
            };
            let action = target.via.and_then(|via| self.ways.action(via));
            ticket.note(|record| {
                record.member = Some(Arc::clone(name));
                record.action = Some(action.unwrap_or(Action::Direct));
                for (index, rest) in &passed_by {
                    record.passed_by(tried.members[*index].name(), *rest);
                }
            });
            let aim = Aim {
                ways: self.ways,
                group,
                name,
                target,
            };
            return Some(Trial {
                aim,
                index,
                begun,
                trying,
            });
        }
        None
    }

    /// A member failed: its forward's log and the records hear of it.
    pub(super) fn failed(&mut self, aim: &Aim<'a>, error: DialError, ticket: &mut Ticket) {
        if let Some(line) = ticket.line() {
            line.tried(aim.target);
        }
        // The last one's is told of the flow itself.
        if self.untried.any() {
            ticket.tried(aim.group, aim.name, error.fault(), &error);
        }
        self.failures.push((aim.name, error));
    }

    /// One error of all that went wrong.
    pub(super) fn over(self) -> DialError {
        let mut failures = self.failures;
        if failures.len() == 1
            && let Some((_, only)) = failures.pop()
        {
            return only;
        }
        let each = failures
            .iter()
            .map(|(member, error)| format!("{member}: {}", chain(error)));
        let failure = failures
            .last()
            .map_or(Failure::General, |(_, error)| error.failure());
        DialError::NoTarget {
            outbound: Arc::clone(self.group.name),
            why: each.collect::<Vec<_>>().join("; "),
            failure,
        }
    }
}
