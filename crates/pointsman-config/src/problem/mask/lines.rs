//! Keys and values of a text in YAML, JSON or TOML, told line by line: no parser, for the text may be broken.
//!
//! Invariant: what is not a sign, a key, or the value of a harmless key is hidden. From a place on where a line makes
//! no sense, the rest of it is hidden.

use std::ops::Range;

use super::keys::{self, Class};
use super::words::{self, Parts};
use crate::problem::work::looked;

/// What of a text is hidden, and what is shown.
pub(super) fn scan(text: &str, toml: bool) -> Parts {
    let mut scan = Scan {
        text,
        toml,
        out: Parts::default(),
        above: Vec::new(),
        flow: Vec::new(),
        flow_column: None,
        block: None,
        fence: None,
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        scan.line(start..start + line.trim_end().len());
        start += line.len();
    }
    scan.out
}

/// A key of a block mapping, whose value may stand below.
struct Above {
    column: usize,
    class: Class,
    /// Whether nothing stands behind it.
    empty: bool,
    /// Whether keys or items stand below it: then a bare text there has lost its own.
    filled: bool,
}

/// A bracket that is open.
struct Flow {
    map: bool,
    class: Class,
    /// What the key says whose value is to come.
    key: Option<Class>,
}

/// Text in a block (`|`), below a column.
struct Block {
    column: usize,
    shown: bool,
}

struct Scan<'t> {
    text: &'t str,
    toml: bool,
    out: Parts,
    above: Vec<Above>,
    flow: Vec<Flow>,
    /// The column that lines of the open flow stand behind; `None` for a whole text in brackets.
    flow_column: Option<usize>,
    block: Option<Block>,
    /// The end of TOML's text over several lines.
    fence: Option<&'static str>,
}

