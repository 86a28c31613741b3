//! What is told of flows over UDP and of associations: lists, explanations, counts, replays.

use super::*;
use crate::daemon::client_path;

#[test]
fn an_association_is_told_as_one_and_no_rule_decided_it() {
    let place = echo("127.0.0.1:0");
    // Whoever asks these rules about the association itself gets an answer that nobody gave.
    let daemon = Daemon::native(&format!(
        "{MIXED}rules:\n  - NETWORK, tcp, REJECT\n  - FALLBACK, DIRECT\n"
    ));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(place), b"hello"));
    let check = |live: bool| {
        let listed = daemon.json(&["flows", "list", "--recent"]);
        let flows = listed["flows"].as_array().unwrap();
        let association = flows.iter().find(|it| it["network"] == "tcp").unwrap();
        assert_eq!(association["association"], true, "{association}");
        assert_eq!(association["ended"].is_null(), live, "{association}");
        let udp = flows.iter().find(|it| it["network"] == "udp").unwrap();
        assert!(udp["association"].is_null(), "{udp}");
        let told = daemon.client(&["flows", "list", "--recent"]);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.contains("UDP association"), "{told}");
        let explained = daemon.json(&["explain", "--id", &association["id"].to_string()]);
        assert_eq!(explained["decision"]["action"], "none", "{explained}");
        assert!(explained["rule"].is_null(), "{explained}");
        let reason = explained["reason"].as_str().unwrap();
        assert!(reason.starts_with("UDP association"), "{explained}");
        let hint = explained["hints"][0].as_str().unwrap();
        assert!(hint.contains("no rule was asked"), "{explained}");
        let explained = daemon.json(&["explain", "--id", &udp["id"].to_string()]);
        assert_eq!(explained["decision"]["outbound"], "DIRECT", "{explained}");
        assert_eq!(explained["rule"]["text"], "FALLBACK, DIRECT", "{explained}");
    };
    check(true);
    drop(client);
    eventually("all have ended", || ended(&daemon).len() == 1);
    eventually("no flow is live", || {
        let live = daemon.json(&["flows", "list"]);
        live["flows"].as_array().unwrap().is_empty()
    });
    check(false);
}

#[test]
fn what_a_limit_refused_is_told_as_that() {
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ flows_by_client: 1 }}\nrules:\n  - FALLBACK, DIRECT\n"
    ));
    let (one, two) = (echo("127.0.0.1:0"), echo("127.0.0.1:0"));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(one), b"one"));
    client.send(&to(two), b"two");
    eventually("the second is refused", || ended(&daemon).len() == 1);
    let refused = ended(&daemon).remove(0);
    let explained = daemon.json(&["explain", "--id", &refused["id"].to_string()]);
    assert_eq!(explained["decision"]["action"], "reject", "{explained}");
    assert!(explained["decision"]["outbound"].is_null(), "{explained}");
    assert!(explained["rule"].is_null(), "{explained}");
    assert_eq!(explained["reason"], "limit: `udp.flows_by_client` is 1");
    let hint = explained["hints"][0].as_str().unwrap();
    assert!(hint.contains("no rule was asked"), "{explained}");
    // Nor do other rules decide it.
    let replayed = daemon.json(&["replay"]);
    assert_eq!(
        (&replayed["flows"], &replayed["moved"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn a_client_that_was_not_let_in_was_decided_by_no_rule() {
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let mut control = connect(daemon.address("desk"));
    control.write_all(&[5, 1, 0, 5, 9, 0, 1]).unwrap();
    control.write_all(&[127, 0, 0, 1, 0, 80]).unwrap();
    let _answered = control.read_to_end(&mut Vec::new());
    let flows = || daemon.json(&["flows", "list", "--recent"])["flows"].clone();
    eventually("it has ended", || flows()[0]["ended"] == "denied");
    let explained = daemon.json(&["explain", "--id", "1"]);
    assert_eq!(explained["decision"]["action"], "none", "{explained}");
    assert!(explained["decision"]["outbound"].is_null(), "{explained}");
    assert_eq!(explained["reason"], flows()[0]["error"], "{explained}");
}

#[test]
fn what_ends_a_silent_flow_is_told_by_its_key() {
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ idle: 2s, idle_by_protocol: {{ dns: 1s }} }}\nrules:\n  - FALLBACK, DIRECT\n"
    ));
    let place = echo("127.0.0.1:0");
    let client = Client::new(&daemon);
    // The root's name servers, asked for.
    let question = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    assert!(client.echoes(&to(place), &question));
    let other = echo("127.0.0.1:0");
    assert!(client.echoes(&to(other), b"no question"));
    eventually("both have ended", || ended(&daemon).len() == 2);
    let by = |record: &serde_json::Value| record["ended_by"].as_str().unwrap().to_owned();
    let told: Vec<_> = ended(&daemon).iter().map(by).collect();
    assert_eq!(told, ["udp.idle_by_protocol", "udp.idle"]);
}

