//! Answers with fake addresses, and what is asked of such addresses.
//!
//! Invariant: a name that never had an address is written down before it is answered; see [`Fakes::give`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use pointsman_policy::Domain;
use pointsman_wire::dns::{OwnData, OwnRecord, Query, Reply, WireName, code, kind};

use crate::fake::{Fake, Fakes};

/// A name that is to be given an address.
#[derive(Clone, Debug)]
pub(super) struct Giving {
    pub(super) fakes: Arc<Fakes>,
    pub(super) name: Domain,
    /// How many seconds answers hold.
    pub(super) ttl: u32,
}

/// Appends the reply that tells a fake address.
pub(super) fn write(query: &Query<'_>, fake: Fake, ttl: u32, limit: usize, out: &mut Vec<u8>) {
    let data = match query.kind() {
        kind::A => fake.v4.map(OwnData::A),
        kind::AAAA => fake.v6.map(OwnData::Aaaa),
        _ => None,
    };
    let record = data.map(|data| OwnRecord { ttl, data });
    let reply = Reply {
        records: record.as_slice(),
        negative: record.is_none().then_some(ttl),
        ..Reply::default()
    };
    reply.write(query, limit, out);
}

/// Appends the reply to a query for the reverse name of a fake address; `false`: it is none.
pub(super) fn write_reverse(
    query: &Query<'_>,
    (fakes, ttl): (&Fakes, u32),
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    let Some(address) = reversed(&query.name()).filter(|it| fakes.hold(*it)) else {
        return false;
    };
    let name = fakes.name(address);
    let host = name
        .as_ref()
        .and_then(|name| WireName::from_text(name.as_str()));
    let record = host.as_ref().filter(|_| query.kind() == kind::PTR);
    let record = record.map(|host| OwnRecord {
        ttl,
        data: OwnData::Ptr(host),
    });
    let reply = Reply {
        code: match host {
            Some(_) => code::NO_ERROR,
            None => code::NX_DOMAIN,
        },
        records: record.as_slice(),
        negative: record.is_none().then_some(ttl),
        error: None,
    };
    reply.write(query, limit, out);
    true
}

/// The address whose reverse name it is (RFC 1035 §3.5, RFC 3596 §2.5).
fn reversed(name: &WireName) -> Option<IpAddr> {
    let mut labels: Vec<&[u8]> = name.labels().take(35).collect();
    let zone = (labels.pop()?, labels.pop()?);
    match (zone, labels.len()) {
        ((b"arpa", b"in-addr"), 4) => {
            let mut octets = [0; 4];
            for (octet, label) in octets.iter_mut().rev().zip(labels) {
                let text = std::str::from_utf8(label).ok()?;
                *octet = text.parse().ok().filter(|_| !text.starts_with('+'))?;
            }
            Some(Ipv4Addr::from(octets).into())
        }
        ((b"arpa", b"ip6"), 32) => {
            let mut bits = 0_u128;
            for label in labels.into_iter().rev() {
                let [digit] = label else {
                    return None;
                };
                bits = bits << 4 | u128::from(char::from(*digit).to_digit(16)?);
            }
            Some(Ipv6Addr::from_bits(bits).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names_are_read() {
        let check = |name: &str, expected: Option<&str>| {
            let name = WireName::from_text(name).unwrap();
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(reversed(&name), expected, "{name}");
        };
        check("7.1.18.198.in-addr.arpa", Some("198.18.1.7"));
        check("7.1.18.198.IN-ADDR.ARPA", Some("198.18.1.7"));
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.7.e.6.9.6.f.6.0.7.e.f.d.f.ip6.arpa";
        check(six, Some("fdfe:706f:696e:7400::1"));
        for none in [
            "1.18.198.in-addr.arpa",
            "256.1.18.198.in-addr.arpa",
            "x.1.18.198.in-addr.arpa",
            "arpa",
            "a.test",
            "1.ip6.arpa",
        ] {
            check(none, None);
        }
    }
}
