//! Verbs that ask the daemon: a canned one, which answers one request a connection.

#![allow(
    clippy::disallowed_methods,
    reason = "the other side of these tests is not ours"
)]

mod wrong;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use expect_test::{Expect, expect};

use crate::{Run, directory, run};

/// Runs a verb against a daemon that gives `status` and `body`; tells the request, then the run.
fn check(arguments: &[&str], status: &str, body: &str, expected: Expect) {
    let home = directory(&[]);
    let socket = home.path().join("d.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let daemon = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if request.is_empty() {
                line.trim_end().clone_into(&mut request);
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        format!("{request} {}", String::from_utf8(body).unwrap())
    });
    let control = socket.to_str().unwrap();
    let arguments = [&["--control", control], arguments].concat();
    let Run {
        code,
        stdout,
        stderr,
    } = run(home.path(), &arguments, "");
    let request = daemon.join().unwrap();
    expected.assert_eq(&format!(
        "{}\n{code}\n{stdout}--\n{stderr}",
        request.trim_end()
    ));
}

const STATUS: &str = r#"{"state":"running","version":"0.1.0","pid":1,"uptime_ms":61000,"config_path":"r.toml","dialect":"policy-router","generation":"1","inbounds":[{"name":"default","type":"mixed","address":"127.0.0.1:7890"}],"outbounds":[{"name":"g","type":"select","endpoint":null,"udp":true,"members":["a","b"],"selected":"a","flows":2},{"name":"a","type":"socks5","endpoint":"h:1","udp":true,"flows":0}],"newer":1}"#;
/// It begins in a time to come: its age is 0 whenever this runs.
const FLOW: &str = r#"{"id":7,"generation":"1","start":99999999999999,"duration_ms":12,"network":"tcp","source":"127.0.0.1:5","destination":{"host":"a.example","port":443},"domain":null,"protocol":null,"inbound":{"type":"socks5","name":null,"port":7890,"user":null},"outbound":"g","member":"a","action":"proxy","rule":null,"reason":"r","answered_early":false,"bytes_sent":1,"bytes_received":2,"ended":"failed","error":"refused","process":null,"messages":[]}"#;
const EXPLANATION: &str = r#"{"decision":{"outbound":"direct","action":"direct","member":null},"rule":null,"reason":"r","trace":[{"skipped":1}],"asked":[],"generation":"7"}"#;

