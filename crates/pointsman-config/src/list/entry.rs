//! One entry of a list: a name, a range, or a condition, handed to the sink.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use pointsman_policy::Domain;
use pointsman_policy::condition::{AddressOf, Asks, Condition, DomainTest, TextField, TextTest};
use pointsman_policy::domain::Name;
use pointsman_policy::line::{self, LineError, Scope};
use pointsman_policy::model::SetId;
use pointsman_policy::set::{Item, Place};

use super::blocks::looks_like_range;
use super::cased::from_cased;
use super::lines::uncommented;
use super::look::{Look, look};
use super::numbered::below;
use super::report::Remark;
use super::strange::of_entry;
use super::wildcard::is_glob;
use super::{Behavior, Format, Reading, Spot, mrs};
use crate::clash_rule::{self, Base, PRIVATE, Parts};

/// The most regular expressions of one list: most are programs of some hundred bytes, but some are automata of up to a MiB.
pub(super) const MOST_PATTERNS: usize = 4096;

/// The most work that the regular expressions of one list may make of a name: operations for each character. With a
/// name of 253 characters it takes some milliseconds; lists that people use are far below.
const MOST_WORK: usize = 65_536;

/// A message, and the bytes of the entry that it is about.
pub(super) type Fault = (String, usize, usize);

/// Names that have no letter or digit in common: a test that holds for each holds for all.
const PROBES: &[&str] = &["q7.example", "x.kz", "0-1.2-w.tv"];

/// Types of rules that Quantumult X alone has.
const QUANTUMULT: [&str; 5] = [
    "host",
    "host-keyword",
    "host-suffix",
    "host-wildcard",
    "ip6-cidr",
];

/// Types of rules that nobody means as a name.
const TYPES: [&str; 13] = [
    "DOMAIN",
    "DOMAIN-KEYWORD",
    "DOMAIN-REGEX",
    "DOMAIN-SUFFIX",
    "FINAL",
    "GEOIP",
    "GEOSITE",
    "IP-CIDR",
    "IP-CIDR6",
    "MATCH",
    "PROCESS-NAME",
    "RULE-SET",
    "URL-REGEX",
];

const SERVERS: &str = "addresses behind names";

const ATTRIBUTES: &str = "attributes of entries (`@...`)";

