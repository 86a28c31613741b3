//! What the keywords and expressions of a rule set cost: looked up in one index, and visited one by one; and what names
//! below others do (`||*.x^`), as entries and as conditions.
//!
//! Half are keywords, half expressions of the kinds that public lists hold; one in sixteen expressions has no word that
//! an index could look for. The flows' names hold none of them, or the last one.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_policy::condition::{Asks, Condition, DomainTest};
use pointsman_policy::model::{
    Action, DomainOrder, Node, OnUnknown, Origin, OutboundId, OutboundInfo, OutboundKind, Rule,
    SetId,
};
use pointsman_policy::set::{Key, RuleSet, RuleSetBuilder};
use pointsman_policy::{Domain, Fact, Facts, Host, NamePattern, Policy, Provenance};

use super::super::names::synthetic::{Random, write_name};

const SIZES: [u32; 3] = [10, 100, 1000];
/// Names below others.
const BELOW: u32 = 60_000;
const FLOWS: u64 = 256;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(40);

/// Measures and prints a table.
pub(in super::super) fn run(seed: u64) -> anyhow::Result<()> {
    println!("\n## Keywords and expressions in a rule set\n");
    println!("ns for a decision by one rule set of so many, by its index and one by one.\n");
    println!(
        "| entries | none holds | one by one | the last holds | one by one | bytes an entry for the index |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    for size in SIZES {
        let set = set(seed, size)?;
        let bytes = set.jump_bytes() as f64 / f64::from(size);
        let policy = policy(set);
        let mut cells = String::new();
        for held in [false, true] {
            let flows = flows(seed, size, held)?;
            for facts in &flows {
                anyhow::ensure!(policy.decide(facts) == policy.decide_plainly(facts));
            }
            let [index, plain] = times(&flows, &policy);
            // Writing to a String cannot fail.
            let _ = write!(cells, " {index:.0} | {plain:.0} |");
        }
        println!("| {size} |{cells} {bytes:.0} |");
    }
    expressions(seed)?;
    below(seed)
}

/// What names below others cost a decision: as entries of their own kind, and as conditions.
fn below(seed: u64) -> anyhow::Result<()> {
    let mut text = String::new();
    let mut entries = RuleSetBuilder::new("below", "below.txt", Key([seed, !seed]));
    let mut conditions = RuleSetBuilder::new("below", "below.txt", Key([seed, !seed]));
    for line in 1..=BELOW {
        write_name(seed, line.into(), &mut text);
        let name = Domain::parse(&text)?;
        let itself = Condition::Domain(DomainTest::Exact(name.clone()));
        let suffix = Condition::Domain(DomainTest::Suffix(name.clone()));
        let condition = Condition::And(vec![suffix, Condition::Not(Box::new(itself))]);
        conditions.add_other(condition, line, &text);
        entries.add_below(name, line, &text);
    }
    let flows = flows(seed, BELOW, false)?;
    let (entries, conditions) = (policy(entries.finish()), policy(conditions.finish()));
    for facts in &flows {
        anyhow::ensure!(entries.decide(facts) == conditions.decide(facts));
    }
    let [own, _] = times(&flows, &entries);
    let [others, _] = times(&flows, &conditions);
    println!(
        "\n{BELOW} names below others (`||*.x^`): {own:.0} ns a decision, as conditions {others:.0} ns."
    );
    Ok(())
}

/// What one expression costs, as a program and as the automata that the `regex` crate makes of it.
fn expressions(seed: u64) -> anyhow::Result<()> {
    let set = set(seed, SIZES[2])?;
    let mut both = Vec::new();
    for other in set.others() {
        if let Condition::Domain(DomainTest::Regex(pattern)) = &other.condition {
            let mut builder = regex::RegexBuilder::new(pattern.as_str());
            both.push((pattern, builder.case_insensitive(true).build()?));
        }
    }
    let mut text = String::new();
    let mut names = Vec::new();
    for number in 0..FLOWS {
        write_name(!seed, number, &mut text);
        names.push(Domain::parse(&text)?);
    }
    let mut best = [Duration::MAX; 2];
    for round in 0..2 * ROUNDS {
        let which = round % 2;
        let begun = Instant::now();
        for (pattern, automata) in &both {
            for name in &names {
                let name = black_box(name);
                black_box(match which {
                    0 => pattern.is_match(name),
                    _ => automata.is_match(name.as_str()),
                });
            }
        }
        best[which] = best[which].min(begun.elapsed());
    }
    let tests = (both.len() * names.len()) as f64;
    let [own, theirs] = best.map(|time| time.as_secs_f64() * 1e9 / tests);
    println!("\nOne expression on a name: {own:.0} ns, by the regex crate {theirs:.0} ns.");
    Ok(())
}

