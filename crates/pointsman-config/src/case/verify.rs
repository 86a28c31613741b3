//! A configuration's own tests and those in the `*.case` files beside it, as problems with places.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Case, Failure, Got, of_setup, parse, run};
use crate::files::Files;
use crate::input::read_text;
use crate::places::Places;
use crate::problem::{Problems, Source, Span};
use crate::setup::Setup;

/// The most failing tests that are told one by one.
const MOST_TOLD: usize = 50;

/// The `*.case` files of a directory, sorted, each under its name there.
///
/// # Errors
/// Those of the file system, with the name of the file.
pub fn beside(directory: &Path, files: &dyn Files) -> io::Result<Vec<Arc<Source>>> {
    let listed = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let mut sources = Vec::new();
    for (name, is_directory) in files.matching(listed, "*.case")? {
        if !is_directory {
            let text = read_text(files, &directory.join(&name))
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
            sources.push(Source::open(&name, text));
        }
    }
    Ok(sources)
}

/// Runs all tests of a configuration and pushes an error for each that fails. Whether none did.
pub fn verify(setup: &Setup, files: &dyn Files, problems: &mut Problems) -> bool {
    let mut failures = Vec::new();
    let own = of_setup(setup);
    for (case, test) in own.iter().zip(&setup.tests) {
        let failed = run(setup, std::slice::from_ref(case));
        failures.extend(
            failed
                .into_iter()
                .map(|failure| (failure, test.span.clone())),
        );
    }
    match beside(&setup.directory, files) {
        Ok(sources) => {
            for source in sources {
                let (cases, broken) = parse(&source.file, &source.text);
                let failed = broken.into_iter().chain(run(setup, &cases));
                failures.extend(failed.map(|failure| {
                    let place = source.line(failure.case.line);
                    (failure, place)
                }));
            }
        }
        // A configuration from elsewhere has no directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let shown = match setup.directory.as_os_str().is_empty() {
                true => ".".to_owned(),
                false => setup.directory.display().to_string(),
            };
            let place = Source::new(&shown, String::new()).span(0, 0);
            let message = format!("the `*.case` files cannot be read: {error}");
            problems.error("unreadable", &place, message);
            return false;
        }
    }
    let mut places = Places::new(setup, files, problems);
    for (failure, place) in failures.iter().take(MOST_TOLD) {
        tell(failure, place, &mut places, problems);
    }
    if let Some((_, place)) = failures.get(MOST_TOLD) {
        let more = failures.len() - MOST_TOLD;
        let message = format!("{more} more tests fail, this one the first");
        problems.error("test-failed", place, message);
    }
    problems.sort();
    failures.iter().all(|(failure, _)| failure.is_open())
}

fn tell(failure: &Failure, place: &Span, places: &mut Places<'_>, problems: &mut Problems) {
    let Case { flow, expect, .. } = &failure.case;
    let reason = failure.reason();
    match &failure.got {
        Got::Unreadable(_) => {
            let message = format!("the test `{flow}` cannot be run: {reason}");
            problems.error("test-failed", place, message);
        }
        Got::Other(explanation) => {
            let got = failure.outbound().unwrap_or_default();
            let problem = match failure.is_open() {
                true => {
                    let sets = failure.unfetched.join("`, `");
                    let message = format!(
                        "`{flow}`: it cannot be told yet whether it gets `{expect}`: the rule set `{sets}` was not \
                         fetched yet; without it `{got}`"
                    );
                    problems.warning("test-open", place, message)
                }
                false => {
                    let message = format!("`{flow}`: expected `{expect}`, got `{got}`: {reason}");
                    problems.error("test-failed", place, message)
                }
            };
            if let Some(rule) = &explanation.rule {
                let place = places.line(&rule.file.as_str().into(), rule.line);
                problem.related = Some((place, format!("`{}` decides", rule.text)));
            }
        }
    }
}
