//! What showing problems costs: tests count the bytes that are looked at, for time says nothing on a loaded machine.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static LOOKED: Cell<usize> = const { Cell::new(0) };
}

/// Counts bytes that are looked at one by one.
#[cfg(test)]
pub(super) fn looked(bytes: usize) {
    LOOKED.set(LOOKED.get() + bytes);
}

/// Counts nothing.
#[cfg(not(test))]
pub(super) fn looked(_bytes: usize) {}

/// How many bytes this thread looked at meanwhile.
#[cfg(test)]
pub(super) fn counted(run: impl FnOnce()) -> usize {
    LOOKED.set(0);
    run();
    LOOKED.get()
}
