//! Files within files: what they add up to, and what is told of them.

use std::path::Path;

use expect_test::{Expect, expect};

use crate::explain::{Detail, First, explain};
use crate::files::Memory;
use crate::flow::Query;
use crate::load::{Loaded, load};

fn loaded(files: &[(&str, &str)]) -> Loaded {
    let files = Memory::new(files.iter().copied());
    load(Path::new("c/pointsman.yaml"), None, None, &files)
}

fn check(files: &[(&str, &str)], expected: Expect) {
    let shown = loaded(files)
        .problems
        .0
        .iter()
        .map(|p| format!("{p}\n"))
        .collect::<String>();
    expected.assert_eq(&shown);
}

const MAIN: &str = "version: 1\ninclude: [lists.yaml, 'rules/*.yaml']\ninbounds:\n  desk: { type: mixed, listen: 0 }\nrules:\n  - FALLBACK, DIRECT\n";

#[test]
fn rules_come_in_order_with_places_of_their_own() {
    let loaded = loaded(&[
        ("c/pointsman.yaml", MAIN),
        (
            "c/lists.yaml",
            "rule_sets:\n  ads: { domains: [ads.example] }\noutbounds:\n  work: { type: direct, source: 10.0.0.1 }\n",
        ),
        (
            "c/rules/20.yaml",
            "# later\nrules:\n  - DST-PORT, 22, work\n  - DOMAIN, x.example, DIRECT\n",
        ),
        (
            "c/rules/10.yaml",
            "include: more/*.yaml\nrules: [ 'RULE-SET, ads, RESET' ]\n",
        ),
        (
            "c/rules/more/a.yaml",
            "rules:\n- DOMAIN, x.example, REJECT\ntests:\n- { flow: 'dst=x.example:1', expect: REJECT }\n",
        ),
        ("c/rules/.hidden.yaml", "nothing"),
    ]);
    assert!(!loaded.problems.has_errors(), "{:?}", loaded.problems.0);
    let setup = loaded.setup.unwrap();
    let files: Vec<String> = setup
        .files
        .iter()
        .map(|f| f.display().to_string())
        .collect();
    let expected = [
        "c/pointsman.yaml",
        "c/lists.yaml",
        "c/rules/10.yaml",
        "c/rules/more/a.yaml",
        "c/rules/20.yaml",
    ];
    assert_eq!(files, expected);
    let goes = |flow: &str| {
        let found = explain(&setup, &Query::parse(flow).unwrap(), &First, Detail::Full).unwrap();
        let rule = found.rule.unwrap();
        format!(
            "{} {}:{}",
            found.decision.outbound.unwrap(),
            rule.file,
            rule.line
        )
    };
    assert_eq!(goes("dst=x.example:22"), "REJECT rules/more/a.yaml:2");
    assert_eq!(goes("dst=ads.example:22"), "RESET rules/10.yaml:2");
    assert_eq!(goes("dst=y.example:22"), "work rules/20.yaml:3");
    assert_eq!(goes("dst=y.example:1"), "DIRECT pointsman.yaml:6");
    let test = &setup.tests[0];
    assert_eq!(
        (&**test.span.file(), test.span.line()),
        ("rules/more/a.yaml", 4)
    );
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    check(
        &[("c/pointsman.yaml", MAIN), ("c/lists.yaml", "")],
        expect![[r#"
            pointsman.yaml:2:23: warning[empty-include]: no file matches `rules/*.yaml`
              | include: [lists.yaml, 'rules/*.yaml']
              |                       ^^^^^^^^^^^^^^
              hint: add one, or remove the pattern
        "#]],
    );
    check(
        &[("c/pointsman.yaml", MAIN), ("c/rules/a.yaml", "rules: []")],
        expect![[r#"
            pointsman.yaml:2:11: error[missing-file]: `lists.yaml` cannot be read: entity not found
              | include: [lists.yaml, 'rules/*.yaml']
              |           ^^^^^^^^^^
        "#]],
    );
    check(
        &[
            ("c/pointsman.yaml", MAIN),
            ("c/lists.yaml", "include: rules/../lists.yaml"),
            ("c/rules/a.yaml", "include: b.yaml\n"),
            ("c/rules/b.yaml", "include: ../rules/a.yaml\n"),
        ],
        expect![[r#"
            lists.yaml:1:10: error[include-cycle]: `lists.yaml` includes itself: lists.yaml -> lists.yaml
              | include: rules/../lists.yaml
              |          ^^^^^^^^^^^^^^^^^^^
              hint: remove one of them
            rules/b.yaml:1:10: error[include-cycle]: `rules/a.yaml` includes itself: rules/a.yaml -> rules/b.yaml -> rules/a.yaml
              | include: ../rules/a.yaml
              |          ^^^^^^^^^^^^^^^
              hint: remove one of them
        "#]],
    );
    check(
        &[
            ("c/pointsman.yaml", MAIN),
            (
                "c/lists.yaml",
                "rule_sets:\n  ads: { ips: [10.0.0.0/33] }\n  b: { domains: [] }\n",
            ),
            (
                "c/rules/a.yaml",
                "rule_sets: { ads: { domains: [] } }\noutbounds:\n  desk: { type: dirct }\n",
            ),
            (
                "c/rules/b.yaml",
                "log: { level: info }\nrule_set: {}\nversion: 2\n",
            ),
            (
                "c/rules/c.yaml",
                "rules:\n- FALLBACK, DIRECT\n- DOMAIN, x, Nobody\n",
            ),
            ("c/rules/d.yaml", "[]"),
            ("c/rules/e.yaml", "a: [\n"),
        ],
        expect![[r#"
            lists.yaml:2:16: error[invalid-address]: `/33` is not a prefix length here (0 to 32)
              |   ads: { ips: [10.0.0.0/33] }
              |                ^^^^^^^^^^^
            rules/a.yaml:1:14: error[duplicate-name]: `ads` is defined twice in `rule_sets`
              | rule_sets: { ads: { domains: [] } }
              |              ^^^
              lists.yaml:2:3: first here
            rules/a.yaml:3:17: error[invalid-value]: `type` must be one of `direct`, `socks5`, `http`, `chain`, `select`
              |   desk: { type: dirct }
              |                 ^^^^^
              hint: did you mean `direct`?
            rules/b.yaml:1:1: error[unknown-key]: an included file has no key `log`
              | log: { level: info }
              | ^^^
              hint: it may have: inbounds, outbounds, forwards, rule_sets, policies, rules, tests, include, version
            rules/b.yaml:2:1: error[unknown-key]: an included file has no key `rule_set`
              | rule_set: {}
              | ^^^^^^^^
              hint: did you mean `rule_sets`?
            rules/b.yaml:3:10: error[unsupported-version]: only `version: 1` exists
              | version: 2
              |          ^
            rules/c.yaml:2:3: error[fallback-not-last]: `FALLBACK` is not the last rule of the rule list
              | - FALLBACK, DIRECT
              |   ^^^^^^^^^^^^^^^^
              rules/c.yaml:3:3: this rule comes after it
              hint: a rule behind `FALLBACK` can never match
            rules/c.yaml:3:14: error[unknown-outbound]: there is no outbound `Nobody`
              | - DOMAIN, x, Nobody
              |              ^^^^^^
              hint: defined: direct, reset, reject, blackhole, desk
            rules/d.yaml:1:1: error[wrong-type]: an included file must be a mapping, as the main file is
              | []
              | ^^
            rules/e.yaml:1:4: error[yaml-syntax]: this `[` is never closed by a `]`
              | a: [
              |    ^
              hint: lists in brackets are written `[A, B]`; put a text that begins with `[` in quotes
        "#]],
    );
    check(
        &[
            ("c/pointsman.yaml", MAIN),
            ("c/lists.yaml", "rules: x\noutbounds:\n"),
            ("c/rules/a.yaml", "outbounds: []\nrules:\n"),
        ],
        expect![[r#"
            lists.yaml:1:8: error[wrong-type]: `rules` must be a list
              | rules: x
              |        ^
              hint: write each rule on a line of its own, as `- TYPE, CONTENT, OUTBOUND`
            lists.yaml:1:8: error[wrong-type]: the rule list must be a list
              | rules: x
              |        ^
              hint: write each rule on a line of its own, as `- TYPE, CONTENT, OUTBOUND`
            rules/a.yaml:1:12: error[wrong-type]: `outbounds` must be a mapping
              | outbounds: []
              |            ^^
              hint: write `NAME: { type: socks5, server: 127.0.0.1:1080 }` below it; the name is yours to choose
        "#]],
    );
    check(
        &[
            (
                "c/pointsman.yaml",
                "include: a.yaml\npolicy: direct\ninbounds: { d: { type: socks5, listen: 0 } }\n",
            ),
            ("c/a.yaml", "rules: [ 'DOMAIN, x, DIRECT' ]\n"),
        ],
        expect![[r#"
            a.yaml:1:1: error[conflicting-keys]: the main policy is given by `policy` or by `rules`, not by both
              | rules: [ 'DOMAIN, x, DIRECT' ]
              | ^^^^^
              pointsman.yaml:2:1: the other is here
        "#]],
    );
}
