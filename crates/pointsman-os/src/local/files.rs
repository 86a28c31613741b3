//! Files that others may have put there: regular ones, and pipes that somebody handed over.
//!
//! Invariant: nothing here waits for ever. Opening does not block, and what was opened is looked at before it is read.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use super::hand_over::Anothers;

/// Opens a regular file.
///
/// # Errors
/// Those of the file system; `InvalidInput` where it is something else, `IsADirectory`.
pub fn open_regular(path: &Path) -> io::Result<File> {
    opened(path, false).map(|(file, _)| file)
}

/// The bytes of a regular file, at most `limit` of them.
///
/// # Errors
/// As [`open_regular`]; `FileTooLarge`.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    whole(open_regular(path)?, limit)
}

/// Whether somebody holds the lock of a regular file; it is asked for shared, and given back at once.
///
/// # Errors
/// Those of the file system.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    match open_regular(path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The bytes of a regular file or of a pipe, at most `limit` of them; a pipe is waited for `within` that time.
///
/// # Errors
/// As [`read_regular`]; `TimedOut` where the pipe was not written into and closed in time.
pub fn read_handed(path: &Path, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
    let (file, metadata) = opened(path, true)?;
    match metadata.file_type().is_fifo() {
        true => piped(file, limit, within),
        false => whole(file, limit),
    }
}

/// A file to append to, made with mode 0640 where it is missing, by root in another user's directory as that user's.
/// Neither opening nor writing to a pipe waits for
/// its reader: a pipe that takes no more answers `WouldBlock`.
///
/// # Errors
/// Those of the file system.
pub fn open_log(path: &Path) -> io::Result<File> {
    if let Some(anothers) = Anothers::around(path) {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
        match anothers.create(path, flags, Mode::from_raw_mode(0o640)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o640);
    options.custom_flags(libc::O_NONBLOCK);
    let opened = options.open(path);
    if !opened
        .as_ref()
        .is_err_and(|error| error.raw_os_error() == Some(libc::ENXIO))
    {
        return opened;
    }
    // A pipe without a reader: opened for both it is there for the one who comes.
    options.create(false).read(true).open(path)
}

/// Whether the log that was opened there is a file that ends within a line: whoever wrote it was killed, or its disk was
/// full. `false` where that cannot be read.
#[must_use]
pub fn ends_within_line(path: &Path, log: &File) -> bool {
    let last = || {
        let length = log.metadata().ok().filter(Metadata::is_file)?.len();
        let mut byte = [0];
        let file = open_regular(path).ok()?;
        file.read_exact_at(&mut byte, length.checked_sub(1)?).ok()?;
        Some(byte[0])
    };
    last().is_some_and(|last| last != b'\n')
}

/// A regular file to read and write and to lock, made with mode 0600 where it is missing, by root in another user's
/// directory as that user's. No link is followed, and no
/// pipe waited for.
///
/// # Errors
/// Those of the file system; `InvalidInput` where it is something else.
pub fn open_lockable(path: &Path) -> io::Result<File> {
    if let Some(anothers) = Anothers::around(path) {
        match anothers.create(path, OFlags::RDWR, Mode::from_raw_mode(0o600)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let file = options.open(path)?;
    admit(&file.metadata()?, false)?;
    Ok(file)
}

fn opened(path: &Path, pipes: bool) -> io::Result<(File, Metadata)> {
    // A device is not even opened: that alone may do something.
    admit(&std::fs::metadata(path)?, pipes)?;
    let mut options = OpenOptions::new();
    // A pipe that nobody writes into would be waited for here.
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    // It may be another one by now.
    let metadata = file.metadata()?;
    admit(&metadata, pipes)?;
    Ok((file, metadata))
}

/// Refuses what is no file to read.
fn admit(metadata: &Metadata, pipes: bool) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() || (pipes && kind.is_fifo()) {
        return Ok(());
    } else if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let wanted = match pipes {
        true => "a regular file or a pipe",
        false => "a regular file",
    };
    let why = format!("it is {what}, and {wanted} is wanted");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn whole(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

fn piped(mut pipe: File, limit: u64, within: Duration) -> io::Result<Vec<u8>> {
    let until = Instant::now() + within;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 16 << 10];
    while bytes.len() as u64 <= limit {
        match pipe.read(&mut piece) {
            // Whoever wrote has ended. Before anything came there was nobody yet.
            Ok(0) if !bytes.is_empty() => return Ok(bytes),
            Ok(0) => {}
            Ok(count) => {
                bytes.extend_from_slice(&piece[..count]);
                if Instant::now() < until {
                    continue;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let left = until.saturating_duration_since(Instant::now());
        let state = await_more(&pipe, left)?;
        if left.is_zero() || state.is_empty() {
            let what = match bytes.is_empty() {
                true => "nothing was written into the pipe",
                false => "the pipe was not closed",
            };
            let why = format!("{what} within {within:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        // Somebody came and went, and wrote nothing.
        if bytes.is_empty() && !state.contains(PollFlags::IN) {
            return Ok(bytes);
        }
    }
    Err(io::ErrorKind::FileTooLarge.into())
}

/// What there is of a pipe: more, its end, or nothing in this time.
fn await_more(pipe: &File, within: Duration) -> io::Result<PollFlags> {
    let time = Timespec::try_from(within).map_err(io::Error::other)?;
    let mut ready = [PollFd::new(pipe, PollFlags::IN)];
    match poll(&mut ready, Some(&time)) {
        // It is asked again.
        Err(rustix::io::Errno::INTR) => Ok(PollFlags::IN),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(ready[0].revents()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;

    use super::*;

    const SOON: Duration = Duration::from_millis(100);

    fn fifo(directory: &Path) -> PathBuf {
        let path = directory.join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the writer in a test")]
    fn a_pipe_is_read_where_it_was_handed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = fifo(directory.path());
        let of = path.clone();
        let writer = std::thread::spawn(move || {
            let mut pipe = OpenOptions::new().write(true).open(of).unwrap();
            pipe.write_all(b"se").unwrap();
            pipe.write_all(b"cret").unwrap();
        });
        let read = read_handed(&path, 10, Duration::from_secs(60)).unwrap();
        assert_eq!(read, b"secret");
        writer.join().unwrap();
        let refused = read_regular(&path, 10).unwrap_err().to_string();
        assert_eq!(refused, "it is a pipe, and a regular file is wanted");
    }

    #[test]
    fn a_pipe_is_waited_for_so_long_and_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = fifo(directory.path());
        let refused = read_handed(&path, 10, SOON).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        let nothing = "nothing was written into the pipe within 100ms";
        assert_eq!(refused.to_string(), nothing);
        // Somebody who writes and never ends: a reader of its own lets it be opened at once.
        let mut both = OpenOptions::new();
        let mut writer = both.read(true).write(true).open(&path).unwrap();
        writer.write_all(b"half").unwrap();
        let refused = read_handed(&path, 10, SOON).unwrap_err().to_string();
        assert_eq!(refused, "the pipe was not closed within 100ms");
        writer.write_all(&[b'x'; 100]).unwrap();
        let refused = read_handed(&path, 10, SOON).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn devices_are_not_handed_over() {
        let refused = read_handed(Path::new("/dev/zero"), 10, SOON).unwrap_err();
        let said = "it is a device, and a regular file or a pipe is wanted";
        assert_eq!(refused.to_string(), said);
    }
}
