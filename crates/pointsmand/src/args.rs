//! The daemon's command line.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use pointsman_config::Dialect;
use pointsman_config::setup::OnUnknown;

use crate::logging::{self, Log};

/// Takes traffic, decides by the policy, carries it.
#[derive(Debug, Parser)]
#[command(name = "pointsmand", version, about, max_term_width = 100)]
pub(crate) struct Args {
    /// The same as `--config`.
    #[arg(value_name = "CONFIG", conflicts_with = "config", value_parser = configuration())]
    pub path: Option<PathBuf>,
    /// The configuration: a file, or reflow's directory. Without it the first that exists of
    /// $XDG_CONFIG_HOME/pointsman/pointsman.yaml and /etc/pointsman/pointsman.yaml, else the embedded
    /// default: SOCKS5 and HTTP on 127.0.0.1:7890, everything direct.
    #[arg(short, long, value_name = "PATH", value_parser = configuration())]
    pub config: Option<PathBuf>,
    /// The configuration's language.
    #[arg(long, value_name = "DIALECT", default_value = "auto")]
    pub dialect: DialectChoice,
    /// What a rule does when its look-up fails: it does not match, or it refuses the flow. Stronger than the
    /// key `on_unknown`, which only the native language has.
    #[arg(long, value_name = "WHAT")]
    pub on_unknown: Option<UnknownChoice>,
    /// The control socket.
    #[arg(long, value_name = "ADDR")]
    pub control: Option<PathBuf>,
    /// The state directory: selections of groups, rule counts, caches of lists. Each daemon needs its own.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// error, warn, info, debug or trace; RUST_LOG overrides it.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Text for people, or one JSON object per line; overrides the configuration.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Check the configuration, print the plan of host changes, and end.
    #[arg(long)]
    pub dry_run: bool,
    /// Make no host changes; keep to the user's own paths.
    #[arg(long)]
    pub rootless: bool,
    /// Undo the host changes that a dead daemon left.
    #[arg(long)]
    pub undo: bool,
    /// Print the man page, and end.
    #[arg(long)]
    pub man: bool,
    /// Worker threads; 0: one for each core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub workers: usize,
}

impl Args {
    /// Starts the log; `level` and `json` are the configuration's.
    pub(crate) fn log(&self, level: Option<&str>, json: bool) -> Result<Log, String> {
        let json = self.log_format.map_or(json, |told| told == LogFormat::Json);
        logging::start(self.log_level.as_deref(), level, json)
    }

    /// Whether the command line says that programs read the log.
    pub(crate) fn wants_json(&self) -> bool {
        self.log_format == Some(LogFormat::Json)
    }
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Refuses what cannot be read again.
fn read_again(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.as_os_str() == "-" {
        true => Err("a reload reads the configuration again, so it cannot come by stdin"),
        false => Ok(path),
    }
}

/// A path to a configuration.
fn configuration() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(read_again)
}

/// `--on-unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownChoice {
    /// The rule does not match.
    Skip,
    /// The flow is refused.
    Reject,
}

impl UnknownChoice {
    /// As policies have it.
    pub(crate) fn chosen(self) -> OnUnknown {
        match self {
            Self::Skip => OnUnknown::Skip,
            Self::Reject => OnUnknown::Reject,
        }
    }
}

/// `--dialect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DialectChoice {
    /// By the file's shape.
    Auto,
    /// Our own YAML.
    Native,
    /// reflow's directory.
    Reflow,
    /// BoltConn's YAML.
    Boltconn,
    /// policy-router's TOML.
    PolicyRouter,
    /// bitflow's YAML.
    Bitflow,
}

impl DialectChoice {
    /// The dialect to read; `None`: told by the file's shape.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Auto => None,
            Self::Native => Some(Dialect::Native),
            Self::Reflow => Some(Dialect::Reflow),
            Self::Boltconn => Some(Dialect::Boltconn),
            Self::PolicyRouter => Some(Dialect::PolicyRouter),
            Self::Bitflow => Some(Dialect::Bitflow),
        }
    }
}
