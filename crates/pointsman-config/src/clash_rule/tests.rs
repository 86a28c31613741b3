//! Rules of Clash as data.

use super::*;

fn native(rule: &str) -> Result<String, String> {
    let mut base = |base: Base| match base {
        Base::Lan => Ok("OR, [IP-CIDR, 10.0.0.0/8], [IP-CIDR, fc00::/7]".to_owned()),
        base => Ok(format!("RULE-SET, {base:?}")),
    };
    let mut reader = Reader {
        base: &mut base,
        any_case: true,
    };
    reader.condition(rule)
}

#[test]
fn rules_of_clash_in_native_words() {
    let check = |rule: &str, expected: &str| {
        assert_eq!(native(rule).as_deref(), Ok(expected), "{rule}");
    };
    check("DOMAIN,a.test", "DOMAIN, a.test");
    check("domain-suffix, a.test ,no-resolve", "DOMAIN-SUFFIX, a.test");
    check(
        "DOMAIN-SUFFIX,a.test,extended-matching",
        "DOMAIN-SUFFIX, a.test",
    );
    check(
        "DOMAIN-REGEX,^e{1,2}\\.test$",
        "DOMAIN-REGEX, '^e{1,2}\\.test$'",
    );
    check(
        "DOMAIN-REGEX,[ab]\\.test,no-resolve",
        "DOMAIN-REGEX, '[ab]\\.test'",
    );
    check(
        "DOMAIN-WILDCARD,*.w?ld.test",
        "DOMAIN-REGEX, ^.*\\.w.ld\\.test$",
    );
    check("DST-PORT,80/443/8000-8080", "DST-PORT, 80|443|8000-8080");
    check(
        "IN-PORT,7890/7891",
        "OR, [INBOUND, any:7890], [INBOUND, any:7891]",
    );
    check("IN-USER,me", "INBOUND, me@any");
    check("IN-NAME,a/b", "OR, [INBOUND-ALIAS, a], [INBOUND-ALIAS, b]");
    check("IN-TYPE,SOCKS5", "INBOUND, socks5");
    check(
        "IP-CIDR,10.0.0.0/8,no-resolve,src",
        "SRC-IP-CIDR, 10.0.0.0/8",
    );
    check(
        "IP-CIDR6,fd00::/8,no-resolve",
        "IP-CIDR, fd00::/8, no-resolve",
    );
    check("PROCESS-NAME,Foo.exe", "PROCESS-NAME-IGNORE-CASE, Foo.exe");
    check(
        "PROCESS-NAME-WILDCARD,*foo*",
        "PROCESS-NAME-REGEX, (?i)^.*foo.*$",
    );
    check(
        "PROCESS-PATH-REGEX,.*/a{1,2}/.*",
        "PROC-PATH-REGEX, '(?i).*/a{1,2}/.*'",
    );
    check("GEOSITE,CN", "RULE-SET, Site(\"cn\")");
    check(
        "GEOIP,lan,no-resolve",
        "OR, [IP-CIDR, 10.0.0.0/8, no-resolve], [IP-CIDR, fc00::/7, no-resolve]",
    );
    check(
        "AND,((DOMAIN-SUFFIX,a.test),(DST-PORT,80/443))",
        "AND, [DOMAIN-SUFFIX, a.test], [DST-PORT, 80|443]",
    );
    check(
        "or, ( (DOMAIN,a.test) , (NOT,((NETWORK,UDP))) )",
        "OR, [DOMAIN, a.test], [NOT, [NETWORK, UDP]]",
    );
    check(
        "NOT,((DOMAIN-REGEX,^(a|b),[0-9]{1,2}$))",
        "NOT, [DOMAIN-REGEX, '^(a|b),[0-9]{1,2}$']",
    );
    check(
        "AND,((IP-CIDR,10.0.0.0/8,no-resolve),(DST-PORT,80))",
        "AND, [IP-CIDR, 10.0.0.0/8, no-resolve], [DST-PORT, 80]",
    );
    check("OR,((DOMAIN,a.test))", "DOMAIN, a.test");
    // What Clash does not know is left to native rules.
    check("NOT,((TLS-SNI,a.test))", "NOT, [TLS-SNI, a.test]");
}

