//! The times of a relay: which of its limits is over next, and when that counts.
//!
//! Invariant: traffic never touches the timer; a limit that is over counts once the sockets were looked at again.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::{Ended, Limits, Who};
use crate::record::Limit;

/// The times of a relay; only where it has limits, for most have none.
#[derive(Debug)]
pub(super) struct Clock {
    idle: Option<Duration>,
    idle_client: Option<Duration>,
    idle_server: Option<Duration>,
    lifetime: Option<Duration>,
    begun: Instant,
    progress: Instant,
    /// When bytes came from a side last, or it was read from again after a while in which it was not.
    client: Instant,
    server: Instant,
    client_reads: bool,
    server_reads: bool,
    /// A limit was found to be over: it counts once the sockets were looked at again.
    over: bool,
    /// Of the few relays that have such limits.
    stalls: Option<Box<Stalls>>,
    /// Armed for the earliest limit and, when that has moved meanwhile, armed again: traffic never touches the timer.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Between the moment when a limit is over and its end: a thread that did not run for a while may hear of the time before
/// it hears of what came meanwhile. Enough for the runtime to ask the system once.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// For each side how long bytes may wait for it, and since when they do.
#[derive(Debug)]
struct Stalls {
    client: (Option<Duration>, Option<Instant>),
    server: (Option<Duration>, Option<Instant>),
}

impl Stalls {
    fn of(limits: &Limits) -> Option<Box<Self>> {
        let some = limits.stalled_client.is_some() || limits.stalled_server.is_some();
        some.then(|| {
            Box::new(Self {
                client: (limits.stalled_client, None),
                server: (limits.stalled_server, None),
            })
        })
    }
}

impl Limits {
    pub(super) fn any(&self) -> bool {
        let Self {
            idle,
            idle_client,
            idle_server,
            stalled_client,
            stalled_server,
            lifetime,
        } = self;
        let all = [
            idle,
            idle_client,
            idle_server,
            stalled_client,
            stalled_server,
            lifetime,
        ];
        all.iter().any(|limit| limit.is_some())
    }
}

impl Clock {
    pub(super) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            idle: limits.idle,
            idle_client: limits.idle_client,
            idle_server: limits.idle_server,
            lifetime: limits.lifetime,
            begun: now,
            progress: now,
            client: now,
            server: now,
            client_reads: true,
            server_reads: true,
            over: false,
            stalls: Stalls::of(limits),
            timer: None,
        }
    }

    pub(super) fn note(&mut self, source: Who, received: bool) {
        let now = Instant::now();
        self.progress = now;
        if received {
            match source {
                Who::Client => self.client = now,
                Who::Server => self.server = now,
            }
        }
    }

    pub(super) fn note_target(&mut self, target: Who, blocked: bool, sent: bool) {
        let Some(stalls) = &mut self.stalls else {
            return;
        };
        let (_, since) = match target {
            Who::Client => &mut stalls.client,
            Who::Server => &mut stalls.server,
        };
        match blocked {
            false => *since = None,
            true if sent || since.is_none() => *since = Some(Instant::now()),
            true => {}
        }
    }

    pub(super) fn poll_limits(
        &mut self,
        client_reads: bool,
        server_reads: bool,
        cx: &mut Context<'_>,
    ) -> Option<Ended> {
        if client_reads && !self.client_reads {
            self.client = Instant::now();
        }
        if server_reads && !self.server_reads {
            self.server = Instant::now();
        }
        (self.client_reads, self.server_reads) = (client_reads, server_reads);
        loop {
            let (at, ended) = self.next(client_reads, server_reads)?;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if timer.as_mut().poll(cx).is_pending() && (timer.deadline() <= at || self.over) {
                return None;
            }
            let now = Instant::now();
            if at > now {
                self.over = false;
                timer.as_mut().reset(at);
            } else if self.over {
                return Some(ended);
            } else {
                self.over = true;
                timer.as_mut().reset(now + LAST_LOOK);
            }
        }
    }

    /// The earliest limit that is in force.
    fn next(&self, client_reads: bool, server_reads: bool) -> Option<(Instant, Ended)> {
        let of = |since: Instant, time: Option<Duration>, limit| {
            time.and_then(|time| Some((since.checked_add(time)?, Ended::TimedOut(limit))))
        };
        let stalled = |side: fn(&Stalls) -> (Option<Duration>, Option<Instant>), limit| {
            let (time, since) = side(self.stalls.as_ref()?);
            of(since?, time, limit)
        };
        let idle_client = self.idle_client.filter(|_| client_reads);
        let idle_server = self.idle_server.filter(|_| server_reads);
        [
            of(self.progress, self.idle, Limit::Idle),
            of(self.client, idle_client, Limit::Read),
            of(self.server, idle_server, Limit::TargetRead),
            stalled(|stalls| stalls.client, Limit::Write),
            stalled(|stalls| stalls.server, Limit::TargetWrite),
            of(self.begun, self.lifetime, Limit::Lifetime),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}
