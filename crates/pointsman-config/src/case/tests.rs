//! Case files: which lines are cases, and what comes of them.

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::files::Memory;
use crate::load::load;

const POLICY: &str = r#"
[defaults]
egress = "direct"
[egress.proxy]
type = "socks5"
endpoint = "socks5://127.0.0.1:1080"
[egress.direct]
type = "direct"
[rules.domain]
proxy = ["youtube.com"]
"#;

/// What fails of a case file, one failure a line.
fn check(text: &str, expected: Expect) {
    let loaded = load(
        Path::new("r.toml"),
        None,
        None,
        &Memory::new([("r.toml", POLICY)]),
    );
    let (cases, mut failures) = parse("t.case", text);
    failures.extend(run(&loaded.setup.unwrap(), &cases));
    let shown = failures.iter().map(|failure| {
        let Case {
            file,
            line,
            flow,
            expect,
        } = &failure.case;
        let got = failure.outbound().unwrap_or("-");
        format!(
            "{file}:{line}: {flow} => {expect}, got {got}: {}",
            failure.reason()
        )
    });
    let shown: Vec<String> = shown.collect();
    expected.assert_eq(&shown.join("\n"));
}

#[test]
fn what_holds_says_nothing() {
    check(
        "# a comment\n\n  dst=www.youtube.com:443 => proxy # why\ndst=a.example => direct\n",
        expect![[r#""#]],
    );
    check(r#"process="a # b => c" => direct"#, expect![[r#""#]]);
    check(
        r##"{"dst":"youtube.com:1","id":" #1"} => proxy"##,
        expect![[r#""#]],
    );
    check("dst=youtube.com:1 => \"proxy\"\r\n", expect![[r#""#]]);
}

#[test]
fn a_flow_that_cannot_be_is_no_test() {
    check(
        "www.a.test:443 protocol=quic => direct\na.test:443 network=udp protocol=tls => direct\n\
         a.test:22 network=udp protocol=ssh method=GET => direct\na.test:22 protocol=ssh method=GET => direct\n\
         https://a.test network=udp => direct\na.test:443 network=udp protocol=quic alpn=h3 quic-version=1 => direct\n\
         a.test:443 protocol=tls alpn=h2 tls-version=1.3 ech=yes => direct\na.test:443 alpn=h2 => direct\n\
         a.test:53 protocol=dns => direct\na.test:53 network=udp protocol=dns => direct",
        expect![[r#"
            t.case:1: www.a.test:443 protocol=quic => direct, got -: no flow is both `tcp` and `quic`: add `network=udp`
            t.case:2: a.test:443 network=udp protocol=tls => direct, got -: no flow is both `udp` and `tls`: write `network=tcp`, or another protocol
            t.case:3: a.test:22 network=udp protocol=ssh method=GET => direct, got -: no flow is both `udp` and `ssh`: write `network=tcp`, or another protocol
            t.case:4: a.test:22 protocol=ssh method=GET => direct, got -: no first bytes of `ssh` have what `method` says: leave it out, or write `protocol=http`
            t.case:5: https://a.test network=udp => direct, got -: no flow is both `udp` and `tls`: write `network=tcp`, or say the protocol with `protocol=`"#]],
    );
}

#[test]
fn what_fails_is_told() {
    check(
        "\ndst=youtube.com:1 => direct",
        expect![
            "t.case:2: dst=youtube.com:1 => direct, got proxy: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "dst=youtube.com:1 => none",
        expect![
            "t.case:1: dst=youtube.com:1 => none, got proxy: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "dst=youtube.com:1 => Proxy",
        expect![
            "t.case:1: dst=youtube.com:1 => Proxy, got -: there is no outbound `Proxy` (did you mean `proxy`?)"
        ],
    );
    check(
        "dst=youtube.com:1",
        expect!["t.case:1: dst=youtube.com:1 => , got -: a case is `FLOW => OUTBOUND`"],
    );
    check(
        "dst=youtube.com:1 =>  # proxy",
        expect!["t.case:1: dst=youtube.com:1 => , got -: a case is `FLOW => OUTBOUND`"],
    );
    check(
        "dts=youtube.com:1 => proxy",
        expect![
            "t.case:1: dts=youtube.com:1 => proxy, got -: there is no key `dts`; did you mean `dst`?"
        ],
    );
}

/// The problems of a native configuration with tests and a case file beside it.
#[test]
fn failing_tests_are_told_at_their_places() {
    let text = "version: 1
inbounds: { desk: { type: mixed, listen: 0 } }
policy: |
  any [
    cond domain under ads.example => reset
    direct
  ]
tests:
  - { flow: 'dst=ads.example:443', expect: direct }
  - { flow: 'dst=other.example:443', expect: direct }
  - { flow: 'dst=', expect: direct }
";
    let cases = "# beside\ndst=other.example:1 => reset\ndst=x.ads.example:1 => reset\nno case\n";
    let files = Memory::new([
        ("c/p.yaml", text),
        ("c/own.case", cases),
        ("c/other.txt", "x"),
    ]);
    let mut loaded = load(Path::new("c/p.yaml"), None, None, &files);
    loaded.problems.0.clear();
    assert!(!verify(
        &mut loaded.setup.unwrap(),
        &files,
        Lenience::Fetched,
        &mut loaded.problems
    ));
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    expect![[r#"
        own.case:2:1: error[test-failed]: `dst=other.example:1`: expected `reset`, got `direct`: no earlier rule decided (1 tried): `direct` (p.yaml:6)
          | dst=other.example:1 => reset
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          p.yaml:6:5: `direct` decides
        own.case:4:1: error[test-failed]: the test `no case` cannot be run: a case is `FLOW => OUTBOUND`
          | no case
          | ^^^^^^^
        p.yaml:9:5: error[test-failed]: `dst=ads.example:443`: expected `direct`, got `reset`: `cond domain under ads.example => reset` (p.yaml:5): domain is ads.example (given)
          |   - { flow: 'dst=ads.example:443', expect: direct }
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          p.yaml:5:5: `cond domain under ads.example => reset` decides
        p.yaml:11:5: error[test-failed]: the test `dst=` cannot be run: `dst`: ``: the name is empty
          |   - { flow: 'dst=', expect: direct }
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#]].assert_eq(&shown.join("\n"));
}

const LISTED: &str = "version: 1
inbounds: { desk: { type: mixed, listen: 0 } }
rule_sets: { ads: { url: 'http://127.0.0.1:9/', path: ads.txt, format: domains } }
rules:
  - DOMAIN, early.test, DIRECT
  - RULE-SET, ads, REJECT
  - FALLBACK, DIRECT
tests: ['ads.test:1 => REJECT', 'early.test:1 => DIRECT']
";

/// What becomes of a configuration whose list says `list`, with these lines as a case file beside it.
fn listed(list: &str, cases: &str, lenience: Lenience<'_>) -> (bool, Setup, Vec<String>) {
    let files = Memory::new([
        ("c/p.yaml", LISTED),
        ("c/ads.txt", list),
        ("c/t.case", cases),
    ]);
    let mut loaded = load(Path::new("c/p.yaml"), None, None, &files);
    loaded.problems.0.clear();
    let mut setup = loaded.setup.unwrap();
    let passes = verify(&mut setup, &files, lenience, &mut loaded.problems);
    let told = loaded.problems.0.iter().map(|problem| {
        let told = problem.to_string();
        let (first, _) = told.split_once('\n').unwrap_or((&told, ""));
        let (_place, first) = first.split_once(' ').unwrap();
        first.to_owned()
    });
    (passes, setup, told.collect())
}

#[test]
fn a_list_that_changed_refuses_no_start() {
    let (passes, setup, told) = listed("other.test\n", "", Lenience::Fetched);
    assert!(passes, "{told:?}");
    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(told.starts_with("warning[test-unmet]: `ads.test:1`: expected `REJECT`, got `DIRECT`"));
    assert!(
        told.contains("the rule set `ads` as it was fetched at 1970-01-01"),
        "{told}"
    );
    assert!(in_doubt(&setup).iter().map(|name| &**name).eq(["ads"]));
    // What looked into no list is a fault of the policy.
    let early = "early.test:2 => REJECT\n";
    let (passes, setup, told) = listed("ads.test\n", early, Lenience::Fetched);
    assert!(!passes && told.len() == 1, "{told:?}");
    assert!(told[0].starts_with("error[test-failed]"), "{told:?}");
    assert!(in_doubt(&setup).is_empty());
    // Who asks whether all is well is told the truth.
    let (passes, _, told) = listed("other.test\n", "", Lenience::None);
    assert!(
        !passes && told[0].starts_with("error[test-failed]"),
        "{told:?}"
    );
}

#[test]
fn a_reload_is_refused_for_what_fails_by_it_alone() {
    let (_, bad, _) = listed("other.test\n", "", Lenience::Fetched);
    let (passes, _, told) = listed("other.test\n", "", Lenience::Standing(&bad));
    assert!(
        passes && told[0].starts_with("warning[test-unmet]"),
        "{told:?}"
    );
    let (_, good, _) = listed("ads.test\n", "", Lenience::Fetched);
    let (passes, ..) = listed("other.test\n", "", Lenience::Standing(&good));
    assert!(!passes);
    let new = "x.other.test:1 => DIRECT\n";
    let (passes, _, told) = listed("other.test\n", new, Lenience::Standing(&bad));
    assert!(!passes && told.len() == 2, "{told:?}");
}

#[test]
fn tests_beside_a_configuration_are_run_again_with_its_own() {
    let (_, mut setup, _) = listed(
        "other.test\n",
        "y.ads.test:1 => REJECT\n",
        Lenience::Fetched,
    );
    let failing = |setup: &Setup| {
        let failing = setup.tests.iter().filter(|test| test.failing.is_some());
        failing.map(|test| test.flow.clone()).collect::<Vec<_>>()
    };
    assert_eq!(failing(&setup), ["ads.test:1", "y.ads.test:1"]);
    let (_, good, _) = listed("ads.test\n", "", Lenience::Fetched);
    setup.policies.clone_from(&good.policies);
    retest(&mut setup);
    assert!(failing(&setup).is_empty() && in_doubt(&setup).is_empty());
}

const UNFETCHED: &str = "version: 1
inbounds:
  desk: { type: mixed, listen: 0 }
  guests: { type: http, listen: '127.0.0.1:8080', policy: guests }
outbounds: { vpn: { type: socks5, server: '192.0.2.1:1080' } }
rule_sets:
  ads: { url: 'http://127.0.0.1:9/ads.txt' }
  cdn: { url: 'http://127.0.0.1:9/cdn.txt' }
rules:
  - RULE-SET, ads, RESET
  - DOMAIN-SUFFIX, corp.test, DIRECT
  - RULE-SET, cdn, vpn
  - FALLBACK, DIRECT
policies:
  guests: ['RULE-SET, ads, RESET', 'FALLBACK, REJECT']
";

/// A list that is not there excuses no test that would fail whatever is in it.
#[test]
fn a_test_that_no_list_can_mend_fails() {
    let files = Memory::new([("c/p.yaml", UNFETCHED)]);
    let loaded = load(Path::new("c/p.yaml"), None, None, &files);
    let setup = loaded.setup.unwrap();
    let check = |text: &str, expected: Expect| {
        let (cases, broken) = parse("t.case", text);
        assert!(broken.is_empty());
        let failures = run(&setup, &cases);
        let shown = failures.iter().map(|failure| match failure.is_open() {
            true => format!("open: {failure}"),
            false => failure.to_string(),
        });
        expected.assert_eq(&shown.collect::<Vec<_>>().join("\n"));
    };
    check(
        "git.corp.test:443 => vpn",
        expect![
            "t.case:1: git.corp.test:443: expected vpn, got DIRECT: `DOMAIN-SUFFIX, corp.test, DIRECT` (p.yaml:11): domain is git.corp.test (given); whatever the rule set `ads` holds, it gets `RESET` or `DIRECT`"
        ],
    );
    check(
        "git.corp.test:443 => RESET",
        expect![
            "open: t.case:1: git.corp.test:443: expected RESET, got DIRECT: `DOMAIN-SUFFIX, corp.test, DIRECT` (p.yaml:11): domain is git.corp.test (given)"
        ],
    );
    check(
        "a.test:443 => vpn",
        expect![
            "open: t.case:1: a.test:443: expected vpn, got DIRECT: no earlier rule decided (3 tried): `FALLBACK, DIRECT` (p.yaml:13)"
        ],
    );
    check(
        "a.test:443 => REJECT",
        expect![
            "t.case:1: a.test:443: expected REJECT, got DIRECT: no earlier rule decided (3 tried): `FALLBACK, DIRECT` (p.yaml:13); whatever the rule sets `ads`, `cdn` hold, it gets `RESET` or `vpn` or `DIRECT`"
        ],
    );
    check(
        "a.test:443 => none",
        expect![
            "t.case:1: a.test:443: expected none, got DIRECT: no earlier rule decided (3 tried): `FALLBACK, DIRECT` (p.yaml:13); whatever the rule sets `ads`, `cdn` hold, it gets `RESET` or `vpn` or `DIRECT`"
        ],
    );
    check(
        "a.test:443 inbound=guests => DIRECT",
        expect![
            "t.case:1: a.test:443 inbound=guests: expected DIRECT, got REJECT: no earlier rule decided (1 tried): `FALLBACK, REJECT` (p.yaml:15); whatever the rule set `ads` holds, it gets `RESET` or `REJECT`"
        ],
    );
    check(
        "a.test:443 inbound=guests => reset",
        expect![
            "open: t.case:1: a.test:443 inbound=guests: expected reset, got REJECT: no earlier rule decided (1 tried): `FALLBACK, REJECT` (p.yaml:15)"
        ],
    );
    check("a.test:443 => direct", expect![[""]]);

    let text = format!("{UNFETCHED}tests: ['git.corp.test:443 => vpn', 'a.test:443 => vpn']\n");
    let files = Memory::new([("c/p.yaml", text.as_str())]);
    let mut loaded = load(Path::new("c/p.yaml"), None, None, &files);
    loaded.problems.0.clear();
    let mut setup = loaded.setup.unwrap();
    assert!(!verify(
        &mut setup,
        &files,
        Lenience::Fetched,
        &mut loaded.problems
    ));
    let codes: Vec<&str> = loaded.problems.0.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["test-failed", "test-open"]);
}

#[test]
fn udp_that_is_not_carried_is_rejected_and_named_as_the_rules_have_it() {
    let native = "version: 1\n\
        outbounds:\n  web: { type: http, server: \"127.0.0.1:1\" }\n  far: { type: socks5, server: \"127.0.0.1:2\", udp: true }\n\
        rules:\n  - DOMAIN, a.test, web\n  - DOMAIN, b.test, far\n  - FALLBACK, DIRECT\n";
    let files = Memory::new([("c.yaml", native)]);
    let setup = load(Path::new("c.yaml"), None, None, &files).setup.unwrap();
    let fails = |case: &str| {
        let (cases, bad) = parse("t.case", case);
        assert!(bad.is_empty(), "{case}");
        run(&setup, &cases).len()
    };
    for (case, expected) in [
        ("a.test:53 network=udp => REJECT", 0),
        ("udp a.test:53 => reject", 0),
        ("a.test:53 network=udp => web", 0),
        ("a.test:53 network=udp => RESET", 1),
        ("a.test:53 network=tcp => REJECT", 1),
        ("b.test:53 network=udp => REJECT", 1),
    ] {
        assert_eq!(fails(case), expected, "{case}");
    }
}
