//! The copy of a list on disk, and what the server said of it.
//!
//! Invariant: the copy is whole or as it was: a draft beside it takes its place in one step. What the server said
//! stands in a file beside it and counts only for the URL that it is of and for the copy of those very bytes: another
//! one is damaged, or of somebody else, and is asked for anew. Which state of the copy is meant says its [`Stamp`].

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pointsman_config::files::{Bytes, Disk, Files as _, Opened, Stamp};
use pointsman_net::fetch::Validators;
use pointsman_os::local::{create_private, make_directory, read_regular, replace_private};
use serde::{Deserialize, Serialize};

/// The most that stands beside a copy, in bytes.
const MOST_SAID: u64 = 64 << 10;

/// What is compared at once, in bytes.
const PIECE: usize = 16 << 10;

/// The drafts of this process.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

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
}

/// What stands beside the copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Said {
    url: String,
    length: u64,
    /// Of all bytes; `None` of what was fetched before this was kept.
    #[serde(default)]
    hash: Option<u64>,
    etag: Option<String>,
    last_modified: Option<String>,
    /// Milliseconds since 1970: when the server last confirmed it.
    checked: u64,
    /// Milliseconds since 1970: when it was fetched.
    changed: u64,
}

impl Copy {
    /// What there is at `path`; reads all of it.
    pub(super) fn find(path: PathBuf, url: &str) -> Self {
        // What is no file was no copy; it is in the way, which is told when a better one is there.
        let opened = Disk.open(&path, u64::MAX).ok();
        let stamp = opened.as_ref().map(|opened| opened.stamp);
        let (said, doubt) = match opened {
            Some(opened) => found(&path, url, opened),
            None => (None, None),
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

    /// A new file beside the copy.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        if let Some(directory) = self.path.parent() {
            make_directory(directory)?;
        }
        // One that was given up may still be read: none has the name of another.
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let ending = format!(".{}-{number}.new", std::process::id());
        let path = with_ending(&self.path, &ending);
        let file = create_private(&path)?;
        Ok(Draft {
            path,
            file,
            hash: Hash::default(),
        })
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
        draft.file.sync_all()?;
        fs::rename(&draft.path, &self.path)?;
        (self.stamp, self.told, self.doubt) = (Some(stamp), true, None);
        self.said = Said {
            url: std::mem::take(&mut self.said.url),
            length: stamp.length,
            hash: Some(draft.hash.0),
            etag: validators.etag,
            last_modified: validators.last_modified,
            checked: now,
            changed: now,
        };
        self.note();
        Ok(())
    }

