//! Why a text is no YAML, in words for people.
//!
//! The parser says where it stopped and which token it wanted; the mistake often stands earlier, and hands make
//! few kinds of them. Invariant: no word of the file is repeated here: what a broken file holds may be a secret.

use std::ops::Range;

/// A mistake, its place, and how to write it.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Finds what a person did wrong where the parser stopped at the byte `at`, saying `info`.
pub(super) fn find(text: &str, at: usize, info: &str) -> Mistake {
    let broken = Broken {
        text,
        at: at.min(text.len()),
        info,
    };
    broken
        .tab()
        .or_else(|| broken.in_quotes())
        .or_else(|| broken.sign())
        .or_else(|| broken.bracket())
        .or_else(|| broken.colon())
        .or_else(|| broken.indentation())
        .unwrap_or_else(|| Mistake {
            at: broken.at..broken.at + 1,
            message: format!("this is not YAML: {info}"),
            hint: "put a text with signs of YAML in it (`: `, ` #`, `[`, `{`, `&`, `*`, `!`) in quotes",
        })
}

struct Broken<'t> {
    text: &'t str,
    at: usize,
    info: &'t str,
}

/// A line and where it begins.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// Without indentation, and the white space at its end.
    fn bare(&self) -> &'t str {
        self.text.trim()
    }

    /// Where what it says begins and ends.
    fn place(&self) -> Range<usize> {
        let start = self.start + self.indent();
        start..start + self.bare().len().max(1)
    }

    fn says_something(&self) -> bool {
        !self.bare().is_empty() && !self.bare().starts_with('#')
    }

    /// `key: value`, `key:`, or an item that begins so.
    fn has_key(&self) -> bool {
        self.bare().contains(": ") || self.bare().ends_with(':')
    }

    fn is_item(&self) -> bool {
        self.bare() == "-" || self.bare().starts_with("- ")
    }

    /// Where the space is missing in `key:value`.
    fn tight_colon(&self) -> Option<usize> {
        let key = self.bare().trim_start_matches("- ");
        let colon = key.find(':')?;
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_key = colon > 0 && key[..colon].chars().all(word);
        let tight = key[colon + 1..].starts_with(|c: char| !c.is_whitespace());
        let begins = self.start + self.text.find(key)?;
        (is_key && tight).then_some(begins + colon)
    }
}

impl<'t> Broken<'t> {
    fn mistake(&self, at: Range<usize>, message: &str, hint: &'static str) -> Option<Mistake> {
        Some(Mistake {
            at,
            message: message.to_owned(),
            hint,
        })
    }

    fn here(&self, message: &str, hint: &'static str) -> Option<Mistake> {
        self.mistake(self.at..self.at + 1, message, hint)
    }

    fn sign_here(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// The lines up to and with the one of a byte.
    fn lines_to(&self, at: usize) -> Vec<Line<'t>> {
        let mut start = 0;
        let lines = self.text.split_inclusive('\n').map(|text| {
            let line = Line { start, text };
            start += text.len();
            line
        });
        lines.take_while(|line| line.start <= at).collect()
    }

