//! Where the log goes: stderr, whatever became of it.
//!
//! Invariant: a log that cannot be written (a full disk, a reader that is gone) ends nothing and changes no outcome.
//! What was lost is counted, and said with the next line that can be written.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// The daemon's own log; each `write` is one line.
pub(super) fn stderr(json: bool) -> impl Fn() -> Lossy<io::Stderr> + Send + Sync {
    /// Lines that could not be written since the last that could.
    static LOST: AtomicU64 = AtomicU64::new(0);
    move || Lossy {
        to: io::stderr(),
        json,
        lost: &LOST,
    }
}

/// Takes every line, and counts those that are lost.
pub(super) struct Lossy<W> {
    to: W,
    json: bool,
    lost: &'static AtomicU64,
}

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let before = self.lost.swap(0, Ordering::Relaxed);
        let written = match before {
            0 => self.to.write_all(line),
            count => {
                let mut both = note(count, self.json).into_bytes();
                both.extend_from_slice(line);
                self.to.write_all(&both)
            }
        };
        if written.is_err() {
            self.lost.fetch_add(before + 1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Stderr keeps nothing back.
        Ok(())
    }
}

fn note(count: u64, json: bool) -> String {
    const WHAT: &str = "lines of this log were lost: they could not be written";
    match json {
        true => format!(
            "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{WHAT}\",\"count\":{count}}},\"target\":\"pointsmand\"}}\n"
        ),
        false => format!(" WARN pointsmand: {count} {WHAT}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many lines, then none.
    struct Full<'w> {
        room: usize,
        written: &'w mut String,
    }

    impl Write for Full<'_> {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.room = self.room.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            self.written.push_str(std::str::from_utf8(line).unwrap());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn lost_lines_are_counted_and_said_later() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let mut written = String::new();
        let mut say = |room: usize, line: &str| {
            let to = Full {
                room,
                written: &mut written,
            };
            let json = line.starts_with('{');
            let mut log = Lossy {
                to,
                json,
                lost: &LOST,
            };
            log.write_all(line.as_bytes()).unwrap();
            log.flush().unwrap();
        };
        say(1, "a\n");
        say(0, "b\n");
        say(0, "c\n");
        say(1, "d\n");
        say(0, "e\n");
        say(1, "{}\n");
        let what = "lines of this log were lost: they could not be written";
        let json = format!(
            "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{what}\",\"count\":1}},\"target\":\"pointsmand\"}}"
        );
        assert_eq!(
            written,
            format!("a\n WARN pointsmand: 2 {what}\nd\n{json}\n{{}}\n")
        );
    }
}
