//! Rules in JSON: what each becomes, and what is wrong with each.

use std::io::Cursor;

use pointsman_policy::set::{Item, Place, Sink};

use crate::list::numbered::canonical;
use crate::list::{Format, ReadReport, Recipe, Surroundings, read};

/// Entries as `LINE KIND TEXT`.
#[derive(Default)]
pub(in crate::list) struct Shown(pub(in crate::list) Vec<String>);

impl Sink for Shown {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let text = match item {
            Item::Below(name) => format!("_ {}", name.as_str()),
            Item::Exact(name) => format!("= {}", name.as_str()),
            Item::Except(_) | Item::Important { .. } => unreachable!("no binary list has any"),
            Item::ExceptBelow(name) => format!("!_ {}", name.as_str()),
            Item::ExceptExact(name) => format!("!= {}", name.as_str()),
            Item::ExceptSuffix(name) => format!("!+ {}", name.as_str()),
            Item::Other(condition) => format!("? {}", canonical(&condition)),
            Item::Prefix(prefix) => format!("/ {prefix}"),
            Item::Suffix(name) => format!("+ {}", name.as_str()),
        };
        self.0.push(format!("{} {text}", place.line));
    }
}

/// The entries, then what was told with its lines; the error where there is one.
pub(in crate::list) fn told_of(list: &[u8], recipe: &Recipe) -> Result<Vec<String>, String> {
    let (mut sink, mut told) = (Shown::default(), ReadReport::default());
    let (mut bytes, scope) = (Cursor::new(list), Surroundings::default());
    let done = read(&mut bytes, "", recipe, &scope, &mut sink, &mut told);
    done.map_err(|error| error.to_string())?;
    sink.0.extend(told.reasons.iter().map(|reason| {
        let lines = std::iter::once(&reason.first.line).chain(&reason.lines);
        let lines: Vec<String> = lines.map(u32::to_string).collect();
        format!("{} ! {}", lines.join(","), reason.message)
    }));
    Ok(sink.0)
}

