//! Whole answers in each dialect, and which policy, inbound and forward a flow meets.

use expect_test::{Expect, expect};

use super::*;

/// A group's members by number.
struct Selected(u32);

impl Selection for Selected {
    fn selected(&self, _group: OutboundId) -> Option<OutboundId> {
        Some(OutboundId(self.0))
    }
}

fn load_files(path: &str, files: &[(&str, &str)]) -> Setup {
    let loaded = load(
        Path::new(path),
        None,
        None,
        &Memory::new(files.iter().copied()),
    );
    let problems: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    loaded
        .setup
        .unwrap_or_else(|| panic!("{}", problems.join("\n")))
}

/// The whole answer.
fn whole(setup: &Setup, flow: &str, expected: Expect) {
    let query = Query::parse(flow).unwrap();
    let answer = match explain(setup, &query, &First, Detail::Folded) {
        Ok(explanation) => serde_json::to_string(&explanation).unwrap(),
        Err(error) => format!("error: {error}"),
    };
    expected.assert_eq(&answer);
}

/// `outbound/member action: reason`.
fn short(setup: &Setup, flow: &str, expected: Expect) {
    let query = Query::parse(flow).unwrap();
    let answer = match explain(setup, &query, &First, Detail::Folded) {
        Ok(Explanation {
            decision, reason, ..
        }) => format!(
            "{}{} {}: {reason}",
            decision.outbound.as_deref().unwrap_or("none"),
            decision
                .member
                .map(|member| format!("/{member}"))
                .unwrap_or_default(),
            decision.action.as_str()
        ),
        Err(error) => format!("error: {error}"),
    };
    expected.assert_eq(&answer);
}

fn reflow() -> Setup {
    let config = "egress far = socks5 127.0.0.1:2123\n\
        relay {\n rule=main\n listen=socks5 127.0.0.1:1080\n}\n\
        relay {\n rule=other\n listen=socks5 127.0.0.1:1081\n}\n\
        rule main = any [\n  cond domain {\n    secret => far\n  }\n  cond ip {\n    home => direct\n  }\n]\n\
        rule other = any [\n  reset\n]\n";
    let files = [
        ("config", config),
        ("namezone/secret", "com.twitter\n"),
        ("addrzone/home", "192.168.0.0/16\n"),
    ];
    load_files("config", &files)
}

#[test]
fn reflow_trees() {
    let setup = reflow();
    whole(
        &setup,
        "dst=m.twitter.com:443",
        expect![[
            r#"{"decision":{"outbound":"far","action":"proxy","member":null},"rule":{"text":"secret => far","file":"config","line":12,"entry":{"text":"com.twitter","file":"namezone/secret","line":1}},"reason":"`secret => far` (config:12): domain is m.twitter.com (given), in zone secret by com.twitter (namezone/secret:1)","trace":[{"file":"config","line":12,"text":"secret => far","result":"yes","because":"domain is m.twitter.com (given), in zone secret by com.twitter (namezone/secret:1)"}],"asked":["sniff"],"flow":{"network":"tcp","dst":"m.twitter.com:443"}}"#
        ]],
    );
    whole(
        &setup,
        "dst=a.example:443 resolved=192.168.1.5",
        expect![[
            r#"{"decision":{"outbound":"direct","action":"direct","member":null},"rule":{"text":"home => direct","file":"config","line":15,"entry":{"text":"192.168.0.0/16","file":"addrzone/home","line":1}},"reason":"`home => direct` (config:15): ip is 192.168.1.5 (given), in zone home by 192.168.0.0/16 (addrzone/home:1)","trace":[{"skipped":1},{"file":"config","line":15,"text":"home => direct","result":"yes","because":"ip is 192.168.1.5 (given), in zone home by 192.168.0.0/16 (addrzone/home:1)"}],"look_up":{"name":"a.example","upstream":null,"servers":["udp 8.8.8.8:53"],"reason":"the inbound's resolver"},"asked":["sniff","resolve"],"flow":{"network":"tcp","dst":"a.example:443"}}"#
        ]],
    );
    whole(
        &setup,
        "dst=1.2.3.4:443",
        expect![[
            r#"{"decision":{"outbound":null,"action":"none","member":null},"rule":null,"reason":"no rule matched, and there is no catch-all","trace":[{"skipped":2}],"asked":["sniff"],"flow":{"network":"tcp","dst":"1.2.3.4:443"},"hints":["the name was not said, and a rule looks at it: add `domain=NAME`"]}"#
        ]],
    );
    // The name in the first bytes goes before the one asked for.
    short(
        &setup,
        "dst=twitter.com:443 domain=a.example",
        expect!["none none: no rule matched, and there is no catch-all"],
    );
    // Each relay has its policy.
    short(
        &setup,
        "dst=m.twitter.com:443 inbound=socks5:1081",
        expect!["reset reset: no rule comes before it: `reset` (config:19)"],
    );
    short(
        &setup,
        r#"{"dst":"twitter.com:1","inbound":{"port":1081}}"#,
        expect!["reset reset: no rule comes before it: `reset` (config:19)"],
    );
    short(
        &setup,
        "dst=twitter.com:1 inbound=socks5:1080",
        expect![
            "far proxy: `secret => far` (config:12): domain is twitter.com (given), in zone secret by com.twitter (namezone/secret:1)"
        ],
    );
    short(
        &setup,
        "domain=twitter.com",
        expect!["error: `dst` is missing: where does the flow go?"],
    );
}

