//! Whether a client's process serves one of our ways out: what the loop guard asks.
//!
//! Invariant: "no" is said only where that was seen. What a daemon without rights cannot look at is neither yes nor no, and
//! is told as such. The kernel says whose a socket is to everybody: a program with a user of its own is known without any
//! right.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_os::owner::{self, ProcessInfo, SocketOwner};
use pointsman_policy::fact::{Fact, Network as Transport, Provenance};
use tokio::time::Instant;

use super::{LONGEST_SEARCH, Memory, beside, of_sockets, of_this_host};
use crate::ends::Ends;
use crate::spec::{Guard, ServedBy};

/// What came of the question.
#[derive(Debug)]
pub(crate) struct Serves {
    /// The outbound that it serves.
    pub(crate) outbound: Fact<Arc<str>>,
    /// Outbounds that it may serve or not: nobody could tell.
    pub(crate) untold: Vec<Arc<str>>,
}

/// What is remembered of those who serve outbounds.
#[derive(Debug, Default)]
pub(super) struct OwnerCache {
    /// Who listens at the endpoint of an outbound, and when that was asked.
    serving: Recent<SocketAddr, Serving>,
    /// The numbers of users that serve outbounds.
    users: Recent<Arc<str>, Option<u32>>,
    /// Held while processes are searched: many flows that come at once need one search.
    search: Mutex<()>,
}

/// What was found, and when.
type Recent<K, V> = Mutex<HashMap<K, (Instant, V)>>;

/// How long the process at an endpoint, and a user, is taken to be the same.
const STILL_SERVING: Duration = Duration::from_secs(5);

/// Who listens at an endpoint.
#[derive(Clone, Debug)]
enum Serving {
    Nobody,
    /// Somebody whom we cannot look at.
    Hidden {
        user: u32,
        why: Arc<str>,
    },
    /// All that hold the socket: a master and its workers, of whom any may ask.
    Processes {
        pids: Arc<[u32]>,
        /// Who made the socket, and whose the processes are: others where they have given up their rights since.
        users: Arc<[u32]>,
    },
}

/// What a guard says of a client.
#[derive(Clone, Debug)]
enum GuardAnswer {
    No,
    /// And why that is worth a word in the log.
    Untold(Option<Arc<str>>),
    Yes,
}

/// The outbound of one of `guards` that the client's process serves.
pub(crate) async fn serves(
    memory: &Arc<Memory>,
    guards: &Arc<Vec<Guard>>,
    network: Transport,
    ends: &Ends,
) -> Serves {
    let nobody = Serves {
        outbound: Fact::Absent,
        untold: Vec::new(),
    };
    if guards.is_empty() {
        return nobody;
    }
    let (Some(network), Some((client, far))) = (of_sockets(network), of_this_host(ends)) else {
        return nobody;
    };
    let socket = match owner::lookup(network, client, far) {
        Ok(Some(socket)) => socket,
        Ok(None) => return nobody,
        Err(error) => return Serves::untold(guards, error.to_string().into()),
    };
    let now = Instant::now();
    let at_once = |guard: &Guard| memory.known.at_once(guard, &socket, now);
    let at_once: Option<Vec<GuardAnswer>> = guards.iter().map(at_once).collect();
    if let Some(answers) = at_once {
        return Serves::of(guards, answers);
    }
    let (memory, asked) = (Arc::clone(memory), Arc::clone(guards));
    let search = move || {
        let look = Look {
            memory: &memory,
            socket,
            now,
            process: OnceCell::new(),
        };
        let answers = asked.iter().map(|guard| look.answer(guard));
        Serves::of(&asked, answers.collect())
    };
    match beside(LONGEST_SEARCH, search).await {
        Ok(found) => found,
        Err(why) => Serves::untold(guards, why),
    }
}

impl Serves {
    fn of(guards: &[Guard], answers: Vec<GuardAnswer>) -> Self {
        let mut found = Self {
            outbound: Fact::Absent,
            untold: Vec::new(),
        };
        for (guard, answer) in guards.iter().zip(answers) {
            match answer {
                GuardAnswer::No => {}
                GuardAnswer::Untold(why) => {
                    found.untold.push(Arc::clone(&guard.outbound));
                    if let (Some(why), Fact::Absent) = (why, &found.outbound) {
                        found.outbound = Fact::Failed(why);
                    }
                }
                GuardAnswer::Yes => {
                    found.outbound = Fact::Known(Arc::clone(&guard.outbound), Provenance::System);
                    break;
                }
            }
        }
        found
    }

    fn untold(guards: &[Guard], why: Arc<str>) -> Self {
        let untold = |_: &Guard| GuardAnswer::Untold(Some(Arc::clone(&why)));
        Self::of(guards, guards.iter().map(untold).collect())
    }
}

impl OwnerCache {
    /// The answer where none but the kernel must be asked: so nearly all flows are answered where a proxy core has a user
    /// of its own.
    fn at_once(&self, guard: &Guard, socket: &SocketOwner, now: Instant) -> Option<GuardAnswer> {
        let at = |endpoint: &SocketAddr| match self.serving(*endpoint, now)? {
            Serving::Nobody => Some(GuardAnswer::No),
            Serving::Processes { users, .. } if !users.contains(&socket.uid) => {
                Some(GuardAnswer::No)
            }
            Serving::Hidden { user, .. } if user != socket.uid => Some(GuardAnswer::Untold(None)),
            Serving::Hidden { .. } | Serving::Processes { .. } => None,
        };
        match &guard.by {
            ServedBy::Endpoint(endpoint) => at(endpoint),
            ServedBy::Program(_) => None,
            ServedBy::User(name) => self.user(name, now)?.map(|user| of_user(user, socket)),
        }
    }

