//! What the daemon is made of: the plane, the configuration in force, and the ones before.
//!
//! Invariant: a configuration is in force wholly or not at all; [`App::reload`] is the one way to
//! change it.

mod confirm;
mod swap;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pointsman_api as api;
use pointsman_api::daemon::Change;
use pointsman_config::case;
use pointsman_config::list::Shelf;
use pointsman_config::load::{Input, load_text};
use pointsman_config::setup::OnUnknown;
use pointsman_config::{Dialect, Loaded, Loading, Problem, Problems, Setup, Severity, Source};
use pointsman_net::generation::Number;
use pointsman_net::plane::{Listening, Plane, SelectError};
use pointsman_net::record::{FlowRecord, chain};
use pointsman_net::tasks::Tasks;
use tokio::sync::{broadcast, watch};

use self::confirm::Pending;
use crate::asked::{Asked, Recorder};
use crate::counts::Counts;
use crate::logging::Level;
use crate::refresh::Lists;
use crate::selections::{self, Selections};
use crate::{mapping, records, replay};

/// Generations that `explain --id` can still ask.
const KEPT: usize = 3;

/// Changes of the configuration that a slow listener may lag behind.
const CHANGES: usize = 64;

/// Where the configuration comes from and what goes with it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The file or directory; `None`: the embedded default.
    pub path: Option<PathBuf>,
    /// The language, where it was said.
    pub dialect: Option<Dialect>,
    /// What an unknown condition does, where it was said: stronger than the file.
    pub on_unknown: Option<OnUnknown>,
    /// The directory of state.
    pub state: Option<PathBuf>,
    /// The rule sets that were read before.
    pub shelf: Arc<Shelf>,
    /// The control socket.
    pub control: PathBuf,
}

/// The daemon.
pub(crate) struct App {
    /// Where the configuration comes from.
    pub origin: Origin,
    /// When it started.
    pub started: Instant,
    /// The data plane.
    pub plane: Plane,
    /// The daemon's own tasks: the control socket, watching, what waits for confirmation.
    pub tasks: Tasks,
    /// Requests to the control API.
    pub requests: AtomicU64,
    /// Reloads that took, and that were refused.
    pub reloads: [AtomicU64; 2],
    /// What was selected, by this daemon or the one before.
    selections: Mutex<Selections>,
    /// What is listened on: name, kind, address.
    listening: Mutex<Vec<[String; 3]>>,
    /// Newest last.
    generations: Mutex<VecDeque<(Number, Arc<Setup>)>>,
    /// What is known of the lists that are fetched.
    pub lists: Lists,
    /// Where it is kept what rules decided.
    pub counts: Counts,
    /// The number of the load in force.
    loads: watch::Sender<u64>,
    /// What was read, and what was asked for in vain.
    asked: watch::Sender<LoadsAsked>,
    /// One reload or replay at a time: each may hold lists of its own.
    reloading: tokio::sync::Mutex<()>,
    /// What is rolled back unless it is confirmed.
    pending: Mutex<Option<Pending>>,
    changes: broadcast::Sender<Change>,
    /// How loudly we log.
    level: Level,
    stop: watch::Sender<bool>,
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

/// The most problems of a configuration that are logged, or answered; `check` tells all.
pub(crate) const MOST_TOLD: usize = 100;

/// What is said of those that are not.
pub(crate) fn left_out(more: usize) -> String {
    format!("{more} more problems: `pointsman check` tells all")
}

/// Why a reload changed nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A listener or file could not be had.
    Apply(String),
    /// Another one waits for confirmation.
    Awaiting(String),
    /// The configuration has errors.
    Check(Problems),
    /// The policy's own tests fail.
    Tests(Vec<String>),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apply(why) | Self::Awaiting(why) => f.write_str(why),
            Self::Check(problems) => {
                // Warnings and notes refuse nothing.
                let (first, _) = problems.first(MOST_TOLD);
                let errors = first.iter().filter(|p| p.severity == Severity::Error);
                let mut lines: Vec<String> = errors.map(ToString::to_string).collect();
                let all = problems.0.iter().filter(|p| p.severity == Severity::Error);
                let more = all.count() - lines.len();
                if more > 0 {
                    lines.push(left_out(more));
                }
                f.write_str(&lines.join("\n"))
            }
            Self::Tests(failures) => {
                write!(f, "the policy's own tests fail:\n{}", failures.join("\n"))
            }
        }
    }
}

