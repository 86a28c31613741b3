//! Which format a list has, and what its entries are.
//!
//! Invariant: the content tells, the file's name only where the content leaves a doubt. What is told
//! wrongly is an error that names what the content is.

use std::io::{Read as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;

use super::entry::{looks_like_range, looks_like_rule};
use super::lines::{Line, Lines, before_comment};
use super::yaml::Block;
use super::{Behavior, Bytes, Format, Recipe, Unreadable};
use crate::json;

/// How many entries are looked at.
const LOOKED_AT: usize = 256;

/// How many bytes at the beginning tell text from binary.
const BEGINNING: usize = 4096;

/// What ends a MaxMind database, somewhere in its last 128 KiB.
const MMDB_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Tells what the recipe leaves open.
pub(super) fn tell(
    bytes: &mut dyn Bytes,
    name: &str,
    recipe: &Recipe,
) -> Result<(Format, Option<Behavior>), Unreadable> {
    bytes.rewind()?;
    let mut first = Vec::new();
    (&mut *bytes)
        .take(BEGINNING as u64)
        .read_to_end(&mut first)?;
    let by_magic = magic(&first);
    if let (Some(found), Some(named)) = (by_magic, recipe.format)
        && found != named
    {
        let message = format!("this is a list of format `{}`", found.as_str());
        let hint = format!("write `format: {}`", found.as_str());
        return Err(Unreadable::malformed(message).hint(hint));
    }
    if first.starts_with(b"\x1f\x8b") {
        let error = Unreadable::malformed("this is compressed with gzip");
        return Err(error.hint("unpack it first"));
    }
    if let Some(format) = recipe.format {
        refuse_other(bytes, &first, format)?;
    }
    let format = match recipe.format.or(by_magic) {
        Some(format) => format,
        None if is_binary(&first) => binary(bytes, &first, name)?,
        None => text(bytes, &first, name)?,
    };
    let behavior = match (format, recipe.behavior) {
        (Format::Text | Format::Yaml, None) => Some(behavior(bytes, format)?),
        (_, behavior) => behavior,
    };
    Ok((format, behavior))
}

/// Refuses what is plainly not of the format that is named, where reading it would tell of bad entries
/// alone.
fn refuse_other(bytes: &mut dyn Bytes, first: &[u8], format: Format) -> Result<(), Unreadable> {
    let named = format.as_str();
    match format {
        Format::Dat | Format::Mmdb | Format::Mrs | Format::Srs | Format::SrsJson => Ok(()),
        _ if first.contains(&0) => Err(Unreadable::malformed(format!(
            "this is binary, or UTF-16; a list of format `{named}` is UTF-8 text"
        ))),
        Format::Text if text(bytes, first, "")? == Format::Yaml => {
            let error = Unreadable::malformed("this is a list of format `yaml`");
            Err(error.hint("it begins with `payload:`"))
        }
        _ => Ok(()),
    }
}

fn magic(first: &[u8]) -> Option<Format> {
    if first.starts_with(b"SRS") {
        Some(Format::Srs)
    } else if first.starts_with(b"\x28\xb5\x2f\xfd") || first.starts_with(b"MRS\x01") {
        Some(Format::Mrs)
    } else {
        None
    }
}

fn is_binary(first: &[u8]) -> bool {
    first
        .iter()
        .any(|b| *b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r' | b'\x0c'))
}

fn binary(bytes: &mut dyn Bytes, first: &[u8], name: &str) -> Result<Format, Unreadable> {
    let length = bytes.seek(SeekFrom::End(0))?;
    let tail = length.min(128 << 10);
    bytes.seek(SeekFrom::Start(length - tail))?;
    let mut end = Vec::new();
    (&mut *bytes).take(tail).read_to_end(&mut end)?;
    if end.windows(MMDB_MARKER.len()).any(|w| w == MMDB_MARKER) {
        return Ok(Format::Mmdb);
    }
    // Field 1, length-delimited: a list of lists.
    if first.starts_with(b"\x0a") || extension(name) == "dat" {
        return Ok(Format::Dat);
    }
    if first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
        let error = Unreadable::malformed("this is UTF-16, and lists are UTF-8 text");
        return Err(error.hint("save it as UTF-8"));
    }
    let error = Unreadable::malformed("the content is binary, of no format that is known");
    Err(error.hint("formats are `dat`, `mmdb`, `mrs`, `srs` and several of text"))
}

fn extension(name: &str) -> String {
    let extension = Path::new(name).extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// Tells a format of text by the first lines that say something.
fn text(bytes: &mut dyn Bytes, first: &[u8], name: &str) -> Result<Format, Unreadable> {
    // All of it may be one line, longer than any that is looked at.
    let bare = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    if begins_braced(bare) {
        return Ok(braced(first, name));
    }
    bytes.rewind()?;
    let mut lines = Lines::new(bytes);
    let mut seen = 0;
    while let Some((_, line)) = lines.next()? {
        let Line::Text(line) = line else { continue };
        let line = line.trim();
        if line.is_empty() || (line.starts_with('#') && !line.starts_with("##")) {
            continue;
        }
        // Behind comments.
        if seen == 0 && line.starts_with('{') {
            return Ok(braced(first, name));
        }
        if seen == 0 && line == "---" {
            return Ok(Format::Yaml);
        }
        let lower = line.get(..9).unwrap_or(line).to_ascii_lowercase();
        if seen == 0 && (lower.starts_with("<!doctype") || lower.starts_with("<html")) {
            return Err(Unreadable::malformed("this is a web page, not a list"));
        }
        if let Some(format) = by_line(line) {
            return Ok(format);
        }
        seen += 1;
        if seen == LOOKED_AT {
            break;
        }
    }
    Ok(Format::Text)
}

/// Whether the beginning of a text is an object, behind blanks and the comments that JSON has for sing-box.
fn begins_braced(first: &[u8]) -> bool {
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        Err(cut) => std::str::from_utf8(&first[..cut.valid_up_to()]).unwrap_or_default(),
    };
    json::begins_object(text)
}

fn braced(first: &[u8], name: &str) -> Format {
    let holds = |word: &[u8]| first.windows(word.len()).any(|w| w == word);
    if holds(b"\"rules\"") || holds(b"\"version\"") || extension(name) == "json" {
        Format::SrsJson
    } else {
        Format::Yaml
    }
}

/// The format in which alone a line makes sense.
fn by_line(line: &str) -> Option<Format> {
    if line.starts_with("payload:") {
        return Some(Format::Yaml);
    }
    let adblock = ["[Adblock", "[uBlock", "!", "||", "@@", "##"];
    if adblock.iter().any(|sign| line.starts_with(sign)) {
        return Some(Format::Adblock);
    }
    let option = line.strip_prefix("--").unwrap_or(line);
    if let Some((key, value)) = option.split_once('=')
        && super::dnsmasq::KEYS.contains(&key.trim_end())
        && value.trim_start().starts_with('/')
    {
        return Some(Format::Dnsmasq);
    }
    let mut words = before_comment(line).split_ascii_whitespace();
    let address = words.next()?.parse::<IpAddr>().is_ok();
    (address && words.next().is_some()).then_some(Format::Hosts)
}

/// Tells by the look of the first entries what all are.
fn behavior(bytes: &mut dyn Bytes, format: Format) -> Result<Behavior, Unreadable> {
    bytes.rewind()?;
    let mut lines = Lines::new(bytes);
    let mut block = Block::default();
    let (mut seen, mut ranges, mut classical) = (0, 0, 0);
    while seen < LOOKED_AT
        && let Some((_, line)) = lines.next()?
    {
        let Line::Text(line) = line else { continue };
        let entry = match format {
            Format::Yaml => match block.item(line) {
                Ok(item) => item.map_or("", |(entry, _)| entry),
                Err(_odd) => break,
            },
            _ => before_comment(line),
        };
        if entry.is_empty() {
            continue;
        }
        seen += 1;
        if looks_like_range(entry) {
            ranges += 1;
        } else if looks_like_rule(entry) {
            classical += 1;
        }
    }
    Ok(match seen {
        0 => Behavior::Domain,
        _ if classical == seen => Behavior::Classical,
        _ if ranges == seen => Behavior::IpCidr,
        _ if format == Format::Yaml || marks(bytes)? => Behavior::Domain,
        _ => Behavior::Names,
    })
}

/// Whether a text marks names that stand for all below, so that a plain one stands for itself. All of
/// it is looked at: such lists have the plain ones first.
fn marks(bytes: &mut dyn Bytes) -> Result<bool, Unreadable> {
    bytes.rewind()?;
    let mut begins = true;
    loop {
        let available = bytes.fill_buf()?;
        if available.is_empty() {
            return Ok(false);
        }
        for byte in available {
            if begins && matches!(byte, b'+' | b'.' | b'*') {
                return Ok(true);
            }
            begins = *byte == b'\n';
        }
        let used = available.len();
        bytes.consume(used);
    }
}
