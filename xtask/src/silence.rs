//! Test programs that say nothing any more are ended, so that a test that waits for ever fails and the others still run.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Longer than any test is silent, also where the machine does other work.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// Hands each line of `output` to `hear`, without its end; where none comes for `longest`, what runs below the process
/// `parent` is ended, and `ended` is called before.
pub(crate) fn lines(
    output: impl Read + Send + 'static,
    parent: u32,
    longest: Duration,
    mut hear: impl FnMut(&[u8]),
    mut ended: impl FnMut(),
) -> anyhow::Result<()> {
    let (sender, lines) = mpsc::sync_channel(1000);
    let reader = std::thread::Builder::new().name("output".to_owned());
    let reader = reader.spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            if sender.send(line).is_err() {
                break;
            }
        }
    })?;
    loop {
        match lines.recv_timeout(longest) {
            Ok(line) => hear(&line?),
            Err(RecvTimeoutError::Disconnected) => {
                let _ends_with_the_output = reader.join();
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {
                ended();
                for process in below(parent) {
                    // It may have ended by itself.
                    let _gone = kill_process(process, Signal::KILL);
                }
            }
        }
    }
}

/// The processes that `parent` started, theirs, and so on.
fn below(parent: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut of = vec![parent];
    let all = parents();
    while let Some(parent) = of.pop() {
        let children = all.iter().filter(|(_, of)| *of == parent);
        for (child, _) in children {
            of.push(*child);
            found.extend(i32::try_from(*child).ok().and_then(Pid::from_raw));
        }
    }
    found
}

/// Each process and its parent (proc(5), `stat`: the program's name in parentheses may hold anything).
fn parents() -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read(entry.path().join("stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        found.extend(parent.map(|parent| (process, parent)));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn heard(script: &str, longest: Duration) -> (Vec<String>, usize) {
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = shell.stdout.take().unwrap();
        let (mut heard, mut ended) = (Vec::new(), 0);
        let hear = |line: &[u8]| heard.push(String::from_utf8_lossy(line).into_owned());
        lines(output, shell.id(), longest, hear, || ended += 1).unwrap();
        shell.wait().unwrap();
        (heard, ended)
    }

    #[test]
    fn what_is_silent_is_ended_with_its_children_and_what_follows_runs() {
        // What the ended shell started would hold the output open, and be heard.
        let waits = "sh -c 'echo one; (sleep 5; echo late) & wait'; echo two";
        let told = heard(waits, Duration::from_secs(1));
        assert_eq!(told, (vec!["one".to_owned(), "two".to_owned()], 1));
    }

    #[test]
    fn what_speaks_is_left_alone() {
        let told = heard("echo one; echo; printf two", Duration::from_secs(60));
        assert_eq!(
            told,
            (vec!["one".to_owned(), String::new(), "two".to_owned()], 0)
        );
    }
}
