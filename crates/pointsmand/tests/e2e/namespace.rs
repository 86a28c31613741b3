//! Network namespaces of the tests' own, removed when the test ends.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::daemon::in_namespace;

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
