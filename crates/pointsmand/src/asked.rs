//! What a load asked of the disk: what its result depends on, and so what must be watched.
//!
//! Invariant: what was asked for and not there counts too, for it may come; so does what a load asked for that was
//! refused, for that is where it is mended.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pointsman_config::files::{Disk, Files, Opened};
use pointsman_os::local::read_handed;

/// The files and directories that were asked for, as they were named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Files, and what might have been one.
    pub files: BTreeSet<PathBuf>,
    /// Directories, each with the pattern of the names that mattered.
    pub listings: BTreeSet<(PathBuf, String)>,
}

impl Asked {
    /// Takes in what another load asked for.
    pub(crate) fn join(&mut self, other: &Self) {
        self.files.extend(other.files.iter().cloned());
        self.listings.extend(other.listings.iter().cloned());
    }
}

/// The disk, which notes what it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    asked: RefCell<Asked>,
    /// A file that is at hand, and what stands in it.
    pretended: Option<(PathBuf, String)>,
}

impl Recorder {
    /// What was asked for.
    pub(crate) fn into_asked(self) -> Asked {
        self.asked.into_inner()
    }

    /// That file holds this text, whatever the disk says.
    pub(crate) fn pretend(&mut self, path: PathBuf, text: String) {
        self.pretended = Some((path, text));
    }

    fn pretended(&self, path: &Path) -> Option<&str> {
        let (pretended, text) = self.pretended.as_ref()?;
        (pretended == path).then_some(text.as_str())
    }

    fn file(&self, path: &Path) {
        self.asked.borrow_mut().files.insert(path.to_owned());
    }

    fn listing(&self, path: &Path, pattern: &str) {
        let listing = (path.to_owned(), pattern.to_owned());
        self.asked.borrow_mut().listings.insert(listing);
    }
}

impl Files for Recorder {
    fn open(&self, path: &Path, limit: u64) -> io::Result<Opened> {
        self.file(path);
        Disk.open(path, limit)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        if let Some(text) = self.pretended(path) {
            return Ok(text.to_owned().into_bytes());
        }
        self.file(path);
        Disk.read(path, limit)
    }

    fn read_handed(&self, path: &Path, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
        if let Some(text) = self.pretended(path) {
            return Ok(text.to_owned().into_bytes());
        }
        self.file(path);
        read_handed(path, limit, within)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.listing(path, "*");
        Disk.list(path)
    }

    fn matching(&self, path: &Path, pattern: &str) -> io::Result<Vec<(String, bool)>> {
        self.listing(path, pattern);
        Disk.matching(path, pattern)
    }

    fn is_directory(&self, path: &Path) -> Option<bool> {
        if self.pretended(path).is_some() {
            return Some(false);
        }
        self.file(path);
        Disk.is_directory(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        Disk.variable(name)
    }
}
