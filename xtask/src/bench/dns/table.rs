//! The report: medians, ratios of ours to each peer's and to the best of them, as Markdown.
//!
//! A ratio is the median over rounds of ours to theirs in the same round; less is better in every one (rates are
//! inverted).

use std::collections::BTreeMap;

use super::super::report::{machine, median, row, said};
use super::peers::{PEERS, Peer};
use super::{Load, Plan, Values, load};

/// What is measured of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Rate,
    Cpu,
    Median,
    Tail,
    Failed,
}

/// A line of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    Of(Load, What),
    FirstStart,
    Start,
    Listed,
    Fresh,
    Filled,
    Known,
    Flooded,
    FloodFailed,
}

impl Metric {
    fn all() -> Vec<Self> {
        let whats = [
            What::Rate,
            What::Cpu,
            What::Median,
            What::Tail,
            What::Failed,
        ];
        let loads = Load::ALL
            .into_iter()
            .flat_map(|load| whats.map(|what| Self::Of(load, what)));
        let others = [
            Self::FirstStart,
            Self::Start,
            Self::Listed,
            Self::Fresh,
            Self::Filled,
            Self::Known,
            Self::Flooded,
            Self::FloodFailed,
        ];
        loads.chain(others).collect()
    }

    fn title(self, plan: &Plan) -> String {
        match self {
            Self::Of(load, what) => {
                let load = match load {
                    Load::Hits => "hits, UDP",
                    Load::Stream => "hits, TCP",
                    Load::Misses => "misses, UDP",
                    Load::Blocked => "blocked, UDP",
                    Load::HitsBeside => "hits beside the list, UDP",
                };
                let what = match what {
                    What::Rate => "answers/s",
                    What::Cpu => "CPU µs each",
                    What::Median => "p50 µs",
                    What::Tail => "p99 µs",
                    What::Failed => "failed %",
                };
                format!("{load}: {what}")
            }
            Self::FirstStart => {
                format!(
                    "first start to the first answer, {} blocked, ms",
                    plan.blocked
                )
            }
            Self::Start => format!(
                "further start to the first answer, {} blocked, ms",
                plan.blocked
            ),
            Self::Listed => format!("RSS then, {} blocked, MB", plan.blocked),
            Self::Fresh => "RSS when fresh, MB".into(),
            Self::Filled => format!("RSS after {} names, MB", plan.kept),
            Self::Known => "of these known again, %".into(),
            Self::Flooded => format!("RSS after {} further names, MB", plan.flood),
            Self::FloodFailed => "of the flood failed, %".into(),
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Of(_, What::Rate | What::Median | What::Tail)
            | Self::FirstStart
            | Self::Start => 0,
            Self::Of(_, What::Cpu | What::Failed) | Self::FloodFailed => 2,
            Self::Listed | Self::Fresh | Self::Filled | Self::Known | Self::Flooded => 1,
        }
    }

    /// Ours to theirs; `None` where nobody is better.
    fn ratio(self, ours: f64, theirs: f64) -> Option<f64> {
        let (part, whole) = match self {
            Self::Known | Self::FloodFailed | Self::Of(_, What::Failed) => return None,
            Self::Of(_, What::Rate) => (theirs, ours),
            _ => (ours, theirs),
        };
        (part > 0.0 && whole > 0.0).then(|| part / whole)
    }
}

