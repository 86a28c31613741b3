//! Operators who mistype: whatever is wrong with a configuration, nothing that anybody can read holds its secrets.
//!
//! Each text holds the mark in every place where a secret may stand, and in none else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::daemon::{Daemon, Start, client_path, eventually};
use crate::hands::rough;

/// A sample of the reader's own tests.
macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!(
            "../../../pointsman-tools/src/secrets_tests/",
            $name
        ))
    };
}

/// A part of every secret.
const MARK: &str = "kq7z";

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A language: its name for `--dialect` and `--from`, whether the daemon reads it, a file's name, a sample.
const SAMPLES: [(&str, bool, &str, &str); 7] = [
    ("native", true, "n.yaml", sample!("native.yaml")),
    ("boltconn", true, "config.yml", sample!("boltconn.yml")),
    ("bitflow", true, "config.yaml", sample!("bitflow.yaml")),
    (
        "policy-router",
        true,
        "config.toml",
        sample!("policy_router.toml"),
    ),
    ("reflow", true, "reflow/config", sample!("reflow")),
    ("clash", false, "clash.yaml", sample!("clash.yaml")),
    ("sing-box", false, "sing-box.json", sample!("sing_box.json")),
];

/// Whatever could be read, of which nothing may hold the mark.
#[derive(Default)]
struct Seen {
    /// How many problems with `file:line:column` were among it.
    problems: usize,
    leaks: Vec<String>,
}

impl Seen {
    fn text(&mut self, what: &str, text: &str) {
        let placed = |line: &&str| {
            let mut parts = line.split(": ").next().unwrap_or("").rsplit(':');
            let number = |part: Option<&str>| part.is_some_and(|it| it.parse::<u32>().is_ok());
            number(parts.next()) && number(parts.next()) && line.contains("error[")
        };
        self.problems += text.lines().filter(placed).count();
        if text.to_lowercase().contains(MARK) {
            self.leaks.push(format!("{what}:\n{text}"));
        }
    }

    /// Both streams of a program.
    fn output(&mut self, what: &str, output: &Output) {
        self.text(what, &String::from_utf8_lossy(&output.stdout));
        self.text(what, &String::from_utf8_lossy(&output.stderr));
    }

    /// The client's answer for people and for scripts.
    fn asked(&mut self, daemon: &Daemon, words: &[&str]) {
        self.output(&words.join(" "), &daemon.client(words));
        let scripted = [&["--format", "json"], words].concat();
        let output = daemon.client(&scripted);
        let what = scripted.join(" ");
        for stream in [&output.stdout, &output.stderr] {
            // What JSON escapes, too.
            for line in String::from_utf8_lossy(stream).lines() {
                let read = serde_json::from_str::<serde_json::Value>(line);
                let texts = read.map(|value| texts(&value)).unwrap_or_default();
                self.text(&what, &texts.join("\n"));
            }
        }
        self.output(&what, &output);
    }

    /// All that the control socket answers.
    fn api(&mut self, daemon: &Daemon) {
        for path in [
            "status",
            "diagnostics",
            "outbounds",
            "rules",
            "policy?as=tree",
            "policy?as=list",
            "policy?as=dot",
            "policy?as=svg",
            "flows",
            "flows/1",
            "flows/1/explain",
            "dns/localhost",
            "openapi.json",
            "source",
        ] {
            let answer = get(daemon, path);
            assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
            self.text(path, &answer);
        }
    }

    /// The daemon's log, and each file that it wrote.
    fn files(&mut self, directory: &Path, own: &[&str]) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                self.files(&path, own);
            } else if path.is_file() && !own.contains(&&*name) {
                let bytes = std::fs::read(&path).unwrap();
                self.text(&name, &String::from_utf8_lossy(&bytes));
            }
        }
    }

    fn nothing(&self) {
        let some: Vec<&str> = self.leaks.iter().take(5).map(String::as_str).collect();
        assert!(
            some.is_empty(),
            "{} leaks\n{}",
            self.leaks.len(),
            some.join("\n===\n")
        );
    }
}

