//! A machine for programs under other names: scripts run on it as they are.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Running, client_path, eventually};
use crate::namespace::Namespace;

/// A machine of its own: network, `/run`, `/var/lib`, and the links on its path.
pub(super) struct Machine {
    host: Namespace,
    pub(super) directory: tempfile::TempDir,
    /// Keeps the mounts.
    holder: Running,
    _web: Running,
}

impl Machine {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let host = Namespace::new("compat");
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let bin = directory.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let daemon = Path::new(env!("CARGO_BIN_EXE_pointsmand"));
        let client = client_path();
        let packaged = packaged_links().into_iter();
        let more = [
            ("bitflow-linux-amd64", "pointsmand"),
            ("pointsman", "pointsman"),
        ];
        let more = more.map(|(name, program)| (name.to_owned(), program.to_owned()));
        for (name, program) in packaged.chain(more) {
            let program = if program == "pointsmand" {
                daemon
            } else {
                &client
            };
            std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
        }
        let mut mounts = Command::new("unshare");
        let script = "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && touch /run/made && exec sleep 600";
        mounts.args(["--mount", "sh", "-c", script]);
        let holder = Running::start(mounts);
        let made = format!("/proc/{}/root/run/made", holder.0.id());
        eventually("the mounts are made", || Path::new(&made).exists());
        let _web = host.inet(&["web"]);
        Self {
            host,
            directory,
            holder,
            _web,
        }
    }

    /// A script, as people have it, in the machine's directory.
    pub(super) fn script(&self, script: &str) -> Command {
        let mounts = format!("--mount=/proc/{}/ns/mnt", self.holder.0.id());
        let directory = self.directory.path().display();
        let path = std::env::var("PATH").unwrap();
        let mut command = self.host.command("nsenter");
        command
            .args([&mounts, "--", "sh", "-c"])
            .arg(format!("cd {directory} && {script}"))
            .env("PATH", format!("{directory}/bin:{path}"))
            .env_remove("RUST_LOG")
            .env_remove("POINTSMAN_CONTROL")
            .stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, script: &str) -> Output {
        self.script(script).output().unwrap()
    }

    /// What a script wrote to stdout, after exit code 0, and with the one line that says what it is.
    pub(super) fn told(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.status.success(), "{script}: {output:?}");
        assert_eq!(notices(&output.stderr), 1, "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its stdout as JSON.
    pub(super) fn json(&self, script: &str) -> Value {
        let text = self.told(script);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{script}: {error}: {text}"))
    }

    /// Starts a daemon by a script, and waits until it serves.
    pub(super) fn start(&self, script: &str) -> Served {
        let log = self.directory.path().join("log");
        let child = self
            .script(&format!("exec {script}"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn();
        let mut served = Served {
            child: Running(child.unwrap()),
            log,
        };
        let mut line = String::new();
        let stdout = served.child.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(
            line.starts_with("ready"),
            "{script}: {line}{}",
            served.log()
        );
        served
    }

    /// curl's exit code and the status that it got.
    pub(super) fn curl(&self, words: &str) -> (Option<i32>, String) {
        let quiet =
            "--silent --max-time 20 --noproxy '' --output /dev/null --write-out '%{http_code}'";
        let output = self.run(&format!("curl {quiet} {words}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    }
}

/// A daemon that was started by a script.
pub(super) struct Served {
    pub(super) child: Running,
    log: std::path::PathBuf,
}

impl Served {
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(super) fn end(&mut self, signal: &str) -> ExitStatus {
        let pid = self.child.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        ended(&mut self.child.0)
    }
}

pub(super) fn ended(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "the daemon still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many times it was said what the program is.
pub(super) fn notices(stderr: &[u8]) -> usize {
    String::from_utf8_lossy(stderr)
        .matches("this is Pointsman ")
        .count()
}

/// The links that the package `pointsman-compat` brings: name and program.
pub(super) fn packaged_links() -> Vec<(String, String)> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let link = |line: &str| {
        let rest = line.trim().strip_prefix("{ dest = \"usr/bin/")?;
        let (name, rest) = rest.split_once("\", link_name = \"")?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    };
    let mut links: Vec<_> = text.lines().filter_map(link).collect();
    links.sort();
    links
}
