//! `check`: what `--quiet`, `--deny` and `--on-unknown` make of it.

use super::{directory, run};

/// Two notes, and a warning.
const ODD: &str = "\
version: 1
inbounds:
  desk: { type: mixed, listen: \"127.0.0.1:7890\" }
rules:
  - PROCESS-NAME, mail, REJECT
  - DOMAIN-SUFFIX, example.com, RESET
  - DOMAIN, www.example.com, DIRECT
  - FALLBACK, DIRECT
";

/// What a run of `check` says, each problem by its place and code, and its exit code.
fn told(file: &str, arguments: &[&str]) -> (i32, Vec<String>, String) {
    let home = directory(&[("c.yaml", file)]);
    let arguments = [&["check", "c.yaml"], arguments].concat();
    let done = run(home.path(), &arguments, "");
    let heads = done
        .stdout
        .lines()
        .filter(|line| line.starts_with("c.yaml:"));
    let heads = heads.filter_map(|line| Some(line.split_once("]: ")?.0.to_owned()));
    (done.code, heads.collect(), done.stderr)
}

#[test]
fn what_is_no_configuration_is_told() {
    let home = directory(&[("own.case", "a.test:1 => DIRECT\n")]);
    let cases = run(home.path(), &["check", "own.case"], "");
    assert_eq!(cases.code, 2, "{}", cases.stderr);
    let told = "error: own.case holds cases, which `pointsman test` runs: name the configuration beside it";
    assert!(cases.stderr.starts_with(told), "{}", cases.stderr);
    let empty = run(home.path(), &["check", ""], "");
    assert_eq!((empty.code, &*empty.stdout), (2, ""), "{}", empty.stderr);
}

#[test]
fn carets_stand_at_what_is_meant_where_much_is_on_one_line() {
    let text = r#"version: 1
inbounds: { desk: { type: mixed, listen: "127.0.0.1:7890" } }
outbounds: { p: { type: socks5, server: "192.0.2.1:1" } }
rule_sets: { s: { domains: [b.test] }, unasked: { domains: [c.test] } }
forwards: { f: { listen: "tcp://127.0.0.1:7891", targets: [{ name: b, address: "tcp://192.0.2.1:2" }, { name: b, address: "tcp://192.0.2.1:3" }] } }
rules: ["DOMAIN-SUFFIX, a.test, p", "DOMAIN, x.a.test, RESET", "IP-CIDR, 10.0.0.0/8, p", "RULE-SET, s, p", "FALLBACK, DIRECT"]
tests: [{ flow: "x.a.test:1", expect: DIRECT }]
"#;
    let home = directory(&[("c.yaml", text)]);
    let done = run(home.path(), &["check", "c.yaml", "--format", "json"], "");
    let told: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let at = |place: &serde_json::Value| {
        let number = |key: &str| usize::try_from(place[key].as_u64().unwrap()).unwrap() - 1;
        let line = text.lines().nth(number("line")).unwrap();
        line[number("column")..].to_owned()
    };
    let check = |code: &str, meant: &str, related: Option<&str>| {
        let problems = told["problems"].as_array().unwrap();
        let problem = problems.iter().find(|it| it["code"] == code).unwrap();
        assert!(at(problem).starts_with(meant), "{problem}");
        let found = (!problem["related"].is_null()).then(|| at(&problem["related"]));
        assert!(
            found
                .as_deref()
                .unwrap_or_default()
                .starts_with(related.unwrap_or_default()),
            "{problem}"
        );
    };
    check("unused-set", "unasked: {", None);
    check(
        "duplicate-name",
        "b, address: \"tcp://192.0.2.1:3\"",
        Some("b, address: \"tcp://192.0.2.1:2\""),
    );
    check(
        "shadowed-rule",
        "DOMAIN, x.a.test, RESET",
        Some("DOMAIN-SUFFIX, a.test, p"),
    );
    check("never-sees-names", "IP-CIDR, 10.0.0.0/8, p", None);
    check("test-failed", "{ flow: ", Some("DOMAIN-SUFFIX, a.test, p"));
    let own = text.replace("tcp://192.0.2.1:2", "tcp://127.0.0.1:7890");
    let home = directory(&[("c.yaml", &own)]);
    let done = run(home.path(), &["check", "c.yaml"], "");
    let column = own.lines().nth(4).unwrap().find("127.0.0.1:7890").unwrap() + 1;
    assert!(
        done.stdout
            .contains(&format!("c.yaml:5:{column}: error[own-listener]")),
        "{}",
        done.stdout
    );
}

#[test]
fn quiet_tells_what_made_it_fail() {
    let check = |file: &str, arguments: &[&str], code: i32, heads: &[&str]| {
        let (ended, told, stderr) = told(file, arguments);
        assert_eq!(
            (ended, told),
            (code, heads.iter().map(|head| (*head).to_owned()).collect()),
            "{arguments:?}"
        );
        assert_eq!(
            stderr.is_empty(),
            arguments.contains(&"--quiet"),
            "{stderr}"
        );
    };
    let early = "c.yaml:6:5: note[answers-early";
    let (note, warning) = (
        "c.yaml:5:5: note[fails-open",
        "c.yaml:7:5: warning[shadowed-rule",
    );
    check(ODD, &[], 0, &[note, early, warning]);
    check(ODD, &["--quiet"], 0, &[]);
    check(ODD, &["--deny", "warnings"], 1, &[note, early, warning]);
    check(ODD, &["--deny", "warnings", "--quiet"], 1, &[warning]);
    let wrong = "version: 1\nrules:\n  - DOMAIN, a, DIRECT\n";
    let (code, told, _) = told(wrong, &["--quiet"]);
    assert_eq!(code, 1);
    assert!(
        !told.is_empty() && told.iter().all(|head| head.contains(": error[")),
        "{told:?}"
    );
}

/// Which rule is the first that makes flows over TCP wait for their first bytes.
#[test]
fn rules_on_datagrams_make_no_stream_wait() {
    let early = |rule: &str| {
        let text = format!(
            "version: 1\ninbounds: {{ in: {{ type: socks5, listen: \"127.0.0.1:1080\" }} }}\nrules:\n  - {rule}, RESET\n  - FALLBACK, DIRECT\n"
        );
        let (_, heads, _) = told(&text, &[]);
        heads.iter().any(|head| head.contains("answers-early"))
    };
    assert!(!early("PROTOCOL, quic"));
    assert!(!early("QUIC-VERSION, 2"));
    assert!(!early("OR, [PROTOCOL, stun], [PROTOCOL, dtls]"));
    assert!(!early("AND, [NETWORK, udp], [PROTOCOL, dns]"));
    assert!(!early("AND, [PROTOCOL, quic], [TLS-SNI, a.test]"));
    assert!(
        early("AND, [TLS-SNI, a.test], [PROTOCOL, quic]"),
        "in their order"
    );
    assert!(early("OR, [NETWORK, udp], [PROTOCOL, dns]"));
    assert!(early("AND, [NETWORK, tcp], [PROTOCOL, tls]"));
}

#[test]
fn what_breaks_may_be_refused() {
    let (code, told, _) = told(ODD, &["--on-unknown", "reject"]);
    assert_eq!(code, 0);
    assert!(
        !told.iter().any(|head| head.contains("fails-open")),
        "{told:?}"
    );
}

#[test]
fn scripts_read_in_one_field_whether_it_fails() {
    let home = directory(&[("c.yaml", ODD)]);
    let denied = |arguments: &[&str]| {
        let arguments = [&["check", "c.yaml", "--format", "json"], arguments].concat();
        let done = run(home.path(), &arguments, "");
        let list: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        (done.code, list["denied"].as_u64(), list["errors"].as_u64())
    };
    assert_eq!(denied(&[]), (0, Some(0), Some(0)));
    assert_eq!(denied(&["--deny", "warnings"]), (1, Some(1), Some(0)));
}

#[test]
fn notes_of_one_kind_are_told_once_to_people() {
    let rules = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
    let rules = rules.map(|range| format!("  - IP-CIDR, {range}, RESET\n"));
    let file = format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:7890\" }}\nrules:\n{}  - FALLBACK, DIRECT\n",
        rules
            .concat()
            .replace("IP-CIDR, 10.0.0.0/8", "ip-cidr, 10.0.0.0/8")
    );
    let home = directory(&[("c.yaml", file.as_str())]);
    let done = run(home.path(), &["check", "c.yaml"], "");
    let count = done.stdout.matches("note[never-sees-names]").count();
    assert_eq!(count, 1, "{}", done.stdout);
    assert!(
        done.stdout.contains("\n  and 2 more rules: lines 6, 7\n"),
        "{}",
        done.stdout
    );
    let done = run(home.path(), &["check", "c.yaml", "--format", "json"], "");
    let list: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let all = list["problems"].as_array().unwrap().iter();
    let blind = all.filter(|problem| problem["code"] == "never-sees-names");
    assert_eq!(blind.count(), 3);
}

