//! What is written is read again, by us and by the peers.

use std::fs::File;
use std::io::{BufReader, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::bufread::ZlibDecoder;
use pointsman_policy::Host;
use pointsman_policy::set::Sink;

use super::*;
use ruzstd::decoding::StreamingDecoder;

use crate::damage::shared;
use crate::list::query::{ListIndex, Query};
use crate::list::srs_json::Shown;
use crate::list::{ReadReport, Recipe, Remark, Surroundings, read};

fn read_into(bytes: &[u8], sink: &mut dyn Sink) {
    let mut told = ReadReport::default();
    let recipe = Recipe::default();
    let mut bytes = Cursor::new(bytes);
    read(
        &mut bytes,
        "l",
        &recipe,
        &Surroundings::default(),
        sink,
        &mut told,
    )
    .unwrap();
    let guessed = told.of(Remark::Guessed).count();
    assert_eq!(told.reasons.len(), guessed, "{:?}", told.reasons);
}

/// The entries of a list without their lines, sorted.
fn entries(bytes: &[u8]) -> Vec<String> {
    let mut shown = Shown::default();
    read_into(bytes, &mut shown);
    let bare = shown.0.iter().filter_map(|line| line.split_once(' '));
    let mut all: Vec<String> = bare.map(|(_, text)| text.to_owned()).collect();
    all.sort();
    all
}

fn written(list: &str, target: OutputFormat) -> WrittenList {
    let mut kept = Collected::default();
    read_into(list.as_bytes(), &mut kept);
    kept.write(target)
}

const ALL: [OutputFormat; 4] = [
    OutputFormat::Mrs,
    OutputFormat::Srs,
    OutputFormat::Text,
    OutputFormat::Yaml,
];

#[test]
fn what_is_written_is_read_again() {
    let check = |list: &str, targets: &[OutputFormat]| {
        for target in targets {
            let written = written(list, *target);
            assert_eq!(written.left_out, [], "{target:?}: {list}");
            assert_eq!(
                entries(&written.bytes),
                entries(list.as_bytes()),
                "{target:?}: {list}"
            );
            assert_eq!(written.count, list.lines().count());
        }
    };
    check("a.test\n+.b.test\nxn--p1ai\nc.b.test", &ALL);
    check("a.test\n+.b.test\n+.c.test\nd.c.test", &ALL);
    check("full:a.test\nfull:b.test\n+.c.test", &ALL);
    check("+.b.test", &ALL);
    check("DOMAIN,a.test\nDOMAIN,b.test", &ALL);
    check(
        "10.0.0.0/8\n10.9.0.1/32\n2001:db8::/32",
        &[OutputFormat::Text, OutputFormat::Yaml],
    );
    check("10.0.0.0/8\n11.0.0.1/32\n2001:db8::/32\nfe80::/10", &ALL);
    let rules = "DOMAIN,a.test\nDOMAIN-SUFFIX,b.test\nDOMAIN-KEYWORD,kw\nDOMAIN-REGEX,'^a{1,3}\\.#x$'\n\
         IP-CIDR,10.0.0.0/8\nIP-CIDR6,2001:db8::/32\n\
         AND,[DOMAIN-SUFFIX,c.test],[NOT,[DOMAIN,c.test]]\n\
         AND,[DST-PORT,443|80-90],[OR,[NETWORK,udp],[SRC-PORT,1]]\n\
         NOT,[SRC-IP-CIDR,10.1.0.0/16]\nPROCESS-NAME,curl";
    check(
        rules,
        &[OutputFormat::Srs, OutputFormat::Text, OutputFormat::Yaml],
    );
    check("||*.a.test^\n||*.b.test^\n||c.test^", &ALL);
}

#[test]
fn what_a_format_cannot_say_is_named() {
    let check = |list: &str, target, expected: &[&str]| {
        let written = written(list, target);
        let told = written.left_out.iter();
        let told: Vec<_> = told
            .map(|l| format!("{}: {}: {}", l.line, l.text, l.why))
            .collect();
        assert_eq!(told, expected, "{list}");
        let said = entries(&written.bytes).len();
        assert_eq!((said, written.count), (1, 1), "{list}");
    };
    check(
        "DOMAIN,a.test\nIP-CIDR,10.0.0.0/8\nDOMAIN-KEYWORD,kw",
        OutputFormat::Mrs,
        &[
            "2: IP-CIDR,10.0.0.0/8: `.mrs` holds names or addresses, not both",
            "3: DOMAIN-KEYWORD, kw: `.mrs` holds names and addresses alone",
        ],
    );
    let adblock = "||a.test^\n@@||b.a.test^";
    let exception = "2: @@||b.a.test^: rules have no word for exceptions";
    check(adblock, OutputFormat::Text, &[exception]);
    check(adblock, OutputFormat::Yaml, &[exception]);
    check(
        "DOMAIN,a.test\nUSER-AGENT,x",
        OutputFormat::Srs,
        &["2: USER-AGENT, x: sing-box has no word for it"],
    );
}

#[test]
fn yaml_is_in_the_words_of_clash() {
    let check = |list: &str, expected: &str| {
        let written = written(list, OutputFormat::Yaml);
        assert_eq!(
            String::from_utf8(written.bytes).unwrap(),
            expected,
            "{list}"
        );
    };
    check(
        "AND,[DST-PORT,443|80-90],[OR,[NETWORK,udp],[SRC-PORT,1]]\n\
         AND,[DOMAIN-SUFFIX,c.test],[NOT,[DOMAIN,c.test]]\n\
         DOMAIN-REGEX,'^a{1,3}\\.#x$'\nNOT,[SRC-IP-CIDR,10.1.0.0/16]",
        "payload:\n  - 'AND,((DST-PORT,443/80-90),(OR,((NETWORK,udp),(SRC-PORT,1))))'\n  \
         - 'AND,((DOMAIN-SUFFIX,c.test),(NOT,((DOMAIN,c.test))))'\n  \
         - 'DOMAIN-REGEX,^a{1,3}\\.#x$'\n  - 'NOT,((SRC-IP-CIDR,10.1.0.0/16))'\n",
    );
    check(
        "AND,[DOMAIN-SUFFIX,c.test],[NOT,[DOMAIN,c.test]]\nDOMAIN,a.test",
        "payload:\n  - '.c.test'\n  - a.test\n",
    );
    let written = written("DOMAIN,a.test\nUSER-AGENT,x", OutputFormat::Yaml);
    let why: Vec<_> = written.left_out.iter().map(|left| left.why).collect();
    assert_eq!(why, ["Clash has no word for it (`--to text` has)"]);
}

#[test]
fn exceptions_from_nothing_are_left_out_and_named() {
    let written = written(
        "@@||a.test^\n@@/x/\n@@||b.test^$important",
        OutputFormat::Srs,
    );
    let told = written.left_out.iter();
    let told: Vec<_> = told
        .map(|l| format!("{}: {}: {}", l.line, l.text, l.why))
        .collect();
    let why = "there is nothing that it would take out";
    let expected = [
        format!("1: @@||a.test^: {why}"),
        format!("2: NOT, [DOMAIN-REGEX, x]: {why}"),
        format!("3: @@||b.test^$important: {why}"),
    ];
    assert_eq!((told.as_slice(), written.count), (&expected[..], 0));
}

#[test]
fn what_is_important_stays_so_for_sing_box() {
    let list =
        "||a.test^\n@@||b.a.test^\n@@*c*\n||x.b.a.test^$important\n@@||y.x.b.a.test^$important";
    let srs = written(list, OutputFormat::Srs);
    assert_eq!((srs.left_out.len(), srs.count), (0, 5));
    let mut table = ListIndex::default();
    read_into(&srs.bytes, &mut table);
    let check = |host, expected| {
        let answer = table.answer(&Host::parse(host).unwrap());
        assert_eq!(answer.entry.is_some(), expected, "{host}");
    };
    check("a.test", true);
    check("b.a.test", false);
    check("c.a.test", false);
    check("x.b.a.test", true);
    check("c.x.b.a.test", true);
    check("y.x.b.a.test", false);
}

#[test]
fn names_below_others_stay_so_for_sing_box() {
    let list =
        "||*.a.test^\n@@||*.b.a.test^\n||*.c.b.a.test^$important\n@@||*.d.c.b.a.test^$important";
    let srs = written(list, OutputFormat::Srs);
    assert_eq!((srs.left_out.len(), srs.count), (0, 4));
    let (mut table, mut before) = (ListIndex::default(), ListIndex::default());
    read_into(&srs.bytes, &mut table);
    read_into(list.as_bytes(), &mut before);
    let check = |host, expected| {
        let host = Host::parse(host).unwrap();
        assert_eq!(before.answer(&host).entry.is_some(), expected, "{host}");
        assert_eq!(table.answer(&host).entry.is_some(), expected, "{host}");
    };
    check("a.test", false);
    check("x.a.test", true);
    check("b.a.test", true);
    check("x.b.a.test", false);
    check("c.b.a.test", false);
    check("x.c.b.a.test", true);
    check("d.c.b.a.test", true);
    check("x.d.c.b.a.test", false);
    // What has no word for exceptions says the others.
    for (target, left_out) in [
        (OutputFormat::Text, 2),
        (OutputFormat::Yaml, 2),
        (OutputFormat::Mrs, 2),
    ] {
        let written = written(list, target);
        assert_eq!((written.left_out.len(), written.count), (left_out, 2));
        assert_eq!(
            entries(&written.bytes),
            ["_ a.test", "_ c.b.a.test"],
            "{target:?}"
        );
    }
}

#[test]
fn exceptions_stay_exceptions_for_sing_box() {
    let srs = written(
        "||a.test^\n|x.org^\n@@||b.a.test^\n@@|c.a.test^",
        OutputFormat::Srs,
    );
    assert_eq!(srs.left_out, []);
    let mut table = ListIndex::default();
    read_into(&srs.bytes, &mut table);
    let check = |host, expected| {
        let answer = table.answer(&Host::parse(host).unwrap());
        assert_eq!(answer.entry.is_some(), expected, "{host}");
    };
    check("a.test", true);
    check("y.a.test", true);
    check("b.a.test", false);
    check("x.b.a.test", false);
    check("c.a.test", false);
    check("x.c.a.test", true);
    check("x.org", true);
    check("y.x.org", false);
}

#[test]
fn one_question_and_many_are_answered_alike() {
    let list = "a.test\n||b.test^\n||c.b.test^\n@@||no.b.test^\n|d.test^\n/^r[0-9]+\\./\n";
    let rules = "DOMAIN-SUFFIX,b.test\nIP-CIDR,10.0.0.0/8\nIP-CIDR,10.1.0.0/16\nDOMAIN-SUFFIX,c.b.test\nDOMAIN-KEYWORD,kw\nDOMAIN,a.test\nDOMAIN,a.test\n\
         AND,[DOMAIN-KEYWORD,op],[DST-PORT,443]";
    let check = |list: &str, host: &str, expected: Option<(u32, &str)>, open: usize| {
        let host = Host::parse(host).unwrap();
        let mut query = Query::new(host.clone());
        read_into(list.as_bytes(), &mut query);
        let mut table = ListIndex::default();
        read_into(list.as_bytes(), &mut table);
        let answer = query.answer();
        assert_eq!(answer, table.answer(&host), "{host}");
        let entry = answer.entry.as_ref().map(|e| (e.line, e.text.as_str()));
        assert_eq!((entry, answer.open), (expected, open), "{host}");
    };
    check(list, "x.b.test", Some((2, "||b.test^")), 0);
    check(list, "x.c.b.test", Some((3, "||c.b.test^")), 0);
    check(list, "x.no.b.test", None, 0);
    check(list, "r12.test", Some((6, "/^r[0-9]+\\./")), 0);
    check(list, "e.test", None, 0);
    check(rules, "10.1.2.3", Some((3, "IP-CIDR,10.1.0.0/16")), 0);
    check(rules, "10.2.2.3", Some((2, "IP-CIDR,10.0.0.0/8")), 0);
    check(rules, "c.b.test", Some((4, "DOMAIN-SUFFIX,c.b.test")), 0);
    check(rules, "xb.test", None, 0);
    check(rules, "akwa.org", Some((5, "DOMAIN-KEYWORD,kw")), 0);
    check(rules, "a.test", Some((6, "DOMAIN,a.test")), 0);
    check(rules, "open.org", None, 1);
    check(rules, "11.0.0.1", None, 0);
}

#[test]
fn real_lists_are_written_and_read_again() {
    for path in [
        "data/geosite/geolocation-!cn/sing-box.srs",
        "data/geoip/text/jp.txt",
    ] {
        let Some(file) = shared(path) else { return };
        let mut kept = Collected::default();
        let mut told = ReadReport::default();
        let mut bytes = BufReader::new(File::open(file).unwrap());
        read(
            &mut bytes,
            path,
            &Recipe::default(),
            &Surroundings::default(),
            &mut kept,
            &mut told,
        )
        .unwrap();
        let mut before = Vec::new();
        for target in [OutputFormat::Text, OutputFormat::Yaml, OutputFormat::Srs] {
            let written = kept.write(target);
            assert_eq!(written.left_out, [], "{path}");
            assert_eq!(written.count, kept.len());
            let entries = entries(&written.bytes);
            if before.is_empty() {
                assert!(entries.len() > 15_000, "{path}: {}", entries.len());
                before = entries;
            } else if path.contains("geosite") {
                assert!(entries == before, "{path}: {target:?}");
            }
        }
    }
}

/// sing-box, where `./test` has put it or where it is in the path.
fn sing_box() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/sing-box");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).map(|directory| directory.join("sing-box"));
    let found = std::iter::once(own)
        .chain(others)
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no sing-box");
    }
    found
}

