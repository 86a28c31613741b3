//! Lists in files, as a configuration names them.
//!
//! Invariant: a file that the user names must be there; a copy of what is fetched may be missing or
//! bad, then the set is empty until it is fetched, and that is told.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use pointsman_policy::set::RuleSet;

use crate::files::Stamp;
use crate::input::{Input, plain};
use crate::list::{
    ListFile, ListSource, MOST_OF_A_FILE, Origin, Recipe, Surroundings, Want, searched,
};
use crate::problem::{Problem, Problems, Severity, Span};

/// A list in a file, as a dialect's reader found it.
pub(crate) struct FileList<'a> {
    pub(crate) name: &'a str,
    /// As explanations name it.
    pub(crate) shown: &'a str,
    pub(crate) path: &'a Path,
    pub(crate) recipe: &'a Recipe,
    /// Whether it is a copy of what is fetched.
    pub(crate) fetched: bool,
    /// Where the configuration names it.
    pub(crate) place: &'a Span,
}

/// Reads a list in a file; pushes every problem. Answers with the set, and with which state of the file it holds.
pub(crate) fn load(
    list: &FileList<'_>,
    scope: &Surroundings,
    input: &Input<'_>,
    problems: &mut Problems,
) -> (RuleSet, Option<Stamp>) {
    let none = (RuleSet::new(list.name, ""), None);
    let most = list.recipe.limit.unwrap_or(MOST_OF_A_FILE);
    let opened = match input.files.open(list.path, most) {
        Ok(opened) => opened,
        Err(error) if list.fetched && error.kind() == io::ErrorKind::NotFound => {
            not_fetched(list.name, Some(list.path), input, list.place, problems);
            return none;
        }
        Err(error) if list.fetched => {
            unreadable_copy(list.shown, &error, list.place, problems);
            return none;
        }
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", list.shown);
            problems.error("missing-file", list.place, message);
            return none;
        }
    };
    let stamp = opened.stamp;
    let want = Want {
        name: list.name,
        file: list.shown,
        path: list.path,
        recipe: list.recipe,
    };
    match input.shelf.take(opened, &want, scope) {
        Ok((set, told)) => {
            let mut own = problems.apart();
            told.report(list.shown, list.recipe.strict, &mut own);
            name(list, &mut own);
            problems.absorb(own);
            input.lists.borrow_mut().push(ListFile {
                name: list.name.into(),
                origin: Origin::File {
                    path: list.path.to_owned(),
                    shown: list.shown.into(),
                    recipe: list.recipe.clone(),
                    scope: scope.clone(),
                },
            });
            (set, Some(stamp))
        }
        Err(error) => {
            let mut own = problems.apart();
            error.report(list.shown, Some(list.place), &mut own);
            name(list, &mut own);
            for problem in own.0.iter_mut().filter(|_| list.fetched) {
                problem.severity = Severity::Warning;
                problem.hint = Some(EMPTY.into());
            }
            problems.absorb(own);
            none
        }
    }
}

/// Says of problems which rule set they are of, and where that is named.
fn name(list: &FileList<'_>, problems: &mut Problems) {
    let elsewhere = |problem: &&mut Problem| problem.span != *list.place;
    for problem in problems.0.iter_mut().filter(elsewhere) {
        let why = format!("rule set `{}` reads this list", list.name);
        problem.related = Some((list.place.clone(), why));
    }
}

/// Whether a text is an address that lists are fetched from.
///
/// # Errors
/// A sentence, without the text: a login or a token may stand in it.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    let schemes = ["https://", "http://"];
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let fault = |c: char| c.is_whitespace() || c.is_control();
    match host {
        Some(host) if host.contains('@') => {
            Err("a list's `url` has no login: it would be sent on and logged".to_owned())
        }
        Some(host) if !host.is_empty() && !text.contains(fault) => Ok(()),
        _ => Err("this is no `http://` or `https://` address".to_owned()),
    }
}

/// Refuses lists that are fetched from two addresses to one file: each would be taken for the other. One address that
/// holds many lists may have one file.
pub(crate) fn check_places(sources: &[ListSource], problems: &mut Problems) {
    let mut first: HashMap<PathBuf, &ListSource> = HashMap::new();
    for source in sources {
        let Some(path) = &source.path else { continue };
        match first.entry(plain(path)) {
            Entry::Vacant(free) => {
                free.insert(source);
            }
            Entry::Occupied(taken) if taken.get().url == source.url => {}
            Entry::Occupied(taken) => {
                let (one, other) = (&source.name, &taken.get().name);
                let message = format!(
                    "`{one}` is fetched to the file of `{other}`: each would replace the other's list"
                );
                let problem = problems.error("duplicate-path", &source.span, message);
                problem.related = Some((taken.get().span.clone(), "first here".into()));
                problem.hint =
                    Some("give each list a `path` of its own, or leave `path` out".into());
            }
        }
    }
}

/// Tells that a set is empty because its list was never fetched, and where its copy was looked for.
pub(crate) fn not_fetched(
    name: &str,
    copy: Option<&Path>,
    input: &Input<'_>,
    place: &Span,
    problems: &mut Problems,
) {
    let message = format!("`{name}` was not fetched yet: it is empty");
    problems.warning("not-fetched", place, message).hint =
        Some(searched(copy, input.state.as_deref()));
}

/// Tells that a set is empty because nobody may read its copy.
pub(crate) fn unreadable_copy(
    shown: &str,
    error: &io::Error,
    place: &Span,
    problems: &mut Problems,
) {
    let message = format!("`{shown}` cannot be read: {error}");
    problems.warning("missing-file", place, message).hint = Some(EMPTY.into());
}

const EMPTY: &str = "it is empty until it is fetched again";

/// The name of the copy of what is fetched under a name: `rules-ads`.
pub(crate) fn copy_name(kind: &str, name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || c == '-';
    let mut copy = format!("{kind}-");
    copy.extend(name.chars().map(|c| if safe(c) { c } else { '_' }));
    if !name.chars().all(|c| safe(c) || c == '_') {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        copy.push_str(&format!("-{:016x}", hasher.finish()));
    }
    copy
}
