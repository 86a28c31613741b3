//! Conversions are loaded as they are written: what does not load is taken out and reported.
//!
//! Invariant: a conversion's text loads without an error, but for lists that are not at hand; what
//! else is wrong with it is a fault of the conversion.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::draft::{Draft, LACKS, Section};
use super::{Conversion, summary};
use pointsman_config::files::Files;
use pointsman_config::input::Input;
use pointsman_config::list::{Origin, Shelf};
use pointsman_config::load::{Loaded, load_text};
use pointsman_config::problem::{Problem, Problems, Severity, Source};
use pointsman_config::setup::Dialect;

/// How the text is called in its own problems.
const NAME: &str = "the conversion";

/// How often parts are taken out: what names a part that is gone goes next.
const MAX_ROUNDS: usize = 64;

/// Finishes a draft. Relative paths of lists start from `directory`.
pub(super) fn finish(mut draft: Draft, directory: &Path, files: &dyn Files) -> Conversion {
    draft.close();
    for _ in 0..MAX_ROUNDS {
        let (text, lines) = draft.page();
        let Loaded {
            setup, problems, ..
        } = loaded(&text, directory, files);
        let mut bad = BTreeMap::new();
        for problem in own_faults(&problems) {
            if let Some(part) = lines.get(&problem.span.line()) {
                bad.entry(*part).or_insert_with(|| problem.sentence());
            }
        }
        if bad.is_empty() {
            // What the lists at hand lack, as far as can be seen.
            let lists = setup.as_ref().map_or(&[][..], |setup| &setup.lists);
            let mut lacking = BTreeSet::new();
            for problem in problems.0.iter().filter(|p| is_of_list(p)) {
                let place = format!("{}:{}", problem.span.file(), problem.span.line());
                draft.report.lost(place, problem.sentence());
                lacking.extend(lists.iter().filter_map(|list| match &list.origin {
                    Origin::File { shown, .. } if shown == problem.span.file() => {
                        Some(list.name.to_string())
                    }
                    Origin::File { .. } | Origin::Inline(_) => None,
                }));
            }
            for problem in problems.0.iter().filter(|p| is_missing(p)) {
                let what = format!(
                    "{}: nothing is served until it is there",
                    problem.sentence()
                );
                draft.report.lost("", what);
                if let Some(part) = lines.get(&problem.span.line()) {
                    draft.list_is_missing(*part);
                }
            }
            let negating = draft.negating(&lacking);
            if negating.is_empty() {
                break;
            }
            bad.extend(negating.into_iter().map(|part| (part, LACKS.to_owned())));
        }
        draft.take_out(&bad);
    }
    draft.told();
    let (text, _) = draft.page();
    // The lists may not be at hand; what the summary tells does not depend on them.
    let rest = loaded(&draft.without_lists(), directory, files);
    let known = draft.known();
    for (group, what) in rest
        .setup
        .iter()
        .flat_map(|setup| summary::refusing_groups(setup, &known))
    {
        let place = draft
            .place_of(Section::Outbounds, &group)
            .unwrap_or_default();
        let place = place.to_owned();
        draft.report.lost(place, what);
    }
    let told = rest.setup.map(|setup| summary::of(&setup, &known));
    Conversion {
        text,
        report: draft.report.finish(),
        summary: told.unwrap_or_default(),
    }
}

/// What is wrong with a native text that was written here: each is a fault of the conversion.
/// Lists that are not there or cannot be read are none.
#[must_use]
pub fn faults(text: &str, directory: &Path, files: &dyn Files) -> Vec<String> {
    let loaded = loaded(text, directory, files);
    own_faults(&loaded.problems)
        .map(ToString::to_string)
        .collect()
}

fn loaded(text: &str, directory: &Path, files: &dyn Files) -> Loaded {
    let input = Input {
        source: Source::new(NAME, text.to_owned()),
        path: directory.join("pointsman.yaml"),
        directory: directory.to_owned(),
        files,
        state: None,
        shelf: &Shelf::fresh(),
        lists: RefCell::default(),
        patience: Default::default(),
    };
    load_text(input, Some(Dialect::Native), Problems::unbounded())
}

fn own_faults(problems: &Problems) -> impl Iterator<Item = &Problem> {
    let errors = problems
        .0
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.filter(|problem| &**problem.span.file() == NAME && !is_missing(problem))
}

fn is_missing(problem: &Problem) -> bool {
    problem.code == "missing-file"
}

/// Whether it tells of what a list's file says.
fn is_of_list(problem: &Problem) -> bool {
    &**problem.span.file() != NAME && problem.severity != Severity::Note
}
