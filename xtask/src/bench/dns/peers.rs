//! The servers that are compared: how each is found, configured, started and ended.
//!
//! Invariants: each works with one thread, listens on 127.0.0.1, asks the same name server, has room for 200,000 answers
//! where that can be said, and is killed by its own id when its [`Running`] goes.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::super::subject::{free_port, sing_box};
use super::load;

/// Ours first: ratios are its to another's.
pub(super) const PEERS: [Peer; 5] = [
    Peer::Ours,
    Peer::Unbound,
    Peer::Dnsmasq,
    Peer::Dnsdist,
    Peer::SingBox,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Ours,
    Unbound,
    Dnsmasq,
    Dnsdist,
    SingBox,
}

const UNBOUND: &str = "/usr/sbin/unbound";
const DNSMASQ: &str = "/usr/sbin/dnsmasq";
const DNSDIST: &str = "/usr/bin/dnsdist";

/// What has to be there.
pub(super) const PACKAGES: [(&str, &str); 3] = [
    ("unbound", UNBOUND),
    ("dnsmasq-base", DNSMASQ),
    ("dnsdist", DNSDIST),
];

/// A list of blocked names, in the words of each server.
pub(super) struct Blocked {
    directory: PathBuf,
    /// The names in it.
    pub(super) names: Vec<String>,
}

impl Blocked {
    /// Writes it in every form.
    pub(super) fn write(names: Vec<String>, scratch: &Path) -> anyhow::Result<Self> {
        let (mut plain, mut unbound, mut dnsmasq) = (String::new(), String::new(), String::new());
        for name in &names {
            writeln!(plain, "{name}")?;
            writeln!(unbound, "local-zone: \"{name}\" always_nxdomain")?;
            writeln!(dnsmasq, "address=/{name}/")?;
        }
        let rules = serde_json::json!({ "version": 3, "rules": [{ "domain_suffix": names }] });
        let directory = scratch.to_owned();
        fs::write(directory.join("plain"), plain)?;
        fs::write(directory.join("unbound-zones"), unbound)?;
        fs::write(directory.join("dnsmasq-addresses"), dnsmasq)?;
        fs::write(directory.join("rules.json"), rules.to_string())?;
        Ok(Self { directory, names })
    }

    fn path(&self, file: &str) -> String {
        self.directory.join(file).display().to_string()
    }
}

impl Peer {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "pointsmand",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
            Self::Dnsdist => "dnsdist",
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
            Self::Unbound => (UNBOUND.into(), "-V"),
            Self::Dnsmasq => (DNSMASQ.into(), "--version"),
            Self::Dnsdist => (DNSDIST.into(), "--version"),
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

