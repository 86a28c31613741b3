//! reflow's sample, run as it is: real TLS, HTTP and SSH flows, told apart by the address they arrive from.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, Running, Start};
use crate::namespace::Namespace;
use crate::upstream::leaving_by;

/// Where each way out arrives from.
const PRIVACYPROXY: &str = "172.31.0.21";
const PROXY1: &str = "172.31.0.72";
const WORKVPN0: &str = "192.168.33.83";
const MOON: &str = "10.1.2.3";
const DIRECT: &str = "172.31.0.1";

/// The samples that the seeds came with; tests that want them are skipped aloud without them.
pub(crate) fn shared() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("POINTSMAN_SHARED").map_or(here, PathBuf::from);
    if path.join("samples/reflow/config").exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: the seeds' samples are not at {} (POINTSMAN_SHARED)",
        path.display()
    );
    None
}

struct World {
    host: Namespace,
    inet: Namespace,
    directory: tempfile::TempDir,
    running: Vec<Running>,
}

impl World {
    fn new() -> Self {
        let (host, inet) = (Namespace::new("host"), Namespace::new("inet"));
        host.join(("up0", "172.31.0.1/24"), &inet, ("down0", "172.31.0.2/24"));
        for address in [PRIVACYPROXY, PROXY1, WORKVPN0, MOON] {
            host.ip(&["address", "add", &format!("{address}/32"), "dev", "up0"]);
        }
        host.ip(&[
            "route",
            "add",
            "default",
            "via",
            "172.31.0.2",
            "src",
            DIRECT,
        ]);
        for address in [WORKVPN0, MOON] {
            inet.ip(&[
                "route",
                "add",
                &format!("{address}/32"),
                "via",
                "172.31.0.1",
            ]);
        }
        for address in [
            "9.9.9.9",
            "1.2.3.4",
            "10.3.5.9",
            "192.1.1.1",
            "8.8.8.8",
            "192.168.1.5",
        ] {
            inet.ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        let directory = tempfile::tempdir().unwrap();
        let mut world = Self {
            host,
            inet,
            directory,
            running: Vec::new(),
        };
        world.web();
        world.ssh();
        world.dns();
        world.proxy(2123, PRIVACYPROXY);
        world.proxy(7223, PROXY1);
        world
    }

    fn file(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn web(&mut self) {
        let (key, certificate) = (self.file("key.pem"), self.file("certificate.pem"));
        let output = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=t",
            ])
            .args(["-keyout", &key, "-out", &certificate])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.running
            .push(self.inet.inet(&["web", &certificate, &key]));
    }

    fn dns(&mut self) {
        let names = ["i.reddit.com=1.2.3.4", "host.work=10.3.5.9"];
        let words = [&["dns", "127.0.0.1"], &names[..]].concat();
        self.running.push(self.host.inet(&words));
    }

    fn ssh(&mut self) {
        for name in ["host_key", "user_key"] {
            let file = self.file(name);
            let output = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &file])
                .output();
            assert!(output.unwrap().status.success());
        }
        std::fs::create_dir_all("/run/sshd").unwrap();
        std::fs::copy(self.file("user_key.pub"), self.file("authorized")).unwrap();
        let text = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             ForceCommand echo $SSH_CLIENT\nPidFile none\nPort 22\nPort 23\nPort 2222\n",
            self.file("host_key"),
            self.file("authorized"),
        );
        std::fs::write(self.file("sshd_config"), text).unwrap();
        let mut command = self.inet.command("/usr/sbin/sshd");
        command.args(["-D", "-f", &self.file("sshd_config")]);
        self.running.push(Running::start(command));
    }

    /// A sing-box whose flows leave by an address of their own.
    fn proxy(&mut self, port: u16, address: &str) {
        let directory = self.directory.path();
        let at = format!("127.0.0.1:{port}").parse().unwrap();
        self.running
            .push(leaving_by(&self.host, directory, at, address, ""));
    }

    /// Which address the web server saw, or `reset`.
    fn web_from(&self, proxy: &str, url: &str, address: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let name = rest.split('/').next().unwrap();
        let port = if scheme == "https" { 443 } else { 80 };
        let mut command = self.host.command("curl");
        command.args([
            "--silent",
            "--insecure",
            "--max-time",
            "20",
            "--noproxy",
            "",
            "--proxy",
            proxy,
        ]);
        if !address.is_empty() {
            command.args(["--resolve", &format!("{name}:{port}:{address}")]);
        }
        let output = command.arg(url).output().unwrap();
        match output.status.code() {
            Some(0) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            // 35: in the TLS handshake, 52: an empty answer, 56: a failed receive, 97: in the SOCKS one.
            Some(35 | 52 | 56 | 97) => "reset".to_owned(),
            other => format!("curl {other:?}"),
        }
    }

    /// Which address the SSH server saw.
    fn ssh_from(&self, address: &str, port: u16) -> String {
        let output = self
            .host
            .command("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=20",
            ])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args([
                "-o",
                "ProxyCommand=nc -X 5 -x 127.0.0.1:1080 %h %p",
                "-i",
                &self.file("user_key"),
            ])
            .args(["-p", &port.to_string(), &format!("root@{address}")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text.split(' ').next() {
            Some(from) if output.status.success() => from.to_owned(),
            _ => format!("{output:?}"),
        }
    }
}

#[test]
fn the_sample_routes_real_flows_as_its_comments_say() {
    let Some(shared) = shared() else { return };
    let world = World::new();
    let sample = shared.join("samples/reflow");
    let daemon = Daemon::start(&Start {
        config: sample.to_str().unwrap(),
        namespace: Some(&world.host.name),
        ..Start::default()
    });
    let (by_address, by_name) = ("socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080");
    let web = [
        (
            by_address,
            "https://m.twitter.com/",
            "9.9.9.9",
            PRIVACYPROXY,
        ),
        (by_address, "https://i.reddit.com/", "1.2.3.4", DIRECT),
        (by_address, "http://www.google.com/", "1.2.3.4", "reset"),
        (by_address, "https://www.google.com/", "1.2.3.4", DIRECT),
        (by_address, "https://www.google.com/", "10.3.5.9", WORKVPN0),
        (
            by_address,
            "https://stats.g.doubleclick.net/",
            "1.2.3.4",
            "reset",
        ),
        (
            by_address,
            "https://twitter.com.evil.org/",
            "1.2.3.4",
            DIRECT,
        ),
        // The relay's resolver is asked where a rule on addresses is reached.
        (by_name, "https://i.reddit.com/", "", DIRECT),
        (by_name, "http://host.work/", "", WORKVPN0),
    ];
    for (proxy, url, address, expected) in web {
        assert_eq!(
            world.web_from(proxy, url, address),
            expected,
            "{url} {address}"
        );
    }
    let ssh = [
        ("192.1.1.1", 2222, MOON),
        ("8.8.8.8", 22, PROXY1),
        ("8.8.8.8", 23, DIRECT),
        ("192.168.1.5", 22, DIRECT),
    ];
    for (address, port, expected) in ssh {
        assert_eq!(
            world.ssh_from(address, port),
            expected,
            "ssh {address} {port}"
        );
    }
    // `explain` says of the recent flows what the wire showed.
    let flows = daemon.json(&["flows", "list", "--recent"]);
    assert!(
        flows.to_string().contains("secret-sites => privacyproxy"),
        "{flows}"
    );
}