fn bitflow() -> Setup {
    let config = "server:\n  proxies:\n\
        \x20   - name: smtp\n      listener:\n        address: 127.0.0.1:25\n\
        \x20       authorized_sources: [10.0.0.0/8]\n\
        \x20     target:\n        address: mail.example.com:26\n\
        \x20   - name: ssh\n      listener:\n        address: 127.0.0.1:22\n\
        \x20     target:\n        address: localhost:2222\n";
    load_files("b.yaml", &[("b.yaml", config)])
}

#[test]
fn bitflow_forwards() {
    let setup = bitflow();
    whole(
        &setup,
        "src=10.0.0.1:5 inbound=forward:smtp",
        expect![[
            r#"{"decision":{"outbound":"smtp","action":"direct","member":"target"},"rule":{"text":"target: target","file":"b.yaml","line":7,"entry":null},"reason":"no earlier rule decided (1 tried): `target: target` (b.yaml:7)","trace":[{"skipped":1},{"file":"b.yaml","line":7,"text":"target: target","result":"yes","because":"it always matches"}],"asked":[],"flow":{"network":"tcp","src":"10.0.0.1:5","inbound":{"type":"forward","name":"smtp","port":null,"user":null}}}"#
        ]],
    );
    short(
        &setup,
        "src=11.0.0.1:5 inbound=forward:smtp",
        expect![
            "reset reset: `not in authorized_sources: 10.0.0.0/8` (b.yaml:6): source is 11.0.0.1 (given)"
        ],
    );
    short(
        &setup,
        "src=11.0.0.1:5",
        expect![
            "reset reset: `not in authorized_sources: 10.0.0.0/8` (b.yaml:6): source is 11.0.0.1 (given)"
        ],
    );
    short(
        &setup,
        "src=11.0.0.1:5 inbound=forward:22",
        expect!["ssh/target direct: no rule comes before it: `target: target` (b.yaml:12)"],
    );
    short(
        &setup,
        r#"{"inbound":{"name":"ssh"}}"#,
        expect!["ssh/target direct: no rule comes before it: `target: target` (b.yaml:12)"],
    );
    short(
        &setup,
        "inbound=forward:imap",
        expect![
            "error: `inbound`: there is no forward `imap` (did you mean `smtp`? there are: smtp, ssh)"
        ],
    );
    short(
        &setup,
        "inbound=forward:143",
        expect![
            "error: `inbound`: there is no inbound of type `forward` on port 143 (there are: smtp (forward, port 25), ssh (forward, port 22))"
        ],
    );
    short(
        &setup,
        "dst=smtp.example:25 inbound=forward:ssh",
        expect!["ssh/target direct: no rule comes before it: `target: target` (b.yaml:12)"],
    );
}

fn native() -> Setup {
    let config = r#"version: 1
inbounds:
  desk: { type: mixed, listen: "127.0.0.1:7890", users: { alice: secret } }
outbounds:
  near: { type: socks5, server: "127.0.0.1:1", udp: false }
  far: { type: http, server: "127.0.0.1:2" }
  one: { type: select, members: [near, far, direct] }
dns:
  upstreams: { isp: "udp://192.0.2.1:53" }
rules:
  - "DOMAIN, group.example, one"
  - "INBOUND, alice@socks5:7890, far"
  - "INBOUND-ALIAS, desk, near"
  - "FALLBACK, direct"
"#;
    load_files("n.yaml", &[("n.yaml", config)])
}

