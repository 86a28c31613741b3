//! What forwards keep over generations: counts, turns, logs, and sockets that were handed over.
//!
//! Invariants: the number of connections of a forward never exceeds its limit, not even for a moment, nor where the
//! forward was gone for a while: a connection counts until it ends; an inherited
//! connection serves one flow at a time; preparing a generation that is then refused loses nothing, and leaves nothing
//! but what was handed over, which cannot be had again.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pointsman_os::local::{self, Inherited};
use pointsman_os::socket as os;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::Forward;
use super::order::Failures;
use crate::dial;
use crate::record::log::{AccessLog, Dropped};
use crate::spec::forward::{Address, ForwardSpec, Keepalive};
use crate::stream::Stream;

/// What forwards keep over generations.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Things>);

#[derive(Debug, Default)]
struct Things {
    /// Each lives as long as a generation that flows have, or a connection that it counts.
    states: HashMap<Arc<str>, Weak<State>>,
    /// Those of the generation before one on trial.
    held: Vec<Arc<State>>,
    logs: HashMap<PathBuf, Arc<AccessLog>>,
    connected: HashMap<i32, Arc<Connected>>,
}

/// Why a forward cannot be taken into service: what it needs, and the system's words.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) what: String,
    pub(crate) source: io::Error,
}

impl Kept {
    /// A forward, with what it had before.
    ///
    /// # Errors
    /// Its log cannot be opened, or a connection that it names was not handed over.
    pub(crate) fn prepare(
        &self,
        spec: &ForwardSpec,
        dialer: &dial::Dialer,
        logs: &mut Logs<'_>,
    ) -> Result<Forward, Unfit> {
        let mut things = self.things();
        let state = things.states.get(&spec.name).and_then(Weak::upgrade);
        let state = state.unwrap_or_default();
        let log = spec.access_log.as_ref();
        let log = log.map(|path| logs.log(path, &things)).transpose()?;
        let connected = spec.targets.iter().map(|target| match target.address {
            Address::Fd(number) => things.connected(number).map(Some),
            Address::Tcp { .. } | Address::Unix(_) => Ok(None),
        });
        let connected = connected.collect::<Result<_, _>>()?;
        let dialers = spec.targets.iter().map(|target| dial::Dialer {
            keepalive: probes(target.keepalive),
            ..dialer.clone()
        });
        Ok(Forward {
            state,
            dialers: dialers.collect(),
            connected,
            log,
            spec: spec.clone(),
        })
    }

    /// These are in force: what they have is kept; on trial also what those before had.
    pub(crate) fn commit<'a>(
        &self,
        forwards: impl Iterator<Item = &'a Arc<Forward>>,
        on_trial: bool,
    ) {
        let mut things = self.things();
        if on_trial {
            let before = things.states.values().filter_map(Weak::upgrade);
            things.held = before.collect();
        }
        for forward in forwards {
            let name = Arc::clone(&forward.spec.name);
            things.states.insert(name, Arc::downgrade(&forward.state));
            if let (Some(path), Some(log)) = (&forward.spec.access_log, &forward.log) {
                things.logs.insert(path.clone(), Arc::clone(log));
            }
        }
    }

    /// These forwards are in force for good: what none of them needs is given up.
    pub(crate) fn prune(&self, forwards: &[ForwardSpec]) {
        let mut things = self.things();
        things.held.clear();
        things.states.retain(|_, state| state.strong_count() > 0);
        let all = || forwards.iter();
        things
            .logs
            .retain(|path, _| all().any(|spec| spec.access_log.as_ref() == Some(path)));
        things.connected.retain(|number, _| {
            let named = |spec: &ForwardSpec| {
                let mut targets = spec.targets.iter();
                targets.any(|target| target.address == Address::Fd(*number))
            };
            all().any(named)
        });
    }

    /// The targets of that forward that could not be reached, and for how long each is still passed by.
    pub(crate) fn failing(&self, spec: &ForwardSpec, now: Instant) -> Vec<(Arc<str>, Duration)> {
        let state = self.things().states.get(&spec.name).and_then(Weak::upgrade);
        state.map_or_else(Vec::new, |state| state.failures.failing(spec, now))
    }

    /// Opens all logs anew, after somebody moved them away.
    pub(crate) fn reopen_logs(&self) {
        for log in self.things().logs.values() {
            log.reopen();
        }
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs that a generation opens: forwards that name one path share it, and where the generation is given up they
/// close.
#[derive(Debug)]
pub(crate) struct Logs<'a> {
    opened: HashMap<PathBuf, Arc<AccessLog>>,
    dropped: &'a Arc<Dropped>,
}

