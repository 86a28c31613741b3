//! The report: medians, and ratios of ours to each peer's, as Markdown.
//!
//! A ratio is the median over rounds of ours to theirs in the same round; less is better in every column.

use std::collections::BTreeMap;

use super::super::report::{machine, median, row, said};
use super::peers::{PEERS, Peer};
use super::{FLOODS, Plan, Values, load};

/// A column of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    /// CPU of a datagram of that flood.
    Flood(usize),
    Lost(usize),
    Median,
    Tail,
    Echo,
    Association,
    Mapping,
    Flow,
    All,
    Idle,
}

/// What the project aims at, in percent.
const AIM_LOST: f64 = 0.1;

impl Metric {
    fn title(self) -> String {
        let flood = |column: usize| {
            let (rate, bytes) = FLOODS[column];
            format!("{rate}/s of {bytes} B")
        };
        match self {
            Self::Flood(column) => format!("{}, CPU µs each", flood(column)),
            Self::Lost(column) => format!("{}, lost %", flood(column)),
            Self::Median => format!("echo by {}, p50 µs", load::CLIENTS),
            Self::Tail => format!("echo by {}, p99 µs", load::CLIENTS),
            Self::Echo => format!("echo by {}, CPU µs each", load::CLIENTS),
            Self::Association => "association, user B".into(),
            Self::Mapping => "mapping with its first flow, user B".into(),
            Self::Flow => "further flow, user B".into(),
            Self::All => format!("association with {} flows, user B", super::FLOWS),
            Self::Idle => "all at rest, CPU ms/s".into(),
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Flood(_) | Self::Echo | Self::Idle => 2,
            Self::Lost(_) => 3,
            Self::Median | Self::Tail => 1,
            Self::Association | Self::Mapping | Self::Flow | Self::All => 0,
        }
    }

    fn all() -> Vec<Self> {
        let floods = (0..FLOODS.len()).flat_map(|at| [Self::Flood(at), Self::Lost(at)]);
        let others = [
            Self::Median,
            Self::Tail,
            Self::Echo,
            Self::Association,
            Self::Mapping,
            Self::Flow,
            Self::All,
            Self::Idle,
        ];
        floods.chain(others).collect()
    }
}

/// All that was measured.
pub(super) struct Table {
    /// The day, in UTC.
    pub(super) date: String,
    /// What each program says of itself.
    pub(super) versions: Vec<(Peer, String)>,
    /// Samples during which others used the machine.
    pub(super) thrown_away: usize,
    /// Which part of the machine others used, of the samples that count.
    pub(super) others: Vec<f64>,
    absent: Vec<(Peer, String)>,
    samples: BTreeMap<(Peer, Metric), Vec<f64>>,
    ratios: BTreeMap<(Peer, Metric), Vec<f64>>,
    load_before: String,
}

impl Table {
    /// An empty one.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            date: said("date", &["-u", "+%Y-%m-%d"]),
            versions: Vec::new(),
            thrown_away: 0,
            others: Vec::new(),
            absent: Vec::new(),
            samples: BTreeMap::new(),
            ratios: BTreeMap::new(),
            load_before: std::fs::read_to_string("/proc/loadavg")?,
        })
    }

    /// Notes why a relay has no (more) numbers.
    pub(super) fn absent(&mut self, peer: Peer, why: &anyhow::Error) {
        let why = format!("{why:#}").replace('\n', " ");
        println!("{}: {why}", peer.name());
        self.absent.push((peer, why));
    }

    /// Adds one sample of each relay.
    pub(super) fn round(&mut self, samples: Vec<(Peer, Values)>) {
        let ours = samples.iter().find(|(peer, _)| *peer == Peer::Ours);
        let ours = ours.map(|(_, values)| values.clone()).unwrap_or_default();
        for (peer, values) in samples {
            for (metric, value) in values {
                let own = ours.iter().find(|(other, _)| *other == metric);
                if let Some((_, own)) = own.filter(|_| peer != Peer::Ours && value > 0.0) {
                    let ratios = self.ratios.entry((peer, metric)).or_default();
                    ratios.push(own / value);
                }
                let samples = self.samples.entry((peer, metric)).or_default();
                samples.push(value);
            }
        }
    }

    /// The whole report.
    pub(super) fn markdown(&self, plan: &Plan) -> String {
        let mut text = format!(
            "# Datagrams through SOCKS5 beside each other, {}\n\n",
            self.date
        );
        text += &machine(&self.load_before);
        let others = self.others.iter().copied().fold(0.0, f64::max);
        text += &format!(
            "- sizes: {} rounds; floods of {} s; {} echoes; {} associations at rest\n\
             - samples thrown away, for others used more than {} % of the machine: {}; of those that count others used at \
             most {:.1} %, in the median {:.1} %\n",
            plan.rounds,
            plan.lasts.as_secs_f64(),
            plan.echoes,
            plan.resting,
            plan.noise,
            self.thrown_away,
            others * 100.0,
            median(&self.others).unwrap_or(0.0) * 100.0,
        );
        for (peer, version) in &self.versions {
            text += &format!("- {}: {version}\n", peer.name());
        }
        for (peer, why) in &self.absent {
            text += &format!("- {}: absent: {why}\n", peer.name());
        }
        text.push('\n');
        let shown: Vec<Peer> = self.versions.iter().map(|(peer, _)| *peer).collect();
        let mut heads = vec![String::new()];
        heads.extend(shown.iter().map(|peer| peer.name().to_owned()));
        let others = PEERS
            .into_iter()
            .filter(|it| *it != Peer::Ours && shown.contains(it));
        let others: Vec<Peer> = others.collect();
        heads.extend(others.iter().map(|peer| format!("ours to {}", peer.name())));
        row(&mut text, &heads);
        let rule = (0..heads.len()).map(|at| if at == 0 { "---" } else { "---:" }.to_owned());
        row(&mut text, &rule.collect::<Vec<_>>());
        for metric in Metric::all() {
            let middle = |peer: Peer| median(self.samples.get(&(peer, metric))?);
            if shown.iter().all(|peer| middle(*peer).is_none()) {
                continue;
            }
            let mut cells = vec![metric.title()];
            cells.extend(shown.iter().map(|peer| {
                let value = middle(*peer);
                value.map_or_else(|| "–".to_owned(), |v| format!("{v:.*}", metric.digits()))
            }));
            cells.extend(others.iter().map(|peer| self.ratio(*peer, metric)));
            row(&mut text, &cells);
        }
        text += &format!(
            "\nEach number is the median of its samples, a ratio the median over rounds of ours to theirs: less is \
             better. The aim: below each peer in every column, and at most {AIM_LOST} % lost.\n\nWhat each column \
             means: docs/reference/benchmarks.md.\n"
        );
        text
    }

    fn ratio(&self, peer: Peer, metric: Metric) -> String {
        if matches!(metric, Metric::Lost(_) | Metric::Idle) {
            return "–".into();
        }
        let own = self
            .samples
            .get(&(Peer::Ours, metric))
            .and_then(|it| median(it));
        let theirs = self.samples.get(&(peer, metric)).and_then(|it| median(it));
        let paired = self.ratios.get(&(peer, metric)).and_then(|it| median(it));
        // Memory is measured one after the other.
        let ratio = paired.or_else(|| Some(own? / theirs.filter(|it| *it > 0.0)?));
        ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
    }
}
