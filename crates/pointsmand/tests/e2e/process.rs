//! Rules on processes with real programs, and the loop guard with a real proxy core.

mod elsewhere;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::daemon::{Daemon, Running, Start};
use crate::namespace::Namespace;
use crate::origin::Http;

/// curl's exit code and the status that it printed, by whichever program is curl.
fn status(mut curl: Command, proxy: &str, words: &[&str], url: &str) -> (i32, String) {
    let output = curl
        .args([
            "--silent",
            "--max-time",
            "20",
            "--noproxy",
            "",
            "--output",
            "/dev/null",
        ])
        .args(["--proxy", proxy, "--write-out", "%{http_code}"])
        .args(words)
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), text)
}

/// curl under another name.
fn copy_of_curl(path: &std::path::Path) {
    let output = Command::new("sh").args(["-c", "command -v curl"]).output();
    let real = String::from_utf8(output.unwrap().stdout).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::copy(real.trim(), path).unwrap();
}

#[test]
fn rules_see_the_program_behind_a_flow() {
    let (origin, directory) = (Http::start("origin"), tempfile::tempdir().unwrap());
    let fetch = directory.path().join("fetch");
    let special = directory.path().join("special-place/fetch");
    copy_of_curl(&fetch);
    copy_of_curl(&special);
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrules:\n\
         \x20 - PROCESS-NAME, curl, REJECT\n\
         \x20 - PROC-PATH-KEYWORD, special-place, REJECT\n\
         \x20 - PROC-CMD-REGEX, \"user-agent tea.?pot\", REJECT\n\
         \x20 - FALLBACK, DIRECT\n",
    );
    let socks = format!("socks5://{}", daemon.address("desk"));
    let http = format!("http://{}", daemon.address("desk"));
    let (curl, fetch, special) = ("curl", fetch.to_str().unwrap(), special.to_str().unwrap());
    // The program; its arguments; the rule that refuses it.
    let cases: [(&str, &[&str], Option<&str>); 5] = [
        (curl, &[], Some("PROCESS-NAME")),
        (fetch, &[], None),
        (special, &[], Some("PROC-PATH-KEYWORD")),
        (fetch, &["--user-agent", "teapot"], Some("PROC-CMD-REGEX")),
        (fetch, &["--user-agent", "kettle"], None),
    ];
    for (program, words, rule) in cases {
        for proxy in [&http, &socks] {
            let (code, text) = status(Command::new(program), proxy, words, &origin.url());
            let expected = match rule {
                None => (0, "200"),
                Some(_) if proxy == &http => (0, "403"),
                // 97: the SOCKS answer was no.
                Some(_) => (97, "000"),
            };
            assert_eq!((code, text.as_str()), expected, "{program} {words:?}");
            let flow = daemon.last_flow();
            let name = if program == curl { "curl" } else { "fetch" };
            assert_eq!(flow["process"]["name"], name, "{flow}");
            let text = flow["rule"]["text"].as_str().unwrap();
            assert!(text.starts_with(rule.unwrap_or("FALLBACK")), "{text}");
        }
    }
    // Another program altogether.
    let script = "import sys, urllib.request as r\n\
                  h = r.ProxyHandler({'http': sys.argv[1]})\n\
                  print(r.build_opener(h).open(sys.argv[2]).status)";
    let output = Command::new("python3")
        .args(["-c", script, &http, &origin.url()])
        .output();
    assert_eq!(output.unwrap().stdout, b"200\n");
    let name = daemon.last_flow()["process"]["name"].to_string();
    assert!(name.contains("python"), "{name}");
}

/// Serves in a namespace by fixed ports, with the files given.
fn within(namespace: &Namespace, text: &str) -> Daemon {
    Daemon::start(&Start {
        files: vec![("pointsman.yaml", format!("version: 1\n{text}"))],
        config: "pointsman.yaml",
        namespace: Some(&namespace.name),
        ..Start::default()
    })
}