impl App {
    /// A daemon that serves nothing yet.
    pub(crate) fn new(origin: Origin, plane: Plane, level: Level) -> Arc<Self> {
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
            listening: Mutex::default(),
            generations: Mutex::default(),
            lists: Lists::default(),
            loads: watch::Sender::new(0),
            asked: watch::Sender::default(),
            reloading: tokio::sync::Mutex::default(),
            pending: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            level,
            stop: watch::Sender::new(false),
        })
    }

    /// Puts a checked configuration in force: the first one.
    pub(crate) async fn begin(&self, setup: Setup, asked: Asked) -> Result<(), Refused> {
        let first = Number {
            load: 1,
            refresh: 0,
        };
        self.plane.recall(self.counts.load());
        self.put_in_force(Arc::new(setup), first).await?;
        self.asked.send_modify(|loads| loads.in_force = asked);
        let Some(state) = &self.origin.state else {
            return Ok(());
        };
        let kept = selections::load(state);
        for (group, member) in &kept {
            // A group or member that is gone comes back with its configuration.
            if let Err(error) = self.plane.select(group, member) {
                tracing::info!("a selection of before is not taken: {error}");
            }
        }
        *self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }

    /// Reads the configuration again and puts it in force, or changes nothing; with `confirm_within` only for so
    /// long, unless it is confirmed.
    ///
    /// Answers with the configuration's warnings and notes.
    pub(crate) async fn reload(
        self: &Arc<Self>,
        confirm_within: Option<Duration>,
    ) -> Result<Problems, Refused> {
        let _one_at_a_time = self.reloading.lock().await;
        let earlier = self.generation();
        let result = self.try_reload().await;
        let [taken, refused] = &self.reloads;
        match &result {
            Ok(_) => {
                taken.fetch_add(1, Ordering::Relaxed);
                tracing::info!(generation = %self.generation().0, "reloaded");
                match confirm_within {
                    Some(within) => self.await_confirmation(earlier, within),
                    None => self.changed("in-force", None, None),
                }
            }
            Err(why) => {
                refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("not reloaded, nothing changed: {why}");
                self.changed("refused", None, Some(why.to_string()));
            }
        }
        result
    }

    async fn try_reload(&self) -> Result<Problems, Refused> {
        self.refuse_while_awaiting()?;
        let (checked, asked) = read(self.origin.clone()).await?;
        let taken = match checked {
            Ok(Checked { setup, problems }) => {
                let taken = self.put_in_force(Arc::new(setup), self.next()).await;
                taken.map(|()| problems)
            }
            Err(refused) => Err(refused),
        };
        self.asked.send_modify(|loads| {
            if taken.is_ok() {
                loads.in_force = asked.clone();
            }
            loads.last = asked;
        });
        taken
    }

    /// The number of the next configuration.
    fn next(&self) -> Number {
        Number {
            load: self.generation().0.load + 1,
            refresh: 0,
        }
    }

    /// Reads, checks and tests a configuration (this one's as it is now, where no other is named), puts the flows of
    /// lately through it, and changes nothing.
    pub(crate) async fn replay(
        self: &Arc<Self>,
        asked: replay::Asked,
    ) -> Result<(api::Replay, Problems), Refused> {
        let _one_at_a_time = self.reloading.lock().await;
        let mut origin = self.origin.clone();
        if let Some(config) = &asked.config {
            origin.path = Some(config.clone());
            origin.dialect = asked.dialect;
        }
        let mut files = Recorder::default();
        if let (Some(path), Some(text)) = (&origin.path, &asked.text) {
            files.pretend(path.clone(), text.clone());
        }
        let reading = tokio::task::spawn_blocking(move || checked(&origin, &files));
        let candidate = reading
            .await
            .map_err(|error| Refused::Apply(error.to_string()))?;
        let Checked { setup, problems } = candidate?;
        let app = Arc::clone(self);
        let replaying = tokio::task::spawn_blocking(move || replay::run(&app, &setup, &asked));
        let replayed = replaying
            .await
            .map_err(|error| Refused::Apply(error.to_string()))?;
        Ok((replayed, problems))
    }

    /// What becomes of the configuration, from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn put_in_force(&self, setup: Arc<Setup>, number: Number) -> Result<(), Refused> {
        let path = setup.access_log.as_deref();
        let log = self.plane.open_access_log(path).map_err(|error| {
            let path = path.unwrap_or_else(|| Path::new("")).display();
            Refused::Apply(format!("the access log {path} cannot be opened: {error}"))
        })?;
        let spec = mapping::spec(&setup, number);
        let applied = self.plane.apply(spec).await;
        applied.map_err(|error| Refused::Apply(chain(&error)))?;
        if let Some(log) = log {
            self.plane.log_to(log);
        }
        self.plane.keep_recent(setup.history.keep);
        self.level.set(setup.log.level.as_deref());
        let of = |listening: Listening| {
            let Listening { name, kind, at } = listening;
            [name.to_string(), kind.as_str().to_owned(), at.to_string()]
        };
        let listening = self.plane.listening().into_iter().map(of).collect();
        *self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = listening;
        let mut kept = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.push_back((number, setup));
        self.loads.send_replace(number.load);
        while kept.len() > KEPT {
            kept.pop_front();
        }
        drop(kept);
        self.origin.shelf.sweep();
        if let Some(trouble) = self.origin.shelf.trouble() {
            tracing::warn!("{trouble}");
        }
        // Reading lists takes far more than what is kept of them.
        pointsman_os::memory::give_back();
        Ok(())
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
    pub(crate) fn select(&self, group: &str, member: &str) -> Result<(), SelectError> {
        self.plane.select(group, member)?;
        let mut kept = self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.insert(group.to_owned(), member.to_owned());
        if let Some(state) = &self.origin.state {
            selections::store(state, &kept);
        }
        Ok(())
    }

    /// What is listened on: name, kind, address.
    pub(crate) fn listening(&self) -> Vec<[String; 3]> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The line that says that the daemon serves.
    pub(crate) fn ready(&self) -> String {
        let word = |[name, kind, address]: [String; 3]| format!(" {name}={kind}@{address}");
        let words: String = self.listening().into_iter().map(word).collect();
        format!("ready{words}")
    }

    /// The configuration in force.
    ///
    /// # Panics
    /// Before [`App::begin`].
    pub(crate) fn generation(&self) -> (Number, Arc<Setup>) {
        let kept = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let newest = kept.back();
        #[expect(
            clippy::expect_used,
            reason = "nothing is asked before the first is in force"
        )]
        newest.cloned().expect("a generation is in force")
    }

    /// The configuration of that number, while it is kept.
    pub(crate) fn generation_of(&self, number: Number) -> Option<Arc<Setup>> {
        let kept = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(n, _)| *n == number)
            .map(|(_, setup)| Arc::clone(setup))
    }

    /// As [`Self::generation_of`], else another of the same load, which differs in what its rule sets hold alone.
    pub(crate) fn like(&self, number: Number) -> Option<Arc<Setup>> {
        let of_load = || {
            let kept = self
                .generations
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let same = kept.iter().rev().find(|(n, _)| n.load == number.load);
            same.map(|(_, setup)| Arc::clone(setup))
        };
        self.generation_of(number).or_else(of_load)
    }

    /// A record as clients get it.
    pub(crate) fn wire(&self, record: &FlowRecord) -> api::FlowRecord {
        records::wire(record, self.generation_of(record.generation).as_deref())
    }

    /// Asks the daemon to end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it was asked to end.
    pub(crate) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Ends once the daemon is asked to end.
    pub(crate) async fn stopped(&self) {
        // The sender lives as long as `self`.
        let mut stop = self.stop.subscribe();
        let _always_sent = stop.wait_for(|stop| *stop).await;
    }
}

