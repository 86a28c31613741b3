//! Going through a list by its index: rules that are certainly no are not gone through.
//!
//! Invariant: it tells what going through the rules one by one tells. A fact that may be anything is to the index one
//! that must be asked for: whoever looks at it is gone through.

use super::May;
use super::truths::Views;
use crate::model::Node;
use crate::plan::{Entry, Index, MOST, NOWHERE, Plan};

/// How far the look-ups of a list have come.
struct Scan {
    /// By entry of the index: the earliest rule that it tells, or one not behind that.
    next: [u32; MOST],
    /// Bits of the entries whose `next` is the earliest.
    told: u32,
    /// How many of the rules that are always gone through are passed.
    always: usize,
    /// The same of an entry's [`Entry::users`] and [`Entry::asking`], where its facts may be anything.
    passed: [[usize; 2]; MOST],
}

impl<'a> May<'a, '_> {
    pub(super) fn indexed(
        &mut self,
        nodes: &'a [Node],
        index: &'a Index,
        plan: &'a Plan,
        from: Views,
    ) -> Views {
        let mut scan = Scan::new(index);
        let (mut at, mut position) = (from, 0);
        while at != Views::NONE {
            let next = self.next_candidate(index, &mut scan, position, at);
            let Some(node) = nodes.get(next as usize) else {
                break;
            };
            let after = self.node(node, plan.inner(next as usize), at);
            position = next + 1;
            if after != at {
                scan.forget(index, position);
            }
            at = after;
        }
        at
    }

    /// The earliest rule from `from` on that may be more than a no.
    fn next_candidate(&mut self, index: &'a Index, scan: &mut Scan, from: u32, at: Views) -> u32 {
        let always = index.always.next_after(&mut scan.always, from);
        loop {
            let mut best = always;
            let mut entry = None;
            for (number, (next, known)) in scan.next.iter().zip(&index.entries).enumerate() {
                if *next < best {
                    best = *next;
                    entry = Some((number, known));
                }
            }
            let Some((number, known)) = entry else {
                return best;
            };
            let bit = 1 << number;
            if scan.told & bit != 0 && best >= from {
                return best;
            }
            scan.next[number] = match self.free.class(known.class, at) {
                true => scan.pass(number, known, from),
                false => self.next_of(index, known, from, at),
            };
            scan.told |= bit;
        }
    }

    /// The earliest rule from `from` on that may see what it looks for in this class of facts.
    fn next_of(&mut self, index: &'a Index, entry: &'a Entry, from: u32, at: Views) -> u32 {
        let views = match entry.class.is_of_address() {
            true => at,
            false => Views::of(false),
        };
        let told = views.each().map(|seen| {
            self.walk.resolved = seen;
            self.walk.next_of(index, entry, from).next
        });
        told.fold(NOWHERE, u32::min)
    }
}

impl Scan {
    fn new(index: &Index) -> Self {
        let mut scan = Self {
            next: [NOWHERE; MOST],
            told: 0,
            always: 0,
            passed: [[0; 2]; MOST],
        };
        for (next, entry) in scan.next.iter_mut().zip(&index.entries) {
            *next = entry.first;
        }
        scan
    }

    /// Whoever looks at this class comes next: where many do, each takes no longer than by and by.
    fn pass(&mut self, number: usize, entry: &Entry, from: u32) -> u32 {
        let [users, asking] = &mut self.passed[number];
        let users = entry.users.next_after(users, from);
        users.min(entry.asking.next_after(asking, from))
    }

    /// Behind `from` other addresses are seen than before.
    fn forget(&mut self, index: &Index, from: u32) {
        for (number, (next, entry)) in self.next.iter_mut().zip(&index.entries).enumerate() {
            if entry.class.is_of_address() {
                self.told &= !(1 << number);
                *next = entry.first.max(from);
            }
        }
    }
}
