//! What rules decided, kept over restarts: `rules/counts.json` in the directory of state.
//!
//! Invariants: no flow waits for it; it is written aside, at intervals and at the end, and only where something
//! changed. It is bounded: the rules that decided most lately stay. A file that cannot be read, that is damaged or of
//! another configuration is told in the log and begun anew, and never keeps the daemon from serving.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pointsman_net::plane::{Remembered, Tallied};
use pointsman_os::local::PrivateDirectory;
use serde::{Deserialize, Serialize};

use crate::clock::unix_ms;

/// Rules that are kept.
const MOST: usize = 20_000;

/// The largest file that is written and read, in bytes.
const LARGEST: usize = 8 << 20;

/// The file's form.
const VERSION: u32 = 1;

const FILE: &str = "counts.json";

/// Where counts are kept.
#[derive(Debug)]
pub(crate) struct Counts {
    /// `None`: nowhere.
    kept: Option<PrivateDirectory>,
    /// Of which configuration they are.
    config: String,
    since: AtomicU64,
    written: Mutex<Written>,
}

/// The last writing.
#[derive(Debug, Default)]
struct Written {
    /// Of what was written.
    hash: u64,
    /// Whether it was told that it cannot be.
    told: bool,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    config: String,
    /// Milliseconds since 1970: when counting began.
    since: u64,
    rules: Vec<Rule>,
}

#[derive(Serialize, Deserialize)]
struct Rule {
    policy: String,
    file: String,
    text: String,
    #[serde(default)]
    ordinal: u32,
    flows: u64,
    sent: u64,
    received: u64,
    last: u64,
}

impl Counts {
    /// Counts of the rules of that configuration.
    pub(crate) fn open(state: Option<&Path>, config: Option<&Path>) -> Self {
        let kept = state.map(|state| PrivateDirectory::open(&state.join("rules")));
        let kept = kept.transpose().unwrap_or_else(|error| {
            tracing::warn!("rule counts will not survive a restart: {error}");
            None
        });
        if let Some(kept) = &kept {
            kept.tidy();
        }
        let real = config.map(|path| path.canonicalize().unwrap_or_else(|_gone| path.to_owned()));
        Self {
            kept,
            config: real.map_or_else(String::new, |path| path.display().to_string()),
            since: AtomicU64::new(unix_ms()),
            written: Mutex::default(),
        }
    }

    /// When counting began, in milliseconds since 1970.
    pub(crate) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// What was kept; empty where there is nothing, or nothing that counts.
    pub(crate) fn load(&self) -> Vec<Remembered> {
        let Some(kept) = &self.kept else {
            return Vec::new();
        };
        match self.read(kept) {
            Ok(File { since, rules, .. }) => {
                self.since.store(since.min(self.since()), Ordering::Relaxed);
                rules.into_iter().take(MOST).map(Remembered::from).collect()
            }
            Err(Unread::Nothing) => Vec::new(),
            Err(Unread::Other(config)) => {
                let whose = whose(&config);
                tracing::info!("rule counts start at zero: the saved counts belong to {whose}");
                Vec::new()
            }
            Err(Unread::Damaged(why)) => {
                tracing::warn!("rule counts start at zero: the saved counts cannot be read: {why}");
                Vec::new()
            }
        }
    }

    fn read(&self, kept: &PrivateDirectory) -> Result<File, Unread> {
        let bytes = match kept.load(FILE, LARGEST as u64) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unread::Nothing),
            Err(error) => return Err(Unread::Damaged(error.to_string())),
        };
        let file: File =
            serde_json::from_slice(&bytes).map_err(|error| Unread::Damaged(error.to_string()))?;
        if file.version != VERSION {
            let why = format!("its version is {}", file.version);
            return Err(Unread::Damaged(why));
        }
        if file.config != self.config {
            return Err(Unread::Other(file.config));
        }
        Ok(file)
    }

    /// Keeps them, where they are not what was written last.
    pub(crate) fn store(&self, rules: Vec<Remembered>) {
        let Some(kept) = &self.kept else { return };
        // One writer at a time: the last one may come while another is at it.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.text(rules, LARGEST);
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        if hash == written.hash {
            return;
        }
        match kept.store(FILE, &bytes) {
            Ok(()) => *written = Written { hash, told: false },
            Err(error) if !written.told => {
                tracing::warn!("rule counts could not be saved: {error}");
                written.told = true;
            }
            Err(_again) => {}
        }
    }

    /// The file, of at most so many bytes: those rules that decided last come first.
    fn text(&self, mut rules: Vec<Remembered>, largest: usize) -> Vec<u8> {
        rules.sort_by(|a, b| {
            let key = |it: &Remembered| std::cmp::Reverse((it.tallied.last_ms, it.tallied.flows));
            let words = |it: &Remembered| {
                (
                    it.policy.clone(),
                    it.file.clone(),
                    it.text.clone(),
                    it.ordinal,
                )
            };
            key(a).cmp(&key(b)).then_with(|| words(a).cmp(&words(b)))
        });
        rules.truncate(MOST);
        loop {
            let bytes = self.encoded(&rules);
            if bytes.len() <= largest || rules.is_empty() {
                return bytes;
            }
            rules.truncate(rules.len() / 2);
        }
    }

    fn encoded(&self, rules: &[Remembered]) -> Vec<u8> {
        let file = File {
            version: VERSION,
            config: self.config.clone(),
            since: self.since(),
            rules: rules.iter().map(Rule::from).collect(),
        };
        // Maps with other keys than text alone cannot be written.
        serde_json::to_vec(&file).unwrap_or_default()
    }
}

enum Unread {
    Nothing,
    Other(String),
    Damaged(String),
}

/// The configuration that counts are of, as the file says it: the embedded default has no path.
fn whose(config: &str) -> &str {
    match config {
        "" => "the embedded default",
        path => path,
    }
}

impl From<Rule> for Remembered {
    fn from(rule: Rule) -> Self {
        Self {
            policy: rule.policy.into(),
            file: rule.file.into(),
            text: rule.text.into(),
            ordinal: rule.ordinal,
            tallied: Tallied {
                flows: rule.flows,
                bytes_sent: rule.sent,
                bytes_received: rule.received,
                last_ms: rule.last,
            },
        }
    }
}

impl From<&Remembered> for Rule {
    fn from(rule: &Remembered) -> Self {
        let tallied = rule.tallied;
        Self {
            policy: rule.policy.to_string(),
            file: rule.file.to_string(),
            text: rule.text.to_string(),
            ordinal: rule.ordinal,
            flows: tallied.flows,
            sent: tallied.bytes_sent,
            received: tallied.bytes_received,
            last: tallied.last_ms,
        }
    }
}

#[cfg(test)]
mod tests;
