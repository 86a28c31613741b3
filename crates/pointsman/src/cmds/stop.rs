//! `stop`: ends the daemon cleanly.

use std::time::{Duration, Instant};

use clap::Args;
use pointsman_api::{Status, Stop as Stopping, route};
use pointsman_os::local::Process;
use serde_json::json;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

/// Arguments of `stop`.
#[derive(Args, Debug)]
pub(crate) struct StopArgs {
    /// Wait until the daemon has ended: `--timeout` says how long [default: its grace and 30s]
    #[arg(long)]
    wait: bool,
}

pub(crate) fn run(global: &Global, args: &StopArgs, out: &mut Out) -> Result<(), Stop> {
    let daemon = match args.wait {
        true => Some(Daemon::of(global)?),
        false => None,
    };
    let told: Stopping = control::post(global, route::STOP, &json!({}))?;
    out.answer(&told, |out| {
        if out.quiet {
            return Ok(());
        }
        out.line(said(&told))
    })?;
    let Some(daemon) = daemon else {
        return Ok(());
    };
    // It may take its time: what was said is seen meanwhile. Whoever does not read still wants to know the end.
    match out.flush() {
        Err(Stop::Unread) | Ok(()) => {}
        Err(other) => return Err(other),
    }
    let usual = Duration::from_millis(told.grace_ms).saturating_add(MARGIN);
    daemon.ends_within(global, global.timeout.unwrap_or(usual))?;
    match out.json() || out.quiet {
        true => Ok(()),
        false => out.line("ended"),
    }
}

/// What the daemon will do, on one line.
fn said(told: &Stopping) -> String {
    let Stopping {
        state,
        flows_live,
        grace_ms,
        again,
    } = told;
    match (again, flows_live) {
        (true, 0) => "already stopping: no live flows".to_owned(),
        (true, 1) => "already stopping: the live flow is ended now".to_owned(),
        (true, many) => format!("already stopping: the {many} live flows are ended now"),
        (false, 0) => format!("{state}: no live flows"),
        (false, 1) => format!("{state}: 1 live flow has {grace_ms} ms"),
        (false, many) => format!("{state}: {many} live flows have {grace_ms} ms"),
    }
}

/// The daemon whose end is waited for.
struct Daemon {
    pid: u32,
    /// `None` where the system does not tell it, or something stands between (a socket that is forwarded).
    process: Option<Process>,
}

impl Daemon {
    fn of(global: &Global) -> Result<Self, Stop> {
        let process = control::other_end(global)?;
        let Status { pid, .. } = control::get(global, route::STATUS)?;
        let process = process.filter(|process| process.number() == pid);
        Ok(Self { pid, process })
    }

    fn ends_within(&self, global: &Global, limit: Duration) -> Result<(), Stop> {
        let ended = match &self.process {
            Some(process) => process.ends_within(limit).map_err(Stop::from)?,
            None => self.leaves_its_socket(global, limit)?,
        };
        match ended {
            true => Ok(()),
            false => Err(Stop::Failed(format!(
                "the daemon (process {}) has not ended within {limit:?}; it is still stopping",
                self.pid
            ))),
        }
    }

    /// Whether nobody answers there in time, or another daemon does.
    fn leaves_its_socket(&self, global: &Global, limit: Duration) -> Result<bool, Stop> {
        let begun = Instant::now();
        loop {
            match control::get::<Status>(global, route::STATUS) {
                Err(Stop::NoDaemon(_)) => return Ok(true),
                Ok(status) if status.pid != self.pid => return Ok(true),
                // It may end in the middle of an answer.
                Ok(_) | Err(Stop::Failed(_)) => {}
                Err(other) => return Err(other),
            }
            if begun.elapsed() >= limit {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// How long an end may take beyond the grace of flows.
const MARGIN: Duration = Duration::from_secs(30);
/// Between two questions whether it is still there.
const PAUSE: Duration = Duration::from_millis(100);
