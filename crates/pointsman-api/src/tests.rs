//! The wire, frozen: each reply as the JSON that it is, and back.

use std::fmt::Debug;

use expect_test::{Expect, expect};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::daemon::{Awaiting, Change, FailingTest, InboundState, Setback, Stop};
use crate::explain::{
    AppDomain, Decision, Entry, Explained, FlowStep, Matcher, Rule, TraceLine, Visit,
};
use crate::flow::{Destination, Inbound, Message, Missed, ProcessRef, Reset, RuleRef, Took};
use crate::problem::Related;
use crate::replay::{Gone, MovedFlow, MovedGroup, OtherServer, Untold};
use crate::rules::Shadow;
use crate::*;

/// What goes out is `expected`, and reading it gives the same again.
fn frozen<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, expected: Expect) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    expected.assert_eq(&text);
}

fn explanation() -> Explanation {
    Explanation {
        id: Some("a".into()),
        decision: Decision {
            outbound: Some("privacyproxy".into()),
            action: Action::Proxy,
            member: None,
            groups: vec![],
        },
        rule: Some(Rule {
            text: "secret-sites => privacyproxy".into(),
            file: "config".into(),
            line: 31,
            entry: Some(Entry {
                text: "com.twitter".into(),
                file: "namezone/secret-sites".into(),
                line: 5,
            }),
        }),
        reason: "because".into(),
        trace: vec![
            TraceLine::Skipped { skipped: 120 },
            TraceLine::Visit(Visit {
                file: "config".into(),
                line: 31,
                text: "secret-sites => privacyproxy".into(),
                result: "yes".into(),
                because: "domain twitter.com".into(),
            }),
        ],
        hops: vec![],
        look_up: None,
        asked: vec!["sniff".into()],
        app_domain: None,
        generation: None,
        steps: vec![],
        requests: vec![],
        flow: None,
        hints: vec![],
    }
}

#[test]
fn an_explanation_is_frozen() {
    frozen(
        &explanation(),
        expect![[
            r#"{"id":"a","decision":{"outbound":"privacyproxy","action":"proxy","member":null},"rule":{"text":"secret-sites => privacyproxy","file":"config","line":31,"entry":{"text":"com.twitter","file":"namezone/secret-sites","line":5}},"reason":"because","trace":[{"skipped":120},{"file":"config","line":31,"text":"secret-sites => privacyproxy","result":"yes","because":"domain twitter.com"}],"asked":["sniff"]}"#
        ]],
    );
}

#[test]
fn an_explanation_tells_the_flow_itself() {
    let mut explanation = explanation();
    explanation.rule = None;
    explanation.trace.clear();
    explanation.decision.groups = vec!["inner".into()];
    explanation.flow = Some(Explained {
        time: Some("2026-01-02T03:04:05.678Z".into()),
        ended: Some("failed".into()),
        error: Some("no answer in time".into()),
        network: "tcp".into(),
        dst: Some("[::1]:443".into()),
        domain: Some("a.test".into()),
        protocol: Some("tls".into()),
        src: Some("127.0.0.1:5".into()),
        process: Some(ProcessRef {
            name: Some("curl".into()),
            pid: None,
        }),
        inbound: None,
    });
    explanation.hints = vec!["say more".into()];
    frozen(
        &explanation,
        expect![[
            r#"{"id":"a","decision":{"outbound":"privacyproxy","action":"proxy","member":null,"groups":["inner"]},"rule":null,"reason":"because","trace":[],"asked":["sniff"],"flow":{"time":"2026-01-02T03:04:05.678Z","ended":"failed","error":"no answer in time","network":"tcp","dst":"[::1]:443","domain":"a.test","protocol":"tls","src":"127.0.0.1:5","process":{"name":"curl","pid":null}},"hints":["say more"]}"#
        ]],
    );
}

