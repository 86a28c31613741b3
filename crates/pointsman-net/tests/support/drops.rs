//! What is left of a future that is dropped at one of its waits: at the first, at the second, at each.
//!
//! For test targets, which take it in by `#[path]`.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// The waits that a future may have before the tests take it for one without an end.
const MOST: usize = 10_000;

/// Polls a future up to `times` times, each after it was woken, and drops it; `None` where it has not ended by then.
pub(crate) async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls what `make` makes n times and drops it, for n = 0, 1, 2 and so on until one ends by itself: its output, and
/// how often it was polled. After each that was dropped `look` asserts what has to hold.
///
/// # Panics
/// Where none ends.
pub(crate) async fn dropped_at_each_wait<F: Future>(
    mut make: impl FnMut() -> F,
    mut look: impl AsyncFnMut(usize),
) -> (F::Output, usize) {
    for times in 0..MOST {
        if let Some(output) = polled(times, make()).await {
            return (output, times);
        }
        look(times).await;
    }
    panic!("after {MOST} polls it has not ended");
}
