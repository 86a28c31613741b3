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
use super::said::{self, Said, beside, with_ending};
use crate::spare::{Spare, Spares, on_disk};

/// A copy of a list.
pub(super) struct Copy {
    path: PathBuf,
    said: Said,
    /// Whether the server of its URL said it.
    told: bool,
    /// Why it is not what was fetched, where something was.
    doubt: Option<String>,
    /// `None`: there is none.
    stamp: Option<Stamp>,
    spares: Arc<Spares>,
}

impl Copy {
    /// What there is at `path`; reads all of it.
    pub(super) fn find(path: PathBuf, url: &str, spares: &Arc<Spares>) -> Self {
        let spare = spares.of(&path);
        if spare.is_none() {
            spares.remove(&path);
        }
        // What is no file was no copy; it is in the way, which is told when a better one is there.
        let opened = spares.open(&path, u64::MAX).ok();
        let stamp = opened.as_ref().map(|opened| opened.stamp);
        let (said, doubt) = match (opened, spare) {
            (Some(opened), Some(spare)) => said::understood(&spare.beside, url, opened),
            (Some(opened), None) => said::found(&path, url, opened),
            (None, _) => (None, None),
        };
        let modified = stamp.map_or(0, |stamp| stamp.modified / 1_000_000);
        Self {
            stamp,
            told: said.is_some(),
            doubt,
            said: said.unwrap_or_else(|| Said {
                url: url.to_owned(),
                length: stamp.map_or(0, |stamp| stamp.length),
                checked: modified,
                changed: modified,
                ..Said::default()
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
        self.stamp.map(|_| self.said.checked)
    }

    pub(super) fn changed(&self) -> Option<u64> {
        self.stamp.map(|_| self.said.changed)
    }

    pub(super) fn validators(&self) -> Validators {
        if self.stamp.is_none() {
            return Validators::default();
        }
        Validators {
            etag: self.said.etag.clone(),
            last_modified: self.said.last_modified.clone(),
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
        self.said.checked = now;
        self.note();
    }

    /// The server sent the same once more, and says that of it now.
    pub(super) fn confirm_as(&mut self, validators: Validators, now: u64) {
        (self.said.etag, self.said.last_modified) = (validators.etag, validators.last_modified);
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
                let spare = Spare {
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
        self.said = Said {
            url: std::mem::take(&mut self.said.url),
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
                self.spares.put(&self.path, Spare { why, ..spare });
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
            let said = serde_json::to_vec(&self.said)?;
            match self.unwritten() {
                Some(_) => self.spares.tell(&self.path, said),
                None => replace_private(&path, &fresh, &said)?,
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
fn write(path: &Path, spare: &Spare) -> io::Result<()> {
    let mut beside = Beside::create(path)?;
    beside.file.write_all(spare.bytes.bytes())?;
    let modified = UNIX_EPOCH + Duration::from_nanos(spare.stamp.modified);
    // Else it is another state of the same bytes.
    let _kept = beside.file.set_modified(modified);
    beside.rename(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_the_server_said_counts_for_its_own_copy() {
        let directory = tempfile::tempdir().unwrap();
        let spares = Arc::<Spares>::default();
        let path = directory.path().join("deep/list");
        let mut copy = Copy::find(path.clone(), "http://a.b/", &spares);
        assert_eq!(
            (copy.age(9), copy.validators()),
            (None, Validators::default())
        );
        let mut draft = copy.draft();
        draft.write(b"a.b\n").unwrap();
        let validators = Validators {
            etag: Some("\"v1\"".into()),
            last_modified: None,
        };
        let stamp = draft.read().unwrap().stamp;
        copy.replace((draft, stamp), validators.clone(), 1000)
            .unwrap();
        assert_eq!(copy.fetched(), Some(stamp));
        assert_eq!(fs::read(&path).unwrap(), b"a.b\n");

        let again = Copy::find(path.clone(), "http://a.b/", &spares);
        assert_eq!(again.validators(), validators);
        assert_eq!(again.fetched(), Some(stamp), "renamed, it is the same");
        assert_eq!(again.age(3000), Some(Duration::from_secs(2)));
        assert_eq!(again.age(999), None, "a clock was wrong");
        let other = Copy::find(path.clone(), "http://c.d/", &spares);
        assert_eq!(other.validators(), Validators::default());
        assert_eq!((other.stamp(), other.fetched()), (Some(stamp), None));
        fs::write(&path, "longer than it was\n").unwrap();
        let changed = Copy::find(path.clone(), "http://a.b/", &spares);
        assert_eq!(changed.validators(), Validators::default());
        assert!(changed.doubt().is_some());
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 2, "the copy and what stands beside it");
    }

    /// Each was taken as the list, and was asked for again when it was old.
    #[test]
    fn a_copy_that_was_damaged_is_in_doubt() {
        let directory = tempfile::tempdir().unwrap();
        let spares = Arc::<Spares>::default();
        let path = directory.path().join("list");
        let find = || Copy::find(path.clone(), "http://a.b/", &spares);
        let mut copy = find();
        let mut draft = copy.draft();
        draft.write(b"a.b\n").unwrap();
        draft.write(b"c.d\n").unwrap();
        let stamp = draft.read().unwrap().stamp;
        copy.replace((draft, stamp), Validators::default(), 1)
            .unwrap();
        assert_eq!((copy.doubt(), find().doubt()), (None, None));
        for damaged in ["a.b\n", "", "a.b\nc.e\n", "a.b\nc.d\n\n"] {
            fs::write(&path, damaged).unwrap();
            let found = find();
            assert!(found.doubt().is_some(), "{damaged:?}");
            assert_eq!(
                (found.fetched(), found.validators()),
                (None, Validators::default())
            );
        }
        fs::write(&path, "a.b\nc.d\n").unwrap();
        assert_eq!(find().doubt(), None, "as it was fetched");
        let other = Copy::find(path.clone(), "http://c.d/", &spares);
        assert!(other.doubt().is_some(), "the list of another address");
        fs::write(beside(&path), "").unwrap();
        assert!(find().doubt().is_some());
        // Somebody put it there: it is as old as it is.
        fs::remove_file(beside(&path)).unwrap();
        fs::write(&path, "mine.test\n").unwrap();
        assert_eq!((find().doubt(), find().stamp().is_some()), (None, true));
    }

    #[test]
    fn the_same_bytes_are_the_same_list() {
        let directory = tempfile::tempdir().unwrap();
        let spares = Arc::<Spares>::default();
        let path = directory.path().join("list");
        let copy = Copy::find(path.clone(), "http://a.b/", &spares);
        let long = b"a.b\n".repeat(16 << 10);
        for (copied, fetched, same) in [
            (&b"a.b\n"[..], &b"a.b\n"[..], true),
            (b"a.b\n", b"a.c\n", false),
            (b"a.b\n", b"a.b\nc\n", false),
            (&long, &long, true),
        ] {
            fs::write(&path, copied).unwrap();
            let mut draft = copy.draft();
            draft.write(fetched).unwrap();
            assert_eq!(
                draft.is_as(spares.open(&path, u64::MAX).unwrap()).unwrap(),
                same
            );
        }
    }

    #[test]
    fn drafts_are_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        let spares = Arc::<Spares>::default();
        let path = directory.path().join("list");
        let mut copy = Copy::find(path.clone(), "http://a.b/", &spares);
        // A reload gave it up, and it is still read.
        let mut old = copy.draft();
        old.write(b"old\n").unwrap();
        let mut new = copy.draft();
        new.write(b"new\n").unwrap();
        assert_eq!(old.read().unwrap().stamp.length, 4);
        drop(old);
        let stamp = new.read().unwrap().stamp;
        copy.replace((new, stamp), Validators::default(), 1)
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new\n");

        let left = [
            "list.new",
            "list.7-3.new",
            "list.fetched.new",
            "list.old.new",
            "lists.1-1.new",
        ];
        for name in left {
            fs::write(directory.path().join(name), "").unwrap();
        }
        sweep(&path);
        let there = left.map(|name| directory.path().join(name).exists());
        assert_eq!(there, [false, false, false, true, true]);
        assert!(path.exists());
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let spares = Arc::<Spares>::default();
        let path = directory.path().join("list");
        fs::write(&path, "good\n").unwrap();
        let copy = Copy::find(path.clone(), "http://a.b/", &spares);
        let mut draft = copy.draft();
        draft.write(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read(&path).unwrap(), b"good\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// A draft was not begun, and a list that refuses let everything through.
    #[test]
    fn a_copy_that_cannot_be_written_is_in_memory_until_it_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let spares = Arc::<Spares>::default();
        let (home, path) = (
            directory.path().join("home"),
            directory.path().join("home/list"),
        );
        let find = || Copy::find(path.clone(), "http://a.b/", &spares);
        // What is in the way is no directory.
        fs::write(&home, "").unwrap();
        let mut copy = find();
        let mut draft = copy.draft();
        draft.write(b"a.b\n").unwrap();
        draft.write(b"c.d\n").unwrap();
        let stamp = draft.read().unwrap().stamp;
        let validators = Validators {
            etag: Some("\"v1\"".into()),
            last_modified: None,
        };
        copy.replace((draft, stamp), validators.clone(), 1000)
            .unwrap();
        assert!(copy.unwritten().is_some() && copy.write_spare().is_none());
        // As for the next load.
        let again = find();
        assert_eq!((again.fetched(), again.doubt()), (Some(stamp), None));
        assert_eq!(
            (again.checked(), again.validators()),
            (Some(1000), validators)
        );
        copy.confirm(2000);
        assert_eq!(find().checked(), Some(2000));
        let other = Copy::find(path.clone(), "http://c.d/", &spares);
        assert!(other.doubt().is_some() && other.fetched().is_none());

        fs::remove_file(&home).unwrap();
        let written = copy.write_spare();
        assert_eq!((written, copy.unwritten()), (Some(stamp), None));
        assert_eq!(fs::read(&path).unwrap(), b"a.b\nc.d\n");
        let found = find();
        assert_eq!(
            (found.fetched(), found.checked()),
            (Some(stamp), Some(2000))
        );
    }

    #[test]
    fn a_draft_outlives_a_disk_that_fails_in_the_middle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        fs::write(&path, "old.test\n").unwrap();
        let spares = Arc::<Spares>::default();
        let mut copy = Copy::find(path.clone(), "http://a.b/", &spares);
        let mut draft = copy.draft();
        draft.write(b"a.b\n").unwrap();
        draft.fail_from_now_on();
        draft.write(b"c.d\n").unwrap();
        let mut opened = draft.read().unwrap();
        let mut text = String::new();
        opened.bytes.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a.b\nc.d\n");
        let stamp = opened.stamp;
        copy.replace((draft, stamp), Validators::default(), 1)
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old.test\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let again = Copy::find(path.clone(), "http://a.b/", &spares);
        assert_eq!(again.fetched(), Some(stamp));
    }
}
