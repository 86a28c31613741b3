//! Questions under way: whoever asks the same joins, so that many who ask at once cost the servers one question.
//!
//! Invariant: a question is a task of its own and belongs to none of those who asked it: whoever leaves leaves it to the
//! others. With the last one it ends, but for some that go on so that the next who asks has an answer.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::cache::UpstreamId;
use super::heard::Heard;
use super::question::WireQuestion;

use crate::tasks::Tasks;

/// Questions that go on though nobody waits for them, each a socket or five for as long as it may take.
const MAX_LATE: usize = 256;

/// What makes questions the same, so that who asks one may wait for another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Who is asked.
    pub(super) asked: UpstreamId,
    pub(super) question: WireQuestion,
    /// What it is given in all: who has more waits for no shorter one.
    pub(super) whole: Duration,
    /// How deep it is within other look-ups.
    pub(super) depth: u8,
    /// Whether another question stands on it: one that waited for itself would never end.
    pub(super) is_within: bool,
    /// Whether our own server is not asked on the way.
    pub(super) is_for_query: bool,
}

/// What finds the answer.
pub(super) type Finding = Pin<Box<dyn Future<Output = Heard> + Send>>;

/// As many as are asked at this moment.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    open: HashMap<Key, Open>,
    /// How many of them were left and go on.
    late: usize,
}

#[derive(Debug)]
struct Open {
    tell: watch::Sender<Option<Heard>>,
    late: bool,
}

/// A question that one waits for.
#[derive(Clone)]
pub(super) struct Hearing {
    questions: Arc<Questions>,
    key: Key,
    heard: watch::Receiver<Option<Heard>>,
}

impl Questions {
    /// Joins the question, or begins it as one of `tasks`.
    pub(super) fn join(
        self: &Arc<Self>,
        key: Key,
        tasks: &Tasks,
        find: impl FnOnce() -> Finding,
    ) -> Hearing {
        let mut table = self.table();
        if let Some(open) = table.open.get(&key) {
            let heard = open.tell.subscribe();
            drop(table);
            return self.hearing(key, heard);
        }
        let (tell, heard) = watch::channel(None);
        let open = Open {
            tell: tell.clone(),
            late: false,
        };
        table.open.insert(key.clone(), open);
        drop(table);
        let place = TableGuard {
            questions: Arc::clone(self),
            key: key.clone(),
            tell,
        };
        // Where the tasks have been stopped, it is dropped here.
        tasks.spawn(place.find(find()));
        self.hearing(key, heard)
    }

    fn hearing(self: &Arc<Self>, key: Key, heard: watch::Receiver<Option<Heard>>) -> Hearing {
        Hearing {
            questions: Arc::clone(self),
            key,
            heard,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hearing {
    /// What was found.
    pub(super) async fn answer(mut self) -> Heard {
        let answer = self.heard.wait_for(Option::is_some).await;
        let answer = answer.ok().and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| Heard::failed("the look-up was ended"))
    }

    /// Whether somebody waited for it and left before the answer.
    pub(super) fn is_late(&self) -> bool {
        let table = self.questions.table();
        table.open.get(&self.key).is_some_and(|open| open.late)
    }

    /// Leaves, so that it goes on for the next who asks, if no more than `most` do.
    pub(super) fn leave_late(self, most: usize) {
        let mut table = self.questions.table();
        let room = table.late < most.min(MAX_LATE);
        if let Some(open) = table.open.get_mut(&self.key)
            && room
            && !open.late
        {
            open.late = true;
            table.late += 1;
        }
    }
}

/// A question's place in the table: with it, it leaves.
struct TableGuard {
    questions: Arc<Questions>,
    key: Key,
    tell: watch::Sender<Option<Heard>>,
}

impl TableGuard {
    async fn find(self, mut finding: Finding) {
        let mut late = false;
        loop {
            tokio::select! {
                answer = &mut finding => {
                    // First, so that nobody joins what has ended.
                    self.leave();
                    self.tell.send_replace(Some(answer));
                    return;
                }
                () = self.tell.closed(), if !late => {
                    let mut table = self.questions.table();
                    late = table.open.get(&self.key).is_some_and(|open| open.late);
                    if !late && self.tell.receiver_count() == 0 {
                        table.leave(&self.key, &self.tell);
                        return;
                    }
                }
            }
        }
    }

    fn leave(&self) {
        self.questions.table().leave(&self.key, &self.tell);
    }
}

impl Drop for TableGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Table {
    fn leave(&mut self, key: &Key, tell: &watch::Sender<Option<Heard>>) {
        let own = |open: &Open| open.tell.same_channel(tell);
        if self.open.get(key).is_some_and(own)
            && let Some(open) = self.open.remove(key)
        {
            self.late -= usize::from(open.late);
        }
    }
}

#[cfg(test)]
mod tests;
