//! A reload that is rolled back unless somebody confirms it.
//!
//! Invariant: while one waits, no other configuration comes into force; it ends by confirmation, by rolling back, or
//! with the daemon. Rolling back puts the earlier configuration in force as it was read then, listeners included: sockets
//! that were handed over are held until then. Addresses that the one on trial gave up are not, so another program may have
//! them by then: the one on trial stays, and that is told.
//! Files are not touched: the next start reads what is on disk.

use std::sync::Arc;

use pointsman_api::daemon::{Awaiting, Change};
use pointsman_net::spec::Number;
use tokio::time::Instant;

use super::App;
use super::book::Pending;
use super::owed::Asker;
use super::reload::Terms;
use crate::candidate::Refused;

impl App {
    /// What waits for confirmation.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        self.book().pending.as_ref().map(Pending::told)
    }

    /// Keeps what is in force for now, and answers with what is to be said of that; `None` where nothing waits. It waits for nobody: until the earlier configuration
    /// is back, a confirmation is in time.
    pub(crate) fn confirm(self: &Arc<Self>) -> Option<Vec<String>> {
        let pending = self.book().pending.take()?;
        self.plane.end_trial();
        let unwritten = self.end_trial();
        tracing::info!(generation = %pending.generation, "confirmed");
        self.changed("confirmed", None, None);
        self.settle();
        self.pay();
        Some(unwritten.into_iter().collect())
    }

    /// Tells that a generation waits, and rolls it back then.
    pub(super) fn await_confirmation(self: &Arc<Self>, generation: Number, until: Instant) {
        let Some(awaiting) = self.awaiting() else {
            return;
        };
        tracing::warn!(
            %generation,
            "awaiting confirmation until {}, else generation {} comes back",
            awaiting.until,
            awaiting.earlier
        );
        self.changed("awaiting-confirmation", Some(awaiting.until), None);
        let app = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(until) => app.roll_back(generation).await,
                () = app.stopped() => {}
            }
        });
    }

    /// Rolls that generation back where it still waits. It waits until the earlier one is back.
    async fn roll_back(self: &Arc<Self>, generation: Number) {
        // At its end the daemon rolls nothing back.
        let Ok(_turn) = self.turn().await else { return };
        let earlier = {
            let book = self.book();
            let pending = book.pending.as_ref().filter(|it| it.is_of(generation));
            pending.map(|pending| (pending.earlier.clone(), pending.earlier_asked.clone()))
        };
        let Some(((number, setup), earlier_asked)) = earlier else {
            return;
        };
        let ready = tokio::select! {
            biased;
            () = self.stopped() => Err(Refused::Stopping),
            ready = self.prepare(setup, earlier_asked, self.next()) => ready,
        };
        let watched = self.generation().1.watch;
        // As long as it waited, nothing else was read.
        let content = self.asked.borrow().in_force.content;
        let committed = ready.and_then(|ready| self.commit(ready, Terms::Instead(generation)));
        match committed {
            Ok((retired, _told)) => {
                let now = self.generation().0;
                self.not_confirmed(content, &generation.to_string());
                // What the earlier one watches is watched again; what changed there meanwhile nobody heard.
                if self.generation().1.watch && !watched {
                    let mut book = self.book();
                    book.owed = book.owed.max(Some(Asker::Change));
                }
                tracing::warn!(
                    "generation {generation} was not confirmed: {number} is back, as generation {now}"
                );
                self.pay();
                retired.retire().await;
                self.settle();
            }
            Err(Refused::Stopping) => {}
            Err(why) => {
                let waited = self.book().pending.take_if(|it| it.is_of(generation));
                // Else it was confirmed meanwhile.
                if waited.is_some() {
                    self.plane.end_trial();
                    let told = format!(
                        "generation {generation} was not confirmed, and {number} cannot come back: {why}"
                    );
                    tracing::error!("{told}");
                    self.not_rolled_back(content, told);
                    self.changed("rollback-failed", None, Some(why.to_string()));
                    self.settle();
                    self.pay();
                }
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
}
