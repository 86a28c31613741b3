//! How long a program takes until it serves, and what it then holds in memory, with large lists: ours and sing-box
//! in turns, in one run.
//!
//! Both load the same lists into one rule set for each and reject what is in them. Resident memory is the process's
//! whole (`VmRSS`), a moment after it serves; the same program without lists is measured too, so that the lists' part
//! can be told. Absent: the network; all files are local.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::super::names::synthetic::write_name;
use super::super::{accounts, subject};

/// Starts of each subject; the medians count.
const ROUNDS: usize = 5;

/// After it serves, a program gives back what it needed for loading; or it does not.
const REST: Duration = Duration::from_millis(700);

const PATIENCE: Duration = Duration::from_secs(120);

/// One list on disk, as one of the programs reads it.
#[derive(Clone)]
struct List {
    path: PathBuf,
    /// Our word for its format; `None`: recognised.
    format: Option<&'static str>,
    /// The list inside of a file that holds many.
    select: Option<&'static str>,
}

/// Something to be started.
struct Subject {
    name: String,
    ours: bool,
    lists: Vec<List>,
    /// sing-box's word for the format.
    their_format: &'static str,
    /// Ours: compiled lists of an earlier start are there.
    cached: bool,
}

#[derive(Clone, Copy)]
struct Sample {
    ready: f64,
    rss: f64,
    peak: f64,
}

