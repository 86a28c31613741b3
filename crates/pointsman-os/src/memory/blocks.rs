//! Memory for what has to lie at a multiple of 128 bytes: the runtime's sockets and tasks, three for each connection.
//!
//! The system's allocator cuts such a block out of a larger one, and what it cuts off rarely serves anybody: of glibc
//! some 130 bytes for each. Here blocks of one size lie beside each other.
//!
//! Invariants: a block is as large as was asked for and lies as was asked for; it is one owner's at a time; whoever asks for
//! anything else is served by the system. Blocks that were given back are the next ones', and never the system's again:
//! what is kept is what was once needed at the same time.

#![expect(unsafe_code, reason = "an allocator hands out pointers")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where blocks lie, and what their sizes are multiples of: two lines of a cache, as the runtime wants it.
const UNIT: usize = 128;
/// Blocks of one to so many units; what is larger is worth the system's way.
const SIZES: usize = 8;
/// Taken from the system at once: at most so much is unused of each size.
const SLAB: usize = 32 << 10;

/// An allocator: [`System`], but for small blocks that have to lie at a multiple of 128 bytes.
#[derive(Debug)]
pub struct Blocks {
    /// By their size, in units less one.
    sizes: [Mutex<Size>; SIZES],
}

/// Blocks of one size.
#[derive(Debug)]
struct Size {
    /// Those that were given back.
    free: Option<NonNull<Free>>,
    /// What is left of the last slab: where it begins, and how much it is.
    fresh: *mut u8,
    left: usize,
    slabs: usize,
}

/// What stands in a block that is nobody's.
#[derive(Debug)]
struct Free {
    next: Option<NonNull<Self>>,
}

// SAFETY: the pointers lead to blocks that are nobody's, whatever thread gave them back, and none leads to anything that is a
// thread's own.
unsafe impl Send for Size {}

impl Default for Blocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Blocks {
    /// One that has taken nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sizes: [const { Mutex::new(Size::new()) }; SIZES],
        }
    }

    /// The size of a block that is cut from a slab; `None`: it is the system's business. Depends on the layout alone, so
    /// that a block is given back to where it came from.
    fn size(layout: Layout) -> Option<usize> {
        let units = layout.size().div_ceil(UNIT);
        (layout.align() == UNIT && (1..=SIZES).contains(&units)).then(|| units - 1)
    }

    fn of(&self, size: usize) -> MutexGuard<'_, Size> {
        // A panic cannot happen in between: nothing in here panics.
        self.sizes[size]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Size {
    const fn new() -> Self {
        Self {
            free: None,
            fresh: ptr::null_mut(),
            left: 0,
            slabs: 0,
        }
    }

    /// A block of `bytes`, which is the same for each call; null where there is no memory.
    fn take(&mut self, bytes: usize) -> *mut u8 {
        if let Some(block) = self.free {
            // SAFETY: it was written by `give`, the block is nobody's since then, and the lock is held.
            self.free = unsafe { block.read() }.next;
            return block.as_ptr().cast();
        }
        if self.left < bytes && !self.take_slab() {
            return ptr::null_mut();
        }
        let block = self.fresh;
        // SAFETY: `left` bytes from `fresh` on are of one slab, and `bytes` are no more than those.
        self.fresh = unsafe { block.add(bytes) };
        self.left -= bytes;
        block
    }

    /// What was left of the one before is lost: less than a block.
    fn take_slab(&mut self) -> bool {
        let Ok(layout) = Layout::from_size_align(SLAB, UNIT) else {
            return false;
        };
        // SAFETY: the layout's size is not zero.
        let slab = unsafe { System.alloc(layout) };
        if slab.is_null() {
            return false;
        }
        (self.fresh, self.left) = (slab, SLAB);
        self.slabs += 1;
        true
    }

    /// # Safety
    /// `block` came from [`Self::take`] of this size, and nobody uses it from now on.
    unsafe fn give(&mut self, block: NonNull<Free>) {
        let next = self.free.replace(block);
        // SAFETY: a block lies at a multiple of 128 bytes, has that many at least, and is ours by the contract above.
        unsafe { block.write(Free { next }) };
    }
}

// SAFETY: a block from `take` has the size of its layout, rounded up to units, and its alignment, for slabs begin at a
// multiple of 128 and sizes are such multiples; it is in no list while it is somebody's. Where it goes back to is told by
// the layout, which the caller gives as it was. What is no block goes to the system unchanged. Nothing unwinds.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::size(layout) {
            Some(size) => self.of(size).take((size + 1) * UNIT),
            // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match (Self::size(layout), NonNull::new(pointer.cast())) {
            // SAFETY: by the contract of `GlobalAlloc::dealloc` it came from `alloc` with this layout: from `take` of this size.
            (Some(size), Some(block)) => unsafe { self.of(size).give(block) },
            // SAFETY: the same: from the system.
            _ => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(size) = Self::size(layout) else {
            // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let block = self.of(size).take((size + 1) * UNIT);
        if !block.is_null() {
            // SAFETY: it has the size of its layout at least, and nobody else knows it.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        if Self::size(layout).is_none() && Self::size(wanted).is_none() {
            // SAFETY: the pointer is the system's, and the caller keeps the contract of `GlobalAlloc::realloc`.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        // SAFETY: `size` is not zero, by the contract of `GlobalAlloc::realloc`.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both have so many bytes; they are two, for the old one is still somebody's; then nobody uses it.
            unsafe {
                ptr::copy_nonoverlapping(pointer, new, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests;
