//! Connections to one name server by one way, shared by all who ask it.
//!
//! Invariants: all who wait for a connection wait for one dial, but for a question that another one stands on, which would
//! wait for itself; a question goes to this server by this way and to nobody else, and to the same one once more where a
//! connection ended under it; connections are few, and close when nobody asks.

mod connection;
mod dialing;
mod framed;
mod https;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_spec::resolver::NameServer;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use self::connection::{Connection, Lost, Turn, Usage};
use super::message::{Refusal, Said};
use super::question::WireQuestion;
use super::way::Reached;
use crate::lookup::Transport;
use crate::tls::client::Client;

/// Connections that serve several questions each.
const MOST_OPEN: usize = 8;
/// Connections that serve one question each, as servers want it that close after an answer.
const MOST_ALONE: usize = 32;
/// How long a server is taken to close after each answer once it did: it may be replaced.
const ALONE_FOR: Duration = Duration::from_secs(60);
/// How long it holds that there is no connection (RFC 9520 §3.2: at least a second): a handshake costs both sides.
const TROUBLE_FOR: Duration = Duration::from_secs(1);
/// What rested longer may have been forgotten by a middlebox that tells nobody ...
const RESTED: Duration = Duration::from_secs(2);
/// ... and is doubted when it says nothing for so long: longer than round trips, short enough for two within a second.
const DOUBT: Duration = Duration::from_millis(600);

/// Connections to one server by one way.
#[derive(Debug)]
pub(super) struct Line {
    reached: Reached,
    state: Mutex<State>,
    /// A place became free, a connection was made, or there is none.
    changed: Notify,
    alone: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Connection>>,
    /// Connections that are being made.
    dialing: usize,
    /// How many questions the last connection took at once.
    width: Option<usize>,
    /// Why there is no connection, and until when that holds.
    trouble: Option<(Instant, Arc<str>)>,
    /// Until when the server is taken to close after each answer.
    alone: Option<Instant>,
    tls: Option<Client>,
    /// How long a connection may rest.
    reuse: Duration,
}

/// A question that goes to the server of a line.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    pub(super) server: &'a NameServer,
    pub(super) question: &'a WireQuestion,
    /// The message, whose number is the connection's to choose.
    pub(super) query: &'a [u8],
    pub(super) transport: &'a dyn Transport,
    /// Past it nobody waits for the answer.
    pub(super) until: Instant,
    /// Whether another question stands on it.
    pub(super) is_within: bool,
}

/// What becomes of one who wants a place on a connection.
enum Place {
    Taken(Turn),
    /// Nobody makes a connection yet, and one may.
    Dial,
    Wait,
    None(Arc<str>),
}

impl Line {
    pub(super) fn new(reached: Reached, reuse: Duration) -> Self {
        Self {
            reached,
            state: Mutex::new(State {
                reuse,
                ..State::default()
            }),
            changed: Notify::new(),
            alone: Arc::new(Semaphore::new(MOST_ALONE)),
        }
    }

    /// From now on connections may rest for so long: as the last configuration says that asks by them.
    pub(super) fn rests(&self, reuse: Duration) {
        self.state().reuse = reuse;
    }

    /// What the server says.
    pub(super) async fn ask(self: &Arc<Self>, errand: &Errand<'_>) -> Said {
        /// The second time by the next connection, the last time by one of its own.
        const MOST: usize = 3;
        let mut lost = None;
        for time in 1..=MOST {
            let asked = match time < MOST && !self.is_alone() {
                true => self.by_turn(errand).await,
                false => self.by_itself(errand).await,
            };
            match asked {
                Ok(said) => return said,
                Err(why) if why.again => lost = Some(why.why),
                Err(why) => return Said::Failed(Refusal::from(why.why)),
            }
        }
        Said::Failed(Refusal::from(lost.unwrap_or_default()))
    }