/// Measures, and prints the tables.
pub(super) fn run(seed: u64) -> anyhow::Result<()> {
    let shared = shared();
    let scratch = std::env::temp_dir().join(format!("pointsman-start-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let measured = measure(&scratch, seed, shared.as_deref());
    fs::remove_dir_all(&scratch)?;
    measured
}

fn measure(scratch: &Path, seed: u64, shared: Option<&Path>) -> anyhow::Result<()> {
    let names = scratch.join("million.txt");
    let mut text = BufWriter::new(fs::File::create(&names)?);
    let mut name = String::new();
    for number in 0..1_000_000 {
        write_name(seed, number, &mut name);
        writeln!(text, "+.{name}")?;
    }
    text.into_inner()?.sync_all()?;
    let million = [List {
        path: names,
        format: Some("clash-domains"),
        select: None,
    }];
    section(scratch, "1,000,000 names with all below", &million)?;
    match shared {
        Some(shared) => section(scratch, "public lists", &public(shared)),
        None => {
            println!("\npublic lists: not measured, they are not here");
            Ok(())
        }
    }
}

/// Lists that people use: advertising, domains and ranges in China, and the larger categories of `dlc.dat`.
fn public(shared: &Path) -> Vec<List> {
    let list = |path: &str, format, select| List {
        path: shared.join("data").join(path),
        format,
        select,
    };
    let mut lists = vec![
        list("plain/reject-list.txt", Some("domains"), None),
        list("clash-yaml/direct.txt", Some("clash-domains"), None),
        list("clash-yaml/proxy.txt", Some("clash-domains"), None),
        list("clash-yaml/cncidr.txt", Some("clash-ips"), None),
    ];
    for category in [
        "cn",
        "geolocation-cn",
        "geolocation-!cn",
        "tld-cn",
        "category-ads-all",
        "google",
        "category-companies",
        "category-porn",
        "category-games",
        "category-dev",
        "category-media",
        "category-entertainment",
    ] {
        lists.push(list("geosite/dlc.dat", Some("dat"), Some(category)));
    }
    lists
}

fn section(scratch: &Path, title: &str, lists: &[List]) -> anyhow::Result<()> {
    let mut json = Vec::new();
    let mut srs = Vec::new();
    let mut entries = 0;
    let mut usable = Vec::new();
    for (number, list) in lists.iter().enumerate() {
        let binary = scratch.join(format!("{number}.srs"));
        let Some(count) = convert(list, &binary)? else {
            println!("left out: {:?} of {}", list.select, list.path.display());
            continue;
        };
        entries += count;
        let source = scratch.join(format!("{number}.json"));
        decompile(&binary, &source)?;
        // Their own compiler's, so that none of ours is measured as theirs.
        compile(&source, &binary)?;
        let at = |path| List {
            path,
            format: Some("srs"),
            select: None,
        };
        usable.push(list.clone());
        json.push(at(source));
        srs.push(at(binary));
    }
    let subject = |name: &str, ours, lists: &[List], their_format, cached| Subject {
        name: name.to_owned(),
        ours,
        lists: lists.to_vec(),
        their_format,
        cached,
    };
    let subjects = [
        subject("pointsmand, no lists", true, &[], "", false),
        subject(
            "pointsmand, the lists as they are",
            true,
            &usable,
            "",
            false,
        ),
        subject("pointsmand, its own cache", true, &usable, "", true),
        subject("pointsmand, .srs", true, &srs, "", false),
        subject("sing-box, no lists", false, &[], "", false),
        subject("sing-box, source JSON", false, &json, "source", false),
        subject("sing-box, .srs", false, &srs, "binary", false),
    ];
    let mut samples = vec![Vec::new(); subjects.len()];
    for _ in 0..ROUNDS {
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            samples.push(start(scratch, subject)?);
        }
    }
    println!(
        "\n### {title}: {entries} entries in {} lists\n",
        usable.len()
    );
    println!("| | ready, s | resident, MiB | of it the lists | peak, MiB | bytes an entry |");
    println!("|---|---|---|---|---|---|");
    let mut empty = [0.0; 2];
    for (subject, samples) in subjects.iter().zip(&samples) {
        let of = |pick: fn(&Sample) -> f64| {
            let mut sorted: Vec<f64> = samples.iter().map(pick).collect();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        let (ready, rss, peak) = (of(|s| s.ready), of(|s| s.rss), of(|s| s.peak));
        let base = &mut empty[usize::from(subject.ours)];
        if subject.lists.is_empty() {
            *base = rss;
        }
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let more = rss - *base;
        println!(
            "| {} | {ready:.3} | {:.1} | {:.1} | {:.1} | {:.1} |",
            subject.name,
            mib(rss),
            mib(more),
            mib(peak),
            more / entries as f64,
        );
    }
    Ok(())
}

/// Writes a list as `.srs`; its number of entries, `None` where there is no such list.
fn convert(list: &List, to: &Path) -> anyhow::Result<Option<usize>> {
    let client = sibling("pointsman")?;
    let mut command = Command::new(client);
    command.args(["rule-set", "convert"]).arg(&list.path);
    // The client says in two words what the configuration says in one.
    match list.format {
        Some("clash-domains") => command.args(["--behavior", "domain"]),
        Some("clash-ips") => command.args(["--behavior", "ipcidr"]),
        Some("domains") => command.args(["--behavior", "names"]),
        Some(format) => command.args(["--list-format", format]),
        None => &mut command,
    };
    if let Some(select) = list.select {
        command.args(["--set", select]);
    }
    let text = to.with_extension("txt");
    let run = |command: &mut Command, to: &Path, format: &str| -> anyhow::Result<bool> {
        let output = command.args(["--to", format, "-o"]).arg(to).output()?;
        if !output.status.success() && list.select.is_none() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.status.success())
    };
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    if !run(&mut command, to, "srs")? {
        return Ok(None);
    }
    if !run(&mut again, &text, "text")? {
        bail!("{} cannot be written as text", list.path.display());
    }
    let file = BufReader::new(fs::File::open(&text)?);
    Ok(Some(file.lines().count()))
}

fn decompile(from: &Path, to: &Path) -> anyhow::Result<()> {
    sing_box(&["rule-set", "decompile", "-o"], to, from)
}

fn compile(from: &Path, to: &Path) -> anyhow::Result<()> {
    sing_box(&["rule-set", "compile", "-o"], to, from)
}

fn sing_box(words: &[&str], to: &Path, from: &Path) -> anyhow::Result<()> {
    let output = Command::new(subject::sing_box()?)
        .args(words)
        .arg(to)
        .arg(from)
        .output()?;
    if !output.status.success() {
        bail!(
            "sing-box {words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn start(scratch: &Path, subject: &Subject) -> anyhow::Result<Sample> {
    let directory = scratch.join("run");
    let state = directory.join("state");
    let fresh = !(subject.ours && subject.cached && state.exists());
    if fresh {
        let _none_yet = fs::remove_dir_all(&directory);
        fs::create_dir_all(&state)?;
    }
    if !subject.ours {
        return theirs(&directory, subject);
    }
    let config = directory.join("pointsman.yaml");
    fs::write(&config, our_config(&subject.lists))?;
    if subject.cached {
        // The first start compiles; its time is that of the row above.
        ours(&config, &state)?;
    }
    ours(&config, &state)
}

fn our_config(lists: &[List]) -> String {
    let mut text = String::from(
        "version: 1\ninbounds: { desk: { type: mixed, listen: \"127.0.0.1:0\" } }\nrule_sets:\n",
    );
    let mut rules = String::from("rules:\n");
    for (number, list) in lists.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "  list{number}: {{ path: {:?}",
            list.path.display().to_string()
        );
        if let Some(format) = list.format {
            let _ = write!(text, ", format: {format}");
        }
        if let Some(select) = list.select {
            let _ = write!(text, ", select: {select:?}");
        }
        text.push_str(" }\n");
        let _ = writeln!(rules, "  - RULE-SET, list{number}, REJECT");
    }
    if lists.is_empty() {
        text.truncate(text.len() - "rule_sets:\n".len());
    }
    rules.push_str("  - FALLBACK, DIRECT\n");
    text + &rules
}

fn ours(config: &Path, state: &Path) -> anyhow::Result<Sample> {
    let begun = Instant::now();
    let child = Command::new(sibling("pointsmand")?)
        .arg("--config")
        .arg(config)
        .arg("--state")
        .arg(state)
        .arg("--control")
        .arg(state.join("control.sock"))
        .args(["--log-level", "error"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut child = Running(child);
    let stdout = child.0.stdout.take().context("no stdout")?;
    wait_for(stdout, "ready ", begun, &mut child)
}

fn theirs(directory: &Path, subject: &Subject) -> anyhow::Result<Sample> {
    let sets: Vec<_> = subject
        .lists
        .iter()
        .enumerate()
        .map(|(number, list)| {
            json!({
                "type": "local",
                "tag": format!("list{number}"),
                "format": subject.their_format,
                "path": list.path.display().to_string(),
            })
        })
        .collect();
    let rules: Vec<_> = (0..subject.lists.len())
        .map(|number| json!({ "rule_set": [format!("list{number}")], "action": "reject" }))
        .collect();
    let config = json!({
        "log": { "level": "info", "timestamp": false },
        "inbounds": [{ "type": "mixed", "listen": "127.0.0.1", "listen_port": subject::free_port()? }],
        "outbounds": [{ "type": "direct", "tag": "direct" }],
        "route": { "rule_set": sets, "rules": rules },
    });
    let path = directory.join("sing-box.json");
    fs::write(&path, config.to_string())?;
    let begun = Instant::now();
    let child = Command::new(subject::sing_box()?)
        .args(["run", "--disable-color", "-c"])
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut child = Running(child);
    let stderr = child.0.stderr.take().context("no stderr")?;
    wait_for(stderr, "sing-box started", begun, &mut child)
}

/// Reads lines until one holds `word`, then looks at the process's memory.
fn wait_for(
    lines: impl std::io::Read,
    word: &str,
    begun: Instant,
    child: &mut Running,
) -> anyhow::Result<Sample> {
    let mut lines = BufReader::new(lines);
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || begun.elapsed() > PATIENCE {
            let mut errors = String::new();
            if let Some(mut stderr) = child.0.stderr.take() {
                let _ = std::io::Read::read_to_string(&mut stderr, &mut errors);
            }
            bail!("it does not serve: {said}{errors}");
        }
        if line.contains(word) {
            break;
        }
        said.push_str(&line);
    }
    let ready = begun.elapsed().as_secs_f64();
    std::thread::sleep(REST);
    let status = fs::read_to_string(format!("/proc/{}/status", child.0.id()))?;
    let field = |name| accounts::kilobytes(&status, name);
    Ok(Sample {
        ready,
        rss: field("VmRSS")?,
        peak: field("VmHWM")?,
    })
}

/// A process that is killed, by its id, when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Where the public lists are.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("POINTSMAN_SHARED").map(PathBuf::from);
    let found = named.unwrap_or_else(|| "../shared".into());
    found.join("data").is_dir().then_some(found)
}

fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}
