//! What no earlier rule takes whole, taken apart: a set entry by entry, a range by its halves, all inbounds and
//! transports one by one. Where every part is taken, or comes about never, so does the whole.
//!
//! Invariant: the parts together are the whole, each with the sight that it has within it.

use std::net::IpAddr;
use std::rc::Rc;

use pointsman_policy::Prefix;
use pointsman_policy::condition::{Asks, Condition};
use pointsman_policy::fact::Network;
use pointsman_policy::model::SetId;

use super::given::certain;
use super::logic::{Atom, Case, Excess, Expr, Literal, Test, View, cases, on_addresses};
use super::search::{Apart, MOST_OWN, Reasons, Search, Why};

/// The most inbounds that are gone through.
const MOST_INBOUNDS: usize = 16;

/// The entries of one set that are neither names nor ranges that are looked at.
const MOST_OTHERS: usize = 256;

impl<'p> Search<'p, '_> {
    /// Why a case never comes about that nothing takes whole.
    pub(super) fn by_parts(&self, case: &Case<'p>, ways: Apart) -> Option<Why<'p>> {
        if self.ends.is_empty() && case.len() < 2 {
            return None;
        }
        self.by_inbounds(case, ways)
            .or_else(|| self.by_networks(case, ways))
            .or_else(|| self.by_members(case, ways))
            .or_else(|| self.by_halves(case, ways))
    }

    fn by_inbounds(&self, case: &Case<'p>, ways: Apart) -> Option<Why<'p>> {
        let given = self
            .given
            .filter(|_| ways.inbounds && self.ends.tell_inbounds())?;
        let ways = Apart {
            inbounds: false,
            ..ways
        };
        let mut reasons = Reasons::default();
        for (count, inbound) in given.of(case).enumerate() {
            let mut case = case.clone();
            for test in certain(inbound) {
                case = with(&case, test, View::Always);
            }
            reasons.add(self.case(&case, ways).filter(|_| count < MOST_INBOUNDS)?);
        }
        Some(reasons.why())
    }

    fn by_networks(&self, case: &Case<'p>, ways: Apart) -> Option<Why<'p>> {
        let told = |literal: &Literal<'p>| match &*literal.atom.test {
            Condition::Network(_) => literal.holds,
            Condition::Port { network, .. } => literal.holds && network.is_some(),
            _ => false,
        };
        if !ways.networks || !self.ends.tell_networks() || case.iter().any(told) {
            return None;
        }
        let ways = Apart {
            inbounds: false,
            networks: false,
            ..ways
        };
        let mut reasons = Reasons::default();
        for network in [Network::Icmp, Network::Tcp, Network::Udp] {
            let test = Test::Key(Rc::new(Condition::Network(network)));
            reasons.add(self.case(&with(case, test, View::Always), ways)?);
        }
        Some(reasons.why())
    }

    fn by_members(&self, case: &Case<'p>, ways: Apart) -> Option<Why<'p>> {
        if !ways.members {
            return None;
        }
        let ways = Apart {
            inbounds: false,
            networks: false,
            members: false,
            ..ways
        };
        let held = case.iter().filter(|literal| literal.holds);
        held.into_iter()
            .find_map(|literal| match *literal.atom.test {
                Condition::Set(id, asks) => {
                    self.each_member(case, (id, asks, literal.atom.view), ways)
                }
                _ => None,
            })
    }

    fn each_member(
        &self,
        case: &Case<'p>,
        (id, asks, view): (SetId, Asks, View),
        ways: Apart,
    ) -> Option<Why<'p>> {
        let members = self.members?;
        let set = self
            .policy
            .sets
            .get(id.0 as usize)
            .filter(|set| !set.is_empty())?;
        // The order of its entries says when a set that asks sees an address, but never more than all.
        let view = match asks {
            Asks::Never => view,
            Asks::Resolve => View::Always,
        };
        let mut reasons = Reasons::default();
        if set.others().len() > MOST_OTHERS {
            return None;
        }
        for other in set.others() {
            let other = &other.condition;
            let plain = !matches!(
                other,
                Condition::And(_) | Condition::Or(_) | Condition::Not(_)
            );
            let sure = plain || asks == Asks::Never || !on_addresses(self.policy, other, 0);
            if !sure || asks_sets(other) {
                return None;
            }
            for part in cases(&fixed(other, view), true, MOST_OWN, Excess::Widen)? {
                let mut case = case.clone();
                case.extend(part);
                reasons.add(self.case(&case, ways)?);
            }
        }
        let mut each = |entry: &Rc<Condition>| {
            let why = self.case(&with(case, Test::Key(Rc::clone(entry)), view), ways);
            why.map(|why| reasons.add(why)).is_some()
        };
        members.all(set, asks, &mut each).then(|| reasons.why())
    }

    fn by_halves(&self, case: &Case<'p>, ways: Apart) -> Option<Why<'p>> {
        let ways = Apart {
            inbounds: false,
            networks: false,
            members: false,
            halves: ways.halves.checked_sub(1)?,
        };
        case.iter().enumerate().rev().find_map(|(at, literal)| {
            let Condition::Address { of, prefix, asks } = &*literal.atom.test else {
                return None;
            };
            if !literal.holds || !self.ends.splits(*of, prefix) {
                return None;
            }
            let mut reasons = Reasons::default();
            for prefix in halves(prefix)? {
                self.halvings.set(self.halvings.get().checked_sub(1)?);
                let half = Condition::Address {
                    of: *of,
                    prefix,
                    asks: *asks,
                };
                // In place of the whole, which it entails: beside it, the whole would be halved again below here.
                let mut case = case.clone();
                case[at] = held(Test::Key(Rc::new(half)), literal.atom.view);
                reasons.add(self.case(&case, ways)?);
            }
            Some(reasons.why())
        })
    }
}

/// A case and one thing more that holds.
fn with<'p>(case: &Case<'p>, test: Test<'p>, view: View) -> Case<'p> {
    let mut case = case.clone();
    case.push(held(test, view));
    case
}

fn held(test: Test<'_>, view: View) -> Literal<'_> {
    Literal {
        atom: Atom {
            test,
            view,
            turns: false,
        },
        holds: true,
    }
}

/// An entry with all its parts at one place.
fn fixed(condition: &Condition, view: View) -> Expr<'_> {
    let part = |part| fixed(part, view);
    match condition {
        Condition::And(parts) => Expr::And(parts.iter().map(part).collect()),
        Condition::Or(parts) => Expr::Or(parts.iter().map(part).collect()),
        Condition::Not(inner) => Expr::Not(Box::new(fixed(inner, view))),
        _ => Expr::Atom(Atom {
            test: Test::Own(condition),
            view,
            turns: false,
        }),
    }
}

/// Whether a condition is about other sets.
fn asks_sets(condition: &Condition) -> bool {
    condition.any_test(&mut |test| matches!(test, Condition::Set(..)))
}

/// The two halves of a range; `None` of a single address.
fn halves(prefix: &Prefix) -> Option<[Prefix; 2]> {
    let longer = prefix.length() + 1;
    let upper = match prefix.address() {
        IpAddr::V4(address) => {
            let bit = 1_u32.checked_shl(32_u32.checked_sub(u32::from(longer))?)?;
            IpAddr::from((address.to_bits() | bit).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let bit = 1_u128.checked_shl(128_u32.checked_sub(u32::from(longer))?)?;
            IpAddr::from((address.to_bits() | bit).to_be_bytes())
        }
    };
    Some([
        Prefix::new(prefix.address(), longer),
        Prefix::new(upper, longer),
    ])
}
