//! The daemon and its client: status, explain, reload, watch, stop, and who may ask.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::curl;
use crate::daemon::{Daemon, Start, eventually};
use crate::origin::Http;

fn rules(last: &str) -> String {
    format!(
        "version: 1\nwatch: WATCH\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         outbounds:\n  pick: {{ type: select, members: [DIRECT, REJECT] }}\n\
         rules:\n  - DOMAIN-SUFFIX, pick.test, pick\n  - FALLBACK, {last}\n"
    )
}

fn still(last: &str) -> String {
    rules(last).replace("WATCH", "false")
}

fn text(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_reload_is_a_transaction() {
    let daemon = Daemon::native(&still("DIRECT"));
    let origin = Http::start("origin");
    let proxy = format!("http://{}", daemon.address("desk"));
    let code = || {
        curl(&[
            "--proxy",
            &proxy,
            "--write-out",
            "%{http_code}",
            &origin.url(),
        ])
        .0
    };
    assert!(code().ends_with("200"));
    // Wrong: nothing changes, exit code 4, and the answer names file and place.
    daemon.write("pointsman.yaml", &still("NOWHERE"));
    let refused = daemon.client(&["reload"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let said = text(&refused);
    assert_eq!(said.matches("pointsman.yaml:9:").count(), 1, "{said}");
    assert!(code().ends_with("200"));
    assert_eq!(daemon.json(&["diagnostics"])["reload_err"], 1);
    // A failing test of its own blocks it too.
    let tested = still("REJECT") + "tests:\n  - { flow: \"dst=a.test:1\", expect: DIRECT }\n";
    daemon.write("pointsman.yaml", &tested);
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(4));
    assert!(code().ends_with("200"));
    // Right: in force at once, on the same socket.
    daemon.write("pointsman.yaml", &still("REJECT"));
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    assert!(code().ends_with("403"));
    let status = daemon.json(&["status"]);
    assert_eq!(status["generation"], "2");
    assert_eq!(
        status["inbounds"][0]["address"],
        daemon.address("desk").to_string()
    );
}

#[test]
fn sighup_reloads() {
    let daemon = Daemon::native(&still("DIRECT"));
    daemon.write("pointsman.yaml", &still("REJECT"));
    daemon.signal("HUP");
    eventually("SIGHUP reloads", || {
        daemon.json(&["status"])["generation"] == "2"
    });
}

#[test]
fn watched_files_reload_by_themselves() {
    for relative in [false, true] {
        let on = |last: &str| rules(last).replace("WATCH", "true");
        let daemon = Daemon::start(&Start {
            files: vec![("sub/pointsman.yaml", on("DIRECT"))],
            config: "sub/pointsman.yaml",
            relative,
            ..Start::default()
        });
        let generation = || daemon.json(&["status"])["generation"].clone();
        // Replaced by renaming, edited in place, deleted, and there again.
        daemon.write("sub/pointsman.yaml", &on("REJECT"));
        eventually("a rename is seen", || generation() == "2");
        let path = daemon.directory.path().join("sub/pointsman.yaml");
        std::fs::write(&path, on("RESET")).unwrap();
        eventually("an edit is seen", || generation() == "3");
        std::fs::remove_file(&path).unwrap();
        eventually("a deletion is refused", || {
            daemon.json(&["diagnostics"])["reload_err"] == 1
        });
        assert_eq!(generation(), "3");
        daemon.write("sub/pointsman.yaml", &on("DIRECT"));
        eventually("a new file is seen", || generation() == "4");
    }
}

#[test]
fn the_client_sees_what_flows_do() {
    let daemon = Daemon::native(&still("DIRECT"));
    let origin = Http::start("origin");
    let proxy = format!("socks5h://{}", daemon.address("desk"));
    assert_eq!(curl(&["--proxy", &proxy, &origin.url()]).1, 0);
    let flows = daemon.json(&["flows", "list", "--recent"]);
    let flow = &flows["flows"][0];
    assert_eq!(flow["outbound"], "DIRECT");
    assert_eq!(flow["destination"]["port"], origin.address.port());
    assert_eq!(flow["ended"], "closed");
    assert!(flow["bytes_received"].as_u64().unwrap() > 0);
    let explained = daemon.json(&["explain", "--id", "1"]);
    assert_eq!(explained["decision"]["outbound"], "DIRECT");
    assert_eq!(explained["rule"]["line"], 9);
    assert_eq!(explained["flow"]["ended"], "closed");
    let unknown = daemon.client(&["explain", "--id", "77"]);
    assert_eq!(unknown.status.code(), Some(4));
    // Imagined flows see the members that are selected now.
    let explain = || daemon.json(&["explain", "--dst", "a.pick.test:80"])["decision"].clone();
    assert_eq!(explain()["action"], "direct");
    assert_eq!(
        daemon
            .client(&["outbounds", "select", "pick", "REJECT"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(explain()["action"], "reject");
    assert_eq!(explain()["member"], "REJECT");
    assert_eq!(
        daemon
            .client(&["outbounds", "select", "pick", "x"])
            .status
            .code(),
        Some(4)
    );
    // The choice outlives a reload.
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    assert_eq!(explain()["member"], "REJECT");
}

/// Nothing is told of an inbound that is not there in place of the one that was meant.
#[test]
fn an_inbound_that_is_not_there_is_a_wrong_call() {
    let daemon = Daemon::native(&still("DIRECT"));
    for words in [
        &["explain", "a.test:1", "inbound=dsek"][..],
        &["explain", "--follow", "inbound=dsek"],
        &["flows", "list", "--recent", "inbound=dsek"],
        &["flows", "tail", "inbound=dsek"],
    ] {
        let told = daemon.client(words);
        let stderr = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(2), "{words:?}: {stderr}");
        let why = "`inbound`: there is no inbound `dsek` (did you mean `desk`? there are: desk)";
        assert!(stderr.contains(why), "{words:?}: {stderr}");
    }
    // Nor is a flow told that was not said.
    assert_eq!(daemon.client(&["explain"]).status.code(), Some(2));
}

#[test]
fn a_flow_is_explained_after_its_configuration_is_forgotten() {
    let daemon = Daemon::native(&still("DIRECT"));
    let origin = Http::start("origin");
    let proxy = format!("socks5h://{}", daemon.address("desk"));
    assert_eq!(curl(&["--proxy", &proxy, &origin.url()]).1, 0);
    crate::tools::ended(&daemon, 1);
    let before = daemon.json(&["explain", "--id", "1"]);
    for _ in 0..4 {
        assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    }
    let after = daemon.json(&["explain", "--id", "1"]);
    for part in ["decision", "rule", "generation", "flow", "steps"] {
        assert_eq!(after[part], before[part], "{part} of {after}");
    }
    assert_eq!(after["trace"], serde_json::json!([]));
    let hint = after["hints"][0].as_str().unwrap();
    assert!(hint.contains("generation 1"), "{hint}");
}

#[test]
fn curl_can_ask_too() {
    let daemon = Daemon::native(&still("DIRECT"));
    let socket = daemon.control();
    let ask = |words: &[&str]| {
        let at = [
            "--unix-socket",
            socket.to_str().unwrap(),
            "--write-out",
            " %{http_code}",
        ];
        curl(&[&at[..], words].concat()).0
    };
    assert!(ask(&["http://daemon/v1/status"]).contains("\"state\":\"running\""));
    assert!(ask(&["http://daemon/v1/openapi.json"]).contains("\"/v1/flows/{id}\""));
    assert!(ask(&["http://daemon/v1/nothing"]).ends_with(" 404"));
    assert!(ask(&["-X", "PUT", "http://daemon/v1/status"]).ends_with(" 405"));
    assert!(ask(&["--data", "{", "http://daemon/v1/explain"]).ends_with(" 400"));
}

#[test]
fn only_the_owner_may_ask() {
    let daemon = Daemon::native(&still("DIRECT"));
    let mode = std::fs::metadata(daemon.control())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // Even where the file's mode would let them: the peer's credentials are checked.
    std::fs::set_permissions(daemon.control(), Permissions::from_mode(0o666)).unwrap();
    std::fs::set_permissions(daemon.directory.path(), Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--clear-groups",
            "curl",
            "--silent",
            "--max-time",
            "5",
        ])
        .arg("--unix-socket")
        .args([
            daemon.control().to_str().unwrap(),
            "http://daemon/v1/status",
        ])
        .output()
        .unwrap();
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
}

#[test]
fn a_second_daemon_leaves_the_first_alone() {
    let mut daemon = Daemon::native(&still("DIRECT"));
    let control = daemon.control();
    let second = Daemon::try_start(&Start {
        files: vec![("pointsman.yaml", still("DIRECT"))],
        config: "pointsman.yaml",
        args: vec!["--control", control.to_str().unwrap()],
        ..Start::default()
    });
    let Err((status, log)) = second else {
        panic!("a second daemon started")
    };
    assert_eq!(status.code(), Some(1), "{log}");
    assert_eq!(daemon.json(&["status"])["state"], "running");
    // A socket that a dead daemon left is replaced.
    daemon.signal("KILL");
    daemon.wait(Duration::from_secs(5));
    assert!(control.exists());
    let third = Daemon::start(&Start {
        files: vec![("pointsman.yaml", still("DIRECT"))],
        config: "pointsman.yaml",
        args: vec!["--control", control.to_str().unwrap()],
        ..Start::default()
    });
    drop(third);
}

#[test]
fn stop_ends_it_and_clients_say_so() {
    let mut daemon = Daemon::native(&still("DIRECT"));
    assert_eq!(daemon.client(&["stop"]).status.code(), Some(0));
    assert_eq!(daemon.wait(Duration::from_secs(5)).code(), Some(0));
    let status = daemon.client(&["status"]);
    assert_eq!(status.status.code(), Some(3), "{status:?}");
    assert!(!daemon.control().exists());
}

#[test]
fn who_stops_it_can_wait_for_its_end() {
    let daemon = Daemon::native(&(still("DIRECT") + "shutdown: { grace: 60s }\n"));
    let state = daemon.directory.path().join("state");
    let flow = tunnel(&daemon, crate::origin::echo());
    let said = |arguments: &[&str]| {
        let done = daemon.client(arguments);
        let [out, err] =
            [&done.stdout, &done.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
        (done.status.code(), out, err)
    };
    assert!(pointsman_os::local::is_locked(&state.join("daemon.lock")).unwrap());
    let (code, out, err) = said(&["stop", "--wait", "--timeout", "300ms"]);
    assert_eq!(
        (code, &*out),
        (Some(1), "draining: 1 live flow has 60000 ms\n"),
        "{err}"
    );
    assert!(err.contains("has not ended within 300ms"), "{err}");
    // It ends that flow now, and lets go of all that it held.
    let (code, out, err) = said(&["stop", "--wait"]);
    let told = "already stopping: the live flow is ended now\nended\n";
    assert_eq!((code, &*out), (Some(0), told), "{err}");
    assert!(!pointsman_os::local::is_locked(&state.join("daemon.lock")).unwrap_or(false));
    assert!(!daemon.control().exists());
    assert_eq!(said(&["stop", "--wait"]).0, Some(3));
    drop(flow);
}

/// A tunnel to the place, whose client is silent.
fn tunnel(daemon: &Daemon, to: std::net::SocketAddr) -> std::net::TcpStream {
    use std::io::{Read as _, Write as _};
    let mut client = std::net::TcpStream::connect(daemon.address("desk")).unwrap();
    write!(client, "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    client
}

#[test]
fn an_end_that_is_asked_for_drains_and_a_second_time_does_not_wait() {
    use std::io::{Read as _, Write as _};
    let text = still("DIRECT") + "shutdown: { grace: 60s }\n";
    let ask = |daemon: &Daemon, how: &str| match how {
        "stop" => assert!(daemon.client(&["stop"]).status.success()),
        signal => daemon.signal(signal),
    };
    for (first, second) in [
        ("TERM", "TERM"),
        ("INT", "INT"),
        ("stop", "TERM"),
        ("TERM", "stop"),
        ("stop", "stop"),
    ] {
        let mut daemon = Daemon::native(&text);
        let echo = crate::origin::echo();
        let mut client = std::net::TcpStream::connect(daemon.address("desk")).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        write!(client, "CONNECT {echo} HTTP/1.1\r\nHost: {echo}\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let count = client.read(&mut answer).unwrap();
        assert!(
            answer[..count].starts_with(b"HTTP/1.1 200"),
            "{:?}",
            &answer[..count]
        );
        ask(&daemon, first);
        eventually("it no longer accepts", || {
            std::net::TcpStream::connect(daemon.address("desk")).is_err()
        });
        // The flow goes on.
        client.write_all(b"still here").unwrap();
        let count = client.read(&mut answer).unwrap();
        assert_eq!(&answer[..count], b"still here");
        ask(&daemon, second);
        assert_eq!(daemon.wait(Duration::from_secs(5)).code(), Some(0));
    }
}

#[test]
fn errors_in_the_configuration_end_it_with_78() {
    let started = Daemon::try_start(&Start {
        files: vec![("pointsman.yaml", still("NOWHERE") + "extra: 1\n")],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let Err((status, log)) = started else {
        panic!("it started")
    };
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("error[unknown-outbound]"), "{log}");
    assert!(log.contains("error[unknown-key]"), "{log}");
}

#[test]
fn selections_outlive_the_daemon() {
    let state = tempfile::tempdir().unwrap();
    let start = || {
        Daemon::start(&Start {
            files: vec![("pointsman.yaml", still("DIRECT"))],
            config: "pointsman.yaml",
            args: vec!["--state", state.path().to_str().unwrap()],
            ..Start::default()
        })
    };
    let mut daemon = start();
    assert!(
        daemon
            .client(&["outbounds", "select", "pick", "REJECT"])
            .status
            .success()
    );
    daemon.signal("KILL");
    daemon.wait(Duration::from_secs(5));
    let daemon = start();
    let explained = daemon.json(&["explain", "--dst", "a.pick.test:80"]);
    assert_eq!(explained["decision"]["member"], "REJECT");
}
