//! Reading a tree of YAML: values of a type, and the keys of a mapping.

use super::{Node, Style, Value, example};
use crate::problem::{Problems, Span, nearest};

impl Node {
    /// Whether it is a bare `null`, `~` or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, Style::Plain) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar, however written.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text of a scalar that is not null, else a problem.
    pub fn text(&self, what: &str, problems: &mut Problems) -> Option<&str> {
        match self.scalar() {
            Some(text) if !self.is_null() => Some(text),
            Some(_) | None => {
                problems.error("wrong-type", &self.span, format!("{what} must be a text"));
                None
            }
        }
    }

    /// A bare `true` or `false`, else a problem.
    pub fn boolean(&self, what: &str, problems: &mut Problems) -> Option<bool> {
        match &self.value {
            Value::Scalar(text, Style::Plain) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Scalar(text, Style::Plain) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::List(_) | Value::Map(_) | Value::Scalar(..) => {
                let message = format!("{what} must be `true` or `false`");
                let problem = problems.error("wrong-type", &self.span, message);
                problem.hint = self.truth().map(|meant| format!("write `{meant}`"));
                None
            }
        }
    }

    /// What a word of YAML 1.1, or one in quotes, says: those are texts since (YAML 1.2, 10.3.2).
    fn truth(&self) -> Option<bool> {
        match self.scalar()?.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "1" | "true" => Some(true),
            "no" | "off" | "n" | "0" | "false" => Some(false),
            _ => None,
        }
    }

    /// A bare whole number within the range, else a problem.
    pub fn number(
        &self,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
        problems: &mut Problems,
    ) -> Option<i64> {
        if let Value::Scalar(text, Style::Plain) = &self.value
            && let Ok(number) = text.parse::<i64>()
            && range.contains(&number)
        {
            return Some(number);
        }
        let (low, high) = range.into_inner();
        let message = format!("{what} must be a whole number from {low} to {high}");
        problems.error("wrong-type", &self.span, message);
        None
    }

    /// The items of a list, else a problem. Null is an empty list.
    pub fn list(&self, what: &str, problems: &mut Problems) -> &[Self] {
        self.list_of(what, false, problems)
    }

    /// As [`Self::list`], where the items are rules.
    pub fn rules(&self, what: &str, problems: &mut Problems) -> &[Self] {
        self.list_of(what, true, problems)
    }

    fn list_of(&self, what: &str, rules: bool, problems: &mut Problems) -> &[Self] {
        match &self.value {
            Value::List(nodes) => nodes,
            Value::Scalar(..) if self.is_null() => &[],
            Value::Map(_) | Value::Scalar(..) => {
                let message = format!("{what} must be a list");
                problems.error("wrong-type", &self.span, message).hint =
                    example::of_list(self, rules);
                &[]
            }
        }
    }

    /// The pairs of a mapping, else a problem. Null is an empty mapping.
    pub fn map(&self, what: &str, problems: &mut Problems) -> &[(Self, Self)] {
        match &self.value {
            Value::Map(pairs) => pairs,
            Value::Scalar(..) if self.is_null() => &[],
            Value::List(_) | Value::Scalar(..) => {
                let message = format!("{what} must be a mapping");
                problems.error("wrong-type", &self.span, message).hint =
                    example::of_map(what, self);
                &[]
            }
        }
    }

    /// Its keys to be taken one by one, so that the unknown ones can be told.
    pub fn keys<'a>(&'a self, what: &'a str, style: KeyStyle, problems: &mut Problems) -> Keys<'a> {
        Keys {
            what,
            style,
            pairs: self.map(what, problems),
            span: &self.span,
            known: Vec::new(),
        }
    }
}

/// How keys are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStyle {
    /// As given.
    Exact,
    /// `http-port` is `http_port` (BoltConn).
    KebabIsSnake,
}

