//! Where flows to a name may end, told of long policies: as fast as of short ones.

mod flow;

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use flow::{DIRECT, PROXY, RESET, WORK, ends_told, leaf, name, policy, port, rule, suffix};
use pointsman_policy::condition::Condition;
use pointsman_policy::set::Key;
use pointsman_policy::{Domain, Policy};

const RULES: u32 = 100_000;

/// So many suffixes, then a rule on what is free, then a way out.
fn long() -> Policy {
    let ways = [PROXY, WORK, RESET];
    let body = (1..=RULES).map(|line| {
        let way = ways[line as usize % ways.len()];
        rule(line, suffix(named(line).as_str()), way)
    });
    let both = Condition::And(vec![port(443), suffix("x.test")]);
    let last = [rule(RULES + 1, both, PROXY), leaf(RULES + 2, DIRECT)];
    policy(body.chain(last).collect())
}

fn named(line: u32) -> Domain {
    name(&format!("n{line}.test"))
}

/// The fastest of some rounds, for one name.
fn fastest(policy: &Policy, names: &[Domain], rounds: u32) -> Duration {
    let client = Some(IpAddr::from([10, 0, 0, 1]));
    let rounds = (0..rounds).map(|_| {
        let begun = Instant::now();
        for name in names {
            black_box(policy.possible_for(name, client));
        }
        begun.elapsed()
    });
    rounds.min().unwrap_or_default() / u32::try_from(names.len()).unwrap_or(1)
}

fn names() -> Vec<Domain> {
    let far = (0..16).map(|n| named(RULES - n * 5_000));
    let none = (0..16).map(|n| name(&format!("www.m{n}.org")));
    far.chain(none).collect()
}

#[test]
fn a_hundred_thousand_names_are_not_gone_through() {
    let plain = long();
    let mut compiled = plain.clone();
    compiled.body.compile(Key([3, 5]));
    let told = |of: &str| ends_told(&compiled, &compiled.possible_for(&name(of), None));
    assert_eq!(told("n50000.test"), "reset by 50000");
    assert_eq!(told("a.x.test"), "proxy by 100001, direct by 100002");
    assert_eq!(told("n0.test"), "direct by 100002");
    let names = names();
    for name in &names {
        assert_eq!(
            compiled.possible_for(name, None),
            plain.possible_for(name, None)
        );
    }
    // It is some thousand times less; the machine may be busy.
    let (slow, fast) = (
        fastest(&plain, &names[..4], 2),
        fastest(&compiled, &names, 5),
    );
    assert!(fast * 50 < slow, "{fast:?}, by and by {slow:?}");
}
