//! Loading a configuration: which dialect it is, and its reader.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dialect::{self, Stranger, foreign::Document};
use crate::files::{Files, PIPES_WITHIN, Patience};
use crate::here;
use crate::input::{Input, MAX_FILE, text_of};
use crate::list::Shelf;
use crate::list_file;
use crate::own;
use crate::problem::{Form, Problems, Source};
use crate::setup::{Dialect, Setup};
use crate::unbuilt;
use crate::yaml::{self, Parsed, Value};

/// What a load came to.
#[derive(Debug)]
pub struct Loaded {
    /// The dialect that was read; `None` when not even that could be told.
    pub dialect: Option<Dialect>,
    /// The configuration; `None` when there are errors.
    pub setup: Option<Setup>,
    /// All problems, sorted.
    pub problems: Problems,
}

/// What a load goes by.
#[derive(Clone)]
pub struct Loading<'a> {
    /// The language; `None`: told by the file's shape.
    pub dialect: Option<Dialect>,
    /// Where copies of lists live that have no path of their own.
    pub state: Option<PathBuf>,
    /// Where files come from.
    pub files: &'a dyn Files,
    /// Where rule sets are found that were read before.
    pub shelf: &'a Shelf,
}

/// Loads the configuration at `path` (a file, or reflow's directory), once: its rule sets are shared
/// with no other load.
pub fn load(
    path: &Path,
    dialect: Option<Dialect>,
    state: Option<PathBuf>,
    files: &dyn Files,
) -> Loaded {
    let loading = Loading {
        dialect,
        state,
        files,
        shelf: &Shelf::fresh(),
    };
    load_with(path, loading)
}

/// Loads the configuration at `path` (a file, or reflow's directory).
pub fn load_with(path: &Path, loading: Loading<'_>) -> Loaded {
    let Loading {
        dialect,
        state,
        files,
        shelf,
    } = loading;
    let mut problems = Problems::default();
    let main = match files.is_directory(path) {
        Some(true) => path.join("config"),
        Some(false) | None => path.to_owned(),
    };
    let directory = main.parent().map(Path::to_owned).unwrap_or_default();
    let name = main
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    // A directory was named, and not what is in it.
    let read = match main == *path {
        true => files.read_handed(&main, MAX_FILE, PIPES_WITHIN),
        false => files.read(&main, MAX_FILE),
    };
    let text = match read.and_then(text_of) {
        Ok(text) => text,
        Err(error) => {
            let shown = main.display().to_string();
            let place = Source::new(&shown, String::new()).span(0, 0);
            let hint = match error.kind() {
                _ if main != *path => Some(in_directory(path, files)),
                io::ErrorKind::PermissionDenied => Some(
                    "who runs this may not read it, or may not enter a directory on the way to it"
                        .to_owned(),
                ),
                io::ErrorKind::NotFound if files.may_be_there(&main) => {
                    Some("it is a link that leads nowhere, or behind one".to_owned())
                }
                _ => None,
            };
            problems
                .error("unreadable", &place, format!("cannot be read: {error}"))
                .hint = hint;
            return Loaded {
                dialect,
                setup: None,
                problems,
            };
        }
    };
    let source = Source::new(&name, text);
    load_text(
        Input {
            source,
            path: main,
            directory,
            files,
            state,
            shelf,
            lists: RefCell::default(),
            patience: Patience::default(),
        },
        dialect,
        problems,
    )
}

/// What to say of a directory that is none of reflow's.
fn in_directory(path: &Path, files: &dyn Files) -> String {
    let names = |pattern| files.matching(path, pattern).unwrap_or_default();
    let all = ["*.yaml", "*.yml", "*.toml"].into_iter().flat_map(names);
    let found: Vec<String> = all
        .filter(|(_, is_directory)| !is_directory)
        .map(|(name, _)| format!("`{}`", path.join(name).display()))
        .take(MOST_NAMED + 1)
        .collect();
    let reflow = "a directory is a configuration where reflow's `config` is in it";
    match found.as_slice() {
        [] => reflow.to_owned(),
        [one] => format!("{reflow}; did you mean {one}?"),
        many => {
            let shown = many[..many.len().min(MOST_NAMED)].join(", ");
            format!("{reflow}; name one of the files: {shown}")
        }
    }
}

/// So many files of a directory are named.
const MOST_NAMED: usize = 5;

