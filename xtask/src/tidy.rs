//! `tidy`: the laws of the repository, as checks.
//!
//! The dependency table, circles of files, the purity of the pure crates, where `cfg(target_os)`, `std::os` and `unsafe` may
//! stand, a header in every file, problem codes and their descriptions, and what does not belong in a text.

pub(crate) mod circles;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// What may name parts of the standard library that one kind of system has, apart from pointsman-os: chores of this
/// repository; how configurations are opened, for their readers depend on no system's crate; and the mode of a file that
/// the client writes.
const OF_ONE_SYSTEM: &[&str] = &[
    "crates/pointsman-config/src/files/disk.rs",
    "crates/pointsman/src/output_file.rs",
    "xtask/",
];

/// Which of our crates a crate may depend on (in all kinds of dependency).
const MAY_DEPEND: &[(&str, &[&str])] = &[
    (
        "pointsman",
        &[
            "pointsman-api",
            "pointsman-config",
            "pointsman-os",
            "pointsman-policy",
            "pointsman-tools",
        ],
    ),
    ("pointsman-api", &[]),
    (
        "pointsman-config",
        &["pointsman-api", "pointsman-policy", "pointsman-spec"],
    ),
    (
        "pointsman-net",
        &[
            "pointsman-os",
            "pointsman-policy",
            "pointsman-spec",
            "pointsman-wire",
        ],
    ),
    ("pointsman-os", &[]),
    ("pointsman-policy", &[]),
    ("pointsman-spec", &["pointsman-policy"]),
    (
        "pointsman-tools",
        &["pointsman-api", "pointsman-config", "pointsman-policy"],
    ),
    ("pointsman-wire", &[]),
    (
        "pointsmand",
        &[
            "pointsman-api",
            "pointsman-config",
            "pointsman-net",
            "pointsman-os",
            "pointsman-policy",
            "pointsman-spec",
        ],
    ),
    ("xtask", &["pointsman-policy"]),
];

/// What a program never links, also not through others, and why.
const NEVER_LINKED: &[(&str, &str, &str)] = &[(
    "pointsmand",
    "pointsman-tools",
    "what people do with a configuration is the client's",
)];

/// Crates without I/O, clock and runtime, and what they must never come to depend on.
const PURE: &[&str] = &[
    "pointsman-api",
    "pointsman-config",
    "pointsman-policy",
    "pointsman-spec",
    "pointsman-tools",
    "pointsman-wire",
];
const RUNTIMES: &[&str] = &["async-std", "mio", "rustix", "smol", "socket2", "tokio"];
/// Texts that pure crates' sources do not hold, and why.
const IMPURE: &[(&str, &str)] = &[
    ("Instant::now", "time comes in as an argument"),
    ("SystemTime::now", "time comes in as an argument"),
    ("std::net::TcpStream", "pure crates have no sockets"),
    ("std::net::UdpSocket", "pure crates have no sockets"),
    ("std::thread::spawn", "pure crates have no threads"),
];

/// What stands below one directory alone, and why: a bomb is met where a list is read as a stream, within its limits (ADR 14).
const CONFINED: &[(&str, &str, &str)] = &[
    (
        "flate2::",
        "crates/pointsman-config/src/list/",
        "what is packed is read as a stream, within limits",
    ),
    (
        "ruzstd::",
        "crates/pointsman-config/src/list/",
        "what is packed is read as a stream, within limits",
    ),
    (
        "use ring::",
        "crates/pointsman-wire/src/sniff/quic/",
        "cryptography is rustls' affair, but for QUIC's hellos (ADR 19)",
    ),
];

/// The most lines of a source file; tables and tests in files of their own may be longer.
const MAX_LINES: usize = 600;

/// Runs every check; all findings are printed.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut findings = Vec::new();
    dependencies(&mut findings)?;
    let sources = sources()?;
    for path in &sources {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        source(path, &text, &mut findings);
    }
    problem_codes(&sources, &mut findings)?;
    circles::check(&mut findings)?;
    texts::check(&mut findings)?;
    for finding in &findings {
        println!("tidy: {finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} files, no findings", sources.len());
    Ok(())
}

