//! `convert`: a configuration in the native language, and what it cannot say.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pointsman_api::{Error as Refusal, Problem};
use pointsman_config::dialect::foreign::{Document, Foreign};
use pointsman_config::files::{Files as _, PIPES_WITHIN};
use pointsman_config::input::{MAX_FILE, read_text};
use pointsman_config::{self as config, Loaded, Severity, Source};
use pointsman_tools::convert::{Conversion, Summary, faults, folded, from_foreign, from_setup};
use serde_json::json;

use crate::cmds::check::counted;
use crate::files::ThisHost;
use crate::load;
use crate::options::Dialect;
use crate::output::{Out, Stop, complain};
use crate::output_file::{OutputFile, Readers};

/// Arguments of `convert`.
#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// The configuration: a file, reflow's directory, or `-` for stdin
    path: PathBuf,
    /// The language to convert to
    #[arg(long, value_enum, default_value = "native")]
    to: To,
    /// The language of the configuration
    #[arg(long, value_enum, default_value = "auto")]
    from: From,
    #[command(flatten)]
    output: OutputFile,
    /// Exit with 1 where anything differs
    #[arg(long)]
    strict: bool,
}

/// The language to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// Pointsman's own YAML
    Native,
}

/// The languages that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// By the file's shape
    Auto,
    /// Pointsman's own YAML
    Native,
    /// reflow's directory
    Reflow,
    /// BoltConn's YAML
    Boltconn,
    /// policy-router's TOML
    PolicyRouter,
    /// bitflow's YAML
    Bitflow,
    /// Clash's and mihomo's YAML
    Clash,
    /// sing-box's JSON
    SingBox,
}

pub(crate) fn run(args: &ConvertArgs, out: &mut Out) -> Result<(), Stop> {
    let To::Native = args.to;
    args.output.ready()?;
    let conversion = converted(args)?;
    let faults = faults(&conversion.text, &load::directory(&args.path), &ThisHost);
    if !faults.is_empty() {
        faults.iter().for_each(complain);
        let error = "internal error: what was written does not load; nothing is written".to_owned();
        return Err(Stop::Failed(error));
    }
    let differs = args.strict && !conversion.is_equal();
    if let Some(path) = args.output.path().filter(|_| !differs) {
        // It may hold passwords.
        let text = conversion.text.as_bytes();
        args.output.write(path, text, Readers::Owner)?;
    }
    let error = "not all works as before, and `--strict` wants that: nothing is written";
    if out.json() {
        let report = conversion.report.iter().map(
            |remark| json!({ "place": remark.place, "text": remark.text, "equal": remark.equal }),
        );
        let Summary {
            works,
            changed,
            next,
        } = &conversion.summary;
        let mut answer = json!({
            "report": report.collect::<Vec<_>>(),
            "summary": { "works": works, "changed": changed, "next": next },
        });
        if differs {
            answer["error"] = error.into();
            answer["code"] = "not-equal".into();
            out.object(&answer)?;
            return Err(Stop::No);
        }
        answer["config"] = conversion.text.into();
        return out.object(&answer);
    }
    tell(&conversion, &args.path);
    match args.output.path() {
        _ if differs => Err(Stop::Failed(error.into())),
        Some(_) => Ok(()),
        None => out.bytes(conversion.text.as_bytes()),
    }
}

/// No conversion, and why.
fn refused(error: String, problems: Vec<Problem>) -> Stop {
    let code = if problems.is_empty() {
        "failed"
    } else {
        "invalid-configuration"
    };
    let refusal = Refusal {
        error,
        code: code.to_owned(),
        problems,
    };
    Stop::Invalid(refusal, 1)
}

fn converted(args: &ConvertArgs) -> Result<Conversion, Stop> {
    let path = &args.path;
    let dialect = match args.from {
        From::Auto => match foreign(path) {
            Some(document) => return converted_from(document, path),
            None => Dialect::Auto,
        },
        From::Clash => return said_to_be(Foreign::Clash, path),
        From::SingBox => return said_to_be(Foreign::SingBox, path),
        From::Bitflow => Dialect::Bitflow,
        From::Boltconn => Dialect::Boltconn,
        From::Native => Dialect::Native,
        From::PolicyRouter => Dialect::PolicyRouter,
        From::Reflow => Dialect::Reflow,
    };
    let Loaded {
        setup, problems, ..
    } = load::loaded(path, dialect);
    let Some(setup) = setup else {
        let told = problems.told();
        let errors = told.iter().filter(|p| p.severity == Severity::Error);
        let error = format!("{} has errors", path.display());
        return Err(refused(error, wires(errors, path)));
    };
    let main = if path.is_dir() {
        path.join("config")
    } else {
        path.clone()
    };
    let written = text(&main)?;
    Ok(from_setup(&setup, &written, &problems))
}

fn wires<'p>(problems: impl IntoIterator<Item = &'p config::Problem>, path: &Path) -> Vec<Problem> {
    let directory = load::directory(path);
    let problems = problems.into_iter();
    problems
        .map(|problem| load::wire(problem, &directory))
        .collect()
}

fn text(path: &Path) -> Result<String, Stop> {
    // A pipe was read by whoever looked at it first.
    read_text(&ThisHost, path)
        .map_err(|error| Stop::Failed(format!("{} cannot be read: {error}", path.display())))
}

/// A configuration that is converted and not served.
fn foreign(path: &Path) -> Option<Document> {
    if path.is_dir() {
        return None;
    }
    // What cannot be read is told by whoever reads it next.
    ThisHost.read_handed(path, MAX_FILE, PIPES_WITHIN).ok()?;
    let text = read_text(&ThisHost, path).ok()?;
    Document::tell(&Source::new(&path.display().to_string(), text)).ok()
}

fn said_to_be(language: Foreign, path: &Path) -> Result<Conversion, Stop> {
    let source = Source::new(&path.display().to_string(), text(path)?);
    converted_from(Document::of(language, &source), path)
}

fn converted_from(document: Document, path: &Path) -> Result<Conversion, Stop> {
    let language = document.language().as_str();
    from_foreign(document, &load::directory(path), &ThisHost).map_err(|problems| {
        let error = format!("{} cannot be read as {language}", path.display());
        refused(error, wires(&problems.told(), path))
    })
}

fn tell(conversion: &Conversion, path: &Path) {
    for remark in folded(&conversion.report, &path.display().to_string()) {
        complain(remark);
    }
    if conversion.summary != Summary::default() {
        complain(format_args!("\n{}\n", conversion.summary));
    }
    let warnings = conversion.report.iter().filter(|r| !r.equal).count();
    let notes = conversion.report.len() - warnings;
    complain(format_args!(
        "{}, {}",
        counted(warnings, "warning"),
        counted(notes, "note")
    ));
}