impl<'a> Logs<'a> {
    /// Those logs count in `dropped` what they lose.
    pub(crate) fn new(dropped: &'a Arc<Dropped>) -> Self {
        Self {
            opened: HashMap::new(),
            dropped,
        }
    }

    fn log(&mut self, path: &PathBuf, things: &Things) -> Result<Arc<AccessLog>, Unfit> {
        if let Some(log) = things.logs.get(path).or_else(|| self.opened.get(path)) {
            return Ok(Arc::clone(log));
        }
        let log = AccessLog::open(path, self.dropped).map_err(|source| Unfit {
            what: format!("its log {}", path.display()),
            source,
        })?;
        let log = Arc::new(log);
        self.opened.insert(path.clone(), Arc::clone(&log));
        Ok(log)
    }
}

impl Things {
    fn connected(&mut self, number: i32) -> Result<Arc<Connected>, Unfit> {
        if let Some(connected) = self.connected.get(&number) {
            return Ok(Arc::clone(connected));
        }
        let socket = local::inherited_stream(number).map_err(|source| Unfit {
            what: format!("its target fd:{number}"),
            source,
        })?;
        let connected = Arc::new(Connected::new(socket));
        self.connected.insert(number, Arc::clone(&connected));
        Ok(connected)
    }
}

fn probes(keepalive: Keepalive) -> dial::Probing {
    match keepalive {
        Keepalive::Default => dial::Probing::WhenOld(15, 15),
        // The kernel counts in whole seconds.
        Keepalive::Every(every) => {
            let every = every.max(Duration::from_secs(1));
            dial::Probing::AtOnce(dial::Keepalive {
                time: every,
                interval: every,
            })
        }
        Keepalive::Off => dial::Probing::Never,
    }
}

/// What a forward counts.
#[derive(Debug, Default)]
pub(crate) struct State {
    active: AtomicUsize,
    next: AtomicUsize,
    pub(crate) failures: Failures,
}

/// A connection that is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<State>);

impl State {
    /// Counts one more; `None` where there are `most` already (0: any number).
    pub(crate) fn admit(self: &Arc<Self>, most: usize) -> Option<Permit> {
        let one_more = |active: usize| (most == 0 || active < most).then_some(active + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.active.fetch_update(set, fetch, one_more).ok()?;
        Some(Permit(Arc::clone(self)))
    }

    /// Counts the connections that ask whose turn it is.
    pub(crate) fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that was handed over.
#[derive(Debug)]
pub(crate) struct Connected {
    /// `None` once a flow was carried by it: what is left of one flow is not for another.
    socket: Mutex<Option<Inherited>>,
    taken: AtomicBool,
}

/// The use of an inherited connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    of: Arc<Connected>,
    used: bool,
}

/// Why an inherited connection cannot be used.
pub(crate) enum NotNow {
    /// A flow uses it.
    Busy,
    /// It has ended, or the system says no.
    Broken(io::Error),
}

impl Connected {
    fn new(socket: Inherited) -> Self {
        Self {
            socket: Mutex::new(Some(socket)),
            taken: AtomicBool::new(false),
        }
    }

    /// The connection, for one flow.
    pub(crate) fn take(self: &Arc<Self>) -> Result<(Stream, Turn), NotNow> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return Err(NotNow::Busy);
        }
        let turn = Turn {
            of: Arc::clone(self),
            used: false,
        };
        let stream = self.stream().map_err(NotNow::Broken)?;
        Ok((stream, turn))
    }

    fn stream(&self) -> io::Result<Stream> {
        let stream = match &*self.socket() {
            Some(Inherited::Tcp(socket)) => Stream::from(TcpStream::from_std(socket.try_clone()?)?),
            Some(Inherited::Unix(socket)) => {
                Stream::from(UnixStream::from_std(socket.try_clone()?)?)
            }
            Some(Inherited::TcpListener(_) | Inherited::UnixListener(_) | Inherited::Udp(_)) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        // Writing nothing fails where nothing can be written any more.
        os::send(&stream.socket, &[])?;
        if os::hung_up(&stream.socket)? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(stream)
    }

    fn socket(&self) -> MutexGuard<'_, Option<Inherited>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// A flow's bytes go there from now on: no other flow gets it.
    pub(crate) fn used(&mut self) {
        self.used = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.used {
            // Ours was the last descriptor but the relay's: the connection ends as that one ends it.
            *self.of.socket() = None;
        }
        self.of.taken.store(false, Ordering::Release);
    }
}
