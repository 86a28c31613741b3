//! Whether all ways that flows to a name may take lead to the same one who is asked for it.
//!
//! Invariant: one is named only where every way that is no refusal leads there; of several none is preferred.

use crate::interpret::{End, Possible};
use crate::model::{Action, OutboundId, OutboundKind, Policy};

/// What the ways of flows have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement<'e> {
    /// All that are carried lead there.
    All(usize),
    /// These two lead to different ones; the first in the order of rules, and the first that differs.
    Differ(&'e Possible, &'e Possible),
    /// Nobody is asked for what leaves so.
    Nobody(&'e Possible),
    /// None is carried; silence where all are dropped in silence.
    Refused(Action),
}

impl Policy {
    /// What these ends have in common, where `ask` tells who is asked for names whose flows leave by an outbound.
    pub fn agree<'e>(
        &self,
        ends: &'e [Possible],
        ask: impl Fn(OutboundId) -> Option<usize>,
    ) -> Agreement<'e> {
        let mut asked: Option<(usize, &Possible)> = None;
        let mut refusal = Action::Blackhole;
        for possible in ends {
            let outbound = match self.carrier(possible.end) {
                Ok(outbound) => outbound,
                Err(Action::Blackhole) => continue,
                Err(action) => {
                    refusal = action;
                    continue;
                }
            };
            let Some(at) = ask(outbound) else {
                return Agreement::Nobody(possible);
            };
            match asked {
                Some((known, first)) if known != at => {
                    return Agreement::Differ(first, possible);
                }
                Some(_) => {}
                None => asked = Some((at, possible)),
            }
        }
        match asked {
            Some((at, _)) => Agreement::All(at),
            None => Agreement::Refused(refusal),
        }
    }

    /// The outbound that carries, at an end.
    ///
    /// # Errors
    /// It is a refusal.
    fn carrier(&self, end: End) -> Result<OutboundId, Action> {
        let End::To(outbound) = end else {
            return Err(Action::Reset);
        };
        match self.outbound(outbound).kind {
            OutboundKind::Plain(action @ (Action::Blackhole | Action::Reject | Action::Reset)) => {
                Err(action)
            }
            OutboundKind::Plain(Action::Direct | Action::Proxy) | OutboundKind::Group(_) => {
                Ok(outbound)
            }
        }
    }
}
