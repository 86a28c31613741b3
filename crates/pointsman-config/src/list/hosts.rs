//! Hosts files: every name of a line, alone; names of the host itself are no entries.

use std::net::IpAddr;

use super::lines::{before_hosts_comment, each};
use super::look::{Look, is_own, look, names};
use super::{Behavior, Bytes, Reading, Unreadable};

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let bare = before_hosts_comment;
    each(bytes, reading, bare, |entry, number, _, reading| {
        line(entry, number, reading);
    })
}

/// Takes a line without its comment.
pub(super) fn line(entry: &str, number: u32, reading: &mut Reading<'_>) {
    match names(entry) {
        Some((_, names)) => take(entry, names, number, reading),
        None if entry.parse::<IpAddr>().is_err() && reading.foreign(entry, number) => {}
        None if look(entry) == Look::Name && !is_glued(entry) => {
            reading.strange(entry, number, "a name without an address");
            take(entry, entry, number, reading);
        }
        None => reading.bad(
            number,
            entry,
            format!("`{entry}` is no line of a hosts file (`ADDRESS NAME`)"),
        ),
    }
}

/// Whether the white space behind an address is missing.
fn is_glued(entry: &str) -> bool {
    let addresses = ["0.0.0.0", "127.0.0.1"];
    addresses.iter().any(|address| entry.starts_with(address))
}

/// Takes the names of a line.
pub(super) fn take(entry: &str, names: &str, number: u32, reading: &mut Reading<'_>) {
    let alone = !names.contains([' ', '\t']);
    let below = reading.recipe.behavior == Some(Behavior::Names);
    for name in names.split_ascii_whitespace().filter(|name| !is_own(name)) {
        let written = if alone { entry } else { name };
        if let Err(why) = reading.name(name, below, number, written) {
            reading.bad(number, entry, format!("`{name}` is no domain: {why}"));
        }
    }
}