#[test]
fn groups_and_transport() {
    let setup = native();
    whole(
        &setup,
        "dst=group.example:1",
        expect![[
            r#"{"decision":{"outbound":"one","action":"proxy","member":"near"},"rule":{"text":"DOMAIN, group.example, one","file":"n.yaml","line":11,"entry":null},"reason":"`DOMAIN, group.example, one` (n.yaml:11): domain is group.example (given)","trace":[{"file":"n.yaml","line":11,"text":"DOMAIN, group.example, one","result":"yes","because":"domain is group.example (given)"}],"asked":[],"flow":{"network":"tcp","dst":"group.example:1"}}"#
        ]],
    );
    whole(
        &setup,
        "dst=group.example:1 network=udp",
        expect![[
            r#"{"decision":{"outbound":"one","action":"reject","member":"near"},"rule":{"text":"DOMAIN, group.example, one","file":"n.yaml","line":11,"entry":null},"reason":"outbound `near` carries no UDP: `udp: true` is not set; `DOMAIN, group.example, one` (n.yaml:11): domain is group.example (given)","trace":[{"file":"n.yaml","line":11,"text":"DOMAIN, group.example, one","result":"yes","because":"domain is group.example (given)"},{"file":"","line":0,"text":"network udp","result":"yes","because":"outbound `near` carries no UDP: `udp: true` is not set"}],"asked":[],"flow":{"network":"udp","dst":"group.example:1"}}"#
        ]],
    );
    short(
        &setup,
        "dst=a.example:1 network=udp",
        expect!["direct direct: no earlier rule decided (3 tried): `FALLBACK, direct` (n.yaml:14)"],
    );
    let far = setup
        .outbounds
        .iter()
        .position(|o| *o.name == *"far")
        .unwrap();
    let query = Query::parse("dst=group.example:1").unwrap();
    let selected = Selected(u32::try_from(far).unwrap());
    let explained = explain(&setup, &query, &selected, Detail::Folded).unwrap();
    assert_eq!(explained.decision.member.as_deref(), Some("far"));
    // What is no member is not selected.
    let explained = explain(&setup, &query, &Selected(u32::MAX), Detail::Folded).unwrap();
    assert_eq!(explained.decision.member.as_deref(), Some("near"));
}

#[test]
fn inbounds_are_completed_from_the_configuration() {
    let setup = native();
    short(
        &setup,
        "dst=a.example:1",
        expect!["direct direct: no earlier rule decided (3 tried): `FALLBACK, direct` (n.yaml:14)"],
    );
    short(
        &setup,
        "dst=a.example:1 inbound=alice@socks5:7890",
        expect![
            "far proxy: `INBOUND, alice@socks5:7890, far` (n.yaml:12): inbound is alice@socks5:7890 (given)"
        ],
    );
    short(
        &setup,
        "dst=a.example:1 inbound=alice@socks5",
        expect![
            "near proxy: `INBOUND-ALIAS, desk, near` (n.yaml:13): inbound.name is desk (given)"
        ],
    );
    short(
        &setup,
        "dst=a.example:1 inbound=http:7890",
        expect![
            "near proxy: `INBOUND-ALIAS, desk, near` (n.yaml:13): inbound.name is desk (given)"
        ],
    );
    short(
        &setup,
        "dst=a.example:1 inbound=http:7891",
        expect![
            "error: `inbound`: there is no inbound of type `http` on port 7891 (there are: desk (mixed, port 7890))"
        ],
    );
    short(
        &setup,
        "dst=a.example:1 inbound=elsewhere",
        expect!["error: `inbound`: there is no inbound `elsewhere` (there are: desk)"],
    );
    short(
        &setup,
        "dst=a.example:1 inbound=desk",
        expect![
            "near proxy: `INBOUND-ALIAS, desk, near` (n.yaml:13): inbound.name is desk (given)"
        ],
    );
}

