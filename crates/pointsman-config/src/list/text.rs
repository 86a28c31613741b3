//! Plain text: one entry a line.

use super::lines::{before_rule_comment, before_text_comment, each};
use super::{Behavior, Bytes, Reading, Unreadable};

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let bare = match reading.recipe.behavior {
        Some(Behavior::Clash | Behavior::Classical) => before_rule_comment,
        _ => before_text_comment,
    };
    each(bytes, reading, bare, |entry, number, line, reading| {
        let start = line.len() - line.trim_start().len();
        reading.entry(entry, number, line, start);
    })
}
