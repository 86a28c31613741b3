//! Queries and responses of DNS, as bytes (RFC 1035).
//!
//! Invariant: a response counts only when its number, its question and its kind are those of the query.
//! Absent: everything but A and AAAA.

use std::net::IpAddr;

use pointsman_wire::dns::{self, Ask, CLASS_IN, Lifetime, WireName, code, kind};

use crate::lookup::{Data, Question, Record, RecordType};

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// Records of the type asked for, at least one.
    Records(Vec<Record>),
    /// The name has none of that type, and for how many seconds that holds.
    NoData(u32),
    /// The name does not exist, and for how many seconds that holds.
    NoName(u32),
    /// The server refuses or is broken; another may answer.
    Failed(String),
    /// It did not fit: ask again over TCP.
    Truncated,
    /// Nobody was asked: there was no way to the server.
    Unreached(String),
    /// Nothing came in time.
    Silent,
}

impl Response {
    /// Whether it settles the question, so that no other server need be asked.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::Records(_) | Self::NoData(_) | Self::NoName(_))
    }
}

/// The bytes of a query with recursion desired.
pub(super) fn query(id: u16, question: &Question) -> Result<Vec<u8>, String> {
    let mut query = Vec::new();
    let ask = Ask {
        id,
        question: &wire(question)?,
        // Answers to these fit without: what does not is asked for over TCP.
        edns: None,
        authentic_data: false,
        checking_disabled: false,
    };
    ask.write(&mut query);
    Ok(query)
}

