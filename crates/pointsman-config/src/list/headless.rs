//! The rules of sing-box's rule sets, from JSON or packed, as conditions.
//!
//! Of one rule must hold: any of its names, keywords, patterns and addresses; and any of its source
//! addresses; and any of its ports; and any of its source ports; and any of each other kind that it
//! has. `invert` turns all of that around. A rule set holds if any of its rules does.
//!
//! Invariant: a rule with something that cannot be said here is left out whole: without that part it
//! would hold for more.

use std::ops::RangeInclusive;

use pointsman_policy::Prefix;
use pointsman_policy::condition::{AddressOf, Asks, Condition, Side, TextField, TextTest};
use pointsman_policy::fact::Network;

use regex::RegexBuilder;

use super::entry::MOST_PATTERNS;
use super::numbered::{Test, any};

/// The most memory that one compiled pattern may take, in bytes: as for patterns in rules.
const PATTERN_SIZE: usize = 1 << 20;

/// How deep rules may stand in rules.
pub(super) const MAX_DEPTH: usize = 32;

/// A rule while it is read.
#[derive(Default)]
pub(super) struct Rule {
    /// Names and addresses of the destination.
    destination: Vec<Condition>,
    sources: Vec<Condition>,
    ports: Vec<RangeInclusive<u16>>,
    source_ports: Vec<RangeInclusive<u16>>,
    /// Each: a kind, of which any must hold.
    others: Vec<Vec<Condition>>,
    /// The first thing in it that cannot be said.
    unsayable: Option<String>,
    /// How many patterns it has: they are bounded before they take memory.
    patterns: usize,
    pub(super) invert: bool,
}

/// What a kind of entry in a rule is about, besides names, addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    Network,
    ProcessName,
    ProcessPath,
    ProcessPathRegex,
}

impl Rule {
    /// Whether nothing was said of it that is no name and no address of the destination.
    pub(super) fn is_plain(&self) -> bool {
        let Self {
            destination: _,
            sources,
            ports,
            source_ports,
            others,
            unsayable,
            patterns: _,
            invert,
        } = self;
        let lists = sources.is_empty() && ports.is_empty() && source_ports.is_empty();
        lists && others.is_empty() && unsayable.is_none() && !invert
    }

    /// Adds a test on names.
    pub(super) fn test(&mut self, test: Test<'_>) {
        if matches!(test, Test::Regex(_)) && !self.counts_patterns(1) {
            return;
        }
        match test.condition() {
            Ok(condition) => self.destination.push(condition),
            Err(why) => self.cannot(why),
        }
    }

    /// Adds addresses of the destination or of the source.
    pub(super) fn prefix(&mut self, side: Side, prefix: Prefix) {
        let (of, asks, to) = match side {
            Side::Destination => (AddressOf::Destination, Asks::Resolve, &mut self.destination),
            Side::Source => (AddressOf::Source, Asks::Never, &mut self.sources),
        };
        to.push(Condition::Address { of, prefix, asks });
    }

    /// Adds a port.
    pub(super) fn port(&mut self, side: Side, port: u16) {
        self.ports(side, port..=port);
    }

    /// Adds ports as they are written: `1000:2000`, `:3000`, `4000:`.
    pub(super) fn port_range(&mut self, side: Side, written: &str) {
        match parse_ports(written) {
            Some(range) => self.ports(side, range),
            None => self.cannot(format!("`{written}` is no range of ports")),
        }
    }

    fn ports(&mut self, side: Side, range: RangeInclusive<u16>) {
        match side {
            Side::Destination => self.ports.push(range),
            Side::Source => self.source_ports.push(range),
        }
    }

    /// Adds all values of another kind.
    pub(super) fn other<T: AsRef<str>>(&mut self, kind: Other, values: &[T]) {
        if kind == Other::ProcessPathRegex && !self.counts_patterns(values.len()) {
            return;
        }
        let made: Result<Vec<Condition>, String> = values
            .iter()
            .map(|value| kind.condition(value.as_ref()))
            .collect();
        match made {
            Ok(made) if made.is_empty() => {}
            Ok(made) => self.others.push(made),
            Err(why) => self.cannot(why),
        }
    }

