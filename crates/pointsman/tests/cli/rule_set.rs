//! `rule-set`: lists asked, written in another format, looked into.

use std::path::Path;

use expect_test::{Expect, expect};

use crate::{Run, directory, run};

const RULES: &str = "DOMAIN,a.test\nDOMAIN-SUFFIX,b.test # all\n\nDOMAIN-KEYWORD,kw\nIP-CIDR,10.0.0.0/8\n\
     AND,[DOMAIN-KEYWORD,op],[DST-PORT,443]\n";

fn home() -> tempfile::TempDir {
    directory(&[
        ("rules.txt", RULES),
        ("names.txt", "a.test\n+.b.test\n"),
        ("block.txt", "||b.test^\n@@||x.b.test^\n"),
        ("bad.txt", "+.a.test\na..b\n"),
        ("but.txt", "@@||a.test^\n"),
        (
            "n.yml",
            "version: 1\ninbounds: { desk: { type: mixed, listen: 0 } }\nrule_sets: { block: { path: block.txt } }\n\
             rules: [ \"RULE-SET, block, REJECT\", \"FALLBACK, DIRECT\" ]\n",
        ),
        (
            "c.yml",
            "interface: 127.0.0.1\nrule_provider:\n  ads: { type: file, path: names.txt, behavior: domain }\n\
             rule_local:\n  - RULE-SET, ads, REJECT\n  - FALLBACK, DIRECT\n",
        ),
        (
            "web.yml",
            "interface: 127.0.0.1\nrule_provider:\n  web: { type: http, url: \"http://127.0.0.1:9/l\", path: web.txt, behavior: domain }\n\
             rule_local:\n  - RULE-SET, web, REJECT\n  - FALLBACK, DIRECT\n",
        ),
    ])
}

fn shown(home: &Path, arguments: &[&str], stdin: &str) -> String {
    let Run {
        code,
        stdout,
        stderr,
    } = run(home, arguments, stdin);
    format!("{code}\n{stdout}--\n{stderr}")
}

/// Exit code, stdout, and stderr behind a line `--`.
fn check(words: &str, stdin: &str, expected: Expect) {
    let home = home();
    let words: Vec<&str> = words.split(' ').collect();
    expected.assert_eq(&shown(home.path(), &words, stdin));
}