    fn serving(&self, endpoint: SocketAddr, now: Instant) -> Option<Serving> {
        lately(&self.serving, &endpoint, now)
    }

    fn user(&self, name: &Arc<str>, now: Instant) -> Option<Option<u32>> {
        lately(&self.users, name, now)
    }
}

fn lately<K: std::hash::Hash + Eq, V: Clone>(
    known: &Recent<K, V>,
    key: &K,
    now: Instant,
) -> Option<V> {
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, value) = known.get(key)?;
    let is_fresh = now.saturating_duration_since(*at) < STILL_SERVING;
    is_fresh.then(|| value.clone())
}

fn of_user(user: u32, socket: &SocketOwner) -> GuardAnswer {
    match user == socket.uid {
        true => GuardAnswer::Yes,
        false => GuardAnswer::No,
    }
}

/// A search for the client's process, as far as that is needed.
struct Look<'a> {
    memory: &'a Memory,
    socket: SocketOwner,
    now: Instant,
    process: OnceCell<io::Result<Option<ProcessInfo>>>,
}

impl Look<'_> {
    fn answer(&self, guard: &Guard) -> GuardAnswer {
        match &guard.by {
            ServedBy::Endpoint(endpoint) => self.at(*endpoint),
            ServedBy::Program(path) => self.program(path, &guard.instead),
            ServedBy::User(name) => match self.user(name) {
                Some(user) => of_user(user, &self.socket),
                None => self.at_one_of(&guard.instead),
            },
        }
    }

    fn program(&self, path: &Path, instead: &[SocketAddr]) -> GuardAnswer {
        // The kernel names what runs by where links led then; in a container by the path there.
        let real = path.canonicalize();
        let found = self.process.get_or_init(|| {
            let owners = &self.memory.owners;
            owners.process_of(&self.socket)
        });
        match found {
            Ok(Some(ProcessInfo {
                path: Some(runs), ..
            })) => {
                let is_it = runs == path || real.as_ref().is_ok_and(|real| real == runs);
                match (is_it, real) {
                    (true, _) => GuardAnswer::Yes,
                    (false, Ok(_)) => GuardAnswer::No,
                    (false, Err(_)) => self.at_one_of(instead),
                }
            }
            // It has gone, or it is where this daemon sees no processes.
            Ok(_) => GuardAnswer::Untold(None),
            Err(error) => GuardAnswer::Untold(Some(error.to_string().into())),
        }
    }

    /// Whether it listens at one of these.
    fn at_one_of(&self, endpoints: &[SocketAddr]) -> GuardAnswer {
        let mut answer = GuardAnswer::No;
        for endpoint in endpoints {
            match self.at(*endpoint) {
                GuardAnswer::No => {}
                GuardAnswer::Yes => return GuardAnswer::Yes,
                untold @ GuardAnswer::Untold(_) => answer = untold,
            }
        }
        answer
    }

    fn at(&self, endpoint: SocketAddr) -> GuardAnswer {
        match self.serving(endpoint) {
            Serving::Nobody => GuardAnswer::No,
            // It may have given up its rights since it listens; most others are of another user.
            Serving::Hidden { user, why } => {
                GuardAnswer::Untold((user == self.socket.uid).then_some(why))
            }
            Serving::Processes { users, .. } if !users.contains(&self.socket.uid) => {
                GuardAnswer::No
            }
            Serving::Processes { pids, .. } => self.is_of(&pids),
        }
    }

    /// Whether the client's socket is held by one of these.
    fn is_of(&self, pids: &[u32]) -> GuardAnswer {
        let mut answer = GuardAnswer::No;
        for pid in pids {
            match owner::pid_owns_inode(*pid, self.socket.inode) {
                Ok(true) => return GuardAnswer::Yes,
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => answer = GuardAnswer::Untold(Some(error.to_string().into())),
            }
        }
        answer
    }

    fn serving(&self, endpoint: SocketAddr) -> Serving {
        let known = &self.memory.known;
        if let Some(serving) = known.serving(endpoint, self.now) {
            return serving;
        }
        let _one_at_a_time = known.search.lock().unwrap_or_else(PoisonError::into_inner);
        known.serving(endpoint, self.now).unwrap_or_else(|| {
            let found = self.search(endpoint);
            let mut all = known.serving.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(endpoint, (self.now, found.clone()));
            found
        })
    }

    fn search(&self, endpoint: SocketAddr) -> Serving {
        let Ok(Some(socket)) = owner::listener(endpoint) else {
            return Serving::Nobody;
        };
        let hidden = |why: Arc<str>| Serving::Hidden {
            user: socket.uid,
            why,
        };
        let processes = match self.memory.owners.holders_of(&socket) {
            Ok(processes) if processes.is_empty() => {
                return hidden(format!("who listens at {endpoint} is not to be seen here").into());
            }
            Ok(processes) => processes,
            Err(error) => return hidden(error.to_string().into()),
        };
        // Our own connections are known by their tokens, see `guard`.
        let this = std::process::id();
        let pids = processes.iter().map(|process| process.pid);
        let mut users: Vec<u32> = processes.iter().map(|process| process.uid).collect();
        users.push(socket.uid);
        users.sort_unstable();
        users.dedup();
        Serving::Processes {
            pids: pids.filter(|pid| *pid != this).collect(),
            users: users.into(),
        }
    }

    fn user(&self, name: &Arc<str>) -> Option<u32> {
        let known = &self.memory.known;
        known.user(name, self.now).unwrap_or_else(|| {
            let found = owner::user_named(name);
            let mut all = known.users.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(Arc::clone(name), (self.now, found));
            found
        })
    }
}

#[cfg(test)]
mod tests;
