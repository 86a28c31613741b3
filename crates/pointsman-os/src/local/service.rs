//! What a daemon and its host tell each other: readiness, signals, limits, privilege.
//!
//! Invariant: a host without a service manager is the normal case, not an error.

use std::io;
use std::os::unix::net::UnixDatagram;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{self, SignalKind};

/// Tells the service manager, for instance `READY=1` or `STOPPING=1`; false when there is none.
///
/// # Errors
/// Those of sending: a service manager that announced a socket does not take messages.
pub fn sd_notify(state: &str) -> io::Result<bool> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return Ok(false);
    };
    notify(&path, state)?;
    Ok(true)
}

/// Tells that a reload began, with the time by which `Type=notify-reload` knows which one ends.
///
/// # Errors
/// As [`sd_notify`].
pub fn sd_notify_reloading() -> io::Result<bool> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    sd_notify(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"))
}

fn notify(path: &std::ffi::OsStr, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        if let Some(name) = path.as_bytes().strip_prefix(b"@") {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)?;
            return Ok(());
        }
    }
    socket.send_to(state.as_bytes(), path)?;
    Ok(())
}

/// How many characters a line of the terminal at stdout has; `None` where there is none, or it does not say.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_col).filter(|columns| *columns > 0)
}

/// What the host asks of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read the configuration again (SIGHUP).
    Reload,
    /// Open the logs again, and nothing else (SIGUSR1): somebody has moved them away.
    Reopen,
    /// End (SIGTERM, SIGINT); the second one means now.
    Terminate,
}

/// The signals of this process; while it lives, they do not kill it.
#[derive(Debug)]
pub struct Signals {
    hangup: unix::Signal,
    reopen: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    /// Begins to listen, within a tokio runtime.
    ///
    /// # Errors
    /// Those of registering a handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: unix::signal(SignalKind::hangup())?,
            reopen: unix::signal(SignalKind::user_defined1())?,
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one. Dropping the future loses none.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.reopen.recv() => Signal::Reopen,
        }
    }
}

/// Allows this process as many descriptors as it may allow itself; answers how many (`u64::MAX`: no limit).
///
/// # Errors
/// Those of `setrlimit`; the old limit then stands.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limits = getrlimit(Resource::Nofile);
    if limits.current != limits.maximum {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limits.maximum,
                ..limits
            },
        )?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Whether this process has the rights of the system's administrator.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        notify(path.as_os_str(), "READY=1").unwrap();
        let mut buf = [0; 32];
        let read = manager.recv(&mut buf).unwrap();
        assert_eq!(&buf[..read], b"READY=1");
        drop(manager);
        assert!(notify(path.as_os_str(), "READY=1").is_err());
    }

    #[test]
    fn limits_are_raised_to_the_hard_one() {
        let now = raise_descriptor_limit().unwrap();
        assert_eq!(
            Some(now),
            getrlimit(Resource::Nofile).maximum.or(Some(u64::MAX))
        );
    }

    #[tokio::test]
    async fn signals_are_heard_in_order_of_weight() {
        let mut signals = Signals::new().unwrap();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::HUP).unwrap();
        assert_eq!(signals.next().await, Signal::Reload);
        rustix::process::kill_process(own, rustix::process::Signal::USR1).unwrap();
        assert_eq!(signals.next().await, Signal::Reopen);
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
        assert_eq!(signals.next().await, Signal::Terminate);
    }
}