fn set(seed: u64, size: u32) -> anyhow::Result<RuleSet> {
    let mut random = Random(seed);
    let mut set = RuleSetBuilder::new("parts", "parts.txt", Key([seed, !seed]));
    for line in 1..=size {
        let test = if line == size {
            DomainTest::Keyword("lastword".into())
        } else if line % 2 == 0 {
            DomainTest::Keyword(word(&mut random).into())
        } else {
            let (a, b) = (word(&mut random), word(&mut random));
            let text = match random.below(16) {
                0 => format!("^[a-z]{{{}}}[0-9]{{4}}\\.[a-z]+$", line % 20 + 4),
                1..6 => format!("^{a}[0-9]*\\.{b}\\.com$"),
                6..11 => format!("(^|\\.){a}-[a-z0-9]+\\.{b}\\.[a-z]+$"),
                _ => format!("^([a-z0-9-]+\\.)*{a}\\d+\\.(cn|{b})$"),
            };
            DomainTest::Regex(NamePattern::new(&text)?)
        };
        set.add_other(Condition::Domain(test), line, "part");
    }
    Ok(set.finish())
}

/// Of six to ten letters.
fn word(random: &mut Random) -> String {
    let length = 6 + random.below(5);
    (0..length)
        .map(|_| char::from(b'a' + random.below(26) as u8))
        .collect()
}

fn policy(set: RuleSet) -> Policy {
    let outbound = |name: &str| OutboundInfo {
        name: name.into(),
        kind: OutboundKind::Plain(Action::Direct),
        udp: pointsman_policy::model::udp::Udp::Carried,
    };
    let origin = Origin::default;
    let body = vec![
        Node::Rule(Rule {
            condition: Condition::Set(SetId(0), Asks::Never),
            outbound: OutboundId(1),
            origin: origin(),
            class: None,
        }),
        Node::Leaf {
            outbound: OutboundId(0),
            origin: origin(),
        },
    ];
    Policy {
        name: "main".into(),
        outbounds: Arc::new([outbound("direct"), outbound("other")]),
        direct: OutboundId(0),
        body: body.into(),
        sets: vec![Arc::new(set)].into(),
        zones: Arc::default(),
        databases: Arc::default(),
        domain_order: DomainOrder::Requested,
        on_unknown: OnUnknown::Skip,
    }
}

fn flows(seed: u64, size: u32, held: bool) -> anyhow::Result<Vec<Facts>> {
    let mut name = String::new();
    let flow = |number| {
        write_name(seed ^ u64::from(size), number, &mut name);
        if held {
            name.insert_str(0, "lastword.");
        }
        let host = Host::Name(Domain::parse(&name)?);
        Ok(Facts {
            destination: Fact::Known(host, Provenance::Given),
            ..Facts::default()
        })
    };
    (0..FLOWS).map(flow).collect()
}

/// The fastest rounds' ns for a decision, by the index and without it, in turns.
fn times(flows: &[Facts], policy: &Policy) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    for round in 0..2 * ROUNDS {
        let which = round % 2;
        let begun = Instant::now();
        let mut decisions = 0_u32;
        let ns = loop {
            for facts in flows {
                let facts = black_box(facts);
                drop(black_box(match which {
                    0 => policy.decide(facts),
                    _ => policy.decide_plainly(facts),
                }));
            }
            decisions += flows.len() as u32;
            if begun.elapsed() >= ROUND {
                break begun.elapsed().as_secs_f64() * 1e9 / f64::from(decisions);
            }
        };
        best[which] = best[which].min(ns);
    }
    best
}
