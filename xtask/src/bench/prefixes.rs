//! The section `prefixes`: the table of address prefixes beside `ip_network_table` and `prefix-trie`.
//!
//! Invariants: all subjects hold the same prefixes, of lengths as in the global routing table and half of
//! them inside others, and answer the same questions, half of them taken from the prefixes. They take turns,
//! so that what disturbs the machine disturbs all; of each part of the questions the fastest round counts.
//! Their answers (prefix length and line) must agree. Memory is what the system counts as resident: at rest
//! what the process itself holds, at most with the program's own pages as well.

use std::collections::HashSet;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure};
use ip_network::{IpNetwork, Ipv4Network, Ipv6Network};
use ip_network_table::IpNetworkTable;
use ipnet::{Ipv4Net, Ipv6Net};
use pointsman_policy::Prefix;
use pointsman_policy::set::{PrefixBuilder, PrefixTable};
use prefix_trie::PrefixMap;

use super::measure::{resident, timed};
use super::names::synthetic::Random;

const V4: usize = 200_000;
const V6: usize = 50_000;
const QUERIES: usize = 1_000_000;
const PART: usize = 10_000;
const ROUNDS: usize = 15;

/// Prefix lengths and how many of 10,000 have them, roughly as announced in 2025.
const LENGTHS_V4: &[(u8, u32)] = &[
    (8, 1),
    (11, 1),
    (12, 3),
    (13, 6),
    (14, 12),
    (15, 20),
    (16, 130),
    (17, 80),
    (18, 140),
    (19, 250),
    (20, 430),
    (21, 480),
    (22, 1070),
    (23, 950),
    (24, 5900),
    (32, 30),
];
const LENGTHS_V6: &[(u8, u32)] = &[
    (20, 1),
    (24, 5),
    (28, 20),
    (29, 350),
    (30, 40),
    (32, 1250),
    (33, 180),
    (34, 130),
    (35, 110),
    (36, 480),
    (38, 120),
    (40, 900),
    (42, 180),
    (44, 1050),
    (45, 70),
    (46, 350),
    (47, 250),
    (48, 4600),
];
/// What the registries hand out IPv6 addresses from: the first 16 bits, and how many of them vary.
const REGISTRIES: &[(u16, u16)] = &[
    (0x2001, 0),
    (0x2400, 15),
    (0x2600, 15),
    (0x2800, 15),
    (0x2a00, 15),
    (0x2c00, 15),
];

/// Measures each family in a child of its own.
pub(super) fn run(seed: u64) -> anyhow::Result<()> {
    for family in ["v4", "v6"] {
        let status = Command::new(std::env::current_exe()?)
            .args(["bench-child", "prefixes", family, &seed.to_string()])
            // Without this the allocator keeps much of what building gave back.
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "{family}: {status}");
    }
    Ok(())
}

/// Measures and prints one family.
pub(super) fn measure(words: &[String]) -> anyhow::Result<()> {
    let [family, seed] = words else {
        bail!("FAMILY SEED");
    };
    let mut random = Random(seed.parse()?);
    match family.as_str() {
        "v4" => v4(&mut random),
        "v6" => v6(&mut random),
        other => bail!("there is no family `{other}`"),
    }
}

/// A subject: its memory for each prefix, at rest and at most, and its time to build.
struct Built<T> {
    subject: T,
    bytes: f64,
    peak: f64,
    build_ms: f64,
}