impl Reading<'_> {
    /// Takes an entry by the list's behaviour. It stands in `line` from the byte `start` on, unless it
    /// was quoted or escaped there.
    pub(super) fn entry(&mut self, entry: &str, number: u32, line: &str, start: usize) {
        // A comma alone parts it from the next line, as in sets of nftables and JSON.
        let entry = match entry.strip_suffix(',') {
            Some(alone) if !alone.contains(',') => alone.trim_end(),
            _ => entry,
        };
        let command = match self.recipe.behavior {
            Some(Behavior::IpCidr) | None => self.command(entry, number),
            Some(_) => None,
        };
        let made = match self.recipe.behavior {
            Some(Behavior::Clash | Behavior::Classical) => self.classical(entry, number),
            Some(Behavior::Domain | Behavior::Names) => self.domain(entry, number),
            _ if let Some(made) = command => made,
            Some(Behavior::IpCidr) => self.range(entry, number),
            None if looks_like_range(entry) => {
                let names = entry.contains([' ', '\t'])
                    && self.told.behavior != Some(Behavior::IpCidr)
                    && look(entry) == Look::Of(Format::Hosts);
                if names && self.foreign(entry, number) {
                    return;
                }
                self.range(entry, number)
            }
            None if looks_like_rule(entry) => self.classical(entry, number),
            None => self.domain(entry, number),
        };
        let Err((message, from, to)) = made else {
            return;
        };
        let stays_bad = match self.recipe.behavior {
            Some(Behavior::Clash | Behavior::Classical) => true,
            Some(Behavior::IpCidr) => !self.guarded(entry, number),
            Some(Behavior::Domain | Behavior::Names) => !self.foreign(entry, number),
            None => !self.guarded(entry, number) && !self.foreign(entry, number),
        };
        if stays_bad {
            let verbatim = line.get(start..).is_some_and(|t| t.starts_with(entry));
            let (from, to) = if verbatim {
                (start + from, start + to)
            } else {
                (start, line.len())
            };
            self.told.bad(Spot::new(number, line, from, to), message);
        }
    }

    /// Tells of a line that cannot be read.
    pub(super) fn broken(&mut self, number: u32, shown: &str, why: &str) {
        let spot = Spot::new(number, shown, 0, shown.len());
        self.told.bad(spot, why.to_owned());
    }

    /// Tells of a bad entry, all of it.
    pub(super) fn bad(&mut self, number: u32, written: &str, message: String) {
        let spot = Spot::new(number, written, 0, written.len());
        self.told.bad(spot, message);
    }

    /// Takes a name that the set does not hold, alone or with all below.
    pub(super) fn exception(&mut self, name: &str, below: bool, line: u32, written: &str) {
        let item = match Name::parse(name, &mut self.buffer) {
            Ok(name) if ends_in_number(name.as_str()) => {
                let message = format!("`{}` is no domain: {NUMBERED}", name.as_str());
                return self.bad(line, written, message);
            }
            Ok(name) if below => Item::ExceptSuffix(name),
            Ok(name) => Item::ExceptExact(name),
            Err(why) => {
                let message = format!("`{name}` is no domain: {why}");
                return self.bad(line, written, message);
            }
        };
        self.sink.add(item, Place { line, written });
    }

    /// Takes names that the set does not hold: those that pass a test.
    pub(super) fn except(&mut self, test: Result<Condition, String>, line: u32, written: &str) {
        let counted = test.and_then(|test| self.count_patterns(&test).map(|()| test));
        match counted {
            Ok(condition) => {
                self.probe(&condition, line, written);
                if let Condition::Domain(test) = condition {
                    self.sink.add(Item::Except(test), Place { line, written });
                }
            }
            Err(message) => self.bad(line, written, message),
        }
    }

    /// Takes a regular expression of names.
    pub(super) fn pattern(&mut self, regex: &str, line: u32, written: &str) {
        if let Err(message) = self.try_pattern(regex, line, written) {
            self.bad(line, written, message);
        }
    }

    pub(super) fn try_pattern(
        &mut self,
        regex: &str,
        line: u32,
        written: &str,
    ) -> Result<(), String> {
        let condition = line::domain_regex(regex)?;
        self.count_patterns(&condition)?;
        self.probe(&condition, line, written);
        self.sink
            .add(Item::Other(condition), Place { line, written });
        Ok(())
    }

    /// Counts the patterns that a condition is made of, each of which may take much memory and time; an error where
    /// there are too many.
    pub(super) fn count_patterns(&mut self, condition: &Condition) -> Result<(), String> {
        let (patterns, work) = patterns(condition);
        if self.patterns + patterns > MOST_PATTERNS {
            return Err(format!("a list holds at most {MOST_PATTERNS} patterns"));
        }
        if self.work + work > MOST_WORK {
            return Err("the patterns of the list would make every look-up slow".to_owned());
        }
        self.patterns += patterns;
        self.work += work;
        Ok(())
    }

    /// Takes a name, alone or with all below. `written` is the entry, signs and all.
    pub(super) fn name(
        &mut self,
        name: &str,
        below: bool,
        line: u32,
        written: &str,
    ) -> Result<(), String> {
        match below {
            true => self.named(name, Item::Suffix, line, written),
            false => self.named(name, Item::Exact, line, written),
        }
    }

    /// Takes a name as such an entry.
    pub(super) fn named<'n>(
        &'n mut self,
        name: &'n str,
        item: impl FnOnce(Name<'n>) -> Item<'n>,
        line: u32,
        written: &str,
    ) -> Result<(), String> {
        let name = Name::parse(name, &mut self.buffer).map_err(|why| why.to_string())?;
        if ends_in_number(name.as_str()) {
            return Err(NUMBERED.to_owned());
        }
        self.sink.add(item(name), Place { line, written });
        Ok(())
    }

    /// Tells of a test that holds every name: hardly anybody means that.
    pub(super) fn probe(&mut self, condition: &Condition, line: u32, written: &str) {
        static NAMES: LazyLock<Vec<Domain>> = LazyLock::new(|| {
            let names = PROBES.iter();
            names.filter_map(|name| Domain::parse(name).ok()).collect()
        });
        let Condition::Domain(test) = condition else {
            return;
        };
        if NAMES.iter().all(|name| test.holds(name)) {
            let spot = Spot::new(line, written, 0, written.len());
            let message = format!("`{written}` holds every name");
            self.told.say(Remark::TakesAll, spot, message);
        }
    }

    fn domain(&mut self, entry: &str, number: u32) -> Result<(), Fault> {
        let (entry, bare) = (without_attributes(entry), entry);
        if entry.len() < bare.len() {
            self.told.pass(ATTRIBUTES, number, bare);
        }
        let (entry, bare) = (without_servers(entry), entry);
        if entry.len() < bare.len() {
            self.told.pass(SERVERS, number, bare);
        }
        // Few names end so: the others are not looked at twice.
        if entry.ends_with(|c: char| c.is_ascii_digit() || c == '*') && looks_like_range(entry) {
            let message = format!("`{entry}` is a range of addresses, and this is a list of names");
            return Err((message, 0, entry.len()));
        }
        if TYPES.contains(&entry) {
            let message = format!("`{entry}` is a type of rules, and its content is missing");
            return Err((message, 0, entry.len()));
        }
        if let Some((mark, content)) = entry.split_once(':') {
            return self.marked(mark, content, entry, number);
        }
        if self.told.behavior != Some(Behavior::Domain) {
            let whole = |why: String| (why, 0, entry.len());
            // Patterns of dnscrypt-proxy's.
            if let Some(name) = entry.strip_prefix('=') {
                return self
                    .name(name, false, number, entry)
                    .map_err(|why| whole(format!("`{name}` is no domain: {why}")));
            }
            if is_glob(entry) {
                return self.glob(entry, number).map_err(whole);
            }
        }
        if entry.contains('*') && !entry.starts_with("*.") || entry.rfind('*') > Some(0) {
            return self
                .wildcard(entry, number)
                .map_err(|message| (message, 0, entry.len()));
        }
        if self.told.clash_marks && !entry.starts_with('+') {
            let fault = |why: String| (why, 0, entry.len());
            if let Some(name) = entry.strip_prefix("*.") {
                return self.one_label(name, number, entry).map_err(fault);
            }
            if let Some(name) = entry.strip_prefix('.') {
                let taken = self.named(name, Item::Below, number, entry);
                return taken.map_err(|why| fault(format!("`{entry}` is no domain: {why}")));
            }
        }
        let bare = ["+.", "*.", "."]
            .iter()
            .find_map(|sign| entry.strip_prefix(sign));
        let below = bare.is_some() || self.told.behavior != Some(Behavior::Domain);
        self.name(bare.unwrap_or(entry), below, number, entry)
            .map_err(|why| {
                let known = of_entry(entry);
                let message = known.unwrap_or_else(|| format!("`{entry}` is no domain: {why}"));
                (message, 0, entry.len())
            })
    }

    /// Takes the names that are one label below another.
    fn one_label(&mut self, name: &str, number: u32, entry: &str) -> Result<(), String> {
        let name = self.marked_name(name, entry)?;
        let regex = mrs::wildcard(&format!("*.{name}"), false);
        self.try_pattern(&regex, number, entry)
    }

    /// The name behind an entry's mark.
    fn marked_name(&mut self, name: &str, entry: &str) -> Result<String, String> {
        match Name::parse(name, &mut self.buffer) {
            Ok(name) if !ends_in_number(name.as_str()) => Ok(name.as_str().to_owned()),
            Ok(_) => Err(format!("`{entry}` is no domain: {NUMBERED}")),
            Err(why) => Err(format!("`{entry}` is no domain: {why}")),
        }
    }

    /// Takes an entry with a mark of v2ray's lists.
    fn marked(&mut self, mark: &str, content: &str, entry: &str, number: u32) -> Result<(), Fault> {
        let made = match mark {
            "domain" | "full" => self
                .name(content, mark == "domain", number, entry)
                .map_err(|why| format!("`{content}` is no domain: {why}")),
            "keyword" => line::domain_keyword(content)
                .map(|condition| self.condition(condition, number, entry)),
            "regexp" => self.try_pattern(&from_cased(content), number, entry),
            "include" => {
                let message = format!("`{entry}` takes in another list, which is not read");
                return Err((message, 0, entry.len()));
            }
            _ => {
                let message = of_entry(entry).unwrap_or_else(|| {
                    format!("`{mark}:` is no mark of an entry; marks are `domain:`, `full:`, `keyword:`, `regexp:`")
                });
                return Err((message, 0, entry.len()));
            }
        };
        made.map_err(|message| (message, entry.len() - content.len(), entry.len()))
    }

    fn classical(&mut self, entry: &str, number: u32) -> Result<(), Fault> {
        let entry = uncommented(entry);
        let whole = |message: String| (message, 0, entry.len());
        if let Some((kind, content)) = entry.split_once(',') {
            let below = match kind {
                "DOMAIN-SUFFIX" => Some(true),
                "DOMAIN" => Some(false),
                _ => None,
            };
            let plain = content.trim();
            if let Some(below) = below
                && self.name(plain, below, number, entry).is_ok()
            {
                return Ok(());
            }
        }
        let kind = entry.split(',').next().unwrap_or(entry).trim_end();
        if QUANTUMULT.iter().any(|own| own.eq_ignore_ascii_case(kind)) {
            return Err(whole(format!(
                "`{entry}` is a rule of Quantumult X, which names an outbound: take the same list for Surge or Clash"
            )));
        }
        let condition = self.rule(entry)?;
        self.count_patterns(&condition).map_err(whole)?;
        if let Condition::Text(TextField::UserAgent, test) = &condition
            && matches!(test, TextTest::Exact(t) | TextTest::ExactIgnoreCase(t) | TextTest::Keyword(t) | TextTest::KeywordIgnoreCase(t) if t.contains('*'))
        {
            let spot = Spot::new(number, entry, 0, entry.len());
            let message = format!(
                "`{entry}` never matches: `*` in it is no wildcard here (write the part of the name alone: `USER-AGENT, curl`)"
            );
            self.told.say(Remark::NeverMatches, spot, message);
        }
        self.condition(condition, number, entry);
        Ok(())
    }

    /// A rule in native words, else in Clash's: what both know means the same in either, but for programs.
    fn rule(&self, entry: &str) -> Result<Condition, Fault> {
        let any_case = self.recipe.behavior == Some(Behavior::Clash);
        let mut reader = clash_rule::Reader {
            base: &mut base,
            any_case,
        };
        let scope = Asking(self.scope);
        if any_case && clash_rule::asks_for_program(entry) {
            let made = reader.condition(entry);
            let made = made.and_then(|text| line::parse_condition(&text, &scope).map_err(said));
            return made.map_err(|message| (message, 0, entry.len()));
        }
        let error = match line::parse_condition(entry, &scope) {
            Ok(condition) => return Ok(condition),
            Err(error) => error,
        };
        let parts = Parts::of(entry, false);
        if let Some(word) = parts.ignored().next()
            && !parts.is_match()
            && !parts.content.starts_with(['\'', '"', '['])
        {
            let message = format!("`{word}` means nothing here: an entry names no outbound");
            let start = entry.rfind(word).unwrap_or_default();
            return Err((message, start, start + word.len()));
        }
        let fault = |error: LineError| (error.start, error.end, said(error));
        match reader.condition(entry) {
            Ok(text) => line::parse_condition(&text, &scope).map_err(|foreign| {
                // Of a rule that both languages know the native reader can tell the place.
                match error.code {
                    "rule-syntax" | "unknown-rule" => (said(foreign), 0, entry.len()),
                    _ => {
                        let (start, end, message) = fault(error);
                        (message, start, end)
                    }
                }
            }),
            Err(message) if clash_rule::is_clash(entry) => Err((message, 0, entry.len())),
            Err(_) => {
                let (start, end, message) = fault(error);
                Err((message, start, end))
            }
        }
    }

    /// Takes any condition; names and ranges among them become what they are.
    pub(super) fn condition(&mut self, condition: Condition, line: u32, written: &str) {
        let place = Place { line, written };
        match &condition {
            Condition::Domain(DomainTest::Exact(name) | DomainTest::Suffix(name))
                if ends_in_number(name.as_str()) =>
            {
                self.bad(line, written, format!("`{name}` is no domain: {NUMBERED}"));
            }
            Condition::Domain(DomainTest::Exact(name)) => {
                self.sink.add(Item::Exact(name.into()), place);
            }
            Condition::Domain(DomainTest::Suffix(name)) => {
                self.sink.add(Item::Suffix(name.into()), place);
            }
            Condition::Address {
                of: AddressOf::Destination,
                prefix,
                asks,
            } => self.prefix(*prefix, *asks == Asks::Never, line, written),
            _ if let Some(name) = below(&condition)
                && !ends_in_number(name.as_str()) =>
            {
                self.sink.add(Item::Below(name.into()), place);
            }
            _ => {
                self.probe(&condition, line, written);
                self.sink.add(Item::Other(condition), place);
            }
        }
    }
}

