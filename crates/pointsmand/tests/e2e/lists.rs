//! Rule sets that are fetched: from servers over HTTP and TLS, directly and by an outbound; refreshed without a
//! reload; kept where the server fails.

mod tested;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::curl;
use crate::daemon::{Daemon, Running, Start, eventually};
use crate::origin::Http;

/// A web server with one list, and what it was asked.
pub(crate) struct Lists {
    pub(crate) address: SocketAddr,
    list: Arc<Mutex<(&'static str, &'static str)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Lists {
    /// Serves this list under this validator.
    pub(crate) fn serve(list: &'static str, tag: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (list, asked) = (
            Arc::new(Mutex::new((list, tag))),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (now, heard) = (Arc::clone(&list), Arc::clone(&asked));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let request = head(&client);
                let (list, tag) = *now.lock().unwrap();
                let answer = if request.contains(&format!("if-none-match: \"{tag}\"")) {
                    "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned()
                } else if list.is_empty() {
                    "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_owned()
                } else {
                    let length = list.len();
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\netag: \"{tag}\"\r\n\r\n{list}"
                    )
                };
                heard.lock().unwrap().push(request);
                let _gone = (&client).write_all(answer.as_bytes());
            }
        });
        Self {
            address,
            list,
            asked,
        }
    }

    pub(crate) fn change(&self, list: &'static str, tag: &'static str) {
        *self.list.lock().unwrap() = (list, tag);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn head(client: &TcpStream) -> String {
    let mut lines = BufReader::new(client).lines().map_while(Result::ok);
    let mut head = String::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        head.push_str(&line.to_ascii_lowercase());
        head.push('\n');
    }
    head
}

/// A set by that URL refuses, all else goes direct.
pub(crate) fn config(url: &str, more: &str) -> String {
    format!(
        "version: 1\nwatch: true\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         rule_sets:\n  ads: {{ url: \"{url}\", format: domains{more} }}\n\
         rules:\n  - RULE-SET, ads, REJECT\n  - FALLBACK, DIRECT\n"
    )
}

/// What curl gets for a name by the daemon: `200`, `403`.
pub(crate) fn code(daemon: &Daemon, origin: &Http, name: &str) -> String {
    let proxy = format!("http://{}", daemon.address("desk"));
    let url = origin.url();
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    // The name itself is sent; were it to go direct it would not resolve, and that is an answer, too.
    let url = format!("http://{name}:{port}/");
    let words = [
        "--proxy",
        &proxy,
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        &url,
    ];
    curl(&words).0
}

pub(crate) fn list(daemon: &Daemon) -> serde_json::Value {
    daemon.json(&["diagnostics"])["lists"][0].clone()
}

