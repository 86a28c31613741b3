//! Trees are printed as they are read, wherever they came from.

mod wrong;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use pointsman_policy::{Node, Policy};

use super::{parse_block, print};
use crate::fuzz_checks::{self, lowered};
use crate::list_print::as_list;
use crate::problem::{Problems, Source};

fn policy(body: Vec<Node>) -> Policy {
    fuzz_checks::policy(body).unwrap()
}

/// A tree's printed form, which is read back as the same.
fn printed(text: &str) -> String {
    let (body, problems) = lowered(text);
    let body = body.unwrap_or_else(|| panic!("{text}: {:?}", problems.0));
    let shown = print::as_tree(&policy(body));
    let (again, problems) = lowered(&shown);
    let again = again.unwrap_or_else(|| panic!("{shown}: {:?}", problems.0));
    assert_eq!(print::as_tree(&policy(again)), shown, "{text}");
    shown
}

#[test]
fn a_branch_has_one_spelling() {
    let check = |text: &str, expected: &str| {
        assert_eq!(printed(text).trim_end(), expected, "{text}");
    };
    let same = |text: &str| check(text, text);
    same("direct");
    same("\"My Proxy\"");
    same("resolve");
    check("\"any\"", "\"any\"");
    check("any[direct]", "direct");
    check(
        "any[ any[ 'direct' ] ]",
        "any [\n  any [\n    direct\n  ]\n]",
    );
    check("named", "any [\n  any [\n    reset\n  ]\n]");
    check(
        "any [ direct # x\n\n# y\nreset\n]",
        "any [\n  direct\n  reset\n]",
    );
    same("cond port eq 22 => proxy");
    check("cond port in 22 => proxy", "cond port eq 22 => proxy");
    same("cond port in 80, 443, 8000-8100 => proxy");
    same("cond port in 53/udp, 5353/udp => proxy");
    check(
        "cond port in 53/udp,80 => proxy",
        "cond port eq 53/udp or port eq 80 => proxy",
    );
    same("cond source.port eq 1 => \"any\"");
    same("cond domain eq example.com => proxy");
    same("cond domain under example.com, example.org => proxy");
    check(
        "cond domain in example.com => proxy",
        "cond domain under example.com => proxy",
    );
    check("cond domain in ads => proxy", "cond set ads => proxy");
    check(
        "cond ip in \"my set\", 10.0.0.0/8 => proxy",
        "cond set \"my set\" or ip in 10.0.0.0/8 => proxy",
    );
    same("cond domain has \"ads\" => proxy");
    same("cond domain matches \"^a\\\\.b$\" => proxy");
    check(
        "cond domain matches '^a\\.b$' => proxy",
        "cond domain matches \"^a\\\\.b$\" => proxy",
    );
    same("cond set ads no-resolve => reset");
    same("cond ip in 10.0.0.0/8, 2001:db8::1 no-resolve => direct");
    same("cond source in 10.0.0.0/8 => direct");
    same("cond endpoint in 10.0.0.0/8 => direct");
    same("cond local in 10.0.0.0/8 => direct");
    same("cond country in CN, US => direct");
    same("cond asn eq 13335 no-resolve => direct");
    same("cond destination eq domain => direct");
    same("cond inbound eq alice@http:8080 => direct");
    check(
        "cond inbound eq any:8080 => direct",
        "cond inbound.port eq 8080 => direct",
    );
    same("cond inbound.user eq alice => direct");
    check(
        "cond inbound.kind in http, tun => direct",
        "cond inbound in http, tun => direct",
    );
    same("cond tls.sni eq example.com => direct");
    same("cond tls.alpn app \"curl\" => direct");
    check(
        "cond http.host has ADS. => direct",
        "cond http.host has \"ads\" => direct",
    );
    check(
        "cond source in 10.0.0.1-10.0.0.6, ::fffe-::1:1 => direct",
        "cond source in 10.0.0.1, 10.0.0.2/31, 10.0.0.4/31, 10.0.0.6, ::fffe/127, ::1:0/127 => direct",
    );
    same("cond network eq udp => direct");
    same("cond protocol in tls, quic => direct");
    same("cond process.name in curl, wget nocase => direct");
    same("cond process.path has \"/usr/bin\" nocase => direct");
    same("cond http.user_agent matches \"^curl\" => direct");
    check(
        "cond user-agent matches ^curl nocase => direct",
        "cond http.user_agent matches \"(?i)^curl\" => direct",
    );
    check(
        "cond app eq \"C:\\\\Firefox.EXE\" => direct",
        "cond app eq \"firefox.exe\" => direct",
    );
    same("cond not port eq 22 => direct");
    same("cond not (port eq 22 or port eq 23/tcp) and always => direct");
    check("cond ((port eq 22)) => direct", "cond port eq 22 => direct");
    same(
        "cond never or set ads and set \"my set\" => direct"
            .replace("set ads and set \"my set\"", "(set ads and set \"my set\")")
            .as_str(),
    );
    same("cond port eq 22 => direct else => proxy");
    same(
        "cond port eq 22 => any [\n  cond network eq tcp => direct\n] else => cond port eq 1 => reset",
    );
    same("cond port eq 22 => only [\n  cond network eq tcp => direct\n  reset\n]");
    same("ask 200");
    same("cond set ads => ask 200 within 30s suggest reject fallback blackhole");
    check(
        "ask 200 fallback Continue within 1m suggest CONTINUE",
        "ask 200 fallback continue",
    );
    check("ask 7 within 120", "ask 7 within 120s");
    check(
        "cond domain {\n ads => ask 1 }",
        "cond set ads no-resolve => ask 1",
    );
    same("cond port eq 1 => ask 1 else => direct");
    same("log 3 \"to {addr.dst} {{x}}\"");
    same("cond set ads => log 0 \"a\\\"b\"");
    same("cond protocol {\n  ssh => direct\n  other => any [\n    reset\n  ]\n}");
    // Where the look-up breaks, `on_unknown: reject` refuses at an arm, but not at a message.
    check(
        "cond domain {\n ads => log 1 \"x\" }",
        "cond set ads no-resolve => any [\n  log 1 \"x\"\n]",
    );
    check(
        "cond domain {\n ads => reset\n else => direct }",
        "any [\n  any [\n    cond set ads no-resolve => reset\n    direct\n  ]\n]",
    );
    check(
        "cond ip { ads => cond port eq 1 => reset\n else => direct }",
        "cond set ads => any [\n  cond port eq 1 => reset\n] else => direct",
    );
}

