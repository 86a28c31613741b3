//! The report: medians, ratios, and the machine, as Markdown.
//!
//! A ratio is "ours to theirs" so that less is better in every column: costs are divided ours by theirs, rates theirs
//! by ours. It is the median over interleaved pairs, not a quotient of medians, where pairs were measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use super::load::CROWD;
use super::plan::Plan;
use super::subject::{FORWARDS, PROXIES, Subject};

/// A column of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    Cost1,
    Cost8,
    Rate1,
    Rate8,
    Median,
    Tail,
    SmallCost,
    Connect,
    ConnectCost,
    CrowdMedian,
    CrowdTail,
    CrowdCost,
    IdleUser,
    IdleKernel,
    Idle,
    IdleSlab,
    IdleDescriptors,
}

use Metric::{
    Connect, ConnectCost, Cost1, Cost8, CrowdCost, CrowdMedian, CrowdTail, Idle, IdleDescriptors,
    IdleKernel, IdleSlab, IdleUser, Median, Rate1, Rate8, SmallCost, Tail,
};

const METRICS: [Metric; 17] = [
    Cost1,
    Cost8,
    Rate1,
    Rate8,
    Median,
    Tail,
    SmallCost,
    Connect,
    ConnectCost,
    CrowdMedian,
    CrowdTail,
    CrowdCost,
    IdleUser,
    IdleKernel,
    Idle,
    IdleSlab,
    IdleDescriptors,
];

/// What the project aims at: no column further than this from the best peer.
const AIM: f64 = 1.1;

/// What the project aims at: bytes of an idle connection.
const AIM_IDLE: f64 = 7_500.0;

impl Metric {
    fn title(self) -> &'static str {
        match self {
            Cost1 => "CPU s/GB, 1 stream",
            Cost8 => "CPU s/GB, 8 streams",
            Rate1 => "GB/s, 1 stream",
            Rate8 => "GB/s, 8 streams",
            Median => "64 B p50, µs",
            Tail => "64 B p99, µs",
            SmallCost => "64 B, CPU µs",
            Connect => "connect-close, µs",
            ConnectCost => "connect-close, CPU µs",
            CrowdMedian => "connect by 32 at once, p50, µs",
            CrowdTail => "connect by 32 at once, p99, µs",
            CrowdCost => "connect by 32 at once, CPU µs",
            IdleUser => "idle, user B",
            IdleKernel => "idle, kernel B",
            Idle => "idle, B",
            IdleSlab => "idle, kernel B with inodes",
            IdleDescriptors => "idle, descriptors",
        }
    }

    fn digits(self) -> usize {
        match self {
            Cost1 | Cost8 | Rate1 | Rate8 => 3,
            Median | Tail | SmallCost | Connect | ConnectCost | CrowdMedian | CrowdTail
            | CrowdCost | IdleDescriptors => 1,
            IdleUser | IdleKernel | Idle | IdleSlab => 0,
        }
    }

    /// Ours to theirs; less is better for us. `None` where the numbers are no basis for one.
    fn ratio(self, ours: f64, theirs: f64) -> Option<f64> {
        let (above, below) = match self {
            Rate1 | Rate8 => (theirs, ours),
            _ => (ours, theirs),
        };
        (above > 0.0 && below > 0.0).then(|| above / below)
    }

    /// Whether it only explains another column, and makes no ratio of its own.
    fn is_part(self) -> bool {
        matches!(self, IdleUser | IdleKernel | IdleSlab | IdleDescriptors)
    }
}

/// All that was measured.
pub(super) struct Report {
    /// The day, in UTC.
    pub(super) date: String,
    /// What each program says of itself.
    pub(super) versions: Vec<(Subject, String)>,
    absent: Vec<(Subject, String)>,
    samples: BTreeMap<(Subject, Metric), Vec<f64>>,
    /// Of ours to the named peer.
    ratios: BTreeMap<(Subject, Metric), Vec<f64>>,
    plan: Plan,
    load_before: String,
}

