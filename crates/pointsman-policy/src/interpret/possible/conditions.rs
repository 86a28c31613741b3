//! What conditions may come to: Kleene's logic as the walk tests it, over all that may be.

use super::free::Either;
use super::truths::{Truths, Views};
use super::{May, Value};
use crate::condition::{Asks, Condition};
use crate::ids::SetId;
use crate::interpret::conditions::{least, range_of};
use crate::set::{NameMatch, RuleSet};

/// How far a list of parts is gone through: what is seen where all before came to what goes on, and where one of them
/// was unknown.
#[derive(Clone, Copy, Default)]
struct Open {
    sure: Views,
    doubtful: Views,
}

impl<'a> May<'a, '_> {
    pub(super) fn test(&mut self, condition: &'a Condition, from: Views) -> Truths {
        let mut may = Truths::default();
        for seen in from.each() {
            may |= self.condition(condition, Asks::Resolve, seen);
        }
        may
    }

    fn condition(&mut self, condition: &'a Condition, limit: Asks, seen: bool) -> Truths {
        match condition {
            Condition::And(all) => {
                let open = Open::at(seen);
                let (no, open) = self.parts(all.iter(), limit, open, |may| (may.no, may.yes));
                Truths {
                    no,
                    unknown: open.doubtful,
                    yes: open.sure,
                }
            }
            Condition::Or(any) => self.any_of(any.iter(), limit, Open::at(seen)),
            Condition::Not(inner) => {
                let Truths { no, unknown, yes } = self.condition(inner, limit, seen);
                Truths {
                    no: yes,
                    unknown,
                    yes: no,
                }
            }
            Condition::Set(id, asks) => self.set(*id, least(*asks, limit), seen),
            test => self.leaf(test, limit, seen),
        }
    }

    fn any_of(
        &mut self,
        any: impl Iterator<Item = &'a Condition>,
        limit: Asks,
        from: Open,
    ) -> Truths {
        let (yes, open) = self.parts(any, limit, from, |may| (may.yes, may.no));
        Truths {
            no: open.sure,
            unknown: open.doubtful,
            yes,
        }
    }

    /// The parts of logic in their order, as `split` says by which value it stops and by which it goes on: where it
    /// stopped, and where it came to the end. A part is gone through once for each view, so that nesting costs no more
    /// than its depth.
    fn parts(
        &mut self,
        parts: impl Iterator<Item = &'a Condition>,
        limit: Asks,
        from: Open,
        split: impl Fn(&Truths) -> (Views, Views),
    ) -> (Views, Open) {
        let mut stopped = Views::NONE;
        let mut open = from;
        for part in parts {
            let mut next = Open::default();
            for seen in (open.sure | open.doubtful).each() {
                let may = self.condition(part, limit, seen);
                let (stops, goes) = split(&may);
                stopped |= stops;
                if open.sure.has(seen) {
                    next.sure |= goes;
                    next.doubtful |= may.unknown;
                }
                if open.doubtful.has(seen) {
                    next.doubtful |= goes | may.unknown;
                }
            }
            open = next;
        }
        (stopped, open)
    }

    fn leaf(&mut self, test: &'a Condition, limit: Asks, seen: bool) -> Truths {
        let here = Views::of(seen);
        let yes_or_no = Truths {
            no: here,
            unknown: Views::NONE,
            yes: here,
        };
        match self.free.test(test) {
            Either::Any => Truths::any(here),
            Either::Told => self.told(test, limit, seen),
            Either::YesOrNo => yes_or_no,
            Either::YesOrTold => {
                let mut may = self.told(test, limit, seen);
                may.yes |= here;
                may
            }
        }
    }

    /// What the walk itself comes to.
    fn told(&mut self, test: &'a Condition, limit: Asks, seen: bool) -> Truths {
        self.walk.resolved = seen;
        let truth = self.walk.test(test, limit);
        let after = Views::of(self.walk.resolved);
        match truth {
            Ok(truth) => Truths::one(truth, after),
            Err(_) => Truths::any(after),
        }
    }

    /// As the walk's own: names, then prefixes, then the other entries.
    fn set(&mut self, id: SetId, asks: Asks, seen: bool) -> Truths {
        let here = Views::of(seen);
        if self.free.set(id) {
            return self.anything(asks, here);
        }
        let mut may = Truths::default();
        let set = match self.walk.policy.sets.get(id.0 as usize) {
            Some(set) if self.walk.may_enter(id) => set,
            _ => {
                may.no = here;
                return may;
            }
        };
        let open = self.names(set, seen, &mut may);
        let open = self.prefixes(set, asks, open, &mut may);
        self.walk.enter(id);
        may |= self.others(set, asks, open);
        self.walk.depth -= 1;
        may
    }

    /// What a set comes to that may hold anything: any of its entries may ask for the address, or none.
    fn anything(&self, asks: Asks, here: Views) -> Truths {
        let looked = match asks {
            Asks::Never => Views::NONE,
            Asks::Resolve => Views::of(true),
        };
        let mut may = Truths::any(here | looked);
        if !self.free.breaks {
            may.unknown = Views::NONE;
        }
        may
    }

    /// What a set's names come to is added to `may`; where they leave it open is told.
    fn names(&mut self, set: &'a RuleSet, seen: bool, may: &mut Truths) -> Open {
        let mut open = Open::at(seen);
        if !set.has_names() {
            return open;
        }
        let here = Views::of(seen);
        match self.walk.domain().map(|name| name.value) {
            Err(_) => {
                open.doubtful = here;
                may.yes |= here;
                if set.has_exceptions() {
                    may.no |= here;
                }
            }
            Ok(Value::Absent) => {}
            Ok(Value::Failed(_)) => open.breaks(),
            Ok(Value::Known(domain, _)) => match self.walk.hold(set, domain) {
                NameMatch::Excepted => {
                    may.no |= here;
                    open = Open::default();
                }
                NameMatch::No => {}
                NameMatch::Yes(_) => {
                    may.yes |= here;
                    open = Open::default();
                }
            },
        }
        open
    }

    /// The same of a set's prefixes, where its names left it open.
    fn prefixes(&mut self, set: &'a RuleSet, asks: Asks, from: Open, may: &mut Truths) -> Open {
        if !set.has_prefixes() {
            return from;
        }
        let mut open = Open::default();
        for seen in (from.sure | from.doubtful).each() {
            self.walk.resolved = seen;
            let address = self.walk.destination(asks);
            let after = Views::of(self.walk.resolved);
            let mut here = Open {
                sure: if from.sure.has(seen) {
                    after
                } else {
                    Views::NONE
                },
                doubtful: if from.doubtful.has(seen) {
                    after
                } else {
                    Views::NONE
                },
            };
            match address {
                Err(_) => {
                    may.yes |= after;
                    here.doubtful = after;
                }
                Ok(Value::Absent) => {}
                Ok(Value::Failed(_)) => here.breaks(),
                Ok(Value::Known(address, _)) => {
                    if range_of(set, address).is_some() {
                        may.yes |= after;
                        here = Open::default();
                    }
                }
            }
            open.sure |= here.sure;
            open.doubtful |= here.doubtful;
        }
        open
    }

    fn others(&mut self, set: &'a RuleSet, asks: Asks, from: Open) -> Truths {
        let others = set.others();
        if let Some(jump) = set.jump()
            && let Some(first) = self.walk.jump(jump)
        {
            let before = first.unwrap_or(others.len());
            let rest = jump.rest().take_while(move |at| *at < before);
            let open = rest.chain(first).filter_map(|at| others.get(at));
            return self.any_of(open.map(|other| &other.condition), asks, from);
        }
        self.any_of(others.iter().map(|other| &other.condition), asks, from)
    }
}

impl Open {
    fn at(seen: bool) -> Self {
        Self {
            sure: Views::of(seen),
            doubtful: Views::NONE,
        }
    }

    /// Something on the way is unknown.
    fn breaks(&mut self) {
        self.doubtful |= self.sure;
        self.sure = Views::NONE;
    }
}
