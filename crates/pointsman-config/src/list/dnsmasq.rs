//! dnsmasq's lists: `server=/a.com/b.com/1.2.3.4` and its kin.
//!
//! Invariant: what a line says of names is kept, what is done with them is not: a set only holds. A
//! name stands for all below it. `server=/x/#` (the usual servers) is an exception.

use super::lines::{before_comment, each, is_comment};
use super::look::{KEYS, Look, look};
use super::{Bytes, Reading, Unreadable};

const PASSED: &str = "options that name no names";

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    each(bytes, reading, bare, |option, number, _, reading| {
        take(option, number, reading);
    })
}

/// A line without its comment.
fn bare(line: &str) -> &str {
    match is_comment(line.trim()) {
        true => "",
        false => before_comment(line),
    }
}

/// Takes a line without its comment.
pub(super) fn take(line: &str, number: u32, reading: &mut Reading<'_>) {
    let written = line;
    let option = line.strip_prefix("--").unwrap_or(written);
    let names = option.split_once('=').and_then(|(key, value)| {
        let key = key.trim_end();
        let value = value.trim_start().strip_prefix('/')?;
        KEYS.contains(&key).then_some((key, value))
    });
    // `server=//1.2.3.4` is about names without a dot.
    let Some((key, value)) = names.filter(|(_, value)| !value.starts_with('/')) else {
        if reading.foreign(line, number) {
            return;
        }
        if look(line) == Look::Name {
            reading.strange(line, number, "a name without an option");
            if let Err(why) = reading.name(line, true, number, line) {
                reading.bad(number, line, format!("`{line}` is no domain: {why}"));
            }
            return;
        }
        reading.told.pass(PASSED, number, written);
        return;
    };
    let Some((names, target)) = value.rsplit_once('/') else {
        let message = format!("`{written}` has no `/` behind the name");
        reading.bad(number, written, message);
        return;
    };
    let except = key == "server" && target == "#";
    let alone = !names.contains('/');
    for name in names.split('/') {
        let written = if alone { written } else { name };
        if except {
            reading.exception(name, true, number, written);
            continue;
        }
        let bare = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        match name {
            "#" => reading.pattern("", number, line),
            _ => match reading.name(bare.unwrap_or(name), true, number, written) {
                Ok(()) => {}
                Err(why) => reading.bad(number, written, format!("`{name}` is no domain: {why}")),
            },
        }
    }
}
