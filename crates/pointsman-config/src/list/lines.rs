//! A list line by line.
//!
//! Invariant: at most one line is in memory, and at most [`LONGEST`] bytes of it.

use std::io::{self, BufRead as _, Read as _};

use super::Bytes;

/// The longest line, in bytes. The longest rule of a well-kept list is a hundredth of it.
pub(super) const LONGEST: usize = 64 << 10;

/// How much of a line that is not text, or too long, is shown, in bytes.
const SHOWN: usize = 64;

/// Lines with their numbers from 1.
pub(super) struct Lines<'a> {
    bytes: &'a mut dyn Bytes,
    buffer: Vec<u8>,
    number: u32,
}

/// One line.
pub(super) enum Line<'l> {
    /// Without its end.
    Text(&'l str),
    /// Why it is none, and its beginning.
    Broken(&'static str, String),
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a mut dyn Bytes) -> Self {
        Self {
            bytes,
            buffer: Vec::new(),
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
        if self.number == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let line = match std::str::from_utf8(line) {
            _ if too_long => Line::Broken("the line is too long", beginning(line)),
            Ok(text) => Line::Text(text),
            Err(_) => Line::Broken("the line is not UTF-8", beginning(line)),
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

fn beginning(line: &[u8]) -> String {
    let shown = line.get(..SHOWN).unwrap_or(line);
    String::from_utf8_lossy(shown).into_owned()
}

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
