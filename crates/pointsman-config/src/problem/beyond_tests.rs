//! Problems without end: what is kept, what is counted, what is said.

use super::*;

const MANY: usize = 50_000;

/// So many problems, each on a line of its own, of which each says something else or all the same.
fn many(words: impl Fn(usize) -> String) -> Problems {
    let source = Source::new("c.yml", "a: 1\n".repeat(MANY));
    let mut problems = Problems::default();
    for line in 1..=MANY {
        let place = source.line(u32::try_from(line).unwrap());
        problems
            .warning("unused-outbound", &place, words(line))
            .hint = Some("x".repeat(300));
    }
    problems
}

/// What a person reads of them, with a line for what is left out.
fn read(problems: &Problems) -> Vec<String> {
    let told = problems.folded().told();
    told.iter().map(ToString::to_string).collect()
}

#[test]
fn of_many_the_first_are_kept_and_all_are_counted() {
    let mut problems = many(|line| format!("no {line}"));
    assert!(problems.0.len() <= 100);
    assert_eq!(problems.count(Severity::Warning), MANY);
    assert_eq!((problems.total(), problems.has_errors()), (MANY, false));
    problems.sort();
    let told = read(&problems);
    assert!(told.iter().map(String::len).sum::<usize>() < 60_000);
    let last = told.last().map_or("", |it| it);
    let expected =
        "c.yml:101:1: warning[unused-outbound]: 49900 more of this kind; the first of them is here";
    assert_eq!(last.lines().next(), Some(expected));
    assert_eq!(problems.first(20).1, MANY - 20);
    // A hint to what is not kept goes to nothing that is.
    problems
        .warning("unused-outbound", &problems.0[0].span.clone(), "y")
        .hint = Some("y".into());
    assert_eq!(
        problems.last_mut().and_then(|it| it.hint.take()),
        Some("y".into())
    );
    assert!(problems.0.iter().all(|it| it.hint.as_deref() != Some("y")));
}

#[test]
fn of_the_very_same_the_number_is_exact() {
    let mut problems = many(|_| "no".to_owned());
    problems.sort();
    assert_eq!(problems.total(), 1);
    let told = read(&problems);
    assert_eq!(told.len(), 1);
    let expected = "the same on the lines 2 and 3, and of 49997 more";
    assert!(told[0].contains(expected), "{}", told[0]);
    assert_eq!(pointsman_api::Problem::from(&problems.0[0]).count, MANY);
}

/// One that says the same as one of the first may come behind all that are kept.
#[test]
fn the_same_is_the_same_however_late() {
    let mut problems = many(|line| match line % 2 {
        0 if line > 100 => "no 7".to_owned(),
        _ => format!("no {line}"),
    });
    problems.sort();
    let same = problems.0.iter().find_map(|it| it.again.as_ref()).unwrap();
    assert_eq!(same.count, (MANY - 100) / 2);
    assert_eq!(same.to_string(), "the same on line 102, and of 24949 more");
}

#[test]
fn parts_are_counted_where_they_are_absorbed() {
    let mut all = Problems::default();
    for _ in 0..2 {
        let mut part = all.apart();
        part.absorb(many(|line| format!("no {line}")));
        part.error("yaml-syntax", &part.0[0].span.clone(), "x");
        all.absorb(part);
    }
    assert!(all.has_errors());
    assert_eq!(
        (all.count(Severity::Warning), all.count(Severity::Error)),
        (MANY * 2 - 100, 2)
    );
    all.sort();
    all.retain(|code, _| code != "unused-outbound");
    assert_eq!((all.total(), all.told().len()), (2, 2));
    let mut whole = Problems::unbounded();
    let mut part = whole.apart();
    for at in 0..1_000 {
        part.error("yaml-syntax", &all.0[0].span, format!("x{at}"));
    }
    whole.absorb(part);
    assert_eq!(whole.0.len(), 1_000);
}
