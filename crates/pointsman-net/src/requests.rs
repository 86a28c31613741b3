//! Flows that wait for somebody's word: who subscribes, what is asked, who may answer.
//!
//! Invariant: a flow waits for one subscriber, within a limit, and is answered once; whatever ends the wait (an answer,
//! the limit, a subscriber or a client that goes away) leaves nothing behind. How many wait and how much a slow reader
//! may leave unread is bounded; beyond that the flow does not wait. Of both a client has no more than is left for others.
//!
//! Deliberately absent: what an answer means. A failed verdict has its request's fallback, which is the policy's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::request::{Answer, Request};
use pointsman_policy::{Fact, Provenance};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::record::FlowRecord;

/// Flows that may wait at once.
const WAITING: usize = 1024;
/// Events that a subscriber may leave unread.
const QUEUE: usize = 256;

/// A client, as it is counted; `None`: one without an address.
type By = Option<IpAddr>;

/// What a subscriber hears.
#[derive(Clone, Debug)]
pub enum Event {
    /// A flow waits for its word.
    Asked(Arc<Question>),
    /// It waits no longer, and nobody answered.
    Over(u64),
}

/// A flow that waits.
#[derive(Debug)]
pub struct Question {
    /// Its number, by which it is answered; never given twice.
    pub number: u64,
    /// What is asked.
    pub request: Request,
    /// The flow as far as it is known.
    pub record: FlowRecord,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The flow has it.
    Taken,
    /// It is no answer: the flow has its fallback.
    Invalid,
    /// Another subscriber was asked: nothing has changed.
    NotYours,
    /// Nobody waits for it, or no longer.
    Unknown,
}

/// Somebody subscribes to this already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request {0} already has a subscriber")]
pub struct AlreadySubscribed(pub u32);

/// Who is asked, and who waits.
#[derive(Debug, Default)]
pub struct Requests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Numbers given so far, to subscriptions and questions alike.
    last: u64,
    subscribers: HashMap<u32, Subscriber>,
    waiting: HashMap<u64, PendingQuestion>,
    /// Events that a subscription has not read, by whose flows they are of.
    unread: HashMap<(u64, By), usize>,
}

#[derive(Clone, Debug)]
struct Subscriber {
    id: u32,
    subscription: u64,
    events: mpsc::Sender<(By, Event)>,
}

#[derive(Debug)]
struct PendingQuestion {
    subscriber: u32,
    subscription: u64,
    by: By,
    answer: oneshot::Sender<Result<Answer, Arc<str>>>,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// How many flows of that client wait.
    fn waiting_of(&self, by: By) -> usize {
        let all = self.waiting.values();
        all.filter(|waiting| waiting.by == by).count()
    }

    /// How many events of that client's flows a subscription has not read.
    fn unread_of(&self, subscription: u64, by: By) -> usize {
        let unread = self.unread.get(&(subscription, by));
        unread.copied().unwrap_or(0)
    }

    /// Tells a subscriber, if there is room for the client: it has no more unread than is free.
    fn tell(&mut self, subscriber: &Subscriber, by: By, event: Event) -> Result<(), Arc<str>> {
        let Subscriber {
            id,
            subscription,
            events,
        } = subscriber;
        let (unread, free) = (self.unread_of(*subscription, by), events.capacity());
        if unread > 0 && unread >= free {
            let why = format!("{unread} events of its client's flows are unread already");
            return Err(why.into());
        }
        let sent = events.try_send((by, event));
        sent.map_err(|_full| format!("subscriber {} does not read", id))?;
        *self.unread.entry((*subscription, by)).or_default() += 1;
        Ok(())
    }
}

impl Requests {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to requests of these numbers, until the subscription is dropped.
    ///
    /// # Errors
    /// [`AlreadySubscribed`] where one of them has a subscriber; then none is subscribed to.
    pub fn subscribe(self: &Arc<Self>, ids: &[u32]) -> Result<Subscription, AlreadySubscribed> {
        let mut state = self.state();
        if let Some(taken) = ids.iter().find(|id| state.subscribers.contains_key(id)) {
            return Err(AlreadySubscribed(*taken));
        }
        let number = state.number();
        let (sender, events) = mpsc::channel(QUEUE);
        for id in ids {
            let subscriber = Subscriber {
                id: *id,
                subscription: number,
                events: sender.clone(),
            };
            state.subscribers.insert(*id, subscriber);
        }
        Ok(Subscription {
            requests: Arc::clone(self),
            number,
            events,
        })
    }