#[test]
fn a_match_names_the_entry_and_its_place() {
    check(
        "rule-set match rules.txt x.b.test",
        "",
        expect![[r#"
        0
        rules.txt:2: DOMAIN-SUFFIX,b.test
        --
    "#]],
    );
    check(
        "rule-set match rules.txt 10.1.2.3 --format json",
        "",
        expect![[r#"
            0
            {"query":"10.1.2.3","match":true,"entry":{"text":"IP-CIDR,10.0.0.0/8","file":"rules.txt","line":5}}
            --
        "#]],
    );
    check(
        "rule-set match rules.txt open.org",
        "",
        expect![[r#"
        1
        --
        no entry of rules.txt holds open.org
        1 of its entries ask for more than the host
    "#]],
    );
    check(
        "rule-set match rules.txt open.org --format json --quiet",
        "",
        expect![[r#"
            1
            {"query":"open.org","match":false,"entry":null}
            --
        "#]],
    );
    check(
        "rule-set match block.txt y.x.b.test",
        "",
        expect![[r#"
        1
        --
        an exception takes it out: block.txt:2: @@||x.b.test^
    "#]],
    );
    check(
        "rule-set match names.txt x..y",
        "",
        expect![[r#"
        2
        --
        error: `x..y` is neither a name nor an address: the name has an empty label
    "#]],
    );
    check(
        "rule-set match none.txt a.test",
        "",
        expect![[r#"
        2
        --
        error: none.txt cannot be read: No such file or directory (os error 2)
    "#]],
    );
    check(
        "rule-set match names.txt a.test --list-format srs",
        "",
        expect![[r#"
            2
            --
            names.txt: error[invalid-list]: the file is no `.srs` rule set of sing-box
            error: names.txt cannot be read as a list
        "#]],
    );
    check(
        "rule-set match bad.txt x.a.test",
        "",
        expect![[r#"
            0
            bad.txt:1: +.a.test
            --
            bad.txt:1:1: note[guessed-meaning]: 1 of 2 names are marked (`+.`, `*.` or `.`): plain ones stand for themselves alone
              hint: `behavior` says which: `domain` (themselves alone) or `names` (with all below)
            bad.txt:2:1: warning[invalid-entry]: `a..b` is no domain: the name has an empty label
              | a..b
              | ^^^^
              hint: left out; `strict: true` makes it an error
        "#]],
    );
    check(
        "rule-set match names.txt a.test --set x",
        "",
        expect![[r#"
            2
            --
            names.txt: error[invalid-list]: `select: x`: a list of format `text` is one list
              hint: leave `select` out: only files of format `dat` and `mmdb` hold many lists
            error: names.txt cannot be read as a list
        "#]],
    );
    check(
        "rule-set match ads x.b.test --config c.yml",
        "",
        expect![[r#"
            0
            names.txt:2: +.b.test
            --
        "#]],
    );
    check(
        "rule-set match adz x.b.test --config c.yml",
        "",
        expect![[r#"
            2
            --
            error: c.yml has no rule set `adz`; did you mean `ads`?
        "#]],
    );
}

#[test]
fn a_list_that_nobody_has_is_not_asked() {
    check(
        "rule-set match . a.test",
        "",
        expect![[r#"
            2
            --
            error: . cannot be read: is a directory
        "#]],
    );
    check(
        "rule-set match none.txt -",
        "a.test\n",
        expect![[r#"
            2
            --
            error: none.txt cannot be read: No such file or directory (os error 2)
        "#]],
    );
    check(
        "rule-set match ads a.test --config none.yml",
        "",
        expect![[r#"
            2
            --
            none.yml:1:1: error[unreadable]: cannot be read: No such file or directory (os error 2)
            error: none.yml has errors
        "#]],
    );
    // Nothing was fetched yet, which is not the same as an empty list.
    check(
        "rule-set match web a.test --config web.yml",
        "",
        expect![[r#"
            2
            --
            error: `web` was not fetched yet; there is no `web.txt`: the daemon writes it when it has fetched the list
        "#]],
    );
}

#[test]
fn many_hosts_are_answered_line_by_line() {
    let hosts = "a.test\nx.a.test\n\nakw\n10.9.9.9\na..b\n";
    check(
        "rule-set match rules.txt -",
        hosts,
        expect![[r#"
        0
        {"query":"a.test","match":true,"entry":{"text":"DOMAIN,a.test","file":"rules.txt","line":1}}
        {"query":"x.a.test","match":false,"entry":null}
        {"query":"akw","match":true,"entry":{"text":"DOMAIN-KEYWORD,kw","file":"rules.txt","line":4}}
        {"query":"10.9.9.9","match":true,"entry":{"text":"IP-CIDR,10.0.0.0/8","file":"rules.txt","line":5}}
        {"query":"a..b","match":false,"entry":null,"error":"`a..b` is neither a name nor an address: the name has an empty label"}
        --
    "#]],
    );
    check(
        "rule-set match rules.txt - --format text",
        hosts,
        expect![[r#"
            0
            a.test: rules.txt:1: DOMAIN,a.test
            x.a.test: -
            akw: rules.txt:4: DOMAIN-KEYWORD,kw
            10.9.9.9: rules.txt:5: IP-CIDR,10.0.0.0/8
            a..b: -
            --
            `a..b` is neither a name nor an address: the name has an empty label
        "#]],
    );
    check(
        "rule-set match block.txt -",
        "x.b.test\n",
        expect![[r#"
        1
        {"query":"x.b.test","match":false,"entry":null,"exception":{"text":"@@||x.b.test^","file":"block.txt","line":2}}
        --
    "#]],
    );
    check(
        "rule-set match ads - --config c.yml",
        "x.b.test\nc.test\n",
        expect![[r#"
            0
            {"query":"x.b.test","match":true,"entry":{"text":"+.b.test","file":"names.txt","line":2}}
            {"query":"c.test","match":false,"entry":null}
            --
        "#]],
    );
}

#[test]
fn a_set_of_a_configuration_is_asked_in_its_file() {
    check(
        "rule-set match block x.b.test --config n.yml",
        "",
        expect![[r#"
            1
            --
            an exception takes it out: block.txt:2: @@||x.b.test^
        "#]],
    );
    check(
        "rule-set match block - --config n.yml",
        "x.b.test\nb.test\n",
        expect![[r#"
            0
            {"query":"x.b.test","match":false,"entry":null,"exception":{"text":"@@||x.b.test^","file":"block.txt","line":2}}
            {"query":"b.test","match":true,"entry":{"text":"||b.test^","file":"block.txt","line":1}}
            --
        "#]],
    );
    check(
        "rule-set convert but.txt --to srs -o out.srs",
        "",
        expect![[r#"
        1
        --
        but.txt:1: left out: @@||a.test^: there is nothing that it would take out
        error: but.txt has no entry that can be written so
    "#]],
    );
}

#[test]
fn a_list_is_written_in_other_formats() {
    check(
        "rule-set convert names.txt --to text",
        "",
        expect![[r#"
            0
            a.test
            +.b.test
            --
            names.txt:1:1: note[guessed-meaning]: 1 of 2 names are marked (`+.`, `*.` or `.`): plain ones stand for themselves alone
              hint: `behavior` says which: `domain` (themselves alone) or `names` (with all below)
        "#]],
    );
    check(
        "rule-set convert rules.txt --to yaml",
        "",
        expect![[r#"
            0
            payload:
              - 'DOMAIN,a.test'
              - 'DOMAIN-SUFFIX,b.test'
              - 'DOMAIN-KEYWORD,kw'
              - 'IP-CIDR,10.0.0.0/8'
              - 'AND,((DOMAIN-KEYWORD,op),(DST-PORT,443))'
            --
        "#]],
    );
    check(
        "rule-set convert rules.txt --to text --only addresses",
        "",
        expect![[r#"
            0
            10.0.0.0/8
            --
        "#]],
    );
    check(
        "rule-set convert block.txt --to yaml",
        "",
        expect![[r#"
        0
        payload:
          - '+.b.test'
        --
        block.txt:2: left out: @@||x.b.test^: rules have no word for exceptions
    "#]],
    );
    check(
        "rule-set convert block.txt --to text --strict",
        "",
        expect![[r#"
            1
            --
            block.txt:2: left out: @@||x.b.test^: rules have no word for exceptions
            error: nothing is written: `--strict`
        "#]],
    );
    check(
        "rule-set convert bad.txt --to text --strict",
        "",
        expect![[r#"
            1
            --
            bad.txt:1:1: note[guessed-meaning]: 1 of 2 names are marked (`+.`, `*.` or `.`): plain ones stand for themselves alone
              hint: `behavior` says which: `domain` (themselves alone) or `names` (with all below)
            bad.txt:2:1: warning[invalid-entry]: `a..b` is no domain: the name has an empty label
              | a..b
              | ^^^^
              hint: left out; `strict: true` makes it an error
            error: nothing is written: `--strict`
        "#]],
    );
    // A line that cannot be read is none that was left out.
    check(
        "rule-set convert bad.txt --to text -o out.txt --quiet --format json",
        "",
        expect![[r#"
            0
            {"file":"bad.txt","output":"out.txt","entries":1,"left_out":[],"unreadable":1}
            --
        "#]],
    );
    check(
        "rule-set convert rules.txt --to mrs -o out.mrs",
        "",
        expect![[r#"
            0
            --
            rules.txt:4: left out: DOMAIN-KEYWORD, kw: `.mrs` holds names and addresses alone
            rules.txt:5: left out: IP-CIDR,10.0.0.0/8: `.mrs` holds names or addresses, not both
            rules.txt:6: left out: AND, [DOMAIN-KEYWORD, op], [DST-PORT, 443]: `.mrs` holds names and addresses alone
            out.mrs: 2 entries, 3 left out, 0 unreadable
        "#]],
    );
    check(
        "rule-set convert rules.txt --to mrs -o out.mrs --format json --quiet",
        "",
        expect![[r#"
            0
            {"file":"rules.txt","output":"out.mrs","entries":2,"left_out":[{"line":4,"text":"DOMAIN-KEYWORD, kw","why":"`.mrs` holds names and addresses alone"},{"line":5,"text":"IP-CIDR,10.0.0.0/8","why":"`.mrs` holds names or addresses, not both"},{"line":6,"text":"AND, [DOMAIN-KEYWORD, op], [DST-PORT, 443]","why":"`.mrs` holds names and addresses alone"}],"unreadable":0}
            --
        "#]],
    );
    check(
        "rule-set convert rules.txt --to srs --format json",
        "",
        expect![[r#"
            2
            {"error":"`--format json` answers with a report: say where the list goes (`-o`)","code":"usage"}
            --
            error: `--format json` answers with a report: say where the list goes (`-o`)
        "#]],
    );
    check(
        "rule-set convert rules.txt --to mrs --only addresses --strict -o /nowhere/x",
        "",
        expect![[r#"
            1
            --
            error: /nowhere/x cannot be written: No such file or directory (os error 2)
        "#]],
    );
}

#[test]
fn what_is_written_answers_as_what_was_read() {
    let home = home();
    for to in ["mrs", "srs", "text", "yaml"] {
        let out = format!("out.{to}");
        let words = [
            "rule-set",
            "convert",
            "names.txt",
            "--to",
            to,
            "-o",
            &out,
            "--strict",
            "--behavior",
            "domain",
        ];
        let expected = format!("0\n--\n{out}: 2 entries, 0 left out, 0 unreadable\n");
        assert_eq!(shown(home.path(), &words, ""), expected);
        for (host, code) in [
            ("a.test", 0),
            ("x.a.test", 1),
            ("b.test", 0),
            ("x.b.test", 0),
            ("c", 1),
        ] {
            let done = run(home.path(), &["rule-set", "match", &out, host], "");
            assert_eq!(done.code, code, "{to}: {host}: {}", done.stderr);
        }
    }
}

#[test]
fn lists_inside_a_file_are_named() {
    let home = home();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/binary_list");
    let seed = std::fs::read(seeds.join("dat_names")).unwrap();
    std::fs::write(home.path().join("geosite.dat"), &seed[1..]).unwrap();
    let check = |words: &str, expected: Expect| {
        let words: Vec<&str> = words.split(' ').collect();
        expected.assert_eq(&shown(home.path(), &words, ""));
    };
    check(
        "rule-set list geosite.dat",
        expect![[r#"
        0
        a
        other
        --
    "#]],
    );
    check(
        "rule-set list geosite.dat --format json",
        expect![[r#"
        0
        {"file":"geosite.dat","lists":["a","other"]}
        --
    "#]],
    );
    check(
        "rule-set list names.txt",
        expect![[r#"
            1
            --
            names.txt: error[invalid-list]: the list is cut off
            error: names.txt is no file of many lists
        "#]],
    );
    check(
        "rule-set match geosite.dat x.a.test --set A",
        expect![[r#"
        0
        geosite.dat:1: +.a.test
        --
    "#]],
    );
    check(
        "rule-set match geosite.dat x.a.test --set other",
        expect![[r#"
            1
            --
            no entry of geosite.dat holds x.a.test
        "#]],
    );
    check(
        "rule-set match geosite.dat x.a.test --set othr",
        expect![[r#"
            2
            --
            geosite.dat: error[invalid-list]: there is no list `othr` in the file
              hint: did you mean `other`?
            error: geosite.dat cannot be read as a list
        "#]],
    );
    check(
        "rule-set match geosite.dat x.a.test",
        expect![[r#"
            2
            --
            geosite.dat: error[invalid-list]: the file holds many lists
              hint: choose one: `select: a` (`--set a`); `pointsman rule-set list` names all
            error: geosite.dat cannot be read as a list
        "#]],
    );
}

/// Whoever writes a list is not to write to the terminal of who reads it.
#[test]
fn what_a_list_says_moves_no_cursor() {
    let list = r#"{"version":2,"rules":[{"domain":["a\u001b]0;PWN\u0007.test","b.test\u202e"]}]}"#;
    let home = directory(&[
        ("esc.json", list),
        (
            "esc.txt",
            "PROCESS-NAME,\u{1b}[2J\u{200b}x\nDOMAIN,b.test\n",
        ),
        (
            "esc.yml",
            "version: 1\ninbounds: { desk: { type: mixed, listen: 0 } }\nrules: [ \"FALLBACK, \\e[5mX\\u202e\" ]\n",
        ),
    ]);
    for words in [
        &["rule-set", "match", "esc.json", "b.test"][..],
        &[
            "rule-set",
            "convert",
            "esc.json",
            "--to",
            "mrs",
            "-o",
            "/dev/null",
        ],
        &["rule-set", "match", "esc.txt", "\u{1b}[31m"],
        &["check", "esc.yml"],
        &[
            "explain",
            "--config",
            "esc.yml",
            "a.test:443 process=\u{1b}]0;x",
        ],
    ] {
        let said = shown(home.path(), words, "");
        let raw = |c: char| matches!(c, '\u{1b}' | '\u{7}' | '\u{202e}' | '\u{200b}');
        assert!(!said.contains(raw), "{words:?}: {said:?}");
        assert!(said.contains('\u{fffd}'), "{words:?}: {said:?}");
    }
}
