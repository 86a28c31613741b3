//! Messages of DNS: what is read and what is written, with hickory as the second reader.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, MessageType, OpCode, Query as HickoryQuery, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record as Row, RecordType};

use super::*;
use crate::fuzz_checks::check_dns;
use crate::{Parse, WhyNot};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn question(text: &str, kind: u16) -> Vec<u8> {
    let mut bytes = wire(text);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// The bytes of a name in the case that is given.
fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

fn query(text: &str, kind: u16) -> Vec<u8> {
    asked(text, kind, Some(Edns::ours(false)), [true, false])
}

/// A query without EDNS, which does not ask of signatures either.
fn plain(text: &str, kind: u16) -> Vec<u8> {
    asked(text, kind, None, [false, false])
}

fn asked(text: &str, kind: u16, edns: Option<Edns>, wishes: [bool; 2]) -> Vec<u8> {
    let [authentic_data, checking_disabled] = wishes;
    let mut bytes = Vec::new();
    let ask = Ask {
        id: 7,
        question: &question(text, kind),
        edns,
        is_padded: false,
        authentic_data,
        checking_disabled,
    };
    ask.write(&mut bytes);
    bytes
}

fn response(edit: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.add_query(HickoryQuery::query(name("www.a.test."), RecordType::A));
    edit(&mut message);
    message.to_vec().unwrap()
}

fn row(owner: &str, ttl: u32, data: RData) -> Row {
    Row::from_rdata(name(owner), ttl, data)
}

fn address(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

fn alias(to: &str) -> RData {
    RData::CNAME(CNAME(name(to)))
}

fn soa(minimum: u32) -> RData {
    RData::SOA(SOA::new(name("ns."), name("m."), 1, 2, 3, 4, minimum))
}

/// Inputs of the fuzz target: of each kind one.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let chain = response(|it| {
        it.add_answer(row("www.a.test.", 60, alias("b.test.")));
        it.add_answer(row("b.test.", 30, address(1)));
    });
    let negative = response(|it| {
        it.metadata.response_code = ResponseCode::NXDomain;
        it.add_authority(row("test.", 60, soa(5)));
    });
    let mut looped = response(|it| {
        it.add_answer(row("www.a.test.", 60, address(1)));
    });
    let at = looped.len() - 16;
    looped[at..at + 2].copy_from_slice(&[0xc0, u8::try_from(at).unwrap()]);
    vec![
        ("query", query("www.a.test", kind::A)),
        ("query-plain", plain("www.a.test", kind::HTTPS)),
        ("chain", chain),
        ("negative", negative),
        ("looped", looped),
    ]
}

#[test]
fn seeds_keep_the_promises() {
    for (_, seed) in seeds() {
        check_dns(&seed);
    }
}

#[test]
fn names() {
    let read = |bytes: &[u8], at| WireName::read(bytes, at).map(|it| it.to_string());
    assert_eq!(read(&wire("Www.A.test"), 0).as_deref(), Some("www.a.test"));
    assert_eq!(read(&[0], 0).as_deref(), Some("."));
    assert_eq!(
        read(b"\x04a.b\\\x02\xff \x00", 0).as_deref(),
        Some("a\\.b\\\\.\\255\\032")
    );
    // `b` and a pointer to the name before.
    let pointed = [wire("a.test"), b"\x01b\xc0\x00".to_vec()].concat();
    assert_eq!(read(&pointed, 8).as_deref(), Some("b.a.test"));
    assert_eq!(WireName::skip(&pointed, 8), Some(12));
    for (bytes, at, why) in [
        (&b"\xc0\x00"[..], 0, "to itself"),
        (b"\xc0\x02\x01a\x00", 0, "forwards"),
        (b"\x01a\xc0\x00", 0, "in a circle"),
        (b"\x40a", 0, "a kind of label that nobody has"),
        (b"\x02a", 0, "cut"),
        (b"\x01a", 0, "without an end"),
        (b"\xc0", 0, "half a pointer"),
        (b"", 0, "nothing"),
    ] {
        assert_eq!(read(bytes, at), None, "{why}");
    }
    let long = |labels: usize| [[63; 64].repeat(labels), vec![0]].concat();
    assert!(WireName::read(&long(3), 0).is_some());
    assert!(WireName::read(&long(4), 0).is_none(), "257 bytes");
    assert_eq!(WireName::skip(&long(4), 0), None);
    let longest = [long(3)[..192].to_vec(), wire(&"x".repeat(61))].concat();
    assert_eq!(longest.len(), MAX_NAME);
    assert!(WireName::read(&longest, 0).is_some());
}

