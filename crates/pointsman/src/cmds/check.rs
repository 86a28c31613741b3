//! `check`: all problems of a configuration, what is odd about it, and its own tests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pointsman_api::ProblemList;
use pointsman_config::case::{self, Lenience};
use pointsman_config::lint::lint;

use crate::files::ThisHost;
use crate::load;
use crate::options::{Dialect, Unknown};
use crate::output::{Out, Stop};

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The configuration: a file, reflow's directory, or `-` for stdin; the default is the one that the
    /// daemon would take
    path: Option<PathBuf>,
    /// The language of the configuration
    #[arg(long, value_enum, default_value = "auto")]
    dialect: Dialect,
    /// What else counts as an error
    #[arg(long, value_enum)]
    deny: Option<Deny>,
    /// What a rule does when its look-up fails; overrides the key `on_unknown`
    #[arg(long, value_enum, value_name = "WHAT")]
    on_unknown: Option<Unknown>,
}

/// What else counts as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings.
    Warnings,
}

pub(crate) fn run(args: &CheckArgs, out: &mut Out) -> Result<(), Stop> {
    let (path, dialect) = match &args.path {
        Some(path) => (path.clone(), args.dialect),
        None => load::default_configuration(args.dialect),
    };
    let mut loaded = load::loaded(&path, dialect);
    if let Some(setup) = &mut loaded.setup {
        if let Some(on_unknown) = args.on_unknown {
            setup.set_on_unknown(on_unknown.chosen());
        }
        lint(setup, &ThisHost, &mut loaded.problems);
        // What lies where this was started is not beside the embedded default.
        if !load::is_embedded(&path) {
            case::verify(setup, &ThisHost, Lenience::None, &mut loaded.problems);
        }
    }
    let directory = load::directory(&path);
    let problems: Vec<_> = loaded
        .problems
        .0
        .iter()
        .map(|p| load::wire(p, &directory))
        .collect();
    let denies = |severity: &str| {
        severity == "error" || (severity == "warning" && args.deny == Some(Deny::Warnings))
    };
    let count = |severity: &str| problems.iter().filter(|p| p.severity == severity).count();
    let list = ProblemList {
        config: Some(path.display().to_string()),
        dialect: loaded.dialect.map(|dialect| dialect.as_str().to_owned()),
        errors: count("error"),
        warnings: count("warning"),
        denied: problems.iter().filter(|it| denies(&it.severity)).count(),
        problems,
    };
    out.answer(&list, |out| {
        // Whoever wants quiet is told what made it fail, and nothing else.
        let quiet = out.quiet;
        let folded = loaded.problems.folded();
        let told = folded.0.iter().map(|it| load::wire(it, &directory));
        for problem in told.filter(|problem| !quiet || denies(&problem.severity)) {
            let color = match problem.severity.as_str() {
                "error" => 31,
                "warning" => 33,
                _ => 36,
            };
            let word = format!(" {}[", problem.severity);
            let colored = format!(" {}[", out.colored(color, &problem.severity));
            out.line(problem.text.replacen(&word, &colored, 1))?;
        }
        Ok(())
    })?;
    let counts = match (args.deny, list.warnings) {
        (Some(Deny::Warnings), warnings @ 1..) => format!(
            "{} ({} by `--deny warnings`)",
            counted(list.errors + warnings, "error"),
            counted(warnings, "warning")
        ),
        (_, warnings) => format!(
            "{}, {}",
            counted(list.errors, "error"),
            counted(warnings, "warning")
        ),
    };
    out.say(format_args!(
        "{}: {}, {counts}",
        path.display(),
        list.dialect.as_deref().unwrap_or("dialect unknown"),
    ));
    match list.denied {
        0 => Ok(()),
        _ => Err(Stop::No),
    }
}

/// `1 error`, `2 errors`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
