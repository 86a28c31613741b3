//! Rules of AdBlock and AdGuard for name servers.
//!
//! Invariant: a rule is an entry only where it speaks of a name as a whole, for everybody: rules
//! about parts of pages, about some clients or kinds of requests, and rules that rewrite answers
//! are counted and passed over. `@@` makes an exception, of a name or of a pattern. A name that is
//! `$important` goes before all that are not, exceptions among them; on a pattern it says nothing more.

use std::collections::HashSet;

use pointsman_policy::domain::Name;
use pointsman_policy::set::{Item, Place, Reach};
use pointsman_policy::{Prefix, line};

use super::entry::ends_in_number;
use super::lines::{Line, Lines, before_hosts_comment, each, is_cosmetic, is_style};
use super::look::names;
use super::modifiers::{self, SOME_REQUESTS};
use super::{Behavior, Bytes, Reading, Unreadable, hosts};

const PASSED: &str = "rules that say nothing about whole names";
const PARTS: &str = "patterns for parts of addresses, not for names (`-ads.`),";
const PAGES: &str = "rules for a browser's pages (`$all`, `$document`)";
const REWRITES: &str = "rules that rewrite answers";
const SOME: &str = "rules for some clients or some kinds of queries";
const BUT: &str = "rules with exceptions of their own (`$denyallow`)";
const ADDRESSES: &str = "exceptions for addresses";

/// The most rules that `$badfilter` can take back.
const MOST_TAKEN_BACK: usize = 10_000;

/// What a rule says besides its pattern.
#[derive(Clone, Copy)]
struct Sign {
    except: bool,
    important: bool,
}

/// What is done with a rule.
enum Rule<'l> {
    Hosts(&'l str),
    Network(Sign, &'l str),
    /// Under which words it is passed over.
    Passed(&'static str),
    /// It takes another back.
    TakesBack,
}

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let taken_back = taken_back(bytes)?;
    bytes.rewind()?;
    let mut seen = modifiers::Seen::default();
    each(bytes, reading, bare, |line, number, _, reading| {
        if taken_back.is_empty() || !taken_back.contains(line) {
            let rule = rule(line);
            match rule {
                Rule::Passed(PASSED) => {}
                Rule::Passed(SOME_REQUESTS) => {
                    seen.some_requests(split(line).1, line.starts_with("@@"));
                }
                _ => seen.another(),
            }
            take_rule(rule, line, number, reading);
        }
    })?;
    seen.tell(reading.told);
    Ok(())
}

/// A line that is no comment.
fn bare(line: &str) -> &str {
    let line = line.trim();
    let comment = line.starts_with(['!', '#']) && !is_style(line);
    if comment || is_section(line) {
        ""
    } else {
        line
    }
}

/// `[Adblock Plus 2.0]`, or a section of programs of the same kind.
fn is_section(line: &str) -> bool {
    line.starts_with('[') && line.ends_with(']')
}

/// Takes a line that is no comment.
pub(super) fn take(line: &str, number: u32, reading: &mut Reading<'_>) {
    take_rule(rule(line), line, number, reading);
}

fn take_rule(rule: Rule<'_>, line: &str, number: u32, reading: &mut Reading<'_>) {
    match rule {
        Rule::TakesBack => {}
        Rule::Hosts(names) => hosts::take(before_hosts_comment(line), names, number, reading),
        Rule::Network(sign, pattern) => network(reading, sign, pattern, number, line),
        Rule::Passed(what) => reading.told.pass(what, number, line),
    }
}

/// The rules that others with `$badfilter` take back, as written.
fn taken_back(bytes: &mut dyn Bytes) -> Result<HashSet<String>, Unreadable> {
    let mut found = HashSet::new();
    let mut lines = Lines::new(bytes);
    while let Some((_, line)) = lines.next()? {
        let Line::Text(line) = line else { continue };
        if !line.contains('$') || !line.contains("badfilter") || found.len() >= MOST_TAKEN_BACK {
            continue;
        }
        let Some((rule, modifiers)) = line.trim().rsplit_once('$') else {
            continue;
        };
        let rest = modifiers.split(',').filter(|word| *word != "badfilter");
        let rest: Vec<&str> = rest.collect();
        if rest.len() < modifiers.split(',').count() {
            found.insert(if rest.is_empty() {
                rule.to_owned()
            } else {
                format!("{rule}${}", rest.join(","))
            });
        }
    }
    Ok(found)
}

fn rule(line: &str) -> Rule<'_> {
    if is_style(line) {
        return Rule::Passed(PASSED);
    }
    if let Some((address, names)) = names(before_hosts_comment(line)) {
        return if address.is_loopback() || address.is_unspecified() {
            Rule::Hosts(names)
        } else {
            Rule::Passed(REWRITES)
        };
    }
    let (except, body) = match line.strip_prefix("@@") {
        Some(body) => (true, body),
        None => (false, line),
    };
    let (pattern, modifiers) = split(body);
    if !is_regex(pattern) && is_cosmetic(body) {
        return Rule::Passed(PASSED);
    }
    let (mut important, mut of_some_requests) = (false, false);
    for modifier in modifiers.split(',').map(str::trim) {
        match modifier.split('=').next().unwrap_or(modifier) {
            "" => {}
            "important" => important = true,
            "badfilter" => return Rule::TakesBack,
            "dnsrewrite" => return Rule::Passed(REWRITES),
            "client" | "ctag" | "dnstype" => return Rule::Passed(SOME),
            // Filters for name servers do not know them; they say more than nothing of the name.
            "all" | "doc" | "document" => return Rule::Passed(PAGES),
            "denyallow" => return Rule::Passed(BUT),
            // Whose page a flow is of is not to be seen; a list that blocks a name there means a tracker.
            "third-party" | "3p" if !except => {}
            _ => of_some_requests = true,
        }
    }
    if of_some_requests {
        return Rule::Passed(match is_whole_name(pattern) {
            true => SOME_REQUESTS,
            false => PASSED,
        });
    }
    Rule::Network(Sign { except, important }, pattern)
}