/// Flows of `gests` must not pass for those of the first inbound.
#[test]
fn a_flow_by_an_inbound_that_is_not_there_is_refused() {
    let config = r#"version: 1
inbounds:
  desk: { type: mixed, listen: "127.0.0.1:1080" }
  guests: { type: http, listen: "127.0.0.1:8080", policy: guests, users: { alice: secret, bob: secret } }
forwards: { web: { listen: "tcp://127.0.0.1:81", targets: [{ name: a, address: "tcp://127.0.0.1:82" }] } }
rules:
  - .REQUEST: { matches: "NETWORK, udp", id: 7 }
  - "FALLBACK, DIRECT"
policies: { guests: ["DST-PORT, 443, DIRECT", "FALLBACK, REJECT"] }
"#;
    let setup = load_files("n.yaml", &[("n.yaml", config)]);
    let check = |flow: &str, expected: Expect| {
        let flow = match flow.starts_with('{') {
            true => flow.to_owned(),
            false => format!("dst=example.org:80 {flow}"),
        };
        short(&setup, &flow, expected);
    };
    check(
        "inbound=guests",
        expect!["REJECT reject: no earlier rule decided (1 tried): `FALLBACK, REJECT` (n.yaml:9)"],
    );
    check(
        "inbound=gests",
        expect![
            "error: `inbound`: there is no inbound `gests` (did you mean `guests`? there are: web, desk, guests)"
        ],
    );
    check(
        "inbound=lna",
        expect!["error: `inbound`: there is no inbound `lna` (there are: web, desk, guests)"],
    );
    check(
        r#"{"dst":"example.org:80","inbound":{"name":"gests"}}"#,
        expect![
            "error: `inbound`: there is no inbound `gests` (did you mean `guests`? there are: web, desk, guests)"
        ],
    );
    check(
        "inbound=socks5:1081",
        expect![
            "error: `inbound`: there is no inbound of type `socks5` on port 1081 (there are: desk (mixed, port 1080), guests (http, port 8080), web (forward, port 81))"
        ],
    );
    check(
        "inbound=http:1080",
        expect!["DIRECT direct: no earlier rule decided (1 tried): `FALLBACK, DIRECT` (n.yaml:8)"],
    );
    check(
        "inbound=socks5:8080",
        expect![
            "error: `inbound`: there is no inbound of type `socks5` on port 8080 (there are: desk (mixed, port 1080), guests (http, port 8080), web (forward, port 81))"
        ],
    );
    check(
        "inbound=tun",
        expect![
            "error: `inbound`: there is no inbound of type `tun` (there are: desk (mixed, port 1080), guests (http, port 8080), web (forward, port 81))"
        ],
    );
    check(
        r#"{"dst":"example.org:80","inbound":{"name":"guests","port":1080}}"#,
        expect![
            "error: `inbound`: there is no inbound named `guests` on port 1080 (there are: web (forward, port 81), desk (mixed, port 1080), guests (http, port 8080))"
        ],
    );
    check(
        "inbound=bob@http:8080",
        expect!["REJECT reject: no earlier rule decided (1 tried): `FALLBACK, REJECT` (n.yaml:9)"],
    );
    check(
        "user=alice",
        expect!["REJECT reject: no earlier rule decided (1 tried): `FALLBACK, REJECT` (n.yaml:9)"],
    );
    check(
        "inbound=alicia@http:8080",
        expect![
            "error: `inbound`: `guests` has no user `alicia` (did you mean `alice`? there are: alice, bob)"
        ],
    );
    check(
        "inbound=alice@http:1080",
        expect!["error: `inbound`: `desk` has no user `alice` (it asks nobody who they are)"],
    );
    check(
        "inbound=socks5 user=alice",
        expect!["error: `inbound`: `desk` has no user `alice` (it asks nobody who they are)"],
    );
    check(
        "inbound=forward:web",
        expect!["web/a direct: no rule comes before it: `targets: a` (n.yaml:5)"],
    );
    check(
        "inbound=forward:wed",
        expect!["error: `inbound`: there is no forward `wed` (did you mean `web`? there are: web)"],
    );
    check(
        "inbound=forward:82",
        expect![
            "error: `inbound`: there is no inbound of type `forward` on port 82 (there are: desk (mixed, port 1080), guests (http, port 8080), web (forward, port 81))"
        ],
    );
    check(
        r#"{"dst":"example.org:80","inbound":{"port":81}}"#,
        expect!["web/a direct: no rule comes before it: `targets: a` (n.yaml:5)"],
    );
    check(
        "serves=direkt",
        expect![
            "error: `process.serves`: there is no outbound `direkt` (did you mean `direct`? there are: direct, reset, reject, blackhole, DIRECT, RESET, REJECT, BLACKHOLE, web, a)"
        ],
    );
    check(
        "network=udp verdict=7:REJECT",
        expect!["REJECT reject: `.REQUEST: NETWORK, udp` (n.yaml:7): subscriber 7 answered REJECT"],
    );
    check(
        "network=udp verdict=8:REJECT",
        expect!["error: `verdict`: no rule asks subscriber 8 (there are: 7)"],
    );
    check(
        "network=udp verdict=REJECT",
        expect!["REJECT reject: `.REQUEST: NETWORK, udp` (n.yaml:7): subscriber 7 answered REJECT"],
    );
}

