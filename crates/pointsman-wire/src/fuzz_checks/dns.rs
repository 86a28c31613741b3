//! Checks of messages of DNS: the same bytes as a query, as a response, and as a stream.

use super::promises;
use crate::dns::{
    self, Ask, Cached, Edns, ExtendedError, HEADER, Lifetime, MAX_MESSAGE, Reply, Section,
    Unanswerable, WireName, write_refusal,
};

/// Queries, responses and frames of DNS; what is made of them can be read again.
pub fn check_dns(bytes: &[u8]) {
    promises(bytes, dns::MAX_FRAME, |bytes| {
        dns::frame(bytes).map(<[u8]>::len)
    });
    let bytes = bytes.get(..MAX_MESSAGE).unwrap_or(bytes);
    check_query(bytes);
    check_response(bytes);
    for at in 0..bytes.len().min(64) {
        if let Some(name) = WireName::read(bytes, at) {
            let wire = name.as_bytes();
            let again = WireName::read(wire, 0).map(|it| it.as_bytes().to_vec());
            assert_eq!(again.as_deref(), Some(wire));
            assert!(WireName::skip(bytes, at).is_some_and(|end| end <= bytes.len()));
            let mut host = String::new();
            name.write_host(&mut host);
            assert!(host.len() < wire.len());
        }
    }
}

/// Targets of requests that carry queries.
pub fn check_dns_web(bytes: &[u8]) {
    let target = String::from_utf8_lossy(bytes);
    if let Ok(message) = dns::message_of(Some(&target)) {
        assert!(message.len() <= MAX_MESSAGE);
        let again = format!("dns={}", data_encoding::BASE64URL_NOPAD.encode(&message));
        assert_eq!(dns::message_of(Some(&again)), Ok(message));
    }
    assert!(dns::max_age(bytes) >> 31 == 0);
}

fn check_query(bytes: &[u8]) {
    let error = Some(ExtendedError {
        number: 15,
        text: "a rule: süß",
    });
    match dns::parse_query(bytes) {
        Ok(query) => {
            let reply = Reply {
                negative: Some(10),
                error,
                ..Reply::default()
            };
            for limit in [query.datagram_limit(), MAX_MESSAGE] {
                let mut out = Vec::new();
                let whole = reply.write(&query, limit, &mut out);
                assert!(out.len() <= limit);
                let read = dns::parse_response(&out).expect("what was written");
                assert!(read.is_to(query.id(), query.question()));
                assert_eq!(read.is_truncated(), !whole);
                let length = out.len();
                dns::pad(&query, 0, &mut out);
                assert!(out.len() <= MAX_MESSAGE && (query.is_padded() || out.len() == length));
                assert!(
                    dns::parse_response(&out)
                        .is_ok_and(|it| it.is_to(query.id(), query.question()))
                );
            }
            let mut out = Vec::new();
            let copy = Ask {
                id: 1,
                question: query.question(),
                edns: query.edns(),
                is_padded: bytes.len().is_multiple_of(2),
                authentic_data: true,
                checking_disabled: query.checking_disabled(),
            };
            copy.write(&mut out);
            let again = dns::parse_query(&out).expect("what was written");
            assert_eq!(again.question(), query.question());
        }
        Err(Unanswerable::Code(code)) => {
            let mut out = Vec::new();
            write_refusal(bytes, code, &mut out);
            let opcode = bytes.get(2).map_or(0, |it| it & 0x78);
            if opcode == 0 {
                let read = dns::parse_response(&out).expect("what was written");
                assert_eq!(read.code(), code);
            }
        }
        Err(Unanswerable::Silent) => {}
    }
}

fn check_response(bytes: &[u8]) {
    let Ok(response) = dns::parse_response(bytes) else {
        return;
    };
    for record in response.records() {
        assert!(record.data.end <= bytes.len() && record.ttl_at() < record.data.start);
    }
    assert!(response.addresses().len() <= bytes.len());
    response.each_answer_text(&mut |_, _, text| assert!(!text.contains('\n')));
    let (mut addresses, mut aliases) = (0, 0);
    response.each_target(&mut |_| addresses += 1);
    response.each_alias(&mut |_| aliases += 1);
    assert!(4 * addresses <= bytes.len() && 2 * aliases <= bytes.len());
    if let Lifetime::Records(seconds) | Lifetime::Negative(seconds) = response.lifetime() {
        assert!(seconds >> 31 == 0);
    }
    let words = response
        .extended_error()
        .map_or(0, |(_, words)| words.len());
    assert!(words < bytes.len());
    let Some(kept) = Cached::new(&response, 86_400) else {
        return;
    };
    let mut asked = Vec::new();
    let ask = Ask {
        id: 1,
        question: response.question(),
        edns: Some(Edns::ours(true)),
        is_padded: false,
        authentic_data: false,
        checking_disabled: false,
    };
    ask.write(&mut asked);
    let Ok(query) = dns::parse_query(&asked) else {
        return;
    };
    for limit in [512, MAX_MESSAGE] {
        let mut out = Vec::new();
        let whole = kept.write_services(&query, 3, limit, &mut out);
        assert!(out.len() <= limit.max(HEADER + query.question().len() + 11));
        let read = dns::parse_response(&out).expect("what was written");
        assert_eq!(read.is_truncated(), !whole);
        let mut out = Vec::new();
        let whole = kept.write(&query, 3, limit, None, &mut out);
        assert!(out.len() <= limit.max(HEADER + query.question().len() + 11));
        let read = dns::parse_response(&out).expect("what was written");
        assert_eq!(read.is_truncated(), !whole);
        if whole {
            let count =
                |of: dns::Records<'_>| of.filter(|it| it.section != Section::Additional).count();
            assert_eq!(count(read.records()), count(response.records()));
        }
    }
}
