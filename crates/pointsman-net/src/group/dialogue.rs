//! What one flow over UDP asked and was answered, as far as it tells whether its target stopped. No I/O, no clock: time comes
//! in, in seconds.
//!
//! Invariant: who answers seldom is not taken for one that stopped: what nobody answers is held against what went without an
//! answer before.

/// How long nothing may come back: a question that is asked again after five seconds, as resolvers do, goes to the next
/// target.
pub(crate) const SILENCE: u64 = 3;

/// The fewest datagrams without an answer that tell something: one or two get lost.
const FEWEST: u32 = 3;
/// How many times as many as usual have to go without an answer.
const UNUSUAL: u32 = 3;
/// After a longer pause the count begins again. What only keeps a way open (`WireGuard` says something every 25 s) is not
/// answered, and asks nothing.
const LULL: u64 = 10;
/// In how many different seconds answers have to come before their absence tells something. A handshake is shorter, and
/// after it some protocols go one way (logs over DTLS).
const STEADY: u32 = 3;

/// What was asked and answered.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// Datagrams since the last answer.
    unanswered: u32,
    /// When the first of them was sent, and the last one.
    since: u64,
    latest: u64,
    /// How many went without an answer before one came, at most, of late.
    usual: u32,
    /// In how many seconds answers came.
    seconds: u32,
    /// Somebody looks at it before long.
    is_due: bool,
}

impl Dialogue {
    /// A datagram goes out; `true`: from now on somebody has to look whether it is answered. Cheap, for each datagram.
    pub(super) fn asks(&mut self, now: u64) -> bool {
        if self.unanswered == 0 || now.saturating_sub(self.latest) > LULL {
            (self.unanswered, self.since) = (0, now);
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.latest = now;
        !std::mem::replace(&mut self.is_due, true)
    }

    /// A datagram came back. Cheap, for each datagram.
    pub(super) fn is_answered(&mut self) {
        if self.unanswered > 0 {
            // One long wait is forgotten in the end.
            let before = self.usual - self.usual.div_ceil(4);
            self.usual = before.max(self.unanswered);
            self.unanswered = 0;
        }
    }

    /// It came in another second than the one before.
    pub(super) fn goes_on(&mut self) {
        self.seconds = self.seconds.saturating_add(1);
    }

    /// When to look again, where it is too early to tell; `None`: nobody looks until [`Self::asks`] says so.
    pub(super) fn look_again(&mut self, now: u64) -> Option<u64> {
        let at = self.since + SILENCE + 1;
        self.is_due = self.unanswered > 0 && now < at;
        self.is_due.then_some(at)
    }

    /// Nobody needs to look any more.
    pub(super) fn ignore(&mut self) {
        self.is_due = true;
    }

    /// Since when nothing was answered, and how many datagrams.
    pub(super) fn unanswered(&self) -> (u64, u32) {
        (self.since, self.unanswered)
    }

    /// Whether answers are missing that used to come.
    pub(super) fn lacks_answers(&self, now: u64) -> bool {
        let fewest = FEWEST.max(self.usual.saturating_mul(UNUSUAL));
        self.unanswered >= fewest && self.since + SILENCE < now
    }

    /// Whether it was answered for long enough that their absence tells something by itself.
    pub(super) fn is_steady(&self) -> bool {
        self.seconds >= STEADY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks once a second, and is answered after each `every` datagrams.
    fn talked(every: u64, seconds: u64) -> Dialogue {
        let mut dialogue = Dialogue::default();
        for now in 1..=seconds {
            dialogue.asks(now);
            if now % every == 0 {
                dialogue.is_answered();
                dialogue.goes_on();
            }
        }
        dialogue
    }

    #[test]
    fn answers_are_missed_where_they_used_to_come() {
        let mut dialogue = talked(1, 5);
        assert!(dialogue.is_steady());
        for now in 6..=8 {
            dialogue.asks(now);
            assert!(!dialogue.lacks_answers(now), "{now}");
        }
        assert!(!dialogue.lacks_answers(9), "three seconds are not over");
        assert!(dialogue.lacks_answers(10));
        dialogue.is_answered();
        assert!(!dialogue.lacks_answers(20));
    }

    #[test]
    fn one_or_two_that_are_lost_tell_nothing() {
        let mut dialogue = talked(1, 5);
        dialogue.asks(6);
        dialogue.asks(7);
        assert!(!dialogue.lacks_answers(15));
        dialogue.asks(15);
        assert!(dialogue.lacks_answers(15));
    }

    #[test]
    fn who_answers_seldom_is_left_alone() {
        let mut dialogue = talked(20, 100);
        assert!(dialogue.is_steady());
        for now in 101..160 {
            dialogue.asks(now);
            assert!(!dialogue.lacks_answers(now), "{now}");
        }
        dialogue.asks(160);
        assert!(dialogue.lacks_answers(160), "three times as many as usual");
        // What was unusual once is not usual for ever.
        dialogue.is_answered();
        for _ in 0..20 {
            dialogue.asks(161);
            dialogue.is_answered();
        }
        for now in 162..=170 {
            dialogue.asks(now);
        }
        assert!(dialogue.lacks_answers(170));
    }

    #[test]
    fn what_keeps_a_way_open_asks_nothing() {
        let mut dialogue = talked(1, 5);
        for time in 1..100 {
            let now = 5 + 25 * time;
            dialogue.asks(now);
            assert!(!dialogue.lacks_answers(now + 5), "{now}");
        }
    }

    #[test]
    fn a_handshake_is_no_steady_talk() {
        let mut dialogue = Dialogue::default();
        for _ in 0..10 {
            dialogue.asks(1);
            dialogue.is_answered();
        }
        dialogue.goes_on();
        assert!(!dialogue.is_steady());
    }

    #[test]
    fn it_is_looked_at_once_at_a_time() {
        let mut dialogue = Dialogue::default();
        assert!(dialogue.asks(1));
        assert!(!dialogue.asks(2), "somebody looks already");
        assert_eq!(dialogue.look_again(4), Some(5));
        assert!(!dialogue.asks(4));
        assert_eq!(dialogue.look_again(5), None);
        assert!(dialogue.asks(5), "from now on again");
        dialogue.is_answered();
        assert_eq!(dialogue.look_again(6), None);
        dialogue.ignore();
        assert!(!dialogue.asks(7), "never any more");
    }
}
