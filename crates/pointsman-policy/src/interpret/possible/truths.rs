//! What a condition may come to, and what may be seen then.

use std::ops::{BitOr, BitOrAssign};

use super::super::Truth;

/// Whether the address of a named destination is seen: one of them, or both where either may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Views(u8);

impl Views {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn of(seen: bool) -> Self {
        Self(1 << u8::from(seen))
    }

    pub(super) fn has(self, seen: bool) -> bool {
        self.0 & Self::of(seen).0 != 0
    }

    pub(super) fn each(self) -> impl Iterator<Item = bool> {
        [false, true]
            .into_iter()
            .filter(move |seen| self.has(*seen))
    }
}

impl BitOr for Views {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Views {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a condition may come to, each with what is seen afterwards; [`Views::NONE`] where it cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Truths {
    pub(super) no: Views,
    pub(super) unknown: Views,
    pub(super) yes: Views,
}

impl Truths {
    pub(super) fn any(views: Views) -> Self {
        Self {
            no: views,
            unknown: views,
            yes: views,
        }
    }

    pub(super) fn one(truth: Truth<'_>, views: Views) -> Self {
        let mut one = Self::default();
        match truth {
            Truth::No => one.no = views,
            Truth::Unknown(_) => one.unknown = views,
            Truth::Yes(_) => one.yes = views,
        }
        one
    }
}

impl BitOrAssign for Truths {
    fn bitor_assign(&mut self, other: Self) {
        self.no |= other.no;
        self.unknown |= other.unknown;
        self.yes |= other.yes;
    }
}
