//! Lines as data: what each means, what is wrong with each, and that printing is reading's inverse.

use proptest::prelude::*;

use super::*;
use crate::set::RuleSet;
use crate::zone::Zones;

struct Around {
    resolve: bool,
    databases: bool,
}

impl Scope for Around {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        (name == "ads").then_some(SetId(0))
    }
    fn rule_sets(&self) -> Vec<&str> {
        vec!["ads"]
    }
    fn has_country_db(&self) -> bool {
        self.databases
    }
    fn has_asn_db(&self) -> bool {
        self.databases
    }
    fn ip_rules_resolve(&self) -> bool {
        self.resolve
    }
    fn upstream(&self, name: &str) -> Option<Arc<str>> {
        Some(name.into())
    }
    fn concerns(&self) -> Concerns {
        Concerns::Answers
    }
}

const PLAIN: Around = Around {
    resolve: false,
    databases: true,
};
const RESOLVING: Around = Around {
    resolve: true,
    databases: true,
};

fn render(condition: &Condition, resolve: bool) -> String {
    let sets = [Arc::new(RuleSet::new("ads", "ads.txt"))];
    let names = Names {
        sets: &sets,
        zones: &Zones::default(),
        ip_rules_resolve: resolve,
    };
    render_condition(condition, names)
}

/// `CANONICAL CONDITION => OUTBOUND`, or the error as `code start..end: message`.
fn told(line: &str, scope: &Around) -> String {
    match parse_rule(line, scope) {
        Ok(RuleLine::Fallback { outbound }) => format!("FALLBACK => {}", outbound.text),
        Ok(RuleLine::Rule {
            condition,
            outbound,
            no_resolve: _,
        }) => format!("{} => {}", render(&condition, scope.resolve), outbound.text),
        Err(e) => format!("{} {}..{}: {}", e.code, e.start, e.end, e.message),
    }
}

