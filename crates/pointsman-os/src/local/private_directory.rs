//! Files that a program keeps for itself, in a directory of its user alone.
//!
//! Invariant: a file here is whole or as it was before, also where the power fails; nobody else reads or writes it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags};

use super::endpoint::private_directory_of;
use super::hand_over::{Anothers, make_directory};

/// A directory of files by name.
#[derive(Clone, Debug)]
pub struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// The files of a directory, which is made where it is missing.
    ///
    /// # Errors
    /// Those of the file system; `PermissionDenied` when others may enter the directory.
    pub fn open(directory: &Path) -> io::Result<Self> {
        if let Some(parent) = directory.parent() {
            make_directory(parent)?;
        }
        // Root goes on in a service's directory, which is that one's user's.
        private_directory_of(directory, Anothers::around(directory).map(|it| it.user()))?;
        Ok(Self(directory.to_owned()))
    }

    /// The bytes of a file, at most `limit` of them.
    ///
    /// # Errors
    /// Those of the file system; `FileTooLarge`.
    pub fn load(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        super::read_regular(&self.0.join(name), limit)
    }

    /// Puts bytes in a file's place, in one step.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // Several processes, and several threads of one, may write the same.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let aside = self.0.join(format!(
            "{name}.{}-{}.new",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        replace_private(&self.0.join(name), &aside, bytes)
    }

    /// Removes what an earlier process left half written. To be called where no other one writes here.
    pub fn tidy(&self) {
        for name in self.names() {
            let aside = name.strip_suffix(".new").and_then(|it| it.rsplit_once('.'));
            let numbers = |text: &str| text.split('-').all(|it| it.parse::<u32>().is_ok());
            if aside.is_some_and(|(_, writer)| numbers(writer)) {
                self.remove(&name);
            }
        }
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        let _not_there = fs::remove_file(self.0.join(name));
    }
}

/// Puts bytes in a file's place, in one step: they are written to `aside` in the same directory, and are on the disk
/// before they have the name. So a file is whole or as it was before, also where the power fails.
///
/// # Errors
/// Those of the file system; `InvalidInput` where what is aside is no regular file.
pub fn replace_private(path: &Path, aside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| fs::rename(aside, path));
    if moved.is_err() {
        let _gone_already = fs::remove_file(aside);
    }
    moved
}

/// An empty file for its user alone, in the place of what was there; made by root in another user's directory it is
/// that user's.
///
/// # Errors
/// Those of the file system; `InvalidInput` where what is there is no regular file.
pub fn create_private(path: &Path) -> io::Result<fs::File> {
    if let Some(anothers) = Anothers::around(path) {
        anothers.remove(path)?;
        return anothers.create(path, OFlags::WRONLY, Mode::from_raw_mode(0o600));
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    // A pipe that nobody reads would be waited for here.
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        let why = "what is there is no regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    // A file that was there keeps the mode that it had.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}
