//! `pointsmand`: the daemon. Wiring, reload, control socket, signals.
//!
//! The data plane runs on workers of its own; this thread's runtime serves the control socket, signals and
//! the watching of files.

mod app;
mod args;
mod called_as;
mod candidate;
mod clock;
mod control;
mod counts;
mod dependencies;
mod hits;
mod lists;
mod lock;
mod logging;
mod man;
mod mapping;
mod members;
mod memory_copies;
mod paths;
mod records;
mod refresh;
mod replay;
mod rules;
mod selections;
mod shelf;
mod watching;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use pointsman_net::dial::Dialer;
use pointsman_net::plane::{Plane, PlaneSetup};
use pointsman_os::descriptors;
use pointsman_os::local::{self, Signal, Signals};
use pointsman_os::memory::Blocks;
use tokio::sync::Notify;

use crate::app::{App, Asker};
use crate::args::{Args, UnknownChoice};
use crate::candidate::{Checked, Occasion, Origin, Refused, harmless};
use crate::dependencies::Dependencies;
use crate::lock::{Lock, Unlocked};
use crate::watching::Watching;

/// Most of what a connection at rest takes lies at multiples of 128 bytes, as the runtime wants it.
#[global_allocator]
static MEMORY: Blocks = Blocks::new();

fn main() -> ExitCode {
    let called = match called_as::read() {
        Ok(called) => called,
        Err(code) => return code,
    };
    let args = match Args::try_parse_from(&called.words) {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // A closed pipe is nobody's concern here.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match run(&args, called.broken) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("pointsmand: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// `broken`: the exit code for a configuration that is wrong.
fn run(args: &Args, broken: u8) -> anyhow::Result<ExitCode> {
    if args.man {
        man::write(&mut std::io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.undo {
        // Nothing of this version changes the host, so nothing of it can have been left behind.
        say("pointsmand: no host changes are in force");
        return Ok(ExitCode::SUCCESS);
    }
    let root = local::is_root() && !args.rootless;
    let state = paths::state(args.state.as_deref(), root);
    let control = control_path(args)?;
    let shelf = shelf::open(state.as_deref());
    let said = args.config.as_ref().or(args.path.as_ref());
    let origin = Origin {
        path: said.cloned().or_else(paths::configuration),
        dialect: args.dialect.dialect(),
        on_unknown: args.on_unknown.map(UnknownChoice::chosen),
        state,
        shelf: Arc::new(shelf),
        spares: Arc::default(),
        control,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before the configuration is read, which may take its time: a reload that is asked for then is no end.
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let due = Arc::new(Due::default());
    let reading = candidate::read(origin.clone(), Occasion::Start);
    let read = runtime.block_on(unless_ended(reading, &mut signals, &due));
    let Some(read) = read else {
        // What still reads is not waited for.
        runtime.shutdown_background();
        return Ok(ExitCode::SUCCESS);
    };
    let (checked, asked) = read.map_err(|refused| anyhow::anyhow!("{refused}"))?;
    let Checked { setup, problems } = match checked {
        Ok(checked) => checked,
        Err(refused) => {
            tell_refused(args, &refused);
            return Ok(ExitCode::from(broken));
        }
    };
    let (level, json) = (setup.log.level.as_deref(), setup.log.json);
    let log = match args.log(level, json) {
        Ok(log) => log,
        Err(why) => {
            say(&format!("pointsmand: {why}"));
            return Ok(ExitCode::from(2));
        }
    };
    tracing::info!(
        config = origin
            .path
            .as_ref()
            .map_or_else(|| "(embedded default)".into(), |p| p.display().to_string()),
        dialect = setup.dialect.as_str(),
        "configuration read"
    );
    log.problems(&problems);
    if args.dry_run {
        outln("no host changes");
        return Ok(ExitCode::SUCCESS);
    }
    // Before selections are read or anything is listened on. It is held until this function ends.
    let lock = match origin.state.as_deref() {
        None => None,
        Some(state) => match lock::take(state) {
            Ok(lock) => Some(lock),
            Err(Unlocked::Held(why)) => anyhow::bail!("{why}"),
            Err(Unlocked::Unable(error)) => {
                tracing::warn!(
                    "{} cannot be locked, so a second daemon there would not be noticed: {error}",
                    state.display()
                );
                None
            }
        },
    };
    let limit = local::raise_descriptor_limit();
    let kept_back = limit.as_ref().map(|limit| descriptors::keep_back(*limit));
    tracing::debug!(?limit, ?kept_back, "descriptors");
    let plane = Plane::start(PlaneSetup {
        workers: args.workers,
        dialer: Dialer::new(None),
        clock: clock::unix_ms,
    })?;
    let json = log.is_json();
    let app = App::new(origin, plane, log);
    let serving = serve(&app, setup, asked, lock.as_ref(), &mut signals, &due);
    let code = runtime.block_on(serving);
    // Blocking reads of a reload that is no longer wanted do not hold the end up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    if let Ok(app) = Arc::try_unwrap(app).map_err(|_still_held| ()) {
        app.plane.end();
    }
    match code {
        // Who reads JSON reads all of it.
        Err(error) if json => {
            tracing::error!("{error:#}");
            Ok(ExitCode::FAILURE)
        }
        code => code,
    }
}

/// Says why there is nothing to run: for programs, where the command line says that they read it.
fn tell_refused(args: &Args, refused: &Refused) {
    if args.wants_json()
        && let Ok(log) = args.log(None, true)
    {
        return log.refused_to_start(refused);
    }
    let Refused::Check(problems) = refused else {
        return say(&format!("pointsmand: {refused}"));
    };
    say(&refused.to_string());
    if let Some(others) = harmless(problems) {
        say(&others);
    }
}

/// What was asked for by signals, until it is done. All that come meanwhile are one more.
#[derive(Debug, Default)]
struct Due {
    reload: Notify,
    /// Of logs.
    reopen: Notify,
}

/// Does `work`, unless the daemon is asked to end; what else is asked for is noted.
async fn unless_ended<T>(
    work: impl Future<Output = T>,
    signals: &mut Signals,
    due: &Due,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::Reload => due.reload.notify_one(),
                Signal::Reopen => due.reopen.notify_one(),
                Signal::Terminate => return None,
            },
            done = &mut work => return Some(done),
        }
    }
}

/// Opens the logs again when it was asked for by signal; no reload is waited for.
async fn reopen_when_due(app: Arc<App>, due: Arc<Due>) {
    loop {
        tokio::select! {
            biased;
            () = due.reopen.notified() => app.plane.reopen_access_log(),
            () = app.stopped() => return,
        }
    }
}

/// Reloads when it was asked for by signal.
async fn reload_when_due(app: Arc<App>, due: Arc<Due>) {
    loop {
        tokio::select! {
            biased;
            () = app.stopped() => return,
            () = due.reload.notified() => {}
        }
        let _ = local::sd_notify_reloading();
        app.reload_for(Asker::Signal).await;
        if app.stopping() {
            return;
        }
        app.plane.reopen_access_log();
        let _ = local::sd_notify("READY=1");
    }
}

async fn serve(
    app: &Arc<App>,
    setup: pointsman_config::Setup,
    asked: Dependencies,
    lock: Option<&Lock>,
    signals: &mut Signals,
    due: &Arc<Due>,
) -> anyhow::Result<ExitCode> {
    // Before any listener: a second daemon must change nothing.
    let control = match local::bind_control(&app.origin.control) {
        Ok(control) => control,
        Err(error) => anyhow::bail!("control socket {}: {error}", app.origin.control.display()),
    };
    if let Some(Err(error)) = lock.map(|lock| lock.tell(&app.origin.control)) {
        tracing::warn!("clients do not find this daemon by `--state`: {error}");
    }
    match unless_ended(app.begin(setup, asked), signals, due).await {
        Some(Ok(())) => {}
        Some(Err(refused)) => anyhow::bail!("{refused}"),
        None => {
            app.stop();
            app.plane.stop_now().await;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let tasks = app.tasks.clone();
    tasks.spawn(control::serve(Arc::clone(app), control, tasks.clone()));
    // Before anybody is told that we serve, so that no change after that is missed.
    tasks.spawn(refresh::begin(app)?);
    tasks.spawn(Arc::clone(app).save_counts_at_intervals());
    tasks.spawn(logging::flows::run(Arc::clone(app), tasks.clone()));
    if let Some(watching) = Watching::begin(app) {
        tasks.spawn(watching.run(Arc::clone(app)));
    }
    outln(&app.ready());
    // Without a service manager this is nobody's news.
    let _ = local::sd_notify("READY=1");
    tasks.spawn(reload_when_due(Arc::clone(app), Arc::clone(due)));
    tasks.spawn(reopen_when_due(Arc::clone(app), Arc::clone(due)));
    // No reload is waited for here: an end that is asked for meanwhile begins at once.
    if unless_ended(app.stopped(), signals, due).await.is_none() {
        app.stop();
    }
    let _ = local::sd_notify("STOPPING=1");
    let grace = app.generation().1.shutdown_grace;
    tracing::info!(?grace, "draining");
    let drained = tokio::select! {
        drained = app.plane.drain(grace) => drained,
        () = insisted(app, signals) => {
            tracing::info!("asked to end again: stopping now");
            false
        }
    };
    if !drained {
        let counters = app.plane.counters();
        let live = counters.begun.saturating_sub(counters.ended);
        tracing::warn!(
            live,
            "the grace is over: flows that did not end are ended now"
        );
        app.plane.stop_now().await;
    }
    tasks.stop(Duration::from_millis(500)).await;
    app.save_counts();
    tracing::info!(drained, "ended");
    Ok(ExitCode::SUCCESS)
}

/// Ends once somebody asks a second time for the end, by a signal or the control socket.
async fn insisted(app: &App, signals: &mut Signals) {
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Terminate => {
                    app.stop();
                }
                // Flows that drain are logged, too.
                Signal::Reopen => app.plane.reopen_access_log(),
                Signal::Reload => {}
            },
            () = app.insisted() => return,
        }
    }
}

fn control_path(args: &Args) -> anyhow::Result<PathBuf> {
    if let Some(path) = &args.control {
        return Ok(path.clone());
    }
    match std::env::var_os("POINTSMAN_CONTROL") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        None if args.rootless => Ok(local::user_control_path()),
        Some(_) | None => Ok(local::default_control_path()),
    }
}

/// A line for whoever started us and reads stdout.
fn outln(line: &str) {
    let mut out = std::io::stdout().lock();
    // Who closed our stdout does not want to hear it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A line on stderr, before and after there is a log.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
