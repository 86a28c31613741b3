//! One daemon for each directory of state: two would overwrite each other's selections and counts.
//!
//! Invariant: the lock is the kernel's and ends with the process, however that ends; what stands in the file only
//! says who holds it.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use pointsman_config::paths::{Holder, LOCK};
use pointsman_os::local::{make_directory, open_lockable};

/// The directory is this process's as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Tells others how this daemon is reached, now that it is.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn tell(&self, control: &Path) -> io::Result<()> {
        let control = std::path::absolute(control).unwrap_or_else(|_unknown| control.to_owned());
        let pid = std::process::id();
        tell(&self.0, &Holder { pid, control })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody is to be led to whoever listens there next.
        let _ = self.0.set_len(0);
    }
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum Unlocked {
    /// Another daemon has it: a sentence.
    Held(String),
    /// The directory or its file system does not take one.
    Unable(io::Error),
}

/// Takes the directory of state, which is made where it is missing.
pub(crate) fn take(state: &Path) -> Result<Lock, Unlocked> {
    let file = open(state).map_err(Unlocked::Unable)?;
    for left in (0..TRIES).rev() {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if left == 0 => {
                return Err(Unlocked::Held(held(state, &file)));
            }
            // A client that asks whether there is a daemon holds it for a moment.
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(Unlocked::Unable(error)),
        }
    }
    // What a daemon left that was killed.
    file.set_len(0).map_err(Unlocked::Unable)?;
    sweep(state);
    Ok(Lock(file))
}

/// Removes what a daemon that was killed left half written: nobody else writes here.
fn sweep(state: &Path) {
    for entry in std::fs::read_dir(state).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_half_written(&entry.file_name().to_string_lossy()) {
            let _gone = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a file of that name is one that would have taken another's place.
fn is_half_written(name: &str) -> bool {
    let Some(wanted) = name.strip_suffix(".new") else {
        return false;
    };
    let numbers = |text: &str| text.split('-').all(|it| it.parse::<u64>().is_ok());
    let last = wanted.rsplit_once('.').map(|(_, last)| last);
    // Of a file's own kind, of what stands beside the copy of a list, and of the copy.
    ["rolled-back.json", "selections.json"].contains(&wanted)
        || last.is_some_and(|last| last == "fetched" || numbers(last))
}

const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

fn open(state: &Path) -> io::Result<File> {
    make_directory(state)?;
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
        let first = take(&state).unwrap();
        first.tell(Path::new("/run/a.sock")).unwrap();
        let Err(Unlocked::Held(why)) = take(&state) else {
            panic!("two have it");
        };
        let pid = std::process::id();
        assert!(
            why.contains(&format!("process {pid}, control socket /run/a.sock")),
            "{why}"
        );
        drop(first);
        assert_eq!(std::fs::read(state.join(LOCK)).unwrap(), b"");
        take(&state).unwrap();
    }

    #[test]
    fn what_was_half_written_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let left = [
            "rolled-back.json.new",
            "selections.json.new",
            "rules-ads.fetched.new",
            "rules-gone.71-3.new",
        ];
        let mine = [
            "rules-ads",
            "rules-ads.fetched",
            "notes.new",
            "a.old.new",
            "rolled-back.json",
        ];
        for name in left.iter().chain(&mine) {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("selections.json.1.new")).unwrap();
        let _lock = take(directory.path()).unwrap();
        let there = |name: &&str| directory.path().join(name).exists();
        assert!(!left.iter().any(there) && mine.iter().all(there));
        assert!(there(&"selections.json.1.new"), "it is no file");
    }

    #[test]
    fn nothing_is_told_before_the_daemon_is_reached_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK);
        // Of one that was killed.
        std::fs::write(&path, "{\"pid\":1,\"control\":\"/run/a.sock\"}").unwrap();
        let _lock = take(directory.path()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", directory.path().join(LOCK)).unwrap();
        let taken = take(directory.path());
        assert!(matches!(taken, Err(Unlocked::Unable(_))), "{taken:?}");
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let taken = take(&file);
        assert!(matches!(taken, Err(Unlocked::Unable(_))), "{taken:?}");
    }
}
