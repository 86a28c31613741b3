//! A daemon under test: started with a configuration text, ended by its process id.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a daemon may take to say `ready`.
const START: Duration = Duration::from_secs(30);

/// How to start one.
#[derive(Default)]
pub(crate) struct Start<'a> {
    /// Files to write below the daemon's directory first; the one named by `config` is loaded.
    pub(crate) files: Vec<(&'a str, String)>,
    /// Relative to the daemon's directory, or absolute; empty: no `--config`.
    pub(crate) config: &'a str,
    /// Whether the configuration is named relative to the daemon's directory, which it is started in.
    pub(crate) relative: bool,
    /// Further arguments.
    pub(crate) args: Vec<&'a str>,
    /// Environment variables.
    pub(crate) environment: Vec<(&'a str, String)>,
    /// The network namespace to run in.
    pub(crate) namespace: Option<&'a str>,
    /// The program that starts it, with its arguments, and keeps the process id; empty: the test does.
    pub(crate) starter: Vec<String>,
    /// Whether it has no directory of state.
    pub(crate) stateless: bool,
    /// What it finds in `/etc/hosts`; empty: the host's own. Needs root.
    pub(crate) hosts: &'a str,
}

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    /// Its directory: configuration, state, control socket, log.
    pub(crate) directory: tempfile::TempDir,
    /// What it said it serves: name to type and address.
    pub(crate) ready: BTreeMap<String, (String, String)>,
    namespace: Option<String>,
}

impl Daemon {
    /// Starts a daemon with one native configuration file.
    pub(crate) fn native(text: &str) -> Self {
        Self::start(&Start {
            files: vec![("pointsman.yaml", text.to_owned())],
            config: "pointsman.yaml",
            ..Start::default()
        })
    }

    /// Starts a daemon and waits for its `ready` line.
    pub(crate) fn start(start: &Start<'_>) -> Self {
        match Self::try_start(start) {
            Ok(daemon) => daemon,
            Err((status, log)) => {
                panic!("the daemon ended with {status} before it was ready:\n{log}")
            }
        }
    }

    /// As [`Daemon::start`]; where it ends before it is ready, how it ended and what it logged.
    pub(crate) fn try_start(start: &Start<'_>) -> Result<Self, (ExitStatus, String)> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &start.files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_pointsmand");
        let mut command = match (start.hosts, start.starter.split_first()) {
            ("", None) => in_namespace(start.namespace, program),
            ("", Some((starter, words))) => {
                let mut command = in_namespace(start.namespace, starter);
                command.args(words).arg(program);
                command
            }
            _ => in_namespace(start.namespace, "unshare"),
        };
        if !start.hosts.is_empty() {
            let hosts = directory.path().join("hosts");
            std::fs::write(&hosts, start.hosts).unwrap();
            // A mount of its own; both execs keep the process id.
            let mount = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
            command.args(["--mount", "sh", "-c", mount]);
            command.arg(&hosts).arg(program);
        }
        if !start.config.is_empty() {
            let path = directory.path().join(start.config);
            let path = if start.relative {
                start.config.into()
            } else {
                path
            };
            command
                .arg("--config")
                .arg(path)
                .current_dir(directory.path());
        }
        if !start.args.contains(&"--control") {
            command
                .arg("--control")
                .arg(directory.path().join("control.sock"));
        }
        if start.stateless {
            command.arg("--rootless");
            for name in ["HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"] {
                command.env_remove(name);
            }
        } else if !start.args.contains(&"--state") {
            command.arg("--state").arg(directory.path().join("state"));
        }
        command
            .args(&start.args)
            .env_remove("RUST_LOG")
            .env_remove("POINTSMAN_CONTROL");
        for (name, value) in &start.environment {
            command.env(name, value);
        }
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let until = Instant::now() + START;
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with("ready") => {
                    let ready = line.split_whitespace().skip(1).filter_map(served).collect();
                    let namespace = start.namespace.map(str::to_owned);
                    return Ok(Self {
                        child,
                        directory,
                        ready,
                        namespace,
                    });
                }
                Ok(_) => {}
                Err(_) => {
                    let _gone_already = child.kill();
                    let status = child.wait().unwrap();
                    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
                    return Err((status, log));
                }
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address that an inbound or forward listens on.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let (_, address) = self
            .ready
            .get(name)
            .unwrap_or_else(|| panic!("{name} in {:?}", self.ready));
        address.parse().unwrap()
    }

    /// The control socket.
    pub(crate) fn control(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Runs the client against this daemon.
    pub(crate) fn client(&self, words: &[&str]) -> Output {
        let mut command = in_namespace(self.namespace.as_deref(), client_path().to_str().unwrap());
        command
            .arg("--control")
            .arg(self.control())
            .args(words)
            .output()
            .unwrap()
    }

    /// Runs the client with `--format json`; its output, which must be JSON, after exit code 0.
    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let output = self.client(&[&["--format", "json"], words].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// The record of the newest flow, once it has ended.
    pub(crate) fn last_flow(&self) -> serde_json::Value {
        let mut last = serde_json::Value::Null;
        eventually("the last flow ends", || {
            let list = self.json(&["flows", "list", "--recent"]);
            let flows = list["flows"].as_array().cloned().unwrap_or_default();
            let newest = flows.into_iter().max_by_key(|flow| flow["id"].as_u64());
            last = newest.unwrap_or_default();
            last["ended"].is_string()
        });
        last
    }

    /// Replaces a file of its directory in one step, as editors do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        let fresh = self.directory.path().join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The least number of its open descriptors within half a second: nobody's connection that is just
    /// being closed is counted.
    pub(crate) fn descriptors_at_rest(&self) -> usize {
        let counted = (0..10).map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            self.descriptors()
        });
        counted.min().unwrap_or(0)
    }

    /// The number of its open descriptors, but for pipes: those are kept for the next burst.
    pub(crate) fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|to| !to.to_string_lossy().starts_with("pipe:"))
            .count()
    }

    /// Its resident memory in kB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The processor time that it has used, in steps of 10 ms (proc_pid_stat(5)).
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The second field may hold blanks; it ends with the last parenthesis.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "the daemon still runs after {limit:?}:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
    }
}

/// `name=type@address` of a ready line.
fn served(word: &str) -> Option<(String, (String, String))> {
    let (name, rest) = word.split_once('=')?;
    let (kind, address) = rest.split_once('@')?;
    Some((name.to_owned(), (kind.to_owned(), address.to_owned())))
}

/// A command within a network namespace. `ip netns exec` would hide `/sys/fs/cgroup`.
pub(crate) fn in_namespace(namespace: Option<&str>, program: &str) -> Command {
    match namespace {
        None => Command::new(program),
        Some(name) => {
            let mut command = Command::new("nsenter");
            command
                .arg(format!("--net=/run/netns/{name}"))
                .arg("--")
                .arg(program);
            command
        }
    }
}

/// The client, beside the daemon in the target directory.
pub(crate) fn client_path() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_pointsmand")).with_file_name("pointsman");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace` first",
        path.display()
    );
    path
}

/// A child process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts a program whose output is not wanted.
    pub(crate) fn start(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Waits until a condition holds; fails after ten seconds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < until, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
