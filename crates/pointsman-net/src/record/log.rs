//! The access log: one JSON object a line for each flow that ended.
//!
//! Invariant: writing never makes a flow wait. The queue is bounded; when the disk is slower than
//! the flows, lines are dropped and counted. Absent: rotation; who renames the file asks for
//! [`AccessLog::reopen`].

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::FlowRecord;

/// Writes records to a file. Dropping it writes what is queued, then closes the file.
#[derive(Debug)]
pub struct AccessLog {
    path: PathBuf,
    queue: Option<SyncSender<Order>>,
    dropped: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

enum Order {
    Line(Arc<FlowRecord>),
    Text(Box<dyn fmt::Display + Send>),
    Reopen,
}

/// Lines that may wait for the disk: a second of a busy node.
const QUEUE: usize = 8192;

impl AccessLog {
    /// Appends to the file at `path`, which is made where it is missing.
    ///
    /// # Errors
    /// Those of opening it, and of starting a thread.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = append_to(path)?;
        let dropped = Arc::new(AtomicU64::new(0));
        let (queue, orders) = sync_channel(QUEUE);
        let path = path.to_owned();
        let (own, lost) = (path.clone(), Arc::clone(&dropped));
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(&orders, file, &own, &lost))?;
        Ok(Self {
            path,
            queue: Some(queue),
            dropped,
            writer: Some(writer),
        })
    }

    /// Where it is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew after somebody moved it away.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            // A full queue means lines on their way; the next call will do.
            let _ = queue.try_send(Order::Reopen);
        }
    }

    /// Lines that were dropped or could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn append_to(path: &Path) -> io::Result<BufWriter<File>> {
    // A log's directory is the log's own, as `/var/log/NAME` is; a fresh machine has none.
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o644)
        .open(path)?;
    Ok(BufWriter::with_capacity(64 * 1024, file))
}

fn write_all(orders: &Receiver<Order>, mut file: BufWriter<File>, path: &Path, lost: &AtomicU64) {
    while let Ok(first) = orders.recv() {
        // Whatever else waits goes out with one flush.
        for order in std::iter::once(first).chain(orders.try_iter()) {
            match order {
                Order::Line(record) => {
                    if writeln!(file, "{}", record.to_json()).is_err() {
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Order::Text(line) => {
                    if writeln!(file, "{line}").is_err() {
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Order::Reopen => match append_to(path) {
                    Ok(reopened) => file = reopened,
                    Err(error) => tracing::warn!(%error, "the access log cannot be reopened"),
                },
            }
        }
        if file.flush().is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
