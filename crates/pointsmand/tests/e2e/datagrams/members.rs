//! Groups whose selection changes while flows over UDP go by them: those that are there stay, new ones go the new way.

use super::*;

/// Says whence each datagram came, as whom it came from sees it: `address:port`.
fn teller() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
            let _ = socket.send_to(from.to_string().as_bytes(), from);
        }
    });
    address
}

/// Whence the teller at that place sees the client's flow to it come.
fn seen(client: &Client, place: SocketAddr) -> SocketAddr {
    let head = to(place);
    client.send(&head, b"whence?");
    let told = client.receive().unwrap();
    let told = told.strip_prefix(&head[..]).unwrap();
    std::str::from_utf8(told).unwrap().parse().unwrap()
}

#[test]
fn a_selection_is_for_new_flows_and_each_way_keeps_its_mapping() {
    let daemon = Daemon::native(&format!(
        "{MIXED}outbounds:\n\
         \x20 one: {{ type: direct, source: 127.0.0.2 }}\n\
         \x20 two: {{ type: direct, source: 127.0.0.3 }}\n\
         \x20 inner: {{ type: select, members: [one, two] }}\n\
         \x20 outer: {{ type: select, members: [inner] }}\n\
         rules:\n  - FALLBACK, outer\n"
    ));
    let select = |member: &str| {
        let output = daemon.client(&["outbounds", "select", "inner", member]);
        assert!(output.status.success(), "{output:?}");
    };
    let places: Vec<_> = (0..4).map(|_| teller()).collect();
    let client = Client::new(&daemon);
    let by_one = seen(&client, places[0]);
    assert_eq!(by_one.ip().to_string(), "127.0.0.2");
    select("two");
    assert_eq!(seen(&client, places[0]), by_one, "it goes on as it began");
    let by_two = seen(&client, places[1]);
    assert_eq!(by_two.ip().to_string(), "127.0.0.3");
    select("one");
    assert_eq!(seen(&client, places[1]), by_two, "so does that one");
    assert_eq!(
        seen(&client, places[2]),
        by_one,
        "the mapping of the first is there still, and shared"
    );
    // The association is the same one; one that begins now has the same choice.
    let other = Client::new(&daemon);
    assert_eq!(seen(&other, places[3]).ip().to_string(), "127.0.0.2");
    assert_eq!(seen(&client, places[0]), by_one);
    let live = records(&daemon);
    let members: Vec<_> = live
        .iter()
        .map(|it| it["member"].as_str().unwrap())
        .collect();
    assert_eq!(members, ["one", "two", "one", "one"], "{live:?}");
    assert!(live.iter().all(|it| it["ended"].is_null()), "{live:?}");
}

#[test]
fn a_flow_that_ended_begins_anew_by_the_member_of_then() {
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ idle: 1s }}\noutbounds:\n\
         \x20 one: {{ type: direct, source: 127.0.0.2 }}\n\
         \x20 two: {{ type: direct, source: 127.0.0.3 }}\n\
         \x20 pick: {{ type: select, members: [one, two, reject] }}\n\
         rules:\n  - FALLBACK, pick\n"
    ));
    let select = |member: &str| {
        let output = daemon.client(&["outbounds", "select", "pick", member]);
        assert!(output.status.success(), "{output:?}");
    };
    let place = teller();
    let client = Client::new(&daemon);
    assert_eq!(seen(&client, place).ip().to_string(), "127.0.0.2");
    select("two");
    eventually("silence ends it", || ended(&daemon).len() == 1);
    assert_eq!(seen(&client, place).ip().to_string(), "127.0.0.3");
    select("reject");
    assert_eq!(seen(&client, place).ip().to_string(), "127.0.0.3");
    eventually("silence ends it", || ended(&daemon).len() == 2);
    client.send(&to(place), b"whence?");
    assert!(client.hears_nothing());
    assert_eq!(ended(&daemon)[2]["ended"], "refused");
}
