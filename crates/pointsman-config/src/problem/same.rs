//! Problems that say the very same of many places, as one.
//!
//! A rule that is meant otherwise is seldom alone: a list of 20,000 would bury whatever else there is to say. Up to
//! three are told each at its place; of more the first is, with the lines of the next two and the number of the others.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};

use super::Problem;
use super::beyond::Beyond;

/// The most equal problems that are told one by one.
const MOST_APART: usize = 3;

/// Where else the very same is to be said, in the same file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// The lines of the next two.
    pub lines: Vec<u32>,
    /// How many there are besides the first.
    pub count: usize,
    /// Whether they are of one kind, and not the very same.
    pub alike: bool,
}

/// `the same on the lines 9 and 10, and of 19997 more`
impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.alike {
            let lines = self.lines.iter().take(MOST_LINES).map(u32::to_string);
            let lines: Vec<String> = lines.collect();
            let rules = if self.count == 1 { "rule" } else { "rules" };
            write!(f, "and {} more {rules}", self.count)?;
            return match lines.as_slice() {
                [] => Ok(()),
                [line] if self.count == 1 => write!(f, ": line {line}"),
                lines => {
                    let rest = if lines.len() < self.count {
                        ", ..."
                    } else {
                        ""
                    };
                    write!(f, ": lines {}{rest}", lines.join(", "))
                }
            };
        }
        if self.lines.is_empty() {
            return write!(f, "the same of {} more on this line", self.count);
        }
        let lines: Vec<String> = self.lines.iter().map(u32::to_string).collect();
        let word = if lines.len() == 1 {
            "line"
        } else {
            "the lines"
        };
        write!(f, "the same on {word} {}", lines.join(" and "))?;
        match self.count.saturating_sub(lines.len()) {
            0 => Ok(()),
            more => write!(f, ", and of {more} more"),
        }
    }
}

/// Notes of which an ordinary file has many, and that say much the same of each rule.
const REPEATED: [&str; 3] = ["answers-early", "fails-open", "never-sees-names"];

/// The most lines that stand for further notes of a kind.
const MOST_LINES: usize = 10;

/// One of each kind of the notes of which a file has many, with the lines of the others.
pub(super) fn folded(problems: &[Problem]) -> Vec<Problem> {
    let mut told: Vec<Problem> = Vec::new();
    let mut first: HashMap<(&str, &str), usize> = HashMap::new();
    for problem in problems {
        let kind = (problem.code, &**problem.span.file());
        let Some(at) = first
            .get(&kind)
            .filter(|_| REPEATED.contains(&problem.code))
        else {
            first.insert(kind, told.len());
            told.push(problem.clone());
            continue;
        };
        let head = &mut told[*at].again;
        let mut all = head.take().unwrap_or_default();
        all.lines.push(problem.span.line());
        all.count += 1;
        if let Some(again) = &problem.again {
            all.lines.extend(&again.lines);
            all.count += again.count;
        }
        all.alike = true;
        *head = Some(all);
    }
    told
}

/// Makes one of many that are equal; the others keep their order.
pub(super) fn join(problems: &mut Vec<Problem>, beyond: &mut Beyond) {
    join_kept(problems);
    for problem in problems {
        let Some(more) = beyond.take_same(problem) else {
            continue;
        };
        let again = problem.again.get_or_insert_default();
        again.count += more.count;
        if again.lines.len() < MOST_APART - 1 {
            again.lines.push(more.line());
        }
    }
}

fn join_kept(problems: &mut Vec<Problem>) {
    if problems.len() <= MOST_APART {
        return;
    }
    // Where the first of a kind stands, and how many there are.
    let mut kinds: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
    // Of each the first one that is equal.
    let mut heads = Vec::with_capacity(problems.len());
    for (at, problem) in problems.iter().enumerate() {
        let same = kinds.entry(hash(problem)).or_default();
        let known = same
            .iter_mut()
            .find(|(first, _)| is_equal(&problems[*first], problem));
        match known {
            Some((first, count)) => {
                *count += 1;
                heads.push(*first);
            }
            None => {
                same.push((at, 1));
                heads.push(at);
            }
        }
    }
    let counts = kinds.into_values().flatten();
    let many: HashMap<usize, usize> = counts.filter(|(_, count)| *count > MOST_APART).collect();
    if many.is_empty() {
        return;
    }
    let mut lines: HashMap<usize, Vec<u32>> = HashMap::new();
    for (at, head) in heads.iter().enumerate() {
        if *head != at && many.contains_key(head) {
            let lines = lines.entry(*head).or_default();
            if lines.len() < MOST_APART - 1 {
                lines.push(problems[at].span.line());
            }
        }
    }
    for (head, count) in &many {
        let lines = lines.remove(head).unwrap_or_default();
        let count = count - 1;
        problems[*head].again = Some(Again {
            lines,
            count,
            alike: false,
        });
    }
    let mut at = 0..;
    problems.retain(|_| {
        let at = at.next().unwrap_or(0);
        heads[at] == at || !many.contains_key(&heads[at])
    });
}

fn hash(problem: &Problem) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Problem { code, message, .. } = problem;
    (code, message, problem.span.file()).hash(&mut hasher);
    hasher.finish()
}

/// Whether two say the same of two places of one file.
fn is_equal(a: &Problem, b: &Problem) -> bool {
    let words = |problem: &Problem| {
        let Problem {
            severity,
            code,
            span,
            ..
        } = problem;
        (*severity, *code, span.file().clone())
    };
    // One that is many already stays what it is.
    let single = a.again.is_none() && b.again.is_none();
    single
        && words(a) == words(b)
        && a.message == b.message
        && a.hint == b.hint
        && a.related == b.related
}