/// Loads a configuration whose main text is at hand (the embedded default, tests).
pub fn load_text(input: Input<'_>, dialect: Option<Dialect>, mut problems: Problems) -> Loaded {
    let (dialect, parsed) = match dialect {
        Some(dialect) => (dialect, None),
        None => match Document::tell(&input.source) {
            Err(parsed) => {
                let dialect = tell(&input.path, &parsed);
                let stranger = (dialect == Dialect::Native)
                    .then(|| dialect::stranger(&input.source.text, &parsed))
                    .flatten();
                if let Some(stranger) = stranger {
                    not_read(stranger, &input.source, &mut problems);
                    return Loaded {
                        dialect: None,
                        setup: None,
                        problems,
                    };
                }
                (dialect, Some(parsed))
            }
            Ok(foreign) => {
                foreign_configuration(&foreign, &input.source, &mut problems);
                return Loaded {
                    dialect: None,
                    setup: None,
                    problems,
                };
            }
        },
    };
    match dialect {
        Dialect::Reflow => input.source.written(Form::Reflow),
        Dialect::PolicyRouter => input.source.written(Form::Toml),
        Dialect::Bitflow | Dialect::Boltconn | Dialect::Native => {}
    }
    let parsed = || parsed.unwrap_or_else(|| Parsed::of(&input.source));
    let mut setup = match dialect {
        Dialect::Bitflow => dialect::bitflow::read(&input, parsed(), &mut problems),
        Dialect::Boltconn => dialect::boltconn::read(&input, parsed(), &mut problems),
        Dialect::Native => dialect::native::read(&input, parsed(), &mut problems),
        Dialect::PolicyRouter => dialect::policy_router::read(&input, &mut problems),
        Dialect::Reflow => dialect::reflow::read(&input, &mut problems),
    };
    if let Some(setup) = &mut setup {
        setup.lists = input.lists.take();
        own::check(setup, &mut problems);
        list_file::check_places(&setup.sources, &mut problems);
        here::check(setup, input.files, &mut problems);
        unbuilt::check(setup, &mut problems);
    }
    problems.sort();
    let mut setup = setup.filter(|_| !problems.has_errors());
    if let Some(setup) = &mut setup {
        setup.compile(input.shelf.key());
    }
    Loaded {
        dialect: Some(dialect),
        setup,
        problems,
    }
}

/// Says of a configuration that is converted and not served what to do.
fn foreign_configuration(foreign: &Document, source: &Arc<Source>, problems: &mut Problems) {
    let name = foreign.language().as_str();
    let message = format!("this is a {name} configuration, which is not served as it is");
    of_others(
        message,
        "`pointsman convert` makes a native one of it",
        source,
        problems,
    );
}

/// Says of a configuration that is not read at all what it is.
fn not_read(stranger: Stranger, source: &Arc<Source>, problems: &mut Problems) {
    let message = format!("this is {}, which is not read", stranger.what);
    of_others(message, stranger.todo, source, problems);
}

fn of_others(message: String, hint: &str, source: &Arc<Source>, problems: &mut Problems) {
    let first = source.text.find('\n').unwrap_or(source.text.len());
    problems
        .error("foreign-configuration", &source.span(0, first), message)
        .hint = Some(hint.to_owned());
}

/// Tells the dialect by the file's shape.
fn tell(path: &Path, parsed: &Parsed) -> Dialect {
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("toml"))
    {
        return Dialect::PolicyRouter;
    }
    if path.file_name().is_some_and(|n| n == "config") {
        return Dialect::Reflow;
    }
    let Some(Value::Map(pairs)) = parsed.root().map(|root| &root.value) else {
        return Dialect::Native;
    };
    let find = |name: &str| {
        let same = |key: &yaml::Node| key.scalar().is_some_and(|k| k.replace('-', "_") == name);
        pairs
            .iter()
            .find(|(key, _)| same(key))
            .map(|(_, value)| value)
    };
    if let Some(Value::Map(server)) = find("server").map(|node| &node.value)
        && server
            .iter()
            .any(|(key, _)| key.scalar() == Some("proxies"))
    {
        return Dialect::Bitflow;
    }
    if find("rule_local").is_some() || find("proxy_group").is_some() {
        return Dialect::Boltconn;
    }
    Dialect::Native
}
