//! How problems are shown: the place, secrets, lines of any length.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// A problem at a place of a text, as it is shown.
fn shown(text: &str, place: Range<usize>) -> String {
    let source = Source::open("c.yml", text.to_owned());
    let mut problems = Problems::default();
    problems.error("unknown-key", &source.span(place.start, place.end), "no");
    problems.0[0].to_string()
}

#[test]
fn a_problem_shows_its_place() {
    let source = Source::new("r.toml", "a = 1\nvia = \"ciadpi\"\n".into());
    let mut problems = Problems::default();
    let problem = problems.error(
        "unknown-outbound",
        &source.span(13, 19),
        "there is no outbound `ciadpi`",
    );
    problem.hint = Some("defined here: direct, vpn".into());
    assert_eq!(
        problems.0[0].to_string(),
        "r.toml:2:8: error[unknown-outbound]: there is no outbound `ciadpi`\n  | via = \"ciadpi\"\n  |        ^^^^^^\n  hint: defined here: direct, vpn"
    );
}

#[test]
fn secrets_are_not_shown() {
    let source = Source::new("c.yml", "{ password: hünter2, bad: 1 }\n".into());
    let mut problems = Problems::default();
    problems.error("unknown-key", &source.span(22, 25), "no");
    assert_eq!(
        problems.0[0].to_string(),
        "c.yml:1:22: error[unknown-key]: no\n  | { password: *******, bad: * }\n  |                      ^^^"
    );
    problems.0[0] = Problem::new(
        Severity::Error,
        "wrong-type",
        source.line(1),
        "`hünter2` is no map",
    )
    .hint("write `{ hünter2: }`")
    .related(source.line(1), "hünter2 stands here");
    let debug = format!("{problems:?}");
    assert!(debug.contains("`***` is no map"), "{debug}");
    assert!(!debug.contains("hünter2"), "{debug}");
}

#[test]
fn carets_stand_under_what_they_mean() {
    let check = |text: &str, word: &str, column: u32, caret: &str| {
        let at = text.find(word).unwrap();
        let lines = shown(text, at..at + word.len());
        let (head, rest) = lines.split_once("\n  | ").unwrap();
        let head = head.split(": ").next().unwrap();
        assert_eq!(head, format!("c.yml:1:{column}"), "{lines}");
        assert_eq!(rest.split_once("\n  | ").unwrap().1, caret, "{lines}");
    };
    check("a: b", "b", 4, "   ^");
    check("\ta: bc", "bc", 5, "    ^^");
    // Two columns for one character.
    check("日本: bad", "bad", 5, "      ^^^");
    check("x: 日本", "日本", 4, "   ^^^^");
    check("😀: bad", "bad", 4, "    ^^^");
    // None for an accent of its own.
    check("e\u{301}: bad", "bad", 5, "   ^^^");
    check("\u{1b}[31m: bad", "bad", 8, "       ^^^");
}

#[test]
fn control_characters_stay_here() {
    let text = shown("k: \u{1b}]0;title\u{7}\n", 0..1);
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let check = |before: usize, behind: usize, expected: &str| {
        let text = format!("{}here{}", "a".repeat(before), "b".repeat(behind));
        let lines = shown(&text, before..before + 4);
        let mut lines = lines.lines().map(str::to_owned);
        let head = lines.next().unwrap();
        assert_eq!(
            head,
            format!("c.yml:1:{}: error[unknown-key]: no", before + 1)
        );
        let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
        let at = line.find("here").unwrap();
        assert_eq!(caret.find('^'), Some(at), "{line}\n{caret}");
        assert_eq!(&caret[at..], "^^^^");
        let bare = line.replace("aaaaaaaaaa", "A").replace("bbbbbbbbbb", "B");
        assert_eq!(bare, expected);
    };
    check(10, 10, "  | AhereB");
    check(100, 96, "  | AAAAAAAAAAhereBBBBBBBBBbbbbbb");
    check(100, 100, "  | ...AAAAAAhereBBBBBBBBBbbbbbb...");
    check(1_000_000, 0, "  | ...AAAAAAhere");
    check(0, 1_000_000, "  | hereBBBBBBBBBBBBBBBbbbbbb...");
    check(40, 1_000_000, "  | AAAAhereBBBBBBBBBBBbbbbbb...");
    check(500_000, 500_000, "  | ...AAAAAAhereBBBBBBBBBbbbbbb...");
}

