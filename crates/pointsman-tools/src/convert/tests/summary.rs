//! The end of reports: what works as before, what does not, what to do next.

use super::foreign::converted;
use crate::convert::Summary;
use pointsman_config::dialect::foreign::Foreign;

/// Each of these words stands in the part, and with `!` before it in none.
pub(super) fn check(told: &Summary, works: &[&str], changed: &[&str], next: &[&str]) {
    let parts = [
        (&told.works, works),
        (&told.changed, changed),
        (&told.next, next),
    ];
    for (lines, words) in parts {
        for word in words {
            match word.strip_prefix('!') {
                Some(word) => assert!(!lines.iter().any(|l| l.contains(word)), "{word}\n{told}"),
                None => assert!(lines.iter().any(|l| l.contains(word)), "{word}\n{told}"),
            }
        }
    }
}

fn clash(text: &str, works: &[&str], changed: &[&str], next: &[&str]) {
    let told = converted(Foreign::Clash, text).summary;
    check(&told, works, changed, next);
}

#[test]
fn groups_that_begin_with_what_refuses_are_told() {
    let text = "mixed-port: 7890
proxies:
- { name: hk, type: vmess, server: a.test, port: 1 }
- { name: odd, type: tuic, server: a.test, port: 1 }
- { name: near, type: socks5, server: 127.0.0.1, port: 1080 }
- { name: far, type: ss, server: a.test, port: 1, dialer-proxy: near }
proxy-groups:
- { name: PROXY, type: select, proxies: [auto, near, DIRECT] }
- { name: auto, type: select, proxies: [odd, hk] }
- { name: chained, type: select, proxies: [far, DIRECT] }
- { name: ads, type: select, proxies: [REJECT, DIRECT] }
- { name: good, type: select, proxies: [near, hk] }
- { name: both, type: relay, proxies: [near, hk] }
- { name: none, type: select, use: [gone] }
rules:
- DOMAIN,a.test,ads
- MATCH,PROXY
";
    let until = "so flows to it are refused until another member is selected";
    clash(
        text,
        &[
            "1 inbound: `mixed` at 127.0.0.1:7890",
            "1 of 4 proxies: `near`",
            "1 group",
            "`ads` (`REJECT`)",
            "1 rule",
            "looked up by the system's resolver",
        ],
        &[
            "3 of 4 proxies refuse every flow: `hk` (vmess, not built yet), `odd` (tuic, not built yet), `far` (shadowsocks, not built yet)",
            &format!(
                "the group `PROXY` begins with `auto`, then `odd` (tuic, not built yet), {until}"
            ),
            &format!("the group `auto` begins with `odd` (tuic, not built yet), {until}"),
            &format!("the group `chained` begins with `far` (shadowsocks, not built yet), {until}"),
            "the group `none` has no members, so flows to it are refused until you write some",
            "flows that no rule takes go to `PROXY`, and are refused",
            "`both` goes through a proxy that refuses (vmess, not built yet), so flows to it are refused",
            "!`far` goes",
            "!ads",
        ],
        &[
            "`pointsman outbounds select 'PROXY' 'near'`",
            "type: socks5, server: \"127.0.0.1:PORT\"",
            // A way around the proxies is nothing to recommend.
            "!'DIRECT'",
            "!'chained'",
        ],
    );
}

/// A proxy that is built and stands behind one that is not works no more than that.
#[test]
fn a_proxy_behind_one_that_refuses_is_no_working_one() {
    clash(
        "mixed-port: 7890
proxies:
- { name: a, type: socks5, server: 192.0.2.1, port: 1, dialer-proxy: b }
- { name: b, type: vmess, server: a.test, port: 1 }
- { name: c, type: socks5, server: 192.0.2.1, port: 2, dialer-proxy: d }
- { name: d, type: http, server: 192.0.2.1, port: 3 }
rules:
- MATCH,a
",
        &["2 of 4 proxies: `c`, `d`"],
        &[
            "2 of 4 proxies refuse every flow: `a` (behind a proxy that refuses: vmess, not built yet), `b` (vmess, not built yet)",
            "flows that no rule takes go to `a`, and are refused",
        ],
        &[],
    );
}

