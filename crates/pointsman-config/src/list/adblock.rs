//! Rules of AdBlock and AdGuard for name servers.

use super::lines::{Line, Lines};
use super::{Bytes, Reading, Unreadable};

/// What says nothing about names as a whole.
const PASSED: &str = "rules that say nothing about whole names";

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
        let entry = line.trim();
        if entry.is_empty() || entry.starts_with(['!', '#', '[']) {
            continue;
        }
        let (name, below) = match entry.strip_prefix("||") {
            Some(rest) => (rest.strip_suffix('^'), true),
            None => (Some(entry), false),
        };
        let taken = name.is_some_and(|name| reading.name(name, below, number, entry).is_ok());
        if !taken {
            reading.told.pass(PASSED, number, entry);
        }
    }
    Ok(())
}
