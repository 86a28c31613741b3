//! Copies in memory: lists that were fetched and could not be written, kept until they can be; for good where there is no
//! directory of state.
//!
//! Invariants: all together they take no more than [`MOST`]. A spare copy counts as long as there stands on the disk what
//! stood there when it came: what somebody puts there afterwards is newer. It goes with the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_config::files::{Disk, Files, Opened, Stamp};
use pointsman_config::list::NO_DIRECTORY;
use pointsman_os::local::read_handed;

/// The most that all of them take with those that are being fetched, in bytes: a list of the usual limit beside the one
/// that it will replace.
const MOST: u64 = 128 << 20;

/// The least by which memory is taken, in bytes.
const STEP: usize = 64 << 10;

/// The spare copies of a daemon, by the path at which they would stand; and the disk, where there is none.
#[derive(Debug, Default)]
pub(crate) struct MemoryCopies {
    held: Mutex<BTreeMap<PathBuf, MemoryCopy>>,
    taken: Arc<AtomicU64>,
}

/// A spare copy.
#[derive(Clone, Debug)]
pub(crate) struct MemoryCopy {
    /// All of it.
    pub(crate) bytes: BoundedBytes,
    /// Which state of the copy it is.
    pub(crate) stamp: Stamp,
    /// What stood on the disk when it came; `None`: nothing that can be read.
    pub(crate) instead_of: Option<Stamp>,
    /// What would stand beside it.
    pub(crate) beside: Arc<[u8]>,
    /// Why it could not be written.
    pub(crate) why: Arc<str>,
}

/// Bytes in memory, as many as there is room for.
#[derive(Clone, Debug)]
pub(crate) struct BoundedBytes(Arc<Buffer>);

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    /// Of all, this one's part.
    part: u64,
    taken: Arc<AtomicU64>,
}

// === impl Spares ===

impl MemoryCopies {
    /// The one that counts at that path.
    pub(crate) fn of(&self, path: &Path) -> Option<MemoryCopy> {
        let spare = self.lock().get(path).cloned()?;
        (on_disk(path) == spare.instead_of).then_some(spare)
    }

    pub(crate) fn put(&self, path: &Path, spare: MemoryCopy) {
        self.lock().insert(path.to_owned(), spare);
    }

    /// That is said of it from now on.
    pub(crate) fn tell(&self, path: &Path, beside: Vec<u8>) {
        if let Some(spare) = self.lock().get_mut(path) {
            spare.beside = beside.into();
        }
    }

    pub(crate) fn remove(&self, path: &Path) {
        self.lock().remove(path);
    }

    /// Keeps those of these paths alone.
    pub(crate) fn keep(&self, paths: &BTreeSet<&Path>) {
        self.lock().retain(|path, _| paths.contains(path.as_path()));
    }

    /// No bytes yet.
    pub(crate) fn empty(&self) -> BoundedBytes {
        BoundedBytes(Arc::new(Buffer {
            bytes: Vec::new(),
            part: 0,
            taken: Arc::clone(&self.taken),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, MemoryCopy>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a copy could stand there: whether there is a directory of state.
pub(crate) fn has_place(path: &Path) -> bool {
    !path.starts_with(NO_DIRECTORY)
}

/// Which state of the copy stands there; `None`: none that can be read.
pub(crate) fn on_disk(path: &Path) -> Option<Stamp> {
    Disk.open(path, u64::MAX).ok().map(|opened| opened.stamp)
}

impl Files for MemoryCopies {
    fn beneath(&self) -> Option<&dyn Files> {
        Some(&Disk)
    }

    fn open(&self, path: &Path, limit: u64) -> io::Result<Opened> {
        match self.of(path) {
            Some(spare) if spare.stamp.length > limit => Err(io::ErrorKind::FileTooLarge.into()),
            Some(spare) => Ok(Opened {
                stamp: spare.stamp,
                ..spare.bytes.opened(spare.stamp.modified)
            }),
            None if !has_place(path) => Err(io::ErrorKind::NotFound.into()),
            None => Disk.open(path, limit),
        }
    }

    fn read_handed(&self, path: &Path, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
        read_handed(path, limit, within)
    }
}

// === impl Held ===

impl BoundedBytes {
    /// Adds some. Only whoever has no clone of it may.
    ///
    /// # Errors
    /// There is no room for them, or there are clones.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = Arc::get_mut(&mut self.0).ok_or(io::ErrorKind::ResourceBusy)?;
        let lacking = (room.bytes.len() + bytes.len()).saturating_sub(room.bytes.capacity());
        if lacking > 0 {
            // By doubling it would take up to twice its size.
            let more = lacking.max(room.bytes.len() / 8).max(STEP);
            room.take(more as u64)?;
            let spare = room.bytes.capacity() - room.bytes.len();
            room.bytes.try_reserve_exact(spare + more)?;
        }
        room.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// As a file that was last modified then.
    pub(crate) fn opened(&self, modified: u64) -> Opened {
        Opened::in_memory(self.clone(), modified)
    }
}

impl AsRef<[u8]> for BoundedBytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Buffer {
    fn take(&mut self, more: u64) -> io::Result<()> {
        let fits = |taken: u64| taken.checked_add(more).filter(|all| *all <= MOST);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.taken.fetch_update(set, get, fits).is_err() {
            let why = format!(
                "and memory has no room for it: lists that cannot be written take at most {} MiB together",
                MOST >> 20
            );
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, why));
        }
        self.part += more;
        Ok(())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.part, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_have_a_limit() {
        let spares = MemoryCopies::default();
        let piece = vec![b'a'; 1 << 20];
        let (mut one, mut other) = (spares.empty(), spares.empty());
        let mut added = 0;
        while one.add(&piece).and_then(|()| other.add(&piece)).is_ok() {
            added += 2;
            assert!(added <= MOST >> 20);
        }
        assert!(added > (MOST >> 20) * 3 / 4, "{added}");
        let refused = one.add(&piece).and_then(|()| other.add(&piece));
        assert!(refused.unwrap_err().to_string().contains("128 MiB"));
        drop(one);
        assert!(other.add(&piece).is_ok(), "what is gone makes room");
        drop(other);
        assert_eq!(spares.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_put_there_afterwards_is_newer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, "old.test\n").unwrap();
        let spares = MemoryCopies::default();
        let mut bytes = spares.empty();
        bytes.add(b"new.test\n").unwrap();
        let spare = MemoryCopy {
            stamp: bytes.opened(7).stamp,
            bytes,
            instead_of: on_disk(&path),
            beside: Arc::default(),
            why: "full".into(),
        };
        spares.put(&path, spare.clone());
        let held = |spares: &MemoryCopies| {
            let mut text = String::new();
            let mut opened = spares.open(&path, 100).unwrap();
            io::Read::read_to_string(&mut opened.bytes, &mut text).unwrap();
            (text, opened.stamp == spare.stamp)
        };
        assert_eq!(held(&spares), ("new.test\n".to_owned(), true));
        let small = spares.open(&path, 3).map(|_| ()).unwrap_err();
        assert_eq!(small.kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(&path, "mine.test\n").unwrap();
        assert_eq!(held(&spares), ("mine.test\n".to_owned(), false));
        spares.keep(&BTreeSet::new());
        assert!(spares.lock().is_empty());
    }
}
