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

/// Watches until the daemon ends.
pub(crate) async fn run(app: Arc<App>) {
    let (sender, mut changes) = mpsc::channel::<Vec<PathBuf>>(64);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
        {
            // A full queue holds a change already.
            let _ = sender.try_send(event.paths);
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::error!("configuration files cannot be watched: {error}");
            return;
        }
    };
    let mut watched = BTreeSet::new();
    loop {
        let (_, setup) = app.generation();
        let files: BTreeSet<PathBuf> = setup.files.iter().map(|file| absolute(file)).collect();
        if setup.watch {
            attend(&mut watcher, &files, &mut watched);
        }
        let changed = tokio::select! {
            changed = changes.recv() => changed,
            () = app.stopped() => return,
        };
        let Some(mut paths) = changed else { return };
        while let Ok(Some(more)) = timeout(SETTLE, changes.recv()).await {
            paths.extend(more);
        }
        let ours = |path: &PathBuf| {
            // A file that appears in a zone's directory counts as that directory's change.
            files.contains(path) || path.parent().is_some_and(|parent| files.contains(parent))
        };
        if app.generation().1.watch && paths.iter().any(ours) {
            // Its outcome is logged and counted there.
            let _ = app.reload().await;
        }
    }
}

fn attend(
    watcher: &mut RecommendedWatcher,
    files: &BTreeSet<PathBuf>,
    watched: &mut BTreeSet<PathBuf>,
) {
    for file in files {
        for directory in [file.parent(), file.is_dir().then_some(file.as_path())]
            .into_iter()
            .flatten()
        {
            if watched.contains(directory) {
                continue;
            }
            match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(directory.to_owned());
                }
                Err(error) => tracing::warn!("{} cannot be watched: {error}", directory.display()),
            }
        }
    }
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
