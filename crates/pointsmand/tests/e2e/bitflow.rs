//! bitflow's sample, run as it is within a namespace: what it listens on, whom it lets in, what it logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::{Daemon, Start, eventually};
use crate::namespace::Namespace;
use crate::reflow::shared;

/// Directories that a test made, and a file within one; removed with it.
struct Made(Vec<PathBuf>);

impl Made {
    fn new(directories: &[&str], file: &str) -> Self {
        let mut made = Vec::new();
        if !Path::new(file).exists() {
            made.push(PathBuf::from(file));
        }
        for directory in directories {
            if !Path::new(directory).exists() {
                std::fs::create_dir_all(directory).unwrap();
                made.push(PathBuf::from(directory));
            }
        }
        Self(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            let _never_made = std::fs::remove_file(path);
            let _not_ours = std::fs::remove_dir(path);
        }
    }
}

#[test]
fn the_sample_of_bitflow_runs_as_it_is() {
    const LOG: &str = "/var/log/bitflow/smtp.log";
    const SOCKET: &str = "/var/run/http/http.sock";
    let Some(shared) = shared() else { return };
    let sample = shared
        .join("samples/bitflow/config.yaml")
        .canonicalize()
        .unwrap();
    let _made = Made::new(&["/var/log/bitflow", "/var/run/http"], LOG);
    let before = std::fs::read_to_string(LOG).unwrap_or_default().len();
    let host = Namespace::new("bitflow");
    let mut daemon = Daemon::start(&Start {
        config: sample.to_str().unwrap(),
        namespace: Some(&host.name),
        ..Start::default()
    });
    let served: Vec<&str> = daemon.ready.keys().map(String::as_str).collect();
    assert_eq!(served, ["http", "smtp", "ssh"]);
    assert!(daemon.ready.values().all(|(kind, _)| kind == "forward"));
    assert_eq!(daemon.ready["http"].1, format!("unix:{SOCKET}"));
    assert!(daemon.ready["smtp"].1.ends_with(":25"));
    assert!(daemon.ready["ssh"].1.ends_with(":22"));
    // Nothing resolves within the namespace: mail.example.com is not reached.
    let client = host
        .command("curl")
        .args(["--silent", "--max-time", "40", "telnet://127.0.0.1:25"])
        .output()
        .unwrap();
    assert!(client.stdout.is_empty(), "{client:?}");
    let flow = daemon.last_flow();
    assert_eq!(flow["inbound"]["name"], "smtp", "{flow}");
    assert_eq!(flow["ended"], "failed", "{flow}");
    let error = flow["error"].as_str().unwrap();
    assert!(error.contains("mail.example.com"), "{flow}");
    // Five attempts; 100, 200, 400 and 800 ms between them.
    assert!(flow["duration_ms"].as_u64().unwrap() >= 1500, "{flow}");
    let logged = |number: usize| {
        let mut line = serde_json::Value::Null;
        eventually("the connection is in its log", || {
            let text = std::fs::read_to_string(LOG).unwrap_or_default();
            let found = text.get(before..).and_then(|text| text.lines().nth(number));
            line = found
                .and_then(|found| serde_json::from_str(found).ok())
                .unwrap_or_default();
            line.is_object()
        });
        line
    };
    let line = logged(0);
    assert_eq!(line["name"], "smtp", "{line}");
    assert_eq!(line["source_ip"], "127.0.0.1", "{line}");
    assert_eq!(line["error"], error, "{line}");
    // Whoever is not among the authorised sources is shut out before that.
    host.ip(&["address", "add", "172.31.9.9/32", "dev", "lo"]);
    let stranger = host
        .command("curl")
        .args([
            "--silent",
            "--max-time",
            "10",
            "--interface",
            "172.31.9.9",
            "telnet://127.0.0.1:25",
        ])
        .output()
        .unwrap();
    assert!(!stranger.status.success(), "{stranger:?}");
    let flow = daemon.last_flow();
    assert_eq!(flow["ended"], "refused", "{flow}");
    assert_eq!(flow["action"], "reset", "{flow}");
    let line = logged(1);
    assert_eq!(line["source_ip"], "172.31.9.9", "{line}");
    assert_eq!(line["error"], "refused by the policy", "{line}");
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    assert!(!Path::new(SOCKET).exists());
}
