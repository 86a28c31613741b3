//! What root makes in the directory of another user: it is that user's, so that a service whose state root once wrote
//! goes on with it.
//!
//! Invariant: nothing is given away that was there before under that name, nor anything that a link leads to: whoever
//! owns the directory chooses what stands in it, and must not choose what root opens. So the directory is opened once,
//! and what is in it by way of that.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use super::is_root;

/// A directory of another user, where this process is root.
#[derive(Debug)]
pub(super) struct Anothers {
    directory: OwnedFd,
    user: Uid,
    group: Gid,
}

impl Anothers {
    /// The directory that `path` is in, where it is such a one.
    pub(super) fn around(path: &Path) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Where it cannot be opened, what follows says so.
        let directory = rustix::fs::open(
            parent.unwrap_or_else(|| Path::new(".")),
            flags,
            Mode::empty(),
        );
        let directory = directory.ok()?;
        let found = rustix::fs::fstat(&directory).ok()?;
        let (user, group) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
        (!user.is_root()).then_some(Self {
            directory,
            user,
            group,
        })
    }

    /// Whose it is.
    pub(super) fn user(&self) -> u32 {
        self.user.as_raw()
    }

    /// A new file in it, of its owner; there is none of that name.
    pub(super) fn create(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name(path)?, flags, mode)?;
        self.give(&file)?;
        Ok(file.into())
    }

    /// Takes a name away; a directory keeps it.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.directory, name(path)?, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn give(&self, made: impl AsFd) -> io::Result<()> {
        Ok(rustix::fs::fchown(made, Some(self.user), Some(self.group))?)
    }

    /// A new directory in it, of its owner.
    fn directory(&self, path: &Path, mode: Mode) -> io::Result<()> {
        let name = name(path)?;
        rustix::fs::mkdirat(&self.directory, name, mode)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.give(rustix::fs::openat(
            &self.directory,
            name,
            flags,
            Mode::empty(),
        )?)
    }
}

/// Makes a directory, and those above it, where they are missing; made by root they are of the user whose directory
/// they are in.
///
/// # Errors
/// Those of the file system.
pub fn make_directory(path: &Path) -> io::Result<()> {
    make(path, Mode::from_raw_mode(0o777))
}

pub(super) fn make(path: &Path, mode: Mode) -> io::Result<()> {
    if path == Path::new("") || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    match make_one(path, mode) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Makes one directory.
///
/// # Errors
/// Those of the file system; `AlreadyExists`.
pub(super) fn make_one(path: &Path, mode: Mode) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match Anothers::around(path) {
        Some(anothers) => anothers.directory(path, mode),
        None => fs::DirBuilder::new().mode(mode.as_raw_mode()).create(path),
    }
}

fn name(path: &Path) -> io::Result<&std::ffi::OsStr> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    path.file_name().ok_or_else(none)
}
