//! Which format a list has, and what its entries are.
//!
//! Invariant: the content tells, the file's name only where the content leaves a doubt; and of the content its
//! majority, never a line that is odd. What is told wrongly is an error that names what the content is.

use std::io::{Read as _, SeekFrom};
use std::path::Path;

use super::blocks::looks_like_range;
use super::entry::looks_like_rule;
use super::lines::{Line, Lines, before_text_comment};
use super::look::{Look, look};
use super::marks::{self, Marked};
use super::report::ReadReport;
use super::strange::{of_beginning, of_first_line};
use super::votes::Votes;
use super::yaml::Block;
use super::{Behavior, Bytes, Format, Recipe, Unreadable, blocks};
use crate::json;

/// How many entries are looked at from the beginning on.
const LOOKED_AT: usize = 1024;

/// At how many places behind those a list is looked at, too.
const PLACES: u64 = 15;

/// How many entries are looked at in each of them.
const AT_A_PLACE: usize = 64;

/// How many bytes at the beginning tell text from binary.
const BEGINNING: usize = 4096;

/// Fewer lines of two addresses are no proof that they are the ends of ranges.
const FEWEST_PAIRS: usize = 3;

/// What ends a MaxMind database, somewhere in its last 128 KiB.
const MMDB_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// What a list is.
pub(super) struct Recognised {
    pub(super) format: Format,
    pub(super) behavior: Option<Behavior>,
    /// Whether its marks are mihomo's.
    pub(super) clash_marks: bool,
    /// Whether its patterns are dnscrypt-proxy's.
    pub(super) dnscrypt: bool,
    /// Whether two addresses in a line are the ends of a range.
    pub(super) pairs: bool,
}

/// Tells what the recipe leaves open.
pub(super) fn recognise(
    bytes: &mut dyn Bytes,
    name: &str,
    recipe: &Recipe,
    told: &mut ReadReport,
) -> Result<Recognised, Unreadable> {
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
    let is_text = by_magic.is_none() && !is_binary(&first) && !begins_dat(bytes, &first)?;
    let text_is_told = recipe.format.is_none_or(is_of_text);
    if let Some(stranger) = of_beginning(&first).filter(|_| is_text && text_is_told) {
        return Err(stranger.error());
    }
    if let Some(format) = recipe.format {
        refuse_other(bytes, &first, format, recipe.behavior)?;
    }
    let format = match recipe.format.or(by_magic) {
        Some(format) => format,
        None if !is_text => binary(bytes, &first, name)?,
        None => text(bytes, &first, name, recipe.behavior)?,
    };
    let Marked {
        behavior,
        clash,
        dnscrypt,
    } = match (format, recipe.behavior) {
        (Format::Text | Format::Yaml, None) => behavior(bytes, format, told)?,
        (_, behavior) => Marked {
            behavior,
            clash: behavior == Some(Behavior::Domain),
            dnscrypt: format == Format::Text
                && behavior == Some(Behavior::Names)
                && marks::has_own_patterns(bytes)?,
        },
    };
    let of_ranges = format == Format::Text && behavior == Some(Behavior::IpCidr);
    Ok(Recognised {
        format,
        behavior,
        clash_marks: clash && !recipe.wide_marks,
        dnscrypt,
        pairs: of_ranges && has_pairs(bytes)?,
    })
}

/// Refuses what is plainly not of the format that is named, where reading it would tell of bad entries
/// alone; and what the format cannot hold.
fn refuse_other(
    bytes: &mut dyn Bytes,
    first: &[u8],
    format: Format,
    behavior: Option<Behavior>,
) -> Result<(), Unreadable> {
    let named = format.as_str();
    match format {
        _ if !is_of_text(format) => Ok(()),
        _ if is_binary(first) && first.contains(&0) => Err(Unreadable::malformed(format!(
            "this is binary, or UTF-16 without its mark; a list of format `{named}` is text"
        ))),
        Format::Adblock | Format::Dnsmasq | Format::Hosts if !names_may_be(behavior) => {
            let behavior = behavior.map_or("", Behavior::as_str);
            let message = format!("a list of format `{named}` holds names; it is not `{behavior}`");
            Err(Unreadable::malformed(message))
        }
        Format::Text if text(bytes, first, "", behavior)? == Format::Yaml => {
            let error = Unreadable::malformed("this is a list of format `yaml`");
            Err(error.hint("it begins with `payload:`"))
        }
        _ => Ok(()),
    }
}