#[test]
fn what_is_printed_can_be_read_however_deep() {
    // Each level of keys is printed as two: a condition, and a list that holds the `else` apart.
    let keyed = |deep: usize| {
        let open = "cond domain { ads => cond port eq 1 => ".repeat(deep);
        format!("{open}direct{}", "\n else => reset }".repeat(deep))
    };
    printed(&keyed(20));
    let (body, problems) = lowered(&keyed(60));
    assert!(body.is_none());
    assert!(
        problems.0.iter().any(|p| p.code == "too-deep"),
        "{:?}",
        problems.0
    );
    // Keys that lead further become a chain of `else`, which is long and not deep.
    let chain = |long: usize| {
        let links = "cond port eq 1 => direct else => ".repeat(long);
        format!("{links}reset")
    };
    printed(&chain(257));
    assert_eq!(lowered(&chain(258)).1.0[0].code, "too-deep");
    // Both at once are bounded, too.
    let both = format!("any [\n{}\n]", chain(200)).replace("reset", &chain(100));
    assert_eq!(lowered(&both).1.0[0].code, "too-deep");
}

#[test]
fn misspelled_words_are_offered() {
    let check = |text: &str, hint: &str| {
        let (_, problems) = lowered(text);
        let first = &problems.0[0];
        assert_eq!(first.hint.as_deref(), Some(hint), "{text}: {first}");
        assert!(first.to_string().contains('^'), "{text}");
    };
    check("anny [ direct ]", "did you mean `any`?");
    check("con port eq 1 => direct", "did you mean `cond`?");
    check("cond prot eq 1 => direct", "did you mean `port`?");
    check("cond user eq x => direct", "did you mean `process.user`?");
    check("cond port 22 => direct", "write `port eq 22`");
    check("cond port = 22 => direct", "write `port eq VALUE`");
    check(
        "cond port neq 22 => direct",
        "write `not` before the condition: `cond not port eq 22 => ...`",
    );
    check("cond domain undr a.b => direct", "did you mean `under`?");
    check("cond set adds => direct", "did you mean `ads`?");
    check("any [\n dirct\n]", "did you mean `direct`?");
    check("any [\n nmed\n]", "did you mean `named`?");
    check("any [\n resolv\n]", "did you mean `resolve`?");
    check("cond protocol { tlss => direct }", "did you mean `tls`?");
    check(
        "cond source in ads => direct",
        "a rule set holds destinations: `ip in SET`",
    );
}

/// The printed form as a rule list.
fn check_list(text: &str, expected: Expect) {
    let (body, problems) = lowered(text);
    let body = body.unwrap_or_else(|| panic!("{text}: {:?}", problems.0));
    let shown = as_list(&policy(body)).unwrap_or_else(|unsaid| {
        let lines = unsaid.iter().map(|reason| format!("{reason}\n"));
        lines.collect()
    });
    expected.assert_eq(&shown);
}

/// Of each problem the place and the hint.
fn hints_of(text: &str) -> String {
    let (_, problems) = lowered(text);
    let told = problems.0.iter().map(|p| {
        let hint = p.hint.as_deref().unwrap_or("no hint");
        format!("{}: {hint}", p.span.start)
    });
    told.collect::<Vec<_>>().join("; ")
}

