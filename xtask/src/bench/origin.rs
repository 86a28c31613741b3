//! The origin: the server that all relays lead to, a process of its own.
//!
//! It speaks messages of 64 bytes: `E` is sent back as it came, `D` with a number asks for so many bytes. One thread
//! waits for all connections, so that an idle one costs the kernel an epoll entry and nothing else; a download gets a
//! blocking thread. Invariant: it listens on loopback addresses only, and ends with its standard input.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd as _, OwnedFd};

/// Length of every message.
pub(super) const MESSAGE: usize = 64;

/// First byte of a message that is sent back.
pub(super) const ECHO: u8 = b'E';

/// First byte of a message that asks for as many bytes as the eight from [`LENGTH_AT`] say, little-endian.
pub(super) const DOWNLOAD: u8 = b'D';

/// Where the number of bytes stands in a [`DOWNLOAD`].
pub(super) const LENGTH_AT: usize = 8;

/// How many addresses are listened on: each relay gets its own, so that one's spent ports are not another's.
pub(super) const ADDRESSES: u8 = 12;

/// How much a download reads or writes at once.
pub(super) const CHUNK: usize = 256 * 1024;

const STDIN: u64 = u64::MAX;

/// The address of that number, without a port.
pub(super) fn address(number: usize) -> String {
    format!("127.0.1.{}", number + 1)
}

/// Serves until standard input ends; prints its port, and `reset` after each command.
pub(super) fn run() -> anyhow::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let stdin = io::stdin();
    let event = EventData::new_u64(STDIN);
    epoll::add(&epoll, stdin.as_fd(), event, EventFlags::IN)?;
    let listeners = listen(&epoll)?;
    let port = listeners[0].local_addr()?.port();
    println!("{port}");
    let mut origin = Origin {
        epoll,
        listeners,
        connections: Vec::new(),
        free: Vec::new(),
    };
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(
            &origin.epoll,
            rustix::buffer::spare_capacity(&mut events),
            None,
        )?;
        for event in &events {
            let data = event.data;
            match data.u64() {
                STDIN => {
                    let mut command = [0; 64];
                    if stdin.lock().read(&mut command)? == 0 {
                        return Ok(());
                    }
                    origin.reset()?;
                    println!("reset");
                }
                token => origin.event(token as usize)?,
            }
        }
    }
}

fn listen(epoll: &OwnedFd) -> anyhow::Result<Vec<TcpListener>> {
    let first = TcpListener::bind((address(0), 0))?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    for number in 1..usize::from(ADDRESSES) {
        listeners.push(TcpListener::bind((address(number), port))?);
    }
    for (token, listener) in listeners.iter().enumerate() {
        // More than the 128 of the standard library, or a burst of connections waits for a second.
        rustix::net::listen(listener, 4096)?;
        listener.set_nonblocking(true)?;
        let data = EventData::new_u64(token as u64);
        epoll::add(epoll, listener, data, EventFlags::IN)?;
    }
    Ok(listeners)
}

struct Origin {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    message: [u8; MESSAGE],
    have: usize,
}

impl Origin {
    fn event(&mut self, token: usize) -> anyhow::Result<()> {
        match self.listeners.get(token) {
            Some(_) => self.accept(token),
            None => self.serve(token - self.listeners.len()),
        }
    }

    fn accept(&mut self, listener: usize) -> anyhow::Result<()> {
        while let Ok((stream, _)) = self.listeners[listener].accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let data = EventData::new_u64((index + self.listeners.len()) as u64);
            epoll::add(&self.epoll, &stream, data, EventFlags::IN)?;
            self.connections[index] = Some(Connection {
                stream,
                message: [0; MESSAGE],
                have: 0,
            });
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) -> anyhow::Result<()> {
        // A reset may have come before it in the same batch of events.
        let Some(Some(connection)) = self.connections.get_mut(index) else {
            return Ok(());
        };
        let read = connection
            .stream
            .read(&mut connection.message[connection.have..]);
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Ok(0) | Err(_) => {
                self.connections[index] = None;
                self.free.push(index);
                return Ok(());
            }
            Ok(count) => connection.have += count,
        }
        if connection.have < MESSAGE {
            return Ok(());
        }
        connection.have = 0;
        if connection.message[0] == DOWNLOAD {
            epoll::delete(&self.epoll, &connection.stream)?;
            self.free.push(index);
            if let Some(Connection {
                stream, message, ..
            }) = self.connections[index].take()
            {
                #[allow(clippy::disallowed_methods, reason = "the server of a measurement")]
                std::thread::spawn(move || download(stream, &message));
            }
        } else if connection.stream.write_all(&connection.message).is_err() {
            self.connections[index] = None;
            self.free.push(index);
        }
        Ok(())
    }

    /// Closes all connections by a reset, so that no socket lingers in TIME_WAIT and disturbs the next measurement.
    fn reset(&mut self) -> anyhow::Result<()> {
        for connection in self.connections.drain(..).flatten() {
            rustix::net::sockopt::set_socket_linger(&connection.stream, Some(Duration::ZERO))?;
        }
        self.free.clear();
        Ok(())
    }
}

/// Sends what was asked for and waits for the client's end; a client that leaves early is not our trouble.
fn download(mut stream: TcpStream, message: &[u8; MESSAGE]) {
    let mut length = [0; 8];
    length.copy_from_slice(&message[LENGTH_AT..LENGTH_AT + 8]);
    let mut left = u64::from_le_bytes(length) as usize;
    let bytes = vec![b'x'; CHUNK];
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    while left > 0 {
        match stream.write(&bytes[..left.min(CHUNK)]) {
            Ok(count) if count > 0 => left -= count,
            _ => return,
        }
    }
    let _ends = stream.read(&mut [0; 1]);
}
