//! Flows that failed or were refused, and what rules say of flows, for the daemon's log.
//!
//! Invariants: a flow that goes well costs nothing here. Nobody waits for who hears: what it is told is limited before it is
//! queued ([`limiter`]), and bounded. What is hidden neither hides another reason nor another outbound.

mod limiter;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::Action;
use pointsman_policy::decision::Reason;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::refused::{Refused, Refuser};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use self::limiter::{Key, Limiter, SPAN};
use super::lacking::{Lack, Lacking};
use crate::login::WRONG_LOGIN;
use crate::record::{End, Fault, FlowRecord, Limit, Side, chain};

/// The target of log events on flows, by which their level is set.
pub const FLOW_LOG: &str = "pointsman::flow";

/// Records that may wait for who hears: a second of a hundred outbounds that fail. More are counted as left out.
const QUEUE: usize = 1024;

/// How grave it is that a flow was not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// It was meant to be carried, and was not.
    Failed,
    /// Somebody guessed a password, or has a wrong one.
    Guessed,
    /// A limit of the configuration is reached, or what is configured is not built yet.
    Limited,
    /// As somebody asked for: the policy; or the client alone is to blame.
    Refused,
}

/// Why a flow was not carried, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// A way out could not be opened, or broke.
    Fault(Fault),
    /// The target did not answer within `first_byte`.
    NoAnswer,
    /// The target reset the connection before it said anything.
    TargetReset,
    /// Wrong user or password.
    WrongLogin,
    /// The client's request was not understood, not admitted, or did not come.
    Denied,
    /// By a rule.
    Rule,
    /// No rule takes it.
    NoRoute,
    /// A rule could not be told, and refuses then.
    NotTold,
    /// Above the rules: own listeners, addresses of this host, the loop guard.
    AboveRules,
    /// The forward takes no more, or there are as many flows over UDP as there may be.
    Full,
}

/// What is heard of trouble.
#[derive(Clone, Debug)]
pub enum TroubleEvent {
    /// A flow.
    Flow(Trouble, Arc<FlowRecord>),
    /// More like it, which are not told one by one.
    LeftOut {
        /// Where they should have gone; `None`: nowhere, or many of them.
        outbound: Option<Arc<str>>,
        /// Why they did not.
        trouble: Trouble,
        /// How many.
        count: u64,
    },
    /// A forward's target was not reached, and the flow is not over: the same or another is tried next.
    Target(TargetTrouble),
    /// More like it, which are not told one by one.
    TargetsLeftOut {
        /// The forward and its target; `None`: many of them.
        way: Option<(Arc<str>, Arc<str>)>,
        /// Why they were not reached.
        trouble: Trouble,
        /// How many.
        count: u64,
    },
    /// A fact that a rule asked for was not found.
    Lacks {
        /// The flow's number.
        flow: u64,
        /// What it is.
        lack: Lack,
        /// Why.
        why: Arc<str>,
        /// How many flows lacked one like it since that was told last, this one too.
        count: u64,
    },
    /// A rule says something of a flow.
    Said {
        /// The flow's number.
        flow: u64,
        /// The message's number.
        id: u32,
        /// Filled in; it may quote what clients and programs said.
        text: Arc<str>,
    },
    /// More messages of that number, which are not told one by one.
    SaidMore {
        /// `None`: of many numbers.
        id: Option<u32>,
        /// How many.
        count: u64,
    },
}

/// An attempt at a forward's target that failed.
#[derive(Clone, Debug)]
pub struct TargetTrouble {
    /// The flow's number.
    pub flow: u64,
    /// The forward.
    pub forward: Arc<str>,
    /// Its target.
    pub target: Arc<str>,
    /// Why.
    pub trouble: Trouble,
    /// What the system, the proxy or the resolver said.
    pub error: Arc<str>,
}

impl Trouble {
    /// What was wrong with a flow that ended; `None` where nothing was.
    #[must_use]
    pub fn of(record: &FlowRecord) -> Option<Self> {
        match record.ended.as_ref()? {
            End::Refused => Some(Self::refusal(record)),
            end => Self::of_end(end, record.bytes_received),
        }
    }

