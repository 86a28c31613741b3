//! The shelf of rule sets, and where it keeps them: `rule-sets` in the directory of state.

use std::io;
use std::path::Path;

use pointsman_config::list::{Cache, Shelf};
use pointsman_os::local::PrivateDirectory;

/// The largest compiled set that is read back, in bytes.
const LARGEST: u64 = 512 << 20;

/// The shelf of this daemon. What cannot be kept on disk is told, and kept in memory alone.
pub(crate) fn open(state: Option<&Path>) -> Shelf {
    let Some(state) = state else {
        return Shelf::fresh();
    };
    let directory = state.join("rule-sets");
    match PrivateDirectory::open(&directory) {
        Ok(kept) => Shelf::kept(Box::new(Compiled(kept))),
        Err(error) => {
            tracing::info!("compiled rule sets are not cached: {error}");
            Shelf::fresh()
        }
    }
}

struct Compiled(PrivateDirectory);

impl Cache for Compiled {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        self.0.load(name, LARGEST).ok()
    }

    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.store(name, bytes)
    }

    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn remove(&self, name: &str) {
        self.0.remove(name);
    }
}
