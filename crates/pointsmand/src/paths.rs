//! Where the daemon's files are, by user and environment.

use std::path::{Path, PathBuf};

use pointsman_config::files::Disk;
use pointsman_config::paths;

/// The configuration that is used where none is named; `None`: the embedded default.
pub(crate) fn configuration() -> Option<PathBuf> {
    paths::configuration(&Disk)
}

/// The directory of state: `--state`, else the service manager's, else by user.
pub(crate) fn state(argument: Option<&Path>, root: bool) -> Option<PathBuf> {
    paths::state(&Disk, argument, root)
}
