//! What is dropped in the middle leaves nothing behind.

use std::cell::Cell;

use crate::dropping::dropped_at_each_wait;

#[tokio::test]
async fn each_wait_is_one_at_which_it_is_dropped() {
    let reached = Cell::new(0);
    let dropped = Cell::new(0);
    let work = || async {
        reached.set(0);
        for step in 1..=3 {
            tokio::task::yield_now().await;
            reached.set(step);
        }
        "done"
    };
    let (output, polls) = dropped_at_each_wait(work, async |times| {
        assert_eq!(reached.get(), times.saturating_sub(1));
        dropped.set(dropped.get() + 1);
    })
    .await;
    assert_eq!((output, polls, dropped.get()), ("done", 4, 4));
}
