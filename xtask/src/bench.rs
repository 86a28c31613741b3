//! `bench`: measurements against named peers, in one run, as ratios.

use anyhow::bail;

/// Runs the benchmark of that name.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    match words.first().map(String::as_str) {
        Some(other) => bail!("there is no benchmark `{other}`"),
        None => bail!("which benchmark?"),
    }
}
