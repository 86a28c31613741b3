//! The process behind a local stream, for those who wait for its end.
//!
//! Invariant: it is that process and no later one of the same number.

use std::io;
use std::time::Duration;

use super::LocalStream;

/// A process that is not our child.
#[derive(Debug)]
pub struct Process {
    number: u32,
    #[cfg(target_os = "linux")]
    handle: std::os::fd::OwnedFd,
}

impl Process {
    /// Its number, as this process would see it.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }
}

#[cfg(target_os = "linux")]
impl Process {
    /// The one that listens at the other end.
    ///
    /// # Errors
    /// The system does not tell it, or it has ended.
    pub fn at_other_end(stream: &LocalStream) -> io::Result<Self> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let told = stream.peer_cred()?.pid().and_then(Pid::from_raw);
        // One of another namespace of processes has no number here.
        let pid = told.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            number: pid.as_raw_nonzero().get().unsigned_abs(),
            handle: pidfd_open(pid, PidfdFlags::empty())?,
        })
    }

    /// Waits for its end; `false` where that did not come in time. It blocks the thread.
    ///
    /// # Errors
    /// Those of the system.
    pub fn ends_within(&self, limit: Duration) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = std::time::Instant::now();
        loop {
            let left = limit.saturating_sub(now.elapsed());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
            match poll(&mut handles, Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Process {
    /// The system does not tell it.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn at_other_end(_: &LocalStream) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// As its twin.
    ///
    /// # Errors
    /// `Unsupported`: nobody has one.
    pub fn ends_within(&self, _: Duration) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
