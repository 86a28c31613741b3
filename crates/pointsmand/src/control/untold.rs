//! Flows of which it is not known whether they are wanted: how many, told now and then.

use std::time::{Duration, Instant};

use pointsman_api::flow::Untold;

/// How often at most it is said that it is not known of flows whether they fit.
const UNTOLD: Duration = Duration::from_secs(10);

/// Flows of which it is not known whether they fit, since that was said last.
#[derive(Debug, Default)]
pub(super) struct Count {
    fact: &'static str,
    flows: u64,
    said: Option<Instant>,
}

impl Count {
    pub(super) fn add(&mut self, fact: &'static str) {
        self.fact = fact;
        self.flows += 1;
    }

    /// What is to be said now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Untold> {
        let early = self.said.is_some_and(|said| now < said + UNTOLD);
        if self.flows == 0 || early {
            return None;
        }
        self.said = Some(now);
        Some(Untold {
            fact: self.fact.to_owned(),
            flows: std::mem::take(&mut self.flows),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_said_at_once_and_then_by_count() {
        let mut count = Count::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(count.due(at(0)), None);
        let mut add = |seconds| {
            count.add("program");
            count.due(at(seconds)).map(|untold| untold.flows)
        };
        assert_eq!(
            [0, 1, 9, 10, 11].map(&mut add),
            [Some(1), None, None, Some(3), None]
        );
        assert_eq!(count.due(at(20)).map(|untold| untold.flows), Some(1));
        assert_eq!(count.due(at(40)), None);
    }
}
