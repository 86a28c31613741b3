//! Seeded defects, none of which may be missed, and near misses, of which none may be told.
//!
//! `corpus/*.txt`: after `===` a case, whose title may name its dialect in parentheses; after `---` a further
//! file of it; `#! code` ends a line that is to be told. Only the codes that the first line names count.

use std::path::Path;

use pointsman_config::files::Memory;
use pointsman_config::{Dialect, Problem, load};

/// The cases of each file and how many lines it must at least mark.
const CORPUS: [(&str, &str, usize, usize); 7] = [
    ("reach", include_str!("corpus/reach.txt"), 71, 83),
    ("near", include_str!("corpus/near.txt"), 40, 0),
    ("early", include_str!("corpus/early.txt"), 5, 5),
    ("entries", include_str!("corpus/entries.txt"), 18, 10),
    ("inbounds", include_str!("corpus/inbounds.txt"), 12, 14),
    ("odd", include_str!("corpus/odd.txt"), 9, 26),
    ("ways", include_str!("corpus/ways.txt"), 25, 17),
];

#[test]
fn nothing_is_missed_and_nothing_made_up() {
    let mut faults = Vec::new();
    for (file, text, most_cases, most_marks) in CORPUS {
        let (codes, rest) = text.split_once('\n').unwrap();
        let codes: Vec<&str> = codes.strip_prefix("codes: ").unwrap().split(' ').collect();
        let mut cases = rest.split("\n=== ");
        let prelude = cases.next().unwrap();
        let prelude = prelude
            .split_once("prelude:\n")
            .map_or("", |(_, text)| text);
        let (mut count, mut marks) = (0, 0);
        for case in cases {
            let (title, text) = case.split_once('\n').unwrap();
            let (told, fault) = check(title, prelude, text, &codes);
            faults.extend(fault.map(|fault| format!("{file}: {title}\n{fault}")));
            count += 1;
            marks += told;
        }
        assert!(
            count >= most_cases && marks >= most_marks,
            "{file}: {count} cases, {marks} marks"
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// How many findings a case marks, and what is wrong with what came out.
fn check(title: &str, prelude: &str, text: &str, codes: &[&str]) -> (usize, Option<String>) {
    let (dialect, main) = match title
        .rsplit_once('(')
        .map(|(_, rest)| rest.trim_end_matches(')'))
    {
        Some("boltconn") => (Dialect::Boltconn, "config.yml"),
        Some("policy-router") => (Dialect::PolicyRouter, "config.toml"),
        Some("reflow") => (Dialect::Reflow, "config"),
        _ => (Dialect::Native, "pointsman.yaml"),
    };
    let mut parts = text.split("\n--- ");
    let first = parts.next().unwrap();
    let whole =
        dialect != Dialect::Native || first.lines().any(|line| line.starts_with("version:"));
    let first = if whole {
        first.to_owned()
    } else {
        format!("{prelude}{first}")
    };
    let mut files = vec![(main.to_owned(), first)];
    for part in parts {
        let (name, text) = part.split_once('\n').unwrap();
        files.push((name.to_owned(), text.to_owned()));
    }
    let marked = files.iter().flat_map(|(name, text)| {
        let lines = (1..).zip(text.lines());
        lines.flat_map(move |(number, line)| {
            let codes = line.split_once("#! ").map_or("", |(_, codes)| codes);
            codes
                .split_whitespace()
                .map(move |code| format!("{name}:{number}: {code}"))
        })
    });
    let mut expected: Vec<String> = marked.collect();
    expected.sort();
    let memory = Memory::new(
        files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())),
    );
    let mut loaded = load(Path::new(main), Some(dialect), None, &memory);
    let shown = |problems: &[Problem]| {
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        shown.join("\n")
    };
    let Some(setup) = &loaded.setup else {
        return (
            0,
            Some(format!("it has errors\n{}", shown(&loaded.problems.0))),
        );
    };
    super::lint(setup, &memory, &mut loaded.problems);
    let told = loaded
        .problems
        .0
        .iter()
        .filter(|problem| codes.contains(&problem.code));
    let place = |problem: &Problem| {
        format!(
            "{}:{}: {}",
            problem.span.file(),
            problem.span.line(),
            problem.code
        )
    };
    let mut got: Vec<String> = told.map(place).collect();
    got.sort();
    let wrong = got != expected;
    let fault = wrong.then(|| {
        let all = shown(&loaded.problems.0);
        format!("expected {expected:#?}\ngot {got:#?}\n{all}")
    });
    (expected.len(), fault)
}
