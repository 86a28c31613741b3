//! Pipes and `splice(2)`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags};

use crate::descriptors::for_a_flow;

/// Longer calls fail with `EINVAL` on some kernels, which would look like a socket that cannot be spliced.
const MOST: usize = 1 << 30;

#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
}

impl Pipe {
    pub(crate) fn new(wanted: usize) -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        let (read, write) = (for_a_flow(read)?, for_a_flow(write)?);
        let mut size = rustix::pipe::fcntl_getpipe_size(&write)?;
        if size < wanted {
            // A refusal (the user's pages are used up) leaves the pipe as it was: the size below tells.
            let _ = rustix::pipe::fcntl_setpipe_size(&write, wanted);
            size = rustix::pipe::fcntl_getpipe_size(&write)?;
        }
        Ok(Self { read, write, size })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn splice_in(&self, from: &impl AsFd, len: usize) -> io::Result<usize> {
        splice(from, &self.write, len)
    }

    pub(crate) fn splice_out(&self, to: &impl AsFd, len: usize) -> io::Result<usize> {
        splice(&self.read, to, len)
    }
}

/// No `SPLICE_F_MORE`: it holds the last bytes of a burst back for 200 ms.
fn splice(from: &impl AsFd, to: &impl AsFd, len: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(rustix::pipe::splice(
        from,
        None,
        to,
        None,
        len.min(MOST),
        flags,
    )?)
}
