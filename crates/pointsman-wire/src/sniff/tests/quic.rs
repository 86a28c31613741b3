//! QUIC: the RFCs' own packets, those of a client, and those that a client should not send.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, Selector};

use super::hello::Hello;
use super::{described, told};
use crate::Parse;
use crate::fuzz_checks::{check_datagrams, check_quic_frames, initial, joined, parts};
use crate::sniff::quic::keys::{DERIVED, Keys};
use crate::sniff::quic::packet::Version;
use crate::sniff::{FirstDatagrams, MAX_DATAGRAMS, MAX_HELD, Protocol, header_of};

const ID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";

/// The verdicts after each datagram.
fn check<D: AsRef<[u8]>>(datagrams: &[D], expected: &[&str]) {
    let mut first = FirstDatagrams::default();
    let verdicts: Vec<_> = datagrams
        .iter()
        .map(|datagram| told(first.push(datagram.as_ref())))
        .collect();
    assert_eq!(verdicts, expected);
    check_datagrams(&joined(datagrams));
}

/// What is told of captured datagrams.
fn check_captured(file: &str, expected: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/datagrams");
    let bytes = fs::read(path.join(file)).unwrap();
    check(&parts(&bytes), expected);
}

/// A CRYPTO frame.
fn crypto(offset: usize, piece: &[u8]) -> Vec<u8> {
    let wide = |number: usize| (u32::try_from(number).unwrap() | 0x8000_0000).to_be_bytes();
    [&[6][..], &wide(offset), &wide(piece.len()), piece].concat()
}

/// A datagram with a piece of the hello.
fn piece(number: u32, hello: &[u8], from: usize, to: usize) -> Vec<u8> {
    initial(Version::One, ID, number, &crypto(from, &hello[from..to]))
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let hello = Hello::browser("a.test").message();
    let whole = Hello::named("a.test").message();
    let one = initial(Version::One, ID, 0, &crypto(0, &whole));
    vec![
        ("quic-whole", joined(&[&one])),
        (
            "quic-halves",
            joined(&[piece(1, &hello, 700, hello.len()), piece(0, &hello, 0, 700)]),
        ),
        (
            "quic-greased-version",
            joined(&[greased(&one, [0x1a, 0x2a, 0x3a, 0x4a])]),
        ),
        ("quic-0-rtt-first", joined(&[zero_rtt(), one])),
    ]
}

pub(crate) fn frames_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let hello = Hello::named("a.test").message();
    let (first, second) = (crypto(0, &hello[..40]), crypto(40, &hello[40..]));
    // An acknowledgement with counts, and PING.
    let ack = [3, 5, 0, 1, 0, 0, 0, 1, 2, 3, 1];
    let mixed = [&ack[..], &second, &[0; 20], &first].concat();
    let seed = |choice: u8, parts: &[&[u8]]| [&[choice], &joined(parts)[..]].concat();
    vec![
        ("one-packet", seed(16, &[&mixed])),
        ("version-2", seed(17, &[&mixed])),
        ("two-packets", seed(16, &[&second, &first])),
        ("contradiction", seed(16, &[&first, &crypto(3, &[0; 9])])),
        ("closed", seed(16, &[&[0x1c, 0, 0, 0]])),
        ("far-away", seed(40, &[&crypto(1 << 29, &[1])])),
    ]
}

/// The packet with another version.
fn greased(packet: &[u8], version: [u8; 4]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[1..5].copy_from_slice(&version);
    packet
}

/// A 0-RTT packet that nobody can open.
fn zero_rtt() -> Vec<u8> {
    let mut packet = vec![0xd0, 0, 0, 0, 1, 8];
    packet.extend_from_slice(ID);
    packet.extend_from_slice(&[0, 0x40, 100]);
    packet.extend_from_slice(&[0x5a; 100]);
    packet
}

#[test]
fn keys_are_those_of_the_rfcs() {
    // RFC 9001 A.2 and RFC 9369 A.2: the same hello in the two versions.
    let expected = ["quic example.com version=0304 alpn=alpn quic=1"];
    check_captured("rfc9001-a2", &expected);
    let expected = ["quic example.com version=0304 alpn=alpn quic=6b3343cf"];
    check_captured("rfc9369-a2", &expected);
}

#[test]
fn the_header_tells_the_protocol_and_derives_no_keys() {
    let whole = Hello::named("a.test").message();
    let datagram = initial(Version::One, ID, 0, &crypto(0, &whole));
    let derived = || DERIVED.with(std::cell::Cell::get);
    let before = derived();
    assert_eq!(header_of(&datagram), Some(Protocol::Quic));
    assert_eq!(derived(), before);
    let _told = FirstDatagrams::default().push(&datagram);
    assert_eq!(derived(), before + 1);
}

