//! Queries and responses of DNS, as bytes (RFC 1035).
//!
//! Invariant: a response counts only when its number, its question and its kind are those of the query.

use std::sync::Arc;

use pointsman_wire::dns::{self, Ask, Cached, Edns, Lifetime, Response, code};

use super::question::WireQuestion;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// That there are such records, none of that type, or no such name; and for how many seconds that holds.
    Told(Arc<Cached>, u32),
    /// The server refuses or is broken; another may answer.
    Failed(Refusal),
    /// It did not fit: ask again over TCP.
    Truncated,
    /// Nobody was asked: there was no way to the server.
    Unreached(String),
    /// Nothing came in time.
    Silent,
}

/// Why a server did not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// Its code; `None`: it gave none.
    pub(super) code: Option<u16>,
    /// The number of its extended error, where it sent one (RFC 8914).
    pub(super) extended: Option<u16>,
}

impl From<String> for Refusal {
    /// What is no answer.
    fn from(why: String) -> Self {
        Self {
            why,
            code: None,
            extended: None,
        }
    }
}

impl Said {
    /// Whether it settles the question, so that no other server need be asked.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::Told(..))
    }

    /// The same from a cache on the way that had held it for so many seconds.
    pub(super) fn older(self, age: u32) -> Self {
        match self {
            Self::Told(message, seconds) if age > 0 => {
                let message = Cached::clone(&message).older(age);
                Self::Told(Arc::new(message), seconds.saturating_sub(age))
            }
            other => other,
        }
    }

    /// Whether the server may be one that does not know EDNS (RFC 6891 §6.2.2).
    pub(super) fn is_of_the_query(&self) -> bool {
        let code = match self {
            Self::Failed(refusal) => refusal.code,
            _ => None,
        };
        matches!(code, Some(code::FORM_ERR | code::NOT_IMP | code::BAD_VERS))
    }
}

/// How a server is asked (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdnsForm {
    /// As one that knows nothing of EDNS.
    None,
    Plain,
    /// Filled up to one of few lengths (RFC 7830), for whoever sees how long what is encrypted is.
    Padded,
}

/// The bytes of a query with recursion desired.
pub(super) fn query(id: u16, question: &WireQuestion, edns: EdnsForm) -> Vec<u8> {
    let mut query = Vec::new();
    let wishes = question.wishes();
    let ask = Ask {
        id,
        question: question.bytes(),
        edns: (edns != EdnsForm::None).then(|| Edns::ours(wishes.dnssec_ok)),
        is_padded: edns == EdnsForm::Padded,
        // Whether it checked signatures is for whoever asks later to know, too.
        authentic_data: true,
        checking_disabled: wishes.checking_disabled,
    };
    ask.write(&mut query);
    query
}

/// Reads a response; `None` where it is not the one to that query (it is passed over).
pub(super) fn response(bytes: &[u8], id: u16, question: &WireQuestion) -> Option<Said> {
    let response = dns::parse_response(bytes).ok()?;
    if !response.is_to(id, question.bytes()) {
        return None;
    }
    if response.is_truncated() {
        return Some(Said::Truncated);
    }
    let seconds = match response.lifetime() {
        Lifetime::Records(seconds) | Lifetime::Negative(seconds) => seconds.min(MOST),
        // Without a statement: long enough to spare the server a burst, short enough to forget soon.
        Lifetime::Unstated => UNSTATED,
        Lifetime::Failure => return Some(Said::Failed(refused(&response))),
    };
    Some(match Cached::new(&response, MOST) {
        Some(kept) => Said::Told(Arc::new(kept), seconds),
        // Its records cannot be read: as where it was cut.
        None => Said::Truncated,
    })
}

/// Whether bytes are of a response to that query, and cannot be read: damaged on the way, or longer than what was taken.
pub(super) fn is_garbled(bytes: &[u8], id: u16) -> bool {
    const RESPONSE: u8 = 0x80;
    let is_ours = bytes.first_chunk() == Some(&id.to_be_bytes());
    is_ours
        && bytes.get(2).is_some_and(|flags| flags & RESPONSE != 0)
        && dns::parse_response(bytes).is_err()
}

/// In seconds: a week, which is more than anybody keeps an answer.
const MOST: u32 = 604_800;
const UNSTATED: u32 = 10;

