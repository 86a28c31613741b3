//! What is answered where a rule says so.

use std::net::{Ipv4Addr, Ipv6Addr};

use pointsman_spec::dns::{BLOCKED, DnsEnd};
use pointsman_wire::dns::{ExtendedError, OwnData, OwnRecord, Query, Reply, code, kind};

use super::counts::Became;

/// How long it holds that a rule refuses a name, in seconds: whoever changes the rule wants to see it.
const BLOCKED_FOR: u32 = 10;

/// What a rule says is answered, and why; nothing is written where it is dropped.
pub(super) fn refuse(
    query: &Query<'_>,
    end: DnsEnd,
    why: &str,
    limit: usize,
    out: &mut Vec<u8>,
) -> Became {
    let zero = match query.kind() {
        kind::A => Some(OwnData::A(Ipv4Addr::UNSPECIFIED)),
        kind::AAAA => Some(OwnData::Aaaa(Ipv6Addr::UNSPECIFIED)),
        _ => None,
    };
    let zero = zero.filter(|_| end == DnsEnd::Zero);
    let zero = zero.map(|data| OwnRecord {
        ttl: BLOCKED_FOR,
        data,
    });
    let code = match end {
        DnsEnd::Drop => return Became::Dropped,
        DnsEnd::Refused => code::REFUSED,
        DnsEnd::NoName => code::NX_DOMAIN,
        DnsEnd::Ask(_)
        | DnsEnd::Fake
        | DnsEnd::Follow
        | DnsEnd::NoData
        | DnsEnd::Pass
        | DnsEnd::Zero => code::NO_ERROR,
    };
    let is_negative = zero.is_none() && code != code::REFUSED;
    let reply = Reply {
        code,
        records: zero.as_slice(),
        negative: is_negative.then_some(BLOCKED_FOR),
        error: Some(ExtendedError {
            number: BLOCKED,
            text: why,
        }),
    };
    reply.write(query, limit, out);
    Became::Here
}
