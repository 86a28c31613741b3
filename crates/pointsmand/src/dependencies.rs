//! What a load asked of the disk: what its result depends on, and so what must be watched.
//!
//! Invariant: what was asked for and not there counts too, for it may come; so does what a load asked for that was
//! refused, for that is where it is mended.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_config::files::{Files, Opened, Stamp};
use pointsman_config::setup::ListSource;
use serde::{Deserialize, Serialize};

use crate::memory_copies::MemoryCopies;

/// The files and directories that were asked for, as they were named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependencies {
    /// Files, and what might have been one.
    pub files: BTreeSet<PathBuf>,
    /// Directories, each with the pattern of the names that mattered.
    pub listings: BTreeSet<(PathBuf, String)>,
    /// What stood there.
    pub content: Content,
}

/// What a load found on the disk, as far as that is the operator's: no copy of a list that is fetched. The same over
/// restarts of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// A hash of all files that were read whole, so not of long lists.
    pub text: u64,
    /// A hash of the stamps of those that were read as a stream.
    #[serde(default)]
    pub lists: u64,
}

impl Dependencies {
    /// Takes in what another load asked for.
    pub(crate) fn join(&mut self, other: &Self) {
        self.files.extend(other.files.iter().cloned());
        self.listings.extend(other.listings.iter().cloned());
    }
}

fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The disk, which notes what it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// The disk, and copies that could not be written there.
    disk: Arc<MemoryCopies>,
    asked: RefCell<Dependencies>,
    /// A hash of what was read, by file.
    texts: RefCell<BTreeMap<PathBuf, u64>>,
    /// Which state of a file was read as a stream.
    lists: RefCell<BTreeMap<PathBuf, Stamp>>,
    /// A file that is at hand, and what stands in it.
    pretended: Option<(PathBuf, String)>,
}

impl Recorder {
    pub(crate) fn new(disk: Arc<MemoryCopies>) -> Self {
        Self {
            disk,
            ..Self::default()
        }
    }

    /// What was asked for.
    pub(crate) fn into_dependencies(self) -> Dependencies {
        let mut asked = self.asked.into_inner();
        asked.content = Content {
            text: hashed(&self.texts.into_inner()),
            lists: hashed(&self.lists.into_inner()),
        };
        asked
    }

    /// What stands in these files is the daemon's own: copies of what it fetches.
    pub(crate) fn leave_out(&self, copies: &[ListSource]) {
        let mut lists = self.lists.borrow_mut();
        for path in copies.iter().filter_map(|copy| copy.path.as_ref()) {
            lists.remove(path);
        }
    }

    fn noted(&self, path: &Path, read: io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
        if let Ok(bytes) = &read {
            let text = hashed(bytes);
            self.texts.borrow_mut().insert(path.to_owned(), text);
        }
        read
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
    fn beneath(&self) -> Option<&dyn Files> {
        Some(&*self.disk)
    }

    fn open(&self, path: &Path, limit: u64) -> io::Result<Opened> {
        self.file(path);
        let opened = self.disk.open(path, limit)?;
        self.lists
            .borrow_mut()
            .insert(path.to_owned(), opened.stamp);
        Ok(opened)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        if let Some(text) = self.pretended(path) {
            return Ok(text.to_owned().into_bytes());
        }
        self.file(path);
        self.noted(path, self.disk.read(path, limit))
    }

    fn read_handed(&self, path: &Path, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
        if let Some(text) = self.pretended(path) {
            return Ok(text.to_owned().into_bytes());
        }
        self.file(path);
        self.noted(path, self.disk.read_handed(path, limit, within))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.listing(path, "*");
        self.disk.list(path)
    }

    fn matching(&self, path: &Path, pattern: &str) -> io::Result<Vec<(String, bool)>> {
        self.listing(path, pattern);
        self.disk.matching(path, pattern)
    }

    fn is_directory(&self, path: &Path) -> Option<bool> {
        if self.pretended(path).is_some() {
            return Some(false);
        }
        self.file(path);
        self.disk.is_directory(path)
    }
}