#[test]
fn what_is_resolved_for_some_flows_alone_is_no_longer() {
    let text = |inbounds: &str| {
        format!(
            r#"{{"inbounds": [{{"type": "mixed", "tag": "in", "listen_port": 1}}{inbounds}], "outbounds": [{{"type": "direct", "tag": "direct"}}],
            "route": {{"rules": [{{"inbound": "in", "action": "resolve"}}, {{"inbound": "in", "action": "resolve"}},
            {{"ip_cidr": "10.0.0.0/8", "action": "reject"}}]}}}}"#
        )
    };
    let said = "a `resolve` of some flows alone is left out";
    let told = |inbounds| converted(Foreign::SingBox, &text(inbounds)).summary;
    let two = told(r#", {"type": "socks", "tag": "other", "listen_port": 2}"#);
    check(&two, &[], &[said], &[]);
    let lines = two.changed.iter().filter(|line| line.contains(said));
    assert_eq!(lines.count(), 1);
    check(&told(""), &[], &[&format!("!{said}")], &[]);
}

#[test]
fn what_works_is_told_as_working() {
    clash(
        "mixed-port: 1\nrules:\n- DOMAIN,a.test,REJECT\n- MATCH,DIRECT\n",
        &[
            "1 inbound",
            "1 rule",
            "flows that no rule takes go to `DIRECT`",
        ],
        &["!"],
        &["pointsman check FILE"],
    );
    let text = r#"{"outbounds": [{"type": "direct", "tag": "direct"}, {"type": "hysteria", "tag": "h"}], "inbounds": [{"type": "tun"}],
        "dns": {"servers": [{"tag": "d", "type": "udp", "server": "10.0.0.1", "detour": "h"}]}, "route": {"final": "h",
        "rules": [{"domain": "a.test", "outbound": "direct"}, {"wifi_ssid": "w", "outbound": "h"}],
        "rule_set": [{"tag": "cn", "type": "remote", "url": "https://lists.test/cn.srs"}]}}"#;
    let told = converted(Foreign::SingBox, text).summary;
    check(
        &told,
        &["1 rule", "!inbound", "!proxy"],
        &[
            // By the outbound for all that names none.
            "1 rule set stays empty, so no rule on it holds, because what fetches it refuses every flow: `cn` (by way of `h`)",
            "flows of programs that know no proxy do not come in: capturing them (`tun`) is not built yet",
            "no program can connect",
            "1 proxy refuses every flow: `h` (hysteria, not built yet)",
            "1 rule is left out: flows that it took go to the rules below",
            "flows that no rule takes go to `h`, and are refused",
        ],
        &[
            "rule sets with `via: h` are not fetched until it is replaced",
            "write an inbound",
        ],
    );
}

/// However long a configuration is, its summary is short.
#[test]
fn summaries_are_short() {
    let proxies: String = (0..200)
        .map(|n| format!("- {{ name: p{n}, type: vmess, server: a.test, port: 1 }}\n"))
        .collect();
    let groups: String = (0..200)
        .map(|n| format!("- {{ name: g{n}, type: select, proxies: [p{n}] }}\n"))
        .collect();
    let text = format!("mixed-port: 1\nproxies:\n{proxies}proxy-groups:\n{groups}rules: []\n");
    let told = converted(Foreign::Clash, &text).summary;
    check(
        &told,
        &[],
        &[
            "200 proxies refuse every flow",
            "and 195 more",
            "flows to 195 more of the groups are refused, too",
        ],
        &[],
    );
    assert!(told.to_string().lines().count() < 20, "{told}");
}

#[test]
fn groups_that_changed_by_themselves_no_longer_work_as_before() {
    let proxies = "mixed-port: 9\nproxies:
- { name: a, type: socks5, server: 127.0.0.1, port: 1 }
- { name: b, type: socks5, server: 127.0.0.1, port: 2 }
proxy-groups:
- { name: hand, type: select, proxies: [Auto, a] }
- { name: one, type: fallback, proxies: [a] }
- { name: Auto, type: url-test, proxies: [a, b] }
";
    clash(
        &format!("{proxies}rules: ['MATCH,hand']\n"),
        &["2 groups"],
        &["1 group no longer changes by itself: `Auto` is `a` until you select another member"],
        &["`pointsman outbounds select GROUP MEMBER`"],
    );
    clash(
        &format!(
            "{proxies}- {{ name: all, type: load-balance, proxies: [b, a] }}\nrules: ['MATCH,hand']\n"
        ),
        &["2 groups"],
        &[
            "2 groups no longer change by themselves",
            "`Auto` is `a`, `all` is `b`",
        ],
        &[],
    );
    let text = r#"{"outbounds": [{"type": "direct", "tag": "d"}, {"type": "socks", "tag": "s", "server": "127.0.0.1", "server_port": 1},
        {"type": "urltest", "tag": "t", "outbounds": ["s", "d"]}], "inbounds": [], "route": {"final": "t"}}"#;
    let told = converted(Foreign::SingBox, text).summary;
    check(&told, &["!1 group"], &["`t` is `s` until you"], &[]);
}

