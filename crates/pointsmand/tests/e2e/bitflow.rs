//! bitflow's sample, run as it is within a namespace: what it listens on, whom it lets in, what it logs.

use std::time::Duration;

use crate::daemon::{Daemon, Start, eventually};
use crate::namespace::Namespace;
use crate::reflow::shared;

/// Gives the daemon a `/var/log` and a `/var/run` of its own, with the sample's directories: two runs at
/// once are not in each other's way, and nothing is left behind.
const OWN_VAR: &str = r#"
real=$(readlink -f /etc/resolv.conf)
mount -t tmpfs none /var/log && mount -t tmpfs none /var/run || exit 1
mkdir /var/log/bitflow /var/run/http || exit 1
[ -e "$real" ] || { mkdir -p "${real%/*}" && echo "nameserver 127.0.0.1" >"$real"; }
exec "$@"
"#;

#[test]
fn the_sample_of_bitflow_runs_as_it_is() {
    const SOCKET: &str = "/var/run/http/http.sock";
    let Some(shared) = shared() else { return };
    let sample = shared
        .join("samples/bitflow/config.yaml")
        .canonicalize()
        .unwrap();
    let host = Namespace::new("bitflow");
    let mut daemon = Daemon::start(&Start {
        config: sample.to_str().unwrap(),
        namespace: Some(&host.name),
        starter: ["unshare", "--mount", "sh", "-c", OWN_VAR, "sh"]
            .map(str::to_owned)
            .to_vec(),
        ..Start::default()
    });
    let log = format!("/proc/{}/root/var/log/bitflow/smtp.log", daemon.pid());
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
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let found = text.lines().nth(number);
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
    let mounts = format!("--mount=/proc/{}/ns/mnt", daemon.pid());
    let local = std::process::Command::new("nsenter")
        .args([
            &mounts,
            "curl",
            "--silent",
            "--max-time",
            "40",
            "--unix-socket",
            SOCKET,
        ])
        .arg("http://web.example.com/")
        .output()
        .unwrap();
    assert!(local.stdout.is_empty(), "{local:?}");
    let flow = daemon.last_flow();
    assert_eq!(flow["inbound"]["name"], "http", "{flow}");
    let error = flow["error"].as_str().unwrap();
    assert!(error.contains("web.example.com"), "{flow}");
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
}
