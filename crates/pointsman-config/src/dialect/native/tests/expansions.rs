//! Trees that use each other: what a small text may grow into is bounded, and told once.

use std::fmt::Write as _;
use std::path::Path;

use super::read;
use crate::files::Memory;
use crate::load::load;
use crate::problem::Problems;

/// A configuration with trees `p0`, `p1`, ... and the last one, which is `end`.
fn trees(count: usize, end: &str, tree: impl Fn(usize) -> String) -> String {
    let mut text =
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: p0\npolicies:\n".to_owned();
    for at in 0..count {
        writeln!(text, "  p{at}: {}", tree(at)).unwrap();
    }
    writeln!(text, "  p{count}: {end}").unwrap();
    text
}

fn twice(at: usize) -> String {
    format!("\"any [\\n p{next}\\n p{next}\\n]\"", next = at + 1)
}

fn codes(problems: &Problems) -> Vec<&str> {
    problems.errors().map(|problem| problem.code).collect()
}

/// Each policy was expanded for itself, and each to a million branches.
#[test]
fn trees_that_double_each_other_are_refused_once() {
    let good = read(&trees(10, "direct", twice));
    assert!(good.setup.is_some(), "{:?}", good.problems.0);
    for levels in [16, 24, 40] {
        let loaded = read(&trees(levels, "direct", twice));
        assert_eq!(codes(&loaded.problems), ["too-large"], "{levels}");
    }
    // The other way round: those that others use come first.
    let reversed = |at: usize| match at {
        0 => "p40".to_owned(),
        1 => "direct".to_owned(),
        at => format!("\"any [\\n p{before}\\n p{before}\\n]\"", before = at - 1),
    };
    let loaded = read(&trees(40, "\"any [\\n p39\\n p39\\n]\"", reversed));
    assert_eq!(codes(&loaded.problems), ["too-large"]);
}

#[test]
fn an_error_in_a_tree_is_told_once_however_often_it_is_used() {
    let loaded = read(&trees(40, "nowhere", twice));
    assert_eq!(codes(&loaded.problems), ["unknown-outbound"]);
    let back = read(&trees(40, "p20", twice));
    let codes = codes(&back.problems);
    assert!(codes.iter().all(|code| *code == "tree-cycle"), "{codes:?}");
    assert_eq!(codes.len(), 21, "each name that leads on in the circle");
}

/// They were lowered within each other until the stack was full.
#[test]
fn trees_that_nest_within_each_other_are_not_too_deep_for_us() {
    let nested = |levels: usize| {
        move |at: usize| {
            let (open, close) = ("any [ ".repeat(levels), " ]".repeat(levels));
            format!("\"{open}p{}{close}\"", at + 1)
        }
    };
    for (count, levels) in [(100, 120), (1_000, 1), (500, 0)] {
        let loaded = read(&trees(count, "direct", nested(levels)));
        let codes = codes(&loaded.problems);
        assert!(
            !codes.is_empty() && codes.iter().all(|code| *code == "too-deep"),
            "{count} {levels}: {codes:?}"
        );
    }
    let loaded = read(&trees(20, "direct", nested(5)));
    assert!(loaded.setup.is_some(), "{:?}", loaded.problems.0);
}

/// A large tree may be used at several places: what is written may be repeated.
#[test]
fn large_trees_may_be_used() {
    let rules = "    cond port eq 22 => reset\n".repeat(60_000);
    let text = format!(
        "inbounds: {{ a: {{ type: mixed, listen: 1 }} }}\npolicy: |\n  any [\n  large\n  large\n  direct\n  ]\npolicies:\n  large: |\n    any [\n{rules}    ]\n"
    );
    let loaded = read(&text);
    assert!(loaded.setup.is_some(), "{:?}", codes(&loaded.problems));
}

/// Each quoted tree had a text of its own with as many line breaks as stood before it.
#[test]
fn quoted_trees_keep_their_places() {
    let mut text =
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: direct\npolicies:\n".to_owned();
    text.push_str("  first: \"any [\\n direct\\n nowhere ]\"\n");
    writeln!(text, "  second: {}\"\\x6eowhere\"", " ".repeat(300)).unwrap();
    let loaded = read(&text);
    let places: Vec<_> = loaded
        .problems
        .errors()
        .map(|p| p.span.line_column())
        .collect();
    assert_eq!(places, [(5, 311), (6, 2)]);
    let longest = loaded
        .problems
        .errors()
        .map(|p| p.span.source.text.len())
        .max();
    assert!(longest < Some(300), "{longest:?}");
}

#[test]
fn included_files_are_bounded_together() {
    let large = format!("}}{}", " ".repeat(40 << 20));
    let files = Memory::new([
        (
            "c/pointsman.yaml",
            "include: [a.yaml, b.yaml]\npolicy: direct\n",
        ),
        ("c/a.yaml", &large),
        ("c/b.yaml", &large),
    ]);
    let loaded = load(Path::new("c/pointsman.yaml"), None, None, &files);
    let codes = codes(&loaded.problems);
    assert!(codes.contains(&"too-large"), "{codes:?}");
}
