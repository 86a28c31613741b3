//! What is no longer kept of problems of which there are many: their numbers.
//!
//! A configuration of a million rules may be wrong in each of them. Of each code and severity the first are kept with
//! their words; of the others it is counted how many there are, so that what goes by numbers is exact.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Problem, Severity, Span};

/// The most problems of one code and severity that are kept with their words. Whoever mends a hundred asks again, and a
/// report of all kinds stays below a few megabytes.
const MOST_KEPT: usize = 100;

/// By what problems are counted.
type Kind = (&'static str, Severity);

/// Numbers of what is not kept.
#[derive(Clone, Default)]
pub(super) struct Beyond {
    /// Whether everything is kept.
    all: bool,
    /// How many of each kind are kept.
    kept: HashMap<Kind, usize>,
    /// What is kept, each as a number.
    known: HashSet<u64>,
    /// Of those that say the same as one that is kept: how many, the kind, and the line of the first.
    same: HashMap<u64, Same>,
    /// The others.
    left: BTreeMap<Kind, Left>,
    /// What was said last, where it is not kept: it may get a hint still.
    pub(super) last: Option<Box<Problem>>,
}

/// Further problems that say the very same as one that is kept.
#[derive(Clone)]
pub(super) struct Same {
    kind: Kind,
    pub(super) count: usize,
    first: Span,
}

impl Same {
    /// The line of the first of them.
    pub(super) fn line(&self) -> u32 {
        self.first.line()
    }
}

/// Further problems of a kind.
#[derive(Clone)]
struct Left {
    count: usize,
    first: Span,
}

impl Beyond {
    /// For who asks all problems and not people: nothing is left out.
    pub(super) fn nothing(all: bool) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.all
    }

    /// Whether a problem is to be kept; counts it otherwise.
    pub(super) fn keeps(&mut self, problem: &Problem) -> bool {
        self.last = None;
        let kind = (problem.code, problem.severity);
        let kept = self.kept.entry(kind).or_default();
        if self.all || *kept < MOST_KEPT {
            *kept += 1;
            self.known.insert(number(problem));
            return true;
        }
        let first = &problem.span;
        self.count(kind, number(problem), 1, first);
        false
    }

    fn count(&mut self, kind: Kind, number: u64, count: usize, first: &Span) {
        if self.known.contains(&number) {
            let none = || Same {
                kind,
                count: 0,
                first: first.clone(),
            };
            self.same.entry(number).or_insert_with(none).count += count;
        } else {
            self.leave(kind, count, first);
        }
    }

    fn leave(&mut self, kind: Kind, count: usize, first: &Span) {
        let none = || Left {
            count: 0,
            first: first.clone(),
        };
        self.left.entry(kind).or_insert_with(none).count += count;
    }

    /// Adds the numbers of others, which were kept before.
    pub(super) fn absorb(&mut self, other: Self) {
        for (number, same) in other.same {
            self.count(same.kind, number, same.count, &same.first);
        }
        for (kind, left) in other.left {
            self.leave(kind, left.count, &left.first);
        }
    }

    /// Takes what is known of problems that say the same as this one.
    pub(super) fn take_same(&mut self, problem: &Problem) -> Option<Same> {
        if self.same.is_empty() {
            return None;
        }
        self.same.remove(&number(problem))
    }

    /// How many of a severity are not kept and say something of their own.
    pub(super) fn of(&self, severity: Severity) -> usize {
        let left = self.left.iter();
        let own = left.filter(|((_, own), _)| *own == severity);
        own.map(|(_, left)| left.count).sum()
    }

    /// Leaves out kinds.
    pub(super) fn retain(&mut self, stays: impl Fn(&'static str, Severity) -> bool) {
        self.left
            .retain(|(code, severity), _| stays(code, *severity));
    }

    /// A problem for each kind of which some are not kept: how many there are.
    pub(super) fn told(&self) -> impl Iterator<Item = Problem> {
        self.left.iter().map(|((code, severity), left)| {
            let message = match left.count {
                1 => "1 more of this kind, here".to_owned(),
                count => format!("{count} more of this kind; the first of them is here"),
            };
            Problem::new(*severity, code, left.first.clone(), message)
        })
    }
}

/// What a problem says, and of which file.
pub(super) fn number(problem: &Problem) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Problem {
        severity,
        code,
        message,
        span,
        ..
    } = problem;
    (severity, code, message, span.file()).hash(&mut hasher);
    hasher.finish()
}