#[test]
fn rules_mean_what_they_say() {
    let check = |line: &str, expected: &str| assert_eq!(told(line, &PLAIN), expected, "{line}");
    check(
        "DOMAIN, Example.COM., Proxy",
        "DOMAIN, example.com => Proxy",
    );
    check(
        "domain-suffix,google.com,Proxy",
        "DOMAIN-SUFFIX, google.com => Proxy",
    );
    check("DOMAIN-KEYWORD, Google, P", "DOMAIN-KEYWORD, google => P");
    check(
        r"DOMAIN-REGEX, ^a[a-z]+\.com$, P",
        r"DOMAIN-REGEX, '^a[a-z]+\.com$' => P",
    );
    check(
        "DOMAIN-REGEX, '^a{1,3}$', P",
        "DOMAIN-REGEX, '^a{1,3}$' => P",
    );
    check(
        "IP-CIDR, 192.168.9.9/16, DIRECT",
        "IP-CIDR, 192.168.0.0/16 => DIRECT",
    );
    check(
        "IP-CIDR, 8.8.8.8/32, P, no-resolve",
        "IP-CIDR, 8.8.8.8/32 => P",
    );
    check("IP-CIDR, ::1/128, DIRECT", "IP-CIDR6, ::1/128 => DIRECT");
    check(
        "IP-CIDR6, ::1/128, DIRECT, no-resolve",
        "IP-CIDR6, ::1/128 => DIRECT",
    );
    check(
        "LOCAL-IP-CIDR, 127.0.0.0/8, D",
        "LOCAL-IP-CIDR, 127.0.0.0/8 => D",
    );
    check(
        "SRC-IP-CIDR, 10.0.5.0/24, P",
        "SRC-IP-CIDR, 10.0.5.0/24 => P",
    );
    check(
        "OUT-IP-CIDR, 10.0.5.0/24, P",
        "OUT-IP-CIDR, 10.0.5.0/24 => P",
    );
    check("SRC-PORT, 8080, D", "SRC-PORT, 8080 => D");
    check("SRC-PORT, 443/TCP, D", "SRC-PORT, 443/tcp => D");
    check("DST-PORT, tcp, D", "NETWORK, tcp => D");
    check("DSCP, 46|8-15, D", "OR, [DSCP, 46], [DSCP, 8-15] => D");
    check("tls-version, 1.0-1.2, D", "TLS-VERSION, 1.0-1.2 => D");
    check("TLS-ECH, yes, D", "TLS-ECH, yes => D");
    check(
        "QUIC-VERSION, 0xff00001d, D",
        "QUIC-VERSION, 0xff00001d => D",
    );
    check("PROCESS-PID, 4711, D", "PROCESS-PID, 4711 => D");
    check(
        "DST-PORT, 80|443|8000-8100, D",
        "DST-PORT, 80|443|8000-8100 => D",
    );
    check(
        "DST-PORT, 53/udp | 80, D",
        "OR, [DST-PORT, 53/udp], [DST-PORT, 80] => D",
    );
    check(
        "PROCESS-NAME, Google Chrome, P",
        "PROCESS-NAME, Google Chrome => P",
    );
    check("PROCESS-KEYWORD, chrome, P", "PROCESS-KEYWORD, chrome => P");
    check(
        "PROC-PATH-KEYWORD, /usr/local/bin, P",
        "PROC-PATH-KEYWORD, /usr/local/bin => P",
    );
    check(
        r#"PROC-CMD-REGEX, "^curl.*youtube\\.com", P"#,
        r"PROC-CMD-REGEX, ^curl.*youtube\.com => P",
    );
    check(
        r"PROC-CMD-REGEX, 'it''s, \\.', P",
        r"PROC-CMD-REGEX, 'it''s, \\.' => P",
    );
    check("PROCESS-TAG, T, P", "PROCESS-TAG, T => P");
    check("PROCESS-UNIT, x.service, P", "PROCESS-UNIT, x.service => P");
    check(
        "PROCESS-PARENT-REGEX, ^sh$, P",
        "PROCESS-PARENT-REGEX, ^sh$ => P",
    );
    check("USER-AGENT, Curl, P", "USER-AGENT, curl => P");
    check("METHOD, get, P", "METHOD, get => P");
    check("ALPN, h2, P", "ALPN, h2 => P");
    check(
        "INBOUND, alice@http:7890, P",
        "INBOUND, alice@http:7890 => P",
    );
    check("INBOUND, vscode/socks5, P", "INBOUND, vscode@socks5 => P");
    check("INBOUND, tun, P", "INBOUND, tun => P");
    check(
        "INBOUND-ALIAS, work-proxy, P",
        "INBOUND-ALIAS, work-proxy => P",
    );
    check("GEOIP, us, P", "GEOIP, US => P");
    check("ASN, 13335, P  # Cloudflare", "ASN, 13335 => P");
    check("RULE-SET, ads, REJECT", "RULE-SET, ads => REJECT");
    check("DST-ADDR-TYPE, ipv4, P", "DST-ADDR-TYPE, IPV4 => P");
    check("PROTOCOL, TLS, P", "PROTOCOL, tls => P");
    check("NETWORK, udp, P", "NETWORK, udp => P");
    check("ALWAYS, P", "ALWAYS => P");
    check("NEVER, x, P", "NEVER => P");
    check("FALLBACK, P # the rest", "FALLBACK => P");
    check(
        "AND, [NOT, [DOMAIN-SUFFIX, local]], [ALWAYS, MARK], P",
        "AND, [NOT, [DOMAIN-SUFFIX, local]], [ALWAYS] => P",
    );
    check(
        "NOT, [IP-CIDR, 10.0.0.0/8, no-resolve], P",
        "NOT, [IP-CIDR, 10.0.0.0/8] => P",
    );
    check(
        "DOMAIN, a#b.c, P",
        r#"bad-rule-content 8..13: `a#b.c` is no domain: the name has the character '#', which no host name carries"#,
    );
}

#[test]
fn resolving_is_said_where_it_is_the_custom() {
    let check = |line: &str, expected: &str| assert_eq!(told(line, &RESOLVING), expected, "{line}");
    check("IP-CIDR, 10.0.0.0/8, D", "IP-CIDR, 10.0.0.0/8 => D");
    check(
        "IP-CIDR, 10.0.0.0/8, D, No-Resolve",
        "IP-CIDR, 10.0.0.0/8, no-resolve => D",
    );
    check(
        "OR, [GEOIP, CN, no-resolve], [ASN, 1], D",
        "OR, [GEOIP, CN, no-resolve], [ASN, 1] => D",
    );
    check(
        "AND, [RULE-SET, ads], [ASN, 1], D, no-resolve",
        "AND, [RULE-SET, ads, no-resolve], [ASN, 1, no-resolve] => D",
    );
    check("DOMAIN, a.b, D, no-resolve", "DOMAIN, a.b => D");
}

