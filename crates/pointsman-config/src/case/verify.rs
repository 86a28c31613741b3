//! A configuration's own tests and those in the `*.case` files beside it, as problems with places.
//!
//! Invariant: a list that changed on its server keeps no daemon from starting. What fails without a fetched list is a
//! fault of the policy, whoever asks.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use pointsman_policy::time::rfc3339;

use super::{Case, Expectable, Failure, Got, failure, parse};
use crate::files::Files;
use crate::input::read_text;
use crate::places::Places;
use crate::problem::{Problems, Severity, Source, Span};
use crate::setup::{Failing, FlowTest, Setup};

/// The most failing tests that are told one by one, as errors and as warnings.
const MOST_TOLD: usize = 50;

/// Which failing tests refuse nothing. One that looked into no fetched rule set always does.
#[derive(Clone, Copy, Debug)]
pub enum Lenience<'a> {
    /// None: somebody asks whether all is well.
    None,
    /// Those that looked into a fetched rule set: at a start, where nothing else could fetch it again.
    Fetched,
    /// Those of them that fail already with this configuration, which is in force: a reload makes nothing worse by them.
    Standing(&'a Setup),
}

impl Lenience<'_> {
    fn lets_pass(self, failure: &Failure) -> bool {
        if failure.looked_into.fetched.is_empty() {
            return false;
        }
        match self {
            Self::None => false,
            Self::Fetched => true,
            Self::Standing(in_force) => in_force.tests.iter().any(|test| {
                test.failing.is_some()
                    && test.flow == failure.case.flow
                    && test.expect == failure.case.expect
            }),
        }
    }
}

/// The `*.case` files of a directory, sorted, each under its name there.
#[derive(Debug, Default)]
pub struct Beside {
    /// Those that were read.
    pub sources: Vec<Arc<Source>>,
    /// Those that cannot be read, by name, and why.
    pub unread: Vec<(String, io::Error)>,
}

/// Reads the `*.case` files of a directory. One that cannot be read keeps no other from being read.
///
/// # Errors
/// Those of the file system, where the directory cannot be listed.
pub fn beside(directory: &Path, files: &dyn Files) -> io::Result<Beside> {
    let listed = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let mut beside = Beside::default();
    for (name, is_directory) in files.matching(listed, "*.case")? {
        if is_directory {
            continue;
        }
        match read_text(files, &directory.join(&name)) {
            Ok(text) => beside.sources.push(Source::open(&name, text)),
            Err(error) => beside.unread.push((name, error)),
        }
    }
    Ok(beside)
}

/// Runs all tests of a configuration, and pushes a problem for each that fails. Those in files beside it are its own
/// from now on, and each knows whether it fails. Whether none refuses it.
pub fn verify(
    setup: &mut Setup,
    files: &dyn Files,
    lenience: Lenience<'_>,
    problems: &mut Problems,
) -> bool {
    let (broken, all_read) = take_in(setup, files, problems);
    let failed = failures(setup);
    note(setup, &failed);
    let failed = failed.into_iter().map(|(number, failure)| {
        let place = setup.tests[number].span.clone();
        (failure, place)
    });
    let failed = broken.into_iter().chain(failed);
    let telling = Telling { setup, lenience };
    let (refusing, others): (Vec<_>, Vec<_>) =
        failed.partition(|(failure, _)| telling.severity(failure) == Severity::Error);
    let mut places = Places::new(setup, files, problems);
    for (all, severity) in [(&refusing, Severity::Error), (&others, Severity::Warning)] {
        for (failure, place) in all.iter().take(MOST_TOLD) {
            telling.tell(failure, place, &mut places, problems);
        }
        if let Some((_, place)) = all.get(MOST_TOLD) {
            let more = all.len() - MOST_TOLD;
            let message = format!("{more} more tests fail, this one the first");
            match severity {
                Severity::Error => problems.error("test-failed", place, message),
                _ => problems.warning("test-unmet", place, message),
            };
        }
    }
    problems.sort();
    refusing.is_empty() && all_read
}

/// Runs the tests of a configuration again, of which a rule set holds something else now: each knows whether it fails.
pub fn retest(setup: &mut Setup) {
    let failed = failures(setup);
    note(setup, &failed);
}

/// The fetched rule sets that failing tests looked into, by name.
#[must_use]
pub fn in_doubt(setup: &Setup) -> BTreeSet<Arc<str>> {
    let failing = setup.tests.iter().filter_map(|test| test.failing.as_ref());
    failing.flat_map(|failing| failing.lists.clone()).collect()
}

