//! Readers of single values, shared by the dialects: a node in, a checked value or a problem out.
//!
//! Invariant: a reader that answers `None` has pushed an error, so callers may go on with what is
//! left. Deliberately absent: defaults; they stand where a dialect's keys are read.

mod address;
mod duration;
mod secret;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pointsman_policy::{Domain, Prefix};

pub use address::{
    BadAddress, EmptyHost, parse_bind, parse_descriptor, parse_endpoint, parse_host_port,
    parse_name_server, parse_place, parse_server, parse_unix,
};
pub use duration::{BadDuration, parse_duration, parse_go_duration};
pub use secret::{MAX_SECRET, secret};

use crate::odd;
use crate::problem::{Problems, Span, nearest};
use crate::setup::{Endpoint, Place, Server};
use crate::yaml::{Node, Style, Value};

/// Tells of a name server that nobody could reach: a link-local address without its interface.
pub fn require_interface(place: &Place, span: &Span, problems: &mut Problems) {
    if place.lacks_interface() {
        let ip = place.address.ip();
        let message = format!("`{ip}` is on every link: say on which interface");
        let problem = problems.error("invalid-address", span, message);
        problem.hint = Some(format!("write `[{ip}%eth0]:53`"));
    }
}

/// A duration as the native dialect writes it: `100ms`, `30s`, `5m`, `1h`, `1d`; longer than zero.
pub fn duration(node: &Node, what: &str, problems: &mut Problems) -> Option<Duration> {
    let text = node.text(what, problems)?;
    match parse_duration(text) {
        Ok(Duration::ZERO) => {
            let message = format!("{what} must be longer than zero");
            problems.error("invalid-value", &node.span, message).hint =
                Some("leave the key out for its default".into());
            None
        }
        Ok(duration) => Some(duration),
        Err(error) => {
            problems.error("invalid-value", &node.span, format!("{what}: {error}"));
            None
        }
    }
}

/// A [`duration`], or `off`: without a limit.
pub fn duration_or_off(
    node: &Node,
    what: &str,
    problems: &mut Problems,
) -> Option<Option<Duration>> {
    match node.scalar() {
        Some("off") => Some(None),
        _ => duration(node, what, problems).map(Some),
    }
}

/// A duration as Go writes it (`1m30s`, `-1s`) or a bare number of nanoseconds; in nanoseconds.
pub fn go_duration(node: &Node, what: &str, problems: &mut Problems) -> Option<i64> {
    let text = node.text(what, problems)?;
    let bare = matches!(node.value, Value::Scalar(_, Style::Plain));
    if bare && let Ok(nanoseconds) = text.parse::<i64>() {
        // Nobody means so short a time; everybody forgets that Go counts nanoseconds.
        if (1..1_000_000).contains(&nanoseconds) {
            let message =
                format!("{what}: {nanoseconds} without a unit is {nanoseconds} nanoseconds");
            problems
                .warning("bare-nanoseconds", &node.span, message)
                .hint = Some(format!("write `{nanoseconds}s` for seconds"));
        }
        return Some(nanoseconds);
    }
    match parse_go_duration(text) {
        Ok(nanoseconds) => Some(nanoseconds),
        Err(error) => {
            problems.error("invalid-value", &node.span, format!("{what}: {error}"));
            None
        }
    }
}

/// A size in bytes: `512B`, `16KiB`, `8MiB`, `1GiB`.
pub fn size(node: &Node, what: &str, problems: &mut Problems) -> Option<usize> {
    let text = node.text(what, problems)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: Option<usize> = match unit {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let number: Option<usize> = number.parse().ok();
    if let (Some(number), Some(factor)) = (number, factor)
        && let Some(size) = number.checked_mul(factor)
    {
        return Some(size);
    }
    let message = format!("{what} must be a size such as `512B`, `16KiB` or `8MiB`");
    problems.error("invalid-value", &node.span, message);
    None
}

/// One of a few words.
pub fn choice<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    choice_with(node, what, words, &Others::default(), problems)
}

/// Words that are not offered where a word is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    /// Words that are understood and not built.
    pub later: &'static [&'static str],
    /// Words of other programs, and what to write instead of them.
    pub foreign: &'static [(&'static str, &'static str)],
}

/// One of a few words; those of later are taken where they are among `words`, and not offered.
pub fn choice_with<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    others: &Others,
    problems: &mut Problems,
) -> Option<T> {
    let text = node.text(what, problems)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let built = words.iter().map(|(word, _)| *word);
    let built: Vec<&str> = built.filter(|word| !others.later.contains(word)).collect();
    let shown = built.iter().map(|word| match *word {
        "" => "an empty text".to_owned(),
        word => format!("`{word}`"),
    });
    let shown: Vec<String> = shown.collect();
    let message = format!("{what} must be one of {}", shown.join(", "));
    let foreign = |(word, _): &&(&str, &str)| word.eq_ignore_ascii_case(text);
    let later = others.later.iter().copied();
    problems.error("invalid-value", &node.span, message).hint =
        match others.foreign.iter().find(foreign) {
            Some((_, instead)) => Some((*instead).to_owned()),
            None => nearest(text, built.iter().copied().chain(later)).map(|near| {
                match others.later.contains(&near) {
                    true => format!("`{near}` is not built yet"),
                    false => format!("did you mean `{near}`?"),
                }
            }),
        };
    None
}

