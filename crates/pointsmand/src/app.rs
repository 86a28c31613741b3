//! What the daemon is made of: the plane, the configuration in force, and the ones before.
//!
//! Invariant: a configuration is in force wholly or not at all; [`App::reload`] is the one way to
//! change it. Which one that is the plane says, and nobody else.

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
use pointsman_api::daemon::Change;
use pointsman_config::Setup;
use pointsman_net::plane::{Plane, SelectError};
use pointsman_net::record::FlowRecord;
use pointsman_net::resolver::Station;
use pointsman_net::spec::Number;
use pointsman_net::spec::listening::Listening;
use pointsman_net::tasks::Tasks;
use tokio::sync::{broadcast, watch};

pub(crate) use self::book::InForce;
use self::book::{Book, Pending};
pub(crate) use self::owed::Asker;
use self::setback::Setback;
use crate::asked::Asked;
use crate::candidate::Origin;
use crate::counts::Counts;
use crate::hits::Hits;
use crate::lists::Lists;
use crate::logging::Log;
use crate::records;
use crate::selections::{self, Selections};

/// Changes of the configuration that a slow listener may lag behind.
const CHANGES: usize = 64;

/// The daemon.
pub(crate) struct App {
    /// Where the configuration comes from.
    pub origin: Origin,
    /// When it started.
    pub started: Instant,
    /// The data plane.
    pub plane: Plane,
    /// What name servers answered, over all configurations.
    pub names: Arc<Station>,
    /// The daemon's own tasks: the control socket, watching, what waits for confirmation.
    pub tasks: Tasks,
    /// Requests to the control API.
    pub requests: AtomicU64,
    /// Reloads that took, and that were refused.
    pub reloads: [AtomicU64; 2],
    /// What was selected, by this daemon or the one before.
    selections: Mutex<Selections>,
    /// What was refused or rolled back last.
    setback: Mutex<Option<Setback>>,
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
    in_force: Asked,
    /// By the last one, which may have been refused.
    last: Asked,
}

impl LoadsAsked {
    /// By both.
    pub(crate) fn all(&self) -> Asked {
        let mut all = self.in_force.clone();
        all.join(&self.last);
        all
    }
}

impl App {
    /// A daemon that serves nothing yet.
    pub(crate) fn new(origin: Origin, plane: Plane, log: Log) -> Arc<Self> {
        let counts = Counts::open(origin.state.as_deref(), origin.path.as_deref());
        Arc::new(Self {
            origin,
            counts,
            started: Instant::now(),
            plane,
            tasks: Tasks::new(),
            requests: AtomicU64::new(0),
            reloads: [AtomicU64::new(0), AtomicU64::new(0)],
            selections: Mutex::default(),
            setback: Mutex::default(),
            book: Mutex::default(),
            lists: Lists::default(),
            hits: Hits::default(),
            loads: watch::Sender::new(0),
            asked: watch::Sender::default(),
            reloading: Arc::default(),
            replaying: Arc::default(),
            names: Arc::default(),
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

    /// Selects a group's member, over reloads and restarts.
    ///
    /// # Errors
    /// [`SelectError`] where there is no such group or member.
    ///
    /// Answers with why it will not outlive the daemon, where it will not.
    pub(crate) fn select(&self, group: &str, member: &str) -> Result<Option<String>, SelectError> {
        self.plane.select(group, member)?;
        let mut kept = self.selections();
        kept.insert(group.to_owned(), member.to_owned());
        let state = self.origin.state.as_ref();
        Ok(state.and_then(|state| selections::store(state, &kept).err()))
    }

    /// The line that says that the daemon serves.
    pub(crate) fn ready(&self) -> String {
        let word = |it: Listening| format!(" {}={}@{}", it.name, it.kind.as_str(), it.at);
        let words: String = self.plane.listening().into_iter().map(word).collect();
        format!("ready{words}")
    }

    /// The configuration in force.
    ///
    /// # Panics
    /// Before [`App::begin`].
    pub(crate) fn generation(&self) -> (Number, Arc<Setup>) {
        let in_force = self.book().in_force(&self.plane);
        #[expect(
            clippy::expect_used,
            reason = "nothing is asked before the first is in force"
        )]
        in_force.expect("a generation is in force")
    }

    /// All that is in force, at one moment.
    ///
    /// # Panics
    /// Before [`App::begin`].
    pub(crate) fn in_force(&self) -> InForce {
        let book = self.book();
        let generation = self.plane.generation();
        let known = generation.and_then(|now| Some((book.of(now.number())?, now)));
        #[expect(
            clippy::expect_used,
            reason = "nothing is asked before the first is in force"
        )]
        let (setup, now) = known.expect("a generation is in force");
        InForce {
            number: now.number(),
            setup,
            listening: now.listening().to_vec(),
            awaiting: book.pending.as_ref().map(Pending::told),
        }
    }

    /// The configuration of that number, while it is kept.
    pub(crate) fn generation_of(&self, number: Number) -> Option<Arc<Setup>> {
        self.book().of(number)
    }

    /// As [`Self::generation_of`], else another of the same load, which differs in what its rule sets hold alone.
    pub(crate) fn like(&self, number: Number) -> Option<Arc<Setup>> {
        let book = self.book();
        book.of(number).or_else(|| book.of_load(number.load))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn selections(&self) -> MutexGuard<'_, Selections> {
        self.selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn setbacks(&self) -> MutexGuard<'_, Option<Setback>> {
        self.setback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record as clients get it.
    pub(crate) fn wire(&self, record: &FlowRecord) -> api::FlowRecord {
        records::wire(record, self.like(record.generation).as_deref())
    }

    /// Asks the daemon to end; the second time, not to wait for flows.
    pub(crate) fn stop(&self) {
        self.stop
            .send_modify(|times| *times = times.saturating_add(1));
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
