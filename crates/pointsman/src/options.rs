//! Options that verbs share, and the words that they take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pointsman_config::setup::OnUnknown;
use pointsman_config::value::parse_duration;

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
    /// How long to wait for the daemon's answer [default: 30s; 5m for `reload` and `replay`; see `stop --wait`]
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
