//! Unix sockets with a path: bound without a moment of wrong permissions, never taken from a living owner.
//!
//! Invariants: the socket has its mode from the first instant that it can be reached under its path; a path that
//! another process listens on is an error; a path left by a dead one is replaced; what is not a socket is never removed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A listening socket together with its path; dropping it removes the path, if it is still ours.
#[derive(Debug)]
pub struct UnixEndpoint {
    path: PathBuf,
    inode: u64,
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
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path` with permission bits `mode`; the listener is non-blocking.
///
/// It is bound under a private name in a fresh directory of mode 0700 beside `path`, given its mode, and renamed to `path`.
///
/// # Errors
/// `AddrInUse`: somebody listens there. `AlreadyExists`: the path is not a socket. Else those of the system.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, UnixEndpoint)> {
    refuse_the_living(path)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let private = parent.join(format!(".pm{}", std::process::id()));
    fs::create_dir_all(parent)?;
    let _ = fs::remove_dir_all(&private);
    fs::DirBuilder::new().create(&private)?;
    let bound = bind_inside(&private, path, mode);
    let _ = fs::remove_dir_all(&private);
    bound
}

fn bind_inside(private: &Path, path: &Path, mode: u32) -> io::Result<(UnixListener, UnixEndpoint)> {
    fs::set_permissions(private, fs::Permissions::from_mode(0o700))?;
    let inner = private.join("s");
    let listener = UnixListener::bind(&inner)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&inner, fs::Permissions::from_mode(mode))?;
    let inode = fs::symlink_metadata(&inner)?.ino();
    fs::rename(&inner, path)?;
    Ok((
        listener,
        UnixEndpoint {
            path: path.to_owned(),
            inode,
        },
    ))
}

fn refuse_the_living(path: &Path) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} exists and is not a socket", path.display()),
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} is served by a running process", path.display()),
        )),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        // A full queue or a missing permission: somebody may live there.
        Err(error) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} cannot be taken: {error}", path.display()),
        )),
    }
}
