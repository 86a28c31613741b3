//! Debian packages that chores need.

use anyhow::{Context as _, bail};

use crate::command::command;

/// Installs the Debian packages whose file is missing; an error when that needs root and we are not.
pub(crate) fn install(packages: &[(&'static str, &str)]) -> anyhow::Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(_, file)| !std::path::Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if !missing.is_empty() {
        if !is_root()? {
            bail!(
                "these Debian packages are missing; install them as root: {}",
                missing.join(" ")
            );
        }
        command("apt-get", &["update", "-q"])?;
        let mut words = vec!["install", "-y", "-q", "--no-install-recommends"];
        words.extend(&missing);
        command("apt-get", &words)?;
    }
    Ok(())
}

fn is_root() -> anyhow::Result<bool> {
    let output = std::process::Command::new("id")
        .arg("-u")
        .output()
        .context("`id` cannot be run")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