#[test]
fn sing_box_reads_what_is_written() {
    let Some(sing_box) = sing_box() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let run = |arguments: &[&str]| {
        let done = Command::new(&sing_box)
            .arg("--disable-color")
            .arg("rule-set")
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{arguments:?}: {told}");
        told
    };
    let rules = "DOMAIN,a.test\nDOMAIN-SUFFIX,b.test\nDOMAIN-KEYWORD,kw\nDOMAIN-REGEX,^r[0-9]+$\n\
         IP-CIDR,10.0.0.0/8\nIP-CIDR,11.0.0.0/8\nIP-CIDR6,2001:db8::/32\n\
         AND,[DOMAIN-SUFFIX,c.test],[NOT,[DOMAIN,c.test]]\n\
         AND,[DST-PORT,443|80-90],[OR,[NETWORK,udp],[SRC-PORT,1]]\n\
         NOT,[SRC-IP-CIDR,10.1.0.0/16]\nPROCESS-NAME,curl\nPROC-PATH,/usr/bin/curl";
    let large: String = (0..3000)
        .map(|n| format!("+.n{n}.test\nx{n}.org\n"))
        .collect();
    for list in [rules, large.as_str(), "||a.test^\n@@||b.a.test^"] {
        let srs = written(list, OutputFormat::Srs);
        assert_eq!(srs.left_out, []);
        std::fs::write(file("l.srs"), &srs.bytes).unwrap();
        run(&["decompile", "l.srs", "-o", "l.json"]);
        let json = std::fs::read(file("l.json")).unwrap();
        assert_eq!(entries(&json), entries(&srs.bytes));
    }
    let matches = |list: &str, host: &str, expected: bool| {
        let srs = written(list, OutputFormat::Srs);
        std::fs::write(file("m.srs"), &srs.bytes).unwrap();
        let told = run(&["match", "-f", "binary", "m.srs", host]);
        assert_eq!(told.contains("match rules"), expected, "{host}: {told}");
    };
    let names = "DOMAIN,a.test\nDOMAIN-SUFFIX,b.test\nAND,[DOMAIN-SUFFIX,c.test],[NOT,[DOMAIN,c.test]]\n\
         DOMAIN-KEYWORD,kw\nIP-CIDR,10.0.0.0/8\nIP-CIDR6,2001:db8::/32";
    matches(names, "a.test", true);
    matches(names, "x.a.test", false);
    matches(names, "b.test", true);
    matches(names, "x.b.test", true);
    matches(names, "xb.test", false);
    matches(names, "c.test", false);
    matches(names, "x.c.test", true);
    matches(names, "okwo.org", true);
    matches(names, "10.255.0.1", true);
    matches(names, "11.0.0.1", false);
    matches(names, "2001:db8::1", true);
    matches(&large, "y.n2999.test", true);
    matches(&large, "n3000.test", false);
    let adblock = "||a.test^\n@@||b.a.test^";
    matches(adblock, "x.a.test", true);
    matches(adblock, "x.b.a.test", false);
}

