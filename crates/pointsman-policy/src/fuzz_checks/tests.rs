//! Replays the fuzzing corpus, and mutates its seeds, under plain `cargo test`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/rule_line");
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn the_corpus_holds() {
    let corpus = corpus();
    assert!(corpus.len() >= 8);
    for bytes in &corpus {
        check_rule_line(bytes);
    }
}

proptest! {
    #[test]
    fn mutated_seeds_break_no_promise(
        seed: Index,
        changes in proptest::collection::vec((any::<Index>(), 0..3_u8, "[ -~]"), 1..6),
    ) {
        let corpus = corpus();
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