/// Whether a pattern is a name with all below: `||x^`.
fn is_whole_name(pattern: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
    let name = pattern.strip_prefix("||");
    let name = name.map(|name| name.trim_end_matches(['^', '|']));
    name.is_some_and(|name| name.contains('.') && name.chars().all(in_name))
}

/// The pattern of a rule and its modifiers. A `$` inside a regular expression is its own.
fn split(body: &str) -> (&str, &str) {
    if body.starts_with('/')
        && let Some(end) = body.rfind('/').filter(|end| *end > 0)
    {
        let (pattern, rest) = body.split_at(end + 1);
        if rest.is_empty() || rest.starts_with('$') {
            return (pattern, rest.strip_prefix('$').unwrap_or(rest));
        }
    }
    body.split_once('$').unwrap_or((body, ""))
}

fn is_regex(pattern: &str) -> bool {
    pattern.len() > 2 && pattern.starts_with('/') && pattern.ends_with('/')
}

fn network(reading: &mut Reading<'_>, sign: Sign, pattern: &str, number: u32, written: &str) {
    let Sign { except, important } = sign;
    if is_regex(pattern) {
        let inner = &pattern[1..pattern.len() - 1];
        if inner.contains('/') {
            // It looks for a path or a scheme, which no name has.
            reading.told.pass(PASSED, number, written);
        } else if except {
            reading.except(line::domain_regex(inner), number, written);
        } else {
            reading.pattern(inner, number, written);
        }
        return;
    }
    let (rest, anchor) = match (pattern.strip_prefix("||"), pattern.strip_prefix('|')) {
        (Some(rest), _) => (rest, Anchor::Label),
        (None, Some(rest)) => (rest, Anchor::Start),
        (None, None) => (pattern, Anchor::None),
    };
    let body = rest.trim_end_matches(['^', '|']);
    let closed = body.len() < rest.len();
    if let Some(name) = body.strip_prefix("*.").filter(|name| !name.contains('*')) {
        return below(reading, sign, name, number, written);
    }
    // `.x.test` stands in addresses of names below `x.test`, and seldom elsewhere.
    if anchor == Anchor::None
        && let Some(name) = body.strip_prefix('.')
        && is_below(name)
    {
        return below(reading, sign, name, number, written);
    }
    if anchor == Anchor::None && !closed && is_part(body) {
        return reading.told.pass(PARTS, number, written);
    }
    let whole = match anchor {
        Anchor::Label => Some(true),
        Anchor::Start if closed => Some(false),
        Anchor::None if !closed => Some(reading.recipe.behavior == Some(Behavior::Names)),
        Anchor::Start | Anchor::None => None,
    };
    let (Some(below), false) = (whole, body.contains('*')) else {
        loose(
            reading,
            except,
            &Loose {
                body,
                anchor,
                closed,
            },
            number,
            written,
        );
        return;
    };
    let address = body.strip_prefix('[').and_then(|b| b.strip_suffix(']'));
    if let Ok(prefix) = address.unwrap_or(body).parse::<Prefix>() {
        if except {
            reading.told.pass(ADDRESSES, number, written);
        } else {
            reading.prefix(prefix, false, number, written);
        }
    } else if important {
        if let Ok(name) = Name::parse(body, &mut reading.buffer)
            && !ends_in_number(name.as_str())
        {
            let item = Item::Important {
                name,
                reach: if below { Reach::Suffix } else { Reach::Exact },
                except,
            };
            let line = number;
            reading.sink.add(item, Place { line, written });
        } else {
            unread(reading, body, number, written);
        }
    } else if except {
        // `@@||host/path` is about a part of an address, as `||host/path` is.
        match body.is_empty() || Name::parse(body, &mut reading.buffer).is_ok() {
            true => reading.exception(body, below, number, written),
            false => unread(reading, body, number, written),
        }
    } else if reading.name(body, below, number, written).is_err() {
        unread(reading, body, number, written);
    }
}

