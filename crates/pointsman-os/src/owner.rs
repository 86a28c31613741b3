//! Who owns a flow that began on this host: the socket, then the process.
//!
//! Invariants: the socket is asked for exactly (never a dump of all sockets); a process is searched among those seen
//! lately first, then among its user's, within a budget of time, and "not found" is told apart from "not allowed to
//! look" and "ran out of time". All calls block: microseconds for a socket, up to the budget for a process.
//! Absent: flows of other hosts, which have no owner here.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::imp;

/// The transport of the flow that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A TCP connection.
    Tcp,
    /// A UDP socket, connected or not.
    Udp,
}

/// What the kernel says of the client's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// The socket's number, as in `/proc/PID/fd`.
    pub inode: u64,
    /// The user who made it.
    pub uid: u32,
    /// The cgroup in which it was made, where the kernel tells.
    pub cgroup_id: Option<u64>,
}

/// A process, at the moment when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// The executable's file name; the kernel's short name where the path cannot be read.
    pub name: String,
    /// The executable's path, where we may read it.
    pub path: Option<PathBuf>,
    /// Its effective user.
    pub uid: u32,
    /// That user's login name.
    pub user: Option<String>,
    /// Path of its cgroup (of the unified hierarchy, else of systemd's).
    pub cgroup: Option<String>,
    /// Its systemd unit, by the cgroup's path.
    pub unit: Option<String>,
}

/// An ancestor of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its number.
    pub pid: u32,
    /// As [`ProcessInfo::name`].
    pub name: String,
    /// As [`ProcessInfo::path`].
    pub path: Option<PathBuf>,
}

/// The socket with the addresses `local` → `remote`, as its owner sees them: for a client of ours `local` is the
/// client's address and `remote` the one it connected to.
///
/// `None`: no such socket in our network namespace, or one that no process owns any more.
///
/// # Errors
/// Those of the system; `Unsupported` where sockets cannot be asked for.
pub fn lookup(
    network: Network,
    local: SocketAddr,
    remote: SocketAddr,
) -> io::Result<Option<SocketOwner>> {
    imp::owner::lookup(network, local, remote)
}

/// The TCP socket that listens on `address`.
///
/// # Errors
/// As [`lookup`].
pub fn listener(address: SocketAddr) -> io::Result<Option<SocketOwner>> {
    imp::owner::listener(address)
}

/// Whether the process has a descriptor of that socket.
///
/// # Errors
/// `PermissionDenied` for processes of others without privilege; `NotFound` when it has ended.
pub fn pid_owns_inode(pid: u32, inode: u64) -> io::Result<bool> {
    imp::owner::owns(pid, inode)
}

/// A process by its number.
///
/// # Errors
/// `NotFound` when it has ended.
pub fn process(pid: u32) -> io::Result<ProcessInfo> {
    imp::owner::process(pid)
}

/// A user's login name; `None` where there is no such user here.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    imp::owner::user_name(uid)
}

/// The user of that login name, else of that number; `None` where there is no such user here.
#[must_use]
pub fn user_named(name: &str) -> Option<u32> {
    imp::owner::user_named(name).or_else(|| name.parse().ok())
}

/// Whether the processes of other users may be looked at. False only where that is certain: without the capabilities
/// for it, every search for such a process ends in `PermissionDenied`.
pub fn may_see_others() -> bool {
    imp::owner::may_see_others()
}

impl ProcessInfo {
    /// The arguments joined by a space; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn command_line(&self) -> io::Result<String> {
        imp::owner::command_line(self.pid)
    }

    /// The value of a variable of the environment that it was started with.
    ///
    /// # Errors
    /// `PermissionDenied` for processes of others without privilege; `NotFound` when it has ended.
    pub fn variable(&self, name: &str) -> io::Result<Option<String>> {
        imp::owner::variable(self.pid, name)
    }

    /// Its ancestors, nearest first, at most `depth`.
    pub fn parents(&self, depth: usize) -> Vec<Ancestor> {
        imp::owner::parents(self.pid, depth)
    }
}

/// The search for the process of a socket, with what it remembers.
#[derive(Debug)]
pub struct Owners {
    budget: Duration,
    /// Found lately, the latest first: most flows of a host come from a few processes.
    recent: Mutex<VecDeque<u32>>,
}

