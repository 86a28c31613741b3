//! The access log: one JSON object a line for each flow that ended.
//!
//! Invariant: writing never makes a flow wait, and neither does opening, closing or a reader that stands still. The
//! queue is bounded; when the disk is slower than the flows, lines are dropped and counted. Absent: rotation; who renames the file asks for
//! [`AccessLog::reopen`].

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pointsman_os::local;

use super::FlowRecord;

/// Writes records to a file, of mode 0640: destinations are not for every user of the host. Dropping it has its thread
/// write what is queued; outside of a runtime it waits for that, a second at most.
#[derive(Debug)]
pub struct AccessLog {
    lost: Lost,
    queue: Option<SyncSender<Order>>,
    writer: Option<JoinHandle<()>>,
}

/// Lines that were dropped or could not be written, of all logs that there ever were.
#[derive(Debug, Default)]
pub struct Dropped(AtomicU64);

impl Dropped {
    /// How many so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a log counts what it drops.
#[derive(Clone, Debug)]
struct Lost {
    path: PathBuf,
    all: Arc<Dropped>,
}

impl Lost {
    fn add(&self, lines: usize, why: &dyn fmt::Display) {
        // Told once: each further one would be told to the next log.
        if lines > 0 && self.all.0.fetch_add(lines as u64, Ordering::Relaxed) == 0 {
            let log = self.path.display();
            tracing::warn!(%log, "lines of an access log are lost, as `diagnostics` counts: {why}");
        }
    }
}

/// Whoever reads the log, or its disk, takes less than comes.
const TOO_SLOW: &str = "it takes fewer than there are";

enum Order {
    Line(Arc<FlowRecord>),
    Text(Box<dyn fmt::Display + Send>),
    Reopen,
}

/// Lines that may wait for the disk: a second of a busy node.
const QUEUE: usize = 8192;
/// Bytes that may wait for whoever reads the log: what a pipe holds.
const ROOM: usize = 64 * 1024;
/// A reader that stands still is tried again so often.
const AGAIN: Duration = Duration::from_millis(200);
/// How long the end of the daemon waits for a log: longer than a disk takes that is merely busy.
const PATIENCE: Duration = Duration::from_secs(1);

impl AccessLog {
    /// Appends to the file at `path`, which is made where it is missing; counts in `dropped` what is lost.
    ///
    /// # Errors
    /// Those of opening it, and of starting a thread.
    pub fn open(path: &Path, dropped: &Arc<Dropped>) -> io::Result<Self> {
        let file = Output::open(path)?;
        let (queue, orders) = sync_channel(QUEUE);
        let lost = Lost {
            path: path.to_owned(),
            all: Arc::clone(dropped),
        };
        let own = lost.clone();
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&orders, file, &own))?;
        Ok(Self {
            lost,
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    /// Where it is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.lost.path
    }

    /// Queues one record; drops it, and counts that, where the queue is full.
    pub fn write(&self, record: Arc<FlowRecord>) {
        self.order(Order::Line(record));
    }

    /// As [`Self::write`], for a line of another kind; the log's thread puts it into words.
    pub(crate) fn write_text(&self, line: Box<dyn fmt::Display + Send>) {
        self.order(Order::Text(line));
    }

    fn order(&self, line: Order) {
        let sent = self.queue.as_ref().map(|queue| queue.try_send(line));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.lost.add(1, &TOO_SLOW);
        }
    }