pub(crate) fn generation(daemon: &Daemon) -> String {
    daemon.json(&["status"])["generation"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_list_is_fetched_refreshed_and_kept() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt?token=secret", lists.address);
    let daemon = Daemon::native(&config(&url, ", interval: 1s"));
    eventually("the list is in force", || {
        code(&daemon, &origin, "ads.test") == "403"
    });
    assert_ne!(code(&daemon, &origin, "other.test"), "403");
    assert_eq!(generation(&daemon), "1.1");
    let why = daemon.json(&["explain", "--dst", "x.ads.test:1"]);
    assert_eq!(why["rule"]["entry"]["line"], 1, "{why}");

    // Asked again and again, sent once: nothing changes.
    let before = lists.asked();
    eventually("it is asked again", || lists.asked() >= before + 2);
    assert!(
        lists
            .asked
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .contains("if-none-match")
    );
    assert_eq!(generation(&daemon), "1.1");

    lists.change("other.test\n", "v2");
    eventually("the newer list is in force", || {
        code(&daemon, &origin, "other.test") == "403"
    });
    assert_ne!(code(&daemon, &origin, "ads.test"), "403");
    assert_eq!(generation(&daemon), "1.2");

    let log = daemon.log();
    assert!(
        log.contains("rule set `ads`: fetched, 1 entry (before 0), 9 bytes"),
        "{log}"
    );
    assert!(
        log.contains("rule set `ads`: fetched, 1 entry (before 1), 11 bytes"),
        "{log}"
    );
    let status = daemon.json(&["status"]);
    assert_eq!(
        (&status["rule_sets"], &status["lists"][0]["entries"]),
        (&1.into(), &1.into())
    );
    assert!(status["lists"][0]["next_ms"].as_u64() > Some(0), "{status}");
    let shown = String::from_utf8(daemon.client(&["status"]).stdout).unwrap();
    assert!(
        shown.contains("rule sets: 1, 1 of them by `url`\n  ads: 1 entry, fetched "),
        "{shown}"
    );

    // What the older list let go is explained as it went.
    let flows = daemon.json(&["flows", "list", "--recent", "--contains", "other.test"]);
    let first = &flows["flows"][0];
    assert_eq!(first["generation"], "1.1", "{flows}");
    let why = daemon.json(&["explain", "--id", &first["id"].to_string()]);
    assert_eq!(why["decision"]["outbound"], first["outbound"], "{why}");
    assert_eq!(why["rule"]["line"], first["rule"]["line"], "{why}");
    let hint = why["hints"][0].as_str().unwrap();
    assert!(hint.contains("rule sets were refreshed since"), "{hint}");

    // A server that fails, and one that sends what is no list, change nothing.
    for (list, tag) in [("", "v3"), ("<html>\n<p>sign in</p>\n", "v4")] {
        lists.change(list, tag);
        let before = lists.asked();
        eventually("the failure is told", || {
            lists.asked() > before && !self::list(&daemon)["error"].is_null()
        });
        assert_eq!(code(&daemon, &origin, "other.test"), "403");
    }
    assert_eq!(generation(&daemon), "1.2");
    let told = list(&daemon).to_string();
    let log = daemon.log();
    assert!(
        !told.contains("secret") && !log.contains("secret"),
        "{told}\n{log}"
    );
}

/// The roll-back brings the set back as it was read before: the copy is newer.
#[test]
fn a_list_that_came_during_a_trial_stays_in_force_after_it() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt", lists.address);
    let text = config(&url, ", interval: 1s").replace("watch: true\n", "");
    let daemon = Daemon::native(&text);
    eventually("the list is in force", || {
        code(&daemon, &origin, "ads.test") == "403"
    });
    assert!(
        daemon
            .client(&["reload", "--confirm-within", "5s"])
            .status
            .success()
    );
    lists.change("other.test\n", "v2");
    eventually("the newer list is in force", || {
        code(&daemon, &origin, "other.test") == "403"
    });
    eventually("nobody confirms", || daemon.log().contains("is back"));
    assert!(generation(&daemon).starts_with('3'));
    eventually("it is in force again", || {
        code(&daemon, &origin, "other.test") == "403"
    });
    assert_eq!(generation(&daemon), "3.1");
}

#[test]
fn a_daemon_that_drains_fetches_nothing() {
    let lists = Lists::serve("ads.test\n", "v1");
    let url = format!("http://{}/ads.txt", lists.address);
    let mut daemon = Daemon::native(&config(&url, ", interval: 1s"));
    eventually("it is asked again", || lists.asked() >= 2);
    let held = crate::tools::connect(&daemon, &crate::origin::echo().to_string());
    assert!(daemon.client(&["stop"]).status.success());
    eventually("it drains", || daemon.log().contains("draining"));
    let before = lists.asked();
    std::thread::sleep(Duration::from_millis(2500));
    // One may have been under way.
    assert!(lists.asked() <= before + 1, "{}", lists.asked());
    drop(held);
    assert_eq!(daemon.wait(Duration::from_secs(5)).code(), Some(0));
}

