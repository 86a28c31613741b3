//! What a list cannot say is refused with its place, and nothing else is.

use expect_test::{Expect, expect};

use pointsman_policy::model::OnUnknown;

use super::as_list;
use crate::fuzz_checks::{lowered, policy};
use crate::problem::{Problems, Source};
use crate::yaml::write;

fn shown(text: &str, on_unknown: OnUnknown) -> String {
    let (body, problems) = lowered(text);
    let body = body.unwrap_or_else(|| panic!("{text}: {:?}", problems.0));
    let mut policy = policy(body).unwrap();
    policy.on_unknown = on_unknown;
    match as_list(&policy) {
        Ok(list) => list,
        Err(unsaid) => unsaid.iter().map(|said| format!("{said}\n")).collect(),
    }
}

#[test]
fn what_a_list_cannot_say_is_refused() {
    let check = |text: &str, expected: Expect| {
        expected.assert_eq(&shown(text, OnUnknown::Skip));
    };
    check(
        "cond port eq 1 => direct",
        expect![[r#"
            the policy leaves flows undecided, and a list ends with `FALLBACK`: end it with an outbound
        "#]],
    );
    check(
        "any [\n cond port eq 1 => only [\n cond port eq 1 => reset\n ]\n direct\n]",
        expect![[r#"
            `cond port eq 1 => only [` (t:2): it leaves flows undecided, and a list ends with `FALLBACK`: end it with an outbound
        "#]],
    );
    check(
        "any [\n cond port eq 1 => resolve\n direct\n]",
        expect![[r#"
            `resolve` (t:2): `.LOCAL-RESOLVE` holds for every flow that comes to it, and this `resolve` for some alone: move it out of its branch, or keep the tree
        "#]],
    );
    check(
        "any [\n cond process.name eq '' => reset\n direct\n]",
        expect![[r#"
            `cond process.name eq "" => reset` (t:2): a rule cannot say this: the content is empty
        "#]],
    );
    check(
        "any [\n cond ip in 10.0.0.0/8 no-resolve => any [\n cond country eq CN => reset\n proxy\n ]\n direct\n]",
        expect![[r#"
            `cond ip in 10.0.0.0/8 no-resolve => any [` (t:2): where its look-up breaks, a list would still resolve for what stands behind it, and a rule with `no-resolve` further down would see the address: keep the tree
            `cond ip in 10.0.0.0/8 no-resolve => any [` (t:2): a list would ask this condition again after the address was resolved, and it could answer otherwise: let it resolve, too (without `no-resolve`), or keep the tree
        "#]],
    );
    // The branch behind `else` resolves with its first rule, before the condition is asked again for its second.
    check(
        "any [\n cond ip in 10.0.0.0/8 no-resolve => reset else => any [\n cond ip in 10.3.0.0/16 => reset\n cond network eq udp => reset\n ]\n direct\n]",
        expect![[r#"
            `cond ip in 10.0.0.0/8 no-resolve => reset` (t:2): a list would ask this condition again after the address was resolved, and it could answer otherwise: let it resolve, too (without `no-resolve`), or keep the tree
        "#]],
    );
}

#[test]
fn what_a_list_can_say_is_printed() {
    let check = |text: &str, expected: Expect| {
        expected.assert_eq(&shown(text, OnUnknown::Skip));
    };
    // Nothing in the branch resolves.
    check(
        "any [\n cond ip in 10.0.0.0/8 no-resolve => any [\n cond port eq 1 => reset\n proxy\n ]\n direct\n]",
        expect![[r#"
            - AND, [IP-CIDR, 10.0.0.0/8], [DST-PORT, 1], reset
            - IP-CIDR, 10.0.0.0/8, proxy
            - FALLBACK, direct
        "#]],
    );
    // The condition resolves itself.
    check(
        "any [\n cond ip in 10.0.0.0/8 => any [\n cond country eq CN => reset\n proxy\n ]\n direct\n]",
        expect![[r#"
            # with `ip_rules_resolve: true`
            - AND, [IP-CIDR, 10.0.0.0/8], [GEOIP, CN], reset
            - IP-CIDR, 10.0.0.0/8, proxy
            - FALLBACK, direct
        "#]],
    );
    // What YAML would take apart stands in quotes.
    check(
        "any [\n cond process.command has 'a: b #c' => \"My Proxy\"\n cond process.command has 'a: b' => log 1 \"x\\n{{y}}\"\n direct\n]",
        expect![[r#"
            - "PROC-CMD-KEYWORD, 'a: b #c', My Proxy"
            - .INSTRUMENT:
                id: 1
                matches: "PROC-CMD-KEYWORD, a: b"
                message: "x\n{{y}}"
            - FALLBACK, direct
        "#]],
    );
    check(
        "any [\n cond port eq 1 => any [\n cond set ads => ask 200 within 30s\n ask 201 suggest reject fallback continue\n ]\n direct\n]",
        expect![[r#"
            - .REQUEST:
                id: 200
                matches: AND, [DST-PORT, 1], [RULE-SET, ads]
                timeout: 30
                request-route: CONTINUE
                fallback: REJECT
            - .REQUEST:
                id: 201
                matches: AND, [DST-PORT, 1], [ALWAYS]
                timeout: 60
                request-route: REJECT
                fallback: CONTINUE
            - FALLBACK, direct
        "#]],
    );
    check(
        "any [\n cond tls.sni eq WWW.Example.com. or http.host has Ads => reset\n direct\n]",
        expect![[r#"
            - OR, [TLS-SNI, www.example.com], [HTTP-HOST-KEYWORD, ads], reset
            - FALLBACK, direct
        "#]],
    );
}

#[test]
fn where_the_unknown_refuses_lists_say_less() {
    let check = |text: &str, refused: bool| {
        let said = shown(text, OnUnknown::Reject);
        assert_eq!(
            said.contains("with `on_unknown: reject`"),
            refused,
            "{said}"
        );
    };
    check("any [\n cond country eq CN => reset\n direct\n]", false);
    check("cond country eq CN => reset else => direct", false);
    check(
        "any [\n cond protocol {\n ssh => reset\n tls => proxy\n }\n direct\n]",
        false,
    );
    check(
        "any [\n cond country eq CN => any [\n cond port eq 1 => reset\n ]\n direct\n]",
        true,
    );
    check(
        "any [\n cond country eq CN => cond port eq 1 => reset\n direct\n]",
        true,
    );
}

/// Names are people's: what shows stands as it is, what hides is seen.
#[test]
fn text_beyond_ascii_is_read_back_and_stays_legible() {
    for shown in [
        "🇭🇰 Hong Kong 01",
        "👨‍👩‍👧 family",
        "☑️ done",
        "节点选择",
        "Ünïcødé → «x» №1",
        "ไทย हिन्दी العربية",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿 England",
    ] {
        assert_eq!(write::quoted(shown), format!("\"{shown}\""));
        let rule = format!("DOMAIN, a.test, {shown}");
        assert_eq!(write::line(&rule), rule);
    }
    for hidden in [
        "a\u{202e}b",
        "a\u{feff}b",
        "a\u{a0}b",
        "a\u{85}b",
        "a\u{200b}b",
        "a\u{fffe}b",
        "a\tb",
    ] {
        assert!(
            write::quoted(hidden).is_ascii(),
            "{}",
            write::quoted(hidden)
        );
        assert!(write::line(hidden).starts_with('"'));
    }
    let edges = [
        0x80, 0xA1, 0xAD, 0x2028, 0xD7FF, 0xE000, 0xFDD0, 0xFEFF, 0xFFFD, 0x1_FFFE, 0x1_F1ED,
        0xE_0067, 0x10_FFFF,
    ];
    for c in (0..0x3000).chain(edges).filter_map(char::from_u32) {
        let text = format!("a{c}b");
        for written in [write::quoted(&text), write::line(&format!("x, {text}"))] {
            let source = Source::new("t", written.clone());
            let mut problems = Problems::default();
            let node = crate::yaml::parse(&source, &mut problems);
            let read = node.as_ref().and_then(|node| node.scalar());
            assert!(
                read.is_some_and(|read| read.ends_with(&text)),
                "{written}: {read:?}"
            );
        }
    }
}
