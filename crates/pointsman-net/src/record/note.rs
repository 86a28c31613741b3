//! What a record says where its decision does not say all.
//!
//! Invariant: who refused a flow above its rules stands beside the text, so that nobody searches the text for it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use pointsman_policy::refused::Refused;

const ASSOCIATION: &str = "UDP association: its flows have records of their own";

/// Why nothing was decided, or why a flow is refused that its rules let go; empty where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It is the connection of an association: no rule was asked about it, but about each of its flows.
    Association,
    /// What refuses it, and why.
    Refused(Refused),
    /// A sentence.
    Said(Arc<str>),
}

impl Note {
    /// What refuses the flow, where its rules do not.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Association | Self::Said(_) => None,
        }
    }
}

impl Default for Note {
    fn default() -> Self {
        Self::Said(Arc::default())
    }
}

impl Deref for Note {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Association => ASSOCIATION,
            Self::Refused(refused) => refused.text(),
            Self::Said(text) => text,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Self {
        Self::Said(text.into())
    }
}

impl From<Arc<str>> for Note {
    fn from(text: Arc<str>) -> Self {
        Self::Said(text)
    }
}

impl From<Refused> for Note {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
