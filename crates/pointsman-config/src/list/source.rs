//! Lists in files: of the user, or copies of what was fetched.
//!
//! Invariant: a file that the user names must be there; a copy of what is fetched may be missing or
//! bad, then the set is empty until it is fetched, and that is told.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::model::SetId;
use pointsman_policy::set::{Item, Key, Place, Reach, RuleSet, RuleSetBuilder, Sink};
use pointsman_policy::{Domain, OutboundId, Prefix};

use super::MOST_OF_A_FILE;
use super::{Bytes, ReadReport, Recipe, Remark, Shelf, Surroundings, Unreadable, Want, read};
use crate::files::{Files, Stamp};
use crate::problem::Span;

/// The largest list that is fetched unless the configuration says otherwise, in bytes.
pub const MOST_FETCHED: u64 = 64 << 20;

/// A rule set that is fetched.
#[derive(Clone, Debug)]
pub struct ListSource {
    /// Which set of every policy it is.
    pub set: SetId,
    /// The set's name.
    pub name: Arc<str>,
    /// Where it is fetched from: `http://` or `https://`.
    pub url: Arc<str>,
    /// The way to it; `None`: directly.
    pub via: Option<OutboundId>,
    /// How often; `None`: only where there is no copy yet.
    pub interval: Option<Duration>,
    /// The most that is fetched, in bytes.
    pub limit: u64,
    /// Where its copy is kept, maybe in [`NO_DIRECTORY`]; `None`: there is no directory of state.
    pub path: Option<PathBuf>,
    /// The copy, as explanations name it.
    pub file: Arc<str>,
    /// How it is read.
    pub recipe: Recipe,
    /// What its entries may refer to.
    pub scope: Surroundings,
    /// Which state of the copy the set holds; `None`: none, for there was none that could be read.
    pub read: Option<Stamp>,
    /// Where it is defined.
    pub span: Span,
}

impl ListSource {
    /// Makes a set of what was fetched, beside any copy: a list that this refuses must not replace it.
    ///
    /// # Errors
    /// [`Unreadable`]; with `strict` also where an entry is bad.
    pub fn compile(
        &self,
        bytes: &mut dyn Bytes,
        key: Key,
    ) -> Result<(RuleSet, ReadReport), Unreadable> {
        let mut set = RuleSetBuilder::new(Arc::clone(&self.name), Arc::clone(&self.file), key);
        let mut told = ReadReport::default();
        let Self {
            file,
            recipe,
            scope,
            ..
        } = self;
        read(bytes, file, recipe, scope, &mut set, &mut told)?;
        self.proved(set.finish(), told)
    }

    /// Makes a set of the copy, by way of the shelf: reloads that find the same copy share it. Also tells which state
    /// of the copy it is.
    ///
    /// # Errors
    /// [`Unreadable`]; with `strict` also where an entry is bad.
    pub fn load(&self, files: &dyn Files, shelf: &Shelf) -> Result<(RuleSet, Stamp), Unreadable> {
        let path = self.path.as_deref();
        let path = path.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let opened = files.open(path, self.limit)?;
        let want = Want {
            name: &self.name,
            file: &self.file,
            path,
            recipe: &self.recipe,
        };
        let stamp = opened.stamp;
        let (set, told) = shelf.take(opened, &want, &self.scope)?;
        let (set, _) = self.proved(set, told)?;
        Ok((set, stamp))
    }

    fn proved(&self, set: RuleSet, told: ReadReport) -> Result<(RuleSet, ReadReport), Unreadable> {
        let bad = told.of(Remark::LeftOut).next();
        match bad.filter(|_| self.recipe.strict) {
            Some(reason) => Err(Unreadable::Malformed {
                message: reason.message.clone(),
                hint: None,
                at: Some(reason.first.clone()),
            }),
            None => Ok((set, told)),
        }
    }
}

/// Where the entries of a rule set are found again: a set in memory does not hold their texts.
#[derive(Clone, Debug)]
pub struct ListFile {
    /// The set's name.
    pub name: Arc<str>,
    /// Where they stand.
    pub origin: Origin,
}

/// Where entries stand.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a file.
    File {
        /// Its path.
        path: PathBuf,
        /// As explanations name it.
        shown: Arc<str>,
        /// How it is read.
        recipe: Recipe,
        /// What its entries may refer to.
        scope: Surroundings,
    },
    /// In the configuration.
    Inline(Vec<InlineEntry>),
}

/// An entry in the configuration.
#[derive(Clone, Debug)]
pub struct InlineEntry {
    /// A name, and what it stands for; or a range of addresses.
    pub what: Result<(Domain, Reach), Prefix>,
    /// Its line, from 1.
    pub line: u32,
    /// As written.
    pub text: Arc<str>,
}

impl ListFile {
    /// Its file, as explanations name it; `None`: it stands in the configuration.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        match &self.origin {
            Origin::File { shown, .. } => Some(shown),
            Origin::Inline(_) => None,
        }
    }

    /// Goes through the entries; those in the configuration are names and ranges alone.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn each(&self, files: &dyn Files, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        match &self.origin {
            Origin::File {
                path,
                shown,
                recipe,
                scope,
            } => {
                let mut opened = files.open(path, MOST_OF_A_FILE)?;
                let mut told = ReadReport::default();
                read(&mut *opened.bytes, shown, recipe, scope, sink, &mut told)
            }
            Origin::Inline(entries) => {
                for entry in entries {
                    let item = match &entry.what {
                        Ok((name, Reach::Below)) => Item::Below(name.into()),
                        Ok((name, Reach::Exact)) => Item::Exact(name.into()),
                        Ok((name, Reach::Suffix)) => Item::Suffix(name.into()),
                        Err(prefix) => Item::Prefix(*prefix),
                    };
                    let place = Place {
                        line: entry.line,
                        written: &entry.text,
                    };
                    sink.add(item, place);
                }
                Ok(())
            }
        }
    }
}

/// The directory of state of whoever has none and keeps copies in memory: nothing can stand there, on any disk.
pub const NO_DIRECTORY: &str = "/dev/null/pointsman";

/// Where a copy of what is fetched was looked for, and what chooses that.
#[must_use]
pub fn searched(copy: Option<&Path>, state: Option<&Path>) -> String {
    match (copy.filter(|copy| !copy.starts_with(NO_DIRECTORY)), state) {
        (Some(copy), Some(state)) if copy.starts_with(state) => format!(
            "there is no `{}`: `--state DIR` names the directory in which the daemon keeps what it fetched",
            copy.display()
        ),
        (Some(copy), _) => format!(
            "there is no `{}`: the daemon writes it when it has fetched the list",
            copy.display()
        ),
        (None, _) => {
            "`--state DIR` names the directory in which the daemon keeps what it fetched".to_owned()
        }
    }
}
