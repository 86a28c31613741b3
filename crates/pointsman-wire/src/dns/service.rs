//! Records of services (SVCB and HTTPS, RFC 9460) of a name that a fake address stands for: without what leads past it.
//!
//! Invariant: what is left names no address and no other host; all else of it is as it came.

use super::own::{ASKED, write_opt, write_soa};
use super::{CLASS_IN, Cached, Query, Section, code, flag, kind, put, u16_at};

/// Parameters that are addresses of the host (RFC 9460 §7.3), and the one that lists those that must be understood (§8).
const MANDATORY: u16 = 0;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// How long it holds that there is no such record, in seconds, where those there are all lead elsewhere.
const NONE_FOR: u32 = 60;

impl Cached {
    /// As [`Cached::write`], of the name's services: each as one of the name itself, without hints of addresses and without
    /// those that name another host. Where it has none of these, as it is.
    pub fn write_services(
        &self,
        query: &Query<'_>,
        age: u32,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let is_service = |kind: u16| matches!(kind, kind::SVCB | kind::HTTPS);
        let response = self.response().filter(|_| is_service(query.kind()));
        let Some(response) = response else {
            return self.write(query, age, limit, None, out);
        };
        let answers = response.records();
        let services = answers.filter(|it| {
            it.section == Section::Answer && it.class == CLASS_IN && is_service(it.kind)
        });
        let mut services = services.peekable();
        if services.peek().is_none() {
            return self.write(query, age, limit, None, out);
        }
        let begin = out.len();
        let asked = query.flags() & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
        let flags = flag::RESPONSE | flag::RECURSION_AVAILABLE | asked;
        for number in [query.id(), flags, 1, 0, 0, 0] {
            out.extend(number.to_be_bytes());
        }
        out.extend_from_slice(query.question());
        let mut count: u16 = 0;
        for service in services {
            let data = response.bytes().get(service.data.clone()).unwrap_or(&[]);
            let Some(parameters) = of_itself(data) else {
                continue;
            };
            out.extend(ASKED);
            out.extend(service.kind.to_be_bytes());
            out.extend(CLASS_IN.to_be_bytes());
            out.extend(service.ttl.saturating_sub(age).to_be_bytes());
            let length_at = out.len();
            out.extend([0, 0]);
            // The priority, and the name itself.
            out.extend_from_slice(data.get(..2).unwrap_or(&[0, 1]));
            out.push(0);
            without_addresses(parameters, out);
            let length = u16::try_from(out.len() - length_at - 2).unwrap_or(0);
            put(out, length_at, &length.to_be_bytes());
            count = count.saturating_add(1);
        }
        put(out, begin + 6, &count.to_be_bytes());
        if count == 0 {
            put(out, begin + 8, &1_u16.to_be_bytes());
            write_soa(NONE_FOR, out);
        }
        write_opt(query, code::NO_ERROR, None, begin, limit, out)
    }
}

/// The parameters of a service whose host is the name itself; `None`: of another, or an alias (RFC 9460 §2.4).
fn of_itself(data: &[u8]) -> Option<&[u8]> {
    let priority = u16_at(data, 0)?;
    let is_itself = data.get(2) == Some(&0);
    data.get(3..).filter(|_| priority != 0 && is_itself)
}

/// Parameters as they are but for those that are addresses; what cannot be read is left out.
fn without_addresses(mut parameters: &[u8], out: &mut Vec<u8>) {
    let is_address = |key: u16| matches!(key, IPV4_HINT | IPV6_HINT);
    while let (Some(key), Some(length)) = (u16_at(parameters, 0), u16_at(parameters, 2)) {
        let Some((parameter, behind)) = parameters.split_at_checked(4 + usize::from(length)) else {
            return;
        };
        parameters = behind;
        match key {
            key if is_address(key) => {}
            MANDATORY => {
                let keys = parameter[4..].chunks_exact(2);
                let left = keys.filter(|key| !u16_at(key, 0).is_some_and(is_address));
                let left: Vec<u8> = left.flatten().copied().collect();
                let length = u16::try_from(left.len()).unwrap_or(0);
                if length > 0 {
                    out.extend(key.to_be_bytes());
                    out.extend(length.to_be_bytes());
                    out.extend(left);
                }
            }
            _ => out.extend_from_slice(parameter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{parse_query, parse_response};

    const NAME: &[u8] = b"\x01a\x04test\0";

    fn query(kind: u16) -> Vec<u8> {
        let mut query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        query.extend_from_slice(NAME);
        query.extend(kind.to_be_bytes());
        query.extend(CLASS_IN.to_be_bytes());
        query
    }

    /// The data of the services that are left of these.
    fn left(services: &[&[u8]]) -> Vec<Vec<u8>> {
        let asked = query(kind::HTTPS);
        let mut message = asked.clone();
        message[2] |= 0x80;
        message[7] = u8::try_from(services.len()).unwrap() + 1;
        // An alias comes first: `a.test CNAME b.a.test`.
        message.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0c");
        let alias = u16::try_from(message.len() - 4).unwrap();
        for data in services {
            message.extend((0xc000 | alias).to_be_bytes());
            message.extend(kind::HTTPS.to_be_bytes());
            message.extend_from_slice(b"\0\x01\0\0\0\x3c");
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend_from_slice(data);
        }
        let kept = Cached::new(&parse_response(&message).unwrap(), 600).unwrap();
        let query = parse_query(&asked).unwrap();
        let mut out = b"before".to_vec();
        assert!(kept.write_services(&query, 20, 1232, &mut out));
        let reply = parse_response(&out[6..]).unwrap();
        assert_eq!(reply.question(), query.question());
        let mut data = Vec::new();
        for record in reply.records() {
            match record.section {
                Section::Answer => {
                    assert_eq!((record.kind, record.ttl), (kind::HTTPS, 40));
                    data.push(reply.bytes()[record.data].to_vec());
                }
                Section::Authority => assert_eq!(record.kind, kind::SOA),
                Section::Additional => panic!("nothing more"),
            }
        }
        data
    }

    #[test]
    fn hints_and_other_hosts_are_left_out() {
        let alpn: &[u8] = b"\0\x01\0\x03\x02h2";
        let hints: &[u8] =
            b"\0\x04\0\x04\xc0\0\x02\x01\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        let join = |parts: &[&[u8]]| parts.concat();
        let itself: &[u8] = b"\0\x01\0";
        let plain = join(&[itself, alpn]);
        assert_eq!(
            left(&[&join(&[itself, alpn, hints])]),
            std::slice::from_ref(&plain)
        );
        // The key that must be understood is gone, too.
        let both = join(&[itself, b"\0\0\0\x04\0\x01\0\x04", alpn, hints]);
        let one = join(&[itself, b"\0\0\0\x02\0\x01", alpn]);
        assert_eq!(left(&[&both]), [one]);
        let hint = join(&[itself, b"\0\0\0\x02\0\x04", hints]);
        assert_eq!(left(&[&hint]), [itself.to_vec()]);
        // An alias, and another host.
        let alias: &[u8] = b"\0\0\x01c\x04test\0";
        let other = join(&[b"\0\x01\x01c\x04test\0", alpn]);
        assert_eq!(left(&[alias]), [] as [Vec<u8>; 0]);
        let itself_alone = std::slice::from_ref(&plain);
        assert_eq!(left(&[&other, &plain]), itself_alone);
        // What breaks off says nothing.
        assert_eq!(left(&[&join(&[&plain, b"\0\x04\0\x04\xc0"])]), [plain]);
    }
}