    /// Counts patterns; `false` where there are too many, and the rule is left out.
    fn counts_patterns(&mut self, more: usize) -> bool {
        self.patterns += more;
        let fits = self.patterns <= MOST_PATTERNS;
        if !fits {
            self.cannot(format!("a list holds at most {MOST_PATTERNS} patterns"));
        }
        fits
    }

    /// Notes an item that asks for what is not known here.
    pub(super) fn unsayable(&mut self, item: &str) {
        self.cannot(format!("`{item}` asks for what is not known here"));
    }

    /// Notes what cannot be said.
    pub(super) fn cannot(&mut self, why: String) {
        self.unsayable.get_or_insert(why);
    }

    /// The rule as a condition; why it is left out where it is none.
    pub(super) fn condition(self) -> Result<Condition, String> {
        if let Some(why) = self.unsayable {
            return Err(why);
        }
        let port = |side, ranges: Vec<RangeInclusive<u16>>| {
            let some = (!ranges.is_empty()).then_some(ranges);
            some.map(|ranges| Condition::Port {
                side,
                ranges,
                network: None,
            })
        };
        let mut parts = Vec::new();
        let groups = [self.destination, self.sources].into_iter();
        for group in groups.chain(self.others) {
            if !group.is_empty() {
                parts.push(any(group));
            }
        }
        parts.extend(port(Side::Destination, self.ports));
        parts.extend(port(Side::Source, self.source_ports));
        if parts.is_empty() {
            return Err("the rule asks for nothing".into());
        }
        Ok(inverted(self.invert, all(parts)))
    }
}

impl Other {
    fn condition(self, value: &str) -> Result<Condition, String> {
        Ok(match self {
            Self::Network => match value {
                "tcp" => Condition::Network(Network::Tcp),
                "udp" => Condition::Network(Network::Udp),
                "icmp" => Condition::Network(Network::Icmp),
                other => return Err(format!("the network `{other}` is unknown")),
            },
            Self::ProcessName => {
                Condition::Text(TextField::ProcessName, TextTest::Exact(value.into()))
            }
            Self::ProcessPath => {
                Condition::Text(TextField::ProcessPath, TextTest::Exact(value.into()))
            }
            Self::ProcessPathRegex => {
                Condition::Text(TextField::ProcessPath, TextTest::Regex(pattern(value)?))
            }
        })
    }
}

/// A rule made of rules: all of them must hold, or any.
pub(super) fn logical(
    and: bool,
    rules: Vec<Result<Condition, String>>,
    invert: bool,
) -> Result<Condition, String> {
    let rules: Vec<Condition> = rules.into_iter().collect::<Result<_, _>>()?;
    if rules.is_empty() {
        return Err("the rule has no rules in it".into());
    }
    Ok(inverted(invert, if and { all(rules) } else { any(rules) }))
}

/// A test as AdGuard writes it: `||` begins at a label, `|` at the beginning; `^` ends at the end;
/// `*` is any text.
pub(super) fn adguard(rule: &str) -> Adguard<'_> {
    let (anchor, rest) = match (rule.strip_prefix("||"), rule.strip_prefix('|')) {
        (Some(rest), _) => ("(?:^|\\.)", rest),
        (None, Some(rest)) => ("^", rest),
        (None, None) => ("", rule),
    };
    let (body, end) = match rest.strip_suffix('^') {
        Some(body) => (body, "$"),
        None => (rest, ""),
    };
    match anchor {
        _ if body.contains('*') || end.is_empty() => {}
        "^" => return Adguard::Plain(Test::Exact(body)),
        "(?:^|\\.)" => return Adguard::Plain(Test::Suffix(body)),
        _ => {}
    }
    let parts: Vec<String> = body.split('*').map(regex::escape).collect();
    Adguard::Pattern(format!("{anchor}{}{end}", parts.join(".*")))
}

/// What AdGuard's rule is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Adguard<'t> {
    Pattern(String),
    Plain(Test<'t>),
}

impl Adguard<'_> {
    /// The test.
    pub(super) fn test(&self) -> Test<'_> {
        match self {
            Self::Pattern(pattern) => Test::Regex(pattern),
            Self::Plain(test) => *test,
        }
    }
}

fn inverted(invert: bool, condition: Condition) -> Condition {
    if invert {
        Condition::Not(Box::new(condition))
    } else {
        condition
    }
}