#[test]
fn clients_are_understood() {
    let told = "quic secret.test version=0304 alpn=h3 quic=1";
    check_captured("aioquic-v1", &[told; 3]);
    let version_2 = "quic secret.test version=0304 alpn=h3 quic=6b3343cf";
    check_captured("aioquic-v2", &[version_2]);
    // Sixty protocols offered make the hello too long for one packet.
    for file in ["aioquic-two-initials", "aioquic-two-initials-reordered"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/datagrams");
        let bytes = fs::read(path.join(file)).unwrap();
        let mut first = FirstDatagrams::default();
        let [one, two] = parts(&bytes).try_into().unwrap();
        assert_eq!(first.push(one), Parse::NeedMore, "{file}");
        let Parse::Done(glance, _) = first.push(two) else {
            panic!("{file}");
        };
        assert_eq!(glance.name.as_deref(), Some("secret.test"), "{file}");
        assert_eq!(glance.alpn.len(), 61);
    }
    // Before and behind a Retry, and a flow that is first seen behind it.
    check_captured("aioquic-retry", &[told; 2]);
    check_captured("aioquic-after-retry", &[told]);
}

#[test]
fn a_hello_may_come_in_any_pieces() {
    let hello = Hello::browser("a.test").message();
    let end = hello.len();
    let expected = "quic a.test version=0304 alpn=h2,http/1.1 quic=1";
    let (front, back) = (piece(0, &hello, 0, 900), piece(1, &hello, 900, end));
    check(&[&front, &back], &["more", expected]);
    check(&[&back, &front], &["more", expected]);
    // Again, and overlapping.
    let more = piece(2, &hello, 800, end);
    check(&[&front, &front, &more], &["more", "more", expected]);
    // Both in one datagram.
    let coalesced = [&back[..], &front].concat();
    check(&[coalesced], &[expected]);
    // Many frames, the last first, with padding and PING between.
    let mut frames = Vec::new();
    let whole = Hello::named("a.test").message();
    for (at, bytes) in whole.chunks(7).enumerate().collect::<Vec<_>>().iter().rev() {
        frames.extend(crypto(at * 7, bytes));
        frames.extend([0, 1, 0]);
    }
    let shuffled = initial(Version::One, ID, 0, &frames);
    check(&[shuffled], &["quic a.test version=0303 quic=1"]);
    // An encrypted hello is told, as over TCP.
    let ech = Hello {
        ech: true,
        ..Hello::named("outer.test")
    };
    let ech = initial(Version::Two, ID, 0, &crypto(0, &ech.message()));
    check(&[ech], &["quic outer.test version=0303 ech quic=6b3343cf"]);
}

#[test]
fn what_a_server_drops_tells_nothing() {
    let whole = Hello::named("a.test").message();
    let good = initial(Version::One, ID, 0, &crypto(0, &whole));
    let told = "quic a.test version=0303 quic=1";
    // Too short a datagram, with another name in it.
    let keys = Keys::of_client(Version::One, ID).unwrap();
    let other = crypto(0, &Hello::named("decoy.test").message());
    let length = u16::try_from(other.len() + 20).unwrap() | 0x4000;
    let header = [&[0xc3, 0, 0, 0, 1, 8], ID, &[0, 0], &length.to_be_bytes()].concat();
    let short = keys.seal(&header, 0, &other).unwrap();
    check(&[&short, &good], &["more", told]);
    // Altered in any byte.
    for at in [5, 6, 20, 30, 1_000, 1_199] {
        let mut altered = good.clone();
        altered[at] ^= 1;
        let mut first = FirstDatagrams::default();
        let verdict = first.push(&altered);
        assert!(!matches!(verdict, Parse::Done(..)), "{at}: {verdict:?}");
    }
    check(&[&zero_rtt(), &good], &["more", told]);
    // Datagrams of another protocol in between.
    check(&[&zero_rtt(), &[1; 9][..], &good], &["more", "more", told]);
}