#[test]
fn boltconn_lists() {
    let config = "inbound:\n  http: 127.0.0.1:7890\n\
        proxy-local:\n  far:\n    type: socks5\n    server: 127.0.0.1\n    port: 1\n    udp: false\n\
        dns:\n  bootstrap: [192.0.2.1]\n  nameserver: ['udp, 192.0.2.1']\n  hosts: { static.example: 192.0.2.9 }\n\
        rule-provider:\n  ads: { type: file, behavior: domain, path: ads.txt }\n\
        rule-local:\n  - RULE-SET, ads, REJECT\n  - .LOCAL-RESOLVE\n  - IP-CIDR, 192.0.2.0/24, far\n  - FALLBACK, DIRECT\n";
    let files = [
        ("c.yml", config),
        ("ads.txt", "payload:\n  - \"+.ads.example\"\n"),
    ];
    let setup = load_files("c.yml", &files);
    whole(
        &setup,
        "dst=x.ads.example:1",
        expect![[
            r#"{"decision":{"outbound":"REJECT","action":"reject","member":null},"rule":{"text":"RULE-SET, ads, REJECT","file":"c.yml","line":16,"entry":{"text":"+.ads.example","file":"ads.txt","line":2}},"reason":"`RULE-SET, ads, REJECT` (c.yml:16): domain is x.ads.example (given), in rule set ads by +.ads.example (ads.txt:2)","trace":[{"file":"c.yml","line":16,"text":"RULE-SET, ads, REJECT","result":"yes","because":"domain is x.ads.example (given), in rule set ads by +.ads.example (ads.txt:2)"}],"asked":[],"flow":{"network":"tcp","dst":"x.ads.example:1"}}"#
        ]],
    );
    whole(
        &setup,
        "dst=static.example:1",
        expect![[
            r#"{"decision":{"outbound":"far","action":"proxy","member":null},"rule":{"text":"IP-CIDR, 192.0.2.0/24, far","file":"c.yml","line":18,"entry":null},"reason":"`IP-CIDR, 192.0.2.0/24, far` (c.yml:18): ip is 192.0.2.9 (resolver)","trace":[{"skipped":1},{"file":"c.yml","line":17,"text":".LOCAL-RESOLVE","result":"yes","because":"ip is 192.0.2.9 (resolver)"},{"file":"c.yml","line":18,"text":"IP-CIDR, 192.0.2.0/24, far","result":"yes","because":"ip is 192.0.2.9 (resolver)"}],"asked":["resolve"],"flow":{"network":"tcp","dst":"static.example:1"}}"#
        ]],
    );
    short(
        &setup,
        "dst=a.example:1 resolved=192.0.2.7",
        expect!["far proxy: `IP-CIDR, 192.0.2.0/24, far` (c.yml:18): ip is 192.0.2.7 (given)"],
    );
    short(
        &setup,
        "dst=a.example:1 resolved=192.0.2.7 network=udp",
        expect![
            "far reject: outbound `far` carries no UDP: `udp: true` is not set; `IP-CIDR, 192.0.2.0/24, far` (c.yml:18): ip is 192.0.2.7 (given)"
        ],
    );
    short(
        &setup,
        "dst=a.example:1",
        expect!["DIRECT direct: no earlier rule decided (3 tried): `FALLBACK, DIRECT` (c.yml:19)"],
    );
    // Without `sni_sniff` the first bytes' name does not count.
    short(
        &setup,
        "dst=1.2.3.4:1 domain=x.ads.example",
        expect!["DIRECT direct: no earlier rule decided (3 tried): `FALLBACK, DIRECT` (c.yml:19)"],
    );
}

