//! From where a rule stands to its place in a text, for carets.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::model::Origin;

use crate::files::Files;
use crate::input::read_text;
use crate::problem::{Problems, Source, Span};
use crate::setup::Setup;

/// The texts that places refer to.
pub struct Places<'a> {
    files: &'a dyn Files,
    directory: PathBuf,
    sources: HashMap<Arc<str>, Arc<Source>>,
}

impl<'a> Places<'a> {
    /// Takes the texts that the configuration knows already: they know what they hide.
    pub fn new(setup: &Setup, files: &'a dyn Files, problems: &Problems) -> Self {
        let outbounds = setup
            .outbounds
            .iter()
            .filter_map(|outbound| outbound.span.as_ref());
        let inbounds = setup.inbounds.iter().map(|inbound| &inbound.span);
        let forwards = setup.forwards.iter().map(|forward| &forward.span);
        let dns = setup.dns.iter().map(|dns| &dns.span);
        let tests = setup.tests.iter().map(|test| &test.span);
        let told = problems.0.iter().map(|problem| &problem.span);
        let spans = outbounds
            .chain(inbounds)
            .chain(forwards)
            .chain(dns)
            .chain(tests)
            .chain(told);
        let mut sources = HashMap::new();
        for span in spans {
            let file = Arc::clone(span.file());
            sources
                .entry(file)
                .or_insert_with(|| Arc::clone(&span.source));
        }
        Self {
            files,
            directory: setup.directory.clone(),
            sources,
        }
    }

    /// The place of a rule: its line, or the part of it where more stands there.
    pub fn of(&mut self, origin: &Origin) -> Span {
        self.rule(&origin.file, origin.line, &origin.text)
    }

    /// As [`Self::of`], for a rule that reads so.
    pub fn rule(&mut self, file: &Arc<str>, line: u32, text: &str) -> Span {
        self.line(file, line).of_rule(text)
    }

    /// A line of a file; of one that cannot be read the line's number alone.
    pub fn line(&mut self, file: &Arc<str>, line: u32) -> Span {
        if let Some(source) = self.sources.get(file) {
            return place(source, line);
        }
        let text = read_text(self.files, &self.directory.join(&**file));
        let text = text.unwrap_or_else(|_| "\n".repeat(line as usize));
        let source = match is_list(file) {
            true => Source::open(file, text),
            false => Source::new(file, text),
        };
        self.sources.insert(Arc::clone(file), Arc::clone(&source));
        place(&source, line)
    }
}

/// Whether a file holds rules or names alone: reflow's folders, and lists in text.
fn is_list(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.rsplit_once('.') {
        Some((_, ending)) => ["txt", "list", "rules"].contains(&ending),
        None => file.contains('/'),
    }
}

/// A line without its indentation and the dash of a list.
fn place(source: &Arc<Source>, line: u32) -> Span {
    let span = source.line(line);
    let text = span.text();
    let bare = text.strip_prefix("- ").map_or(text, str::trim_start);
    span.part(text.len() - bare.len(), text.len())
}
