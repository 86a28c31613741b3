//! `bench relay`: the data plane beside named relays, in one run, by interleaved pairs.
//!
//! Needs the Debian packages haproxy, nginx-light and libnginx-mod-stream (installed when we are root), and sing-box,
//! which `cargo xtask test` installs. What is missing is reported as absent. The aim is printed; it never fails a run.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::accounts::{self, Cpu, Kernel};
use super::load;
use super::plan::{self, Load, Plan};
use super::report::{Metric, Report};
use super::subject::{self, FORWARDS, PROXIES, Running, Subject};

/// Debian packages of the peers, and a file that each brings.
const PACKAGES: &[(&str, &str)] = &[
    ("haproxy", "/usr/sbin/haproxy"),
    ("nginx-light", "/usr/sbin/nginx"),
    (
        "libnginx-mod-stream",
        "/usr/lib/nginx/modules/ngx_stream_module.so",
    ),
];

/// Measures, prints the report, and (unless `--quick`) writes it to `benches/results/`.
pub(super) fn run(words: &[String]) -> anyhow::Result<()> {
    let plan = Plan::read(words)?;
    plan::raise_descriptors()?;
    crate::debian::install(PACKAGES).unwrap_or_else(|error| println!("{error:#}"));
    let scratch = Scratch::new()?;
    let mut bench = Bench {
        origin: Origin::start()?,
        scratch: &scratch.0,
        report: Report::new(&plan)?,
        plan,
    };
    let present = bench.find();
    // First, for what other loads leave behind in the kernel goes away during the measurement.
    if bench.plan.wants(Load::Idle) {
        bench.idle(&present)?;
    }
    bench.pairs(&present);
    let text = bench.report.markdown();
    println!("{text}");
    if !bench.plan.quick {
        // One column does not take the place of a whole report.
        let only = bench.plan.only.map(|load| format!("-{}", load.word()));
        let file = format!(
            "benches/results/relay-{}{}.md",
            bench.report.date,
            only.unwrap_or_default()
        );
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
    report: Report,
}

type Runs = BTreeMap<Subject, Running>;

impl Bench<'_> {
    /// Those that can be run at all.
    fn find(&mut self) -> Vec<Subject> {
        let all = [Subject::Direct, Subject::Forward, Subject::Socks];
        let all = all.into_iter().chain(FORWARDS.iter().copied());
        let mut present = Vec::new();
        for subject in all.chain(PROXIES.iter().copied()) {
            match subject.version() {
                Ok(version) => {
                    self.report.versions.push((subject, version));
                    present.push(subject);
                }
                Err(error) => self.report.absent(subject, &error),
            }
        }
        present
    }

    fn start(&self, subject: Subject) -> anyhow::Result<Running> {
        subject.start(self.origin.port, self.scratch)
    }

    /// Loads all that run at once, ours always right before a peer.
    fn pairs(&mut self, present: &[Subject]) {
        let loads = Load::ALL.into_iter().filter(|load| *load != Load::Idle);
        let loads: Vec<Load> = loads.filter(|load| self.plan.wants(*load)).collect();
        if loads.is_empty() {
            return;
        }
        let mut runs = Runs::new();
        for subject in present {
            match self.start(*subject) {
                Ok(running) => {
                    runs.insert(*subject, running);
                }
                Err(error) => self.report.absent(*subject, &error),
            }
        }
        for round in 1..=self.plan.pairs {
            println!("round {round} of {}", self.plan.pairs);
            for load in &loads {
                self.sample(Subject::Direct, *load, &mut runs);
                for (ours, peers) in [(Subject::Forward, FORWARDS), (Subject::Socks, PROXIES)] {
                    for peer in peers {
                        let first = self.sample(ours, *load, &mut runs);
                        let second = self.sample(*peer, *load, &mut runs);
                        self.report.pair(*peer, &first, &second);
                    }
                }
            }
        }
    }

    /// One sample; a subject that fails is out from then on.
    fn sample(&mut self, subject: Subject, load: Load, runs: &mut Runs) -> Vec<(Metric, f64)> {
        let Some(running) = runs.get(&subject) else {
            return Vec::new();
        };
        match measure(&self.plan, load, running) {
            Ok(values) => {
                self.report.record(subject, &values);
                values
            }
            Err(error) => {
                self.report.absent(subject, &error);
                runs.remove(&subject);
                Vec::new()
            }
        }
    }

    /// Idle connections, a fresh process for each sample: memory that was used once is not given back.
    fn idle(&mut self, present: &[Subject]) -> anyhow::Result<()> {
        if !self.plan.quick {
            settle()?;
        }
        // Once for nothing: descriptor tables and the kernel's own pools grow only the first time.
        let direct = self.start(Subject::Direct)?;
        self.rest(Subject::Direct, &direct)?;
        for round in 1..=self.plan.idle_rounds {
            println!(
                "idle connections, round {round} of {}",
                self.plan.idle_rounds
            );
            let floor = self.rest(Subject::Direct, &direct)?;
            self.report.record(Subject::Direct, &floor.values());
            for subject in present.iter().filter(|s| **s != Subject::Direct) {
                let rested = self
                    .start(*subject)
                    .and_then(|running| self.rest(*subject, &running));
                match rested {
                    Ok(mut rested) => {
                        // The client's socket and the origin's are not the relay's.
                        rested.kernel.fixed -= floor.kernel.fixed;
                        rested.kernel.slab -= floor.kernel.slab;
                        self.report.record(*subject, &rested.values());
                    }
                    Err(error) => self.report.absent(*subject, &error),
                }
            }
        }
        Ok(())
    }

    fn rest(&mut self, subject: Subject, running: &Running) -> anyhow::Result<Rested> {
        // What is made once, with the first connections, belongs to no connection.
        drop(load::rest(&running.door, 32)?);
        std::thread::sleep(Duration::from_millis(300));
        let count = self.plan.idle.min(plan::connections(subject.descriptors()));
        let before = Rested::look(running)?;
        let open = load::rest(&running.door, count)?;
        std::thread::sleep(Duration::from_millis(1_000));
        let after = Rested::look(running)?;
        self.origin.reset()?;
        load::abort(open)?;
        std::thread::sleep(Duration::from_millis(500));
        let each = |after: f64, before: f64| (after - before) / count as f64;
        Ok(Rested {
            kernel: Kernel {
                fixed: each(after.kernel.fixed, before.kernel.fixed),
                slab: each(after.kernel.slab, before.kernel.slab),
            },
            user: each(after.user, before.user),
            descriptors: each(after.descriptors, before.descriptors),
        })
    }
}