const NUMBERED: &str =
    "its last label is a number, so that it never matches: no name ends so (RFC 1123, 2.1)";

/// Whether the last label of a name is a number, as an address has it.
pub(super) fn ends_in_number(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.last().is_some_and(u8::is_ascii_digit)
        && bytes
            .iter()
            .rev()
            .take_while(|b| **b != b'.')
            .all(u8::is_ascii_digit)
}

/// An entry without the attributes of v2fly's lists: `a.test @ads &other`.
fn without_attributes(entry: &str) -> &str {
    let is_attribute = |word: &str| word.starts_with(['@', '&']) && word.len() > 1;
    let Some(at) = entry
        .find([' ', '\t'])
        .filter(|_| entry.contains(['@', '&']))
    else {
        return entry;
    };
    match entry[at..].split_ascii_whitespace().all(is_attribute) {
        true => &entry[..at],
        false => entry,
    }
}

/// An entry without the servers that dnscrypt-proxy's forwarding rules, or the addresses that its cloaking rules have
/// behind a name: `a.test 192.0.2.1,192.0.2.2:53`.
fn without_servers(entry: &str) -> &str {
    let Some((name, rest)) = entry.split_once([' ', '\t']) else {
        return entry;
    };
    let is_server =
        |text: &str| text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    let mut servers = rest
        .split([' ', '\t', ','])
        .filter(|text| !text.is_empty())
        .peekable();
    match servers.peek().is_some() && servers.all(is_server) && name.contains('.') {
        true => name,
        false => entry,
    }
}

