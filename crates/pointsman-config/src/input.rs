//! What a dialect's reader gets, and how it reads further files.

use std::cell::RefCell;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::files::{Files, Patience};
use crate::list::{ListFile, Shelf};
use crate::problem::Source;

/// The largest configuration file, in bytes. Lists have limits of their own.
pub const MAX_FILE: u64 = 64 << 20;

/// What a dialect's reader gets.
pub struct Input<'a> {
    /// The main file.
    pub source: Arc<Source>,
    /// Its path.
    pub path: PathBuf,
    /// The directory that relative paths start from.
    pub directory: PathBuf,
    /// Where further files come from.
    pub files: &'a dyn Files,
    /// Where caches of lists live that have no path of their own.
    pub state: Option<PathBuf>,
    /// Where rule sets are found that were read before.
    pub shelf: &'a Shelf,
    /// How the entries of the sets are found again.
    pub lists: RefCell<Vec<ListFile>>,
    /// How long pipes are still waited for, all together.
    pub patience: Patience,
}

impl Input<'_> {
    /// The bytes of a file that somebody handed over, at most `limit`: a pipe is waited for as long as there is
    /// patience for all of them.
    pub(crate) fn handed(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let done = self.files.read_handed(path, limit, self.patience.left());
        if let Err(error) = &done
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.patience.end();
        }
        done
    }
}

/// Reads a file as UTF-8 text, a byte order mark removed.
///
/// # Errors
/// Those of the file system; `InvalidData` where it is no UTF-8.
pub fn read_text(files: &dyn Files, path: &Path) -> io::Result<String> {
    text_of(files.read(path, MAX_FILE)?)
}

pub(crate) fn text_of(bytes: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

/// A path without `.` and, as far as its text tells, `..`.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            component => out.push(component),
        }
    }
    out
}