/// All that was measured.
pub(super) struct Table {
    /// The day, in UTC.
    pub(super) date: String,
    /// What each program says of itself.
    pub(super) versions: Vec<(Peer, String)>,
    /// Which part of the machine others used during each sample.
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
            others: Vec::new(),
            absent: Vec::new(),
            samples: BTreeMap::new(),
            ratios: BTreeMap::new(),
            load_before: std::fs::read_to_string("/proc/loadavg")?,
        })
    }

    /// Notes why a server has no (more) numbers.
    pub(super) fn absent(&mut self, peer: Peer, why: &anyhow::Error) {
        let why = format!("{why:#}").replace('\n', " ");
        println!("{}: {why}", peer.name());
        self.absent.push((peer, why));
    }

    /// Adds one sample of each server.
    pub(super) fn round(&mut self, samples: Vec<(Peer, Values)>) {
        let ours = samples.iter().find(|(peer, _)| *peer == Peer::Ours);
        let ours = ours.map(|(_, values)| values.clone()).unwrap_or_default();
        for (peer, values) in samples {
            for (metric, value) in values {
                let own = ours.iter().find(|(other, _)| *other == metric);
                if let Some((_, own)) = own.filter(|_| peer != Peer::Ours)
                    && let Some(ratio) = metric.ratio(*own, value)
                {
                    self.ratios.entry((peer, metric)).or_default().push(ratio);
                }
                let samples = self.samples.entry((peer, metric)).or_default();
                samples.push(value);
            }
        }
    }

    /// The whole report.
    pub(super) fn markdown(&self, plan: &Plan) -> String {
        let mut text = format!("# DNS servers beside each other, {}\n\n", self.date);
        text += &machine(&self.load_before);
        let others = self.others.iter().copied().fold(0.0, f64::max);
        text += &format!(
            "- sizes: {} rounds of {} s; {} queries at once by datagrams, {} over a connection; {} hot names; {} \
             blocked names\n- others used at most {:.1} % of the machine during a sample, in the median {:.1} %\n",
            plan.rounds,
            plan.lasts.as_secs_f64(),
            load::AT_ONCE,
            load::PIPELINE,
            load::HOT,
            plan.blocked,
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
        let others = PEERS
            .into_iter()
            .filter(|it| *it != Peer::Ours && shown.contains(it));
        let others: Vec<Peer> = others.collect();
        let mut heads = vec![String::new()];
        heads.extend(shown.iter().map(|peer| peer.name().to_owned()));
        heads.extend(others.iter().map(|peer| format!("ours to {}", peer.name())));
        heads.push("ours to the best".into());
        row(&mut text, &heads);
        let rule = (0..heads.len()).map(|at| if at == 0 { "---" } else { "---:" }.to_owned());
        row(&mut text, &rule.collect::<Vec<_>>());
        for metric in Metric::all() {
            if shown
                .iter()
                .all(|peer| self.middle(*peer, metric).is_none())
            {
                continue;
            }
            let mut cells = vec![metric.title(plan)];
            cells.extend(shown.iter().map(|peer| {
                let value = self.middle(*peer, metric);
                value.map_or_else(|| "–".to_owned(), |v| format!("{v:.*}", metric.digits()))
            }));
            let ratios = others
                .iter()
                .map(|peer| median(self.ratios.get(&(*peer, metric))?));
            let ratios: Vec<Option<f64>> = ratios.collect();
            let word = |ratio: &Option<f64>| ratio.map_or("–".into(), |it| format!("{it:.2}"));
            cells.extend(ratios.iter().map(word));
            let best = ratios.iter().zip(&others).flat_map(|(ratio, peer)| {
                let ratio = (*ratio)?;
                Some((ratio, peer.name()))
            });
            let best = best.max_by(|(one, _), (other, _)| one.total_cmp(other));
            cells.push(best.map_or_else(
                || "–".into(),
                |(ratio, name)| format!("{ratio:.2} ({name})"),
            ));
            row(&mut text, &cells);
        }
        text += "\nEach number is the median of its samples, a ratio the median over rounds of ours to theirs: less \
                 is better. The aim: at most the best peer in every line.\n\nWhat each line means: \
                 docs/reference/benchmarks.md.\n";
        text
    }

    fn middle(&self, peer: Peer, metric: Metric) -> Option<f64> {
        median(self.samples.get(&(peer, metric))?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Metric, What};

    #[test]
    fn less_is_better_in_every_ratio() {
        let check = |metric: Metric, ours: f64, theirs: f64, expected: Option<f64>| {
            assert_eq!(metric.ratio(ours, theirs), expected, "{metric:?}");
        };
        check(Metric::Of(Load::Hits, What::Rate), 1.0, 2.0, Some(2.0));
        check(Metric::Of(Load::Hits, What::Cpu), 1.0, 2.0, Some(0.5));
        check(Metric::Start, 1.0, 0.0, None);
        check(Metric::Known, 1.0, 2.0, None);
    }
}
