//! A connection of a line, and a question's place on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::framed::Framed;
use super::https::Https;
use super::{Errand, Line};
use crate::resolver::message::Said;

/// A connection that takes questions.
#[derive(Debug)]
pub(super) struct Connection {
    speaks: Speaks,
    /// How many questions it takes at once.
    width: usize,
    usage: Arc<Usage>,
}

/// What is spoken on it.
#[derive(Debug)]
pub(super) enum Speaks {
    /// Messages, each behind its length.
    Framed(Framed),
    /// HTTP.
    Https(Https),
}

/// How a connection is used.
#[derive(Debug)]
pub(super) struct Usage {
    /// Questions on it.
    busy: AtomicUsize,
    /// Questions that it answered.
    answered: AtomicUsize,
    times: Mutex<Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    /// When it was made, or a question last came or went.
    used: Instant,
    /// When it last answered.
    heard: Instant,
}

/// The connection ended before the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) why: String,
    /// Whether the question may have come too late alone, and is worth another connection.
    pub(super) again: bool,
}

/// A question's place on a connection; with it, it leaves.
pub(super) struct Turn {
    line: Option<Arc<Line>>,
    connection: Arc<Connection>,
    begun: Instant,
    rested: Duration,
}

impl Connection {
    pub(super) fn new(speaks: Speaks, width: usize) -> Self {
        let now = Instant::now();
        Self {
            speaks,
            width,
            usage: Arc::new(Usage {
                busy: AtomicUsize::new(0),
                answered: AtomicUsize::new(0),
                times: Mutex::new(Times {
                    used: now,
                    heard: now,
                }),
            }),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    pub(super) fn is_of(&self, usage: &Arc<Usage>) -> bool {
        Arc::ptr_eq(&self.usage, usage)
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.speaks {
            Speaks::Framed(framed) => framed.is_closed(),
            Speaks::Https(https) => https.is_closed(),
        }
    }
}

impl Usage {
    /// When it will have rested for so long; what nobody used yet rests a while at least, so that those find it for whom
    /// it was made.
    pub(super) fn rests_until(&self, reuse: Duration) -> Instant {
        const UNUSED: Duration = Duration::from_secs(1);
        let reuse = match self.answered.load(Ordering::Relaxed) {
            0 => reuse.max(UNUSED),
            _ => reuse,
        };
        let since = match self.busy.load(Ordering::Relaxed) {
            0 => self.times().used,
            // Whoever leaves does not wake whoever waits for it.
            _ => Instant::now() + Duration::from_millis(100),
        };
        since + reuse
    }

    /// Whether nobody asks by it, and it rested for so long.
    pub(super) fn is_at_rest(&self, reuse: Duration, now: Instant) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && self.rests_until(reuse) <= now
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// A place where there is one; under the lock of the line.
    pub(super) fn take(
        line: &Arc<Line>,
        connection: &Arc<Connection>,
        now: Instant,
    ) -> Option<Self> {
        let usage = &connection.usage;
        let before = usage.busy.load(Ordering::Relaxed);
        if before >= connection.width {
            return None;
        }
        usage.busy.fetch_add(1, Ordering::Relaxed);
        let mut times = usage.times();
        let rested = match before {
            0 => now.saturating_duration_since(times.used),
            _ => Duration::ZERO,
        };
        times.used = now;
        drop(times);
        Some(Self {
            line: Some(Arc::clone(line)),
            connection: Arc::clone(connection),
            begun: now,
            rested,
        })
    }

    /// The one place of a connection that is no line's.
    pub(super) fn alone(connection: Connection) -> Self {
        connection.usage.busy.fetch_add(1, Ordering::Relaxed);
        Self {
            line: None,
            connection: Arc::new(connection),
            begun: Instant::now(),
            rested: Duration::ZERO,
        }
    }

    /// What the server says.
    pub(super) async fn ask(&self, errand: &Errand<'_>) -> Result<Said, Lost> {
        let asked = match &self.connection.speaks {
            Speaks::Framed(framed) => framed.ask(errand.query, errand.question).await,
            Speaks::Https(https) => https.ask(errand.query, errand.question).await,
        };
        let usage = &self.connection.usage;
        match asked {
            Ok(said) => {
                usage.answered.fetch_add(1, Ordering::Relaxed);
                usage.times().heard = Instant::now();
                Ok(said)
            }
            Err(why) => Err(Lost {
                why,
                again: self.line.is_some() && (self.had_rested() || self.answered() > 0),
            }),
        }
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.connection.usage
    }

    /// How long nobody had asked by the connection.
    pub(super) fn rested(&self) -> Duration {
        self.rested
    }

    /// Whether the server answered anybody since.
    pub(super) fn was_heard(&self) -> bool {
        self.connection.usage.times().heard > self.begun
    }

    /// Whether the server closed it after its first answer, though it was asked more.
    pub(super) fn closed_after_one(&self) -> bool {
        self.answered() == 1 && !self.had_rested()
    }

    fn answered(&self) -> usize {
        self.connection.usage.answered.load(Ordering::Relaxed)
    }

    /// Long enough for a close to be on its way.
    fn had_rested(&self) -> bool {
        self.rested > Duration::from_millis(100)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let usage = &self.connection.usage;
        usage.times().used = Instant::now();
        usage.busy.fetch_sub(1, Ordering::Relaxed);
        if let Some(line) = &self.line {
            line.changed.notify_one();
        }
    }
}
