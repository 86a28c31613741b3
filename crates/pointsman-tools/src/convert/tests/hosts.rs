//! sing-box's name servers of type `hosts`, and `log`: carried over, or told with the line.

use super::corners::check;
use super::foreign::converted;
use pointsman_config::dialect::foreign::Foreign;

/// What the file says under `dns`, one line an item; then what is told.
fn says(rules: &str, last: &str, parts: &[&str], lost: &[&str]) {
    let text = format!(
        r#"{{"dns": {{"servers": [
        {{"type": "hosts", "tag": "own", "path": "lan.hosts",
          "predefined": {{"nas.lan": "10.0.0.5",
            "Two.lan": ["10.0.0.6", "fd00::6"],
            "odd.lan": "nas.lan"}}}},
        {{"type": "udp", "tag": "isp", "server": "10.0.0.1"}}], "rules": [
        {rules}], "final": "{last}"}}, "inbounds": [], "outbounds": [{{"type": "direct", "tag": "direct"}}], "route": {{}}}}"#
    );
    let always = [
        "c:2: dns.servers[0].path: warning: names in `lan.hosts` are not carried over",
        "c:5: dns.servers[0].predefined.odd.lan: warning: `odd.lan`",
    ];
    let lost = [&always, lost].concat();
    let text = check(Foreign::SingBox, &text, &[], &lost);
    for part in parts {
        match part.strip_prefix('!') {
            None => assert!(text.contains(part), "{part}\n{text}"),
            Some(part) => assert!(!text.contains(part), "{part}\n{text}"),
        }
    }
}

const BOTH: [&str; 2] = [
    "    nas.lan: \"10.0.0.5\"\n",
    "    two.lan: [\"10.0.0.6\", \"fd00::6\"]\n",
];

#[test]
fn names_with_fixed_addresses_are_carried_over() {
    let any = r#"{"ip_accept_any": true, "server": "own"}"#;
    let all = [BOTH[0], BOTH[1], "!domains", "!own:"];
    says(any, "isp", &all, &[]);
    says(
        r#"{"preferred_by": ["own"], "server": "own"}"#,
        "isp",
        &all,
        &[],
    );
    says("", "own", &[BOTH[0], BOTH[1], "resolver: own"], &[]);
    // Of a rule that names names, those alone.
    let one = r#"{"domain": ["nas.lan", "else.lan"], "server": "own"}"#;
    says(
        one,
        "isp",
        &[BOTH[0], "!two.lan", "\"=else.lan\": own", "!\"=nas.lan\""],
        &[],
    );
    says(
        r#"{"domain_suffix": "lan", "ip_accept_any": true, "server": "own"}"#,
        "isp",
        &all,
        &[],
    );
    says(
        r#"{"domain_suffix": "lan", "server": "own"}"#,
        "isp",
        &[BOTH[0], BOTH[1], "    lan: own\n"],
        &[],
    );
}

#[test]
fn a_name_that_is_asked_elsewhere_has_no_fixed_address() {
    let rules =
        r#"{"domain": "nas.lan", "server": "isp"}, {"ip_accept_any": true, "server": "own"}"#;
    says(
        rules,
        "isp",
        &["!10.0.0.5", BOTH[1], "\"=nas.lan\": isp"],
        &[],
    );
    says("", "isp", &["!10.0.0.5", "!two.lan", "!own"], &[]);
    let left = |rule, why| says(rule, "isp", &["!10.0.0.5", "!own:"], &[why]);
    left(
        r#"{"ip_accept_any": true, "server": "isp"}"#,
        "`ip_accept_any` of `isp`",
    );
    left(
        r#"{"preferred_by": "isp", "server": "own"}"#,
        "`preferred_by` of `isp`",
    );
    left(
        r#"{"ip_accept_any": true, "query_type": "AAAA", "server": "own"}"#,
        "it asks for `query_type`",
    );
}

/// Addresses alone are looked up here: a rule on other records says nothing, and one on both kinds of addresses no more
/// than one without the types.
#[test]
fn rules_on_types_of_records_are_told_where_they_matter() {
    let other = r#"{"query_type": ["HTTPS", 64], "action": "reject"}"#;
    says(other, "isp", &["!domains", "!no-answer"], &[]);
    let both = r#"{"query_type": ["a", 28], "domain": "x.test", "server": "own"}"#;
    says(both, "isp", &["\"=x.test\": own"], &[]);
    let predefined = r#"{"domain": "x.test", "action": "predefined", "rcode": "NXDOMAIN", "answer": ["x.test. IN A 10.0.0.7"]}"#;
    says(
        predefined,
        "isp",
        &["\"=x.test\": no-answer"],
        &["the action `predefined` is not built yet"],
    );
}

#[test]
fn levels_of_the_log_are_carried_over() {
    let level = |log: &str| {
        let text = format!(r#"{{"log": {log}, "inbounds": [], "outbounds": [], "route": {{}}}}"#);
        let conversion = converted(Foreign::SingBox, &text);
        let lines = conversion.text.lines();
        let line = lines.filter(|line| line.starts_with("log:")).collect();
        let of_log = |remark: &&crate::convert::Remark| remark.place.contains(": log");
        let told = conversion.report.iter().filter(of_log);
        let told: Vec<String> = told.map(ToString::to_string).collect();
        (line, told.join("; "))
    };
    let check = |log: &str, line: &str, told: &str| {
        let (is, says): (String, String) = level(log);
        assert_eq!(is, line, "{log}");
        assert!(
            says.contains(told) && says.is_empty() == told.is_empty(),
            "{log}: {says}"
        );
    };
    check("{}", "", "");
    for known in ["trace", "debug", "info", "warn", "error"] {
        let log = format!(r#"{{"level": "{known}"}}"#);
        check(&log, &format!("log: {{ level: {known} }}"), "");
    }
    check(r#"{"level": "warning"}"#, "log: { level: warn }", "");
    check(
        r#"{"level": "panic"}"#,
        "log: { level: error }",
        "c:1: log.level: note: there is no level `panic`",
    );
    check(
        r#"{"level": "loud"}"#,
        "",
        "c:1: log.level: note: there is no level `loud`",
    );
    check(
        r#"{"disabled": true, "level": "debug"}"#,
        "log: { level: error }",
        "c:1: log.disabled: note",
    );
    check(
        r#"{"level": "info", "output": "x.log"}"#,
        "log: { level: info }",
        "c:1: log.output: note",
    );
    let clash = |word: &str| {
        let conversion = converted(
            Foreign::Clash,
            &format!("log-level: {word}\nmixed-port: 1\nproxies: []\nrules: []\n"),
        );
        let told = conversion.report.iter().map(ToString::to_string);
        let told: Vec<String> = told.filter(|told| told.contains("level")).collect();
        (
            conversion.text.contains("log: { level: error }"),
            told.join("; "),
        )
    };
    let silent = "c:1: note: there is no level `silent` here: errors are logged";
    assert_eq!(clash("silent"), (true, silent.to_owned()));
    assert!(
        clash("loud")
            .1
            .starts_with("c:1: note: there is no level `loud`")
    );
    assert_eq!(clash("error"), (true, String::new()));
}