/// A message may be a chain of pointers, and every owner in it begin at the chain's end.
#[test]
fn chains_of_pointers_cost_no_more_than_names() {
    let chain = |pointers: usize| {
        let mut bytes = wire("a");
        let mut last = 0;
        for _ in 0..pointers {
            let at = u16::try_from(bytes.len()).unwrap();
            bytes.extend((0xc000_u16 | last).to_be_bytes());
            last = at;
        }
        WireName::read(&bytes, usize::from(last)).is_some()
    };
    assert!(chain(32));
    assert!(!chain(33) && !chain(8_000));
    let bytes = response(|it| {
        for last in 0..600_u16 {
            it.add_answer(row(
                "www.a.test.",
                60,
                address(u8::try_from(last % 256).unwrap()),
            ));
        }
    });
    let looked_at = parse_response(&bytes).unwrap().addresses().len();
    assert_eq!(looked_at, 512);
}

#[test]
fn the_end_of_a_name_that_a_host_may_have() {
    let mut host = String::from("left from before");
    for (bytes, expected) in [
        (wire("_sip._tcp.A.test"), "_sip._tcp.a.test"),
        (wire("*.a.test"), "a.test"),
        (b"\x03x.y\x01a\x04test\x00".to_vec(), "a.test"),
        (b"\x01a\x01\xff\x00".to_vec(), ""),
        (vec![0], ""),
    ] {
        WireName::read(&bytes, 0).unwrap().write_host(&mut host);
        assert_eq!(host, expected, "{bytes:?}");
    }
}

#[test]
fn names_from_text() {
    let text = |text: &str| WireName::from_text(text).map(|it| it.to_string());
    assert_eq!(text("A.Test.").as_deref(), Some("a.test"));
    assert_eq!(text("").as_deref(), Some("."));
    for wrong in ["a..b", ".a", &"x".repeat(64), &"abc.".repeat(64)] {
        assert_eq!(text(wrong), None, "{wrong}");
    }
}

#[test]
fn queries() {
    let bytes = query("WwW.a.Test", kind::HTTPS);
    let read = parse_query(&bytes).unwrap();
    assert_eq!((read.id(), read.kind()), (7, kind::HTTPS));
    assert_eq!(read.question(), question("WwW.a.Test", kind::HTTPS));
    assert_eq!(read.name().to_string(), "www.a.test");
    let edns = Edns {
        payload: 1232,
        dnssec_ok: false,
    };
    assert_eq!(read.edns(), Some(edns));
    assert_eq!(read.datagram_limit(), 1232);
    let bytes = plain("a.test", kind::A);
    let read = parse_query(&bytes).unwrap();
    assert_eq!((read.edns(), read.datagram_limit()), (None, 512));
    let signed = asked("a.test", kind::A, Some(Edns::ours(true)), [true, true]);
    let read = parse_query(&signed).unwrap();
    assert!(read.dnssec_ok() && read.checking_disabled());
}

