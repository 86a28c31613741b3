//! `include:`: further files, put together with the main one before anything is read.
//!
//! Invariant: what comes out is one tree in which each node knows its own file; a name that two files
//! give is an error with both places. Deliberately absent: settings of the daemon as a whole (`log`,
//! `dns`, ...), which stand in the main file alone.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::input::{Input, MAX_FILE, plain, text_of};
use crate::problem::{Problems, Source, Span, nearest};
use crate::yaml::{self, Node, Value};

/// Files within files.
const MAX_DEPTH: usize = 16;
/// Files that a configuration may include.
const MAX_FILES: usize = 1_000;

/// Bytes of all included files together: as many as one file may have.
const MAX_BYTES: u64 = MAX_FILE;

/// Sections of names, in which included files come first.
const MAPS: [&str; 5] = ["inbounds", "outbounds", "forwards", "rule_sets", "policies"];
/// Sections of items in order: those of included files come before the includer's.
const LISTS: [&str; 2] = ["rules", "tests"];

/// The main file with what it includes; paths of files that were read are added to `files`.
pub(super) fn merged(
    root: Node,
    input: &Input<'_>,
    files: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Node {
    let mut includer = Includer {
        input,
        files,
        open: vec![plain(&input.path)],
        read: vec![plain(&input.path)],
        left: MAX_BYTES,
    };
    let directory = input.directory.clone();
    includer.with_included(root, &directory, problems)
}

struct Includer<'a, 'i> {
    input: &'a Input<'i>,
    files: &'a mut Vec<PathBuf>,
    /// The files that we are inside of.
    open: Vec<PathBuf>,
    /// Every file that was read: each is read once.
    read: Vec<PathBuf>,
    /// How many more bytes they may have.
    left: u64,
}

/// Files put together.
#[derive(Default)]
struct Whole {
    pairs: Vec<(Node, Node)>,
    /// Where each name of a section is defined, once a second file has that section.
    names: HashMap<&'static str, HashMap<String, Span>>,
}

impl Includer<'_, '_> {
    /// A file's tree with what it includes before it, without its `include`.
    fn with_included(&mut self, root: Node, directory: &Path, problems: &mut Problems) -> Node {
        let Node {
            value: Value::Map(mut pairs),
            span,
        } = root
        else {
            return root;
        };
        let at = pairs
            .iter()
            .position(|(key, _)| key.scalar() == Some("include"));
        let mut whole = Whole::default();
        if let Some(at) = at {
            let (_, patterns) = pairs.remove(at);
            for pattern in patterns_of(&patterns, problems) {
                for path in self.paths(pattern, directory, problems) {
                    if let Some(included) = self.file(&path, &pattern.span, problems) {
                        whole.add(included, problems);
                    }
                }
            }
        }
        whole.add(pairs, problems);
        Node {
            value: Value::Map(whole.pairs),
            span,
        }
    }

    /// The pairs of an included file and of what it includes.
    fn file(
        &mut self,
        path: &Path,
        place: &Span,
        problems: &mut Problems,
    ) -> Option<Vec<(Node, Node)>> {
        let own = plain(path);
        if let Some(at) = self.open.iter().position(|open| *open == own) {
            let circle = self.open[at..].iter().chain([&own]);
            let circle: Vec<String> = circle.map(|path| self.shown(path)).collect();
            let message = format!(
                "`{}` includes itself: {}",
                self.shown(&own),
                circle.join(" -> ")
            );
            problems.error("include-cycle", place, message).hint =
                Some("remove one of them".into());
            return None;
        }
        if self.read.contains(&own) {
            return None;
        }
        if self.open.len() > MAX_DEPTH || self.read.len() > MAX_FILES {
            let message =
                format!("at most {MAX_FILES} files are included, {MAX_DEPTH} within each other");
            problems.error("too-large", place, message);
            return None;
        }
        let text = match self.text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let message = format!(
                    "with `{}`, the included files have more than {MAX_BYTES} bytes",
                    self.shown(&own)
                );
                problems.error("too-large", place, message);
                return None;
            }
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", self.shown(&own));
                problems.error("missing-file", place, message);
                return None;
            }
        };
        self.files.push(path.to_owned());
        self.read.push(own.clone());
        let source = Source::new(&self.shown(&own), text);
        self.input.source.includes(&source);
        let root = yaml::parse(&source, problems)?;
        let Value::Map(pairs) = &root.value else {
            if !root.is_null() {
                let message = "an included file must be a mapping, as the main file is";
                problems.error("wrong-type", &super::first_line(&root.span), message);
            }
            return None;
        };
        allowed(pairs, problems);
        self.open.push(own);
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let whole = self.with_included(root, &directory, problems);
        self.open.pop();
        match whole.value {
            Value::Map(mut pairs) => {
                // `version` is the main file's; all else was told of.
                let section = |name: &str| MAPS.contains(&name) || LISTS.contains(&name);
                pairs.retain(|(key, _)| key.scalar().is_some_and(section));
                Some(pairs)
            }
            Value::List(_) | Value::Scalar(..) => None,
        }
    }

    fn text(&mut self, path: &Path) -> io::Result<String> {
        let bytes = self.input.files.read(path, self.left)?;
        self.left -= bytes.len() as u64;
        text_of(bytes)
    }

    /// A path as explanations name it.
    fn shown(&self, path: &Path) -> String {
        let directory = plain(&self.input.directory);
        let below = path.strip_prefix(&directory).unwrap_or(path);
        below.display().to_string()
    }

    /// The files that a pattern means, sorted.
    fn paths(&self, pattern: &Node, directory: &Path, problems: &mut Problems) -> Vec<PathBuf> {
        let Some(text) = pattern.text("a path", problems) else {
            return Vec::new();
        };
        if !text.contains(['*', '?']) {
            return vec![directory.join(text)];
        }
        let mut found = vec![directory.to_owned()];
        let mut components = Path::new(text).components().peekable();
        while let Some(component) = components.next() {
            let last = components.peek().is_none();
            let name = component.as_os_str().to_string_lossy();
            if !name.contains(['*', '?']) {
                found = found.iter().map(|path| path.join(component)).collect();
                if last {
                    found.retain(|path| self.input.files.is_directory(path) == Some(false));
                }
                continue;
            }
            found = found
                .iter()
                .flat_map(|path| self.matching(path, &name, last))
                .take(MAX_FILES + 1)
                .collect();
        }
        if found.is_empty() {
            let message = format!("no file matches `{text}`");
            problems
                .warning("empty-include", &pattern.span, message)
                .hint = Some("add one, or remove the pattern".into());
        }
        found
    }

    /// Entries of a directory that match: files at the pattern's end, directories before it.
    fn matching(&self, directory: &Path, pattern: &str, last: bool) -> Vec<PathBuf> {
        // What cannot be listed has no entries, and a pattern without matches is told of.
        let entries = self.input.files.matching(directory, pattern);
        let entries = entries.unwrap_or_default().into_iter();
        let found = entries.filter(|(_, is_directory)| *is_directory != last);
        found.map(|(name, _)| directory.join(name)).collect()
    }
}