/// A configuration that may be put in force.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What to run.
    pub setup: Setup,
    /// Its warnings and notes.
    pub problems: Problems,
}

/// [`check`], while the control socket goes on: lists of a million names take their time.
async fn read(origin: Origin) -> Result<(Result<Checked, Refused>, Asked), Refused> {
    let reading = tokio::task::spawn_blocking(move || check(&origin));
    reading
        .await
        .map_err(|error| Refused::Apply(error.to_string()))
}

/// Reads and checks a configuration, and runs its own tests; also tells what was read for that.
pub(crate) fn check(origin: &Origin) -> (Result<Checked, Refused>, Asked) {
    let files = Recorder::default();
    let checked = checked(origin, &files);
    (checked, files.into_asked())
}

fn checked(origin: &Origin, files: &Recorder) -> Result<Checked, Refused> {
    let Loaded {
        dialect: _,
        setup,
        mut problems,
    } = load(origin, files);
    let Some(mut setup) = setup else {
        return Err(Refused::Check(problems));
    };
    if let Some(on_unknown) = origin.on_unknown {
        setup.set_on_unknown(on_unknown);
    }
    // The embedded default has no tests, and what lies where the daemon started is not beside it.
    if origin.path.is_some() && !case::verify(&setup, files, &mut problems) {
        let errors = problems.0.iter().filter(|p| p.severity == Severity::Error);
        return Err(Refused::Tests(errors.map(Problem::to_string).collect()));
    }
    Ok(Checked { setup, problems })
}

fn load(origin: &Origin, files: &Recorder) -> Loaded {
    if let Some(path) = &origin.path {
        let loading = Loading {
            dialect: origin.dialect,
            state: origin.state.clone(),
            files,
            shelf: &origin.shelf,
        };
        return pointsman_config::load_with(path, loading);
    }
    let text = pointsman_config::dialect::native::DEFAULT.to_owned();
    let input = Input {
        source: Source::new("(embedded default)", text),
        path: "pointsman.yaml".into(),
        directory: PathBuf::new(),
        files,
        state: origin.state.clone(),
        shelf: &origin.shelf,
        lists: Default::default(),
        patience: Default::default(),
    };
    load_text(input, Some(Dialect::Native), Problems::default())
}