impl Report {
    /// An empty one.
    pub(super) fn new(plan: &Plan) -> anyhow::Result<Self> {
        Ok(Self {
            date: said("date", &["-u", "+%Y-%m-%d"]),
            versions: Vec::new(),
            absent: Vec::new(),
            samples: BTreeMap::new(),
            ratios: BTreeMap::new(),
            plan: plan.clone(),
            load_before: std::fs::read_to_string("/proc/loadavg")?,
        })
    }

    /// Notes why a subject has no (more) numbers.
    pub(super) fn absent(&mut self, subject: Subject, why: &anyhow::Error) {
        let why = format!("{why:#}").replace('\n', " ");
        println!("{}: {why}", subject.name());
        if !self.absent.iter().any(|(known, _)| *known == subject) {
            self.absent.push((subject, why));
        }
    }

    /// Adds a sample of a subject.
    pub(super) fn record(&mut self, subject: Subject, values: &[(Metric, f64)]) {
        for (metric, value) in values {
            let samples = self.samples.entry((subject, *metric)).or_default();
            samples.push(*value);
        }
    }

    /// Adds an interleaved pair: ours, and the peer's right after it.
    pub(super) fn pair(&mut self, peer: Subject, ours: &[(Metric, f64)], theirs: &[(Metric, f64)]) {
        for (metric, ours) in ours {
            let theirs = theirs.iter().find(|(m, _)| m == metric);
            if let Some(ratio) = theirs.and_then(|(_, theirs)| metric.ratio(*ours, *theirs)) {
                self.ratios.entry((peer, *metric)).or_default().push(ratio);
            }
        }
    }

    /// The whole report.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# Relays beside each other, {}\n\n", self.date);
        self.machine(&mut text);
        for (title, ours, peers) in [
            ("TCP forward", Subject::Forward, FORWARDS),
            ("SOCKS5 to direct", Subject::Socks, PROXIES),
        ] {
            let _infallible = writeln!(text, "## {title}\n");
            self.table(&mut text, ours, peers);
        }
        let aim = format!(
            "Each number is the median of its samples. A ratio is the median over pairs of ours to theirs, less is \
             better in every column (rates are inverted). The aim: at most {AIM} of the best peer in each column, \
             and at most {AIM_IDLE} bytes for an idle connection. The bare relay decides, counts and logs nothing: \
             it is a limit, not a peer.\n\nWhat each column means: docs/reference/benchmarks.md.\n"
        );
        text + &aim
    }

    fn machine(&self, text: &mut String) {
        text.push_str(&machine(&self.load_before));
        let plan = &self.plan;
        let lines = [format!(
            "- sizes: {} pairs; downloads of {} MB; {} messages of 64 bytes; {} connections in a row, \
                 {} by each of {CROWD} at once; {} idle connections, {} rounds{}",
            plan.pairs,
            plan.bytes / 1_000_000,
            plan.messages,
            plan.connects,
            plan.crowd_connects,
            plan.idle,
            plan.idle_rounds,
            if plan.quick {
                " (quick: a trial, no measurement)"
            } else {
                ""
            },
        )];
        let named = |subject: &Subject, said: &str| format!("- {}: {said}", subject.name());
        let versions = self
            .versions
            .iter()
            .filter(|(_, version)| !version.is_empty());
        let versions = versions.map(|(subject, version)| named(subject, version));
        let absent = self.absent.iter();
        let absent = absent.map(|(subject, why)| named(subject, &format!("absent: {why}")));
        for line in lines.into_iter().chain(versions).chain(absent) {
            text.push_str(&line);
            text.push('\n');
        }
        text.push('\n');
    }

    /// One row for each column of numbers: there are more of those than of programs.
    fn table(&self, text: &mut String, ours: Subject, peers: &[Subject]) {
        let named: Vec<Subject> = peers
            .iter()
            .copied()
            .filter(|p| *p != Subject::Bare)
            .collect();
        let bare = peers.contains(&Subject::Bare);
        let mut heads = vec![
            String::new(),
            Subject::Direct.name().into(),
            ours.name().into(),
        ];
        heads.extend(peers.iter().map(|peer| peer.name().to_owned()));
        heads.push("ours to best peer".into());
        if bare {
            heads.push("ours to bare".into());
        }
        row(text, &heads);
        let rule: Vec<String> = heads
            .iter()
            .enumerate()
            .map(|(at, _)| if at == 0 { "---" } else { "---:" }.into())
            .collect();
        row(text, &rule);
        for metric in METRICS {
            let shown = |subject: Subject| {
                let value = self.middle(subject, metric);
                value.map_or_else(|| "–".to_owned(), |v| format!("{v:.*}", metric.digits()))
            };
            let subjects = [Subject::Direct, ours]
                .into_iter()
                .chain(peers.iter().copied());
            let values: Vec<String> = subjects.map(shown).collect();
            if values.iter().all(|value| value == "–") {
                continue;
            }
            let mut cells = vec![metric.title().to_owned()];
            cells.extend(values);
            let best = self.best(&named, metric);
            cells.push(
                best.and_then(|best| self.ratio(ours, best, metric))
                    .map_or_else(
                        || "–".to_owned(),
                        |ratio| {
                            let met = if ratio <= AIM { "" } else { " (aim missed)" };
                            let best = best.map_or("", Subject::name);
                            format!("{ratio:.2}{met}, {best}")
                        },
                    ),
            );
            if bare {
                let ratio = self.ratio(ours, Subject::Bare, metric);
                cells.push(ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")));
            }
            row(text, &cells);
        }
        text.push('\n');
        if let Some(bytes) = self.middle(ours, Idle) {
            let word = if bytes <= AIM_IDLE { "met" } else { "missed" };
            let _infallible = writeln!(
                text,
                "An idle connection: {bytes:.0} bytes; the aim of {AIM_IDLE} is {word}.\n"
            );
        }
    }

    fn middle(&self, subject: Subject, metric: Metric) -> Option<f64> {
        self.samples
            .get(&(subject, metric))
            .and_then(|samples| median(samples))
    }

    /// The peer with the best median.
    fn best(&self, peers: &[Subject], metric: Metric) -> Option<Subject> {
        let mut best: Option<(Subject, f64)> = None;
        for peer in peers {
            let Some(value) = self.middle(*peer, metric) else {
                continue;
            };
            let better = best.is_none_or(|(_, so_far)| {
                metric.ratio(value, so_far).is_some_and(|ratio| ratio < 1.0)
            });
            if better {
                best = Some((*peer, value));
            }
        }
        best.map(|(peer, _)| peer)
    }

    fn ratio(&self, ours: Subject, peer: Subject, metric: Metric) -> Option<f64> {
        if metric.is_part() {
            return None;
        }
        match self.ratios.get(&(peer, metric)) {
            Some(ratios) => median(ratios),
            None => metric.ratio(self.middle(ours, metric)?, self.middle(peer, metric)?),
        }
    }
}