#[test]
fn secrets_of_long_lines_are_not_shown() {
    let text = format!(
        "{{token: {}, bad: 1{}}}",
        "s".repeat(4_998),
        "b".repeat(5_000)
    );
    let source = Source::new("c.yml", text);
    let mut problems = Problems::default();
    problems.error("unknown-key", &source.span(5_008, 5_011), "no");
    let shown = problems.0[0].to_string();
    let expected = format!("  | ...{}, bad: *{}...", "*".repeat(58), "*".repeat(94));
    assert_eq!(shown.lines().nth(1), Some(&*expected));
}

#[test]
fn messages_are_cut() {
    let source = Source::new("c.yml", "a".into());
    let long = "日".repeat(1 << 20);
    let mut problems = Problems::default();
    let problem = problems.error(
        "wrong-type",
        &source.span(0, 1),
        format!("`{long}` is none"),
    );
    problem.hint = Some(long.clone());
    problem.related = Some((source.span(0, 1), long));
    let problem = &problems.0[0];
    assert!(problem.to_string().chars().count() < 4_000);
    let wire = pointsman_api::Problem::from(problem);
    let related = wire.related.map(|related| related.message.len());
    let sizes = [wire.message.len(), wire.text.len()];
    assert!(
        sizes
            .iter()
            .chain(&related)
            .chain(&wire.hint.map(|hint| hint.len()))
            .all(|size| *size < 12_000)
    );
}

#[test]
fn near_words_are_offered() {
    assert_eq!(nearest("listner", ["listener", "target"]), Some("listener"));
    assert_eq!(nearest("xyz", ["listener", "target"]), None);
}

/// Texts of one line or of several, short or huge, of characters of every width.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,20}",
        "\\PC{0,10}",
        "[日本語😀\u{301}\u{200b}\t]{0,20}",
        Just("\n".to_owned()),
        Just("\u{1b}[0m".to_owned()),
    ];
    let times = prop_oneof![4 => Just(1_usize), 1 => Just(50), 1 => Just(20_000)];
    proptest::collection::vec(
        (piece, times).prop_map(|(piece, times)| piece.repeat(times)),
        0..6,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However long a line is, what is shown of it is short, and the caret stands under the place.
    #[test]
    fn what_is_shown_is_bounded(text in texts(), at in any::<prop::sample::Index>(), length in 0..50_000_usize) {
        let start = text.floor_char_boundary(at.index(text.len() + 1));
        let lines = shown(&text, start..start.saturating_add(length).min(text.len()));
        prop_assert!(lines.chars().count() <= 1_000, "{} characters", lines.chars().count());
        let raw = lines.contains('\u{1b}');
        prop_assert!(!raw);
        let line = text[..start].matches('\n').count() + 1;
        let column = text[..start].rsplit('\n').next().unwrap().chars().count() + 1;
        let head = format!("c.yml:{line}:{column}: ");
        prop_assert!(lines.starts_with(&head), "{lines}");
        if let Some((_, caret)) = lines.rsplit_once("\n  | ") {
            prop_assert!(caret.trim_start().bytes().all(|b| b == b'^') && caret.contains('^'), "{lines}");
        }
    }
}

