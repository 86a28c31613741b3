//! What is written where, and which exit code says it.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::process::ExitCode;

use pointsman_api::Error as Refusal;
use pointsman_api::problem::harmless;
use pointsman_os::local::terminal_width;
use pointsman_policy::shown::deceives;
use serde::Serialize;

use crate::options::{Color, Format, Global};

/// Where answers go.
pub(crate) struct Out {
    stdout: BufWriter<Stdout>,
    /// As asked for; `None` is text, except where lines are answered one by one.
    pub(crate) format: Option<Format>,
    /// Whether what the exit code says is not said again.
    pub(crate) quiet: bool,
    color: bool,
    /// Something was answered.
    answered: bool,
    /// Nobody reads any more: a verb goes on to its verdict, a stream ends.
    unread: bool,
}

/// Why a verb ends other than with yes.
#[derive(Debug)]
pub(crate) enum Stop {
    /// No, and all was said.
    No,
    /// No, and this is why.
    Failed(String),
    /// The command line asks for what cannot be.
    Usage(String),
    /// A configuration has errors; with the exit code that says so.
    Invalid(Refusal, u8),
    /// There is no daemon.
    NoDaemon(String),
    /// The daemon said no.
    Refused(Refusal),
    /// Nobody reads any more.
    Unread,
}

impl Out {
    pub(crate) fn new(global: &Global) -> Self {
        let stdout = io::stdout();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color = match global.color {
            Color::Always => true,
            Color::Auto => stdout.is_terminal() && wanted,
            Color::Never => false,
        };
        Self {
            stdout: BufWriter::new(stdout),
            format: global.format,
            quiet: global.quiet,
            color,
            answered: false,
            unread: false,
        }
    }

    pub(crate) fn json(&self) -> bool {
        self.format == Some(Format::Json)
    }

    /// How many characters a line of the terminal has; `None` where answers go elsewhere.
    pub(crate) fn width(&self) -> Option<usize> {
        let terminal = io::stdout().is_terminal();
        terminal.then(terminal_width).flatten().map(usize::from)
    }

    /// Writes a line of data.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Stop> {
        let written = writeln!(self.stdout, "{}", shown(line));
        self.written(written)
    }

    /// Writes one JSON object on one line.
    pub(crate) fn object(&mut self, value: &impl Serialize) -> Result<(), Stop> {
        let written = serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from);
        let written = written.and_then(|()| writeln!(self.stdout));
        self.written(written)
    }

    fn written(&mut self, written: io::Result<()>) -> Result<(), Stop> {
        self.answered = true;
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.unread = true;
                Ok(())
            }
            done => done.map_err(Stop::from),
        }
    }

    /// Writes an answer in the format asked for.
    pub(crate) fn answer(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if self.json() {
            self.object(value)
        } else {
            text(self)
        }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let written = self.stdout.write_all(bytes);
        self.written(written)
    }

    /// Makes what was written visible; [`Stop::Unread`] where nobody reads any more.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        let flushed = self.stdout.flush();
        let answered = self.answered;
        self.written(flushed)?;
        self.answered = answered;
        if self.unread {
            Err(Stop::Unread)
        } else {
            Ok(())
        }
    }

    /// Says something that is no data, behind the data so far; not with `--quiet`.
    pub(crate) fn say(&mut self, text: impl Display) {
        if !self.quiet {
            // A reader that left has no need of it; other errors show at the next line.
            let _unread = self.flush();
            complain(text);
        }
    }

    /// A word in a colour: 31 red, 32 green, 33 yellow, 36 cyan, 1 bold.
    pub(crate) fn colored(&self, color: u8, word: &str) -> String {
        if self.color {
            // Marks of our own, which [`shown`] turns into what terminals understand.
            let mark = |color: u8| char::from_u32(MARKS + u32::from(color)).unwrap_or_default();
            format!("{}{word}{}", mark(color), mark(0))
        } else {
            word.to_owned()
        }
    }

    /// Says why it ended, and with which exit code. Where JSON is asked for and nothing was answered, that is the answer.
    pub(crate) fn stopped(&mut self, stop: &Stop) -> ExitCode {
        if let Some(error) = stop.error().filter(|_| self.json() && !self.answered) {
            let _unread = self.object(&error);
        }
        // What was answered before comes first; a reader that left has no need of it.
        let _unread = self.stdout.flush();
        match stop {
            Stop::No => ExitCode::from(1),
            Stop::Failed(why) => {
                complain(format_args!("error: {why}"));
                ExitCode::from(1)
            }
            Stop::Usage(why) => {
                complain(format_args!("error: {why}"));
                ExitCode::from(2)
            }
            Stop::Invalid(refusal, code) => {
                for problem in &refusal.problems {
                    complain(&problem.text);
                }
                complain(format_args!("error: {}", refusal.error));
                ExitCode::from(*code)
            }
            Stop::NoDaemon(why) => {
                complain(format_args!("error: no daemon: {why}"));
                ExitCode::from(3)
            }
            Stop::Refused(refusal) => {
                let (errors, others): (Vec<_>, Vec<_>) = refusal
                    .problems
                    .iter()
                    .partition(|it| it.severity == "error");
                for problem in &errors {
                    complain(&problem.text);
                }
                let of = |word| {
                    let of_word = others.iter().filter(|it| it.severity == word);
                    of_word.map(|it| it.count).sum()
                };
                if let Some(others) = harmless(of("warning"), of("note")) {
                    complain(others);
                }
                complain(format_args!("error[{}]: {}", refusal.code, refusal.error));
                ExitCode::from(4)
            }
            Stop::Unread => ExitCode::SUCCESS,
        }
    }
}