/// A text that is not empty.
pub fn name<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    let text = node.text(what, problems)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        let message = format!("{what} must be a word, without control characters");
        problems.error("invalid-value", &node.span, message);
        return None;
    }
    Some(text)
}

/// A domain name.
pub fn domain(node: &Node, what: &str, problems: &mut Problems) -> Option<Domain> {
    let text = node.text(what, problems)?;
    match Domain::parse(text) {
        Ok(domain) => Some(domain),
        Err(error) => {
            problems.error("invalid-address", &node.span, format!("{what}: {error}"));
            None
        }
    }
}

/// A range of addresses, or one address.
pub fn prefix(node: &Node, what: &str, problems: &mut Problems) -> Option<Prefix> {
    let text = node.text(what, problems)?;
    match text.parse() {
        Ok(prefix) => Some(prefix),
        Err(error) => {
            problems.error("invalid-address", &node.span, format!("{what}: {error}"));
            None
        }
    }
}

/// A list of ranges of addresses; bad ones are reported and left out.
pub fn prefixes(node: &Node, what: &str, problems: &mut Problems) -> Vec<Prefix> {
    let items = node.list(what, problems);
    let mut prefixes = Vec::with_capacity(items.len());
    for item in items {
        let Some(prefix) = prefix(item, what, problems) else {
            continue;
        };
        if let Some(odd) = item.scalar().and_then(odd::host_bits) {
            let message = format!("{what}: {}", odd.what);
            problems
                .push(odd.severity, odd.code, &item.span, message)
                .hint = Some(odd.hint);
        }
        prefixes.push(prefix);
    }
    prefixes
}

/// A server: `host:port`, `1.2.3.4:port`, `[2001:db8::1]:port`, its port not 0.
pub fn server(node: &Node, what: &str, problems: &mut Problems) -> Option<Server> {
    let text = node.text(what, problems)?;
    if let Some((scheme, rest)) = text.split_once("://") {
        let message = format!("{what} must be `host:port`, not a URL");
        let bare = rest.trim_end_matches('/');
        let with = match scheme {
            "http" | "socks5" => format!(" and `type: {scheme}`"),
            "socks" | "socks5h" => " and `type: socks5`".to_owned(),
            _ => String::new(),
        };
        let hint = match parse_server(bare) {
            Ok(_) => format!("write `{bare}`{with}"),
            Err(_) if bare.contains('@') => {
                format!("write `host:port`{with}; the login goes in `username` and `password`")
            }
            Err(_) => format!("write `host:port`{with}"),
        };
        problems.error("invalid-address", &node.span, message).hint = Some(hint);
        return None;
    }
    if text.contains('@') {
        let message = format!("{what} must be `host:port`, without a login");
        let hint = "write `host:port`; the login goes in `username` and `password`";
        problems.error("invalid-address", &node.span, message).hint = Some(hint.to_owned());
        return None;
    }
    or_problem(parse_server(text), node, what, problems)
}

/// Where a forward listens or goes: `tcp://host:port`, `unix:///path`, `fd://N`.
pub fn endpoint(
    node: &Node,
    what: &str,
    directory: &Path,
    empty_host: EmptyHost,
    problems: &mut Problems,
) -> Option<Endpoint> {
    let text = node.text(what, problems)?;
    let parsed = parse_endpoint(text, directory, empty_host);
    let bare = matches!(parsed, Err(BadAddress::Scheme(..)));
    let found = or_problem(parsed, node, what, problems);
    // What is meant is plain where one of the prefixes makes it right.
    let meant = match text.starts_with('/') {
        true => format!("unix://{text}"),
        false => format!("tcp://{text}"),
    };
    if bare
        && parse_endpoint(&meant, directory, empty_host).is_ok()
        && let Some(problem) = problems.last_mut()
    {
        problem.hint = Some(format!("write `{meant}`"));
    }
    found
}

/// What people write for a yes or a no, in the spellings that YAML 1.1 knows.
pub const SWITCHES: [&str; 18] = [
    "true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes", "YES", "no", "No", "NO", "on",
    "On", "ON", "off", "Off", "OFF",
];

/// A path; relative ones start from `directory`. What people write for a yes or a no is none.
pub fn path(node: &Node, what: &str, directory: &Path, problems: &mut Problems) -> Option<PathBuf> {
    if let Some(text) = node.scalar()
        && SWITCHES.contains(&text)
    {
        let message = format!("{what} must be the path of a file, not `{text}`");
        let hint =
            format!("leave the key out where none is wanted; a file of that name is `./{text}`");
        problems.error("wrong-type", &node.span, message).hint = Some(hint);
        return None;
    }
    Some(directory.join(name(node, what, problems)?))
}

/// The value, or an `invalid-address` problem.
pub fn or_problem<T>(
    parsed: Result<T, BadAddress>,
    node: &Node,
    what: &str,
    problems: &mut Problems,
) -> Option<T> {
    match parsed {
        Ok(value) => Some(value),
        Err(error) => {
            problems.error("invalid-address", &node.span, format!("{what}: {error}"));
            None
        }
    }
}
