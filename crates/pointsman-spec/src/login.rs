//! Who may come in, and who we are at an upstream proxy.
//!
//! Invariant: a password is never printed, and comparing one takes a time that does not depend on
//! where it differs. Absent: hashes of passwords, accounts.

use std::fmt;
use std::sync::Arc;

/// A text that is never printed.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps `text` from now on.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the wire and for files that hold it already.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is `other`, in a time that depends on the lengths alone.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), other.as_bytes());
        let mut difference = u8::from(own.len() != other.len());
        for (index, byte) in other.iter().enumerate() {
            // An index beyond our end compares with something, so that length alone shows.
            difference |= byte ^ own.get(index).or_else(|| own.first()).copied().unwrap_or(0);
        }
        std::hint::black_box(difference) == 0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// A user of an inbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login.
    pub name: Arc<str>,
    /// The password.
    pub password: Secret,
    /// The inbound's name for this user's flows.
    pub alias: Option<Arc<str>>,
}

/// What we say of ourselves at an upstream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The login.
    pub user: Arc<str>,
    /// The password.
    pub password: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_alone_and_is_not_printed() {
        let check = |own: &str, other: &str, expected| {
            assert_eq!(Secret::new(own).is(other), expected, "{own:?} {other:?}");
            let same = Secret::new(own) == Secret::new(other);
            assert_eq!(same, expected, "{own:?} == {other:?}");
        };
        check("a:b c", "a:b c", true);
        check("a:b c", "a:b ", false);
        check("a:b c", "a:b cc", false);
        check("a:b c", "", false);
        check("", "", true);
        check("", "\0", false);
        let user = User {
            name: "alice".into(),
            password: Secret::new("s3cret"),
            alias: None,
        };
        let credentials = Credentials {
            user: "alice".into(),
            password: user.password.clone(),
        };
        assert_eq!(format!("{:?}", user.password), "Secret(...)");
        assert!(!format!("{user:?} {credentials:#?}").contains("s3cret"));
    }
}
