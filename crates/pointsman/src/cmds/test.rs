//! `test`: a policy's own tests.

use std::path::{Path, PathBuf};

use clap::Args;
use pointsman_config::case::{self, Case, Failure};
use pointsman_config::files::Disk;
use pointsman_config::load::read_text;
use serde_json::{Value, json};

use crate::cli::{Dialect, Unknown};
use crate::load;
use crate::output::{Out, Stop};

/// Arguments of `test`.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// The configuration: a file, or reflow's directory
    path: PathBuf,
    /// The language it is written in
    #[arg(long, value_enum, default_value = "auto")]
    dialect: Dialect,
    /// What a rule does whose look-up broke; stronger than the key `on_unknown`
    #[arg(long, value_enum, value_name = "WHAT")]
    on_unknown: Option<Unknown>,
}

pub(crate) fn run(args: &TestArgs, out: &mut Out) -> Result<(), Stop> {
    if args.path.extension().is_some_and(|e| e == "case") && args.path.is_file() {
        return Err(Stop::Usage(format!(
            "{} holds cases: name the configuration beside it, whose `*.case` files are run",
            args.path.display()
        )));
    }
    let mut setup = load::setup(&args.path, args.dialect)?;
    if let Some(on_unknown) = args.on_unknown {
        setup.set_on_unknown(on_unknown.chosen());
    }
    let mut cases = case::of_setup(&setup);
    let mut failures = Vec::new();
    let directory = load::directory(&args.path);
    for file in case_files(&directory)? {
        let text = read_text(&Disk, &file)
            .map_err(|error| Stop::Failed(format!("{} cannot be read: {error}", file.display())))?;
        // As the configuration's own tests: relative to its directory.
        let shown = file.strip_prefix(&directory).unwrap_or(&file);
        let shown = shown.display().to_string();
        let (read, broken) = case::parse(&shown, &text);
        cases.extend(read);
        failures.extend(broken);
    }
    let broken = failures.len();
    failures.extend(case::run(&setup, &cases));
    failures.sort_by(|a, b| (&a.case.file, a.case.line).cmp(&(&b.case.file, b.case.line)));
    let total = cases.len() + broken;
    let passed = total - failures.len();
    let answer = json!({
        "passed": passed,
        "failed": failures.len(),
        "failures": failures.iter().map(object).collect::<Vec<_>>(),
    });
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
    out.say(format_args!(
        "{}: {passed} passed, {} failed",
        args.path.display(),
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

/// The `*.case` files of a directory, sorted.
fn case_files(directory: &Path) -> Result<Vec<PathBuf>, Stop> {
    let here = Path::new(".");
    let listed = if directory.as_os_str().is_empty() {
        here
    } else {
        directory
    };
    let entries = std::fs::read_dir(listed)
        .map_err(|error| Stop::Failed(format!("{} cannot be read: {error}", listed.display())))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|error| Stop::Failed(error.to_string()))?
            .file_name();
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "case")
        {
            files.push(directory.join(name));
        }
    }
    files.sort();
    Ok(files)
}