    /// Opens the file anew after somebody moved it away.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            // A full queue means lines on their way; the next call will do.
            let _ = queue.try_send(Order::Reopen);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue = None;
        let Some(writer) = self.writer.take() else {
            return;
        };
        // A worker waits for no disk: its flows would. The thread writes what is queued all the same.
        if tokio::runtime::Handle::try_current().is_ok() {
            return;
        }
        let by = Instant::now() + PATIENCE;
        while !writer.is_finished() && Instant::now() < by {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What is to be appended, and the file.
struct Output<F> {
    file: F,
    /// Whole lines, but for the first, of which a part may be written.
    pending: Vec<u8>,
    /// What was written last is no end of a line.
    inside: bool,
}

impl Output<File> {
    fn open(path: &Path) -> io::Result<Self> {
        // A log's directory is the log's own, as `/var/log/NAME` is; a fresh machine has none.
        if let Some(directory) = path.parent() {
            local::make_directory(directory)?;
        }
        let file = local::open_log(path)?;
        Ok(Self {
            // Of a daemon that was killed, or of the log before, whose disk was full.
            inside: local::ends_within_line(path, &file),
            file,
            pending: Vec::new(),
        })
    }

    /// Goes on in the file that is at `path` now.
    fn reopen(&mut self, path: &Path) -> io::Result<()> {
        let Self { file, inside, .. } = Self::open(path)?;
        // Half a line stayed behind in another file; a pipe is the same one.
        if file.metadata()?.is_file() {
            self.inside = inside;
        }
        self.file = file;
        Ok(())
    }
}

impl<F: Write> Output<F> {
    /// Queues a line; `lost` counts it where there is no room.
    fn add(&mut self, line: &dyn fmt::Display, lost: &Lost) {
        let line = format!("{line}\n");
        if self.pending.len() + line.len() > ROOM {
            self.flush(lost);
        }
        if self.pending.len() + line.len() > ROOM && !self.pending.is_empty() {
            lost.add(1, &TOO_SLOW);
            return;
        }
        // The rest of a line was lost: the next one is not glued to it.
        if self.pending.is_empty() && self.inside {
            self.pending.push(b'\n');
        }
        self.pending.extend_from_slice(line.as_bytes());
    }

    /// Writes what the file takes without waiting; whoever reads it may stand still.
    fn flush(&mut self, lost: &Lost) {
        let mut written = 0;
        while written < self.pending.len() {
            match self.file.write(&self.pending[written..]) {
                Ok(0) => break,
                Ok(more) => {
                    written += more;
                    self.inside = self.pending[written - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    lost.add(lines(&self.pending[written..]), &error);
                    written = self.pending.len();
                }
            }
        }
        self.pending.drain(..written);
    }
}

/// How many lines that is, the rest of a first one too.
fn lines(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty()).count()
}

fn write_all(orders: &Receiver<Order>, mut output: Output<File>, lost: &Lost) {
    loop {
        let next = match output.pending.is_empty() {
            true => orders
                .recv()
                .map_err(|_over| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(AGAIN),
        };
        let first = match next {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        // Whatever else waits goes out at once.
        for order in first.into_iter().chain(orders.try_iter()) {
            match order {
                Order::Line(record) => output.add(&record.to_json(), lost),
                Order::Text(line) => output.add(&line, lost),
                Order::Reopen => {
                    output.flush(lost);
                    if let Err(error) = output.reopen(&lost.path) {
                        tracing::warn!(%error, "the access log cannot be reopened");
                    }
                }
            }
        }
        output.flush(lost);
    }
    output.flush(lost);
    lost.add(lines(&output.pending), &TOO_SLOW);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room, whose last write takes what fits.
    #[derive(Default)]
    struct Disk {
        holds: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.holds.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the disk holds, and how many lines were lost, where it was full after `room` bytes of three lines.
    fn full_after(room: usize) -> (String, u64) {
        let lost = Lost {
            path: PathBuf::new(),
            all: Arc::default(),
        };
        let mut output = Output {
            file: Disk {
                room,
                ..Disk::default()
            },
            pending: Vec::new(),
            inside: false,
        };
        for line in ["one", "two", "six"] {
            output.add(&line, &lost);
        }
        output.flush(&lost);
        output.add(&"ten", &lost);
        output.flush(&lost);
        output.file.room = usize::MAX;
        for line in ["new", "end"] {
            output.add(&line, &lost);
            output.flush(&lost);
        }
        let holds = String::from_utf8(output.file.holds).unwrap();
        (holds, lost.all.count())
    }

    /// A reload opens the log anew, and so does the next daemon.
    #[test]
    fn a_log_that_ends_within_a_line_goes_on_in_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows.log");
        let lost = Lost {
            path: PathBuf::new(),
            all: Arc::default(),
        };
        for (before, after) in [
            ("", "new\n"),
            ("one\n", "one\nnew\n"),
            ("one\ntw", "one\ntw\nnew\n"),
        ] {
            let opened = |output: &mut Output<File>| {
                output.add(&"new", &lost);
                output.flush(&lost);
                std::fs::read_to_string(&path).unwrap()
            };
            std::fs::write(&path, before).unwrap();
            let mut output = Output::open(&path).unwrap();
            assert_eq!(opened(&mut output), after);
            std::fs::write(&path, before).unwrap();
            output.inside = true;
            output.reopen(&path).unwrap();
            assert_eq!(opened(&mut output), after);
        }
    }

    #[test]
    fn after_a_full_disk_a_line_begins_anew() {
        assert_eq!(full_after(0), ("new\nend\n".into(), 4));
        assert_eq!(full_after(4), ("one\nnew\nend\n".into(), 3));
        assert_eq!(full_after(6), ("one\ntw\nnew\nend\n".into(), 3));
        assert_eq!(full_after(7), ("one\ntwo\nnew\nend\n".into(), 2));
        assert_eq!(full_after(12), ("one\ntwo\nsix\nnew\nend\n".into(), 1));
    }
}
