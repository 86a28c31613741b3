//! One direction of a relay.
//!
//! Invariants: it reads only when it holds nothing; it holds only what could not be sent; a pipe is spliced into only
//! when it is empty, so `WouldBlock` from the source always means that the source is empty. It begins by receiving into
//! the thread's scratch, turns to splice when a read fills its share of the scratch, and back when a turn brings less.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

use pointsman_os::socket as os;
use tokio::io::Interest;

use super::Side;
use super::account::Counts;
use super::pool::{PipePool, PooledPipe};
use crate::stream::Socket;

#[derive(Debug)]
pub(super) struct Half {
    unsent: Unsent,
    stage: Stage,
    /// The last turn brought much: splice.
    bulk: bool,
    /// The kernel does not splice from this socket.
    copy_only: bool,
}

#[derive(Debug)]
enum Unsent {
    Nothing,
    /// On the heap, for few relays have some: the room is not every relay's.
    Bytes(Box<Remainder>),
    Piped(PooledPipe),
}

/// Bytes that the target did not take yet.
#[derive(Debug)]
struct Remainder {
    bytes: Vec<u8>,
    sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    /// The source has ended; what is held is still to be sent, then the end.
    Ending,
    Done,
}

/// What a direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its source.
    Readable,
    /// Its target, for it holds unsent bytes.
    Writable,
    /// Its turn: it has woken itself.
    Turn,
    /// Said once: all was delivered, now the end has to be.
    Ended,
    /// Nothing any more.
    Done,
}

/// Which socket failed.
#[derive(Debug)]
pub(super) enum Fault {
    Source(io::Error),
    Target(io::Error),
}

/// Bytes moved in one turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) received: u64,
    pub(super) spliced: u64,
    pub(super) copied: u64,
}

impl Progress {
    pub(super) fn sent(&self) -> u64 {
        self.spliced + self.copied
    }

    pub(super) fn any(&self) -> bool {
        self.received > 0 || self.sent() > 0
    }
}

/// A read of so much says that more is coming.
const FULL_READ: usize = 16 << 10;
/// Room for a read when there is no pipe to be had.
const SCRATCH: usize = 64 << 10;
/// After so much the other direction, and other flows, have their turn.
const SHARE: u64 = 4 << 20;

