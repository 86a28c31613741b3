//! Options of an OPT record (RFC 6891 §6.1.2).

use super::u16_at;

/// The number of the one that says nothing (RFC 7830 §3).
pub(super) const PADDING: u16 = 12;

/// The bytes of an option before its data: number and length.
pub(super) const HEAD: usize = 4;

/// Whether options of an OPT record hold that one; options behind a malformed one do not count.
pub(super) fn has_option(mut options: &[u8], wanted: u16) -> bool {
    while let (Some(number), Some(length)) = (u16_at(options, 0), u16_at(options, 2)) {
        if number == wanted {
            return true;
        }
        options = options
            .get(HEAD + usize::from(length)..)
            .unwrap_or_default();
    }
    false
}
