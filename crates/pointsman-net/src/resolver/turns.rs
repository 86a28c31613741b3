//! One question, several who may answer: who is asked when, and who is passed by.
//!
//! Invariant: the next is asked when the last one failed or was silent for its time; whoever was asked may still
//! answer until the end, and the first answer that settles the question wins.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use pointsman_wire::dns::kind;
use tokio::time::{Instant, sleep_until};

use super::message::Said;
use super::way::Reached;

/// How long a server may be silent before the next one is asked, too: above the round trip to the other side of the
/// earth, below what a person notices.
pub(super) const PASS_BY: Duration = Duration::from_millis(400);
/// How long a server that was silent is asked last: some page's names, and not yet the next day's.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// What is learned of a server on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// It answered, whatever it said.
    Voice,
    /// It was passed by: others are asked before it for a while.
    PassedBy,
    /// It was passed by, and said nothing to the end: one slow name is no silence.
    Silence,
}

struct InFlight<F> {
    index: usize,
    passed_by: bool,
    response: Pin<Box<F>>,
}

/// Asks each of `those` in turn, `pause` after the last one or at once when one failed, until one settles the question
/// or `until` is over.
///
/// Gives what settled it, and the place of whoever said so.
///
/// # Errors
/// When none did: what each said, by its place.
pub(super) async fn in_turn<S, F>(
    those: &[S],
    until: Instant,
    pause: impl Fn(usize) -> Duration,
    ask: impl Fn(&S) -> F,
    mut heard: impl FnMut(&S, Sound),
) -> Result<(usize, Said), Vec<(usize, Said)>>
where
    F: Future<Output = Said>,
{
    let mut asked: Vec<InFlight<F>> = Vec::new();
    let mut failures = Vec::new();
    let mut next = 0;
    let mut turn = pin!(sleep_until(Instant::now()));
    let mut end = pin!(sleep_until(until));
    poll_fn(|cx| {
        loop {
            let mut failed = false;
            let mut at = 0;
            while at < asked.len() {
                let Poll::Ready(response) = asked[at].response.as_mut().poll(cx) else {
                    at += 1;
                    continue;
                };
                let index = asked.swap_remove(at).index;
                if !matches!(response, Said::Unreached(_) | Said::Silent) {
                    heard(&those[index], Sound::Voice);
                }
                if response.settles() {
                    return Poll::Ready(Ok((index, response)));
                }
                failures.push((index, response));
                failed = true;
            }
            if end.as_mut().poll(cx).is_ready() {
                for one in asked.drain(..) {
                    if one.passed_by {
                        heard(&those[one.index], Sound::Silence);
                    }
                    failures.push((one.index, Said::Silent));
                }
                return Poll::Ready(Err(std::mem::take(&mut failures)));
            }
            let due = turn.as_mut().poll(cx).is_ready();
            if due {
                for one in asked.iter_mut().filter(|one| !one.passed_by) {
                    one.passed_by = true;
                    heard(&those[one.index], Sound::PassedBy);
                }
            }
            if let Some(one) = those.get(next)
                && (due || failed || asked.is_empty())
            {
                asked.push(InFlight {
                    index: next,
                    passed_by: false,
                    response: Box::pin(ask(one)),
                });
                turn.as_mut().reset(Instant::now() + pause(next));
                next += 1;
                continue;
            }
            if asked.is_empty() {
                return Poll::Ready(Err(std::mem::take(&mut failures)));
            }
            return Poll::Pending;
        }
    })
    .await
}