#[test]
fn what_cannot_be_said_whole_is_refused() {
    let check = |rule: &str, expected: &str| {
        assert_eq!(native(rule), Err(expected.to_owned()), "{rule}");
    };
    check("MATCH", "`MATCH` stands in `rules` alone");
    check("MATCH,DIRECT", "`MATCH` stands in `rules` alone");
    check("UID,5", "the native language has no `UID`");
    check("DOMAIN", "`DOMAIN` needs a content");
    check(
        "DOMAIN,a.test,Proxy",
        "`Proxy` means nothing behind a condition",
    );
    // Native rules have networks there: it would be all of TCP.
    check(
        "DST-PORT,443/tcp",
        "`tcp` is no number and no range of `DST-PORT`",
    );
    check(
        "DST-PORT,443/",
        "`` is no number and no range of `DST-PORT`",
    );
    check("GEOIP,cn,src", "`GEOIP` of the source cannot be asked");
    check(
        "AND,(DOMAIN,a.test)",
        "`DOMAIN` must be in brackets: `(TYPE,CONTENT)`",
    );
    check(
        "AND,[DOMAIN,a.test],[DST-PORT,443]",
        "`[DOMAIN,a.test],[DST-PORT,443]` is in square brackets; Clash has round ones: `AND,((TYPE,CONTENT),(TYPE,CONTENT)),TARGET`",
    );
    check("NOT,()", "`` must be in brackets: `(TYPE,CONTENT)`");
    check(
        "AND,((DOMAIN,a.test),(UID,5))",
        "the native language has no `UID`",
    );
    check(
        "NOT,((DOMAIN,a.test),(DOMAIN,b.test))",
        "`NOT` has one condition",
    );
    check(
        "AND,((DOMAIN-REGEX,^a\\($),(DST-PORT,80))",
        "`((DOMAIN-REGEX,^a\\($),(DST-PORT,80))` has a bracket without its pair",
    );
    check(
        "OR,((DOMAIN,a.test),(MATCH))",
        "`MATCH` stands in `rules` alone",
    );
    let deep = format!("{}DOMAIN,a{}", "NOT,((".repeat(100), "))".repeat(100));
    check(&deep, "logic deeper than 16 levels");
}

#[test]
fn targets_stand_last_where_contents_have_commas() {
    let check = |rule: &str, content: &str, target: Option<&str>, flags: &[&str]| {
        let parts = Parts::of(rule, true);
        assert_eq!(
            (parts.content.as_str(), parts.target),
            (content, target),
            "{rule}"
        );
        assert_eq!(parts.flags, flags, "{rule}");
    };
    check("DOMAIN-REGEX,^e{1,2}$,P", "^e{1,2}$", Some("P"), &[]);
    check("PROCESS-PATH-REGEX,a,b,P", "a,b", Some("P"), &[]);
    check("AND,((A,1),(B,2)),P", "((A,1),(B,2))", Some("P"), &[]);
    check("SUB-RULE,(NETWORK,tcp),s", "(NETWORK,tcp)", Some("s"), &[]);
    check(
        "IP-CIDR,10.0.0.0/8,P,no-resolve,src",
        "10.0.0.0/8",
        Some("P"),
        &["no-resolve", "src"],
    );
    check(
        "AND,((A,1),(B,2)),P,no-resolve",
        "((A,1),(B,2))",
        Some("P"),
        &["no-resolve"],
    );
    check("MATCH,P", "", Some("P"), &[]);
    check("FINAL,P,dns-failed", "", Some("P"), &["dns-failed"]);
    check("DOMAIN,a.test", "a.test", None, &[]);
    check("DOMAIN,a.test,", "a.test", None, &[]);
    check("DOMAIN", "", None, &[]);
    check("", "", None, &[]);
}