    /// Answers a question; `answer` is `None` where what was said is no answer.
    pub fn answer(&self, subscription: u64, question: u64, answer: Option<Answer>) -> Outcome {
        let mut state = self.state();
        match state.waiting.get(&question) {
            None => return Outcome::Unknown,
            Some(waiting) if waiting.subscription != subscription => return Outcome::NotYours,
            Some(_) => {}
        }
        let Some(waiting) = state.waiting.remove(&question) else {
            return Outcome::Unknown;
        };
        let who = waiting.subscriber;
        let said = answer.ok_or_else(|| format!("subscriber {who} answered with no route").into());
        match (waiting.answer.send(said), answer) {
            (Err(_gone), _) => Outcome::Unknown,
            (Ok(()), Some(_)) => Outcome::Taken,
            (Ok(()), None) => Outcome::Invalid,
        }
    }

    /// How many flows wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Asks the subscriber for a flow of that client, and waits as long as the request says.
    pub(crate) async fn ask(&self, request: &Request, record: FlowRecord, by: By) -> Fact<Answer> {
        let who = request.subscriber;
        let (asked, answer) = match self.put(request, record, by) {
            Ok(asked) => asked,
            Err(why) => return Fact::Failed(why),
        };
        match timeout(request.timeout, answer).await {
            Ok(Ok(Ok(answer))) => Fact::Known(answer, Provenance::Subscriber),
            Ok(Ok(Err(why))) => Fact::Failed(why),
            // The one who answers takes what waits out of the list, and says something.
            Ok(Err(_closed)) => Fact::Failed(format!("subscriber {who} went away").into()),
            Err(_elapsed) => {
                drop(asked);
                let seconds = request.timeout.as_secs();
                Fact::Failed(format!("subscriber {who} did not answer within {seconds} s").into())
            }
        }
    }

    fn put(
        &self,
        request: &Request,
        record: FlowRecord,
        by: By,
    ) -> Result<(QuestionGuard<'_>, Reply), Arc<str>> {
        let who = request.subscriber;
        let mut state = self.state();
        let Some(subscriber) = state.subscribers.get(&who).cloned() else {
            return Err(format!("nobody subscribes to {who}").into());
        };
        if state.waiting.len() >= WAITING {
            return Err(format!("{WAITING} flows wait for an answer already").into());
        }
        // No client has more than is left for others.
        let own = state.waiting_of(by);
        if own >= WAITING - state.waiting.len() {
            return Err(format!("{own} flows of its client wait for an answer already").into());
        }
        let number = state.number();
        let question = Arc::new(Question {
            number,
            request: request.clone(),
            record,
        });
        state.tell(&subscriber, by, Event::Asked(question))?;
        let (answer, reply) = oneshot::channel();
        let waiting = PendingQuestion {
            subscriber: who,
            subscription: subscriber.subscription,
            by,
            answer,
        };
        state.waiting.insert(number, waiting);
        let asked = QuestionGuard {
            requests: self,
            number,
            by,
            subscriber,
        };
        Ok((asked, reply))
    }
}

type Reply = oneshot::Receiver<Result<Answer, Arc<str>>>;

/// A question that was asked; nobody waits once it is dropped.
struct QuestionGuard<'r> {
    requests: &'r Requests,
    number: u64,
    by: By,
    subscriber: Subscriber,
}

impl Drop for QuestionGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.requests.state();
        if state.waiting.remove(&self.number).is_some() {
            // Who does not read need not know.
            let _ = state.tell(&self.subscriber, self.by, Event::Over(self.number));
        }
    }
}

/// Somebody who is asked.
pub struct Subscription {
    requests: Arc<Requests>,
    number: u64,
    events: mpsc::Receiver<(By, Event)>,
}

impl Subscription {
    /// By which it answers; never given twice.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next event; `None` never while it lives.
    pub async fn next(&mut self) -> Option<Event> {
        let (by, event) = self.events.recv().await?;
        if let Entry::Occupied(mut unread) = self.requests.state().unread.entry((self.number, by)) {
            *unread.get_mut() -= 1;
            if *unread.get() == 0 {
                unread.remove();
            }
        }
        Some(event)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.number).finish()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.requests.state();
        let State {
            subscribers,
            waiting,
            unread,
            ..
        } = &mut *state;
        unread.retain(|(subscription, _), _| *subscription != self.number);
        subscribers.retain(|_, subscriber| subscriber.subscription != self.number);
        let own = waiting.extract_if(|_, waiting| waiting.subscription == self.number);
        for (_, waiting) in own {
            let why = format!("subscriber {} went away", waiting.subscriber);
            // The flow may have ended at this very moment.
            let _ = waiting.answer.send(Err(why.into()));
        }
    }
}

#[cfg(test)]
mod tests;
