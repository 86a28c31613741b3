//! Where an answer leads: addresses, and other names, in whatever record they stand.
//!
//! Invariant: what is malformed is passed over; bounded as [`Response::addresses`] is, and allocates nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Record, Response, WireName, kind, u16_at};

/// Keys of a service's parameters (RFC 9460 §14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

impl Response<'_> {
    /// Calls `each` with every address in its answer, also with those that are hints of services (RFC 9460 §7.3).
    pub fn each_target(&self, each: &mut impl FnMut(IpAddr)) {
        for record in self.answers() {
            let data = self.bytes().get(record.data.clone()).unwrap_or(&[]);
            match record.kind {
                kind::A => v4(data, each),
                kind::AAAA => v6(data, each),
                kind::HTTPS | kind::SVCB => self.hints(&record, each),
                _ => {}
            }
        }
    }

    /// Calls `each` with every name that its answer says a name is another one for: canonical names, and services that
    /// are to be found elsewhere (RFC 9460 §2.4.2).
    pub fn each_alias(&self, each: &mut impl FnMut(WireName)) {
        for record in self.answers() {
            let at = match record.kind {
                kind::CNAME => record.data.start,
                kind::HTTPS | kind::SVCB => record.data.start + 2,
                _ => continue,
            };
            let lies = at < record.data.end;
            if let Some(name) = WireName::read(self.bytes(), at).filter(|_| lies)
                && name.as_bytes().len() > 1
            {
                each(name);
            }
        }
    }

    fn hints(&self, record: &Record, each: &mut impl FnMut(IpAddr)) {
        let Some(behind) = WireName::skip(self.bytes(), record.data.start + 2) else {
            return;
        };
        let mut parameters = self.bytes().get(behind..record.data.end).unwrap_or(&[]);
        while let (Some(key), Some(length)) = (u16_at(parameters, 0), u16_at(parameters, 2)) {
            let value = parameters.get(4..).unwrap_or(&[]);
            let Some((value, rest)) = value.split_at_checked(usize::from(length)) else {
                return;
            };
            match key {
                IPV4_HINT => value.chunks(4).for_each(|one| v4(one, each)),
                IPV6_HINT => value.chunks(16).for_each(|one| v6(one, each)),
                _ => {}
            }
            parameters = rest;
        }
    }
}

fn v4(data: &[u8], each: &mut impl FnMut(IpAddr)) {
    if let Ok(octets) = <[u8; 4]>::try_from(data) {
        each(Ipv4Addr::from(octets).into());
    }
}

fn v6(data: &[u8], each: &mut impl FnMut(IpAddr)) {
    if let Ok(octets) = <[u8; 16]>::try_from(data) {
        // An address of IPv4 that is written so is one here.
        each(IpAddr::from(Ipv6Addr::from(octets)).to_canonical());
    }
}
