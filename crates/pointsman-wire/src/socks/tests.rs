//! Messages of SOCKS, one case per line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::fuzz_checks::check_socks;
use crate::{Parse, WhyNot};

/// Asserts the verdict, and the promises on the way.
fn check<T: std::fmt::Debug + PartialEq>(verdict: Parse<T>, bytes: &[u8], expected: Parse<T>) {
    assert_eq!(verdict, expected, "{bytes:?}");
    check_socks(bytes);
}

fn name(text: &str) -> RequestHost {
    RequestHost::Name(text.into())
}

fn address(text: &str) -> RequestHost {
    RequestHost::Address(text.parse().unwrap())
}

#[test]
fn greetings() {
    let ok = |bytes: &[u8], methods: &[Method], used| {
        let offered = |greeting: Greeting| -> Vec<Method> {
            let all = (0..=u8::MAX).map(Method::from_byte);
            all.filter(|method| greeting.offers(*method)).collect()
        };
        let read = match parse_greeting(bytes) {
            Parse::Done(greeting, used) => (offered(greeting), used),
            other => panic!("{other:?} of {bytes:?}"),
        };
        assert_eq!(read, (methods.to_vec(), used), "{bytes:?}");
    };
    ok(&[5, 1, 0], &[Method::NoAuthentication], 3);
    ok(
        &[5, 2, 0, 2, 9],
        &[Method::NoAuthentication, Method::Password],
        4,
    );
    ok(&[5, 1, 1], &[Method::Other(1)], 3);
    ok(&[5, 1, 0xff], &[Method::NoneAcceptable], 3);
    ok(
        &[5, 4, 64, 63, 63, 254],
        &[Method::Other(63), Method::Other(64), Method::Other(254)],
        6,
    );
    let other = |bytes: &[u8], expected| check(parse_greeting(bytes), bytes, expected);
    other(&[], Parse::NeedMore);
    other(&[5], Parse::NeedMore);
    other(&[5, 2, 0], Parse::NeedMore);
    other(&[4], Parse::Not(WhyNot::AnotherProtocol));
    other(b"G", Parse::Not(WhyNot::AnotherProtocol));
    other(
        &[5, 0],
        Parse::Not(WhyNot::Malformed("greeting that offers no method")),
    );
}

#[test]
fn user_names_and_passwords() {
    let read = |user: &str, password: &str, used| {
        Parse::Done(
            UserPass {
                user: user.into(),
                password: password.into(),
            },
            used,
        )
    };
    let ok = |bytes: &[u8], expected| check(parse_userpass(bytes), bytes, expected);
    ok(b"\x01\x03joe\x02pw", read("joe", "pw", 8));
    ok(b"\x01\x00\x02pw!", read("", "pw", 5));
    ok(b"\x01\x03joe\x00", read("joe", "", 6));
    ok(b"\x01\x03joe\x02p", Parse::NeedMore);
    ok(
        b"\x05",
        Parse::Not(WhyNot::Malformed("version of the authentication")),
    );
    ok(
        b"\x01\x01\xff\x00",
        Parse::Not(WhyNot::Malformed("user name or password that is not UTF-8")),
    );
}

