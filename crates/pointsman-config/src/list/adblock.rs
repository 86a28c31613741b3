//! Rules of AdBlock and AdGuard for name servers.
//!
//! Invariant: a rule is an entry only where it speaks of a name as a whole, for everybody: rules
//! about parts of pages, about some clients or kinds of requests, and rules that rewrite answers
//! are counted and passed over. `@@` makes an exception, of a name or of a pattern. A name that is
//! `$important` goes before all that are not, exceptions among them; on a pattern it says nothing more.

use std::collections::HashSet;

use pointsman_policy::domain::Name;
use pointsman_policy::set::{Item, Place};
use pointsman_policy::{Prefix, line};

use super::lines::{Line, Lines, before_comment};
use super::{Bytes, Reading, Unreadable, hosts};

const PASSED: &str = "rules that say nothing about whole names";
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
    Comment,
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
    let mut lines = Lines::new(bytes);
    while let Some((number, line)) = lines.next()? {
        let line = match line {
            Line::Text(line) => line.trim(),
            Line::Broken(why, shown) => {
                reading.broken(number, &shown, why);
                continue;
            }
        };
        if !taken_back.is_empty() && taken_back.contains(line) {
            continue;
        }
        match rule(line) {
            Rule::Comment | Rule::TakesBack => {}
            Rule::Hosts(names) => hosts::take(before_comment(line), names, number, reading),
            Rule::Network(sign, pattern) => network(reading, sign, pattern, number, line),
            Rule::Passed(what) => reading.told.pass(what, number, line),
        }
    }
    Ok(())
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
    let cosmetic = ["##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "$$"];
    if line.is_empty() || line.starts_with(['!', '[']) {
        return Rule::Comment;
    }
    if let Some(rest) = line.strip_prefix('#') {
        let styles = rest.starts_with('#') && !rest.starts_with("# ") && rest != "#";
        let styles = styles
            && rest
                .trim_start_matches('#')
                .starts_with(['.', '[', '#', '*']);
        return if styles {
            Rule::Passed(PASSED)
        } else {
            Rule::Comment
        };
    }
    if let Some((address, names)) = hosts::names(before_comment(line)) {
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
    if body.contains(['#', '$'])
        && !is_regex(pattern)
        && cosmetic.iter().any(|sign| body.contains(sign))
    {
        return Rule::Passed(PASSED);
    }
    let mut important = false;
    for modifier in modifiers.split(',').map(str::trim) {
        match modifier.split('=').next().unwrap_or(modifier) {
            "" => {}
            "important" => important = true,
            "badfilter" => return Rule::TakesBack,
            "dnsrewrite" => return Rule::Passed(REWRITES),
            "client" | "ctag" | "dnstype" => return Rule::Passed(SOME),
            "denyallow" => return Rule::Passed(BUT),
            _ => return Rule::Passed(PASSED),
        }
    }
    Rule::Network(Sign { except, important }, pattern)
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
    let (body, anchor) = match body.strip_prefix("*.") {
        // Names below it; a list that says so means the name as well.
        Some(bare) if !bare.contains('*') => (bare, Anchor::Label),
        _ => (body, anchor),
    };
    let whole = match anchor {
        Anchor::Label => Some(true),
        Anchor::Start if closed => Some(false),
        Anchor::None if !closed => Some(false),
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
    if let Ok(prefix) = body.parse::<Prefix>() {
        if except {
            reading.told.pass(ADDRESSES, number, written);
        } else {
            reading.prefix(prefix, false, number, written);
        }
    } else if important {
        if let Ok(name) = Name::parse(body, &mut reading.buffer) {
            let item = Item::Important {
                name,
                below,
                except,
            };
            let line = number;
            reading.sink.add(item, Place { line, written });
        } else {
            reading.told.pass(PASSED, number, written);
        }
    } else if except {
        reading.exception(body, below, number, written);
    } else if reading.name(body, below, number, written).is_err() {
        reading.told.pass(PASSED, number, written);
    }
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
        reading.told.pass(PASSED, number, written);
        return;
    }
    let inner = body.trim_matches('*');
    let open = |anchored: bool, starred: bool| !anchored || starred;
    if open(anchor != Anchor::None, body.starts_with('*'))
        && open(closed, body.ends_with('*'))
        && !inner.contains('*')
        && let Ok(condition) = line::domain_keyword(inner)
    {
        if except {
            reading.except(Ok(condition), number, written);
        } else {
            reading.condition(condition, number, written);
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
