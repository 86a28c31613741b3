//! Replays the fuzzing corpus, and mutates its seeds, under plain `cargo test`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let folder = folder.join(target);
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn the_corpus_holds() {
    let rules = corpus("rule_line");
    assert!(rules.len() >= 8);
    for bytes in &rules {
        check_rule_line(bytes);
    }
    let plans = corpus("plan");
    assert!(plans.len() >= 8);
    for bytes in &plans {
        check_plan(bytes);
    }
    let sets = corpus("set_cache");
    assert!(sets.len() >= 3);
    for bytes in &sets {
        check_set_cache(bytes);
    }
}

proptest! {
    #[test]
    fn mutated_seeds_break_no_promise(
        seed: Index,
        changes in proptest::collection::vec((any::<Index>(), 0..3_u8, "[ -~]"), 1..6),
    ) {
        let corpus = corpus("rule_line");
        let mut bytes = corpus[seed.index(corpus.len())].clone();
        for (at, kind, put) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => drop(bytes.remove(at)),
                1 if at < bytes.len() => bytes[at] = put.as_bytes()[0],
                _ => bytes.insert(at, put.as_bytes()[0]),
            }
        }
        check_rule_line(&bytes);
    }
}

proptest! {
    #[test]
    fn changed_sets_break_no_promise(
        seed: Index,
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let corpus = corpus("set_cache");
        let mut bytes = corpus[seed.index(corpus.len())].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_set_cache(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_a_policy_that_is_compiled_faithfully(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        check_plan(&bytes);
    }
}

/// The seeds are of today's format, so a change of it is seen. `POINTSMAN_WRITE_SEEDS=1` writes them anew; what
/// was written before is refused only if the version in the magic changes too.
#[test]
fn seeds_of_sets_are_of_this_format() {
    use crate::set::{Item, Place, Reach, RuleSetBuilder, Sink as _};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/set_cache");
    let check = |file: &str, bytes: Vec<u8>| {
        let path = folder.join(file);
        if std::env::var_os("POINTSMAN_WRITE_SEEDS").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == bytes, "{file}");
    };
    let builder = || RuleSetBuilder::new("set", "set", Key([1, 2]));
    for (file, builder) in [("small", builder().small()), ("full", builder())] {
        let mut set = builder;
        for line in 1..40 {
            let name = Domain::parse(&format!("n{line}.test")).unwrap();
            set.add_exact(name.clone(), line, &format!("0.0.0.0 {name}"));
            set.add_suffix(name, line, &format!("{line}"));
        }
        let except = Domain::parse("b.a").unwrap();
        let item = Item::ExceptExact((&except).into());
        let written = "@@|b.a^|";
        set.add(item, Place { line: 41, written });
        set.add_suffix(Domain::parse("a").unwrap(), 42, "||a^");
        set.add_below(Domain::parse("c.a").unwrap(), 42, "||*.c.a^");
        let item = Item::ExceptBelow((&except).into());
        let written = "@@||*.b.a^";
        set.add(item, Place { line: 42, written });
        let important = Item::Important {
            name: (&except).into(),
            reach: Reach::Suffix,
            except: false,
        };
        let written = "||b.a^$important";
        set.add(important, Place { line: 43, written });
        let pattern = Item::Except(DomainTest::Keyword("ads".into()));
        let written = "ads";
        set.add(pattern, Place { line: 44, written });
        set.add_prefix("10.0.0.0/8".parse().unwrap(), 43, "10.1.0.0/8");
        set.add_prefix("2001:db8::1".parse().unwrap(), 44, "2001:db8::1");
        set.add_prefix("2001:db8::/32".parse().unwrap(), 44, "2001:db8::/32");
        set.add_prefix("2001:db9::/32".parse().unwrap(), 44, "IP6,2001:db9::/32");
        let keyword = Condition::Domain(DomainTest::Keyword("ads".into()));
        set.add_other(keyword, 45, "ads");
        check(file, set.finish().to_bytes());
    }
    check("empty", RuleSet::new("set", "set").to_bytes());
}
