//! The file that a verb writes: what stands there is not lost unasked.
//!
//! Invariant: an existing file is replaced only where `--force` or somebody at the terminal says so, and it is
//! whole or as it was.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::output::{Stop, complain};

/// Where a verb writes.
#[derive(Args, Debug)]
pub(crate) struct OutputFile {
    /// Where it is written [default: stdout]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace OUT where it exists; without it a terminal is asked, and a script is refused (exit code 2)
    #[arg(long, requires = "output")]
    force: bool,
}

/// Who may read the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone: it may hold passwords.
    Owner,
    /// Whoever the umask allows, or who might read what it replaces.
    Usual,
}

impl OutputFile {
    /// The path, where one is given.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// Refuses at once what would be refused in the end: a file that exists where nobody can be asked.
    pub(crate) fn ready(&self) -> Result<(), Stop> {
        let asked = io::stdin().is_terminal() && io::stderr().is_terminal();
        match self.path() {
            Some(path) if exists(path) && !self.force && !asked => Err(refusal(path)),
            _ => Ok(()),
        }
    }

    /// Writes the bytes to `path`; a terminal is asked before a file is replaced.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Stop> {
        if exists(path) {
            if !self.force && !agreed(path)? {
                return Err(Stop::Failed("nothing is written".into()));
            }
            return replace(path, bytes, readers).map_err(|error| unwritten(path, &error));
        }
        let written = match fs::metadata(path) {
            // A pipe, or /dev/stdout: whoever named it knows.
            Ok(_) => fs::write(path, bytes),
            Err(_not_there) => create(path, bytes, readers),
        };
        written.map_err(|error| match error.kind() {
            // It has come since.
            io::ErrorKind::AlreadyExists => refusal(path),
            _ => unwritten(path, &error),
        })
    }
}

fn exists(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| there.is_file())
}

fn refusal(path: &Path) -> Stop {
    Stop::Usage(format!(
        "{} exists: name another file, or replace it with `--force`",
        path.display()
    ))
}

fn unwritten(path: &Path, error: &io::Error) -> Stop {
    Stop::Failed(format!("{} cannot be written: {error}", path.display()))
}

/// Asks at the terminal; where nobody can be asked, it is refused.
fn agreed(path: &Path) -> Result<bool, Stop> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(refusal(path));
    }
    let mut terminal = io::stderr().lock();
    let _unheard = write!(terminal, "{} exists. Replace it? [y/N] ", path.display());
    let _unheard = terminal.flush();
    drop(terminal);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.is_empty() {
        complain("");
    }
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn create(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if readers == Readers::Owner {
        options.mode(0o600);
    }
    options.open(path)?.write_all(bytes)
}

/// Puts the bytes in the place of a file, in one step where the directory allows it.
fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let aside = path.with_file_name(name);
    let written = pointsman_os::local::create_private(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        match readers {
            Readers::Owner => Ok(()),
            Readers::Usual => file.set_permissions(mode),
        }
    });
    let moved = written.and_then(|()| fs::rename(&aside, &path));
    if moved.is_ok() {
        return Ok(());
    }
    let _never_made = fs::remove_file(&aside);
    // Nothing can stand beside it (a file that is mounted alone, a directory of somebody else's).
    let mut file = match readers {
        Readers::Owner => pointsman_os::local::create_private(&path)?,
        Readers::Usual => OpenOptions::new().write(true).truncate(true).open(&path)?,
    };
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["y\n", "Yes\r\n", " YES "] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yy\n", "yes please\n", "j\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
