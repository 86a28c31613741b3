//! The disk as the client reads it: what the command line names may be a pipe or `-`, stdin, which can be read only
//! once.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_config::files::{Disk, Files};
use pointsman_os::local::read_handed;

/// What came out of pipes: several steps of a verb may ask for it.
static PIPED: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// The disk of this host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThisHost;

impl ThisHost {
    /// At that path stands this text.
    pub(crate) fn pretend(self, path: &str, text: &str) {
        piped().insert(path.into(), text.as_bytes().to_vec());
    }
}

/// Whether a path means stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What comes by stdin, at most `limit` bytes; whoever asked for it waits for its end.
fn stdin(limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)?;
    if read == 0 {
        // `false | pointsman check -` is no configuration that is in order.
        let why = "nothing came by stdin";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
    }
    match read as u64 > limit {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

impl Files for ThisHost {
    fn beneath(&self) -> Option<&dyn Files> {
        Some(&Disk)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        if let Some(known) = piped().get(path) {
            return Ok(known.clone());
        }
        Disk.read(path, limit)
    }

    fn read_handed(&self, path: &Path, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
        if let Some(known) = piped().get(path) {
            return Ok(known.clone());
        }
        let bytes = match is_stdin(path) {
            true => stdin(limit)?,
            false => read_handed(path, limit, within)?,
        };
        if is_stdin(path) || !path.is_file() {
            piped().insert(path.to_owned(), bytes.clone());
        }
        Ok(bytes)
    }

    fn is_directory(&self, path: &Path) -> Option<bool> {
        match is_stdin(path) {
            true => Some(false),
            false => Disk.is_directory(path),
        }
    }
}

fn piped() -> MutexGuard<'static, BTreeMap<PathBuf, Vec<u8>>> {
    PIPED.lock().unwrap_or_else(PoisonError::into_inner)
}