/// Takes the tests in that stand beside the configuration. Answers with the lines that are none, and whether all could
/// be read.
fn take_in(
    setup: &mut Setup,
    files: &dyn Files,
    problems: &mut Problems,
) -> (Vec<(Failure, Span)>, bool) {
    let mut unread = |file: &str, message: String| {
        let place = Source::new(file, String::new()).span(0, 0);
        problems.error("unreadable", &place, message);
    };
    let beside = match beside(&setup.directory, files) {
        Ok(beside) => beside,
        // A configuration from elsewhere has no directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Beside::default(),
        Err(error) => {
            let shown = match setup.directory.as_os_str().is_empty() {
                true => ".".to_owned(),
                false => setup.directory.display().to_string(),
            };
            unread(
                &shown,
                format!("the `*.case` files cannot be read: {error}"),
            );
            return (Vec::new(), false);
        }
    };
    for (name, error) in &beside.unread {
        unread(name, format!("the tests in it cannot be read: {error}"));
    }
    let mut bad = Vec::new();
    for source in beside.sources {
        let (cases, broken) = parse(&source.file, &source.text);
        setup.tests.extend(cases.into_iter().map(|case| FlowTest {
            span: source.line(case.line),
            flow: case.flow,
            expect: case.expect,
            failing: None,
        }));
        bad.extend(broken.into_iter().map(|failure| {
            let place = source.line(failure.case.line);
            (failure, place)
        }));
    }
    (bad, beside.unread.is_empty())
}

/// The tests that do not come out, by their number.
fn failures(setup: &Setup) -> Vec<(usize, Failure)> {
    let names = Expectable::of(setup);
    setup
        .tests
        .iter()
        .enumerate()
        .filter_map(|(number, test)| Some((number, failure(setup, &Case::from(test), &names)?)))
        .collect()
}

/// Notes which tests fail for what fetched rule sets hold.
fn note(setup: &mut Setup, failed: &[(usize, Failure)]) {
    for test in &mut setup.tests {
        test.failing = None;
    }
    for (number, failure) in failed {
        let lists = &failure.looked_into.fetched;
        // Of one that cannot be told yet nobody knows whether it fails.
        if failure.is_open() || lists.is_empty() {
            continue;
        }
        setup.tests[*number].failing = Some(Failing {
            got: failure.outbound().unwrap_or_default().to_owned(),
            reason: failure.reason().to_owned(),
            lists: lists.clone(),
        });
    }
}

struct Telling<'a> {
    setup: &'a Setup,
    lenience: Lenience<'a>,
}

impl Telling<'_> {
    fn severity(&self, failure: &Failure) -> Severity {
        match failure.is_open() || self.lenience.lets_pass(failure) {
            true => Severity::Warning,
            false => Severity::Error,
        }
    }

    fn tell(
        &self,
        failure: &Failure,
        place: &Span,
        places: &mut Places<'_>,
        problems: &mut Problems,
    ) {
        let Case { flow, expect, .. } = &failure.case;
        let reason = failure.reason();
        let Got::Other(explanation) = &failure.got else {
            let message = format!("the test `{flow}` cannot be run: {reason}");
            problems.error("test-failed", place, message);
            return;
        };
        let got = failure.outbound().unwrap_or_default();
        let problem = if failure.is_open() {
            let sets = failure.looked_into.unfetched.join("`, `");
            let message = format!(
                "`{flow}`: it is not known yet whether it gets `{expect}`: the rule set `{sets}` was not \
                 fetched yet; without it `{got}`"
            );
            problems.warning("test-open", place, message)
        } else {
            let ends = failure.in_vain().map(|ends| format!("; {ends}"));
            let ends = ends.unwrap_or_default();
            let message = format!("`{flow}`: expected `{expect}`, got `{got}`: {reason}{ends}");
            let lists = self.lists(failure);
            match self.severity(failure) {
                Severity::Error => {
                    let problem = problems.error("test-failed", place, message);
                    if !failure.looked_into.fetched.is_empty() {
                        problem.hint = Some(format!(
                            "its flow looked into {lists}: perhaps the list has changed"
                        ));
                    }
                    problem
                }
                _ => {
                    let message = format!(
                        "{message}; its flow looked into {lists}: that refuses nothing, and the list is fetched again"
                    );
                    problems.warning("test-unmet", place, message)
                }
            }
        };
        if let Some(rule) = &explanation.rule {
            let place = places.rule(&rule.file.as_str().into(), rule.line, &rule.text);
            problem.related = Some((place, format!("`{}` decides", rule.text)));
        }
    }

    /// The rule set `ads`, fetched at ...
    fn lists(&self, failure: &Failure) -> String {
        let shown = failure.looked_into.fetched.iter().map(|name| {
            let source = self
                .setup
                .sources
                .iter()
                .find(|source| source.name == *name);
            match source.and_then(|source| source.read) {
                Some(stamp) => {
                    let at = rfc3339(stamp.modified / 1_000_000);
                    format!("the rule set `{name}` as it was fetched at {at}")
                }
                None => format!("the rule set `{name}`"),
            }
        });
        shown.collect::<Vec<_>>().join(" and ")
    }
}
