//! `rule_sets` of a native file: keys and problems.

use expect_test::expect;

use super::{check, problems};

#[test]
fn rule_sets_are_checked() {
    let set = |text: &str, expected: &[&str]| {
        check(
            &format!(
                "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ] }} }}\nrule_sets:\n  s: {text}"
            ),
            expected,
        );
    };
    set(
        "{ domains: [a.example, .b.example], ips: [10.0.0.0/8, '::1'], rules: ['DST-PORT, 22'] }",
        &[],
    );
    set("{ path: lists/ads.txt, format: domains }", &[]);
    set("{ path: lists/ads.txt }", &[]);
    set("{ path: lists/clash.yaml, format: auto }", &[]);
    set(
        "{ path: lists/ads.txt, format: text, behavior: domain }",
        &[],
    );
    set(
        "{ path: lists/ads.txt, format: domains, behavior: domain }",
        &["3:56: error[conflicting-keys]: `format` says already what the entries are"],
    );
    set(
        "{ path: lists/ads.txt, interval: 1d, via: direct }",
        &[
            "3:39: error[conflicting-keys]: `interval` is for lists that are fetched, and there is no `url`",
            "3:48: error[conflicting-keys]: `via` is for lists that are fetched, and there is no `url`",
        ],
    );
    set(
        "{ domains: [a], format: text }",
        &["3:30: error[conflicting-keys]: `format` is for lists in files, and there is no `path`"],
    );
    set(
        "{ url: 'https://a.test/l' }",
        &["3:3: warning[not-fetched]: `s` was not fetched yet: it is empty"],
    );
    set(
        "{ url: 'https://a.test/l', path: lists/clash.yaml, interval: 1d, limit: 1MiB, via: direct, format: auto }",
        &[],
    );
    set(
        "{ url: 'ftp://a.test', path: lists/ads.txt, via: nowhere, interval: 5ms }",
        &[
            "3:13: error[invalid-value]: this is no `http://` or `https://` address",
            "3:55: error[unknown-outbound]: there is no outbound `nowhere`",
            "3:74: error[invalid-value]: `interval` is at least 1s",
        ],
    );
    set(
        "{ url: 'http://me:pw@a.test/l?k=1', path: lists/ads.txt }",
        &[
            "3:13: error[invalid-value]: a list's `url` has no login: it would be sent on and logged",
        ],
    );
    set(
        "{ url: 'ftp://me:pw@a.test/l?k=1', path: lists/ads.txt }",
        &["3:13: error[invalid-value]: this is no `http://` or `https://` address"],
    );
    set(
        "{ path: lists/none.txt, format: ips }",
        &["3:14: error[missing-file]: `lists/none.txt` cannot be read: entity not found"],
    );
    set(
        "{ path: lists/ads.txt, format: domain }",
        &[
            "3:37: error[invalid-value]: `format` must be one of `auto`, `domains`, `ips`, `rules`, `clash-domains`, `clash-ips`, `clash-rules`, `text`, `yaml`, `adblock`, `hosts`, `dnsmasq`, `dat`, `mmdb`, `mrs`, `srs`, `srs-json`",
        ],
    );
    set(
        "{ path: lists/ads.txt, domains: [a] }",
        &["3:38: error[conflicting-keys]: a rule set has a file or lists of its own, not both"],
    );
    set(
        "{}",
        &[
            "3:6: error[missing-key]: a rule set needs `path` or `url`, or `domains`, `ips`, `rules`",
        ],
    );
    set(
        "{ domains: ['a b'] }",
        &[
            "3:18: error[invalid-address]: `a b`: the name has the character ' ', which no host name carries",
        ],
    );
    set(
        "{ ips: [10.0.0.0/40] }",
        &["3:14: error[invalid-address]: `/40` is not a prefix length here (0 to 32)"],
    );
    set(
        "{ rules: ['RULE-SET, s'] }",
        &["3:16: error[unknown-rule-set]: there is no rule set `s`"],
    );
    problems(
        "policy: direct\nrule_sets:\n  a: { path: lists/bad.txt, format: domains }\n  b: { path: lists/rules.txt, format: rules }\n  c: { path: lists/bad.txt, format: domains, strict: true }\n",
        expect![[r#"
            lists/bad.txt:2:1: error[invalid-entry]: `bad example` is no domain: the name has the character ' ', which no host name carries
              | bad example
              | ^^^^^^^^^^^
              pointsman.yaml:5:14: rule set `c` reads this list
            lists/bad.txt:2:1: warning[invalid-entry]: `bad example` is no domain: the name has the character ' ', which no host name carries
              | bad example
              | ^^^^^^^^^^^
              pointsman.yaml:3:14: rule set `a` reads this list
              hint: left out; `strict: true` makes it an error
            lists/rules.txt:3:8: warning[invalid-entry]: `GEOIP` needs a database (set `geoip_db`)
              | GEOIP, CN
              |        ^^
              pointsman.yaml:4:14: rule set `b` reads this list
              hint: left out; `strict: true` makes it an error"#]],
    );
    // What is wrong with a list as a whole stands where the list is named.
    problems(
        "policy: direct\nrule_sets:\n  a: { path: lists/ads.txt, format: yaml }\n  b: { path: lists/ads.txt, select: x }\n",
        expect![[r#"
            lists/ads.txt:5:1: error[invalid-list]: this line does not belong to what stands before it
              | *.metrics.example
              | ^^^^^^^^^^^^^^^^^
              pointsman.yaml:3:14: rule set `a` reads this list
              hint: YAML is lines of `KEY: VALUE`, and what belongs to a key is indented below it
            pointsman.yaml:4:14: error[invalid-list]: `lists/ads.txt`: `select: x`: a list of format `text` is one list
              |   b: { path: lists/ads.txt, select: x }
              |              ^^^^^^^^^^^^^
              hint: leave `select` out: only files of format `dat` and `mmdb` hold many lists"#]],
    );
}
