//! The key under which names are hashed.

/// The key of the fingerprints by which names are found: random for each process (or kept with a cache
/// that nobody else reads), so that nobody can write a list whose names collide.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Key(pub [u64; 2]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(...)")
    }
}
