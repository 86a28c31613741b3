//! `dns.listen` and the rules of the DNS server: keys, ends and problems.

use super::{check, setup};
use crate::setup::{DnsEnd, NameServer};

fn dns(text: &str, expected: &[&str]) {
    check(&format!("dns: {{ {text} }}"), expected);
}

#[test]
fn a_server_listens_by_both_transports_and_asks_the_first_upstream() {
    let setup = setup(
        "dns:\n  listen: 'udp://127.0.0.1:5353'\n  upstreams: { a: 'udp://1.1.1.1', b: { address: 'tcp://2.2.2.2', timeout: 1s } }\n",
    );
    let server = setup.dns.unwrap();
    let door = &server.doors[0];
    let listen: Vec<String> = door.listen.iter().map(|it| it.at.to_string()).collect();
    assert_eq!(listen, ["udp://127.0.0.1:5353", "127.0.0.1:5353"]);
    assert_eq!(&*door.name, "dns");
    let names: Vec<&str> = server.what.upstreams.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["a", "b", "system"]);
    assert_eq!(server.what.upstreams[1].timeout.as_secs(), 1);
    assert_eq!(server.what.upstreams[2].servers, [NameServer::System]);
    assert_eq!(server.what.ends[..2], [DnsEnd::Ask(0), DnsEnd::Ask(1)]);
    assert!(!server.what.asks_for_local_names);
}

#[test]
fn ends_are_upstreams_and_answers() {
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }, rules: ['DOMAIN, x.test, nxdomain', 'FALLBACK, A']",
        &[],
    );
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }, rules: ['DOMAIN, x.test, REJECT', 'FALLBACK, a']",
        &["1:98: error[unknown-end]: there is no upstream or answer `REJECT`"],
    );
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }, rules: ['DOMAIN, x.test, a']",
        &["1:81: error[missing-fallback]: the rule list of `dns` does not end with `FALLBACK`"],
    );
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }, policy: 'cond domain { b.test => zero }'",
        &["1:96: error[unknown-rule-set]: there is no rule set `b.test`"],
    );
}

#[test]
fn what_only_a_server_has_is_told_without_one() {
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, rules: ['FALLBACK, a'], limits: { waiting: 5 }",
        &[
            "1:1: warning[nothing-served]: there are neither inbounds nor forwards: nothing will be served",
            "1:43: warning[unused-key]: there is no DNS server that this is for: `dns.listen` is not given",
            "1:75: warning[unused-key]: there is no DNS server that this is for: `dns.listen` is not given",
        ],
    );
}

#[test]
fn addresses_of_servers_are_checked() {
    let listen = |text: &str, expected: &[&str]| dns(&format!("listen: {text}"), expected);
    listen("'udp://127.0.0.1'", &[]);
    listen(
        "['udp://127.0.0.1:53', { address: 'udp://[::1]:53', name: six }]",
        &[],
    );
    listen("{ address: 'udp://0.0.0.0:53', allow: [10.0.0.0/8] }", &[]);
    listen(
        "'udp://0.0.0.0:53'",
        &["1:16: warning[open-resolver]: anybody who reaches 0.0.0.0:53 can ask this DNS server"],
    );
    listen(
        "'127.0.0.1:53'",
        &["1:16: error[invalid-address]: `listen`: `127.0.0.1:53` is no address of a DNS server"],
    );
    listen(
        "'quic://127.0.0.1:853'",
        &[
            "1:1: warning[nothing-served]: there are neither inbounds nor forwards: nothing will be served",
            "1:16: note[not-yet]: not yet: queries by `quic://`; this address is not opened",
        ],
    );
    listen(
        "['udp://127.0.0.1:53', 'udp://127.0.0.1:53']",
        &[
            "1:39: error[duplicate-listen]: `dns-2` listens on udp://127.0.0.1:53, and the DNS server `dns` on udp://127.0.0.1:53",
            "1:39: error[duplicate-listen]: `dns-2` listens on 127.0.0.1:53, and the DNS server `dns` on 127.0.0.1:53",
        ],
    );
}

/// Outbounds, upstreams and rules of flows; what the DNS server is told beside them.
fn following(rules: &str, dns: &str) -> Vec<String> {
    let text = format!(
        "outbounds: {{ privacy: {{ type: socks5, server: '192.0.2.9:1' }}, work: {{ type: direct, interface: lo }} }}\n\
         inbounds: {{ desk: {{ type: mixed, listen: 0 }} }}\nrules:\n{rules}dns:\n  listen: 'udp://127.0.0.1:53'\n  \
         upstreams: {{ isp: 'udp://192.0.2.1', far: {{ address: 'udp://192.0.2.2', via: privacy }}, corp: {{ address: 'udp://192.0.2.3', via: work }} }}\n{dns}"
    );
    let problems = super::read(&text).problems;
    let shown = problems.0.iter().map(ToString::to_string);
    shown
        .map(|it| it.lines().next().unwrap().to_owned())
        .collect()
}

