//! The address ranges of a set: their table, and how they are written.
//!
//! Invariant: a list writes its ranges in few ways and keeps to each for long, so forms are kept as runs of
//! lines, apart for either family and for single addresses, which lists write without their length. A range
//! that is written otherwise than the run that its line is in stands by itself.

use std::net::IpAddr;

use super::places::At;
use super::prefixes::{PrefixBuilder, PrefixTable};
use crate::address::Prefix;

/// The ranges of a set.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    pub(super) table: PrefixTable,
    /// `None` in the small form, whose table has no lines either.
    pub(super) written: Option<Written>,
}

/// The ranges while they are collected.
#[derive(Debug)]
pub(super) struct RangesBuilder {
    table: PrefixBuilder,
    written: Option<Written>,
    /// The last line of each kind so far.
    reached: [u32; KINDS],
}

/// The forms of ranges, by line.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// For each kind of range, from which line on which form is usual; ascending.
    pub(super) runs: [Vec<At>; KINDS],
    /// Those that are written otherwise; sorted.
    pub(super) unusual: Vec<(Prefix, At)>,
}

/// IPv4 and IPv6, of more addresses or one.
const KINDS: usize = 4;

impl Ranges {
    /// The longest range that holds `address` (canonical) and its line.
    pub(super) fn find(&self, address: IpAddr) -> Option<(Prefix, u32)> {
        self.table.find(address)
    }

    /// Where a range stands that was found.
    pub(super) fn at(&self, prefix: Prefix, line: u32) -> Option<At> {
        self.written
            .as_ref()
            .map(|written| written.at(prefix, line))
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.table.bytes() + self.written.as_ref().map_or(0, Written::bytes)
    }
}

impl RangesBuilder {
    /// Of ranges that keep their lines and forms, or of the small form.
    pub(super) fn new(placed: bool) -> Self {
        Self {
            table: PrefixBuilder::default(),
            written: placed.then(Written::default),
            reached: [0; KINDS],
        }
    }

    /// Adds a range; `at` counts for nothing in the small form.
    pub(super) fn add(&mut self, prefix: Prefix, at: At) {
        match &mut self.written {
            Some(written) => {
                written.add(prefix, at, &mut self.reached[kind(prefix)]);
                self.table.add(prefix, at.line);
            }
            None => self.table.add(prefix, 0),
        }
    }

    pub(super) fn finish(self) -> Ranges {
        let written = self.written.map(|mut written| {
            written.unusual.sort_unstable();
            written.unusual.dedup();
            written.unusual.shrink_to_fit();
            written.runs.iter_mut().for_each(Vec::shrink_to_fit);
            written
        });
        Ranges {
            table: self.table.finish(),
            written,
        }
    }
}

impl Written {
    fn add(&mut self, prefix: Prefix, at: At, reached: &mut u32) {
        let runs = &mut self.runs[kind(prefix)];
        if runs.is_empty() || (*reached < at.line && runs.last().is_some_and(|r| r.form != at.form))
        {
            runs.push(at);
        } else if usual(runs, at.line) != Some(at.form) {
            // Another run from here on would take along what stands on this line or a later one.
            self.unusual.push((prefix, at));
        }
        *reached = at.line.max(*reached);
    }

    fn at(&self, prefix: Prefix, line: u32) -> At {
        let from = (prefix, At { line, form: 0 });
        let next = self.unusual.partition_point(|entry| *entry < from);
        let unusual = self.unusual.get(next);
        if let Some((other, at)) = unusual
            && *other == prefix
            && at.line == line
        {
            return *at;
        }
        let form = usual(&self.runs[kind(prefix)], line).unwrap_or(u32::MAX);
        At { line, form }
    }

    fn bytes(&self) -> usize {
        let runs = self.runs.iter().map(Vec::len).sum::<usize>();
        runs * size_of::<At>() + size_of_val(&*self.unusual)
    }
}

/// The form of the run that `line` is in.
fn usual(runs: &[At], line: u32) -> Option<u32> {
    let next = runs.partition_point(|run| run.line <= line);
    runs.get(next.checked_sub(1)?).map(|run| run.form)
}

fn kind(prefix: Prefix) -> usize {
    usize::from(prefix.address().is_ipv6()) * 2 + usize::from(prefix.is_single())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_keeps_its_line_and_form() {
        let check = |entries: &[(&str, u32, u32)], runs: usize, unusual: usize| {
            let mut builder = RangesBuilder::new(true);
            for (prefix, line, form) in entries {
                let (line, form) = (*line, *form);
                builder.add(prefix.parse().unwrap(), At { line, form });
            }
            let ranges = builder.finish();
            let written = ranges.written.as_ref().unwrap();
            let counted = written.runs.iter().map(Vec::len).sum::<usize>();
            assert_eq!(
                (counted, written.unusual.len()),
                (runs, unusual),
                "{entries:?}"
            );
            for (prefix, ..) in entries {
                let prefix: Prefix = prefix.parse().unwrap();
                let said = entries.iter().filter(|(p, ..)| p.parse() == Ok(prefix));
                let first = said.map(|(_, line, form)| (*line, *form)).min();
                let (found, line) = ranges.find(prefix.address()).unwrap();
                let at = ranges.at(found, line).unwrap();
                assert_eq!(
                    (found, Some((at.line, at.form))),
                    (prefix, first),
                    "{entries:?}"
                );
            }
        };
        check(&[], 0, 0);
        // One way for each kind, however they are mixed.
        check(
            &[
                ("10.0.0.0/8", 1, 0),
                ("1.1.1.1", 2, 1),
                ("11.0.0.0/8", 3, 0),
                ("2.2.2.2", 4, 1),
            ],
            2,
            0,
        );
        check(
            &[
                ("10.0.0.0/8", 1, 0),
                ("11.0.0.0/8", 5, 1),
                ("12.0.0.0/8", 9, 1),
            ],
            2,
            0,
        );
        // Twice on a line, and backwards.
        check(
            &[
                ("10.0.0.0/8", 1, 0),
                ("11.0.0.0/8", 1, 1),
                ("12.0.0.0/8", 1, 0),
            ],
            1,
            1,
        );
        check(
            &[
                ("10.0.0.0/8", 1, 0),
                ("11.0.0.0/8", 9, 0),
                ("12.0.0.0/8", 5, 1),
            ],
            1,
            1,
        );
        check(
            &[
                ("10.0.0.0/8", 7, 0),
                ("11.0.0.0/8", 5, 0),
                ("12.0.0.0/8", 8, 0),
            ],
            1,
            1,
        );
        // The first line's way counts, whichever of them is the usual one.
        check(
            &[
                ("10.0.0.0/8", 1, 0),
                ("9.0.0.0/8", 1, 1),
                ("9.0.0.0/8", 2, 0),
            ],
            1,
            1,
        );
        check(
            &[
                ("10.0.0.0/8", 1, 0),
                ("9.0.0.0/8", 3, 0),
                ("9.0.0.0/8", 2, 1),
            ],
            1,
            1,
        );
        check(
            &[
                ("10.0.0.0/8", 2, 0),
                ("10.0.0.0/8", 1, 1),
                ("9.0.0.0/8", 3, 2),
            ],
            2,
            1,
        );
    }

    #[test]
    fn the_small_form_finds_without_places() {
        let mut builder = RangesBuilder::new(false);
        builder.add("10.0.0.0/8".parse().unwrap(), At { line: 7, form: 3 });
        let ranges = builder.finish();
        let (prefix, line) = ranges.find("10.1.1.1".parse().unwrap()).unwrap();
        assert_eq!(ranges.at(prefix, line), None);
    }
}
