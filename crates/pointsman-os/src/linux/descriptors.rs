//! This process's table of descriptors.

use std::fs::File;
use std::io;

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
