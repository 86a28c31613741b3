//! Replies in bytes: what was heard, what failed, and fixed addresses.

use std::net::IpAddr;

use pointsman_policy::fact::Network;
use pointsman_wire::dns::{ExtendedError, MAX_MESSAGE, OwnData, OwnRecord, Query, Reply, kind};
use tokio::time::Instant;

use crate::resolver::Heard;

/// The number of the extended error of an answer that holds no longer (RFC 8914 §4.4).
const STALE: u16 = 3;
/// How long such an answer holds, in seconds (RFC 8767 §4).
const STALE_FOR: u32 = 30;
/// How long fixed addresses hold, in seconds.
pub(super) const FIXED_FOR: u32 = 10;

/// The longest reply, in bytes.
pub(super) fn room(query: &Query<'_>, network: Network) -> usize {
    match network {
        Network::Udp => query.datagram_limit(),
        Network::Tcp | Network::Icmp => MAX_MESSAGE,
    }
}

pub(super) fn write_heard(
    query: &Query<'_>,
    heard: &Heard,
    is_faked: bool,
    now: Instant,
    limit: usize,
    out: &mut Vec<u8>,
) {
    match heard {
        // Of a name whose address is fake the old one is no more told than the new one.
        Heard::Told(kept) | Heard::Stale(kept) if is_faked => {
            kept.message
                .write_services(query, kept.age(now), limit, out);
        }
        Heard::Told(kept) => {
            kept.message.write(query, kept.age(now), limit, None, out);
        }
        Heard::Stale(kept) => {
            let why = ExtendedError {
                number: STALE,
                text: "nobody could tell anew",
            };
            kept.message
                .write_stale(query, STALE_FOR, limit, Some(&why), out);
        }
        Heard::Failed(failure) => {
            let (code, number) = (failure.code, failure.number);
            write_error(query, code, number, &failure.why, limit, out);
        }
    }
}

pub(super) fn write_error(
    query: &Query<'_>,
    code: u16,
    number: u16,
    text: &str,
    limit: usize,
    out: &mut Vec<u8>,
) {
    let reply = Reply {
        code,
        error: Some(ExtendedError { number, text }),
        ..Reply::default()
    };
    reply.write(query, limit, out);
}

/// Those that are of the type that was asked for.
pub(super) fn addresses<'a>(asked: u16, fixed: &[IpAddr]) -> Vec<OwnRecord<'a>> {
    let record = |address: &IpAddr| {
        let data = match address {
            IpAddr::V4(address) if asked == kind::A => OwnData::A(*address),
            IpAddr::V6(address) if asked == kind::AAAA => OwnData::Aaaa(*address),
            _ => return None,
        };
        Some(OwnRecord {
            ttl: FIXED_FOR,
            data,
        })
    };
    fixed.iter().filter_map(record).collect()
}
