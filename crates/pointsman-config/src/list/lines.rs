//! A list line by line.
//!
//! Invariant: at most one line is in memory, and at most [`LONGEST`] bytes of it.

use std::io::{self, BufRead as _, Read as _};

use pointsman_policy::line;

use super::{Bytes, Reading, Unreadable};

/// The longest line, in bytes. The longest rule of a well-kept list is a hundredth of it.
pub(super) const LONGEST: usize = 64 << 10;

/// How much of a line that is not text, or too long, is shown, in bytes.
const SHOWN: usize = 64;

/// Between a page and what is hidden in it.
const COSMETIC: &[&str] = &["##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "$$"];

/// What ends a text for CP/M and DOS.
const END_OF_FILE: &[u8] = b"\x1a";

/// Lines with their numbers from 1.
pub(super) struct Lines<'a> {
    bytes: &'a mut dyn Bytes,
    buffer: Vec<u8>,
    lossy: String,
    number: u32,
}

/// One line.
pub(super) enum Line<'l> {
    /// Without its end.
    Text(&'l str),
    /// One with bytes that are not UTF-8, which are [`char::REPLACEMENT_CHARACTER`] here: a comment may have them.
    Lossy(&'l str),
    /// The beginning of one that is too long.
    Endless(String),
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a mut dyn Bytes) -> Self {
        Self {
            bytes,
            buffer: Vec::new(),
            lossy: String::new(),
            number: 0,
        }
    }

    /// The next line with its number.
    pub(super) fn next(&mut self) -> io::Result<Option<(u32, Line<'_>)>> {
        self.buffer.clear();
        let most = (LONGEST + 1) as u64;
        let mut bounded = (&mut *self.bytes).take(most);
        if bounded.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let too_long = self.buffer.len() > LONGEST && !self.buffer.ends_with(b"\n");
        if too_long {
            self.skip_line()?;
        }
        let mut line = self.buffer.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        line = line.strip_suffix(END_OF_FILE).unwrap_or(line);
        if self.number == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let line = match std::str::from_utf8(line) {
            _ if too_long => {
                let shown = line.get(..SHOWN).unwrap_or(line);
                Line::Endless(String::from_utf8_lossy(shown).into_owned())
            }
            Ok(text) => Line::Text(text),
            Err(_) => {
                self.lossy = String::from_utf8_lossy(line).into_owned();
                Line::Lossy(&self.lossy)
            }
        };
        Ok(Some((self.number, line)))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let available = self.bytes.fill_buf()?;
            let end = available.iter().position(|b| *b == b'\n');
            let used = end.map_or(available.len(), |at| at + 1);
            let done = available.is_empty() || end.is_some();
            self.bytes.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}

/// Hands on what `bare` leaves of each line, if anything, with the line's number and the line; tells of lines that are no text.
pub(super) fn each<'a>(
    bytes: &mut dyn Bytes,
    reading: &mut Reading<'a>,
    bare: impl Fn(&str) -> &str,
    mut take: impl FnMut(&str, u32, &str, &mut Reading<'a>),
) -> Result<(), Unreadable> {
    let mut lines = Lines::new(bytes);
    while let Some((number, line)) = lines.next()? {
        match line {
            Line::Text(line) => {
                let entry = bare(line);
                if !entry.is_empty() {
                    take(entry, number, line, reading);
                }
            }
            Line::Lossy(line) => {
                let entry = bare(line);
                if entry.contains(char::REPLACEMENT_CHARACTER) {
                    let shown = entry.get(..entry.floor_char_boundary(SHOWN));
                    reading.broken(number, shown.unwrap_or(""), NOT_UTF8);
                } else if !entry.is_empty() {
                    take(entry, number, line, reading);
                }
            }
            Line::Endless(shown) => {
                reading.broken(number, &shown, "the line is longer than 64 KiB");
            }
        }
    }
    Ok(())
}

/// Why a line is none.
pub(super) const NOT_UTF8: &str = "the line is not UTF-8: save the list as UTF-8";

/// A line without its comment: `#` at its start or behind white space.
pub(super) fn before_comment(line: &str) -> &str {
    if !line.contains('#') {
        return line.trim();
    }
    let comment = line
        .match_indices('#')
        .find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}

/// A line of a hosts file without its comment (hosts(5)), which others also begin with `;`, `!` or `//`.
pub(super) fn before_hosts_comment(line: &str) -> &str {
    let line = line.trim();
    if is_comment(line) {
        return "";
    }
    if !has_sign(line) || is_cosmetic(line) {
        return line;
    }
    line.split(['#', ';']).next().unwrap_or(line).trim_end()
}

/// Whether a line has what begins a comment, as few do.
fn has_sign(line: &str) -> bool {
    line.bytes().any(|b| matches!(b, b'#' | b';'))
}

/// A line of text without its comment: `#` and `;` wherever no entry of that kind has them, and lines that
/// begin as comments of other formats do.
pub(super) fn before_text_comment(line: &str) -> &str {
    let line = line.trim();
    if is_comment(line) {
        return "";
    }
    if !has_sign(line) || is_cosmetic(line) {
        return line;
    }
    if line.starts_with("regexp:") || line.starts_with('/') || line.contains('=') {
        return before_comment(line);
    }
    if line.contains(',') {
        return before_rule_comment(line);
    }
    line.split(['#', ';']).next().unwrap_or(line).trim_end()
}

/// A rule without its comment.
pub(super) fn before_rule_comment(line: &str) -> &str {
    let line = line.trim();
    if is_comment(line) {
        return "";
    }
    uncommented(line)
}

/// Whether a line that is trimmed is a comment, in one of the ways that lists of text have.
pub(super) fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';', '!']) || line.starts_with("//")
}

/// A rule without its comment.
pub(super) fn uncommented(line: &str) -> &str {
    if line.contains('#') {
        line::without_comment(line)
    } else {
        line.trim()
    }
}

/// Whether a line says in AdBlock's way what is hidden on every page: `##.banner`.
pub(super) fn is_style(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("##") else {
        return false;
    };
    let selector = rest.trim_start_matches('#');
    !rest.starts_with(' ') && selector.starts_with(['.', '[', '*']) || rest.starts_with("##")
}

/// Whether a line says in AdBlock's way what is hidden on a page: `example.com##.banner`.
pub(super) fn is_cosmetic(line: &str) -> bool {
    if !line.contains(['#', '$']) {
        return false;
    }
    COSMETIC.iter().any(|sign| {
        let page = line.split_once(sign).map(|(page, _)| page);
        page.is_some_and(|page| !page.is_empty() && !page.contains([' ', '\t', '/']))
    })
}
