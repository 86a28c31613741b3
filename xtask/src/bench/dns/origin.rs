//! The name server behind all servers: it gives every name one address, by either transport, and counts who asks.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark's own clients and servers, on loopback"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A name server; it ends with the program.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicU64>,
}

/// How long an answer holds, in seconds: longer than a run takes.
const TTL: u32 = 36_000;

impl Origin {
    pub(super) fn start() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        // A burst waits here rather than being lost.
        let _smaller = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20);
        let (address, asked) = (socket.local_addr()?, Arc::new(AtomicU64::new(0)));
        // What was asked over a connection is asked on over one, and kept apart, by some.
        let listener = TcpListener::bind(address)?;
        let count = Arc::clone(&asked);
        std::thread::Builder::new().spawn(move || serve(&socket, &count))?;
        let count = Arc::clone(&asked);
        std::thread::Builder::new().spawn(move || accept(&listener, &count))?;
        Ok(Self { address, asked })
    }

    /// Questions until now.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve(socket: &UdpSocket, asked: &AtomicU64) {
    let (mut query, mut answer) = ([0; 4096], Vec::new());
    loop {
        // What the system says of a reply before is nothing to us.
        let Ok((length, client)) = socket.recv_from(&mut query) else {
            continue;
        };
        asked.fetch_add(1, Ordering::Relaxed);
        if write_answer(&query[..length], &mut answer).is_some() {
            // Whoever went asks no more.
            let _gone = socket.send_to(&answer, client);
        }
    }
}

fn accept(listener: &TcpListener, asked: &Arc<AtomicU64>) {
    for stream in listener.incoming().flatten() {
        let asked = Arc::clone(asked);
        // One that there is no thread for ends at once.
        let _thread = std::thread::Builder::new().spawn(move || {
            let _ended = converse(stream, &asked);
        });
    }
}

fn converse(mut stream: TcpStream, asked: &AtomicU64) -> std::io::Result<()> {
    let (mut query, mut answer) = (Vec::new(), Vec::new());
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        query.resize(usize::from(u16::from_be_bytes(length)), 0);
        stream.read_exact(&mut query)?;
        asked.fetch_add(1, Ordering::Relaxed);
        if write_answer(&query, &mut answer).is_some() {
            let length = u16::try_from(answer.len()).unwrap_or(0);
            let framed = [&length.to_be_bytes(), &answer[..]].concat();
            stream.write_all(&framed)?;
        }
    }
}

/// An address for whoever asks for one of IPv4, else that there is none.
fn write_answer(query: &[u8], answer: &mut Vec<u8>) -> Option<()> {
    let mut end = 12;
    loop {
        let length = usize::from(*query.get(end)?);
        end += 1 + length;
        if length == 0 {
            break;
        }
    }
    let is_address = *query.get(end..end + 4)? == [0, 1, 0, 1];
    answer.clear();
    answer.extend(&query[..2]);
    let count = u8::from(is_address);
    answer.extend([0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&query[12..end + 4]);
    if is_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(TTL.to_be_bytes());
        answer.extend([0, 4, 203, 0, 113, 7]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::write_answer;

    #[test]
    fn an_address_is_given_and_nothing_else() {
        let check = |kind: u8, records: u8, length: usize| {
            let query = [
                7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, kind, 0, 1,
            ];
            let mut answer = Vec::new();
            write_answer(&query, &mut answer).unwrap();
            assert_eq!((answer[7], answer.len()), (records, length));
            assert_eq!(answer[..2], [7, 8]);
        };
        check(1, 1, 35);
        check(28, 0, 19);
        assert!(write_answer(&[0; 12], &mut Vec::new()).is_none());
    }
}