#[test]
fn who_comes_from_elsewhere_has_no_program_here() {
    let (host, other) = (Namespace::new("owner"), Namespace::new("elsewhere"));
    host.join(("a0", "172.31.0.1/24"), &other, ("b0", "172.31.0.2/24"));
    let _web = host.inet(&["web"]);
    let daemon = within(
        &host,
        "inbounds:\n  desk: { type: http, listen: \"172.31.0.1:7890\" }\nrules:\n\
         \x20 - PROCESS-NAME, curl, REJECT\n  - FALLBACK, DIRECT\n",
    );
    let ask = |from: &Namespace| {
        let curl = from.command("curl");
        status(curl, "http://172.31.0.1:7890", &[], "http://172.31.0.1/").1
    };
    assert_eq!(ask(&host), "403");
    assert_eq!(daemon.last_flow()["process"]["name"], "curl");
    assert_eq!(ask(&other), "200");
    assert_eq!(daemon.last_flow()["process"], Value::Null);
}

/// What the daemon says of its flows, oldest first: outbound, whether the loop guard decided.
fn decided(daemon: &Daemon) -> Vec<(String, bool)> {
    let list = daemon.json(&["flows", "list", "--recent"]);
    let mut flows = list["flows"].as_array().unwrap().clone();
    flows.sort_by_key(|flow| flow["id"].as_u64());
    let told = |flow: &Value| {
        let explained = daemon.json(&["explain", "--id", &flow["id"].to_string()]);
        let trace = explained["trace"].as_array().unwrap();
        let by_guard = trace.last().unwrap()["text"] == "loop guard";
        let outbound = flow["outbound"].as_str().unwrap_or("-").to_owned();
        assert_eq!(explained["decision"]["outbound"], *outbound, "{explained}");
        (outbound, by_guard)
    };
    flows.iter().map(told).collect()
}

const CURL_BY_7890: &str = "http://127.0.0.1:7890";

/// A core that sends all that it gets by our proxy, as one does that follows the system's settings; `starter` starts it.
fn core(host: &Namespace, starter: &[&str]) -> (Running, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("core.json");
    let text = r#"{"log":{"disabled":true},
        "inbounds":[{"type":"mixed","listen":"127.0.0.1","listen_port":1080}],
        "outbounds":[{"type":"socks","server":"127.0.0.1","server_port":7890}]}"#;
    std::fs::write(&file, text).unwrap();
    for (path, mode) in [(directory.path(), 0o755), (&*file, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let sing_box = crate::sing_box();
    let mut words = starter.to_vec();
    words.push(sing_box.to_str().unwrap());
    let mut command = host.command(words[0]);
    command.args(&words[1..]).arg("run").arg("-c").arg(&file);
    let core = Running::start(command);
    host.until_listening(1080);
    (core, directory)
}

/// As the kernel tells it.
fn program(running: &Running) -> PathBuf {
    std::fs::read_link(format!("/proc/{}/exe", running.0.id())).unwrap()
}

/// What takes from a daemon the rights to look at the processes of others, as the service's user has none.
const BLIND: &str = "setpriv --bounding-set=-sys_ptrace,-dac_read_search,-dac_override";

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A configuration whose `core` is served as `served_by` says, with these first rules.
fn by_core(served_by: &str, rules: &str) -> String {
    format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:7890\" }}\n\
         outbounds:\n  core: {{ type: socks5, server: \"127.0.0.1:1080\"{served_by} }}\n\
         rules:\n{rules}  - FALLBACK, core\n"
    )
}

fn blind(host: &Namespace, text: String) -> Daemon {
    Daemon::start(&Start {
        files: vec![("pointsman.yaml", text)],
        config: "pointsman.yaml",
        namespace: Some(&host.name),
        starter: words(BLIND),
        ..Start::default()
    })
}

