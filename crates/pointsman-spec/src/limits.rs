//! Limits of time and number that hold for all flows, and their defaults with their reasons.

use std::time::Duration;

use pointsman_policy::fact::Protocol;

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

/// Limits of flows over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatagramLimits {
    /// A flow without a datagram in either direction.
    pub idle: Duration,
    /// The same, by what its first datagrams are.
    pub idle_by_protocol: Vec<(Protocol, Duration)>,
    /// From whom a mapping takes datagrams.
    pub filtering: Filtering,
    /// Flows at once.
    pub flows: usize,
    /// Of those: of one client's address.
    pub flows_by_client: usize,
    /// Bytes of a flow that are held while it is decided; at most four datagrams.
    pub held: usize,
    /// Whether several datagrams are handed to the system as one, as long as that goes well.
    pub offload: bool,
}

/// From whom a client's mapping takes datagrams (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// From addresses that the client sent something to, from whatever port.
    #[default]
    Address,
    /// From anybody: what game consoles ask for.
    FullCone,
    /// From the very places that the client sent something to.
    Port,
}

impl Filtering {
    /// Its word in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::FullCone => "full-cone",
            Self::Port => "port",
        }
    }
}

impl Default for DatagramLimits {
    fn default() -> Self {
        Self {
            // RFC 4787, REQ-5: two minutes at least, five are recommended.
            idle: Duration::from_secs(300),
            // A question and its answer: who asks again a minute later begins a new flow, and a client that asks often
            // would fill the table with what is over. STUN is asked every half a minute by calls, which are other
            // flows and last on.
            idle_by_protocol: vec![
                (Protocol::Dns, Duration::from_secs(10)),
                (Protocol::Ntp, Duration::from_secs(10)),
                (Protocol::Stun, Duration::from_secs(30)),
            ],
            // RFC 4787, REQ-8, for applications whose peers are many.
            filtering: Filtering::Address,
            // Some 20 MiB.
            flows: 20_000,
            // A browser has some hundred, a BitTorrent client a thousand.
            flows_by_client: 2_000,
            // A ClientHello with post-quantum key shares takes two or three datagrams of QUIC.
            held: 16 * 1024,
            // A system call for each datagram costs more than all else that is done for it; what fails is turned off.
            offload: true,
        }
    }
}
