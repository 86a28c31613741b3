//! Rule providers: lists of domains, of address ranges, or of rules, one entry a line.
//!
//! Invariant: an entry knows its line. A bad entry is told and left out, the others serve; with
//! `strict` it is an error. Block lists in YAML (`payload:` and one `- entry` a line) are read
//! line by line, so a list of a million names costs no tree; any other YAML goes by the parser.
//!
//! Deliberately absent: fetching, and binary formats.

use std::sync::Arc;

use pointsman_policy::condition::{AddressOf, Asks, Condition, DomainTest};
use pointsman_policy::line::{self, Scope};
use pointsman_policy::model::SetId;
use pointsman_policy::set::RuleSetBuilder;
use pointsman_policy::{Domain, Prefix};

use crate::problem::{Problems, Severity, Source, Span};
use crate::yaml;

/// The most bad entries of one list that are told one by one.
const MOST_TOLD: usize = 20;

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// Conditions in the syntax of rules.
    #[default]
    Classical,
    /// Domains: plain ones exact, `.x`, `+.x`, `*.x` with all below.
    Domain,
    /// Address ranges.
    IpCidr,
    /// Domains, each with all below, however it is marked (the native dialect's).
    Names,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Adblock's network rules, of which `||name^` and plain names count.
    Adblock,
    /// One entry a line, `#` begins a comment.
    Text,
    /// A YAML mapping with the list `payload`.
    Yaml,
}

/// A list to be read.
pub struct List<'a> {
    /// Its text.
    pub source: &'a Arc<Source>,
    /// What its entries are.
    pub behavior: Behavior,
    /// How it is written; `None`: told by its first line.
    pub format: Option<Format>,
    /// Whether a bad entry is an error.
    pub strict: bool,
    /// What classical entries may refer to.
    pub scope: &'a dyn Scope,
}

/// Reads a list into a set.
pub fn read(list: &List<'_>, set: &mut RuleSetBuilder, problems: &mut Problems) {
    let mut reader = Reader {
        list,
        set,
        problems,
        bad: 0,
        passed: 0,
        last_bad: None,
    };
    let text = list.source.text.as_str();
    match list.format.unwrap_or_else(|| tell(text)) {
        Format::Adblock => reader.adblock(text),
        Format::Text => reader.text(text),
        Format::Yaml => reader.yaml(text),
    }
    reader.close();
}

/// A YAML list has the key `payload`, which no line of a text list is.
fn tell(text: &str) -> Format {
    if text.lines().any(|line| line.starts_with("payload:")) {
        return Format::Yaml;
    }
    let mut lines = text.lines().map(str::trim);
    match lines.find(|line| !line.is_empty() && !line.starts_with('#')) {
        Some(line) if line.starts_with('{') => Format::Yaml,
        Some(line) if line.starts_with("[Adblock") || line.starts_with('!') => Format::Adblock,
        Some(_) | None => Format::Text,
    }
}

/// The line of an offset that only grows: counts every line break once.
#[derive(Default)]
struct LineCounter {
    at: usize,
    breaks: u32,
}

impl LineCounter {
    fn line(&mut self, text: &str, offset: usize) -> u32 {
        let between = text.as_bytes().get(self.at..offset).unwrap_or_default();
        let more = between.iter().filter(|b| **b == b'\n').count();
        self.breaks = self
            .breaks
            .saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.at = self.at.max(offset);
        self.breaks.saturating_add(1)
    }
}

struct Reader<'r, 'a> {
    list: &'r List<'a>,
    set: &'r mut RuleSetBuilder,
    problems: &'r mut Problems,
    /// Bad entries so far.
    bad: usize,
    /// Adblock rules that are understood and say nothing about whole names.
    passed: usize,
    last_bad: Option<Span>,
}

/// Lines with their numbers and the offsets where they begin.
fn numbered(text: &str) -> impl Iterator<Item = (u32, usize, &str)> {
    let mut at = 0;
    (1..).zip(text.split_inclusive('\n')).map(move |(n, line)| {
        let start = at;
        at += line.len();
        (n, start, line.trim_end_matches(['\n', '\r']))
    })
}

/// Why a YAML list must go by the parser.
struct NotPlain;

impl Reader<'_, '_> {
    fn text(&mut self, text: &str) {
        for (number, start, line) in numbered(text) {
            let entry = match self.list.behavior {
                Behavior::Classical => line::without_comment(line),
                Behavior::Domain | Behavior::IpCidr | Behavior::Names => before_comment(line),
            };
            if !entry.is_empty() {
                let from = start + (line.len() - line.trim_start().len());
                self.entry(entry, number, from);
            }
        }
    }

