//! `bench policy rules`: what a decision costs among few rules and among many, compiled and by the interpreter.
//!
//! Rules are generated from a seed: suffixes, names, prefixes, ports, processes, keywords and logic. Flows are made for
//! rules near the top, near the end, for none, and at random; the same number at each size, so that what a flow touches
//! is as warm at each. Flows at random are measured apart, each once in a while among many: they show what cold memory
//! adds. Every answer is compared with the interpreter's before anything is measured.

pub(super) mod parts;
mod synthetic;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::bail;
use pointsman_policy::decision::Step;
use pointsman_policy::set::Key;
use pointsman_policy::{Facts, Policy};
use synthetic::{Synthetic, Target};

/// How many rules.
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// Flows of one kind.
const FLOWS: usize = 64;
/// Measured this often; the fastest counts, for others may use the machine.
const ROUNDS: usize = 9;
/// How long one round of the compiled policy lasts.
const ROUND: Duration = Duration::from_millis(40);
/// Further rule sets.
const SETS: [usize; 6] = [0, 1, 4, 16, 32, 64];

/// Measures and prints tables.
pub(super) fn run(seed: u64) -> anyhow::Result<()> {
    println!("## Rules\n");
    println!("ns for a decision; in brackets how many times as much the interpreter takes.\n");
    let mut header = "| flows |".to_owned();
    let mut line = "|---|".to_owned();
    for size in SIZES {
        header += &format!(" {size} rules |");
        line += "---:|";
    }
    println!("{header} {} to {} |\n{line}---:|", SIZES[3], SIZES[0]);
    let mut policies = Vec::new();
    let mut about = Vec::new();
    for size in SIZES {
        let mut synthetic = Synthetic::new(seed, size);
        let mut policy = synthetic.policy(0);
        let begun = Instant::now();
        policy.body.compile(Key([seed, !seed]));
        let took = begun.elapsed();
        let bytes = policy.body.plan_bytes();
        about.push(format!(
            "{size} rules: {:.1} bytes a rule, compiled in {:.1} ms",
            bytes as f64 / size as f64,
            took.as_secs_f64() * 1e3
        ));
        policies.push((synthetic, policy));
    }
    for target in Target::ALL {
        let mut cells = Vec::new();
        for (synthetic, policy) in &mut policies {
            let count = if target == Target::Scattered {
                FLOWS * 64
            } else {
                FLOWS
            };
            let flows: Vec<Facts> = (0..count).map(|n| synthetic.flow(target, n)).collect();
            compare(policy, &flows)?;
            let compiled = time(&flows, ROUND, |facts| policy.decide(facts));
            let few = &flows[..FLOWS];
            let plain = time(few, Duration::ZERO, |facts| policy.decide_plainly(facts));
            cells.push((compiled, plain));
        }
        let shown = cells
            .iter()
            .map(|(c, p)| format!(" {c:.0} ({:.1}) |", p / c));
        let ratio = cells[SIZES.len() - 1].0 / cells[0].0;
        println!(
            "| {} |{} {ratio:.2} |",
            target.words(),
            shown.collect::<String>()
        );
    }
    println!();
    for line in about {
        println!("{line}");
    }
    sets(seed)
}

/// What each further rule set costs those flows that it does not hold.
fn sets(seed: u64) -> anyhow::Result<()> {
    println!("\n## Rule sets before the rules\n");
    println!(
        "ns for a decision that comes to 1000 rules behind so many rule sets of 1000 names and 100 ranges each.\n"
    );
    println!("| rule sets | ns | for each |\n|---:|---:|---:|");
    let mut without = None;
    for count in SETS {
        let mut synthetic = Synthetic::new(seed, 1000);
        let mut policy = synthetic.policy(count);
        policy.body.compile(Key([seed, !seed]));
        let flows: Vec<Facts> = (0..FLOWS)
            .map(|n| synthetic.flow(Target::Nothing, n))
            .collect();
        compare(&policy, &flows)?;
        let ns = time(&flows, ROUND, |facts| policy.decide(facts));
        let base = *without.get_or_insert(ns);
        let each = (ns - base) / count.max(1) as f64;
        println!("| {count} | {ns:.0} | {each:.1} |");
    }
    Ok(())
}

fn compare(policy: &Policy, flows: &[Facts]) -> anyhow::Result<()> {
    for facts in flows.iter().take(FLOWS) {
        let (compiled, plain) = (policy.decide(facts), policy.decide_plainly(facts));
        if compiled != plain {
            bail!("{compiled:?} is not {plain:?} for {facts:?}");
        }
    }
    Ok(())
}

/// The fastest round's ns for a decision; a round takes all flows at least once.
fn time(flows: &[Facts], round: Duration, decide: impl Fn(&Facts) -> Step) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        let mut decisions = 0_u32;
        loop {
            for facts in flows {
                drop(black_box(decide(black_box(facts))));
            }
            decisions += flows.len() as u32;
            if begun.elapsed() >= round {
                break begun.elapsed().as_secs_f64() * 1e9 / f64::from(decisions);
            }
        }
    });
    rounds.fold(f64::INFINITY, f64::min)
}
