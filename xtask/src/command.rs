//! Other programs, run in the root.

use anyhow::{Context as _, bail};

/// Runs a command in the root; its output goes to ours.
pub(crate) fn command(program: &str, words: &[&str]) -> anyhow::Result<()> {
    println!("+ {program} {}", words.join(" "));
    let status = std::process::Command::new(program)
        .args(words)
        .status()
        .with_context(|| format!("`{program}` cannot be run"))?;
    if !status.success() {
        bail!("`{program} {}` failed: {status}", words.join(" "));
    }
    Ok(())
}