#[test]
fn an_explanation_of_app_and_domain_rules_has_more() {
    let mut explanation = explanation();
    explanation.id = None;
    explanation.trace.clear();
    explanation.rule = None;
    explanation.app_domain = Some(AppDomain {
        source: "default".into(),
        rule_egress: "direct".into(),
        matcher: None,
    });
    explanation.generation = Some("7.3".into());
    frozen(
        &explanation,
        expect![[
            r#"{"decision":{"outbound":"privacyproxy","action":"proxy","member":null},"rule":null,"reason":"because","trace":[],"asked":["sniff"],"source":"default","rule_egress":"direct","matcher":null,"generation":"7.3"}"#
        ]],
    );
    let matcher = Matcher {
        kind: "suffix".into(),
        pattern: "youtube.com".into(),
    };
    frozen(
        &matcher,
        expect![[r#"{"type":"suffix","pattern":"youtube.com"}"#]],
    );
}

#[test]
fn a_flow_record_is_frozen() {
    let record = FlowRecord {
        id: 7,
        generation: "1".into(),
        time: "2023-11-14T22:13:20.000Z".into(),
        start: 1_700_000_000_000,
        duration_ms: 12,
        network: "tcp".into(),
        source: Some("127.0.0.1:5000".into()),
        destination: Destination {
            host: Some("example.com".into()),
            port: Some(443),
        },
        domain: Some("example.com".into()),
        dns_name_from: None,
        dns_name_error: None,
        protocol: None,
        server: None,
        inbound: Inbound {
            kind: "socks5".into(),
            name: Some("default".into()),
            port: Some(7890),
            user: None,
        },
        outbound: Some("direct".into()),
        member: None,
        target: None,
        groups: vec![],
        action: Action::Direct,
        rule: Some(RuleRef {
            text: "direct".into(),
            file: "config".into(),
            line: 3,
        }),
        reason: "because".into(),
        association: false,
        passed_by: Vec::new(),
        attempts: Vec::new(),
        answered_early: false,
        bytes_sent: 1,
        bytes_received: 2,
        ended: Some("closed".into()),
        ended_by: None,
        error: None,
        process: Some(ProcessRef {
            name: Some("curl".into()),
            pid: Some(4),
        }),
        messages: vec!["hello".into()],
        took_us: Took {
            sniff: 1,
            resolve: 2,
            owner: 3,
            country: 4,
            local: 5,
            verdict: 7,
            dial: 6,
        },
    };
    frozen(
        &record,
        expect![[
            r#"{"id":7,"generation":"1","time":"2023-11-14T22:13:20.000Z","start":1700000000000,"duration_ms":12,"network":"tcp","source":"127.0.0.1:5000","destination":{"host":"example.com","port":443},"domain":"example.com","protocol":null,"inbound":{"type":"socks5","name":"default","port":7890,"user":null},"outbound":"direct","member":null,"action":"direct","rule":{"text":"direct","file":"config","line":3},"reason":"because","answered_early":false,"bytes_sent":1,"bytes_received":2,"ended":"closed","error":null,"process":{"name":"curl","pid":4},"messages":["hello"],"took_us":{"sniff":1,"resolve":2,"owner":3,"country":4,"local":5,"verdict":7,"dial":6}}"#
        ]],
    );
    let page = FlowList {
        next: Some(7),
        ..FlowList::default()
    };
    frozen(&page, expect![[r#"{"flows":[],"next":7}"#]]);
    frozen(
        &Reset {
            after: "1-2".into(),
        },
        expect![[r#"{"after":"1-2"}"#]],
    );
    frozen(&FlowList::default(), expect![[r#"{"flows":[]}"#]]);
    let message = Message {
        flow: 7,
        id: 1,
        text: "hello".into(),
    };
    frozen(&message, expect![[r#"{"flow":7,"id":1,"text":"hello"}"#]]);
}

fn problem() -> Problem {
    Problem {
        severity: "error".into(),
        code: "unknown-key".into(),
        message: "m".into(),
        file: "r.toml".into(),
        line: 1,
        column: 2,
        hint: None,
        related: Some(Related {
            message: "first here".into(),
            file: "r.toml".into(),
            line: 1,
            column: 1,
        }),
        count: 1,
        text: "t".into(),
    }
}

#[test]
fn problems_and_errors_are_frozen() {
    frozen(
        &ProblemList {
            config: Some("config".into()),
            dialect: Some("reflow".into()),
            errors: 1,
            warnings: 0,
            denied: 1,
            problems: vec![problem()],
        },
        expect![[
            r#"{"config":"config","dialect":"reflow","errors":1,"warnings":0,"denied":1,"problems":[{"severity":"error","code":"unknown-key","message":"m","file":"r.toml","line":1,"column":2,"hint":null,"related":{"message":"first here","file":"r.toml","line":1,"column":1},"text":"t"}]}"#
        ]],
    );
    frozen(
        &Error::new("unknown-flow", "there is no flow 9"),
        expect![[r#"{"error":"there is no flow 9","code":"unknown-flow"}"#]],
    );
}

#[test]
fn the_daemon_is_frozen() {
    let outbound = OutboundState {
        name: "Proxy".into(),
        aliases: vec!["PROXY".into()],
        kind: "select".into(),
        declared: None,
        endpoint: None,
        interface: Some("wg0".into()),
        source: Some("10.0.0.1".into()),
        udp: true,
        members: vec!["a".into(), "b".into()],
        targets: vec![],
        selected: Some("a".into()),
        failing: vec![],
        flows: 0,
        not_kept: None,
    };
    let status = Status {
        state: "running".into(),
        version: "0.1.0".into(),
        pid: 1,
        uptime_ms: 5,
        config_path: None,
        dialect: "native".into(),
        generation: "1".into(),
        awaiting: None,
        setback: Some(Setback {
            what: "rolled-back".into(),
            time: "1970-01-01T00:00:01.000Z".into(),
            why: "nobody confirmed generation 2".into(),
            taken: None,
        }),
        failing_tests: vec![FailingTest {
            file: "own.case".into(),
            line: 3,
            flow: "a.test:1".into(),
            expected: "DIRECT".into(),
            got: "REJECT".into(),
            reason: "because".into(),
            lists: vec!["ads".into()],
        }],
        inbounds: vec![InboundState {
            name: "default".into(),
            kind: "mixed".into(),
            address: "127.0.0.1:7890".into(),
        }],
        outbounds: vec![outbound],
        upstreams: vec![],
        rule_sets: 0,
        lists: vec![],
        lacking: [("program".into(), 2)].into(),
    };
    frozen(
        &status,
        expect![[
            r#"{"state":"running","version":"0.1.0","pid":1,"uptime_ms":5,"config_path":null,"dialect":"native","generation":"1","setback":{"what":"rolled-back","time":"1970-01-01T00:00:01.000Z","why":"nobody confirmed generation 2"},"failing_tests":[{"file":"own.case","line":3,"flow":"a.test:1","expected":"DIRECT","got":"REJECT","reason":"because","lists":["ads"]}],"inbounds":[{"name":"default","type":"mixed","address":"127.0.0.1:7890"}],"outbounds":[{"name":"Proxy","aliases":["PROXY"],"type":"select","endpoint":null,"interface":"wg0","source":"10.0.0.1","udp":true,"members":["a","b"],"selected":"a","flows":0}],"rule_sets":0,"lists":[],"lacking":{"program":2}}"#
        ]],
    );
    let diagnostics = Diagnostics {
        version: "0.1.0".into(),
        uptime_ms: 5,
        config_path: Some("r.toml".into()),
        socket: "s".into(),
        running: true,
        generation: "1".into(),
        outbound_count: 4,
        ipc_requests: 1,
        reload_ok: 0,
        reload_err: 0,
        flows_live: 0,
        flows_total: 0,
        flows_refused: 0,
        flows_failed: 0,
        flows_denied: 0,
        accept_refused: 0,
        log_lines_dropped: 0,
        udp_lost: [("flows".into(), 3)].into(),
        udp_offload: [("default".into(), 1), ("wg0".into(), 0)].into(),
        queries: [("known".into(), 7)].into(),
        dns_answers_dropped: [].into(),
        bytes_sent: 0,
        bytes_received: 0,
        tests_failing: 0,
        host_changes: vec![],
        lists: vec![],
        lacking: Default::default(),
    };
    frozen(
        &diagnostics,
        expect![[
            r#"{"version":"0.1.0","uptime_ms":5,"config_path":"r.toml","socket":"s","running":true,"generation":"1","outbound_count":4,"ipc_requests":1,"reload_ok":0,"reload_err":0,"flows_live":0,"flows_total":0,"flows_refused":0,"flows_failed":0,"flows_denied":0,"accept_refused":0,"log_lines_dropped":0,"udp_lost":{"flows":3},"udp_offload":{"default":1,"wg0":0},"queries":{"known":7},"bytes_sent":0,"bytes_received":0,"tests_failing":0,"host_changes":[],"lists":[],"lacking":{}}"#
        ]],
    );
    let reload = Reload {
        generation: "2".into(),
        applied: false,
        problems: vec![],
        plan: None,
        awaiting: Some(awaiting()),
        back: Some("1".into()),
        notice: Some("again".into()),
        warnings: vec!["lost".into()],
    };
    frozen(
        &reload,
        expect![[
            r#"{"generation":"2","applied":false,"problems":[],"awaiting":{"generation":"2","earlier":"1","until":"1970-01-01T00:00:01.000Z","remaining_ms":5},"back":"1","notice":"again","warnings":["lost"]}"#
        ]],
    );
    frozen(
        &Change {
            what: "refused".into(),
            generation: "2".into(),
            until: None,
            why: Some("because".into()),
        },
        expect![[r#"{"what":"refused","generation":"2","why":"because"}"#]],
    );
    frozen(
        &Stop {
            state: "draining".into(),
            flows_live: 2,
            grace_ms: 10_000,
            again: false,
        },
        expect![[r#"{"state":"draining","flows_live":2,"grace_ms":10000}"#]],
    );
    frozen(
        &PolicyReply {
            form: "tree".into(),
            text: "any [ ]".into(),
        },
        expect![[r#"{"as":"tree","text":"any [ ]"}"#]],
    );
}

fn awaiting() -> Awaiting {
    Awaiting {
        generation: "2".into(),
        earlier: "1".into(),
        until: "1970-01-01T00:00:01.000Z".into(),
        remaining_ms: 5,
    }
}

fn rule(line: u32) -> RuleRef {
    RuleRef {
        text: "direct".into(),
        file: "config".into(),
        line,
    }
}

#[test]
fn a_replay_is_frozen() {
    let decision = |outbound: &str| Decision {
        outbound: Some(outbound.into()),
        action: Action::Proxy,
        member: None,
        groups: vec![],
    };
    let replay = Replay {
        config: Some("/c".into()),
        generation: "1".into(),
        flows: 5,
        same: 2,
        by_another_rule: 1,
        moved: 1,
        untold: vec![Untold {
            fact: "owner".into(),
            flows: 1,
        }],
        gone: vec![Gone {
            inbound: "desk".into(),
            flows: 1,
        }],
        groups: vec![MovedGroup {
            from: decision("a"),
            to: decision("b"),
            other_server: Some(OtherServer {
                from: Some("direct".into()),
                to: None,
                other_login: false,
            }),
            old_rule: None,
            new_rule: Some(rule(3)),
            flows: 1,
            old_reason: "x".into(),
            new_reason: "y".into(),
            examples: vec![MovedFlow {
                id: 7,
                destination: Some("a.test:1".into()),
                process: None,
            }],
        }],
        redacted: false,
        warnings: vec!["lost".into()],
    };
    frozen(
        &replay,
        expect![[
            r#"{"config":"/c","generation":"1","flows":5,"same":2,"by_another_rule":1,"moved":1,"untold":[{"fact":"owner","flows":1}],"gone":[{"inbound":"desk","flows":1}],"groups":[{"from":{"outbound":"a","action":"proxy","member":null},"to":{"outbound":"b","action":"proxy","member":null},"other_server":{"from":"direct","to":null,"other_login":false},"old_rule":null,"new_rule":{"text":"direct","file":"config","line":3},"flows":1,"old_reason":"x","new_reason":"y","examples":[{"id":7,"destination":"a.test:1","process":null}]}],"redacted":false,"warnings":["lost"]}"#
        ]],
    );
}

#[test]
fn rules_and_steps_are_frozen() {
    let state = RuleState {
        policy: "main".into(),
        rule: rule(3),
        last_word: true,
        hits: 1,
        bytes_sent: 2,
        bytes_received: 3,
        last_hit: None,
        shadowed_by: vec![Shadow {
            rule: rule(2),
            flows: 4,
            elsewhere: 1,
        }],
    };
    let list = RuleList {
        generation: "1".into(),
        since: Some(7),
        rules: vec![state],
        replayed: Some(9),
    };
    frozen(
        &list,
        expect![[
            r#"{"generation":"1","since":7,"rules":[{"policy":"main","text":"direct","file":"config","line":3,"last_word":true,"hits":1,"bytes_sent":2,"bytes_received":3,"last_hit":null,"shadowed_by":[{"text":"direct","file":"config","line":2,"flows":4,"elsewhere":1}]}],"replayed":9}"#
        ]],
    );
    let step = FlowStep {
        step: "sniff".into(),
        outcome: "tls".into(),
        ms: 0.25,
    };
    frozen(
        &step,
        expect![[r#"{"step":"sniff","outcome":"tls","ms":0.25}"#]],
    );
    frozen(&Missed { missed: 3 }, expect![[r#"{"missed":3}"#]]);
}

#[test]
fn a_look_up_is_frozen() {
    let reply = DnsReply {
        name: "a.example".into(),
        addresses: vec!["192.0.2.1".into()],
        error: None,
        outcome: DnsOutcome::Addresses,
        from: Some("udp 192.0.2.53:53".into()),
        holds_s: Some(60),
    };
    frozen(
        &reply,
        expect![[
            r#"{"name":"a.example","addresses":["192.0.2.1"],"error":null,"outcome":"addresses","from":"udp 192.0.2.53:53","holds_s":60}"#
        ]],
    );
    // What a daemon of before says, and one of later.
    let read = |text| serde_json::from_str::<DnsReply>(text).unwrap().outcome;
    let before = r#"{"name":"a","addresses":[],"error":"x"}"#;
    assert_eq!(read(before), DnsOutcome::Other);
    let later = r#"{"name":"a","addresses":[],"error":"x","outcome":"new"}"#;
    assert_eq!(read(later), DnsOutcome::Other);
    let no_name = r#"{"name":"a","addresses":[],"error":"x","outcome":"no-name"}"#;
    assert_eq!(read(no_name), DnsOutcome::NoName);
}

#[test]
fn requests_are_read_strictly() {
    let empty: ReloadRequest = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, ReloadRequest::default());
    assert!(serde_json::from_str::<ReloadRequest>(r#"{"plna":true}"#).is_err());
    assert!(serde_json::from_str::<ReplayRequest>(r#"{"lsat":1}"#).is_err());
    assert!(serde_json::from_str::<SelectRequest>(r#"{"member":"a","x":1}"#).is_err());
    assert!(serde_json::from_str::<ExplainRequest>(r#"{"flow":{},"ful":true}"#).is_err());
}

#[test]
fn words_of_newer_daemons_are_tolerated() {
    assert_eq!(
        serde_json::from_str::<Action>(r#""teleport""#).unwrap(),
        Action::Unknown
    );
    assert!(
        serde_json::from_str::<Stop>(r#"{"state":"x","flows_live":0,"grace_ms":1,"new":1}"#)
            .is_ok()
    );
}

#[test]
fn the_document_lists_exactly_the_routes() {
    let document = openapi::document("0.1.0");
    let mut listed = Vec::new();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            listed.push((method.clone(), path.clone()));
            operations.push(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let mut routes: Vec<(String, String)> = route::ALL
        .iter()
        .map(|(m, p)| ((*m).to_owned(), (*p).to_owned()))
        .collect();
    listed.sort();
    routes.sort();
    assert_eq!(listed, routes);
    operations.sort();
    let count = operations.len();
    operations.dedup();
    assert_eq!(operations.len(), count, "operation ids repeat");
    assert_eq!(
        document["paths"][route::OPENAPI]["get"]["operationId"],
        Value::from("openapi")
    );
}

#[test]
fn every_constant_is_a_route() {
    let source = include_str!("route.rs");
    for line in source
        .lines()
        .filter(|l| l.starts_with("pub const") && l.contains("\"/v1/"))
    {
        let path = line.split('"').nth(1).unwrap();
        assert!(
            route::ALL.iter().any(|(_, p)| *p == path),
            "{path} is not listed"
        );
    }
}

#[test]
fn segments_are_encoded() {
    assert_eq!(route::filled(route::FLOW, "7"), "/v1/flows/7");
    assert_eq!(
        route::filled(route::OUTBOUND_MEMBER, "a/б"),
        "/v1/outbounds/a%2F%D0%B1/member"
    );
    assert_eq!(route::filled(route::STATUS, "x"), route::STATUS);
}
