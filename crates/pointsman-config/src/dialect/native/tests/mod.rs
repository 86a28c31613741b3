//! The native reader from outside: whole files, the documents, damage.

mod crossed;
mod expansions;
mod fake_ip;
mod forwards;
mod hints;
mod limits;
mod queries;
mod query_doors;
mod resolvers;
mod rule_sets;
mod sections;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use pointsman_policy::{Fact, Facts, Host, Provenance, SoughtFacts, Step};

use super::*;
use crate::certificate::tests as certificate;
use crate::files::Memory;
use crate::fuzz_checks::survives_damage;
use crate::load::{Loaded, load};
use crate::setup::ResolverId;

/// A configuration that uses every section.
const WHOLE: &str = r#"version: 1
log: { level: info, format: text }
inbounds:
  desk:   { type: mixed, listen: "127.0.0.1:7890", users: { alice: secret } }
  house:  { type: tun }
outbounds:
  privacy: { type: socks5, server: "127.0.0.1:2123" }
  work:    { type: direct, interface: wg0 }
  both:    { type: chain, hops: [work, privacy] }
  auto:    { type: fastest, members: [privacy, direct], probe: { url: "http://www.gstatic.com/generate_204", interval: 5m } }
forwards:
  postgres:
    listen: ["tcp://10.0.0.1:5432", "tcp://192.168.1.2:5432"]
    allow: [10.0.0.0/8]
    targets: [{ name: a, address: "tcp://10.0.0.5:5432", via: work }]
    balance: failover
rule_sets:
  adservers:    { path: lists/ads.txt, format: domains }
  secret-sites: { domains: [reddit.com, twitter.com] }
  worknet:      { ips: [10.3.5.0/24] }
dns: { listen: ["udp://127.0.0.1:53"], upstreams: { isp: "udp://192.168.1.1", privacy: "https://1.1.1.1/dns-query" } }
policy: |
  any [
    cond domain { secret-sites => privacy
                  adservers => reset }
    cond ip { worknet => work }
    direct
  ]
tests:
  - { flow: "dst=twitter.com:443", expect: privacy }
"#;

const ADS: &str = "# a list\ndoubleclick.net\nads.example # here too\n\n*.metrics.example\n";

