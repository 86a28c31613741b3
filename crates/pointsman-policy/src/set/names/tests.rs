//! Tables of names against a plain model, in both forms.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Item, Key, NameMatch, Place, RuleSet, RuleSetBuilder, Sink as _};
use super::*;
use crate::domain::{Domain, Name};
use crate::set::Fingerprints;

const KINDS_OF_ENTRY: [Kind; Kind::COUNT] = [
    Kind::Exact,
    Kind::Suffix,
    Kind::ExceptExact,
    Kind::ExceptSuffix,
    Kind::Below,
    Kind::ExceptBelow,
];

fn set(entries: &[(String, Kind)], small: bool) -> RuleSet {
    let builder = RuleSetBuilder::new("set", "set.txt", Key([7, 9]));
    let mut set = if small { builder.small() } else { builder };
    for (line, (name, kind)) in (1..).zip(entries) {
        let mut buffer = String::new();
        let name = Name::parse(name, &mut buffer).unwrap();
        let (item, written) = match kind {
            Kind::Exact => (Item::Exact(name), name.as_str().to_owned()),
            Kind::Suffix => (Item::Suffix(name), format!("+.{}", name.as_str())),
            Kind::ExceptExact => (Item::ExceptExact(name), format!("@@|{}^|", name.as_str())),
            Kind::ExceptSuffix => (Item::ExceptSuffix(name), format!("@@||{}^", name.as_str())),
            Kind::Below => (Item::Below(name), format!("||*.{}^", name.as_str())),
            Kind::ExceptBelow => (Item::ExceptBelow(name), format!("@@||*.{}^", name.as_str())),
        };
        let written = &*written;
        set.add(item, Place { line, written });
    }
    set.finish()
}

/// `excepted`, `-`, or the line and the text of the entry that holds.
fn plainly(entries: &[(String, Kind)], query: &str) -> String {
    let mut lines: BTreeMap<(&str, Kind), usize> = BTreeMap::new();
    for (at, (name, kind)) in entries.iter().enumerate() {
        lines.entry((name, *kind)).or_insert(at + 1);
    }
    let ancestors: Vec<_> =
        std::iter::successors(Some(query), |name| Some(name.split_once('.')?.1)).collect();
    let is = |name: &str, kind| lines.contains_key(&(name, kind));
    let excepted = is(query, Kind::ExceptExact);
    if excepted
        || ancestors.iter().any(|name| is(name, Kind::ExceptSuffix))
        || ancestors[1..]
            .iter()
            .any(|name| is(name, Kind::ExceptBelow))
    {
        return "excepted".to_owned();
    }
    if let Some(line) = lines.get(&(query, Kind::Exact)) {
        return format!("{line} {query}");
    }
    let mut held = ancestors.iter().filter_map(|name| {
        let below = lines.get(&(*name, Kind::Below));
        let below = below.filter(|_| *name != query);
        let below = below.map(|line| format!("{line} ||*.{name}^"));
        let suffix = lines.get(&(*name, Kind::Suffix));
        let suffix = suffix.map(|line| format!("{line} +.{name}"));
        suffix.or(below)
    });
    held.next().unwrap_or_else(|| "-".to_owned())
}

fn told(set: &RuleSet, query: &Domain) -> String {
    match set.hold(&Fingerprints::of(set.key(), query)) {
        NameMatch::Excepted => "excepted".to_owned(),
        NameMatch::No => "-".to_owned(),
        NameMatch::Yes(found) => {
            let entry = set.entry(found);
            format!("{} {}", entry.line, entry.text)
        }
    }
}

fn names() -> impl Strategy<Value = String> {
    let label = select(vec!["a", "b", "a-label-of-17-chars", "eight888"]);
    prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
}

proptest! {
    #[test]
    fn a_table_answers_as_the_plain_model(
        entries in prop::collection::vec((names(), select(KINDS_OF_ENTRY.to_vec())), 0..80),
        queries in prop::collection::vec(names(), 1..20),
    ) {
        let (full, small) = (set(&entries, false), set(&entries, true));
        prop_assert_eq!(full.len(), small.len());
        for query in queries {
            let expected = plainly(&entries, &query);
            let query = Domain::parse(&query).unwrap();
            prop_assert_eq!(&told(&full, &query), &expected, "{}", query);
            let without_place = match expected.split_once(' ') {
                Some((_, text)) => {
                    let signs = |c| matches!(c, '+' | '|' | '*' | '.' | '^');
                    format!("0 {}", text.trim_matches(signs))
                }
                None => expected,
            };
            prop_assert_eq!(told(&small, &query), without_place, "{}", query);
            let other_key = Key([1, 1]);
            let by_other_key = full.hold(&Fingerprints::of(other_key, &query));
            prop_assert_eq!(
                format!("{by_other_key:?}"),
                format!("{:?}", full.hold(&Fingerprints::of(full.key(), &query)))
            );
        }
    }
}

/// Each number of buckets has its own width of entries; all of them find what they hold and nothing else.
#[test]
fn tables_of_every_size_find_their_own() {
    for count in [
        1, 2, 3, 4, 7, 8, 9, 31, 32, 500, 1023, 1024, 5000, 70_000, 300_000,
    ] {
        let mut set = RuleSetBuilder::new("set", "set.txt", Key([count, 0]));
        for number in 1..=count {
            let name = Domain::parse(&format!("n{number}.test")).unwrap();
            set.add_suffix(name, number as u32, &format!("n{number}.test"));
        }
        let set = set.finish();
        assert_eq!(set.len() as u64, count);
        for number in (1..=count).step_by(1 + count as usize / 1000) {
            let below = Domain::parse(&format!("x.n{number}.test")).unwrap();
            assert_eq!(told(&set, &below), format!("{number} n{number}.test"));
            let beside = Domain::parse(&format!("m{number}.test")).unwrap();
            assert_eq!(told(&set, &beside), "-");
        }
    }
}