/// Compares `cargo metadata` with the table, and looks for runtimes below the pure crates.
fn dependencies(findings: &mut Vec<String>) -> anyhow::Result<()> {
    let output = std::process::Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"]
        .as_array()
        .context("metadata without packages")?;
    let name_of = |id: &str| {
        packages
            .iter()
            .find(|p| p["id"] == id)
            .and_then(|p| p["name"].as_str())
            .unwrap_or("")
    };
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .context("metadata without a graph")?;
    // Normal and build dependencies alone: what tests pull in is not shipped.
    let mut graph: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let shipped = node["deps"].as_array().into_iter().flatten().filter(|dep| {
            dep["dep_kinds"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|k| k["kind"] != "dev"))
        });
        let id = node["id"].as_str().unwrap_or("");
        graph.insert(id, shipped.filter_map(|dep| dep["pkg"].as_str()).collect());
    }
    for package in packages.iter().filter(|p| p["source"].is_null()) {
        let name = package["name"].as_str().unwrap_or("");
        let Some((_, allowed)) = MAY_DEPEND.iter().find(|(n, _)| *n == name) else {
            findings.push(format!(
                "the crate {name} has no row in the dependency table"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or("");
            if on.starts_with("pointsman") && !allowed.contains(&on) {
                findings.push(format!("{name} depends on {on}, which its law forbids"));
            }
        }
        let linked = linked(&graph, package["id"].as_str().unwrap_or(""));
        let linked: BTreeSet<&str> = linked.into_iter().map(name_of).collect();
        for runtime in linked.iter().filter(|on| RUNTIMES.contains(on)) {
            if PURE.contains(&name) {
                findings.push(format!("{name} is pure and links {runtime}"));
            }
        }
        let forbidden = NEVER_LINKED.iter().filter(|(program, ..)| *program == name);
        for (_, on, why) in forbidden.filter(|(_, on, _)| linked.contains(on)) {
            findings.push(format!("{name} links {on}, perhaps through others: {why}"));
        }
    }
    Ok(())
}

/// Itself and what it depends on, by whatever way.
fn linked<'g>(graph: &BTreeMap<&'g str, Vec<&'g str>>, id: &'g str) -> BTreeSet<&'g str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(graph.get(id).into_iter().flatten());
        }
    }
    seen
}

fn source(path: &Path, text: &str, findings: &mut Vec<String>) {
    let shown = path.display().to_string();
    let first = text.lines().next().unwrap_or("");
    if !first.starts_with("//!") && !first.starts_with("#!") {
        findings.push(format!("{shown}:1: a file begins with `//!`: what it is"));
    }
    let in_os = shown.starts_with("crates/pointsman-os/");
    let is_test =
        shown.contains("/tests") || shown.contains("/benches/") || shown.contains("/examples/");
    let in_tidy = shown == "xtask/src/tidy.rs";
    let pure = PURE
        .iter()
        .any(|c| shown.starts_with(&format!("crates/{c}/")));
    let mut in_tests = is_test || shown.ends_with("tests.rs");
    for (number, line) in text.lines().enumerate() {
        in_tests |= line == "mod tests {";
        let at = format!("{shown}:{}", number + 1);
        let code = line.split("//").next().unwrap_or("");
        if !in_os && !in_tidy && (code.contains("target_os") || code.contains("cfg(unix)")) {
            findings.push(format!("{at}: `cfg` on the system belongs to pointsman-os"));
        }
        if !in_os && !in_tests && !in_tidy && !OF_ONE_SYSTEM.iter().any(|it| shown.starts_with(it))
        {
            let names = ["std::os::", "tokio::net::Unix"];
            if let Some(name) = names.into_iter().find(|name| code.contains(name)) {
                findings.push(format!(
                    "{at}: `{name}` belongs to pointsman-os: whoever names what one system has is built for that one alone"
                ));
            }
        }
        if !in_os && !is_test && !in_tidy && code.contains("unsafe ") && !code.contains('"') {
            findings.push(format!("{at}: `unsafe` belongs to pointsman-os"));
        }
        if !in_tests && shown != GROUPED_BY_WORDS && steers(code) {
            findings.push(format!(
                "{at}: words steer the program: go by a code or a field, and not by what a message says"
            ));
        }
        if !in_tests && !in_tidy && !shown.contains("/fuzz_checks") {
            for (word, below, why) in CONFINED.iter().filter(|(word, ..)| code.contains(word)) {
                if !shown.starts_with(below) {
                    findings.push(format!("{at}: `{word}` stands below {below} alone: {why}"));
                }
            }
        }
        if pure && !is_test {
            for (word, why) in IMPURE.iter().filter(|(word, _)| code.contains(word)) {
                findings.push(format!("{at}: `{word}` in a pure crate: {why}"));
            }
        }
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !is_test && !shown.ends_with("tests.rs") {
        findings.push(format!(
            "{shown}: {lines} lines; over {MAX_LINES} it is two things in one room"
        ));
    }
}

/// Where what is told of a list's entries is grouped: those of which the same is said, but for what is quoted, are one.
/// Nothing else is done by it.
const GROUPED_BY_WORDS: &str = "crates/pointsman-config/src/list/report.rs";

/// Whether a line asks what stands in a text for people: `message.contains("...")` and its like.
fn steers(code: &str) -> bool {
    let asks = [
        "contains",
        "ends_with",
        "find",
        "rsplit",
        "rsplit_once",
        "split",
        "split_once",
        "starts_with",
        "strip_prefix",
        "strip_suffix",
    ];
    let texts = [
        "because",
        "error",
        "hint",
        "message",
        "note",
        "reason",
        "sentence()",
        "why",
    ];
    texts.iter().any(|text| {
        let mut places = code.match_indices(text);
        places.any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let whole = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
            let behind = code[at + text.len()..].strip_prefix('.');
            let asked = behind.is_some_and(|behind| {
                asks.iter().any(|ask| {
                    let rest = behind.strip_prefix(ask);
                    let texts = ["(\"", "('", "(&"];
                    rest.is_some_and(|rest| texts.iter().any(|text| rest.starts_with(text)))
                })
            });
            whole && asked
        })
    })
}

