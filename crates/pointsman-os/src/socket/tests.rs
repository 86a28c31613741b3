//! Sockets are made as asked, or not at all.

use super::*;

fn v4(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn source_must_be_of_the_family_of_the_destination() {
    let uplink = Uplink {
        source: Some("::1".parse().unwrap()),
        ..Uplink::default()
    };
    let error = connect_prepare(v4("127.0.0.1:1"), uplink).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn source_is_bound() {
    let uplink = Uplink {
        source: Some("127.0.0.7".parse().unwrap()),
        ..Uplink::default()
    };
    let socket = datagram_prepare(v4("127.0.0.1:1"), uplink).unwrap();
    assert_eq!(socket.local_addr().unwrap().ip(), uplink.source.unwrap());
}

#[test]
fn unknown_interface_is_an_error_that_names_it() {
    let uplink = Uplink {
        interface: Some("nosuch0"),
        ..Uplink::default()
    };
    let error = connect_prepare(v4("127.0.0.1:1"), uplink).unwrap_err();
    assert!(error.to_string().contains("nosuch0"), "{error}");
}

#[test]
fn shared_listeners_share_and_strangers_are_refused() {
    let first = first_tcp_listener(v4("127.0.0.1:0"), CAN_SHARE_PORTS).unwrap();
    let address = first.local_addr().unwrap();
    if CAN_SHARE_PORTS {
        tcp_listener(address, true).unwrap();
    }
    assert_eq!(
        first_tcp_listener(address, CAN_SHARE_PORTS)
            .unwrap_err()
            .kind(),
        io::ErrorKind::AddrInUse
    );
}

#[test]
fn own_addresses_are_known() {
    for (address, expected) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("192.0.2.1", false),
        ("0.0.0.0", false),
        ("224.0.0.1", false),
    ] {
        assert_eq!(
            is_own_address(address.parse().unwrap()),
            expected,
            "{address}"
        );
    }
}

#[test]
fn a_dead_connection_is_seen_without_reading() {
    let listener = tcp_listener(v4("127.0.0.1:0"), false).unwrap();
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    client
        .connect(&listener.local_addr().unwrap().into())
        .unwrap();
    let (server, _) = listener.accept().unwrap();
    assert!(!hung_up(&server).unwrap());
    reset_on_close(&client).unwrap();
    drop(client);
    assert!(hung_up(&server).unwrap());
}

#[test]
fn the_code_point_of_a_client_is_known() {
    let check = |address: &str, dscp: u8| {
        let listener = tcp_listener(v4(address), false).unwrap();
        listener.set_nonblocking(false).unwrap();
        let client = Socket::new(
            Domain::for_address(v4(address)),
            Type::STREAM,
            Some(Protocol::TCP),
        )
        .unwrap();
        let octet = u32::from(dscp) << 2;
        if v4(address).is_ipv6() {
            client.set_tclass_v6(octet).unwrap();
        } else {
            client.set_tos_v4(octet).unwrap();
        }
        client
            .connect(&listener.local_addr().unwrap().into())
            .unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let expected = cfg!(target_os = "linux").then_some(dscp);
        assert_eq!(super::dscp(&accepted).unwrap(), expected, "{address}");
    };
    check("127.0.0.1:0", 46);
    check("127.0.0.1:0", 0);
    check("[::1]:0", 8);
}
