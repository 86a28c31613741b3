//! The names that users of other systems know: called (by a link) as `reflow`, `policy-routerd` or `bitflow`, the
//! daemon takes that program's command line and means its dialect.
//!
//! Invariant: what those programs' documents show is honoured, or refused with what to do instead. What a command
//! line comes to is a pure function of its words and of what is said of the surroundings.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use pointsman_os::local;

use crate::paths;

/// The daemon's own command line, whatever it was called.
pub(crate) struct Called {
    /// The program's name and its arguments, for [`crate::args::Args`].
    pub words: Vec<OsString>,
    /// The exit code for a configuration that is wrong.
    pub broken: u8,
    /// What is said at the start.
    notice: Option<String>,
}

/// Reads this process's command line; what is wrong with it was said, as was under which name the daemon runs.
///
/// # Errors
/// The exit code, where there is nothing to run.
pub(crate) fn read() -> Result<Called, ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let root = local::is_root();
    let around = Around {
        variable: &|name| std::env::var_os(name).filter(|value| !value.is_empty()),
        sockets: local::default_control_path()
            .parent()
            .map_or_else(PathBuf::new, Path::to_owned),
        state: paths::state(None, root),
        process: std::process::id(),
        is_directory: &Path::is_dir,
        is_served: &is_served,
    };
    let (text, code) = match translated(&words, &around) {
        Ok(called) => {
            if let Some(notice) = &called.notice {
                complain(notice);
            }
            return Ok(called);
        }
        Err(Refused::Said(text, code)) => (text, code),
        Err(Refused::Clap(error)) if !error.use_stderr() => {
            // A closed pipe is nobody's concern here.
            let _ = error.print();
            return Err(ExitCode::SUCCESS);
        }
        Err(Refused::Clap(error)) => {
            let _ = error.print();
            let hint =
                "this is Pointsman under that name; its own options are those of `pointsmand`";
            (hint.to_owned(), USAGE)
        }
    };
    complain(&text);
    Err(ExitCode::from(code))
}

/// What a command line depends on beside its words.
struct Around<'a> {
    /// Environment variables that are not empty.
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The directory that control sockets are in.
    sockets: PathBuf,
    /// The directory of state.
    state: Option<PathBuf>,
    /// This process's number.
    process: u32,
    is_directory: &'a dyn Fn(&Path) -> bool,
    /// Whether a daemon answers at a control socket.
    is_served: &'a dyn Fn(&Path) -> bool,
}

/// Why there is nothing to run.
#[derive(Debug)]
enum Refused {
    /// The command line is wrong, or asks for help.
    Clap(clap::Error),
    /// This, with an exit code.
    Said(String, u8),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

/// The programs that the daemon stands in for.
#[derive(Clone, Copy)]
enum Name {
    Bitflow,
    PolicyRouterd,
    Reflow,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bitflow => "bitflow",
            Self::PolicyRouterd => "policy-routerd",
            Self::Reflow => "reflow",
        }
    }

    /// The word that `--dialect` takes.
    fn dialect(self) -> &'static str {
        match self {
            Self::Bitflow => "bitflow",
            Self::PolicyRouterd => "policy-router",
            Self::Reflow => "reflow",
        }
    }

    /// What a wrong configuration ends the original with; bitflow's is that of a Go panic.
    fn broken(self) -> u8 {
        match self {
            Self::Bitflow => 2,
            Self::PolicyRouterd => 1,
            Self::Reflow => 100,
        }
    }
}

fn translated(words: &[OsString], around: &Around<'_>) -> Result<Called, Refused> {
    let called = words.first().map(|word| stem(word)).unwrap_or_default();
    match called.as_str() {
        "bitflow" => bitflow(words, around),
        // As its build names it: `bitflow-linux-amd64`.
        name if name.starts_with("bitflow-") && name.split('-').count() == 3 => {
            bitflow(words, around)
        }
        "policy-routerd" => policy_routerd(words, around),
        "reflow" => reflow(words, around),
        "policy-routerctl" => {
            let text = "policy-routerctl: this is the daemon `pointsmand` under that name; link it to the client \
                        `pointsman` instead";
            Err(Refused::Said(text.to_owned(), USAGE))
        }
        _ => Ok(Called {
            words: words.to_vec(),
            broken: EX_CONFIG,
            notice: None,
        }),
    }
}

/// Stands in for reflow: TCP flows by a decision tree.
#[derive(Debug, Parser)]
#[command(name = "reflow", version = VERSION, after_help = OTHERS)]
struct Reflow {
    /// The directory of the configuration: the file `config`, and `namezone` and `addrzone` beside it.
    #[arg(short, long, value_name = "DIR")]
    config: PathBuf,
}

fn reflow(words: &[OsString], around: &Around<'_>) -> Result<Called, Refused> {
    let Reflow { config } = Reflow::try_parse_from(words)?;
    if !(around.is_directory)(&config) {
        let text = format!(
            "reflow: {}: there is no such directory; `--config` names the one that holds the file `config`",
            config.display()
        );
        return Err(Refused::Said(text, NO_DIRECTORY));
    }
    let control = of_its_own(Name::Reflow, around);
    Ok(daemon(Name::Reflow, config, control, None, around))
}

