//! `test`: a policy's own tests.

use std::path::PathBuf;

use clap::Args;
use pointsman_config::case::{self, Case, Failure};
use serde_json::{Value, json};

use crate::files::ThisHost;
use crate::load;
use crate::options::{Dialect, Unknown};
use crate::output::{Out, Stop};

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
    let sources = match load::is_embedded(&path) {
        true => Vec::new(),
        false => case::beside(&directory, &ThisHost).map_err(|error| {
            Stop::Failed(format!("{} cannot be read: {error}", directory.display()))
        })?,
    };
    for source in sources {
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
    out.answer(&answer, |out| {
        for failure in &failures {
            let Case {
                file,
                line,
                flow,
                expect,
            } = &failure.case;
            let reason = failure.reason();
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
            "{file}:{line}: {flow} => {expect}: cannot be told yet: the rule set `{sets}` was not fetched"
        ));
    }
    let open = match open.len() {
        0 => String::new(),
        open => format!(", {open} cannot be told yet"),
    };
    let none = match total {
        0 => "; there are no tests: write them under `tests:`, or in a `*.case` file beside it",
        _ => "",
    };
    out.say(format_args!(
        "{}: {passed} passed, {} failed{open}{none}",
        path.display(),
        failures.len()
    ));
    if failures.is_empty() {
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
    json!({
        "file": file,
        "line": line,
        "flow": flow,
        "expected": expect,
        "got": failure.outbound(),
        "reason": failure.reason(),
    })
}
