//! What a daemon at work tells: rules and what they decided, steps of flows, decisions and messages at once, logs.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use crate::curl;
use crate::daemon::{Daemon, Start, eventually};
use crate::origin::{Http, echo, nobody};
use crate::tools::{Reader, connect, ended, fetch, rules};

#[test]
fn rules_count_what_they_decide() {
    let origin = Http::start("origin");
    let port = origin.address.port();
    let text = |first: &str| {
        // Who admits not everybody has a copy of the policy, with the same rules.
        let rules = rules(&format!(
            "{first}DST-PORT,  {port}, DIRECT\nIP-CIDR, 127.0.0.0/8, other\nDST-PORT, 1, REJECT\nFALLBACK, REJECT"
        ));
        rules.replace("0\" }", "0\", allow: [127.0.0.0/8] }")
    };
    let daemon = Daemon::native(&text(""));
    for _ in 0..2 {
        assert_eq!(fetch(&daemon, &origin.url()), "200");
    }
    ended(&daemon, 2);
    let found = |list: &Value, words: &str| {
        let rules = list["rules"].as_array().unwrap().clone();
        let fits = |rule: &&Value| rule["text"].as_str().unwrap().contains(words);
        rules.iter().find(fits).cloned().unwrap_or_default()
    };
    let list = daemon.json(&["rules"]);
    assert_eq!(list["rules"].as_array().unwrap().len(), 5, "{list}");
    let rule = found(&list, &port.to_string());
    assert_eq!(
        (&rule["hits"], &rule["line"]),
        (&2.into(), &7.into()),
        "{rule}"
    );
    assert!(rule["bytes_received"].as_u64().unwrap() > 0, "{rule}");
    assert!(rule["last_hit"].as_u64().unwrap() > 0, "{rule}");
    let unused = daemon.json(&["rules", "--unused"]);
    let unused: Vec<&Value> = unused["rules"].as_array().unwrap().iter().collect();
    let texts: Vec<&str> = unused.iter().map(|r| r["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "IP-CIDR, 127.0.0.0/8, other",
            "DST-PORT, 1, REJECT",
            "not in allow: 127.0.0.0/8"
        ]
    );
    // What the first one takes from the second.
    let shadowed = daemon.json(&["rules", "--shadowed"]);
    assert_eq!(shadowed["replayed"], 2);
    assert_eq!(shadowed["rules"].as_array().unwrap().len(), 1, "{shadowed}");
    let shadow = &shadowed["rules"][0]["shadowed_by"][0];
    assert_eq!(
        (&shadow["flows"], &shadow["elsewhere"]),
        (&2.into(), &2.into())
    );
    assert_eq!(shadow["line"], 7);
    // Moved and spaced otherwise, and a reload later, it is the same rule.
    daemon.write(
        "pointsman.yaml",
        &text("DST-PORT, 2, REJECT\n").replace(",  ", ", "),
    );
    assert!(daemon.client(&["reload"]).status.success());
    let rule = found(&daemon.json(&["rules", "--by-hits"]), &port.to_string());
    assert_eq!(
        (&rule["hits"], &rule["line"]),
        (&2.into(), &8.into()),
        "{rule}"
    );
    // Flows that live count already.
    let echo = echo();
    let mut client = connect(&daemon, &echo.to_string());
    eventually("a live flow counts", || {
        found(&daemon.json(&["rules"]), "IP-CIDR")["hits"] == 1
    });
    client.write_all(b"bytes").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    eventually("its bytes, too", || {
        found(&daemon.json(&["rules"]), "IP-CIDR")["bytes_sent"] == 5
    });
    let text = daemon.client(&["rules", "--by-hits"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(
        text.lines().next().unwrap().contains(": 2 flows, "),
        "{text}"
    );
}

#[test]
fn rules_of_named_trees_count_where_they_are_used() {
    let origin = Http::start("origin");
    let port = origin.address.port();
    let text = format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         policies:\n  web: |\n    any [\n      cond port eq {port} => direct\n      cond network eq tcp => reject\n    ]\n\
         policy: |\n  any [\n    cond network eq tcp => web\n    cond ip in 127.0.0.0/8 => reset\n    direct\n  ]\n"
    );
    let daemon = Daemon::native(&text);
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    let told = |words: &[&str]| {
        let list = daemon.json(words);
        let rules = list["rules"].as_array().unwrap().clone();
        let one = |rule: &Value| format!("{} {} {}", rule["policy"], rule["line"], rule["hits"]);
        rules
            .iter()
            .map(one)
            .collect::<Vec<_>>()
            .join(", ")
            .replace('"', "")
    };
    assert_eq!(told(&["rules"]), "main 7 1, main 8 0, main 13 0, main 14 0");
    // Within the tree, and behind it.
    assert_eq!(told(&["rules", "--shadowed"]), "main 8 0, main 13 0");
}

#[test]
fn counts_outlive_the_daemon() {
    let origin = Http::start("origin");
    let home = tempfile::tempdir().unwrap();
    let (config, state) = (home.path().join("c.yaml"), home.path().join("state"));
    std::fs::write(&config, rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT")).unwrap();
    let start = || {
        Daemon::start(&Start {
            config: config.to_str().unwrap(),
            args: vec!["--state", state.to_str().unwrap()],
            ..Start::default()
        })
    };
    let numbers = |daemon: &Daemon| {
        let list = daemon.json(&["rules"]);
        let hits = list["rules"].as_array().unwrap().iter();
        let hits: Vec<u64> = hits.map(|rule| rule["hits"].as_u64().unwrap()).collect();
        (hits, list["since"].as_u64().unwrap())
    };
    let mut first = start();
    assert_eq!(fetch(&first, &origin.url()), "200");
    ended(&first, 1);
    let (hits, since) = numbers(&first);
    assert_eq!(hits, [0, 1]);
    assert!(first.client(&["stop"]).status.success());
    first.wait(std::time::Duration::from_secs(5));
    // What a crash does not take: all up to the last writing.
    let second = start();
    assert_eq!(numbers(&second), (vec![0, 1], since));
    assert_eq!(fetch(&second, &origin.url()), "200");
    ended(&second, 1);
    assert_eq!(numbers(&second).0, [0, 2]);
    second.signal("KILL");
    drop(second);
    let third = start();
    assert_eq!(numbers(&third), (vec![0, 1], since));
    // The rule that was never hit is told, and since when.
    let unused = third.client(&["rules", "--unused"]);
    let said = String::from_utf8_lossy(&unused.stdout).into_owned();
    assert!(said.contains("DST-PORT, 1, REJECT: never"), "{said}");
    let said = String::from_utf8_lossy(&unused.stderr).into_owned();
    assert!(said.starts_with("counted since "), "{said}");
    third.signal("KILL");
    drop(third);
    // A damaged file keeps nobody from serving.
    std::fs::write(state.join("rules/counts.json"), "{").unwrap();
    let fourth = start();
    assert_eq!(numbers(&fourth).0, [0, 0]);
    assert!(
        fourth.log().contains("rule counts start at zero"),
        "{}",
        fourth.log()
    );
}

#[test]
fn a_flow_says_what_it_went_through() {
    let daemon = Daemon::native(&rules(
        "DOMAIN-SUFFIX, sniffed.test, REJECT\nPROCESS-NAME, nobody, REJECT\nFALLBACK, DIRECT",
    ));
    let origin = Http::start("origin");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    let explained = daemon.json(&["explain", "--id", "1"]);
    let steps = explained["steps"].as_array().unwrap();
    let words: Vec<&str> = steps.iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_eq!(words, ["sniff", "owner", "dial"], "{explained}");
    assert!(
        steps[0]["outcome"].as_str().unwrap().starts_with("http"),
        "{explained}"
    );
    assert!(
        steps[1]["outcome"].as_str().unwrap().starts_with("curl ("),
        "{explained}"
    );
    assert_eq!(steps[2]["outcome"], "open");
    assert!(steps[1]["ms"].as_f64().unwrap() > 0.0, "{explained}");
    let flow = daemon.last_flow();
    assert!(flow["took_us"]["dial"].as_u64().unwrap() > 0, "{flow}");
    // One that cannot be reached.
    assert_eq!(fetch(&daemon, &format!("http://{}/", nobody())), "502");
    ended(&daemon, 2);
    let text = daemon.client(&["explain", "--id", "2"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("steps:") && text.contains("ms: failed: "),
        "{text}"
    );
}

#[test]
fn a_flow_is_explained_by_the_member_that_it_had() {
    let origin = Http::start("origin");
    let text = rules("FALLBACK, outer").replace(
        "outbounds:",
        "outbounds:\n  inner: { type: select, members: [direct, reject] }\n  outer: { type: select, members: [inner, reset] }",
    );
    let daemon = Daemon::native(&text);
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    for (group, member) in [("outer", "reset"), ("inner", "reject")] {
        let output = daemon.client(&["outbounds", "select", group, member]);
        assert!(output.status.success(), "{output:?}");
    }
    let decision = daemon.json(&["explain", "--id", "1"])["decision"].clone();
    assert_eq!(decision["outbound"], "outer", "{decision}");
    assert_eq!(decision["member"], "direct", "{decision}");
    assert_eq!(decision["action"], "direct", "{decision}");
}

#[test]
fn a_flow_of_a_forward_names_the_target_it_reached_and_those_before() {
    let origin = Http::start("origin");
    let live = origin.url().replace("http://", "tcp://");
    let dead = nobody();
    let daemon = Daemon::native(&format!(
        "version: 1\nforwards:\n  web:\n    listen: \"tcp://127.0.0.1:0\"\n    targets:\n      - {{ name: dead, address: \"tcp://{}\", attempts: 2, backoff: 1ms }}\n      - {{ name: live, address: \"{}\" }}\n",
        dead,
        live.trim_end_matches('/'),
    ));
    let asks = || {
        let mut client = std::net::TcpStream::connect(daemon.address("web")).unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client.write_all(request).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1."), "{answer}");
    };
    asks();
    ended(&daemon, 1);
    let explained = daemon.json(&["explain", "--id", "1"]);
    let steps = explained["steps"].as_array().unwrap();
    let outcomes: Vec<&str> = steps
        .iter()
        .map(|s| s["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes.len(), 2, "{explained}");
    assert!(
        outcomes[0].starts_with("dead: 2 times failed: "),
        "{explained}"
    );
    assert_eq!(outcomes[1], "live: open", "{explained}");
    let flow = daemon.last_flow();
    assert_eq!(flow["member"], "live", "{flow}");
    let at = live.trim_start_matches("tcp://").trim_end_matches('/');
    assert_eq!(flow["target"], at, "{flow}");
    let shown = |words: &[&str]| {
        let shown = daemon.client(words).stdout;
        String::from_utf8_lossy(&shown).into_owned()
    };
    let listed = shown(&["flows", "list", "--recent"]);
    assert!(listed.contains(&format!("web › live ({at})")), "{listed}");
    let outbounds = shown(&["outbounds"]);
    let targets = format!("web: forward to dead ({dead}), live ({at})");
    assert!(outbounds.contains(&targets), "{outbounds}");
    assert_eq!(flow["attempts"][0]["target"], "dead", "{flow}");
    assert_eq!(flow["attempts"][0]["times"], 2, "{flow}");
    // It rests now, longer each time that it fails again, and who comes before that is over is told so.
    let mut id = 1;
    while daemon.last_flow()["passed_by"].is_null() {
        asks();
        id += 1;
        ended(&daemon, id);
    }
    let explained = daemon.json(&["explain", "--id", &id.to_string()]);
    let outcome = explained["steps"][0]["outcome"].as_str().unwrap();
    let (dead, after) = ("dead: passed by: it is not tried for ", " s after ");
    assert!(outcome.starts_with(dead), "{explained}");
    assert!(outcome.contains(after), "{explained}");
    assert_eq!(explained["steps"][1]["outcome"], "live: open");
    let flow = daemon.last_flow();
    assert_eq!(flow["passed_by"][0]["target"], "dead", "{flow}");
    let live = daemon.json(&["explain", "--inbound", "web"]);
    let hint = live["hints"][0].as_str().unwrap_or_default();
    // Its rest may be over by now.
    assert!(hint.starts_with("target `dead` "), "{live}");
    assert!(hint.contains(" after "), "{live}");
}

#[test]
fn decisions_can_be_followed() {
    let daemon = Daemon::native(&rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT"));
    let origin = Http::start("origin");
    let all = Reader::curl(&daemon, "/v1/explain/follow");
    let other = Reader::curl(&daemon, "/v1/explain/follow?contains=reject");
    let client = Reader::client(
        &daemon,
        &[
            "--format",
            "json",
            "explain",
            "--follow",
            "--dst",
            "127.0.0.1",
        ],
    );
    eventually("the client follows", || {
        fetch(&daemon, &origin.url());
        !client.text().is_empty()
    });
    let line = client.text();
    let explained: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(explained["decision"]["outbound"], "DIRECT");
    assert_eq!(explained["generation"], "1");
    // While the flow lives.
    let echo = echo();
    let _tunnel = connect(&daemon, &echo.to_string());
    let live = daemon.json(&["flows", "list"])["flows"][0]["id"].clone();
    all.hears(&format!("event: decision\ndata: {{\"id\":{live},"));
    assert_eq!(fetch(&daemon, "http://192.0.2.1:1/"), "403");
    other.hears("REJECT");
    assert_eq!(other.text().matches("event: decision").count(), 1);
    assert!(!client.text().contains("REJECT"), "{}", client.text());
    for bad in ["flow=dts%3Dx", "flow=resolved%3D1.2.3.4"] {
        let socket = daemon.control();
        let url = format!("http://daemon/v1/explain/follow?{bad}");
        let words = [
            "--unix-socket",
            socket.to_str().unwrap(),
            "--write-out",
            "%{http_code}",
            &url,
        ];
        assert!(curl(&words).0.ends_with("400"), "{bad}");
    }
}

#[test]
fn a_tail_is_filtered_as_a_list_is() {
    let text = rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT").replace(
        "  - DST-PORT",
        "  - .INSTRUMENT: { id: 7, matches: ALWAYS, message: 'to {addr.dst}' }\n  - DST-PORT",
    );
    let daemon = Daemon::native(&text);
    let all = Reader::client(&daemon, &["flows", "tail"]);
    let some = Reader::client(&daemon, &["flows", "tail", "192.0.2.1:1"]);
    let rejected = Reader::client(&daemon, &["flows", "tail", "--contains", "reject"]);
    eventually("all three follow", || {
        assert_eq!(fetch(&daemon, "http://192.0.2.1:1/"), "403");
        [&all, &some, &rejected]
            .iter()
            .all(|tail| !tail.text().is_empty())
    });
    assert_eq!(fetch(&daemon, "http://192.0.2.9:1/"), "403");
    all.hears("192.0.2.9:1");
    rejected.hears("192.0.2.9:1");
    // The configuration is everybody's news; whatever was to come of the flow came before it.
    let path = daemon.directory.path().join("pointsman.yaml");
    let other = text.replace("FALLBACK, DIRECT", "FALLBACK, REJECT");
    std::fs::write(path, other).unwrap();
    assert!(daemon.client(&["reload"]).status.success());
    some.hears("generation 2");
    assert!(!some.text().contains("192.0.2.9"), "{}", some.text());
    assert!(some.text().contains("message flow"), "{}", some.text());
    let bad = daemon.client(&["flows", "tail", "dts=x"]);
    assert_eq!(bad.status.code(), Some(2), "{bad:?}");
}

#[test]
fn a_tail_tells_of_flows_when_they_begin_and_when_they_end() {
    let daemon = Daemon::native(&rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT"));
    let tail = Reader::client(&daemon, &["flows", "tail"]);
    let events = Reader::curl(&daemon, "/v1/events");
    let echo = echo();
    eventually("it follows", || {
        drop(connect(&daemon, &echo.to_string()));
        tail.text().contains("end ")
    });
    let silent = connect(&daemon, &echo.to_string());
    let id = daemon.json(&["flows", "list"])["flows"][0]["id"].clone();
    tail.hears(&format!("begin {id} tcp "));
    assert!(
        !tail.text().contains(&format!("end {id} ")),
        "{}",
        tail.text()
    );
    drop(silent);
    tail.hears(&format!("end {id} tcp "));
    // Those that are refused have no life, and who does not ask hears of none.
    assert_eq!(fetch(&daemon, "http://192.0.2.1:1/"), "403");
    tail.hears("192.0.2.1:1");
    let told = tail.text();
    for line in told.lines().filter(|line| line.starts_with("end ")) {
        let begun = line.replacen("end ", "begin ", 1);
        let begun = begun.split_once(") ").unwrap().0;
        let before = told.split(line).next().unwrap();
        assert_eq!(before.contains(begun), !line.contains("reject"), "{told}");
    }
    assert!(!events.text().contains("event: begin"));
}

#[test]
fn what_rules_say_is_heard_at_once() {
    let text = rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT").replace(
        "  - FALLBACK",
        "  - .INSTRUMENT: { id: 7, matches: ALWAYS, message: 'to {addr.dst} by {process.name}' }\n  \
           - .INSTRUMENT: { id: 8, matches: ALWAYS, message: 'tag {process.tag}' }\n  - FALLBACK",
    );
    let daemon = Daemon::native(&text);
    let events = Reader::curl(&daemon, "/v1/events");
    let tail = Reader::client(&daemon, &["flows", "tail"]);
    let echo = echo();
    let tunnel = connect(&daemon, &echo.to_string());
    // Its flow lives, and each is heard once although facts were asked for in between.
    events.hears("\"id\":8,\"text\":\"tag N/A\"");
    let heard = events.text();
    let first = format!("event: message\ndata: {{\"flow\":1,\"id\":7,\"text\":\"to {echo} by ");
    assert_eq!(heard.matches("event: message").count(), 2, "{heard}");
    assert!(heard.contains(&first), "{heard}");
    assert!(!heard.contains("event: end"), "{heard}");
    drop(tunnel);
    events.hears("event: end");
    assert_eq!(events.text().matches("event: message").count(), 2);
    drop(tail);
    // With the flow they stay.
    let flow = daemon.last_flow();
    assert_eq!(flow["messages"].as_array().unwrap().len(), 2, "{flow}");
}

#[test]
fn a_reload_takes_level_and_access_log() {
    let text = rules("FALLBACK, DIRECT");
    let daemon = Daemon::native(&(text.clone() + "log: { level: error }\n"));
    let origin = Http::start("origin");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    let log = daemon.directory.path().join("flows.log");
    assert!(!log.exists());
    daemon.write(
        "pointsman.yaml",
        &(text.clone() + "log: { level: info }\naccess_log: flows.log\n"),
    );
    assert!(daemon.client(&["reload"]).status.success());
    assert!(daemon.log().contains("reloaded"), "{}", daemon.log());
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    eventually("the flow is logged", || {
        std::fs::read_to_string(&log).unwrap().lines().count() == 1
    });
    // A log that cannot be had changes nothing.
    daemon.write(
        "pointsman.yaml",
        &(text.clone() + "access_log: pointsman.yaml/flows.log\n"),
    );
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(4));
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    eventually("it is still logged there", || {
        std::fs::read_to_string(&log).unwrap().lines().count() == 2
    });
    daemon.write("pointsman.yaml", &text);
    assert!(daemon.client(&["reload"]).status.success());
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 4);
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
}

#[test]
fn a_flow_that_is_closed_is_told_as_closed_and_one_that_was_not_let_in_has_no_destination() {
    let text = rules("FALLBACK, DIRECT");
    let daemon = Daemon::native(&text.replace("0\" }", "0\", users: { a: bcd } }"));
    let at = daemon.address("desk");
    let mut stranger = std::net::TcpStream::connect(at).unwrap();
    stranger.write_all(b"\x05\x01\x02\x01\x01a\x01x").unwrap();
    let mut said = Vec::new();
    stranger.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"\x05\x02\x01\x01");
    ended(&daemon, 1);
    let shown = String::from_utf8(daemon.client(&["flows", "list", "--recent"]).stdout).unwrap();
    let row = shown
        .lines()
        .find(|line| line.contains("wrong user or password"))
        .unwrap();
    assert!(row.contains("tcp -  ") && !row.contains("desk"), "{shown}");

    let daemon = Daemon::native(&text);
    let _tunnel = connect(&daemon, &echo().to_string());
    let id = daemon.json(&["flows", "list"])["flows"][0]["id"].to_string();
    let shown = String::from_utf8(daemon.client(&["flows", "close", &id]).stdout).unwrap();
    assert!(
        shown.contains("stopped") && !shown.contains("live"),
        "{shown}"
    );
}