#[test]
fn a_blind_daemon_knows_a_core_by_its_user() {
    let host = Namespace::new("blinduser");
    let _web = host.inet(&["web"]);
    let _core = core(&host, &["setpriv", "--reuid=nobody", "--clear-groups"]);
    let daemon = blind(&host, by_core(", served_by: { user: nobody }", ""));
    let ask = || status(host.command("curl"), CURL_BY_7890, &[], "http://127.0.0.1/").1;
    assert_eq!(ask(), "200");
    let expected = [("core".to_owned(), false), ("DIRECT".to_owned(), true)];
    assert_eq!(decided(&daemon), expected);
    assert!(!daemon.log().contains("WARN"), "{}", daemon.log());
    // A rule on the user needs no more either, and nothing is missing then.
    let rule = "  - PROCESS-USER, nobody, DIRECT\n";
    daemon.write("pointsman.yaml", &by_core("", rule));
    daemon.json(&["reload"]);
    assert_eq!(ask(), "200");
    let flow = daemon.last_flow();
    let text = flow["rule"]["text"].as_str().unwrap();
    assert_eq!(text, "PROCESS-USER, nobody, DIRECT", "{flow}");
    let explained = daemon.json(&["explain", "--id", &flow["id"].to_string()]);
    let told = explained["steps"][0]["outcome"].as_str();
    assert_eq!(told, Some("a process of nobody"), "{explained}");
    assert!(!daemon.log().contains("rules that ask for programs"));
}

#[test]
fn a_loop_that_a_blind_daemon_cannot_see_ends_and_is_told() {
    let host = Namespace::new("blindloop");
    let _web = host.inet(&["web"]);
    // Another user's than the daemon's.
    let (core, _directory) = core(&host, &["setpriv", "--reuid=nobody", "--clear-groups"]);
    let program = format!(", served_by: {{ program: {} }}", program(&core).display());
    for served_by in ["", &program] {
        let daemon = blind(&host, by_core(served_by, ""));
        let log = daemon.log();
        let at_load = log.lines().find(|line| line.contains("cannot tell"));
        let at_load = at_load.unwrap_or_else(|| panic!("{served_by}: {log}"));
        for part in ["WARN", "`core`", "served_by: { user: ", "CAP_SYS_PTRACE"] {
            assert!(at_load.contains(part), "{part}: {at_load}");
        }
        let code = status(host.command("curl"), CURL_BY_7890, &[], "http://127.0.0.1/").1;
        assert_ne!(code, "200", "{served_by}");
        let flows = daemon.json(&["status"])["flows_total"].as_u64();
        let flows = flows.unwrap_or_else(|| daemon.last_flow()["id"].as_u64().unwrap());
        assert!((100..300).contains(&flows), "{served_by}: {flows} flows");
        let list = daemon.json(&["flows", "list", "--recent"]);
        let list = list["flows"].as_array().unwrap();
        let refused = list.iter().filter(|flow| flow["action"] == "reject");
        let reasons: Vec<_> = refused.map(|flow| flow["reason"].to_string()).collect();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].contains("looks like a loop"), "{reasons:?}");
        let log = daemon.log();
        let told = log
            .lines()
            .filter(|line| line.contains("looks like a loop"));
        assert_eq!(told.count(), 1, "{log}");
    }
}

