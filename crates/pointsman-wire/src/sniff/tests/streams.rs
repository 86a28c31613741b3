//! Protocols that a stream's first bytes tell and that say no more: as clients sent them, and near misses.

use data_encoding::HEXLOWER;

use super::check;

/// Recorded on loopback: dig, libtorrent, psql; and written by hand after the protocol's document: RDP.
const SAMPLES: [(&str, &str, &str); 8] = [
    (
        "dns",
        "dns-edns",
        "002fe7e50120000100000000000101610474657374000001000100002904d000000000000c000a0008e2752a0bcdab\
         b035",
    ),
    (
        "bittorrent",
        "bittorrent",
        "13426974546f7272656e742070726f746f636f6c",
    ),
    ("postgresql", "postgresql-tls", "0000000804d2162f"),
    ("postgresql", "postgresql-gss", "0000000804d21630"),
    (
        "postgresql",
        "postgresql-startup",
        "00000034000300007573657200",
    ),
    ("postgresql", "postgresql-cancel", "0000001004d2162e"),
    (
        "rdp",
        "rdp-negotiation",
        "030000130ee000000000000100080003000000",
    ),
    (
        "rdp",
        "rdp-cookie",
        "0300002924e00000000000436f6f6b69653a206d737473686173683d6a6f650d0a0100080003000000",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    SAMPLES.map(|(_, name, hex)| (name, bytes(hex))).into()
}

const NONE: &str = "not: not the expected protocol";

#[test]
fn clients_are_understood_as_soon_as_can_be() {
    for (protocol, _, hex) in SAMPLES {
        let mut sample = bytes(hex);
        for end in 0..sample.len() {
            check(&sample[..end], "more");
        }
        check(&sample, &format!("{protocol} -"));
        sample.extend([0x5a; 40]);
        check(&sample, &format!("{protocol} -"));
    }
}

#[test]
fn near_misses_are_nothing() {
    let none = |hex: &str| check(bytes(hex), NONE);
    // BitTorrent's name, almost.
    none("13426974546f7272656e742070726f746f636f6d");
    // PostgreSQL: lengths and codes that do not fit; SMB, whose messages are framed alike.
    none("0000000904d2162f");
    none("0000000f04d2162e");
    none("0000271100030000");
    none("0000000900030000");
    none("0000000600030000");
    none("0000003400020000");
    none("000000340003000000");
    none("0000003400030000017500");
    none("00000085ff534d4272");
    // DNS: an answer, two questions, a length that is too short or not its own.
    none("0020123481000001");
    none("0020123401000002000000000000");
    none("0010");
    none("0017176401200001000000000000016104746573740000010001");
    none("0019176401200001000000000000016104746573740000010001ff");
    // RDP: a reserved byte, lengths that differ, data, a class, neither cookie nor offer; S7, T.125.
    none("0301");
    none("030000130f");
    none("030000130ef0");
    none("030000130ee0000000000101");
    none("0300000b06e00000000000");
    none("0300001611e00000000100c1020100c2020102c0010a");
    none("0300001302f0807f658201");
    // Others that begin with a small number: SOCKS 4 and 5.
    none("0401");
    none("0501");
}