/// Reads a response; `None` where it is not the one to that query (it is passed over).
pub(super) fn response(bytes: &[u8], id: u16, question: &Question) -> Option<Response> {
    let response = dns::parse_response(bytes).ok()?;
    if !response.is_to(id, &wire(question).ok()?) {
        return None;
    }
    if response.is_truncated() {
        return Some(Response::Truncated);
    }
    let negative = match response.lifetime() {
        Lifetime::Negative(seconds) => seconds,
        // Without a statement: long enough to spare the server a burst, short enough to forget soon.
        Lifetime::Unstated | Lifetime::Records(_) | Lifetime::Failure => 10,
    };
    match response.code() {
        code::NO_ERROR => {}
        code::NX_DOMAIN => return Some(Response::NoName(negative)),
        code => {
            return Some(Response::Failed(format!(
                "the server says {}",
                code::name(code)
            )));
        }
    }
    let mut records: Vec<Record> = Vec::new();
    for (address, ttl) in response.addresses() {
        let (data, room) = (Data::from(address), records.len() < MAX_ADDRESSES);
        match records.iter_mut().find(|known| known.data == data) {
            Some(known) => known.ttl = known.ttl.min(ttl),
            None if room => records.push(Record { data, ttl }),
            None => {}
        }
    }
    Some(match records.is_empty() {
        true => Response::NoData(negative),
        false => Response::Records(records),
    })
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

/// Name, type and class as bytes of the wire.
fn wire(question: &Question) -> Result<Vec<u8>, String> {
    let name = &question.name;
    let Some(wire) = WireName::from_text(name.as_str()) else {
        return Err(format!("{name} cannot be asked for: it is too long"));
    };
    let kind = match question.kind {
        RecordType::A => kind::A,
        RecordType::Aaaa => kind::AAAA,
    };
    let numbers = [kind.to_be_bytes(), CLASS_IN.to_be_bytes()];
    Ok([wire.as_bytes(), numbers.as_flattened()].concat())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
    use hickory_proto::rr::{DNSClass, Name, RData, Record as Row, RecordType as Wire};
    use pointsman_policy::Domain;

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn asked(name: &str, kind: RecordType) -> Question {
        Question {
            name: domain(name),
            kind,
        }
    }

    fn a_record(address: [u8; 4], ttl: u32) -> Record {
        Record {
            data: Data::A(address.into()),
            ttl,
        }
    }

    fn reply(edit: impl FnOnce(&mut Message)) -> Vec<u8> {
        reply_for(RecordType::A, edit)
    }

    fn reply_for(kind: RecordType, edit: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(
            Name::from_ascii("a.test.").unwrap(),
            of_hickory(kind),
        ));
        edit(&mut message);
        message.to_vec().unwrap()
    }

    fn of_hickory(kind: RecordType) -> Wire {
        match kind {
            RecordType::A => Wire::A,
            RecordType::Aaaa => Wire::AAAA,
        }
    }

    fn record(name: &str, ttl: u32, data: RData) -> Row {
        Row::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
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
        let check = |bytes: &[u8], id, name, kind| response(bytes, id, &asked(name, kind));
        assert_eq!(
            check(&good, 7, "a.test", RecordType::A),
            Some(Response::Records(vec![a_record([1, 2, 3, 4], 60)]))
        );
        assert_eq!(check(&good, 8, "a.test", RecordType::A), None);
        assert_eq!(check(&good, 7, "b.test", RecordType::A), None);
        assert_eq!(check(&good, 7, "a.test", RecordType::Aaaa), None);
        assert_eq!(
            check(&good[..good.len() - 1], 7, "a.test", RecordType::A),
            None
        );
        assert_eq!(
            check(
                &query(7, &asked("a.test", RecordType::A)).unwrap(),
                7,
                "a.test",
                RecordType::A
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
        let expected = Response::Records(vec![a_record([1, 1, 1, 1], 5)]);
        assert_eq!(
            response(&bytes, 7, &asked("a.test", RecordType::A)),
            Some(expected)
        );
        let circle = reply(|m| {
            m.add_answer(record(
                "a.test.",
                60,
                RData::CNAME(CNAME(Name::from_ascii("a.test.").unwrap())),
            ));
        });
        let none = Response::NoData(10);
        assert_eq!(
            response(&circle, 7, &asked("a.test", RecordType::A)),
            Some(none)
        );
    }

    /// The data of CH and HS have the same numbers of types, and mean something else.
    #[test]
    fn records_of_other_classes_are_none() {
        let of = |class: DNSClass, data: RData| {
            let mut row = record("a.test.", 60, data);
            row.dns_class = class;
            row
        };
        let address = |last| RData::A(A(Ipv4Addr::new(1, 1, 1, last)));
        let alias = RData::CNAME(CNAME(Name::from_ascii("b.test.").unwrap()));
        let check = |rows: Vec<Row>, expected| {
            let bytes = reply(|m| m.answers = rows);
            let got = response(&bytes, 7, &asked("a.test", RecordType::A));
            assert_eq!(got, Some(expected));
        };
        for class in [DNSClass::CH, DNSClass::HS, DNSClass::ANY] {
            let strange = || of(class, address(9));
            check(vec![strange()], Response::NoData(10));
            let one = || Response::Records(vec![a_record([1, 1, 1, 1], 60)]);
            let rows = vec![strange(), of(DNSClass::IN, address(1))];
            check(rows, one());
            let rows = vec![of(class, alias.clone()), of(DNSClass::IN, address(1))];
            check(rows, one());
        }
        let mut asked_elsewhere = Message::new(7, MessageType::Response, OpCode::Query);
        let mut query = Query::query(Name::from_ascii("a.test.").unwrap(), Wire::A);
        query.set_query_class(DNSClass::CH);
        asked_elsewhere.add_query(query);
        let bytes = asked_elsewhere.to_vec().unwrap();
        let got = response(&bytes, 7, &asked("a.test", RecordType::A));
        assert_eq!(got, None);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_one() {
        let mapped = "::ffff:10.0.0.5".parse().unwrap();
        let bytes = reply_for(RecordType::Aaaa, |m| {
            m.add_answer(record("a.test.", 60, RData::AAAA(AAAA(mapped))));
        });
        let Some(Response::Records(records)) =
            response(&bytes, 7, &asked("a.test", RecordType::Aaaa))
        else {
            panic!("no answer");
        };
        let addresses: Vec<IpAddr> = records.iter().map(|one| one.data.address()).collect();
        assert_eq!(addresses, [IpAddr::from([10, 0, 0, 5])]);
    }

    #[test]
    fn an_answer_has_no_more_than_can_be_tried() {
        let bytes = reply(|m| {
            for n in 0..3_000_u32 {
                let address = Ipv4Addr::from_bits(0x0a00_0000 + n);
                m.add_answer(record("a.test.", 60, RData::A(A(address))));
            }
        });
        let Some(Response::Records(addresses)) =
            response(&bytes, 7, &asked("a.test", RecordType::A))
        else {
            panic!("no answer");
        };
        assert_eq!(addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn refusals_are_told_apart() {
        let code = |code| reply(|m| m.metadata.response_code = code);
        let of = |bytes: &[u8]| response(bytes, 7, &asked("a.test", RecordType::A));
        assert_eq!(
            of(&code(ResponseCode::NXDomain)),
            Some(Response::NoName(10))
        );
        assert!(matches!(
            of(&code(ResponseCode::ServFail)),
            Some(Response::Failed(_))
        ));
        assert_eq!(
            of(&reply(|m| m.metadata.truncation = true)),
            Some(Response::Truncated)
        );
    }

    #[test]
    fn what_is_not_there_is_told_apart_and_holds_as_the_zone_says() {
        let soa = |ttl: u32, minimum: u32| {
            let root = Name::from_ascii("test.").unwrap();
            let soa = SOA::new(root.clone(), root, 1, 3600, 600, 86400, minimum);
            record("test.", ttl, RData::SOA(soa))
        };
        let of = |code, row: Option<Row>| {
            let bytes = reply(|m| {
                m.metadata.response_code = code;
                m.authorities.extend(row);
            });
            response(&bytes, 7, &asked("a.test", RecordType::A))
        };
        // RFC 2308, 5: the lesser of the two.
        for (row, seconds) in [(Some(soa(60, 5)), 5), (Some(soa(4, 300)), 4), (None, 10)] {
            let no_name = of(ResponseCode::NXDomain, row.clone());
            assert_eq!(no_name, Some(Response::NoName(seconds)));
            let no_data = of(ResponseCode::NoError, row);
            assert_eq!(no_data, Some(Response::NoData(seconds)));
        }
    }
}
