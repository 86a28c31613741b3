//! The disk and the environment of this process. Pipes are for whoever has a clock.
//!
//! Invariant: opening never waits, whatever stands at a path: it is looked at before and behind the opening, which is
//! one that does not block. What grows while it is read is read up to the limit and no further.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufRead as _, Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{BEGINNING, Files, Opened, Stamp, addresses};

/// The most entries of a directory that are looked at: with more of them it is none of a configuration.
const MOST_LISTED: usize = 100_000;

/// The disk and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn open(&self, path: &Path, limit: u64) -> io::Result<Opened> {
        let (file, metadata) = regular(path)?;
        if metadata.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).ok();
        let modified = metadata.modified().ok().and_then(since);
        let modified = modified.and_then(|at| u64::try_from(at.as_nanos()).ok());
        let within = Within { file, at: 0, limit };
        let mut bytes = Box::new(io::BufReader::with_capacity(BEGINNING, within));
        let mut stamp = Stamp::of_content(bytes.fill_buf()?);
        stamp.length = metadata.len();
        stamp.modified = modified.unwrap_or(0);
        Ok(Opened { bytes, stamp })
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let (file, _) = regular(path)?;
        whole(file, limit)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            if names.len() == MOST_LISTED {
                let why = format!("the directory has more than {MOST_LISTED} entries");
                return Err(io::Error::other(why));
            }
            let entry = entry?;
            let directory = entry.path().is_dir();
            names.push((entry.file_name().to_string_lossy().into_owned(), directory));
        }
        names.sort();
        Ok(names)
    }

    fn is_directory(&self, path: &Path) -> Option<bool> {
        std::fs::metadata(path).ok().map(|m| m.is_dir())
    }

    fn may_be_there(&self, path: &Path) -> bool {
        let leads_nowhere = |path: &Path| path.is_symlink() && std::fs::metadata(path).is_err();
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.ancestors().skip(1).any(leads_nowhere)
            }
            Ok(_) | Err(_) => true,
        }
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn has_user(&self, name: &str) -> Option<bool> {
        /// A large host's.
        const LONGEST: u64 = 16 << 20;
        let users = self.read(Path::new("/etc/passwd"), LONGEST).ok()?;
        let mut lines = users.split(|byte| *byte == b'\n');
        let is_it = |line: &[u8]| line.split(|byte| *byte == b':').next() == Some(name.as_bytes());
        Some(name.parse::<u32>().is_ok() || lines.any(is_it))
    }

    fn has_address(&self, address: IpAddr) -> Option<bool> {
        /// A host with more routes than that has its tables for itself.
        const LONGEST: u64 = 16 << 20;
        if address.is_loopback() {
            return Some(true);
        }
        let table = match address {
            IpAddr::V4(_) => "/proc/net/fib_trie",
            IpAddr::V6(_) => "/proc/net/if_inet6",
        };
        let table = self.read(Path::new(table), LONGEST).ok()?;
        let table = String::from_utf8(table).ok()?;
        Some(match address {
            IpAddr::V4(address) => addresses::has_v4(&table, address),
            IpAddr::V6(address) => addresses::has_v6(&table, address),
        })
    }

    fn is_open_to_others(&self, path: &Path) -> Option<bool> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(metadata.permissions().mode() & 0o004 != 0)
    }

    fn time(&self) -> Option<Duration> {
        UNIX_EPOCH.elapsed().ok()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Opens a regular file.
fn regular(path: &Path) -> io::Result<(File, Metadata)> {
    // A device is not even opened: that alone may do something.
    admit(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    // A pipe that nobody writes into would be waited for here.
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    // It may be another one by now.
    let metadata = file.metadata()?;
    admit(&metadata)?;
    Ok((file, metadata))
}

/// Refuses what is no file to read.
fn admit(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
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
    let why = format!("it is {what}, and a regular file is wanted");
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

/// A file that may grow while it is read.
struct Within {
    file: File,
    at: u64,
    limit: u64,
}

impl Read for Within {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(to)?;
        self.at = self.at.saturating_add(count as u64);
        match self.at > self.limit {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(count),
        }
    }
}

impl Seek for Within {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn said<T>(done: io::Result<T>) -> String {
        done.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(at("fifo"))
            .status();
        assert!(made.unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let check = |path: &Path, expected: &str| {
            assert_eq!(said(Disk.read(path, 10)), expected, "{path:?}");
            assert_eq!(said(Disk.open(path, 10)), expected, "{path:?}");
        };
        check(&at("fifo"), "it is a pipe, and a regular file is wanted");
        check(
            &at("socket"),
            "it is a socket, and a regular file is wanted",
        );
        let device = "it is a device, and a regular file is wanted";
        check(Path::new("/dev/zero"), device);
        check(directory.path(), "is a directory");
        std::os::unix::fs::symlink(at("fifo"), at("link")).unwrap();
        check(&at("link"), "it is a pipe, and a regular file is wanted");
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        assert!(said(Disk.read(&at("loop"), 10)).contains("symbolic link"));
    }

    #[test]
    fn what_is_in_memory_has_the_stamp_that_it_would_have_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        for length in [0, 1, BEGINNING, BEGINNING + 1, 3 * BEGINNING] {
            let bytes = vec![b'a'; length];
            std::fs::write(&path, &bytes).unwrap();
            let on_disk = Disk.open(&path, u64::MAX).unwrap().stamp;
            let held = Opened::in_memory(bytes, on_disk.modified).stamp;
            assert_eq!(held, on_disk, "{length}");
        }
    }

    #[test]
    fn what_grows_while_it_is_read_ends_at_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grows");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[b'a'; 100]).unwrap();
        let mut opened = Disk.open(&path, 200_000).unwrap();
        file.write_all(&vec![b'b'; 300_000]).unwrap();
        let mut all = Vec::new();
        let ended = opened.bytes.read_to_end(&mut all).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::FileTooLarge);
        assert!(all.len() <= 200_000, "{}", all.len());
        // A file of a terabyte that takes no room.
        file.set_len(1 << 40).unwrap();
        let sparse = [said(Disk.open(&path, 9)), said(Disk.read(&path, 9))];
        assert_eq!(sparse, ["file too large", "file too large"]);
    }
}
