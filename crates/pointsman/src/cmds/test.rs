//! `test`: a policy's own tests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pointsman_config::case::{self, Beside, Case, Failure};
use serde_json::{Value, json};

use crate::files::ThisHost;
use crate::load;
use crate::options::{Dialect, Unknown};
use crate::output::{Out, Stop, complain};

/// Arguments of `test`.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// The configuration: a file, reflow's directory, or `-` for stdin; the default is the one that the
    /// daemon would take
    path: Option<PathBuf>,
    /// The language of the configuration
    #[arg(long, value_enum, default_value = "auto")]
    dialect: Dialect,
    /// What a rule does when its look-up fails; overrides the key `on_unknown`
    #[arg(long, value_enum, value_name = "WHAT")]
    on_unknown: Option<Unknown>,
    /// What else counts as a failure
    #[arg(long, value_enum)]
    deny: Option<Deny>,
}

/// What else counts as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Tests whose result is not known yet, because a rule set was never fetched.
    Open,
}

pub(crate) fn run(args: &TestArgs, out: &mut Out) -> Result<(), Stop> {
    let (path, dialect) = match &args.path {
        Some(path) => (path.clone(), args.dialect),
        None => load::default_configuration(args.dialect),
    };
    if path.extension().is_some_and(|e| e == "case") && path.is_file() {
        return Err(Stop::Usage(format!(
            "{} holds cases: name the configuration beside it, whose `*.case` files are run",
            path.display()
        )));
    }
    let mut setup = load::setup(&path, dialect)?;
    if let Some(on_unknown) = args.on_unknown {
        setup.set_on_unknown(on_unknown.chosen());
    }
    let mut cases = case::of_setup(&setup);
    let mut failures = Vec::new();
    let directory = load::directory(&path);
    // What lies where this was started is not beside the embedded default.
    let beside = match load::is_embedded(&path) {
        true => Beside::default(),
        false => case::beside(&directory, &ThisHost).map_err(|error| {
            let shown = match directory.as_os_str().is_empty() {
                true => ".".to_owned(),
                false => directory.display().to_string(),
            };
            Stop::Failed(format!(
                "the `*.case` files of {shown} cannot be read: {error}"
            ))
        })?,
    };
    for (name, error) in &beside.unread {
        let file = load::place(name, &directory);
        complain(format_args!("error: {file} cannot be read: {error}"));
    }
    for source in beside.sources {
        let (read, broken) = case::parse(&source.file, &source.text);
        cases.extend(read);
        failures.extend(broken);
    }
    let broken = failures.len();
    failures.extend(case::run(&setup, &cases));
    for failure in &mut failures {
        failure.case.file = load::place(&failure.case.file, &directory);
    }
    failures.sort_by(|a, b| (&a.case.file, a.case.line).cmp(&(&b.case.file, b.case.line)));
    let total = cases.len() + broken;
    let passed = total - failures.len();
    let (open, failures): (Vec<Failure>, Vec<Failure>) =
        failures.into_iter().partition(Failure::is_open);
    let mut answer = json!({
        "passed": passed,
        "failed": failures.len(),
        "failures": failures.iter().map(object).collect::<Vec<_>>(),
    });
    if !open.is_empty() {
        answer["open"] = open.iter().map(object).collect();
    }
    if !beside.unread.is_empty() {
        let unread = beside.unread.iter().map(|(name, error)| {
            json!({ "file": load::place(name, &directory), "error": error.to_string() })
        });
        answer["unread"] = unread.collect();
    }
    out.answer(&answer, |out| {
        for failure in &failures {
            let Case {
                file,
                line,
                flow,
                expect,
            } = &failure.case;
            let ends = failure.in_vain().map(|ends| format!("; {ends}"));
            let reason = format!("{}{}", failure.reason(), ends.unwrap_or_default());
            match failure.outbound() {
                Some(got) => out.line(format_args!(
                    "{file}:{line}: {flow} => {expect}: got {got}: {reason}"
                ))?,
                None => out.line(format_args!("{file}:{line}: {flow}: {reason}"))?,
            }
        }
        Ok(())
    })?;
    for failure in &open {
        let Case {
            file,
            line,
            flow,
            expect,
        } = &failure.case;
        let sets = failure.looked_into.unfetched.join("`, `");
        out.say(format_args!(
            "{file}:{line}: {flow} => {expect}: not known yet: the rule set `{sets}` was not fetched"
        ));
    }
    let denied = args.deny == Some(Deny::Open) && !open.is_empty();
    let open = match open.len() {
        0 => String::new(),
        open => format!(", {open} not known yet"),
    };
    let unread = match beside.unread.len() {
        0 => String::new(),
        1 => ", 1 file cannot be read".to_owned(),
        files => format!(", {files} files cannot be read"),
    };
    let none = match total {
        0 if load::is_embedded(&path) => load::none_there("test"),
        0 if beside.unread.is_empty() => {
            "; there are no tests: write them under `tests:`, or in a `*.case` file beside it"
                .to_owned()
        }
        _ => String::new(),
    };
    out.say(format_args!(
        "{}: {passed} passed, {} failed{open}{unread}{none}",
        path.display(),
        failures.len()
    ));
    if failures.is_empty() && beside.unread.is_empty() && !denied {
        Ok(())
    } else {
        Err(Stop::No)
    }
}

fn object(failure: &Failure) -> Value {
    let Case {
        file,
        line,
        flow,
        expect,
    } = &failure.case;
    let mut object = json!({
        "file": file,
        "line": line,
        "flow": flow,
        "expected": expect,
        "got": failure.outbound(),
        "reason": failure.reason(),
    });
    if !failure.possible.is_empty() {
        object["possible"] = json!(failure.possible);
    }
    object
}
