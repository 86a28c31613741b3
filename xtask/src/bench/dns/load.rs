//! Clients: so many queries at once, each next one when an answer is there, by datagrams or over one connection.
//!
//! Invariant: an answer counts where it has the code that was expected and, if that is no error, an address.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark's own clients and servers, on loopback"
)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::super::names::synthetic::Random;

/// Queries at once by datagrams.
pub(super) const AT_ONCE: usize = 64;
/// Queries at once over a connection.
pub(super) const PIPELINE: usize = 32;
/// Names that are asked for again and again.
pub(super) const HOT: usize = 1000;
/// So much later nobody answers any more.
const GIVEN_UP: Duration = Duration::from_secs(2);
/// No load lasts longer: a server that drops most of a flood would keep the others waiting for hours.
const LONGEST: Duration = Duration::from_secs(180);

/// Codes of answers (RFC 1035 §4.1.1).
pub(super) const NO_ERROR: u8 = 0;
pub(super) const NO_NAME: u8 = 3;

/// What is asked for.
pub(super) enum Names<'a> {
    /// A few, by chance.
    Hot(Random),
    /// Each once, from that number on.
    Unique(&'a mut u64),
    /// Those of every so manieth number, from there.
    Again { next: u64, step: u64 },
    /// Those of a list, by chance.
    Listed(&'a [String], Random),
}

impl Names<'_> {
    fn write(&mut self, name: &mut String) {
        name.clear();
        match self {
            Self::Hot(random) => *name = hot(random.below(HOT)),
            Self::Unique(next) => {
                *name = unique(**next);
                **next += 1;
            }
            Self::Again { next, step } => {
                *name = unique(*next);
                *next += *step;
            }
            Self::Listed(list, random) => {
                name.push_str(list.get(random.below(list.len())).map_or("", |name| name));
            }
        }
    }
}

pub(super) fn hot(number: usize) -> String {
    format!("host{number}.hot.bench.example")
}

fn unique(number: u64) -> String {
    format!("host{number}.once.bench.example")
}

/// When it is over.
#[derive(Clone, Copy)]
pub(super) enum Until {
    After(Duration),
    Answers(usize),
}

/// What was answered.
pub(super) struct Answered {
    /// As expected.
    pub(super) count: usize,
    /// Otherwise, or not at all.
    pub(super) failed: usize,
    pub(super) lasted: Duration,
    /// Microseconds from the query to its answer, in order.
    pub(super) times: Vec<f32>,
}

impl Answered {
    pub(super) fn all(&self) -> usize {
        self.count + self.failed
    }

    /// The time that such a part of the answers does not exceed, in microseconds.
    pub(super) fn time(&self, part: f64) -> f64 {
        let at = (self.times.len() as f64 * part) as usize;
        self.times.get(at).map_or(f64::NAN, |time| f64::from(*time))
    }
}

/// One question, and whether it was answered with that code.
pub(super) fn ask(door: SocketAddr, name: &str, expected: u8) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(door)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let (mut query, mut answer) = (Vec::new(), [0; 4096]);
    write_query(7, name, &mut query);
    socket.send(&query)?;
    let length = socket.recv(&mut answer)?;
    if read_answer(&answer[..length], expected) != Some((7, true)) {
        bail!("another answer than expected");
    }
    Ok(())
}

/// Queries by datagrams from one socket.
pub(super) fn datagrams(
    door: SocketAddr,
    names: &mut Names<'_>,
    expected: u8,
    until: Until,
) -> anyhow::Result<Answered> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(door)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut clients = Clients::new(names, expected, until);
    let (mut query, mut answer) = (Vec::new(), [0; 4096]);
    let mut looked = Instant::now();
    loop {
        while clients.waiting.len() < AT_ONCE && !clients.is_over() {
            query.clear();
            clients.next(&mut query);
            // One that finds no room is given up like one that is lost.
            let _sent = socket.send(&query);
        }
        if clients.waiting.is_empty() {
            return Ok(clients.answered());
        }
        match socket.recv(&mut answer) {
            Ok(length) => clients.take(&answer[..length]),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if looked.elapsed() > Duration::from_millis(200) {
            looked = Instant::now();
            clients.give_up();
            if clients.begun.elapsed() > LONGEST {
                let (asked, failed) = (clients.asked, clients.failed);
                bail!("it took too long: {asked} asked, {failed} of them failed");
            }
        }
    }
}

