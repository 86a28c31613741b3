//! The Pointsman client: asks the daemon, checks and explains configurations.
//!
//! Invariant: it never touches the network or the host; all that it changes, the daemon changes for
//! it. Data goes to stdout, everything else to stderr; the exit code says what came of it.

mod called_as;
mod cli;
mod cmds;
mod control;
mod files;
mod flow_args;
mod load;
mod options;
mod output;
mod output_file;
mod table;
mod wording;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Verb};
use crate::output::{Out, Stop};

fn main() -> ExitCode {
    if let Some(code) = called_as::run() {
        return code;
    }
    let cli = Cli::parse();
    let mut out = Out::new(&cli.global);
    load::set_state(cli.global.state.as_deref());
    let done = run(&cli, &mut out).and_then(|()| out.flush());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => out.stopped(&stop),
    }
}

fn run(cli: &Cli, out: &mut Out) -> Result<(), Stop> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Status => cmds::status::run(global, out),
        Verb::Diagnostics => cmds::diagnostics::run(global, out),
        Verb::Reload(args) => cmds::reload::run(global, args, out),
        Verb::Replay(args) => cmds::replay::run(global, args, out),
        Verb::Rules(args) => cmds::rules::run(global, args, out),
        Verb::Stop(args) => cmds::stop::run(global, args, out),
        Verb::Explain(args) => cmds::explain::run(global, args, out),
        Verb::Check(args) => cmds::check::run(args, out),
        Verb::Test(args) => cmds::test::run(args, out),
        Verb::Convert(args) => cmds::convert::run(args, out),
        Verb::Fmt(args) => cmds::fmt::run(args, out),
        Verb::Policy(args) => cmds::policy::run(global, args, out),
        Verb::Flows(args) => cmds::flows::run(global, args, out),
        Verb::Dns(args) => cmds::dns::run(global, args, out),
        Verb::Approve(args) => cmds::approve::run(global, args, out),
        Verb::Outbounds(args) => cmds::outbounds::run(global, args, out),
        Verb::RuleSet(verb) => cmds::rule_set::run(verb, out),
        Verb::Completions(args) => cmds::completions::run(Cli::command(), args, out),
        Verb::Man(args) => cmds::man::run(Cli::command(), args, out),
        Verb::Schema => cmds::schema::run(out),
        Verb::Version => cmds::version::run(out),
    }
}
