//! `replay`: the daemon's recent flows through another configuration.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use pointsman_api::replay::{MovedFlow, MovedGroup, OtherServer};
use pointsman_api::{Replay, ReplayRequest, route};
use pointsman_policy::shown::plain;

use crate::options::{Dialect, Global};
use crate::output::{Out, Stop};
use crate::wording::decided;
use crate::{control, load};

/// Arguments of `replay`.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The configuration to try; the default is the daemon's own as it is on disk now
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The language of the configuration
    #[arg(long, value_enum, default_value = "auto", requires = "config")]
    dialect: Dialect,
    /// At most this many flows, the latest
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Keep names, addresses and programs out of the answer
    #[arg(long)]
    redact: bool,
}

pub(crate) fn run(global: &Global, args: &ReplayArgs, out: &mut Out) -> Result<(), Stop> {
    let absolute = |path: &PathBuf| {
        // The daemon stands in another directory.
        std::path::absolute(path)
            .map(|path| path.display().to_string())
            .map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))
    };
    let config = args.config.as_ref().map(absolute).transpose()?;
    let request = ReplayRequest {
        text: args.config.as_deref().and_then(text),
        config,
        dialect: args.dialect.chosen().map(|it| it.as_str().to_owned()),
        last: args.last,
        redact: args.redact,
    };
    let replayed = control::post(global, route::REPLAY, &request);
    let replay: Replay = replayed.map_err(|stop| explained(stop, args))?;
    out.answer(&replay, |out| write(&replay, out))
}

/// The text of a candidate that is a file and fits into a request; others are read by the daemon.
fn text(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    let read = file.take(MOST_SENT + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= MOST_SENT).then_some(text)
}

/// The daemon says where a candidate is wrong; what stands there the client reads by itself.
fn explained(stop: Stop, args: &ReplayArgs) -> Stop {
    let (Stop::Refused(refusal), Some(path)) = (&stop, &args.config) else {
        return stop;
    };
    if refusal.problems.is_empty() {
        return stop;
    }
    let mine: Vec<_> = load::loaded(path, args.dialect)
        .problems
        .0
        .iter()
        .map(|problem| load::wire(problem, &load::directory(path)))
        .collect();
    if mine.is_empty() {
        return stop;
    }
    Stop::Refused(pointsman_api::Error {
        problems: mine,
        ..refusal.clone()
    })
}

/// The longest text that is sent, in bytes: as JSON it may take twice as many, of which the daemon reads 1 MiB.
const MOST_SENT: u64 = 400 << 10;

/// The answer for people.
pub(crate) fn write(replay: &Replay, out: &mut Out) -> Result<(), Stop> {
    for group in &replay.groups {
        let MovedGroup {
            from,
            to,
            other_server,
            old_rule: _,
            new_rule: _,
            flows,
            old_reason,
            new_reason,
            examples,
        } = group;
        let way = format!("{} -> {}", decided(from), decided(to));
        out.line(format_args!(
            "{}: {}",
            flows_of(*flows),
            out.colored(1, &way)
        ))?;
        if let Some(other) = other_server {
            out.line(format_args!("  {}", behind(other)))?;
        }
        out.line(format_args!("  before: {old_reason}"))?;
        out.line(format_args!("  after:  {new_reason}"))?;
        let examples: Vec<String> = examples.iter().map(example).collect();
        let more = if usize::try_from(*flows).is_ok_and(|flows| flows > examples.len()) {
            ", ..."
        } else {
            ""
        };
        out.line(format_args!("  flow {}{more}", examples.join(", ")))?;
    }
    for untold in &replay.untold {
        out.line(format_args!(
            "{} is not known: the flow's record has no `{}`",
            flows_of(untold.flows),
            untold.fact
        ))?;
    }
    for gone in &replay.gone {
        out.line(format_args!(
            "{} came in by `{}`, which would be gone",
            flows_of(gone.flows),
            gone.inbound
        ))?;
    }
    let config = replay.config.as_deref().unwrap_or("the embedded default");
    out.line(format_args!(
        "{} through {config}: {} would go elsewhere, {} the same way ({} of them by another rule)",
        flows_of(replay.flows),
        replay.moved,
        replay.same,
        replay.by_another_rule
    ))?;
    warn(&replay.warnings, out)
}

/// What is or would be gone that somebody selected.
pub(super) fn warn(warnings: &[String], out: &mut Out) -> Result<(), Stop> {
    for warning in warnings {
        let word = out.colored(33, "warning");
        out.line(format_args!("{word}: {}", plain(warning)))?;
    }
    Ok(())
}

/// What a name that stays would mean.
fn behind(other: &OtherServer) -> String {
    match other {
        OtherServer {
            from: Some(from),
            other_login: true,
            ..
        } => format!("same outbound, other login: {from}"),
        OtherServer {
            other_login: true, ..
        } => "same outbound, other login".to_owned(),
        OtherServer {
            from: Some(from),
            to: Some(to),
            ..
        } => format!("same outbound, other server: {from} -> {to}"),
        OtherServer { .. } => "same outbound, other server".to_owned(),
    }
}

fn flows_of(count: u64) -> String {
    match count {
        1 => "1 flow".to_owned(),
        count => format!("{count} flows"),
    }
}

fn example(flow: &MovedFlow) -> String {
    let mut text = flow.id.to_string();
    if let Some(destination) = &flow.destination {
        text = format!("{text} to {destination}");
    }
    if let Some(process) = &flow.process {
        text = format!("{text} of {process}");
    }
    text
}