/// Names deeper than fingerprints are kept for are found, and are not mistaken for their ancestors.
#[test]
fn deep_names_are_found() {
    let deep = |labels: usize| vec!["x"; labels].join(".");
    for held in [1, 2, 16, 17, 40, 127] {
        let exact = set(&[(deep(held), Kind::Exact)], false);
        let suffix = set(&[(deep(held), Kind::Suffix)], false);
        for asked in [1, 2, 3, 15, 16, 17, 18, 40, 41, 126, 127] {
            let name = Domain::parse(&deep(asked)).unwrap();
            assert_eq!(told(&exact, &name) != "-", asked == held, "{held} {asked}");
            assert_eq!(told(&suffix, &name) != "-", asked >= held, "{held} {asked}");
        }
    }
}

/// What stands for names below alone holds them however deep they are, and never itself.
#[test]
fn what_is_below_is_below() {
    let deep = |labels: usize| vec!["x"; labels].join(".");
    for held in [1, 2, 15, 16, 17, 40, 126] {
        let below = set(&[(deep(held), Kind::Below)], false);
        let except = set(
            &[
                ("x".to_owned(), Kind::Suffix),
                (deep(held), Kind::ExceptBelow),
            ],
            false,
        );
        for asked in [1, 2, 3, 15, 16, 17, 18, 40, 41, 126, 127] {
            let name = Domain::parse(&deep(asked)).unwrap();
            assert_eq!(told(&below, &name) != "-", asked > held, "{held} {asked}");
            let excepted = told(&except, &name) == "excepted";
            assert_eq!(excepted, asked > held, "{held} {asked}");
        }
    }
}

/// All kinds of one name stand side by side and answer each for itself.
#[test]
fn kinds_of_one_name_are_told_apart() {
    let entries: Vec<_> = KINDS_OF_ENTRY
        .into_iter()
        .map(|kind| ("a.b".to_owned(), kind))
        .collect();
    let some = |kinds: &[Kind]| {
        let mut entries = entries.clone();
        entries.retain(|(_, kind)| kinds.contains(kind));
        set(&entries, false)
    };
    let check = |kinds: &[Kind], itself: &str, below: &str| {
        let set = some(kinds);
        assert_eq!(set.len(), kinds.len());
        for (query, expected) in [("a.b", itself), ("x.a.b", below), ("b", "-")] {
            let query = Domain::parse(query).unwrap();
            assert_eq!(told(&set, &query), expected, "{kinds:?} {query}");
        }
    };
    use Kind::{Below, Exact, ExceptBelow, ExceptExact, ExceptSuffix, Suffix};
    check(&[Exact, Below], "1 a.b", "2 ||*.a.b^");
    check(&[Below], "-", "1 ||*.a.b^");
    check(&[Suffix, Below], "1 +.a.b", "1 +.a.b");
    check(&[Exact, Below, ExceptExact], "excepted", "3 ||*.a.b^");
    check(&[Exact, Suffix, Below, ExceptBelow], "1 a.b", "excepted");
    check(&[Suffix, ExceptBelow], "1 +.a.b", "excepted");
    check(&KINDS_OF_ENTRY, "excepted", "excepted");
    check(&[Suffix, Below, ExceptSuffix], "excepted", "excepted");
}

/// An exception far above the entry that holds is found too, however many entries lie between.
#[test]
fn exceptions_high_above_win() {
    let deep = |labels: usize| vec!["x"; labels].join(".");
    let mut entries: Vec<_> = (2..30).map(|labels| (deep(labels), Kind::Suffix)).collect();
    let name = Domain::parse(&deep(40)).unwrap();
    assert!(told(&set(&entries, false), &name).starts_with("28 "));
    entries.push((deep(1), Kind::ExceptSuffix));
    assert_eq!(told(&set(&entries, false), &name), "excepted");
}

/// A name said a million times makes one entry, and its first line stays.
#[test]
fn repetitions_fold() {
    let entries: Vec<_> = (0..100_000)
        .map(|_| ("a.b".to_owned(), Kind::Suffix))
        .collect();
    let set = set(&entries, false);
    assert_eq!(set.len(), 1);
    assert_eq!(told(&set, &Domain::parse("x.a.b").unwrap()), "1 +.a.b");
    assert!(set.name_bytes() < 300_000, "{}", set.name_bytes());
}

/// Lists may write every entry in its own way.
#[test]
fn hundreds_of_ways_of_writing_are_told_apart() {
    let mut set = RuleSetBuilder::new("set", "set.txt", Key([1, 2]));
    for line in 1..=1000_u32 {
        let name = Domain::parse(&format!("n{}.test", line / 2)).unwrap();
        set.add_exact(
            name.clone(),
            line,
            &format!("10.0.{}.{} {name}", line / 200, line % 200),
        );
    }
    let set = set.finish();
    for number in 1..500 {
        let line = 2 * number;
        let name = Domain::parse(&format!("n{number}.test")).unwrap();
        let expected = format!("{line} 10.0.{}.{} {name}", line / 200, line % 200);
        assert_eq!(told(&set, &name), expected);
    }
}
