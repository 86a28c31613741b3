//! Queries and answers of DNS, as bytes (RFC 1035).
//!
//! Invariant: an answer counts only when its number, its question and its kind are those of the query.
//! Absent: everything but A and AAAA.

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use pointsman_policy::Domain;

/// An address family, as a type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// A.
    V4,
    /// AAAA.
    V6,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Addresses, maybe none, and for how many seconds they hold.
    Addresses(Vec<IpAddr>, u32),
    /// The name does not exist.
    NoSuchName(u32),
    /// The server refuses or is broken; another may answer.
    Failed(String),
    /// It did not fit: ask again over TCP.
    Truncated,
    /// Nobody was asked: there was no way to the server.
    Unreached(String),
    /// Nothing came in time.
    Silent,
}

impl Answer {
    /// Whether it settles the question, so that no other server need be asked.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::Addresses(..) | Self::NoSuchName(_))
    }
}

/// The bytes of a query with recursion desired.
pub(super) fn query(id: u16, name: &Domain, family: Family) -> Result<Vec<u8>, String> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(fqdn(name)?, record_type(family)));
    message
        .to_vec()
        .map_err(|error| format!("the query cannot be written: {error}"))
}

/// Reads an answer; `None` where it is not the answer to that query (it is passed over).
pub(super) fn answer(bytes: &[u8], id: u16, name: &Domain, family: Family) -> Option<Answer> {
    let message = Message::from_vec(bytes).ok()?;
    let meta = &message.metadata;
    if meta.id != id || meta.message_type != MessageType::Response {
        return None;
    }
    let fqdn = fqdn(name).ok()?;
    // A server that refuses may leave the question out; one that answers may not.
    match message.queries.as_slice() {
        [only] if *only.name() == fqdn && only.query_type() == record_type(family) => {}
        [] if meta.response_code != ResponseCode::NoError => {}
        _ => return None,
    }
    if meta.truncation {
        return Some(Answer::Truncated);
    }
    match meta.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Some(Answer::NoSuchName(negative_ttl(&message))),
        code => return Some(Answer::Failed(format!("the server says {code}"))),
    }
    // Aliases are followed within the answer, as far as resolvers do.
    let mut owner = fqdn;
    for _ in 0..MAX_ALIASES {
        let alias = message
            .answers
            .iter()
            .find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == owner => Some(target.0.clone()),
                _ => None,
            });
        match alias {
            Some(target) => owner = target,
            None => break,
        }
    }
    let mut ttl = u32::MAX;
    let mut addresses = Vec::new();
    for record in message.answers.iter().filter(|record| record.name == owner) {
        let address = match (&record.data, family) {
            (RData::A(address), Family::V4) => IpAddr::V4(address.0),
            (RData::AAAA(address), Family::V6) => IpAddr::V6(address.0),
            _ => continue,
        };
        ttl = ttl.min(record.ttl);
        add(&mut addresses, address);
    }
    if addresses.is_empty() {
        ttl = negative_ttl(&message);
    }
    Some(Answer::Addresses(addresses, ttl))
}

/// One more address of a name: each once, and an IPv4 address in IPv6 as what it is, for rules and sockets alike.
pub(super) fn add(addresses: &mut Vec<IpAddr>, address: IpAddr) {
    let address = address.to_canonical();
    // A list of advertisers names each a thousand times in vain.
    if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
        addresses.push(address);
    }
}

/// More addresses of one name are not tried within the time of a dial.
pub(super) const MAX_ADDRESSES: usize = 64;

/// No server that means well has longer chains of aliases.
const MAX_ALIASES: usize = 16;

/// How long "there is none" holds (RFC 2308, 5), in seconds.
fn negative_ttl(message: &Message) -> u32 {
    let soa = message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
    // Without a statement: long enough to spare the server a burst, short enough to forget soon.
    soa.unwrap_or(10)
}

fn fqdn(name: &Domain) -> Result<Name, String> {
    let mut fqdn = Name::from_ascii(name.as_str())
        .map_err(|error| format!("{name} cannot be asked for: {error}"))?;
    fqdn.set_fqdn(true);
    Ok(fqdn)
}

