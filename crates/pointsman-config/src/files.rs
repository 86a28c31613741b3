//! Where configuration files come from: the disk, or a map in tests.
//!
//! A configuration source is a trait so that another kind (a distributed store) can follow.
//!
//! Invariant: nothing here waits for ever. What a configuration names is a regular file; a pipe is read only where
//! somebody handed it over by name, and only so long.

mod addresses;
mod disk;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead, Seek};
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use disk::Disk;

/// The longest that pipes are waited for: whoever fills one has it at hand.
pub const PIPES_WITHIN: Duration = Duration::from_secs(5);

/// How long pipes are waited for in one load: once, however many of them nobody fills.
#[derive(Debug)]
pub struct Patience(Cell<Duration>);

impl Default for Patience {
    fn default() -> Self {
        Self(Cell::new(PIPES_WITHIN))
    }
}

impl Patience {
    pub(crate) fn left(&self) -> Duration {
        self.0.get()
    }

    /// One was waited for in vain.
    pub(crate) fn end(&self) {
        self.0.set(Duration::ZERO);
    }
}

/// What a list is read from: a stream that can be begun again.
pub trait Bytes: BufRead + Seek {}

impl<T: BufRead + Seek> Bytes for T {}

/// A file that is read as a stream.
pub struct Opened {
    /// Its bytes.
    pub bytes: Box<dyn Bytes>,
    /// Which state of it this is.
    pub stamp: Stamp,
}

impl Opened {
    /// What is in memory, as if it stood in a file that was last modified then, in nanoseconds since 1970.
    #[must_use]
    pub fn in_memory(bytes: impl AsRef<[u8]> + 'static, modified: u64) -> Self {
        let all = bytes.as_ref();
        let stamp = Stamp {
            length: all.len() as u64,
            modified,
            ..Stamp::of_content(&all[..all.len().min(BEGINNING)])
        };
        Self {
            bytes: Box::new(io::Cursor::new(bytes)),
            stamp,
        }
    }
}

/// How much of a file's beginning its stamp holds, in bytes.
const BEGINNING: usize = 64 << 10;

/// What changes when a file does, as far as can be told without reading all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// In bytes.
    pub length: u64,
    /// Nanoseconds since 1970 of its last modification; 0 of a file in memory.
    pub modified: u64,
    /// A hash of its beginning (64 KiB; of a file in memory, of all).
    pub beginning: u64,
}

/// A source of configuration files. One that stands over another says so, and answers itself only what it knows
/// better.
pub trait Files {
    /// The source that is asked for all that this one does not answer itself; without one, nothing is there.
    fn beneath(&self) -> Option<&dyn Files> {
        None
    }

    /// Opens a file to read it as a stream, at most `limit` bytes; more is an error of kind
    /// `FileTooLarge`.
    ///
    /// # Errors
    /// Those of the file system.
    fn open(&self, path: &Path, limit: u64) -> io::Result<Opened> {
        let beneath = self.beneath().ok_or(io::ErrorKind::NotFound)?;
        beneath.open(path, limit)
    }

