//! dnsmasq's lists: `server=/a.com/b.com/1.2.3.4` and its kin; and SmartDNS', `address /a.com/#`.
//!
//! Invariant: what a line says of names is kept, what is done with them is not: a set only holds. A
//! name stands for all below it. `server=/x/#` (the usual servers) is an exception, so is `address /x/-`.

use super::lines::{before_comment, each, is_comment};
use super::look::{Look, Named, look, option};
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
    // `server=//1.2.3.4` is about names without a dot.
    let named = option(line).filter(|named| named.names != Some(""));
    let Some(Named { names, except }) = named else {
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
    let Some(names) = names else {
        let message = format!("`{written}` has no `/` behind the name");
        reading.bad(number, written, message);
        return;
    };
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
