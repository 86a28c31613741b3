//! A list that is being fetched: a file beside the copy, or in memory where that cannot be written.
//!
//! Invariant: whatever becomes of the disk meanwhile, a draft holds all bytes that came, or there was no room for them in
//! memory either. One that is given up leaves nothing.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_config::files::{Disk, Files as _, Opened};
use pointsman_os::local::{create_private, make_directory};

use super::sidecar::{Hash, with_ending};
use crate::clock::unix_ms;
use crate::memory_copies::{BoundedBytes, MemoryCopies, has_place};

/// What is compared or copied at once, in bytes.
const PIECE: usize = 16 << 10;

/// The drafts of this process.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// A list that is being fetched. It is gone when this is, unless it has become the copy.
pub(super) struct Draft {
    place: Storage,
    length: u64,
    hash: Hash,
    spares: Arc<MemoryCopies>,
}

/// Where it is.
enum Storage {
    File(Beside),
    Memory(InMemory),
}

/// One whose bytes are in memory.
pub(super) struct InMemory {
    pub(super) bytes: BoundedBytes,
    /// When it was begun, in nanoseconds since 1970.
    modified: u64,
    /// Why they cannot be written.
    pub(super) why: Arc<str>,
}

impl Draft {
    /// An empty one for that copy.
    pub(super) fn begin(copy: &Path, spares: &Arc<MemoryCopies>) -> Self {
        let place = match Beside::create(copy) {
            Ok(beside) => Storage::File(beside),
            Err(error) => Storage::Memory(InMemory::begin(spares, &error)),
        };
        Self {
            place,
            length: 0,
            hash: Hash::default(),
            spares: Arc::clone(spares),
        }
    }

    /// Adds what came.
    ///
    /// # Errors
    /// It can neither be written nor be kept in memory.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match &mut self.place {
            Storage::File(beside) => beside.file.write_all(bytes),
            Storage::Memory(held) => held.add(bytes),
        };
        match (written, &self.place) {
            (Ok(()), _) => {}
            (Err(error), Storage::Memory(_)) => return Err(error),
            (Err(error), Storage::File(_)) => self.take_into_memory(&error)?.add(bytes)?,
        }
        self.hash.add(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Takes what there is into memory, for it cannot be written.
    fn take_into_memory(&mut self, why: &io::Error) -> io::Result<&mut InMemory> {
        let mut held = InMemory::begin(&self.spares, why);
        if let Storage::File(beside) = &self.place {
            // The last write may have left a part behind.
            let mut file = File::open(&beside.path)?.take(self.length);
            let mut piece = [0; PIECE];
            loop {
                let read = file.read(&mut piece)?;
                if read == 0 {
                    break;
                }
                held.add(&piece[..read])?;
            }
        }
        self.place = Storage::Memory(held);
        match &mut self.place {
            Storage::Memory(held) => Ok(held),
            Storage::File(_) => Err(io::ErrorKind::Other.into()),
        }
    }

    pub(super) fn read(&self) -> io::Result<Opened> {
        match &self.place {
            Storage::File(beside) => Disk.open(&beside.path, u64::MAX),
            Storage::Memory(held) => Ok(held.bytes.opened(held.modified)),
        }
    }

    /// Of all bytes.
    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// Whether it holds the very bytes of that.
    pub(super) fn is_as(&self, mut other: Opened) -> io::Result<bool> {
        let mut one = self.read()?;
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

    /// Puts it in the place of the copy; `Some`: it could not be, and that is all of it.
    ///
    /// # Errors
    /// It can neither be written nor be kept in memory.
    pub(super) fn become_copy(mut self, copy: &Path) -> io::Result<Option<InMemory>> {
        if let Storage::File(beside) = &self.place
            && let Err(error) = beside.rename(copy)
        {
            self.take_into_memory(&error)?;
        }
        Ok(match self.place {
            Storage::File(_) => None,
            Storage::Memory(held) => Some(held),
        })
    }
}

#[cfg(test)]
impl Draft {
    /// The disk takes nothing more.
    pub(super) fn fail_from_now_on(&mut self) {
        if let Storage::File(beside) = &mut self.place {
            beside.file = File::open(&beside.path).unwrap();
        }
    }
}

impl InMemory {
    fn begin(spares: &MemoryCopies, why: &io::Error) -> Self {
        Self {
            bytes: spares.empty(),
            modified: unix_ms().saturating_mul(1_000_000),
            why: why.to_string().into(),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let added = self.bytes.add(bytes);
        added.map_err(|error| io::Error::new(error.kind(), format!("{}; {error}", self.why)))
    }
}

/// A file beside a copy, which is gone when this is, unless it was renamed.
pub(super) struct Beside {
    path: PathBuf,
    pub(super) file: File,
}

impl Beside {
    pub(super) fn create(copy: &Path) -> io::Result<Self> {
        if !has_place(copy) {
            let why = "there is no directory to keep it in; `--state` names one";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        if let Some(directory) = copy.parent() {
            make_directory(directory)?;
        }
        // One that was given up may still be read: none has the name of another.
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let ending = format!(".{}-{number}.new", std::process::id());
        let path = with_ending(copy, &ending);
        let file = create_private(&path)?;
        Ok(Self { path, file })
    }

    /// Puts it in the place of the copy, in one step, when it is on the disk.
    pub(super) fn rename(&self, copy: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, copy)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Renamed, where it became the copy.
        let _gone = fs::remove_file(&self.path);
    }
}
