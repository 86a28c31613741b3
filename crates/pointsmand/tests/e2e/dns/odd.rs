//! The DNS server under odd conditions: many clients, forged answers, damaged ones, ports, what `status` says of it.

use std::collections::BTreeSet;

use super::{World, native, told};
use crate::daemon::eventually;

/// Asks by a script of the tests, in the world's host; its lines.
fn ask(world: &World, words: &[&str]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/dns/ask.py");
    let mut command = world.host.command("python3");
    let output = command.arg(script).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// D9: a client hears its own upstream alone, whatever others asked before it.
#[test]
fn each_client_hears_its_own_upstream() {
    let rules = "  rules:\n  - SRC-IP-CIDR, 127.0.0.3/32, far\n  - FALLBACK, near\n";
    let world = native(rules);
    let lines = ask(
        &world,
        &[
            "alternate",
            "127.0.0.1:53535",
            "one.test",
            "500",
            "127.0.0.2",
            "127.0.0.3",
        ],
    );
    assert_eq!(lines.len(), 1000);
    for (at, line) in lines.iter().enumerate() {
        let expected = if at % 2 == 0 { "10.0.0.1" } else { "10.0.0.2" };
        assert_eq!(line, expected, "{at}");
    }
    assert_eq!(
        (world.near.asked("one.test"), world.far.asked("one.test")),
        (1, 1)
    );
}

/// D11: who is not on the way says nothing that counts; each question comes from a port of its own.
#[test]
fn forged_answers_are_passed_over_and_ports_are_fresh() {
    let world = native("");
    // Its server sends all 65,536 numbers to the port of the question before, then the right number with another question,
    // then the right answer from another port, each with 10.6.6.6; and then the true one.
    world.check("first.test A", "NOERROR", &["A 10.0.0.1"]);
    world.check("x.spoof.test A", "NOERROR", &["A 10.0.0.1"]);
    world.check("x.spoof.test A", "NOERROR", &["A 10.0.0.1"]);
    let counted = world.daemon.json(&["diagnostics"])["dns_answers_dropped"]["near"].clone();
    assert!(counted.as_u64() >= Some(1), "{counted}");
    let lines = ask(&world, &["misses", "127.0.0.1:53535", "port.test", "1000"]);
    assert_eq!(lines, ["1000"]);
    eventually("all were asked for", || world.near.asked("from ") >= 1000);
    let all = world.near.all();
    let ports: BTreeSet<&str> = all
        .iter()
        .filter_map(|line| line.strip_prefix("from "))
        .collect();
    assert!(ports.len() > 900, "{}", ports.len());
}

/// What a datagram cannot say, or says in a way that nobody can read, is asked over TCP at once.
#[test]
fn damaged_and_long_datagrams_are_asked_again_by_stream() {
    let world = native("");
    for name in ["a.garble.test", "a.long.test"] {
        let begun = std::time::Instant::now();
        world.check(&format!("{name} A"), "NOERROR", &["A 10.0.0.1"]);
        let took = begun.elapsed().as_millis();
        assert!(took < 2000, "{name}: {took} ms");
        assert_eq!(world.near.asked(&format!("tcp {name} 1")), 1);
    }
}

/// `status` tells each address once, and of each upstream what became of questions.
#[test]
fn status_tells_of_listeners_and_upstreams() {
    let world = native("  rules: [\"DOMAIN-SUFFIX, servfail.test, far\", \"FALLBACK, near\"]\n");
    world.check("a.test A", "NOERROR", &["A 10.0.0.1"]);
    world.check("a.test A", "NOERROR", &["A 10.0.0.1"]);
    world.check("servfail.test A", "SERVFAIL", &[]);
    let status = world.daemon.json(&["status"]);
    let inbounds =
        serde_json::json!([{ "name": "dns", "type": "dns", "address": "udp://127.0.0.1:53535" }]);
    assert_eq!(status["inbounds"], inbounds);
    let upstreams = status["upstreams"].as_array().unwrap();
    let counts: Vec<_> = upstreams
        .iter()
        .map(|it| {
            let number = |key: &str| it[key].as_u64().unwrap();
            let name = it["name"].as_str().unwrap();
            (name, number("asked"), number("answered"), number("failed"))
        })
        .collect();
    assert_eq!(
        counts,
        [("near", 1, 1, 0), ("far", 1, 0, 1), ("system", 0, 0, 0)]
    );
    let text = world.daemon.client(&["status"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("near: udp 10.9.9.2:53: asked 1, answered 1"),
        "{text}"
    );
    // A port that the system chooses is one, for both.
    let conf = std::fs::read_to_string(world.daemon.directory.path().join("conf")).unwrap();
    world
        .daemon
        .write("conf", &conf.replace("127.0.0.1:53535", "127.0.0.1:0"));
    assert!(world.daemon.client(&["reload"]).status.success());
    let inbounds = world.daemon.json(&["status"])["inbounds"].clone();
    assert_eq!(inbounds.as_array().unwrap().len(), 1, "{inbounds}");
}

/// A connection lives on over a reload, and what it brings then is answered as it says then.
#[test]
fn a_connection_is_answered_as_the_configuration_in_force_says() {
    let world = native("  rules: [\"FALLBACK, near\"]\n");
    let conf = std::fs::read_to_string(world.daemon.directory.path().join("conf")).unwrap();
    let path = world.daemon.directory.path().join("go");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/dns/ask.py");
    let mut command = world.host.command("python3");
    command.args([
        script,
        "stream",
        "127.0.0.1:53535",
        "a.test",
        "b.test",
        path.to_str().unwrap(),
    ]);
    let running = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the first was asked for", || world.near.asked("a.test") > 0);
    world
        .daemon
        .write("conf", &conf.replace("FALLBACK, near", "FALLBACK, far"));
    assert!(world.daemon.client(&["reload"]).status.success());
    std::fs::write(&path, "").unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "10.0.0.1\n10.0.0.2\n"
    );
    // So that it is told apart from a failure.
    assert_eq!(told(&super::dig(&world.host, "c.test A")).1, ["A 10.0.0.2"]);
}

/// Answers of every type are the upstream's own, byte for byte, but for times, OPT, and the flags that each hop sets.
#[test]
fn answers_are_the_upstreams_own() {
    let world = native("  rules: [\"FALLBACK, near\"]\n");
    let lines = ask(&world, &["compare", "127.0.0.1:53535", "10.9.9.2"]);
    assert_eq!(lines, ["1008"]);
}