#[test]
fn many_that_are_equal_are_one() {
    let text = "a\n".repeat(20_000);
    let source = Source::open("f", text);
    let mut problems = Problems::default();
    for line in 1..=20_000 {
        problems.note("n", &source.line(line), "the same").hint = Some("do".into());
        if line % 5000 == 1 {
            problems.warning("w", &source.line(line), format!("other {line}"));
        }
    }
    for line in [7, 8, 9] {
        problems.error("e", &source.line(line), "three of a kind");
    }
    problems.sort();
    let shown: Vec<String> = problems.0.iter().map(Problem::to_string).collect();
    let expected = [
        "f:1:1: warning[w]: other 1\n  | a\n  | ^",
        "f:1:1: note[n]: the same\n  | a\n  | ^\n  the same on the lines 2 and 3, and of 19997 more\n  hint: do",
        "f:7:1: error[e]: three of a kind\n  | a\n  | ^",
        "f:8:1: error[e]: three of a kind\n  | a\n  | ^",
        "f:9:1: error[e]: three of a kind\n  | a\n  | ^",
        "f:5001:1: warning[w]: other 5001\n  | a\n  | ^",
        "f:10001:1: warning[w]: other 10001\n  | a\n  | ^",
        "f:15001:1: warning[w]: other 15001\n  | a\n  | ^",
    ];
    assert_eq!(shown, expected);
    assert_eq!(pointsman_api::Problem::from(&problems.0[1]).count, 20_000);
    // Sorted again they stay as they are.
    let before = problems.clone();
    problems.sort();
    assert_eq!(problems.0, before.0);
    let (first, left_out) = problems.first(4);
    let codes: Vec<&str> = first.iter().map(|problem| problem.code).collect();
    assert_eq!((codes, left_out), (vec!["e", "e", "e", "w"], 4));
}

#[test]
fn parts_are_found_where_they_stand_once() {
    let source = Source::new(
        "f",
        "{ a: x-a, b: [DIRECT, ab], \u{e4}: b.c, c: DIRECT }\n".into(),
    );
    let line = source.line(1);
    let check = |text: &str, expected: Option<u32>| {
        let found = line.find(text).map(|it| it.line_column().1);
        assert_eq!(found, expected, "{text}");
    };
    check("a", Some(3));
    check("b", Some(11));
    check("ab", Some(23));
    check("\u{e4}", Some(28));
    for none in ["DIRECT", "x", "z", ""] {
        check(none, None);
    }
    let long = Source::new("f", format!("a {}", "x".repeat(5000)));
    assert_eq!(long.line(1).find("a"), None);
}

#[test]
fn lines_are_where_they_stand() {
    let source = Source::new("f", "ab\n\nä c\n".into());
    let check = |at: usize, expected: (u32, u32)| {
        assert_eq!(source.span(at, at).line_column(), expected, "{at}");
    };
    check(0, (1, 1));
    check(2, (1, 3));
    check(3, (2, 1));
    check(4, (3, 1));
    check(7, (3, 3));
    check(9, (4, 1));
    assert_eq!(source.line(3).text(), "ä c");
    assert_eq!(source.line(9).text(), "");
}

#[test]
fn notes_that_files_have_many_of_are_folded() {
    let text = "rule\n".repeat(20);
    let source = Source::open("c.yaml", text);
    let mut problems = Problems::default();
    for line in 1..=13 {
        let place = source.line(line);
        problems.note("never-sees-names", &place, format!("rule {line} is blind"));
        problems.note("not-yet", &place, format!("not yet: {line}"));
    }
    problems.note("fails-open", &source.line(14), "one");
    problems.note("fails-open", &source.line(15), "two");
    let folded = problems.folded();
    let told = |code: &str| -> Vec<String> {
        let told = folded.0.iter().filter(|it| it.code == code);
        told.map(ToString::to_string).collect()
    };
    assert_eq!(
        told("never-sees-names"),
        [
            "c.yaml:1:1: note[never-sees-names]: rule 1 is blind\n  | rule\n  | ^^^^\n  \
          and 12 more rules: lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ..."
        ]
    );
    assert_eq!(
        told("fails-open"),
        ["c.yaml:14:1: note[fails-open]: one\n  | rule\n  | ^^^^\n  and 1 more rule: line 15"]
    );
    assert_eq!(told("not-yet").len(), 13);
    assert_eq!(problems.0.len(), 28);
}