/// Every text of a JSON value.
fn texts(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(texts).collect(),
        serde_json::Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Sends a request to the control socket; the whole answer.
fn ask(daemon: &Daemon, request: &str) -> String {
    let mut stream = UnixStream::connect(daemon.control()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(daemon: &Daemon, path: &str) -> String {
    let request = format!("GET /v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ask(daemon, &request)
}

fn offline(words: &[&str]) -> Output {
    Command::new(client_path()).args(words).output().unwrap()
}

/// A daemon that serves one inbound and rejects everything.
fn plain() -> Daemon {
    Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrules:\n  - FALLBACK, REJECT\n",
    )
}

#[test]
fn damaged_configurations_show_no_secret_to_anybody() {
    let daemon = plain();
    let mut seen = Seen::default();
    let mut refused = 0;
    for (language, read, name, sample) in SAMPLES {
        let most = if language == "native" { 10 } else { 4 };
        let mut left = most;
        for text in rough(sample).step_by(37) {
            let path = daemon.directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
            // reflow's is a directory.
            let path = if language == "reflow" {
                path.parent().unwrap()
            } else {
                &path
            };
            let path = path.to_str().unwrap();
            let dialect = ["--dialect", language];
            let converted = offline(&["convert", path, "--from", language]);
            // What was converted holds the passwords: that is what it is for.
            if !converted.status.success() {
                seen.output("convert", &converted);
            }
            seen.text("convert", &String::from_utf8_lossy(&converted.stderr));
            let loads = match read {
                true => {
                    let checked = offline(&[&["check", path], &dialect[..]].concat());
                    seen.output("check", &checked);
                    checked.status.success()
                }
                false => converted.status.success(),
            };
            // What loads would listen on ports that are not ours.
            if loads {
                continue;
            }
            left -= 1;
            refused += 1;
            if read {
                seen.asked(&daemon, &[&["check", path], &dialect[..]].concat());
                seen.asked(
                    &daemon,
                    &[
                        &["explain", "dst=a.test:443", "--config", path],
                        &dialect[..],
                    ]
                    .concat(),
                );
                seen.asked(
                    &daemon,
                    &[&["replay", "--config", path], &dialect[..]].concat(),
                );
                seen.asked(&daemon, &[&["policy", path], &dialect[..]].concat());
                seen.asked(&daemon, &[&["test", path], &dialect[..]].concat());
                let formatted = offline(&["fmt", "--check", path]);
                seen.text("fmt", &String::from_utf8_lossy(&formatted.stderr));
                let body = format!("{{\"config\":\"{path}\",\"dialect\":\"{language}\"}}");
                let head = format!(
                    "POST /v1/replay HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                seen.text("replay by path", &ask(&daemon, &format!("{head}{body}")));
                let started = Daemon::try_start(&Start {
                    files: vec![(name, text.clone())],
                    config: if language == "reflow" { "reflow" } else { name },
                    args: vec!["--dialect", language, "--log-level", "trace"],
                    ..Start::default()
                });
                let (status, log) = started.err().expect("what is wrong does not start");
                assert!(!status.success());
                seen.text("start", &log);
            }
            if language == "native" {
                daemon.write("pointsman.yaml", &text);
                seen.asked(&daemon, &["reload"]);
                seen.asked(&daemon, &["reload", "--plan"]);
                seen.asked(&daemon, &["replay"]);
            }
            if left == 0 {
                break;
            }
        }
    }
    assert!(refused >= 28, "{refused} were refused");
    // Each was told of with its place, again and again.
    assert!(
        seen.problems > 20 * refused,
        "{} of {refused}",
        seen.problems
    );
    for words in [
        &["flows"][..],
        &["status"],
        &["rules"],
        &["outbounds"],
        &["diagnostics"],
    ] {
        seen.asked(&daemon, words);
    }
    seen.api(&daemon);
    let log = daemon.log();
    assert!(log.contains("pointsman.yaml:"), "{log}");
    seen.text("log", &log);
    seen.nothing();
}

/// A server that says these one after the other, each after it heard something.
fn says(script: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            for answer in script {
                let mut heard = [0; 4096];
                if stream.read(&mut heard).is_err() || stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    address
}

/// `alice:kQ7z-alice`, `alice:kQ7z-wrong`, `kQ7z-me:kQ7z-far` and `kQ7z-me:kQ7z-web` as HTTP sends them (RFC 7617).
const LOGINS: [&str; 4] = [
    "YWxpY2U6a1E3ei1hbGljZQ==",
    "YWxpY2U6a1E3ei13cm9uZw==",
    "a1E3ei1tZTprUTd6LWZhcg==",
    "a1E3ei1tZTprUTd6LXdlYg==",
];

#[test]
fn a_daemon_that_works_shows_its_secrets_nowhere() {
    // It asks for a login (RFC 1929), and takes none.
    let socks = says(&[&[5, 2], &[1, 1]]);
    let http = says(&[
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    ]);
    let lists = says(&[b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]);
    let text = format!(
        "version: 1\naccess_log: flows.log\ninbounds:\n\
         \x20 desk:\n    type: mixed\n    listen: \"127.0.0.1:0\"\n    users:\n\
         \x20     alice: kQ7z-alice\n      bob: {{ password: kQ7z-bob, alias: phone }}\n\
         \x20     dave: {{ password: {{ from_file: secret }} }}\n      erin: {{ from_env: LOGIN }}\n\
         outbounds:\n\
         \x20 far: {{ type: socks5, server: \"{socks}\", username: kQ7z-me, password: kQ7z-far, served_by: {{ user: nobody }} }}\n\
         \x20 web: {{ type: http, server: \"{http}\", username: kQ7z-me, password: kQ7z-web, served_by: {{ user: nobody }} }}\n\
         \x20 file: {{ type: http, server: \"{http}\", username: me, password: {{ from_file: secret }}, served_by: {{ user: nobody }} }}\n\
         \x20 both: {{ type: chain, hops: [web, far] }}\n\
         \x20 choice: {{ type: select, members: [far, web, file, both] }}\n\
         rule_sets:\n\
         \x20 ads: {{ url: \"http://{lists}/ads.txt?token=kQ7z-list\", path: ads.txt, format: text, behavior: domain }}\n\
         rules:\n  - RULE-SET, ads, REJECT\n  - DOMAIN, far.test, far\n  - DOMAIN, web.test, web\n\
         \x20 - DOMAIN, file.test, file\n  - DOMAIN, both.test, both\n  - FALLBACK, choice\n"
    );
    let daemon = Daemon::start(&Start {
        files: vec![
            ("pointsman.yaml", text.clone()),
            ("secret", "kQ7z-file\n".to_owned()),
        ],
        config: "pointsman.yaml",
        args: vec!["--log-level", "trace"],
        environment: vec![("LOGIN", "kQ7z-erin".to_owned())],
        ..Start::default()
    });
    let mut events = UnixStream::connect(daemon.control()).unwrap();
    events.set_read_timeout(Some(PATIENCE)).unwrap();
    events
        .write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut told = String::new();
    let mut hear = |until: &str| {
        while !told.contains(until) {
            let mut some = [0; 4096];
            let length = events.read(&mut some).expect("an event");
            assert_ne!(length, 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&some[..length]));
        }
        told.clone()
    };
    hear("200 OK");
    let mut seen = Seen::default();
    let inbound = daemon.address("desk");
    let say = |request: &str| {
        let mut stream = TcpStream::connect(inbound).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    for host in [
        "far.test",
        "web.test",
        "file.test",
        "both.test",
        "other.test",
    ] {
        for login in [LOGINS[1], LOGINS[0]] {
            let head = format!(
                "Host: {host}\r\nProxy-Authorization: Basic {login}\r\nConnection: close\r\n\r\n"
            );
            seen.text(
                "answer",
                &say(&format!("CONNECT {host}:443 HTTP/1.1\r\n{head}")),
            );
            seen.text(
                "answer",
                &say(&format!(
                    "GET http://{host}/?token=kQ7z-query HTTP/1.1\r\nCookie: kQ7z\r\n{head}"
                )),
            );
        }
    }
    eventually("the list was asked for", || daemon.log().contains("500"));
    let events = hear("other.test");
    assert!(events.contains("other.test"));
    seen.text("events", &events);
    for words in [
        &["flows", "list", "--recent"][..],
        &["status"],
        &["rules"],
        &["outbounds"],
        &["diagnostics"],
        &["explain", "--id", "1"],
        &["explain", "dst=far.test:443", "inbound=desk", "--full"],
        &["policy"],
        &["reload", "--plan"],
        &["replay"],
        &["reload"],
    ] {
        seen.asked(&daemon, words);
    }
    // Another login behind the same name: said, not shown.
    daemon.write("pointsman.yaml", &text.replace("kQ7z-far", "kQ7z-new"));
    seen.asked(&daemon, &["replay"]);
    seen.asked(&daemon, &["reload"]);
    seen.api(&daemon);
    let log = daemon.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    assert!(
        std::fs::read_to_string(daemon.directory.path().join("flows.log"))
            .unwrap()
            .contains("web.test")
    );
    seen.files(daemon.directory.path(), &["pointsman.yaml", "secret"]);
    let shown = |login: &&&str| log.contains(**login);
    assert_eq!(LOGINS.iter().find(shown), None);
    seen.nothing();
}
