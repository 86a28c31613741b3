//! Facts that rules asked for and that could not be found, by kind.
//!
//! Invariants: no time but what is handed in. Each is counted; of each kind the first is told, and then at most one
//! within [`PAUSE`], with how many there were since. A resolver that is down would fill the log else.

use std::time::Duration;

use pointsman_policy::Need;

/// Between two lines on one kind.
const PAUSE: Duration = Duration::from_secs(60);

/// A kind of fact that could not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lack {
    /// The program behind the client.
    Program,
    /// The address of a name.
    Address,
    /// The country or the autonomous system of an address.
    Country,
    /// The address that a direct connection would leave by.
    LocalAddress,
    /// What the first bytes say.
    FirstBytes,
    /// The answer to a request.
    Answer,
}

impl Lack {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Program,
        Self::Address,
        Self::Country,
        Self::LocalAddress,
        Self::FirstBytes,
        Self::Answer,
    ];

    pub(crate) fn of(need: Need) -> Self {
        match need {
            Need::Country => Self::Country,
            Need::Local => Self::LocalAddress,
            Need::Owner => Self::Program,
            Need::Resolve => Self::Address,
            Need::Sniff => Self::FirstBytes,
            Need::Verdict(_) => Self::Answer,
        }
    }

    /// Its word, in kebab-case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Address => "address",
            Self::Country => "country",
            Self::LocalAddress => "local-address",
            Self::FirstBytes => "first-bytes",
            Self::Answer => "answer",
        }
    }
}

/// What was not found so far.
#[derive(Debug, Default)]
pub(super) struct Lacking([Count; Lack::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    count: u64,
    /// When it was told last, and how many there were then.
    told: Option<(Duration, u64)>,
}

impl Lacking {
    /// One more.
    pub(super) fn count(&mut self, lack: Lack) {
        self.0[lack as usize].count += 1;
    }

    /// Where it is to be told now, how many there were since that was done last.
    pub(super) fn tell(&mut self, lack: Lack, now: Duration) -> Option<u64> {
        let lacked = &mut self.0[lack as usize];
        let (at, before) = match lacked.told {
            Some((at, _)) if now.saturating_sub(at) < PAUSE => return None,
            Some((_, before)) => (now, before),
            None => (now, 0),
        };
        lacked.told = Some((at, lacked.count));
        Some(lacked.count - before)
    }

    /// How many of each kind, in the order of [`Lack::ALL`].
    pub(super) fn counts(&self) -> [u64; Lack::ALL.len()] {
        self.0.map(|lacked| lacked.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_then_one_a_minute_with_the_others() {
        let mut lacking = Lacking::default();
        let mut note = |lack, seconds| {
            lacking.count(lack);
            lacking.tell(lack, Duration::from_secs(seconds))
        };
        assert_eq!(note(Lack::Program, 5), Some(1));
        assert_eq!(note(Lack::Program, 6), None);
        assert_eq!(note(Lack::Country, 6), Some(1));
        assert_eq!(note(Lack::Program, 64), None);
        assert_eq!(note(Lack::Program, 65), Some(3));
        assert_eq!(note(Lack::Program, 66), None);
        assert_eq!(lacking.counts(), [5, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn kinds_have_places_of_their_own() {
        for (place, lack) in Lack::ALL.into_iter().enumerate() {
            assert_eq!(lack as usize, place);
        }
    }
}
