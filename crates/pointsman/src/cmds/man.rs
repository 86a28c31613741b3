//! `man`: man pages, from the same words as `--help`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::output::{Out, Stop};

/// What each page ends with, as man(7) has it.
const ENDS: &str = r"
.SH EXIT STATUS
.TP
0
Yes.
.TP
1
No: errors were found, a test failed, what was expected is not so.
.TP
2
The command line is wrong.
.TP
3
There is no daemon.
.TP
4
The daemon said no.
.SH ENVIRONMENT
.TP
POINTSMAN_CONTROL
The daemon's control socket; \fB\-\-control\fR is stronger.
.TP
NO_COLOR
Nothing is coloured where it is set.
";

/// Arguments of `man`.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write the pages of this program and of each verb into this directory
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Writes the pages of `program`.
pub(crate) fn run(program: Command, args: &ManArgs, out: &mut Out) -> Result<(), Stop> {
    let mut whole = program.disable_help_subcommand(true);
    whole.build();
    let Some(directory) = &args.output else {
        return out.bytes(&page(&whole, None)?);
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    write(&whole, None, directory)
}

/// The page of a command and those of what is below it.
fn write(command: &Command, above: Option<&Command>, directory: &Path) -> Result<(), Stop> {
    let path = directory.join(format!("{}.1", name(command)));
    std::fs::write(&path, page(command, above)?).map_err(|error| failed(&path, &error))?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_for_each(|below| write(below, Some(command), directory))
}

fn page(command: &Command, above: Option<&Command>) -> Result<Vec<u8>, Stop> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).manual("Pointsman");
    man.render(&mut page)?;
    page.extend_from_slice(ENDS.as_bytes());
    let other = above.map_or_else(
        || "pointsmand(8)".to_owned(),
        |above| format!("{}(1)", name(above)),
    );
    let other = other.replace('-', "\\-");
    page.extend_from_slice(format!(".SH SEE ALSO\n{other}\n").as_bytes());
    Ok(page)
}

/// `pointsman-rule-set-match`.
fn name(command: &Command) -> &str {
    let shown = command.get_display_name();
    shown.unwrap_or_else(|| command.get_name())
}

fn failed(path: &Path, error: &io::Error) -> Stop {
    Stop::Failed(format!("`{}` cannot be written: {error}", path.display()))
}