#[test]
fn a_restart_serves_the_copy_and_waits_for_nobody() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/", lists.address);
    let state = tempfile::tempdir().unwrap();
    let start = |url: &str, more: &str| {
        Daemon::start(&Start {
            files: vec![("pointsman.yaml", config(url, more))],
            config: "pointsman.yaml",
            args: vec!["--state", state.path().to_str().unwrap()],
            ..Start::default()
        })
    };
    let daemon = start(&url, ", interval: 1h");
    eventually("the list is in force", || {
        code(&daemon, &origin, "ads.test") == "403"
    });
    drop(daemon);
    let daemon = start(&url, ", interval: 1h");
    assert_eq!(
        code(&daemon, &origin, "ads.test"),
        "403",
        "from the copy, at once"
    );
    assert_eq!(generation(&daemon), "1");
    assert_eq!(lists.asked(), 1);
    drop(daemon);
    // Nobody answers there: that keeps nothing from serving.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let daemon = start(&url, "");
    assert_eq!(
        code(&daemon, &origin, "ads.test"),
        "403",
        "another URL's copy is better than none"
    );
}

#[test]
fn a_list_comes_by_the_outbound_that_is_named() {
    let lists = Lists::serve("ads.test\n", "v1");
    let far = Daemon::native(
        "version: 1\ninbounds:\n  far: { type: socks5, listen: \"127.0.0.1:0\" }\nrules:\n  - FALLBACK, DIRECT\n",
    );
    let outbounds = format!(
        "outbounds:\n  far: {{ type: socks5, server: \"{}\" }}\n",
        far.address("far")
    );
    let url = format!("http://{}/", lists.address);
    let text = config(&url, ", via: far") + &outbounds;
    let daemon = Daemon::native(&text);
    eventually("the list is there", || {
        !list(&daemon)["changed_ms"].is_null()
    });
    let flow = far.last_flow();
    assert_eq!(flow["destination"]["port"], lists.address.port(), "{flow}");
}

#[test]
fn a_list_comes_over_tls_from_who_proves_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("ads.txt"), "ads.test\n").unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=lists",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &at("key"), "-out", &at("certificate")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut child = Command::new("openssl")
        .args(["s_server", "-WWW", "-accept", "127.0.0.1:0"])
        .args(["-cert", &at("certificate"), "-key", &at("key")])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| Some(line.ok()?.strip_prefix("ACCEPT ")?.to_owned()));
    let address = address.unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    let _server = Running(child);
    let start = |authorities: &str| {
        Daemon::start(&Start {
            files: vec![(
                "pointsman.yaml",
                config(&format!("https://{address}/ads.txt"), ""),
            )],
            config: "pointsman.yaml",
            environment: vec![("SSL_CERT_FILE", authorities.to_owned())],
            ..Start::default()
        })
    };
    let trusting = start(&at("certificate"));
    eventually("the list is there", || {
        !list(&trusting)["changed_ms"].is_null()
    });
    // Another authority: nothing is taken.
    let other = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=other",
        ])
        .args(["-keyout", &at("key2"), "-out", &at("other")])
        .output()
        .unwrap();
    assert!(other.status.success());
    let wary = start(&at("other"));
    eventually("the refusal is told", || !list(&wary)["error"].is_null());
    let why = list(&wary)["error"].to_string();
    assert!(why.contains("certificate"), "{why}");
    // The log says whose list it is, where that is written, and in words what is wrong.
    let log = wary.log();
    let told = log
        .lines()
        .find(|line| line.contains("was not fetched from"));
    let told = told.unwrap_or_else(|| panic!("{log}"));
    for word in [
        "rule set `ads` (pointsman.yaml:",
        "its certificate is",
        "it is empty until",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let mut none = String::new();
    let copies = std::fs::read_dir(wary.directory.path().join("state"))
        .into_iter()
        .flatten();
    for copy in copies.flatten().filter(|entry| entry.path().is_file()) {
        std::fs::File::open(copy.path())
            .unwrap()
            .read_to_string(&mut none)
            .unwrap();
    }
    assert!(!none.contains("ads.test"), "{none}");
}

