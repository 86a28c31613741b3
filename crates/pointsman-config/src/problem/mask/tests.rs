//! What of a line is shown, and what of a sentence about it.

use crate::problem::{Form, Problems, Source};

/// The line as it is shown, of a problem at its start.
fn line(form: Form, text: &str) -> String {
    let source = Source::new("c", text.to_owned());
    source.written(form);
    let mut problems = Problems::default();
    problems.error("unknown-key", &source.line(1), "no");
    let shown = problems.0[0].to_string();
    let line = shown.lines().nth(1).and_then(|line| line.get(4..));
    line.unwrap_or_default().to_owned()
}

#[test]
fn harmless_values_stay() {
    let check = |text: &str| assert_eq!(line(Form::Keyed, text), text);
    check("listen: \"127.0.0.1:7890\"");
    check("- { name: a, address: \"tcp://10.0.0.5:5432\", via: work, backoff: 200ms }");
    check("rules: [ \"DOMAIN-SUFFIX, example.com, choice\", \"IP-CIDR, ::1/128, DIRECT\" ]");
    check("policy: mian");
    check("connect_timeout: 30 s");
    check("url: https://lists.example/ads.txt");
    check("password: { from_file: /etc/secret }");
    assert_eq!(
        line(Form::Toml, "endpoint = \"socks5://127.0.0.1:1\""),
        "endpoint = \"socks5://127.0.0.1:1\""
    );
    let egress = "egress p = socks5 localhost:1080";
    assert_eq!(line(Form::Reflow, egress), egress);
}

#[test]
fn what_is_not_known_is_stars() {
    let check = |text: &str, shown: &str| assert_eq!(line(Form::Keyed, text), shown);
    check("pasword: hunter2", "pasword: *******");
    check("hunter2", "*******");
    check("port: 80 # hunter2", "port: 80**********");
    check(
        "users: { alice: hunter2, port: 80 }",
        "users: { alice: *******, port: ** }",
    );
    check(
        "server: alice:hunter2@a.b:80",
        "server: *************@a.b:80",
    );
    check(
        "url: https://a.b/x?token=hunter2",
        "url: https://a.b/x**************",
    );
    check(
        "{ password hunter2, port: 80 }",
        "{ ****************, port: 80 }",
    );
    check("\"password: \"hunter2\"", "********************");
}

#[test]
fn sentences_leave_out_what_is_hidden() {
    let source = Source::new("c", "{ pasword: hunter2, port: x80 }".to_owned());
    let said = |sentence: &str| source.said(sentence).into_owned();
    assert_eq!(said("`hunter2` is no number"), "`***` is no number");
    assert_eq!(said("it says hunter2:"), "it says ***");
    assert_eq!(
        said("there is no key `pasword`"),
        "there is no key `pasword`"
    );
    assert_eq!(
        said("the port `x80` is no number"),
        "the port `x80` is no number"
    );
}

/// Words of our own are said, whatever the secrets are; what quotes a secret is not.
#[test]
fn own_words_are_said_beside_secrets_that_hold_them() {
    let check = |secret: &str, sentence: &str, expected: &str| {
        let text = format!("password: {secret}\nother: 1\n");
        let source = Source::new("c", text);
        assert_eq!(source.said(sentence), expected, "{secret}");
    };
    let same = |secret: &str, sentence: &str| check(secret, sentence, sentence);
    same(
        "my-configuration1",
        "the configuration has no key `nonsense`",
    );
    same("configuration", "the configuration has no key `nonsense`");
    same(
        "domain-of-mine",
        "`behavior` must be one of `domain`, `ipcidr`, `classical`",
    );
    same(
        "behaviors",
        "`behavior` must be one of `domain`, `ipcidr`, `classical`",
    );
    same("local-resolve7", "put `.LOCAL-RESOLVE` before it");
    same("a-sub-dispatcher", "did you mean `.SUB-DISPATCH`?");
    same("domain-suffixes", "write `DOMAIN-SUFFIX, example.com`");
    same("upstreams!", "did you mean `upstreams`?");
    same("fallbacks", "write `FALLBACK, OUTBOUND`");
    check(
        "hunter2hunter2",
        "`hunter2hunter2` is no mapping",
        "`***` is no mapping",
    );
    check(
        "hunter2hunter2",
        "found hunter2hunter2, but no number",
        "found *** but no number",
    );
    // A secret of several of our words is not one of them.
    check(
        "the-mapping-of-names",
        "`the-mapping-of-names` is no text",
        "`***` is no text",
    );
    check(
        "the name server must listen",
        "`the name server must listen` is no number",
        "`***` is no number",
    );
    check("domain7", "`domain7` is no number", "`***` is no number");
    check("mydomain", "`mydomain` is no number", "`***` is no number");
}