/// Takes the names below another, without itself: a pattern with its dot is nowhere in it.
fn below(reading: &mut Reading<'_>, sign: Sign, name: &str, number: u32, written: &str) {
    let Sign { except, important } = sign;
    if Name::parse(name, &mut reading.buffer).is_err() {
        return unread(reading, name, number, written);
    }
    let taken = match (important, except) {
        (true, _) => {
            let important = |name| Item::Important {
                name,
                reach: Reach::Below,
                except,
            };
            reading.named(name, important, number, written)
        }
        (false, true) => reading.named(name, Item::ExceptBelow, number, written),
        (false, false) => reading.named(name, Item::Below, number, written),
    };
    if let Err(why) = taken {
        reading.bad(number, written, format!("`{written}` is no domain: {why}"));
    }
}

/// Whether what stands behind a dot is a name of two labels or more, whose last one is letters.
fn is_below(name: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let last = name.rsplit_once('.').map(|(_, last)| last);
    let lettered = |last: &str| last.len() > 1 && last.bytes().all(|b| b.is_ascii_alphabetic());
    last.is_some_and(|last| lettered(last) || last.starts_with("xn--")) && name.chars().all(in_name)
}

/// Whether a pattern without its anchors is a part of an address and no name: `-ads.`, `_ad_impression.`, `banner`.
fn is_part(pattern: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let cut = pattern.starts_with(['-', '_']) || pattern.ends_with(['-', '_', '.']);
    !pattern.is_empty() && pattern.chars().all(in_name) && (cut || !pattern.contains('.'))
}

/// Tells of a rule that is about no name: it belongs to another format, is about a part of an address, or is bad.
fn unread(reading: &mut Reading<'_>, body: &str, number: u32, written: &str) {
    // `.ads.` is a part of an address here.
    if !body.starts_with('.') && reading.foreign(written, number) {
        return;
    }
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | ' ' | '\t');
    let why = match body {
        "" => "it would hold every name".to_owned(),
        _ if body.starts_with('.') || !body.chars().all(in_name) => {
            return reading.told.pass(PASSED, number, written);
        }
        _ => {
            let why = reading.name(body, false, number, written).err();
            why.unwrap_or_default()
        }
    };
    reading.bad(number, written, format!("`{written}` is no rule: {why}"));
}

/// Where a pattern begins in a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Label,
    None,
    Start,
}

/// A pattern that is not one name.
struct Loose<'l> {
    body: &'l str,
    anchor: Anchor,
    /// Whether it reaches to the name's end.
    closed: bool,
}

fn loose(reading: &mut Reading<'_>, except: bool, pattern: &Loose<'_>, number: u32, written: &str) {
    let Loose {
        body,
        anchor,
        closed,
    } = *pattern;
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
    if body.is_empty() || !body.chars().all(known) {
        return unread(reading, body, number, written);
    }
    let inner = body.trim_matches('*');
    let open = |anchored: bool, starred: bool| !anchored || starred;
    if open(anchor != Anchor::None, body.starts_with('*'))
        && open(closed, body.ends_with('*'))
        && !inner.contains('*')
        && let Ok(condition) = line::domain_keyword(inner)
    {
        match except {
            true => reading.except(Ok(condition), number, written),
            false => reading.condition(condition, number, written),
        }
        return;
    }
    let mut regex = String::from(match anchor {
        Anchor::Label => r"(?:^|\.)",
        Anchor::None => "",
        Anchor::Start => "^",
    });
    for c in body.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '.' => regex.push_str(r"\."),
            c => regex.push(c),
        }
    }
    if closed {
        regex.push('$');
    }
    if except {
        reading.except(line::domain_regex(&regex), number, written);
    } else {
        reading.pattern(&regex, number, written);
    }
}