/// Asks all of `those` at once until one settles the question or `until` is over.
///
/// Gives what settled it, and the place of whoever said so.
///
/// # Errors
/// When none did: what each said, by its place.
pub(super) async fn at_once<S, F>(
    those: &[S],
    until: Instant,
    ask: impl Fn(&S) -> F,
    mut heard: impl FnMut(&S, Sound),
) -> Result<(usize, Said), Vec<(usize, Said)>>
where
    F: Future<Output = Said>,
{
    let mut asked: Vec<_> = those.iter().map(|one| Some(Box::pin(ask(one)))).collect();
    let mut failures = Vec::new();
    let mut end = pin!(sleep_until(until));
    poll_fn(|cx| {
        for (index, one) in asked.iter_mut().enumerate() {
            let Some(Poll::Ready(said)) = one.as_mut().map(|one| one.as_mut().poll(cx)) else {
                continue;
            };
            *one = None;
            if !matches!(said, Said::Unreached(_) | Said::Silent) {
                heard(&those[index], Sound::Voice);
            }
            if said.settles() {
                return Poll::Ready(Ok((index, said)));
            }
            failures.push((index, said));
        }
        let is_over = end.as_mut().poll(cx).is_ready();
        if is_over {
            for (index, one) in asked.iter_mut().enumerate() {
                if one.take().is_some() {
                    heard(&those[index], Sound::Silence);
                    failures.push((index, Said::Silent));
                }
            }
        }
        match is_over || asked.iter().all(Option::is_none) {
            true => Poll::Ready(Err(std::mem::take(&mut failures))),
            false => Poll::Pending,
        }
    })
    .await
}

/// Who answered first of those that were asked at once, and until when that is known.
#[derive(Debug, Default)]
pub(super) struct Fastest(Mutex<Option<(usize, Instant)>>);

/// For so long who was first is asked first: ways change within minutes.
const FIRST_FOR: Duration = Duration::from_secs(300);

impl Fastest {
    /// Who was first, where that is still known.
    pub(super) fn known(&self, now: Instant) -> Option<usize> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|(_, until)| now < *until).map(|(at, _)| at)
    }

    /// That one was first.
    pub(super) fn note(&self, at: usize, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((at, now + FIRST_FOR));
    }

    /// Who was first is not.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Which servers were silent by which way, and about which type: a middlebox may let A pass and swallow AAAA.
#[derive(Debug, Default)]
pub(super) struct Silences(Mutex<Table>);

/// What was heard, and how long that holds.
type Table = HashMap<(Reached, Sort), (Sound, Instant)>;

/// Types that a middlebox treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sort {
    A,
    Aaaa,
    Https,
    Other,
}

impl From<u16> for Sort {
    fn from(number: u16) -> Self {
        match number {
            kind::A => Self::A,
            kind::AAAA => Self::Aaaa,
            kind::HTTPS => Self::Https,
            _ => Self::Other,
        }
    }
}

impl Silences {
    /// Notes what was heard.
    pub(super) fn note(&self, server: &Reached, sort: Sort, sound: Sound, now: Instant) {
        let mut table = self.table();
        let key = (server.clone(), sort);
        match sound {
            Sound::Voice => drop(table.remove(&key)),
            Sound::PassedBy | Sound::Silence => {
                // So that it never holds more than the servers in use.
                table.retain(|_, (_, until)| now < *until);
                // A pass-by takes no silence back.
                let before = table.get(&key).map(|(before, _)| *before);
                let sound = before.filter(|it| *it == Sound::Silence).unwrap_or(sound);
                table.insert(key, (sound, now + SILENT_FOR));
            }
        }
    }

    /// The places of the servers in the order to ask them in: those that were silent last.
    pub(super) fn order(&self, servers: &[Reached], sort: Sort, now: Instant) -> Vec<usize> {
        let mut order: Vec<usize> = (0..servers.len()).collect();
        let table = self.table();
        if !table.is_empty() {
            order.sort_by_key(|at| heard(&table, &servers[*at], sort, now).is_some());
        }
        order
    }

    /// Whether nothing was heard about that type from any of them for a whole budget.
    pub(super) fn all(&self, servers: &[Reached], sort: Sort, now: Instant) -> bool {
        let table = self.table();
        let mut servers = servers.iter();
        !table.is_empty()
            && servers.all(|one| heard(&table, one, sort, now) == Some(Sound::Silence))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn heard(table: &Table, server: &Reached, sort: Sort, now: Instant) -> Option<Sound> {
    let (sound, until) = table.get(&(server.clone(), sort))?;
    (now < *until).then_some(*sound)
}

#[cfg(test)]
mod tests;