/// What is wrong with a rule, with what to do.
fn said(error: LineError) -> String {
    match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    }
}

/// What stands for one of Clash's databases in a list, which can name no other.
fn base(base: Base) -> Result<String, String> {
    Ok(match base {
        Base::Asn(number) => format!("ASN, {number}"),
        Base::Country(code) => format!("GEOIP, {code}"),
        Base::Lan => {
            let ranges: Vec<String> = PRIVATE.iter().map(|r| format!("[IP-CIDR, {r}]")).collect();
            format!("OR, {}", ranges.join(", "))
        }
        Base::Site(name) => {
            return Err(format!(
                "an entry cannot ask for a category of sites: make `{name}` a rule set of its own (`format: dat`)"
            ));
        }
    })
}

/// Whether an entry is meant as a rule: a word in capitals stands before its first comma.
pub(super) fn looks_like_rule(entry: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ');
    entry
        .split_once(',')
        .is_some_and(|(kind, _)| kind.chars().all(word))
}

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

/// How many patterns a condition is made of, and the work that those on names make.
fn patterns(condition: &Condition) -> (usize, usize) {
    let (mut count, mut work) = (0, 0);
    condition.each_test(&mut |test| match test {
        Condition::Domain(DomainTest::Regex(pattern)) => {
            count += 1;
            work += pattern.work();
        }
        Condition::Text(_, TextTest::Regex(_)) => count += 1,
        _ => {}
    });
    (count, work)
}
