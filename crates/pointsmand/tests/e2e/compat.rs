//! The names that other systems' users know: every command line that their documents show, run as it is, through links.

mod machine;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use self::machine::{Machine, Served, ended, notices, packaged_links};
use crate::daemon::{client_path, eventually};
use crate::reflow::shared;

/// Each command line of the documents, and the test that runs it.
macro_rules! documented {
    ($($test:ident: $line:literal by $run:ident,)*) => {
        const DOCUMENTED: &[&str] = &[$($line),*];
        $(#[test] fn $test() { $run($line); })*
    };
}

documented! {
    reflow_config: "reflow --config path" by reflow_serves,
    bitflow_config: "bitflow-$OS-$ARCH --config config.yaml" by bitflow_serves,
    policy_routerd_config: "policy-routerd --config <path>" by policy_routerd_serves,
    policy_routerd_log_level: "policy-routerd --log-level <level>" by policy_routerd_logs,
    policy_routerctl_status: "policy-routerctl status" by status_is_answered,
    policy_routerctl_diagnostics: "policy-routerctl diagnostics" by diagnostics_are_answered,
    policy_routerctl_reload: "policy-routerctl reload" by reload_is_answered,
    policy_routerctl_stop: "policy-routerctl stop" by stop_is_answered,
    policy_routerctl_explain: "policy-routerctl explain --process <name> --domain <domain>" by explain_is_answered,
}

/// What the documents' own words name, with arguments behind it.
fn command_lines(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        for name in [
            "reflow",
            "policy-routerd",
            "policy-routerctl",
            "bitflow-$OS-$ARCH",
        ] {
            for (at, _) in line.match_indices(name) {
                let rest = &line[at + name.len()..];
                let verb = name == "policy-routerctl"
                    && rest[..rest.len().min(2)].ends_with(char::is_alphabetic);
                if rest.starts_with(" -") || (rest.starts_with(' ') && verb) {
                    let end = rest.find(['`', '(', ',']).unwrap_or(rest.len());
                    found.insert(format!("{name}{}", rest[..end].trim_end()));
                }
            }
        }
    }
    found
}

#[test]
fn the_documents_show_no_other_command_line() {
    let Some(shared) = shared() else { return };
    let mut shown = BTreeSet::new();
    for document in ["bitflow.md", "policy-router.md", "reflow.txt"] {
        let text = std::fs::read_to_string(shared.join("seeds").join(document)).unwrap();
        shown.extend(command_lines(&text));
    }
    let mut run: BTreeSet<String> = DOCUMENTED.iter().map(|&line| line.to_owned()).collect();
    // Named in a list of verbs, not as a line.
    assert!(run.remove("policy-routerctl diagnostics"));
    assert_eq!(shown, run);
}

const REFLOW: &str = "relay {\n  rule=r\n  listen=socks5 127.0.0.1:1080\n}\n\
                      rule r = any [\n  cond domain {\n    ads => reset\n  }\n  direct\n]\n";

fn reflow_serves(line: &str) {
    let machine = Machine::new(&[
        ("path/config", REFLOW),
        ("path/namezone/ads", "test.ads\n"),
        ("broken/config", "rule r = any[\n"),
        ("empty/namezone/ads", "test.ads\n"),
    ]);
    let mut reflow = machine.start(line);
    let proxy = "--proxy socks5://127.0.0.1:1080 http://127.0.0.1/";
    assert_eq!(machine.curl(proxy), (Some(0), "200".to_owned()));
    let (code, _) = machine.curl(&format!("--header 'Host: x.ads.test' {proxy}"));
    assert!(matches!(code, Some(52 | 56)), "{code:?}");
    // It can be asked, and says by which socket.
    assert!(
        reflow
            .log()
            .contains("pointsman --control /run/reflow.sock")
    );
    let status = machine.run("pointsman --control /run/reflow.sock status --format json");
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["dialect"], "reflow");
    assert_eq!(notices(reflow.log().as_bytes()), 1);
    assert!(reflow.end("TERM").success());
    for (directory, code, said) in [
        ("missing", 99, "no such directory"),
        ("path/config", 99, "no such directory"),
        ("broken", 100, "error["),
        ("empty", 100, "unreadable"),
    ] {
        let output = machine.run(&format!("reflow -c {directory}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{directory}: {stderr}");
        assert!(stderr.contains(said), "{directory}: {stderr}");
    }
}