/// Stands in for policy-routerd: flows by program and by name.
#[derive(Debug, Parser)]
#[command(name = "policy-routerd", version = VERSION, after_help = OTHERS)]
struct PolicyRouterd {
    /// The configuration.
    #[arg(long, value_name = "PATH", default_value = "config.toml")]
    config: PathBuf,
    /// The control socket: a path, or a name in the directory of such sockets [env: POLICY_ROUTER_SOCKET]
    #[arg(long, value_name = "SOCKET")]
    socket: Option<OsString>,
    /// error, warn, info, debug or trace; RUST_LOG overrides it.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

fn policy_routerd(words: &[OsString], around: &Around<'_>) -> Result<Called, Refused> {
    let PolicyRouterd {
        config,
        socket,
        log_level,
    } = PolicyRouterd::try_parse_from(words)?;
    let told = socket.or_else(|| (around.variable)("POLICY_ROUTER_SOCKET"));
    let control = match (told, (around.variable)("POINTSMAN_CONTROL")) {
        (Some(told), _) => local::named_control_path(&around.sockets, &told)
            .map_err(|why| Refused::Said(format!("policy-routerd: --socket: {why}"), USAGE))?,
        (None, Some(path)) => path.into(),
        (None, None) => around.sockets.join(local::POLICY_ROUTER_SOCKET),
    };
    let level = Some(log_level.as_str());
    Ok(daemon(Name::PolicyRouterd, config, control, level, around))
}

/// Stands in for bitflow: TCP forwards.
#[derive(Debug, Parser)]
#[command(name = "bitflow", version = VERSION, after_help = OTHERS)]
struct Bitflow {
    /// The configuration; said twice, the last one counts [env: BITFLOW_CONFIG]
    #[arg(long, value_name = "PATH", overrides_with = "config")]
    config: Option<PathBuf>,
}

fn bitflow(words: &[OsString], around: &Around<'_>) -> Result<Called, Refused> {
    let Bitflow { config } = Bitflow::try_parse_from(two_dashes(words))?;
    let variable = || (around.variable)("BITFLOW_CONFIG").map(PathBuf::from);
    let Some(config) = config.or_else(variable) else {
        let text = "bitflow: there is no configuration; say `--config PATH`, or set BITFLOW_CONFIG";
        return Err(Refused::Said(text.to_owned(), USAGE));
    };
    let control = of_its_own(Name::Bitflow, around);
    Ok(daemon(Name::Bitflow, config, control, None, around))
}

/// Go's flags have one dash or two; what follows `-config` is its value, whatever it looks like.
fn two_dashes(words: &[OsString]) -> Vec<OsString> {
    let mut value = false;
    let doubled = words.iter().map(|word| {
        let text = word.to_string_lossy();
        if std::mem::take(&mut value) {
            return word.clone();
        }
        value = ["-config", "--config"].contains(&text.as_ref());
        let one = text
            .strip_prefix('-')
            .and_then(|rest| rest.split('=').next());
        if !matches!(one, Some("config" | "help" | "version")) {
            return word.clone();
        }
        let mut doubled = OsString::from("-");
        doubled.push(word);
        doubled
    });
    doubled.collect()
}

/// The daemon's own command line.
fn daemon(
    name: Name,
    config: PathBuf,
    control: PathBuf,
    level: Option<&str>,
    around: &Around<'_>,
) -> Called {
    let shown = name.as_str();
    let mut words = ["pointsmand", "--dialect", name.dialect(), "--config"]
        .map(OsString::from)
        .to_vec();
    words.extend([config.into(), "--control".into(), control.clone().into()]);
    if let Some(state) = &around.state {
        let own = state_within(shown, &control, around);
        words.extend(["--state".into(), state.join(own).into()]);
    }
    if let Some(level) = level {
        words.extend(["--log-level".into(), level.into()]);
    }
    let notice = format!(
        "this is Pointsman {}, called as {shown}; its client is `pointsman --control {}`, and `pointsman convert` makes \
         a configuration of its own",
        env!("CARGO_PKG_VERSION"),
        control.display()
    );
    Called {
        words,
        broken: name.broken(),
        notice: Some(notice),
    }
}

/// The directory of state of a daemon of each kind, and of each control socket but the usual one: all of them may run
/// beside the others.
fn state_within(shown: &str, control: &Path, around: &Around<'_>) -> PathBuf {
    let usual = around.sockets.join(format!("{shown}.sock"));
    if control == usual {
        return shown.into();
    }
    let socket = control.to_string_lossy().replace('/', "-");
    Path::new(shown).join(socket.trim_start_matches('-'))
}

/// The control socket of a program that has none: any number of them may run at once.
fn of_its_own(name: Name, around: &Around<'_>) -> PathBuf {
    if let Some(path) = (around.variable)("POINTSMAN_CONTROL") {
        return path.into();
    }
    let usual = around.sockets.join(format!("{}.sock", name.as_str()));
    if !(around.is_served)(&usual) {
        return usual;
    }
    let own = format!("{}-{}.sock", name.as_str(), around.process);
    around.sockets.join(own)
}

/// The program's name in a path, as links have it.
fn stem(word: &OsStr) -> String {
    let name = Path::new(word).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

/// Whether somebody answers there; what cannot be told is somebody's.
fn is_served(path: &Path) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return false };
    match runtime.block_on(local::connect_control(path)) {
        Ok(_connection) => true,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
        ),
    }
}

fn complain(text: &str) {
    // Where nobody hears it, nothing can be said of that either.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

const OTHERS: &str = "This is Pointsman under another program's name; see `pointsmand --help` for all \
                      that it can do.";

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (Pointsman)");

/// sysexits(3): something is wrong with the configuration.
const EX_CONFIG: u8 = 78;

/// The command line is wrong.
const USAGE: u8 = 2;

/// What reflow says where its directory is missing.
const NO_DIRECTORY: u8 = 99;

#[cfg(test)]
mod tests;
