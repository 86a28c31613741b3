//! Where the daemon's files are, by user and environment.

use std::path::{Path, PathBuf};

/// The configuration that is used without `--config`; `None`: the embedded default.
pub(crate) fn configuration() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let candidates = [user.or(home), Some(PathBuf::from("/etc"))];
    candidates
        .into_iter()
        .flatten()
        .map(|directory| directory.join("pointsman/pointsman.yaml"))
        .find(|path| path.exists())
}

/// The directory of state: `--state`, else the service manager's, else by user.
pub(crate) fn state(argument: Option<&Path>, root: bool) -> Option<PathBuf> {
    if let Some(path) = argument {
        return Some(path.to_owned());
    }
    // systemd.exec(5): set where the unit says StateDirectory=.
    if let Some(path) = std::env::var_os("STATE_DIRECTORY") {
        return Some(path.into());
    }
    if root {
        return Some("/var/lib/pointsman".into());
    }
    let own = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    Some(own.or(home)?.join("pointsman"))
}
