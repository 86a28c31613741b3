//! A reload that is rolled back unless somebody confirms it.
//!
//! Invariant: while one waits, no other configuration comes into force; it ends by confirmation, by rolling back, or
//! with the daemon. Rolling back puts the earlier configuration in force as it was read then, listeners included.
//! Files are not touched: the next start reads what is on disk.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pointsman_api::daemon::{Awaiting, Change};
use pointsman_config::Setup;
use pointsman_net::generation::Number;
use pointsman_net::record::rfc3339;
use tokio::time::Instant;

use super::{App, Refused};

/// What is in force for now.
#[derive(Debug)]
pub(super) struct Pending {
    generation: Number,
    earlier: (Number, Arc<Setup>),
    until: Instant,
    until_ms: u64,
}

impl Pending {
    fn told(&self) -> Awaiting {
        let left = self.until.saturating_duration_since(Instant::now());
        Awaiting {
            generation: self.generation.to_string(),
            earlier: self.earlier.0.to_string(),
            until: rfc3339(self.until_ms),
            remaining_ms: millis(left),
        }
    }
}

impl App {
    /// What waits for confirmation.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.as_ref().map(Pending::told)
    }

    /// Keeps what is in force for now; `false` where nothing waits.
    pub(crate) async fn confirm(&self) -> bool {
        let _one_at_a_time = self.reloading.lock().await;
        let Some(pending) = self.take_pending(None) else {
            return false;
        };
        tracing::info!(generation = %pending.generation, "confirmed");
        self.changed("confirmed", None, None);
        true
    }

    /// Rolls back to `earlier` after `within`, unless the generation in force is confirmed before.
    pub(super) fn await_confirmation(
        self: &Arc<Self>,
        earlier: (Number, Arc<Setup>),
        within: Duration,
    ) {
        let generation = self.generation().0;
        let until = Instant::now() + within;
        let pending = Pending {
            generation,
            earlier,
            until,
            until_ms: crate::unix_ms().saturating_add(millis(within)),
        };
        let awaiting = pending.told();
        tracing::warn!(
            %generation,
            "awaiting confirmation until {}, else generation {} comes back",
            awaiting.until,
            awaiting.earlier
        );
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending);
        self.changed("awaiting-confirmation", Some(awaiting.until), None);
        let app = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(until) => app.roll_back(generation).await,
                () = app.stopped() => {}
            }
        });
    }

    /// Rolls that generation back where it still waits.
    async fn roll_back(&self, generation: Number) {
        let _one_at_a_time = self.reloading.lock().await;
        let Some(pending) = self.take_pending(Some(generation)) else {
            return;
        };
        let (number, setup) = pending.earlier;
        match self.put_in_force(setup, self.next()).await {
            Ok(()) => {
                let now = self.generation().0;
                tracing::warn!(
                    "generation {generation} was not confirmed: {number} is back, as generation {now}"
                );
                self.changed("rolled-back", None, None);
            }
            Err(why) => {
                tracing::error!(
                    "generation {generation} was not confirmed, and {number} cannot come back: {why}"
                );
                self.changed("rollback-failed", None, Some(why.to_string()));
            }
        }
    }

    /// Why nothing else may come into force now.
    pub(super) fn refuse_while_awaiting(&self) -> Result<(), Refused> {
        match self.awaiting() {
            None => Ok(()),
            Some(Awaiting {
                generation, until, ..
            }) => Err(Refused::Awaiting(format!(
                "generation {generation} is awaiting confirmation until {until}; `pointsman reload --confirm` \
                 keeps it, else it is rolled back then"
            ))),
        }
    }

    /// Tells those who listen what became of the configuration.
    pub(super) fn changed(&self, what: &str, until: Option<String>, why: Option<String>) {
        let generation = self.generation().0.to_string();
        // Without listeners it is nobody's news.
        let _ = self.changes.send(Change {
            what: what.to_owned(),
            generation,
            until,
            why,
        });
    }

    fn take_pending(&self, generation: Option<Number>) -> Option<Pending> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.take_if(|pending| generation.is_none_or(|number| pending.generation == number))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
