//! Network namespaces of the tests' own, removed when the test ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::daemon::{Running, eventually, in_namespace};

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A network namespace with its loopback up.
pub(crate) struct Namespace {
    /// Unique by this process's id.
    pub(crate) name: String,
}

impl Namespace {
    /// Makes one. Needs root.
    pub(crate) fn new(word: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("pm-{}-{number}-{word}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// `ip` within it.
    pub(crate) fn ip(&self, words: &[&str]) {
        let output = in_namespace(Some(&self.name), "ip")
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "ip {words:?}: {output:?}");
    }

    /// A command within it.
    pub(crate) fn command(&self, program: &str) -> Command {
        in_namespace(Some(&self.name), program)
    }

    /// Starts `inet.py` within it, and waits until it serves.
    pub(crate) fn inet(&self, words: &[&str]) -> Running {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/inet.py");
        let mut command = self.command("python3");
        command.arg(script).args(words).stdout(Stdio::piped());
        let mut running = Running(command.spawn().unwrap());
        let mut line = String::new();
        let stdout = running.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{words:?}");
        running
    }

    /// Waits until something listens on a TCP port within it.
    pub(crate) fn until_listening(&self, port: u16) {
        eventually("the port is listened on", || {
            let output = self.command("ss").args(["-Hltn"]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains(&format!(":{port} "))
        });
    }

    /// Joins two namespaces by a pair of links with these names and addresses (`a.b.c.d/n`).
    pub(crate) fn join(&self, link: (&str, &str), other: &Self, other_link: (&str, &str)) {
        self.ip(&[
            "link",
            "add",
            link.0,
            "type",
            "veth",
            "peer",
            "name",
            other_link.0,
            "netns",
            &other.name,
        ]);
        for (namespace, (name, address)) in [(self, link), (other, other_link)] {
            namespace.ip(&["address", "add", address, "dev", name]);
            namespace.ip(&["link", "set", name, "up"]);
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _gone_already = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip")
        .args(words)
        .output()
        .expect("ip is installed");
    assert!(
        output.status.success(),
        "ip {words:?}: {output:?} (network namespaces need root)"
    );
}