#[test]
fn passwords_are_not_shown() {
    let shown = format!(
        "{:?}",
        UserPass {
            user: "joe".into(),
            password: "hunter2".into()
        }
    );
    assert!(
        shown.contains("joe") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn requests() {
    let ok = |bytes: &[u8], command, host, port, used| {
        check(
            parse_request(bytes),
            bytes,
            Parse::Done(
                Request {
                    command,
                    host,
                    port,
                },
                used,
            ),
        );
    };
    ok(
        b"\x05\x01\x00\x03\x06a.test\x01\xbb",
        Command::Connect,
        name("a.test"),
        443,
        13,
    );
    ok(
        b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50x",
        Command::Connect,
        address("192.0.2.1"),
        80,
        10,
    );
    ok(
        &[&[5, 1, 0, 4], [0; 15].as_slice(), &[1, 0, 22]].concat(),
        Command::Connect,
        address("::1"),
        22,
        22,
    );
    ok(
        b"\x05\x03\x00\x01\0\0\0\0\0\0",
        Command::UdpAssociate,
        address("0.0.0.0"),
        0,
        10,
    );
    ok(
        b"\x05\x02\xff\x01\0\0\0\0\0\0",
        Command::Bind,
        address("0.0.0.0"),
        0,
        10,
    );
    ok(
        b"\x05\x09\x00\x01\0\0\0\0\0\0",
        Command::Other(9),
        address("0.0.0.0"),
        0,
        10,
    );
    // An address in text is an address, whatever the client calls it.
    ok(
        b"\x05\x01\x00\x03\x09192.0.2.1\0\x50",
        Command::Connect,
        address("192.0.2.1"),
        80,
        16,
    );
    ok(
        b"\x05\x01\x00\x03\x03::1\0\x50",
        Command::Connect,
        address("::1"),
        80,
        10,
    );
    let not = |bytes: &[u8], why| check(parse_request(bytes), bytes, Parse::Not(why));
    not(b"\x04", WhyNot::Malformed("version of the request"));
    not(b"\x05\x01\x00\x02", WhyNot::Unsupported("address type"));
    not(b"\x05\x01\x00\x03\x00", WhyNot::Malformed("host name"));
    not(b"\x05\x01\x00\x03\x01\xff", WhyNot::Malformed("host name"));
    not(b"\x05\x01\x00\x03\x03a b", WhyNot::Malformed("host name"));
    not(
        b"\x05\x01\x00\x03\x05a\r\nb:",
        WhyNot::Malformed("host name"),
    );
    let more = |bytes: &[u8]| check(parse_request(bytes), bytes, Parse::NeedMore);
    more(b"\x05\x01");
    more(b"\x05\x01\x00\x03\x06a.test\x01");
}

#[test]
fn socks4_requests() {
    let ok = |bytes: &[u8], command, host, port, user: &str, used| {
        let request = Socks4Request {
            command,
            host,
            port,
            user: user.into(),
        };
        check(parse_socks4(bytes), bytes, Parse::Done(request, used));
    };
    ok(
        b"\x04\x01\x00\x50\xc0\x00\x02\x01joe\0",
        Command::Connect,
        address("192.0.2.1"),
        80,
        "joe",
        12,
    );
    ok(
        b"\x04\x01\x00\x50\x00\x00\x00\x01\0a.test\0x",
        Command::Connect,
        name("a.test"),
        80,
        "",
        16,
    );
    ok(
        b"\x04\x02\x00\x50\xc0\x00\x02\x01\0",
        Command::Bind,
        address("192.0.2.1"),
        80,
        "",
        9,
    );
    // SOCKS 4 has no third command.
    ok(
        b"\x04\x03\x00\x50\xc0\x00\x02\x01\0",
        Command::Other(3),
        address("192.0.2.1"),
        80,
        "",
        9,
    );
    let not = |bytes: &[u8], why| check(parse_socks4(bytes), bytes, Parse::Not(why));
    not(b"\x05", WhyNot::AnotherProtocol);
    not(
        b"\x04\x01\x00\x50\0\0\0\0\0",
        WhyNot::Malformed("unspecified address"),
    );
    not(
        b"\x04\x01\x00\x50\0\0\0\x01\0\0",
        WhyNot::Malformed("host name"),
    );
    let head = b"\x04\x01\x00\x50\xc0\x00\x02\x01";
    not(&[head, [b'u'; 256].as_slice()].concat(), WhyNot::TooLong);
    check(
        parse_socks4(&[head, [b'u'; 255].as_slice()].concat()),
        b"",
        Parse::NeedMore,
    );
    assert_eq!(write_socks4_reply(true)[..2], [0, 90]);
    assert_eq!(write_socks4_reply(false)[..2], [0, 91]);
}

#[test]
fn answers_of_servers() {
    let reply = |bytes: &[u8], code, bound: Option<&str>, used| {
        let bound = bound.map(|bound| bound.parse().unwrap());
        check(
            parse_reply(bytes),
            bytes,
            Parse::Done(Reply { code, bound }, used),
        );
    };
    reply(
        b"\x05\0\0\x01\x7f\0\0\x01\x04\x38!",
        ReplyCode::Succeeded,
        Some("127.0.0.1:1080"),
        10,
    );
    reply(
        b"\x05\x02\0\x01\0\0\0\0\0\0",
        ReplyCode::NotAllowed,
        Some("0.0.0.0:0"),
        10,
    );
    reply(
        b"\x05\x05\0\x03\0\0\0",
        ReplyCode::ConnectionRefused,
        None,
        7,
    );
    reply(
        b"\x05\x63\0\x03\x01a\0\0",
        ReplyCode::Unassigned(0x63),
        None,
        8,
    );
    check(
        parse_method_choice(&[5, 2]),
        &[5, 2],
        Parse::Done(Method::Password, 2),
    );
    check(
        parse_method_choice(&[5, 255]),
        &[5, 255],
        Parse::Done(Method::NoneAcceptable, 2),
    );
    check(
        parse_method_choice(b"HT"),
        b"HT",
        Parse::Not(WhyNot::AnotherProtocol),
    );
    check(parse_auth_status(&[1, 0]), &[1, 0], Parse::Done(true, 2));
    check(parse_auth_status(&[5, 0]), &[5, 0], Parse::Done(true, 2));
    check(parse_auth_status(&[1, 1]), &[1, 1], Parse::Done(false, 2));
    check(parse_auth_status(&[1]), &[1], Parse::NeedMore);
}

#[test]
fn what_a_client_writes_a_server_reads() {
    for login in [false, true] {
        let written = write_client_greeting(login);
        let Parse::Done(read, used) = parse_greeting(&written) else {
            panic!("{written:?}");
        };
        assert_eq!(used, written.len());
        assert!(read.offers(Method::NoAuthentication));
        assert_eq!(read.offers(Method::Password), login);
        assert!(!read.offers(Method::Other(1)));
    }
    assert_eq!(
        parse_method_choice(&write_method(Method::Password)),
        Parse::Done(Method::Password, 2)
    );
    assert_eq!(
        parse_auth_status(&write_auth_status(true)),
        Parse::Done(true, 2)
    );
    assert_eq!(
        parse_auth_status(&write_auth_status(false)),
        Parse::Done(false, 2)
    );
    write_userpass(&"u".repeat(256), "").unwrap_err();
    write_connect(&name(&"n".repeat(256)), 1).unwrap_err();
    write_connect(&name(""), 1).unwrap_err();
}

#[test]
fn datagrams() {
    let bytes = b"\0\0\0\x01\xc0\0\x02\x01\0\x35payload";
    let header = UdpHeader {
        host: address("192.0.2.1"),
        port: 53,
    };
    check(parse_udp_header(bytes), bytes, Parse::Done(header, 10));
    // Of both families, and by name; a name that is an address is one. No payload is a payload.
    let read = |bytes: &[u8], host, port| {
        let expected = Parse::Done(UdpHeader { host, port }, bytes.len());
        check(parse_udp_header(bytes), bytes, expected);
        assert_eq!(udp_header_length(bytes), Some(bytes.len()));
        assert_eq!(udp_header_length(&bytes[..bytes.len() - 1]), None);
    };
    let v6 = b"\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb";
    read(v6, address("2001:db8::1"), 443);
    read(b"\0\0\0\x03\x06a.test\0\0", name("a.test"), 0);
    read(b"\0\0\0\x03\x09192.0.2.1\0\x35", address("192.0.2.1"), 53);
    // Others put something into the reserved bytes.
    read(
        b"\x5a\x01\0\x01\xc0\0\x02\x01\0\x35",
        address("192.0.2.1"),
        53,
    );
    // Every fragment, also the one that ends a sequence of one.
    for number in [1, 2, 0x7f, 0x80, 0x81, 0xff] {
        let fragment = [0, 0, number, 1, 192, 0, 2, 1, 0, 53];
        let why = WhyNot::Unsupported("fragmented datagram");
        check(parse_udp_header(&fragment), &fragment, Parse::Not(why));
        assert_eq!(udp_header_length(&fragment), None);
    }
    let not = |bytes: &[u8], why| check(parse_udp_header(bytes), bytes, Parse::Not(why));
    not(b"\0\0\0\x02", WhyNot::Unsupported("address type"));
    not(b"\0\0\0\x03\0\0\x35", WhyNot::Malformed("host name"));
    not(b"\0\0\0\x03\x03a b\0\x35", WhyNot::Malformed("host name"));
    // Cut anywhere within the header.
    for end in 0..v6.len() {
        check(parse_udp_header(&v6[..end]), &v6[..end], Parse::NeedMore);
    }
    let longest = [&b"\0\0\0\x03\xff"[..], &[b'a'; 255], &[0, 53]].concat();
    assert_eq!(longest.len(), MAX_UDP_HEADER);
    read(&longest, name(&"a".repeat(255)), 53);
    let mut out = b"kept".to_vec();
    write_udp_header(&mut out, &name(""), 1).unwrap_err();
    assert_eq!(out, b"kept");
}

#[test]
fn a_header_is_written_before_its_payload() {
    let mut buffer = *b"....................payload";
    let host = address("192.0.2.1");
    let start = write_udp_header_before(&mut buffer, 20, &host, 53).unwrap();
    assert_eq!(start, 10);
    assert_eq!(&buffer, b"..........\0\0\0\x01\xc0\0\x02\x01\0\x35payload");
    // Room for exactly one, and for less; a payload beyond the buffer; a name that is none.
    assert_eq!(write_udp_header_before(&mut buffer, 10, &host, 53), Ok(0));
    let before = buffer;
    write_udp_header_before(&mut buffer, 9, &host, 53).unwrap_err();
    write_udp_header_before(&mut buffer, 28, &host, 53).unwrap_err();
    write_udp_header_before(&mut buffer, 20, &name(""), 53).unwrap_err();
    write_udp_header_before(&mut buffer, 20, &name(&"a".repeat(256)), 53).unwrap_err();
    assert_eq!(buffer, before);
    // An empty payload at the end.
    assert_eq!(write_udp_header_before(&mut buffer, 27, &host, 53), Ok(17));
}

#[test]
fn bytes_of_codes_come_back() {
    for byte in 0..=255 {
        assert_eq!(ReplyCode::from_byte(byte).byte(), byte);
        assert_eq!(Command::from_byte(byte).byte(), byte);
        assert_eq!(Method::from_byte(byte).byte(), byte);
    }
    assert_eq!(ReplyCode::NotAllowed.byte(), 2);
}

fn hosts() -> impl Strategy<Value = RequestHost> {
    prop_oneof![
        any::<IpAddr>().prop_map(RequestHost::Address),
        "[a-z][a-z0-9.-]{0,254}".prop_filter_map("a name", |text| RequestHost::parse(&text)),
    ]
}

proptest! {
    #[test]
    fn requests_come_back(host in hosts(), port: u16, command: u8, tail: Vec<u8>) {
        let command = Command::from_byte(command);
        let mut bytes = write_request(command, &host, port).unwrap();
        let used = bytes.len();
        bytes.extend(tail);
        prop_assert_eq!(parse_request(&bytes), Parse::Done(Request { command, host, port }, used));
    }

    #[test]
    fn replies_come_back(code: u8, bound: SocketAddr) {
        // Scope and flow do not travel.
        let bound = SocketAddr::new(bound.ip(), bound.port());
        let code = ReplyCode::from_byte(code);
        let bytes = write_reply(code, bound);
        let read = Reply { code, bound: Some(bound) };
        prop_assert_eq!(parse_reply(&bytes), Parse::Done(read, bytes.len()));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        prop_assert_eq!(write_reply(code, nowhere), write_unbound_reply(code));
    }

    #[test]
    fn user_and_password_come_back(user in ".{0,60}", password in ".{0,60}") {
        let bytes = write_userpass(&user, &password).unwrap();
        prop_assert_eq!(parse_userpass(&bytes), Parse::Done(UserPass { user, password }, bytes.len()));
    }

    #[test]
    fn datagram_headers_come_back(host in hosts(), port: u16) {
        let mut bytes = Vec::new();
        write_udp_header(&mut bytes, &host, port).unwrap();
        let mut buffer = [0x5a; MAX_UDP_HEADER + 4];
        let start = write_udp_header_before(&mut buffer, MAX_UDP_HEADER, &host, port).unwrap();
        prop_assert_eq!(&buffer[start..MAX_UDP_HEADER], &bytes[..]);
        prop_assert!(buffer[..start].iter().chain(&buffer[MAX_UDP_HEADER..]).all(|byte| *byte == 0x5a));
        prop_assert_eq!(parse_udp_header(&bytes), Parse::Done(UdpHeader { host, port }, bytes.len()));
    }

    #[test]
    fn socks4_names_come_back(host in "[a-z][a-z0-9.-]{0,100}", port: u16, user in "[a-z]{0,9}") {
        let port_bytes = port.to_be_bytes();
        let bytes = [b"\x04\x01", port_bytes.as_slice(), b"\0\0\0\x07", user.as_bytes(), b"\0", host.as_bytes(), b"\0"].concat();
        let request = Socks4Request { command: Command::Connect, host: name(&host), port, user };
        prop_assert_eq!(parse_socks4(&bytes), Parse::Done(request, bytes.len()));
    }

    #[test]
    fn socks4_addresses_come_back(ip: Ipv4Addr, port: u16) {
        prop_assume!(ip.octets()[..3] != [0, 0, 0]);
        let bytes = [b"\x04\x01", port.to_be_bytes().as_slice(), &ip.octets(), b"\0"].concat();
        let host = RequestHost::Address(ip.into());
        let request = Socks4Request { command: Command::Connect, host, port, user: String::new() };
        prop_assert_eq!(parse_socks4(&bytes), Parse::Done(request, bytes.len()));
    }
}
