//! What becomes of an answer when it has come: given, asked for elsewhere, or replaced.
//!
//! Invariant: each upstream is asked once for a query, so no rules lead round in circles. Where an answer is given as it
//! came nothing is allocated.

use std::sync::Arc;

use pointsman_policy::OutboundId;
use pointsman_policy::fact::Facts;
use pointsman_policy::model::Origin;
use pointsman_spec::dns::DnsEnd;

use crate::resolver::{Heard, Upstream};
use crate::spec::dns::{DnsServer, Judged};

/// Who judges the answers to one query.
#[derive(Debug)]
pub(super) struct Judge {
    server: Arc<DnsServer>,
    facts: Facts,
    /// The upstream that is asked.
    at: usize,
    /// Its end.
    first: [OutboundId; 1],
    /// All that were asked, once there are several.
    tried: Vec<OutboundId>,
}

/// What becomes of it.
pub(super) enum Verdict {
    /// It is given as it came.
    Given,
    /// It is asked for there instead.
    Ask(Arc<Upstream>),
    /// A rule answers.
    Here(DnsEnd, Option<Origin>),
}

impl Judge {
    /// For what that upstream answers first.
    pub(super) fn new(server: Arc<DnsServer>, facts: Facts, at: usize) -> Self {
        let first = [server.end_of(at)];
        Self {
            server,
            facts,
            at,
            first,
            tried: Vec::new(),
        }
    }

    /// The upstream that was asked last.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What becomes of the answer of the one who was asked last.
    pub(super) fn judge(&mut self, heard: &Heard) -> Verdict {
        let tried = match self.tried.as_slice() {
            [] => &self.first[..],
            tried => tried,
        };
        match self.server.judge(&mut self.facts, heard, (self.at, tried)) {
            Judged::Given => Verdict::Given,
            Judged::Here(end, rule) => Verdict::Here(end, rule),
            Judged::Ask(at, upstream) => {
                if self.tried.is_empty() {
                    self.tried.extend(self.first);
                }
                self.tried.push(self.server.end_of(at));
                self.at = at;
                Verdict::Ask(upstream)
            }
        }
    }
}