    /// Starts it, and waits until it answers: with a list of blocked names one of these.
    pub(super) fn start(
        self,
        scratch: &Path,
        origin: SocketAddr,
        blocked: Option<&Blocked>,
    ) -> anyhow::Result<Running> {
        let directory = scratch.join(self.name());
        fs::create_dir_all(&directory)?;
        let door = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let log = directory.join("log");
        let mut command = self.command(door, origin, &directory, blocked)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&log)?);
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut running = Running {
            child,
            door,
            started_in: Duration::ZERO,
        };
        let last = blocked.and_then(|list| list.names.last());
        let (name, code) = match last {
            Some(name) => (name.clone(), load::NO_NAME),
            None => (load::hot(0), load::NO_ERROR),
        };
        running.wait(&log, &name, code)?;
        running.started_in = begun.elapsed();
        Ok(running)
    }

    fn command(
        self,
        door: SocketAddr,
        origin: SocketAddr,
        directory: &Path,
        blocked: Option<&Blocked>,
    ) -> anyhow::Result<Command> {
        let (program, _) = self.program()?;
        let mut command = Command::new(program);
        let config = directory.join("config");
        fs::write(&config, self.config(door, origin, blocked))?;
        match self {
            Self::Ours => command
                .args(["--dialect", "native", "--rootless", "--workers", "1"])
                .args(["--log-level", "warn", "--config"])
                .arg(config)
                .arg("--control")
                .arg(directory.join("control"))
                .arg("--state")
                .arg(directory.join("state")),
            Self::Unbound => command.arg("-d").arg("-c").arg(config),
            Self::Dnsmasq => command.arg("--keep-in-foreground").arg("-C").arg(config),
            Self::Dnsdist => command
                .args(["--supervised", "--disable-syslog", "-C"])
                .arg(config),
            Self::SingBox => command
                .env("GOMAXPROCS", "1")
                .args(["run", "-c"])
                .arg(config),
        };
        Ok(command)
    }

    fn config(self, door: SocketAddr, origin: SocketAddr, blocked: Option<&Blocked>) -> String {
        let (ip, port) = (door.ip(), door.port());
        let (up, up_port) = (origin.ip(), origin.port());
        let with = |text: &dyn Fn(&Blocked) -> String| blocked.map_or_else(String::new, text);
        match self {
            Self::Ours => {
                let set = with(&|list| {
                    let path = list.path("plain");
                    format!("rule_sets:\n  ads: {{ path: \"{path}\", format: domains }}\n")
                });
                let rule = with(&|_| "    - RULE-SET, ads, nxdomain\n".into());
                format!(
                    "version: 1\npolicy: direct\n{set}dns:\n  listen: \"udp://{door}\"\n  \
                     upstreams: {{ origin: \"udp://{origin}\" }}\n  rules:\n{rule}    - FALLBACK, origin\n"
                )
            }
            Self::Unbound => {
                let zones =
                    with(&|list| format!("  include: \"{}\"\n", list.path("unbound-zones")));
                format!(
                    "server:\n  interface: {ip}@{port}\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  \
                     pidfile: \"\"\n  directory: \"/\"\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  \
                     do-ip6: no\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n  \
                     msg-cache-size: 64m\n  rrset-cache-size: 128m\n  outgoing-range: 4096\n  \
                     num-queries-per-thread: 2048\n{zones}\
                     remote-control:\n  control-enable: no\n\
                     forward-zone:\n  name: \".\"\n  forward-addr: {up}@{up_port}\n"
                )
            }
            Self::Dnsmasq => {
                let list = with(&|list| format!("conf-file={}\n", list.path("dnsmasq-addresses")));
                format!(
                    "port={port}\nlisten-address={ip}\nbind-interfaces\nuser=\ngroup=\npid-file=\n\
                     no-resolv\nno-hosts\nserver={up}#{up_port}\ncache-size=200000\ndns-forward-max=4096\n{list}"
                )
            }
            Self::Dnsdist => {
                let list = with(&|list| {
                    let path = list.path("plain");
                    format!(
                        "local listed = newSuffixMatchNode()\n\
                         for line in io.lines('{path}') do listed:add(newDNSName(line)) end\n\
                         addAction(SuffixMatchNodeRule(listed), RCodeAction(DNSRCode.NXDOMAIN))\n"
                    )
                });
                format!(
                    "setSecurityPollSuffix('')\nsetLocal('{door}', {{ maxInFlight = 64 }})\n\
                     setMaxTCPClientThreads(1)\nsetMaxUDPOutstanding(65535)\n\
                     newServer({{ address = '{origin}', sockets = 4 }})\n\
                     getPool(''):setCache(newPacketCache(200000))\n{list}"
                )
            }
            Self::SingBox => {
                let sets = with(&|list| {
                    let path = list.path("rules.json");
                    format!(
                        "\"rule_set\":[{{\"type\":\"local\",\"tag\":\"ads\",\"format\":\"source\",\"path\":\"{path}\"}}],"
                    )
                });
                let rules = with(&|_| {
                    "\"rules\":[{\"rule_set\":[\"ads\"],\"action\":\"predefined\",\"rcode\":\"NXDOMAIN\"}],"
                        .into()
                });
                format!(
                    "{{\"log\":{{\"disabled\":true}},\"dns\":{{{rules}\"cache_capacity\":200000,\"servers\":\
                     [{{\"type\":\"udp\",\"tag\":\"up\",\"server\":\"{up}\",\"server_port\":{up_port}}}]}},\
                     \"inbounds\":[{{\"type\":\"direct\",\"tag\":\"in\",\"listen\":\"{ip}\",\"listen_port\":{port}}}],\
                     \"outbounds\":[{{\"type\":\"direct\",\"tag\":\"direct\"}}],\
                     \"route\":{{{sets}\"rules\":[{{\"inbound\":\"in\",\"action\":\"hijack-dns\"}}],\
                     \"default_domain_resolver\":\"up\"}}}}\n"
                )
            }
        }
    }
}

/// A started server; ended when dropped.
pub(super) struct Running {
    child: Child,
    /// Where it is asked.
    pub(super) door: SocketAddr,
    /// From starting the program to its first answer.
    pub(super) started_in: Duration,
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self, log: &Path, name: &str, code: u8) -> anyhow::Result<()> {
        let begun = Instant::now();
        let said = || fs::read_to_string(log).unwrap_or_default();
        let mut last = String::new();
        while begun.elapsed() < Duration::from_secs(90) {
            if let Some(status) = self.child.try_wait()? {
                let said = said();
                let end = said.lines().rev().take(3).collect::<Vec<_>>().join("; ");
                bail!("it ended ({status}): {end}");
            }
            match load::ask(self.door, name, code) {
                Ok(()) => return Ok(()),
                Err(error) => last = format!("{error:#}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("it does not answer: {last} {}", said().trim());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