#[test]
fn errors_point_at_the_fault() {
    let check = |line: &str, expected: &str| assert_eq!(told(line, &PLAIN), expected, "{line}");
    check("", "rule-syntax 0..0: the rule is empty");
    check("# nothing", "rule-syntax 0..9: the rule is empty");
    check(
        "DOMAN, a.b, P",
        "unknown-rule 0..5: there is no rule type `DOMAN`",
    );
    let one = "has one part behind its type, and needs a content and an outbound";
    check(
        "DOMAIN, a.b",
        &format!("rule-syntax 8..11: this `DOMAIN` {one}"),
    );
    check(
        "DOMAIN, Direct",
        "rule-syntax 0..6: `DOMAIN` needs a content",
    );
    check(
        "DOMAIN",
        "rule-syntax 0..6: `DOMAIN` needs more than its type",
    );
    check(
        "DOMAIN, a.b, c, P",
        "rule-syntax 13..14: `DOMAIN` has one content",
    );
    // Commas part a rule; the values of one content are parted by `|`.
    for (line, hint) in [
        ("DST-PORT, 443,80, P", "write `DST-PORT, 443|80, OUTBOUND`"),
        (
            "SRC-PORT, 1-9, 80/udp, P",
            "write `SRC-PORT, 1-9|80/udp, OUTBOUND`",
        ),
        ("DSCP, 46, 10, P", "write `DSCP, 46|10, OUTBOUND`"),
        (
            "DST-PORT, 443, x, P",
            "write `DST-PORT, CONTENT, OUTBOUND`; a content with commas stands in quotes",
        ),
    ] {
        let error = parse_rule(line, &PLAIN).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(hint), "{line}");
    }
    for (line, hint) in [
        (
            "IP-CIDR, example.com, P",
            "for names there is `DOMAIN, example.com` or, with all below it, `DOMAIN-SUFFIX, example.com`",
        ),
        (
            "IP-CIDR6, *.example.com, P",
            "for names there is `DOMAIN-SUFFIX, example.com`",
        ),
        ("DST-PORT, 443/upd, P", "did you mean `443/udp`?"),
        ("SRC-PORT, 1-9/TCPP, P", "did you mean `1-9/tcp`?"),
        (
            "DST-PORT, 443/http, P",
            "write `443`, `443/tcp`, `tcp`, `8000-8100` or `80|443`",
        ),
    ] {
        let error = parse_rule(line, &PLAIN).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(hint), "{line}");
    }
    for line in ["IP-CIDR, 10.0.0.300, P", "SRC-IP-CIDR, example.com, P"] {
        assert_eq!(parse_rule(line, &PLAIN).unwrap_err().hint, None, "{line}");
    }
    check("DOMAIN, , P", "rule-syntax 8..9: nothing stands here");
    check(
        "DOMAIN, a.b, P,",
        "rule-syntax 14..15: nothing stands behind this comma",
    );
    check(
        "DOMAIN, \"a.b, P",
        "rule-syntax 8..9: this quote is never closed",
    );
    check(
        "DOMAIN, \"a\\.b\", P",
        "rule-syntax 10..12: double quotes know no such escape",
    );
    check(
        "DOMAIN, \"a.b\" c, P",
        "rule-syntax 14..15: a comma is missing before this",
    );
    check(
        "AND, [DOMAIN, a.b], P",
        "rule-syntax 0..3: `AND` needs two or more conditions in brackets",
    );
    check(
        "AND, [DOMAIN, a.b], [DOMAN, b], P",
        "unknown-rule 21..26: there is no rule type `DOMAN`",
    );
    check(
        "NOT, DOMAIN, P",
        "rule-syntax 5..11: a condition in brackets must stand here, not `DOMAIN`",
    );
    check(
        "NOT, [DOMAIN, a.b, P",
        "rule-syntax 5..6: this bracket is never closed",
    );
    check(
        "NOT, [], P",
        "rule-syntax 5..7: a condition stands here: `[TYPE, CONTENT]`",
    );
    check(
        "DOMAIN, a.b], P",
        "rule-syntax 11..12: this bracket was never opened",
    );
    check(
        "IP-CIDR, 10.0.0.0/33, P",
        "bad-rule-content 9..20: `/33` is not a prefix length here (0 to 32)",
    );
    check(
        "DST-PORT, 80|0x1bb, P",
        "bad-rule-content 13..18: `0x1bb` is no port",
    );
    check(
        "DST-PORT, +443, P",
        "bad-rule-content 10..14: `+443` is no port",
    );
    check(
        "DST-PORT, 9-8, P",
        "bad-rule-content 10..13: `9-8` ends before it begins",
    );
    check(
        "DST-PORT, 70000, P",
        "bad-rule-content 10..15: `70000` is no port",
    );
    check(
        "INBOUND, joe@http:, P",
        "bad-rule-content 9..18: the port of an inbound is a number from 1 to 65535",
    );
    check(
        "INBOUND, @http:1080, P",
        "bad-rule-content 9..19: the user is empty",
    );
    check(
        "INBOUND, what, P",
        "bad-rule-content 9..13: `what` is no inbound",
    );
    check(
        "RULE-SET, asd, P",
        "unknown-rule-set 10..13: there is no rule set `asd`",
    );
    check(
        "GEOIP, USA, P",
        "bad-rule-content 7..10: `USA` is no country code",
    );
    check(
        "DOMAIN-REGEX, '(', P",
        "bad-rule-content 14..17: no regular expression: unclosed group",
    );
    check(
        "NOT, [FALLBACK, P], P",
        "rule-syntax 6..14: `FALLBACK` is a rule of its own, not a condition",
    );
    check(
        "FALLBACK, a, P",
        "rule-syntax 10..11: `FALLBACK` has no content",
    );
    let bare = Around {
        resolve: false,
        databases: false,
    };
    assert_eq!(
        told("GEOIP, US, P", &bare),
        "missing-database 0..0: `GEOIP` needs a database".replace("0..0", "7..9")
    );
    assert_eq!(
        told("ASN, 1, P", &bare),
        "missing-database 5..6: `ASN` needs a database"
    );
    let hint = parse_rule("DOMAN, a.b, P", &PLAIN)
        .err()
        .and_then(|e| e.hint);
    assert_eq!(hint.as_deref(), Some("did you mean `DOMAIN`?"));
}

