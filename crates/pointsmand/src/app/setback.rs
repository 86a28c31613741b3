//! The configuration that was refused or rolled back last, until another one is taken.
//!
//! Invariant: [`Setbacks`] alone says what is remembered, and what stands on the disk follows from it: what is on trial,
//! else what was rolled back. Files on disk are the operator's: a person who asks for a reload, or starts the daemon, gets
//! what stands there, also where it was rolled back before; but that is said. Signals and changes of files do not bring it
//! back. What was rolled back is known over a restart.

use std::io;
use std::path::Path;
use std::sync::Arc;

use pointsman_api::daemon as api;
use pointsman_net::record::rfc3339;
use pointsman_os::local::{make_directory, read_regular, replace_private};
use serde::{Deserialize, Serialize};

use super::App;
use crate::candidate::Refused;
use crate::clock::unix_ms;
use crate::dependencies::Content;

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
    /// Nobody confirmed it, and the one before could not come back: it is in force.
    RollbackFailed,
    /// It was in force for a while.
    #[default]
    RolledBack,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Refused => "refused",
            Self::RollbackFailed => "rollback-failed",
            Self::RolledBack => "rolled-back",
        }
    }
}

const FILE: &str = "rolled-back.json";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 10;

impl Setback {
    /// As of now.
    fn new(content: Content, what: What, why: String) -> Self {
        Self {
            content,
            at_ms: unix_ms(),
            what,
            why,
            taken_ms: None,
        }
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

/// What is remembered of configurations that did not stay.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    /// What was in force for a while last.
    rolled_back: Option<Setback>,
    /// What was told last and is of this daemon alone: a text that was refused, or one that stays unconfirmed.
    fleeting: Option<Setback>,
    /// What is in force for a while now, as the next daemon shall find it.
    trial: Option<Setback>,
}

impl Setbacks {
    fn last(&self) -> Option<&Setback> {
        self.fleeting.as_ref().or(self.rolled_back.as_ref())
    }

    /// What the next daemon shall know.
    fn stored(&self) -> Option<&Setback> {
        self.trial.as_ref().or(self.rolled_back.as_ref())
    }

    fn refused(&mut self, setback: Setback) {
        self.fleeting = Some(setback);
    }

    fn rolled_back(&mut self, setback: Setback) {
        *self = Self {
            rolled_back: Some(setback),
            ..Self::default()
        };
    }

    fn stays(&mut self, setback: Setback) {
        *self = Self {
            fleeting: Some(setback),
            ..Self::default()
        };
    }

    /// A text is in force: what is known of another one is of no use any more.
    fn go_on_with(&mut self, content: Content) {
        self.fleeting = None;
        let known = self.rolled_back.take();
        self.rolled_back = known.filter(|known| known.content.text == content.text);
    }

    fn taken(&mut self, content: Content, now_ms: u64) -> Option<String> {
        self.go_on_with(content);
        let setback = self.rolled_back.as_mut()?;
        setback.taken_ms = Some(now_ms);
        let at = rfc3339(setback.at_ms);
        let why = &setback.why;
        Some(match setback.what {
            What::Unconfirmed => format!(
                "this configuration was on trial since {at}, and {why}: it is in force now, for good"
            ),
            What::Refused | What::RollbackFailed | What::RolledBack => {
                format!("this configuration was rolled back before, at {at}: {why}")
            }
        })
    }
}

impl App {
    /// What was refused or rolled back last.
    pub(crate) fn setback(&self) -> Option<api::Setback> {
        self.setbacks().last().map(Setback::told)
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
        self.setbacks()
            .refused(Setback::new(content, What::Refused, why));
    }

    /// A text was in force for a while, and did not stay.
    pub(super) async fn not_kept(self: &Arc<Self>, content: Content, why: String) {
        let setback = Setback::new(content, What::RolledBack, why);
        self.remember(|known| known.rolled_back(setback)).await;
    }

    /// A text was not confirmed, and is in force all the same: the one before cannot come back.
    pub(super) async fn not_rolled_back(self: &Arc<Self>, content: Content, why: String) {
        let setback = Setback::new(content, What::RollbackFailed, why);
        self.remember(|known| known.stays(setback)).await;
    }