#[test]
fn lists_that_can_never_be_fetched_are_told() {
    let text = "mixed-port: 9
proxies:
- { name: hk, type: vmess, server: a.test, port: 1 }
- { name: near, type: socks5, server: 127.0.0.1, port: 1080 }
proxy-groups:
- { name: PROXY, type: select, proxies: [hk, near] }
rule-providers:
  l1: { type: http, behavior: domain, url: 'https://x.test/1', proxy: PROXY }
  l2: { type: http, behavior: domain, url: 'https://x.test/2', proxy: hk }
  l3: { type: http, behavior: domain, url: 'https://x.test/3', proxy: near }
rules:
- RULE-SET,l1,near
- RULE-SET,l2,near
- RULE-SET,l3,near
- MATCH,DIRECT
";
    let clash = converted(Foreign::Clash, text).summary;
    check(
        &clash,
        &[],
        &[
            "2 rule sets stay empty, so no rule on them holds, because what fetches them refuses every flow: `l1` (by way of `PROXY`), \
             `l2` (by way of `hk`)",
        ],
        &[
            "1 rule set is fetched by the daemon when it runs, and is empty until then: `l3`",
            "`pointsman outbounds select 'PROXY' 'near'`",
            "rule sets with `via: hk` are not fetched until it is replaced",
        ],
    );
    let selects = clash.next.iter().filter(|l| l.contains("select 'PROXY'"));
    assert_eq!(selects.count(), 1, "{clash}");
    let text = r#"{"outbounds": [{"type": "direct", "tag": "direct"}, {"type": "hysteria", "tag": "h"}], "inbounds": [{"type": "mixed", "listen_port": 1}],
        "route": {"rules": [{"rule_set": "cn", "outbound": "direct"}],
        "rule_set": [{"tag": "cn", "type": "remote", "url": "https://lists.test/cn.srs", "download_detour": "h"}]}}"#;
    check(
        &converted(Foreign::SingBox, text).summary,
        &[],
        &[
            "1 rule set stays empty, so no rule on it holds",
            "`cn` (by way of `h`)",
        ],
        &["!fetched by the daemon", "rule sets with `via: h`"],
    );
}

#[test]
fn name_servers_that_the_rules_lead_to_are_told_with_what_to_do() {
    clash(
        "mixed-port: 1
proxies:
- { name: near, type: socks5, server: 127.0.0.1, port: 1080 }
dns: { enable: true, respect-rules: true, nameserver: [1.1.1.1, 'https://doh.test/q'], proxy-server-nameserver: [1.1.1.1] }
rules:
- GEOIP,CN,DIRECT
- MATCH,near
",
        &[],
        &["`respect-rules: true`: the rules choose by which outbound Clash asks its name servers"],
        &["`nameserver: { address: \"tcp://ADDRESS\", via: near }`"],
    );
}

/// Each rule that no line of the original is has a line of the report.
#[test]
fn rules_that_are_added_are_told() {
    let check = |text: &str, rule: &str, word: &str| {
        let done = converted(Foreign::Clash, text);
        assert!(done.text.contains(rule), "{}", done.text);
        let told = done.report.iter().any(|r| r.text.contains(word));
        assert!(told, "{word}: {:?}", done.report);
    };
    let head = "mixed-port: 1\nproxies: []\n";
    check(
        &format!("{head}ipv6: false\nrules: ['MATCH,DIRECT']\n"),
        "::/0, REJECT",
        "`IP-CIDR, ::/0, no-resolve` refuses",
    );
    check(
        &format!("{head}rules: ['DOMAIN,a.test,REJECT']\n"),
        "FALLBACK, DIRECT",
        "`FALLBACK, DIRECT` is added, because that is where Clash sends them",
    );
    check(
        &format!("{head}rules: ['MATCH,gone']\n"),
        "FALLBACK, REJECT",
        "`FALLBACK, REJECT` is added in its place",
    );
}