    fn note(&self) {
        let path = beside(&self.path);
        let fresh = with_ending(&path, ".new");
        let write = || replace_private(&path, &fresh, &serde_json::to_vec(&self.said)?);
        if let Err(error) = write() {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

/// A list that is being fetched. It is gone when this is, unless it has become the copy.
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    hash: Hash,
}

impl Draft {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.add(bytes);
        self.file.write_all(bytes)
    }

    pub(super) fn read(&self) -> io::Result<Opened> {
        Disk.open(&self.path, u64::MAX)
    }

    /// Whether it holds the very bytes of that file.
    pub(super) fn is_as(&self, path: &Path) -> io::Result<bool> {
        let (mut one, mut other) = (self.read()?, Disk.open(path, u64::MAX)?);
        if one.stamp.length != other.stamp.length {
            return Ok(false);
        }
        let (mut ours, mut theirs) = ([0; PIECE], [0; PIECE]);
        loop {
            let read = one.bytes.read(&mut ours)?;
            if read == 0 {
                return Ok(true);
            }
            other.bytes.read_exact(&mut theirs[..read])?;
            if ours[..read] != theirs[..read] {
                return Ok(false);
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed, where it became the copy.
        let _gone = fs::remove_file(&self.path);
    }
}

/// What was said of this copy, and else why it is another one.
fn found(path: &Path, url: &str, opened: Opened) -> (Option<Said>, Option<String>) {
    let text = match read_regular(&beside(path), MOST_SAID) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, None),
        Err(error) => return (None, Some(format!("what stands beside it: {error}"))),
    };
    let said: Said = match serde_json::from_slice(&text) {
        Ok(said) => said,
        Err(_other) => {
            let why = "what stands beside it is damaged".to_owned();
            return (None, Some(why));
        }
    };
    match differs(&said, url, opened) {
        Some(why) => (None, Some(why)),
        None => (Some(said), None),
    }
}

fn differs(said: &Said, url: &str, mut opened: Opened) -> Option<String> {
    if said.url != url {
        return Some("it was fetched from another URL".to_owned());
    }
    let length = opened.stamp.length;
    if said.length != length {
        return Some(format!(
            "it has {length} bytes, and what was fetched has {}",
            said.length
        ));
    }
    let fetched = said.hash?;
    match Hash::of(&mut *opened.bytes) {
        Ok(hash) if hash == fetched => None,
        Ok(_) => Some("its bytes are not those that were fetched".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// FNV-1a of 64 bits: it tells damage, not malice, and is the same in every version.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Of all bytes.
    fn of(bytes: &mut dyn Bytes) -> io::Result<u64> {
        let mut hash = Self::default();
        loop {
            let piece = bytes.fill_buf()?;
            if piece.is_empty() {
                return Ok(hash.0);
            }
            hash.add(piece);
            let read = piece.len();
            bytes.consume(read);
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
        // Drafts of old had no number.
        (number.is_empty() || number.strip_prefix('.')?.chars().all(digit)).then_some(())
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if is_draft(&entry.file_name().to_string_lossy()).is_some() {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    with_ending(path, ".fetched")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_said_counts_for_its_own_copy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/list");
        let mut copy = Copy::find(path.clone(), "http://a.b/");
        assert_eq!(
            (copy.age(9), copy.validators()),
            (None, Validators::default())
        );
        let mut draft = copy.draft().unwrap();
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

        let again = Copy::find(path.clone(), "http://a.b/");
        assert_eq!(again.validators(), validators);
        assert_eq!(again.fetched(), Some(stamp), "renamed, it is the same");
        assert_eq!(again.age(3000), Some(Duration::from_secs(2)));
        assert_eq!(again.age(999), None, "a clock was wrong");
        let other = Copy::find(path.clone(), "http://c.d/");
        assert_eq!(other.validators(), Validators::default());
        assert_eq!((other.stamp(), other.fetched()), (Some(stamp), None));
        fs::write(&path, "longer than it was\n").unwrap();
        let changed = Copy::find(path.clone(), "http://a.b/");
        assert_eq!(changed.validators(), Validators::default());
        assert!(changed.doubt().is_some());
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 2, "the copy and what stands beside it");
    }

    /// Each was taken as the list, and was asked for again when it was old.
    #[test]
    fn a_copy_that_was_damaged_is_in_doubt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        let find = || Copy::find(path.clone(), "http://a.b/");
        let mut copy = find();
        let mut draft = copy.draft().unwrap();
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
        let other = Copy::find(path.clone(), "http://c.d/");
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
        let path = directory.path().join("list");
        let copy = Copy::find(path.clone(), "http://a.b/");
        let long = b"a.b\n".repeat(PIECE);
        for (copied, fetched, same) in [
            (&b"a.b\n"[..], &b"a.b\n"[..], true),
            (b"a.b\n", b"a.c\n", false),
            (b"a.b\n", b"a.b\nc\n", false),
            (&long, &long, true),
        ] {
            fs::write(&path, copied).unwrap();
            let mut draft = copy.draft().unwrap();
            draft.write(fetched).unwrap();
            assert_eq!(draft.is_as(&path).unwrap(), same);
        }
    }

    #[test]
    fn drafts_are_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        let mut copy = Copy::find(path.clone(), "http://a.b/");
        // A reload gave it up, and it is still read.
        let mut old = copy.draft().unwrap();
        old.write(b"old\n").unwrap();
        let mut new = copy.draft().unwrap();
        new.write(b"new\n").unwrap();
        assert_eq!(old.read().unwrap().stamp.length, 4);
        drop(old);
        let stamp = new.read().unwrap().stamp;
        copy.replace((new, stamp), Validators::default(), 1)
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new\n");

        let left = ["list.new", "list.7-3.new", "list.old.new", "lists.1-1.new"];
        for name in left {
            fs::write(directory.path().join(name), "").unwrap();
        }
        sweep(&path);
        let there = left.map(|name| directory.path().join(name).exists());
        assert_eq!(there, [false, false, true, true]);
        assert!(path.exists());
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        fs::write(&path, "good\n").unwrap();
        let copy = Copy::find(path.clone(), "http://a.b/");
        let mut draft = copy.draft().unwrap();
        draft.write(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read(&path).unwrap(), b"good\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
