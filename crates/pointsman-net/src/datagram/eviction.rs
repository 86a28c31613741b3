//! Flows that give way to others, where there are as many as there may be.
//!
//! Invariant: what is being decided, or whose way is being opened, is left alone: somebody works at it, and it may be asked
//! for by a person.

use std::cmp::Reverse;
use std::net::IpAddr;

use pointsman_policy::Action;

use super::entries::FlowId;
use super::losses::Loss;
use super::nat::Seconds;
use super::quota::{FlowPermit, Full};
use super::relay::Relay;
use crate::case::Case;
use crate::record::{End, Fault};

/// A flow that was answered, and then silent for so long, gives way to a new one of who has it: no mapping may be
/// forgotten earlier (RFC 4787, REQ-5).
const QUIET: Seconds = 120;

/// As [`QUIET`], for flows of forwards of a client that has more than another, and for those where nothing followed the
/// answer: one question that was answered, by whomever, is over by then. Games, calls and tunnels are never silent for as
/// long.
const LULL: Seconds = 10;

impl Relay {
    /// A place for a flow of that client; where it can have none of others, a flow of this relay gives way that is not
    /// missed.
    pub(super) fn place(&mut self, client: IpAddr) -> Result<FlowPermit, Full> {
        let limits = &self.at.generation.spec().datagrams;
        if self.nat.awaited() >= self.at.seat.most_unanswered(limits) {
            self.spare(client, Full::Unanswered)?;
        }
        let limits = &self.at.generation.spec().datagrams;
        match self.at.seat.enter(client, limits) {
            Ok(place) => return Ok(place),
            Err(full) => self.spare(client, full)?,
        }
        let limits = &self.at.generation.spec().datagrams;
        self.at.seat.enter(client, limits)
    }

    fn spare(&mut self, client: IpAddr, full: Full) -> Result<(), Full> {
        let flow = self.spared(client, full).ok_or(full)?;
        self.end_for_another(flow, full);
        Ok(())
    }

    /// There is no descriptor left. `true`: a flow of this relay gave way, which had one. Else the forward that has most is
    /// asked, and its turn may come too late for this flow.
    pub(super) fn frees_descriptor(&mut self, client: IpAddr) -> bool {
        if self.at.seat.is_forward() && self.spare(client, Full::Descriptors).is_ok() {
            return true;
        }
        self.at
            .seat
            .take_descriptor(&self.at.generation.spec().datagrams);
        false
    }

    /// Ends flows whose places were given to others, and an association without flows that another one is there for.
    pub(super) fn give_way(&mut self) {
        if self.nat.is_empty() && self.at.seat.is_to_leave() && self.ending.is_none() {
            let most = self.at.generation.spec().datagrams.flows_by_client;
            let why = format!(
                "`udp.flows_by_client` is {most}: it had no flows, and gave way to a new association"
            );
            self.at.seat.lost(Loss::GaveWay, 1);
            self.ending = Some(End::Failed(Fault::Exhausted, why.into()));
            return;
        }
        while let Some(full) = self.at.seat.owes() {
            let flow = self.nat.oldest_unanswered();
            let Some(flow) = flow.or_else(|| self.idlest_of_most(0, 0)) else {
                return;
            };
            self.end_for_another(flow, full);
        }
    }

    /// Nobody gives way.
    pub(super) fn no_room(&self, full: Full, case: Case) {
        let why = full.why(&self.at.generation.spec().datagrams);
        case.note(|record| {
            record.note = why.into();
            record.action = Some(Action::Reject);
        });
        case.end(End::Refused);
    }

    fn end_for_another(&mut self, flow: FlowId, full: Full) {
        let limits = &self.at.generation.spec().datagrams;
        let why = format!("{}: it gave way to a new one", full.why(limits));
        self.end(flow, End::Failed(Fault::Exhausted, why.into()));
        self.at.seat.lost(Loss::GaveWay, 1);
    }

    /// The flow that a new one of that client is given the place of.
    fn spared(&mut self, client: IpAddr, full: Full) -> Option<FlowId> {
        if full == Full::Client {
            // Nobody makes room for what another has too much of.
            let of = |place: &FlowPermit| place.client() == client;
            let flow = self.nat.oldest_unanswered_of(|flow| of(&flow.kept.place));
            return flow.or_else(|| self.quietest(of));
        }
        if let Some(flow) = self.nat.oldest_unanswered() {
            return Some(flow);
        }
        if full == Full::Unanswered {
            return None;
        }
        if self.at.seat.is_forward() {
            let mine = self.at.seat.with_counts(|count| count(client));
            if let Some(flow) = self.idlest_of_most(mine + 2, LULL) {
                return Some(flow);
            }
        }
        self.quietest(|_| true)
    }

    /// Of some flows the one that was idle for longest among those of the client that has most, and no fewer than that.
    /// Those that were not idle for so long are left alone.
    fn idlest_of_most(&mut self, least: usize, idle: Seconds) -> Option<FlowId> {
        let some = self.nat.some();
        let (nat, now) = (&self.nat, self.now);
        self.at.seat.with_counts(|count| {
            let ranked = some.iter().filter_map(|key| {
                let flow = nat.flow(*key)?;
                let count = count(flow.kept.place.client());
                let is_it = count >= least && flow.last() + idle <= now;
                is_it.then_some(((count, Reverse(flow.last())), *key))
            });
            let first = ranked.max_by_key(|(rank, _)| *rank);
            first.map(|(_, key)| key)
        })
    }

    /// Of some flows the one that was idle for longest, and for long.
    fn quietest(&mut self, is_asked: impl Fn(&FlowPermit) -> bool) -> Option<FlowId> {
        let is_forward = self.at.seat.is_forward();
        self.nat.idlest(self.now, |flow| {
            is_asked(&flow.kept.place).then_some(match flow.is_followed() || !is_forward {
                true => QUIET,
                false => LULL,
            })
        })
    }
}
