//! The programs that are compared: how each is found, configured, started and ended.
//!
//! Invariants: each runs with one thread of data plane, listens on 127.0.0.1, and is killed by its own id when its
//! [`Running`] goes. Each leads to an origin address of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::load::{self, Door};
use super::origin;

/// What stands between the clients and the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Nothing: the baseline.
    Direct,
    /// Our forward.
    Forward,
    /// HAProxy that decides by itself when to splice.
    HaproxyAuto,
    /// HAProxy that always splices, through larger pipes.
    HaproxySplice,
    /// nginx's stream module.
    Nginx,
    /// The bare relay.
    Bare,
    /// Our SOCKS5 inbound, everything direct.
    Socks,
    /// sing-box's SOCKS5 inbound, everything direct.
    SingBox,
}

/// What was asked of every subject: the two tables of the report.
pub(super) const FORWARDS: &[Subject] = &[
    Subject::HaproxyAuto,
    Subject::HaproxySplice,
    Subject::Nginx,
    Subject::Bare,
];

/// Peers of [`Subject::Socks`].
pub(super) const PROXIES: &[Subject] = &[Subject::SingBox];

const HAPROXY: &str = "/usr/sbin/haproxy";
const NGINX: &str = "/usr/sbin/nginx";
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
const SING_BOX: &str = "target/python/bin/sing-box";

impl Subject {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "no relay",
            Self::Forward => "pointsmand forward",
            Self::HaproxyAuto => "HAProxy, splice-auto",
            Self::HaproxySplice => "HAProxy, always splice",
            Self::Nginx => "nginx stream",
            Self::Bare => "bare splice relay",
            Self::Socks => "pointsmand SOCKS5",
            Self::SingBox => "sing-box SOCKS5",
        }
    }

    /// How many descriptors it needs for a connection at rest.
    pub(super) fn descriptors(self) -> usize {
        match self {
            // It keeps a pipe for each direction.
            Self::SingBox => 6,
            _ => 2,
        }
    }

    /// The program, and the words that make it tell its version.
    fn program(self) -> anyhow::Result<Option<(PathBuf, &'static str)>> {
        let here = std::env::current_exe()?;
        Ok(match self {
            Self::Direct | Self::Bare => None,
            Self::Forward | Self::Socks => Some((here.with_file_name("pointsmand"), "--version")),
            Self::HaproxyAuto | Self::HaproxySplice => Some((HAPROXY.into(), "-v")),
            Self::Nginx => Some((NGINX.into(), "-v")),
            Self::SingBox => Some((sing_box()?, "version")),
        })
    }

    /// The first line that the program says about its version; an error where it cannot be run.
    pub(super) fn version(self) -> anyhow::Result<String> {
        let Some((program, words)) = self.program()? else {
            return Ok(String::new());
        };
        if self == Self::Nginx && !Path::new(NGINX_STREAM).exists() {
            bail!("{NGINX_STREAM} is missing");
        }
        let output = Command::new(&program)
            .arg(words)
            .output()
            .with_context(|| program.display().to_string())?;
        let said = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&said).into_owned();
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// Starts it, leading to the origin, and waits until it relays.
    pub(super) fn start(self, origin_port: u16, scratch: &Path) -> anyhow::Result<Running> {
        let number = self as usize;
        let target: Ipv4Addr = origin::address(number).parse()?;
        let target = SocketAddrV4::new(target, origin_port);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let directory = scratch.join(number.to_string());
        fs::create_dir_all(&directory)?;
        let mut running = Running {
            child: None,
            door: Door {
                address: listen,
                ask: None,
            },
        };
        match self {
            Self::Direct => running.door.address = target.into(),
            Self::Bare => {
                let (child, port) = own("splice", &[&target.to_string()])?;
                running.child = Some(child);
                running.door.address.set_port(port);
            }
            _ => {
                let log = directory.join("log");
                let output = fs::File::create(&log)?;
                let mut command = self.command(listen, target, &directory)?;
                command.stdin(Stdio::null()).stdout(Stdio::null());
                let child = command.stderr(output).spawn();
                running.child = Some(child.with_context(|| format!("{command:?}"))?);
                if matches!(self, Self::Socks | Self::SingBox) {
                    running.door.ask = Some(target);
                }
                running.wait(&log)?;
            }
        }
        Ok(running)
    }

    fn command(
        self,
        listen: SocketAddr,
        target: SocketAddrV4,
        directory: &Path,
    ) -> anyhow::Result<Command> {
        let (program, _) = self.program()?.context("not a program")?;
        let mut command = Command::new(program);
        let config = directory.join("config");
        let text = self.config(listen, target, directory);
        fs::write(&config, text)?;
        match self {
            Self::HaproxyAuto | Self::HaproxySplice => command.arg("-db").arg("-f").arg(config),
            Self::Nginx => command.arg("-p").arg(directory).arg("-c").arg(config),
            Self::SingBox => command
                .env("GOMAXPROCS", "1")
                .args(["run", "-c"])
                .arg(config),
            _ => command
                .args(["--dialect", "native", "--rootless", "--workers", "1"])
                .args(["--log-level", "warn", "--config"])
                .arg(config)
                .arg("--control")
                .arg(directory.join("control"))
                .arg("--state")
                .arg(directory.join("state")),
        };
        Ok(command)
    }

    fn config(self, listen: SocketAddr, target: SocketAddrV4, directory: &Path) -> String {
        let directory = directory.display();
        // HAProxy counts two sockets a connection, and its pipes, against the limit of descriptors.
        let most = super::plan::connections(2);
        let haproxy = |tune: &str, options: &str| {
            format!(
                "global\n  nbthread 1\n  maxconn {}\n  maxpipes 200\n{tune}\
                 defaults\n  mode tcp\n{options}  \
                 timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n\
                 listen bench\n  bind {listen}\n  server origin {target}\n",
                most + 200
            )
        };
        match self {
            Self::HaproxyAuto => haproxy("", "  option splice-auto\n"),
            Self::HaproxySplice => haproxy(
                "  tune.pipesize 524288\n",
                "  option splice-request\n  option splice-response\n",
            ),
            Self::Nginx => format!(
                "load_module {NGINX_STREAM};\ndaemon off;\nmaster_process off;\nworker_processes 1;\n\
                 pid {directory}/pid;\nerror_log stderr error;\n\
                 events {{ worker_connections {}; }}\n\
                 stream {{ server {{ listen {listen}; proxy_pass {target}; }} }}\n",
                2 * most + 400
            ),
            Self::SingBox => format!(
                "{{\"log\":{{\"disabled\":true}},\
                 \"inbounds\":[{{\"type\":\"socks\",\"tag\":\"in\",\"listen\":\"{}\",\"listen_port\":{}}}],\
                 \"outbounds\":[{{\"type\":\"direct\",\"tag\":\"direct\"}}]}}\n",
                listen.ip(),
                listen.port()
            ),
            Self::Socks => format!(
                "version: 1\ninbounds:\n  bench: {{ type: socks5, listen: \"{listen}\" }}\npolicy: direct\n"
            ),
            _ => format!(
                "version: 1\nforwards:\n  bench:\n    listen: [\"tcp://{listen}\"]\n    \
                 targets: [{{ name: origin, address: \"tcp://{target}\" }}]\npolicy: direct\n"
            ),
        }
    }
}