    /// A text is about to be in force for a while: known on the disk before it is, for the daemon may end at any moment.
    /// Answers with what is to be said where that cannot be written.
    ///
    /// The trial is not refused then: the daemon rolls back all the same, and a daemon that is started anew reads what is
    /// on disk in any case. What is lost is that this one says that it was on trial. Who were refused would reload without
    /// a trial, and have less.
    pub(super) async fn begin_trial(self: &Arc<Self>, content: Content) -> Option<String> {
        let why = "the daemon ended before it was confirmed".to_owned();
        let setback = Setback::new(content, What::Unconfirmed, why);
        let ((), unwritten) = self.remember(|known| known.trial = Some(setback)).await;
        unwritten.map(|why| {
            format!(
                "that this configuration is on trial cannot be kept on the disk ({why}): it is rolled back as long as this \
                 daemon lives; one that is started anew takes it for good, and without a word"
            )
        })
    }

    /// There is no trial any more, or there never was: on the disk stands what stood there before. Answers with what is to
    /// be said where that cannot be written.
    pub(super) async fn end_trial(self: &Arc<Self>) -> Option<String> {
        let ((), unwritten) = self.remember(|known| known.trial = None).await;
        unwritten.map(|why| {
            format!(
                "that the trial is over cannot be kept on the disk ({why}): the next daemon says that this configuration is \
                 unconfirmed, and takes it all the same"
            )
        })
    }

    /// A text is in force. Answers with what is to be said of it: it was rolled back before.
    pub(super) async fn taken(self: &Arc<Self>, content: Content) -> Option<String> {
        self.remember(|known| known.taken(content, unix_ms()))
            .await
            .0
    }

    /// As [`Self::taken`], for the first text of a daemon: what was said of it once is not said at each start.
    pub(super) async fn taken_at_start(self: &Arc<Self>, content: Content) -> Option<String> {
        self.remember(|known| {
            let told = known
                .rolled_back
                .as_ref()
                .is_some_and(|it| it.taken_ms.is_some());
            if told {
                known.go_on_with(content);
                return None;
            }
            known.taken(content, unix_ms())
        })
        .await
        .0
    }

    /// Whether that was rolled back last, its lists included, and not taken since.
    pub(super) fn was_rolled_back(&self, content: Content) -> bool {
        let known = self.setbacks();
        let last = known.rolled_back.as_ref();
        last.is_some_and(|last| last.taken_ms.is_none() && last.content == content)
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
            Ok(setback) => self.setbacks().rolled_back = Some(setback),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{}: {error}", path.display()),
        }
    }

    /// Changes what is remembered, at once, and keeps what of it outlives the daemon. Answers also with why it does not,
    /// where it does not; that is in the log then.
    async fn remember<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Setbacks) -> T,
    ) -> (T, Option<String>) {
        let (told, is_news) = {
            let mut known = self.setbacks();
            let before = known.stored().cloned();
            let told = change(&mut known);
            (told, known.stored() != before.as_ref())
        };
        let unwritten = match is_news {
            true => {
                let keep = |app: &Self| {
                    let known = app.setbacks().stored().cloned();
                    app.keep(known.as_ref())
                };
                self.write(keep).await
            }
            false => None,
        };
        (told, unwritten)
    }

    /// Keeps it over a restart, or no longer; answers with why that cannot be.
    fn keep(&self, setback: Option<&Setback>) -> Option<String> {
        let Some(state) = &self.origin.state else {
            return setback.map(|_| "there is no directory of state".to_owned());
        };
        let done = match setback {
            Some(setback) => store(state, setback),
            // Where nothing may be written there is an error also for what is not there.
            None if !state.join(FILE).exists() => Ok(()),
            None => std::fs::remove_file(state.join(FILE)),
        };
        let error = done
            .err()
            .filter(|error| error.kind() != io::ErrorKind::NotFound)?;
        let why = format!("{}: {error}", state.join(FILE).display());
        tracing::warn!("{why}");
        Some(why)
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
