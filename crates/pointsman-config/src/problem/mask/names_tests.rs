//! Names of whole configurations are shown, as they are and made to look like tokens; and our own words are known.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::damage::shared;
use crate::files::Disk;
use crate::load::load;
use crate::setup::Dialect;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Main files of the examples, and of the configurations that others wrote where they are at hand.
fn configurations() -> Vec<PathBuf> {
    let roots = [Some(here("../../examples")), shared("samples")];
    let mut found = Vec::new();
    for root in roots.into_iter().flatten() {
        for entry in std::fs::read_dir(root).unwrap() {
            let directory = entry.unwrap().path();
            let main = [
                "pointsman.yaml",
                "config",
                "config.toml",
                "config.yml",
                "config.yaml",
            ];
            found.extend(
                main.iter()
                    .map(|name| directory.join(name))
                    .filter(|path| path.is_file()),
            );
        }
    }
    assert!(found.len() > 5);
    found
}

/// What a configuration gives names to.
fn names(path: &Path) -> (Form, BTreeSet<String>) {
    let loaded = load(path, None, None, &Disk);
    let form = match loaded.dialect {
        Some(Dialect::Reflow) => Form::Reflow,
        Some(Dialect::PolicyRouter) => Form::Toml,
        _ => Form::Keyed,
    };
    let setup = loaded.setup.unwrap_or_else(|| panic!("{path:?}"));
    let outbounds = setup
        .outbounds
        .iter()
        .filter(|it| it.span.is_some())
        .map(|it| &it.name);
    let inbounds = setup.inbounds.iter().map(|it| &it.name);
    let policies = setup.policies.iter().map(|it| &it.name);
    let sets = setup
        .policies
        .iter()
        .flat_map(|it| it.sets.iter())
        .map(|set| &set.name);
    let mut names: BTreeSet<String> = outbounds
        .chain(inbounds)
        .chain(policies)
        .map(|name| name.to_string())
        .collect();
    names.extend(sets.map(|name| name.to_string()));
    (form, names)
}

/// Where a name stands as a whole word, outside of comments.
fn places(text: &str, name: &str) -> Vec<usize> {
    let in_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let whole = |at: &usize| {
        let before = text[..*at].chars().next_back();
        let behind = text[at + name.len()..].chars().next();
        let line = text[..*at].rfind('\n').map_or(0, |end| end + 1);
        !before.is_some_and(in_word)
            && !behind.is_some_and(in_word)
            && !text[line..*at].contains('#')
    };
    text.match_indices(name)
        .map(|(at, _)| at)
        .filter(whole)
        .collect()
}

/// Each of the names is put so that it looks like a token, wherever it stands; then each place of it must be shown.
#[test]
fn names_of_whole_configurations_are_shown() {
    let mut seen = 0;
    for path in configurations() {
        let plain = std::fs::read_to_string(&path).unwrap();
        let (form, names) = names(&path);
        // A name that is a key's, too, cannot be put by its letters alone.
        for name in names.iter().filter(|name| !keys::is_known_word(name)) {
            for ugly in [String::new(), "7x2k".to_owned(), "-404ok".to_owned()] {
                let other = format!("{name}{ugly}");
                let mut text = plain.clone();
                for at in places(&plain, name).into_iter().rev() {
                    text.replace_range(at..at + name.len(), &other);
                }
                let mask = Mask::of(form, &text);
                for at in places(&text, &other) {
                    let hidden = (at..at + other.len()).any(|at| mask.hides(at));
                    let line = text[..at].lines().count();
                    assert!(!hidden, "`{other}` of line {line} of {path:?}");
                    seen += 1;
                }
                let sentence = format!("there is no outbound `{other}`; defined: {other}, x");
                assert_eq!(mask.said(&text, &sentence, Vec::new), sentence, "{path:?}");
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// What stands in double quotes in a source, but for tests and comments.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        let mut raw = matches!(std::mem::replace(&mut before, c), 'r' | 'b' | '#');
        match c {
            '/' if rest.peek() == Some(&'/') => drop(rest.by_ref().find(|c| *c == '\n')),
            '\'' => {
                // A character or a lifetime: of a character nothing is a word.
                let ahead: String = rest.clone().take(4).collect();
                let length = match ahead.strip_prefix('\\') {
                    Some(_) => 3,
                    None if ahead.chars().nth(1) == Some('\'') => 2,
                    None => 0,
                };
                rest.by_ref().take(length).for_each(drop);
            }
            '"' => {
                let mut literal = String::new();
                while let Some(c) = rest.next() {
                    match c {
                        '"' => break,
                        '\\' => {
                            raw |= rest.next().is_some_and(|c| matches!(c, 't' | 'x' | '0'));
                            literal.push(' ');
                        }
                        c => literal.push(c),
                    }
                }
                // Bytes and expressions are no prose.
                found.extend((!raw).then_some(literal));
            }
            _ => {}
        }
    }
    found
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            _ if name.contains("test") || name == "mask" => {}
            true => sources(&path, found),
            false if name.ends_with(".rs") => found.push(path),
            false => {}
        }
    }
}

/// A word of a message that the table lacks is starred beside a secret that happens to hold it.
#[test]
fn words_of_our_messages_are_known() {
    let mut files = Vec::new();
    sources(&here("src"), &mut files);
    sources(&here("../pointsman-tools/src"), &mut files);
    let mut missing = BTreeSet::new();
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        for literal in literals(&source)
            .iter()
            .filter(|it| it.trim().contains(' '))
        {
            for prose in literal.split('`').step_by(2) {
                let outside = prose
                    .split('{')
                    .map(|part| part.split_once('}').map_or(part, |it| it.1));
                let words = outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphabetic()));
                missing.extend(
                    words
                        .filter(|word| word.len() >= RUN && !keys::is_of_messages(word))
                        .map(str::to_ascii_lowercase),
                );
            }
        }
    }
    let missing: Vec<String> = missing.into_iter().collect();
    assert!(
        missing.is_empty(),
        "to add to messages.txt: {}",
        missing.join(" ")
    );
}
