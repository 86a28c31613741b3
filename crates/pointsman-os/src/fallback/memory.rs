//! See [`crate::memory`].

pub(crate) fn give_back() {}
