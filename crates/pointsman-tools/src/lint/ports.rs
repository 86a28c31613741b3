//! Which ports earlier rules take, alone or together.

use std::ops::RangeInclusive;

use pointsman_policy::condition::Side;
use pointsman_policy::fact::Network;

/// Ports by side and transport, each with who took it first.
#[derive(Default)]
pub(super) struct Ports([Option<Box<FreePorts>>; 6]);

/// The ports of one side and transport.
struct FreePorts {
    /// For each port the next one that nobody took, itself where it is free; one more than there are.
    free: Vec<u32>,
    by: Vec<usize>,
}

const PORTS: u32 = 1 << 16;

impl Ports {
    /// Takes a range, of one transport or of all, for `by`.
    pub(super) fn cover(
        &mut self,
        side: Side,
        network: Option<Network>,
        range: &RangeInclusive<u16>,
        by: usize,
    ) {
        for one in [Network::Icmp, Network::Tcp, Network::Udp] {
            if network.is_none_or(|network| network == one)
                && let Some(slot) = self.0.get_mut(slot(side, one))
            {
                slot.get_or_insert_with(FreePorts::new).cover(range, by);
            }
        }
    }

    /// Who took the first port of a range of which all are taken.
    pub(super) fn covered(
        &self,
        side: Side,
        network: Network,
        range: &RangeInclusive<u16>,
    ) -> Option<usize> {
        self.0.get(slot(side, network))?.as_ref()?.covered(range)
    }
}

fn slot(side: Side, network: Network) -> usize {
    let side = match side {
        Side::Destination => 0,
        Side::Source => 3,
    };
    side + match network {
        Network::Icmp => 0,
        Network::Tcp => 1,
        Network::Udp => 2,
    }
}

impl FreePorts {
    fn new() -> Box<Self> {
        Box::new(Self {
            free: (0..=PORTS).collect(),
            by: vec![0; PORTS as usize],
        })
    }

    fn next_free(&self, port: u32) -> u32 {
        let mut at = port;
        while let Some(next) = self.free.get(at as usize)
            && *next != at
        {
            at = *next;
        }
        at
    }

    fn cover(&mut self, range: &RangeInclusive<u16>, by: usize) {
        let end = u32::from(*range.end());
        let start = u32::from(*range.start());
        let mut port = self.next_free(start);
        while port <= end {
            let behind = self.next_free(port + 1);
            if let (Some(free), Some(owner)) = (
                self.free.get_mut(port as usize),
                self.by.get_mut(port as usize),
            ) {
                *free = behind;
                *owner = by;
            }
            port = behind;
        }
        // The way over a range that was taken is walked once.
        if start <= end
            && let Some(free) = self.free.get_mut(start as usize)
        {
            *free = port;
        }
    }

    fn covered(&self, range: &RangeInclusive<u16>) -> Option<usize> {
        let end = u32::from(*range.end());
        let mut at = u32::from(*range.start());
        while at <= end {
            let next = *self.free.get(at as usize)?;
            if next == at {
                return None;
            }
            at = next;
        }
        self.by.get(usize::from(*range.start())).copied()
    }
}
