//! The project's own chores: `cargo xtask tidy|ci|bench|docs|man|deb|deb-trial|assets|size|test`.
//!
//! Everything that CI does is a verb here, so that it can be done at a desk in the same way.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "chores talk to a terminal"
)]

mod bench;
mod ci;
mod command;
mod debian;
mod docs;
mod package;
mod silence;
mod size;
mod tally;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

const HELP: &str = "cargo xtask VERB
  tidy          the laws of the repository: dependency table, purity, headers, problem codes
  circles       the arrows of each circle of files that import each other [CRATE]
  test          everything the tests need, then all tests, or `cargo test`'s words for some; the last line counts them
  ci            test, then format, clippy, docs, deny, tidy, size
  bench relay   the data plane beside HAProxy, nginx and sing-box [--quick] [--only COLUMN] [--pairs N]
  bench udp     datagrams through SOCKS5 beside sslocal and sing-box [--quick] [--rounds N] [--noise PERCENT] [--only load|idle]
  bench dns     the DNS server beside unbound, dnsmasq, dnsdist and sing-box [--quick] [--rounds N] [--only load|blocked|memory]
  bench policy  rule sets and policies, in sections: names, prefixes, rules [--count N] [--seed N] [--list FILE]
  docs          regenerate what is generated in docs/ (--check: fail when it differs)
  man           man pages, schema and completions for packages, in target/package [PROFILE, dev]
  deb           the Debian packages, in target/debian; wants cargo-deb [PROFILE, release]
  deb-trial     the packages built, installed, run, upgraded and purged in a Debian root; wants root [PROFILE, release]
  assets        that the files which packages take are there
  size          the stripped size of the router build";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> anyhow::Result<ExitCode> {
    std::env::set_current_dir(root()).context("the workspace's root cannot be entered")?;
    match words.first().map(String::as_str) {
        Some("bench") => bench::run(&words[1..]),
        Some("bench-child") => bench::child(&words[1..]),
        Some("ci") => ci::run(),
        Some("circles") => tidy::circles::print(words.get(1).map_or("", String::as_str)),
        Some("docs") => docs::run(words.get(1).is_some_and(|w| w == "--check")),
        Some("assets") => package::assets(),
        Some("deb") => package::deb(words.get(1).map_or("release", String::as_str)),
        Some("deb-trial") => package::trial(words.get(1).map_or("release", String::as_str)),
        Some("man") => package::man(words.get(1).map_or("dev", String::as_str)),
        Some("size") => size::run(),
        Some("test") => return ci::test(&words[1..]),
        Some("tidy") => tidy::run(),
        Some(other) => bail!("there is no verb `{other}`\n{HELP}"),
        None => {
            println!("{HELP}");
            Ok(())
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The workspace's root: the parent of this crate.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
