//! The real binary: what it writes where, and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod check;
mod convert;
mod documents;
mod offline;
mod online;
mod rule_set;
mod surroundings;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What one run came to.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the client in a directory, with a control socket that nobody serves unless told otherwise.
fn run(directory: &Path, arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(arguments)
        .current_dir(directory)
        .env("POINTSMAN_CONTROL", directory.join("nobody.sock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A client that does not read its input may have closed it.
    let _closed = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let done = child.wait_with_output().unwrap();
    Run {
        code: done.status.code().unwrap(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}

/// A directory with files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}