    /// The line of the place.
    fn line(&self) -> Option<Line<'t>> {
        self.lines_to(self.at).pop()
    }

    /// The last line before that of the place that is neither empty nor a comment.
    fn line_before(&self) -> Option<Line<'t>> {
        let mut lines = self.lines_to(self.at);
        // At the end of the text there is no line to leave out.
        let ended = self.at == self.text.len() && self.text.ends_with('\n');
        if !ended {
            lines.pop();
        }
        lines.into_iter().rev().find(Line::says_something)
    }

    fn tab(&self) -> Option<Mistake> {
        let line = self.line()?;
        // Where the parser speaks of a tab, it is in one of the lines around; else that is a guess.
        let (to, before) = match self.info.contains("tab") {
            true => (line.start + line.text.len(), 4),
            false => (line.start, 2),
        };
        let lines = self.lines_to(to);
        let mut near = lines.iter().skip(lines.len().saturating_sub(before));
        let found = near.find_map(|line| {
            let tab = line.text[..line.indent()].find('\t')?;
            line.says_something().then_some(line.start + tab)
        })?;
        self.mistake(
            found..found + 1,
            "a line is indented with a tab",
            "YAML takes no tabs there: indent with spaces",
        )
    }

    fn in_quotes(&self) -> Option<Mistake> {
        if self.info.starts_with("invalid trailing content after") {
            return self.here(
                "something stands behind the end of a text in quotes",
                "put quotes around the whole text; a quote inside is written `''` in single quotes and `\\\"` in double ones",
            );
        }
        let quote = self.sign_here().filter(|sign| matches!(sign, '"' | '\''))?;
        if self.info.contains("escape") || self.info.contains("hexadecimal") {
            let inner = self.text.get(self.at + 1..).unwrap_or_default();
            let mut before = ' ';
            let known = |c: char| "0abt\tnvfre \"/\\N_LP\n\r".contains(c);
            let wrong = inner.char_indices().find(|(_, c)| {
                let odd = before == '\\' && !known(*c);
                before = if before == '\\' { ' ' } else { *c };
                odd
            });
            let at = wrong.map_or(self.at, |(at, _)| self.at + at);
            return self.mistake(
                at..at + 2,
                "in double quotes a backslash begins an escape, and there is none of this name",
                "use single quotes, where a backslash is a backslash, or write `\\\\`",
            );
        }
        self.info.contains("quoted scalar").then(|| Mistake {
            at: self.at..self.at + 1,
            message: format!("the text in quotes that begins here has no closing `{quote}`"),
            hint: "close it where it ends; where it has several lines, indent them more than its key",
        })
    }

    /// A sign that begins something else than a text.
    fn sign(&self) -> Option<Mistake> {
        let mut lines = self.lines_to(self.text.len()).into_iter();
        if let Some(line) = lines.find(|line| line.text.starts_with('%'))
            && self.info.contains("document start")
        {
            return self.mistake(
                line.start..line.start + 1,
                "a line cannot begin with `%` in YAML",
                "put the text in quotes: `\"%...\"`",
            );
        }
        match self.sign_here()? {
            '*' if self.info.contains("anchor") => self.here(
                "a text cannot begin with `*` in YAML: there it refers to an anchor (`&NAME`), and none has this name",
                "put the text in quotes: `\"*.example.com\"`",
            ),
            '&' if self.info.contains("anchor") => self.here(
                "a text cannot begin with `&` in YAML: there it names an anchor",
                "put the text in quotes: `\"&...\"`",
            ),
            sign @ ('@' | '`' | '%') => Some(Mistake {
                at: self.at..self.at + 1,
                message: format!("a text cannot begin with `{sign}` in YAML"),
                hint: match sign {
                    '@' => "put the text in quotes: `\"@...\"`",
                    '%' => "put the text in quotes: `\"%...\"`",
                    _ => "put the text in quotes, not in backquotes: `\"...\"`",
                },
            }),
            '|' | '>' if self.info.contains("block scalar") => self.here(
                "a text cannot begin with `|` or `>` in YAML: there it announces a text on the lines below",
                "put the text in quotes, or begin it on the next line, indented",
            ),
            _ => None,
        }
    }

    fn bracket(&self) -> Option<Mistake> {
        let sign = self.sign_here();
        if let Some((open, bracket)) = self.open_bracket() {
            let close = if bracket == '[' { ']' } else { '}' };
            let other = if bracket == '[' { '}' } else { ']' };
            let not_closed = |hint| {
                Some(Mistake {
                    at: open..open + 1,
                    message: format!("this `{bracket}` is never closed by a `{close}`"),
                    hint,
                })
            };
            return match sign {
                Some(sign) if sign == other => Some(Mistake {
                    at: self.at..self.at + 1,
                    message: format!("`{other}` stands where the `{close}` of a `{bracket}` must"),
                    hint: "close first what was opened last",
                }),
                Some(',') => self.here(
                    "nothing stands before this comma",
                    "remove it, or write `\"\"` for an empty text",
                ),
                _ if self.text[open..self.at].contains('\n') => not_closed(match bracket {
                    '[' => "lists in brackets are written `[A, B]`; put a text that begins with `[` in quotes",
                    _ => "mappings in braces are written `{ KEY: VALUE, KEY: VALUE }`; put a text that begins with `{` in quotes",
                }),
                _ => self.here(
                    "a comma is missing before this, or a text needs quotes",
                    "write `{ KEY: VALUE, KEY: VALUE }` and `[A, B]`, with `: ` and `,` in texts in quotes",
                ),
            };
        }
        let before = self.line()?.text.get(..self.at - self.line()?.start)?;
        if before.trim_end().ends_with([']', '}']) && !matches!(sign, Some(']' | '}')) {
            return self.here(
                "something stands behind a closed bracket",
                "put quotes around a text with brackets: `\"[::]:80\"`",
            );
        }
        self.info.contains("bracket").then(|| Mistake {
            at: self.at..self.at + 1,
            message: "this bracket closes nothing that is open".to_owned(),
            hint: "remove it, or put a text with brackets in quotes",
        })
    }

    /// The innermost bracket that is open at the place.
    fn open_bracket(&self) -> Option<(usize, char)> {
        let mut open = Vec::new();
        let mut quote = None;
        let mut before = '\n';
        let mut comment = false;
        for (at, c) in self.text[..self.at].char_indices() {
            // A bracket or quote inside a bare text is a part of it.
            let begins = before.is_whitespace() || matches!(before, '[' | '{' | ',');
            match (quote, c) {
                _ if comment => comment = c != '\n',
                (Some('"'), _) if before == '\\' => {
                    before = ' ';
                    continue;
                }
                (Some(end), c) if c == end => quote = None,
                (Some(_), _) => {}
                (None, '#') if before.is_whitespace() => comment = true,
                (None, '"' | '\'') if begins => quote = Some(c),
                (None, '[' | '{') if begins || !open.is_empty() => open.push((at, c)),
                (None, ']' | '}') => drop(open.pop()),
                (None, _) => {}
            }
            before = c;
        }
        open.pop()
    }

    fn colon(&self) -> Option<Mistake> {
        let values = self.info.contains("mapping values");
        if !(values || self.info.contains("key")) {
            return None;
        }
        let line = self.line()?;
        let tight = |line: Line<'_>| {
            let colon = line.tight_colon().filter(|_| !line.has_key())?;
            self.mistake(
                colon..colon + 1,
                "a space is missing behind this colon",
                "write `KEY: VALUE`",
            )
        };
        if values {
            let before = line.text.get(..self.at - line.start).unwrap_or_default();
            if before.contains(": ") {
                return self.here(
                    "a second `: ` stands in one line",
                    "put a text that has `: ` in it in quotes: `\"a: b\"`",
                );
            }
            return self.line_before().and_then(tight).or_else(|| {
                self.mistake(
                    line.place(),
                    "this line is indented like a part of the line before, which has its value already",
                    "begin keys of the same level in the same column",
                )
            });
        }
        if !self.info.contains("simple key") {
            return None;
        }
        let odd = self.line_before().filter(|line| !line.has_key())?;
        tight(odd).or_else(|| {
            if odd.bare().starts_with('-') && !odd.is_item() {
                let dash = odd.place().start;
                return self.mistake(
                    dash..dash + 1,
                    "a space is missing behind this dash",
                    "write `- ITEM`",
                );
            }
            self.mistake(
                odd.place(),
                "this line is neither `KEY: VALUE` nor `- ITEM`",
                "write `- ` before it for one more item of a list, `KEY: ` for a key",
            )
        })
    }

    fn indentation(&self) -> Option<Mistake> {
        const HINT: &str = "begin keys, and items (`- `), of the same level in the same column";
        let line = self.line()?;
        if self.info.contains("document start") {
            let mut lines = self.lines_to(self.at).into_iter();
            let first = lines.find(Line::says_something)?;
            if first.indent() > line.indent() {
                return self.mistake(
                    first.place(),
                    "the first line is indented, and a later one is not",
                    HINT,
                );
            }
            return self.mistake(
                line.place(),
                "this line does not belong to what stands before it",
                "YAML is lines of `KEY: VALUE`, and what belongs to a key is indented below it",
            );
        }
        let info = [
            "block mapping",
            "block collection",
            "indentation",
            "block sequence entries",
        ];
        if !info.iter().any(|word| self.info.contains(word)) {
            return None;
        }
        let earlier = self.lines_to(line.start.saturating_sub(1)).into_iter();
        let same = { earlier }
            .rev()
            .filter(Line::says_something)
            .find(|other| other.indent() <= line.indent())
            .filter(|other| other.indent() == line.indent());
        match same {
            Some(other) if line.is_item() && !other.is_item() => self.mistake(
                line.place(),
                "an item of a list (`- `) stands among keys",
                "indent the item below the key that it belongs to",
            ),
            Some(other) if !line.is_item() && other.is_item() => self.mistake(
                line.place(),
                "a key stands among the items of a list (`- `)",
                "write `- ` before it for one more item, or begin it in the column of the list's key",
            ),
            _ => self.mistake(
                line.place(),
                "the indentation of this line is that of no line above that it could belong with",
                HINT,
            ),
        }
    }
}
