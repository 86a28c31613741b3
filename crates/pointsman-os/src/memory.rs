//! What this process holds of the host's memory.

mod blocks;

pub use blocks::Blocks;

/// Gives the pages back that were freed and that the allocator keeps for later: after a large list was read, most of
/// what that took. Some milliseconds; nothing where the allocator cannot.
pub fn give_back() {
    crate::imp::memory::give_back();
}
