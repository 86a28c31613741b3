//! Whether several datagrams may be handed to the kernel as one.
//!
//! Invariant: it is only ever reduced. Linux tells by failing sends alone what a device can do, also after many that
//! went well, and a link that failed once fails again at the next change of load or route.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

/// What may be sent as one, for all sockets that leave by one uplink; shared by workers.
#[derive(Debug)]
pub struct Offload {
    /// The largest segment; 0: never.
    largest: AtomicU16,
}

/// The most datagrams in one: the least of all kernels (`UDP_MAX_SEGMENTS` was 64 until Linux 6.7).
const MOST_SEGMENTS: usize = 64;

/// What fits every IPv6 link (1280, RFC 8200, 5) without headers: what is refused at that size is not refused for its
/// size.
const FITS_EVERYWHERE: u16 = 1280 - 40 - 8;

impl Default for Offload {
    fn default() -> Self {
        Self::new()
    }
}

impl Offload {
    /// Nothing has failed yet.
    pub const fn new() -> Self {
        Self {
            largest: AtomicU16::new(u16::MAX),
        }
    }

    /// Never.
    pub const fn off() -> Self {
        Self {
            largest: AtomicU16::new(0),
        }
    }

    /// Whether it was not turned off.
    pub fn is_on(&self) -> bool {
        self.allows(1)
    }

    /// Whether datagrams of so many bytes may go as one.
    pub fn allows(&self, segment: u16) -> bool {
        segment != 0 && segment <= self.largest.load(Ordering::Relaxed)
    }

    /// How many of the next datagrams to one destination may be one message with the first one's length as segment: they
    /// are of equal length, but for a shorter last one, and fit into the longest packet. At least one where there is any.
    pub fn run(&self, to: IpAddr, lengths: impl IntoIterator<Item = usize>) -> usize {
        let mut lengths = lengths.into_iter();
        let Some(segment) = lengths.next() else {
            return 0;
        };
        if !u16::try_from(segment).is_ok_and(|segment| self.allows(segment)) {
            return 1;
        }
        let (mut count, mut total) = (1, segment);
        for length in lengths {
            total += length;
            // An empty one would be no segment at all.
            if length == 0 || length > segment || count == MOST_SEGMENTS || total > longest(to) {
                break;
            }
            count += 1;
            if length < segment {
                break;
            }
        }
        count
    }

    /// Turns off what failed with segments and went well without.
    pub(super) fn learn(&self, segment: u16, perhaps_too_large: bool) {
        let least = if perhaps_too_large && segment > FITS_EVERYWHERE {
            segment - 1
        } else {
            0
        };
        self.largest.fetch_min(least, Ordering::Relaxed);
    }
}

/// Whether the kernel takes `total` bytes in such segments, whatever the device.
pub(super) fn is_legal(to: IpAddr, segment: u16, total: usize) -> bool {
    total <= longest(to) && total.div_ceil(usize::from(segment)) <= MOST_SEGMENTS
}

/// Bytes of the longest UDP payload: the length of an IPv4 packet counts its header, that of an IPv6 packet does not.
fn longest(to: IpAddr) -> usize {
    match to {
        IpAddr::V4(_) => 65_535 - 20 - 8,
        IpAddr::V6(_) => 65_535 - 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_legal() {
        let check = |to: &str, lengths: &[usize], expected: usize| {
            let run = Offload::new().run(to.parse().unwrap(), lengths.iter().copied());
            assert_eq!(run, expected, "{to} {lengths:?}");
            let total: usize = lengths[..run].iter().sum();
            assert!(run < 2 || is_legal(to.parse().unwrap(), lengths[0] as u16, total));
        };
        check("192.0.2.1", &[], 0);
        check("192.0.2.1", &[1200], 1);
        check("192.0.2.1", &[1200, 1200, 1200], 3);
        check("192.0.2.1", &[1200, 1200, 700, 1200], 3);
        check("192.0.2.1", &[1200, 1201], 1);
        check("192.0.2.1", &[1200, 0, 1200], 1);
        check("192.0.2.1", &[0, 0], 1);
        check("192.0.2.1", &[70_000, 70_000], 1);
        check("192.0.2.1", &[64; 100], 64);
        check("192.0.2.1", &[1472; 64], 44);
        check("192.0.2.1", &[65_507, 1], 1);
        check("2001:db8::1", &[65_507, 20], 2);
        check("2001:db8::1", &[65_507, 21], 1);
    }

    #[test]
    fn what_failed_stays_off() {
        let offload = Offload::new();
        offload.learn(1472, true);
        assert!(offload.is_on() && offload.allows(1471) && !offload.allows(1472));
        offload.learn(9000, true);
        assert!(!offload.allows(1472), "it is only reduced");
        offload.learn(1232, true);
        assert!(!offload.is_on());
        let offload = Offload::new();
        offload.learn(1472, false);
        assert!(!offload.is_on());
        assert_eq!(offload.run("::1".parse().unwrap(), [9, 9]), 1);
    }
}
