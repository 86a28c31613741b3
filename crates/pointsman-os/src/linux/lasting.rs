//! What the kernel said of addresses and rules, kept for a second: a dump at each dial costs a host with many of them
//! more than the dial.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whoever changes an address or a rule waits no longer than that to see it heeded.
const LASTS: Duration = Duration::from_secs(1);

/// The last answer to one question.
pub(super) struct Lasting<T>(Mutex<Option<(Instant, Arc<[T]>)>>);

impl<T> Lasting<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The answer, asked for where there is none of the last second. Others wait meanwhile, and ask not themselves.
    ///
    /// # Errors
    /// Those of `ask`, which are not kept.
    pub(super) fn get(
        &self,
        now: Instant,
        ask: impl FnOnce() -> io::Result<Vec<T>>,
    ) -> io::Result<Arc<[T]>> {
        let mut kept = self.kept();
        if let Some((at, known)) = &*kept
            && now.saturating_duration_since(*at) < LASTS
        {
            return Ok(Arc::clone(known));
        }
        let known: Arc<[T]> = ask()?.into();
        *kept = Some((now, Arc::clone(&known)));
        Ok(known)
    }

    pub(super) fn forget(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<(Instant, Arc<[T]>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_asked_for_once_a_second() {
        let lasting = Lasting::new();
        let begun = Instant::now();
        let at = |millis, answer: i32| {
            let now = begun + Duration::from_millis(millis);
            lasting.get(now, || Ok(vec![answer])).unwrap()[0]
        };
        assert_eq!(
            [at(0, 1), at(999, 2), at(1000, 3), at(1500, 4)],
            [1, 1, 3, 3]
        );
        lasting.forget();
        assert_eq!(at(1500, 5), 5);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let lasting = Lasting::new();
        let now = Instant::now();
        let failed = lasting.get(now, || Err(io::ErrorKind::Other.into()));
        assert!(failed.is_err());
        assert_eq!(&*lasting.get(now, || Ok(vec![1])).unwrap(), [1]);
    }
}