/// Whether the entries may be names alone, as formats of name servers have them.
fn names_may_be(behavior: Option<Behavior>) -> bool {
    !matches!(
        behavior,
        Some(Behavior::Clash | Behavior::Classical | Behavior::IpCidr)
    )
}

/// Whether a list of this format is lines of text, or YAML.
fn is_of_text(format: Format) -> bool {
    match format {
        Format::Adblock | Format::Dnsmasq | Format::Hosts | Format::Text | Format::Yaml => true,
        Format::Dat | Format::Mmdb | Format::Mrs | Format::Srs | Format::SrsJson => false,
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

/// Whether the beginning of a file is no text: it has a zero, or most of its lines have control characters. Text may
/// have a few of these: the ends and colours of a terminal.
fn is_binary(first: &[u8]) -> bool {
    let is_odd = |b: &u8| *b < b' ' && !matches!(b, b'\t' | b'\r' | b'\x0c' | b'\x1a' | b'\x1b');
    let (mut odd, mut lines, mut odd_lines) = (0, 0, 0);
    for line in first.split(|b| *b == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let here = line.iter().filter(|b| is_odd(b)).count();
        odd += here;
        lines += 1;
        odd_lines += usize::from(here > 0);
    }
    first.contains(&0) || odd > 1 && odd_lines * 2 > lines
}

/// Whether a file begins as `geosite.dat` and `geoip.dat` do: field 1 of a length that fits, in which field 1 is a code.
/// A small one has few bytes that no text has.
fn begins_dat(bytes: &mut dyn Bytes, first: &[u8]) -> Result<bool, Unreadable> {
    let length = bytes.seek(SeekFrom::End(0))?;
    let begins = || {
        let (list, rest) = length_of_field(first)?;
        let (code, inner) = length_of_field(rest)?;
        let (code_end, behind) = (rest.len() - inner.len() + code, inner.get(..code)?);
        let is_code = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'!');
        let next = inner.get(code);
        let fits = (first.len() - rest.len() + list) as u64 <= length && code_end <= list;
        // An entry follows, or whether the list is inverse, or its checksum; or nothing.
        let next_fits = code_end == list || matches!(next, Some(0x12 | 0x18 | 0x1a | 0x22));
        Some(fits && next_fits && !behind.is_empty() && behind.iter().all(is_code))
    };
    Ok(begins().unwrap_or(false))
}

/// The length of field 1 at the beginning of a message, and what is behind the length.
fn length_of_field(message: &[u8]) -> Option<(usize, &[u8])> {
    let mut rest = message.strip_prefix(b"\x0a")?;
    let mut length = 0;
    for place in 0..4 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, rest));
        }
    }
    None
}

fn binary(bytes: &mut dyn Bytes, first: &[u8], name: &str) -> Result<Format, Unreadable> {
    let length = bytes.seek(SeekFrom::End(0))?;
    let tail = length.min(128 << 10);
    bytes.seek(SeekFrom::Start(length - tail))?;
    let mut end = Vec::new();
    (&mut *bytes).take(tail).read_to_end(&mut end)?;
    let marked = end.windows(MMDB_MARKER.len()).any(|w| w == MMDB_MARKER);
    // One that is cut short has lost its mark.
    if marked || extension(name) == "mmdb" {
        return Ok(Format::Mmdb);
    }
    // Field 1, length-delimited: a list of lists.
    if first.starts_with(b"\x0a") || extension(name) == "dat" {
        return Ok(Format::Dat);
    }
    let error = Unreadable::malformed("the content is binary, of no format that is known");
    Err(error.hint("formats are `dat`, `mmdb`, `mrs`, `srs` and several of text"))
}