fn refused(response: &Response<'_>) -> Refusal {
    let code = response.code();
    let extended = response.extended_error();
    let text = extended.and_then(|(_, text)| std::str::from_utf8(text).ok());
    let text = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
    let why = match text {
        Some(text) => format!("the server says {}: {text}", code::name(code)),
        None => format!("the server says {}", code::name(code)),
    };
    Refusal {
        why,
        code: Some(code),
        extended: extended.map(|(number, _)| number),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
    use hickory_proto::rr::{DNSClass, Name, RData, Record as Row, RecordType as Wire};
    use pointsman_policy::Domain;
    use tokio::time::Instant;

    use super::*;
    use crate::lookup::{Answer, Data, Question, Record, RecordType};
    use crate::resolver::heard::{Heard, Kept, MAX_ADDRESSES};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn asked(name: &str, kind: RecordType) -> WireQuestion {
        let name = domain(name);
        WireQuestion::new(&Question { name, kind }).unwrap()
    }

    /// What a response comes to for whoever wants addresses.
    #[derive(Debug, PartialEq)]
    enum Read {
        Records(Vec<Record>),
        NoData(u32),
        NoName(u32),
        Other(Said),
    }

    fn read(bytes: &[u8], kind: RecordType) -> Option<Read> {
        let said = response(bytes, 7, &asked("a.test", kind))?;
        let Said::Told(message, seconds) = said else {
            return Some(Read::Other(said));
        };
        let since = Instant::now();
        let message = Arc::unwrap_or_clone(message);
        let question = asked("a.test", kind);
        let kept = Kept::new(message, (1, question.view()), since, seconds, "".into());
        let longest = Duration::from_secs(3600);
        Some(match Heard::Told(Arc::new(kept)).answer(longest) {
            Answer::Records { records, .. } => Read::Records(records.to_vec()),
            Answer::NoData { .. } => Read::NoData(seconds),
            Answer::NoName { .. } => Read::NoName(seconds),
            Answer::Failed(why) => panic!("{why}"),
        })
    }

    fn read_a(bytes: &[u8]) -> Option<Read> {
        read(bytes, RecordType::A)
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
        assert!(check(&good, 7, "a.test", RecordType::A).is_some());
        let records = vec![a_record([1, 2, 3, 4], 60)];
        assert_eq!(read_a(&good), Some(Read::Records(records)));
        assert_eq!(check(&good, 8, "a.test", RecordType::A), None);
        assert_eq!(check(&good, 7, "b.test", RecordType::A), None);
        assert_eq!(check(&good, 7, "a.test", RecordType::Aaaa), None);
        assert_eq!(
            check(&good[..good.len() - 1], 7, "a.test", RecordType::A),
            None
        );
        assert_eq!(
            check(
                &query(7, &asked("a.test", RecordType::A), EdnsForm::Plain),
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
        let expected = Read::Records(vec![a_record([1, 1, 1, 1], 5)]);
        assert_eq!(read_a(&bytes), Some(expected));
        let circle = reply(|m| {
            m.add_answer(record(
                "a.test.",
                60,
                RData::CNAME(CNAME(Name::from_ascii("a.test.").unwrap())),
            ));
        });
        let none = Read::NoData(10);
        assert_eq!(read_a(&circle), Some(none));
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
            let got = read_a(&bytes);
            assert_eq!(got, Some(expected));
        };
        for class in [DNSClass::CH, DNSClass::HS, DNSClass::ANY] {
            let strange = || of(class, address(9));
            check(vec![strange()], Read::NoData(10));
            let one = || Read::Records(vec![a_record([1, 1, 1, 1], 60)]);
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
        let got = read_a(&bytes);
        assert_eq!(got, None);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_one() {
        let mapped = "::ffff:10.0.0.5".parse().unwrap();
        let bytes = reply_for(RecordType::Aaaa, |m| {
            m.add_answer(record("a.test.", 60, RData::AAAA(AAAA(mapped))));
        });
        let Some(Read::Records(records)) = read(&bytes, RecordType::Aaaa) else {
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
        let Some(Read::Records(addresses)) = read_a(&bytes) else {
            panic!("no answer");
        };
        assert_eq!(addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn refusals_are_told_apart() {
        let code = |code| reply(|m| m.metadata.response_code = code);
        let of = |bytes: &[u8]| read_a(bytes);
        assert_eq!(of(&code(ResponseCode::NXDomain)), Some(Read::NoName(10)));
        assert!(matches!(
            of(&code(ResponseCode::ServFail)),
            Some(Read::Other(Said::Failed(_)))
        ));
        assert_eq!(
            of(&reply(|m| m.metadata.truncation = true)),
            Some(Read::Other(Said::Truncated))
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
            read_a(&bytes)
        };
        // RFC 2308, 5: the lesser of the two.
        for (row, seconds) in [(Some(soa(60, 5)), 5), (Some(soa(4, 300)), 4), (None, 10)] {
            let no_name = of(ResponseCode::NXDomain, row.clone());
            assert_eq!(no_name, Some(Read::NoName(seconds)));
            let no_data = of(ResponseCode::NoError, row);
            assert_eq!(no_data, Some(Read::NoData(seconds)));
        }
    }
}
