//! The bare relay: what can be reached by one thread, epoll and splice when nothing is decided, counted or logged.
//!
//! It is the limit that the other relays are compared with. A direction receives into a shared scratch, and splices
//! once a read has filled it; a pipe is held only while bytes are in flight. Absent: time limits, half of all care
//! about errors (an error resets both sides).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, SpliceFlags};

const SCRATCH: usize = 16 * 1024;
const PIPE: usize = 1024 * 1024;
const LISTENER: u64 = u64::MAX;
const STDIN: u64 = u64::MAX - 1;

/// Relays to the address in the first word until standard input ends; prints its port.
pub(super) fn run(words: &[String]) -> anyhow::Result<()> {
    let target = words.first().context("which target?")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let stdin = io::stdin();
    epoll::add(
        &epoll,
        stdin.as_fd(),
        EventData::new_u64(STDIN),
        EventFlags::IN,
    )?;
    let mut relay = Relay {
        epoll,
        target,
        flows: Vec::new(),
        free: Vec::new(),
        pipes: Vec::new(),
        scratch: vec![0; SCRATCH],
    };
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(
            &relay.epoll,
            rustix::buffer::spare_capacity(&mut events),
            None,
        )?;
        for event in &events {
            match event.data.u64() {
                // Nothing is ever said on it.
                STDIN => return Ok(()),
                LISTENER => relay.accept(&listener)?,
                token => {
                    let flags = event.flags;
                    relay.event((token / 2) as usize, (token % 2) as usize, flags);
                }
            }
        }
    }
}

struct Relay {
    epoll: OwnedFd,
    target: SocketAddr,
    flows: Vec<Option<Box<Flow>>>,
    free: Vec<usize>,
    pipes: Vec<Pipe>,
    scratch: Vec<u8>,
}

struct Flow {
    ends: [TcpStream; 2],
    /// The direction at an index reads from the end at that index.
    halves: [Half; 2],
}

#[derive(Default)]
struct Half {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
    /// Bytes received and not yet sent.
    rest: Vec<u8>,
    hung_up: bool,
    ended: bool,
    closed: bool,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> anyhow::Result<()> {
        while let Ok((client, _)) = listener.accept() {
            client.set_nonblocking(true)?;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let server = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
            match net::connect(&server, &self.target) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            let ends = [client, TcpStream::from(server)];
            let index = self.free.pop().unwrap_or_else(|| {
                self.flows.push(None);
                self.flows.len() - 1
            });
            for (side, end) in ends.iter().enumerate() {
                end.set_nodelay(true)?;
                let data = EventData::new_u64((index * 2 + side) as u64);
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&self.epoll, end, data, flags)?;
            }
            let halves = [Half::default(), Half::default()];
            self.flows[index] = Some(Box::new(Flow { ends, halves }));
        }
        Ok(())
    }

    fn event(&mut self, index: usize, side: usize, flags: EventFlags) {
        let Some(flow) = &mut self.flows[index] else {
            return;
        };
        let [first, second] = &flow.ends;
        let (here, there) = if side == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let mut result = Ok(());
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
        {
            let half = &mut flow.halves[side];
            half.hung_up |= flags.contains(EventFlags::RDHUP);
            result = half.pump(here, there, &mut self.scratch, &mut self.pipes);
        }
        let back = &mut flow.halves[1 - side];
        if result.is_ok() && (back.held > 0 || !back.rest.is_empty()) {
            result = back.pump(there, here, &mut self.scratch, &mut self.pipes);
        }
        if result.is_err() {
            for end in &flow.ends {
                let _closing = net::sockopt::set_socket_linger(end, Some(Duration::ZERO));
            }
        }
        if result.is_err() || flow.halves.iter().all(|half| half.closed) {
            self.flows[index] = None;
            self.free.push(index);
        }
    }
}

impl Half {
    /// Moves bytes until the source has no more or the destination takes no more.
    fn pump(
        &mut self,
        from: &TcpStream,
        to: &TcpStream,
        scratch: &mut [u8],
        pipes: &mut Vec<Pipe>,
    ) -> io::Result<()> {
        loop {
            if !self.flush(to)? || self.closed {
                return Ok(());
            }
            if self.ended {
                self.closed = true;
                // The other side may be gone already.
                let _gone = net::shutdown(to, Shutdown::Write);
                return Ok(());
            }
            let moved = match &self.pipe {
                Some(pipe) => splice(from, &pipe.write, PIPE)?,
                None => receive(from, scratch)?,
            };
            match (moved, self.pipe.is_some()) {
                (None, true) => {
                    pipes.extend(self.pipe.take());
                    return Ok(());
                }
                (None, false) => return Ok(()),
                (Some(0), _) => self.ended = true,
                (Some(count), true) => self.held = count,
                (Some(count), false) => {
                    let sent = send(to, &scratch[..count])?.unwrap_or(0);
                    self.rest.extend_from_slice(&scratch[sent..count]);
                    if count == scratch.len() {
                        self.pipe = pipes.pop().map_or_else(Pipe::new, Ok).ok();
                    } else if sent == count && !self.hung_up {
                        // A short read has emptied the source: the next byte is a new event.
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether nothing is left to be sent.
    fn flush(&mut self, to: &TcpStream) -> io::Result<bool> {
        while !self.rest.is_empty() {
            let Some(sent) = send(to, &self.rest)? else {
                return Ok(false);
            };
            self.rest.drain(..sent);
            if self.rest.is_empty() {
                self.rest = Vec::new();
            }
        }
        while self.held > 0 {
            let Some(pipe) = &self.pipe else { break };
            let Some(count) = splice(&pipe.read, to, self.held)? else {
                return Ok(false);
            };
            self.held -= count;
        }
        Ok(true)
    }
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // Without the privilege, or over the user's budget, it stays as small as it is.
        let _small = rustix::pipe::fcntl_setpipe_size(&write, PIPE);
        Ok(Self { read, write })
    }
}

fn splice(
    from: impl rustix::fd::AsFd,
    to: impl rustix::fd::AsFd,
    most: usize,
) -> io::Result<Option<usize>> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    patient(rustix::pipe::splice(from, None, to, None, most, flags))
}

fn receive(from: &TcpStream, scratch: &mut [u8]) -> io::Result<Option<usize>> {
    patient(net::recv(from, scratch, RecvFlags::empty()).map(|(count, _)| count))
}

fn send(to: &TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
    patient(net::send(to, bytes, SendFlags::NOSIGNAL))
}

/// `None` where nothing could be done now.
fn patient(result: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
