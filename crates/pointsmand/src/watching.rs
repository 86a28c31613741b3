//! `watch: true`: a reload when a file of the configuration changed.
//!
//! Directories are watched, not files: editors replace a file by renaming another onto it, and then a watch
//! on the file itself hears no more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::app::App;

/// An editor's burst of changes is one change; more would be felt as slowness.
const SETTLE: Duration = Duration::from_millis(200);

/// The watching of files, begun.
pub(crate) struct Watching {
    watcher: RecommendedWatcher,
    changes: mpsc::Receiver<Vec<PathBuf>>,
    watched: BTreeSet<PathBuf>,
}

impl Watching {
    /// Watches the files of the configuration in force from now on; `None` where the system cannot.
    pub(crate) fn begin(app: &App) -> Option<Self> {
        let (sender, changes) = mpsc::channel(64);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !event.kind.is_access()
            {
                // A full queue holds a change already.
                let _ = sender.try_send(event.paths);
            }
        });
        let watched = BTreeSet::new();
        match watcher {
            Ok(watcher) => {
                let mut watching = Self {
                    watcher,
                    changes,
                    watched,
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
            let changed = tokio::select! {
                changed = self.changes.recv() => changed,
                () = app.stopped() => return,
            };
            let Some(mut paths) = changed else { return };
            while let Ok(Some(more)) = timeout(SETTLE, self.changes.recv()).await {
                paths.extend(more);
            }
            let files = files(&app);
            let ours = |path: &PathBuf| {
                // A file that appears in a zone's directory counts as that directory's change.
                files.contains(path) || path.parent().is_some_and(|parent| files.contains(parent))
            };
            if app.generation().1.watch && paths.iter().any(ours) {
                // Its outcome is logged and counted there.
                let _ = app.reload(None).await;
            }
            self.attend(&app);
        }
    }

    /// Watches the directories of all files that the configuration in force was read from.
    fn attend(&mut self, app: &App) {
        if !app.generation().1.watch {
            return;
        }
        for file in files(app) {
            let itself = file.is_dir().then_some(file.as_path());
            for directory in [file.parent(), itself].into_iter().flatten() {
                if self.watched.contains(directory) {
                    continue;
                }
                match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.insert(directory.to_owned());
                    }
                    Err(error) => {
                        tracing::warn!("{} cannot be watched: {error}", directory.display());
                    }
                }
            }
        }
    }
}

fn files(app: &App) -> BTreeSet<PathBuf> {
    let (_, setup) = app.generation();
    setup.files.iter().map(|file| absolute(file)).collect()
}

/// Events carry absolute paths, whatever the command line said.
fn absolute(path: &Path) -> PathBuf {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    match (parent.canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}
