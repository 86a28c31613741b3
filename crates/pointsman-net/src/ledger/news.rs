//! What is told of flows while it happens.
//!
//! Invariant: telling never makes a flow wait. Queues are bounded; a reader that is too slow is told how many it
//! missed, and where nobody reads nothing is made.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::record::FlowRecord;

/// Events that a slow reader may lag behind.
const QUEUE: usize = 1024;

/// Flows as they end, and what rules say of them.
pub type Tail = broadcast::Receiver<News>;

/// Flows as they are decided, with what is known by then; also those that no rule decides.
pub type Decisions = broadcast::Receiver<Arc<FlowRecord>>;

/// Something that is heard at once.
#[derive(Clone, Debug)]
pub enum News {
    /// A flow has ended.
    Ended(Arc<FlowRecord>),
    /// A rule says something of a flow that it passes.
    Said {
        /// The flow's number.
        flow: u64,
        /// The subscription's number.
        id: u32,
        /// The text.
        text: Arc<str>,
    },
}

/// Those who hear.
#[derive(Debug)]
pub(crate) struct Readers {
    tail: broadcast::Sender<News>,
    decisions: broadcast::Sender<Arc<FlowRecord>>,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            tail: broadcast::Sender::new(QUEUE),
            decisions: broadcast::Sender::new(QUEUE),
        }
    }
}

impl Readers {
    pub(crate) fn tail(&self) -> Tail {
        self.tail.subscribe()
    }

    pub(crate) fn decisions(&self) -> Decisions {
        self.decisions.subscribe()
    }

    /// Tells the news; without readers it is nobody's.
    pub(super) fn tell(&self, news: impl FnOnce() -> News) {
        if self.tail.receiver_count() > 0 {
            let _ = self.tail.send(news());
        }
    }

    /// Tells that a flow was decided.
    pub(super) fn decided(&self, record: impl FnOnce() -> FlowRecord) {
        if self.decisions.receiver_count() > 0 {
            let _ = self.decisions.send(Arc::new(record()));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    #[test]
    fn who_is_too_slow_is_told_what_he_missed() {
        let readers = Readers::default();
        let news = |flow| News::Said {
            flow,
            id: 0,
            text: "".into(),
        };
        // Nobody reads: nothing is made.
        readers.tell(|| unreachable!("for nobody"));
        readers.decided(|| unreachable!("for nobody"));
        let mut tail = readers.tail();
        let all = QUEUE + 5;
        for flow in 0..all {
            readers.tell(|| news(flow as u64));
        }
        assert!(matches!(tail.try_recv(), Err(TryRecvError::Lagged(5))));
        let heard = std::iter::from_fn(|| tail.try_recv().ok());
        let flows: Vec<u64> = heard
            .map(|news| match news {
                News::Said { flow, .. } => flow,
                News::Ended(_) => 0,
            })
            .collect();
        assert_eq!((flows.len(), flows[0]), (QUEUE, 5));
    }
}
