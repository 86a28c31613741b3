//! Facts that are numbers: how they are called, how their values are written, and who knows them.
//!
//! Invariant: a value that is printed is read back as the same number.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::concerns::Concerns;
use crate::fact::{Need, Network};
use crate::record_type;

/// A fact that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberField {
    /// The type of the records that a query asks for (RFC 1035 §3.2.2, RFC 6895 §3.1).
    DnsType,
    /// The differentiated services code point that the client's packets carry, 0 to 63 (RFC 2474).
    Dscp,
    /// Whether a TLS hello has an encrypted one within: 0 or 1 (RFC 9849).
    Ech,
    /// The process's number.
    Pid,
    /// The version of QUIC (RFC 9000, 15).
    QuicVersion,
    /// The highest version of TLS that the client offers, as on the wire (RFC 8446, 4.2.1).
    TlsVersion,
}

/// Versions of TLS by the words that people use.
const TLS: [(&str, u32); 5] = [
    ("ssl3", 0x0300),
    ("1.0", 0x0301),
    ("1.1", 0x0302),
    ("1.2", 0x0303),
    ("1.3", 0x0304),
];

/// QUIC version 2 (RFC 9369, 3.1) is not 2 on the wire.
const QUIC: [(&str, u32); 2] = [("1", 1), ("2", 0x6b33_43cf)];

const ECH: [(&str, u32); 2] = [("no", 0), ("yes", 1)];

impl NumberField {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DnsType,
        Self::Dscp,
        Self::Ech,
        Self::Pid,
        Self::QuicVersion,
        Self::TlsVersion,
    ];

    /// Its name in trees, templates and explanations.
    #[must_use]
    pub fn fact(self) -> &'static str {
        match self {
            Self::DnsType => "dns.type",
            Self::Dscp => "dscp",
            Self::Ech => "tls.ech",
            Self::Pid => "process.pid",
            Self::QuicVersion => "quic.version",
            Self::TlsVersion => "tls.version",
        }
    }

    /// The type of rules on it.
    #[must_use]
    pub fn rule_type(self) -> &'static str {
        match self {
            Self::DnsType => "DNS-TYPE",
            Self::Dscp => "DSCP",
            Self::Ech => "TLS-ECH",
            Self::Pid => "PROCESS-PID",
            Self::QuicVersion => "QUIC-VERSION",
            Self::TlsVersion => "TLS-VERSION",
        }
    }

    /// What its values look like, for hints.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::DnsType => "the type of a record, such as `A`, `HTTPS` or `65`",
            Self::Dscp => "a number from 0 to 63, such as `46`, or a range `8-15`",
            Self::Ech => "`yes` or `no`",
            Self::Pid => "the number of a process",
            Self::QuicVersion => "`1`, `2`, or as on the wire, such as `0xff00001d`",
            Self::TlsVersion => "`1.3`, `1.2`, `1.1`, `1.0`, `ssl3`, or a range `1.0-1.2`",
        }
    }

    /// What has it.
    #[must_use]
    pub fn concerns(self) -> Concerns {
        match self {
            Self::DnsType => Concerns::Queries,
            Self::Dscp | Self::Ech | Self::Pid | Self::QuicVersion | Self::TlsVersion => {
                Concerns::Flows
            }
        }
    }

    /// Whom a condition on it asks; `None`: it is known at accept.
    #[must_use]
    pub fn need(self) -> Option<Need> {
        match self {
            Self::DnsType | Self::Dscp => None,
            Self::Pid => Some(Need::Owner),
            Self::Ech | Self::QuicVersion | Self::TlsVersion => Some(Need::Sniff),
        }
    }

    /// The transport over which alone there is such a number, if that is one alone.
    #[must_use]
    pub fn network(self) -> Option<Network> {
        match self {
            Self::QuicVersion => Some(Network::Udp),
            Self::DnsType | Self::Dscp | Self::Ech | Self::Pid | Self::TlsVersion => None,
        }
    }

    /// Reads one value.
    #[must_use]
    pub fn read(self, text: &str) -> Option<u32> {
        let word = |words: &[(&str, u32)]| {
            let found = words
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text));
            found.map(|(_, value)| *value)
        };
        let wire = || u32::from_str_radix(digits(text.strip_prefix("0x")?)?, 16).ok();
        match self {
            Self::DnsType => record_type::read(text).map(u32::from),
            Self::Dscp => plain(text).filter(|value| *value < 64),
            Self::Ech => word(&ECH),
            Self::Pid => plain(text).filter(|value| *value > 0),
            Self::QuicVersion => word(&QUIC).or_else(wire),
            Self::TlsVersion => {
                word(&TLS).or_else(|| wire().filter(|value| *value <= u32::from(u16::MAX)))
            }
        }
    }

    /// Reads a value, or two with `-` between, the lower first.
    #[must_use]
    pub fn read_range(self, text: &str) -> Option<RangeInclusive<u32>> {
        if let Some(value) = self.read(text) {
            return Some(value..=value);
        }
        let (low, high) = text.split_once('-')?;
        let (low, high) = (self.read(low.trim())?, self.read(high.trim())?);
        (low <= high && self != Self::Ech).then_some(low..=high)
    }

    /// A value as people write it.
    #[must_use]
    pub fn print(self, value: u32) -> Arc<str> {
        let word = |words: &[(&'static str, u32)]| {
            let found = words.iter().find(|(_, known)| *known == value);
            found.map_or_else(
                || format!("{value:#x}").into(),
                |(word, _)| Arc::from(*word),
            )
        };
        match self {
            Self::DnsType => u16::try_from(value).map_or_else(
                |_too_large| value.to_string().into(),
                |value| record_type::print(value).into(),
            ),
            Self::Dscp | Self::Pid => value.to_string().into(),
            Self::Ech => word(&ECH),
            Self::QuicVersion => word(&QUIC),
            Self::TlsVersion => word(&TLS),
        }
    }

    /// A range as people write it.
    #[must_use]
    pub fn print_range(self, range: &RangeInclusive<u32>) -> String {
        let (low, high) = (range.start(), range.end());
        match low == high {
            true => self.print(*low).to_string(),
            false => format!("{}-{}", self.print(*low), self.print(*high)),
        }
    }
}

