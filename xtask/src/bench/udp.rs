//! `bench udp`: datagrams through SOCKS5 beside named relays, in one run, by interleaved samples.
//!
//! Peers are shadowsocks-rust's `sslocal`, which relays directly as its access list says, and sing-box. What is missing
//! is reported as absent. A sample during which others used the machine is thrown away and taken again; the report
//! says how many. The aim is printed; it never fails a run.

mod load;
mod origin;
mod peers;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use self::load::Flood;
use self::origin::Origin;
pub(super) use self::origin::run as origin;
use self::peers::{PEERS, Peer, Running};
use self::table::{Metric, Table};
use super::accounts::{self, Cpu, Machine};
use super::plan;

/// The sizes of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Samples of each column.
    rounds: usize,
    /// Of a flood.
    lasts: Duration,
    /// Echoes of a sample, all clients together.
    echoes: usize,
    /// Associations that rest at once.
    resting: usize,
    /// Part of the machine that others may use during a sample.
    noise: f64,
    /// Memory alone, or all but memory.
    only: Option<Only>,
    quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Idle,
    Load,
}

/// Datagrams a second, and bytes of each.
const FLOODS: [(u32, usize); 4] = [(20_000, 1200), (60_000, 1200), (20_000, 64), (60_000, 64)];
/// Flows of an association at rest.
const FLOWS: usize = 10;
/// How often a sample is taken again.
const AGAIN: usize = 4;

impl Plan {
    /// Reads `[--quick] [--rounds N] [--noise PERCENT] [--only load|idle]`.
    fn read(words: &[String]) -> anyhow::Result<Self> {
        let quick = words.iter().any(|word| word == "--quick");
        // A client has two descriptors for each, a relay three.
        let resting = plan::connections(3);
        let mut plan = Self {
            rounds: 7,
            lasts: Duration::from_secs(2),
            echoes: 100_000,
            resting,
            noise: 10.0,
            only: None,
            quick,
        };
        if quick {
            plan = Self {
                rounds: 1,
                lasts: Duration::from_millis(500),
                echoes: 5_000,
                resting: resting.min(500),
                ..plan
            };
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let number = |word: Option<&String>| word.and_then(|word| word.parse::<u32>().ok());
            match word.as_str() {
                "--quick" => {}
                "--rounds" => {
                    let rounds = number(words.next()).filter(|it| (1..=100).contains(it));
                    plan.rounds =
                        rounds.context("`--rounds` needs a number from 1 to 100")? as usize;
                }
                "--noise" => {
                    let noise = number(words.next()).filter(|it| (1..=100).contains(it));
                    plan.noise = noise
                        .context("`--noise` needs percents, from 1 to 100")?
                        .into();
                }
                "--only" => {
                    plan.only = match words.next().map(String::as_str) {
                        Some("idle") => Some(Only::Idle),
                        Some("load") => Some(Only::Load),
                        _ => bail!("`--only` takes load, idle"),
                    };
                }
                other => bail!("`bench udp` knows no `{other}`"),
            }
        }
        Ok(plan)
    }
}

