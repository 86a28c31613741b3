//! `man`, `deb`, `deb-trial` and `assets`: what packages bring besides the programs, and the Debian packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::command::command;

/// What `crates/pointsmand/Cargo.toml` calls `../../target/package`.
const STAGE: &str = "target/package";
const CARGO_DEB: &str = "3.8.0";

/// `man`: the man pages, compressed, into `target/package/man`; by the programs of a profile.
pub(crate) fn man(profile: &str) -> anyhow::Result<()> {
    let programs = programs(profile);
    let arguments = [
        "build",
        "--locked",
        "--profile",
        profile,
        "-p",
        "pointsmand",
        "-p",
        "pointsman",
    ];
    command("cargo", &arguments)?;
    let pages = format!("{STAGE}/man");
    if Path::new(&pages).exists() {
        std::fs::remove_dir_all(&pages)?;
    }
    let client = programs.join("pointsman");
    run(&client, &["man", "--output", &pages])?;
    let daemon = run(&programs.join("pointsmand"), &["--man"])?;
    std::fs::write(format!("{pages}/pointsmand.8"), daemon)?;
    for page in std::fs::read_dir(&pages)? {
        // Without names and times, so that the same pages are the same bytes.
        run(
            Path::new("gzip"),
            &["-9nf", &page?.path().to_string_lossy()],
        )?;
    }
    std::fs::write(
        format!("{STAGE}/pointsman.schema.json"),
        run(&client, &["schema"])?,
    )?;
    std::fs::create_dir_all(format!("{STAGE}/completions"))?;
    for (shell, file) in [
        ("bash", "pointsman"),
        ("fish", "pointsman.fish"),
        ("zsh", "_pointsman"),
    ] {
        let script = run(&client, &["completions", shell])?;
        std::fs::write(format!("{STAGE}/completions/{file}"), script)?;
    }
    println!("man: {pages}");
    Ok(())
}

/// `deb`: `pointsman` and `pointsman-compat` into `target/debian`; wants `cargo-deb`.
pub(crate) fn deb(profile: &str) -> anyhow::Result<()> {
    if !Command::new("cargo")
        .args(["deb", "--version"])
        .output()?
        .status
        .success()
    {
        bail!("there is no cargo-deb: `cargo install cargo-deb --version {CARGO_DEB} --locked`");
    }
    assets()?;
    man(profile)?;
    std::fs::write(format!("{STAGE}/changelog"), changelog()?)?;
    for variant in [&[][..], &["--variant", "compat"]] {
        let mut words = vec![
            "deb",
            "--locked",
            "--no-build",
            // Lines for backtraces are three quarters of a program.
            "--strip",
            "--profile",
            profile,
            "-p",
            "pointsmand",
        ];
        words.extend(variant);
        command("cargo", &words)?;
    }
    Ok(())
}

/// `deb-trial`: builds the packages and lives their life in a Debian root of its own (`packaging/debian-trial`).
pub(crate) fn trial(profile: &str) -> anyhow::Result<()> {
    crate::debian::install(&[
        ("curl", "/usr/bin/curl"),
        ("debootstrap", "/usr/sbin/debootstrap"),
        ("iproute2", "/usr/sbin/ip"),
        ("python3", "/usr/bin/python3"),
    ])?;
    deb(profile)?;
    let version = concat!(env!("CARGO_PKG_VERSION"), "-1");
    let architecture = run(Path::new("dpkg"), &["--print-architecture"])?;
    let architecture = String::from_utf8(architecture)?;
    let package = |name| format!("target/debian/{name}_{version}_{}.deb", architecture.trim());
    let words = [
        &package("pointsman"),
        &package("pointsman-compat"),
        &programs(profile).to_string_lossy().into_owned(),
    ];
    command("packaging/debian-trial", &words.map(String::as_str))
}

/// That the files which the packages take from the repository are there. Cheap: CI asks it of each change.
pub(crate) fn assets() -> anyhow::Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array();
    let daemon = packages
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "pointsmand");
    let deb = &daemon.context("no pointsmand")?["metadata"]["deb"];
    let taken = deb["assets"].as_array().context("no assets")?;
    let taken = taken.iter().filter_map(|asset| asset[0].as_str());
    let scripts = ["postinst", "prerm", "postrm"];
    let scripts = scripts.map(|name| format!("../../packaging/debian/{name}"));
    let mut checked = 0;
    for path in taken.chain(scripts.iter().map(String::as_str)) {
        let Some(path) = path.strip_prefix("../../") else {
            continue;
        };
        if path.starts_with(STAGE) {
            continue;
        }
        if !Path::new(path).is_file() {
            bail!("the Debian package takes {path}, which is not there");
        }
        checked += 1;
    }
    println!("assets: {checked} files of the packages are there");
    Ok(())
}

/// Debian's form of a changelog: one entry, which names the real one.
fn changelog() -> anyhow::Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let date = run(Path::new("git"), &["log", "-1", "--format=%cD"])?;
    let date = String::from_utf8(date)?;
    Ok(format!(
        "pointsman ({version}-1) stable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- The Pointsman authors <pointsman@localhost>  {}\n",
        date.trim()
    ))
}

/// Where the programs of a profile are built.
fn programs(profile: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let directory = if profile == "dev" { "debug" } else { profile };
    Path::new(&target).join(directory)
}

fn run(program: &Path, words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let shown = program.display();
    let output = Command::new(program).args(words).output();
    let output = output.with_context(|| format!("`{shown}` cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown} {}` failed: {said}", words.join(" "));
    }
    Ok(output.stdout)
}
