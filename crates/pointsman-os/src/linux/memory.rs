//! See [`crate::memory`].

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe crate wraps malloc_trim")]
pub(crate) fn give_back() {
    // SAFETY: takes no pointer; glibc locks each arena itself.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back() {}
