//! On which line each part of a JSON text stands.
//!
//! Total: what is no JSON gives the lines up to there. Comments and commas too many are passed by.

use std::collections::HashMap;

/// Beyond so many levels parts have the line of what they stand in.
const MAX_DEPTH: usize = 12;

/// Lines by path, as `route.rules[3].domain`; they count from 1.
#[derive(Debug)]
pub struct Lines(HashMap<String, u32>);

/// A collection that is being read.
struct Level {
    /// How long its own path is.
    path: usize,
    /// The number of the next item; `None` in an object.
    item: Option<usize>,
    /// Whether a key comes next.
    wants_key: bool,
}

impl Lines {
    /// The lines of a text, which may be broken.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut reader = Reader {
            rest: text,
            line: 1,
        };
        let mut lines = HashMap::new();
        let mut path = String::new();
        let mut levels: Vec<Level> = Vec::new();
        while let Some(token) = reader.token() {
            let depth = levels.len();
            let mut record = |path: &str, line| {
                if depth <= MAX_DEPTH {
                    lines.entry(path.to_owned()).or_insert(line);
                }
            };
            let level = levels.last_mut();
            match token {
                Token::Comma => {
                    if let Some(level) = level {
                        level.wants_key = level.item.is_none();
                        level.item = level.item.map(|item| item + 1);
                    }
                }
                Token::Close => {
                    if let Some(level) = levels.pop() {
                        path.truncate(level.path);
                    }
                }
                Token::Text(key, line) if level.as_ref().is_some_and(|l| l.wants_key) => {
                    if let Some(level) = level {
                        level.wants_key = false;
                        path.truncate(level.path);
                    }
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&key);
                    record(&path, line);
                }
                Token::Open(_, line) | Token::Text(_, line) | Token::Word(line) => {
                    if let Some((own, item)) = level.and_then(|l| Some((l.path, l.item?))) {
                        path.truncate(own);
                        path.push_str(&format!("[{item}]"));
                        record(&path, line);
                    }
                    if let Token::Open(item, _) = token {
                        levels.push(Level {
                            path: path.len(),
                            item,
                            wants_key: item.is_none(),
                        });
                    }
                }
            }
        }
        Self(lines)
    }

    /// Whether there is such a part.
    #[must_use]
    pub fn has(&self, part: &str) -> bool {
        self.0.contains_key(part)
    }

    /// The line of a part, or of what it stands in.
    #[must_use]
    pub fn line(&self, part: &str) -> u32 {
        let mut part = part;
        loop {
            if let Some(line) = self.0.get(part) {
                return *line;
            }
            match part.rfind(['.', '[']) {
                Some(at) => part = part.get(..at).unwrap_or_default(),
                None => return 1,
            }
        }
    }
}

enum Token {
    Open(Option<usize>, u32),
    Close,
    Comma,
    Text(String, u32),
    Word(u32),
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

impl Reader<'_> {
    fn token(&mut self) -> Option<Token> {
        loop {
            let mut characters = self.rest.chars();
            let first = characters.next()?;
            let line = self.line;
            let after = characters.as_str();
            match first {
                '{' => return self.take(1, Token::Open(None, line)),
                '[' => return self.take(1, Token::Open(Some(0), line)),
                '}' | ']' => return self.take(1, Token::Close),
                ',' => return self.take(1, Token::Comma),
                '"' => return Some(self.text()),
                '#' => self.skip(self.rest.find('\n')),
                '/' if after.starts_with('/') => self.skip(self.rest.find('\n')),
                '/' if after.starts_with('*') => {
                    let end = after.get(1..).and_then(|rest| rest.find("*/"));
                    self.skip(end.map(|end| end + 4));
                }
                c if c.is_whitespace() || c == ':' => self.skip(Some(c.len_utf8())),
                _ => {
                    let ends = |c: char| c.is_whitespace() || ",:{}[]\"#/".contains(c);
                    let length = after.find(ends).map(|end| end + first.len_utf8());
                    self.skip(length);
                    return Some(Token::Word(line));
                }
            }
        }
    }

    fn take(&mut self, length: usize, token: Token) -> Option<Token> {
        self.skip(Some(length));
        Some(token)
    }

    /// A text in quotes, unescaped where it can be.
    fn text(&mut self) -> Token {
        let line = self.line;
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let length = end.map_or(self.rest.len(), |(at, _)| at + 1);
        let raw = self.rest.get(..length).unwrap_or_default();
        let text = serde_json::from_str(raw).unwrap_or_else(|_broken| raw.to_owned());
        self.skip(Some(length));
        Token::Text(text, line)
    }

    /// Goes on behind so many bytes; behind all where that is not known.
    fn skip(&mut self, length: Option<usize>) {
        let length = length.unwrap_or(self.rest.len()).min(self.rest.len());
        let (gone, rest) = self.rest.split_at(length);
        let newlines = gone.bytes().filter(|byte| *byte == b'\n').count();
        self.line = self
            .line
            .saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_line() {
        let text = "{ // a \"comment\"\n  \"a\": 1, # x\n  \"b\\\"\": [\n    {\"c\": [1,\n 2, [3,\n 4]]},\n    /* {\n */ \"d}\",\n  ],\n  \"e\": {\"f\": null, \"f\": 2, \"g\":\n {\"h\": \"\\\\\"}}}\n";
        let lines = Lines::of(text);
        for (part, line) in [
            ("", 1),
            ("a", 2),
            ("b\"", 3),
            ("b\"[0]", 4),
            ("b\"[0].c[0]", 4),
            ("b\"[0].c[1]", 5),
            ("b\"[0].c[2][1]", 6),
            ("b\"[0].unknown[9].more", 4),
            ("b\"[1]", 8),
            ("e.f", 10),
            ("e.g.h", 11),
            ("nowhere.at.all", 1),
        ] {
            assert_eq!(lines.line(part), line, "{part}");
        }
    }

    #[test]
    fn broken_texts_end_somewhere() {
        for text in [
            "",
            "{",
            "[[[",
            "}}",
            "\"",
            "{\"a\\",
            "/*",
            "/",
            "//",
            "{,,}",
            "a:b",
            "é\"é",
            "{\"a\":/**/1",
        ] {
            assert!(Lines::of(text).line("a") > 0, "{text}");
        }
    }
}