/// The keys of a mapping that are still to be read.
pub struct Keys<'a> {
    what: &'a str,
    style: KeyStyle,
    pairs: &'a [(Node, Node)],
    /// The mapping's place.
    pub span: &'a Span,
    known: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    /// The value of a key, where it is given.
    pub fn take(&mut self, key: &'a str) -> Option<&'a Node> {
        self.take_pair(key).map(|(_, value)| value)
    }

    /// Key and value, where they are given.
    pub fn take_pair(&mut self, key: &'a str) -> Option<(&'a Node, &'a Node)> {
        self.known.push(key);
        self.pairs
            .iter()
            .find(|(k, _)| {
                k.scalar()
                    .is_some_and(|text| same_key(text, key, self.style))
            })
            .map(|(k, v)| (k, v))
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &'a str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            let first_line = self
                .span
                .text()
                .find('\n')
                .unwrap_or(self.span.end - self.span.start);
            let place = self.span.part(0, first_line);
            let message = format!("{} needs the key `{key}`", self.what);
            // `{ type:socks5 }` is the key `type:socks5`.
            let tight = self.pairs.iter().any(|(written, _)| {
                let rest = written.scalar().and_then(|text| text.strip_prefix(key));
                rest.is_some_and(|rest| rest.starts_with(':'))
            });
            problems.error("missing-key", &place, message).hint =
                tight.then(|| format!("a space is missing behind the colon: write `{key}: VALUE`"));
        }
        found
    }

    /// Takes every key: what it belongs to is wrong as a whole, and that was said.
    pub fn take_all(&mut self) {
        self.pairs = &[];
    }

    /// Notes each of these keys, where given, as understood and not built yet.
    pub fn not_yet(&mut self, keys: &[&'a str], problems: &mut Problems) {
        for key in keys {
            if let Some((name, _)) = self.take_pair(key) {
                problems.not_yet(&name.span, format!("`{key}` of {}", self.what));
            }
        }
    }

    /// Reports every key that nobody took.
    pub fn finish(self, problems: &mut Problems) {
        #[cfg(test)]
        seen::note(&self);
        for (key, _) in self.pairs {
            let Some(text) = key.scalar() else { continue };
            if self
                .known
                .iter()
                .any(|known| same_key(text, known, self.style))
            {
                continue;
            }
            let message = format!("{} has no key `{text}`", self.what);
            let problem = problems.error("unknown-key", &key.span, message);
            let foreign = FOREIGN
                .iter()
                .find(|(word, own)| *word == text.replace('-', "_") && self.known.contains(own));
            let near = nearest(text, self.known.iter().copied());
            problem.hint = match (foreign, near) {
                (Some((_, own)), _) => Some(format!("write `{own}`")),
                (None, Some(near)) => Some(format!("did you mean `{near}`?")),
                (None, None) if (1..=MAX_OFFERED).contains(&self.known.len()) => {
                    Some(format!("there is: {}", self.known.join(", ")))
                }
                (None, None) => None,
            };
        }
    }
}

/// What other programs call a key that there is.
const FOREIGN: [(&str, &str); 4] = [
    ("address", "server"),
    ("proxies", "outbounds"),
    ("proxy_groups", "outbounds"),
    ("rule_providers", "rule_sets"),
];

/// The most keys that a hint names.
const MAX_OFFERED: usize = 20;

fn same_key(written: &str, known: &str, style: KeyStyle) -> bool {
    match style {
        KeyStyle::Exact => written == known,
        KeyStyle::KebabIsSnake => {
            written.len() == known.len()
                && written
                    .bytes()
                    .zip(known.bytes())
                    .all(|(w, k)| w == k || (w == b'-' && k == b'_'))
        }
    }
}

/// Which keys readers know, for tests of what is said of them elsewhere.
#[cfg(test)]
pub(crate) mod seen {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};

    use super::Keys;

    /// By what a mapping is called and the word of its key `type`.
    pub(crate) type Known = BTreeMap<(String, String), BTreeSet<String>>;

    thread_local! {
        static KNOWN: RefCell<Known> = RefCell::default();
    }

    pub(super) fn note(keys: &Keys<'_>) {
        let mut pairs = keys.pairs.iter();
        let word = pairs.find(|(key, _)| key.scalar() == Some("type"));
        let word = word.and_then(|(_, word)| word.scalar()).unwrap_or("");
        KNOWN.with_borrow_mut(|known| {
            let name = (keys.what.to_owned(), word.to_owned());
            let all = known.entry(name).or_default();
            all.extend(keys.known.iter().map(|key| (*key).to_owned()));
        });
    }

    /// What readers of this thread have known since the last call.
    pub(crate) fn take() -> Known {
        KNOWN.take()
    }
}
