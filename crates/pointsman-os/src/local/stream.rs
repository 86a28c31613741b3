//! Streams between programs of one host, by paths: here Unix sockets. A system with others has types of the same names.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A connected local stream, known to the runtime.
pub type LocalStream = tokio::net::UnixStream;
/// What takes local streams, known to the runtime.
pub type LocalListener = tokio::net::UnixListener;
/// A connected local stream, known to no runtime.
pub type OwnLocalStream = std::os::unix::net::UnixStream;
/// What takes local streams, known to no runtime.
pub type OwnLocalListener = std::os::unix::net::UnixListener;

/// Whether both paths lead to one file that is there.
pub fn is_one_file(one: &Path, other: &Path) -> bool {
    let node = |path| {
        let found = fs::metadata(path);
        found.map(|meta| (meta.dev(), meta.ino())).ok()
    };
    let found = node(one);
    found.is_some() && found == node(other)
}
