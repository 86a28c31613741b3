//! sing-box's binary rule sets: not built yet.

use super::{Bytes, Reading, Unreadable};

pub(super) fn read(_bytes: &mut dyn Bytes, _reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    Err(Unreadable::malformed(
        "lists of this format are not built yet",
    ))
}
