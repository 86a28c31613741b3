//! `rule-set convert`: a list in another format.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pointsman_config::list::write::{Collected, LeftOut, Only, OutputFormat};
use serde_json::json;

use super::{Reading, read};
use crate::output::{Out, Stop};
use crate::output_file::{OutputFile, Readers};

/// How many of the entries that are left out are named.
const MOST_NAMED: usize = 20;

/// Arguments of `rule-set convert`.
#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// The list: a file, or `-` for stdin
    file: PathBuf,
    /// The format to convert to
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: To,
    #[command(flatten)]
    output: OutputFile,
    /// Only entries on names, or only those on addresses
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<Half>,
    /// Write nothing, and exit with 1, where an entry would be left out
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reading: Reading,
}

/// The formats that lists are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// mihomo's binary rule set: names or addresses
    Mrs,
    /// sing-box's binary rule set
    Srs,
    /// One entry a line
    Text,
    /// YAML with the list `payload`
    Yaml,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Half {
    /// Address ranges
    Addresses,
    /// All but address ranges
    Names,
}

pub(crate) fn run(args: &ConvertArgs, out: &mut Out) -> Result<(), Stop> {
    if out.json() && args.output.path().is_none() {
        return Err(Stop::Usage(
            "`--format json` answers with a report: say where the list goes (`-o`)".into(),
        ));
    }
    args.output.ready()?;
    let mut kept = Collected::new(match args.only {
        None => Only::All,
        Some(Half::Addresses) => Only::Addresses,
        Some(Half::Names) => Only::Names,
    });
    let notes = read(&args.file, &args.reading, &mut kept, out)?;
    let written = kept.write(match args.to {
        To::Mrs => OutputFormat::Mrs,
        To::Srs => OutputFormat::Srs,
        To::Text => OutputFormat::Text,
        To::Yaml => OutputFormat::Yaml,
    });
    let shown = args.file.display().to_string();
    tell(&written.left_out, &shown, out);
    if written.count == 0 {
        return Err(Stop::Failed(format!(
            "{shown} has no entry that can be written so"
        )));
    }
    if args.strict && !(written.left_out.is_empty() && notes.left_out() == 0) {
        return Err(Stop::Failed("nothing is written: `--strict`".into()));
    }
    let Some(output) = args.output.path() else {
        return out.bytes(&written.bytes);
    };
    args.output.write(output, &written.bytes, Readers::Usual)?;
    let (count, left_out) = (written.count, written.left_out.len());
    let unreadable = notes.left_out();
    out.say(format_args!(
        "{}: {count} entries, {left_out} left out, {unreadable} unreadable",
        output.display()
    ));
    let entry = |left: &LeftOut| json!({ "line": left.line, "text": left.text, "why": left.why });
    let report = json!({
        "file": shown,
        "output": output.display().to_string(),
        "entries": count,
        "left_out": written.left_out.iter().map(entry).collect::<Vec<_>>(),
        "unreadable": unreadable,
    });
    out.answer(&report, |_| Ok(()))
}

fn tell(left_out: &[LeftOut], file: &str, out: &mut Out) {
    for LeftOut { line, text, why } in left_out.iter().take(MOST_NAMED) {
        out.say(format_args!("{file}:{line}: left out: {text}: {why}"));
    }
    if let Some(more) = left_out.len().checked_sub(MOST_NAMED).filter(|n| *n > 0) {
        out.say(format_args!("{file}: {more} more are left out"));
    }
}
