//! Who may come in, and who we are at an upstream proxy.
//!
//! Invariant: a password is never printed, and comparing one takes a time that does not depend on
//! where it differs. Absent: hashes of passwords, accounts.

pub(crate) mod brake;

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

    /// The text itself, for the wire alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is `other`, in a time that depends on the lengths alone.
    pub(crate) fn is(&self, other: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), other.as_bytes());
        let mut difference = u8::from(own.len() != other.len());
        for (index, byte) in other.iter().enumerate() {
            // An index beyond our end compares with something, so that length alone shows.
            difference |= byte ^ own.get(index).or_else(|| own.first()).copied().unwrap_or(0);
        }
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// A user of an inbound.
#[derive(Clone, Debug)]
pub struct User {
    /// The login.
    pub name: Arc<str>,
    /// The password.
    pub password: Secret,
    /// The inbound's name for this user's flows.
    pub alias: Option<Arc<str>>,
}

/// What we say at an upstream proxy.
#[derive(Clone, Debug)]
pub struct Login {
    /// The login.
    pub user: Arc<str>,
    /// The password.
    pub password: Secret,
}

/// Why somebody with a wrong password is not admitted.
pub(crate) const WRONG_LOGIN: &str = "wrong user or password";

/// The user with this name and password; every user is compared, whoever fits.
pub(crate) fn admit<'u>(users: &'u [User], name: &str, password: &str) -> Option<&'u User> {
    let mut admitted = None;
    for user in users {
        let fits = user.password.is(password) & (*user.name == *name);
        if fits && admitted.is_none() {
            admitted = Some(user);
        }
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_password_admits() {
        let users = [
            User {
                name: "alice".into(),
                password: Secret::new("a:b c"),
                alias: None,
            },
            User {
                name: "bob".into(),
                password: Secret::new(""),
                alias: None,
            },
        ];
        let check = |name, password, expected: Option<&str>| {
            let found = admit(&users, name, password).map(|user| &*user.name);
            assert_eq!(found, expected, "{name} {password}");
        };
        check("alice", "a:b c", Some("alice"));
        check("alice", "a:b ", None);
        check("alice", "a:b cc", None);
        check("alice", "", None);
        check("bob", "", Some("bob"));
        check("bob", "\0", None);
        check("Alice", "a:b c", None);
        assert_eq!(format!("{:?}", users[0].password), "Secret(...)");
    }
}