impl Scan<'_> {
    fn line(&mut self, range: Range<usize>) {
        let line = &self.text[range.clone()];
        looked(line.len());
        let content = line.trim_start();
        let column = line.len() - content.len();
        let at = range.start + column;
        let end = range.end;
        if content.is_empty() {
            return;
        }
        if let Some(fence) = self.fence {
            self.hide(at..end);
            if content.contains(fence) {
                self.fence = None;
            }
            return;
        }
        if let Some(block) = &self.block {
            if column > block.column {
                match block.shown {
                    true => words::guard(self.text, at..end, &mut self.out),
                    false => self.hide(at..end),
                }
                return;
            }
            self.block = None;
        }
        if !self.flow.is_empty() {
            let closes = content.starts_with([']', '}']);
            let within = match self.flow_column {
                // TOML's lists may go on at the start of a line, where keys stand, too.
                _ if self.toml => column > 0 || self.key_of(at, end).is_none(),
                Some(key) => column > key || closes,
                None => true,
            };
            if within {
                return self.flow(at, end);
            }
            self.flow.clear();
        }
        if content.starts_with('#') || content.starts_with("//") || content.starts_with('%') {
            return self.hide(at + 1..end);
        }
        if self.toml && content.starts_with('[') {
            return self.section(at, end);
        }
        if content.starts_with("---") || content == "..." {
            self.above.clear();
            return self.hide(at + 3..end);
        }
        self.block_line(range.start, at, end);
    }

    /// TOML's `[a.b]`.
    fn section(&mut self, at: usize, end: usize) {
        self.above.clear();
        let line = &self.text[at..end];
        let opening = line.len() - line.trim_start_matches('[').len();
        let Some(close) = line.find(']') else {
            return self.hide(at + opening..end);
        };
        let mut class = Class::Unknown;
        let mut start = at + opening;
        for part in line[opening..close].split('.') {
            let name = part.trim().trim_matches(['"', '\'']);
            let above = class;
            class = keys::class(name, above);
            self.key(start..start + part.len(), name, class, above);
            start += part.len() + 1;
        }
        self.above.push(Above {
            column: 0,
            class,
            empty: false,
            filled: true,
        });
        let rest = line[close..].trim_start_matches(']');
        self.hide(end - rest.len()..end);
    }

    fn block_line(&mut self, start: usize, mut at: usize, end: usize) {
        let mut dashed = false;
        while self.text[at..end].starts_with("- ") || &self.text[at..end] == "-" {
            let column = at - start;
            while self
                .above
                .last()
                .is_some_and(|top| top.column > column || (top.column == column && !top.empty))
            {
                self.above.pop();
            }
            dashed = true;
            if let Some(top) = self.above.last_mut() {
                top.filled = true;
            }
            at += 1;
            at += spaces(&self.text[at..end]);
        }
        if at >= end {
            return;
        }
        let column = at - start;
        if let Some((key, name, value)) = self.key_of(at, end) {
            if !self.toml {
                while self.above.last().is_some_and(|top| top.column >= column) {
                    self.above.pop();
                }
            }
            let above = self.above.last().map_or(Class::Unknown, |top| top.class);
            let mut class = above;
            // TOML's dotted keys are as many as they have parts.
            let dotted = self.toml && !self.text[key.clone()].starts_with(['"', '\'']);
            for part in name.split(|c| dotted && c == '.') {
                class = keys::class(part.trim(), class);
            }
            let typed = !self.toml && self.is_typed(value, end);
            match typed && self.is_table_entry() && keys::is_title(&name) {
                true => self.out.names.push(key),
                false => self.key(key, &name, class, above),
            }
            if !self.toml {
                let bare = self.text[value..end].trim();
                let marked = bare.starts_with(['&', '!']) && !bare.contains(char::is_whitespace);
                let empty =
                    bare.is_empty() || bare.starts_with('#') || (marked && class != Class::Secret);
                if let Some(top) = self.above.last_mut() {
                    top.filled = true;
                }
                self.above.push(Above {
                    column,
                    class,
                    empty,
                    filled: false,
                });
            }
            return self.value(value, end, class, column, false);
        }
        if !dashed {
            while self.above.last().is_some_and(|top| top.column >= column) {
                self.above.pop();
            }
        }
        let begins = self.text[at..].starts_with(['{', '[']);
        if self.above.is_empty() && begins && !self.toml {
            return self.open_flow(at, end, Class::Unknown, None);
        }
        match self.above.last_mut() {
            Some(top) if top.empty && (dashed || !top.filled) => {
                let class = top.class;
                // Only the first line of a value is its own: a further one may have lost its key.
                top.empty = dashed;
                self.value(at, end, class, column.saturating_sub(1), dashed);
            }
            Some(_) | None => self.hide(at..end),
        }
    }

    /// A key at a place: its bytes, its name, and where its value begins.
    fn key_of(&self, at: usize, end: usize) -> Option<(Range<usize>, String, usize)> {
        let line = &self.text[at..end];
        looked(line.len());
        let sign = if self.toml { '=' } else { ':' };
        if let Some(quote @ ('"' | '\'')) = line.chars().next() {
            let close = closing(line, quote)?;
            let behind = close + spaces(&line[close..]);
            let value = line[behind..].strip_prefix(sign)?;
            let apart = self.toml || value.is_empty() || value.starts_with(char::is_whitespace);
            let name = words::unescaped(&line[1..close - 1]);
            return apart.then(|| (at..at + close, name, at + behind + 1));
        }
        if line.starts_with(['{', '[', '&', '*', '!', '|', '>', '@', '?', '#']) {
            return None;
        }
        let found = line.char_indices().find(|(place, c)| {
            let behind = &line[place + c.len_utf8()..];
            *c == sign
                && (self.toml || behind.is_empty() || behind.starts_with(char::is_whitespace))
        });
        let (place, _) = found?;
        let name = line[..place].trim_end();
        let plain = !name.is_empty() && !name.contains(" #");
        plain.then(|| (at..at + name.len(), name.to_owned(), at + place + 1))
    }

    /// Whether the value of a key is a map that begins with its type: then the key is what the thing is called.
    fn is_typed(&self, value: usize, end: usize) -> bool {
        let own = self.text[value..end].trim();
        let first = match own {
            "" => self.text[end..]
                .trim_start_matches(['\r', '\n'])
                .lines()
                .next(),
            own => own.strip_prefix('{'),
        };
        first.is_some_and(|first| first.trim_start().starts_with("type: "))
    }

    /// Whether what is read stands below a key, and nothing above it is secret.
    fn is_table_entry(&self) -> bool {
        let secret = |above: &Above| matches!(above.class, Class::Secret | Class::Users);
        !self.above.is_empty() && !self.above.iter().any(secret)
    }

    /// Shows a key that is a name.
    fn key(&mut self, place: Range<usize>, name: &str, class: Class, above: Class) {
        let own = keys::is_known_word(name);
        let hidden = class == Class::Secret && !own && above == Class::Secret;
        if keys::is_named(name, above) {
            self.out.names.push(place);
        } else if keys::is_name(name) && !hidden {
            self.out.shown.push(place);
        } else {
            self.hide(place);
        }
    }

    /// A value that begins on this line.
    fn value(&mut self, mut at: usize, end: usize, class: Class, column: usize, listed: bool) {
        at += spaces(&self.text[at..end]);
        while class != Class::Secret && self.text[at..end].starts_with(['&', '!']) {
            let mark = self.text[at..end]
                .find(char::is_whitespace)
                .unwrap_or(end - at);
            at += mark + spaces(&self.text[at + mark..end]);
        }
        let rest = &self.text[at..end];
        looked(rest.len());
        let Some(first) = rest.chars().next() else {
            return;
        };
        let shown = matches!(
            class,
            Class::Called
                | Class::Entry
                | Class::Names
                | Class::Open
                | Class::Serves
                | Class::Table
        );
        match first {
            '#' => self.hide(at..end),
            '{' | '[' => self.open_flow(at, end, class, Some(column)),
            '|' | '>' if !self.toml => {
                if rest.len() > 3 {
                    self.hide(at + 1..end);
                }
                self.block = Some(Block { column, shown });
            }
            '"' | '\'' => {
                let fence = if first == '"' { "\"\"\"" } else { "'''" };
                if self.toml && rest.starts_with(fence) {
                    if !rest[3..].contains(fence) {
                        self.fence = Some(fence);
                    }
                    return self.hide(at..end);
                }
                match closing(rest, first) {
                    Some(close) => {
                        self.scalar(at + 1..at + close - 1, class, listed);
                        self.hide(at + close..end);
                    }
                    None => self.hide(at..end),
                }
            }
            '*' if class != Class::Secret => {}
            _ => {
                let comment = rest.find(" #").unwrap_or(rest.len());
                let broken = rest.find(": ").unwrap_or(rest.len());
                let own = comment.min(broken);
                self.scalar(at..at + rest[..own].trim_end().len(), class, listed);
                self.hide(at + own..end);
            }
        }
    }

    fn open_flow(&mut self, at: usize, end: usize, class: Class, column: Option<usize>) {
        self.flow_column = column;
        self.flow.clear();
        let map = self.text[at..].starts_with('{');
        self.flow.push(Flow {
            map,
            class,
            key: None,
        });
        self.flow(at + 1, end);
    }

    /// What stands between brackets, up to the end of a line.
    fn flow(&mut self, mut at: usize, end: usize) {
        let mut behind_scalar = false;
        // A list in dashes within brackets is one that lost its place.
        if self.text[at..end].starts_with("- ") {
            return self.hide(at..end);
        }
        while at < end {
            let rest = &self.text[at..end];
            looked(1);
            let Some(c) = rest.chars().next() else { return };
            if c.is_whitespace() {
                at += c.len_utf8();
                continue;
            }
            let Some(top) = self.flow.last_mut() else {
                // Behind the last bracket nothing but a comment may follow.
                return self.hide(at..end);
            };
            match c {
                '#' => return self.hide(at..end),
                '/' if rest.starts_with("//") || rest.starts_with("/*") => {
                    return self.hide(at..end);
                }
                '{' | '[' => {
                    if behind_scalar {
                        return self.hide(at..end);
                    }
                    let class = match top.map {
                        true => top.key.take().unwrap_or(Class::Unknown),
                        false => top.key.take().unwrap_or(top.class),
                    };
                    let map = c == '{';
                    self.flow.push(Flow {
                        map,
                        class,
                        key: None,
                    });
                    at += 1;
                }
                '}' | ']' => {
                    let right = top.map == (c == '}') && top.key.is_none();
                    self.flow.pop();
                    at += 1;
                    if !right {
                        return self.hide(at..end);
                    }
                    behind_scalar = true;
                }
                ',' => {
                    top.key = None;
                    behind_scalar = false;
                    at += 1;
                }
                _ if behind_scalar => return self.hide(at..end),
                _ => match self.flow_word(at, end) {
                    Some((next, scalar)) => {
                        at = next;
                        behind_scalar = scalar;
                    }
                    None => return self.hide(at..end),
                },
            }
        }
    }

    /// A key or a scalar between brackets: where it ends, and whether it was a scalar. `None`: it makes no sense.
    fn flow_word(&mut self, at: usize, end: usize) -> Option<(usize, bool)> {
        let rest = &self.text[at..end];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (length, inner) = match quote {
            Some(quote) => {
                let close = closing(rest, quote)?;
                (close, at + 1..at + close - 1)
            }
            None => {
                let length = plain_end(rest, self.toml);
                if rest[length..].starts_with(['"', '\'']) || length == 0 {
                    return None;
                }
                let length = rest[..length].trim_end().len();
                (length, at..at + length)
            }
        };
        let sign = if self.toml { '=' } else { ':' };
        let behind = at + length + spaces(&rest[length..]);
        let top = self.flow.last_mut()?;
        let above = top.key.unwrap_or(top.class);
        if self.text[behind..end].starts_with(sign) {
            if top.key.is_some() {
                return None;
            }
            let name = words::unescaped(&self.text[inner.clone()]);
            let class = keys::class(&name, above);
            top.key = Some(class);
            self.key(inner, &name, class, above);
            return Some((behind + 1, false));
        }
        let (class, listed) = match (top.key.take(), top.map) {
            (Some(class), map) => (class, !map),
            (None, true) => (Class::Unknown, false),
            (None, false) => (top.class, true),
        };
        self.scalar(inner, class, listed);
        Some((at + length, true))
    }

    fn scalar(&mut self, range: Range<usize>, class: Class, listed: bool) {
        looked(range.len());
        let value = self.text[range.clone()].trim();
        let literal = !matches!(class, Class::Secret | Class::Users) && keys::is_literal(value);
        let shown = match class {
            Class::Called | Class::Names | Class::Open | Class::Serves | Class::Table => true,
            Class::Sounding => listed,
            Class::Entry => listed || value.contains(['.', ':']) || is_word(value),
            Class::Secret | Class::Unknown | Class::Users | Class::Url => false,
        };
        if class == Class::Url && !literal {
            return words::guard_url(self.text, range, &mut self.out);
        }
        if class == Class::Called && words::is_plain_name(value) {
            self.out.names.push(range);
        } else if shown || literal {
            words::guard(self.text, range, &mut self.out);
        } else if matches!(class, Class::Secret | Class::Users) {
            self.hide(range);
        } else if !range.is_empty() {
            self.out.doubted.push(range);
        }
    }

    fn hide(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.out.hidden.push(range);
        }
    }
}

/// Letters alone: a name, hardly a password.
fn is_word(value: &str) -> bool {
    value
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, '-' | '_'))
}

/// How long the white space at the start is.
fn spaces(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Behind the quote that closes a text which begins with one; `None` where its line has none.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = signs.next() {
        looked(1);
        match c {
            '\\' if quote == '"' => drop(signs.next()),
            c if c == quote => {
                let doubled = quote == '\'' && signs.next_if(|(_, next)| *next == quote).is_some();
                if !doubled {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where a bare word between brackets ends.
fn plain_end(text: &str, toml: bool) -> usize {
    let ends = |(at, c): (usize, char)| {
        looked(1);
        let behind = text[at + c.len_utf8()..].chars().next();
        match c {
            ',' | '[' | ']' | '{' | '}' | '"' => true,
            '=' => toml,
            ':' => {
                !toml
                    && behind
                        .is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '[' | '{' | ','))
            }
            '#' => text[..at].ends_with(char::is_whitespace),
            _ => false,
        }
    };
    text.char_indices()
        .find(|place| ends(*place))
        .map_or(text.len(), |(at, _)| at)
}