    /// As [`Self::of`], but for what was refused: by how a flow ended, and how many bytes came from where it led.
    pub(super) fn of_end(end: &End, bytes_received: u64) -> Option<Self> {
        Some(match end {
            End::Failed(fault, _) => Self::Fault(*fault),
            End::TimedOut(Limit::FirstByte) => Self::NoAnswer,
            End::Reset(Side::Target) if bytes_received == 0 => Self::TargetReset,
            End::Denied(why) if **why == *WRONG_LOGIN => Self::WrongLogin,
            End::Denied(_) | End::TimedOut(Limit::Handshake) => Self::Denied,
            End::Closed
            | End::ClientGone
            | End::Refused
            | End::Reset(_)
            | End::Stopped(_)
            | End::TimedOut(_) => return None,
        })
    }

    /// Whether something may be wrong with a flow that ended so: its record tells.
    pub(super) fn may_be(end: &End) -> bool {
        !matches!(end, End::Closed | End::ClientGone | End::Stopped(_))
    }

    fn refusal(record: &FlowRecord) -> Self {
        let refused = record.note.refused().map(Refused::by);
        if refused == Some(Refuser::FlowLimit) {
            return Self::Full;
        }
        let above = !record.note.is_empty();
        let inbound = record.facts.inbound.known();
        // Its targets are the operator's choice: one that is refused above the rules is named.
        let full =
            inbound.is_some_and(|it| it.kind == InboundKind::Forward) && record.member.is_none();
        match (&record.decision, record.action) {
            (None, Some(Action::Reject)) => Self::AboveRules,
            (None, _) => Self::NoRoute,
            (Some(decision), _) if decision.outbound.is_none() => match decision.reason {
                Reason::Unknown { .. } => Self::NotTold,
                _ => Self::Rule,
            },
            (Some(_), Some(Action::Reject)) if above && full => Self::Full,
            (Some(_), Some(Action::Reject)) if above => Self::AboveRules,
            (Some(_), Some(Action::Reject | Action::Reset | Action::Blackhole)) => Self::Rule,
            (Some(_), Some(Action::Direct | Action::Proxy) | None) => Self::Full,
        }
    }

    /// How grave it is.
    #[must_use]
    pub fn gravity(self) -> Gravity {
        match self {
            // A client that vanishes is nobody's fault here.
            Self::Fault(Fault::Client) => Gravity::Refused,
            Self::Fault(_) | Self::NoAnswer | Self::TargetReset => Gravity::Failed,
            Self::WrongLogin => Gravity::Guessed,
            Self::Full => Gravity::Limited,
            Self::AboveRules | Self::Denied | Self::NoRoute | Self::NotTold | Self::Rule => {
                Gravity::Refused
            }
        }
    }

    /// Its word, in kebab-case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.as_str(),
            Self::NoAnswer => "no-answer",
            Self::TargetReset => "target-reset",
            Self::WrongLogin => "wrong-login",
            Self::Denied => "denied",
            Self::Rule => "rule",
            Self::NoRoute => "no-route",
            Self::NotTold => "unknown",
            Self::AboveRules => "above-rules",
            Self::Full => "full",
        }
    }

    /// What it means, without a name or an address.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.sentence(),
            Self::NoAnswer => Limit::FirstByte.sentence(),
            Self::TargetReset => "the target reset the connection before it sent anything",
            Self::WrongLogin => WRONG_LOGIN,
            Self::Denied => {
                "the client's request was not understood, not admitted, or did not come in time"
            }
            Self::Rule => "a rule refuses it",
            Self::NoRoute => "no rule matches it",
            Self::NotTold => "a rule could not be decided, and `on_unknown` refuses then",
            Self::AboveRules => "it would reach this host or Pointsman itself",
            Self::Full => "a limit of flows is reached, or what it asks for is not built yet",
        }
    }

    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [
            Self::NoAnswer,
            Self::TargetReset,
            Self::WrongLogin,
            Self::Denied,
            Self::Rule,
            Self::NoRoute,
            Self::NotTold,
            Self::AboveRules,
            Self::Full,
        ];
        Fault::ALL.into_iter().map(Self::Fault).chain(others)
    }
}

/// What is limited apart from all else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Flow(Option<Arc<str>>, Trouble),
    Target(Option<(Arc<str>, Arc<str>)>, Trouble),
    Message(Option<u32>),
}

impl Key for Subject {
    fn shared(&self) -> Self {
        match self {
            Self::Flow(_, trouble) => Self::Flow(None, *trouble),
            Self::Target(_, trouble) => Self::Target(None, *trouble),
            Self::Message(_) => Self::Message(None),
        }
    }
}

