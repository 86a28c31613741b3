//! The threads that carry flows: each has a runtime of its own, and a flow stays where it began.
//!
//! Invariant: nothing is shared between workers but what a caller shares on purpose, so that a flow's wake-ups never
//! cross threads. Absent: blocking work; it goes to `spawn_blocking` of whichever runtime asks.

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::tasks::Tasks;

/// A fixed number of worker threads.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    ending: watch::Sender<bool>,
    tasks: Tasks,
}

impl Workers {
    /// Starts `count` threads (at least one).
    ///
    /// # Errors
    /// When the system has no thread or no descriptor left.
    pub fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self {
            handles: Vec::new(),
            threads: Vec::new(),
            ending: watch::Sender::new(false),
            tasks: Tasks::new(),
        };
        for index in 0..count.max(1) {
            // Made here and not on the thread: a failure is then ours to return.
            let runtime = Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING)
                .build()?;
            workers.handles.push(runtime.handle().clone());
            let mut ending = workers.ending.subscribe();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let ended =
                        async { while timeout(BEAT, ending.wait_for(|e| *e)).await.is_err() {} };
                    runtime.block_on(ended);
                    runtime.shutdown_timeout(Duration::from_millis(100));
                })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// As many as this machine runs at once.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_default() -> io::Result<Self> {
        Self::start(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// How many there are: at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// The runtime of worker `index`, counted around.
    pub fn handle(&self, index: usize) -> &Handle {
        &self.handles[index % self.handles.len()]
    }

    /// Runs `future` on worker `index`, counted around; it belongs to the workers and is stopped with them.
    pub fn spawn_on(&self, index: usize, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(self.handle(index), future);
    }

    /// Runs `future` on worker `index` and waits for its answer, from a thread that runs no runtime.
    ///
    /// # Errors
    /// When the worker ended first.
    pub fn run_on<R: Send + 'static>(
        &self,
        index: usize,
        future: impl Future<Output = R> + Send + 'static,
    ) -> io::Result<R> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.spawn_on(index, async move {
            let _ = answer.send(future.await);
        });
        answered.recv().map_err(io::Error::other)
    }

    /// The group of what was spawned by [`Self::spawn_on`].
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Ends the threads; what still runs on them is dropped. Blocks for at most some 100 ms.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ending.send_replace(true);
        for thread in self.threads.drain(..) {
            // A worker that panicked has already said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}

/// A timer that is due before all others makes the runtime wake itself by a system call. With one that is due soon
/// anyway, the time limits of flows, made and dropped by the thousand, are never the first.
const BEAT: Duration = Duration::from_secs(5);

/// Blocking calls in flight for each worker: look-ups in `/proc`, no more.
const BLOCKING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_is_a_thread_of_its_own() {
        let workers = Workers::start(2).unwrap();
        let name = |index| {
            workers
                .run_on(index, async {
                    std::thread::current().name().map(str::to_owned)
                })
                .unwrap()
        };
        assert_eq!(name(0).as_deref(), Some("worker-0"));
        assert_eq!(name(1).as_deref(), Some("worker-1"));
        assert_eq!(name(2).as_deref(), Some("worker-0"));
        workers.stop();
    }
}
