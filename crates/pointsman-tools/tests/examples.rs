//! The configurations in `examples/` load without an error, a warning or a `not yet` and pass their own cases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pointsman_config::case::{self, Case};
use pointsman_config::files::Disk;
use pointsman_config::{Problem, Severity, load};
use pointsman_tools::lint::lint;

/// Names of a configuration's main file, one of which each example has.
const MAIN: [&str; 5] = [
    "pointsman.yaml",
    "config",
    "config.toml",
    "config.yml",
    "config.yaml",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn directories() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

fn main_file(directory: &Path) -> PathBuf {
    let mut found = MAIN.iter().map(|name| directory.join(name));
    found.find(|path| path.is_file()).unwrap()
}

/// The cases in the files of a directory; a line that is none fails the test.
fn cases(directory: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "case")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let (read, broken) = case::parse(&path.display().to_string(), &text);
            assert!(broken.is_empty(), "{}", broken[0]);
            cases.extend(read);
        }
    }
    cases
}

#[test]
fn every_example_loads_and_passes_its_cases() {
    let mut dialects = BTreeSet::new();
    for directory in directories() {
        let shown = directory.display();
        let mut loaded = load(&main_file(&directory), None, None, &Disk);
        if let Some(setup) = &loaded.setup {
            lint(setup, &Disk, &mut loaded.problems);
        }
        // Notes may say what a policy costs, but not that a part of it does nothing yet.
        // Nor may an example be about a user or a program of the host that the tests run on.
        let grave = |p: &&Problem| match p.code {
            "not-yet" => true,
            "no-such-program" | "no-such-user" => false,
            _ => p.severity != Severity::Note,
        };
        let found = loaded.problems.0.iter().find(grave);
        assert!(found.is_none(), "{shown}: {found:?}");
        let setup = loaded.setup.unwrap();
        let own = cases(&directory);
        assert!(own.len() >= 2, "{shown}: an example is tested by cases");
        let all = [case::of_setup(&setup), own].concat();
        let failures: Vec<String> = case::run(&setup, &all)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        dialects.insert(setup.dialect.as_str());
    }
    let expected = ["bitflow", "boltconn", "native", "policy-router", "reflow"];
    assert!(dialects.iter().eq(&expected), "{dialects:?}");
}

#[test]
fn every_example_says_what_it_is_for() {
    let table = std::fs::read_to_string(root().join("README.md")).unwrap();
    for directory in directories() {
        let main = main_file(&directory);
        let text = std::fs::read_to_string(&main).unwrap();
        assert!(text.starts_with("# "), "{}", main.display());
        let link = format!("]({})", main.strip_prefix(root()).unwrap().display());
        assert!(table.contains(&link), "README.md does not name {link}");
    }
}
