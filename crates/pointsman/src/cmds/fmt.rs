//! `fmt`: lays files out in one way.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pointsman_config::input::{MAX_FILE, read_text};
use pointsman_config::problem::Form;
use pointsman_config::{Problems, Severity, Source};
use pointsman_os::local::open_regular;
use pointsman_tools::fmt::{FileKind, format};

use crate::files::ThisHost;
use crate::load;
use crate::output::{Out, Stop, complain};

/// Arguments of `fmt`.
#[derive(Args, Debug)]
pub(crate) struct FmtArgs {
    /// Files to format, or reflow's directory; `-` reads stdin and writes stdout
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Change nothing; the exit code is 1 if something would change
    #[arg(long)]
    check: bool,
    /// What the files hold
    #[arg(long, value_enum, default_value = "auto")]
    kind: Held,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Held {
    /// By its name, else by what it begins with.
    Auto,
    /// reflow's `config`.
    Reflow,
    /// One rule, name or range a line.
    Rules,
    /// One tree.
    Tree,
    /// A native file: its trees and rules are laid out.
    Yaml,
}

pub(crate) fn run(args: &FmtArgs, out: &mut Out) -> Result<(), Stop> {
    let mut stop = None;
    for path in &args.paths {
        let done = match path.as_os_str() == "-" {
            true => stdin(args, out),
            false => file(args, path, out),
        };
        match done {
            Ok(()) => {}
            Err(why @ (Stop::No | Stop::Failed(_))) => {
                if let Stop::Failed(why) = &why {
                    complain(format_args!("error: {why}"));
                }
                stop = Some(Stop::No);
            }
            Err(other) => return Err(other),
        }
    }
    stop.map_or(Ok(()), Err)
}

fn stdin(args: &FmtArgs, out: &mut Out) -> Result<(), Stop> {
    let mut text = String::new();
    let bad = |error: io::Error| Stop::Failed(format!("stdin cannot be read: {error}"));
    let most = MAX_FILE + 1;
    let read = io::stdin().lock().take(most).read_to_string(&mut text);
    if read.map_err(bad)? as u64 == most {
        return Err(bad(io::ErrorKind::FileTooLarge.into()));
    }
    let new = laid_out(args, Path::new("-"), &text)?;
    if args.check {
        return changed(Path::new("-"), new != text, out);
    }
    out.bytes(new.as_bytes())
}

fn file(args: &FmtArgs, path: &Path, out: &mut Out) -> Result<(), Stop> {
    let path = match path.is_dir() {
        true => path.join("config"),
        false => path.to_owned(),
    };
    let bad =
        |error: io::Error| Stop::Failed(format!("{} cannot be read: {error}", path.display()));
    // Its byte order mark stays, too.
    let mut first = [0; 3];
    let read = open_regular(&path).and_then(|mut file| file.read(&mut first));
    let mark = read.map_err(bad)? == 3 && first == *b"\xef\xbb\xbf";
    let text = read_text(&ThisHost, &path).map_err(bad)?;
    let new = laid_out(args, &path, &text)?;
    let changes = new != text;
    if args.check {
        return changed(&path, changes, out);
    }
    if changes {
        let mark = if mark { "\u{feff}" } else { "" };
        replace(&path, format!("{mark}{new}").as_bytes()).map_err(|error| {
            Stop::Failed(format!("{} cannot be written: {error}", path.display()))
        })?;
        out.say(format_args!("{}: formatted", path.display()));
    }
    Ok(())
}

fn changed(path: &Path, changes: bool, out: &mut Out) -> Result<(), Stop> {
    if !changes {
        return Ok(());
    }
    out.say(format_args!("{}: would be reformatted", path.display()));
    Err(Stop::No)
}

fn laid_out(args: &FmtArgs, path: &Path, text: &str) -> Result<String, Stop> {
    let kind = match args.kind {
        Held::Auto => FileKind::tell(path, text),
        Held::Reflow => FileKind::Reflow,
        Held::Rules => FileKind::Rules,
        Held::Tree => FileKind::Tree,
        Held::Yaml => FileKind::Yaml,
    };
    let name = path
        .file_name()
        .map_or_else(|| "-".into(), |name| name.to_string_lossy());
    let source = match kind {
        FileKind::Rules | FileKind::Tree => Source::open(&name, text.to_owned()),
        FileKind::Reflow | FileKind::Yaml => Source::new(&name, text.to_owned()),
    };
    if matches!(kind, FileKind::Reflow) {
        source.written(Form::Reflow);
    }
    let mut problems = Problems::default();
    let new = format(kind, &source, &mut problems);
    problems.sort();
    let told = problems.told();
    let errors = told.iter().filter(|p| p.severity == Severity::Error);
    for problem in errors {
        complain(load::wire(problem, &load::directory(path)).text);
    }
    new.ok_or_else(|| {
        Stop::Failed(format!(
            "{} cannot be read and stays as it is",
            path.display()
        ))
    })
}

/// Writes a file beside the old one, with its mode, and puts it in its place: nobody ever sees half of
/// it. Where the path is a link, what it leads to is replaced.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.set_permissions(mode)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // What was begun is no use to anybody.
        let _gone = fs::remove_file(&beside);
    }
    written
}
