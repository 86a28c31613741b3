//! Words of other programs: what to write instead of them.

use super::read;

/// The hint of the first problem of a text, or else its message.
fn hint(text: &str) -> String {
    let loaded = read(&format!(
        "version: 1\n{text}\nrules: [ \"FALLBACK, direct\" ]\n"
    ));
    let told = &loaded.problems.0;
    let first = told.iter().find(|it| it.code != "nothing-served").unwrap();
    first.hint.clone().unwrap_or_else(|| first.sentence())
}

#[test]
fn addresses_and_words_of_other_programs_have_one_here() {
    let listen = hint("inbounds: { in: { type: mixed, listen: '*:7894' } }");
    assert!(
        listen.contains("`*` is no address; write `:7894` for every address of this host"),
        "{listen}"
    );
    let target = "targets: [{ name: a, address: 'tcp://a:1' }]";
    let listen = hint(&format!(
        "forwards: {{ f: {{ listen: 'tcp://*:80', {target} }} }}"
    ));
    assert!(listen.contains("write `:80`"), "{listen}");
    assert_eq!(hint("watch: yes"), "write `true`");
    assert_eq!(hint("watch: 'Off'"), "write `false`");
    assert_eq!(hint("watch: perhaps"), "`watch` must be `true` or `false`");
}

#[test]
fn what_was_pasted_with_more_around_it_is_told_bare() {
    for (text, name) in [
        ("https://x.test/", "x.test"),
        ("x.test:443", "x.test"),
        ("https://me:pw@x.test:8443/a?b", "x.test"),
    ] {
        let told = hint(&format!("rule_sets: {{ s: {{ domains: ['{text}'] }} }}"));
        assert_eq!(told, format!("a name alone: write `{name}`"));
    }
    let told = hint("rule_sets: { s: { domains: ['a b'] } }");
    assert!(told.contains("no host name carries"), "{told}");
    for text in ["1.1.1.1", "1.1.1.1:53", "[::1]:53"] {
        let told = hint(&format!("dns: {{ upstreams: {{ a: '{text}' }} }}"));
        assert_eq!(told, format!("write `udp://{text}`"));
    }
    let told = read(
        "version: 1\noutbounds: { p: { type: socks5, address: '192.0.2.1:1' } }\nrules: [ \"FALLBACK, p\" ]\n",
    );
    let told = told
        .problems
        .0
        .into_iter()
        .find(|it| it.code == "unknown-key");
    assert_eq!(told.unwrap().hint.as_deref(), Some("write `server`"));
    let told = hint("dns: { upstreams: { a: 'one.test' } }");
    assert!(told.contains("must begin with one of"), "{told}");
}

#[test]
fn what_yaml_takes_for_a_switch_is_no_path() {
    for word in ["true", "No", "off"] {
        let told = hint(&format!("access_log: {word}"));
        assert!(told.contains(&format!("`./{word}`")), "{told}");
    }
    let named = read("version: 1\naccess_log: ./off\nrules: [ \"FALLBACK, direct\" ]\n");
    assert!(named.problems.0.iter().all(|it| it.code != "wrong-type"));
}

#[test]
fn a_login_has_keys_of_its_own() {
    let server = "{ type: socks5, server: 'user:pw@10.0.0.1:1080' }";
    let told = hint(&format!("outbounds: {{ up: {server} }}"));
    assert_eq!(
        told,
        "write `host:port`; the login goes in `username` and `password`"
    );
}

#[test]
fn all_that_is_wrong_with_a_rule_is_told_at_once() {
    let loaded =
        read("version: 1\nrules: [ 'RULE-SET, a, b', 'DOMAIN-REGEX, (, c', 'FALLBACK, direct' ]\n");
    let codes: Vec<_> = loaded.problems.0.iter().map(|it| it.code).collect();
    let unknown = codes.iter().filter(|code| **code == "unknown-outbound");
    assert_eq!(unknown.count(), 2, "{codes:?}");
    assert!(codes.contains(&"unknown-rule-set") && codes.contains(&"bad-rule-content"));
}

