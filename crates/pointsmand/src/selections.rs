//! Members that were selected, kept in the directory of state over restarts.
//!
//! A file that cannot be read or written is told in the log and never keeps the daemon from serving.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pointsman_os::local::{make_directory, read_regular, replace_private};

/// Group to member, by name.
pub(crate) type Selections = BTreeMap<String, String>;

const FILE: &str = "selections.json";

/// The largest file that is read, in bytes: some ten thousand groups.
const LARGEST: u64 = 1 << 20;

/// What was kept; empty where there is nothing.
pub(crate) fn load(state: &Path) -> Selections {
    let path = state.join(FILE);
    let bytes = match read_regular(&path, LARGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Selections::new(),
        Err(error) => {
            tracing::warn!("{}: {error}", path.display());
            return Selections::new();
        }
    };
    serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!("{} is not understood: {error}", path.display());
        Selections::new()
    })
}

/// Keeps them, in one step: a crash leaves the old file or the new one.
///
/// # Errors
/// Why they are not kept, with the path.
pub(crate) fn store(state: &Path, selections: &Selections) -> Result<(), String> {
    let path = state.join(FILE);
    let fresh = state.join(format!("{FILE}.new"));
    let write = || -> io::Result<()> {
        make_directory(state)?;
        replace_private(&path, &fresh, &serde_json::to_vec_pretty(selections)?)
    };
    write().map_err(|error| {
        let why = format!("{}: {error}", path.display());
        tracing::warn!("selections will not survive a restart: {why}");
        why
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("not/there/yet");
        assert!(load(&state).is_empty());
        let selections = Selections::from([("auto".into(), "privacy".into())]);
        store(&state, &selections).unwrap();
        assert_eq!(load(&state), selections);
        std::fs::write(state.join(FILE), "{").unwrap();
        assert!(load(&state).is_empty());
    }
}
