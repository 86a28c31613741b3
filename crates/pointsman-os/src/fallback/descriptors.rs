//! No table of descriptors is known here.

use std::fs::File;
use std::io;

pub(crate) fn count() -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn exhausted(_: &io::Error) -> bool {
    false
}

pub(crate) fn any() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// None is kept back here.
pub(crate) fn number<S>(_: &S) -> u32 {
    0
}

pub(crate) fn none_left() -> io::Error {
    io::ErrorKind::QuotaExceeded.into()
}
