//! The name that policy-router's users know: called (by a link) as `policy-routerctl`, the client takes that program's
//! command line, and answers and ends as it does.
//!
//! Invariant: what that program's documents show is honoured, or refused with what to do instead. Answers in JSON are
//! its own, field for field; what there is besides goes to stderr.

mod answer;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use pointsman_api::{Diagnostics, ExplainRequest, Explanation, Reload, Status, Stop as Stopping};
use pointsman_api::{ReloadRequest, route};
use pointsman_os::local;
use serde_json::{Map, Value, json};

use self::answer::Answer;
use crate::cli::Cli;
use crate::control;
use crate::options::Global;
use crate::output::{Stop, complain, print};

/// Asks the daemon as `policy-routerctl` does, where this process is called so.
pub(crate) fn run() -> Option<ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    match words.first().map(|word| stem(word))?.as_str() {
        "policy-routerctl" => {}
        name @ ("reflow" | "policy-routerd" | "bitflow") => {
            complain(format_args!(
                "{name}: this is the client `pointsman` under that name; link it to the daemon `pointsmand` instead"
            ));
            return Some(ExitCode::from(USAGE));
        }
        _ => return None,
    }
    let code = match Ctl::try_parse_from(&words) {
        Ok(ctl) => asked(&ctl),
        Err(error) => {
            // Help and version are no errors; a closed pipe is nobody's concern here.
            let _ = error.print();
            if !error.use_stderr() {
                return Some(ExitCode::SUCCESS);
            }
            complain("this is Pointsman under that name; its own verbs are those of `pointsman`");
            USAGE
        }
    };
    Some(ExitCode::from(code))
}

/// Asks the daemon behind an app and domain policy.
#[derive(Debug, Parser)]
#[command(name = "policy-routerctl", version = VERSION, after_help = OTHERS)]
struct Ctl {
    /// The control socket: a path, or a name in the directory of such sockets [env: POLICY_ROUTER_SOCKET]
    #[arg(long, global = true, value_name = "SOCKET")]
    socket: Option<OsString>,
    /// How answers are written
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "text"
    )]
    format: Format,
    /// Say nothing of `reload` and `stop` that the exit code says
    #[arg(long, global = true)]
    quiet: bool,
    /// Taken, and without effect, as it always was
    #[arg(long, global = true)]
    fail_fast: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The daemon's configuration and its egresses
    Status,
    /// Make the daemon read its configuration again: all of it takes effect, or nothing
    Reload,
    /// End the daemon cleanly
    Stop,
    /// Counters of the daemon
    Diagnostics,
    /// Where a flow goes, and why
    Explain {
        /// The program: its name, or its path
        #[arg(long, value_name = "NAME")]
        process: Option<String>,
        /// The name that it asks for
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
    },
}

