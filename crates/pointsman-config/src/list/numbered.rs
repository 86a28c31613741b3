//! Entries of binary lists: known by their number, written as plain text would have them.
//!
//! Invariant: an entry that cannot be said is told and left out; it never becomes a wider one.

use std::fmt::Write as _;

use pointsman_policy::condition::{Condition, DomainTest};
use pointsman_policy::line::{self, Names, render_condition};
use pointsman_policy::set::{Item, Place};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Domain, Prefix};

use super::cased::from_cased;
use super::{Reading, Spot};

/// How much of a rule is shown, in bytes. The writers go by the rule itself.
pub(super) const SHOWN: usize = 1024;

/// A test on names, as lists have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test<'t> {
    /// All names below this one, without itself.
    Below(&'t str),
    /// This name alone.
    Exact(&'t str),
    /// Names that hold this text.
    Keyword(&'t str),
    /// Names that match, where case counts.
    Regex(&'t str),
    /// This name and all below.
    Suffix(&'t str),
}

impl Test<'_> {
    /// The test as a condition; what is wrong with it where it is none.
    pub(super) fn condition(self) -> Result<Condition, String> {
        let name =
            |text: &str| Domain::parse(text).map_err(|why| format!("`{text}` is no domain: {why}"));
        Ok(Condition::Domain(match self {
            Self::Below(text) => {
                let name = name(text)?;
                let itself = Condition::Domain(DomainTest::Exact(name.clone()));
                return Ok(Condition::And(vec![
                    Condition::Domain(DomainTest::Suffix(name)),
                    Condition::Not(Box::new(itself)),
                ]));
            }
            Self::Exact(text) => DomainTest::Exact(name(text)?),
            Self::Keyword(text) => return line::domain_keyword(text),
            Self::Regex(text) => return line::domain_regex(&from_cased(text)),
            Self::Suffix(text) => DomainTest::Suffix(name(text)?),
        }))
    }

    /// Writes it as a line of plain text has it.
    fn write(self, to: &mut String) {
        to.clear();
        let (sign, text) = match self {
            Self::Below(name) => (".", name),
            Self::Exact(name) => ("", name),
            Self::Keyword(text) => ("DOMAIN-KEYWORD,", text),
            Self::Regex(text) => {
                to.push_str("DOMAIN-REGEX,");
                to.push_str(&from_cased(text));
                return;
            }
            Self::Suffix(name) => ("+.", name),
        };
        to.push_str(sign);
        to.push_str(text);
    }
}

/// Entries while they are counted.
pub(super) struct Numbered<'r, 'a> {
    pub(super) reading: &'r mut Reading<'a>,
    /// How many there were.
    pub(super) count: u32,
    /// The line of the next one, where the list has lines.
    pub(super) line: Option<u32>,
    written: String,
}

impl<'r, 'a> Numbered<'r, 'a> {
    pub(super) fn new(reading: &'r mut Reading<'a>) -> Self {
        Self {
            reading,
            count: 0,
            line: None,
            written: String::new(),
        }
    }

    /// Counts an entry; gives its number or line.
    fn next(&mut self) -> u32 {
        self.count = self.count.saturating_add(1);
        self.line.unwrap_or(self.count)
    }

    /// Takes a test on names.
    pub(super) fn test(&mut self, test: Test<'_>) {
        let number = self.next();
        let mut written = std::mem::take(&mut self.written);
        test.write(&mut written);
        let bad = match test {
            Test::Below(name) | Test::Exact(name) | Test::Suffix(name) => {
                // The name as a part of what is written: so it need not be looked for there.
                let part = &written[written.len() - name.len()..];
                let item = |name| match test {
                    Test::Below(_) => Item::Below(name),
                    Test::Suffix(_) => Item::Suffix(name),
                    _ => Item::Exact(name),
                };
                let taken = self.reading.named(part, item, number, &written);
                taken
                    .err()
                    .map(|why| format!("`{name}` is no domain: {why}"))
            }
            Test::Regex(text) => {
                let pattern = from_cased(text);
                self.reading.try_pattern(&pattern, number, &written).err()
            }
            Test::Keyword(_) => match test.condition() {
                Ok(condition) => {
                    self.reading.probe(&condition, number, &written);
                    let place = Place {
                        line: number,
                        written: &written,
                    };
                    self.reading.sink.add(Item::Other(condition), place);
                    None
                }
                Err(why) => Some(why),
            },
        };
        if let Some(why) = bad {
            self.tell(number, &written, why);
        }
        self.written = written;
    }

    /// Takes a range of destination addresses.
    pub(super) fn prefix(&mut self, prefix: Prefix) {
        let number = self.next();
        self.written.clear();
        let _ = write!(self.written, "{prefix}");
        self.reading.prefix(prefix, false, number, &self.written);
    }

    /// Takes a rule that is no mere test on names or addresses.
    pub(super) fn rule(&mut self, condition: Condition) {
        let number = self.next();
        let mut written = canonical(&condition);
        let counted = self.reading.count_patterns(&condition);
        if written.len() > SHOWN {
            written.truncate(written.floor_char_boundary(SHOWN));
            written.push_str(" ...");
        }
        match counted {
            Ok(()) => self.reading.condition(condition, number, &written),
            Err(why) => self.tell(number, &written, why),
        }
    }

    /// Counts an entry that cannot be said.
    pub(super) fn leave_out(&mut self, shown: &str, why: String) {
        let number = self.next();
        self.tell(number, shown, why);
    }

    /// Tells of what is left out of an entry that is yet to come.
    pub(super) fn tell_besides(&mut self, why: String) {
        let number = self.line.unwrap_or_else(|| self.count.saturating_add(1));
        self.tell(number, "", why);
    }

    fn tell(&mut self, number: u32, shown: &str, why: String) {
        // A list of nothing but bad entries ends, too.
        self.reading.room.take(0);
        let spot = Spot::new(number, shown, 0, shown.len());
        self.reading.told.bad(spot, why);
    }
}

/// A condition in the syntax of rules. Rule sets and zones, which lists cannot name, are not in it.
pub(super) fn canonical(condition: &Condition) -> String {
    let names = Names {
        sets: &[],
        zones: &Zones::default(),
        ip_rules_resolve: true,
    };
    render_condition(condition, names)
}

/// The name whose names below, without itself, the condition is about.
pub(crate) fn below(condition: &Condition) -> Option<&Domain> {
    let Condition::And(parts) = condition else {
        return None;
    };
    let [
        Condition::Domain(DomainTest::Suffix(name)),
        Condition::Not(not),
    ] = parts.as_slice()
    else {
        return None;
    };
    match &**not {
        Condition::Domain(DomainTest::Exact(itself)) if itself == name => Some(name),
        _ => None,
    }
}

/// Any of several conditions; of one, that one.
pub(super) fn any(mut conditions: Vec<Condition>) -> Condition {
    match conditions.pop() {
        Some(only) if conditions.is_empty() => only,
        Some(last) => {
            conditions.push(last);
            Condition::Or(conditions)
        }
        None => Condition::Never,
    }
}