/// One directory of descriptors is read in 0.1 ms: all of these cost a tenth of the default budget at most.
const RECENT: usize = 32;

/// A server has a worker for each core, or some more.
const MOST_HOLDERS: usize = 256;

impl Default for Owners {
    /// A quarter of a second: enough for 1,500 processes of one user, short beside a connection's handshakes.
    fn default() -> Self {
        Self::new(Duration::from_millis(250))
    }
}

impl Owners {
    /// A search that takes no longer than `budget`.
    pub fn new(budget: Duration) -> Self {
        Self {
            budget,
            recent: Mutex::default(),
        }
    }

    /// The process that holds the socket; when several do, the one that was found first. `None`: all were looked at.
    ///
    /// # Errors
    /// `TimedOut`: the budget was over first. `PermissionDenied`: it is a process that we may not look at.
    pub fn process_of(&self, owner: &SocketOwner) -> io::Result<Option<ProcessInfo>> {
        let deadline = Instant::now() + self.budget;
        let recent: Vec<u32> = self.recent().iter().copied().collect();
        let mut denied = false;
        let mut holds = |pid: u32| match imp::owner::owns(pid, owner.inode) {
            Ok(holds) => holds,
            Err(error) => {
                denied |= error.kind() == io::ErrorKind::PermissionDenied;
                false
            }
        };
        let mut found = recent.iter().copied().find(|pid| holds(*pid));
        if found.is_none() {
            // A socket's user is its maker's; a process that was given the socket may be of another user: those last.
            let (of_user, others) = imp::owner::pids_by_user(owner.uid)?;
            for pid in of_user
                .into_iter()
                .chain(others)
                .filter(|pid| !recent.contains(pid))
            {
                if Instant::now() >= deadline {
                    return Err(self.timed_out(owner));
                }
                if holds(pid) {
                    found = Some(pid);
                    break;
                }
            }
        }
        let Some(pid) = found else {
            return match denied {
                true => Err(not_allowed(owner)),
                false => Ok(None),
            };
        };
        self.remember(pid);
        match imp::owner::process(pid) {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All processes that hold the socket, as a master and its workers do; at most `MOST_HOLDERS`. Where the budget is
    /// over first, those that were found by then. Empty: all were looked at. This process counts where no other does.
    ///
    /// # Errors
    /// As [`Owners::process_of`]; where at least one was found there is none.
    pub fn holders_of(&self, owner: &SocketOwner) -> io::Result<Vec<ProcessInfo>> {
        let deadline = Instant::now() + self.budget;
        let this = std::process::id();
        let (of_user, others) = imp::owner::pids_by_user(owner.uid)?;
        // This one may have a hundred thousand descriptors.
        let all = of_user.into_iter().chain(others);
        let all = all.filter(|pid| *pid != this);
        let mut found = Vec::new();
        let mut trouble = None;
        for pid in all {
            if Instant::now() >= deadline || found.len() >= MOST_HOLDERS {
                trouble = Some(io::ErrorKind::TimedOut);
                break;
            }
            match imp::owner::owns(pid, owner.inode) {
                // One that has ended meanwhile holds nothing.
                Ok(true) => found.extend(imp::owner::process(pid)),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    trouble = Some(error.kind());
                }
                Err(_gone) => {}
            }
        }
        match trouble {
            _ if !found.is_empty() => Ok(found),
            _ if imp::owner::owns(this, owner.inode).unwrap_or(false) => {
                Ok(vec![imp::owner::process(this)?])
            }
            None => Ok(found),
            Some(io::ErrorKind::TimedOut) => Err(self.timed_out(owner)),
            Some(_denied) => Err(not_allowed(owner)),
        }
    }

    fn timed_out(&self, owner: &SocketOwner) -> io::Error {
        let text = format!(
            "the process of socket {} was not found within {:?}",
            owner.inode, self.budget
        );
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    fn remember(&self, pid: u32) {
        let mut recent = self.recent();
        recent.retain(|known| *known != pid);
        recent.push_front(pid);
        recent.truncate(RECENT);
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, VecDeque<u32>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_allowed(owner: &SocketOwner) -> io::Error {
    let text = format!("not allowed to look at the processes of user {}", owner.uid);
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests;