#[test]
fn hints_say_what_is_written_here() {
    let check = |text: &str, expected: &str| assert_eq!(hints_of(text), expected, "{text}");
    check("cond domain eq a.test -> direct", "22: write `=>`");
    check("cond port eq 1 && port eq 2 => direct", "15: write `and`");
    check("cond port eq 1 || port eq 2 => direct", "15: write `or`");
    check(
        "cond ip in 10.0.0.0/8 noresolve => direct",
        "22: did you mean `no-resolve`?",
    );
    check(
        "cond tls.version >= 1.2 => direct",
        "17: a range is written `tls.version in FIRST-LAST`",
    );
    check(
        "cond port != 443 => direct",
        "10: write `not port eq VALUE`",
    );
    check(
        "any [\n log hello world\n direct\n]",
        "17: put the text in quotes",
    );
    check(
        "any [\n log \"{process.nam}\"\n direct\n]",
        "11: did you mean `{process.name}`?",
    );
    check(
        "any [\n log \"{what}\"\n direct\n]",
        "11: a brace that is meant as text is written twice",
    );
    check(
        "cond process eq curl => direct",
        "5: it knows: process.name, process.path, process.command, process.user, process.parent, process.cgroup, \
         process.unit, process.tag, process.pid",
    );
    check(
        "cond process.name matches \"(\" => direct",
        "26: a sign that is meant as text needs a backslash before it, two in double quotes",
    );
    check(
        "cond process.name matches * => direct",
        "26: write it in quotes",
    );
}

#[test]
fn numbers_and_ranges_stand_in_one_list() {
    let check = |text: &str| assert_eq!(printed(text), format!("{text}\n"), "{text}");
    check("cond dscp in 8-15, 24, 46 => direct");
    check("cond dscp in 8, 24 and port eq 1 => direct");
    check("cond dscp eq 8 or tls.ech eq yes => direct");
    check("cond tls.version in 1.0-1.1 => direct");
}

#[test]
fn a_last_word_for_all_ends_a_list() {
    check_list(
        "any [\n cond port eq 1 => reset\n only [\n cond port eq 2 => proxy\n direct\n ]\n]",
        expect![[r#"
            - DST-PORT, 1, reset
            - DST-PORT, 2, proxy
            - FALLBACK, direct
        "#]],
    );
    check_list(
        "only [\n cond port eq 2 => proxy\n]",
        expect![[r#"
            `only [` (t:1): it leaves flows undecided, and a list ends with `FALLBACK`: end it with an outbound
        "#]],
    );
}

#[test]
fn a_tree_is_flattened_to_a_list() {
    check_list(
        "any [\n cond domain under example.com => proxy\n cond ip in 10.0.0.0/8 no-resolve => direct\n cond protocol { ssh => any [ cond port eq 22 => reset\n proxy ] }\n cond port eq 1 => direct else => any [ cond set ads => reset ]\n direct\n reset ]",
        expect![[r#"
            - DOMAIN-SUFFIX, example.com, proxy
            - IP-CIDR, 10.0.0.0/8, direct
            - AND, [PROTOCOL, ssh], [DST-PORT, 22], reset
            - PROTOCOL, ssh, proxy
            - DST-PORT, 1, direct
            - AND, [NOT, [DST-PORT, 1]], [RULE-SET, ads], reset
            - FALLBACK, direct
        "#]],
    );
    check_list(
        "any [\n resolve\n cond network eq udp => only [\n cond ip in 1.1.1.1 => reset\n proxy\n ]\n cond set ads => log 3 \"to {addr.dst}\"\n cond port eq 1 => any [ resolve ] \n]",
        expect![[r#"
            `resolve` (t:8): `.LOCAL-RESOLVE` holds for every flow that comes to it, and this `resolve` for some alone: move it out of its branch, or keep the tree
            the policy leaves flows undecided, and a list ends with `FALLBACK`: end it with an outbound
        "#]],
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        let (_, problems) = lowered(&text);
        for problem in problems.0 {
            prop_assert!(!problem.to_string().is_empty());
        }
    }

    #[test]
    fn no_order_of_words_is_too_odd(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "any", "[", "]", "cond", "{", "}", "domain", "=>", "else", "port", "eq", "22", "\n",
                "direct", "ads", "not", "(", ")", "and", "or", ",", "only", "log", "\"x", "set", "resolve",
                "rule", "r", "=", "relay", "egress", "protocol", "ssh", "in", "80-90", "no-resolve",
            ]),
            0..60,
        )
    ) {
        let text = words.join(" ");
        let (body, problems) = lowered(&text);
        match body {
            Some(_) => drop(printed(&text)),
            None => prop_assert!(problems.has_errors(), "{text}"),
        }
    }
}