fn extension(name: &str) -> String {
    let extension = Path::new(name).extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// Tells a format of text by what most of its lines are.
fn text(
    bytes: &mut dyn Bytes,
    first: &[u8],
    name: &str,
    behavior: Option<Behavior>,
) -> Result<Format, Unreadable> {
    // All of it may be one line, longer than any that is looked at.
    let bare = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    if begins_braced(bare) {
        return Ok(braced(first, name));
    }
    bytes.rewind()?;
    let mut votes = Votes::default();
    let mut lines = Lines::new(bytes);
    let mut seen = 0;
    while seen < LOOKED_AT
        && let Some((_, line)) = lines.next()?
    {
        let (Line::Text(line) | Line::Lossy(line)) = line else {
            continue;
        };
        let line = line.trim();
        if line.is_empty() || votes.comment(line) {
            continue;
        }
        // Behind comments.
        if seen == 0 && line.starts_with('{') {
            return Ok(braced(first, name));
        }
        if seen == 0
            && let Some(stranger) = of_first_line(line)
        {
            return Err(stranger.error());
        }
        if seen == 0 && line == "---" {
            return Ok(Format::Yaml);
        }
        // A key among others, not among entries.
        if line.starts_with("payload:") && votes.is_none() {
            return Ok(Format::Yaml);
        }
        votes.count(line);
        seen += 1;
    }
    if !names_may_be(behavior) {
        return Ok(Format::Text);
    }
    if seen == LOOKED_AT {
        // They count as much as what is seen at another place.
        votes.scale(AT_A_PLACE, LOOKED_AT);
        let from = bytes.stream_position()?;
        let end = bytes.seek(SeekFrom::End(0))?;
        for place in 0..PLACES {
            let at = from + end.saturating_sub(from) * place / PLACES;
            bytes.seek(SeekFrom::Start(at))?;
            votes.look_on(bytes, AT_A_PLACE)?;
        }
    }
    votes.winner()
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
    // Behind long comments nothing is seen of it.
    let commented = || !first.trim_ascii_start().starts_with(b"{") || !first.contains(&b'"');
    if holds(b"\"rules\"") || holds(b"\"version\"") || extension(name) == "json" && commented() {
        Format::SrsJson
    } else {
        Format::Yaml
    }
}

/// Whether the lines of a list of ranges have two columns that are the ends of a range: nearly all are small ones.
fn has_pairs(bytes: &mut dyn Bytes) -> Result<bool, Unreadable> {
    bytes.rewind()?;
    let mut lines = Lines::new(bytes);
    let (mut seen, mut pairs) = (0, 0);
    while seen < LOOKED_AT
        && let Some((_, line)) = lines.next()?
    {
        let (Line::Text(line) | Line::Lossy(line)) = line else {
            continue;
        };
        let entry = before_text_comment(line);
        if !entry.is_empty() {
            seen += 1;
            pairs += usize::from(blocks::is_small_pair(entry));
        }
    }
    Ok(pairs >= FEWEST_PAIRS && pairs * 4 >= seen * 3)
}

/// Tells by the look of the first entries what most are, and whose marks and patterns they have.
fn behavior(
    bytes: &mut dyn Bytes,
    format: Format,
    told: &mut ReadReport,
) -> Result<Marked, Unreadable> {
    bytes.rewind()?;
    let mut lines = Lines::new(bytes);
    let mut block = Block::default();
    let (mut seen, mut ranges, mut classical) = (0, 0, 0);
    while seen < LOOKED_AT
        && let Some((_, line)) = lines.next()?
    {
        let (Line::Text(line) | Line::Lossy(line)) = line else {
            continue;
        };
        let entry = match format {
            Format::Yaml => match block.item(line) {
                Ok(item) => item.map_or("", |(entry, _)| entry),
                Err(_odd) => break,
            },
            _ => before_text_comment(line),
        };
        if entry.is_empty() {
            continue;
        }
        seen += 1;
        let added = blocks::of_ipset(entry).is_some();
        if added || looks_like_range(entry) && look(entry) != Look::Of(Format::Hosts) {
            ranges += 1;
        } else if looks_like_rule(entry) {
            classical += 1;
        }
    }
    let yaml = format == Format::Yaml;
    let behavior = match seen {
        0 => Behavior::Domain,
        _ if classical * 2 > seen => Behavior::Classical,
        _ if ranges * 2 > seen => Behavior::IpCidr,
        _ if yaml => Behavior::Domain,
        _ => return marks::names(bytes, told),
    };
    Ok(Marked {
        behavior: Some(behavior),
        clash: yaml,
        dnscrypt: false,
    })
}
