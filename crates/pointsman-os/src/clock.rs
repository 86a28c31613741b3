//! A clock that goes on while the host sleeps.

use crate::imp;

/// Milliseconds since some moment before the process began, those of sleep included: what was idle when a laptop was
/// closed is late when it is opened. Never goes back. Where the system has no such clock it leaves sleep out.
pub fn boottime() -> u64 {
    imp::clock::boottime()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let begun = boottime();
        let until = std::time::Instant::now() + std::time::Duration::from_millis(5);
        while std::time::Instant::now() < until {}
        let past = boottime() - begun;
        assert!((4..5000).contains(&past), "{past}");
    }
}
