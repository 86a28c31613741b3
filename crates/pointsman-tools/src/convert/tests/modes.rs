//! Modes, in which the rules decide or do not, and lists of rules within lists.

use std::time::Duration;

use super::corners::{check, clash};
use super::foreign::converted;
use pointsman_config::dialect::foreign::Foreign;

#[test]
fn where_the_rules_do_not_decide_they_do_not_here() {
    let rules = "rules:\n  - DOMAIN,b.test,b\n  - MATCH,REJECT\n";
    let flows = |way: &'static str| [("dst=b.test:1", way), ("dst=else.test:1", way)];
    let text = clash(
        &format!(
            "mode: Global\nproxy-groups: [{{ name: g, type: select, proxies: [a] }}]\n{rules}"
        ),
        &flows("global direct"),
        &["`mode: global`: the rules do not decide"],
    );
    assert!(
        text.contains("GLOBAL: { type: select, members: [DIRECT, REJECT, a, b, g] }"),
        "{text}"
    );
    // A group of that name is the one.
    clash(
        &format!(
            "mode: global\nproxy-groups: [{{ name: GLOBAL, type: select, proxies: [a] }}]\n{rules}"
        ),
        &flows("global proxy"),
        &["`mode: global`"],
    );
    clash(
        &format!("mode: direct\n{rules}"),
        &flows("direct direct"),
        &[],
    );
    clash(
        &format!("mode: RULE\n{rules}"),
        &[("dst=b.test:1", "b proxy")],
        &[],
    );
    clash(
        &format!("mode: script\n{rules}"),
        &[("dst=b.test:1", "b proxy")],
        &["there is no mode `script`"],
    );
    // Rules may name it, too.
    clash(
        "rules:\n  - DOMAIN,b.test,GLOBAL\n  - MATCH,b\n",
        &[("dst=b.test:1", "global direct")],
        &[],
    );

    let conversion = converted(
        Foreign::Clash,
        "mixed-port: 1\nmode: global\nrules: ['MATCH,REJECT']\n",
    );
    let told = conversion.summary.to_string();
    assert!(
        told.contains("every flow goes to `GLOBAL`, whatever the rules below say"),
        "{told}"
    );
    assert!(told.contains("remove the rule `ALWAYS`"), "{told}");
}

#[test]
fn sing_boxs_rules_on_modes_hold_as_in_the_first_mode() {
    let of = |api: &str, ways: &[(&str, &str)]| {
        let text = format!(
            r#"{{"inbounds": [], "outbounds": [{{"type": "direct", "tag": "direct"}}, {{"type": "socks", "tag": "far", "server": "h", "server_port": 1}}],
            "experimental": {{ {api} }}, "route": {{"rules": [{{"clash_mode": "Direct", "outbound": "direct"}},
            {{"clash_mode": "global", "outbound": "far"}}, {{"action": "reject"}}]}}}}"#
        );
        check(Foreign::SingBox, &text, ways, &[]);
    };
    of(r#""clash_api": {}"#, &[("dst=a.test:1", "reject reject")]);
    of(
        r#""clash_api": {"default_mode": "direct"}"#,
        &[("dst=a.test:1", "direct direct")],
    );
    of(
        r#""clash_api": {"default_mode": "Global"}"#,
        &[("dst=a.test:1", "far proxy")],
    );
    // Nothing can say which mode it is.
    of("", &[("dst=a.test:1", "reject reject")]);
}

#[test]
fn names_are_asked_as_in_the_first_mode() {
    let text = r#"{"inbounds": [{"type": "mixed", "tag": "in", "listen_port": 1}], "outbounds": [{"type": "direct", "tag": "direct"}],
        "experimental": {"clash_api": {}}, "route": {}, "dns": {"servers": [{"tag": "a", "type": "udp", "server": "10.0.0.1"},
        {"tag": "b", "type": "udp", "server": "10.0.0.2"}], "rules": [{"clash_mode": "direct", "server": "b"},
        {"clash_mode": "global", "domain": "g.test", "server": "b"}, {"clash_mode": "rule", "domain": "r.test", "server": "b"}]}}"#;
    let text = check(Foreign::SingBox, text, &[], &[]);
    assert!(
        text.contains("\"=r.test\": b\n") && !text.contains("g.test"),
        "{text}"
    );
}

/// What tools write that move fields of inbounds to rules: the inbound is named, and is the only one.
#[test]
fn names_are_resolved_for_an_inbound_that_is_the_only_one() {
    let of = |inbounds: &str, ways: &[(&str, &str)], lost: &[&str]| {
        let text = format!(
            r#"{{"inbounds": [{{"type": "mixed", "tag": "in", "listen_port": 1}}{inbounds}], "outbounds": [{{"type": "direct", "tag": "direct"}}],
            "route": {{"rules": [{{"inbound": "in", "action": "resolve", "strategy": "prefer_ipv4"}},
            {{"ip_cidr": "10.0.0.0/8", "action": "reject"}}]}}}}"#
        );
        check(Foreign::SingBox, &text, ways, lost);
    };
    let flow = "dst=a.test:1 resolved=10.1.1.1";
    of(
        "",
        &[(flow, "reject reject")],
        &["rules see the first one alone"],
    );
    let two = r#", {"type": "socks", "tag": "other", "listen_port": 2}"#;
    of(
        two,
        &[(flow, "direct direct")],
        &["it resolves the names of some flows alone"],
    );
}