#[test]
fn what_is_no_query_gets_its_code() {
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = query("a.test", kind::A);
        edit(&mut bytes);
        parse_query(&bytes).err()
    };
    let code = |code| Some(Unanswerable::Code(code));
    let silent = Some(Unanswerable::Silent);
    let question_end = HEADER + 12;
    assert_eq!(edited(&|_| ()), None);
    assert_eq!(edited(&|it| it.truncate(11)), silent);
    assert_eq!(edited(&|it| it.clear()), silent);
    assert_eq!(edited(&|it| it[2] |= 0x80), silent, "a response");
    assert_eq!(
        edited(&|it| it[2] |= 0x28),
        code(code::NOT_IMP),
        "an update"
    );
    assert_eq!(edited(&|it| it[2] |= 0x02), code(code::FORM_ERR), "cut");
    assert_eq!(edited(&|it| it[5] = 0), code(code::FORM_ERR), "no question");
    assert_eq!(edited(&|it| it[5] = 2), code(code::FORM_ERR), "two");
    assert_eq!(edited(&|it| it[7] = 1), code(code::FORM_ERR), "an answer");
    assert_eq!(
        edited(&|it| it[11] = 2),
        code(code::FORM_ERR),
        "too few records"
    );
    assert_eq!(
        edited(&|it| it.push(0)),
        code(code::FORM_ERR),
        "a byte too many"
    );
    assert_eq!(
        edited(&|it| it[12] = 0xc0),
        code(code::FORM_ERR),
        "a pointer"
    );
    let class = question_end - 1;
    assert_eq!(edited(&|it| it[class] = 3), code(code::REFUSED), "Chaos");
    let kind = question_end - 3;
    for (number, expected) in [
        (0, code::FORM_ERR),
        (41, code::FORM_ERR),
        (249, code::FORM_ERR),
        (251, code::REFUSED),
        (252, code::REFUSED),
        (254, code::FORM_ERR),
    ] {
        assert_eq!(edited(&|it| it[kind] = number), code(expected), "{number}");
    }
    assert_eq!(edited(&|it| it[kind] = 255), None, "ANY is a question");
    let version = question_end + 6;
    assert_eq!(edited(&|it| it[version] = 1), code(code::BAD_VERS));
    assert_eq!(edited(&|it| it[question_end] = 1), code(code::FORM_ERR));
    let twice = edited(&|it| {
        it[11] = 2;
        it.extend_from_within(question_end..);
    });
    assert_eq!(twice, code(code::FORM_ERR), "two OPT records");
}