fn patterns_of<'n>(node: &'n Node, problems: &mut Problems) -> Vec<&'n Node> {
    match &node.value {
        Value::Scalar(..) if !node.is_null() => vec![node],
        _ => node.list("`include`", problems).iter().collect(),
    }
}

/// Tells of keys that belong in the main file.
fn allowed(pairs: &[(Node, Node)], problems: &mut Problems) {
    let known = || MAPS.into_iter().chain(LISTS).chain(["include", "version"]);
    for (key, value) in pairs {
        let Some(name) = key.scalar() else { continue };
        if name == "version" && value.scalar() != Some("1") {
            let message = "only `version: 1` exists";
            problems.error("unsupported-version", &value.span, message);
        }
        if known().any(|known| known == name) {
            continue;
        }
        let message = format!("an included file has no key `{name}`");
        problems.error("unknown-key", &key.span, message).hint =
            Some(match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it may have: {}", known().collect::<Vec<_>>().join(", ")),
            });
    }
}

impl Whole {
    /// Adds the sections of a file behind those that are there.
    fn add(&mut self, pairs: Vec<(Node, Node)>, problems: &mut Problems) {
        for (key, value) in pairs {
            let name = key.scalar().unwrap_or("").to_owned();
            let known = self
                .pairs
                .iter_mut()
                .find(|(known, _)| known.scalar() == Some(&name));
            let Some((_, known)) = known else {
                self.pairs.push((key, value));
                continue;
            };
            // A section without anything in it.
            if value.is_null() {
                continue;
            }
            if known.is_null() {
                *known = value;
                continue;
            }
            let section = MAPS.into_iter().find(|section| *section == name);
            match (&mut known.value, value.value, section) {
                (Value::Map(known), Value::Map(more), Some(section)) => {
                    let names = self
                        .names
                        .entry(section)
                        .or_insert_with(|| known.iter().map(|(key, _)| defined(key)).collect());
                    for (key, value) in more {
                        let (text, place) = defined(&key);
                        if let Some(first) = names.get(&text) {
                            let message = format!("`{text}` is defined twice in `{section}`");
                            let problem = problems.error("duplicate-name", &key.span, message);
                            problem.related = Some((first.clone(), "first here".into()));
                            continue;
                        }
                        names.insert(text, place);
                        known.push((key, value));
                    }
                }
                (Value::List(known), Value::List(more), _) if LISTS.contains(&&*name) => {
                    known.extend(more);
                }
                // What is no such section is told of.
                (_, other, _) => {
                    let value = Node {
                        value: other,
                        span: value.span,
                    };
                    let wrong = if is_section(&name, known) {
                        &value
                    } else {
                        known
                    };
                    let what = format!("`{name}`");
                    match &*name {
                        "rules" => drop(wrong.rules(&what, problems)),
                        name if LISTS.contains(&name) => drop(wrong.list(&what, problems)),
                        _ => drop(wrong.map(&what, problems)),
                    }
                }
            }
        }
    }
}

/// A name and where it is defined.
fn defined(key: &Node) -> (String, Span) {
    (key.scalar().unwrap_or("").to_owned(), key.span.clone())
}

/// Whether it is of the kind that its section is.
fn is_section(name: &str, node: &Node) -> bool {
    match node.value {
        Value::List(_) => LISTS.contains(&name),
        Value::Map(_) => MAPS.contains(&name),
        Value::Scalar(..) => false,
    }
}

#[cfg(test)]
mod tests;