    fn adblock(&mut self, text: &str) {
        for (number, start, line) in numbered(text) {
            let entry = line.trim();
            if entry.is_empty() || entry.starts_with(['!', '#', '[']) {
                continue;
            }
            let (name, below) = match entry.strip_prefix("||") {
                Some(rest) => (rest.strip_suffix('^'), true),
                None => (Some(entry), false),
            };
            match name.map(Domain::parse) {
                Some(Ok(name)) if below => self.set.add_suffix(name, number, entry),
                Some(Ok(name)) => self.set.add_exact(name, number, entry),
                Some(Err(_)) | None => {
                    self.passed += 1;
                    if self.last_bad.is_none() {
                        self.last_bad = Some(self.list.source.span(start, start + line.len()));
                    }
                }
            }
        }
    }

    fn yaml(&mut self, text: &str) {
        // The whole list is looked at first, so that nothing is added twice.
        let plain = plain_items(text, |_, _, _| {});
        if plain.is_ok() {
            let _ = plain_items(text, |entry, number, start| {
                self.entry(entry, number, start);
            });
            return;
        }
        let Some(root) = yaml::parse(self.list.source, self.problems) else {
            return;
        };
        let payload = match &root.value {
            yaml::Value::Map(pairs) => pairs
                .iter()
                .find(|(key, _)| key.scalar() == Some("payload"))
                .map(|(_, value)| value),
            yaml::Value::List(_) | yaml::Value::Scalar(..) => None,
        };
        let Some(payload) = payload else {
            let place = self.list.source.span(0, 0);
            self.problems
                .error("invalid-list", &place, "the list has no `payload`")
                .hint = Some("a list without it is `format: text`".into());
            return;
        };
        let mut lines = LineCounter::default();
        for item in payload.list("`payload`", self.problems) {
            let number = lines.line(text, item.span.start);
            match item.scalar() {
                Some(entry) if !item.is_null() => self.entry(entry, number, item.span.start),
                Some(_) | None => {
                    let end = item.span.text().lines().next().map_or(0, str::len);
                    self.bad(item.span.part(0, end), "an entry is one text".into());
                }
            }
        }
    }

    fn entry(&mut self, entry: &str, number: u32, start: usize) {
        let made = match self.list.behavior {
            Behavior::Classical => self.classical(entry, number),
            Behavior::Domain | Behavior::Names => self.domain(entry, number),
            Behavior::IpCidr => self.range(entry, number),
        };
        if let Err((message, from, to)) = made {
            // In YAML the text may stand in quotes or be escaped; then the entry is the place.
            let source = self.list.source;
            let verbatim = source
                .text
                .get(start..)
                .is_some_and(|t| t.starts_with(entry));
            let (from, to) = if verbatim {
                (from, to)
            } else {
                (0, entry.len())
            };
            self.bad(source.span(start + from, start + to), message);
        }
    }

    fn domain(&mut self, entry: &str, number: u32) -> Result<(), Fault> {
        let below = ["+.", "*.", "."]
            .iter()
            .find_map(|sign| entry.strip_prefix(sign));
        let name = Domain::parse(below.unwrap_or(entry))
            .map_err(|why| (format!("`{entry}` is no domain: {why}"), 0, entry.len()))?;
        match below {
            _ if self.list.behavior == Behavior::Names => {
                self.set.add_suffix(name, number, entry);
            }
            Some(_) => self.set.add_suffix(name, number, entry),
            None => self.set.add_exact(name, number, entry),
        }
        Ok(())
    }

    fn range(&mut self, entry: &str, number: u32) -> Result<(), Fault> {
        let (range, flag) = match entry.split_once(',') {
            Some((range, flag)) => (range.trim(), flag.trim()),
            None => (entry, ""),
        };
        if !flag.is_empty() && !flag.eq_ignore_ascii_case("no-resolve") {
            let message = format!("`{flag}` means nothing here");
            return Err((message, entry.len() - flag.len(), entry.len()));
        }
        let prefix: Prefix = range
            .parse()
            .map_err(|why| (format!("{why}"), 0, range.len()))?;
        self.prefix(prefix, !flag.is_empty(), entry, number);
        Ok(())
    }

    fn prefix(&mut self, prefix: Prefix, no_resolve: bool, entry: &str, number: u32) {
        if no_resolve && self.list.scope.ip_rules_resolve() {
            let condition = Condition::Address {
                of: AddressOf::Destination,
                prefix,
                asks: Asks::Never,
            };
            self.set.add_other(condition, number, entry);
        } else {
            self.set.add_prefix(prefix, number, entry);
        }
    }

