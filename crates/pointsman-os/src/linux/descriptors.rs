//! This process's table of descriptors.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

pub(crate) fn count() -> io::Result<usize> {
    // The directory being read is itself a descriptor.
    Ok(std::fs::read_dir("/proc/self/fd")?
        .count()
        .saturating_sub(1))
}

pub(crate) fn exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

pub(crate) fn any() -> io::Result<File> {
    File::open("/dev/null")
}

pub(crate) fn number(of: &impl AsFd) -> u32 {
    u32::try_from(of.as_fd().as_raw_fd()).unwrap_or(0)
}

pub(crate) fn none_left() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}