#[test]
fn a_guard_that_names_nobody_goes_by_the_endpoint_and_says_so() {
    let host = Namespace::new("mistyped");
    let _web = host.inet(&["web"]);
    let (core, directory) = core(&host, &[]);
    let link = directory.path().join("core");
    std::os::unix::fs::symlink(program(&core), &link).unwrap();
    let link = format!("program: {}", link.display());
    for (by, told) in [
        (
            "program: /usr/bin/sing-bocks",
            Some("there is no program `/usr/bin/sing-bocks` on this host"),
        ),
        (
            "user: nosuch",
            Some("`/etc/passwd` of this host has no user `nosuch`"),
        ),
        (&link, None),
        ("user: 0", None),
    ] {
        let served_by = format!(", served_by: {{ {by} }}");
        let daemon = Daemon::start(&Start {
            files: vec![("pointsman.yaml", by_core(&served_by, ""))],
            config: "pointsman.yaml",
            namespace: Some(&host.name),
            ..Start::default()
        });
        let curl = || {
            let mut curl = host.command("setpriv");
            curl.args(["--reuid=nobody", "--clear-groups", "curl"]);
            curl
        };
        assert_eq!(
            status(curl(), CURL_BY_7890, &[], "http://127.0.0.1/").1,
            "200",
            "{by}"
        );
        let expected = [("core".to_owned(), false), ("DIRECT".to_owned(), true)];
        assert_eq!(decided(&daemon), expected, "{by}");
        let log = daemon.log();
        match told {
            Some(told) => assert!(
                log.contains(told) && log.contains("pointsman.yaml:5:"),
                "{log}"
            ),
            None => assert!(!log.contains("there is no"), "{log}"),
        }
    }
}

#[test]
fn the_core_behind_an_outbound_is_not_sent_back_to_itself() {
    let host = Namespace::new("core");
    let _web = host.inet(&["web"]);
    let _core = core(&host, &[]);
    for kind in ["socks5", "http"] {
        let daemon = within(
            &host,
            &format!(
                "inbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:7890\" }}\n\
                 outbounds:\n  core: {{ type: {kind}, server: \"127.0.0.1:1080\" }}\n\
                 rules:\n  - FALLBACK, core\n"
            ),
        );
        let ask = || status(host.command("curl"), CURL_BY_7890, &[], "http://127.0.0.1/").1;
        assert_eq!(ask(), "200", "{kind}");
        let expected = [("core".to_owned(), false), ("DIRECT".to_owned(), true)];
        assert_eq!(decided(&daemon), expected, "{kind}");
        let flow = daemon.last_flow();
        assert!(
            flow["reason"].as_str().unwrap().contains("`core`"),
            "{flow}"
        );
    }
}

#[test]
fn a_flow_to_a_listener_of_ours_is_refused() {
    let (host, other) = (Namespace::new("own"), Namespace::new("uplink"));
    host.join(("a0", "172.31.0.1/24"), &other, ("b0", "172.31.0.2/24"));
    let _web = host.inet(&["web"]);
    let ask = |url: &str| status(host.command("curl"), CURL_BY_7890, &[], url).1;
    let desk = "inbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:7890\" }\n\
                \x20 side: { type: mixed, listen: \"0.0.0.0:7891\", allow: [172.31.0.0/24] }\n";
    let refused = |daemon: &Daemon, outbound: &str, id: u64| {
        let flow = daemon.last_flow();
        assert_eq!(flow["id"], id, "more than one flow: {flow}");
        assert_eq!(
            (&flow["ended"], &flow["action"]),
            (&"refused".into(), &"reject".into())
        );
        let reason = flow["reason"].as_str().unwrap();
        assert!(reason.starts_with("loop guard: own listener: "), "{flow}");
        let explained = daemon.json(&["explain", "--id", &id.to_string()]);
        let decision = &explained["decision"];
        assert_eq!(
            (&decision["outbound"], &decision["action"]),
            (&outbound.into(), &"reject".into())
        );
        let reason = explained["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("loop guard: own listener: "),
            "{explained}"
        );
        let trace = explained["trace"].as_array().unwrap();
        assert_eq!(trace.last().unwrap()["text"], "loop guard", "{explained}");
    };
    // What the configuration cannot tell: another address of this host, and a name.
    for server in ["172.31.0.1:7891", "loop.test:7891"] {
        for kind in ["http", "socks5"] {
            let daemon = within(
                &host,
                &format!(
                    "{desk}outbounds:\n  self: {{ type: {kind}, server: \"{server}\" }}\n\
                     dns: {{ upstreams: {{ none: \"udp://172.31.0.2\" }}, hosts: {{ loop.test: 172.31.0.1 }} }}\n\
                     rules:\n  - FALLBACK, self\n"
                ),
            );
            assert_eq!(ask("http://127.0.0.1/"), "403", "{kind} {server}");
            refused(&daemon, "self", 1);
        }
    }
    let daemon = within(&host, &format!("{desk}rules:\n  - FALLBACK, DIRECT\n"));
    let urls = [
        "http://127.0.0.1:7890/",
        "http://127.0.0.1:7891/",
        "http://127.3.2.1:7891/",
        "http://0.0.0.0:7890/",
        "http://172.31.0.1:7891/",
    ];
    for (id, url) in (1..).zip(urls) {
        assert_eq!(ask(url), "403", "{url}");
        refused(&daemon, "DIRECT", id);
    }
    // The same port of another host is nobody's but its own.
    let _far = other.inet(&["web"]);
    assert_eq!(ask("http://172.31.0.2/"), "200");
}

