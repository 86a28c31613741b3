//! `convert`: a configuration in the native language, and what it cannot say.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pointsman_config::convert::{Conversion, Foreign, faults, folded, from_setup};
use pointsman_config::files::{Files as _, PIPES_WITHIN};
use pointsman_config::load::{MAX_FILE, read_text};
use serde_json::json;

use crate::cli::Dialect;
use crate::files::ThisHost;
use crate::load;
use crate::output::{Out, Stop, complain};
use crate::output_file::{OutputFile, Readers};

/// Arguments of `convert`.
#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// The configuration: a file, or reflow's directory
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
        for fault in &faults {
            complain(fault);
        }
        let what = "internal error: what was written does not load; nothing is written";
        return Err(Stop::Failed(what.into()));
    }
    if args.strict && !conversion.is_equal() {
        tell(&conversion, &args.path);
        return Err(Stop::Failed("not all could be said: `--strict`".into()));
    }
    if let Some(path) = args.output.path() {
        // It may hold passwords.
        let text = conversion.text.as_bytes();
        args.output.write(path, text, Readers::Owner)?;
    }
    if out.json() {
        let report = conversion.report.iter().map(
            |remark| json!({ "place": remark.place, "text": remark.text, "equal": remark.equal }),
        );
        let answer = json!({
            "config": conversion.text,
            "report": report.collect::<Vec<_>>(),
        });
        return out.object(&answer);
    }
    tell(&conversion, &args.path);
    match args.output.path() {
        Some(_) => Ok(()),
        None => out.bytes(conversion.text.as_bytes()),
    }
}

fn converted(args: &ConvertArgs) -> Result<Conversion, Stop> {
    let path = &args.path;
    let dialect = match args.from {
        From::Auto => match foreign(path) {
            Some(foreign) => return from_foreign(foreign, path),
            None => Dialect::Auto,
        },
        From::Clash => return from_foreign(Foreign::Clash, path),
        From::SingBox => return from_foreign(Foreign::SingBox, path),
        From::Bitflow => Dialect::Bitflow,
        From::Boltconn => Dialect::Boltconn,
        From::Native => Dialect::Native,
        From::PolicyRouter => Dialect::PolicyRouter,
        From::Reflow => Dialect::Reflow,
    };
    let (setup, problems) = load::setup_and_problems(path, dialect)?;
    let main = if path.is_dir() {
        path.join("config")
    } else {
        path.clone()
    };
    let written = text(&main)?;
    Ok(from_setup(&setup, &written, &problems))
}

fn text(path: &Path) -> Result<String, Stop> {
    // A pipe was read by whoever looked at it first.
    read_text(&ThisHost, path)
        .map_err(|error| Stop::Failed(format!("{} cannot be read: {error}", path.display())))
}

fn foreign(path: &Path) -> Option<Foreign> {
    if path.is_dir() {
        return None;
    }
    // What cannot be read is told by whoever reads it next.
    ThisHost.read_handed(path, MAX_FILE, PIPES_WITHIN).ok()?;
    let text = read_text(&ThisHost, path).ok()?;
    Foreign::tell(path, &text)
}

fn from_foreign(foreign: Foreign, path: &Path) -> Result<Conversion, Stop> {
    let name = path.display().to_string();
    let done = foreign.convert(&name, text(path)?, &load::directory(path), &ThisHost);
    done.map_err(|problems| {
        for problem in &problems.0 {
            complain(problem);
        }
        Stop::Failed(format!("{name} cannot be read as {}", foreign.as_str()))
    })
}

fn tell(conversion: &Conversion, path: &Path) {
    for remark in folded(&conversion.report, &path.display().to_string()) {
        complain(remark);
    }
    let lost = conversion.report.iter().filter(|r| !r.equal).count();
    complain(format_args!("{lost} not equal"));
}
