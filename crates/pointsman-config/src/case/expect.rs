//! Which outbound a test means: by its name, a built-in one in any spelling.

use pointsman_policy::near::nearest;

use super::NONE;
use crate::flow::names::listed;
use crate::setup::{Carrier, Kind, Setup};

/// Names that tests may expect, in their order.
#[derive(Clone, Debug, Default)]
pub struct Expectable {
    /// With whether they are built in.
    names: Vec<(String, bool)>,
}

impl Expectable {
    /// Outbounds by name and type, as the control API lists them. One that is called as its type is built in.
    pub fn listed<'a>(outbounds: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let builtins = ["blackhole", "direct", "reject", "reset"];
        let builtin =
            |name: &str, kind: &str| builtins.contains(&kind) && (name.eq_ignore_ascii_case(kind));
        let names = outbounds.into_iter();
        Self {
            names: names
                .map(|(name, kind)| (name.to_owned(), builtin(name, kind)))
                .collect(),
        }
    }

    /// The outbounds of a configuration.
    #[must_use]
    pub fn of(setup: &Setup) -> Self {
        Self::listed(setup.outbounds.iter().map(|outbound| {
            let kind = match outbound.kind {
                Kind::Refuse(refusal) => refusal.as_str(),
                Kind::Carry(Carrier::Direct(_)) => "direct",
                _ => "",
            };
            (&*outbound.name, kind)
        }))
    }

    /// Whether a flow that got `got` went where `expect` says.
    ///
    /// # Errors
    /// There is no such outbound: a sentence that offers the closest.
    pub fn meets(&self, expect: &str, got: &str) -> Result<bool, String> {
        if got == expect {
            return Ok(true);
        }
        let exact = self.names.iter().find(|(name, _)| name == expect);
        if expect == NONE || exact.is_some_and(|(_, builtin)| !builtin) {
            return Ok(false);
        }
        let same =
            |(name, builtin): &&(String, bool)| *builtin && name.eq_ignore_ascii_case(expect);
        let mut meant = self.names.iter().filter(same).peekable();
        if meant.peek().is_some() {
            return Ok(meant.any(|(name, _)| name == got));
        }
        let names = || self.names.iter().map(|(name, _)| name.as_str());
        let hint = match nearest(expect, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => listed(names()),
        };
        Err(format!("there is no outbound `{expect}` ({hint})"))
    }
}

impl Expectable {
    /// Whether `expect` says that a flow is to be rejected, which is so where something above the rules refuses it: UDP
    /// to an outbound that carries none. An outbound that is called like that is meant itself.
    #[must_use]
    pub fn wants_rejected(&self, expect: &str) -> bool {
        let mut named = self.names.iter().filter(|(name, _)| name == expect);
        expect.eq_ignore_ascii_case("reject") && named.all(|(_, builtin)| *builtin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_names_count_in_any_spelling_and_others_as_they_are() {
        let names = Expectable::listed([
            ("direct", "direct"),
            ("DIRECT", "direct"),
            ("RESET", "reset"),
            ("Work", "socks5"),
            ("office", "direct"),
        ]);
        let check = |expect, got, expected: Result<bool, &str>| {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(names.meets(expect, got), expected, "{expect} {got}");
        };
        check("reset", "RESET", Ok(true));
        check("Direct", "DIRECT", Ok(true));
        check("direct", "DIRECT", Ok(true));
        check("Reset", "DIRECT", Ok(false));
        check("Work", "Work", Ok(true));
        check("Work", "none", Ok(false));
        check("none", "none", Ok(true));
        check("none", "RESET", Ok(false));
        check("office", "direct", Ok(false));
        check(
            "work",
            "Work",
            Err("there is no outbound `work` (did you mean `Work`?)"),
        );
        check(
            "elsewhere",
            "Work",
            Err(
                "there is no outbound `elsewhere` (there are: direct, DIRECT, RESET, Work, office)",
            ),
        );
        assert!(names.wants_rejected("REJECT") && names.wants_rejected("reject"));
        assert!(!names.wants_rejected("RESET") && !names.wants_rejected("Work"));
        let own = Expectable::listed([("reject", "socks5"), ("REJECT", "reject")]);
        assert!(own.wants_rejected("REJECT") && !own.wants_rejected("reject"));
        // What a flow got, there is, whatever the configuration has become since.
        check("gone", "gone", Ok(true));
    }
}
