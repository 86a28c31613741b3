//! What groups keep over generations: counts, turns, failures, and connections that were handed over.
//!
//! Invariants: the number of connections of a group never exceeds its limit, not even for a moment, nor where the
//! group was gone for a while: a connection counts until it ends; preparing a generation that is then refused loses
//! nothing, and leaves nothing but what was handed over, which cannot be had again.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pointsman_os::local;
use pointsman_policy::OutboundId;
use pointsman_spec::address::Endpoint;
use pointsman_spec::outbound::{Carrier, How, Kind, Outbound};
use pointsman_spec::target::Target;

use super::failures::Failures;
use super::inherited::Connected;
use super::last_answer::LastAnswer;
use super::order::Member;
use super::{Group, Groups};

/// What groups keep over generations.
#[derive(Debug, Default)]
pub(crate) struct GroupStates(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Each lives as long as a generation that flows have, or a connection that it counts.
    states: HashMap<Arc<str>, Weak<State>>,
    /// Those of the generation before one on trial.
    held: Vec<Arc<State>>,
    connected: HashMap<i32, Arc<Connected>>,
}

/// Why a group cannot be taken into service: what it needs, and the system's words.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) group: Arc<str>,
    pub(crate) what: String,
    pub(crate) source: io::Error,
}

impl GroupStates {
    /// Those of `outbounds` that are groups which try their members, with what they had before.
    ///
    /// # Errors
    /// A connection that a target names was not handed over.
    pub(crate) fn prepare(&self, outbounds: &[Outbound]) -> Result<Groups, Unfit> {
        let mut things = self.things();
        let mut prepared = Groups::default();
        for (id, group) in (0..).map(OutboundId).zip(outbounds) {
            let Kind::Choose(chooses) = &group.kind else {
                continue;
            };
            let How::Balanced(_) = chooses.how else {
                continue;
            };
            let mut members = Vec::with_capacity(chooses.members.len());
            for (name, target) in targets(outbounds, &chooses.members) {
                if let Endpoint::Fd(number) = target.address {
                    let connected = things.connected(number).map_err(|source| Unfit {
                        group: Arc::clone(&group.name),
                        what: format!("its target fd:{number}"),
                        source,
                    })?;
                    prepared.connected.insert(number, connected);
                }
                let via = target.via;
                let via = via.and_then(|via| outbounds.get(usize::try_from(via.0).ok()?));
                members.push(Member::new(name, &target.address, via));
            }
            let state = things.states.get(&group.name).and_then(Weak::upgrade);
            let state = state.unwrap_or_default();
            let heard = members.iter().map(|member| state.heard(member));
            let group = Group {
                name: Arc::clone(&group.name),
                heard: heard.collect(),
                state,
                members: members.into(),
            };
            prepared.groups.insert(id, group);
        }
        Ok(prepared)
    }

    /// These are in force: what they have is kept; on trial also what those before had.
    pub(crate) fn commit(&self, groups: &Groups, on_trial: bool) {
        let mut things = self.things();
        if on_trial {
            let before = things.states.values().filter_map(Weak::upgrade);
            things.held = before.collect();
        }
        for group in groups.groups.values() {
            let state = Arc::downgrade(&group.state);
            things.states.insert(Arc::clone(&group.name), state);
        }
    }

    /// These outbounds are in force for good: what none of them needs is given up.
    pub(crate) fn prune(&self, outbounds: &[Outbound]) {
        let mut things = self.things();
        things.held.clear();
        things.states.retain(|_, state| state.strong_count() > 0);
        things.connected.retain(|number, _| {
            let named = |outbound: &Outbound| match &outbound.kind {
                Kind::Carry(Carrier::Target(target)) => target.address == Endpoint::Fd(*number),
                _ => false,
            };
            outbounds.iter().any(named)
        });
    }

    fn things(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The targets among those members, by name.
fn targets<'a>(
    outbounds: &'a [Outbound],
    members: &'a [OutboundId],
) -> impl Iterator<Item = (&'a Arc<str>, &'a Target)> {
    let target = |id: &OutboundId| {
        let member = outbounds.get(usize::try_from(id.0).ok()?)?;
        match &member.kind {
            Kind::Carry(Carrier::Target(target)) => Some((&member.name, target)),
            _ => None,
        }
    };
    members.iter().filter_map(target)
}

impl Inner {
    fn connected(&mut self, number: i32) -> io::Result<Arc<Connected>> {
        if let Some(connected) = self.connected.get(&number) {
            return Ok(Arc::clone(connected));
        }
        let connected = Arc::new(Connected::new(local::inherited_stream(number)?));
        self.connected.insert(number, Arc::clone(&connected));
        Ok(connected)
    }
}

/// What a group counts.
#[derive(Debug, Default)]
pub(crate) struct State {
    active: AtomicUsize,
    next: AtomicUsize,
    pub(crate) failures: Failures,
    /// When members answered last, of those that a generation has.
    heard: Mutex<HashMap<Member, Weak<LastAnswer>>>,
}

/// A connection that is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<State>);

impl State {
    /// Counts one more; `None` where there are `most` already (0: any number).
    pub(crate) fn admit(self: &Arc<Self>, most: usize) -> Option<Permit> {
        let one_more = |active: usize| (most == 0 || active < most).then_some(active + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.active.fetch_update(set, fetch, one_more).ok()?;
        Some(Permit(Arc::clone(self)))
    }

    /// When that member answered last.
    fn heard(&self, member: &Member) -> Arc<LastAnswer> {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heard) = all.get(member).and_then(Weak::upgrade) {
            return heard;
        }
        all.retain(|_, heard| heard.strong_count() > 0);
        let heard = Arc::<LastAnswer>::default();
        all.insert(member.clone(), Arc::downgrade(&heard));
        heard
    }

    /// Counts the connections that ask whose turn it is.
    pub(crate) fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}
