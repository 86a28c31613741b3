//! `bench dns`: our DNS server beside named ones, in one run, by interleaved samples.
//!
//! Peers are unbound, dnsmasq, dnsdist and sing-box. What is missing is reported as absent. All ask one name server
//! within the bench itself, over loopback. The aim is printed; it never fails a run.

mod load;
mod origin;
mod peers;
mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use self::load::{Answered, Names, Until};
use self::origin::Origin;
use self::peers::{Blocked, PACKAGES, PEERS, Peer, Running};
use self::table::{Metric, Table, What};
use super::accounts::{self, Cpu, Machine};
use super::names::synthetic::{Random, write_name};

/// What is asked for, and by which transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Load {
    /// What is known, by datagrams.
    Hits,
    /// What is known, over a connection.
    Stream,
    /// What nobody has asked for yet.
    Misses,
    /// Names among a million that are blocked.
    Blocked,
    /// What is known, while the million is loaded.
    HitsBeside,
}

impl Load {
    const PLAIN: [Self; 3] = [Self::Hits, Self::Stream, Self::Misses];
    const LISTED: [Self; 2] = [Self::Blocked, Self::HitsBeside];
    const ALL: [Self; 5] = [
        Self::Hits,
        Self::Stream,
        Self::Misses,
        Self::Blocked,
        Self::HitsBeside,
    ];
}

/// The sizes of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Samples of each column.
    rounds: usize,
    /// Of a sample.
    lasts: Duration,
    /// Names that are blocked.
    blocked: usize,
    /// Starts with these.
    starts: usize,
    /// Answers that are to be kept.
    kept: usize,
    /// Names of a flood, each asked for once.
    flood: usize,
    /// One part alone.
    only: Option<Only>,
    quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Load,
    Blocked,
    Memory,
}

impl Only {
    /// What a part alone is written to, beside the whole.
    fn suffix(self) -> &'static str {
        match self {
            Self::Load => "-load",
            Self::Blocked => "-blocked",
            Self::Memory => "-memory",
        }
    }
}

impl Plan {
    /// Reads `[--quick] [--rounds N] [--only load|blocked|memory]`.
    fn read(words: &[String]) -> anyhow::Result<Self> {
        let quick = words.iter().any(|word| word == "--quick");
        let mut plan = Self {
            rounds: 7,
            lasts: Duration::from_secs(1),
            blocked: 1_000_000,
            starts: 3,
            kept: 100_000,
            flood: 1_000_000,
            only: None,
            quick,
        };
        if quick {
            plan = Self {
                rounds: 2,
                lasts: Duration::from_millis(300),
                blocked: 20_000,
                starts: 1,
                kept: 5_000,
                flood: 20_000,
                ..plan
            };
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => {}
                "--rounds" => {
                    let rounds = words.next().and_then(|word| word.parse().ok());
                    plan.rounds = rounds
                        .filter(|rounds| (1..=100).contains(rounds))
                        .context("`--rounds` needs a number from 1 to 100")?;
                }
                "--only" => {
                    plan.only = match words.next().map(String::as_str) {
                        Some("blocked") => Some(Only::Blocked),
                        Some("load") => Some(Only::Load),
                        Some("memory") => Some(Only::Memory),
                        _ => bail!("`--only` takes load, blocked, memory"),
                    };
                }
                other => bail!("`bench dns` knows no `{other}`"),
            }
        }
        Ok(plan)
    }

    fn wants(&self, part: Only) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

/// Measures, prints the report, and (unless `--quick`) writes it to `benches/results/`.
pub(super) fn run(words: &[String]) -> anyhow::Result<()> {
    let plan = Plan::read(words)?;
    super::plan::raise_descriptors()?;
    if let Err(error) = crate::debian::install(&PACKAGES) {
        println!("{error:#}");
    }
    let scratch = super::udp::Scratch::new("dns")?;
    let mut bench = Bench {
        origin: Origin::start()?,
        scratch: &scratch.0,
        table: Table::new()?,
        unique: 0,
        present: Vec::new(),
        plan,
    };
    bench.find();
    if bench.plan.wants(Only::Load) {
        let running = bench.start(None);
        bench.rounds(running, &Load::PLAIN, &[]);
    }
    if bench.plan.wants(Only::Blocked) {
        bench.blocked()?;
    }
    if bench.plan.wants(Only::Memory) {
        bench.memory();
    }
    let text = bench.table.markdown(&bench.plan);
    println!("{text}");
    if !bench.plan.quick {
        let part = bench.plan.only.map_or("", Only::suffix);
        let file = format!("benches/results/dns-{}{part}.md", bench.table.date);
        std::fs::create_dir_all("benches/results")?;
        std::fs::write(&file, text).with_context(|| file.clone())?;
        println!("written to {file}");
    }
    Ok(())
}