#[test]
fn types_of_other_programs_have_one_here() {
    let outbound = |word: &str, expected: &str| {
        let told = hint(&format!("outbounds: {{ up: {{ type: {word} }} }}"));
        assert!(told.contains(expected), "{word}: {told}");
    };
    outbound("url-test", "`fastest` is not built yet; write `select`");
    outbound("urltest", "`fastest` is not built yet; write `select`");
    outbound("fallback", "`failover` is not built yet; write `select`");
    outbound("load-balance", "not built yet; write `select`");
    outbound("selector", "write `select` with `members`");
    outbound("relay", "write `chain` with `hops`");
    outbound("socks", "write `socks5`");
    outbound("ss", "`shadowsocks` is not built yet");
    outbound("shadowsock", "`shadowsocks` is not built yet");
    outbound("sock5", "did you mean `socks5`?");
    outbound(
        "trojan",
        "not yet: outbounds of type `trojan`; `up` refuses every flow",
    );
    let inbound = |word: &str, expected: &str| {
        let told = hint(&format!(
            "inbounds: {{ in: {{ type: {word}, listen: 1 }} }}"
        ));
        assert!(told.contains(expected), "{word}: {told}");
    };
    inbound("socks", "write `socks5`, or `mixed`");
    inbound("redir", "`redirect` is not built yet");
    inbound("tunnel", "`forwards`");
    let balance = |word: &str, expected: &str| {
        let told = hint(&format!(
            "forwards: {{ f: {{ listen: 'tcp://:80', balance: {word}, targets: [ {{ name: a, address: 'tcp://a:1' }} ] }} }}"
        ));
        assert!(told.contains(expected), "{word}: {told}");
    };
    balance("roundrobin", "write `round-robin`");
    balance("leastconn", "write `round-robin`");
    balance("url-test", "write `failover`");
    balance("first", "write `failover`");
    balance("snl", "`sni` is not built yet");
}

#[test]
fn a_server_is_no_url() {
    let check = |server: &str, expected: &str| {
        let text = format!("outbounds: {{ up: {{ type: http, server: '{server}' }} }}");
        assert_eq!(hint(&text), expected, "{server}");
    };
    check(
        "socks5://127.0.0.1:1080",
        "write `127.0.0.1:1080` and `type: socks5`",
    );
    check(
        "http://proxy.example:8080/",
        "write `proxy.example:8080` and `type: http`",
    );
    check("tcp://proxy.example:8080", "write `proxy.example:8080`");
    check(
        "socks5://joe:pw@proxy.example:1080",
        "write `host:port` and `type: socks5`; the login goes in `username` and `password`",
    );
    check(
        "socks5://proxy.example",
        "write `host:port` and `type: socks5`",
    );
}

