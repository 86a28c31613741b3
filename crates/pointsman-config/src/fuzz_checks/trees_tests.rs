//! Replays the fuzzing corpus, and mutates its seeds, under plain `cargo test`.
//!
//! `UPDATE_EXPECT=1` writes the seeds listed here into `/fuzz/corpus`; other files there, as found by
//! fuzzing, are replayed and never touched.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;

use super::{check_reflow, check_tree};

/// Each target with its check and its seeds, by name.
type Target = (
    &'static str,
    fn(&[u8]),
    &'static [(&'static str, &'static str)],
);

const TARGETS: [Target; 2] = [("reflow", check_reflow, REFLOW), ("tree", check_tree, TREE)];

const REFLOW: &[(&str, &str)] = &[
    (
        "whole",
        "egress p = socks5 [::1]:1080\negress b = bind 10.0.0.1 # c\nrelay {\n resolver=p|tcp 1.1.1.1:53\n \
         listen=socks5 127.0.0.1:0\n rule=r }\nrule r = any[\r\n cond domain { hidden => p }\n \
         cond protocol { ssh => any [\n cond port eq 22 => b\n reset ] }\n cond ip {\n home => direct\n }\n]\n",
    ),
    (
        "dns",
        "dns{\n listen=udp 127.0.0.1:53\n forward= {\n hidden => udp 1.1.1.1:53\n else => tcp 1.1.1.1:53\n }\n}\nrule r=direct",
    ),
    ("two-on-a-line", "rule r = any[direct reset]\n"),
    ("unclosed", "rule r = any[ cond ip {\nrule s = direct ]"),
    ("ditto", "com.example.www\n..mail # c\r...b\n"),
    ("ranges", "10.0.0.9/8\n2001:db8::/32\n::ffff:1.2.3.4\n"),
];

const TREE: &[(&str, &str)] = &[
    ("leaf", "\"My Proxy\""),
    (
        "conditions",
        "cond not (port in 80, 8000-8100/tcp or domain under a.test) and ip in 10.0.0.0/8 no-resolve => direct else => reset",
    ),
    (
        "nested",
        "any [\n cond domain { ads => cond port eq 1 => reset\n else => proxy }\n only [ resolve\n named ]\n log 3 \"{addr.dst} {{x}}\"\n]",
    ),
    (
        "texts",
        "cond process.name eq curl, 'a b' nocase or http.user_agent matches \"^x\\\\.\" => direct",
    ),
    (
        "deep",
        "cond not not not (((always))) => any[any[any[direct]]]",
    ),
    ("unclosed", "any [ cond domain { ads => \"x\n ]"),
];

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

#[test]
fn seeds_are_in_the_corpus() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    for (target, _, seeds) in TARGETS {
        for (name, text) in seeds {
            let path = corpus(target).join(name);
            if update {
                fs::create_dir_all(corpus(target)).unwrap();
                fs::write(&path, text).unwrap();
            }
            let same = fs::read(&path).is_ok_and(|found| found == text.as_bytes());
            assert!(
                same,
                "{target}/{name} is missing or stale: run with UPDATE_EXPECT=1"
            );
        }
    }
}

#[test]
fn the_corpus_holds() {
    for (target, check, seeds) in TARGETS {
        let mut replayed = 0;
        for entry in fs::read_dir(corpus(target)).unwrap() {
            check(&fs::read(entry.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed >= seeds.len(), "{target}");
    }
}

/// Words and signs that mean something somewhere.
const TELLING: [&str; 24] = [
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "=>",
    "=",
    ",",
    "|",
    "#",
    "\"",
    "'",
    "\\",
    "\n",
    " ",
    ".",
    "/",
    "any ",
    "cond ",
    " else => ",
    " not ",
    " or ",
    "direct\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_seeds_break_no_promise(
        seed: Index,
        places in prop::collection::vec((any::<Index>(), 0_usize..4, prop::sample::select(&TELLING[..])), 0..6),
    ) {
        for (_, check, seeds) in TARGETS {
            let mut bytes = seed.get(seeds).1.as_bytes().to_vec();
            for (place, what, text) in &places {
                let at = place.index(bytes.len() + 1);
                let end = (at + what).min(bytes.len());
                bytes.splice(at..end, text.bytes());
            }
            check(&bytes);
        }
    }

    #[test]
    fn garbage_breaks_no_promise(text: String) {
        for (_, check, _) in TARGETS {
            check(text.as_bytes());
        }
    }
}
