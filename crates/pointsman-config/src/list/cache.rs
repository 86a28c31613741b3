//! Where compiled sets are kept over restarts, and the key that they are made with.
//!
//! Deliberately absent: files; whoever has a place brings it as a [`Cache`].

use std::io;

use pointsman_policy::set::Key;

/// The name of the key.
pub(super) const KEY: &str = "key";

/// Keeps bytes under names of letters, digits and dots, where nobody else reads or writes them. Nothing
/// in it is needed: what is missing or damaged is made again.
pub trait Cache: Send + Sync {
    /// What is kept under a name.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps bytes under a name, instead of what was there.
    ///
    /// # Errors
    /// Those of the file system; what was there stays.
    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// All names.
    fn names(&self) -> Vec<String>;

    /// Forgets a name.
    fn remove(&self, name: &str);
}

/// The key that is kept, else this one, which is kept from now on.
pub(super) fn key(cache: &dyn Cache, fresh: Key) -> io::Result<Key> {
    if let Some(bytes) = cache.load(KEY)
        && let ([low, high], []) = bytes.as_chunks::<8>()
    {
        return Ok(Key([u64::from_le_bytes(*low), u64::from_le_bytes(*high)]));
    }
    let Key([low, high]) = fresh;
    cache.store(KEY, &[low.to_le_bytes(), high.to_le_bytes()].concat())?;
    Ok(fresh)
}
