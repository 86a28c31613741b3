//! Whether the rules that decided a flow speak of its destination in particular.
//!
//! A client of another host is lent this host's own addresses only by a rule that names them: a range within
//! loopback, link-local or metadata addresses, or the very name that the client asked for. Wide ranges, names below
//! a suffix, rule sets, zones, and names that only the first bytes said do not count: those rules are about where
//! traffic goes, not about who may enter here.

use super::{Truth, Walk, Watch};
use crate::condition::{AddressOf, Asks, Condition, DomainTest};
use crate::decision::Particular;
use crate::domain::Domain;
use crate::fact::Facts;
use crate::local::{holds, is_within_local};
use crate::model::Policy;

impl Policy {
    /// What the conditions name in particular that led to the decision of a flow, of which all is known that
    /// they asked for.
    #[must_use]
    pub fn particular(&self, facts: &Facts) -> Particular {
        let mut found = Particular::default();
        let _decision = self.decide_with(facts, Watch::Particular(&mut found));
        found
    }
}

impl<'a> Walk<'a, '_> {
    /// Where the walk stands, for [`Self::forget`].
    pub(super) fn mark(&self) -> (bool, usize) {
        match &self.watch {
            Watch::Particular(found) => found.mark(),
            _ => (false, 0),
        }
    }

    /// A branch whose condition held came to nothing.
    pub(super) fn forget(&mut self, mark: (bool, usize)) {
        if let Watch::Particular(found) = &mut self.watch {
            found.reset(mark);
        }
    }

    /// Notes what a condition that holds names in particular.
    pub(super) fn particular(&mut self, condition: &'a Condition) {
        if !matches!(self.watch, Watch::Particular(_)) {
            return;
        }
        match condition {
            Condition::Address {
                of: AddressOf::Destination | AddressOf::Either,
                prefix,
                ..
            } => {
                let address = self.visible_address();
                if is_within_local(prefix)
                    && address.is_some_and(|address| holds(prefix, address))
                    && let Watch::Particular(found) = &mut self.watch
                {
                    found.ranges.push(*prefix);
                }
            }
            Condition::And(all) => all.iter().for_each(|inner| self.particular(inner)),
            Condition::Domain(test) => {
                let asked = self.facts.destination_name();
                let named = asked.is_some_and(|name| match test {
                    DomainTest::Exact(exact) => name == exact,
                    DomainTest::Suffix(suffix) => is_localhost(suffix) && name.is_within(suffix),
                    DomainTest::Keyword(_) | DomainTest::Regex(_) => false,
                });
                if let Watch::Particular(found) = &mut self.watch {
                    found.name |= named;
                }
            }
            Condition::Or(any) => {
                for inner in any {
                    // Whatever it lacks was not needed to decide.
                    if let Ok(Truth::Yes(_)) = self.test(inner, Asks::Never) {
                        self.particular(inner);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Names that never leave the host (RFC 6761, 6.3).
fn is_localhost(name: &Domain) -> bool {
    name.as_str() == "localhost" || name.as_str().ends_with(".localhost")
}