/// Every code that a reader uses is described, and nothing else is.
fn problem_codes(sources: &[PathBuf], findings: &mut Vec<String>) -> anyhow::Result<()> {
    let mut used = BTreeSet::from(["not-yet".to_owned()]);
    for path in sources.iter().filter(|p| is_reader(p)) {
        let text = std::fs::read_to_string(path)?;
        for call in [".error(", ".warning(", ".note(", "LineError::new("] {
            for (at, _) in text.match_indices(call) {
                let rest = text[at + call.len()..].trim_start();
                if let Some(code) = rest.strip_prefix('"').and_then(|r| r.split('"').next())
                    && !code.is_empty()
                    && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                {
                    used.insert(code.to_owned());
                }
            }
        }
    }
    let file = "docs/reference/problems.md";
    let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    let headings: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("## "))
        .map(str::trim)
        .collect();
    texts::in_order(file, &headings, findings);
    let described: BTreeSet<String> = headings.into_iter().map(str::to_owned).collect();
    for code in used.difference(&described) {
        findings.push(format!("{file}: the code `{code}` is not described"));
    }
    // Codes may also be passed as constants, so that one which is described only has to stand somewhere.
    let all: String = sources
        .iter()
        .map(std::fs::read_to_string)
        .collect::<Result<_, _>>()?;
    for code in described.difference(&used) {
        if !all.contains(&format!("\"{code}\"")) {
            findings.push(format!("{file}: the code `{code}` is used nowhere"));
        }
    }
    Ok(())
}

fn is_reader(path: &Path) -> bool {
    let shown = path.display().to_string();
    (shown.starts_with("crates/pointsman-config/src")
        || shown.starts_with("crates/pointsman-tools/src")
        || shown.starts_with("crates/pointsman-policy/src/line"))
        && !shown.ends_with("tests.rs")
        && !shown.contains("/tests/")
}

/// The Rust files.
fn sources() -> anyhow::Result<Vec<PathBuf>> {
    files(&["*.rs"])
}

/// The files that git knows, or would know; all of them where no pattern is given.
fn files(patterns: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .args(patterns)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .lines()
        .map(PathBuf::from)
        .filter(|p| p.exists())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_kind_of_system_has_is_named_below_alone() {
        let found = |path: &str, code: &str| {
            let mut findings = Vec::new();
            source(
                Path::new(path),
                &format!("//! What it is.\n{code}\n"),
                &mut findings,
            );
            findings.len()
        };
        let descriptors = "use std::os::fd::AsFd;";
        let streams = "use tokio::net::UnixStream;";
        for code in [descriptors, streams] {
            assert_eq!(found("crates/pointsman-net/src/stream.rs", code), 1);
            assert_eq!(found("crates/pointsmand/src/control/door.rs", code), 1);
            assert_eq!(found("crates/pointsman-os/src/stream.rs", code), 0);
            assert_eq!(found("crates/pointsman-net/src/stream/tests.rs", code), 0);
        }
    }

    #[test]
    fn what_is_linked_through_others_is_found() {
        let graph = BTreeMap::from([
            ("daemon", vec!["net", "config"]),
            ("config", vec!["policy", "tools"]),
            ("tools", vec!["config"]),
            ("client", vec!["daemon"]),
        ]);
        let linked = linked(&graph, "daemon");
        assert!(linked.contains("tools") && linked.contains("policy"));
        assert!(!linked.contains("client"));
    }

    #[test]
    fn words_that_steer_are_found() {
        let check = |code: &str, expected| assert_eq!(steers(code), expected, "{code}");
        check("if problem.message.contains(\"not yet\") {", true);
        check("hint.starts_with(\"did you mean\")", true);
        check("!reason.contains(&rule.text)", true);
        check("self.sentence().ends_with(\"x\")", true);
        check(
            "let (row, _) = why.split_once(':').unwrap_or((why, \"\"));",
            true,
        );
        check("for part in message.split('`') {", true);
        check("why.strip_prefix(\"error: \")", true);
        check("if record.note.starts_with(\"loop guard\") {", true);
        check("message.contains(is_unseen)", false);
        check("text.starts_with(\"udp://\")", false);
        check("let hint = address.contains(\"://\");", false);
        check("my_message.contains(\"x\")", false);
    }
}
