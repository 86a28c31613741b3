//! Rules of Clash as data, and the law that every way to read them reads the same.

use std::path::Path;

use pointsman_policy::Condition;
use pointsman_policy::condition::{AddressOf, Asks, DomainTest};
use pointsman_policy::line::{RuleLine, parse_rule};
use pointsman_policy::set::{Item, Place, Sink};
use proptest::prelude::*;

use super::*;
use crate::convert::from_foreign;
use crate::dialect::foreign::{Document, Foreign};
use crate::files::Memory;
use crate::list::{self, Behavior, Format, Recipe, Surroundings, Told};

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

/// The conditions of a list, as rules have them.
#[derive(Default)]
struct Taken(Vec<String>);

impl Sink for Taken {
    fn add(&mut self, item: Item<'_>, _: Place<'_>) {
        let condition = match item {
            Item::Exact(name) => Condition::Domain(DomainTest::Exact(name.into())),
            Item::Below(name) => {
                let itself = Condition::Domain(DomainTest::Exact(name.into()));
                let suffix = Condition::Domain(DomainTest::Suffix(name.into()));
                Condition::And(vec![suffix, Condition::Not(Box::new(itself))])
            }
            Item::Suffix(name) => Condition::Domain(DomainTest::Suffix(name.into())),
            Item::Prefix(prefix) => Condition::Address {
                of: AddressOf::Destination,
                prefix,
                asks: Asks::Resolve,
            },
            Item::Other(condition) => condition,
            _ => Condition::Never,
        };
        self.0.push(list::canonical(&condition));
    }
}

/// What a list of Clash's rules makes of one; `None` where it leaves it out.
fn of_list(rule: &str, format: Format) -> Option<String> {
    let text = match format {
        Format::Yaml => format!("payload:\n  - '{}'\n", rule.replace('\'', "''")),
        _ => format!("{rule}\n"),
    };
    let recipe = Recipe {
        format: Some(format),
        behavior: Some(Behavior::Clash),
        ..Recipe::default()
    };
    let (mut taken, mut told) = (Taken::default(), Told::default());
    let mut bytes = std::io::Cursor::new(text);
    list::read(
        &mut bytes,
        "l",
        &recipe,
        &Surroundings::resolving(),
        &mut taken,
        &mut told,
    )
    .ok()?;
    assert_eq!(
        taken.0.len() + told.left_out(),
        1,
        "{rule}: nothing goes in silence"
    );
    taken.0.pop()
}

/// What the converter makes of one in `rules`, and in the `payload` of a provider. In `rules` it leaves alternatives
/// out that it cannot say, and tells so: such a rule is `None`, as lists leave it out whole.
fn of_configuration(rule: &str) -> (Option<String>, Option<String>) {
    let quoted = rule.replace('\'', "''");
    // Flags stand behind the target.
    let parts = Parts::of(&quoted, false);
    let flags: String = parts.flags.iter().map(|flag| format!(",{flag}")).collect();
    let bare = quoted.strip_suffix(&flags).unwrap_or(&quoted);
    let text = format!(
        "mixed-port: 1\nrule-providers: {{ s: {{ type: inline, behavior: classical, payload: ['{quoted}'] }} }}\n\
         rules: ['{bare},REJECT{flags}', 'RULE-SET,s,REJECT', 'MATCH,DIRECT']\n"
    );
    let files = Memory::new([] as [(&str, &str); 0]);
    let document = Document::of(Foreign::Clash, &crate::Source::new("c", text));
    let converted = from_foreign(document, Path::new(""), &files);
    let Ok(converted) = converted else {
        return (None, None);
    };
    let source = crate::Source::new("c", converted.text);
    let root = crate::yaml::parse(&source, &mut crate::Problems::default());
    let find = |node: &crate::yaml::Node, key: &str| match &node.value {
        crate::yaml::Value::Map(pairs) => {
            let mut pairs = pairs.iter();
            pairs
                .find(|(own, _)| own.scalar() == Some(key))
                .map(|(_, value)| value.clone())
        }
        _ => None,
    };
    let first = |node: Option<crate::yaml::Node>| match node?.value {
        crate::yaml::Value::List(items) => items.first()?.scalar().map(str::to_owned),
        _ => None,
    };
    let condition = |line: &str| match parse_rule(line, &Surroundings::resolving()) {
        Ok(RuleLine::Rule { condition, .. }) => Some(list::canonical(&condition)),
        _ => None,
    };
    let mut report = converted.report.iter();
    let partly = report.any(|remark| remark.text.contains("for that alone"));
    let rules = first(root.as_ref().and_then(|root| find(root, "rules")));
    let rules = rules.filter(|_| !partly);
    let sets = root.as_ref().and_then(|root| find(root, "rule_sets"));
    let set = sets.and_then(|sets| find(&sets, "s"));
    let inline = first(set.and_then(|set| find(&set, "rules")));
    let inline = inline.and_then(|rule| condition(&format!("{rule}, REJECT")));
    (rules.and_then(|line| condition(&line)), inline)
}

