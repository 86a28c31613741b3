//! The copy of a list on disk, and what the server said of it.
//!
//! Invariant: the copy is whole or as it was: a draft beside it takes its place in one step. Where it cannot be written
//! there is a spare one in memory instead, which is written as soon as it can be. Which state of the copy is meant says
//! its [`Stamp`].

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pointsman_config::files::{Files as _, Stamp};
use pointsman_net::fetch::Validators;
use pointsman_os::local::replace_private;

use super::draft::{Beside, Draft};
use super::sidecar::{self, Sidecar, beside, with_ending};
use crate::memory_copies::{MemoryCopies, MemoryCopy, on_disk};

/// A copy of a list.
pub(super) struct Copy {
    path: PathBuf,
    sidecar: Sidecar,
    /// Whether the server of its URL said it.
    told: bool,
    /// Why it is not what was fetched, where something was.
    doubt: Option<String>,
    /// `None`: there is none.
    stamp: Option<Stamp>,
    spares: Arc<MemoryCopies>,
}

impl Copy {
    /// What there is at `path`; reads all of it.
    pub(super) fn find(path: PathBuf, url: &str, spares: &Arc<MemoryCopies>) -> Self {
        let spare = spares.of(&path);
        if spare.is_none() {
            spares.remove(&path);
        }
        // What is no file was no copy; it is in the way, which is told when a better one is there.
        let opened = spares.open(&path, u64::MAX).ok();
        let stamp = opened.as_ref().map(|opened| opened.stamp);
        let (sidecar, doubt) = match (opened, spare) {
            (Some(opened), Some(spare)) => sidecar::understood(&spare.beside, url, opened),
            (Some(opened), None) => sidecar::found(&path, url, opened),
            (None, _) => (None, None),
        };
        let modified = stamp.map_or(0, |stamp| stamp.modified / 1_000_000);
        Self {
            stamp,
            told: sidecar.is_some(),
            doubt,
            sidecar: sidecar.unwrap_or_else(|| Sidecar {
                url: url.to_owned(),
                length: stamp.map_or(0, |stamp| stamp.length),
                checked: modified,
                changed: modified,
                ..Sidecar::default()
            }),
            path,
            spares: Arc::clone(spares),
        }
    }

    /// Why the copy is not what was fetched from its URL; `None` also where nothing was: then somebody put it there.
    pub(super) fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// Which state of it is there; `None` where there is none.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Which state of it is there, where it was fetched from its URL.
    pub(super) fn fetched(&self) -> Option<Stamp> {
        self.stamp.filter(|_| self.told)
    }

    /// How long ago the server last confirmed it; `None` where there is none, or where that lies ahead: one of both
    /// clocks was wrong.
    pub(super) fn age(&self, now: u64) -> Option<Duration> {
        let age = now.checked_sub(self.checked()?)?;
        Some(Duration::from_millis(age))
    }

    pub(super) fn checked(&self) -> Option<u64> {
        self.stamp.map(|_| self.sidecar.checked)
    }

    pub(super) fn changed(&self) -> Option<u64> {
        self.stamp.map(|_| self.sidecar.changed)
    }

    pub(super) fn validators(&self) -> Validators {
        if self.stamp.is_none() {
            return Validators::default();
        }
        Validators {
            etag: self.sidecar.etag.clone(),
            last_modified: self.sidecar.last_modified.clone(),
        }
    }

    /// An empty list beside the copy.
    pub(super) fn draft(&self) -> Draft {
        Draft::begin(&self.path, &self.spares)
    }

    /// Why it is in memory alone, where it is.
    pub(super) fn unwritten(&self) -> Option<Arc<str>> {
        Some(self.spares.of(&self.path)?.why)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The server has nothing newer.
    pub(super) fn confirm(&mut self, now: u64) {
        self.sidecar.checked = now;
        self.note();
    }

    /// The server sent the same once more, and says that of it now.
    pub(super) fn confirm_as(&mut self, validators: Validators, now: u64) {
        (self.sidecar.etag, self.sidecar.last_modified) =
            (validators.etag, validators.last_modified);
        self.confirm(now);
    }

    /// The draft is the copy from now on, in that state.
    pub(super) fn replace(
        &mut self,
        (draft, stamp): (Draft, Stamp),
        validators: Validators,
        now: u64,
    ) -> io::Result<()> {
        let hash = draft.hash();
        let instead_of = on_disk(&self.path);
        match draft.become_copy(&self.path)? {
            None => self.spares.remove(&self.path),
            Some(held) => {
                let spare = MemoryCopy {
                    bytes: held.bytes,
                    stamp,
                    instead_of,
                    beside: Arc::default(),
                    why: held.why,
                };
                self.spares.put(&self.path, spare);
            }
        }
        (self.stamp, self.told, self.doubt) = (Some(stamp), true, None);
        self.sidecar = Sidecar {
            url: std::mem::take(&mut self.sidecar.url),
            length: stamp.length,
            hash: Some(hash.0),
            etag: validators.etag,
            last_modified: validators.last_modified,
            checked: now,
            changed: now,
        };
        self.note();
        Ok(())
    }

    /// Writes what is in memory alone, if it can be written by now. Answers with which state it is then.
    pub(super) fn write_spare(&mut self) -> Option<Stamp> {
        let spare = self.spares.of(&self.path)?;
        match write(&self.path, &spare) {
            Ok(()) => self.spares.remove(&self.path),
            Err(error) => {
                let why = error.to_string().into();
                self.spares.put(&self.path, MemoryCopy { why, ..spare });
                return None;
            }
        }
        self.stamp = on_disk(&self.path);
        self.note();
        self.stamp
    }

    fn note(&self) {
        let path = beside(&self.path);
        let fresh = with_ending(&path, ".new");
        let write = || {
            let sidecar = serde_json::to_vec(&self.sidecar)?;
            match self.unwritten() {
                Some(_) => self.spares.tell(&self.path, sidecar),
                None => replace_private(&path, &fresh, &sidecar)?,
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = write() {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

/// Removes drafts that a process before left where it crashed. To be called before there is any.
pub(super) fn sweep(path: &Path) {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let name = name.to_string_lossy();
    let is_draft = |other: &str| {
        let number = other.strip_prefix(&*name)?.strip_suffix(".new")?;
        let digit = |c: char| c.is_ascii_digit() || c == '-';
        if number == ".fetched" {
            return Some(());
        }
        // Drafts of old had no number.
        (number.is_empty() || number.strip_prefix('.')?.chars().all(digit)).then_some(())
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if is_draft(&entry.file_name().to_string_lossy()).is_some() {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// Puts a spare copy where it belongs. It keeps its time where the file system can keep it, so that it stays the one that
/// is in force.
fn write(path: &Path, spare: &MemoryCopy) -> io::Result<()> {
    let mut beside = Beside::create(path)?;
    beside.file.write_all(spare.bytes.bytes())?;
    let modified = UNIX_EPOCH + Duration::from_nanos(spare.stamp.modified);
    // Else it is another state of the same bytes.
    let _kept = beside.file.set_modified(modified);
    beside.rename(path)
}

#[cfg(test)]
mod tests;
