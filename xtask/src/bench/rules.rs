//! `bench policy rules`: what a decision costs among few rules and among many, compiled and by the interpreter.
//!
//! Rules are generated from a seed: suffixes, names, prefixes, ports, processes, keywords and logic. Flows are made for
//! rules near the top, near the end, for none, and at random; the same number at each size, so that what a flow touches
//! is as warm at each. Flows at random are measured apart, each once in a while among many: they show what cold memory
//! adds; and the same flows among all policies, to tell what of that is the flows' own. Every answer is compared with
//! the interpreter's before anything is measured.

pub(super) mod parts;
mod synthetic;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::bail;
use pointsman_policy::decision::Step;
use pointsman_policy::{Facts, Policy};
use synthetic::{Synthetic, Target};

/// How many rules.
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// Flows of one kind.
const FLOWS: usize = 64;
/// Flows that are told to be many.
const MANY: usize = 4096;
/// Fewer, to tell from where on caches do not hold them.
const FEWER: [usize; 2] = [256, 1024];
/// Measured this often, the sizes by turns. Of each [`FLOWS`] flows the fastest time counts: others use the machine.
const ROUNDS: usize = 60;
/// How long one round lasts at least.
const ROUND: Duration = Duration::from_millis(2);
/// Rounds of the interpreter, each of one turn.
const PLAIN_ROUNDS: usize = 3;
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
        policy.body.compile(synthetic.key());
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
        let mut flows = Vec::new();
        for (synthetic, _) in &mut policies {
            let count = if target == Target::Scattered {
                MANY
            } else {
                FLOWS
            };
            flows.push((0..count).map(|n| synthetic.flow(target, n)).collect());
        }
        if target == Target::Scattered {
            for count in FEWER {
                let first = |flows: &Vec<Facts>| flows[..count.min(flows.len())].to_vec();
                let fewer: Vec<Vec<Facts>> = flows.iter().map(first).collect();
                let words = format!("for any rule, {count} flows in turns");
                row(&words, &policies, &fewer)?;
            }
        }
        row(target.words(), &policies, &flows)?;
        if target == Target::Scattered
            && let Some(last) = flows.pop()
        {
            let same = vec![last; SIZES.len()];
            row("the flows of the last cell, at each size", &policies, &same)?;
        }
    }
    println!();
    for line in about {
        println!("{line}");
    }
    sets(seed)
}

/// Measures the flows of each size with its policy.
fn row(words: &str, policies: &[(Synthetic, Policy)], flows: &[Vec<Facts>]) -> anyhow::Result<()> {
    let cases = || policies.iter().map(|(_, policy)| policy).zip(flows);
    for (policy, flows) in cases() {
        compare(policy, flows)?;
    }
    let mut compiled: Vec<Times> = flows.iter().map(|flows| Times::of(flows)).collect();
    for _ in 0..ROUNDS {
        for (times, (policy, flows)) in compiled.iter_mut().zip(cases()) {
            times.round(flows, ROUND, |facts| policy.decide(facts));
        }
    }
    let compiled: Vec<f64> = compiled.iter().map(Times::ns).collect();
    let few = |flows: &'_ [Facts]| flows.len().min(FLOWS);
    let mut plain: Vec<Times> = flows
        .iter()
        .map(|flows| Times::of(&flows[..few(flows)]))
        .collect();
    for _ in 0..PLAIN_ROUNDS {
        for (times, (policy, flows)) in plain.iter_mut().zip(cases()) {
            let flows = &flows[..few(flows)];
            times.round(flows, Duration::ZERO, |facts| policy.decide_plainly(facts));
        }
    }
    let both = compiled.iter().zip(plain.iter().map(Times::ns));
    let shown: String = both
        .map(|(c, p)| format!(" {c:.0} ({:.1}) |", p / c))
        .collect();
    let ratio = compiled[SIZES.len() - 1] / compiled[0];
    println!("| {words} |{shown} {ratio:.2} |");
    Ok(())
}

/// What each further rule set costs those flows that it does not hold.
fn sets(seed: u64) -> anyhow::Result<()> {
    println!("\n## Rule sets before the rules\n");
    println!(
        "ns for a decision that comes to 1000 rules behind so many rule sets of 1000 names and 100 ranges each.\n"
    );
    println!("| rule sets | ns | for each |\n|---:|---:|---:|");
    let mut cases = Vec::new();
    for count in SETS {
        let mut synthetic = Synthetic::new(seed, 1000);
        let mut policy = synthetic.policy(count);
        policy.body.compile(synthetic.key());
        let flows: Vec<Facts> = (0..FLOWS)
            .map(|n| synthetic.flow(Target::Nothing, n))
            .collect();
        compare(&policy, &flows)?;
        let times = Times::of(&flows);
        cases.push((policy, flows, times));
    }
    for _ in 0..ROUNDS {
        for (policy, flows, times) in &mut cases {
            times.round(flows, ROUND, |facts| policy.decide(facts));
        }
    }
    let without = cases.first().map_or(0.0, |(_, _, times)| times.ns());
    for (count, (_, _, times)) in SETS.iter().zip(&cases) {
        let ns = times.ns();
        let each = (ns - without) / (*count).max(1) as f64;
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

/// The fastest times of each stretch of flows.
struct Times(Vec<f64>);

impl Times {
    fn of(flows: &[Facts]) -> Self {
        Self(vec![f64::INFINITY; flows.len().div_ceil(FLOWS)])
    }

    /// Takes all flows, again and again for that long, after a turn that fetches what others displaced.
    fn round(&mut self, flows: &[Facts], round: Duration, decide: impl Fn(&Facts) -> Step) {
        let turn = |best: &mut [f64]| {
            for (best, flows) in best.iter_mut().zip(flows.chunks(FLOWS)) {
                let begun = Instant::now();
                for facts in flows {
                    drop(black_box(decide(black_box(facts))));
                }
                *best = best.min(begun.elapsed().as_secs_f64() * 1e9 / flows.len() as f64);
            }
        };
        if !round.is_zero() {
            turn(&mut vec![0.0; self.0.len()]);
        }
        let begun = Instant::now();
        loop {
            turn(&mut self.0);
            if begun.elapsed() >= round {
                return;
            }
        }
    }

    /// ns for a decision.
    fn ns(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}
