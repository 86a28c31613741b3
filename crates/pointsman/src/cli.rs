//! What the command line says. Each verb's own arguments stand in its file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pointsman_config::setup::OnUnknown;
use pointsman_config::value::parse_duration;

use crate::cmds;

/// Asks the Pointsman daemon, checks and explains configurations.
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
pub(crate) struct Global {
    /// The daemon's control socket [env: POINTSMAN_CONTROL]
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) control: Option<PathBuf>,
    /// Where the daemon keeps its state, by which its control socket and its lists are found [default: as the daemon's]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How long to wait for the daemon's answer [default: 30s; 5m for `reload` and `replay`]
    #[arg(long, global = true, value_name = "DURATION", value_parser = patience)]
    pub(crate) timeout: Option<Duration>,
    /// How answers are written [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Say nothing where the exit code says it all
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// When to colour
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
    /// For scripts; stable.
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
    /// What another configuration would do with the flows of lately; changes nothing
    Replay(cmds::replay::ReplayArgs),
    /// What each rule decided
    Rules(cmds::rules::RulesArgs),
    /// End the daemon cleanly
    Stop,
    /// Where a flow goes, and why
    Explain(cmds::explain::ExplainArgs),
    /// All problems of a configuration
    Check(cmds::check::CheckArgs),
    /// Run a policy's own tests: those in the configuration and the `*.case` files beside it
    Test(cmds::test::TestArgs),
    /// A configuration in the native language, and a report of what it cannot say
    Convert(cmds::convert::ConvertArgs),
    /// Lay out trees and rules in one way
    Fmt(cmds::fmt::FmtArgs),
    /// The policy as text
    Policy(cmds::policy::PolicyArgs),
    /// Flows of the daemon
    Flows(cmds::flows::FlowsArgs),
    /// Answer what rules ask: flows that wait for somebody's word
    Approve(cmds::approve::ApproveArgs),
    /// Ways out of the daemon
    Outbounds(cmds::outbounds::OutboundsArgs),
    /// Lists: which entry holds a host, a list in another format
    #[command(subcommand)]
    RuleSet(cmds::rule_set::RuleSetVerb),
    /// Completions for a shell
    Completions(cmds::completions::CompletionsArgs),
    /// Man pages: this program's, or with `--output` one for each verb
    Man(cmds::man::ManArgs),
    /// The JSON Schema of the native configuration, for editors
    Schema,
    /// The client's version
    Version,
}

/// What a rule does whose look-up broke.
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
