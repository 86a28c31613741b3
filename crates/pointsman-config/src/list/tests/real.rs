//! Real lists: the same list in several formats gives the same entries; damage is survived.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Cursor};

use super::formats::Writer;
use super::*;
use crate::damage::{shared, variants};
use crate::fuzz_checks::check_list;

/// The entries of a shared list, without their lines, and what was told; `None` where it is absent.
fn entries(path: &str, recipe: &Recipe) -> Option<(BTreeSet<String>, ReadReport)> {
    let file = File::open(shared(path)?).unwrap();
    let mut sink = Writer::default();
    let mut told = ReadReport::default();
    read(
        &mut BufReader::new(file),
        path,
        recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    )
    .unwrap();
    assert_eq!(told.left_out(), 0, "{path}: {:?}", told.reasons);
    let entries = sink.0.into_iter();
    let entries = entries.map(|e| e.split('@').next().unwrap_or_default().to_owned());
    Some((entries.collect(), told))
}

fn recognised(told: &ReadReport) -> String {
    let format = told.format.map_or("-", Format::as_str);
    let behavior = told.behavior.map_or("-", Behavior::as_str);
    format!("{format} {behavior}")
}

#[test]
fn one_list_in_several_formats_gives_the_same_entries() {
    let check = |least: usize, lists: &[(&str, &str)]| {
        let mut first: Option<(&str, BTreeSet<String>)> = None;
        for (path, expected) in lists {
            let Some((entries, told)) = entries(path, &Recipe::default()) else {
                return;
            };
            assert_eq!(recognised(&told), *expected, "{path}");
            assert!(entries.len() >= least, "{path}: {}", entries.len());
            match &first {
                None => first = Some((path, entries)),
                Some((other, known)) => {
                    let differ: Vec<_> = known.symmetric_difference(&entries).take(5).collect();
                    assert!(differ.is_empty(), "{path}, {other}: {differ:?}");
                }
            }
        }
    };
    for (list, least) in [
        ("google", 900),
        ("category-ads-all", 800),
        ("geolocation-!cn", 20_000),
    ] {
        let path = |file: &str| format!("data/geosite/{list}/{file}");
        check(
            least,
            &[
                (&path("domain.list"), "text domain"),
                (&path("domain.yaml"), "yaml domain"),
            ],
        );
        check(
            least,
            &[
                (&path("classical.list"), "text classical"),
                (&path("classical.yaml"), "yaml classical"),
            ],
        );
    }
    for country in ["cn", "jp"] {
        check(
            5_000,
            &[
                (&format!("data/geoip/text/{country}.txt"), "text ipcidr"),
                (
                    &format!("data/geoip/clash/ipcidr/{country}.txt"),
                    "yaml ipcidr",
                ),
                (
                    &format!("data/geoip/clash/classical/{country}.txt"),
                    "yaml classical",
                ),
            ],
        );
    }
}

/// The plain forms leave out what only rules can say.
#[test]
fn names_of_rules_are_those_of_plain_lists() {
    for list in ["google", "category-ads-all", "geolocation-!cn"] {
        let plain = Recipe::default();
        let Some((domains, _)) = entries(&format!("data/geosite/{list}/domain.list"), &plain)
        else {
            return;
        };
        let Some((rules, _)) = entries(&format!("data/geosite/{list}/classical.list"), &plain)
        else {
            return;
        };
        let rules = rules.into_iter().filter(|e| !e.starts_with(['~', '*']));
        let rules: BTreeSet<String> = rules.collect();
        let differ: Vec<_> = rules.symmetric_difference(&domains).take(5).collect();
        assert!(differ.is_empty(), "{list}: {differ:?}");
    }
}

#[test]
fn a_list_of_advertisers_is_read_whole() {
    let path = "data/plain/reject-list.txt";
    let Some((entries, told)) = entries(path, &Recipe::default()) else {
        return;
    };
    assert_eq!(recognised(&told), "text names");
    let lines = std::fs::read_to_string(shared(path).unwrap()).unwrap();
    let lines: BTreeSet<&str> = lines.lines().collect();
    assert_eq!(entries.len(), lines.len());
}

#[test]
fn damaged_lists_are_survived() {
    let texts = [
        "[Adblock Plus 2.0]\n! x\n||a.test^$important\n@@||b.a.test^|\n/ad[0-9]+/\n||c*.test^\na.test##.x\n||d.test^$badfilter\n",
        "127.0.0.1 localhost\n0.0.0.0 a.test b.test # x\n::1 ip6-loopback\n",
        "server=/a.test/b.test/1.1.1.1\naddress=/#/\nipset=/c.test/x\nserver=/d.test/#\n",
        "full:a.test\n+.b.test\nc.*.test\nkeyword:ads\nregexp:^a+$\n10.0.0.0/8\n",
        "payload:\n  - DOMAIN,a.test\n  - 'IP-CIDR,10.0.0.0/8,no-resolve'\n  - AND,[[DOMAIN,a.test],[DST-PORT,443]]\n",
        "payload: [a.test, '+.b.test', {c: d}]\nother: x\n",
    ];
    for text in texts {
        for bytes in variants(text.as_bytes()).step_by(texts.len()) {
            check_list(&bytes);
        }
    }
}

#[test]
fn lines_without_end_are_bounded() {
    let mut told = ReadReport::default();
    let mut sink = Writer::default();
    let endless = vec![b'x'; 3 << 20];
    let recipe = Recipe {
        format: Some(Format::Text),
        ..Recipe::default()
    };
    let mut bytes = Cursor::new(endless);
    read(
        &mut bytes,
        "",
        &recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    )
    .unwrap();
    assert_eq!((sink.0.len(), told.left_out()), (0, 1));
}