#[test]
fn flows_over_udp_are_listed_counted_and_replayed() {
    let (one, two) = (echo("127.0.0.1:0"), echo("127.0.0.1:0"));
    let rules = |of_one: &str| {
        let port = one.port();
        format!("{MIXED}rules:\n  - DST-PORT, {port}/udp, {of_one}\n  - FALLBACK, DIRECT\n")
    };
    let daemon = Daemon::native(&rules("DIRECT"));
    let client = Client::new(&daemon);
    for place in [one, two, one] {
        assert!(client.echoes(&to(place), b"hello"));
    }
    let listed = |words: &[&str]| {
        let words = [&["flows", "list"], words].concat();
        daemon.json(&words)["flows"].as_array().unwrap().len()
    };
    assert_eq!(listed(&["network=udp"]), 2);
    assert_eq!(listed(&["network=tcp"]), 1, "the association");
    let port = format!("dst=127.0.0.1:{}", one.port());
    assert_eq!(listed(&["network=udp", &port]), 1);
    assert_eq!(listed(&["network=tcp", &port]), 0);
    // Two datagrams to one place are one flow.
    let told = daemon.json(&["rules"]).to_string();
    let counts = told.matches("\"hits\":1,").count();
    assert_eq!(counts, 2, "{told}");
    daemon.write("other.yaml", &rules("REJECT"));
    let other = daemon.directory.path().join("other.yaml");
    let replayed = daemon.json(&["replay", "--config", other.to_str().unwrap()]);
    let told = replayed.to_string();
    assert!(told.contains(&format!(":{}", one.port())), "{told}");
    assert!(!told.contains(&format!(":{}", two.port())), "{told}");
}

#[test]
fn what_carries_no_udp_is_told_before_a_flow_comes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pointsman.yaml");
    let text = "outbounds:\n\
                \x20 far: { type: socks5, server: \"192.0.2.1:1080\" }\n\
                \x20 web: { type: http, server: \"192.0.2.1:8080\" }\n\
                rules:\n\
                \x20 - AND, [NETWORK, udp], [DST-PORT, 3478], web\n\
                \x20 - AND, [NETWORK, udp], [DST-PORT, 53], far\n\
                \x20 - AND, [NETWORK, udp], [PROTOCOL, quic], RESET\n\
                \x20 - FALLBACK, DIRECT\n";
    std::fs::write(&path, format!("{MIXED}{text}")).unwrap();
    let path = path.to_str().unwrap();
    let run = |words: &[&str]| {
        let output = Command::new(client_path()).args(words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    };
    let explain = |flow: &str, expected: &str| {
        let flow: Vec<_> = flow.split(' ').collect();
        let words = ["explain", "--config", path, "--expect", expected];
        run(&[&words[..], &flow].concat())
    };
    for (flow, outbound) in [
        ("udp call.example:3478", "web"),
        ("call.example:53/udp", "far"),
    ] {
        for (expected, code) in [("REJECT", 0), (outbound, 0), ("DIRECT", 1), ("RESET", 1)] {
            let (got, said) = explain(flow, expected);
            assert_eq!(got, Some(code), "{flow} {expected}: {said}");
            assert!(said.contains("carries no UDP"), "{said}");
        }
    }
    // Over TCP nothing is rejected.
    assert_eq!(explain("call.example:3478", "REJECT").0, Some(1));
    assert_eq!(explain("call.example:3478", "DIRECT").0, Some(0));
    let (_, said) = explain("udp 192.0.2.9:443", "DIRECT");
    let hint =
        "the protocol of the first bytes was not said, and a rule looks at it: add `protocol=quic`";
    assert!(said.contains(hint), "{said}");
    let (code, said) = explain("udp 192.0.2.9:443 protocol=quic", "RESET");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(hint), "{said}");
    let (code, said) = run(&["check", path]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        said.matches("warning[udp-not-carried]").count(),
        2,
        "{said}"
    );
    let hints: Vec<_> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("hint: "))
        .collect();
    assert_eq!(
        hints,
        [
            "send them to an outbound that carries UDP, or refuse them outright",
            "add `udp: true` to `far` if its server carries UDP; else refuse them outright"
        ],
        "{said}"
    );
}