/// The lists of the peers, made of the entries that we read of them: the same to the byte, unpacked.
#[test]
fn what_is_written_is_what_the_peers_write() {
    let unpacked = |bytes: &[u8], target: OutputFormat| {
        let mut all = Vec::new();
        match target {
            OutputFormat::Mrs => StreamingDecoder::new(bytes).unwrap().read_to_end(&mut all),
            _ => ZlibDecoder::new(&bytes[4..]).read_to_end(&mut all),
        }
        .unwrap();
        all
    };
    for (path, target) in [
        ("data/geosite/google/domain.mrs", OutputFormat::Mrs),
        (
            "data/geosite/category-ads-all/domain.mrs",
            OutputFormat::Mrs,
        ),
        ("data/geosite/geolocation-!cn/domain.mrs", OutputFormat::Mrs),
        ("data/geosite/google/sing-box.srs", OutputFormat::Srs),
        (
            "data/geosite/geolocation-!cn/sing-box.srs",
            OutputFormat::Srs,
        ),
        ("data/geoip/mrs/jp.mrs", OutputFormat::Mrs),
        ("data/geoip/srs/jp.srs", OutputFormat::Srs),
    ] {
        let Some(file) = shared(path) else { return };
        let theirs = std::fs::read(file).unwrap();
        let mut kept = Collected::default();
        read_into(&theirs, &mut kept);
        let ours = kept.write(target);
        let (ours, theirs) = (unpacked(&ours.bytes, target), unpacked(&theirs, target));
        let differs = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        // `.mrs` also counts the entries of the text that it was made of.
        let from = if target == OutputFormat::Mrs { 13 } else { 0 };
        assert_eq!(ours.len(), theirs.len(), "{path} differs at {differs:?}");
        assert!(
            ours[from..] == theirs[from..],
            "{path} differs at {differs:?}"
        );
    }
}