/// A started subject; ended when dropped.
pub(super) struct Running {
    child: Option<Child>,
    /// How it is reached.
    pub(super) door: Door,
}

impl Running {
    /// Its process; `None` where nothing stands between.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn wait(&mut self, log: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < Duration::from_secs(5) {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                let said = fs::read_to_string(log).unwrap_or_default();
                bail!("it ended ({status}): {}", said.trim());
            }
            match load::ping(&self.door, 1) {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        let last = last.map_or_else(String::new, |error| format!("{error:#}"));
        bail!("it does not relay: {last} {}", said.trim());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Starts this program as a child of the given role, and reads the port that it prints.
pub(super) fn own(role: &str, words: &[&str]) -> anyhow::Result<(Child, u16)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bench-child", role])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let output = child.stdout.as_mut().context("no output")?;
    BufReader::new(output).read_line(&mut line)?;
    let port = line.trim().parse();
    let port = port.with_context(|| format!("{role} said `{}`", line.trim()))?;
    Ok((child, port))
}

/// Where `cargo xtask test` has linked it, or a `sing-box` in the path.
pub(super) fn sing_box() -> anyhow::Result<PathBuf> {
    let ours = std::path::absolute(SING_BOX)?;
    let from_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|directory| directory.join("sing-box"))
            .find(|file| file.exists())
    };
    if ours.exists() {
        return Ok(ours);
    }
    from_path()
        .with_context(|| format!("neither {SING_BOX} (`cargo xtask test` makes it) nor in $PATH"))
}

/// A port that nobody had a moment ago.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
