//! `check`: all problems of a configuration, what is odd about it, and its own tests.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, ValueEnum};
use pointsman_api::ProblemList;
use pointsman_config::Problems;
use pointsman_config::case::{self, Lenience};
use pointsman_config::problem::{Problem, Severity, nearest};
use pointsman_tools::lint::lint;

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
    /// Leave out warnings and notes of this code, also for `--deny` (repeatable); the codes are those in brackets
    #[arg(long, value_name = "CODE", value_parser = Code, hide_possible_values = true)]
    allow: Vec<String>,
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

/// A code of a problem.
#[derive(Clone)]
struct Code;

impl Code {
    /// All there are, in order: each has a heading in the reference.
    fn all() -> impl Iterator<Item = &'static str> + Clone {
        const REFERENCE: &str = include_str!("../../../../docs/reference/problems.md");
        REFERENCE
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
    }
}

impl TypedValueParser for Code {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let word = value.to_string_lossy();
        if Self::all().any(|code| code == word) {
            return Ok(word.into_owned());
        }
        let near = near(&word, Self::all());
        let hint = match near.as_slice() {
            [] => "docs/reference/problems.md has all codes".to_owned(),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        let text = format!("`--allow {word}`: there is no such code; {hint}\n");
        Err(clap::Error::raw(ErrorKind::InvalidValue, text).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Self::all().map(PossibleValue::new)))
    }
}

/// The codes that may have been meant, quoted, at most three: the nearest one, and those that have the word in them.
fn near(word: &str, all: impl Iterator<Item = &'static str> + Clone) -> Vec<String> {
    let nearest = nearest(word, all.clone());
    let within =
        all.filter(|code| word.len() >= 3 && code.contains(word) && Some(*code) != nearest);
    let near = nearest.into_iter().chain(within);
    near.take(3).map(|code| format!("`{code}`")).collect()
}

pub(crate) fn run(args: &CheckArgs, out: &mut Out) -> Result<(), Stop> {
    let (path, dialect) = match &args.path {
        Some(path) => (path.clone(), args.dialect),
        None => load::default_configuration(args.dialect),
    };
    if path.extension().is_some_and(|e| e == "case") && path.is_file() {
        return Err(Stop::Usage(format!(
            "{} holds cases, which `pointsman test` runs: name the configuration beside it, for `check` as well",
            path.display()
        )));
    }
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
    let all = loaded.problems.total();
    if let Some(code) = allow(&args.allow, &mut loaded.problems) {
        return Err(Stop::Usage(format!(
            "`--allow {code}`: here it is the code of an error, and errors cannot be allowed; without it `check` says where"
        )));
    }
    let allowed = all - loaded.problems.total();
    let directory = load::directory(&path);
    let told = loaded.problems.told();
    let problems = told.iter().map(|p| load::wire(p, &directory)).collect();
    let denies = |severity: &str| {
        severity == "error" || (severity == "warning" && args.deny == Some(Deny::Warnings))
    };
    let errors = loaded.problems.count(Severity::Error);
    let warnings = loaded.problems.count(Severity::Warning);
    let list = ProblemList {
        config: Some(path.display().to_string()),
        dialect: loaded.dialect.map(|dialect| dialect.as_str().to_owned()),
        errors,
        warnings,
        denied: match args.deny {
            Some(Deny::Warnings) => errors + warnings,
            None => errors,
        },
        problems,
    };
    out.answer(&list, |out| {
        // Whoever wants quiet is told what made it fail, and nothing else.
        let quiet = out.quiet;
        let folded = loaded.problems.folded().told();
        let told = folded.iter().map(|it| load::wire(it, &directory));
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
    let counts = match allowed {
        0 => counts,
        allowed => format!("{counts}, {allowed} allowed"),
    };
    out.say(format_args!(
        "{}: {}, {counts}{}",
        path.display(),
        list.dialect.as_deref().unwrap_or("dialect unknown"),
        match loaded.setup {
            Some(_) if load::is_embedded(&path) => load::none_there("check"),
            Some(_) => String::new(),
            None => "; the rules are checked further once there are no errors".to_owned(),
        },
    ));
    match list.denied {
        0 => Ok(()),
        _ => Err(Stop::No),
    }
}

/// Leaves out what is allowed; answers with a code of which there is an error.
fn allow<'a>(codes: &'a [String], problems: &mut Problems) -> Option<&'a str> {
    let has_code = |problem: &Problem, code: &str| problem.code == code;
    let is_error = |code: &&String| {
        let mut errors = problems
            .0
            .iter()
            .filter(|it| it.severity == Severity::Error);
        errors.any(|it| has_code(it, code))
    };
    if let Some(code) = codes.iter().find(is_error) {
        return Some(code);
    }
    problems.retain(|code, _| !codes.iter().any(|allowed| allowed == code));
    None
}

/// `1 error`, `2 errors`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