struct Bench<'a> {
    plan: Plan,
    origin: Origin,
    scratch: &'a Path,
    table: Table,
    /// The next name that nobody has asked for.
    unique: u64,
    present: Vec<Peer>,
}

type Values = Vec<(Metric, f64)>;

impl Bench<'_> {
    /// Those that can be run at all.
    fn find(&mut self) {
        for peer in PEERS {
            match peer.version() {
                Ok(version) => {
                    self.table.versions.push((peer, version));
                    self.present.push(peer);
                }
                Err(error) => self.table.absent(peer, &error),
            }
        }
    }

    /// Starts all; those that cannot be are absent.
    fn start(&mut self, blocked: Option<&Blocked>) -> Vec<(Peer, Running)> {
        let mut running = Vec::new();
        for peer in self.present.clone() {
            match peer.start(self.scratch, self.origin.address, blocked) {
                Ok(started) => running.push((peer, started)),
                Err(error) => self.table.absent(peer, &error),
            }
        }
        running
    }

    /// All run at once, and take turns.
    fn rounds(&mut self, mut running: Vec<(Peer, Running)>, loads: &[Load], list: &[String]) {
        for round in 1..=self.plan.rounds {
            println!("round {round} of {}", self.plan.rounds);
            for load in loads {
                let mut samples = Vec::new();
                running.retain(
                    |(peer, running)| match self.sample(*load, running, list, round) {
                        Ok(values) => {
                            samples.push((*peer, values));
                            true
                        }
                        Err(error) => {
                            self.table.absent(*peer, &error);
                            false
                        }
                    },
                );
                self.table.round(samples);
            }
        }
    }

    fn sample(
        &mut self,
        load: Load,
        running: &Running,
        list: &[String],
        round: usize,
    ) -> anyhow::Result<Values> {
        let is_hit = matches!(load, Load::Hits | Load::HitsBeside | Load::Stream);
        if is_hit {
            for number in 0..load::HOT {
                load::ask(running.door, &load::hot(number), load::NO_ERROR)?;
            }
        }
        let seed = round as u64;
        let mut names = match load {
            Load::Misses => Names::Unique(&mut self.unique),
            Load::Blocked => Names::Listed(list, Random(seed)),
            Load::Hits | Load::HitsBeside | Load::Stream => Names::Hot(Random(seed)),
        };
        let expected = match load {
            Load::Blocked => load::NO_NAME,
            _ => load::NO_ERROR,
        };
        let ask = match load {
            Load::Stream => load::stream,
            _ => load::datagrams,
        };
        let first = match is_hit {
            true => Until::Answers(10 * load::HOT),
            false => Until::After(self.plan.lasts / 5),
        };
        ask(running.door, &mut names, expected, first)?;
        let ours = [std::process::id(), running.pid()];
        let (machine, asked) = (Machine::read(&ours)?, self.origin.asked());
        let before = Cpu::read_family(running.pid())?;
        let until = Until::After(self.plan.lasts);
        let answered = ask(running.door, &mut names, expected, until)?;
        let spent = Cpu::read_family(running.pid())?.since(before);
        let others = Machine::read(&ours)?.others_since(&machine);
        self.table.others.push(others);
        let asked = self.origin.asked() - asked;
        // Some ask by themselves whether the name server is there.
        if is_hit && asked as usize > 10 + answered.all() / 100 {
            bail!(
                "what it knows it asks for again: {asked} of {}",
                answered.all()
            );
        }
        Ok(values(load, &answered, spent))
    }

    /// Starts with the list, each several times; then all together.
    fn blocked(&mut self) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        let (mut name, mut number) = (String::new(), 0);
        while names.len() < self.plan.blocked {
            write_name(1, number, &mut name);
            number += 1;
            // Labels that begin with a hyphen are no names to some.
            names.insert(name.replace('-', "x"));
        }
        let list = Blocked::write(names.into_iter().collect(), self.scratch)?;
        for start in 1..=self.plan.starts {
            println!("start {start} of {}", self.plan.starts);
            let mut samples = Vec::new();
            for peer in self.present.clone() {
                let started = peer
                    .start(self.scratch, self.origin.address, Some(&list))
                    .and_then(|running| {
                        let held = accounts::resident_bytes(running.pid())?;
                        let millis = running.started_in.as_secs_f64() * 1e3;
                        // Whoever keeps a copy of what it made of the list has it from the second start on.
                        let metric = match start {
                            1 => Metric::FirstStart,
                            _ => Metric::Start,
                        };
                        Ok(vec![(metric, millis), (Metric::Listed, held / 1e6)])
                    });
                match started {
                    Ok(values) => samples.push((peer, values)),
                    Err(error) => self.table.absent(peer, &error),
                }
            }
            self.table.round(samples);
        }
        let running = self.start(Some(&list));
        self.rounds(running, &Load::LISTED, &list.names);
        Ok(())
    }

    /// What a fresh process of each keeps, and takes for it.
    fn memory(&mut self) {
        let mut samples = Vec::new();
        for peer in self.present.clone() {
            println!("{} names to {}", self.plan.flood, peer.name());
            let kept = peer
                .start(self.scratch, self.origin.address, None)
                .and_then(|running| self.kept(&running));
            match kept {
                Ok(values) => samples.push((peer, values)),
                Err(error) => self.table.absent(peer, &error),
            }
        }
        self.table.round(samples);
    }

    fn kept(&mut self, running: &Running) -> anyhow::Result<Values> {
        let (door, pid) = (running.door, running.pid());
        let begun = accounts::resident_bytes(pid)?;
        let first = self.unique;
        let mut ask = |count: usize| {
            let mut names = Names::Unique(&mut self.unique);
            load::datagrams(door, &mut names, load::NO_ERROR, Until::Answers(count))
        };
        let answered = ask(self.plan.kept)?;
        let filled = accounts::resident_bytes(pid)?;
        if answered.failed * 100 > answered.all() {
            bail!(
                "{} of {} were not answered",
                answered.failed,
                answered.all()
            );
        }
        // What is known nobody is asked for: of every tenth name.
        let count = self.plan.kept / 10;
        let asked = self.origin.asked();
        let mut again = Names::Again {
            next: first,
            step: 10,
        };
        load::datagrams(door, &mut again, load::NO_ERROR, Until::Answers(count))?;
        let unknown = (self.origin.asked() - asked) as f64 / count as f64;
        let mut ask = |count: usize| {
            let mut names = Names::Unique(&mut self.unique);
            load::datagrams(door, &mut names, load::NO_ERROR, Until::Answers(count))
        };
        let flooded = ask(self.plan.flood)?;
        let failed = flooded.failed as f64 / flooded.all() as f64;
        Ok(vec![
            (Metric::Fresh, begun / 1e6),
            (Metric::Filled, filled / 1e6),
            (Metric::Known, (1.0 - unknown).max(0.0) * 100.0),
            (Metric::Flooded, accounts::resident_bytes(pid)? / 1e6),
            (Metric::FloodFailed, failed * 100.0),
        ])
    }
}

fn values(load: Load, answered: &Answered, spent: f64) -> Values {
    let all = answered.all().max(1) as f64;
    let of = |what| Metric::Of(load, what);
    vec![
        (
            of(What::Rate),
            answered.count as f64 / answered.lasted.as_secs_f64(),
        ),
        (of(What::Cpu), spent * 1e6 / all),
        (of(What::Median), answered.time(0.5)),
        (of(What::Tail), answered.time(0.99)),
        (of(What::Failed), answered.failed as f64 * 100.0 / all),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Only, Plan};

    #[test]
    fn words_are_read_or_refused() {
        let check = |words: &str, expected: Option<(Option<Only>, usize, bool)>| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let read = Plan::read(&words).ok();
            let read = read.map(|plan| (plan.only, plan.rounds, plan.quick));
            assert_eq!(read, expected, "{words:?}");
        };
        check("", Some((None, 7, false)));
        check("--quick --only memory", Some((Some(Only::Memory), 2, true)));
        check("--rounds 3", Some((None, 3, false)));
        check("--only everything", None);
        check("--rounds 0", None);
        check("--slow", None);
    }
}
