//! Servers that flows end at, in the test's own process: who came is part of the answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An HTTP/1.1 server on loopback with keep-alive. The body of each answer is
/// `NAME METHOD TARGET host=HOST body=LENGTH`.
pub(crate) struct Http {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Heads of all requests, as they came.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Http {
    /// Starts it on 127.0.0.1 and a port of the kernel's choice.
    pub(crate) fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let name = name.to_owned();
        let server = Self {
            address,
            heads: Arc::clone(&heads),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (name, heads) = (name.clone(), Arc::clone(&heads));
                std::thread::spawn(move || {
                    let _client_gone = serve(&name, stream, &heads);
                });
            }
        });
        server
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(name: &str, stream: TcpStream, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let value = |key: &str| {
            let line = head
                .lines()
                .find(|l| l.to_ascii_lowercase().starts_with(key));
            line.and_then(|l| l.split_once(':'))
                .map(|(_, v)| v.trim().to_owned())
        };
        let length: usize = value("content-length:")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = head.split_whitespace();
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let host = value("host:").unwrap_or_default();
        let answer = format!("{name} {method} {target} host={host} body={length}\n");
        heads.lock().unwrap().push(head.clone());
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
}

/// A TCP server that echoes, and after the client's end of stream says `bye` and closes.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut buffer = vec![0; 65536];
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 {
                        let _client_gone = stream.write_all(b"bye");
                        break;
                    }
                    if stream.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// An address of loopback on which nothing listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