#[test]
fn a_client_that_contradicts_itself_has_no_name() {
    let one = initial(
        Version::One,
        ID,
        0,
        &crypto(0, &Hello::named("a.test").message()[..90]),
    );
    let hello = Hello::named("b.test").message();
    let other = initial(Version::One, ID, 1, &crypto(0, &hello));
    check(&[&one, &other], &["more", "quic - quic=1"]);
    // A hello that breaks its rules, and a message that is none.
    let mut broken = hello.clone();
    broken[4] = 9;
    let broken = initial(Version::One, ID, 0, &crypto(0, &broken));
    check(&[broken], &["quic - quic=1"]);
    let finished = initial(Version::One, ID, 0, &crypto(0, &[20, 0, 0, 1, 0]));
    check(&[finished], &["quic - quic=1"]);
}

#[test]
fn the_wait_ends() {
    let nothing = "quic - quic=1";
    check(
        &vec![zero_rtt(); MAX_DATAGRAMS],
        &["more", "more", "more", nothing],
    );
    let hello = Hello::browser("a.test").message();
    let front = piece(0, &hello, 0, 1_100);
    let mut first = FirstDatagrams::default();
    assert_eq!(first.so_far(), None);
    assert_eq!(first.push(&front), Parse::NeedMore);
    // The key share stands before the name here.
    assert_eq!(
        described(first.so_far().unwrap()),
        "quic - version=0303 quic=1"
    );
    let mut long = zero_rtt();
    long.resize(MAX_HELD, 0);
    check(&[&front, &long], &["more", "quic - version=0303 quic=1"]);
    // The name of a part is told, as over TCP.
    let mut early = Hello::named("early.test").message();
    early[1..4].copy_from_slice(&[0, 0x30, 0]);
    let early = initial(Version::One, ID, 0, &crypto(0, &early));
    let told = "quic early.test version=0303 quic=1";
    check(&vec![early; 4], &["more", "more", "more", told]);
    // Beyond what is kept.
    let far = initial(Version::One, ID, 0, &crypto(1 << 29, &[1; 9]));
    check(&[far], &["more"]);
}

#[test]
fn other_versions_are_told_by_the_longest_datagrams_alone() {
    let one = initial(
        Version::One,
        ID,
        0,
        &crypto(0, &Hello::named("a.test").message()),
    );
    check(
        &[greased(&one, [0x1a, 0x2a, 0x3a, 0x4a])],
        &["quic - quic=1a2a3a4a"],
    );
    check(
        &[greased(&one, [0xff, 0, 0, 29])],
        &["quic - quic=ff00001d"],
    );
    let other = "not: not the expected protocol";
    check(&[greased(&one[..1_199], [0xff, 0, 0, 29])], &[other]);
    // A version negotiation, which clients do not send; nobody's version; a short header.
    check(&[greased(&one, [0; 4])], &[other]);
    check(&[greased(&one, [1, 2, 3, 4])], &[other]);
    check(&[[0x40; 1_200]], &[other]);
    check(&[&one[..6]], &[other]);
    check(&[&one[..700]], &[other]);
    check(&[[]; 1], &[other]);
}

proptest! {
    #[test]
    fn the_order_of_pieces_does_not_matter(
        name in "[a-z]{1,20}(\\.[a-z]{1,20}){0,3}",
        key_share in 0_usize..1_300,
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        order: Selector,
        packets in 1_usize..4,
        two: bool,
    ) {
        let version = if two { Version::Two } else { Version::One };
        let hello = Hello { key_share, ..Hello::named(&name) }.message();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(hello.len())).collect();
        ends.push(hello.len());
        ends.sort_unstable();
        ends.dedup();
        // No piece is empty: the last packet must be needed.
        ends.retain(|end| *end > 0);
        let mut from = 0;
        let mut pieces = Vec::new();
        for to in ends {
            pieces.push(crypto(from, &hello[from..to]));
            from = to;
        }
        let mut shuffled = Vec::new();
        while !pieces.is_empty() {
            let (at, _) = order.select(pieces.iter().enumerate());
            shuffled.push(pieces.swap_remove(at));
        }
        let mut first = FirstDatagrams::default();
        let mut last = Parse::NeedMore;
        for (number, frames) in (0..).zip(shuffled.chunks(shuffled.len().div_ceil(packets))) {
            prop_assert_eq!(last, Parse::NeedMore);
            last = first.push(&initial(version, ID, number, &frames.concat()));
        }
        let Parse::Done(glance, _) = last else {
            return Err(TestCaseError::fail("no verdict"));
        };
        prop_assert_eq!(glance.name, Some(name));
    }

    #[test]
    fn frames_of_garbage_break_no_promise(
        choice: u8,
        parts in prop::collection::vec(prop::collection::vec(0_u8..8, 0..60), 0..4),
    ) {
        check_quic_frames(&[&[choice], &joined(&parts)[..]].concat());
    }
}
