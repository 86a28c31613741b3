//! Unix sockets with a path: bound without a moment of wrong permissions, never taken from a living owner.
//!
//! Invariants: the socket has its mode from the first instant that it can be reached under its path; a path that
//! another process listens on is an error; a path left by a dead one is replaced; what is not a socket is never removed.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::hand_over::make_one;

/// The path of a listening socket; dropping it removes the path, if it is still ours.
#[derive(Debug)]
pub struct UnixEndpoint {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl UnixEndpoint {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixEndpoint {
    fn drop(&mut self) {
        // A successor may have replaced the path: then it is not ours to remove.
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| identity(&meta) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path` with permission bits `mode`; the listener is non-blocking. Missing directories are made.
///
/// It is bound under a private name in a fresh directory of mode 0700 beside `path`, given its mode, and renamed. Two
/// that do this at once take turns by a lock on the directory.
///
/// # Errors
/// `AddrInUse`: somebody listens there. `AlreadyExists`: the path is not a socket. Else those of the system.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, UnixEndpoint)> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(parent)?;
    // A directory that cannot be read cannot be locked, and one whose lock a stranger holds is not waited for: then the
    // check below is all there is. The lock ends with the file.
    let lock = fs::File::open(parent).ok();
    if let Some(lock) = &lock {
        take_turns(lock);
    }
    refuse_the_living(path)?;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let private = parent.join(format!(
        ".pm{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    // Left by a dead process of the same number.
    let _ = fs::remove_dir_all(&private);
    fs::DirBuilder::new().mode(0o700).create(&private)?;
    let bound = bind_inside(&private, path, mode);
    let _ = fs::remove_dir_all(&private);
    bound
}

/// Waits for the lock, but not for long: any user who can read the directory can hold it for ever.
fn take_turns(directory: &fs::File) {
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            _taken_or_not_to_be_had => return,
        }
    }
}

/// Binding takes well below a millisecond: another daemon's turn is over by then.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Makes `directory` if it is missing, and answers that it is ours alone: of our user, no link, mode 0700.
///
/// # Errors
/// `PermissionDenied` when it is not.
pub fn private_directory(directory: &Path) -> io::Result<()> {
    private_directory_of(directory, None)
}

/// As [`private_directory`], where another user may be the one whose alone it is.
pub(super) fn private_directory_of(directory: &Path, another: Option<u32>) -> io::Result<()> {
    match make_one(directory, Mode::from_raw_mode(0o700)) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let meta = fs::symlink_metadata(directory)?;
    let own = rustix::process::geteuid().as_raw();
    let ours = meta.is_dir()
        && (meta.uid() == own || another == Some(meta.uid()))
        && meta.mode() & 0o077 == 0;
    if ours {
        return Ok(());
    }
    let text = format!(
        "{} is not a directory of this user alone (mode 0700)",
        directory.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

fn bind_inside(private: &Path, path: &Path, mode: u32) -> io::Result<(UnixListener, UnixEndpoint)> {
    let inner = private.join("s");
    let listener = UnixListener::bind(&inner)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&inner, fs::Permissions::from_mode(mode))?;
    let identity = identity(&fs::symlink_metadata(&inner)?);
    fs::rename(&inner, path)?;
    Ok((
        listener,
        UnixEndpoint {
            path: path.to_owned(),
            identity,
        },
    ))
}

fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn refuse_the_living(path: &Path) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.file_type().is_socket() {
        let text = format!("{} exists and is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match knock(path) {
        // A queue that is full is somebody's.
        Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) => {
            let text = format!("{} is served by a running process", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT) => Ok(()),
        // As a missing permission: somebody may live there.
        Err(error) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} cannot be taken: {error}", path.display()),
        )),
    }
}

/// Connects without waiting, which a blocking socket would do for as long as the queue is full.
fn knock(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}