fn record_type(family: Family) -> RecordType {
    match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, AAAA, CNAME};

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn reply(edit: impl FnOnce(&mut Message)) -> Vec<u8> {
        reply_for(Family::V4, edit)
    }

    fn reply_for(family: Family, edit: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(
            Name::from_ascii("a.test.").unwrap(),
            record_type(family),
        ));
        edit(&mut message);
        message.to_vec().unwrap()
    }

    fn record(name: &str, ttl: u32, data: RData) -> Record {
        Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
    }

    #[test]
    fn an_answer_must_be_the_querys() {
        let good = reply(|m| {
            m.add_answer(record(
                "a.test.",
                60,
                RData::A(A(Ipv4Addr::new(1, 2, 3, 4))),
            ));
        });
        let ip: IpAddr = "1.2.3.4".parse().unwrap();
        let check = |bytes: &[u8], id, name, family| answer(bytes, id, &domain(name), family);
        assert_eq!(
            check(&good, 7, "a.test", Family::V4),
            Some(Answer::Addresses(vec![ip], 60))
        );
        assert_eq!(check(&good, 8, "a.test", Family::V4), None);
        assert_eq!(check(&good, 7, "b.test", Family::V4), None);
        assert_eq!(check(&good, 7, "a.test", Family::V6), None);
        assert_eq!(
            check(&good[..good.len() - 1], 7, "a.test", Family::V4),
            None
        );
        assert_eq!(
            check(
                &query(7, &domain("a.test"), Family::V4).unwrap(),
                7,
                "a.test",
                Family::V4
            ),
            None
        );
    }

    #[test]
    fn aliases_are_followed_and_strangers_are_not() {
        let bytes = reply(|m| {
            m.add_answer(record(
                "evil.test.",
                60,
                RData::A(A(Ipv4Addr::new(6, 6, 6, 6))),
            ));
            m.add_answer(record(
                "a.test.",
                60,
                RData::CNAME(CNAME(Name::from_ascii("b.test.").unwrap())),
            ));
            m.add_answer(record("b.test.", 5, RData::A(A(Ipv4Addr::new(1, 1, 1, 1)))));
        });
        let expected = Answer::Addresses(vec!["1.1.1.1".parse().unwrap()], 5);
        assert_eq!(
            answer(&bytes, 7, &domain("a.test"), Family::V4),
            Some(expected)
        );
        let circle = reply(|m| {
            m.add_answer(record(
                "a.test.",
                60,
                RData::CNAME(CNAME(Name::from_ascii("a.test.").unwrap())),
            ));
        });
        let none = Answer::Addresses(vec![], 10);
        assert_eq!(
            answer(&circle, 7, &domain("a.test"), Family::V4),
            Some(none)
        );
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_one() {
        let mapped = "::ffff:10.0.0.5".parse().unwrap();
        let bytes = reply_for(Family::V6, |m| {
            m.add_answer(record("a.test.", 60, RData::AAAA(AAAA(mapped))));
        });
        let ten = IpAddr::from([10, 0, 0, 5]);
        assert_eq!(
            answer(&bytes, 7, &domain("a.test"), Family::V6),
            Some(Answer::Addresses(vec![ten], 60))
        );
    }

    #[test]
    fn an_answer_has_no_more_than_can_be_tried() {
        let bytes = reply(|m| {
            for n in 0..3_000_u32 {
                let address = Ipv4Addr::from_bits(0x0a00_0000 + n);
                m.add_answer(record("a.test.", 60, RData::A(A(address))));
            }
        });
        let Some(Answer::Addresses(addresses, _)) =
            answer(&bytes, 7, &domain("a.test"), Family::V4)
        else {
            panic!("no answer");
        };
        assert_eq!(addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn refusals_are_told_apart() {
        let code = |code| reply(|m| m.metadata.response_code = code);
        let of = |bytes: &[u8]| answer(bytes, 7, &domain("a.test"), Family::V4);
        assert_eq!(
            of(&code(ResponseCode::NXDomain)),
            Some(Answer::NoSuchName(10))
        );
        assert!(matches!(
            of(&code(ResponseCode::ServFail)),
            Some(Answer::Failed(_))
        ));
        assert_eq!(
            of(&reply(|m| m.metadata.truncation = true)),
            Some(Answer::Truncated)
        );
    }
}