impl Stop {
    /// As programs are told; `None` where there is nothing to be told.
    fn error(&self) -> Option<Refusal> {
        Some(match self {
            Self::Failed(why) => Refusal::new("failed", why),
            Self::Invalid(refusal, _) | Self::Refused(refusal) => refusal.clone(),
            Self::NoDaemon(why) => Refusal::new("no-daemon", format!("no daemon: {why}")),
            Self::Usage(why) => Refusal::new("usage", why),
            Self::No | Self::Unread => return None,
        })
    }
}

/// Writes a text to stdout.
pub(crate) fn print(text: &str) -> Result<(), Stop> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    written.and_then(|()| stdout.flush()).map_err(Stop::from)
}

/// Writes a line to stderr; where nobody hears it, nothing can be said of that either.
pub(crate) fn complain(text: impl Display) {
    let _unheard = writeln!(io::stderr().lock(), "{}", shown(text));
}

/// A plane of Unicode that nobody uses: a colour, from its begin to its end.
const MARKS: u32 = 0x10_0000;

/// A text as it may be shown: what lists, configurations and the network bring moves no cursor and hides nothing.
fn shown(text: impl Display) -> String {
    let text = text.to_string();
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(MARKS) {
            Some(color @ (0 | 1 | 31..=33 | 36)) => shown.push_str(&format!("\u{1b}[{color}m")),
            _ if matches!(c, '\n' | '\t') => shown.push(c),
            _ if c.is_control() || deceives(c) => shown.push('\u{fffd}'),
            _ => shown.push(c),
        }
    }
    shown
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(format!("cannot write: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_moves_a_cursor_or_hides() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected);
        check("a\u{1b}[2J\u{7}b", "a\u{fffd}[2J\u{fffd}b");
        check("a\nb\tc", "a\nb\tc");
        check("evil\u{202e}txt.exe", "evil\u{fffd}txt.exe");
        check("\u{1f600} \u{e9}", "\u{1f600} \u{e9}");
        // The worst that an unused plane can do is a colour of ours: nothing is concealed or inverse.
        check(
            "\u{10001f}x\u{100000}\u{10ffff}",
            "\u{1b}[31mx\u{1b}[0m\u{10ffff}",
        );
        check("a\u{100008}b\u{100007}c", "a\u{100008}b\u{100007}c");
    }
}
