//! The daemon with bitflow's configurations: what it listens on, inherits, logs, and how it ends.

#![expect(
    clippy::disallowed_methods,
    reason = "these are the clients and the servers around the daemon"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that serves; killed when dropped.
struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
    ready: String,
}

impl Daemon {
    /// Starts it with `inherited` as descriptor 3. `DIR` in the text is its directory.
    fn start(config: &str, inherited: OwnedFd) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let config = config.replace("DIR", place.to_str().unwrap());
        std::fs::write(place.join("config.yaml"), config).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$@\" 3<&0 </dev/null", "sh"])
            .arg(env!("CARGO_BIN_EXE_pointsmand"))
            .arg("--config")
            .arg(place.join("config.yaml"))
            .arg("--control")
            .arg(place.join("control"))
            .arg("--state")
            .arg(place.join("state"))
            .arg("--rootless")
            .stdin(inherited)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut ready).unwrap();
        assert!(ready.starts_with("ready "), "{ready:?}");
        Self {
            child,
            directory,
            ready,
        }
    }

    /// The addresses of a forward, as the ready line says them.
    fn addresses(&self, name: &str) -> Vec<&str> {
        let words = self.ready.split_whitespace();
        let start = format!("{name}=forward@");
        words
            .filter_map(|word| word.strip_prefix(start.as_str()))
            .collect()
    }

    fn tcp(&self, name: &str) -> SocketAddr {
        self.addresses(name)[0].parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code, once it has ended.
    fn code(&mut self) -> Option<i32> {
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end")
    }

    fn sockets(&self) -> usize {
        let all = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = all
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok());
        let is_socket = |path: &std::path::PathBuf| path.to_string_lossy().starts_with("socket:");
        targets.filter(is_socket).count()
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers each connection with what it sends.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut to = client.try_clone().unwrap();
                let _ = std::io::copy(&mut &client, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn connect(at: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(at).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn says(client: &mut (impl Read + Write), text: &str) {
    client.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), text);
}

fn nothing() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

fn one(listen: &str, target: &str) -> String {
    format!(
        "server:\n  proxies:\n    - name: one\n      listener: {{ address: \"{listen}\" }}\n      targets:\n        - {{ name: t, address: \"{target}\" }}\n"
    )
}

#[test]
fn all_kinds_of_listeners_serve() {
    let server = echo();
    let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
    let inherited_at = inherited.local_addr().unwrap();
    let config = format!(
        "
server:
  proxies:
    - name: web
      listener: {{ address: \"127.0.0.1:0\", authorized_sources: [127.0.0.0/8], read_timeout: 30s }}
      targets:
        - {{ name: dead, address: \"127.98.7.1:9\" }}
        - {{ name: live, address: \"{server}\" }}
      options: {{ connection_load_balancer: failover, connection_log: DIR/web.log }}
    - name: closed
      listener: {{ address: \"tcp4::0\", authorized_sources: [192.0.2.0/24] }}
      target: {{ address: \"{server}\" }}
    - name: local
      listener: {{ address: \"unix:DIR/sock\" }}
      target: {{ address: \"localhost:{}\" }}
    - name: given
      listener: {{ address: \"fd:3\" }}
      target: {{ address: \"{server}\" }}
",
        server.port()
    );
    let mut daemon = Daemon::start(&config, inherited.into());
    says(&mut connect(daemon.tcp("web")), "by tcp");
    let path = daemon.path().join("sock");
    assert_eq!(
        daemon.addresses("local"),
        [format!("unix:{}", path.display())]
    );
    says(&mut UnixStream::connect(&path).unwrap(), "by path");
    assert_eq!(daemon.addresses("given"), ["fd:3"]);
    says(&mut connect(inherited_at), "by number");
    let mut closed = daemon.tcp("closed");
    closed.set_ip([127, 0, 0, 1].into());
    // A reset may overtake the end of the connect.
    if let Ok(mut refused) = TcpStream::connect(closed) {
        assert!(!matches!(refused.read(&mut [0]), Ok(1..)));
    }

    // A reload keeps all of them.
    let kept = connect(inherited_at);
    daemon.signal("-HUP");
    says(&mut { kept }, "old");
    says(&mut connect(inherited_at), "again by number");
    says(&mut UnixStream::connect(&path).unwrap(), "again by path");
    says(&mut connect(daemon.tcp("web")), "again by tcp");

    daemon.signal("-TERM");
    assert_eq!(daemon.code(), Some(0));
    assert!(!path.exists());
    let log = std::fs::read_to_string(daemon.path().join("web.log")).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!(lines[0]["name"], "web");
    assert_eq!(lines[0]["source_sent_bytes"], 6);
    assert_eq!(lines[0]["destination_receive_bytes"], 6);
    assert_eq!(lines[0]["destination_port"], server.port());
}

#[test]
fn each_signal_to_end_lets_flows_end_first() {
    for signal in ["-TERM", "-INT"] {
        let config = one("127.0.0.1:0", &echo().to_string());
        let mut daemon = Daemon::start(&config, nothing());
        let at = daemon.tcp("one");
        let mut client = connect(at);
        says(&mut client, "before");
        daemon.signal(signal);
        let by = Instant::now() + PATIENCE;
        while TcpStream::connect(at).is_ok() {
            assert!(Instant::now() < by, "it still listens");
        }
        says(&mut client, "after");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(daemon.code(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let config = one("127.0.0.1:0", &echo().to_string());
    let mut daemon = Daemon::start(&config, nothing());
    let at = daemon.tcp("one");
    let mut client = connect(at);
    says(&mut client, "before");
    daemon.signal("-TERM");
    while TcpStream::connect(at).is_ok() {}
    let begun = Instant::now();
    daemon.signal("-TERM");
    assert!(!matches!(client.read(&mut [0]), Ok(1..)));
    daemon.code();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "the grace is 10 s"
    );
}

#[test]
fn no_descriptor_is_left_behind() {
    let server = echo();
    let config = one("127.0.0.1:0", &server.to_string())
        + "      options: { connection_limit: 60 }\n    - name: dead\n      listener: { address: \"127.0.0.1:0\" }\n      target: { address: \"127.98.7.1:9\" }\n";
    let daemon = Daemon::start(&config, nothing());
    let (live, dead) = (daemon.tcp("one"), daemon.tcp("dead"));
    let before = daemon.sockets();
    for round in 0..50 {
        let mut client = connect(live);
        match round % 4 {
            0 => says(&mut client, "hello"),
            // Gone without a word, or in mid-word.
            1 => {}
            2 => client.write_all(&[7; 100_000]).unwrap(),
            _ => client.shutdown(Shutdown::Write).unwrap(),
        }
        let _ = TcpStream::connect(dead).map(|mut client| client.read(&mut [0]));
    }
    // More than the limit at once; a reset may overtake the end of the connect.
    let crowd: Vec<TcpStream> = (0..80)
        .filter_map(|_| TcpStream::connect(live).ok())
        .collect();
    drop(crowd);
    // Those that still wait at the door count too, so it is serving that is waited for first.
    let by = Instant::now() + PATIENCE;
    let serves = || {
        let mut byte = [0];
        TcpStream::connect(live).is_ok_and(|mut client| {
            client.set_read_timeout(Some(PATIENCE)).is_ok()
                && client.write_all(b"x").is_ok()
                && matches!(client.read(&mut byte), Ok(1))
        })
    };
    while !serves() {
        assert!(Instant::now() < by, "it does not serve any more");
    }
    while daemon.sockets() > before {
        let after = daemon.sockets();
        assert!(
            Instant::now() < by,
            "{before} sockets before, {after} after"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