#[test]
fn hints_say_what_is_written_here() {
    let check = |line: &str, hint: &str| {
        let error = parse_rule(line, &PLAIN).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(hint), "{line}");
    };
    check("GEOSITE, cn, P", "write `RULE-SET, NAME`");
    check("MATCH, P", "write `FALLBACK, OUTBOUND`");
    check("final, P", "write `FALLBACK, OUTBOUND`");
    check("IN-PORT, 7890, P", "write `INBOUND, any:PORT`");
    check("DOMAIN-SET, ads, P", "write `RULE-SET, NAME`");
    check("host-suffix, a.test, P", "write `DOMAIN-SUFFIX, NAME`");
    check(
        "AND,((DOMAIN,a.test),(DST-PORT,443)),P",
        "write `AND, [TYPE, CONTENT], [TYPE, CONTENT], OUTBOUND`",
    );
    check(
        "NOT,((DOMAIN,a.test)),P",
        "write `NOT, [TYPE, CONTENT], OUTBOUND`",
    );
    assert_eq!(
        told("OR,(DOMAIN,a.test),(DST-PORT,443),P", &PLAIN),
        "rule-syntax 3..10: the conditions of `OR` must be in square brackets"
    );
    check("SRC-IP, 10.0.0.1, P", "write `SRC-IP-CIDR, ADDRESS`");
    check(
        "DOMAIN-SUFFIX a.test P",
        "put commas between the parts: `DOMAIN-SUFFIX, CONTENT, OUTBOUND`",
    );
    check(
        "domain: a.test, P",
        "put commas between the parts: `DOMAIN, CONTENT, OUTBOUND`",
    );
    check(
        "IP-CIDR, 10.0.0.0/8, P, noresolve",
        "did you mean `no-resolve`?",
    );
    check("DOMIAN, a.test, P", "did you mean `DOMAIN`?");
    assert_eq!(
        told("DOMAIN, a.test, noresolve", &PLAIN),
        "DOMAIN, a.test => noresolve"
    );
}

