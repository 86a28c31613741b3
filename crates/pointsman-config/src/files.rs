//! Where configuration files come from: the disk, or a map in tests.
//!
//! A configuration source is a trait so that another kind (a distributed store) can follow.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A source of configuration files.
pub trait Files {
    /// The bytes of a file, at most `limit`; more is an error of kind `FileTooLarge`.
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Names of the entries of a directory, sorted; `(name, is a directory)`.
    ///
    /// # Errors
    /// Those of the file system; `NotADirectory` for a file.
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>>;

    /// Whether it is a directory; `None` when there is nothing at that path.
    fn is_directory(&self, path: &Path) -> Option<bool>;

    /// The value of an environment variable, for secrets `from_env`.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The disk and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        use io::Read as _;
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let directory = entry.path().is_dir();
            names.push((entry.file_name().to_string_lossy().into_owned(), directory));
        }
        names.sort();
        Ok(names)
    }

    fn is_directory(&self, path: &Path) -> Option<bool> {
        std::fs::metadata(path).ok().map(|m| m.is_dir())
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
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