/// D16: who is asked is where flows leave; where that depends on a port somebody has to be named.
#[test]
fn names_are_followed_where_it_can_be_told() {
    let plain = "- DOMAIN-SUFFIX, corp.test, work\n- FALLBACK, DIRECT\n";
    assert_eq!(following(plain, ""), [""; 0]);
    let by_port = "- DOMAIN-SUFFIX, corp.test, work\n- AND, [DST-PORT, 443], [DOMAIN-SUFFIX, x.test], privacy\n- FALLBACK, DIRECT\n";
    assert_eq!(
        following(by_port, ""),
        [
            "pointsman.yaml:5:3: error[dns-undecided]: flows to `x.x.test` may leave by `privacy` or by `DIRECT`, which ask different upstreams for the name"
        ]
    );
    assert_eq!(following(by_port, "  undecided: far\n"), [""; 0]);
    // Names that rules of the server take need no way.
    let sent = "  rules: ['DOMAIN-SUFFIX, x.test, far', 'FALLBACK, follow']\n";
    assert_eq!(following(by_port, sent), [""; 0]);
    // A rule on ports alone concerns every name.
    let all = "- DST-PORT, 443, privacy\n- FALLBACK, DIRECT\n";
    assert_eq!(
        following(all, "  undecided: nobody\n"),
        ["pointsman.yaml:9:14: error[unknown-resolver]: `dns.upstreams` has no `nobody`"]
    );
    assert_eq!(
        following(all, ""),
        [
            "pointsman.yaml:4:3: error[dns-undecided]: flows to `no-rule-names-this.example` may leave by `privacy` or by `DIRECT`, which ask different upstreams for the name"
        ]
    );
}

#[test]
fn nobody_is_asked_in_silence() {
    let rules = "- DOMAIN, a.test, other\n- FALLBACK, DIRECT\n";
    let text = |dns: &str| {
        format!(
            "outbounds: {{ other: {{ type: socks5, server: '192.0.2.9:1' }} }}\ninbounds: {{ desk: {{ type: mixed, listen: 0 }} }}\n\
             rules:\n{rules}dns:\n  listen: 'udp://127.0.0.1:53'\n  upstreams: {{ isp: 'udp://192.0.2.1' }}\n{dns}"
        )
    };
    let told = |dns: &str| {
        let problems = super::read(&text(dns)).problems;
        let word = |it: &crate::Problem| format!("{:?}[{}]", it.severity, it.code).to_lowercase();
        problems.0.iter().map(word).collect::<Vec<_>>()
    };
    let said = "  rules: ['DOMAIN, b.test, isp', 'FALLBACK, follow']\n";
    assert_eq!(told(said), ["error[no-upstream-for]"]);
    // Nobody wrote that it is followed.
    assert_eq!(told(""), ["warning[no-upstream-for]"]);
    assert_eq!(told("  ask: { other: isp }\n"), [""; 0]);
    assert_eq!(
        told("  ask: { othr: isp }\n"),
        ["warning[no-upstream-for]", "error[unknown-outbound]"]
    );
    assert_eq!(told("  rules: ['FALLBACK, isp']\n"), [""; 0]);
}

#[test]
fn words_of_rules_are_no_names_of_upstreams() {
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { Drop: 'udp://1.1.1.1', a: 'udp://2.2.2.2' }, rules: ['FALLBACK, drop']",
        &[
            "1:51: error[reserved-name]: `drop` is a word of `dns.rules` and cannot be the name of an upstream",
        ],
    );
    dns(
        "upstreams: { zero: 'udp://1.1.1.1' }",
        &[
            "1:1: warning[nothing-served]: there are neither inbounds nor forwards: nothing will be served",
        ],
    );
}

#[test]
fn rules_that_no_query_meets_are_told() {
    let rule = |rule: &str, told: &[&str]| {
        dns(
            &format!(
                "listen: 'udp://127.0.0.1:53', upstreams: {{ a: 'udp://1.1.1.1' }}, rules: ['{rule}, nxdomain', 'FALLBACK, a']"
            ),
            told,
        );
    };
    let never = |what: &str| {
        format!("1:82: warning[never-given]: a query has no {what}: this rule never holds")
    };
    rule("DST-PORT, 53", &[&never("port")]);
    rule("IP-CIDR, 10.0.0.0/8", &[&never("address where it goes")]);
    rule("PROCESS-NAME, dig", &[&never("program that is known")]);
    rule(
        "AND, [DOMAIN, a.test], [PROTOCOL, http]",
        &[&never("first bytes")],
    );
    rule("OR, [DOMAIN, a.test], [DST-PORT, 53]", &[]);
    rule("SRC-IP-CIDR, 10.0.0.0/8", &[]);
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://127.0.0.1:53' }",
        &["1:54: error[dns-loop]: `dns` listens on 127.0.0.1:53: it would ask itself"],
    );
    // Resolvers of inbounds may.
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://127.0.0.1:53', b: 'udp://192.0.2.1' }, resolver: b",
        &[],
    );
}