#[test]
fn limits_hold() {
    let deep = |levels: usize| {
        format!(
            "{}DOMAIN, a.b{}, P",
            "NOT, [".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(parse_rule(&deep(MAX_DEPTH), &PLAIN).is_ok());
    assert!(parse_rule(&deep(MAX_DEPTH + 1), &PLAIN).is_err());
    assert!(parse_rule(&deep(9000), &PLAIN).is_err());
    let big = "DOMAIN-REGEX, '(((a{100}){100}){100}){100}', P";
    assert!(
        told(big, &PLAIN).contains("exceeds size limit"),
        "{}",
        told(big, &PLAIN)
    );
    assert!(parse_rule(&"x".repeat(MAX_LENGTH + 1), &PLAIN).is_err());
}

#[test]
fn comments_are_taken_off() {
    assert_eq!(without_comment("  ASN, 1, P  # Cloudflare"), "ASN, 1, P");
    assert_eq!(
        without_comment("DOMAIN-REGEX, 'a #b', P"),
        "DOMAIN-REGEX, 'a #b', P"
    );
    assert_eq!(without_comment("# all"), "");
}

fn leaf() -> impl Strategy<Value = String> {
    let texts = "[ -~а-я\t]{1,12}".prop_map(|text| {
        let mut to = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => to.extend(['\\', c]),
                '\t' => to.push_str("\\t"),
                c => to.push(c),
            }
        }
        to + "\""
    });
    prop_oneof![
        "[a-z]{1,8}(\\.[a-z]{1,4}){0,3}".prop_map(|d| format!("DOMAIN, {d}")),
        "[a-z]{1,8}".prop_map(|d| format!("DOMAIN-SUFFIX, {d}")),
        any::<std::net::IpAddr>().prop_map(|a| format!("IP-CIDR, {a}/7, no-resolve")),
        any::<std::net::IpAddr>().prop_map(|a| format!("LOCAL-IP-CIDR, {a}")),
        (1..=u16::MAX, "(|/tcp|/udp)").prop_map(|(p, n)| format!("DST-PORT, {p}{n}|7-9")),
        Just("RULE-SET, ads".to_owned()),
        Just("GEOIP, cn".to_owned()),
        Just("NEVER".to_owned()),
        texts.clone().prop_map(|t| format!("PROCESS-NAME, {t}")),
        texts
            .clone()
            .prop_map(|t| format!("PROCESS-NAME-APP, {}x\"", &t[..t.len() - 1])),
        texts
            .clone()
            .prop_map(|t| format!("PROC-CMD-KEYWORD-IGNORE-CASE, {t}")),
        texts.prop_map(|t| format!("USER-AGENT, {t}")),
        "[a-z]{0,3}(\\[a,b\\]|#|'){0,2}x".prop_map(|r| format!("PROC-CMD-REGEX, \"{r}\"")),
        "[a-z@/]{0,5}".prop_map(|u| format!("INBOUND, u{u}@mixed:9")),
    ]
}

fn line() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let many = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|c| format!("NOT, [{c}]")),
            (many, any::<bool>()).prop_map(|(parts, and)| {
                let word = if and { "AND" } else { "OR" };
                let parts: Vec<String> = parts.iter().map(|p| format!("[{p}]")).collect();
                format!("{word}, {}", parts.join(", "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn printing_is_readings_inverse(line in line(), resolve: bool) {
        let scope = Around { resolve, databases: true };
        let read = parse_condition(&line, &scope).map_err(|e| TestCaseError::fail(format!("{line}: {e:?}")))?;
        let printed = render(&read, resolve);
        let again = parse_condition(&printed, &scope).map_err(|e| TestCaseError::fail(format!("{printed}: {e:?}")))?;
        prop_assert_eq!(format!("{read:?}"), format!("{again:?}"), "{}", printed);
    }

    #[test]
    fn any_text_is_a_rule_or_an_error_inside_it(line in "(AND|DOMAIN|DST-PORT|)[ -~а-я]{0,60}") {
        if let Err(error) = parse_rule(&line, &PLAIN) {
            prop_assert!(error.start <= error.end && error.end <= line.len());
            prop_assert!(line.is_char_boundary(error.start) && line.is_char_boundary(error.end));
        }
    }
}

#[test]
fn a_part_that_is_missing_or_too_much_is_guessed() {
    let check = |line: &str, expected: &str| {
        let error = parse_rule(line, &PLAIN).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some(expected), "{line}");
    };
    let comma = |word: &str| format!("it names no outbound: is a comma missing before `{word}`?");
    check("DST-PORT, 81 RESET", &comma("RESET"));
    check("IP-CIDR, 10.0.0.0/8 up, no-resolve", &comma("up"));
    check(
        "DOMAIN, d.example",
        "where `d.example` is the content, it names no outbound: write `DOMAIN, d.example, OUTBOUND`",
    );
    let behind = "remove the comma at the end, or write what stands behind it";
    for line in [
        "DOMAIN, a, DIRECT,",
        "FALLBACK, DIRECT, # why",
        "DOMAIN, a,",
    ] {
        check(line, behind);
    }
}

/// Rules for queries alone are told where others stand.
#[test]
fn what_is_for_queries_stands_among_their_rules() {
    struct Flows;
    impl Scope for Flows {
        fn rule_set(&self, _name: &str) -> Option<SetId> {
            None
        }
        fn has_country_db(&self) -> bool {
            false
        }
        fn has_asn_db(&self) -> bool {
            false
        }
        fn ip_rules_resolve(&self) -> bool {
            false
        }
    }
    for (line, start) in [
        ("DNS-TYPE, 65, x", 0),
        ("AND, [DOMAIN, a.test], [dns-type, A], x", 24),
    ] {
        let error = parse_rule(line, &Flows).unwrap_err();
        assert_eq!(
            (error.code, error.start),
            ("rule-elsewhere", start),
            "{line}"
        );
        assert!(error.hint.unwrap().contains("dns.rules"));
    }
}