    /// Asks by a connection that others use, too.
    async fn by_turn(self: &Arc<Self>, errand: &Errand<'_>) -> Result<Said, Lost> {
        let turn = match errand.is_within {
            // Who makes the connection may wait for this very question.
            true => match self.place(Instant::now()) {
                Place::Taken(turn) => turn,
                Place::Dial | Place::Wait | Place::None(_) => return self.by_itself(errand).await,
            },
            false => match self.turn(errand).await {
                Ok(turn) => turn,
                Err(why) => return Ok(Said::Unreached(why.to_string())),
            },
        };
        let mut asking = pin!(turn.ask(errand));
        if turn.rested() < RESTED {
            return self.noted(asking.await, &turn);
        }
        if let Ok(said) = timeout(DOUBT, &mut asking).await {
            return self.noted(said, &turn);
        }
        if turn.was_heard() {
            return self.noted(asking.await, &turn);
        }
        self.leave(turn.usage());
        let other = async {
            if errand.is_within {
                return self.by_itself(errand).await;
            }
            match self.turn(errand).await {
                Ok(turn) => turn.ask(errand).await,
                Err(why) => Ok(Said::Unreached(why.to_string())),
            }
        };
        let mut other = pin!(other);
        tokio::select! {
            said = &mut asking => match said {
                Ok(said) => Ok(said),
                Err(_ended) => other.await,
            },
            said = &mut other => said,
        }
    }

    /// Learns of a connection that ended under a question.
    fn noted(&self, asked: Result<Said, Lost>, turn: &Turn) -> Result<Said, Lost> {
        if asked.is_err() && turn.closed_after_one() {
            self.state().alone = Some(Instant::now() + ALONE_FOR);
        }
        asked
    }

    /// Asks by a connection that is made for this question.
    async fn by_itself(&self, errand: &Errand<'_>) -> Result<Said, Lost> {
        let _place = match errand.is_within {
            true => None,
            false => match timeout_at(errand.until, self.alone.acquire()).await {
                Ok(place) => place.ok(),
                Err(_elapsed) => return Ok(Said::Silent),
            },
        };
        let made = self.make(errand.server, errand.transport, errand.limit());
        let (connection, mut driver) = match made.await {
            Ok(made) => made,
            Err(why) => return Ok(Said::Unreached(why)),
        };
        let turn = Turn::alone(connection);
        let mut asking = pin!(turn.ask(errand));
        tokio::select! {
            biased;
            said = &mut asking => said,
            () = &mut driver => {
                drop(driver);
                asking.await
            }
        }
    }

    /// A place on a connection, as soon as there is one.
    async fn turn(self: &Arc<Self>, errand: &Errand<'_>) -> Result<Turn, Arc<str>> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.place(Instant::now()) {
                Place::Taken(turn) => return Ok(turn),
                Place::Dial => self.dial(errand),
                Place::Wait => {}
                Place::None(why) => return Err(why),
            }
            changed.await;
        }
    }

    fn place(self: &Arc<Self>, now: Instant) -> Place {
        let mut state = self.state();
        state.open.retain(|connection| !connection.is_closed());
        let mut open = state.open.iter();
        if let Some(turn) = open.find_map(|connection| Turn::take(self, connection, now)) {
            return Place::Taken(turn);
        }
        let trouble = state.trouble.as_ref().filter(|(until, _)| now < *until);
        if let Some((_, why)) = trouble {
            return match state.open.is_empty() && state.dialing == 0 {
                true => Place::None(Arc::clone(why)),
                false => Place::Wait,
            };
        }
        // Whoever takes one question at a time is dialled for as many as wait.
        let at_once = if state.width == Some(1) { MOST_OPEN } else { 1 };
        if state.dialing >= at_once || state.dialing + state.open.len() >= MOST_OPEN {
            return Place::Wait;
        }
        state.dialing += 1;
        Place::Dial
    }

    fn is_alone(&self) -> bool {
        let state = self.state();
        state.alone.is_some_and(|until| Instant::now() < until)
    }

    /// Nobody is to ask by that connection any more; those who wait for its answers still do.
    fn leave(&self, usage: &Arc<Usage>) {
        let mut state = self.state();
        let before = state.open.len();
        let gone = state.open.extract_if(.., |it| it.is_of(usage));
        let gone: Vec<Arc<Connection>> = gone.collect();
        debug_assert_eq!(state.open.len() + gone.len(), before);
        drop(state);
        drop(gone);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Errand<'_> {
    /// Whoever waits gives up first, and takes it for silence.
    fn limit(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now()) + Duration::from_secs(1)
    }
}