/// A number without sign.
fn plain(text: &str) -> Option<u32> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn digits(text: &str) -> Option<&str> {
    text.bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        use NumberField::{DnsType, Dscp, Ech, Pid, QuicVersion, TlsVersion};
        let check = |field: NumberField, text: &str, expected: Option<(u32, u32)>| {
            let got = field.read_range(text);
            assert_eq!(got, expected.map(|(a, b)| a..=b), "{field:?} {text}");
            if let Some(range) = got {
                let printed = field.print_range(&range);
                assert_eq!(field.read_range(&printed), Some(range), "{printed}");
            }
        };
        check(DnsType, "https", Some((65, 65)));
        check(DnsType, "65", Some((65, 65)));
        check(DnsType, "TYPE65", Some((65, 65)));
        check(DnsType, "A-AAAA", Some((1, 28)));
        check(DnsType, "65536", None);
        check(DnsType, "AX", None);
        check(DnsType, "", None);
        check(Dscp, "46", Some((46, 46)));
        check(Dscp, "8-15", Some((8, 15)));
        check(Dscp, "64", None);
        check(Dscp, "-1", None);
        check(Dscp, "+1", None);
        check(Dscp, "9-8", None);
        check(Dscp, "", None);
        check(Ech, "yes", Some((1, 1)));
        check(Ech, "No", Some((0, 0)));
        check(Ech, "no-yes", None);
        check(Ech, "1", None);
        check(Pid, "4711", Some((4711, 4711)));
        check(Pid, "0", None);
        check(Pid, "99999999999", None);
        check(QuicVersion, "1", Some((1, 1)));
        check(QuicVersion, "2", Some((0x6b33_43cf, 0x6b33_43cf)));
        check(QuicVersion, "0xff00001d", Some((0xff00_001d, 0xff00_001d)));
        check(QuicVersion, "0x", None);
        check(TlsVersion, "1.3", Some((0x304, 0x304)));
        check(TlsVersion, "1.0-1.2", Some((0x301, 0x303)));
        check(TlsVersion, "ssl3", Some((0x300, 0x300)));
        check(TlsVersion, "0x0305", Some((0x305, 0x305)));
        check(TlsVersion, "0x10000", None);
        check(TlsVersion, "1.4", None);
    }
}