#[test]
fn status() {
    check(
        &["status"],
        "200 OK",
        STATUS,
        expect![[r#"
        GET /v1/status HTTP/1.1
        0
        state: running
        version: 0.1.0
        pid: 1
        uptime: 1 min 1 s
        config: r.toml (policy-router)
        generation: 1
        inbounds:
          default: mixed 127.0.0.1:7890
        outbounds:
          g: select of a, b (selected: a), 2 live
          a: socks5 h:1
        --
    "#]],
    );
    check(
        &["status", "--format", "json"],
        "200 OK",
        STATUS,
        expect![[r#"
            GET /v1/status HTTP/1.1
            0
            {"state":"running","version":"0.1.0","pid":1,"uptime_ms":61000,"config_path":"r.toml","dialect":"policy-router","generation":"1","inbounds":[{"name":"default","type":"mixed","address":"127.0.0.1:7890"}],"outbounds":[{"name":"g","type":"select","endpoint":null,"udp":true,"members":["a","b"],"selected":"a","flows":2},{"name":"a","type":"socks5","endpoint":"h:1","udp":true,"flows":0}],"rule_sets":0,"lists":[],"lacking":{}}
            --
        "#]],
    );
}

#[test]
fn explain() {
    check(
        &[
            "explain",
            "--process",
            "a \"b\" \\c",
            "--dst",
            "x:1",
            "--full",
        ],
        "200 OK",
        EXPLANATION,
        expect![[r#"
            POST /v1/explain HTTP/1.1 {"flow":"dst=\"x:1\" process=\"a \\\"b\\\" \\\\c\"","full":true,"resolve":false,"verify":true}
            0
            direct (direct)
            reason: r
            generation: 7
            trace:
              ... 1 rule that did not match
            --
        "#]],
    );
    check(
        &["explain", r#"{"dst":"x:1"}"#, "--resolve"],
        "200 OK",
        EXPLANATION,
        expect![[r#"
            POST /v1/explain HTTP/1.1 {"flow":{"dst":"x:1"},"full":false,"resolve":true,"verify":true}
            0
            direct (direct)
            reason: r
            generation: 7
            trace:
              ... 1 rule that did not match
            --
        "#]],
    );
    check(
        &["explain", "--id", "9", "--expect", "far"],
        "200 OK",
        EXPLANATION,
        expect![[r#"
            GET /v1/flows/9/explain?full=false HTTP/1.1
            1
            direct (direct)
            reason: r
            generation: 7
            trace:
              ... 1 rule that did not match
            --
            expected far, got direct: r
        "#]],
    );
}

#[test]
fn what_is_followed_and_cannot_be_told_is_said() {
    let explained = r#"{"id":7,"decision":{"outbound":"g","action":"proxy","member":"a","groups":["in"]},"rule":null,"reason":"r","trace":[],"asked":[],"flow":{"time":"2026-01-02T03:04:05.678Z","network":"tcp","dst":"a.test:443","src":"127.0.0.1:5","process":{"name":"curl","pid":4}},"hints":["say more"]}"#;
    let untold = r#"{"fact":"program","flows":3}"#;
    let events = format!("event: untold\ndata: {untold}\n\nevent: decision\ndata: {explained}\n\n");
    check(
        &["explain", "--follow", "--process", "curl"],
        "200 OK",
        &events,
        expect![[r#"
            GET /v1/explain/follow?flow=process%3D%22curl%22&contains=&full=false HTTP/1.1
            0
            flow 7: tcp a.test:443, from 127.0.0.1:5, by curl (4), at 2026-01-02T03:04:05.678Z
            g › in › a (proxy)
            reason: r
            hint: say more
            --
            3 flows may be meant, too: no rule asked for their program, and so that is not known
            the daemon stops: there is nothing more to follow
        "#]],
    );
    check(
        &["explain", "--follow", "a.test", "--format", "json"],
        "200 OK",
        &events,
        expect![[r#"
            GET /v1/explain/follow?flow=dst%3D%22a.test%22&contains=&full=false HTTP/1.1
            0
            {"untold":{"fact":"program","flows":3}}
            {"id":7,"decision":{"outbound":"g","action":"proxy","member":"a","groups":["in"]},"rule":null,"reason":"r","trace":[],"asked":[],"flow":{"time":"2026-01-02T03:04:05.678Z","network":"tcp","dst":"a.test:443","src":"127.0.0.1:5","process":{"name":"curl","pid":4}},"hints":["say more"]}
            --
            the daemon stops: there is nothing more to follow
        "#]],
    );
}

#[test]
fn flows() {
    check(
        &["flows"],
        "200 OK",
        &format!("{{\"flows\":[{FLOW}]}}"),
        expect![[r#"
            GET /v1/flows?recent=false HTTP/1.1
            0
            ID   AGE  CLIENT       PROGRAM  DESTINATION        OUTBOUND  SENT  RECEIVED  STATE
             7  0 ms  127.0.0.1:5  -        tcp a.example:443  g › a      1 B       2 B  failed after 12 ms: refused
            --
        "#]],
    );
    check(
        &["flows", "list", "--recent", "--format", "json"],
        "200 OK",
        "{\"flows\":[]}",
        expect![[r#"
            GET /v1/flows?recent=true HTTP/1.1
            0
            {"flows":[]}
            --
        "#]],
    );
    let nested = FLOW.replace(
        r#""member":"a","#,
        r#""member":"a","groups":["in","inner"],"process":{"name":"a\u001b[2Jb","pid":4},"#,
    );
    let nested = nested.replace(r#","process":null"#, "");
    check(
        &["flows", "list", "https://a.example/x", "process=curl"],
        "200 OK",
        &format!(r#"{{"flows":[{nested}],"untold":{{"fact":"program","flows":2}}}}"#),
        expect![[r#"
            GET /v1/flows?recent=false&flow=dst%3D%22https%3A%2F%2Fa.example%2Fx%22%20process%3D%22curl%22 HTTP/1.1
            0
            ID   AGE  CLIENT       PROGRAM     DESTINATION        OUTBOUND            SENT  RECEIVED  STATE
             7  0 ms  127.0.0.1:5  a�[2Jb (4)  tcp a.example:443  g › in › inner › a   1 B       2 B  failed after 12 ms: refused
            --
            2 flows may be meant, too: no rule asked for their program, and so that is not known
        "#]],
    );
    check(
        &["flows", "list", "--format", "json", "--process", "curl"],
        "200 OK",
        r#"{"flows":[],"untold":{"fact":"program","flows":1}}"#,
        expect![[r#"
            GET /v1/flows?recent=false&flow=process%3D%22curl%22 HTTP/1.1
            0
            {"flows":[],"untold":{"fact":"program","flows":1}}
            --
        "#]],
    );
    check(
        &["flows", "list", "process=curl"],
        "200 OK",
        r#"{"flows":[],"untold":{"fact":"program","flows":1}}"#,
        expect![[r#"
            GET /v1/flows?recent=false&flow=process%3D%22curl%22 HTTP/1.1
            0
            --
            no such flows
            1 flow may be meant, too: no rule asked for its program, and so that is not known
        "#]],
    );
    check(
        &["flows", "close", "7", "--quiet"],
        "200 OK",
        FLOW,
        expect![[r#"
            DELETE /v1/flows/7 HTTP/1.1
            0
            --
        "#]],
    );
    let events = format!(
        "event: begin\ndata: {FLOW}\n\nevent: end\ndata: {FLOW}\n\n: idle\n\nevent: message\ndata: {{\"flow\":7,\"id\":1,\"text\":\"hi\"}}\n\n"
    );
    check(
        &["flows", "tail"],
        "200 OK",
        &events,
        expect![[r#"
            GET /v1/events?begun=true HTTP/1.1
            0
            begin 7 tcp 127.0.0.1:5 -> a.example:443 g › a (proxy)
            end 7 tcp 127.0.0.1:5 -> a.example:443 g › a (proxy) 12 ms, 1 B sent, 2 B received, failed: refused
            message flow 7 (1): hi
            --
            the daemon stops: there is nothing more to follow
        "#]],
    );
    check(
        &["flows", "tail", "--format", "json"],
        "200 OK",
        "event: end\ndata: {}\n\n",
        expect![[r#"
            GET /v1/events?begun=true HTTP/1.1
            0
            {"event":"end","data":{}}
            --
            the daemon stops: there is nothing more to follow
        "#]],
    );
}

#[test]
fn changes() {
    let group = r#"{"name":"my group","type":"select","endpoint":null,"udp":true,"members":["a","b"],"selected":"b","flows":0}"#;
    check(
        &["outbounds", "select", "my group", "b"],
        "200 OK",
        group,
        expect![[r#"
            PUT /v1/outbounds/my%20group/member HTTP/1.1 {"member":"b"}
            0
            my group: select of a, b (selected: b)
            --
        "#]],
    );
    check(
        &["outbounds"],
        "200 OK",
        &format!("{{\"outbounds\":[{group}]}}"),
        expect![[r#"
            GET /v1/outbounds HTTP/1.1
            0
            my group: select of a, b (selected: b)
            --
        "#]],
    );
    let reload = r#"{"generation":"2","applied":true,"problems":[]}"#;
    check(
        &["reload"],
        "200 OK",
        reload,
        expect![[r#"
        POST /v1/reload HTTP/1.1 {"plan":false,"confirm_within_ms":null,"redact":false}
        0
        generation 2 is in force
        --
    "#]],
    );
    check(
        &["reload", "--confirm-within", "1m", "--quiet"],
        "200 OK",
        reload,
        expect![[r#"
            POST /v1/reload HTTP/1.1 {"plan":false,"confirm_within_ms":60000,"redact":false}
            0
            --
        "#]],
    );
    check(
        &["reload", "--plan", "--quiet"],
        "200 OK",
        reload,
        expect![[r#"
            POST /v1/reload HTTP/1.1 {"plan":true,"confirm_within_ms":null,"redact":false}
            0
            --
        "#]],
    );
    check(
        &["reload", "--confirm", "--quiet"],
        "200 OK",
        reload,
        expect![[r#"
            POST /v1/reload/confirm HTTP/1.1 {}
            0
            --
        "#]],
    );
    check(
        &["reload", "--roll-back"],
        "200 OK",
        &reload.replace("{", "{\"back\":\"1\","),
        expect![[r#"
            POST /v1/reload/roll-back HTTP/1.1 {}
            0
            generation 1 is back, as generation 2
            --
        "#]],
    );
    let stop = r#"{"state":"draining","flows_live":2,"grace_ms":10000}"#;
    check(
        &["stop"],
        "200 OK",
        stop,
        expect![[r#"
        POST /v1/stop HTTP/1.1 {}
        0
        draining: 2 live flows have 10000 ms
        --
    "#]],
    );
    check(
        &["policy", "--as", "list"],
        "200 OK",
        r#"{"as":"list","text":"FALLBACK, a\n"}"#,
        expect![[r#"
            GET /v1/policy?as=list HTTP/1.1
            0
            FALLBACK, a
            --
        "#]],
    );
}

#[test]
fn diagnostics() {
    let told = r#"{"version":"0.1.0","uptime_ms":5,"config_path":null,"socket":"s","running":true,"generation":"1","outbound_count":4,"ipc_requests":1,"reload_ok":0,"reload_err":0,"flows_live":0,"flows_total":0,"flows_refused":0,"flows_failed":0,"bytes_sent":0,"bytes_received":0,"host_changes":["a"],"lists":[{"name":"ads","url":"https://a.b/ads","entries":12,"checked_ms":32503680000000,"changed_ms":1000,"error":"no connection"}]}"#;
    check(
        &["diagnostics"],
        "200 OK",
        told,
        expect![[r#"
            GET /v1/diagnostics HTTP/1.1
            0
            version: 0.1.0
            uptime: 5 ms
            config: the embedded default
            socket: s
            running: true
            generation: 1
            outbounds: 4
            requests: 1
            reloads: 0 taken, 0 refused
            flows: 0 live, 0 in all, 0 refused, 0 failed, 0 denied
            bytes: 0 sent, 0 received
            host changes: 1
              a
            rule set ads: 12 entries, checked 0 ms ago; the last attempt failed: no connection (https://a.b/ads)
            --
        "#]],
    );
}

#[test]
fn flows_that_fit() {
    check(
        &[
            "flows",
            "list",
            "--recent",
            "--after",
            "3",
            "--limit",
            "5",
            "--contains",
            "a b",
            "dst=x:1",
        ],
        "200 OK",
        r#"{"flows":[]}"#,
        expect![[r#"
            GET /v1/flows?recent=true&after=3&limit=5&flow=dst%3D%22x%3A1%22&contains=a%20b HTTP/1.1
            0
            --
            no such flows
        "#]],
    );
}

const REPLAY: &str = r#"{"config":"c.yaml","generation":"1","redacted":false,"flows":3,"same":1,"by_another_rule":0,"moved":2,"groups":[{"from":{"outbound":"far","action":"proxy","member":null},"to":{"outbound":"direct","action":"direct","member":null},"old_rule":null,"new_rule":{"text":"FALLBACK, direct","file":"c.yaml","line":9},"flows":2,"old_reason":"no rule matched","new_reason":"no earlier rule decided (1 tried): `FALLBACK, direct` (c.yaml:9)","examples":[{"id":7,"destination":"a.example:443","process":null}]}],"untold":[],"gone":[]}"#;

#[test]
fn replay_says_what_decided_before_and_after() {
    check(
        &["replay"],
        "200 OK",
        REPLAY,
        expect![[r#"
        POST /v1/replay HTTP/1.1 {"config":null,"dialect":null,"last":null,"redact":false}
        0
        2 flows: far -> direct
          before: no rule matched
          after:  no earlier rule decided (1 tried): `FALLBACK, direct` (c.yaml:9)
          flow 7 to a.example:443, ...
        3 flows through c.yaml: 2 would go elsewhere, 1 the same way (0 of them by another rule)
        --
    "#]],
    );
}

/// A flow that cannot be is the asker's fault, with a daemon and without one.
#[test]
fn a_flow_that_the_daemon_cannot_read_is_a_wrong_call() {
    check(
        &["explain"],
        "400 Bad Request",
        r#"{"error":"`dst` is missing: where does the flow go?","code":"bad-flow","problems":[]}"#,
        expect![[r#"
            POST /v1/explain HTTP/1.1 {"flow":"","full":false,"resolve":false,"verify":true}
            2
            --
            error: `dst` is missing: where does the flow go?
        "#]],
    );
}