fn bitflow_serves(line: &str) {
    let proxy = |port: u16| {
        format!(
            "server:\n  proxies:\n    - name: web\n      listener:\n        address: 127.0.0.1:{port}\n\
             \x20     targets:\n        - name: origin\n          address: 127.0.0.1:80\n"
        )
    };
    let machine = Machine::new(&[
        ("config.yaml", &proxy(8081)),
        ("other.yaml", &proxy(8082)),
        ("broken.yaml", "server:\n  proxys: []\n"),
    ]);
    let line = line.replace("$OS", "linux").replace("$ARCH", "amd64");
    let mut first = machine.start(&format!("./bin/{line}"));
    let mut second = machine.start("env BITFLOW_CONFIG=other.yaml bitflow");
    for port in [8081, 8082] {
        let got = machine.curl(&format!("http://127.0.0.1:{port}/"));
        assert_eq!(got, (Some(0), "200".to_owned()), "{port}");
    }
    // Any number of them ran at once, and do; each can be asked.
    let own = format!("/run/bitflow-{}.sock", second.child.0.id());
    for (socket, config) in [("/run/bitflow.sock", "config.yaml"), (&own, "other.yaml")] {
        let status = machine.run(&format!(
            "pointsman --control {socket} status --format json"
        ));
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["config_path"], config);
        assert_eq!(status["dialect"], "bitflow");
    }
    assert_eq!(notices(second.log().as_bytes()), 1);
    assert!(first.end("INT").success());
    assert!(second.end("TERM").success());
    for (script, said) in [
        ("bitflow -config broken.yaml", "`proxys`"),
        ("bitflow", "BITFLOW_CONFIG"),
        ("bitflow config.yaml", "pointsmand"),
    ] {
        let output = machine.run(script);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{script}: {stderr}");
        assert!(stderr.contains(said), "{script}: {stderr}");
    }
}

const ROUTER: &str = "[defaults]\negress = \"direct\"\n\
                      [egress.vpn]\ntype = \"singbox\"\nendpoint = \"socks5://127.0.0.1:1488\"\n\
                      [egress.proxy]\ntype = \"socks5\"\nendpoint = \"socks5://127.0.0.1:1080\"\n\
                      [egress.direct]\ntype = \"direct\"\n[egress.block]\ntype = \"block\"\n\
                      [rules.app]\nvpn = [\"zen.exe\"]\ndirect = [\"ciadpi.exe\"]\n\
                      [rules.domain]\nvpn = [\"chatgpt.com\"]\nproxy = [\"youtube.com\"]\nblock = [\"ads.test\"]\n";

/// A machine on which policy-routerd runs as its documents have it.
fn router() -> (Machine, Served) {
    let machine = Machine::new(&[("config.toml", ROUTER)]);
    let daemon = machine.start("policy-routerd --config config.toml");
    (machine, daemon)
}

fn policy_routerd_serves(line: &str) {
    let machine = Machine::new(&[("p.toml", ROUTER), ("config.toml", ROUTER)]);
    let line = line.replace("<path>", "p.toml");
    // With the documents' defaults besides, and by a name, a path and a variable.
    for (daemon, client, socket) in [
        (
            line.as_str(),
            "policy-routerctl",
            "/run/policy-routerd.sock",
        ),
        (
            "policy-routerd",
            "policy-routerctl",
            "/run/policy-routerd.sock",
        ),
        (
            "policy-routerd --socket other",
            "policy-routerctl --socket other",
            "/run/other",
        ),
        (
            "policy-routerd --socket ./own.sock",
            "policy-routerctl --socket ./own.sock",
            "./own.sock",
        ),
        (
            "env POLICY_ROUTER_SOCKET=/run/v.sock policy-routerd",
            "env POLICY_ROUTER_SOCKET=/run/v.sock policy-routerctl",
            "/run/v.sock",
        ),
    ] {
        let mut served = machine.start(daemon);
        let got = machine.curl("--proxy http://127.0.0.1:7890 http://127.0.0.1/");
        assert_eq!(got, (Some(0), "200".to_owned()), "{daemon}");
        let told = machine.json(&format!("{client} diagnostics --format json"));
        assert_eq!(told["socket"], socket, "{daemon}");
        let config = if daemon == line {
            "p.toml"
        } else {
            "config.toml"
        };
        assert_eq!(told["config_path"], config, "{daemon}");
        assert_eq!(notices(served.log().as_bytes()), 1);
        assert!(served.end("INT").success());
    }
    // A second one does not take the first one's place, and what is wrong ends with 1.
    let _first = machine.start(&line);
    for (script, said) in [
        (line.as_str(), "/run/policy-routerd.sock"),
        ("policy-routerd --config missing.toml", "missing.toml"),
    ] {
        let output = machine.run(script);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{script}: {stderr}");
        assert!(stderr.contains(said), "{script}: {stderr}");
    }
}

