//! What the command line says. Each verb's own arguments stand in its file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pointsman_config::setup::OnUnknown;
use pointsman_config::value::parse_duration;

use crate::cmds;

/// Control the Pointsman daemon; check, explain and convert configurations.
#[derive(Debug, Parser)]
#[command(
    name = "pointsman",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that stand before or after the verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The daemon's control socket [env: POINTSMAN_CONTROL]
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) control: Option<PathBuf>,
    /// The daemon's state directory: finds its control socket and its lists [default: as the daemon's]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How long to wait for the daemon's answer [default: 30s; 5m for `reload` and `replay`]
    #[arg(long, global = true, value_name = "DURATION", value_parser = patience)]
    pub(crate) timeout: Option<Duration>,
    /// Output format [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Print nothing that the exit code already says
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub(crate) color: Color,
}

fn patience(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For scripts; stable. What fails answers `{"error", "code", "problems"}`.
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// State, configuration, inbounds and outbounds of the daemon
    Status,
    /// Counters, versions, host changes in force
    Diagnostics,
    /// Make the daemon read its configuration again: all of it takes effect, or nothing
    Reload(cmds::reload::ReloadArgs),
    /// What another configuration would do with recent flows; changes nothing
    Replay(cmds::replay::ReplayArgs),
    /// How many flows and bytes each rule decided
    Rules(cmds::rules::RulesArgs),
    /// End the daemon cleanly
    Stop,
    /// Where a flow goes, and why
    Explain(cmds::explain::ExplainArgs),
    /// Check a configuration and list all its problems
    Check(cmds::check::CheckArgs),
    /// Run a policy's own tests: those in the configuration and the `*.case` files beside it
    Test(cmds::test::TestArgs),
    /// Convert a configuration to the native language, and report what differs
    Convert(cmds::convert::ConvertArgs),
    /// Format trees and rules
    Fmt(cmds::fmt::FmtArgs),
    /// Print the policy as a tree, a rule list or a picture
    Policy(cmds::policy::PolicyArgs),
    /// List, follow and close flows
    Flows(cmds::flows::FlowsArgs),
    /// Answer the requests of rules: flows that wait for an answer
    Approve(cmds::approve::ApproveArgs),
    /// List outbounds; select members of groups
    Outbounds(cmds::outbounds::OutboundsArgs),
    /// Look up a host in a rule set; convert a rule set
    #[command(subcommand)]
    RuleSet(cmds::rule_set::RuleSetVerb),
    /// Print completions for a shell
    Completions(cmds::completions::CompletionsArgs),
    /// Print the man page, or with `--output` write one for each verb
    Man(cmds::man::ManArgs),
    /// Print the JSON Schema of the native configuration, for editors
    Schema,
    /// Print the client's version
    Version,
}

/// What a rule does when its look-up fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unknown {
    /// The rule does not match.
    Skip,
    /// The flow is refused.
    Reject,
}

impl Unknown {
    /// As policies have it.
    pub(crate) fn chosen(self) -> OnUnknown {
        match self {
            Self::Skip => OnUnknown::Skip,
            Self::Reject => OnUnknown::Reject,
        }
    }
}

/// The languages that a configuration can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// By the file's shape.
    #[default]
    Auto,
    /// bitflow's YAML.
    Bitflow,
    /// BoltConn's YAML.
    Boltconn,
    /// Pointsman's own YAML.
    Native,
    /// policy-router's TOML.
    PolicyRouter,
    /// reflow's directory.
    Reflow,
}

impl Dialect {
    pub(crate) fn chosen(self) -> Option<pointsman_config::Dialect> {
        use pointsman_config::Dialect as Known;
        match self {
            Self::Auto => None,
            Self::Bitflow => Some(Known::Bitflow),
            Self::Boltconn => Some(Known::Boltconn),
            Self::Native => Some(Known::Native),
            Self::PolicyRouter => Some(Known::PolicyRouter),
            Self::Reflow => Some(Known::Reflow),
        }
    }
}
