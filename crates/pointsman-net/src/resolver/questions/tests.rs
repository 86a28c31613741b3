//! By a clock that stands still.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pointsman_policy::Domain;
use tokio::time::{sleep, timeout};

use super::*;
use crate::lookup::{Question, RecordType};

const SECOND: Duration = Duration::from_secs(1);

struct Stage {
    questions: Arc<Questions>,
    tasks: Tasks,
    /// How many were begun, and how many came to their end.
    counts: Arc<[AtomicUsize; 2]>,
}

impl Stage {
    fn new() -> Self {
        Self {
            questions: Arc::default(),
            tasks: Tasks::new(),
            counts: Arc::default(),
        }
    }

    /// Joins a question that takes a second.
    fn join(&self, name: &str, depth: u8) -> Hearing {
        let (name, kind) = (Domain::parse(name).unwrap(), RecordType::A);
        let question = WireQuestion::new(&Question { name, kind }).unwrap();
        let counts = Arc::clone(&self.counts);
        let key = Key {
            asked: 7,
            question,
            whole: SECOND,
            depth,
            is_within: false,
            is_for_query: false,
        };
        self.questions.join(key, &self.tasks, || {
            Box::pin(async move {
                counts[0].fetch_add(1, Ordering::Relaxed);
                sleep(SECOND).await;
                counts[1].fetch_add(1, Ordering::Relaxed);
                Heard::failed("told")
            })
        })
    }

    fn counts(&self) -> [usize; 2] {
        [0, 1].map(|at| self.counts[at].load(Ordering::Relaxed))
    }

    fn open(&self) -> usize {
        self.questions.table().open.len()
    }
}

fn told() -> Heard {
    Heard::failed("told")
}

#[tokio::test(start_paused = true)]
async fn many_ask_and_one_question_is_asked() {
    let stage = Stage::new();
    let (one, two) = (stage.join("a.test", 0), stage.join("a.test", 0));
    // A look-up within this one does not wait for it.
    let within = stage.join("a.test", 1);
    assert_eq!(stage.open(), 2);
    let heard = tokio::join!(one.answer(), two.answer(), within.answer());
    assert_eq!(heard, (told(), told(), told()));
    assert_eq!((stage.counts(), stage.open()), ([2, 2], 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_takes_it_from_nobody() {
    let stage = Stage::new();
    let (first, second) = (stage.join("a.test", 0), stage.join("a.test", 0));
    assert!(timeout(SECOND / 2, first.answer()).await.is_err());
    // Who comes now joins, too.
    let third = stage.join("a.test", 0);
    drop(second);
    assert_eq!(timeout(SECOND, third.answer()).await, Ok(told()));
    assert_eq!(stage.counts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn with_the_last_one_it_ends() {
    let stage = Stage::new();
    let (first, second) = (stage.join("a.test", 0), stage.join("a.test", 0));
    drop(first);
    sleep(SECOND / 2).await;
    assert_eq!(stage.open(), 1);
    drop(second);
    sleep(SECOND).await;
    assert_eq!((stage.counts(), stage.open()), ([1, 0], 0));
    // ... and the next one asks anew.
    assert_eq!(stage.join("a.test", 0).answer().await, told());
    assert_eq!(stage.counts(), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_waited_for_goes_on_bounded() {
    let stage = Stage::new();
    let all: Vec<Hearing> = (0..MAX_LATE + 10)
        .map(|n| stage.join(&format!("n{n}.test"), 0))
        .collect();
    for one in all {
        assert!(!one.is_late());
        one.clone().leave_late(MAX_LATE);
        drop(one);
    }
    let next = stage.join("n0.test", 0);
    assert!(next.is_late());
    sleep(SECOND / 2).await;
    assert_eq!(stage.open(), MAX_LATE);
    assert_eq!(next.answer().await, told());
    sleep(SECOND).await;
    assert_eq!((stage.counts()[1], stage.open()), (MAX_LATE, 0));
    assert_eq!(stage.questions.table().late, 0);
}

#[tokio::test(start_paused = true)]
async fn stopped_tasks_answer_nobody_and_hold_nobody() {
    let stage = Stage::new();
    let waiting = stage.join("a.test", 0);
    sleep(SECOND / 2).await;
    stage.tasks.stop(Duration::ZERO).await;
    let ended = Heard::failed("the look-up was ended");
    assert_eq!(waiting.answer().await, ended);
    assert_eq!(stage.join("b.test", 0).answer().await, ended);
    assert_eq!(stage.open(), 0);
}