fn policy_routerd_logs(line: &str) {
    let machine = Machine::new(&[("config.toml", ROUTER)]);
    let with = |level: &str| line.replace("<level>", level);
    // (command line, whether it says what it read, whether it says more)
    for (script, info, debug) in [
        (with("error"), false, false),
        (with("info"), true, false),
        (with("debug"), true, true),
        ("policy-routerd".to_owned(), true, false),
        (format!("env RUST_LOG=debug {}", with("error")), true, true),
    ] {
        let mut daemon = machine.start(&script);
        assert!(daemon.end("TERM").success());
        let log = daemon.log();
        assert_eq!(log.contains("configuration read"), info, "{script}: {log}");
        assert_eq!(log.contains("DEBUG"), debug, "{script}: {log}");
    }
    let output = machine.run(&with("loud"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// The keys of an object, in their order.
fn keys(text: &str) -> Vec<&str> {
    let outer = text.lines().filter(|line| line.starts_with("  \""));
    outer.filter_map(|line| line.split('"').nth(1)).collect()
}

fn status_is_answered(line: &str) {
    let (machine, _daemon) = router();
    let text = machine.told(&format!("{line} --format json"));
    assert_eq!(keys(&text), ["type", "uptime_ms", "config_path", "egress"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["type"], "ok_status");
    let egress = serde_json::json!([
        { "id": "block", "kind": "block", "endpoint": null },
        { "id": "direct", "kind": "direct", "endpoint": null },
        { "id": "proxy", "kind": "socks5", "endpoint": "socks5://127.0.0.1:1080" },
        { "id": "vpn", "kind": "singbox", "endpoint": "socks5://127.0.0.1:1488" },
    ]);
    assert_eq!(told["egress"], egress);
    let text = machine.told(line);
    let rest = text.split_once('\n').unwrap().1;
    assert!(text.starts_with("uptime_ms: "), "{text}");
    let expected =
        "config_path: config.toml\negress:\n  - id: block\n    kind: block\n  - id: direct\n";
    assert!(rest.starts_with(expected), "{text}");
    // The other client asks it as well.
    let own = machine.run("pointsman --control /run/policy-routerd.sock status");
    assert!(own.status.success(), "{own:?}");
}

fn diagnostics_are_answered(line: &str) {
    let (machine, _daemon) = router();
    let expected = [
        "type",
        "uptime_ms",
        "config_path",
        "socket",
        "egress_count",
        "running",
        "ipc_requests",
        "reload_ok",
        "reload_err",
    ];
    let text = machine.told(&format!("{line} --format json"));
    assert_eq!(keys(&text), expected);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["type"], "ok_diagnostics");
    assert_eq!(told["egress_count"], 4);
    assert_eq!(told["running"], true);
    assert!(told["ipc_requests"].as_u64() > Some(0), "{told}");
    let text = machine.told(line);
    let words = text.lines().map(|line| line.split(": ").next().unwrap());
    assert_eq!(words.collect::<Vec<_>>(), &expected[1..]);
}

fn reload_is_answered(line: &str) {
    let (machine, _daemon) = router();
    let config = machine.directory.path().join("config.toml");
    assert_eq!(machine.told(line), "reloaded: true\n");
    let quiet = machine.run(&format!("{line} --quiet"));
    assert!(
        quiet.status.success() && quiet.stdout.is_empty(),
        "{quiet:?}"
    );
    assert!(quiet.stderr.is_empty(), "{quiet:?}");
    assert_eq!(
        machine.told(&format!("{line} --format json --fail-fast")),
        "{\n  \"type\": \"ok_reload\"\n}\n"
    );
    // What is refused changes nothing, and ends with 2.
    let vpn = "policy-routerctl explain --process zen.exe --format json";
    std::fs::write(
        &config,
        ROUTER.replace("egress = \"direct\"", "egress = \"none\""),
    )
    .unwrap();
    let output = machine.run(line);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("error: ") && text.contains("config.toml"),
        "{text}"
    );
    let output = machine.run(&format!("{line} --format json"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["type"], "err");
    assert!(
        told["message"].as_str().unwrap().contains("config.toml"),
        "{told}"
    );
    assert_eq!(machine.json(vpn)["decision"]["egress"], "vpn");
    let told = machine.json("policy-routerctl diagnostics --format json");
    assert!(told["reload_err"].as_u64() >= Some(2), "{told}");
    // What is in order again is taken by itself, too.
    std::fs::write(
        &config,
        ROUTER.replace("vpn = [\"zen.exe\"]", "proxy = [\"zen.exe\"]"),
    )
    .unwrap();
    eventually("a changed configuration is in force", || {
        machine.json(vpn)["decision"]["egress"] == "proxy"
    });
}

fn stop_is_answered(line: &str) {
    let (machine, mut daemon) = router();
    assert_eq!(machine.told(line), "stopping: true\n");
    assert!(ended(&mut daemon.child.0).success());
    for verb in ["status", "reload", "stop", "diagnostics", "explain"] {
        let output = machine.run(&format!("policy-routerctl {verb} --format json"));
        assert_eq!(output.status.code(), Some(1), "{verb}: {output:?}");
        assert!(output.stdout.is_empty(), "{verb}: {output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("policy-routerd --config"),
            "{verb}: {stderr}"
        );
    }
    let _daemon = machine.start("policy-routerd");
    let json = machine.told(&format!("{line} --format json"));
    assert_eq!(json, "{\n  \"type\": \"ok_stop\"\n}\n");
}

fn explain_is_answered(line: &str) {
    let (machine, _daemon) = router();
    // (process, domain) and what is said: the outcomes that the document promises, and the way there.
    let cases = [
        (
            "zen.exe",
            "youtube.com",
            "proxy",
            "domain_rule",
            "exact youtube.com",
        ),
        (
            "zen.exe",
            "www.youtube.com",
            "proxy",
            "domain_rule",
            "suffix youtube.com",
        ),
        (
            "zen.exe",
            "chatgpt.com",
            "vpn",
            "domain_rule",
            "exact chatgpt.com",
        ),
        (
            "zen.exe",
            "unknown.test",
            "vpn",
            "app_rule",
            "exact zen.exe",
        ),
        (
            "'C:\\x\\ZEN.EXE'",
            "unknown.test",
            "vpn",
            "app_rule",
            "exact zen.exe",
        ),
        ("ciadpi.exe", "''", "direct", "app_rule", "exact ciadpi.exe"),
        (
            "other",
            "x.ads.test.",
            "block",
            "block_domain",
            "suffix ads.test",
        ),
        ("other", "unknown.test", "direct", "default", ""),
        ("''", "''", "direct", "default", ""),
    ];
    for (process, domain, egress, source, matcher) in cases {
        let line = line.replace("<name>", process).replace("<domain>", domain);
        let text = machine.told(&format!("{line} --format json"));
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["type"], "ok_explain", "{line}");
        let decision = &told["decision"];
        assert_eq!(decision["egress"], egress, "{line}: {told}");
        assert_eq!(decision["rule_egress"], egress, "{line}: {told}");
        assert_eq!(decision["source"], source, "{line}: {told}");
        assert!(decision["reason"].is_string(), "{line}: {told}");
        let found = match &decision["matcher"] {
            Value::Null => String::new(),
            found => format!("{} {}", found["type"], found["pattern"]).replace('"', ""),
        };
        assert_eq!(found, matcher, "{line}: {told}");
        assert_eq!(
            text.contains("matcher"),
            !matcher.is_empty(),
            "{line}: {text}"
        );
    }
    let line = line
        .replace("<name>", "zen.exe")
        .replace("<domain>", "m.youtube.com");
    assert_eq!(
        machine.told(&line),
        "egress: proxy\nsource: domain_rule\nrule_egress: proxy\nmatcher:\n  type: suffix\n  pattern: youtube.com\n\
         reason: domain rule: suffix match 'youtube.com' -> egress 'proxy'\n"
    );
    assert!(
        machine
            .told("policy-routerctl explain")
            .starts_with("egress: direct\nsource: default\n")
    );
}

#[test]
fn scripts_that_outlive_the_move_ask_the_daemon_by_its_own_name() {
    let machine = Machine::new(&[("config.toml", ROUTER)]);
    let daemon = env!("CARGO_BIN_EXE_pointsmand");
    let _daemon = machine.start(&format!("{daemon} --config config.toml"));
    let told = machine.json("policy-routerctl status --format json");
    assert_eq!(told["egress"].as_array().unwrap().len(), 4, "{told}");
    drop(_daemon);
    // One that has no such rules says so.
    let _daemon = machine.start(daemon);
    let output = machine.run("policy-routerctl explain --domain a.test --format json");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["type"], "err", "{told}");
}

#[test]
fn the_package_brings_every_name() {
    let links = packaged_links();
    let links: Vec<_> = links.iter().map(|(name, to)| (&**name, &**to)).collect();
    let daemon = "pointsmand";
    let expected = [
        ("bitflow", daemon),
        ("policy-routerctl", "pointsman"),
        ("policy-routerd", daemon),
        ("reflow", daemon),
    ];
    assert_eq!(links, expected);
}

#[test]
fn links_to_the_wrong_program_say_so() {
    let machine = Machine::new(&[]);
    let bin = machine.directory.path().join("bin");
    let link = |name: &str, program: &Path| {
        std::fs::remove_file(bin.join(name)).unwrap();
        std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    };
    link(
        "policy-routerctl",
        Path::new(env!("CARGO_BIN_EXE_pointsmand")),
    );
    link("reflow", &client_path());
    for name in ["policy-routerctl status", "reflow --config x"] {
        let output = machine.run(name);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("link it to the"), "{stderr}");
    }
}
