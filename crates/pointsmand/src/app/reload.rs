//! How a configuration comes into force: read, prepared, committed.
//!
//! Invariants: what has begun goes to its end, whoever asked and left; whoever leaves before its turn has begun nothing.
//! Reading and preparing end when the daemon is asked to end. The commit neither waits nor is divided: from one moment on
//! the plane, what it listens on, the configuration, what it was read from and what waits for confirmation are those of
//! the new generation.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pointsman_config::{Problems, Setup};
use pointsman_net::plane::{Prepared, Retired};
use pointsman_net::spec::Number;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::book::Pending;
use super::{App, blind, hints};
use crate::candidate::{Checked, Occasion, Refused, read};
use crate::dependencies::Dependencies;
use crate::{mapping, selections};

/// A configuration that could come into force; dropping it changes nothing.
pub(super) struct Ready {
    number: Number,
    setup: Arc<Setup>,
    /// What it was read from.
    asked: Dependencies,
    prepared: Prepared,
}

/// For how long a configuration comes into force.
#[derive(Clone, Copy, Debug)]
pub(super) enum Terms {
    ForGood,
    /// Unless it is confirmed.
    For(Duration),
    /// In the place of that one, if it still waits for confirmation.
    Instead(Number),
}

/// What is to be said of a configuration that was taken.
#[derive(Debug)]
pub(crate) struct ReloadReport {
    /// Its warnings and notes.
    pub(crate) problems: Problems,
    /// That it was rolled back before.
    pub(crate) before: Option<String>,
    /// That it is on trial and the next daemon would not know; what was selected and is gone with the configuration
    /// before.
    pub(crate) warnings: Vec<String>,
}

