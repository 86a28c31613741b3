//! What was told last of what rules decided, so that no number falls from one answer to the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_net::plane::{Tallied, Tally};

/// What was told last of each rule, by its tally, which is kept so that no other has its address: a flow that ends is
/// for a moment neither among those that live nor among those that ended.
#[derive(Debug, Default)]
pub(crate) struct Hits(Mutex<HashMap<usize, (Arc<Tally>, Tallied)>>);

impl Hits {
    /// Those numbers, but none that is less than was told before. Rules that are gone are forgotten.
    pub(crate) fn told(&self, counted: Vec<(Arc<Tally>, Tallied)>) -> Vec<Tallied> {
        let mut before = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = HashMap::with_capacity(counted.len());
        let mut numbers = Vec::with_capacity(counted.len());
        for (tally, now) in counted {
            let place = Arc::as_ptr(&tally).addr();
            let then = before.get(&place).map(|(_, told)| *told);
            let then = then.unwrap_or_default();
            let most = Tallied {
                flows: now.flows.max(then.flows),
                bytes_sent: now.bytes_sent.max(then.bytes_sent),
                bytes_received: now.bytes_received.max(then.bytes_received),
                last_ms: now.last_ms.max(then.last_ms),
            };
            if most.flows > 0 {
                told.insert(place, (tally, most));
            }
            numbers.push(most);
        }
        *before = told;
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_ends_between_two_looks_makes_no_number_fall() {
        let hits = Hits::default();
        let (rule, other) = (Arc::<Tally>::default(), Arc::<Tally>::default());
        let told = |flows, bytes_sent| {
            let now = Tallied {
                flows,
                bytes_sent,
                ..Tallied::default()
            };
            let counted = vec![
                (Arc::clone(&rule), now),
                (Arc::clone(&other), Tallied::default()),
            ];
            let told = hits.told(counted);
            assert_eq!(told[1], Tallied::default());
            (told[0].flows, told[0].bytes_sent)
        };
        assert_eq!(told(3, 30), (3, 30));
        // It is neither live nor tallied.
        assert_eq!(told(2, 20), (3, 30));
        assert_eq!(told(3, 31), (3, 31));
        // A rule that is gone and comes back begins with what is tallied.
        assert!(hits.told(Vec::new()).is_empty());
        assert_eq!(told(1, 1), (1, 1));
    }
}