/// Without the answer, the fallback counts; what would follow from each answer is told besides.
#[test]
fn requests_are_told_with_what_would_follow() {
    let config = "version: 1\noutbounds:\n  far: { type: http, server: \"127.0.0.1:2\" }\n\
        policy: |\n  any [\n    cond domain under a.test => ask 200 within 30s\n    \
        cond port eq 22 => ask 201 fallback continue\n    far\n  ]\n";
    let setup = load_files("pointsman.yaml", &[("pointsman.yaml", config)]);
    whole(
        &setup,
        "dst=a.test:443",
        expect![[
            r#"{"decision":{"outbound":"reject","action":"reject","member":null},"rule":{"text":"cond domain under a.test => ask 200 within 30s","file":"pointsman.yaml","line":6,"entry":null},"reason":"`cond domain under a.test => ask 200 within 30s` (pointsman.yaml:6): the fallback, for subscriber 200 was not asked","trace":[{"file":"pointsman.yaml","line":6,"text":"cond domain under a.test => ask 200 within 30s","result":"yes","because":"domain is a.test (given); verdict is REJECT, the fallback: subscriber 200 was not asked"}],"asked":["owner","verdict"],"requests":[{"id":200,"text":"cond domain under a.test => ask 200 within 30s","file":"pointsman.yaml","line":6,"timeout_s":30,"suggested_route":"CONTINUE","fallback":"REJECT","answers":[{"answer":"CONTINUE","decision":{"outbound":"far","action":"proxy","member":null}},{"answer":"REJECT","decision":{"outbound":"reject","action":"reject","member":null}},{"answer":"BLACKHOLE","decision":{"outbound":"blackhole","action":"blackhole","member":null}}]}],"flow":{"network":"tcp","dst":"a.test:443"}}"#
        ]],
    );
    whole(
        &setup,
        "dst=a.test:443 verdict=CONTINUE",
        expect![[
            r#"{"decision":{"outbound":"far","action":"proxy","member":null},"rule":{"text":"far","file":"pointsman.yaml","line":8,"entry":null},"reason":"no earlier rule decided (2 tried): `far` (pointsman.yaml:8)","trace":[{"file":"pointsman.yaml","line":6,"text":"cond domain under a.test => ask 200 within 30s","result":"yes","because":"domain is a.test (given); verdict is CONTINUE by subscriber 200 (given)"},{"skipped":1},{"file":"pointsman.yaml","line":8,"text":"far","result":"yes","because":"it always matches"}],"asked":["owner","verdict"],"flow":{"network":"tcp","dst":"a.test:443"}}"#
        ]],
    );
    // What is asked once an answer let the flow go on has its fallback.
    whole(
        &setup,
        "dst=a.test:22 verdict=200:CONTINUE",
        expect![[
            r#"{"decision":{"outbound":"far","action":"proxy","member":null},"rule":{"text":"far","file":"pointsman.yaml","line":8,"entry":null},"reason":"no earlier rule decided (2 tried): `far` (pointsman.yaml:8)","trace":[{"file":"pointsman.yaml","line":6,"text":"cond domain under a.test => ask 200 within 30s","result":"yes","because":"domain is a.test (given); verdict is CONTINUE by subscriber 200 (given)"},{"file":"pointsman.yaml","line":7,"text":"cond port eq 22 => ask 201 fallback continue","result":"yes","because":"port is 22 (given); verdict is CONTINUE, the fallback: subscriber 201 was not asked"},{"file":"pointsman.yaml","line":8,"text":"far","result":"yes","because":"it always matches"}],"asked":["owner","verdict","verdict"],"requests":[{"id":201,"text":"cond port eq 22 => ask 201 fallback continue","file":"pointsman.yaml","line":7,"timeout_s":60,"suggested_route":"CONTINUE","fallback":"CONTINUE","answers":[{"answer":"CONTINUE","decision":{"outbound":"far","action":"proxy","member":null}},{"answer":"REJECT","decision":{"outbound":"reject","action":"reject","member":null}},{"answer":"BLACKHOLE","decision":{"outbound":"blackhole","action":"blackhole","member":null}}]}],"flow":{"network":"tcp","dst":"a.test:22"}}"#
        ]],
    );
    short(
        &setup,
        "dst=b.test:22",
        expect!["far proxy: no earlier rule decided (2 tried): `far` (pointsman.yaml:8)"],
    );
    short(
        &setup,
        "dst=a.test:22 verdict=BLACKHOLE",
        expect![
            "blackhole blackhole: `cond domain under a.test => ask 200 within 30s` (pointsman.yaml:6): subscriber 200 answered BLACKHOLE"
        ],
    );
}
