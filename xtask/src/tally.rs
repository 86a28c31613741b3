//! The last line of `cargo xtask test`: what the test runs said, counted.
//!
//! Test runners count a test that found its tool missing as passed. Here it is skipped, and named: such a test
//! prints a line `skipped: WHY`, which `--show-output` brings out.

use std::fmt;
use std::time::Duration;

/// What a run of `cargo test -- --show-output` has said so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    /// Tests that were skipped, wholly or in part, and why.
    skipped: Vec<(String, String)>,
    failures: Vec<String>,
    /// Tests of the binary whose output is being read that have run for long and not ended.
    running: Vec<String>,
    /// Of the test binary whose output is being read.
    place: Place,
    /// How many of the last of `skipped` said so themselves: their runner counts them as passed.
    skipped_here: usize,
}

/// Where in the output of a test binary a line stands.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    /// What the tests printed that passed, and the one that is speaking.
    Passed(String),
    Failed,
}

impl Tally {
    /// Takes a line of the output; whether it is one to show. What passed tests printed is not.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.counts(counts);
            return true;
        }
        if line.starts_with("failures:") {
            self.place = Place::Failed;
        } else if line == "successes:" {
            self.place = Place::Passed(String::new());
        }
        match &mut self.place {
            Place::Outside => self.verdict(line),
            Place::Failed => {}
            Place::Passed(test) => {
                if let Some(name) = spoken_by(line) {
                    name.clone_into(test);
                } else if let Some(why) = line.strip_prefix("skipped: ") {
                    let here = self.skipped.len() - self.skipped_here..;
                    if !self.skipped[here].iter().any(|(known, _)| known == test) {
                        self.skipped.push((test.clone(), why.to_owned()));
                        self.skipped_here += 1;
                    }
                }
                return false;
            }
        }
        true
    }

    /// The binary whose output is being read was ended, for it said nothing for that long; what is to be told.
    pub(crate) fn silent(&mut self, longest: Duration) -> String {
        let silence = format!("ended after {} of silence", spell(longest));
        self.failed += 1;
        self.place = Place::Outside;
        self.skipped_here = 0;
        match std::mem::take(&mut self.running) {
            none if none.is_empty() => {
                self.failures.push(format!("a test binary, {silence}"));
            }
            running => {
                let named = running.iter().map(|name| format!("{name}, {silence}"));
                self.failures.extend(named);
            }
        }
        format!("a test binary is {silence}")
    }

    /// `test NAME ... ignored, WHY`, `test NAME ... FAILED`, and `test NAME has been running for over 60 seconds`.
    fn verdict(&mut self, line: &str) {
        let Some(test) = line.strip_prefix("test ") else {
            return;
        };
        if let Some((name, _)) = test.split_once(" has been running for over ") {
            self.running.push(name.to_owned());
        }
        let Some((name, verdict)) = test.rsplit_once(" ... ") else {
            return;
        };
        self.running.retain(|running| running != name);
        if verdict == "FAILED" {
            self.failures.push(name.to_owned());
        } else if let Some(why) = verdict.strip_prefix("ignored") {
            let why = why.trim_start_matches([',', ' ']);
            let why = if why.is_empty() { "ignored" } else { why };
            self.skipped.push((name.to_owned(), why.to_owned()));
        }
    }

    /// `ok. 12 passed; 0 failed; 1 ignored; ...`: the end of one test binary.
    fn counts(&mut self, counts: &str) {
        let count = |word: &str| -> u64 {
            let found = counts.split([';', '.']).find_map(|part| {
                let (number, what) = part.trim().split_once(' ')?;
                (what == word).then(|| number.parse().ok())?
            });
            found.unwrap_or(0)
        };
        self.passed += count("passed").saturating_sub(self.skipped_here as u64);
        self.failed += count("failed");
        self.skipped_here = 0;
        self.running.clear();
        self.place = Place::Outside;
    }

    /// The tests that failed or were skipped, one a line, then the summary.
    pub(crate) fn summary(&self, took: Duration, clean: bool) -> String {
        let mut text = String::new();
        for (test, why) in &self.skipped {
            text.push_str(&format!("skipped: {test}: {why}\n"));
        }
        for test in &self.failures {
            text.push_str(&format!("failed: {test}\n"));
        }
        if !clean && self.failed == 0 {
            text.push_str(
                "failed: a test binary did not build or did not end by itself, see above\n",
            );
        }
        text.push_str(&format!("{self}, in {}", spell(took)));
        text
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed) = (self.passed, self.failed);
        write!(
            f,
            "{passed} passed, {failed} failed, {} skipped",
            self.skipped.len()
        )
    }
}

