//! Where compiled sets are kept on disk.
//!
//! Invariant: a file here is whole or not there, and for the user alone. Nothing here is needed: what
//! is missing or damaged is made again.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use pointsman_policy::set::Key;

/// The largest file that is read back, in bytes.
const LARGEST: u64 = 1 << 30;

/// The file that holds the key.
const KEY: &str = "key";

/// Keeps bytes under names of letters, digits and dots.
pub trait Cache: Send + Sync {
    /// What is kept under a name.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps bytes under a name, instead of what was there.
    ///
    /// # Errors
    /// Those of the file system; what was there stays.
    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// All names.
    fn names(&self) -> Vec<String>;

    /// Forgets a name.
    fn remove(&self, name: &str);
}

/// A directory of the daemon's state.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    /// The key that is kept here, else this one, which is kept from now on.
    pub(super) fn key(&self, fresh: Key) -> io::Result<Key> {
        if let Ok(bytes) = fs::read(self.0.join(KEY))
            && let ([low, high], []) = bytes.as_chunks::<8>()
        {
            return Ok(Key([u64::from_le_bytes(*low), u64::from_le_bytes(*high)]));
        }
        let Key([low, high]) = fresh;
        self.store(KEY, &[low.to_le_bytes(), high.to_le_bytes()].concat())?;
        Ok(fresh)
    }
}

impl Cache for Directory {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        let file = fs::File::open(self.0.join(name)).ok()?;
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        make_directory(&self.0)?;
        let aside = self.0.join(format!("{name}.{}.new", std::process::id()));
        let written = create(&aside).and_then(|mut file| file.write_all(bytes));
        let moved = written.and_then(|()| fs::rename(&aside, self.0.join(name)));
        if moved.is_err() {
            let _not_there = fs::remove_file(&aside);
        }
        moved
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name != KEY).collect()
    }

    fn remove(&self, name: &str) {
        let _gone_already = fs::remove_file(self.0.join(name));
    }
}

fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
