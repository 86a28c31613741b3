//! Reloads that are asked for by those who hear no answer: signals, and changes of files.
//!
//! Invariant: none is lost that comes during a trial. It is made up for once the trial has ended. What was rolled back comes
//! into force by none of them: only where something else stands on disk by now, or a person asks who hears the answer.

use std::sync::Arc;

use super::App;
use crate::candidate::Refused;

/// Who asks for a reload and hears no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    /// A file changed, and files are watched.
    Change,
    /// A person or a service manager, by a signal.
    Signal,
}

impl App {
    /// Reloads, unless what stands on disk is what was rolled back; during a trial, once that has ended. The outcome is
    /// logged and counted.
    pub(crate) async fn reload_for(self: &Arc<Self>, asker: Asker) {
        if let Err(Refused::Awaiting(_)) = self.reload_unasked().await {
            self.owe(asker);
        }
    }

    /// The trial has ended: makes up for what was asked for meanwhile.
    pub(super) fn pay(self: &Arc<Self>) {
        let owed = self.book().owed.take();
        if let Some(asker) = owed {
            self.make_up_for(asker);
        }
    }

    fn owe(self: &Arc<Self>, asker: Asker) {
        let mut book = self.book();
        if book.pending.is_none() {
            drop(book);
            // It ended in between.
            self.make_up_for(asker);
            return;
        }
        book.owed = book.owed.max(Some(asker));
        drop(book);
        tracing::info!(
            "the configuration is read again once the one on trial is confirmed or rolled back"
        );
    }

    fn make_up_for(self: &Arc<Self>, asker: Asker) {
        let app = Arc::clone(self);
        self.tasks.spawn(async move {
            if asker == Asker::Change && !app.generation().1.watch {
                return;
            }
            if let Err(Refused::Awaiting(_)) = app.reload_unasked().await {
                app.owe(asker);
            }
        });
    }
}