/// A directory is reflow's alone: whoever names another one is told what is in it.
#[test]
fn a_directory_with_a_configuration_in_it_is_told() {
    let home = directory(&[
        ("one/pointsman.yaml", ODD),
        ("two/a.yaml", ODD),
        ("two/b.toml", ODD),
        ("none/x.txt", ODD),
    ]);
    let told = |name: &str| {
        let done = run(home.path(), &["check", name], "");
        assert_eq!(done.code, 1);
        done.stdout
    };
    let reflow = "hint: a directory is a configuration where reflow's `config` is in it";
    for (name, rest) in [
        ("one", "; did you mean `one/pointsman.yaml`?\n"),
        (
            "two",
            "; name one of the files: `two/a.yaml`, `two/b.toml`\n",
        ),
        ("none", "\n"),
    ] {
        let told = told(name);
        assert!(told.contains(&format!("{reflow}{rest}")), "{told}");
    }
}

/// A thousand problems are a bounded text, and what goes by their number is exact.
#[test]
fn many_problems_are_counted_and_not_all_told() {
    let outbound = |at: usize| {
        format!(
            "  up{at}: {{ type: socks5, server: \"127.0.0.1:{}\" }}\n",
            10_000 + at
        )
    };
    let outbounds: String = (0..1_000).map(outbound).collect();
    let file = format!("version: 1\npolicy: direct\noutbounds:\n{outbounds}");
    let home = directory(&[("c.yaml", file.as_str())]);
    let check = |arguments: &[&str], code: i32, summary: &str| {
        let arguments = [&["check", "c.yaml"], arguments].concat();
        let done = run(home.path(), &arguments, "");
        assert_eq!(done.code, code, "{}", done.stderr);
        assert!(done.stderr.contains(summary), "{}", done.stderr);
        assert!(done.stdout.len() < 120_000, "{}", done.stdout.len());
        done.stdout
    };
    let all = check(&[], 0, "0 errors, 1001 warnings");
    let more = "warning[guard-by-endpoint]: 900 more of this kind";
    assert!(all.contains(more), "{all}");
    check(
        &["--deny", "warnings"],
        1,
        "1001 errors (1001 warnings by `--deny warnings`)",
    );
    let allow = ["--allow", "guard-by-endpoint", "--deny", "warnings"];
    check(
        &allow,
        1,
        "1 error (1 warning by `--deny warnings`), 1000 allowed",
    );
    let list: serde_json::Value =
        serde_json::from_str(&check(&["--format", "json"], 0, "")).unwrap();
    assert_eq!(list["warnings"], 1001);
    // What would not be there is an error in each of its rules.
    let rules: String = (0..1_000)
        .map(|at| format!("  - DOMAIN, a{at}.test, nope{at}\n"))
        .collect();
    let file = format!("version: 1\nrules:\n{rules}  - FALLBACK, DIRECT\n");
    let home = directory(&[("c.yaml", file.as_str())]);
    let done = run(home.path(), &["check", "c.yaml"], "");
    assert!(
        done.stderr.contains("1000 errors") && done.code == 1,
        "{}",
        done.stderr
    );
    assert!(
        done.stdout
            .contains("error[unknown-outbound]: 900 more of this kind")
    );
}
