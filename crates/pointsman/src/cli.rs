//! What the command line says. Each verb's own arguments stand in its file.

use clap::{Parser, Subcommand};

use crate::cmds;
use crate::options::Global;

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
    Stop(cmds::stop::StopArgs),
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
    /// What the daemon's DNS server knows
    Dns(cmds::dns::DnsArgs),
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
