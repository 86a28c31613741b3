//! Loading a configuration for an offline verb.

use std::path::{Path, PathBuf};

use pointsman_api::Problem as Wire;
use pointsman_api::problem::Related;
use pointsman_config::{Loaded, Problem, Problems, Setup, Severity, load};
use pointsman_os::local;

use crate::cli::Dialect;
use crate::files::ThisHost;
use crate::output::{Stop, complain};

/// Loads what `check` checks.
pub(crate) fn loaded(path: &Path, dialect: Dialect) -> Loaded {
    load(path, dialect.chosen(), state(), &ThisHost)
}

/// Loads a configuration that must be free of errors; they are told otherwise.
pub(crate) fn setup(path: &Path, dialect: Dialect) -> Result<Setup, Stop> {
    setup_and_problems(path, dialect).map(|(setup, _)| setup)
}

/// As [`setup`], with what else there is to say of it.
pub(crate) fn setup_and_problems(path: &Path, dialect: Dialect) -> Result<(Setup, Problems), Stop> {
    let loaded = loaded(path, dialect);
    match loaded.setup {
        Some(setup) => Ok((setup, loaded.problems)),
        None => {
            let errors = loaded
                .problems
                .0
                .iter()
                .filter(|p| p.severity == Severity::Error);
            for problem in errors {
                complain(wire(problem, &directory(path)).text);
            }
            Err(Stop::Failed(format!("{} has errors", path.display())))
        }
    }
}

/// The directory that relative paths of a configuration start from.
pub(crate) fn directory(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// A problem as it is printed and sent; its files begin where the caller stands.
pub(crate) fn wire(problem: &Problem, directory: &Path) -> Wire {
    let place = |file: &str| -> String {
        let path = Path::new(file);
        if path.is_absolute() || directory.as_os_str().is_empty() || path.starts_with(directory) {
            file.to_owned()
        } else {
            directory.join(path).display().to_string()
        }
    };
    let wire = Wire::from(problem);
    let file = place(&wire.file);
    let mut text = wire.text.replacen(&wire.file, &file, 1);
    let related = wire.related.map(|old| {
        let file = place(&old.file);
        let line = old.line;
        let stands = |file: &str| format!("\n  {file}:{line}:");
        text = text.replacen(&stands(&old.file), &stands(&file), 1);
        Related { file, ..old }
    });
    Wire {
        file,
        related,
        text,
        ..wire
    }
}

/// Where the daemon of this user keeps the lists that it fetched, unless it was told otherwise.
fn state() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    state_of(
        local::is_root(),
        variable("XDG_STATE_HOME"),
        variable("HOME"),
    )
}

fn state_of(root: bool, own: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    if root {
        return Some("/var/lib/pointsman".into());
    }
    let own = own.filter(|path| path.is_absolute());
    let own = own.or_else(|| home.map(|home| home.join(".local/state")));
    own.map(|path| path.join("pointsman"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_where_the_daemon_has_it() {
        let check = |root, own: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let found = state_of(root, own.map(Into::into), home.map(Into::into));
            assert_eq!(found.as_deref(), expected.map(Path::new));
        };
        check(true, Some("/s"), Some("/h"), Some("/var/lib/pointsman"));
        check(false, Some("/s"), Some("/h"), Some("/s/pointsman"));
        check(
            false,
            Some("s"),
            Some("/h"),
            Some("/h/.local/state/pointsman"),
        );
        check(false, None, Some("/h"), Some("/h/.local/state/pointsman"));
        check(false, None, None, None);
    }
}