/// A set knows fingerprints and lines: what it says of an entry is compared with the file before a person reads it.
#[test]
fn an_explanation_tells_where_the_file_changed_since() {
    let config = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
         rule_sets:\n  ads: { path: ads.txt }\n\
         rules:\n  - RULE-SET, ads, REJECT\n  - FALLBACK, DIRECT\n";
    let daemon = Daemon::start(&Start {
        files: vec![
            ("pointsman.yaml", config.to_owned()),
            ("ads.txt", "other.test\nads.test\n".to_owned()),
        ],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let reason = |words: &[&str]| {
        let words = [&["explain"], words].concat();
        daemon.json(&words)["reason"].as_str().unwrap().to_owned()
    };
    let changed = "it changed since it was loaded";
    let before = reason(&["--dst", "ads.test:443"]);
    assert!(
        before.contains("ads.txt:2") && !before.contains(changed),
        "{before}"
    );
    daemon.write("ads.txt", "other.test\nnew.test\nads.test\n");
    let after = reason(&["--dst", "ads.test:443"]);
    assert!(after.contains(changed), "{after}");
}

/// As `explain` without a daemon does.
#[test]
fn an_imagined_flow_is_told_which_lists_are_empty() {
    let daemon = Daemon::native(&config("http://127.0.0.1:9/", ""));
    let explained = daemon.json(&["explain", "ads.test:1"]);
    let hints = explained["hints"].to_string();
    let hint = "the rule set `ads` was not fetched yet and is empty";
    assert!(hints.contains(hint), "{explained}");
}

/// Half of it was taken as the list until a day was over.
#[test]
fn a_copy_that_was_damaged_is_told_and_fetched_again_at_once() {
    let lists = Lists::serve("ads.test\nother.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt", lists.address);
    let state = tempfile::tempdir().unwrap();
    let start = || {
        Daemon::start(&Start {
            files: vec![("pointsman.yaml", config(&url, ", interval: 1d"))],
            config: "pointsman.yaml",
            args: vec!["--state", state.path().to_str().unwrap()],
            ..Start::default()
        })
    };
    let stop = |mut daemon: Daemon| {
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(30)).success());
    };
    let daemon = start();
    eventually("it is fetched", || {
        code(&daemon, &origin, "other.test") == "403"
    });
    stop(daemon);
    let copy = state.path().join("rules-ads");
    let mut asked = lists.asked();
    for damaged in ["ads.test\n", "", "ads.test\nothes.test\n"] {
        std::fs::write(&copy, damaged).unwrap();
        let daemon = start();
        asked += 1;
        eventually("it is asked for", || lists.asked() == asked);
        eventually("it is whole", || {
            code(&daemon, &origin, "other.test") == "403"
        });
        let log = daemon.log();
        assert!(
            log.contains("its copy is in doubt: it"),
            "{damaged:?} {log}"
        );
        stop(daemon);
    }
    // Nothing is wrong with it now.
    let daemon = start();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lists.asked(), asked);
    assert!(!daemon.log().contains("in doubt"), "{}", daemon.log());
}

/// It kept the daemon from starting.
#[test]
fn a_copy_that_is_no_file_keeps_no_daemon_from_starting() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt", lists.address);
    let state = tempfile::tempdir().unwrap();
    let copy = state.path().join("rules-ads");
    let start = || {
        Daemon::start(&Start {
            files: vec![("pointsman.yaml", config(&url, ""))],
            config: "pointsman.yaml",
            args: vec!["--state", state.path().to_str().unwrap()],
            ..Start::default()
        })
    };
    std::fs::create_dir(&copy).unwrap();
    let daemon = start();
    let log = daemon.log();
    assert!(log.contains("rules-ads"), "{log}");
    drop(daemon);
    std::fs::remove_dir(&copy).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &copy).unwrap();
    let daemon = start();
    eventually("the list takes its place", || {
        code(&daemon, &origin, "ads.test") == "403"
    });
}
