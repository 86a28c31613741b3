//! A reload that is rolled back unless somebody confirms it.
//!
//! Invariant: while one waits, no other configuration comes into force; it ends by confirmation, by rolling back (in time
//! where somebody asks for it), or with the daemon. Rolling back puts the earlier configuration in force as it was read then, listeners included: sockets
//! that were handed over are held until then. Addresses that the one on trial gave up are not, so another program may have
//! them by then: the one on trial stays, and that is told; where somebody asked, it goes on waiting.
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

/// What came back.
#[derive(Debug)]
pub(crate) struct Back {
    /// The number that it had.
    pub(crate) earlier: Number,
    /// What was selected and is gone.
    pub(crate) lost: Vec<String>,
}

/// Why a generation is rolled back.
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// Somebody asked for it.
    Asked,
    /// Its time is over.
    Late,
}

impl Cause {
    /// As the log begins it.
    fn told(self, generation: Number) -> String {
        match self {
            Self::Asked => format!("generation {generation} was rolled back on request"),
            Self::Late => format!("generation {generation} was not confirmed"),
        }
    }

    /// As it is remembered.
    fn why(self, generation: Number) -> String {
        match self {
            Self::Asked => format!("somebody asked to roll generation {generation} back"),
            Self::Late => format!("nobody confirmed generation {generation}"),
        }
    }
}

impl App {
    /// What waits for confirmation.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        self.book().pending.as_ref().map(Pending::told)
    }

    /// Keeps what is in force for now, and answers with what is to be said of that; `None` where nothing waits. It waits for nobody: until the earlier configuration
    /// is back, a confirmation is in time.
    ///
    /// Dropping it takes nothing back.
    pub(crate) async fn confirm(self: &Arc<Self>) -> Option<Vec<String>> {
        let pending = self.book().pending.take()?;
        self.plane.end_trial();
        tracing::info!(generation = %pending.generation, "confirmed");
        self.changed("confirmed", None, None);
        self.settle();
        self.pay();
        let unwritten = self.end_trial().await;
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

    /// Rolls back at once what waits for confirmation; `None` where nothing waits, also because it was confirmed meanwhile.
    /// Where the earlier one cannot come back nothing has changed. As with a reload, what has begun goes to its end.
    pub(crate) async fn take_back(self: &Arc<Self>) -> Result<Option<Back>, Refused> {
        let turn = self.turn().await?;
        let app = Arc::clone(self);
        self.to_its_end(async move {
            let _turn = turn;
            let waiting = app.book().pending.as_ref().map(|it| it.generation);
            let Some(generation) = waiting else {
                return Ok(None);
            };
            match app.bring_back(generation, Cause::Asked).await {
                Err(Refused::Awaiting(_confirmed)) => Ok(None),
                back => back,
            }
        })
        .await
    }

    /// Rolls that generation back where it still waits. It waits until the earlier one is back.
    async fn roll_back(self: &Arc<Self>, generation: Number) {
        // At its end the daemon rolls nothing back.
        let Ok(_turn) = self.turn().await else { return };
        let Err(why) = self.bring_back(generation, Cause::Late).await else {
            return;
        };
        if matches!(why, Refused::Stopping) {
            return;
        }
        let waited = {
            let mut book = self.book();
            book.pending.take_if(|it| it.is_of(generation))
        };
        // Else it was confirmed meanwhile.
        let Some(waited) = waited else { return };
        let content = self.asked.borrow().in_force.content;
        self.plane.end_trial();
        let told = format!(
            "generation {generation} was not confirmed, and {} cannot come back: {why}",
            waited.earlier.0
        );
        tracing::error!("{told}");
        self.not_rolled_back(content, told).await;
        self.changed("rollback-failed", None, Some(why.to_string()));
        self.settle();
        self.pay();
    }

    /// Puts in force again what was in force before that generation, where that still waits. It is asked for in turn.
    async fn bring_back(
        self: &Arc<Self>,
        generation: Number,
        cause: Cause,
    ) -> Result<Option<Back>, Refused> {
        let earlier = {
            let book = self.book();
            let pending = book.pending.as_ref().filter(|it| it.is_of(generation));
            pending.map(|pending| (pending.earlier.clone(), pending.earlier_asked.clone()))
        };
        let Some(((number, setup), earlier_asked)) = earlier else {
            return Ok(None);
        };
        let ready = tokio::select! {
            biased;
            () = self.stopped() => Err(Refused::Stopping),
            ready = self.prepare(setup, earlier_asked, self.next()) => ready,
        };
        let watched = self.generation().1.watch;
        // As long as it waited, nothing else was read.
        let content = self.asked.borrow().in_force.content;
        let (retired, lost) = self.commit(ready?, Terms::Instead(generation))?;
        let now = self.generation().0;
        self.not_kept(content, cause.why(generation)).await;
        // What the earlier one watches is watched again; what changed there meanwhile nobody heard.
        if self.generation().1.watch && !watched {
            let mut book = self.book();
            book.owed = book.owed.max(Some(Asker::Change));
        }
        tracing::warn!(
            "{}: {number} is back, as generation {now}",
            cause.told(generation)
        );
        self.pay();
        retired.retire().await;
        self.settle();
        Ok(Some(Back {
            earlier: number,
            lost,
        }))
    }

    /// Why nothing else may come into force now.
    pub(super) fn refuse_while_awaiting(&self) -> Result<(), Refused> {
        match self.awaiting() {
            None => Ok(()),
            Some(Awaiting {
                generation, until, ..
            }) => Err(Refused::Awaiting(format!(
                "generation {generation} is awaiting confirmation until {until}; `pointsman reload --confirm` \
                 keeps it, `--roll-back` takes it back at once, else it is rolled back then"
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