/// Asks, answers, and says with which exit code to end: 0 yes, 1 no daemon or no answer, 2 the daemon said no.
fn asked(ctl: &Ctl) -> u8 {
    if !ctl.quiet {
        complain(format_args!(
            "this is Pointsman {}, called as policy-routerctl; `pointsman` is its own client",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let answer = match socket(ctl).and_then(|socket| answered(&ctl.verb, &global(socket)?)) {
        Ok(answer) => answer,
        Err(Stop::Refused(refusal)) => Answer::refused(refusal),
        Err(Stop::Usage(why)) => {
            complain(format_args!("error: {why}"));
            return USAGE;
        }
        Err(Stop::NoDaemon(why)) => {
            complain(format_args!(
                "error: no daemon: {why}; `policy-routerd --config PATH` starts one"
            ));
            return 1;
        }
        Err(Stop::Failed(why)) => {
            complain(format_args!("error: {why}"));
            return 1;
        }
        Err(Stop::Invalid(refusal, _)) => {
            complain(format_args!("error: {}", refusal.error));
            return 1;
        }
        Err(Stop::No | Stop::Unread) => return 1,
    };
    let text = match ctl.format {
        Format::Json => answer.json(),
        Format::Text => answer.text(ctl.quiet),
    };
    match print(&text) {
        Err(Stop::Failed(why)) => {
            complain(format_args!("error: {why}"));
            1
        }
        _ if answer.is_refusal() => 2,
        _ => 0,
    }
}

fn answered(verb: &Verb, global: &Global) -> Result<Answer, Stop> {
    match verb {
        Verb::Status => {
            let status: Status = control::get(global, route::STATUS)?;
            Ok(Answer::status(&status))
        }
        Verb::Reload => {
            let request = ReloadRequest::default();
            let _taken: Reload = control::post(global, route::RELOAD, &request)?;
            Ok(Answer::OkReload)
        }
        Verb::Stop => {
            let _begun: Stopping = control::post(global, route::STOP, &json!({}))?;
            Ok(Answer::OkStop)
        }
        Verb::Diagnostics => {
            let status: Status = control::get(global, route::STATUS)?;
            let told: Diagnostics = control::get(global, route::DIAGNOSTICS)?;
            Ok(Answer::diagnostics(&status, &told))
        }
        Verb::Explain { process, domain } => {
            let request = ExplainRequest {
                flow: flow(process.as_deref(), domain.as_deref()),
                full: false,
                resolve: false,
                verify: false,
            };
            let told: Explanation = control::post(global, route::EXPLAIN, &request)?;
            Ok(Answer::explained(&told))
        }
    }
}

/// The flow that is asked about; what is blank is not said.
fn flow(process: Option<&str>, domain: Option<&str>) -> Value {
    let said = |text: Option<&str>| {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let mut flow = Map::new();
    if let Some(name) = said(process) {
        flow.insert("process".to_owned(), json!({ "name": name }));
    }
    if let Some(domain) = said(domain.map(|domain| domain.trim().trim_end_matches('.'))) {
        flow.insert("sniff".to_owned(), json!({ "domain": domain }));
    }
    Value::Object(flow)
}

/// Where the daemon listens.
fn socket(ctl: &Ctl) -> Result<PathBuf, Stop> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = local::default_control_path();
    let usual = local::usual_control_path();
    let around = Around {
        directory: own.parent().unwrap_or(&own),
        policy_router: variable("POLICY_ROUTER_SOCKET"),
        pointsman: variable("POINTSMAN_CONTROL"),
        usual: &usual,
        exists: &Path::exists,
    };
    found(ctl.socket.as_deref(), &around).map_err(|why| Stop::Usage(format!("--socket: {why}")))
}

/// What the socket depends on beside the command line.
struct Around<'a> {
    /// `POLICY_ROUTER_SOCKET`.
    policy_router: Option<OsString>,
    /// `POINTSMAN_CONTROL`.
    pointsman: Option<OsString>,
    /// The directory of sockets that have a name alone.
    directory: &'a Path,
    /// Where a daemon listens that is called by its own name; a packaged one has a directory of its own.
    usual: &'a Path,
    exists: &'a dyn Fn(&Path) -> bool,
}

/// The socket told, else that of a daemon called `policy-routerd`, else that of one called by its own name.
fn found(told: Option<&OsStr>, around: &Around<'_>) -> Result<PathBuf, String> {
    if let Some(word) = told.or(around.policy_router.as_deref()) {
        return local::named_control_path(around.directory, word);
    }
    if let Some(path) = &around.pointsman {
        return Ok(path.into());
    }
    let named = around.directory.join(local::POLICY_ROUTER_SOCKET);
    let moved = !(around.exists)(&named) && (around.exists)(around.usual);
    Ok(if moved {
        around.usual.to_owned()
    } else {
        named
    })
}

/// The client's own options.
fn global(socket: PathBuf) -> Result<Global, Stop> {
    let words = ["pointsman", "status", "--control"].map(OsString::from);
    let words = words.into_iter().chain([socket.into_os_string()]);
    let cli = Cli::try_parse_from(words).map_err(|error| Stop::Usage(error.to_string()))?;
    Ok(cli.global)
}

/// The program's name in a path, as links have it.
fn stem(word: &OsStr) -> String {
    let name = Path::new(word).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (Pointsman)");

const OTHERS: &str = "This is Pointsman under another program's name; see `pointsman --help` for all \
                      that it can do.";

/// The command line is wrong.
const USAGE: u8 = 2;

#[cfg(test)]
mod tests;
