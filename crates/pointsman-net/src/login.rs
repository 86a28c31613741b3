//! Who may come in, and who we are at an upstream proxy.
//!
//! Invariant: a password is never printed, and comparing one takes a time that does not depend on
//! where it differs. Absent: hashes of passwords, accounts.

pub(crate) mod throttle;

use pointsman_spec::login::User;

/// Why somebody with a wrong password is not admitted.
pub(crate) const WRONG_LOGIN: &str = "wrong user or password";

/// Why no password serves: the client is answered as one with a wrong password, so that it learns of none.
pub(crate) const NOT_FROM_THERE: &str =
    "the client's address is not in the inbound's `allow`: no password serves there";

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
    use pointsman_spec::login::Secret;

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
    }
}