/// The test of a heading `---- NAME stdout ----`.
fn spoken_by(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

fn spell(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, clean: bool, shown: &[&str], summary: &str) {
        let mut tally = Tally::default();
        let lines = output.lines().filter(|line| tally.line(line));
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, shown);
        assert_eq!(tally.summary(Duration::from_secs(75), clean), summary);
    }

    #[test]
    fn what_passed_is_counted_over_all_binaries() {
        check(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\nsuccesses:\n\nsuccesses:\n    a\n    b\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
             running 1 test\ntest c ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.50s\n",
            true,
            &[
                "running 2 tests",
                "test a ... ok",
                "test b ... ok",
                "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                "running 1 test",
                "test c ... ok",
                "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.50s",
            ],
            "3 passed, 0 failed, 0 skipped, in 1 min 15 s",
        );
    }

    #[test]
    fn what_skips_itself_or_is_ignored_is_named_and_no_pass() {
        check(
            "test own::curl ... ok\ntest own::slow ... ignored, takes an hour\ntest own::old ... ignored\ntest own::talks ... ok\n\nsuccesses:\n\n\
             ---- own::curl stdout ----\nskipped: there is no curl\nskipped: really\n\n---- own::talks stdout ----\nnoise\n\n\nsuccesses:\n    own::curl\n    own::talks\n\n\
             test result: ok. 2 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            true,
            &[
                "test own::curl ... ok",
                "test own::slow ... ignored, takes an hour",
                "test own::old ... ignored",
                "test own::talks ... ok",
                "test result: ok. 2 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            ],
            "skipped: own::slow: takes an hour\nskipped: own::old: ignored\nskipped: own::curl: there is no curl\n1 passed, 0 failed, 3 skipped, in 1 min 15 s",
        );
    }

    #[test]
    fn what_failed_is_shown_and_named() {
        check(
            "test a ... FAILED\ntest b ... ok\n\nsuccesses:\n\nsuccesses:\n    b\n\nfailures:\n\n---- a stdout ----\nskipped: the door\n\nfailures:\n    a\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            false,
            &[
                "test a ... FAILED",
                "test b ... ok",
                "failures:",
                "---- a stdout ----",
                "skipped: the door",
                "failures:",
                "    a",
                "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            ],
            "failed: a\n1 passed, 1 failed, 0 skipped, in 1 min 15 s",
        );
    }

    #[test]
    fn what_was_ended_for_its_silence_is_named() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test b has been running for over 60 seconds",
            "test c has been running for over 60 seconds",
            "test b ... ok",
        ] {
            assert!(tally.line(line));
        }
        assert_eq!(
            tally.silent(Duration::from_secs(300)),
            "a test binary is ended after 5 min 0 s of silence"
        );
        assert_eq!(
            tally.summary(Duration::from_secs(75), false),
            "failed: c, ended after 5 min 0 s of silence\n0 passed, 1 failed, 0 skipped, in 1 min 15 s"
        );
    }

    #[test]
    fn a_binary_that_never_counted_is_no_success() {
        check(
            "running 2 tests\ntest a ... ok\n",
            false,
            &["running 2 tests", "test a ... ok"],
            "failed: a test binary did not build or did not end by itself, see above\n0 passed, 0 failed, 0 skipped, in 1 min 15 s",
        );
    }
}
