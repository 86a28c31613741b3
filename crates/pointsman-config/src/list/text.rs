//! Plain text: one entry a line.

use super::entry::uncommented;
use super::lines::{Line, Lines, before_comment};
use super::{Behavior, Bytes, Reading, Unreadable};

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let rules = [Behavior::Clash, Behavior::Classical];
    let classical = reading.told.behavior.is_some_and(|b| rules.contains(&b));
    let mut lines = Lines::new(bytes);
    while let Some((number, line)) = lines.next()? {
        let line = match line {
            Line::Text(line) => line,
            Line::Broken(why, shown) => {
                reading.broken(number, &shown, why);
                continue;
            }
        };
        let entry = if classical {
            uncommented(line)
        } else {
            before_comment(line)
        };
        if !entry.is_empty() {
            let start = line.len() - line.trim_start().len();
            reading.entry(entry, number, line, start);
        }
    }
    Ok(())
}
