//! Loading a configuration for an offline verb.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pointsman_api::problem::Related;
use pointsman_api::{Error as Refusal, Problem as Wire};
use pointsman_config::dialect::native::DEFAULT;
use pointsman_config::{Loaded, Problem, Problems, Setup, Severity, load, paths};
use pointsman_os::local;

use crate::files::ThisHost;
use crate::options::Dialect;
use crate::output::Stop;

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
            let told = loaded.problems.told();
            let errors = told.iter();
            let errors = errors.filter(|problem| problem.severity == Severity::Error);
            let directory = directory(path);
            let refusal = Refusal {
                error: format!("{} has errors", path.display()),
                code: "invalid-configuration".to_owned(),
                problems: errors.map(|problem| wire(problem, &directory)).collect(),
            };
            Err(Stop::Invalid(refusal, 1))
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

/// A file of a configuration in `directory`, as the caller can open it.
pub(crate) fn place(file: &str, directory: &Path) -> String {
    let path = Path::new(file);
    if path.is_absolute() || directory.as_os_str().is_empty() || path.starts_with(directory) {
        file.to_owned()
    } else {
        directory.join(path).display().to_string()
    }
}

/// A problem as it is printed and sent; its files begin where the caller stands.
pub(crate) fn wire(problem: &Problem, directory: &Path) -> Wire {
    let place = |file: &str| place(file, directory);
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

/// Says where state is kept, for all loads of this run.
pub(crate) fn set_state(said: Option<&Path>) {
    // Said once, before anything is loaded.
    let _ = STATE.set(said.map(Path::to_owned));
}

static STATE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Where the daemon of this user keeps the lists that it fetched.
pub(crate) fn state() -> Option<PathBuf> {
    let said = STATE.get().and_then(Option::as_deref);
    paths::state(&ThisHost, said, local::is_root())
}

/// What stands for a configuration where none is named and none is there.
const EMBEDDED: &str = "(embedded default)";

/// The configuration that the daemon would take where none is named, and the language that it is in.
pub(crate) fn default_configuration(dialect: Dialect) -> (PathBuf, Dialect) {
    match paths::configuration(&ThisHost) {
        Some(path) => (path, dialect),
        None => {
            ThisHost.pretend(EMBEDDED, DEFAULT);
            (EMBEDDED.into(), Dialect::Native)
        }
    }
}

/// Why it is the embedded default, and how a verb is told of another one.
pub(crate) fn none_there(verb: &str) -> String {
    let looked = paths::candidates(&ThisHost).into_iter();
    let looked: Vec<String> = looked.map(|path| path.display().to_string()).collect();
    format!(
        "; there is no {}: to {verb} another one, name it (`pointsman {verb} FILE`)",
        looked.join(" and no ")
    )
}

/// Whether that path is the embedded default's.
pub(crate) fn is_embedded(path: &Path) -> bool {
    path.as_os_str() == EMBEDDED
}
