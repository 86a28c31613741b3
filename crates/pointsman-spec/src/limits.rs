//! Limits of time and number that hold for all flows, and their defaults with their reasons.

use std::time::Duration;

/// Limits of looking at first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SniffLimits {
    /// How long to wait for them.
    pub timeout: Duration,
    /// How many bytes to look at.
    pub max_bytes: usize,
}

impl Default for SniffLimits {
    fn default() -> Self {
        Self {
            // A browser sends its first bytes with the handshake; 300 ms also covers a phone on a
            // slow link. Longer only delays protocols whose server speaks first.
            timeout: Duration::from_millis(300),
            // Eight times a ClientHello with post-quantum key shares.
            max_bytes: 16 * 1024,
        }
    }
}

/// Time limits of flows; `None` is "never".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the end of the client's request.
    pub handshake: Duration,
    /// From the decision to a connected server, every hop included.
    pub dial: Duration,
    /// A name's look-up.
    pub resolve: Duration,
    /// From the end of a plain request to the first byte of its answer.
    pub first_byte: Option<Duration>,
    /// A relay in which one direction has ended, without a byte in the other.
    pub half_closed: Option<Duration>,
    /// A relay or a plain exchange without a byte in either direction.
    pub idle: Option<Duration>,
    /// A kept connection of an HTTP client, between two requests.
    pub keep_alive: Duration,
    /// How long a blackhole keeps its silence.
    pub blackhole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Three retransmissions of a lost packet fit in.
            handshake: Duration::from_secs(10),
            // Longer than any client of its own waits; shorter would cut off satellite links.
            dial: Duration::from_secs(15),
            // As the resolver's own limits; this is the fence around them.
            resolve: Duration::from_secs(10),
            // What reverse proxies grant an application; long polls answer within it.
            first_byte: Some(Duration::from_secs(60)),
            // A server that computes for an hour without a word is rarer than a peer that has left.
            half_closed: Some(Duration::from_secs(3600)),
            // Twice the two hours after which TCP's own keepalive speaks on most hosts: only the dead.
            idle: Some(Duration::from_secs(4 * 3600)),
            // Longer than a page is read; shorter than a forgotten laptop.
            keep_alive: Duration::from_secs(60),
            // Longer than any client's patience for a connection's first byte.
            blackhole: Duration::from_secs(30),
        }
    }
}
