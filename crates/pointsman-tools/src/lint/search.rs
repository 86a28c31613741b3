//! The state of a search for rules that never match, and why they do not.

use std::cell::Cell;
use std::collections::HashSet;

use pointsman_policy::Policy;
use pointsman_policy::model::{Origin, OutboundId};
use pointsman_policy::zone::ZoneId;

use super::ends::Ends;
use super::given::Given;
use super::members::Members;

/// The most ways in which one rule may hold that are gone through.
pub(super) const MOST_OWN: usize = 20_000;

/// The most halves of ranges that are looked at in one policy: some seconds' work.
pub(super) const MOST_HALVES: u32 = 200_000;

/// The most rules that are named as taking one.
const MOST_TAKING: usize = 3;

/// Why a rule never matches.
#[derive(Clone, Debug)]
pub(super) enum Why<'p> {
    /// It stands behind something that takes every flow; so do so many others.
    Behind(&'p Origin, usize),
    /// It needs an entry of a set or zone that has none.
    Empty(String),
    /// No inbound gives what it needs.
    Given(String),
    /// It contradicts itself, or what leads to it.
    Impossible(String),
    /// It is switched off with `NEVER`.
    Off,
    /// Earlier rules take all of it.
    Taken(Takers<'p>),
}

/// Rules that take all of another one, together.
#[derive(Clone, Debug, Default)]
pub(super) struct Takers<'p> {
    /// The first of them that were found.
    pub(super) first: Vec<&'p Origin>,
    known: HashSet<*const Origin>,
    /// Where they lead, each said once.
    pub(super) outbounds: Vec<Option<OutboundId>>,
}

impl<'p> Takers<'p> {
    pub(super) fn one(origin: &'p Origin, outbound: Option<OutboundId>) -> Self {
        Self {
            first: vec![origin],
            known: HashSet::from([std::ptr::from_ref(origin)]),
            outbounds: vec![outbound],
        }
    }

    fn join(&mut self, other: Self) {
        for origin in other.first {
            if !self.known.contains(&std::ptr::from_ref(origin)) && self.first.len() < MOST_TAKING {
                self.first.push(origin);
            }
        }
        self.known.extend(other.known);
        for outbound in other.outbounds {
            if !self.outbounds.contains(&outbound) {
                self.outbounds.push(outbound);
            }
        }
    }

    /// How many there are besides the first.
    pub(super) fn more(&self) -> usize {
        self.known.len() - self.first.len()
    }
}

/// The reasons of all cases together.
#[derive(Default)]
pub(super) struct Reasons<'p> {
    taken: Option<Takers<'p>>,
    given: Option<String>,
    empty: Option<String>,
    impossible: Option<String>,
}

impl<'p> Reasons<'p> {
    pub(super) fn add(&mut self, why: Why<'p>) {
        match why {
            Why::Behind(..) | Why::Off => {}
            Why::Empty(name) => self.empty = self.empty.take().or(Some(name)),
            Why::Given(message) => self.given = self.given.take().or(Some(message)),
            Why::Impossible(message) => self.impossible = self.impossible.take().or(Some(message)),
            Why::Taken(by) => self.taken.get_or_insert_default().join(by),
        }
    }

    /// The one that is told.
    pub(super) fn why(self) -> Why<'p> {
        let taken = self.taken.map(Why::Taken);
        let given = self.given.map(Why::Given);
        let empty = self.empty.map(Why::Empty);
        let impossible = self.impossible.map(Why::Impossible);
        taken.or(given).or(empty).or(impossible).unwrap_or(Why::Off)
    }
}

pub(super) struct Search<'p, 's> {
    pub(super) policy: &'p Policy,
    pub(super) given: Option<&'s Given<'s>>,
    /// The entries of sets; `None`: only whole sets are looked at.
    pub(super) members: Option<&'s Members<'s>>,
    pub(super) ends: Ends<'p>,
    /// How many halves of ranges are still looked at, over all rules.
    pub(super) halvings: Cell<u32>,
    /// Of names and of addresses.
    pub(super) empty_zones: [Vec<ZoneId>; 2],
}

/// How a case may still be taken apart: each way once, in this order, so that the parts stay few.
#[derive(Clone, Copy)]
pub(super) struct Apart {
    pub(super) inbounds: bool,
    pub(super) networks: bool,
    pub(super) members: bool,
    /// So many times into halves.
    pub(super) halves: u8,
}

impl Apart {
    /// In every way.
    pub(super) const ALL: Self = Self {
        inbounds: true,
        networks: true,
        members: true,
        halves: 8,
    };
}
