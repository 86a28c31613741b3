//! How much is measured: the words of the command line, and sizes.

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one column of the report is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// A download over one stream.
    Stream,
    /// A download over eight streams at once.
    Streams,
    /// Messages of 64 bytes over one connection.
    Small,
    /// Connections that carry one message, one after the other.
    Connect,
    /// The same by many clients at once.
    Crowd,
    /// Connections that carry nothing.
    Idle,
}

impl Load {
    pub(super) const ALL: [Self; 6] = [
        Self::Stream,
        Self::Streams,
        Self::Small,
        Self::Connect,
        Self::Crowd,
        Self::Idle,
    ];

    /// Its name on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Streams => "streams",
            Self::Small => "small",
            Self::Connect => "connect",
            Self::Crowd => "crowd",
            Self::Idle => "idle",
        }
    }
}

/// The sizes of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Only this; `None` is all.
    pub(super) only: Option<Load>,
    /// Interleaved pairs with each peer.
    pub(super) pairs: usize,
    /// Rounds of idle connections, each with a fresh process.
    pub(super) idle_rounds: usize,
    /// Bytes of a download, all streams together.
    pub(super) bytes: u64,
    /// Messages of a sample.
    pub(super) messages: usize,
    /// Connections of a sample, one after the other.
    pub(super) connects: usize,
    /// Connections of each of the clients that connect at once.
    pub(super) crowd_connects: usize,
    /// Connections that rest at once.
    pub(super) idle: usize,
    /// Small sizes, to try the benchmark itself: nothing is written.
    pub(super) quick: bool,
}

impl Plan {
    /// Reads `[--quick] [--only COLUMN] [--pairs N]`.
    pub(super) fn read(words: &[String]) -> anyhow::Result<Self> {
        let quick = words.iter().any(|word| word == "--quick");
        let mut plan = Self {
            only: None,
            pairs: 10,
            idle_rounds: 3,
            bytes: 1_000_000_000,
            messages: 15_000,
            connects: 1_500,
            crowd_connects: 200,
            idle: connections(2),
            quick,
        };
        if quick {
            plan = Self {
                pairs: 2,
                idle_rounds: 1,
                bytes: 100_000_000,
                messages: 1_000,
                connects: 200,
                crowd_connects: 20,
                idle: connections(2).min(1_000),
                ..plan
            };
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => {}
                "--only" => {
                    let name = words.next().context("`--only` needs a column")?;
                    let load = Load::ALL.into_iter().find(|load| load.word() == name);
                    let known = Load::ALL.map(Load::word).join(", ");
                    plan.only = Some(load.with_context(|| format!("`--only` takes {known}"))?);
                }
                "--pairs" => {
                    let number = words.next().and_then(|word| word.parse().ok());
                    plan.pairs = number
                        .filter(|number| (1..=1000).contains(number))
                        .context("`--pairs` needs a number from 1 to 1000")?;
                }
                other => bail!("`bench relay` knows no `{other}`"),
            }
        }
        Ok(plan)
    }

    /// Whether that is to be measured.
    pub(super) fn wants(&self, load: Load) -> bool {
        self.only.is_none_or(|only| only == load)
    }
}

/// How many connections may rest: 10,000, or what a relay with so many descriptors for each can have.
pub(super) fn connections(descriptors: usize) -> usize {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let most = usize::try_from(most.saturating_sub(2_000)).unwrap_or(usize::MAX);
    (most / descriptors).min(10_000)
}

/// Lets us, and all that we start, have as many descriptors as the hard limit says.
pub(super) fn raise_descriptors() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).context("raising the limit of descriptors")
}

#[cfg(test)]
mod tests {
    use super::{Load, Plan};

    #[test]
    fn words_are_read_or_refused() {
        let check = |words: &str, expected: Option<(Option<Load>, usize, bool)>| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let plan = Plan::read(&words).ok();
            let read = plan.map(|plan| (plan.only, plan.pairs, plan.quick));
            assert_eq!(read, expected, "{words:?}");
        };
        check("", Some((None, 10, false)));
        check("--quick", Some((None, 2, true)));
        check("--pairs 5 --quick", Some((None, 5, true)));
        check("--only idle", Some((Some(Load::Idle), 10, false)));
        check("--only crowd", Some((Some(Load::Crowd), 10, false)));
        check("--only", None);
        check("--only everything", None);
        check("--pairs 0", None);
        check("--pairs x", None);
        check("--slow", None);
    }
}
