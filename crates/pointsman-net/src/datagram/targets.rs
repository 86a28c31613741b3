//! Targets that are not there: what a relay tells their group, and what becomes of the flows that were given them.
//!
//! Invariant: of a target that says nothing to one flow it is believed that it is not there only where it said nothing to
//! any other meanwhile: who sends what nobody answers takes it from nobody.

use tokio::time::Instant;

use super::client_side::ClientSide;
use super::entries::{COOL_DOWN, FlowId, SHORT_COOL_DOWN};
use super::nat::Seconds;
use super::relay::Relay;
use crate::group::{Look, Watch};
use crate::outbound::DialError;
use crate::record::{End, Fault};

impl Relay {
    /// Tells the groups whose targets said nothing; their flows go elsewhere, where there is a target that is thought to be
    /// there.
    pub(super) fn look_at_silent(&mut self, now: Seconds) {
        while let Some(flow) = self.silent.overdue(now) {
            let Some(watch) = self.watch(flow) else {
                continue;
            };
            match watch.look(now, Instant::now()) {
                Look::Enough => {}
                Look::Again(at) => self.silent.look_at(flow, at),
                Look::Gone(why) => self.end(flow, End::Failed(Fault::TimedOut, why.into())),
            }
        }
    }

    /// A flow's datagram goes to its target, which is to answer. Cheap, for each datagram.
    pub(super) fn asks(&mut self, flow: FlowId) {
        let now = self.now;
        let is_forward = matches!(self.at.client_side, ClientSide::Forward);
        if is_forward && self.watch(flow).is_some_and(|watch| watch.asks(now)) {
            self.silent.wait(flow, now);
        }
    }

    /// A flow's target is not there. Whether its next flow would be given another.
    pub(super) fn target_fails(&mut self, flow: FlowId) -> bool {
        let watch = self.watch(flow);
        watch.is_some_and(|watch| watch.fails(Instant::now()))
    }

    fn watch(&mut self, flow: FlowId) -> Option<&mut Watch> {
        let kept = &mut self.nat.flow_mut(flow)?.kept;
        kept.carried.as_mut()?.watch.as_mut()
    }

    /// No way was opened for a flow: where its target is to blame, its client's next datagram goes to another.
    pub(super) fn not_linked(&mut self, flow: FlowId, watch: Option<Watch>, error: &DialError) {
        let fails = |mut watch: Watch| watch.fails(Instant::now());
        let is_targets = error.may_pass() && error.fault() != Fault::Exhausted;
        match is_targets && watch.is_some_and(fails) {
            true => self.end(flow, End::ClientGone),
            false => self.cool_down(flow, after(error)),
        }
    }
}

/// How long a flow cools down that came to that: what is broken may be mended by the time that the client asks again.
fn after(error: &DialError) -> Seconds {
    match error.refused() {
        Some(_) => COOL_DOWN,
        None => SHORT_COOL_DOWN,
    }
}
