//! What refuses a flow that its rules let go, and why.
//!
//! Invariant: who refuses is a word of a closed set, beside the sentence: nobody has to read it out of the text.

use std::fmt;
use std::sync::Arc;

/// What refuses a flow that its rules let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// A forward has as many connections as it may have.
    ConnectionLimit,
    /// There are as many flows as there may be.
    FlowLimit,
    /// An address of this host, and a client of another.
    LocalAddress,
    /// It would come back to us, or may.
    LoopGuard,
    /// Its name would be taken for an address that the rules did not see.
    NameLikeAddress,
    /// It is UDP, and what was chosen carries none.
    NetworkUdp,
    /// Where it goes is no place for a flow.
    NoDestination,
    /// It asks for what is not built yet.
    NotBuilt,
    /// It is a fake address, and stands for no name.
    StaleFake,
    /// A target that takes one flow at a time has one.
    TargetBusy,
}

impl Refuser {
    /// Its name in a trace, where a rule has its text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionLimit => "connection limit",
            Self::FlowLimit => "limit",
            Self::LocalAddress => "local address",
            Self::LoopGuard => "loop guard",
            Self::NameLikeAddress => "a name like an address",
            Self::NetworkUdp => "network udp",
            Self::NoDestination => "no destination",
            Self::NotBuilt => "not built yet",
            Self::StaleFake => "stale fake address",
            Self::TargetBusy => "target busy",
        }
    }
}

/// A refusal above the rules: by what, and why. As text it says both: `local address: 127.0.0.1 is not for ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    by: Refuser,
    /// Whether the text begins with who refuses.
    is_named: bool,
    text: Arc<str>,
}

impl Refused {
    /// Refused by this, and why: the text says both.
    #[must_use]
    pub fn new(by: Refuser, why: impl fmt::Display) -> Self {
        Self {
            by,
            is_named: true,
            text: format!("{}: {why}", by.as_str()).into(),
        }
    }

    /// Refused by this, in a sentence of its own.
    #[must_use]
    pub fn sentence(by: Refuser, text: impl Into<Arc<str>>) -> Self {
        Self {
            by,
            is_named: false,
            text: text.into(),
        }
    }

    /// What refuses it.
    #[must_use]
    pub fn by(&self) -> Refuser {
        self.by
    }

    /// Why, without what refuses it.
    #[must_use]
    pub fn why(&self) -> &str {
        match self.is_named {
            true => &self.text[self.by.as_str().len() + ": ".len()..],
            false => &self.text,
        }
    }

    /// Both in one text.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_is_told_apart_from_why() {
        let check = |refused: Refused, by: &str, why: &str, text: &str| {
            assert_eq!(refused.by().as_str(), by);
            assert_eq!((refused.why(), &**refused.text()), (why, text));
        };
        check(
            Refused::new(Refuser::LoopGuard, "own listener: it is ours"),
            "loop guard",
            "own listener: it is ours",
            "loop guard: own listener: it is ours",
        );
        check(
            Refused::sentence(Refuser::NetworkUdp, "`a` carries no UDP: it cannot"),
            "network udp",
            "`a` carries no UDP: it cannot",
            "`a` carries no UDP: it cannot",
        );
    }
}
