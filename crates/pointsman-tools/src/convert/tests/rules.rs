//! The law that every way to read a rule of Clash reads the same: in `rules`, in a provider's `payload`, in lists.

use pointsman_policy::Condition;
use pointsman_policy::condition::{AddressOf, Asks, DomainTest};
use pointsman_policy::line::{Names, RuleLine, parse_rule, render_condition};
use pointsman_policy::set::{Item, Place, Sink};
use pointsman_policy::zone::Zones;
use proptest::prelude::*;

use super::foreign::convert;
use pointsman_config::clash_rule::Parts;
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::Memory;
use pointsman_config::list::{self, Behavior, Format, ReadReport, Recipe, Surroundings};
use pointsman_config::problem::{Problems, Source};
use pointsman_config::yaml;

/// A condition in the syntax of rules. Rule sets and zones, which lists cannot name, are not in it.
fn canonical(condition: &Condition) -> String {
    let names = Names {
        sets: &[],
        zones: &Zones::default(),
        ip_rules_resolve: true,
    };
    render_condition(condition, names)
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
        self.0.push(canonical(&condition));
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
    let (mut taken, mut told) = (Taken::default(), ReadReport::default());
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
    let Ok(converted) = convert(Foreign::Clash, &text, "", &files) else {
        return (None, None);
    };
    let source = Source::new("c", converted.text);
    let root = yaml::parse(&source, &mut Problems::default());
    let find = |node: &yaml::Node, key: &str| match &node.value {
        yaml::Value::Map(pairs) => {
            let mut pairs = pairs.iter();
            pairs
                .find(|(own, _)| own.scalar() == Some(key))
                .map(|(_, value)| value.clone())
        }
        _ => None,
    };
    let first = |node: Option<yaml::Node>| match node?.value {
        yaml::Value::List(items) => items.first()?.scalar().map(str::to_owned),
        _ => None,
    };
    let condition = |line: &str| match parse_rule(line, &Surroundings::resolving()) {
        Ok(RuleLine::Rule { condition, .. }) => Some(canonical(&condition)),
        _ => None,
    };
    let mut report = converted.report.iter();
    let partly = report.any(|remark| remark.text.contains("only for that"));
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
