//! Hosts files: every name of a line, alone; names of the host itself are no entries.

use std::net::IpAddr;

use super::lines::{Line, Lines, before_comment};
use super::{Bytes, Reading, Unreadable};

/// Names that every hosts file gives to the host itself or to its links.
const OWN: &[&str] = &[
    "0.0.0.0",
    "broadcasthost",
    "ip6-allhosts",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-localhost",
    "ip6-localnet",
    "ip6-loopback",
    "ip6-mcastprefix",
    "local",
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
];

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let mut lines = Lines::new(bytes);
    while let Some((number, line)) = lines.next()? {
        let line = match line {
            Line::Text(line) => line,
            Line::Broken(why, shown) => {
                reading.broken(number, &shown, why);
                continue;
            }
        };
        let entry = before_comment(line);
        if entry.is_empty() {
            continue;
        }
        match names(entry) {
            Some((_, names)) => take(entry, names, number, reading),
            None => reading.bad(number, entry, format!("`{entry}` is no `ADDRESS NAME`")),
        }
    }
    Ok(())
}

/// The address of a line, and the names behind it.
pub(super) fn names(entry: &str) -> Option<(IpAddr, &str)> {
    let (address, names) = entry.split_once([' ', '\t'])?;
    let address = address.split('%').next().unwrap_or(address);
    Some((address.parse().ok()?, names.trim_start()))
}

/// Takes the names of a line.
pub(super) fn take(entry: &str, names: &str, number: u32, reading: &mut Reading<'_>) {
    let alone = !names.contains([' ', '\t']);
    for name in names.split_ascii_whitespace() {
        if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            continue;
        }
        let written = if alone { entry } else { name };
        if let Err(why) = reading.name(name, false, number, written) {
            reading.bad(number, entry, format!("`{name}` is no domain: {why}"));
        }
    }
}