/// Trouble, until somebody hears of it.
#[derive(Debug)]
pub(crate) struct Troubles {
    begun: Instant,
    /// Whether somebody hears: else nothing is kept.
    heard: AtomicBool,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    limiter: Limiter<Subject>,
    lacking: Lacking,
    queue: VecDeque<TroubleEvent>,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            heard: AtomicBool::new(false),
            state: Mutex::default(),
            news: Notify::new(),
        }
    }
}

impl Troubles {
    /// A flow has ended. `wanted` is asked only where something was wrong with it.
    pub(super) fn file(&self, record: &Arc<FlowRecord>, wanted: impl FnOnce(Gravity) -> bool) {
        let Some(trouble) = Trouble::of(record) else {
            return;
        };
        if !self.heard.load(Ordering::Relaxed) || !wanted(trouble.gravity()) {
            return;
        }
        let subject = Subject::Flow(record.outbound.clone(), trouble);
        self.queue(&subject, || TroubleEvent::Flow(trouble, Arc::clone(record)));
    }

    /// A forward's target was not reached, and the flow is not over.
    pub(super) fn tried(
        &self,
        flow: u64,
        (forward, target): (&Arc<str>, &Arc<str>),
        fault: Fault,
        error: &dyn std::error::Error,
    ) {
        if !self.heard.load(Ordering::Relaxed) {
            return;
        }
        let trouble = Trouble::Fault(fault);
        let way = (Arc::clone(forward), Arc::clone(target));
        self.queue(&Subject::Target(Some(way), trouble), || {
            TroubleEvent::Target(TargetTrouble {
                flow,
                forward: Arc::clone(forward),
                target: Arc::clone(target),
                trouble,
                error: chain(error).into(),
            })
        });
    }

    /// A rule says something of a flow.
    pub(super) fn say(&self, flow: u64, id: u32, text: &Arc<str>) {
        if !self.heard.load(Ordering::Relaxed) {
            return;
        }
        self.queue(&Subject::Message(Some(id)), || TroubleEvent::Said {
            flow,
            id,
            text: Arc::clone(text),
        });
    }

    /// A fact that a rule asked for was not found.
    pub(super) fn lacks(&self, flow: u64, lack: Lack, why: &Arc<str>) {
        let mut state = self.state();
        state.lacking.count(lack);
        if !self.heard.load(Ordering::Relaxed) || state.queue.len() >= QUEUE {
            return;
        }
        let Some(count) = state.lacking.tell(lack, self.begun.elapsed()) else {
            return;
        };
        state.queue.push_back(TroubleEvent::Lacks {
            flow,
            lack,
            why: Arc::clone(why),
            count,
        });
        drop(state);
        self.news.notify_one();
    }

    /// How many facts of each kind were not found, in the order of [`Lack::ALL`].
    pub(super) fn lacking(&self) -> [u64; Lack::ALL.len()] {
        self.state().lacking.counts()
    }

    fn queue(&self, subject: &Subject, told: impl FnOnce() -> TroubleEvent) {
        let now = self.begun.elapsed();
        let mut state = self.state();
        if state.queue.len() >= QUEUE {
            state.limiter.leave_out(subject, now);
        } else if state.limiter.admit(subject, now) {
            state.queue.push_back(told());
        }
        drop(state);
        self.news.notify_one();
    }

    /// The next one; dropping the future loses nothing.
    pub(crate) async fn next(&self) -> TroubleEvent {
        self.heard.store(true, Ordering::Relaxed);
        loop {
            let owes = match self.take() {
                Ok(told) => return told,
                Err(owes) => owes,
            };
            match owes {
                true => tokio::select! {
                    () = self.news.notified() => {}
                    () = sleep(SPAN) => {}
                },
                false => self.news.notified().await,
            }
        }
    }

    /// What waits, else what was left out; where nothing is due, whether something will be.
    fn take(&self) -> Result<TroubleEvent, bool> {
        let mut state = self.state();
        if let Some(told) = state.queue.pop_front() {
            return Ok(told);
        }
        let Some((subject, count)) = state.limiter.left_out(self.begun.elapsed()) else {
            return Err(state.limiter.owes());
        };
        Ok(match subject {
            Subject::Flow(outbound, trouble) => TroubleEvent::LeftOut {
                outbound,
                trouble,
                count,
            },
            Subject::Target(way, trouble) => TroubleEvent::TargetsLeftOut {
                way,
                trouble,
                count,
            },
            Subject::Message(id) => TroubleEvent::SaidMore { id, count },
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
