//! What the daemon is made of: the plane, with the configuration in force, and the ones before.
//!
//! Invariant: a configuration is in force wholly or not at all; [`App::reload`] is the one way to
//! change it. What is in force the plane says, and nobody else: it keeps the configuration with the generation.

mod blind;
mod book;
mod confirm;
mod hints;
mod lost;
mod owed;
mod reload;
mod saving;
mod setback;
mod swap;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pointsman_api as api;
use pointsman_api::daemon::{Awaiting, Change};
use pointsman_config::Setup;
use pointsman_net::plane::{self, Plane, SelectError};
use pointsman_net::record::FlowRecord;
use pointsman_net::resolver::Station;
use pointsman_net::spec::Number;
use pointsman_net::spec::listening::Listening;
use pointsman_net::tasks::Tasks;
use tokio::sync::{broadcast, watch};

use self::book::{Book, Pending};
pub(crate) use self::owed::Asker;
use self::setback::Setbacks;
use crate::candidate::Origin;
use crate::counts::Counts;
use crate::dependencies::Dependencies;
use crate::hits::Hits;
use crate::lists::Lists;
use crate::logging::Log;
use crate::records;
use crate::selections::{self, Selections};

/// Changes of the configuration that a slow listener may lag behind.
const CHANGES: usize = 64;

/// What is in force, with the configuration that it was made of.
pub(crate) type InForce = plane::InForce<Arc<Setup>>;

/// The daemon.
pub(crate) struct App {
    /// Where the configuration comes from.
    pub origin: Origin,
    /// When it started.
    pub started: Instant,
    /// The data plane.
    pub plane: Plane<Arc<Setup>>,
    /// What name servers answered, over all configurations.
    pub names: Arc<Station>,
    /// The daemon's own tasks: the control socket, watching, what waits for confirmation.
    pub tasks: Tasks,
    /// Requests to the control API.
    pub requests: AtomicU64,
    /// Reloads that took, and that were refused.
    pub reloads: [AtomicU64; 2],
    /// One thing is written to the disk at a time, as it is at that moment: the last one stands there.
    writing: Mutex<()>,
    /// What was refused or rolled back last.
    setback: Mutex<Setbacks>,
    book: Mutex<Book>,
    /// What is known of the lists that are fetched.
    pub lists: Lists,
    /// What was told last of what rules decided.
    pub hits: Hits,
    /// Where it is kept what rules decided.
    pub counts: Counts,
    /// The number of the load in force.
    loads: watch::Sender<u64>,
    /// What was read, and what was asked for in vain.
    asked: watch::Sender<LoadsAsked>,
    /// One reload at a time: it may hold lists of its own.
    reloading: Arc<tokio::sync::Mutex<()>>,
    /// One replay at a time, for the same reason. Nothing that comes into force waits for it.
    replaying: Arc<tokio::sync::Mutex<()>>,
    changes: broadcast::Sender<Change>,
    log: Log,
    /// How often it was asked to end.
    stop: watch::Sender<u32>,
}

/// What loads asked the disk for.
#[derive(Debug, Default)]
pub(crate) struct LoadsAsked {
    in_force: Dependencies,
    /// By the last one, which may have been refused.
    last: Dependencies,
}

impl LoadsAsked {
    /// By both.
    pub(crate) fn all(&self) -> Dependencies {
        let mut all = self.in_force.clone();
        all.join(&self.last);
        all
    }
}

impl App {
    /// A daemon that serves nothing yet.
    pub(crate) fn new(origin: Origin, plane: Plane<Arc<Setup>>, log: Log) -> Arc<Self> {
        let names = Arc::new(Station::within(origin.state.as_deref()));
        let counts = Counts::open(origin.state.as_deref(), origin.path.as_deref());
        Arc::new(Self {
            origin,
            counts,
            started: Instant::now(),
            plane,
            tasks: Tasks::new(),
            requests: AtomicU64::new(0),
            reloads: [AtomicU64::new(0), AtomicU64::new(0)],
            writing: Mutex::default(),
            setback: Mutex::default(),
            book: Mutex::default(),
            lists: Lists::default(),
            hits: Hits::default(),
            loads: watch::Sender::new(0),
            asked: watch::Sender::default(),
            reloading: Arc::default(),
            replaying: Arc::default(),
            names,
            changes: broadcast::Sender::new(CHANGES),
            log,
            stop: watch::Sender::new(0),
        })
    }

    /// What becomes of the configuration, from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What loads asked the disk for, now and from now on.
    pub(crate) fn asked(&self) -> watch::Receiver<LoadsAsked> {
        self.asked.subscribe()
    }

    /// The number of the load in force, now and from now on.
    pub(crate) fn loads(&self) -> watch::Receiver<u64> {
        self.loads.subscribe()
    }