/// The machine, its load when the run began, and the revision: lines of a list.
pub(super) fn machine(load_before: &str) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim())
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "- machine: {}, {cores} cores\n- kernel: Linux {}\n- load average at the start: {}\n- revision: {}\n",
        model.unwrap_or("unknown"),
        release.trim(),
        load_before.trim(),
        said("git", &["rev-parse", "--short", "HEAD"])
    )
}

pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

pub(super) fn row(text: &mut String, cells: &[String]) {
    let _infallible = writeln!(text, "| {} |", cells.join(" | "));
}

/// What a command prints, or nothing.
pub(super) fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Metric, median};

    #[test]
    fn medians_are_in_the_middle() {
        let check = |samples: &[f64], expected: Option<f64>| assert_eq!(median(samples), expected);
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 9.0, 2.0], Some(3.0));
    }

    #[test]
    fn less_is_better_in_every_ratio() {
        let check = |metric: Metric, ours: f64, theirs: f64, expected: Option<f64>| {
            assert_eq!(metric.ratio(ours, theirs), expected, "{metric:?}");
        };
        check(Metric::Cost1, 1.0, 2.0, Some(0.5));
        check(Metric::Tail, 3.0, 2.0, Some(1.5));
        check(Metric::Rate8, 1.0, 2.0, Some(2.0));
        check(Metric::Rate1, 2.0, 1.0, Some(0.5));
        check(Metric::Idle, 7.0, 0.0, None);
        check(Metric::Rate1, 0.0, 1.0, None);
    }
}