/// Measures, prints the report, and (unless `--quick`) writes it to `benches/results/`.
pub(super) fn run(words: &[String]) -> anyhow::Result<()> {
    let plan = Plan::read(words)?;
    plan::raise_descriptors()?;
    // Wakes at the time asked for, or twenty thousand datagrams a second come in crowds.
    let _coarser = std::fs::write("/proc/self/timerslack_ns", "1");
    let scratch = Scratch::new("udp")?;
    let mut bench = Bench {
        origin: Origin::start()?,
        scratch: &scratch.0,
        table: Table::new()?,
        plan,
    };
    let present = bench.find();
    if bench.plan.only != Some(Only::Load) {
        bench.rest(&present);
    }
    if bench.plan.only != Some(Only::Idle) {
        bench.load(&present);
    }
    let text = bench.table.markdown(&bench.plan);
    println!("{text}");
    if !bench.plan.quick {
        let file = format!("benches/results/udp-{}.md", bench.table.date);
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
}

type Values = Vec<(Metric, f64)>;

impl Bench<'_> {
    /// Those that can be run at all.
    fn find(&mut self) -> Vec<Peer> {
        let mut present = Vec::new();
        for peer in PEERS {
            match peer.version() {
                Ok(version) => {
                    self.table.versions.push((peer, version));
                    present.push(peer);
                }
                Err(error) => self.table.absent(peer, &error),
            }
        }
        present
    }

    /// Floods and echoes: all run at once, and take turns.
    fn load(&mut self, present: &[Peer]) {
        let mut running = Vec::new();
        for peer in present {
            match peer.start(self.scratch, self.origin.address(0)) {
                Ok(started) => running.push((*peer, started)),
                Err(error) => self.table.absent(*peer, &error),
            }
        }
        for round in 1..=self.plan.rounds {
            println!("round {round} of {}", self.plan.rounds);
            for column in 0..=FLOODS.len() {
                let mut samples = Vec::new();
                running.retain(|(peer, running)| {
                    match self.undisturbed(running, |bench| bench.sample(column, running)) {
                        Ok(values) => samples.push((*peer, values)),
                        Err(error) => {
                            self.table.absent(*peer, &error);
                            return false;
                        }
                    }
                    true
                });
                self.table.round(samples);
            }
        }
    }

    /// Takes a sample until nobody else used the machine; the last one counts.
    fn undisturbed(
        &mut self,
        running: &Running,
        mut sample: impl FnMut(&mut Self) -> anyhow::Result<Values>,
    ) -> anyhow::Result<Values> {
        let ours = [std::process::id(), self.origin.pid(), running.pid()];
        for left in (0..AGAIN).rev() {
            let before = Machine::read(&ours)?;
            let values = sample(self)?;
            let others = Machine::read(&ours)?.others_since(&before);
            if others * 100.0 <= self.plan.noise || left == 0 {
                self.table.others.push(others);
                return Ok(values);
            }
            self.table.thrown_away += 1;
        }
        bail!("no sample was taken")
    }

    fn sample(&mut self, column: usize, running: &Running) -> anyhow::Result<Values> {
        let Some((rate, bytes)) = FLOODS.get(column).copied() else {
            return self.echoes(running);
        };
        let flood = Flood {
            client: load::associate(running.door, [127, 0, 0, 1].into())?,
            to: self.origin.address(0),
            rate,
            bytes,
        };
        flood.send(Duration::from_millis(300))?;
        self.settle()?;
        let before = Cpu::read(running.pid())?;
        let sent = flood.send(self.plan.lasts)?;
        let spent = Cpu::read(running.pid())?.since(before);
        let came = self.settle()?;
        let lost = 1.0 - came as f64 / sent as f64;
        Ok(vec![
            (Metric::Flood(column), spent * 1e6 / sent as f64),
            (Metric::Lost(column), lost * 100.0),
        ])
    }

    /// How many datagrams the origin counted, once nothing more comes.
    fn settle(&self) -> anyhow::Result<u64> {
        let mut all = 0;
        loop {
            std::thread::sleep(Duration::from_millis(60));
            let more = self.origin.counted()?;
            all += more;
            if more == 0 {
                return Ok(all);
            }
        }
    }

    fn echoes(&self, running: &Running) -> anyhow::Result<Values> {
        let clients = (0..load::CLIENTS)
            .map(|_| load::associate(running.door, [127, 0, 0, 1].into()))
            .collect::<Result<Vec<_>, _>>()?;
        let to = self.origin.address(0);
        load::echoes(&clients, to, 50 * load::CLIENTS)?;
        let before = Cpu::read(running.pid())?;
        let times = load::echoes(&clients, to, self.plan.echoes)?;
        let spent = Cpu::read(running.pid())?.since(before);
        let at = |part: f64| times[(times.len() as f64 * part) as usize];
        Ok(vec![
            (Metric::Median, at(0.5)),
            (Metric::Tail, at(0.99)),
            (Metric::Echo, spent * 1e6 / times.len() as f64),
        ])
    }

    /// Associations at rest: a fresh process of each, for memory that was used once is not given back.
    fn rest(&mut self, present: &[Peer]) {
        for peer in present {
            println!(
                "{} associations of {} at rest",
                self.plan.resting,
                peer.name()
            );
            let rested = peer
                .start(self.scratch, self.origin.address(0))
                .and_then(|running| self.rested(&running));
            match rested {
                Ok(values) => self.table.round(vec![(*peer, values)]),
                Err(error) => self.table.absent(*peer, &error),
            }
        }
    }

    fn rested(&self, running: &Running) -> anyhow::Result<Values> {
        let pid = running.pid();
        let held = || accounts::user_bytes(pid);
        let open = |count: usize| {
            let addresses = (0..count).map(load::resting_address);
            addresses
                .map(|address| load::associate(running.door, address))
                .collect::<anyhow::Result<Vec<_>>>()
        };
        // What is made once, with the first flows, belongs to none.
        let first = open(32)?;
        let all = |clients: &[load::Client], flow: usize| -> anyhow::Result<()> {
            let to = self.origin.address(flow);
            clients.iter().try_for_each(|client| client.ask(to))
        };
        for flow in 0..FLOWS {
            all(&first, flow)?;
        }
        drop(first);
        std::thread::sleep(Duration::from_secs(1));
        let before = held()?;
        let clients = open(self.plan.resting)?;
        std::thread::sleep(Duration::from_millis(500));
        let associated = held()?;
        all(&clients, 0)?;
        std::thread::sleep(Duration::from_millis(500));
        let mapped = held()?;
        for flow in 1..FLOWS {
            all(&clients, flow)?;
        }
        std::thread::sleep(Duration::from_secs(1));
        let filled = held()?;
        let (cpu, lasts) = (Cpu::read(pid)?, Duration::from_secs(5));
        std::thread::sleep(lasts);
        let idle = Cpu::read(pid)?.since(cpu);
        let count = self.plan.resting as f64;
        Ok(vec![
            (Metric::Association, (associated - before) / count),
            (Metric::Mapping, (mapped - associated) / count),
            (Metric::Flow, (filled - mapped) / count / (FLOWS - 1) as f64),
            (Metric::All, (filled - before) / count),
            (Metric::Idle, idle * 1e3 / lasts.as_secs_f64()),
        ])
    }
}

/// A directory for configurations and logs, gone when dropped.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// That of the benchmark of that name.
    pub(super) fn new(benchmark: &str) -> anyhow::Result<Self> {
        let name = format!("target/bench-{benchmark}-{}", std::process::id());
        let path = std::path::absolute(name)?;
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Rubbish below `target` harms nobody.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
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
        check("--quick --only idle", Some((Some(Only::Idle), 1, true)));
        check("--rounds 3 --noise 20", Some((None, 3, false)));
        check("--only everything", None);
        check("--noise 0", None);
        check("--slow", None);
    }
}