/// Rules of Clash: good ones, and some that are none.
fn rule() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        "DOMAIN,[a-z]{1,3}\\.test",
        "domain-suffix,[A-Z]{1,3}\\.test",
        "DOMAIN-KEYWORD,[a-z]{1,4}",
        "DOMAIN-REGEX,\\^[ab]{1,2}\\{1,[2-9]\\}\\.test\\$",
        "DOMAIN-REGEX,(\\(a\\|b\\)|\\[a,b\\]|a#)[.a-z]{0,3}",
        "DOMAIN-WILDCARD,[a-z*?]{1,3}\\.test",
        "(DST|SRC|IN)-PORT,[1-9][0-9]{0,2}(/[1-9][0-9]{0,2})?",
        "(DST|SRC)-PORT,[1-9]-[1-9][0-9]",
        "(DST|SRC)-PORT,[1-9]{1,2}/(tcp|udp|x|)",
        "NETWORK,(tcp|UDP|x)",
        "IN-TYPE,(SOCKS|SOCKS5|HTTP|HTTP/HTTPS|TUN)",
        "IN-(USER|NAME),[a-z]{1,3}(/[a-z]{1,3})?",
        "IP-CIDR6?,10\\.[0-9]\\.0\\.0/(8|16|33)(,no-resolve)?(,src)?",
        "IP-CIDR6,fd00::/8(,no-resolve)?",
        "SRC-IP-CIDR,10\\.0\\.0\\.0/8",
        "DSCP,[0-9](/[0-9])?",
        "PROCESS-(NAME|PATH),[A-Za-z/.]{1,6}",
        "PROCESS-(NAME|PATH)-REGEX,[a-z]\\{1,2\\}",
        "PROCESS-NAME-WILDCARD,[A-Za-z*]{1,4}",
        "(UID|MATCH|SUB-RULE|GEOSITE|GEOIP),(5|cn|lan)",
    ];
    plain.prop_recursive(2, 8, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            (prop_oneof!["AND", "OR", "and"], many)
                .prop_map(|(kind, parts)| format!("{kind},(({}))", parts.join("),("))),
            inner.prop_map(|part| format!("NOT,(({part}))")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_rule_means_the_same_wherever_it_stands(rule in rule()) {
        // The converter makes sets for databases, which lists cannot name.
        let bases = rule.contains("GEO");
        let (in_rules, inline) = of_configuration(&rule);
        for format in [Format::Yaml, Format::Text] {
            let in_list = of_list(&rule, format);
            // Plain text has comments behind blanks, and lists know native rules besides.
            let native_too = rule.contains("/tcp") || rule.contains("/udp");
            if !bases && !native_too {
                prop_assert_eq!(&in_list, &in_rules, "{}", rule);
            }
        }
        if !bases {
            prop_assert_eq!(&inline, &in_rules, "{}", rule);
        }
    }
}
