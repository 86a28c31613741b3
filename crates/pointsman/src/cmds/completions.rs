//! `completions`: a script that completes the command line.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::output::{Out, Stop};

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Writes the script for `program`.
pub(crate) fn run(mut program: Command, args: &CompletionsArgs, out: &mut Out) -> Result<(), Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "pointsman", &mut script);
    out.bytes(&script)
}
