//! The least that a relay can do: for each direction a thread that blocks in `splice`, no runtime, no limits, no close
//! that is not an end. What it costs is what the kernel costs.
//!
//! `limit_relay LISTEN TARGET`; prints the bound address.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the kernel, not our dialer"
)]

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use pointsman_os::splice::Pipe;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target] = &arguments[..] else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "usage: limit_relay LISTEN TARGET",
        ));
    };
    let listener = TcpListener::bind(listen)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let client = Arc::new(listener.accept()?.0);
        let server = Arc::new(TcpStream::connect(target)?);
        for socket in [&client, &server] {
            socket.set_nodelay(true)?;
        }
        let (from, to) = (Arc::clone(&client), Arc::clone(&server));
        thread::spawn(move || carry(&from, &to));
        thread::spawn(move || carry(&server, &client));
    }
}

fn carry(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let pipe = Pipe::new(1 << 20)?;
    loop {
        let mut held = pipe.splice_in(from, pipe.size())?;
        if held == 0 {
            return to.shutdown(Shutdown::Write);
        }
        while held > 0 {
            held -= pipe.splice_out(to, held)?;
        }
    }
}