#[test]
fn lists_within_lists_end() {
    clash(
        "sub-rules:\n  one: ['SUB-RULE,(NETWORK,tcp),two', 'DOMAIN,a.test,a']\n  two: ['SUB-RULE,(DST-PORT,1),one', 'DOMAIN,b.test,b']\n\
         rules:\n  - SUB-RULE,(NETWORK,tcp),one\n  - MATCH,DIRECT\n",
        &[
            ("dst=a.test:1", "a proxy"),
            ("dst=b.test:1", "b proxy"),
            ("dst=c.test:1", "direct direct"),
        ],
        &["the list `one` leads back to itself, which Clash does not take"],
    );
    let deep: String = (0..12)
        .map(|n| {
            format!(
                "  l{n}: ['SUB-RULE,(NETWORK,tcp),l{}', 'DOMAIN,{n}.test,a']\n",
                n + 1
            )
        })
        .collect();
    clash(
        &format!("sub-rules:\n{deep}rules:\n  - SUB-RULE,(NETWORK,tcp),l0\n  - MATCH,DIRECT\n"),
        &[
            ("dst=7.test:1", "a proxy"),
            ("dst=8.test:1", "direct direct"),
        ],
        &["stands in 8 lists, one within the other"],
    );
}

/// What this thread has spent on a CPU, where the system says it: the machine may be busy.
fn spent() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Some hundred lines that stand for thirteen million rules.
#[test]
fn lists_that_name_each_other_often_are_bounded_and_told() {
    let mut text = String::from("mixed-port: 1\nproxies: []\nsub-rules:\n");
    for list in 0..5 {
        text.push_str(&format!("  l{list}:\n"));
        for number in 1..60 {
            text.push_str(&match list {
                4 => format!("    - DOMAIN,{number}.test,REJECT\n"),
                _ => format!("    - SUB-RULE,(DST-PORT,{number}),l{}\n", list + 1),
            });
        }
    }
    text.push_str("rules:\n  - SUB-RULE,(NETWORK,tcp),l0\n  - MATCH,DIRECT\n");
    let before = spent();
    let conversion = converted(Foreign::Clash, &text);
    // It took minutes; some seconds are those of a slow machine.
    let took = before.zip(spent()).map(|(before, after)| after - before);
    assert!(took < Some(Duration::from_secs(60)), "{took:?}");
    assert!(conversion.text.lines().count() < 21_000);
    let told = conversion
        .report
        .iter()
        .filter(|r| r.text.contains("have 20000 rules already"));
    assert!(told.count() > 50);
}

/// However often it is named, there is one; it begins with the direct way, and counts as that.
#[test]
fn the_group_of_all_is_written_once_and_begins_with_the_direct_way() {
    let text = clash(
        "mode: global\nrules:\n  - DOMAIN,b.test,GLOBAL\n  - DOMAIN,c.test,GLOBAL\n  - MATCH,a\n",
        &[("dst=b.test:1", "global direct")],
        &["`mode: global`"],
    );
    assert_eq!(text.matches("GLOBAL: {").count(), 1, "{text}");
    clash(
        "rule-providers:\n  s: { type: http, behavior: domain, url: 'https://x.test/s', proxy: DIRECT }\n\
         rules: ['NOT,((RULE-SET,s)),GLOBAL', 'MATCH,a']\n",
        &[("dst=x.test:1", "a proxy")],
        &["it sends directly what is not in a rule set that is fetched"],
    );
}

/// One long condition that stands before many rules.
#[test]
fn lists_below_a_long_condition_are_bounded_and_told() {
    let ports: Vec<String> = (1..6000).map(|port| format!("(DST-PORT,{port})")).collect();
    let rules: String = (0..5000)
        .map(|number| format!("    - DOMAIN,{number}.test,REJECT\n"))
        .collect();
    let text = format!(
        "mixed-port: 1\nproxies: []\nsub-rules:\n  l:\n{rules}rules:\n  - SUB-RULE,(OR,({})),l\n  - SUB-RULE,(NETWORK,tcp),l\n  - MATCH,DIRECT\n",
        ports.join(",")
    );
    let conversion = converted(Foreign::Clash, &text);
    assert!(conversion.text.len() < 9 << 20, "{}", conversion.text.len());
    let told = |r: &&crate::convert::Remark| r.text.contains("longer than 8 MiB");
    assert_eq!(conversion.report.iter().filter(told).count(), 1);
    // What is short is there.
    assert!(conversion.text.contains("4999.test"));
}