fn all(mut conditions: Vec<Condition>) -> Condition {
    match conditions.pop() {
        Some(only) if conditions.is_empty() => only,
        Some(last) => {
            conditions.push(last);
            Condition::And(conditions)
        }
        None => Condition::Always,
    }
}

fn parse_ports(written: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = written.split_once(':')?;
    if low.is_empty() && high.is_empty() {
        return None;
    }
    let end = |text: &str, open: u16| match text {
        "" => Some(open),
        text => text.parse::<u16>().ok(),
    };
    let (low, high) = (end(low, 0)?, end(high, u16::MAX)?);
    (low <= high).then_some(low..=high)
}

/// A regular expression, within the bounds that rules have too.
fn pattern(text: &str) -> Result<regex::Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(PATTERN_SIZE);
    builder.dfa_size_limit(PATTERN_SIZE).nest_limit(64);
    builder.build().map_err(|error| {
        let shown = error.to_string();
        let what = shown.lines().last().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        format!("no regular expression: {what}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::numbered::canonical;

    #[test]
    fn ports_are_ranges_open_on_either_side() {
        let check = |written, expected| assert_eq!(parse_ports(written), expected, "{written}");
        check("1000:2000", Some(1000..=2000));
        check(":3000", Some(0..=3000));
        check("4000:", Some(4000..=65535));
        check("5:5", Some(5..=5));
        check("9:5", None);
        check(":", None);
        check("5", None);
        check("1:70000", None);
        check("+1:+2", Some(1..=2));
    }

    #[test]
    fn adguards_signs_are_anchors() {
        let check = |rule, expected: Test<'_>| {
            let made = adguard(rule);
            assert_eq!(made.test(), expected, "{rule}");
        };
        check("||a.b^", Test::Suffix("a.b"));
        check("|a.b^", Test::Exact("a.b"));
        check("a.b^", Test::Regex("a\\.b$"));
        check("||a.b", Test::Regex("(?:^|\\.)a\\.b"));
        check("|a.*.b^", Test::Regex("^a\\..*\\.b$"));
        check("||a*^", Test::Regex("(?:^|\\.)a.*$"));
        check("a", Test::Regex("a"));
    }

    #[test]
    fn kinds_are_all_asked_for_and_values_any() {
        let mut rule = Rule::default();
        rule.test(Test::Suffix("a.test"));
        rule.prefix(Side::Destination, "10.0.0.0/8".parse().unwrap());
        assert!(rule.is_plain());
        rule.prefix(Side::Source, "10.1.0.0/16".parse().unwrap());
        rule.port(Side::Destination, 443);
        rule.port_range(Side::Destination, ":80");
        rule.other(Other::Network, &["tcp", "udp"]);
        rule.invert = true;
        assert!(!rule.is_plain());
        assert_eq!(
            canonical(&rule.condition().unwrap()),
            "NOT, [AND, [OR, [DOMAIN-SUFFIX, a.test], [IP-CIDR, 10.0.0.0/8]], [SRC-IP-CIDR, 10.1.0.0/16], \
             [OR, [NETWORK, tcp], [NETWORK, udp]], [DST-PORT, 443|0-80]]"
        );
    }

    #[test]
    fn what_cannot_be_said_leaves_the_rule_out() {
        let check = |make: fn(&mut Rule), expected: &str| {
            let mut rule = Rule::default();
            rule.test(Test::Suffix("a.test"));
            make(&mut rule);
            assert_eq!(rule.condition().unwrap_err(), expected);
        };
        check(
            |r| r.unsayable("wifi_ssid"),
            "`wifi_ssid` asks for what is not known here",
        );
        check(
            |r| r.port_range(Side::Source, "9:5"),
            "`9:5` is no range of ports",
        );
        check(
            |r| r.other(Other::Network, &["tcp", "sctp"]),
            "the network `sctp` is unknown",
        );
        check(
            |r| r.test(Test::Exact("a..b")),
            "`a..b` is no domain: the name has an empty label",
        );
        assert_eq!(
            Rule::default().condition().unwrap_err(),
            "the rule asks for nothing"
        );
        assert!(logical(true, vec![Err("x".into()), Ok(Condition::Always)], true).is_err());
        assert!(logical(false, Vec::new(), true).is_err());
    }
}
