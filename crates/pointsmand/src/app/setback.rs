//! The configuration that was refused or rolled back last, until another one is taken.
//!
//! Invariant: files on disk are the operator's: a person who asks for a reload, or starts the daemon, gets what stands there,
//! also where it was rolled back before; but that is said. Signals and changes of files do not bring it back. What was rolled back is known over a restart.

use std::io;
use std::path::Path;

use pointsman_api::daemon as api;
use pointsman_net::record::rfc3339;
use pointsman_os::local::{make_directory, read_regular, replace_private};
use serde::{Deserialize, Serialize};

use super::App;
use crate::asked::Content;
use crate::candidate::Refused;
use crate::clock::unix_ms;

/// What came of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setback {
    /// Which text.
    #[serde(flatten)]
    content: Content,
    /// When, in milliseconds since 1970.
    at_ms: u64,
    #[serde(default)]
    what: What,
    /// In one line.
    why: String,
    /// When the same text was taken nevertheless.
    #[serde(default)]
    taken_ms: Option<u64>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    /// It was on trial when the daemon that wrote this ended: written when the trial begins.
    Unconfirmed,
    /// It was never in force.
    Refused,
    /// It was in force for a while.
    #[default]
    RolledBack,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
        }
    }
}

const FILE: &str = "rolled-back.json";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 10;

impl Setback {
    /// Whether it was in force for a while.
    fn was_in_force(&self) -> bool {
        self.what != What::Refused
    }

    fn told(&self) -> api::Setback {
        api::Setback {
            what: self.what.as_str().to_owned(),
            time: rfc3339(self.at_ms),
            why: self.why.clone(),
            taken: self.taken_ms.map(rfc3339),
        }
    }
}

impl App {
    /// What was refused or rolled back last.
    pub(crate) fn setback(&self) -> Option<api::Setback> {
        self.setbacks().as_ref().map(Setback::told)
    }

    /// A text was refused.
    pub(super) fn refused(&self, content: Content, why: &Refused) {
        let errors = match why {
            // It says nothing of the text.
            Refused::Awaiting(_) | Refused::RolledBack | Refused::Stopping => return,
            Refused::Apply(_) => 1,
            Refused::Check(problems) | Refused::Tests(problems) => problems.errors().count(),
        };
        let why = first_line(&why.to_string(), errors);
        *self.setbacks() = Some(Setback {
            content,
            at_ms: unix_ms(),
            what: What::Refused,
            why,
            taken_ms: None,
        });
    }

    /// A text was in force, and nobody confirmed it.
    pub(super) fn not_confirmed(&self, content: Content, generation: &str) {
        let setback = Setback {
            content,
            at_ms: unix_ms(),
            what: What::RolledBack,
            why: format!("nobody confirmed generation {generation}"),
            taken_ms: None,
        };
        self.keep(Some(&setback));
        *self.setbacks() = Some(setback);
    }

    /// A text is about to be in force for a while: known on the disk before it is, for the daemon may end at any moment.
    pub(super) fn begin_trial(&self, content: Content) {
        self.keep(Some(&Setback {
            content,
            at_ms: unix_ms(),
            what: What::Unconfirmed,
            why: "the daemon ended before it was confirmed".to_owned(),
            taken_ms: None,
        }));
    }

    /// There is no trial any more, or there never was: on the disk stands what stood there before.
    pub(super) fn end_trial(&self) {
        let before = self.setbacks().clone();
        self.keep(before.as_ref().filter(|setback| setback.was_in_force()));
    }

    /// A text is in force. Answers with what is to be said of it: it was rolled back before.
    pub(super) fn taken(&self, content: Content) -> Option<String> {
        let mut kept = self.setbacks();
        let Some(setback) = kept
            .as_mut()
            .filter(|setback| setback.was_in_force() && setback.content.text == content.text)
        else {
            if kept.take().is_some_and(|setback| setback.was_in_force()) {
                self.keep(None);
            }
            return None;
        };
        setback.taken_ms = Some(unix_ms());
        if setback.what == What::Unconfirmed {
            return Some(format!(
                "this configuration was on trial since {}, and {}: it is in force now, for good",
                rfc3339(setback.at_ms),
                setback.why
            ));
        }
        Some(format!(
            "this configuration was rolled back before, at {}: {}",
            rfc3339(setback.at_ms),
            setback.why
        ))
    }

    /// Whether that was rolled back last, its lists included, and not taken since.
    pub(super) fn was_rolled_back(&self, content: Content) -> bool {
        let kept = self.setbacks();
        let last = kept.as_ref().filter(|last| last.taken_ms.is_none());
        last.is_some_and(|last| last.was_in_force() && last.content == content)
    }

    /// What the daemon before rolled back.
    pub(super) fn recall_setback(&self) {
        let Some(state) = &self.origin.state else {
            return;
        };
        let path = state.join(FILE);
        let read = read_regular(&path, LARGEST);
        let parsed = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
        match parsed {
            Ok(setback) => *self.setbacks() = Some(setback),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{}: {error}", path.display()),
        }
    }

    /// Keeps it over a restart, or no longer.
    fn keep(&self, setback: Option<&Setback>) {
        let Some(state) = &self.origin.state else {
            return;
        };
        let done = match setback {
            Some(setback) => store(state, setback),
            None => std::fs::remove_file(state.join(FILE)),
        };
        if let Err(error) = done
            && error.kind() != io::ErrorKind::NotFound
        {
            let path = state.join(FILE);
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

fn store(state: &Path, setback: &Setback) -> io::Result<()> {
    make_directory(state)?;
    let fresh = state.join(format!("{FILE}.new"));
    replace_private(&state.join(FILE), &fresh, &serde_json::to_vec(setback)?)
}

/// The first line of what so many errors say, with how many follow.
fn first_line(text: &str, errors: usize) -> String {
    let first = text.lines().next().unwrap_or_default().to_owned();
    match errors.saturating_sub(1) {
        0 => first,
        1 => format!("{first} (and 1 more error)"),
        more => format!("{first} (and {more} more errors)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_told_in_one_line() {
        let text = "a:1:1: error[x]: one\n  | y\na:2:1: error[x]: two\n  | z";
        let told = "a:1:1: error[x]: one (and 1 more error)";
        assert_eq!(first_line(text, 2), told);
        // Not all of many are in the text.
        let told = "a:1:1: error[x]: one (and 499 more errors)";
        assert_eq!(first_line(text, 500), told);
        assert_eq!(first_line("in use", 1), "in use");
    }
}
