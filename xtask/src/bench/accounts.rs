//! What a process and the kernel have used, read from `/proc`.
//!
//! Absent: anything that needs a privilege or a control group.

use std::fs;

use anyhow::Context as _;

/// CPU time of all living threads of a process, in nanoseconds.
///
/// `/proc/PID/schedstat` counts exactly where `/proc/PID/stat` counts in hundredths of a second; but it forgets threads
/// that have ended, so that [`Cpu::since`] takes the other where the two disagree.
#[derive(Clone, Copy)]
pub(super) struct Cpu {
    exact: u64,
    ticks: u64,
}

const TICK: u64 = 10_000_000;

impl Cpu {
    /// What the process has used until now.
    pub(super) fn read(pid: u32) -> anyhow::Result<Self> {
        let mut exact = 0;
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = entry?.path().join("schedstat");
            // A thread may end between the listing and the look.
            let text = fs::read_to_string(path).unwrap_or_default();
            let first = text.split(' ').next().unwrap_or_default();
            exact += first.parse::<u64>().unwrap_or_default();
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name stands in parentheses and may hold spaces; utime and stime are the 12th and 13th after it.
        let rest = stat.rsplit_once(')').context("a strange stat")?.1;
        let mut fields = rest.split_whitespace().skip(11);
        let mut next = || fields.next().and_then(|f| f.parse::<u64>().ok());
        let ticks = next()
            .zip(next())
            .map(|(user, system)| user + system)
            .context("a strange stat")?;
        Ok(Self { exact, ticks })
    }

    /// What the process, the children that it has waited for, and those that live have used until now.
    pub(super) fn read_family(pid: u32) -> anyhow::Result<Self> {
        let mut all = Self::read(pid)?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let rest = stat.rsplit_once(')').context("a strange stat")?.1;
        let ended = rest.split_whitespace().skip(13).take(2);
        all.ticks += ended.flat_map(str::parse::<u64>).sum::<u64>();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            // It may have ended in between.
            if let Ok(its) = child
                .parse()
                .map_err(anyhow::Error::from)
                .and_then(Self::read)
            {
                all.exact += its.exact;
                all.ticks += its.ticks;
            }
        }
        Ok(all)
    }

    /// Seconds used since `earlier`.
    pub(super) fn since(self, earlier: Self) -> f64 {
        let exact = self.exact.saturating_sub(earlier.exact);
        let coarse = self.ticks.saturating_sub(earlier.ticks) * TICK;
        let nanoseconds = if coarse > exact + exact / 10 + 5 * TICK {
            coarse
        } else {
            exact
        };
        nanoseconds as f64 / 1e9
    }
}

/// CPU time of the whole machine, and of some processes on it.
pub(super) struct Machine {
    /// Seconds in which its processors could have worked.
    all: f64,
    /// In which they worked, or another machine had them.
    used: f64,
    /// In which these processes worked.
    ours: Vec<Cpu>,
}

impl Machine {
    /// What it is now.
    pub(super) fn read(ours: &[u32]) -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().context("a strange stat")?;
        let ticks = line.split_whitespace().skip(1).map(str::parse::<u64>);
        // User, nice, system, idle, waiting for a disk, interrupts of two kinds, stolen; guests are users.
        let ticks: Vec<u64> = ticks.take(8).collect::<Result<_, _>>()?;
        let seconds = |ticks: u64| (ticks * TICK) as f64 / 1e9;
        let all: u64 = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self {
            all: seconds(all),
            used: seconds(all - idle),
            ours: ours
                .iter()
                .map(|pid| Cpu::read(*pid))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Which part of the machine was used by others since `earlier`.
    pub(super) fn others_since(&self, earlier: &Self) -> f64 {
        let pairs = self.ours.iter().zip(&earlier.ours);
        let ours: f64 = pairs.map(|(now, before)| now.since(*before)).sum();
        let used = self.used - earlier.used - ours;
        (used / (self.all - earlier.all).max(1e-9)).max(0.0)
    }
}

/// Anonymous resident memory of a process, in bytes.
pub(super) fn user_bytes(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    kilobytes(&text, "RssAnon")
}

/// Resident memory of a process, in bytes, with the files that it maps.
pub(super) fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    kilobytes(&text, "VmRSS")
}

/// Memory of the kernel's objects, in bytes, on the whole machine: only a difference on a quiet one means something.
///
/// Page tables and descriptor tables are left out: some ten bytes a connection, but disturbed by every process that
/// starts. So are pages in pipes.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// What stays while it is used: sockets, files, epoll entries, pipes.
    pub(super) fixed: f64,
    /// These, and the inodes and directory entries of sockets and pipes, which are among those of the file systems.
    pub(super) slab: f64,
}

impl Kernel {
    /// What it is now.
    pub(super) fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/meminfo")?;
        Ok(Self {
            fixed: kilobytes(&text, "SUnreclaim")?,
            slab: kilobytes(&text, "Slab")?,
        })
    }
}

/// How many descriptors a process has open.
pub(super) fn descriptors(pid: u32) -> anyhow::Result<f64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as f64)
}

/// Sockets in TIME_WAIT on the whole machine.
pub(super) fn lingering() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let number = text
        .split_once(" tw ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    Ok(number.context("a strange sockstat")?.parse()?)
}

pub(super) fn kilobytes(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    let number: u64 = number
        .with_context(|| format!("no `{name}` in /proc"))?
        .parse()?;
    Ok(number as f64 * 1024.0)
}