/// A rule that leads to what refuses, or asks for a list that is never there, does not work as before.
#[test]
fn rules_that_do_not_work_are_not_counted_as_working() {
    let text = "mixed-port: 1
proxies:
- { name: near, type: socks5, server: 127.0.0.1, port: 1080 }
- { name: hk, type: vmess, server: a.test, port: 1 }
proxy-groups:
- { name: auto, type: select, proxies: [hk, near] }
rule-providers:
  stuck: { type: http, url: 'https://a.test/l', proxy: hk, behavior: domain }
  gone: { type: file, path: gone.yaml, behavior: domain }
rules:
- DOMAIN,a.test,near
- DOMAIN,b.test,hk
- DOMAIN,c.test,auto
- DOMAIN,d.test,REJECT
- RULE-SET,stuck,near
- RULE-SET,gone,near
- MATCH,DIRECT
";
    clash(
        text,
        &["2 of 6 rules", "flows that no rule takes go to `DIRECT`"],
        &[
            "2 rules lead to what refuses every flow, so what they take is refused: `auto`, `hk`",
            "2 rules ask for a rule set that is not available, so they take no flow by it: `gone`, `stuck`",
        ],
        &[
            "put the files of these rule sets where the result looks for them, else nothing is served: `gone`",
        ],
    );
}

/// Clients that ask the DNS server of the original get no answer: that is no note.
#[test]
fn what_clients_of_a_name_server_lose_is_told() {
    let dns = |keys: &str| {
        let text = format!(
            "mixed-port: 1\nproxies: []\ndns: {{ enable: true, nameserver: [1.1.1.1]{keys} }}\nrules: ['MATCH,DIRECT']\n"
        );
        let done = converted(Foreign::Clash, &text);
        let lost = done.report.iter().filter(|remark| !remark.equal);
        let lost: Vec<String> = lost.map(|remark| remark.text.clone()).collect();
        (lost.join("\n"), done.summary)
    };
    assert_eq!(dns("").0, "");
    assert_eq!(dns(", enhanced-mode: redir-host").0, "");
    let (lost, _) = dns(", enhanced-mode: fake-ip");
    assert!(
        lost.contains("`enhanced-mode: fake-ip` is not carried over"),
        "{lost}"
    );
    let fake = |on: bool| {
        let text = format!(
            r#"{{"outbounds": [{{"type": "direct", "tag": "d"}}], "inbounds": [], "dns": {{"fakeip": {{"enabled": {on}, "inet4_range": "198.18.0.0/15"}}}}}}"#
        );
        let report = converted(Foreign::SingBox, &text).report;
        report
            .iter()
            .any(|it| !it.equal && it.text.contains("`fakeip`"))
    };
    assert!(fake(true) && !fake(false));
}

/// Lists are fetched by the way that the original fetches them by, or it is told that they are not.
#[test]
fn lists_are_fetched_by_the_same_way() {
    let sing_box = |more: &str| {
        let text = format!(
            r#"{{"outbounds": [{{"type": "socks", "tag": "far", "server": "10.0.0.1", "server_port": 1}}, {{"type": "direct", "tag": "d"}}], "inbounds": [],
            "route": {{"rules": [{{"rule_set": "l", "outbound": "d"}}], {more} "rule_set": [{{"tag": "l", "type": "remote", "url": "https://l.test/l.srs"}}]}}}}"#
        );
        converted(Foreign::SingBox, &text).text
    };
    assert!(sing_box("").contains("via: far"), "{}", sing_box(""));
    let last = sing_box(r#""final": "d","#);
    assert!(!last.contains("via: far"), "{last}");
    let clash = |more: &str| {
        let text = format!(
            "mixed-port: 1\nproxies: []\nrule-providers: {{ l: {{ type: http, url: 'https://l.test/l', behavior: classical{more} }} }}\n\
             rules: ['RULE-SET,l,REJECT', 'MATCH,DIRECT']\n"
        );
        let report = converted(Foreign::Clash, &text).report;
        let lost = report.iter().filter(|remark| !remark.equal);
        lost.map(|remark| remark.text.clone())
            .collect::<Vec<_>>()
            .join("\n")
    };
    // Of its entries nothing is known before it is there.
    assert!(clash("").starts_with("this list is fetched directly") && !clash("").contains('\n'));
    assert_eq!(clash(", proxy: DIRECT"), "");
}
