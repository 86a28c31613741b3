//! The relays that are compared: how each is found, configured, started and ended.
//!
//! Invariants: each runs with one thread of data plane, listens on 127.0.0.1, lets all datagrams go directly, and is
//! killed by its own id when its [`Running`] goes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::super::subject::{free_port, sing_box};
use super::load;

/// Ours first: ratios are its to another's.
pub(super) const PEERS: [Peer; 3] = [Peer::Ours, Peer::Sslocal, Peer::SingBox];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Ours,
    Sslocal,
    SingBox,
}

impl Peer {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "pointsmand",
            Self::Sslocal => "sslocal",
            Self::SingBox => "sing-box",
        }
    }

    /// The program, and the words that make it tell its version.
    fn program(self) -> anyhow::Result<(PathBuf, &'static str)> {
        Ok(match self {
            Self::Ours => (
                std::env::current_exe()?.with_file_name("pointsmand"),
                "--version",
            ),
            Self::Sslocal => ("sslocal".into(), "--version"),
            Self::SingBox => (sing_box()?, "version"),
        })
    }

    /// The first line that the program says about its version; an error where it cannot be run.
    pub(super) fn version(self) -> anyhow::Result<String> {
        let (program, words) = self.program()?;
        let output = Command::new(&program)
            .arg(words)
            .output()
            .with_context(|| program.display().to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// Starts it, and waits until it relays to `origin`.
    pub(super) fn start(self, scratch: &Path, origin: SocketAddrV4) -> anyhow::Result<Running> {
        let directory = scratch.join(self.name());
        fs::create_dir_all(&directory)?;
        let door = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let log = directory.join("log");
        let mut command = self.command(door, &directory)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(fs::File::create(&log)?).spawn();
        let child = child.with_context(|| format!("{command:?}"))?;
        let mut running = Running { child, door };
        running.wait(&log, origin)?;
        Ok(running)
    }

    fn command(self, door: SocketAddr, directory: &Path) -> anyhow::Result<Command> {
        let (program, _) = self.program()?;
        let mut command = Command::new(program);
        let config = directory.join("config");
        let (ip, port) = (door.ip(), door.port());
        match self {
            Self::Ours => {
                let text = format!(
                    "version: 1\ninbounds:\n  bench: {{ type: socks5, listen: \"{door}\" }}\n\
                     udp: {{ flows: 200000, flows_by_client: 20000 }}\npolicy: direct\n"
                );
                fs::write(&config, text)?;
                command
                    .args(["--dialect", "native", "--rootless", "--workers", "1"])
                    .args(["--log-level", "warn", "--config"])
                    .arg(config)
                    .arg("--control")
                    .arg(directory.join("control"))
                    .arg("--state")
                    .arg(directory.join("state"));
            }
            Self::Sslocal => {
                // A server that nobody asks, for all is let by.
                let text = format!(
                    "{{\"servers\":[{{\"server\":\"127.0.0.1\",\"server_port\":1,\"method\":\"none\",\
                     \"password\":\"x\"}}],\"local_address\":\"{ip}\",\"local_port\":{port},\
                     \"mode\":\"tcp_and_udp\",\"udp_timeout\":300}}\n"
                );
                fs::write(&config, text)?;
                let list = directory.join("acl");
                fs::write(&list, "[bypass_all]\n")?;
                command.arg("-c").arg(config).arg("--acl").arg(list);
            }
            Self::SingBox => {
                let text = format!(
                    "{{\"log\":{{\"disabled\":true}},\
                     \"inbounds\":[{{\"type\":\"socks\",\"tag\":\"in\",\"listen\":\"{ip}\",\"listen_port\":{port}}}],\
                     \"outbounds\":[{{\"type\":\"direct\",\"tag\":\"direct\"}}]}}\n"
                );
                fs::write(&config, text)?;
                command
                    .env("GOMAXPROCS", "1")
                    .args(["run", "-c"])
                    .arg(config);
            }
        }
        Ok(command)
    }
}

/// A started relay; ended when dropped.
pub(super) struct Running {
    child: Child,
    /// Where associations are asked for.
    pub(super) door: SocketAddr,
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self, log: &Path, origin: SocketAddrV4) -> anyhow::Result<()> {
        let begun = Instant::now();
        let said = || fs::read_to_string(log).unwrap_or_default();
        let mut last = String::new();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}): {}", said().trim());
            }
            let asked = load::associate(self.door, Ipv4Addr::LOCALHOST);
            match asked.and_then(|client| client.ask(origin)) {
                Ok(()) => return Ok(()),
                Err(error) => last = format!("{error:#}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("it does not relay: {last} {}", said().trim());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
