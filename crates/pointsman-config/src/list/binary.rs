//! Small lists of every binary format: what each holds. They are also the seeds of the fuzzer.

use std::io::Cursor;
use std::path::Path;

use super::srs_json::{Shown, told_of};
use super::{ReadReport, Recipe, Surroundings, read};
use crate::fuzz_checks::list_of;

/// The recipe and the list of a seed.
fn seed(name: &str) -> (Recipe, Vec<u8>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/binary_list");
    let seed = std::fs::read(root.join(name)).unwrap();
    let (recipe, list) = list_of(&seed).unwrap();
    (recipe, list.to_vec())
}

fn shown(name: &str) -> String {
    let (recipe, list) = seed(name);
    match told_of(&list, &recipe) {
        Ok(told) => told.join("\n"),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn each_format_says_what_it_means() {
    let check = |seed: &str, expected: &[&str]| {
        assert_eq!(shown(seed), expected.join("\n"), "{seed}");
    };
    check(
        "dat_names",
        &[
            "1 + a.test",
            "2 = b.test",
            "3 ? DOMAIN-KEYWORD, kw",
            "4 ? DOMAIN-REGEX, ^r$",
        ],
    );
    check("dat_attribute", &["1 = b.test"]);
    check("dat_addresses", &["1 / 10.0.0.0/8", "2 / 2001::/16"]);
    check(
        "dat_inverse",
        &[
            "1 / 0.0.0.0/5",
            "2 / 8.0.0.0/7",
            "3 / 11.0.0.0/8",
            "4 / 12.0.0.0/6",
            "5 / 16.0.0.0/4",
            "6 / 32.0.0.0/3",
            "7 / 64.0.0.0/2",
            "8 / 128.0.0.0/1",
            "9 / ::/0",
        ],
    );
    check("mmdb_country", &["1 / 10.0.0.0/8"]);
    check("mmdb_system", &["1 / 10.0.0.0/8"]);
    check(
        "mrs_names_unpacked",
        &[
            "1 = a.test",
            "2 + b.test",
            "3 _ c.test",
            r"4 ? DOMAIN-REGEX, '^[^.]+\.d\.test$'",
        ],
    );
    check(
        "mrs_packed",
        &[
            "1 = a.test",
            "2 + b.test",
            "3 _ c.test",
            r"4 ? DOMAIN-REGEX, '^[^.]+\.d\.test$'",
        ],
    );
    check(
        "mrs_addresses_unpacked",
        &[
            "1 / 10.0.0.1/32",
            "2 / 10.0.0.2/31",
            "3 / 10.0.0.4/31",
            "4 / 10.0.0.6/32",
            "5 / 2001::/16",
        ],
    );
    check(
        "srs_names_unpacked",
        &[
            "1 = a.test",
            "2 = x.a.test",
            "3 + b.test",
            "4 _ c.test",
            "5 ? DOMAIN-KEYWORD, kw",
            "6 ? DOMAIN-REGEX, ^r.*$",
            "7 / 10.1.0.0/24",
            "8 / 2001:db8::/31",
        ],
    );
    check(
        "srs_old_names_unpacked",
        &["1 = a.test", "2 + b.test", "3 _ c.test"],
    );
    check("srs_packed", &["1 = a.test", "2 + b.test", "3 _ c.test"]);
    check(
        "srs_adguard_unpacked",
        &[
            r"1 ? DOMAIN-REGEX, (?:^|\.)ads",
            r"2 ? DOMAIN-REGEX, (?:^|\.)d.*\.test$",
            "3 + a.test",
            "4 = b.test",
            r"5 ? DOMAIN-REGEX, c\.test$",
        ],
    );
    check(
        "srs_logic_unpacked",
        &["1 ? AND, [DOMAIN, a.test], [NOT, [OR, [DST-PORT, 53], [NETWORK, udp]]]"],
    );
    check(
        "srs_everything_unpacked",
        &["1 ! a rule is left out: `query_type` asks for what is not known here"],
    );
    check(
        "json",
        &[
            "1 = a.test",
            "1 / 10.0.0.0/8",
            "1 ? DST-PORT, 53",
            "1 ! a rule is left out: `query_type` asks for what is not known here",
        ],
    );
}

/// The error of a seed of which a byte was changed, or which was cut.
fn damaged(name: &str, damage: impl Fn(&mut Vec<u8>)) -> String {
    let (recipe, mut list) = seed(name);
    damage(&mut list);
    told_of(&list, &recipe).unwrap_err()
}

#[test]
fn damage_is_told_in_plain_words() {
    let cut = |list: &mut Vec<u8>| list.truncate(list.len() - 6);
    assert_eq!(damaged("mrs_packed", cut), "the list is cut off");
    assert_eq!(damaged("srs_packed", cut), "the list is cut off");
    // The kind of the first block, of which there is none such.
    let said = damaged("mrs_packed", |list| list[6] |= 6);
    assert!(
        said.starts_with("the list is damaged: it cannot be unpacked beyond byte "),
        "{said}"
    );
    // The size of the window.
    let said = damaged("mrs_packed", |list| list[5] = 0xa0);
    assert!(said.starts_with("unpacking the list takes "), "{said}");
    let middle = |list: &mut Vec<u8>| list[6..12].fill(0xff);
    let said = damaged("srs_packed", middle);
    assert!(
        said.starts_with("the list is damaged: it cannot be unpacked beyond byte "),
        "{said}"
    );
}

#[test]
fn damaged_databases_are_errors_at_once() {
    let key = b"node_count\xc4";
    let at = |list: &[u8]| {
        let at = list.windows(key.len()).position(|w| w == key);
        at.unwrap() + key.len()
    };
    let huge = |list: &mut Vec<u8>| {
        let at = at(list);
        list[at..at + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    };
    let said = damaged("mmdb_country", huge);
    assert!(said.starts_with("the "), "{said}");
    let none = |list: &mut Vec<u8>| {
        let at = at(list);
        list[at..at + 4].fill(0);
    };
    let said = damaged("mmdb_country", none);
    assert!(said.starts_with("the "), "{said}");
    let cut = "the file is no database in MaxMind's format, or it is cut short";
    assert_eq!(damaged("mmdb_country", |list| list.truncate(0x60)), cut);
    // What is recognised by its name alone.
    let (mut sink, mut told) = (Shown::default(), ReadReport::default());
    let mut bytes = Cursor::new(b"\x00\x00\x01\x00".repeat(8));
    let recipe = Recipe::default();
    let read = read(
        &mut bytes,
        "x.mmdb",
        &recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    );
    assert!(read.unwrap_err().to_string().contains("whole database"));
}

/// Some databases have nothing but the code, at the top.
#[test]
fn a_country_code_at_the_top_is_one() {
    let (recipe, mut list) = seed("mmdb_country");
    let nested = b"\xe2\x47country\xe1\x48iso_code";
    let at = list.windows(nested.len()).position(|w| w == nested);
    let at = at.unwrap();
    let flat = b"\xe1\x4ccountry_code";
    let code = list[at + nested.len()..][..3].to_vec();
    list[at..][..flat.len()].copy_from_slice(flat);
    list[at + flat.len()..][..3].copy_from_slice(&code);
    assert_eq!(told_of(&list, &recipe).unwrap(), ["1 / 10.0.0.0/8"]);
}
