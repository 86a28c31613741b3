//! Where fake addresses are written down: a key, so that a name is given the same address again, and a journal.
//!
//! Invariant: the journal is changed by appending alone, or replaced as a whole; a disk that is full or cannot be written is
//! told once, and tried again now and then.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pointsman_os::local::{create_private, make_directory, read_regular, replace_private};
use pointsman_policy::Domain;
use pointsman_policy::set::Key;
use tokio::time::Instant;

use super::book::Ranges;
use super::journal;

const JOURNAL: &str = "fake-addresses.journal";
const KEY: &str = "fake-addresses.key";

/// The longest journal that is read, in bytes: twice what the names take that there may be.
const LONGEST: u64 = 64 << 20;

/// Names beyond twice those that count, after which the journal is written anew.
const SPARE: usize = 4096;

/// How long after a failure it is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// The files, where there is a directory for them.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    state: Option<PathBuf>,
    journal: Mutex<Journal>,
}

#[derive(Debug, Default)]
struct Journal {
    /// Open for appending; none before the first name of this daemon, and after a failure.
    file: Option<File>,
    /// Whose names are in it.
    of: Option<Ranges>,
    /// How many.
    names: usize,
    failed: Option<Instant>,
    told: bool,
}

impl Keeper {
    pub(super) fn within(state: Option<&Path>) -> Self {
        Self {
            state: state.map(Path::to_owned),
            journal: Mutex::default(),
        }
    }

    /// The key that is there, else a fresh one.
    pub(super) fn key(&self) -> Key {
        let kept = self.state.as_ref().and_then(|state| {
            let bytes = read_regular(&state.join(KEY), 64).ok()?;
            let (low, high) = bytes.split_first_chunk::<8>()?;
            let high = high.first_chunk::<8>()?;
            Some(Key([u64::from_le_bytes(*low), u64::from_le_bytes(*high)]))
        });
        kept.unwrap_or_else(|| {
            let random = || RandomState::new().hash_one(0_u8);
            Key([random(), random()])
        })
    }

    /// The names that were given addresses of these ranges, in order.
    pub(super) fn read(&self, key: Key, ranges: &str) -> Vec<(Domain, u32)> {
        let Some(state) = &self.state else {
            return Vec::new();
        };
        let path = state.join(JOURNAL);
        let bytes = match read_regular(&path, LONGEST) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("{}: {error}", path.display());
                }
                return Vec::new();
            }
        };
        let Some(read) = journal::read(key, ranges, &bytes) else {
            tracing::info!(
                "{}: it is of other ranges, and fake addresses begin anew",
                path.display()
            );
            return Vec::new();
        };
        if read.torn > 0 {
            tracing::info!(
                "{}: the last {} bytes were not written whole and are left out",
                path.display(),
                read.torn
            );
        }
        read.names
    }

    /// Appends some names; where there is no journal of these ranges yet, or too much of it counts no more, all are written
    /// anew. `live`: how many count.
    pub(super) fn append(
        &self,
        key: Key,
        ranges: Ranges,
        bytes: &[u8],
        names: usize,
        live: usize,
        whole: impl FnOnce() -> (Vec<u8>, usize),
    ) {
        let Some(state) = &self.state else {
            return;
        };
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        let appends = journal.of == Some(ranges) && journal.names + names <= 2 * live + SPARE;
        let written = match journal.file.as_mut().filter(|_| appends) {
            Some(file) => file.write_all(bytes),
            None => {
                let (bytes, all) = whole();
                journal.names = all - names.min(all);
                anew(state, key, &bytes).map(|file| journal.file = Some(file))
            }
        };
        match written {
            Ok(()) => {
                journal.of = Some(ranges);
                journal.names += names;
                if journal.failed.take().is_some() {
                    journal.told = false;
                    tracing::info!("fake addresses are written down again");
                }
            }
            Err(error) => {
                // Half a name may stand at its end.
                journal.file = None;
                journal.failed = Some(Instant::now());
                if !std::mem::replace(&mut journal.told, true) {
                    let path = state.join(JOURNAL);
                    tracing::warn!(
                        "fake addresses do not outlive the daemon as long as {} cannot be written: {error}",
                        path.display()
                    );
                }
            }
        }
    }
}

/// A journal of these bytes in the place of what was there: a crash leaves the old one or this one.
fn anew(state: &Path, key: Key, bytes: &[u8]) -> io::Result<File> {
    make_directory(state)?;
    let path = state.join(KEY);
    let Key([low, high]) = key;
    let key = [low.to_le_bytes(), high.to_le_bytes()];
    if read_regular(&path, 64).ok().as_deref() != Some(key.as_flattened()) {
        replace_private(&path, &state.join(format!("{KEY}.new")), key.as_flattened())?;
    }
    let aside = state.join(format!("{JOURNAL}.new"));
    let mut file = create_private(&aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(&aside, state.join(JOURNAL)))?;
    Ok(file)
}