fn v4(random: &mut Random) -> anyhow::Result<()> {
    let draw = |random: &mut Random| {
        loop {
            let bits = random.next() as u32;
            if !matches!(bits >> 24, 0 | 10 | 127 | 224..) {
                return IpAddr::from(Ipv4Addr::from_bits(bits));
            }
        }
    };
    let list = prefixes(random, V4, LENGTHS_V4, draw);
    let queries = queries(random, &list, draw);
    let queries: Vec<Ipv4Addr> = queries
        .iter()
        .filter_map(|query| match query {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .collect();
    let tree = tree(&list)?;
    let trie = trie(&list, |prefix| match prefix.address() {
        IpAddr::V4(address) => Ipv4Net::new(address, prefix.length()).ok(),
        IpAddr::V6(_) => None,
    })?;
    compare(
        &list,
        &queries,
        IpAddr::V4,
        (&tree, |tree, query| {
            tree.longest_match_ipv4(query)
                .map(|(network, line): (Ipv4Network, _)| (network.netmask(), *line))
        }),
        (&trie, |trie, query| {
            trie.get_lpm(&Ipv4Net::from(query))
                .map(|(net, line)| (net.prefix_len(), *line))
        }),
    )
}

fn v6(random: &mut Random) -> anyhow::Result<()> {
    let draw = |random: &mut Random| {
        let (base, vary) = REGISTRIES[random.below(REGISTRIES.len())];
        let top = base | random.next() as u16 & vary;
        let bits = u128::from(random.next()) << 64 | u128::from(random.next());
        IpAddr::from(Ipv6Addr::from_bits(u128::from(top) << 112 | bits >> 16))
    };
    let list = prefixes(random, V6, LENGTHS_V6, draw);
    let queries = queries(random, &list, draw);
    let queries: Vec<Ipv6Addr> = queries
        .iter()
        .filter_map(|query| match query {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(*address),
        })
        .collect();
    let tree = tree(&list)?;
    let trie = trie(&list, |prefix| match prefix.address() {
        IpAddr::V6(address) => Ipv6Net::new(address, prefix.length()).ok(),
        IpAddr::V4(_) => None,
    })?;
    compare(
        &list,
        &queries,
        IpAddr::V6,
        (&tree, |tree, query| {
            tree.longest_match_ipv6(query)
                .map(|(network, line): (Ipv6Network, _)| (network.netmask(), *line))
        }),
        (&trie, |trie, query| {
            trie.get_lpm(&Ipv6Net::from(query))
                .map(|(net, line)| (net.prefix_len(), *line))
        }),
    )
}

/// Of the family whose prefixes `net` makes.
fn trie<P: prefix_trie::Prefix>(
    list: &[(Prefix, u32)],
    net: impl Fn(&Prefix) -> Option<P>,
) -> anyhow::Result<Built<PrefixMap<P, u32>>> {
    built(list, || {
        let mut trie = PrefixMap::new();
        for (prefix, line) in list {
            if let Some(net) = net(prefix) {
                trie.insert(net, *line);
            }
        }
        trie
    })
}

/// Of either family.
fn tree(list: &[(Prefix, u32)]) -> anyhow::Result<Built<IpNetworkTable<u32>>> {
    built(list, || {
        let mut tree = IpNetworkTable::new();
        for (prefix, line) in list {
            if let Ok(network) = IpNetwork::new(prefix.address(), prefix.length()) {
                tree.insert(network, *line);
            }
        }
        tree
    })
}

/// Different prefixes, each with its line; every second one inside an earlier one where that is shorter.
fn prefixes(
    random: &mut Random,
    count: usize,
    lengths: &[(u8, u32)],
    draw: impl Fn(&mut Random) -> IpAddr,
) -> Vec<(Prefix, u32)> {
    let all: u32 = lengths.iter().map(|(_, share)| share).sum();
    let mut list: Vec<(Prefix, u32)> = Vec::with_capacity(count);
    let mut known = HashSet::new();
    while list.len() < count {
        let mut left = random.below(all as usize) as u32;
        let within = lengths.iter().find(|(_, share)| {
            let here = left < *share;
            left = left.saturating_sub(*share);
            here
        });
        let length = within.map_or(0, |(length, _)| *length);
        let mut address = draw(random);
        if random.below(2) == 0 && !list.is_empty() {
            let (outer, _) = list[random.below(list.len())];
            if outer.length() < length {
                address = inside(outer, address);
            }
        }
        let prefix = Prefix::new(address, length);
        if known.insert(prefix) {
            list.push((prefix, list.len() as u32 + 1));
        }
    }
    list
}

/// By turns an address inside of one of the prefixes and any address that `draw` gives.
fn queries(
    random: &mut Random,
    list: &[(Prefix, u32)],
    draw: impl Fn(&mut Random) -> IpAddr,
) -> Vec<IpAddr> {
    let mut queries = Vec::with_capacity(QUERIES);
    for _ in 0..QUERIES / 2 {
        let (prefix, _) = list[random.below(list.len())];
        let any = draw(random);
        queries.push(inside(prefix, any));
        queries.push(draw(random));
    }
    queries
}

/// The prefix's bits, then those of `address`.
fn inside(prefix: Prefix, address: IpAddr) -> IpAddr {
    let length = u32::from(prefix.length());
    match (prefix.address(), address) {
        (IpAddr::V4(prefix), IpAddr::V4(address)) => {
            let rest = u32::MAX.checked_shr(length).unwrap_or(0);
            Ipv4Addr::from_bits(prefix.to_bits() | address.to_bits() & rest).into()
        }
        (IpAddr::V6(prefix), IpAddr::V6(address)) => {
            let rest = u128::MAX.checked_shr(length).unwrap_or(0);
            Ipv6Addr::from_bits(prefix.to_bits() | address.to_bits() & rest).into()
        }
        (other, _) => other,
    }
}

fn built<T>(list: &[(Prefix, u32)], build: impl FnOnce() -> T) -> anyhow::Result<Built<T>> {
    // Without the pages of the program itself, which come in where it first runs.
    let (before, before_peak) = (resident("RssAnon:")?, resident("VmRSS:")?);
    // The peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (subject, took) = timed(build);
    let each = |bytes: u64, before: u64| bytes.saturating_sub(before) as f64 / list.len() as f64;
    Ok(Built {
        subject,
        bytes: each(resident("RssAnon:")?, before),
        peak: each(resident("VmHWM:")?, before_peak),
        build_ms: took.as_secs_f64() * 1e3,
    })
}

/// Length and line of the longest prefix.
type Answer = Option<(u8, u32)>;

fn compare<Q: Copy, A, B>(
    list: &[(Prefix, u32)],
    queries: &[Q],
    address: impl Fn(Q) -> IpAddr,
    (tree, ask_tree): (&Built<A>, impl Fn(&A, Q) -> Answer),
    (trie, ask_trie): (&Built<B>, impl Fn(&B, Q) -> Answer),
) -> anyhow::Result<()> {
    let ours = built(list, || {
        let mut builder = PrefixBuilder::default();
        for (prefix, line) in list {
            builder.add(*prefix, *line);
        }
        builder.finish()
    })?;
    for query in queries {
        let answer = ask_ours(&ours.subject, address(*query));
        ensure!(
            answer == ask_tree(&tree.subject, *query) && answer == ask_trie(&trie.subject, *query),
            "{} is answered differently",
            address(*query)
        );
    }
    let mut least = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let [ours_least, tree_least, trie_least] = &mut least;
        round(queries, ours_least, |q| ask_ours(&ours.subject, address(q)));
        round(queries, tree_least, |q| ask_tree(&tree.subject, q));
        round(queries, trie_least, |q| ask_trie(&trie.subject, q));
    }
    let each = |subject: usize| {
        let total: f64 = least[subject].iter().sum();
        total * 1e9 / queries.len() as f64
    };
    let found = queries
        .iter()
        .filter(|query| ask_ours(&ours.subject, address(**query)).is_some());
    println!(
        "\n{} prefixes; {} queries, {} of them inside",
        list.len(),
        queries.len(),
        found.count()
    );
    println!(
        "{:<20} {:>12} {:>12} {:>9} {:>10} {:>7}",
        "", "bytes/prefix", "peak/prefix", "build ms", "ns/lookup", "times"
    );
    let row = |label: &str, bytes: f64, peak: f64, build: f64, subject: usize| {
        let (time, times) = (each(subject), each(subject) / each(0));
        println!("{label:<20} {bytes:>12.2} {peak:>12.2} {build:>9.1} {time:>10.1} {times:>7.2}");
    };
    row("prefix table", ours.bytes, ours.peak, ours.build_ms, 0);
    row("ip_network_table", tree.bytes, tree.peak, tree.build_ms, 1);
    row("prefix-trie", trie.bytes, trie.peak, trie.build_ms, 2);
    println!(
        "the table counts {:.2} bytes a prefix itself",
        ours.subject.bytes() as f64 / list.len() as f64
    );
    Ok(())
}

// Inlined as the peers' are, which are generic.
#[inline(always)]
fn ask_ours(table: &PrefixTable, address: IpAddr) -> Answer {
    let found = table.find(address);
    found.map(|(prefix, line)| (prefix.length(), line))
}

/// A subject's turn: asks all, and keeps for each part the least time that it ever took.
fn round<Q: Copy>(queries: &[Q], least: &mut Vec<f64>, ask: impl Fn(Q) -> Answer) {
    least.resize(queries.len().div_ceil(PART), f64::MAX);
    for (part, least) in queries.chunks(PART).zip(least) {
        *least = least.min(time(part, &ask));
    }
}

/// Seconds for asking all of these.
fn time<Q: Copy>(part: &[Q], ask: &impl Fn(Q) -> Answer) -> f64 {
    let (sum, took) = timed(|| {
        part.iter().fold(0, |sum: u64, query| {
            let (length, line) = ask(black_box(*query)).unwrap_or_default();
            sum + u64::from(line) + u64::from(length)
        })
    });
    black_box(sum);
    took.as_secs_f64()
}
