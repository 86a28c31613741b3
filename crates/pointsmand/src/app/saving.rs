//! What rules decided is saved: at intervals, and when the daemon ends.

use std::sync::Arc;
use std::time::Duration;

use super::App;

/// How often it is written: what a crash loses. The flash of a router is not for writing each minute.
const EVERY: Duration = Duration::from_secs(300);

impl App {
    /// Saves it at intervals, until the daemon ends.
    pub(crate) async fn save_counts_at_intervals(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.stopped() => return,
            }
            let rules = self.plane.remember();
            let writing = Arc::clone(&self);
            // What came of it is told there.
            let _done = tokio::task::spawn_blocking(move || writing.counts.store(rules)).await;
        }
    }

    /// Saves it for the last time.
    pub(crate) fn save_counts(&self) {
        self.counts.store(self.plane.remember());
    }
}