fn files(text: &str) -> Memory {
    let mut files = Memory::new([
        ("conf/pointsman.yaml", text),
        ("conf/lists/ads.txt", ADS),
        (
            "conf/lists/rules.txt",
            "DOMAIN, exact.example\nDST-PORT, 22 # ssh\nGEOIP, CN\nIP-CIDR, 10.0.0.0/8\n",
        ),
        (
            "conf/lists/ca.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
        ("conf/lists/bad.txt", "good.example\nbad example\n"),
        (
            "conf/lists/clash.yaml",
            "payload:\n  - exact.example\n  - '+.below.example'\n",
        ),
        ("conf/lists/block.txt", "! a list\n||block.example^\n"),
        ("conf/password", "s3cret\n"),
        ("conf/office.password", "s3cret\n"),
        ("conf/no.mmdb", "nothing"),
        ("conf/dns.pem", certificate::CHAIN),
        ("conf/dns.key", certificate::KEY),
        ("conf/other.key", certificate::OTHER),
    ]);
    for name in ["TOKEN", "BOB_PASSWORD"] {
        files.variables.insert(name.into(), "s3cret".into());
    }
    files
}

pub(super) fn read(text: &str) -> Loaded {
    load(Path::new("conf/pointsman.yaml"), None, None, &files(text))
}

/// All problems of a text, as printed.
fn problems(text: &str, expected: Expect) {
    let loaded = read(text);
    assert_eq!(loaded.dialect, Some(Dialect::Native));
    assert_eq!(loaded.setup.is_none(), loaded.problems.has_errors());
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    expected.assert_eq(&shown.join("\n"));
}

/// The first lines of the problems of a text with a main policy.
fn check(text: &str, expected: &[&str]) {
    let loaded = read(&format!("{text}\npolicy: direct\n"));
    assert_eq!(
        loaded.setup.is_none(),
        loaded.problems.has_errors(),
        "{text}"
    );
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    let first: Vec<&str> = shown
        .iter()
        .filter_map(|p| p.lines().next()?.strip_prefix("pointsman.yaml:"))
        .collect();
    assert_eq!(first, expected, "{text}");
}

/// A configuration that loads; with a main policy.
fn setup(text: &str) -> Setup {
    read(&format!("{text}\npolicy: direct\n")).setup.unwrap()
}

/// Where the main policy sends a name.
fn decides(setup: &Setup, policy: usize, host: &str) -> String {
    let facts = Facts {
        destination: Fact::Known(Host::parse(host).unwrap(), Provenance::Request),
        port: Fact::Known(443, Provenance::Request),
        source: Fact::Known(SocketAddr::from(([127, 0, 0, 1], 1)), Provenance::Inbound),
        sought: SoughtFacts {
            look: Fact::Absent,
            ..SoughtFacts::default()
        }
        .into(),
        ..Facts::default()
    };
    let policy = &setup.policies[policy];
    match policy.decide(&facts) {
        Step::Decided(decision) => {
            let name = decision
                .outbound
                .map(|id| policy.outbound(id).name.to_string());
            let entry = decision
                .entry
                .map(|matched| matched.entry())
                .map(|e| format!(" {}:{} {}", e.file, e.line, e.text));
            format!("{}{}", name.unwrap_or_default(), entry.unwrap_or_default())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn the_whole_example_loads() {
    problems(
        WHOLE,
        expect![[r#"
            pointsman.yaml:5:19: note[not-yet]: not yet: inbounds of type `tun`; this one is not opened
              |   house:  { type: tun }
              |                   ^^^
            pointsman.yaml:7:3: warning[no-upstream-for]: nobody is asked for names whose flows leave by `privacy`
              |   privacy: { type: socks5, server: "127.0.0.1:2123" }
              |   ^^^^^^^
              hint: add `ask: { privacy: UPSTREAM }` to `dns`, or an upstream with `via: privacy`
            pointsman.yaml:7:3: warning[guard-by-endpoint]: any program that listens on 127.0.0.1:2123 is taken for the one behind `privacy`: its flows go direct where the rules say proxy, if the daemon may look at it
              |   privacy: { type: socks5, server: "127.0.0.1:2123" }
              |   ^^^^^^^
              hint: say who it is: `served_by: { user: NAME }` or `{ program: PATH }`
            pointsman.yaml:8:3: warning[no-upstream-for]: nobody is asked for names whose flows leave by `work`
              |   work:    { type: direct, interface: wg0 }
              |   ^^^^
              hint: add `ask: { work: UPSTREAM }` to `dns`, or an upstream with `via: work`
            pointsman.yaml:10:20: note[not-yet]: not yet: outbounds of type `fastest`; `auto` refuses every flow
              |   auto:    { type: fastest, members: [privacy, direct], probe: { url: "http://www.gstatic.com/generate_204", interval: 5m } }
              |                    ^^^^^^^"#]],
    );
    let setup = read(WHOLE).setup.unwrap();
    assert_eq!(
        decides(&setup, 0, "twitter.com"),
        "privacy pointsman.yaml:19 twitter.com"
    );
    assert_eq!(
        decides(&setup, 0, "www.reddit.com"),
        "privacy pointsman.yaml:19 reddit.com"
    );
    assert_eq!(
        decides(&setup, 0, "a.ads.example"),
        "reset lists/ads.txt:3 ads.example"
    );
    assert_eq!(
        decides(&setup, 0, "10.3.5.9"),
        "work pointsman.yaml:20 10.3.5.0/24"
    );
    assert_eq!(decides(&setup, 0, "example.com"), "Need(Resolve)");
    assert_eq!(
        decides(&setup, setup.forwards[0].policy.0, "10.0.0.5"),
        "reset"
    );
    assert_eq!(
        setup.files,
        [
            PathBuf::from("conf/pointsman.yaml"),
            PathBuf::from("conf/lists/ads.txt")
        ]
    );
    assert_eq!(setup.server_resolver, Some(ResolverId(0)));
    let names: Vec<&str> = setup.outbounds.iter().map(|o| &*o.name).collect();
    assert_eq!(
        names,
        [
            "direct",
            "reset",
            "reject",
            "blackhole",
            "privacy",
            "work",
            "both",
            "auto",
            "postgres",
            "a"
        ]
    );
    survives_damage(Dialect::Native, "pointsman.yaml", WHOLE);
}

/// The blocks of YAML in a document that are configurations.
fn examples(document: &str) -> Vec<&str> {
    let blocks = document.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    blocks
        .filter(|block| block.starts_with("version: 1\n"))
        .collect()
}

/// Every whole configuration that a document shows.
pub(super) fn shown_in_documents() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut open = vec![root.join("README.md"), root.join("docs")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "md") {
            let text = std::fs::read_to_string(path).unwrap();
            found.extend(examples(&text).into_iter().map(str::to_owned));
        }
    }
    found
}

#[test]
fn the_examples_of_the_documents_load() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let check = |document: &str, count: usize, notes: &[&str]| {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let examples = examples(&text);
        assert_eq!(examples.len(), count, "{document}");
        let mut told = Vec::new();
        for example in examples {
            let loaded = read(example);
            assert!(loaded.setup.is_some(), "{example}\n{:?}", loaded.problems);
            told.extend(loaded.problems.0.into_iter().map(|p| p.sentence()));
        }
        assert_eq!(told, notes, "{document}");
    };
    check(
        "docs/guide.md",
        3,
        &[
            "this rule never sees a destination that is given by name",
            "`ads` was not fetched yet: it is empty",
        ],
    );
    check(
        "docs/reference/native.md",
        1,
        &[
            "not yet: inbounds of type `tun`; this one is not opened",
            "any program that listens on 127.0.0.1:2123 is taken for the one behind `privacy`: its flows go direct where the rules say proxy, if the daemon may look at it",
            "not yet: outbounds of type `fastest`; `auto` refuses every flow",
        ],
    );
}

#[test]
fn the_embedded_default_loads() {
    let loaded = read(DEFAULT);
    assert!(loaded.problems.0.is_empty(), "{:?}", loaded.problems);
    let setup = loaded.setup.unwrap();
    let inbound = &setup.inbounds[0];
    assert_eq!(
        (&*inbound.name, inbound.listen.to_string().as_str()),
        ("default", "127.0.0.1:7890")
    );
    assert_eq!(decides(&setup, 0, "example.com"), "DIRECT");
    assert_eq!(setup.shutdown_grace, Duration::from_secs(10));
}

#[test]
fn rules_and_trees_stand_side_by_side() {
    let setup = read(
        "inbounds:\n  a: { type: http, listen: 0 }\n  b: { type: socks5, listen: 0, policy: other }\nrules:\n  - DOMAIN-SUFFIX, example.com, Reset\n  - RULE-SET, ads, REJECT\n  - FALLBACK, DIRECT\npolicies:\n  other: |\n    any [\n      inner\n      blackhole\n    ]\n  inner: |\n    cond domain { ads => reset }\nrule_sets:\n  ads: { rules: [\"DOMAIN, one.example\"], domains: [two.example] }\n",
    )
    .setup
    .unwrap();
    assert_eq!(setup.inbounds[1].policy, PolicyId(1));
    let check = |policy: usize, host: &str, expected: &str| {
        assert_eq!(decides(&setup, policy, host), expected, "{policy} {host}");
    };
    check(0, "www.example.com", "RESET");
    check(
        0,
        "one.example",
        "REJECT pointsman.yaml:17 DOMAIN, one.example",
    );
    check(0, "www.one.example", "DIRECT");
    check(0, "www.two.example", "REJECT pointsman.yaml:17 two.example");
    check(1, "two.example", "reset pointsman.yaml:17 two.example");
    check(1, "www.example.com", "blackhole");
}

#[test]
fn lists_of_others_keep_their_meaning() {
    let setup = read(
        "inbounds: { a: { type: http, listen: 0 } }\nrule_sets:\n  clash: { path: lists/clash.yaml, format: clash-domains }\n  block: { path: lists/block.txt, format: adblock }\nrules:\n  - RULE-SET, clash, RESET\n  - RULE-SET, block, REJECT\n  - FALLBACK, DIRECT\n",
    )
    .setup
    .unwrap();
    let check = |host: &str, expected: &str| {
        assert_eq!(decides(&setup, 0, host), expected, "{host}");
    };
    check("exact.example", "RESET lists/clash.yaml:2 exact.example");
    check("www.exact.example", "DIRECT");
    check(
        "a.below.example",
        "RESET lists/clash.yaml:3 +.below.example",
    );
    check(
        "www.block.example",
        "REJECT lists/block.txt:2 ||block.example^",
    );
}

#[test]
fn a_list_of_allowed_sources_comes_first() {
    let setup = setup(
        "inbounds:\n  lan: { type: mixed, listen: \"0.0.0.0:7890\", allow: [192.168.0.0/16] }\n  me: { type: mixed, listen: 7891 }",
    );
    assert_eq!(
        decides(&setup, setup.inbounds[0].policy.0, "example.com"),
        "reject"
    );
    assert_eq!(
        decides(&setup, setup.inbounds[1].policy.0, "example.com"),
        "direct"
    );
    let policy = &setup.policies[setup.inbounds[0].policy.0];
    let pointsman_policy::Node::Rule(rule) = &policy.body[0] else {
        panic!("no rule");
    };
    assert_eq!(
        (rule.origin.line, &*rule.origin.text),
        (2, "not in allow: 192.168.0.0/16")
    );
}

#[test]
fn unknown_keys_are_errors_everywhere() {
    problems(
        "inbouns: {}\nlog: { levl: info }\nsniff: { time: 1s }\nshutdown: { grase: 1s }\ninbounds:\n  a: { type: mixed, listn: 1, listen: 1 }\noutbounds:\n  p: { type: socks5, server: 'a:1', upd: true }\n  g: { type: select, member: [direct] }\nforwards:\n  f: { listen: 'fd://3', targets: [ { name: a, adress: 'fd://4', address: 'fd://4' } ], limit: 1 }\nrule_sets:\n  r: { domain: [a], domains: [a] }\ndns: { upstream: {} }\npolicy: direct\ntests: [ { flow: 'dst=a:1', expects: direct, expect: direct } ]\n",
        expect![[r#"
            pointsman.yaml:1:1: error[unknown-key]: the configuration has no key `inbouns`
              | inbouns: {}
              | ^^^^^^^
              hint: did you mean `inbounds`?
            pointsman.yaml:2:8: error[unknown-key]: `log` has no key `levl`
              | log: { levl: info }
              |        ^^^^
              hint: did you mean `level`?
            pointsman.yaml:3:10: error[unknown-key]: `sniff` has no key `time`
              | sniff: { time: ** }
              |          ^^^^
              hint: there is: timeout, max_bytes
            pointsman.yaml:4:13: error[unknown-key]: `shutdown` has no key `grase`
              | shutdown: { grase: ** }
              |             ^^^^^
              hint: did you mean `grace`?
            pointsman.yaml:6:21: error[unknown-key]: an inbound has no key `listn`
              |   a: { type: mixed, listn: *, listen: 1 }
              |                     ^^^^^
              hint: did you mean `listen`?
            pointsman.yaml:8:37: error[unknown-key]: an outbound has no key `upd`
              |   p: { type: socks5, server: 'a:1', upd: true }
              |                                     ^^^
              hint: did you mean `udp`?
            pointsman.yaml:9:6: error[missing-key]: an outbound needs the key `members`
              |   g: { type: select, member: [direct] }
              |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            pointsman.yaml:9:22: error[unknown-key]: an outbound has no key `member`
              |   g: { type: select, member: [direct] }
              |                      ^^^^^^
              hint: did you mean `members`?
            pointsman.yaml:11:48: error[unknown-key]: a target has no key `adress`
              |   f: { listen: 'fd://3', targets: [ { name: a, adress: '******', address: 'fd://4' } ], limit: 1 }
              |                                                ^^^^^^
              hint: did you mean `address`?
            pointsman.yaml:11:89: error[unknown-key]: a forward has no key `limit`
              |   f: { listen: 'fd://3', targets: [ { name: a, adress: '******', address: 'fd://4' } ], limit: 1 }
              |                                                                                         ^^^^^
              hint: there is: listen, allow, targets, balance, tls, connection_limit, lifetime, read_timeout, write_timeout, half_closed, idle, answers, retry, access_log, proxy_header, same_family
            pointsman.yaml:13:8: error[unknown-key]: a rule set has no key `domain`
              |   r: { domain: [a], domains: [a] }
              |        ^^^^^^
              hint: did you mean `domains`?
            pointsman.yaml:14:8: error[unknown-key]: `dns` has no key `upstream`
              | dns: { upstream: {} }
              |        ^^^^^^^^
              hint: did you mean `upstreams`?
            pointsman.yaml:16:29: error[unknown-key]: a test has no key `expects`
              | tests: [ { flow: 'dst=a:1', expects: direct, expect: direct } ]
              |                             ^^^^^^^
              hint: did you mean `expect`?"#]],
    );
}

#[test]
fn a_main_policy_is_needed_once() {
    problems(
        "inbounds:\n  a: { type: mixed, listen: 1 }\n",
        expect![[r#"
            pointsman.yaml:2:3: error[missing-policy]: there is neither `policy` nor `rules`, so nothing says where flows go
              |   a: { type: mixed, listen: 1 }
              |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              hint: `policy: direct` sends every flow out directly"#]],
    );
    problems(
        "policy: direct\nrules: [ 'FALLBACK, DIRECT' ]\n",
        expect![[r#"
            pointsman.yaml:2:1: error[conflicting-keys]: the main policy is given by `policy` or by `rules`, not by both
              | rules: [ 'FALLBACK, DIRECT' ]
              | ^^^^^
              pointsman.yaml:1:1: the other is here"#]],
    );
    problems(
        "inbounds:\n  a: { type: mixed, listen: 1, policy: mian }\npolicy: direct\n",
        expect![[r#"
            pointsman.yaml:2:40: error[unknown-policy]: there is no policy `mian`
              |   a: { type: mixed, listen: 1, policy: mian }
              |                                        ^^^^
              hint: did you mean `main`?"#]],
    );
    problems(
        "inbounds:\n  a: { type: mixed, listen: 1, policy: x }\npolicies: { x: direct }\n",
        expect![[""]],
    );
    problems(
        "version: 1\n",
        expect![[r#"
            pointsman.yaml:1:1: warning[nothing-served]: there are neither inbounds nor forwards: nothing will be served
              | version: 1
              | ^^^^^^^^^^"#]],
    );
    for empty in ["", "\n\n", "# nothing yet\n"] {
        let told = read(empty).problems.0;
        let codes: Vec<_> = told.iter().map(|it| it.code).collect();
        assert_eq!(codes, ["empty-configuration"], "{empty:?}");
    }
    problems(
        "version: 2\n",
        expect![[r#"
            pointsman.yaml:1:10: error[unsupported-version]: only `version: 1` exists
              | version: 2
              |          ^"#]],
    );
}

#[test]
fn policies_are_checked_in_place() {
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\nrules:\n  - DOMAIN, a.example, DIRECT\n  - GEOIP, CN, nowhere\n",
        expect![[r#"
            pointsman.yaml:4:5: error[missing-fallback]: the rule list does not end with `FALLBACK`
              |   - GEOIP, CN, nowhere
              |     ^^^^^^^^^^^^^^^^^^
              pointsman.yaml:3:3: the list begins here
              hint: end it with `- FALLBACK, OUTBOUND`
            pointsman.yaml:4:12: error[missing-database]: `GEOIP` needs a database
              |   - GEOIP, CN, nowhere
              |            ^^
              hint: set `geoip_db`
            pointsman.yaml:4:16: error[unknown-outbound]: there is no outbound `nowhere`
              |   - GEOIP, CN, nowhere
              |                ^^^^^^^
              hint: defined: direct, reset, reject, blackhole"#]],
    );
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: |\n  any [\n    cond domain { nothing => direct }\n    cond country eq CN => direct\n    nowhere\n  ]\n",
        expect![[r#"
            pointsman.yaml:4:19: error[unknown-rule-set]: there is no rule set `nothing`
              |     cond domain { nothing => direct }
              |                   ^^^^^^^
              hint: none is defined
            pointsman.yaml:6:5: error[unknown-outbound]: there is no outbound `nowhere`
              |     nowhere
              |     ^^^^^^^
              hint: defined: direct, reset, reject, blackhole"#]],
    );
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: |\n  any [\n    cond country eq CN => direct\n    direct\n  ]\n",
        expect![[r#"
            pointsman.yaml:4:5: error[missing-database]: `cond country eq CN => direct` needs `geoip_db`
              |     cond country eq CN => direct
              |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              hint: set `geoip_db` to a file in MaxMind's format"#]],
    );
    problems(
        "geoip_db: no.mmdb\nasn_db: none.mmdb\npolicy: direct\n",
        expect![[r#"
            pointsman.yaml:1:11: error[invalid-database]: `geoip_db`: `no.mmdb` is no database: it is not a database in MaxMind's format
              | geoip_db: no.mmdb
              |           ^^^^^^^
            pointsman.yaml:2:9: error[missing-file]: `asn_db`: `none.mmdb` cannot be read: entity not found
              | asn_db: none.mmdb
              |         ^^^^^^^^^"#]],
    );
}

#[test]
fn trees_write_built_in_names_as_lists_do() {
    let setup = read(
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: |\n  any [\n    cond domain under a.test => REJECT\n    DIRECT\n  ]\n",
    )
    .setup
    .unwrap();
    assert_eq!(decides(&setup, 0, "www.a.test"), "reject");
    assert_eq!(decides(&setup, 0, "b.test"), "direct");
    let spelled = read("inbounds: { a: { type: mixed, listen: 1 } }\npolicy: Direct\n");
    assert_eq!(decides(&spelled.setup.unwrap(), 0, "b.test"), "direct");
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: Drect\n",
        expect![[r#"
            pointsman.yaml:2:9: error[unknown-outbound]: there is no outbound `Drect`
              | policy: Drect
              |         ^^^^^
              hint: did you mean `direct`?"#]],
    );
}

#[test]
fn a_circle_of_trees_is_told_once_where_it_stands() {
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy: a\npolicies:\n  a: b\n  b: a\n",
        expect![[r#"
            pointsman.yaml:4:6: error[tree-cycle]: the tree `b` leads back to itself: b -> a -> b
              |   a: b
              |      ^
              hint: a tree may use others, but none that leads to it
            pointsman.yaml:5:6: error[tree-cycle]: the tree `a` leads back to itself: a -> b -> a
              |   b: a
              |      ^
              hint: a tree may use others, but none that leads to it"#]],
    );
}

#[test]
fn a_policy_in_the_wrong_language_is_told_once() {
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\npolicy:\n  - FALLBACK, DIRECT\n",
        expect![[r#"
            pointsman.yaml:3:3: error[wrong-type]: `policy` must be a text that holds a tree
              |   - FALLBACK, DIRECT
              |   ^^^^^^^^^^^^^^^^^^
              hint: a list of rules stands below `rules`"#]],
    );
    problems(
        "inbounds: { a: { type: mixed, listen: 1 } }\nrules:\n  -FALLBACK, DIRECT\n",
        expect![[r#"
            pointsman.yaml:3:3: error[wrong-type]: the rule list must be a list
              |   -FALLBACK, DIRECT
              |   ^^^^^^^^^^^^^^^^^
              hint: a space is missing behind the dash: write `- ITEM`"#]],
    );
}
