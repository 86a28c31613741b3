//! A name server in the test's own process, over UDP and TCP, that counts who asked by what.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers A queries for the names it knows, AAAA with nothing, the rest with NXDOMAIN (RFC 1035).
pub(crate) struct NameServer {
    /// UDP and TCP.
    pub(crate) address: SocketAddr,
    asked: Arc<[AtomicUsize; 2]>,
}

/// How it answers over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should.
    Plain,
    /// That it cannot (SERVFAIL), over TCP too.
    Broken,
    /// Cut short, so that it has to be asked over TCP.
    Short,
}

impl NameServer {
    /// Starts it on a port of the kernel's choice.
    pub(crate) fn start(mood: Mood, names: &'static [(&'static str, [u8; 4])]) -> Self {
        // The port must be free for both.
        let (datagrams, streams) = loop {
            let streams = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(datagrams) = UdpSocket::bind(streams.local_addr().unwrap()) {
                break (datagrams, streams);
            }
        };
        let address = streams.local_addr().unwrap();
        let asked: Arc<[AtomicUsize; 2]> = Arc::default();
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = datagrams.recv_from(&mut query) {
                counted[0].fetch_add(1, Ordering::SeqCst);
                let answer = answer(&query[..length], mood, names);
                let _client_gone = datagrams.send_to(&answer, client);
            }
        });
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in streams.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                        if stream.read_exact(&mut query).is_err() {
                            return;
                        }
                        counted[1].fetch_add(1, Ordering::SeqCst);
                        let mood = if mood == Mood::Short {
                            Mood::Plain
                        } else {
                            mood
                        };
                        let answer = answer(&query, mood, names);
                        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                        let _client_gone = stream.write_all(&[&length[..], &answer].concat());
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// Queries so far: over UDP, over TCP.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let [udp, tcp] = &*self.asked;
        (udp.load(Ordering::SeqCst), tcp.load(Ordering::SeqCst))
    }
}

fn answer(query: &[u8], mood: Mood, names: &[(&str, [u8; 4])]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let is_a = query[at + 2] == 1;
    let name = labels.join(".");
    let found = names.iter().find(|(known, _)| *known == name);
    // QR, RD, RA; then TC, RCODE.
    let (flags, address): ([u8; 2], Option<Ipv4Addr>) = match (mood, found) {
        (Mood::Broken, _) => ([0x81, 0x82], None),
        (Mood::Short, _) => ([0x83, 0x80], None),
        (Mood::Plain, Some((_, address))) => ([0x81, 0x80], is_a.then_some((*address).into())),
        (Mood::Plain, None) => ([0x81, 0x83], None),
    };
    let mut answer = [
        &query[..2],
        &flags,
        &[0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0],
    ]
    .concat();
    answer.extend(question);
    if let Some(address) = address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