#[test]
fn a_path_may_hold_an_at_sign() {
    let same = |text: &str| assert_eq!(line(Form::Keyed, text), text);
    same("url: https://lists.example/a@b/list.txt");
    same("url: https://lists.example:8443/a@b/list.txt");
    same("url: https://192.0.2.1/a@b/list.txt");
    let check = |text: &str, shown: &str| assert_eq!(line(Form::Keyed, text), shown);
    check(
        "url: https://a:hunter@b.c/d@e/x",
        "url: https://**************@e/x",
    );
    check(
        "url: https://a:hun/ter@b.c/x",
        "url: https://*********@b.c/x",
    );
    check(
        "url: https://joe:12/34@b.c/x",
        "url: https://*********@b.c/x",
    );
    check(
        "url: https://joe.x:p/34@b.c/x",
        "url: https://**********@b.c/x",
    );
}

/// A key that the reference lists and that no table knows would make its problems say stars.
#[test]
fn keys_of_the_reference_are_known() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/native.md"
    );
    let reference = std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for row in reference.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).unwrap_or_default();
        let keys = cell
            .split('`')
            .skip(1)
            .step_by(2)
            .flat_map(|key| key.split('.'));
        for key in keys.filter(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')) {
            assert!(super::keys::is_known_word(key), "`{key}` is in no table");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// What things are called is said, in any letters; a key is a name where its value says of what type the thing is.
#[test]
fn names_of_several_words_are_said_where_a_type_follows() {
    let shown = |text: &str, number: u32| {
        let source = Source::new("c", text.to_owned());
        let mut problems = Problems::default();
        problems.error("unknown-key", &source.line(number), "no");
        let shown = problems.0[0].to_string();
        shown.lines().nth(1).unwrap_or_default().trim().to_owned()
    };
    let check = |below: &str, line: &str| {
        assert_eq!(
            shown(&format!("outbounds:\n  {below}\n"), 2),
            format!("| {line}")
        );
    };
    check(
        "🇭🇰 香港 01: { type: vmess }",
        "  🇭🇰 香港 01: { type: vmess }",
    );
    check(
        "\"HK | 02 (fast)\": { type: vmess, password: hunter2 }",
        "  \"HK | 02 (fast)\": { type: vmess, password: ******* }",
    );
    check("HK 02:\n    type: vmess", "  HK 02:");
    // What stands where names do is a name, whatever it looks like, but for texts that lost their keys.
    check(
        "my a1b2c3d4e5: { type: vmess }",
        "  my a1b2c3d4e5: { type: vmess }",
    );
    check("alice hunter: { port: 80 }", "  alice hunter: { port: 80 }");
    check(
        "password hunter: { port: 80 }",
        "  ***************: { port: 80 }",
    );
    assert_eq!(
        shown("users:\n  alice hunter: { type: x }\n", 2),
        "|   ************: { type: * }"
    );
}

/// Names by their place, in each language: with digits between letters, as parts of secrets, like words of logins.
#[test]
fn names_are_said_whatever_they_look_like() {
    let names = [
        "top100k",
        "geo2ip",
        "s-404ok",
        "ads-2024a",
        "secret-sites",
        "my-token-7b",
        "nothing",
    ];
    for name in names {
        let native = format!(
            "inbounds:\n  {name}: {{ type: http, users: {{ {name}: X7x8x9 }} }}\n\
             outbounds:\n  {name}: {{ type: http, username: X{name}, password: {name}X }}\n\
             rule_sets: {{ {name}: {{ path: {name}.txt }} }}\n\
             policies:\n  {name}:\n    - RULE-SET, {name}, {name}\n\
             dns: {{ upstreams: {{ {name}: system }}, resolver: {name} }}\n\
             policy: {name}\n",
        );
        let clash = format!(
            "proxies:\n  - {{ name: {name}, type: ss, password: {name}X }}\n\
             rule-providers: {{ {name}: {{ path: {name} }} }}\n\
             rules: [ \"MATCH,{name}\" ]\n\
             sub-rules: {{ {name}: [ \"MATCH,{name}\" ] }}\n",
        );
        let toml = format!(
            "[egress.{name}]\ntype = \"direct\"\npassword = \"{name}X\"\n[rules.app]\n{name} = [ \"a\" ]\n"
        );
        let reflow = format!(
            "egress {name} = socks5 127.0.0.1:1 a {name}X\n\
             rule {name} = any [\n  cond domain {{\n    {name} => {name}\n  }}\n  {name}\n]\n\
             relay {{\n  rule={name}\n}}\n",
        );
        let texts = [
            (Form::Keyed, native),
            (Form::Keyed, clash),
            (Form::Toml, toml),
            (Form::Reflow, reflow),
        ];
        for (form, text) in texts {
            let source = Source::new("c", text.clone());
            source.written(form);
            let sentences = [
                format!("there is no outbound `{name}`"),
                format!("defined: direct, {name}, other"),
            ];
            for sentence in sentences {
                assert_eq!(source.said(&sentence), sentence, "{text}");
            }
            let shown = |number| {
                let mut problems = Problems::default();
                problems.error("unknown-key", &source.line(number), "no");
                let shown = problems.0[0].to_string();
                shown.lines().nth(1).unwrap_or_default().to_owned()
            };
            for (number, line) in (1..).zip(text.lines()) {
                let secret = |line: &str| {
                    line.replace(&format!("{name}X"), "")
                        .replace(&format!("X{name}"), "")
                };
                let expected = secret(line).matches(name).count();
                let shown = shown(number);
                assert_eq!(shown.matches(name).count(), expected, "{shown}\n{line}");
                assert!(!shown.contains('X'), "{shown}");
            }
        }
    }
}

/// Our own words stay, whichever of them a secret has.
#[test]
fn ordinary_words_are_said_beside_pass_phrases() {
    let check = |secret: &str, sentence: &str, expected: &str| {
        let source = Source::new("c", format!("password: {secret}\nother: 1\n"));
        assert_eq!(source.said(sentence), expected, "{secret}");
    };
    let same = |secret: &str, sentence: &str| check(secret, sentence, sentence);
    same(
        "nothing to hide",
        "as if nothing were given, nothing to do here",
    );
    same("nothing7", "defined: nothing, x7");
    same("there is no key for it", "there is no key `x`");
    check(
        "nothing to hide",
        "it says nothing to hide, not `x`",
        "it says *** to *** not `x`",
    );
}

/// A name that another file of the configuration gives is one here, too.
#[test]
fn names_of_included_files_are_said() {
    let main = Source::new(
        "main",
        "outbounds: { office12: { password: shared34x } }\n".to_owned(),
    );
    let one = Source::new(
        "one",
        "outbounds: { shared34: { password: office123 } }\n".to_owned(),
    );
    let two = Source::new(
        "two",
        "outbounds: { up: { password: office12x-shared34 } }\n".to_owned(),
    );
    main.includes(&one);
    main.includes(&two);
    for source in [&main, &one, &two] {
        let sentence = "defined: office12, shared34; did you mean `office12`?";
        assert_eq!(source.said(sentence), sentence, "{source:?}");
    }
    assert_eq!(two.said("`office12x` is no number"), "`***` is no number");
}