#[test]
fn two_daemons_that_point_at_each_other_do_not_go_round() {
    let host = Namespace::new("mirror");
    let _web = host.inet(&["web"]);
    let start = |own: u16, other: u16| {
        within(
            &host,
            &format!(
                "inbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:{own}\" }}\n\
                 outbounds:\n  other: {{ type: socks5, server: \"127.0.0.1:{other}\" }}\n\
                 rules:\n  - FALLBACK, other\n"
            ),
        )
    };
    let (first, second) = (start(7890, 7891), start(7891, 7890));
    assert_eq!(
        status(host.command("curl"), CURL_BY_7890, &[], "http://127.0.0.1/").1,
        "200"
    );
    // The second knows the first as the server of its outbound: what comes from there goes direct.
    assert_eq!(decided(&first), [("other".to_owned(), false)]);
    assert_eq!(decided(&second), [("DIRECT".to_owned(), true)]);
}

/// As the service's user has it: the rule cannot be told, and whoever runs the daemon hears of it.
#[test]
fn a_daemon_that_may_not_look_at_other_users_says_so() {
    let origin = Http::start("origin");
    let without = BLIND;
    let text = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrules:\n\
                \x20 - PROCESS-NAME, curl, REJECT\n  - FALLBACK, DIRECT\n";
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", text.to_owned())],
        config: "pointsman.yaml",
        starter: words(without),
        ..Start::default()
    });
    let told = |what: &str| {
        let log = daemon.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("WARN") && line.contains(what));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        assert_eq!(lines.len(), 1, "{what}: {log}");
        lines[0].clone()
    };
    let at_load = told("`PROCESS-NAME, curl, REJECT` (pointsman.yaml:5)");
    assert!(
        at_load.contains("rules that ask for programs do not hold for their flows"),
        "{at_load}"
    );
    assert!(at_load.contains("CAP_SYS_PTRACE"), "{at_load}");
    let http = format!("http://{}", daemon.address("desk"));
    let another = |program: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--clear-groups"])
            .args(program.split(' '));
        command
    };
    for _ in 0..2 {
        assert_eq!(status(another("curl"), &http, &[], &origin.url()).1, "200");
    }
    let at_flow = told("a fact that a rule asks for was not found");
    for words in [
        "fact=\"program\"",
        "not allowed to look",
        "count=1",
        "CAP_SYS_PTRACE",
    ] {
        assert!(at_flow.contains(words), "{at_flow}");
    }
    for verb in ["status", "diagnostics"] {
        let answer = daemon.json(&[verb]);
        assert_eq!(
            answer["lacking"],
            serde_json::json!({ "program": 2 }),
            "{answer}"
        );
        let shown = String::from_utf8(daemon.client(&[verb]).stdout).unwrap();
        assert!(shown.contains("program of 2 flows"), "{shown}");
    }
    // Those of its own user it finds, as long as they may do no more than itself.
    let mut own = Command::new("setpriv");
    own.args(&words(without)[1..]).arg("curl");
    assert_eq!(status(own, &http, &[], &origin.url()).1, "403");
}
