//! DNS names, proved once at the door.
//!
//! Invariant: a [`Domain`] is lower-case, in A-labels (RFC 5890), without the final dot. Matching
//! code never lower-cases or trims again.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A lower-case DNS name in A-labels without the final dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

/// A [`Domain`] that is only looked at: the same invariant, borrowed. What readers of lists hand on, so
/// that a list of a million names makes no million allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name<'a>(&'a str);

/// Why a text is no DNS name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDomain {
    /// Nothing but dots.
    #[error("the name is empty")]
    Empty,
    /// `a..b` or a leading dot.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// A character that no host name carries: white space, a slash, a colon ...
    #[error("the name has the character {0:?}, which no host name carries")]
    BadCharacter(char),
    /// A label over 63 or a name over 253 bytes (RFC 1035, 2.3.4).
    #[error("the name is too long (a label holds 63 bytes, a name 253)")]
    TooLong,
    /// Non-ASCII text that IDNA refuses (UTS 46).
    #[error("the name cannot be written in A-labels")]
    NotIdna,
}

impl Domain {
    /// Parses a name as people and wires write it: any case, U-labels or A-labels, one final dot.
    ///
    /// # Errors
    /// [`BadDomain`] says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, BadDomain> {
        let mut buffer = String::new();
        Name::parse(raw, &mut buffer).map(Self::from)
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's text, to be shared.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether this is `suffix` itself or below it: `a.b.c` is within `b.c`, `xb.c` is not.
    #[must_use]
    pub fn is_within(&self, suffix: &Self) -> bool {
        match self.0.strip_suffix(&*suffix.0) {
            Some(head) => head.is_empty() || head.ends_with('.'),
            None => false,
        }
    }

    /// Whether resolvers may read it as an IPv4 address (`10.5`, `0x0a.5`): by its last label (WHATWG URL, "ends in a
    /// number").
    #[must_use]
    pub fn ends_in_number(&self) -> bool {
        let last = self.0.rsplit('.').next().unwrap_or_default();
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits(last) || last.strip_prefix("0x").is_some_and(hexadecimal)
    }

    /// The name and its ancestors, most specific first: `a.b.c`, `b.c`, `c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.0), |name| {
            name.split_once('.').map(|(_, rest)| rest)
        })
    }
}

impl<'a> Name<'a> {
    /// Parses a name as [`Domain::parse`] does. Copies into `buffer` only what is not canonical yet.
    ///
    /// # Errors
    /// [`BadDomain`] says what is wrong with it.
    pub fn parse(raw: &'a str, buffer: &'a mut String) -> Result<Self, BadDomain> {
        let raw = raw.strip_suffix('.').unwrap_or(raw);
        if raw.is_empty() {
            return Err(BadDomain::Empty);
        }
        if is_canonical(raw) {
            return Ok(Self(raw));
        }
        let name = if !raw.is_ascii() {
            *buffer = idna::domain_to_ascii(raw).map_err(|_unspecific| BadDomain::NotIdna)?;
            buffer.as_str()
        } else if raw.bytes().any(|b| b.is_ascii_uppercase()) {
            buffer.clear();
            buffer.push_str(raw);
            buffer.make_ascii_lowercase();
            buffer.as_str()
        } else {
            raw
        };
        if let Some(bad) = name.chars().find(|c| !is_host_character(*c)) {
            return Err(BadDomain::BadCharacter(bad));
        }
        if name.split('.').any(str::is_empty) {
            return Err(BadDomain::EmptyLabel);
        }
        if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
            return Err(BadDomain::TooLong);
        }
        Ok(Self(name))
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl From<Name<'_>> for Domain {
    fn from(name: Name<'_>) -> Self {
        Self(name.0.into())
    }
}

impl<'a> From<&'a Domain> for Name<'a> {
    fn from(domain: &'a Domain) -> Self {
        Self(&domain.0)
    }
}

/// Whether a name needs no change and has no fault: one pass, for lists of a million names.
fn is_canonical(raw: &str) -> bool {
    let mut label = 0;
    for byte in raw.bytes() {
        match byte {
            b'.' if label > 0 => label = 0,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if label < 63 => label += 1,
            _ => return false,
        }
    }
    label > 0 && raw.len() <= 253
}

/// Letters, digits, hyphen; the underscore because service names carry it in practice.
fn is_host_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
}

/// So that a map of names is asked with the ancestors of a name, which are plain texts.
impl Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_folded_once_at_the_door() {
        assert_eq!(
            Domain::parse("WWW.Example.COM.").unwrap().as_str(),
            "www.example.com"
        );
        assert_eq!(Domain::parse("рф").unwrap().as_str(), "xn--p1ai");
        assert_eq!(Domain::parse("."), Err(BadDomain::Empty));
        assert_eq!(Domain::parse(".lan"), Err(BadDomain::EmptyLabel));
        assert_eq!(Domain::parse("a b"), Err(BadDomain::BadCharacter(' ')));
        assert_eq!(Domain::parse(&"a".repeat(64)), Err(BadDomain::TooLong));
    }

    #[test]
    fn some_names_are_like_addresses() {
        let check = |text: &str, expected: bool| {
            assert_eq!(
                Domain::parse(text).unwrap().ends_in_number(),
                expected,
                "{text}"
            );
        };
        for text in ["10.5", "0X0A.5", "167772165", "a.0x7f", "a.0x", "a.7."] {
            check(text, true);
        }
        for text in ["10.5.test", "a.5b", "0xg", "a.x7", "7.a-7"] {
            check(text, false);
        }
    }

    #[test]
    fn suffixes_end_on_label_borders() {
        let name = |text| Domain::parse(text).unwrap();
        assert!(name("google.com").is_within(&name("google.com")));
        assert!(name("www.google.com").is_within(&name("google.com")));
        assert!(!name("notgoogle.com").is_within(&name("google.com")));
        assert_eq!(
            name("a.b.c").ancestors().collect::<Vec<_>>(),
            ["a.b.c", "b.c", "c"]
        );
    }
}