impl App {
    /// Puts a checked configuration in force: the first one.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        setup: Setup,
        asked: Dependencies,
    ) -> Result<(), Refused> {
        let number = Number {
            load: 1,
            refresh: 0,
        };
        self.recall();
        let content = asked.content;
        let ready = self.prepare(Arc::new(setup), asked, number).await?;
        let (retired, _none_before) = self.commit(ready, Terms::ForGood)?;
        retired.retire().await;
        self.recall_setback();
        if let Some(before) = self.taken_at_start(content).await {
            tracing::warn!("{before}");
        }
        self.warn_of_blindness().await;
        self.warn_of_strays();
        self.settle();
        Ok(())
    }

    async fn warn_of_blindness(&self) {
        let setup = self.generation().1;
        let told = tokio::task::spawn_blocking(move || blind::of(&setup)).await;
        for told in told.unwrap_or_default() {
            tracing::warn!("{told}");
        }
    }

    /// What was selected and counted before, for the first flow already.
    fn recall(&self) {
        if let Some(state) = &self.origin.state {
            let kept = selections::load(state).into_iter();
            let names = kept.map(|(group, member)| (group.into(), member.into()));
            self.plane.restore(names);
        }
        self.plane.recall(self.counts.load());
    }

    /// Reads the configuration again and puts it in force, or changes nothing; with `confirm_within` only for so
    /// long, unless it is confirmed.
    ///
    /// Answers with the configuration's warnings and notes. Dropping it before its turn has it not begun; after that it
    /// goes to its end.
    pub(crate) async fn reload(
        self: &Arc<Self>,
        confirm_within: Option<Duration>,
    ) -> Result<ReloadReport, Refused> {
        self.reload_as(confirm_within, false).await
    }

    /// As [`Self::reload`], unless it is what was rolled back.
    pub(super) async fn reload_unasked(self: &Arc<Self>) -> Result<ReloadReport, Refused> {
        self.reload_as(None, true).await
    }

    async fn reload_as(
        self: &Arc<Self>,
        confirm_within: Option<Duration>,
        unasked: bool,
    ) -> Result<ReloadReport, Refused> {
        let turn = self.turn().await?;
        let app = Arc::clone(self);
        self.to_its_end(async move {
            let _turn = turn;
            app.reload_now(confirm_within, unasked).await
        })
        .await
    }

    async fn reload_now(
        self: &Arc<Self>,
        confirm_within: Option<Duration>,
        unasked: bool,
    ) -> Result<ReloadReport, Refused> {
        let terms = confirm_within.map_or(Terms::ForGood, Terms::For);
        let ready = tokio::select! {
            biased;
            () = self.stopped() => Err(Refused::Stopping),
            ready = self.read_anew(unasked) => ready,
        };
        let committed = match ready {
            Ok((ready, problems)) => self.put_in_force(ready, problems, terms).await,
            Err(why) => Err(why),
        };
        let [taken, refused] = &self.reloads;
        match committed {
            Ok((retired, news)) => {
                taken.fetch_add(1, Ordering::Relaxed);
                tracing::info!(generation = %self.generation().0, "reloaded");
                self.log.problems(&news.problems);
                if let Some(before) = &news.before {
                    tracing::warn!("{before}");
                }
                retired.retire().await;
                self.settle();
                self.warn_of_blindness().await;
                Ok(news)
            }
            Err(why @ Refused::RolledBack) => {
                tracing::warn!("not reloaded: {why}; `pointsman reload` takes it nevertheless");
                Err(why)
            }
            Err(why) => {
                refused.fetch_add(1, Ordering::Relaxed);
                self.log.refused(&why);
                self.changed("refused", None, Some(why.to_string()));
                Err(why)
            }
        }
    }

    async fn put_in_force(
        self: &Arc<Self>,
        ready: Ready,
        problems: Problems,
        terms: Terms,
    ) -> Result<(Retired, ReloadReport), Refused> {
        let content = ready.asked.content;
        let is_trial = matches!(terms, Terms::For(_));
        let unwritten = match is_trial {
            true => self.begin_trial(content).await,
            false => None,
        };
        let committed = self.commit(ready, terms);
        if is_trial && committed.is_err() {
            let _in_the_log = self.end_trial().await;
        }
        let (retired, lost) = committed?;
        let taken = ReloadReport {
            problems,
            before: self.taken(content).await,
            warnings: unwritten.into_iter().chain(lost).collect(),
        };
        Ok((retired, taken))
    }

    async fn read_anew(&self, unasked: bool) -> Result<(Ready, Problems), Refused> {
        self.refuse_while_awaiting()?;
        let occasion = Occasion::Reload(self.generation().1);
        let (checked, asked) = read(self.origin.clone(), occasion).await?;
        if unasked && self.was_rolled_back(asked.content) {
            return Err(Refused::RolledBack);
        }
        let prepared = match checked {
            Ok(Checked { setup, problems }) => {
                let ready = self.prepare(Arc::new(setup), asked.clone(), self.next());
                ready.await.map(|ready| (ready, problems))
            }
            Err(refused) => Err(refused),
        };
        prepared.inspect_err(|refused| {
            self.refused(asked.content, refused);
            self.asked.send_modify(|loads| loads.last = asked);
        })
    }

    /// Waits until no other reload is under way.
    pub(super) async fn turn(&self) -> Result<OwnedMutexGuard<()>, Refused> {
        self.turn_of(&self.reloading).await
    }

    /// Waits until no other replay is under way.
    pub(crate) async fn turn_to_replay(&self) -> Result<OwnedMutexGuard<()>, Refused> {
        self.turn_of(&self.replaying).await
    }

    async fn turn_of(
        &self,
        line: &Arc<tokio::sync::Mutex<()>>,
    ) -> Result<OwnedMutexGuard<()>, Refused> {
        tokio::select! {
            biased;
            () = self.stopped() => Err(Refused::Stopping),
            turn = Arc::clone(line).lock_owned() => Ok(turn),
        }
    }

    /// Runs `work` in a task of its own: it goes on where whoever asked for it left.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Refused> {
        let (done, told) = oneshot::channel();
        self.tasks.spawn(async move {
            let result = work.await;
            // Whoever asked may have left.
            let _ = done.send(result);
        });
        told.await.unwrap_or(Err(Refused::Stopping))
    }

    /// The number of the next configuration.
    pub(super) fn next(&self) -> Number {
        Number {
            load: self.generation().0.load + 1,
            refresh: 0,
        }
    }

    /// Gets all that a configuration needs.
    pub(super) async fn prepare(
        &self,
        setup: Arc<Setup>,
        asked: Dependencies,
        number: Number,
    ) -> Result<Ready, Refused> {
        let spec = mapping::spec(&setup, number, &self.names);
        let prepared = self.plane.prepare(spec).await;
        let prepared = prepared.map_err(|error| Refused::Apply(hints::told(&error)))?;
        Ok(Ready {
            number,
            setup,
            asked,
            prepared,
        })
    }

    /// Puts it in force. Answers also with what was selected and is gone, which is in the log then.
    ///
    /// # Errors
    /// The daemon is asked to end, or what it should replace was confirmed; then nothing has changed.
    pub(super) fn commit(
        self: &Arc<Self>,
        ready: Ready,
        terms: Terms,
    ) -> Result<(Retired, Vec<String>), Refused> {
        let Ready {
            number,
            setup,
            asked,
            prepared,
        } = ready;
        let mut book = self.book();
        if self.stopping() {
            return Err(Refused::Stopping);
        }
        if let Terms::Instead(waiting) = terms
            && !book.waits(waiting)
        {
            return Err(Refused::Awaiting(format!(
                "generation {waiting} was confirmed"
            )));
        }
        let earlier = self.plane.in_force();
        let earlier = earlier.map(|it| (it.number(), Arc::clone(it.about())));
        let lost = earlier
            .as_ref()
            .map_or_else(Vec::new, |(_, before)| self.lost(before, &setup));
        let about = Arc::clone(&setup);
        self.names.limit(&setup.cache);
        let retired = match terms {
            Terms::For(_) => self.plane.commit_on_trial(prepared, about),
            Terms::ForGood | Terms::Instead(_) => self.plane.commit(prepared, about),
        };
        if let Some(earlier) = earlier.clone() {
            book.replaced(earlier, number.load);
        }
        book.pending = match (terms, earlier) {
            (Terms::For(within), Some(earlier)) => {
                let asked = self.asked.borrow().in_force.clone();
                Some(Pending::new(number, earlier, asked, within))
            }
            _ => None,
        };
        let is_back = matches!(terms, Terms::Instead(_));
        self.asked.send_modify(|loads| {
            if !is_back {
                loads.last = asked.clone();
            }
            loads.in_force = asked;
        });
        // What is back read nothing anew: what it needs is not known to be asked for.
        book.unswept = !is_back;
        let until = book.pending.as_ref().map(Pending::until);
        drop(book);
        self.log.set(setup.log.level.as_deref());
        self.loads.send_replace(number.load);
        match (terms, until) {
            (_, Some(until)) => self.await_confirmation(number, until),
            (Terms::Instead(_), None) => self.changed("rolled-back", None, None),
            _ => self.changed("in-force", None, None),
        }
        for told in &lost {
            tracing::warn!("{told}");
        }
        Ok((retired, lost))
    }

    /// Gives back what only the reading of a configuration needed, and removes compiled lists that are of no use any
    /// more; not while the configuration that needs them may come back.
    pub(super) fn settle(&self) {
        let sweep = {
            let mut book = self.book();
            book.pending.is_none() && std::mem::take(&mut book.unswept)
        };
        if sweep {
            self.origin.shelf.sweep();
            let setup = self.generation().1;
            let copies = setup.sources.iter().filter_map(|list| list.path.as_deref());
            self.origin.spares.keep(&copies.collect());
        }
        if let Some(trouble) = self.origin.shelf.trouble() {
            tracing::warn!("{trouble}");
        }
        // Reading lists takes far more than what is kept of them.
        pointsman_os::memory::give_back();
    }
}

#[cfg(test)]
#[path = "../../../pointsman-net/tests/support/drops.rs"]
mod dropping;
#[cfg(test)]
mod tests;
