//! What the server said of a list, as it stands beside its copy.
//!
//! Invariant: it counts only for the URL that it is of and for the copy of those very bytes: another one is damaged, or of
//! somebody else, and is asked for anew.

use std::io;
use std::path::{Path, PathBuf};

use pointsman_config::files::{Bytes, Opened};
use pointsman_os::local::read_regular;
use serde::{Deserialize, Serialize};

/// The most that stands beside a copy, in bytes.
const MOST_SAID: u64 = 64 << 10;

/// What stands beside the copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sidecar {
    pub(super) url: String,
    pub(super) length: u64,
    /// Of all bytes; `None` of what was fetched before this was kept.
    #[serde(default)]
    pub(super) hash: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// Milliseconds since 1970: when the server last confirmed it.
    pub(super) checked: u64,
    /// Milliseconds since 1970: when it was fetched.
    pub(super) changed: u64,
}

/// What was said of this copy, and else why it is another one.
pub(super) fn found(path: &Path, url: &str, opened: Opened) -> (Option<Sidecar>, Option<String>) {
    match read_regular(&beside(path), MOST_SAID) {
        Ok(text) => understood(&text, url, opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
        Err(error) => (None, Some(format!("what stands beside it: {error}"))),
    }
}

/// As [`found`], where that text is what stands beside it.
pub(super) fn understood(
    text: &[u8],
    url: &str,
    opened: Opened,
) -> (Option<Sidecar>, Option<String>) {
    let sidecar: Sidecar = match serde_json::from_slice(text) {
        Ok(sidecar) => sidecar,
        Err(_other) => {
            let why = "what stands beside it is damaged".to_owned();
            return (None, Some(why));
        }
    };
    match differs(&sidecar, url, opened) {
        Some(why) => (None, Some(why)),
        None => (Some(sidecar), None),
    }
}

fn differs(sidecar: &Sidecar, url: &str, mut opened: Opened) -> Option<String> {
    if sidecar.url != url {
        return Some("it was fetched from another URL".to_owned());
    }
    let length = opened.stamp.length;
    if sidecar.length != length {
        return Some(format!(
            "it has {length} bytes, and what was fetched has {}",
            sidecar.length
        ));
    }
    let fetched = sidecar.hash?;
    match Hash::of(&mut *opened.bytes) {
        Ok(hash) if hash == fetched => None,
        Ok(_) => Some("its bytes are not those that were fetched".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// FNV-1a of 64 bits: it tells damage, not malice, and is the same in every version.
#[derive(Clone, Copy)]
pub(super) struct Hash(pub(super) u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Of all bytes.
    fn of(bytes: &mut dyn Bytes) -> io::Result<u64> {
        let mut hash = Self::default();
        loop {
            let piece = bytes.fill_buf()?;
            if piece.is_empty() {
                return Ok(hash.0);
            }
            hash.add(piece);
            let read = piece.len();
            bytes.consume(read);
        }
    }
}

/// Where that stands.
pub(super) fn beside(path: &Path) -> PathBuf {
    with_ending(path, ".fetched")
}

/// A path with that added to its last name.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
