//! `reload`: makes the daemon read its configuration again.

use std::time::Duration;

use clap::Args;
use pointsman_api::daemon::LONGEST_TRIAL_MS;
use pointsman_api::{Reload, ReloadRequest, route};
use pointsman_config::value::parse_duration;
use pointsman_policy::shown::plain;
use serde_json::json;

use crate::control;
use crate::options::Global;
use crate::output::{Out, Stop};

/// Arguments of `reload`.
#[derive(Args, Debug)]
pub(crate) struct ReloadArgs {
    /// Do everything except the change: print which recent flows would go elsewhere
    #[arg(long)]
    plan: bool,
    /// Keep names, addresses and programs out of the plan
    #[arg(long, requires = "plan")]
    redact: bool,
    /// Roll back unless `reload --confirm` comes within this time (`60s`)
    #[arg(long, value_name = "DURATION", conflicts_with = "plan")]
    confirm_within: Option<String>,
    /// Keep what a reload with `--confirm-within` put in force
    #[arg(long, conflicts_with_all = ["plan", "confirm_within"])]
    confirm: bool,
    /// Take back at once what a reload with `--confirm-within` put in force
    #[arg(long, conflicts_with_all = ["plan", "confirm_within", "confirm"])]
    roll_back: bool,
}

pub(crate) fn run(global: &Global, args: &ReloadArgs, out: &mut Out) -> Result<(), Stop> {
    let confirm_within_ms = match &args.confirm_within {
        None => None,
        Some(text) => {
            let duration = parse_duration(text)
                .map_err(|error| Stop::Usage(format!("--confirm-within: {error}")))?;
            let bounds = Duration::from_millis(1)..=Duration::from_millis(LONGEST_TRIAL_MS);
            if !bounds.contains(&duration) {
                let why = format!("--confirm-within {text}: write a time from `1ms` to `24h`");
                return Err(Stop::Usage(why));
            }
            Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
        }
    };
    let told: Reload = if args.confirm {
        control::post(global, route::CONFIRM, &json!({}))?
    } else if args.roll_back {
        control::post(global, route::ROLL_BACK, &json!({}))?
    } else {
        let request = ReloadRequest {
            plan: args.plan,
            confirm_within_ms,
            redact: args.redact,
        };
        control::post(global, route::RELOAD, &request)?
    };
    out.answer(&told, |out| {
        if out.quiet {
            return Ok(());
        }
        for problem in &told.problems {
            out.line(&problem.text)?;
        }
        if let Some(plan) = &told.plan {
            super::replay::write(plan, out)?;
        }
        let now = &told.generation;
        match &told.back {
            Some(earlier) => {
                out.line(format_args!(
                    "generation {earlier} is back, as generation {now}"
                ))?;
            }
            None if told.applied => out.line(format_args!("generation {now} is in force"))?,
            None => out.line(format_args!("generation {now} is still in force"))?,
        }
        if let Some(notice) = &told.notice {
            let word = out.colored(33, "warning");
            out.line(format_args!("{word}: {}", plain(notice)))?;
        }
        super::replay::warn(&told.warnings, out)?;
        match &told.awaiting {
            Some(awaiting) => out.line(super::status::awaiting(awaiting)),
            None => Ok(()),
        }
    })
}
