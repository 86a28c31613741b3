//! `bench`: measurements against named peers, in one run, as ratios.
//!
//! Invariants: nothing leaves the loopback interface, and every process that is started is ended by its own id. A
//! peer that is not installed is reported as absent. Linux only: sockets, `/proc`, epoll and splice.

mod accounts;
mod dns;
mod load;
mod measure;
mod names;
mod origin;
mod plan;
mod policy;
mod prefixes;
mod relay;
mod report;
mod rules;
mod splice;
mod subject;
mod udp;

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, bail};

/// Runs the benchmark of that name.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    match words.first().map(String::as_str) {
        Some("dns") if cfg!(debug_assertions) => optimised(words, &["-p", "pointsmand"]),
        Some("dns") => dns::run(&words[1..]),
        Some("policy") if cfg!(debug_assertions) => {
            optimised(words, &["-p", "pointsmand", "-p", "pointsman"])
        }
        Some("policy") => policy::run(&words[1..]),
        Some("relay") if cfg!(debug_assertions) => optimised(words, &["-p", "pointsmand"]),
        Some("relay") => relay::run(&words[1..]),
        Some("udp") if cfg!(debug_assertions) => optimised(words, &["-p", "pointsmand"]),
        Some("udp") => udp::run(&words[1..]),
        Some(other) => bail!("there is no benchmark `{other}`"),
        None => bail!("which benchmark?"),
    }
}

/// A process that a benchmark starts from this same program; it ends with its work, or when its standard input
/// does.
pub(crate) fn child(words: &[String]) -> anyhow::Result<()> {
    match words.first().map(String::as_str) {
        Some("datagrams") => udp::origin(),
        Some("names") => names::measure(&words[1..]),
        Some("origin") => origin::run(),
        Some("prefixes") => prefixes::measure(&words[1..]),
        Some("splice") => splice::run(&words[1..]),
        _ => bail!("`bench-child` is started by `bench`"),
    }
}

/// Builds what is measured, and what measures, with optimisation; and becomes the latter.
fn optimised(words: &[String], measured: &[&str]) -> anyhow::Result<()> {
    let build = ["build", "--release", "--locked", "-p", "xtask"];
    crate::command::command("cargo", &[&build, measured].concat())?;
    let here = std::env::current_exe().context("our own program has no path")?;
    let target = here.parent().and_then(std::path::Path::parent);
    let program = target
        .context("our own program is in no target directory")?
        .join("release/xtask");
    let error = std::process::Command::new(&program)
        .arg("bench")
        .args(words)
        .exec();
    Err(error).with_context(|| program.display().to_string())
}
