//! Protocols that the first datagram tells: as clients sent them, and what comes near.

use data_encoding::HEXLOWER;

use super::told;
use crate::fuzz_checks::{check_datagrams, joined};
use crate::sniff::{FirstDatagrams, Protocol, claims};

/// Recorded on loopback: dig, openssl, libtorrent, aioice; and written by hand: NTP.
const SAMPLES: [(&str, &str, &str); 15] = [
    (
        "dns",
        "dns-plain",
        "176401200001000000000000016104746573740000010001",
    ),
    (
        "dns",
        "dns-edns",
        "efab012000010000000000010161047465737400001c000100002904d000000000000c000a00087f941f4a7d16b225",
    ),
    (
        "dns",
        "dns-signed",
        "16850120000100000000000201610474657374000006000100002904d000000000000c000a0008f5b8a21719ed955f\
         016b0000fa00ff00000000003d0b686d61632d7368613235360000006b0cb6b8012c00202ecc15da44f5102e906436\
         f12c45c1ba495b7e1466ce542977a8eac7fcb9c639168500000000",
    ),
    (
        "dns",
        "dns-chaos",
        "2ac9012000010000000000010776657273696f6e0462696e64000010000300002904d000000000000c000a00086939\
         d88725b00beb",
    ),
    (
        "dns",
        "dns-root",
        "491701200001000000000001000002000100002904d000000000000c000a000873d00834d54a6da6",
    ),
    (
        "dtls",
        "dtls-openssl",
        "16feff000000000000000000c0010000b400000000000000b4fefdb811df0d3313cdb8290f78af7bd4e4d6218ce586\
         e36663cc4d99525441dfb20600000038c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c0\
         0ac0140039c009c0130033009d009c003d003c0035002f00ff01000052000b000403000102000a000c000a001d0017\
         001e00190018002300000016000000170000000d002a0028040305030603080708080809080a080b08040805080604\
         0105010601030303010302040205020602",
    ),
    (
        "bittorrent",
        "bittorrent-table",
        "64313a6164323a696432303a9261904fd0318a1fff82848dd95779a07e812a45393a696e666f5f6861736832303a92\
         61904fd0318a1fff82848d0fc4ff1f83ca9de665313a71393a6765745f7065657273313a74323af0d6313a76343a4c\
         540211313a79313a7165",
    ),
    (
        "bittorrent",
        "bittorrent-table-option-first",
        "64313a6164323a627369316532\
         3a696432303a9261904fd0318a1fff82848dd95779a07e812a45393a696e666f5f6861736832303a\
         9261904fd0318a1fff82848d0fc4ff1f83ca9de665313a71393a6765745f7065657273313a74323af0d6313a76343a\
         4c540211313a79313a7165",
    ),
    (
        "bittorrent",
        "bittorrent-tracker",
        "0000041727101980000000005705f32e",
    ),
    (
        "bittorrent",
        "bittorrent-utp",
        "410012a6c20d90790000000000000000791a0000",
    ),
    (
        "stun",
        "stun-binding",
        "000100002112a4425ec5427059808026a99a0c3a",
    ),
    (
        "stun",
        "stun-attribute",
        "000100082112a4425ec5427059808026a99a0c3a8022000178000000",
    ),
    (
        "ntp",
        "ntp-simple",
        "1b0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "ntp",
        "ntp-chrony",
        "23000620000000000000000000000000000000000000000000000000000000000000000000000000d1a3f10b5c6e7f80",
    ),
    (
        "ntp",
        "ntp-digest",
        "e3030afa00010000000100007f00000100000000000000000000000000000000000000000000000083aa7e8000000000\
         000000010102030405060708090a0b0c0d0e0f10",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    SAMPLES
        .map(|(_, name, hex)| (name, joined(&[bytes(hex)])))
        .into()
}

fn tells(datagram: &[u8]) -> String {
    check_datagrams(&joined(&[datagram]));
    told(FirstDatagrams::default().push(datagram))
}

const NONE: &str = "not: not the expected protocol";

#[test]
fn clients_are_understood() {
    for (protocol, name, hex) in SAMPLES {
        assert_eq!(tells(&bytes(hex)), format!("{protocol} -"), "{name}");
    }
}

#[test]
fn a_datagram_that_is_cut_or_goes_on_is_another() {
    for (_, name, hex) in SAMPLES {
        let whole = bytes(hex);
        for end in 0..whole.len() {
            // A question may do without a digest.
            let header = name == "ntp-digest" && end == 48;
            let expected = if header { "ntp -" } else { NONE };
            assert_eq!(tells(&whole[..end]), expected, "{name} until {end}");
        }
        // Records may follow a hello in a datagram.
        if name != "dtls-openssl" {
            assert_eq!(tells(&[&whole[..], &[0]].concat()), NONE, "{name}");
        }
    }
}

#[test]
fn queries_alone_are_dns() {
    let query = |changes: &[(usize, u8)]| {
        let mut query = bytes(SAMPLES[0].2);
        for (at, byte) in changes {
            query[*at] = *byte;
        }
        tells(&query)
    };
    assert_eq!(query(&[]), "dns -");
    // Recursion not desired, authentic data, checking disabled.
    assert_eq!(query(&[(2, 0), (3, 0x30)]), "dns -");
    // An answer, an update, truncated, a reserved bit, a code of answers.
    for change in [(2, 0x81), (2, 0x29), (2, 0x03), (3, 0x60), (3, 0x23)] {
        assert_eq!(query(&[change]), NONE, "{change:?}");
    }
    // No question, two; an answer, an authority; more additional records than there are.
    for change in [(5, 0), (5, 2), (7, 1), (9, 1), (11, 1), (11, 3)] {
        assert_eq!(query(&[change]), NONE, "{change:?}");
    }
    // A pointer for a name; type 0; a class that is none; multicast DNS' class.
    for (change, expected) in [
        ((12, 0xc0), NONE),
        ((21, 0), NONE),
        ((23, 2), NONE),
        ((22, 0x80), "dns -"),
    ] {
        assert_eq!(query(&[change]), expected, "{change:?}");
    }
    // A question for a NetBIOS name looks like one of DNS.
    let mut netbios = bytes("1234011000010000000000002043");
    netbios.extend([b'A'; 31]);
    netbios.extend(bytes("0000200001"));
    assert_eq!(tells(&netbios), NONE);
    netbios[20] = b'x';
    assert_eq!(tells(&netbios), "dns -");
    let header = bytes("123401000001000000000000");
    let long = |labels: usize, last: usize| {
        let mut query = header.clone();
        for length in [vec![63; labels], vec![last]].concat() {
            query.push(u8::try_from(length).unwrap());
            query.extend(vec![b'a'; length]);
        }
        query.extend(bytes("0000010001"));
        tells(&query)
    };
    assert_eq!(long(3, 61), "dns -");
    assert_eq!(long(3, 62), NONE);
}

#[test]
fn near_misses_are_nothing() {
    let none = |hex: &str| assert_eq!(tells(&bytes(hex)), NONE, "{hex}");
    // STUN without its cookie, with a length that is not its own, a channel of TURN.
    none("000100002112a4435ec5427059808026a99a0c3a");
    none("000100042112a4425ec5427059808026a99a0c3a");
    none("400100002112a4425ec5427059808026a99a0c3a");
    // µTP that has received something, with data, of another type.
    none("410012a6c20d90790000000100000000791a0000");
    none("410012a6c20d90790000000000000000791a0001");
    none("410012a6c20d90790000000000000000791a000001");
    none("210012a6c20d90790000000000000000791a0000");
    // With an extension.
    let extended = "410212a6c20d90790000000000000000791a000000080000000000000000";
    assert_eq!(tells(&bytes(extended)), "bittorrent -");
    none(&extended[..extended.len() - 2]);
    // Another action of a tracker; bencode that is no table's.
    none("0000041727101980000000015705f32e");
    assert_eq!(
        tells(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe"),
        "bittorrent -"
    );
    assert_eq!(
        tells(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aae"),
        NONE
    );
    assert_eq!(
        tells(b"d1:ad3:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:y1:qe"),
        NONE
    );
    // DTLS: application data, another epoch, a later message, TLS' version.
    let hello = bytes(SAMPLES[5].2);
    for (at, byte) in [(0, 23), (2, 0xfc), (4, 1), (13, 2), (1, 3)] {
        let mut other = hello.clone();
        other[at] = byte;
        assert_eq!(tells(&other), NONE, "{at}");
    }
    // NTP: answers, versions, strata and intervals that nobody has, a length between.
    let question = bytes(SAMPLES[12].2);
    for (at, byte) in [(0, 0x1c), (0, 0x13), (0, 0x2b), (1, 17), (2, 18)] {
        let mut other = question.clone();
        other[at] = byte;
        assert_eq!(tells(&other), NONE, "{at}");
    }
    assert_eq!(tells(&[&question[..], &[0; 8]].concat()), NONE);
    // Secured NTP: an identifier of 36 bytes.
    let field = [&[1, 4, 0, 36][..], &[7; 32]].concat();
    assert_eq!(tells(&[&question[..], &field].concat()), "ntp -");
    // WireGuard, a handshake; RTP; a syslog line; an empty datagram.
    let mut wireguard = vec![1, 0, 0, 0];
    wireguard.resize(148, 0x5a);
    assert_eq!(tells(&wireguard), NONE);
    none("806012345678abcd00000001aabbccdd");
    assert_eq!(tells(b"<13>Oct 11 22:14:15 host program: text"), NONE);
    assert_eq!(tells(b""), NONE);
}

/// Random datagrams of the lengths that matter tell nothing; of NTP's, whose marks are the weakest, one in
/// some thousands does.
#[test]
fn chance_is_hardly_a_protocol() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    let mut told = Vec::new();
    for round in 0..100_000 {
        let length = [16, 20, 24, 32, 48, 72, 100, 1_200][round % 8];
        let datagram: Vec<u8> = (0..length).map(|_| next()).collect();
        told.extend(claims(&datagram));
    }
    assert!(told.len() < 12, "{told:?}");
    assert!(told.iter().all(|protocol| *protocol == Protocol::Ntp));
}
