//! Messages over a stream, each behind its length (RFC 1035 §4.2.2): questions as they come, answers in any order
//! (RFC 7766 §6.2.1.1), whatever carries the stream.
//!
//! Invariant: an answer is told to whoever asked that very question by that number; nothing that a server sends makes
//! this take more memory than one message and the questions under way.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_wire::Parse;
use pointsman_wire::dns::{self, MAX_FRAME};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::resolver::message::{self, Refusal, Said};
use crate::resolver::question::WireQuestion;

/// Questions under way by one connection: more than a browser asks at once, and few enough for servers that count.
pub(super) const MOST: usize = 256;
/// Answers that nobody waits for: those that came too late, and no more.
const MOST_STRAY: usize = 1024;

/// Where questions are given to a connection.
#[derive(Debug)]
pub(super) struct Framed(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    query: Vec<u8>,
    open: Open,
}

/// A question that waits for its answer.
#[derive(Debug)]
struct Open {
    question: WireQuestion,
    tell: oneshot::Sender<Result<Said, Arc<str>>>,
}

impl Framed {
    /// Takes questions for a stream; what it gives beside moves the bytes, until either side is done.
    pub(super) fn new(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (give, jobs) = mpsc::channel(MOST);
        (Self(give), run(stream, jobs))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// What the server says; why the connection ended, where it ended before.
    pub(super) async fn ask(&self, query: &[u8], question: &WireQuestion) -> Result<Said, String> {
        const ENDED: &str = "the connection ended";
        let (tell, told) = oneshot::channel();
        let job = Job {
            query: query.to_vec(),
            open: Open {
                question: question.clone(),
                tell,
            },
        };
        let given = self.0.try_send(job);
        given.map_err(|_closed_or_full| ENDED.to_owned())?;
        match told.await {
            Ok(told) => told.map_err(|why| why.to_string()),
            Err(_dropped) => Err(ENDED.to_owned()),
        }
    }
}

/// The questions under way, by their numbers.
#[derive(Debug)]
struct Waiting {
    open: HashMap<u16, Open>,
    next: u16,
    stray: usize,
}

async fn run(stream: impl AsyncRead + AsyncWrite + Send + 'static, jobs: mpsc::Receiver<Job>) {
    let (reader, writer) = tokio::io::split(stream);
    let waiting = Mutex::new(Waiting {
        open: HashMap::new(),
        next: (RandomState::new().hash_one(0_u8) & 0xffff)
            .try_into()
            .unwrap_or(0),
        stray: 0,
    });
    let why = tokio::select! {
        why = read(reader, &waiting) => why,
        written = write(writer, jobs, &waiting) => match written {
            Ok(()) => return,
            Err(error) => error.to_string(),
        },
    };
    let why: Arc<str> = why.into();
    for (_, open) in lock(&waiting).open.drain() {
        let _gone = open.tell.send(Err(Arc::clone(&why)));
    }
}

/// Sends questions until nobody can ask any more, and says so.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut jobs: mpsc::Receiver<Job>,
    waiting: &Mutex<Waiting>,
) -> io::Result<()> {
    let mut out = Vec::new();
    while let Some(first) = jobs.recv().await {
        let mut next = Some(first);
        // What came meanwhile goes along, in one write.
        while let Some(job) = next {
            lock(waiting).add(job, &mut out);
            next = match out.len() < 4096 {
                true => jobs.try_recv().ok(),
                false => None,
            };
        }
        writer.write_all(&out).await?;
        writer.flush().await?;
        out.clear();
    }
    writer.shutdown().await
}

/// Hands out answers until the stream ends, and says why it did.
async fn read(mut reader: impl AsyncRead + Unpin, waiting: &Mutex<Waiting>) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut used = 0;
        while let Parse::Done(message, length) = dns::frame(&bytes[used..]) {
            if let Err(why) = lock(waiting).hear(message) {
                return why.to_owned();
            }
            used += length;
        }
        bytes.drain(..used);
        if bytes.is_empty() {
            // So that what rests holds no room for the largest.
            bytes.shrink_to(512);
        }
        let most = if bytes.is_empty() { 512 } else { 4096 };
        let room = MAX_FRAME.saturating_sub(bytes.len()).min(most);
        bytes.reserve(room);
        let mut limited = (&mut reader).take(room as u64);
        match limited.read_buf(&mut bytes).await {
            Ok(0) if bytes.is_empty() => return "closed without an answer".to_owned(),
            Ok(0) => return "closed in the middle of an answer".to_owned(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

impl Waiting {
    /// Appends a question's frame, by a number of its own.
    fn add(&mut self, job: Job, out: &mut Vec<u8>) {
        if self.open.len() >= MOST {
            self.open.retain(|_, open| !open.tell.is_closed());
        }
        while self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let Job { mut query, open } = job;
        if open.tell.is_closed() {
            return;
        }
        if let Some(id) = query.first_chunk_mut::<2>() {
            *id = self.next.to_be_bytes();
        }
        if dns::write_frame(out, &query).is_ok() {
            self.open.insert(self.next, open);
            self.next = self.next.wrapping_add(1);
        }
    }

    fn hear(&mut self, message: &[u8]) -> Result<(), &'static str> {
        let id = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
        let Some((id, open)) = id.and_then(|id| Some((id, self.open.remove(&id)?))) else {
            self.stray += 1;
            return match self.stray > MOST_STRAY {
                true => Err("it sends answers that nobody asked for"),
                false => Ok(()),
            };
        };
        let said = match message::response(message, id, &open.question) {
            Some(Said::Truncated) => failed("cut short over TCP"),
            Some(said) => said,
            None => failed("an answer to another question"),
        };
        let _left = open.tell.send(Ok(said));
        Ok(())
    }
}

fn failed(why: &str) -> Said {
    Said::Failed(Refusal::from(why.to_owned()))
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
