//! This host's own affairs on a system that Pointsman has not been taught: files as every system has them.
//!
//! Invariant: there are no local streams and nothing is inherited. Their types have no values, so that whoever has one
//! needs no answer; whoever wants one gets `ErrorKind::Unsupported`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::task::{Context, Poll};

use tokio::io::{Interest, Ready};

/// A connected local stream, known to the runtime: there is none.
#[derive(Debug)]
pub enum LocalStream {}

/// What takes local streams, known to the runtime: there is none.
#[derive(Debug)]
pub enum LocalListener {}

/// A connected local stream, known to no runtime: there is none.
#[derive(Debug)]
pub enum OwnLocalStream {}

/// What takes local streams, known to no runtime: there is none.
#[derive(Debug)]
pub enum OwnLocalListener {}

/// The address of a local listener: there is none.
#[derive(Debug)]
pub enum LocalAddress {}

impl LocalAddress {
    /// Its path.
    #[must_use]
    pub fn as_pathname(&self) -> Option<&Path> {
        match *self {}
    }
}

/// The path of a listening socket: there is none.
#[derive(Debug)]
pub enum UnixEndpoint {}

/// A socket that somebody else made: none is taken.
#[derive(Debug)]
pub enum Inherited {
    /// Listens on TCP.
    TcpListener(TcpListener),
    /// Listens on a local path.
    UnixListener(OwnLocalListener),
    /// Receives datagrams.
    Udp(UdpSocket),
    /// A connection.
    Tcp(TcpStream),
    /// A local connection.
    Unix(OwnLocalStream),
}

fn unsupported<T>(what: &str) -> io::Result<T> {
    let why = format!("{what} are not supported on this system");
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

impl LocalStream {
    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn into_std(self) -> io::Result<OwnLocalStream> {
        match self {}
    }

    /// Nothing comes here.
    ///
    /// # Errors
    /// None: there is nothing that could be given.
    pub fn from_std(socket: OwnLocalStream) -> io::Result<Self> {
        match socket {}
    }

    /// There is nothing to connect to.
    ///
    /// # Errors
    /// `Unsupported`.
    #[expect(clippy::unused_async, reason = "as its twin of other systems")]
    pub async fn connect(_: &Path) -> io::Result<Self> {
        unsupported("local streams")
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn try_io<R>(&self, _: Interest, _: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match *self {}
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    #[expect(clippy::unused_async, reason = "as its twin of other systems")]
    pub async fn ready(&self, _: Interest) -> io::Result<Ready> {
        match *self {}
    }
}

impl OwnLocalStream {
    /// Whether calls wait.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        match *self {}
    }

    /// Another one of the same.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn try_clone(&self) -> io::Result<Self> {
        match *self {}
    }
}

impl LocalListener {
    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn into_std(self) -> io::Result<OwnLocalListener> {
        match self {}
    }

    /// Nothing comes here.
    ///
    /// # Errors
    /// None: there is nothing that could be given.
    pub fn from_std(socket: OwnLocalListener) -> io::Result<Self> {
        match socket {}
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<(LocalStream, ())>> {
        match *self {}
    }
}

impl OwnLocalListener {
    /// Takes the next client.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn accept(&self) -> io::Result<(OwnLocalStream, ())> {
        match *self {}
    }

    /// Where it listens.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn local_addr(&self) -> io::Result<LocalAddress> {
        match *self {}
    }

    /// Whether calls wait.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        match *self {}
    }

    /// Another one of the same.
    ///
    /// # Errors
    /// None: nobody has one.
    pub fn try_clone(&self) -> io::Result<Self> {
        match *self {}
    }
}

#[cfg(windows)]
mod known_to_windows {
    use std::os::windows::io::{AsSocket, BorrowedSocket};

    use super::{LocalListener, LocalStream, OwnLocalListener, OwnLocalStream};

    impl AsSocket for LocalStream {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            match *self {}
        }
    }

    impl AsSocket for LocalListener {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            match *self {}
        }
    }

    impl AsSocket for OwnLocalStream {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            match *self {}
        }
    }

    impl AsSocket for OwnLocalListener {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            match *self {}
        }
    }
}

/// There are no sockets with a path.
///
/// # Errors
/// `Unsupported`.
pub fn bind_unix(_: &Path, _: u32) -> io::Result<(OwnLocalListener, UnixEndpoint)> {
    unsupported("Unix sockets")
}

/// Nothing is inherited.
///
/// # Errors
/// `Unsupported`.
pub fn inherited_listener(_: i32) -> io::Result<Inherited> {
    unsupported("inherited sockets")
}

/// Nothing is inherited.
///
/// # Errors
/// `Unsupported`.
pub fn inherited_stream(_: i32) -> io::Result<Inherited> {
    unsupported("inherited sockets")
}

/// A directory, with those above it.
///
/// # Errors
/// Those of the file system.
pub fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// A file to append to, made where it is missing.
///
/// # Errors
/// Those of the file system.
pub fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether the log that was opened there is a file that ends within a line; `false` where that cannot be read.
#[must_use]
pub fn ends_within_line(path: &Path, log: &File) -> bool {
    let last = || {
        log.metadata().ok().filter(fs::Metadata::is_file)?;
        let mut file = File::open(path).ok()?;
        file.seek(SeekFrom::End(-1)).ok()?;
        let mut byte = [0];
        file.read_exact(&mut byte).ok()?;
        Some(byte[0])
    };
    last().is_some_and(|last| last != b'\n')
}

/// Whether both paths lead to one file that is there.
pub fn is_one_file(one: &Path, other: &Path) -> bool {
    let found = |path| fs::canonicalize(path).ok();
    let one = found(one);
    one.is_some() && one == found(other)
}