/// Queries over one connection; where the server ends it, over the next one.
pub(super) fn stream(
    door: SocketAddr,
    names: &mut Names<'_>,
    expected: u8,
    until: Until,
) -> anyhow::Result<Answered> {
    let mut clients = Clients::new(names, expected, until);
    while !(clients.is_over() && clients.waiting.is_empty()) {
        let mut stream = TcpStream::connect(door)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        // Those that the connection before did not answer are asked again: this is when a client knows.
        let mut out = Vec::new();
        for (query, _) in clients.waiting.values() {
            frame(query, &mut out);
        }
        if let Err(error) = over(&mut stream, &mut clients, out)
            && !matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            )
        {
            return Err(error.into());
        }
        clients.give_up();
    }
    Ok(clients.answered())
}

/// Asks until it is over, or the server ends the connection.
fn over(
    stream: &mut TcpStream,
    clients: &mut Clients<'_, '_>,
    mut out: Vec<u8>,
) -> std::io::Result<()> {
    let (mut read, mut buffer, mut query) = (Vec::new(), [0; 16384], Vec::new());
    loop {
        while clients.waiting.len() < PIPELINE && !clients.is_over() {
            query.clear();
            clients.next(&mut query);
            frame(&query, &mut out);
        }
        if clients.waiting.is_empty() {
            return Ok(());
        }
        stream.write_all(&out)?;
        out.clear();
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => read.extend_from_slice(&buffer[..length]),
            Err(error) if is_timeout(&error) => clients.give_up(),
            Err(error) => return Err(error),
        }
        let mut at = 0;
        while let Some((length, rest)) = read[at..].split_first_chunk::<2>()
            && let Some(answer) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            clients.take(answer);
            at += 2 + answer.len();
        }
        read.drain(..at);
    }
}

fn frame(query: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(query.len()).unwrap_or(0);
    out.extend(length.to_be_bytes());
    out.extend(query);
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Queries that wait, and what became of the others.
struct Clients<'a, 'n> {
    names: &'a mut Names<'n>,
    expected: u8,
    until: Until,
    begun: Instant,
    asked: usize,
    waiting: HashMap<u16, (Vec<u8>, Instant)>,
    /// Buffers of queries that were answered.
    spare: Vec<Vec<u8>>,
    name: String,
    failed: usize,
    times: Vec<f32>,
}

impl<'a, 'n> Clients<'a, 'n> {
    fn new(names: &'a mut Names<'n>, expected: u8, until: Until) -> Self {
        Self {
            names,
            expected,
            until,
            begun: Instant::now(),
            asked: 0,
            waiting: HashMap::new(),
            spare: Vec::new(),
            name: String::new(),
            failed: 0,
            times: Vec::new(),
        }
    }

    /// Whether nothing more is asked.
    fn is_over(&self) -> bool {
        match self.until {
            Until::After(lasts) => self.begun.elapsed() >= lasts,
            Until::Answers(count) => self.asked >= count,
        }
    }

    fn next(&mut self, query: &mut Vec<u8>) {
        // Few wait, so that none has the number that comes round.
        let id = (self.asked & 0xffff) as u16;
        self.asked += 1;
        self.names.write(&mut self.name);
        write_query(id, &self.name, query);
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.clone_from(query);
        self.waiting.insert(id, (kept, Instant::now()));
    }

    fn take(&mut self, answer: &[u8]) {
        let Some((id, is_good)) = read_answer(answer, self.expected) else {
            return;
        };
        // What was given up, or comes twice, is nobody's.
        let Some((query, sent)) = self.waiting.remove(&id) else {
            return;
        };
        self.spare.push(query);
        match is_good {
            true => self.times.push(sent.elapsed().as_secs_f32() * 1e6),
            false => self.failed += 1,
        }
    }

    fn give_up(&mut self) {
        let before = self.waiting.len();
        self.waiting
            .retain(|_, (_, sent)| sent.elapsed() < GIVEN_UP);
        self.failed += before - self.waiting.len();
    }

    fn answered(self) -> Answered {
        let mut times = self.times;
        let lasted = self.begun.elapsed();
        times.sort_unstable_by(f32::total_cmp);
        Answered {
            count: times.len(),
            failed: self.failed,
            lasted,
            times,
        }
    }
}

/// Appends a question for an IPv4 address, as a stub asks it (RFC 1035 §4.1).
fn write_query(id: u16, name: &str, out: &mut Vec<u8>) {
    out.extend(id.to_be_bytes());
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.extend([0, 0, 1, 0, 1]);
}

/// Its number, and whether it says what was expected; `None` where it is no answer.
fn read_answer(answer: &[u8], expected: u8) -> Option<(u16, bool)> {
    let header = answer.first_chunk::<12>()?;
    if header[2] & 0x80 == 0 {
        return None;
    }
    let id = u16::from_be_bytes([header[0], header[1]]);
    let (code, records) = (header[3] & 15, u16::from_be_bytes([header[6], header[7]]));
    let is_good = code == expected && (code != NO_ERROR || records > 0);
    Some((id, is_good))
}