    /// Selects a group's member, over reloads and restarts: at once, whatever the disk does.
    ///
    /// # Errors
    /// [`SelectError`] where there is no such group or member.
    ///
    /// Answers with why it will not outlive the daemon, where it will not.
    pub(crate) async fn select(
        self: &Arc<Self>,
        group: &str,
        member: &str,
    ) -> Result<Option<String>, SelectError> {
        self.plane.select(group, member)?;
        let kept = self.write(|app| {
            let state = app.origin.state.as_ref();
            state.and_then(|state| selections::store(state, &app.selections()).err())
        });
        Ok(kept.await)
    }

    /// Writes what outlives the daemon, off the thread that answers clients and hears signals: a disk may take seconds.
    /// Answers with why it is not written, where it is not.
    ///
    /// Dropping it does not stop it.
    async fn write(
        self: &Arc<Self>,
        write: impl FnOnce(&Self) -> Option<String> + Send + 'static,
    ) -> Option<String> {
        let app = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let writing = app.writing.lock();
            let _one_at_a_time = writing.unwrap_or_else(PoisonError::into_inner);
            write(&app)
        });
        written
            .await
            .unwrap_or_else(|ended| Some(ended.to_string()))
    }

    /// The line that says that the daemon serves.
    pub(crate) fn ready(&self) -> String {
        let word = |it: &Listening| format!(" {}={}@{}", it.name, it.kind.as_str(), it.shown());
        let words: String = self.in_force().listening().iter().map(word).collect();
        format!("ready{words}")
    }

    /// All that is in force, at one moment.
    ///
    /// # Panics
    /// Before [`App::begin`].
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        #[expect(
            clippy::expect_used,
            reason = "nothing is asked before the first is in force"
        )]
        let now = self.plane.in_force().expect("a generation is in force");
        now
    }

    /// As [`Self::in_force`], with what waits for confirmation at that moment.
    pub(crate) fn standing(&self) -> (Arc<InForce>, Option<Awaiting>) {
        let book = self.book();
        let awaiting = book.pending.as_ref().map(Pending::told);
        (self.in_force(), awaiting)
    }

    /// The number and the configuration in force.
    ///
    /// # Panics
    /// Before [`App::begin`].
    pub(crate) fn generation(&self) -> (Number, Arc<Setup>) {
        let now = self.in_force();
        (now.number(), Arc::clone(now.about()))
    }

    /// The configuration of that number, while it is kept.
    pub(crate) fn generation_of(&self, number: Number) -> Option<Arc<Setup>> {
        self.kept(|known| known == number)
    }

    /// As [`Self::generation_of`], else another of the same load, which differs in what its rule sets hold alone.
    pub(crate) fn like(&self, number: Number) -> Option<Arc<Setup>> {
        let same = self.generation_of(number);
        same.or_else(|| self.kept(|known| known.load == number.load))
    }

    /// The one in force, else the newest of those before, of such a number.
    fn kept(&self, is_it: impl Fn(Number) -> bool) -> Option<Arc<Setup>> {
        // Held over both: what is replaced in between would be found in neither.
        let book = self.book();
        let now = self.plane.in_force().filter(|now| is_it(now.number()));
        let now = now.map(|now| Arc::clone(now.about()));
        now.or_else(|| book.newest(is_it))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was selected, by this daemon or the one before.
    fn selections(&self) -> Selections {
        let all = self.plane.selections().into_iter();
        all.map(|(group, member)| (group.to_string(), member.to_string()))
            .collect()
    }

    fn setbacks(&self) -> MutexGuard<'_, Setbacks> {
        self.setback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record as clients get it.
    pub(crate) fn wire(&self, record: &FlowRecord) -> api::FlowRecord {
        records::wire(record, self.like(record.generation).as_deref())
    }

    /// Asks the daemon to end; the second time, not to wait for flows. Answers with whether it was asked before.
    pub(crate) fn stop(&self) -> bool {
        let mut before = 0;
        self.stop.send_modify(|times| {
            before = *times;
            *times = before.saturating_add(1);
        });
        before > 0
    }

    /// Whether it was asked to end.
    pub(crate) fn stopping(&self) -> bool {
        *self.stop.borrow() > 0
    }

    /// Ends once the daemon is asked to end.
    pub(crate) async fn stopped(&self) {
        self.asked_to_end(1).await;
    }

    /// Ends once the daemon is asked to end for the second time, whoever asked.
    pub(crate) async fn insisted(&self) {
        self.asked_to_end(2).await;
    }

    async fn asked_to_end(&self, times: u32) {
        // The sender lives as long as `self`.
        let mut stop = self.stop.subscribe();
        let _always_sent = stop.wait_for(|asked| *asked >= times).await;
    }
}
