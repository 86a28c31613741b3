//! The section `names`: sets of names beside a hash set of texts and a succinct trie.
//!
//! Invariants: every subject is built and asked in a process of its own, from one stream of names and one of
//! queries; all must find the same. Memory is what the system counts as resident.

mod louds;
pub(super) mod synthetic;

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use pointsman_policy::Domain;
use pointsman_policy::domain::Name;
use pointsman_policy::set::{Fingerprints, Item, Key, Place, RuleSet, RuleSetBuilder, Sink as _};
use serde_json::{Value, json};

use super::measure::{Options, resident, timed};
use louds::Louds;
use synthetic::Random;

const QUERIES: usize = 200_000;
/// Over all subjects, so that a quiet moment of the machine comes to each.
const PASSES: usize = 4;
const ROUNDS: usize = 7;
const KEY: Key = Key([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
/// By name, and what it is.
const SUBJECTS: [(&str, &str); 4] = [
    ("set", "rule set, with lines"),
    ("small", "rule set, small form"),
    ("hash", "HashSet<Box<str>>, foldhash"),
    ("louds", "succinct byte trie"),
];

/// Measures each subject in a child, and prints them side by side.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let what = options.list.as_deref().unwrap_or("generated names");
    let mut results: Vec<(&str, Value)> = Vec::new();
    for pass in 0..PASSES {
        for (at, (subject, label)) in SUBJECTS.into_iter().enumerate() {
            let result = child(subject, options)?;
            if pass == 0 {
                results.push((label, result));
            } else {
                faster(&mut results[at].1, &result);
            }
        }
    }
    let count = &results[0].1["count"];
    println!(
        "\n{count} suffixes ({what}); {QUERIES} queries; seed {}",
        options.seed
    );
    println!(
        "{:<28} {:>11} {:>11} {:>9} {:>10} {:>9}",
        "", "bytes/entry", "peak/entry", "build ms", "ns/lookup", "hits"
    );
    for (label, result) in &results {
        println!(
            "{label:<28} {:>11.2} {:>11.2} {:>9.0} {:>10.1} {:>9}",
            number(result, "bytes"),
            number(result, "peak"),
            number(result, "build_ms"),
            number(result, "lookup_ns"),
            result["hits"]
        );
    }
    let (set, small) = (&results[0].1, &results[1].1);
    println!(
        "tables alone: {:.2} bytes an entry with lines, {:.2} in the small form",
        number(set, "table_bytes"),
        number(small, "table_bytes")
    );
    println!(
        "fingerprints of a query {:.1} ns",
        number(set, "fingerprint_ns")
    );
    println!(
        "kept bytes: written in {:.1} ms, read in {:.1} ms",
        number(set, "write_ms"),
        number(set, "read_ms")
    );
    let lookup = number(set, "lookup_ns");
    println!(
        "a lookup: {:.2} times as fast as the hash set, {:.1} times as fast as the trie",
        number(&results[2].1, "lookup_ns") / lookup,
        number(&results[3].1, "lookup_ns") / lookup
    );
    for (label, result) in &results {
        ensure!(
            result["hits"] == set["hits"],
            "{label} does not find what the others find"
        );
    }
    Ok(())
}

/// Takes the times of another pass where they are shorter: what disturbs a pass only ever makes it slower.
fn faster(result: &mut Value, again: &Value) {
    let Some(fields) = result.as_object_mut() else {
        return;
    };
    for (field, value) in fields {
        let time = field.ends_with("_ms") || field.ends_with("_ns");
        if time && again[field].as_f64() < value.as_f64() {
            *value = again[field].clone();
        }
    }
}

fn number(result: &Value, field: &str) -> f64 {
    result[field].as_f64().unwrap_or(f64::NAN)
}

fn child(subject: &str, options: &Options) -> anyhow::Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench-child", "names", subject]);
    command.args([options.count.to_string(), options.seed.to_string()]);
    // Without this the allocator keeps much of what building gave back, of each subject another part.
    command.env("MALLOC_MMAP_THRESHOLD_", "65536");
    command.args(&options.list).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    ensure!(output.status.success(), "{subject}: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Measures one subject, and prints what it found as JSON.
pub(super) fn measure(words: &[String]) -> anyhow::Result<()> {
    let [subject, count, seed, list @ ..] = words else {
        bail!("SUBJECT COUNT SEED [LIST]");
    };
    let names = Names::new(
        list.first().map(String::as_str),
        count.parse()?,
        seed.parse()?,
    )?;
    let queries = names.queries()?;
    let mut measured = match subject.as_str() {
        "hash" => {
            let build = || {
                let mut set = hashbrown::HashSet::new();
                names.each(|name, _| {
                    set.insert(Box::<str>::from(name));
                });
                set.shrink_to_fit();
                set
            };
            of(&names, &queries, build, |set, query| {
                query.ancestors().any(|name| set.contains(name))
            })?
            .1
        }
        "louds" => {
            let build = || {
                let mut all = Vec::with_capacity(names.count());
                names.each(|name, _| all.push(name.to_owned()));
                Louds::new(all.into_iter())
            };
            of(&names, &queries, build, |trie, query| {
                trie.holds(query.as_str())
            })?
            .1
        }
        "set" | "small" => set(&names, &queries, subject == "small")?,
        other => bail!("there is no subject `{other}`"),
    };
    measured["count"] = names.count().into();
    println!("{measured}");
    Ok(())
}

fn set(names: &Names, queries: &[Domain], small: bool) -> anyhow::Result<Value> {
    let build = || {
        let builder = RuleSetBuilder::new("set", "set.txt", KEY);
        let mut set = if small { builder.small() } else { builder };
        let mut buffer = String::new();
        names.each(|written, line| {
            if let Ok(name) = Name::parse(written, &mut buffer) {
                set.add(Item::Suffix(name), Place { line, written });
            }
        });
        set.finish()
    };
    let (set, mut measured) = of(names, queries, build, |set, query| {
        set.find_name(query).is_some()
    })?;
    measured["table_bytes"] = (set.name_bytes() as f64 / set.len() as f64).into();
    let each = |total: Duration| total.as_secs_f64() * 1e9 / queries.len() as f64;
    let (_, fingerprints) = best(|| {
        for query in queries {
            black_box(&Fingerprints::of(KEY, query));
        }
    });
    measured["fingerprint_ns"] = each(fingerprints).into();
    let (bytes, write) = best(|| set.to_bytes());
    let (again, read) = best(|| RuleSet::from_bytes("set", "set.txt", KEY, &bytes, |_, _| None));
    ensure!(
        again?.len() == set.len(),
        "a set is not read as it was written"
    );
    measured["write_ms"] = (write.as_secs_f64() * 1e3).into();
    measured["read_ms"] = (read.as_secs_f64() * 1e3).into();
    Ok(measured)
}

/// Builds a subject and asks it.
fn of<T>(
    names: &Names,
    queries: &[Domain],
    build: impl FnOnce() -> T,
    holds: impl Fn(&T, &Domain) -> bool,
) -> anyhow::Result<(T, Value)> {
    let (_, generating) = timed(|| {
        names.each(|name, _| {
            black_box(name);
        });
    });
    let before = resident("VmRSS:")?;
    // The peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (subject, building) = timed(build);
    let peak = resident("VmHWM:")?.saturating_sub(before);
    let bytes = resident("VmRSS:")?.saturating_sub(before);
    let (hits, asking) = best(|| {
        queries
            .iter()
            .filter(|query| holds(&subject, query))
            .count()
    });
    let each = |bytes: u64| bytes as f64 / names.count() as f64;
    let measured = json!({
        "bytes": each(bytes),
        "peak": each(peak),
        "build_ms": building.saturating_sub(generating).as_secs_f64() * 1e3,
        "lookup_ns": asking.as_secs_f64() * 1e9 / queries.len() as f64,
        "hits": hits,
    });
    Ok((subject, measured))
}

/// The fastest of some rounds: what disturbs a round only ever makes it slower.
fn best<T>(mut work: impl FnMut() -> T) -> (T, Duration) {
    let (mut result, mut least) = timed(&mut work);
    for _ in 1..ROUNDS {
        let (again, took) = timed(&mut work);
        result = again;
        least = least.min(took);
    }
    (result, least)
}

/// Where names come from.
enum Names {
    Generated {
        count: u64,
        seed: u64,
    },
    Listed {
        text: String,
        count: usize,
        seed: u64,
    },
}

impl Names {
    fn new(list: Option<&str>, count: u64, seed: u64) -> anyhow::Result<Self> {
        let Some(list) = list else {
            return Ok(Self::Generated { count, seed });
        };
        let raw = std::fs::read_to_string(list).with_context(|| list.to_owned())?;
        let (mut text, mut count) = (String::new(), 0);
        for name in raw.lines().filter_map(|line| Domain::parse(line).ok()) {
            text.push_str(name.as_str());
            text.push('\n');
            count += 1;
        }
        Ok(Self::Listed { text, count, seed })
    }

    fn count(&self) -> usize {
        match self {
            Self::Generated { count, .. } => *count as usize,
            Self::Listed { count, .. } => *count,
        }
    }

    /// Every name with its line.
    fn each(&self, mut take: impl FnMut(&str, u32)) {
        match self {
            Self::Generated { count, seed } => {
                let mut name = String::new();
                for number in 0..*count {
                    synthetic::write_name(*seed, number, &mut name);
                    take(&name, number as u32 + 1);
                }
            }
            Self::Listed { text, .. } => {
                for (line, name) in (1..).zip(text.lines()) {
                    take(name, line);
                }
            }
        }
    }

    /// Leaves nothing behind in memory but what it gives.
    fn queries(&self) -> anyhow::Result<Vec<Domain>> {
        let (Self::Generated { seed, .. } | Self::Listed { seed, .. }) = self;
        let mut random = Random(!seed);
        let listed: Vec<&str> = match self {
            Self::Generated { .. } => Vec::new(),
            Self::Listed { text, .. } => text.lines().collect(),
        };
        let mut queries = Vec::with_capacity(QUERIES);
        let mut query = String::with_capacity(256);
        for _ in 0..QUERIES {
            match self {
                Self::Generated { count, seed } => {
                    synthetic::write_query(&mut random, *seed, *count, &mut query);
                }
                Self::Listed { .. } => {
                    query.clear();
                    query.push_str(match random.below(100) {
                        0..19 => "www.",
                        19..57 => "",
                        _ => "x",
                    });
                    query.push_str(listed[random.below(listed.len())]);
                }
            }
            queries.push(Domain::parse(&query)?);
        }
        Ok(queries)
    }
}
