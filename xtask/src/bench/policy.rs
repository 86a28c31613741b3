//! `bench policy`: what rule sets and compiled policies cost, in sections.
//!
//! Invariant: every section generates what it measures from a seed, so that two runs measure the same.

mod start;

use anyhow::{Context as _, bail};

use super::measure::Options;
use super::{names, prefixes, rules};

/// Runs the sections that are named, or all.
pub(super) fn run(words: &[String]) -> anyhow::Result<()> {
    let mut sections = Vec::new();
    let mut options = Options {
        count: 1_000_000,
        seed: 1,
        list: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} which?"));
        match word.as_str() {
            "--count" => options.count = value()?.parse().context("--count takes a number")?,
            "--list" => options.list = Some(value()?.clone()),
            "--seed" => options.seed = value()?.parse().context("--seed takes a number")?,
            option if option.starts_with('-') => bail!("there is no option `{option}`"),
            section => sections.push(section),
        }
    }
    if sections.is_empty() {
        sections.extend(["names", "prefixes", "rules", "start"]);
    }
    for section in sections {
        match section {
            "names" => names::run(&options)?,
            "prefixes" => prefixes::run(options.seed)?,
            "rules" => {
                rules::run(options.seed)?;
                rules::parts::run(options.seed)?;
            }
            "parts" => rules::parts::run(options.seed)?,
            "start" => start::run(options.seed)?,
            other => bail!("there is no section `{other}`"),
        }
    }
    Ok(())
}
