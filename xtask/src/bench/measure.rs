//! What the sections of `bench policy` are told, and how they measure.

use std::time::Duration;

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

/// The words behind `bench policy SECTION`.
pub(super) struct Options {
    /// Entries.
    pub(super) count: usize,
    pub(super) seed: u64,
    /// A list of names, one a line, in the place of generated ones.
    pub(super) list: Option<String>,
}

/// In time on the processor: others may want it too.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let begin = now();
    let result = work();
    (result, now().saturating_sub(begin))
}

/// A line of `/proc/self/status` that counts kibibytes, in bytes.
pub(super) fn resident(line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|l| l.strip_prefix(line));
    let words = found.and_then(|rest| rest.split_whitespace().next());
    Ok(words.context("the system does not count")?.parse::<u64>()? * 1024)
}