thread_local! {
    static SCRATCH_BYTES: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

impl Unsent {
    fn left(bytes: Vec<u8>) -> Self {
        Self::Bytes(Box::new(Remainder { bytes, sent: 0 }))
    }
}

impl Half {
    pub(super) fn new(prefix: Vec<u8>) -> Self {
        let unsent = if prefix.is_empty() {
            Unsent::Nothing
        } else {
            Unsent::left(prefix)
        };
        Self {
            unsent,
            stage: Stage::Reading,
            bulk: false,
            copy_only: false,
        }
    }

    /// Whether nothing more will be moved: its end was told, or its target broke.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Moves what can be moved now. After a fault of the target this direction is done.
    pub(super) fn pump(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        pool: &PipePool,
        hears: Option<&dyn Counts>,
        progress: &mut Progress,
        cx: &mut Context<'_>,
    ) -> Result<Wait, Fault> {
        if let (Some(flow), Unsent::Bytes(prefix)) = (hears, &self.unsent) {
            flow.server_spoke_first(&prefix.bytes);
        }
        loop {
            if self.stage == Stage::Done {
                return Ok(Wait::Done);
            }
            match self.flush(to, progress, cx) {
                Ok(Poll::Ready(())) => {}
                Ok(Poll::Pending) => return Ok(Wait::Writable),
                Err(error) => {
                    self.give_up();
                    return Err(Fault::Target(error));
                }
            }
            if self.stage == Stage::Ending {
                self.give_up();
                return Ok(Wait::Ended);
            }
            if progress.sent() >= SHARE {
                cx.waker().wake_by_ref();
                return Ok(Wait::Turn);
            }
            match self.receive(from, to, pool, hears, progress) {
                Ok(0) => self.stage = Stage::Ending,
                Ok(read) => progress.received += read as u64,
                Err(Fault::Source(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if progress.received < FULL_READ as u64 {
                        self.bulk = false;
                    }
                    match from.socket.poll_read_ready(cx) {
                        Poll::Ready(ready) => ready.map_err(Fault::Source)?,
                        Poll::Pending => return Ok(Wait::Readable),
                    }
                }
                Err(fault @ Fault::Source(_)) => return Err(fault),
                Err(fault @ Fault::Target(_)) => {
                    self.give_up();
                    return Err(fault);
                }
            }
        }
    }

    fn give_up(&mut self) {
        self.unsent = Unsent::Nothing;
        self.stage = Stage::Done;
    }

    /// Sends what is held; `Pending` only with our waker registered.
    fn flush(
        &mut self,
        to: &mut Side,
        progress: &mut Progress,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        loop {
            let sent = match &mut self.unsent {
                Unsent::Nothing => return Ok(Poll::Ready(())),
                Unsent::Bytes(left) => to
                    .write(|socket| os::send(socket, &left.bytes[left.sent..]))
                    .inspect(|now| {
                        left.sent += now;
                        progress.copied += *now as u64;
                    }),
                Unsent::Piped(pipe) => to
                    .write(|socket| pipe.drain(socket))
                    .inspect(|now| progress.spliced += *now as u64),
            };
            match sent {
                Ok(_) => self.settle(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match to.socket.poll_write_ready(cx) {
                        Poll::Ready(ready) => ready?,
                        Poll::Pending => return Ok(Poll::Pending),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets go of what is sent.
    fn settle(&mut self) {
        let empty = match &self.unsent {
            Unsent::Nothing => false,
            Unsent::Bytes(left) => left.sent == left.bytes.len(),
            Unsent::Piped(pipe) => pipe.held() == 0,
        };
        if empty && let Unsent::Piped(pipe) = std::mem::replace(&mut self.unsent, Unsent::Nothing) {
            pipe.give_back();
        }
    }

    /// Reads once and sends at once what can be sent; 0 is the end.
    fn receive(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        pool: &PipePool,
        hears: Option<&dyn Counts>,
        progress: &mut Progress,
    ) -> Result<usize, Fault> {
        if self.bulk
            && !self.copy_only
            && let Some(mut pipe) = pool.take()
        {
            let spliced = from.read(|socket| pipe.fill(socket));
            match spliced {
                Ok(len @ 1..) => {
                    self.unsent = Unsent::Piped(pipe);
                    return Ok(len);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                    ) =>
                {
                    self.copy_only = true;
                }
                done => {
                    pipe.give_back();
                    return done.map_err(Fault::Source);
                }
            }
        }
        SCRATCH_BYTES.with_borrow_mut(|scratch| self.copy(scratch, from, to, hears, progress))
    }

    fn copy(
        &mut self,
        scratch: &mut [u8],
        from: &mut Side,
        to: &mut Side,
        hears: Option<&dyn Counts>,
        progress: &mut Progress,
    ) -> Result<usize, Fault> {
        let room = if self.bulk { SCRATCH } else { FULL_READ };
        let read = from.receive(&mut scratch[..room]).map_err(Fault::Source)?;
        if read >= FULL_READ {
            self.bulk = true;
        }
        if let Some(flow) = hears
            && progress.received == 0
        {
            flow.server_spoke_first(&scratch[..read]);
        }
        let mut sent = 0;
        while sent < read {
            match to.write(|socket| os::send(socket, &scratch[sent..read])) {
                Ok(now) => sent += now,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = Unsent::left(scratch[sent..read].to_vec());
                    break;
                }
                Err(error) => return Err(Fault::Target(error)),
            }
        }
        progress.copied += sent as u64;
        Ok(read)
    }
}

/// What the system itself said; only after that will it announce a change, so only that ends a doubt.
fn would_block<R>(done: &io::Result<R>) -> bool {
    matches!(done, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl Side {
    fn read<R>(&mut self, mut work: impl FnMut(&Socket) -> io::Result<R>) -> io::Result<R> {
        let socket = &self.socket;
        if self.doubt_read {
            let done = socket.attempt(Interest::READABLE, || work(socket));
            self.doubt_read = !would_block(&done);
            return done;
        }
        uninterrupted(|| socket.try_io(Interest::READABLE, || work(socket)))
    }

    /// Reads once. A short read from TCP has emptied the socket: it is noted as not readable without asking again.
    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if !matches!(self.socket, Socket::Tcp(_)) {
            return self.read(|socket| os::receive(socket, room));
        }
        let mut short = 0;
        let read = self.read(|socket| match os::receive(socket, room)? {
            0 => Ok(0),
            read if read < room.len() => {
                short = read;
                Err(io::ErrorKind::WouldBlock.into())
            }
            read => Ok(read),
        });
        if short > 0 { Ok(short) } else { read }
    }

    fn write<R>(&mut self, mut work: impl FnMut(&Socket) -> io::Result<R>) -> io::Result<R> {
        let socket = &self.socket;
        if self.doubt_write {
            let done = socket.attempt(Interest::WRITABLE, || work(socket));
            self.doubt_write = !would_block(&done);
            return done;
        }
        uninterrupted(|| socket.try_io(Interest::WRITABLE, || work(socket)))
    }
}

fn uninterrupted<R>(mut work: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