    /// The bytes of a file, at most `limit`; more is an error of kind `FileTooLarge`.
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let beneath = self.beneath().ok_or(io::ErrorKind::NotFound)?;
        beneath.read(path, limit)
    }

    /// As [`Self::read`], for a file that the command line or a secret's `from_file` names: it may be a pipe, which is
    /// waited for so long.
    ///
    /// # Errors
    /// Those of the file system; `TimedOut` where nothing more came into the pipe and it was not closed.
    fn read_handed(&self, path: &Path, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
        match self.beneath() {
            Some(beneath) => beneath.read_handed(path, limit, within),
            // Files do not wait.
            None => self.read(path, limit),
        }
    }

    /// Names of the entries of a directory, sorted; `(name, is a directory)`.
    ///
    /// # Errors
    /// Those of the file system; `NotADirectory` for a file.
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let beneath = self.beneath().ok_or(io::ErrorKind::NotFound)?;
        beneath.list(path)
    }

    /// As [`Self::list`], those alone that [`fits`] a pattern: so that a source that is watched knows which names
    /// matter.
    ///
    /// # Errors
    /// As [`Self::list`].
    fn matching(&self, path: &Path, pattern: &str) -> io::Result<Vec<(String, bool)>> {
        if let Some(beneath) = self.beneath() {
            return beneath.matching(path, pattern);
        }
        let mut entries = self.list(path)?;
        entries.retain(|(name, _)| fits(pattern, name));
        Ok(entries)
    }

    /// Whether it is a directory; `None` when there is nothing at that path.
    fn is_directory(&self, path: &Path) -> Option<bool> {
        self.beneath()?.is_directory(path)
    }

    /// Whether something is there, or may be: also a link that leads nowhere, and what stands where nobody may look.
    fn may_be_there(&self, path: &Path) -> bool {
        match self.beneath() {
            Some(beneath) => beneath.may_be_there(path),
            None => self.is_directory(path).is_some(),
        }
    }

    /// Where a path leads by its links. What has none, and no programs either, says that all are there.
    ///
    /// # Errors
    /// Those of the file system; `NotFound` for a path that leads nowhere.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        match self.beneath() {
            Some(beneath) => beneath.real_path(path),
            None => Ok(path.to_owned()),
        }
    }

    /// Whether this host has a user of that name or number; `None`: that is not known.
    fn has_user(&self, name: &str) -> Option<bool> {
        self.beneath()?.has_user(name)
    }

    /// Whether an interface of this host has that address now; `None`: that is not known.
    fn has_address(&self, address: IpAddr) -> Option<bool> {
        self.beneath()?.has_address(address)
    }

    /// Whether anybody on this host can read that file; `None`: that is not known.
    fn is_open_to_others(&self, path: &Path) -> Option<bool> {
        self.beneath()?.is_open_to_others(path)
    }

    /// The time of this host, since 1970; `None`: that is not known.
    fn time(&self) -> Option<Duration> {
        self.beneath()?.time()
    }

    /// The value of an environment variable, for secrets `from_env`.
    fn variable(&self, name: &str) -> Option<String> {
        self.beneath()?.variable(name)
    }
}

/// Whether a name matches a pattern of `*` (any text) and `?` (any byte). As shells do: a hidden file must be named.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let hidden = name.starts_with('.') && !pattern.starts_with('.');
    !hidden && matches(pattern.as_bytes(), name.as_bytes())
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last `*` stood, and how much of the name it has taken.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

impl Stamp {
    fn of_content(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self {
            length: bytes.len() as u64,
            modified: 0,
            beginning: hasher.finish(),
        }
    }
}

/// Files in memory, for tests: paths are compared after removing `.` components.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Contents by path.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
}

impl Memory {
    /// Files from pairs of path and text.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files
            .into_iter()
            .map(|(p, t)| (plain(Path::new(p)), t.as_bytes().to_vec()));
        Self {
            files: files.collect(),
            variables: BTreeMap::new(),
        }
    }
}

fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|c| *c != Component::CurDir)
        .collect()
}

impl Files for Memory {
    fn open(&self, path: &Path, limit: u64) -> io::Result<Opened> {
        let bytes = self.read(path, limit)?;
        Ok(Opened {
            stamp: Stamp::of_content(&bytes),
            bytes: Box::new(io::Cursor::new(bytes)),
        })
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        match self.files.get(&plain(path)) {
            Some(bytes) if bytes.len() as u64 > limit => Err(io::ErrorKind::FileTooLarge.into()),
            Some(bytes) => Ok(bytes.clone()),
            None if self.is_directory(path) == Some(true) => {
                Err(io::ErrorKind::IsADirectory.into())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let directory = plain(path);
        let mut names = BTreeMap::new();
        for file in self.files.keys() {
            if let Ok(below) = file.strip_prefix(&directory) {
                let mut parts = below.components();
                if let Some(first) = parts.next() {
                    let name = first.as_os_str().to_string_lossy().into_owned();
                    names.insert(name, parts.next().is_some());
                }
            }
        }
        if names.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(names.into_iter().collect())
    }

    fn is_directory(&self, path: &Path) -> Option<bool> {
        let path = plain(path);
        if self.files.contains_key(&path) {
            return Some(false);
        }
        self.files
            .keys()
            .any(|f| f.starts_with(&path))
            .then_some(true)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        };
        check("*.yaml", "a.yaml", true);
        check("*.yaml", ".yaml", false);
        check(".*.yaml", ".a.yaml", true);
        check("*.yaml", "a.yml", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-b-b-", false);
        check("??", "ab", true);
        check("??", "a", false);
        check("*", "", true);
        check(&"*a".repeat(200), &"a".repeat(400), true);
        check(&"*a".repeat(200), &format!("{}b", "a".repeat(4000)), false);
    }
}