#[test]
fn what_a_mapping_holds_is_shown_where_there_is_none() {
    for (text, expected) in [
        ("outbounds: [a]", "write `NAME: { type: socks5,"),
        ("outbounds: { a: socks5 }", "write `{ type: socks5, server:"),
        (
            "outbounds: { a: type:socks5 }",
            "space is missing behind the colon",
        ),
        (
            "outbounds: { a: { type:socks5, server: 'b:1' } }",
            "write `type: VALUE`",
        ),
        (
            "inbounds:\n  - type: mixed",
            "write `NAME: { type: mixed, listen: ",
        ),
        ("inbounds: { a: 7890 }", "write `{ type: mixed, listen: "),
        ("forwards: { a: 80 }", "write `{ listen: tcp://"),
        ("rule_sets: { a: b.txt }", "write `{ path: list.txt }`"),
        (
            "tests: [ a ]",
            "write `{ flow: dst=example.com:443, expect: direct }`",
        ),
        ("policies: [ direct ]", "write `NAME: direct`"),
    ] {
        let told = hint(text);
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn a_rule_is_a_line() {
    let rules = |text: &str| {
        let loaded = read(&format!(
            "version: 1\npolicies: {{ a: {text} }}\npolicy: direct\n"
        ));
        let first = loaded.problems.0.first().unwrap();
        first.hint.clone().unwrap_or_default()
    };
    for (text, expected) in [
        (
            "[ { type: domain, value: a.test } ]",
            "`DOMAIN, CONTENT, OUTBOUND`",
        ),
        (
            "[ { type: domain_suffix, value: a.test, outbound: direct } ]",
            "`DOMAIN-SUFFIX, CONTENT, OUTBOUND`",
        ),
        (
            "[ { domain_suffix: [a.test], outbound: direct } ]",
            "`DOMAIN-SUFFIX, CONTENT, OUTBOUND`",
        ),
        (
            "[ { hosts: [a.test], to: direct } ]",
            "`TYPE, CONTENT, OUTBOUND`",
        ),
        ("[ { domain: a.test } ]", "`DOMAIN, CONTENT, OUTBOUND`"),
    ] {
        let told = rules(text);
        assert!(told.contains(expected), "{text}: {told}");
    }
    assert!(hint("tests: [ ]\nrules: 'FALLBACK, direct'").contains("`- TYPE, CONTENT, OUTBOUND`"));
}

#[test]
fn tabs_are_told_where_they_indent() {
    let tabs = "YAML takes no tabs there: indent with spaces";
    assert_eq!(hint("outbounds:\n\tup:\n\t\ttype: http"), tabs);
    assert_eq!(hint("outbounds:\n  up:\n\t  type: http"), tabs);
    assert_ne!(hint("log: { level: [ }"), tabs);
}

#[test]
fn an_address_of_a_forward_has_its_prefix() {
    let forward = |listen: &str, target: &str| {
        hint(&format!(
            "forwards: {{ f: {{ listen: '{listen}', targets: [ {target} ] }} }}"
        ))
    };
    let good = "{ name: a, address: 'tcp://a:1' }";
    assert_eq!(forward("127.0.0.1:80", good), "write `tcp://127.0.0.1:80`");
    assert_eq!(forward("/run/x.sock", good), "write `unix:///run/x.sock`");
    let bare = "{ name: a, address: 'a.test:1' }";
    assert_eq!(forward("tcp://:80", bare), "write `tcp://a.test:1`");
    let said = forward("tcp://:80", "'a.test:1'");
    assert_eq!(said, "write `{ name: NAME, address: tcp://a.test:1 }`");
    let said = forward("tcp://:80", "'unix:///run/x'");
    assert_eq!(said, "write `{ name: NAME, address: unix:///run/x }`");
}

/// Names in any letters and pictures tell which outbound is meant; many of one type are one note.
#[test]
fn outbounds_that_are_not_built_are_named() {
    let of = |count: usize| {
        let outbounds: String = (0..count)
            .map(|n| format!("  \"🇭🇰 香港 | Node {n}\": {{ type: vmess, uuid: hunter{n} }}\n"))
            .collect();
        let text = format!("version: 1\npolicy: direct\noutbounds:\n{outbounds}");
        let problems = read(&text).problems;
        let notes = problems.0.iter().filter(|p| p.code == "not-yet");
        notes.map(ToString::to_string).collect::<Vec<_>>()
    };
    let one = of(1);
    let [told] = one.as_slice() else {
        panic!("{one:?}")
    };
    assert!(
        told.contains("outbounds of type `vmess`; `🇭🇰 香港 | Node 0` refuses every flow"),
        "{told}"
    );
    let line = "\"🇭🇰 香港 | Node 0\": { type: vmess, uuid: ******* }";
    assert!(told.contains(line), "{told}");
    assert_eq!(of(3).len(), 3);
    let many = of(200);
    let [told] = many.as_slice() else {
        panic!("{many:?}")
    };
    assert!(told.contains("and 197 more refuse every flow"), "{told}");
}

/// All problems of a text without its indentation, but what follows from them.
fn told(text: &str) -> Vec<String> {
    let loaded = read(text);
    let told = loaded.problems.0.iter();
    let told = told.filter(|it| it.code != "nothing-served").map(|it| {
        let hint = it.hint.clone().unwrap_or_default();
        format!("{}: {}: {hint}", it.span.line(), it.sentence())
    });
    told.collect()
}

#[test]
fn an_item_in_another_column_is_told_where_it_stands() {
    let line = "begins in another column than the list: indent it alike";
    let check = |rules: &str, expected: &str| {
        let text =
            format!("version: 1\ninbounds: {{ a: {{ type: mixed, listen: 1 }} }}\nrules:\n{rules}");
        assert_eq!(told(&text), [expected], "{text}");
    };
    check(
        "  - DOMAIN-SUFFIX, a.example, DIRECT\n   - FALLBACK, DIRECT\n",
        &format!("5: line 5 {line}"),
    );
    check(
        "  - DOMAIN, a.example, DIRECT\n    - DOMAIN, b.example, RESET\n  - FALLBACK, DIRECT\n",
        &format!("5: line 5 {line}"),
    );
    // What is in quotes, or begins otherwise, is one text.
    let folded = "version: 1\nrules:\n  - DOMAIN, a.example,\n    DIRECT\n  - FALLBACK, DIRECT\n";
    assert_eq!(told(folded), Vec::<String>::new());
}

#[test]
fn a_key_in_the_column_of_names_is_told_once() {
    let check = |text: &str, expected: &str| {
        assert_eq!(
            told(&format!("version: 1\npolicy: direct\n{text}")),
            [expected],
            "{text}"
        );
    };
    check(
        "inbounds:\n  desk:\n  type: mixed\n  listen: 127.0.0.1:7890\n",
        "5: `type` stands where `inbounds` has a name: indent it below `desk`",
    );
    check(
        "forwards:\n  listen: tcp://127.0.0.1:1\n  targets: []\n",
        "4: `listen` stands where `forwards` has a name: write `NAME:` above it, and indent it below that name",
    );
    check(
        "inbounds:\n  a: { type: mixed, listen: 1 }\n  outbounds:\n    up: { type: socks5, server: 'a:1' }\n",
        "5: `outbounds` stands within `inbounds`: move it to the left edge",
    );
    // A name may be such a word.
    let named = "version: 1\npolicy: direct\ninbounds:\n  type: { type: mixed, listen: 1 }\n  rules: { type: http, listen: 2 }\n";
    assert_eq!(told(named), Vec::<String>::new());
}

#[test]
fn words_of_clash_have_one_here() {
    let rule = |rule: &str, expected: &str| {
        let text = format!(
            "version: 1\noutbounds: {{ up: {{ type: direct }} }}\nrules:\n  - {rule}\n  - FALLBACK, DIRECT\n"
        );
        let told = told(&text);
        assert!(
            told.len() == 1 && told[0].ends_with(expected),
            "{rule}: {told:?}"
        );
    };
    rule("DOMAIN, a.example, BLOCK", ": write `REJECT`");
    rule("DOMAIN, a.example, REJECT-DROP", ": write `BLACKHOLE`");
    rule(
        "DOMAIN, a.example, Proxy",
        ": write the name of one of your outbounds: up",
    );
    rule("SRC-GEOIP, cn, DIRECT", "write `SRC-IP-CIDR, RANGE`");
    rule(
        "DOMAIN-SUFFIX, example.com:443, DIRECT",
        ": a port is a condition of its own: write `AND, [DOMAIN-SUFFIX, example.com], [DST-PORT, 443], OUTBOUND`",
    );
    rule(
        "DOMAIN, https://example.com/x, DIRECT",
        ": write the name alone: `example.com`",
    );
    for key in ["rule_providers", "rule-providers"] {
        let text = format!("version: 1\npolicy: direct\n{key}: {{}}\n");
        assert_eq!(
            told(&text),
            [format!(
                "3: the configuration has no key `{key}`: write `rule_sets`"
            )]
        );
    }
}

#[test]
fn a_test_is_written_in_three_ways() {
    let tests = |tests: &str| {
        let text = format!("version: 1\npolicy: direct\ntests:\n  - {tests}\n");
        let loaded = read(&text);
        let read = loaded.setup.map(|setup| {
            let tests = setup.tests.into_iter();
            tests
                .map(|test| format!("{} => {}", test.flow, test.expect))
                .collect::<Vec<_>>()
        });
        read.ok_or_else(|| told(&text))
    };
    assert_eq!(
        tests("dst=a.test:1 => REJECT").unwrap(),
        ["dst=a.test:1 => REJECT"]
    );
    assert_eq!(
        tests("{ flow: { dst: 'a.test:1', process: { name: x, pid: 7 } }, expect: direct }")
            .unwrap(),
        [r#"{"dst":"a.test:1","process":{"name":"x","pid":7}} => direct"#]
    );
    // One problem for one mistake.
    for wrong in ["dst=a.test:1", "[a]", "7"] {
        let told = tests(wrong).unwrap_err();
        let expected = "4: a test must be a mapping: write `{ flow: dst=example.com:443, expect: direct }`, or `dst=example.com:443 => direct`";
        assert_eq!(told, [expected], "{wrong}");
    }
    assert!(
        tests("a.test:1 => nobody").unwrap_err()[0].starts_with("4: there is no outbound `nobody`")
    );
}
