//! What is laid out is laid out once, means the same, and has every comment.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{FileKind, format};
use pointsman_config::fuzz_checks::{lowered, policy};
use pointsman_config::problem::{Problems, Source};
use pointsman_config::tree::print::as_tree;

fn laid_out(kind: FileKind, text: &str) -> Result<String, String> {
    let mut problems = Problems::default();
    let source = Source::open("f", text.to_owned());
    format(kind, &source, &mut problems).ok_or_else(|| {
        let lines = problems.0.iter().map(|p| format!("{p}\n"));
        lines.collect()
    })
}

/// Laid out, and laid out again the same.
fn check(kind: FileKind, text: &str, expected: Expect) {
    let once = laid_out(kind, text).unwrap();
    expected.assert_eq(&once);
    assert_eq!(laid_out(kind, &once).unwrap(), once, "{text}");
}

#[test]
fn trees() {
    check(
        FileKind::Tree,
        "any[direct#end\n]",
        expect![[r#"
            any [
              direct  #end
            ]
        "#]],
    );
    check(
        FileKind::Tree,
        "# top\n\n\nany [ # why\n\n cond domain{ads=>reset}\n  # ssh\n cond protocol {ssh=>any[ \
         cond port in 22=>'proxy' # a\n cond ( port eq 2222 ) and source eq 10.0.0.1 => \"My Proxy\"# bb\n ]\n\n\n http => direct }# c\n direct # d\n # last\n ]\n# after",
        expect![[r##"
            # top

            any [  # why
              cond domain { ads => reset }
              # ssh
              cond protocol {
                ssh => any [
                  cond port eq 22 => proxy                                # a
                  cond port eq 2222 and source in 10.0.0.1 => "My Proxy"  # bb
                ]

                http => direct
              }       # c
              direct  # d
              # last
            ]
            # after
        "##]],
    );
    check(
        FileKind::Tree,
        "any [ cond user-agent matches ^curl nocase => direct else=>cond\n# inside\nnot(port eq 1 or port eq 2)=> any[log 0 'x'\n reset] else => cond ip { \"else\" => direct\n else => reset }\n]",
        expect![[r#"
            any [
              # inside
              cond http.user_agent matches "^curl" nocase => direct else => cond not (port eq 1 or port eq 2) => any [
                log "x"
                reset
              ] else => cond ip {
                "else" => direct
                else => reset
              }
            ]
        "#]],
    );
}

#[test]
fn reflow_files() {
    check(
        FileKind::Reflow,
        "egress  p=socks5 [::1]:1080 # p\ndns{ listen=udp 127.0.0.1:53\n forward={\n # zone\n a=>p | udp 1.1.1.1:53\n else=>udp 1.1.1.1:53 }\n}\n\n\nrelay {\n rule=r\n listen=socks5 127.0.0.1:1\n}\nrule r=any[ cond ip{home=>direct}\n reset\n ]\n",
        expect![[r#"
            egress p = socks5 [::1]:1080  # p
            dns {
              listen = udp 127.0.0.1:53
              forward = {
                # zone
                a => p|udp 1.1.1.1:53
                else => udp 1.1.1.1:53
              }
            }

            relay {
              rule = r
              listen = socks5 127.0.0.1:1
            }
            rule r = any [
              cond ip { home => direct }
              reset
            ]
        "#]],
    );
}

#[test]
fn rule_files() {
    check(
        FileKind::Rules,
        "\n# list\ndomain-suffix,example.com , Proxy# no\n  IP-CIDR , 10.0.0.0/8,DIRECT, NO-RESOLVE  # home\n\n\nexample.com\n.example.org # x\n",
        expect![[r#"
            # list
            DOMAIN-SUFFIX, example.com, 'Proxy# no'
            IP-CIDR, 10.0.0.0/8, DIRECT, no-resolve  # home

            example.com
            .example.org # x
        "#]],
    );
    assert!(laid_out(FileKind::Rules, "AND, [DOMAIN, x\n").is_err());
}

#[test]
fn native_files() {
    check(
        FileKind::Yaml,
        "version:   1   # as it stands\npolicy: |   # tree\n    any [\n      direct ]\n\n# between\npolicies:\n  a: direct\n  b: any [ direct ]\n  c: |-\n   cond port eq 1=>direct\n  d:\n    - domain,a.test,direct # c\n    - \"dst-port,1,  direct\"\n    - .SUB-DISPATCH:\n        matches: network,udp\n        subrules: [ 'fallback,direct' ]\n    - fallback , direct\ntests: []\n",
        expect![[r#"
            version:   1   # as it stands
            policy: |   # tree
                any [
                  direct
                ]

            # between
            policies:
              a: direct
              b: any [ direct ]
              c: |-
               cond port eq 1 => direct
              d:
                - DOMAIN, a.test, direct # c
                - "DST-PORT, 1, direct"
                - .SUB-DISPATCH:
                    matches: NETWORK, udp
                    subrules: [ 'fallback,direct' ]
                - FALLBACK, direct
            tests: []
        "#]],
    );
    check(
        FileKind::Yaml,
        "dns:\n  listen: x\n  rules:\n    - dns-type,https,nodata\n    - fallback,a\n",
        expect![[r#"
            dns:
              listen: x
              rules:
                - DNS-TYPE, https, nodata
                - FALLBACK, a
        "#]],
    );
    // What is broken stays.
    let broken = laid_out(FileKind::Yaml, "policy: |\n  any [ direct reset ]\n").unwrap_err();
    expect![[r#"
        f:2:16: error[unexpected-text]: `reset` is left over: a line holds one branch
          |   any [ direct reset ]
          |                ^^^^^
          hint: put it on a line of its own, or remove it
    "#]]
    .assert_eq(&broken);
    let line = laid_out(FileKind::Yaml, "rules:\n  - AND, [DOMAIN, x\n").unwrap_err();
    expect![[r#"
        f:2:10: error[rule-syntax]: this bracket is never closed
          |   - AND, [DOMAIN, x
          |          ^
    "#]]
    .assert_eq(&line);
}

#[test]
fn windows_line_ends_stay() {
    let text = "policy: |\r\n  any [\r\n   direct\r\n  ]\r\nversion: 1\r\n";
    let expected = "policy: |\r\n  any [\r\n    direct\r\n  ]\r\nversion: 1\r\n";
    assert_eq!(laid_out(FileKind::Yaml, text).unwrap(), expected);
}

/// The policy of a tree, printed.
fn meaning(text: &str) -> Option<String> {
    let (body, _) = lowered(text);
    Some(as_tree(&policy(body?)?))
}

fn comments(text: &str) -> Vec<String> {
    let source = Source::open("c", text.to_owned());
    let tokens = super::tokens::Tokens::new(&source, 0..text.len());
    let texts = tokens
        .comments
        .iter()
        .map(|c| text[c.start..c.end].to_owned());
    texts.collect()
}

/// White space and comments that may stand between two words of a branch.
fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        " # in\n",
        "\n\n# own\n\n",
        "#\n",
    ])
}

/// Line ends behind a branch.
fn after() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\n",
        "\n\n\n",
        " # behind\n",
        "\n # below\n",
        "# a\n\n# b\n",
        "\r\n",
    ])
}

fn any_tree() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "direct",
        "'reset'",
        "named",
        "resolve",
        "\"any\"",
        "log 3 'x # y'",
        "ask 200 fallback continue within 2m",
        "log \"{domain}\"",
        "\"My Proxy\"",
    ]);
    let when = prop::sample::select(vec![
        "port in 22",
        "(set ads or not country in CN,US)and always",
        "not  ((domain in a.test))",
        "source in 10.0.0.1-10.0.0.9",
        "user-agent matches '^c' nocase or network eq udp,tcp",
        "ip in \"my set\" no-resolve",
    ]);
    let branch = leaf
        .prop_map(str::to_owned)
        .prop_recursive(4, 24, 4, move |inner| {
            let list = prop::collection::vec((inner.clone(), after()), 1..4);
            let arms = prop::collection::vec((space(), inner.clone(), after()), 1..3);
            prop_oneof![
                (prop::sample::select(vec!["any", "only"]), space(), list).prop_map(
                    |(word, space, list)| {
                        let list: String = list
                            .iter()
                            .map(|(branch, end)| format!("{branch}{end}"))
                            .collect();
                        format!("{word}{space}[{list}]")
                    }
                ),
                (prop::sample::select(vec!["ip", "domain"]), arms).prop_map(|(subject, arms)| {
                    let keys = ["ads", "'my set'"];
                    let arms = arms
                        .iter()
                        .zip(keys)
                        .map(|((space, then, end), key)| format!("{key}=>{space}{then}{end}"));
                    format!("cond {subject}{{\n{}}}", arms.collect::<String>())
                }),
                (when.clone(), space(), inner.clone())
                    .prop_map(|(when, space, then)| format!("cond {when}=>{space}{then}")),
                (when.clone(), inner.clone(), space(), inner).prop_map(
                    |(when, then, space, other)| {
                        // The `else` of a branch that takes one would be its own.
                        format!("cond {when} => any [\n{then}\n] else =>{space}{other}")
                    }
                ),
            ]
        });
    (space(), branch, after()).prop_map(|(before, branch, end)| format!("{before}{branch}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_laid_out_once_and_means_the_same(text in any_tree()) {
        let once = laid_out(FileKind::Tree, &text).unwrap();
        prop_assert_eq!(&laid_out(FileKind::Tree, &once).unwrap(), &once);
        prop_assert_eq!(meaning(&once), meaning(&text));
        let (mut before, mut after) = (comments(&text), comments(&once));
        before.sort();
        after.sort();
        prop_assert_eq!(before, after);
        prop_assert!(once.lines().all(|line| line.trim_end() == line), "{}", once);
    }

    #[test]
    fn no_file_is_too_odd(text: String, kind in prop::sample::select(vec![FileKind::Reflow, FileKind::Rules, FileKind::Tree, FileKind::Yaml])) {
        if let Ok(once) = laid_out(kind, &text) {
            prop_assert_eq!(laid_out(kind, &once), Ok(once.clone()));
        }
    }
}