fn shown(text: &str) -> String {
    let recipe = Recipe {
        format: Some(Format::SrsJson),
        ..Recipe::default()
    };
    match told_of(text.as_bytes(), &recipe) {
        Ok(told) => told.join("; "),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn rules_are_entries_or_conditions() {
    let check = |rules: &str, expected: &str| {
        let text = format!("{{\"version\": 4, \"rules\": [{rules}]}}");
        assert_eq!(shown(&text), expected, "{rules}");
    };
    check("", "");
    check(r#"{"domain": "a.test"}"#, "1 = a.test");
    let twice = |key: &str| {
        format!(
            "1 ! the key `{key}` stands twice in a rule, and only the last one is read: write all under one"
        )
    };
    check(
        r#"{"domain": "a.test", "domain": "b.test"}"#,
        &format!("1 = b.test; {}", twice("domain")),
    );
    check(
        r#"{"type": "logical", "mode": "and", "rules": [{"port": 1, "port": 2}, {"domain": "a.test"}]}"#,
        &format!(
            "1 ? AND, [DST-PORT, 2], [DOMAIN, a.test]; {}",
            twice("port")
        ),
    );
    check(
        "{\"domain\": [\n\"A.test\",\n\"b.test\"]}",
        "2 = a.test; 3 = b.test",
    );
    check(
        r#"{"domain_suffix": ["a.test", ".b.test"]}"#,
        "1 + a.test; 1 _ b.test",
    );
    check(
        r#"{"domain_keyword": "Kw", "domain_regex": "^a.*$"}"#,
        "1 ? DOMAIN-KEYWORD, kw; 1 ? DOMAIN-REGEX, ^a.*$",
    );
    check(
        r#"{"ip_cidr": ["10.0.0.0/8", "::1", "x"]}"#,
        "1 / 10.0.0.0/8; 1 / ::1/128; 1 ! `x` is not an IPv4 or IPv6 address",
    );
    check(
        r#"{"domain": [], "domain_suffix": "a.test", "port": [], "invert": false, "type": "default", "wifi_ssid": null}"#,
        "1 + a.test",
    );
    check(
        r#"{"domain": "a.test"}, {"ip_cidr": "10.0.0.0/8"}"#,
        "1 = a.test; 1 / 10.0.0.0/8",
    );
    check(
        r#"{"domain": "a.test", "port": 443}"#,
        "1 ? AND, [DOMAIN, a.test], [DST-PORT, 443]",
    );
    check(
        r#"{"port": [80, 443], "source_port_range": ":1023", "source_port": 5, "source_ip_cidr": "10.0.0.1"}"#,
        "1 ? AND, [SRC-IP-CIDR, 10.0.0.1/32], [DST-PORT, 80|443], [SRC-PORT, 0-1023|5]",
    );
    check(
        r#"{"process_name": ["a", "b"], "process_path": "/c", "network": "udp"}"#,
        "1 ? AND, [OR, [PROCESS-NAME, a], [PROCESS-NAME, b]], [PROC-PATH, /c], [NETWORK, udp]",
    );
    check(
        r#"{"domain": "a.test", "invert": true}"#,
        "1 ? NOT, [DOMAIN, a.test]",
    );
    check(
        r#"{"type": "logical", "mode": "and", "invert": true, "rules": [{"domain": "a.test"}, {"port": 1}]}"#,
        "1 ? NOT, [AND, [DOMAIN, a.test], [DST-PORT, 1]]",
    );
    check(
        r#"{"type": "logical", "mode": "or", "rules": [{"domain": "a.test"}, {"type": "logical", "mode": "or", "rules": [{"port": 1}]}]}"#,
        "1 ? OR, [DOMAIN, a.test], [DST-PORT, 1]",
    );
    check(
        r#"{"domain": ["a..b", "c.test"]}"#,
        "1 = c.test; 1 ! `a..b` is no domain: the name has an empty label",
    );
}

#[test]
fn a_rule_with_what_cannot_be_said_is_left_out_whole() {
    let check = |rule: &str, expected: &str| {
        let text = format!("{{\"version\": 4, \"rules\": [{{\"domain\": \"x.test\"}},\n{rule}]}}");
        assert_eq!(
            shown(&text),
            format!("1 = x.test; 2 ! a rule is left out: {expected}")
        );
    };
    let unknown = |key: &str| format!("`{key}` asks for what is not known here");
    for key in super::UNSAYABLE {
        let rule = format!("{{\"domain\": \"a.test\", \"{key}\": [\"b\"]}}");
        check(&rule, &unknown(key));
    }
    check(
        r#"{"type": "logical", "mode": "or", "rules": [{"domain": "a.test"}, {"wifi_ssid": "b"}]}"#,
        &unknown("wifi_ssid"),
    );
    check(
        r#"{"domain": ["a..b"], "port": 1}"#,
        "`a..b` is no domain: the name has an empty label",
    );
    check(
        r#"{"domain_regex": "(", "port": 1}"#,
        "no regular expression: unclosed group",
    );
    check(
        r#"{"ip_cidr": "x", "port": 1}"#,
        "`x` is not an IPv4 or IPv6 address",
    );
    check("{}", "the rule asks for nothing");
    check(r#"{"domain": []}"#, "the rule asks for nothing");
    check(r#"{"invert": true}"#, "the rule asks for nothing");
    check(r#"{"port_range": "9:1"}"#, "`9:1` is no range of ports");
}

#[test]
fn what_is_no_rule_set_is_an_error_with_its_place() {
    let check = |text: &str, expected: &str| assert_eq!(shown(text), format!("error: {expected}"));
    let rules = |rules: &str| format!("{{\"version\": 4, \"rules\": [{rules}]}}");
    check(
        &rules(r#"{"domian": "a"}"#),
        "the key `domian` is unknown; did you mean `domain`?",
    );
    check(
        &rules(r#"{"type": "logical", "mode": "and", "rules": [{"prt": 1}]}"#),
        "the key `prt` is unknown; did you mean `port`?",
    );
    check(
        &rules(r#"{"type": "logical", "mode": "xor", "rules": []}"#),
        "`mode` is `and` or `or`",
    );
    check(
        &rules(r#"{"type": "other"}"#),
        "the type \"other\" is unknown",
    );
    check(
        &rules(r#"{"port": "443"}"#),
        "`port` is a port or a list of them",
    );
    check(
        &rules(r#"{"port": 70000}"#),
        "`port` is a port or a list of them",
    );
    check(
        &rules(r#"{"domain": 5}"#),
        "invalid type: integer `5`, expected for `domain` a text or a list of texts",
    );
    check(&rules("5"), "invalid type: integer `5`, expected a rule");
    check(
        "{\"version\": 9, \"rules\": []}",
        "the version 9 is unknown",
    );
    check("{\"rules\": []}", "missing field `version`");
    check(
        "{\"version\": 1, \"rule\": []}",
        "the key `rule` is unknown; did you mean `rules`?",
    );
    check(
        "[]",
        "invalid type: sequence, expected an object with `version` and `rules`",
    );
    check("{\"version\": 1, \"rules\": [", "EOF while parsing a list");
    check("{\"version\": 1} x", "trailing characters");
    check("", "EOF while parsing a value");
}

#[test]
fn patterns_are_bounded_wherever_they_stand() {
    let many = vec!["\"a\""; 5000].join(",");
    let too_many = "a list holds at most 4096 patterns";
    let check = |rules: String, entries: usize, bad: usize| {
        let shown = shown(&format!("{{\"version\": 1, \"rules\": [{rules}]}}"));
        let (told, taken): (Vec<_>, Vec<_>) = shown.split("; ").partition(|e| e.contains(too_many));
        assert_eq!((taken.len(), told.len()), (entries, bad), "{told:?}");
    };
    // They are bad for one reason.
    check(format!("{{\"domain_regex\": [{many}]}}"), 4096, 1);
    check(
        format!("{{\"domain\": \"x\"}}, {{\"port\": 1, \"domain_regex\": [{many}]}}"),
        1,
        1,
    );
    check(
        format!("{{\"domain\": \"x\"}}, {{\"process_path_regex\": [{many}]}}"),
        1,
        1,
    );
    let one = "{\"port\": 1, \"domain_regex\": \"a\"}";
    check(vec![one; 4100].join(","), 4096, 1);
}

#[test]
fn comments_and_last_commas_are_read_at_the_same_lines() {
    let check = |text: &str, expected: &str| assert_eq!(shown(text), expected, "{text}");
    check(
        "{\n // a\n \"version\": 1, # b\n \"rules\": [ {\"domain_suffix\": [\n\"a.test\", /* c\n */ \"b.test\",]}, ]}\n// d",
        "5 + a.test; 6 + b.test",
    );
    check(
        "// a\n{\"version\":1,\"rules\":[{\"domain\":[\"a.test\"]},],}",
        "2 = a.test",
    );
    check("{\"version\":1,\"rules\":[,]}", "error: expected value");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let recipe = Recipe::default();
    let text = "// a\n{\"version\": 1,\n \"rules\": [ {\"domain\": [\"a.test\" \"b.test\"]} ]}";
    let (mut sink, mut told) = (Shown::default(), ReadReport::default());
    let mut bytes = Cursor::new(text);
    let error = read(
        &mut bytes,
        "",
        &recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    )
    .unwrap_err();
    let mut problems = crate::Problems::default();
    error.report("l.json", None, &mut problems);
    let shown: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    let expected = "l.json:3:34: error[invalid-list]: expected `,` or `]`\n  \
                    |  \"rules\": [ {\"domain\": [\"a.test\" \"b.test\"]} ]}\n  \
                    |                                  ^";
    assert_eq!(shown, [expected]);
}
