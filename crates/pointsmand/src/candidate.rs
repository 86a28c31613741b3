//! A configuration that may come into force: where it comes from, how it is read, checked and tested, and why it is
//! refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_api as api;
use pointsman_config::case::{self, Lenience};
use pointsman_config::input::Input;
use pointsman_config::list::{NO_DIRECTORY, Shelf};
use pointsman_config::load::load_text;
use pointsman_config::setup::OnUnknown;
use pointsman_config::{Dialect, Loaded, Loading, Problems, Setup, Severity, Source, dns_loop};
use pointsman_os::socket::is_own_address;

use crate::dependencies::{Dependencies, Recorder};
use crate::memory_copies::MemoryCopies;

/// Where the configuration comes from and what goes with it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The file or directory; `None`: the embedded default.
    pub path: Option<PathBuf>,
    /// The language, where it was said.
    pub dialect: Option<Dialect>,
    /// What an unknown condition does, where it was said: stronger than the file.
    pub on_unknown: Option<OnUnknown>,
    /// The directory of state.
    pub state: Option<PathBuf>,
    /// The rule sets that were read before.
    pub shelf: Arc<Shelf>,
    /// Copies of lists that could not be written.
    pub spares: Arc<MemoryCopies>,
    /// The control socket.
    pub control: PathBuf,
}

impl Origin {
    /// Where copies of lists stand, or would if there were a directory of state.
    fn copies(&self) -> PathBuf {
        let state = self.state.clone();
        state.unwrap_or_else(|| NO_DIRECTORY.into())
    }
}

/// The most problems of a configuration that are logged, or answered; `check` tells all.
pub(crate) const MOST_TOLD: usize = 100;

/// What is said of those that are not.
pub(crate) fn left_out(more: usize) -> String {
    format!("{more} more problems: `pointsman check` tells all")
}

/// What is said of warnings and notes where errors refuse.
pub(crate) fn harmless(problems: &Problems) -> Option<String> {
    let (warnings, notes) = (
        problems.count(Severity::Warning),
        problems.count(Severity::Note),
    );
    api::problem::harmless(warnings, notes)
}

/// Why a reload changed nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A listener or file could not be had.
    Apply(String),
    /// Another one waits for confirmation.
    Awaiting(String),
    /// The configuration has errors.
    Check(Problems),
    /// It is what was rolled back, and nobody asked for that again.
    RolledBack,
    /// The daemon is asked to end.
    Stopping,
    /// The policy's own tests fail.
    Tests(Problems),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apply(why) | Self::Awaiting(why) => f.write_str(why),
            Self::Check(problems) => {
                // Warnings and notes refuse nothing.
                let (first, _) = problems.first(MOST_TOLD);
                let errors = first.iter().filter(|p| p.severity == Severity::Error);
                let mut lines: Vec<String> = errors.map(ToString::to_string).collect();
                let more = problems.count(Severity::Error) - lines.len();
                if more > 0 {
                    lines.push(left_out(more));
                }
                f.write_str(&lines.join("\n"))
            }
            Self::RolledBack => f.write_str("it is the configuration that was rolled back"),
            Self::Stopping => f.write_str("the daemon is stopping"),
            Self::Tests(failures) => {
                let lines: Vec<String> = failures.0.iter().map(ToString::to_string).collect();
                write!(f, "the policy's own tests fail: {}", lines.join("\n"))
            }
        }
    }
}

/// A configuration that may be put in force.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What to run.
    pub setup: Setup,
    /// Its warnings and notes.
    pub problems: Problems,
}

/// What a configuration is read for: how failing tests of fetched lists are judged.
#[derive(Clone, Debug)]
pub(crate) enum Occasion {
    /// To be the first in force.
    Start,
    /// To take the place of that one.
    Reload(Arc<Setup>),
}

impl Occasion {
    fn lenience(&self) -> Lenience<'_> {
        match self {
            Self::Start => Lenience::Fetched,
            Self::Reload(in_force) => Lenience::Standing(in_force),
        }
    }
}

/// [`check`], while the control socket goes on: lists of a million names take their time.
pub(crate) async fn read(
    origin: Origin,
    occasion: Occasion,
) -> Result<(Result<Checked, Refused>, Dependencies), Refused> {
    let reading = tokio::task::spawn_blocking(move || check(&origin, &occasion));
    reading
        .await
        .map_err(|error| Refused::Apply(error.to_string()))
}

/// Reads and checks a configuration, and runs its own tests; also tells what was read for that.
pub(crate) fn check(
    origin: &Origin,
    occasion: &Occasion,
) -> (Result<Checked, Refused>, Dependencies) {
    let files = Recorder::new(Arc::clone(&origin.spares));
    let checked = checked(origin, occasion, &files);
    (checked, files.into_dependencies())
}

/// As [`check`]; its files are asked of `files`.
pub(crate) fn checked(
    origin: &Origin,
    occasion: &Occasion,
    files: &Recorder,
) -> Result<Checked, Refused> {
    let Loaded {
        dialect: _,
        setup,
        mut problems,
    } = load(origin, files);
    let Some(mut setup) = setup else {
        return Err(Refused::Check(problems));
    };
    files.leave_out(&setup.sources);
    if let Some(on_unknown) = origin.on_unknown {
        setup.set_on_unknown(on_unknown);
    }
    if setup.dns.is_some() {
        let system = Path::new("/etc/resolv.conf");
        let text = std::fs::read_to_string(system).unwrap_or_default();
        dns_loop::check(&setup, (system, &text), is_own_address, &mut problems);
        if problems.has_errors() {
            return Err(Refused::Check(problems));
        }
    }
    // The embedded default has no tests, and what lies where the daemon started is not beside it.
    let lenience = occasion.lenience();
    if origin.path.is_some() && !case::verify(&mut setup, files, lenience, &mut problems) {
        problems.retain(|_, severity| severity == Severity::Error);
        return Err(Refused::Tests(problems));
    }
    Ok(Checked { setup, problems })
}

fn load(origin: &Origin, files: &Recorder) -> Loaded {
    if let Some(path) = &origin.path {
        let loading = Loading {
            dialect: origin.dialect,
            state: Some(origin.copies()),
            files,
            shelf: &origin.shelf,
        };
        return pointsman_config::load_with(path, loading);
    }
    let text = pointsman_config::dialect::native::DEFAULT.to_owned();
    let input = Input {
        source: Source::new("(embedded default)", text),
        path: "pointsman.yaml".into(),
        directory: PathBuf::new(),
        files,
        state: Some(origin.copies()),
        shelf: &origin.shelf,
        lists: Default::default(),
        patience: Default::default(),
    };
    load_text(input, Some(Dialect::Native), Problems::default())
}
