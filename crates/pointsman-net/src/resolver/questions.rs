//! Questions under way: whoever asks the same joins, so that many who ask at once cost the servers one question.
//!
//! Invariant: the first asks, and the others hear what it heard; where it leaves before that, the next one asks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::Domain;
use tokio::sync::watch;

use super::families::Told;
use super::message::Family;

/// What is asked, and how deep within other look-ups: a question that waited for itself would never end.
pub(super) type Key = (Domain, Family, u8);
type Hearing = watch::Receiver<Option<Told>>;

/// As many as are asked at this moment.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<HashMap<Key, Hearing>>);

/// What whoever comes with a question is to do.
pub(super) enum Turn {
    Ask(Asked),
    Hear(Hearing),
}

/// A question that its holder asks.
pub(super) struct Asked {
    questions: Arc<Questions>,
    key: Key,
    tell: watch::Sender<Option<Told>>,
}

impl Questions {
    pub(super) fn turn(self: &Arc<Self>, key: Key) -> Turn {
        match self.table().entry(key) {
            Entry::Occupied(asked) => Turn::Hear(asked.get().clone()),
            Entry::Vacant(place) => {
                let (tell, hearing) = watch::channel(None);
                let key = place.key().clone();
                place.insert(hearing);
                let questions = Arc::clone(self);
                Turn::Ask(Asked {
                    questions,
                    key,
                    tell,
                })
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, Hearing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the one who asks heard; `None` where it left without.
pub(super) async fn hear(mut hearing: Hearing) -> Option<Told> {
    let told = hearing.wait_for(Option::is_some).await;
    told.ok().and_then(|told| told.clone())
}

impl Asked {
    pub(super) fn tell(self, told: &Told) {
        self.tell.send_replace(Some(told.clone()));
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.questions.table().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(depth: u8) -> Key {
        (Domain::parse("a.test").unwrap(), Family::V4, depth)
    }

    #[tokio::test]
    async fn the_first_asks_and_all_hear_it() {
        let questions = Arc::<Questions>::default();
        let Turn::Ask(asked) = questions.turn(key(0)) else {
            panic!("nobody asks");
        };
        let (Turn::Hear(one), Turn::Hear(two)) = (questions.turn(key(0)), questions.turn(key(0)))
        else {
            panic!("two ask");
        };
        // A look-up within this one does not wait for it.
        assert!(matches!(questions.turn(key(1)), Turn::Ask(_)));
        let told = Told::Addresses(vec![[1; 4].into()]);
        asked.tell(&told);
        assert_eq!(hear(one).await, Some(told.clone()));
        assert_eq!(hear(two).await, Some(told));
        assert!(questions.table().is_empty());
    }

    #[tokio::test]
    async fn where_the_first_leaves_the_next_asks() {
        let questions = Arc::<Questions>::default();
        let asked = questions.turn(key(0));
        let Turn::Hear(hearing) = questions.turn(key(0)) else {
            panic!("two ask");
        };
        drop(asked);
        assert_eq!(hear(hearing).await, None);
        assert!(matches!(questions.turn(key(0)), Turn::Ask(_)));
        assert!(questions.table().is_empty());
    }
}
