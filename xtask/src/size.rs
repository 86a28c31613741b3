//! `size`: the stripped size of what a small router gets.

use crate::command::command;

/// What we aim at, in bytes.
const AIM: u64 = 8_000_000;

/// Builds the daemon with the feature set `router` and prints its size.
pub(crate) fn run() -> anyhow::Result<()> {
    command(
        "cargo",
        &[
            "build",
            "--locked",
            "--profile",
            "router",
            "-p",
            "pointsmand",
            "--no-default-features",
            "--features",
            "router",
        ],
    )?;
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let size = std::fs::metadata(format!("{target}/router/pointsmand"))?.len();
    println!("size: pointsmand (router, stripped) {size} bytes, aim {AIM}");
    Ok(())
}
