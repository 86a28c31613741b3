//! The corpus of the fuzz targets, replayed.

use std::path::Path;

use super::*;

/// Replays the corpus of one fuzz target.
fn replay(target: &str, check: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut seeds = 0;
    for entry in std::fs::read_dir(root.join(target)).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
}

#[test]
fn the_corpus_of_binary_lists() {
    replay("binary_list", check_binary_list);
}

#[test]
fn binary_lists_survive_damage() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/binary_list");
    for entry in std::fs::read_dir(root).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        for damaged in crate::damage::variants(&seed[1..]).take(300) {
            check_binary_list(&[&seed[..1], damaged.as_slice()].concat());
        }
    }
}

#[test]
fn the_corpus_of_bitflow() {
    replay("bitflow", check_bitflow);
}

#[test]
fn the_corpus_of_boltconn() {
    replay("boltconn", check_boltconn);
}

#[test]
fn the_corpus_of_lists() {
    replay("list", check_list);
}

#[test]
fn the_corpus_of_native() {
    replay("native", check_native);
}

#[test]
fn the_corpus_of_flow_words() {
    replay("flow_words", check_flow_words);
}

#[test]
fn the_corpus_of_policy_router() {
    replay("policy_router", check_policy_router);
}