#[test]
fn refusals_are_read_by_others() {
    let mut bytes = query("a.test", kind::A);
    bytes[2] |= 0x28;
    let mut out = Vec::new();
    write_refusal(&bytes, code::NOT_IMP, &mut out);
    let read = Message::from_vec(&out).unwrap();
    assert_eq!(read.metadata.response_code, ResponseCode::NotImp);
    assert_eq!((read.metadata.id, read.queries.len()), (7, 0));
    out.clear();
    write_refusal(&query("a.test", kind::AXFR), code::REFUSED, &mut out);
    let read = Message::from_vec(&out).unwrap();
    assert_eq!(read.metadata.response_code, ResponseCode::Refused);
    assert_eq!(read.queries[0].name(), &name("a.test."));
    out.clear();
    write_refusal(&query("a.test", kind::A), code::BAD_VERS, &mut out);
    assert_eq!(parse_response(&out).unwrap().code(), code::BAD_VERS);
    out.clear();
    write_refusal(b"abc", code::FORM_ERR, &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_response_is_to_its_query() {
    let bytes = response(|it| {
        it.add_answer(row("www.a.test.", 60, address(1)));
    });
    let read = parse_response(&bytes).unwrap();
    assert!(read.is_to(7, &question("wWw.A.test", kind::A)));
    assert!(!read.is_to(8, &question("www.a.test", kind::A)));
    assert!(!read.is_to(7, &question("www.b.test", kind::A)));
    assert!(!read.is_to(7, &question("www.a.test", kind::AAAA)));
    // 0x41 and 0x61 are a letter in two cases, but two types.
    assert!(!read.is_to(7, &[&wire("www.a.test")[..], &[0, 1, 0, 33]].concat()));
    let nameless = |code: ResponseCode| {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.metadata.response_code = code;
        message.to_vec().unwrap()
    };
    let question = question("www.a.test", kind::A);
    let refused = nameless(ResponseCode::Refused);
    assert!(parse_response(&refused).unwrap().is_to(7, &question));
    for telling in [ResponseCode::NoError, ResponseCode::NXDomain] {
        let telling = nameless(telling);
        assert!(!parse_response(&telling).unwrap().is_to(7, &question));
    }
    assert_eq!(
        parse_response(&query("a.test", kind::A)).err(),
        Some(WhyNot::AnotherProtocol)
    );
    assert!(parse_response(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn how_long_it_holds() {
    let of = |edit: &dyn Fn(&mut Message)| {
        let bytes = response(edit);
        parse_response(&bytes).unwrap().lifetime()
    };
    let least = of(&|it| {
        it.add_answer(row("www.a.test.", 60, alias("b.test.")));
        it.add_answer(row("b.test.", 30, address(1)));
    });
    assert_eq!(least, Lifetime::Records(30));
    let no_data = of(&|it| {
        it.add_authority(row("test.", 60, soa(90)));
    });
    assert_eq!(no_data, Lifetime::Negative(60));
    let no_name = of(&|it| {
        it.metadata.response_code = ResponseCode::NXDomain;
        it.add_answer(row("www.a.test.", 3, alias("b.test.")));
        it.add_authority(row("test.", 60, soa(5)));
    });
    assert_eq!(no_name, Lifetime::Negative(3), "the alias holds no longer");
    assert_eq!(of(&|_| ()), Lifetime::Unstated);
    let failed = of(&|it| it.metadata.response_code = ResponseCode::ServFail);
    assert_eq!(failed, Lifetime::Failure);
    let endless = of(&|it| {
        it.add_answer(row("www.a.test.", 0x8000_0001, address(1)));
    });
    assert_eq!(endless, Lifetime::Records(0));
}

#[test]
fn addresses_along_aliases() {
    let of = |edit: &dyn Fn(&mut Message)| {
        let bytes = response(edit);
        parse_response(&bytes).unwrap().addresses()
    };
    let one = (Ipv4Addr::new(192, 0, 2, 1).into(), 30);
    let found = of(&|it| {
        it.add_answer(row("evil.test.", 60, address(9)));
        it.add_answer(row("b.test.", 90, address(1)));
        it.add_answer(row("www.a.test.", 30, alias("B.test.")));
    });
    assert_eq!(found, [one]);
    let circle = of(&|it| {
        it.add_answer(row("www.a.test.", 30, alias("www.a.test.")));
    });
    assert!(circle.is_empty());
    let mut chaos = row("www.a.test.", 30, address(9));
    chaos.dns_class = DNSClass::CH;
    let found = of(&|it| {
        it.add_answer(chaos.clone());
        it.add_answer(row("www.a.test.", 30, address(1)));
    });
    assert_eq!(found, [one]);
}

/// What was kept is what the server sent, but for the header, the spelling, the times and the OPT record.
#[test]
fn what_is_kept_is_sent_as_it_came() {
    let bytes = response(|it| {
        it.metadata.authoritative = true;
        it.metadata.authentic_data = true;
        it.add_answer(row("www.a.test.", 60, alias("b.test.")));
        it.add_answer(row("b.test.", 90_000, address(1)));
        it.add_authority(row("test.", 7, soa(5)));
        it.add_additional(row("ns.test.", 8, address(2)));
        it.edns = Some(hickory_proto::op::Edns::new());
    });
    let kept = Cached::new(&parse_response(&bytes).unwrap(), 86_400).unwrap();
    assert_eq!(kept.code(), code::NO_ERROR);
    assert!(kept.size() < 250, "{}", kept.size());
    let asked = query("wwW.A.test", kind::A);
    let mut out = b"behind this".to_vec();
    let begin = out.len();
    assert!(kept.write(&parse_query(&asked).unwrap(), 5, 1232, None, &mut out));
    let read = Message::from_vec(&out[begin..]).unwrap();
    let times = |rows: &[Row]| rows.iter().map(|it| it.ttl).collect::<Vec<_>>();
    assert_eq!(times(&read.answers), [55, 86_395]);
    assert_eq!(
        (times(&read.authorities), times(&read.additionals)),
        (vec![2], vec![3])
    );
    assert_eq!(read.answers[1].data, address(1));
    let meta = &read.metadata;
    assert!(meta.recursion_available && meta.recursion_desired);
    assert!(!meta.authoritative, "that is not ours to say");
    assert!(meta.authentic_data, "it was asked for");
    assert_eq!(read.edns.unwrap().max_payload(), 1232);
    assert_eq!(out[begin + HEADER..][..16], question("wwW.A.test", kind::A));
    // Nobody asked for signatures, and nobody speaks EDNS.
    let asked = plain("www.a.test", kind::A);
    out.clear();
    assert!(kept.write(&parse_query(&asked).unwrap(), 0, 512, None, &mut out));
    let read = Message::from_vec(&out).unwrap();
    assert!(!read.metadata.authentic_data && read.edns.is_none());
    // Of the server's message nothing else changed.
    let (own, theirs) = (&out[HEADER..], &bytes[HEADER..]);
    let differ = own.iter().zip(theirs).filter(|(own, theirs)| own != theirs);
    assert!(differ.count() <= 4, "the time above the longest");
    out.clear();
    let stale = parse_query(&asked).unwrap();
    let why = ExtendedError {
        number: 3,
        text: "",
    };
    assert!(kept.write_stale(&stale, 30, 512, Some(&why), &mut out));
    assert_eq!(times(&Message::from_vec(&out).unwrap().answers), [30, 30]);
}

#[test]
fn what_does_not_fit_is_cut() {
    let bytes = response(|it| {
        for last in 0..100 {
            it.add_answer(row("www.a.test.", 60, address(last)));
        }
    });
    let kept = Cached::new(&parse_response(&bytes).unwrap(), 60).unwrap();
    for asked in [query("www.a.test", kind::A), plain("www.a.test", kind::A)] {
        let asked = parse_query(&asked).unwrap();
        let mut out = Vec::new();
        assert!(!kept.write(&asked, 0, asked.datagram_limit(), None, &mut out));
        let read = parse_response(&out).unwrap();
        assert!(read.is_truncated() && out.len() <= 40);
        assert!(read.is_to(7, asked.question()));
        assert_eq!(Cached::new(&read, 60), None, "nothing that was cut is kept");
        out.clear();
        assert!(kept.write(&asked, 0, MAX_MESSAGE, None, &mut out));
        assert_eq!(Message::from_vec(&out).unwrap().answers.len(), 100);
    }
}

#[test]
fn the_longest_message_is_sent_without_what_is_ours() {
    let asked = query("www.a.test", kind::A);
    let asked = parse_query(&asked).unwrap();
    let mut bytes = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    bytes.extend_from_slice(asked.question());
    let data = MAX_MESSAGE - bytes.len() - 12;
    bytes.extend([0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 60]);
    bytes.extend(u16::try_from(data).unwrap().to_be_bytes());
    bytes.resize(MAX_MESSAGE, 1);
    let kept = Cached::new(&parse_response(&bytes).unwrap(), 60).unwrap();
    let mut out = Vec::new();
    assert!(kept.write(&asked, 0, MAX_MESSAGE, None, &mut out));
    assert_eq!(
        (out.len(), &out[6..12]),
        (MAX_MESSAGE, &[0, 1, 0, 0, 0, 0][..])
    );
    out.clear();
    assert!(!kept.write(&asked, 0, 1232, None, &mut out));
    assert!(parse_response(&out).unwrap().is_truncated());
}

#[test]
fn replies_of_our_own() {
    let asked = query("1.2.0.192.in-addr.arpa", kind::PTR);
    let asked = parse_query(&asked).unwrap();
    let host = WireName::from_text("nas.lan").unwrap();
    let data = [
        OwnData::A(Ipv4Addr::LOCALHOST),
        OwnData::Aaaa(Ipv6Addr::LOCALHOST),
        OwnData::Ptr(&host),
        OwnData::HostInfo,
    ];
    let records = data.map(|data| OwnRecord { ttl: 9, data });
    let reply = Reply {
        code: code::NX_DOMAIN,
        records: &records,
        negative: Some(10),
        error: Some(ExtendedError {
            number: 15,
            text: "ads.txt:7 blocks it",
        }),
    };
    let mut out = Vec::new();
    assert!(reply.write(&asked, 1232, &mut out));
    let read = Message::from_vec(&out).unwrap();
    let texts: Vec<String> = read.answers.iter().map(|it| it.data.to_string()).collect();
    assert_eq!(texts, ["127.0.0.1", "::1", "nas.lan.", "RFC8482 "]);
    let RData::SOA(soa) = &read.authorities[0].data else {
        panic!("{read:?}");
    };
    assert_eq!((soa.minimum, read.authorities[0].ttl), (10, 10));
    assert_eq!(read.metadata.response_code, ResponseCode::NXDomain);
    let read = parse_response(&out).unwrap();
    assert_eq!(read.lifetime(), Lifetime::Negative(9));
    assert_eq!(
        read.extended_error(),
        Some((15, &b"ads.txt:7 blocks it"[..]))
    );
    // Words go before records do.
    let limit = out.len() - 3;
    out.clear();
    assert!(reply.write(&asked, limit, &mut out));
    let read = parse_response(&out).unwrap();
    assert_eq!(read.extended_error(), Some((15, &b"ads.txt:7 blocks"[..])));
    assert_eq!(out.len(), limit);
}

#[test]
fn frames() {
    let mut out = Vec::new();
    write_frame(&mut out, b"abc").unwrap();
    out.push(9);
    assert_eq!(frame(&out), Parse::Done(&b"abc"[..], 5));
    assert_eq!(frame(&out[..4]), Parse::NeedMore);
    assert_eq!(frame(&[0, 0]), Parse::Done(&b""[..], 2));
    let most = vec![7; MAX_MESSAGE];
    out.clear();
    write_frame(&mut out, &most).unwrap();
    assert_eq!(frame(&out), Parse::Done(&most[..], MAX_FRAME));
    let more = vec![7; MAX_MESSAGE + 1];
    let before = out.len();
    assert!(write_frame(&mut out, &more).is_err());
    assert_eq!(out.len(), before);
}

#[test]
fn an_answer_leads_to_names_and_addresses() {
    let bytes = response(|it: &mut Message| {
        it.add_answer(row("www.a.test.", 30, alias("B.test.")));
        it.add_answer(row("b.test.", 90, address(1)));
    });
    let led = |bytes: &[u8]| {
        let response = parse_response(bytes).unwrap();
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        response.each_alias(&mut |name| names.push(name.to_string()));
        response.each_target(&mut |address| addresses.push(address.to_string()));
        (names, addresses)
    };
    let words = |of: &[&str]| of.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    assert_eq!(led(&bytes), (words(&["b.test"]), words(&["192.0.2.1"])));
    // A service, with a name of its own and with that of the owner, and hints.
    let service = |data: &[u8]| {
        let mut message =
            b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x41\x00\x01".to_vec();
        message.extend(b"\xc0\x0c\x00\x41\x00\x01\x00\x00\x00\x3c");
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
        led(&message)
    };
    let hinted = b"\x00\x01\x00\x00\x01\x00\x03\x02h2\x00\x04\x00\x08\x0a\x00\x00\x01\xc0\x00\x02\x01\x00\x06\x00\x10\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05";
    assert_eq!(
        service(hinted),
        (words(&[]), words(&["10.0.0.1", "192.0.2.1", "fd00::5"]))
    );
    assert_eq!(service(b"\x00\x00\x01b\x00"), (words(&["b"]), words(&[])));
    // Broken parameters and names are passed over.
    assert_eq!(
        service(b"\x00\x01\x00\x00\x04\x00\x08\x0a"),
        (words(&[]), words(&[]))
    );
    assert_eq!(service(b"\x00"), (words(&[]), words(&[])));
}

#[test]
fn records_as_people_write_them() {
    let check = |kind: u16, data: &[u8], expected: &str| {
        let mut message =
            b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\xc0\x0c"
                .to_vec();
        message.extend(kind.to_be_bytes());
        message.extend(b"\x00\x01\x00\x00\x00\x3c");
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
        let mut got = Vec::new();
        let response = parse_response(&message).unwrap();
        response.each_answer_text(&mut |kind, ttl, text| got.push((kind, ttl, text)));
        assert_eq!(got, [(kind, 60, expected.to_owned())]);
    };
    check(1, &[192, 0, 2, 1], "192.0.2.1");
    check(1, &[192, 0, 2], "\\# 3 c00002");
    check(5, b"\x01b\xc0\x0c", "b.a");
    check(15, b"\x00\x0a\x01m\x00", "10 m");
    check(16, b"\x03a\"\xff\x01b", "\"a\\\"\\255\" \"b\"");
    check(16, b"\x05a", "\\# 2 0561");
    check(33, b"\x00\x01\x00\x02\x01\xbb\x01s\x00", "1 2 443 s");
    check(65280, b"", "\\# 0");
}