/// Waits for what others left in TIME_WAIT: it would go away during the measurement, and be missed.
fn settle() -> anyhow::Result<()> {
    let begun = Instant::now();
    while accounts::lingering()? > 200 && begun.elapsed() < Duration::from_secs(65) {
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// What resting connections hold: bytes, and descriptors of the relay.
struct Rested {
    kernel: Kernel,
    user: f64,
    descriptors: f64,
}

impl Rested {
    fn look(running: &Running) -> anyhow::Result<Self> {
        // The kernel's first: to list descriptors makes inodes.
        let kernel = Kernel::read()?;
        let pid = running.pid();
        Ok(Self {
            kernel,
            user: pid.map_or(Ok(0.0), accounts::user_bytes)?,
            descriptors: pid.map_or(Ok(0.0), accounts::descriptors)?,
        })
    }

    fn values(&self) -> [(Metric, f64); 5] {
        [
            (Metric::IdleUser, self.user),
            (Metric::IdleKernel, self.kernel.fixed),
            (Metric::Idle, self.user + self.kernel.fixed),
            (Metric::IdleSlab, self.kernel.slab),
            (Metric::IdleDescriptors, self.descriptors),
        ]
    }
}

fn measure(plan: &Plan, load: Load, running: &Running) -> anyhow::Result<Vec<(Metric, f64)>> {
    let cpu = || running.pid().map(Cpu::read).transpose();
    let before = cpu()?;
    let spent = |per: f64| -> anyhow::Result<Option<f64>> {
        let pair = cpu()?.zip(before);
        Ok(pair.map(|(after, before)| after.since(before) / per))
    };
    let door = &running.door;
    let gigabytes = plan.bytes as f64 / 1e9;
    let mut values = Vec::new();
    let cost = match load {
        Load::Stream | Load::Streams => {
            let (streams, rate, cost) = if load == Load::Stream {
                (1, Metric::Rate1, Metric::Cost1)
            } else {
                (8, Metric::Rate8, Metric::Cost8)
            };
            let seconds = load::download(door, streams, plan.bytes)?;
            values.push((rate, gigabytes / seconds));
            spent(gigabytes)?.map(|spent| (cost, spent))
        }
        Load::Small => {
            let times = load::ping(door, plan.messages)?;
            let at = |part: f64| times[(times.len() as f64 * part) as usize];
            values.push((Metric::Median, at(0.50)));
            values.push((Metric::Tail, at(0.99)));
            spent(plan.messages as f64 / 1e6)?.map(|spent| (Metric::SmallCost, spent))
        }
        Load::Connect => {
            let seconds = load::connect(door, plan.connects)?;
            values.push((Metric::Connect, seconds * 1e6 / plan.connects as f64));
            // The relay hears of the last closes after the client is done.
            std::thread::sleep(Duration::from_millis(20));
            spent(plan.connects as f64 / 1e6)?.map(|spent| (Metric::ConnectCost, spent))
        }
        Load::Crowd => {
            let times = load::crowd(door, plan.crowd_connects)?;
            let at = |part: f64| times[(times.len() as f64 * part) as usize];
            values.push((Metric::CrowdMedian, at(0.50)));
            values.push((Metric::CrowdTail, at(0.99)));
            std::thread::sleep(Duration::from_millis(20));
            spent(times.len() as f64 / 1e6)?.map(|spent| (Metric::CrowdCost, spent))
        }
        Load::Idle => None,
    };
    values.extend(cost);
    Ok(values)
}

/// The origin's process.
struct Origin {
    child: Child,
    port: u16,
}

impl Origin {
    fn start() -> anyhow::Result<Self> {
        let (child, port) = subject::own("origin", &[])?;
        Ok(Self { child, port })
    }

    /// Resets all connections that it has.
    fn reset(&mut self) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        input.write_all(b"reset\n")?;
        let output = self.child.stdout.as_mut().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok(())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A directory for configurations and logs, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let name = format!("target/bench-relay-{}", std::process::id());
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