#[test]
fn types_are_for_rules_on_queries() {
    let server = "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }";
    dns(
        &format!(
            "{server}, rules: ['AND, [DNS-TYPE, 65|svcb], [DOMAIN-SUFFIX, x.test], nodata', 'FALLBACK, a']"
        ),
        &[],
    );
    dns(
        &format!("{server}, policy: \"any [\\n cond dns.type in HTTPS, 64 => nodata\\n a\\n]\""),
        &[],
    );
    dns(
        &format!("{server}, rules: ['DNS-TYPE, HTTP, nodata', 'FALLBACK, a']"),
        &["1:92: error[bad-rule-content]: `HTTP` is no value of `dns.type`"],
    );
    check(
        "inbounds: { desk: { type: mixed, listen: 0 } }\npolicies: { p: ['DNS-TYPE, A, DIRECT', 'FALLBACK, DIRECT'] }",
        &["2:18: error[rule-elsewhere]: `DNS-TYPE` is for queries, and these rules are not"],
    );
    check(
        "inbounds: { desk: { type: mixed, listen: 0 } }\npolicies: { p: \"any [\\n cond dns.type eq A => reject\\n direct\\n]\" }",
        &["3:7: error[rule-elsewhere]: `dns.type` is for queries, and this tree is not"],
    );
}

/// What a type decides is tried for each that rules tell apart.
#[test]
fn names_are_followed_by_their_type() {
    let by_port = "- AND, [DST-PORT, 443], [DOMAIN-SUFFIX, x.test], privacy\n- FALLBACK, DIRECT\n";
    let sent = |rules: &str| {
        following(
            by_port,
            &format!("  rules: [{rules}, 'FALLBACK, follow']\n"),
        )
    };
    assert_eq!(sent("'DOMAIN-SUFFIX, x.test, far'"), [""; 0]);
    let undecided = |told: &[String]| told.len() == 1 && told[0].contains("dns-undecided");
    assert!(undecided(&sent(
        "'AND, [DOMAIN-SUFFIX, x.test], [NOT, [DNS-TYPE, A]], far'"
    )));
    assert!(undecided(&sent(
        "'AND, [DOMAIN-SUFFIX, x.test], [DNS-TYPE, A], far'"
    )));
}

#[test]
fn answers_have_rules_of_their_own() {
    let answers = |rules: &str, expected: &[&str]| {
        dns(
            &format!(
                "listen: 'udp://127.0.0.1:53', upstreams: {{ isp: 'udp://1.1.1.1', far: 'udp://2.2.2.2' }}, answers: {rules}"
            ),
            expected,
        );
    };
    answers(
        "['ANSWER-IP, 10.0.0.0/8, refused', 'AND, [ANSWER-IP, 127.0.0.0/8], [DNS-UPSTREAM, ISP], far']",
        &[],
    );
    answers(
        "['ANSWER-ALIAS, x.test, nxdomain', 'ANSWER-CODE, SERVFAIL|refused, far', 'FALLBACK, pass']",
        &[],
    );
    answers(
        "\"any [\\n cond answer.ip in 10.0.0.0-10.0.0.9 or answer.alias under x.test => zero\\n cond answer.code eq servfail and dns.upstream eq isp => far\\n]\"",
        &[],
    );
    answers(
        "['FALLBACK, follow']",
        &["1:118: error[unknown-end]: `follow` is for queries: an answer has come"],
    );
    answers(
        "['ANSWER-CODE, NXDOMIAN, zero']",
        &["1:121: error[bad-rule-content]: `NXDOMIAN` is no code of an answer"],
    );
    answers(
        "['DNS-UPSTREAM, ips, zero']",
        &["1:122: error[unknown-resolver]: `dns.upstreams` has no `ips`"],
    );
    answers(
        "['ANSWER-ALIAS, adz, zero']",
        &["1:122: error[unknown-rule-set]: there is no rule set `adz`"],
    );
    dns(
        "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }, rules: ['ANSWER-IP, 10.0.0.0/8, zero', 'DOMAIN, x.test, pass', 'FALLBACK, a']",
        &[
            "1:82: error[rule-elsewhere]: `ANSWER-IP` is for answers to queries, and these rules are not",
            "1:129: error[unknown-end]: `pass` is for `dns.answers`: here an upstream or an answer is named",
        ],
    );
}
