//! One daemon for each directory of state: two would overwrite each other's selections and counts.
//!
//! Invariant: the lock is the kernel's and ends with the process, however that ends; what stands in the file only
//! says who holds it.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use pointsman_config::paths::{Holder, LOCK};
use pointsman_os::local::open_lockable;

/// The directory is this process's as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum Unlocked {
    /// Another daemon has it: a sentence.
    Held(String),
    /// The directory or its file system does not take one.
    Unable(io::Error),
}

/// Takes the directory of state, which is made where it is missing, and tells others how this daemon is reached.
pub(crate) fn take(state: &Path, control: &Path) -> Result<Lock, Unlocked> {
    let file = open(state).map_err(Unlocked::Unable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Unlocked::Held(held(state, &file))),
        Err(TryLockError::Error(error)) => return Err(Unlocked::Unable(error)),
    }
    let control = std::path::absolute(control).unwrap_or_else(|_unknown| control.to_owned());
    let holder = Holder {
        pid: std::process::id(),
        control,
    };
    tell(&file, &holder).map_err(Unlocked::Unable)?;
    Ok(Lock { _held: file })
}

fn open(state: &Path) -> io::Result<File> {
    std::fs::create_dir_all(state)?;
    open_lockable(&state.join(LOCK))
}

fn tell(mut file: &File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec(holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

fn held(state: &Path, file: &File) -> String {
    /// A number and a path.
    const LONGEST: u64 = 64 << 10;
    let mut bytes = Vec::new();
    let read = file.take(LONGEST).read_to_end(&mut bytes);
    // It may be about to be written.
    let holder: Option<Holder> = read.ok().and_then(|_| serde_json::from_slice(&bytes).ok());
    let who = match holder {
        Some(Holder { pid, control }) => format!(
            "another daemon (process {pid}, control socket {})",
            control.display()
        ),
        None => "another daemon".to_owned(),
    };
    format!(
        "{who} keeps its state in {}: end that one, or give this one a directory of its own with `--state`",
        state.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_holds_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("not/there/yet");
        let control = Path::new("/run/a.sock");
        let first = take(&state, control).unwrap();
        let Err(Unlocked::Held(why)) = take(&state, Path::new("/run/b.sock")) else {
            panic!("two have it");
        };
        let pid = std::process::id();
        assert!(
            why.contains(&format!("process {pid}, control socket /run/a.sock")),
            "{why}"
        );
        drop(first);
        take(&state, control).unwrap();
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", directory.path().join(LOCK)).unwrap();
        let taken = take(directory.path(), Path::new("/c"));
        assert!(matches!(taken, Err(Unlocked::Unable(_))), "{taken:?}");
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let taken = take(&file, Path::new("/c"));
        assert!(matches!(taken, Err(Unlocked::Unable(_))), "{taken:?}");
    }
}
