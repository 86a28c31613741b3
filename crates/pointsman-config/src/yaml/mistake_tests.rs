//! One text for each mistake that hands make in YAML: its place, the words, and how to write it.

use crate::problem::{Problems, Source};
use crate::yaml::parse;

/// Line and column, a part of the message, a part of the hint.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("a:\n\tb: 1\n", "2:1", "indented with a tab", "with spaces"),
    ("a:\n\tb:\n\t\tc: 1\n", "2:1", "indented with a tab", "with spaces"),
    ("a:\n  b: x\n  \tc: 1\n", "3:3", "indented with a tab", "with spaces"),
    ("a:\n  - *.example.com\n", "2:5", "begin with `*`", "in quotes: `\"*.example.com\"`"),
    ("a: [*.x]\n", "1:5", "begin with `*`", "in quotes"),
    ("a:\n  - *, direct\n", "2:5", "begin with `*`", "in quotes"),
    ("a: *:80\n", "1:4", "begin with `*`", "in quotes"),
    ("a: & b\n", "1:4", "begin with `&`", "in quotes"),
    ("a: @b\n", "1:4", "begin with `@`", "in quotes: `\"@"),
    ("a: [@b]\n", "1:5", "begin with `@`", "in quotes: `\"@"),
    ("a: %b\n", "1:4", "begin with `%`", "in quotes: `\"%"),
    ("%b\n", "1:1", "begin with `%`", "in quotes: `\"%"),
    ("a: `b`\n", "1:4", "begin with ```", "not in backquotes"),
    ("a: |b\n  c\n", "1:4", "begin with `|` or `>`", "in quotes"),
    ("a: >= 3\n", "1:4", "begin with `|` or `>`", "in quotes"),
    ("a: \"b\nc: 2\n", "1:4", "has no closing `\"`", "close it"),
    ("a: 'b\nc: 2\n", "1:4", "has no closing `'`", "close it"),
    ("a: \"b", "1:4", "has no closing `\"`", "close it"),
    ("a: 'it's'\n", "1:8", "behind the end of a text in quotes", "`''` in single"),
    ("a:\n  - \"b\", c\n", "2:8", "behind the end of a text in quotes", "the whole text"),
    ("a: \"^ads\\d+\"\n", "1:9", "a backslash begins an escape", "single quotes"),
    ("a: { b: 1\nc: 2\n", "1:4", "`{` is never closed", "{ KEY: VALUE"),
    ("a: { b: { c: 1 }\n", "1:4", "`{` is never closed", "{ KEY: VALUE"),
    ("a: [b, c\nd: 2\n", "1:4", "`[` is never closed", "[A, B]"),
    ("a: [b, '[', c # ]\nd: 2\n", "1:4", "`[` is never closed", "[A, B]"),
    ("a: [b}\n", "1:6", "`}` stands where the `]`", "opened last"),
    ("a: [b]]\n", "1:7", "closes nothing", "in quotes"),
    ("a: [::]:80\n", "1:8", "behind a closed bracket", "`\"[::]:80\"`"),
    ("a: [b,, c]\n", "1:7", "nothing stands before this comma", "remove it"),
    ("a: {b: 1 c: 2}\n", "1:11", "a comma is missing", "{ KEY: VALUE"),
    ("a:\n  type:socks5\n  b: 1\n", "2:7", "a space is missing behind this colon", "`KEY: VALUE`"),
    ("a:\n  b: 1\n  type:socks5\n", "3:7", "a space is missing behind this colon", "`KEY: VALUE`"),
    ("a:\n  b: 1\n  type:socks5\n\nc: 1\n", "3:7", "a space is missing behind this colon", "`KEY: VALUE`"),
    ("a:\n  - b\n  -c\nd: 1\n", "3:3", "a space is missing behind this dash", "`- ITEM`"),
    ("a:\n  - b, c\n  d, e\n", "3:3", "neither `KEY: VALUE` nor `- ITEM`", "`- ` before it"),
    ("a: 1\nfoo\nb: 1\n", "2:1", "neither `KEY: VALUE` nor `- ITEM`", "`KEY: `"),
    ("a: b: c\n", "1:5", "a second `: `", "`\"a: b\"`"),
    ("a:\n  b: c\n    d: 1\n", "3:5", "has its value already", "same column"),
    ("a: 1\n  b:\n", "2:3", "has its value already", "same column"),
    ("a:\n  b:\n    c: 1\n   d: 1\n", "4:4", "the indentation of this line", "same column"),
    ("a:\n  - b\n - c\n", "3:2", "the indentation of this line", "same column"),
    ("  a: 1\nb: 2\n", "1:3", "the first line is indented", "same column"),
    ("a:\n  b: 1\n  - c\n", "3:3", "stands among keys", "indent the item"),
    ("a:\n  - b\n  c: d\n", "3:3", "stands among the items", "`- ` before it"),
    ("[general]\na = 1\n", "2:1", "does not belong", "lines of `KEY: VALUE`"),
    ("a: 1\na: 2\n", "2:1", "given twice", "once"),
    ("a: 1\n---\na: 2\n", "2:1", "a second document", ""),
];

#[test]
fn each_mistake_is_told_in_plain_words() {
    let mut wrong = String::new();
    for (text, place, message, hint) in TABLE {
        let mut problems = Problems::default();
        parse(&Source::new("t.yaml", (*text).into()), &mut problems);
        let told = problems.0.first().map(ToString::to_string);
        let told = told.unwrap_or_default();
        let fits = told.starts_with(&format!("t.yaml:{place}: error[")) && told.contains(message);
        let found = problems.0.first().and_then(|problem| problem.hint.clone());
        if !fits || !found.unwrap_or_default().contains(hint) {
            wrong.push_str(&format!(
                "{text:?}: not at {place}: {message} ({hint}):\n{told}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the parser says may change; a place outside the text, or a loop, must not come of it.
#[test]
fn every_cut_of_a_text_is_told_without_a_panic() {
    let text = "a:\n\tb: [x, {y: \"z\\d\", 'q': é}]\n - *c\n%d: |e\n";
    for from in text.char_indices().map(|(at, _)| at) {
        for to in text
            .char_indices()
            .map(|(at, _)| at)
            .filter(|to| *to >= from)
        {
            let mut problems = Problems::default();
            parse(&Source::new("t", text[from..to].into()), &mut problems);
            for problem in &problems.0 {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
}