    fn classical(&mut self, entry: &str, number: u32) -> Result<(), Fault> {
        let entry = line::without_comment(entry);
        let scope = Asking(self.list.scope);
        let condition = line::parse_condition(entry, &scope).map_err(|error| {
            let message = match error.hint {
                Some(hint) => format!("{} ({hint})", error.message),
                None => error.message,
            };
            (message, error.start, error.end)
        })?;
        match condition {
            Condition::Domain(DomainTest::Exact(name)) => self.set.add_exact(name, number, entry),
            Condition::Domain(DomainTest::Suffix(name)) => self.set.add_suffix(name, number, entry),
            Condition::Address {
                of: AddressOf::Destination,
                prefix,
                asks,
            } => self.prefix(prefix, asks == Asks::Never, entry, number),
            condition => self.set.add_other(condition, number, entry),
        }
        Ok(())
    }

    fn bad(&mut self, place: Span, message: String) {
        self.bad += 1;
        if self.bad <= MOST_TOLD {
            self.push(&place, message);
        }
        self.last_bad = Some(place);
    }

    fn push(&mut self, place: &Span, message: String) {
        let problem = self.problems.warning("invalid-entry", place, message);
        if self.list.strict {
            problem.severity = Severity::Error;
        } else {
            problem.hint = Some("this entry is left out; `strict: true` makes it an error".into());
        }
    }

    fn close(&mut self) {
        let Some(place) = self.last_bad.take() else {
            return;
        };
        if self.bad > MOST_TOLD {
            let more = self.bad - MOST_TOLD;
            self.push(
                &place,
                format!("{more} more bad entries, this one the last"),
            );
        }
        if self.passed > 0 {
            let passed = self.passed;
            let message =
                format!("{passed} rules say nothing about whole names and are passed over");
            self.problems.note("passed-over", &place, message);
        }
    }
}

/// A message, and the bytes of the entry that it is about.
type Fault = (String, usize, usize);

/// Entries of a set ask for addresses; the rule that uses the set may forbid it.
struct Asking<'a>(&'a dyn Scope);

impl Scope for Asking<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        self.0.rule_set(name)
    }
    fn rule_sets(&self) -> Vec<&str> {
        self.0.rule_sets()
    }
    fn has_country_db(&self) -> bool {
        self.0.has_country_db()
    }
    fn has_asn_db(&self) -> bool {
        self.0.has_asn_db()
    }
    fn ip_rules_resolve(&self) -> bool {
        true
    }
}

/// Calls `each` with the entries of a block list: text, line, offset. Stops at the first line that
/// is more than `- scalar`.
fn plain_items<'t>(
    text: &'t str,
    mut each: impl FnMut(&'t str, u32, usize),
) -> Result<(), NotPlain> {
    let mut indent = None;
    let mut begun = false;
    for (number, start, line) in numbered(text) {
        let bare = line.trim_start_matches(' ');
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if !begun {
            match before_comment(line) {
                "---" if indent.is_none() => {}
                "payload:" if bare.len() == line.len() => begun = true,
                _ => return Err(NotPlain),
            }
            continue;
        }
        let depth = line.len() - bare.len();
        if *indent.get_or_insert(depth) != depth {
            return Err(NotPlain);
        }
        let item = bare.strip_prefix("- ").ok_or(NotPlain)?;
        let scalar = item.trim_start_matches(' ');
        let offset = start + line.len() - scalar.len();
        let (entry, skipped) = plain_scalar(scalar)?;
        each(entry, number, offset + skipped);
    }
    if begun { Ok(()) } else { Err(NotPlain) }
}

/// A scalar that means what it shows, and how many bytes of quotes stand before it.
fn plain_scalar(written: &str) -> Result<(&str, usize), NotPlain> {
    if let Some(quote @ ('"' | '\'')) = written.chars().next() {
        let (inner, rest) = written[1..].split_once(quote).ok_or(NotPlain)?;
        let closed = rest.is_empty() || rest.starts_with([' ', '\t']);
        if !closed || !before_comment(rest).is_empty() || inner.contains(['\\', '\t']) {
            return Err(NotPlain);
        }
        return Ok((inner, 1));
    }
    let entry = before_comment(written);
    // `*.name` is an alias to YAML and a wildcard to everybody who writes lists.
    let special = entry.starts_with([
        '[', ']', '{', '}', '&', '!', '|', '>', '%', '@', '`', '?', ',', '-',
    ]) || (entry.starts_with('*') && !entry.starts_with("*."));
    if special || entry.contains(": ") || entry.ends_with(':') || entry.contains('\t') {
        return Err(NotPlain);
    }
    if entry.is_empty() || matches!(entry, "~" | "null" | "Null" | "NULL") {
        return Err(NotPlain);
    }
    Ok((entry, 0))
}

/// A line without its comment: `#` at its start or behind white space.
fn before_comment(line: &str) -> &str {
    let comment = line
        .match_indices('#')
        .find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}

#[cfg(test)]
mod tests;
