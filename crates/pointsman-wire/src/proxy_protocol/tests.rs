//! Headers of the PROXY protocol, one case per line.

use proptest::prelude::*;

use super::*;
use crate::fuzz_checks::check_proxy_protocol;

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn stream(source: &str, destination: &str) -> ProxyHeader {
    ProxyHeader::Stream {
        source: socket(source),
        destination: socket(destination),
    }
}

#[test]
fn version_1_is_written() {
    let check = |source: Option<&str>, destination: Option<&str>, expected: &str| {
        let written = write_v1(source.map(socket), destination.map(socket));
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    };
    check(
        Some("192.0.2.1:56324"),
        Some("192.0.2.2:443"),
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
    );
    check(
        Some("[2001:db8::1]:1"),
        Some("[::1]:2"),
        "PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
    );
    check(
        Some("192.0.2.1:1"),
        Some("[2001:db8::2]:2"),
        "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n",
    );
    check(
        Some("[2001:db8::2]:2"),
        Some("192.0.2.1:1"),
        "PROXY TCP6 2001:db8::2 ::ffff:192.0.2.1 2 1\r\n",
    );
    check(None, Some("192.0.2.1:1"), "PROXY UNKNOWN\r\n");
    check(Some("192.0.2.1:1"), None, "PROXY UNKNOWN\r\n");
    check(None, None, "PROXY UNKNOWN\r\n");
}

#[test]
fn version_1_is_read() {
    let check = |line: &str, expected: Parse<ProxyHeader>| {
        assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        check_proxy_protocol(line.as_bytes());
    };
    let v4 = stream("192.0.2.1:56324", "192.0.2.2:443");
    check(
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /",
        Parse::Done(v4, 42),
    );
    check(
        "PROXY TCP6 ::1 ::2 1 65535\r\n",
        Parse::Done(stream("[::1]:1", "[::2]:65535"), 28),
    );
    check("PROXY UNKNOWN\r\n", Parse::Done(ProxyHeader::Unknown, 15));
    check(
        "PROXY UNKNOWN any thing\r\n",
        Parse::Done(ProxyHeader::Unknown, 25),
    );
    check("", Parse::NeedMore);
    check("PROX", Parse::NeedMore);
    check(
        "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r",
        Parse::NeedMore,
    );
    check("GET /", Parse::Not(WhyNot::AnotherProtocol));
    let addresses = Parse::Not(WhyNot::Malformed("addresses of the PROXY protocol"));
    check("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", addresses.clone());
    check(
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        addresses.clone(),
    );
    check("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", addresses.clone());
    check("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", addresses.clone());
    check("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", addresses.clone());
    check(
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        addresses.clone(),
    );
    check("PROXY TCP4 ::1 ::2 1 2\r\n", addresses.clone());
    check("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", addresses.clone());
    check("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", addresses.clone());
    check("PROXY UNKNOWNS\r\n", addresses);
    let line = Parse::Not(WhyNot::Malformed("line of the PROXY protocol"));
    check("PROXY UNKNOWN\n", line);
    check(
        &format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)),
        Parse::Done(ProxyHeader::Unknown, 107),
    );
    check(
        &format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)),
        Parse::Not(WhyNot::TooLong),
    );
}

#[test]
fn version_2_is_read() {
    let check = |tail: &[u8], expected: Parse<ProxyHeader>| {
        let bytes = [SIGNATURE, tail].concat();
        assert_eq!(parse(&bytes), expected, "{tail:?}");
        check_proxy_protocol(&bytes);
    };
    let pair = b"\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02";
    let block = |command, family, length| [&[command, family, 0, length], pair.as_slice()].concat();
    let v4 = stream("192.0.2.1:1", "192.0.2.2:2");
    check(&block(0x21, 0x11, 12), Parse::Done(v4, 28));
    let ProxyHeader::Stream {
        source,
        destination,
    } = v4
    else {
        unreachable!()
    };
    check(
        &block(0x21, 0x12, 12),
        Parse::Done(
            ProxyHeader::Datagram {
                source,
                destination,
            },
            28,
        ),
    );
    check(&block(0x20, 0x11, 12), Parse::Done(ProxyHeader::Local, 28));
    check(
        &block(0x21, 0x00, 12),
        Parse::Done(ProxyHeader::Unknown, 28),
    );
    check(
        &block(0x21, 0x31, 12),
        Parse::Done(ProxyHeader::Unknown, 28),
    );
    check(
        &[block(0x21, 0x11, 15).as_slice(), b"\x04\0\0rest"].concat(),
        Parse::Done(v4, 31),
    );
    check(&block(0x21, 0x11, 13), Parse::NeedMore);
    check(&[0x21], Parse::NeedMore);
    check(
        &[0x22],
        Parse::Not(WhyNot::Malformed(
            "version or command of the PROXY protocol",
        )),
    );
    check(
        &[0x11],
        Parse::Not(WhyNot::Malformed(
            "version or command of the PROXY protocol",
        )),
    );
    check(
        &block(0x21, 0x41, 12),
        Parse::Not(WhyNot::Malformed("address family of the PROXY protocol")),
    );
    check(
        &block(0x21, 0x13, 12),
        Parse::Not(WhyNot::Malformed("transport of the PROXY protocol")),
    );
    check(
        &block(0x21, 0x11, 11),
        Parse::Not(WhyNot::Malformed("addresses of the PROXY protocol")),
    );
    check(
        &block(0x21, 0x21, 12),
        Parse::Not(WhyNot::Malformed("addresses of the PROXY protocol")),
    );
    check(&[0x21, 0x11, 0xff, 0xff], Parse::Not(WhyNot::TooLong));
}

proptest! {
    #[test]
    fn headers_come_back(source: SocketAddr, destination: SocketAddr, datagram: bool) {
        // Scope and flow do not travel; a mixed pair comes back as IPv6.
        let mixed = source.is_ipv4() != destination.is_ipv4();
        let plain = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) if mixed => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            ip => SocketAddr::new(ip, address.port()),
        };
        let (from, to) = (plain(source), plain(destination));
        let v1 = write_v1(Some(source), Some(destination));
        prop_assert!(v1.len() <= MAX_V1);
        prop_assert_eq!(parse(&v1), Parse::Done(ProxyHeader::Stream { source: from, destination: to }, v1.len()));
        let (given, read) = if datagram {
            (ProxyHeader::Datagram { source, destination }, ProxyHeader::Datagram { source: from, destination: to })
        } else {
            (ProxyHeader::Stream { source, destination }, ProxyHeader::Stream { source: from, destination: to })
        };
        let v2 = write_v2(&given);
        prop_assert_eq!(parse(&v2), Parse::Done(read, v2.len()));
    }
}
