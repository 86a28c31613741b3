//! Flows that go to a proxy of this host, and that the proxy itself may have sent: nobody can tell.
//!
//! Invariant: a loop that cannot be seen ends. Each time round it is one more flow to the same destination by the same
//! outbound, and of those there are at most [`MOST`] at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::Host;
use tokio::time::Instant;

use crate::seldom::Seldom;

/// Such flows to one destination by one outbound. A browser has six connections to a host, a mirror or a crawler some
/// dozens. A loop takes two descriptors of the proxy's each time round: 512, of the 1,024 that a process has by
/// default, so that the proxy is there for others afterwards.
pub(crate) const MOST: usize = 256;

/// The outbound, and the destination with its port.
type Key = (Arc<str>, Host, u16);

/// The flows that may be those of a loop.
#[derive(Debug, Default)]
pub(crate) struct Doubtful {
    flows: Mutex<HashMap<Key, usize>>,
    full: Seldom,
}

/// One of them; ends with it. Few flows are, so it takes a word of each.
#[derive(Debug)]
pub(crate) struct Doubt {
    _held: Box<CountGuard>,
}

#[derive(Debug)]
struct CountGuard {
    all: Arc<Doubtful>,
    key: Key,
}

impl Doubtful {
    /// One more; `None` where there are as many as may be, which is told now and then.
    pub(crate) fn admit(
        self: &Arc<Self>,
        outbound: &Arc<str>,
        host: &Host,
        port: u16,
    ) -> Option<Doubt> {
        let key = (Arc::clone(outbound), host.clone(), port);
        let mut flows = self.flows();
        let count = flows.entry(key.clone()).or_default();
        if *count >= MOST {
            drop(flows);
            if self.full.is_due(Instant::now()) {
                tracing::warn!(
                    "loop guard: what goes by `{outbound}` looks like a loop: {MOST} flows of this host to one destination \
                     at once, and this daemon cannot tell whether the program behind `{outbound}` sends them; more of them \
                     are refused. Run that program as a user of its own and say `served_by: {{ user: NAME }}`"
                );
            }
            return None;
        }
        *count += 1;
        drop(flows);
        let all = Arc::clone(self);
        Some(Doubt {
            _held: Box::new(CountGuard { all, key }),
        })
    }

    fn flows(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        let mut flows = self.all.flows();
        if let Some(count) = flows.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                flows.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_so_many_to_one_destination_and_any_number_to_others() {
        let all = Arc::new(Doubtful::default());
        let core: Arc<str> = "core".into();
        let (a, b) = (
            Host::parse("a.test").unwrap(),
            Host::parse("b.test").unwrap(),
        );
        let mut held: Vec<Doubt> = (0..MOST)
            .map(|_| all.admit(&core, &a, 443).unwrap())
            .collect();
        assert!(all.admit(&core, &a, 443).is_none());
        for (outbound, host, port) in [(&core, &b, 443), (&core, &a, 80), (&"x".into(), &a, 443)] {
            assert!(all.admit(outbound, host, port).is_some());
        }
        held.pop();
        assert!(all.admit(&core, &a, 443).is_some());
        drop(held);
        assert!(all.flows().is_empty(), "nothing is left");
    }
}
