//! `watch: true`: a reload when something changed that the configuration was read from.
//!
//! Directories are watched, not files: editors replace a file by renaming another onto it, and then a watch
//! on the file itself hears no more. Where the system told too much at once and left some out, all counts as changed
//! and is watched anew. What nobody asked for is dropped where it is heard, so that a log in the same
//! directory cannot hold a reload up.

mod wanted;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use self::wanted::Wanted;
use crate::app::{App, Asker, LoadsAsked};

/// An editor's burst of changes is one change; more would be felt as slowness.
const SETTLE: Duration = Duration::from_millis(200);

/// The longest that changes are waited out which do not end.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);

/// The watching of files, begun.
pub(crate) struct Watching {
    watcher: RecommendedWatcher,
    heard: Arc<WatchState>,
    watched: BTreeSet<PathBuf>,
    /// Loads, and what they asked for.
    loads: watch::Receiver<LoadsAsked>,
}

/// What the system's events are compared with, and what came of them.
#[derive(Default)]
struct WatchState {
    news: Mutex<News>,
    changed: Notify,
}

#[derive(Default)]
struct News {
    wanted: Wanted,
    /// Directories that came or went: their watches may be those of others by now.
    moved: BTreeSet<PathBuf>,
}

impl WatchState {
    fn hear(&self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.miss(),
            Ok(event) if event.kind.is_access() => {}
            Ok(event) => self.take_in(&event.paths),
            Err(error) => {
                tracing::warn!("watching files: {error}");
                self.miss();
            }
        }
    }

    /// Something was not told: it may have been any change.
    fn miss(&self) {
        self.lock().moved.insert(PathBuf::from("/"));
        self.changed.notify_one();
    }

    fn take_in(&self, paths: &[PathBuf]) {
        let mut news = self.lock();
        let mut any = false;
        for path in paths {
            if news.wanted.leads_through(path) {
                news.moved.insert(path.clone());
            } else if !news.wanted.concerns(path) {
                continue;
            }
            any = true;
        }
        if any {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// Watches what the configuration in force was read from; `None` where the system cannot.
    pub(crate) fn begin(app: &App) -> Option<Self> {
        let loads = app.asked();
        let heard = Arc::new(WatchState::default());
        let ears = Arc::clone(&heard);
        let watcher = notify::recommended_watcher(move |event| ears.hear(event));
        match watcher {
            Ok(watcher) => {
                let mut watching = Self {
                    watcher,
                    heard,
                    watched: BTreeSet::new(),
                    loads,
                };
                watching.attend(app);
                Some(watching)
            }
            Err(error) => {
                tracing::error!("configuration files cannot be watched: {error}");
                None
            }
        }
    }

    /// Reloads on changes until the daemon ends.
    pub(crate) async fn run(mut self, app: Arc<App>) {
        loop {
            tokio::select! {
                () = self.heard.changed.notified() => {
                    let until = Instant::now() + SETTLE_AT_MOST;
                    let more = || timeout(SETTLE, self.heard.changed.notified());
                    while Instant::now() < until && more().await.is_ok() {}
                    // First what is there by now is watched, then it is read: so nothing is missed in between.
                    self.attend(&app);
                    if app.generation().1.watch {
                        app.reload_for(Asker::Change).await;
                    }
                }
                // Whoever reloaded, it may be other files from now on.
                changed = self.loads.changed() => if changed.is_err() { return },
                () = app.stopped() => return,
            }
            self.attend(&app);
        }
    }

    /// Watches the directories of all that was asked for, by the configuration in force and by one that was refused
    /// since.
    fn attend(&mut self, app: &App) {
        let wanted = match app.generation().1.watch {
            true => Wanted::new(app),
            false => Wanted::default(),
        };
        let directories = wanted.directories();
        let moved = {
            let mut news = self.heard.lock();
            news.wanted = wanted;
            std::mem::take(&mut news.moved)
        };
        let over = |directory: &PathBuf| {
            !directories.contains(directory) || moved.iter().any(|it| directory.starts_with(it))
        };
        for directory in self.watched.extract_if(.., over) {
            // The watch of a directory that is gone has ended by itself.
            let _gone = self.watcher.unwatch(&directory);
        }
        for directory in directories {
            if self.watched.contains(&directory) {
                continue;
            }
            match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(directory);
                }
                Err(error) => {
                    tracing::warn!("{} cannot be watched: {error}", directory.display());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use notify::event::{AccessKind, Flag, ModifyKind};
    use notify::{Event, EventKind};

    use super::*;

    #[test]
    fn what_is_heard() {
        let check = |event: notify::Result<Event>, changed: bool, anew: bool| {
            let heard = WatchState::default();
            let told = format!("{event:?}");
            heard.hear(event);
            let waits = std::pin::pin!(heard.changed.notified()).enable();
            assert_eq!(waits, changed, "{told}");
            assert_eq!(heard.lock().moved.contains(Path::new("/")), anew, "{told}");
        };
        // The queue of events was full: none has a path.
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        check(Ok(overflow), true, true);
        check(Err(notify::Error::generic("no more")), true, true);
        let nobodys = Event::new(EventKind::Modify(ModifyKind::Any)).add_path("/c/log".into());
        check(Ok(nobodys), false, false);
        check(
            Ok(Event::new(EventKind::Access(AccessKind::Any))),
            false,
            false,
        );
    }
}
