//! How long flows and associations over UDP last, how many there may be, and from whom they take answers.

use super::*;

/// A daemon with these limits that sends everything out directly.
fn limited(udp: &str) -> Daemon {
    Daemon::native(&format!(
        "{MIXED}udp: {{ {udp} }}\nrules:\n  - FALLBACK, DIRECT\n"
    ))
}

#[test]
fn datagrams_of_either_side_keep_a_flow_and_silence_ends_it() {
    let daemon = limited("idle: 2s");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let head = to(server.local_addr().unwrap());
    let client = Client::new(&daemon);
    client.send(&head, b"hello");
    let mut bytes = [0; 16];
    let (_, outer) = server.recv_from(&mut bytes).unwrap();
    // Longer than it may be idle: the server alone speaks, then the client alone.
    for at in 0..30 {
        match at < 15 {
            true => {
                server.send_to(b"more", outer).unwrap();
                assert_eq!(client.receive(), Some([&head, &b"more"[..]].concat()));
            }
            false => {
                client.send(&head, b"more");
                let (_, from) = server.recv_from(&mut bytes).unwrap();
                assert_eq!(from, outer, "it is still the same flow");
            }
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    let silent = Instant::now();
    eventually("silence ends it", || ended(&daemon).len() == 1);
    assert!(silent.elapsed() >= Duration::from_millis(500));
    let records = ended(&daemon);
    assert_eq!(records[0]["ended"], "timeout", "{records:?}");
    assert_eq!(records[0]["ended_by"], "udp.idle", "{records:?}");
    // Its socket is closed with it.
    eventually("the socket is closed", || UdpSocket::bind(outer).is_ok());
    client.send(&head, b"again");
    let (_, from) = server.recv_from(&mut bytes).unwrap();
    server.send_to(b"anew", from).unwrap();
    assert_eq!(client.receive(), Some([&head, &b"anew"[..]].concat()));
}

#[test]
fn more_flows_than_there_may_be_are_refused_and_places_are_given_back() {
    for (udp, names) in [
        ("flows_by_client: 2", "`udp.flows_by_client` is 2"),
        ("flows: 2", "`udp.flows` is 2"),
    ] {
        let daemon = limited(udp);
        let places: Vec<_> = (0..3).map(|_| echo("127.0.0.1:0")).collect();
        let client = Client::new(&daemon);
        assert!(client.echoes(&to(places[0]), b"one"));
        assert!(client.echoes(&to(places[1]), b"two"));
        client.send(&to(places[2]), b"three");
        assert!(client.hears_nothing());
        assert!(client.echoes(&to(places[0]), b"those that are there go on"));
        let refused = ended(&daemon);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0]["destination"]["port"], places[2].port());
        assert!(refused[0].to_string().contains(names), "{refused:?}");
        drop(client);
        eventually("all have ended", || ended(&daemon).len() == 3);
        let client = Client::new(&daemon);
        assert!(client.echoes(&to(places[2]), b"three"));
        assert!(client.echoes(&to(places[1]), b"two"));
    }
}

#[test]
fn what_limits_refuse_is_told_and_counted() {
    for (udp, names, counted) in [
        (
            "flows_by_client: 1",
            "`udp.flows_by_client` is 1",
            "flows-by-client",
        ),
        ("flows: 1", "`udp.flows` is 1", "flows"),
    ] {
        let daemon = limited(udp);
        let client = Client::new(&daemon);
        assert!(client.echoes(&to(echo("127.0.0.1:0")), b"one"));
        let other = to(echo("127.0.0.1:0"));
        eventually("the log warns", || {
            client.send(&other, b"two");
            let log = daemon.log();
            let mut lines = log.lines();
            lines.any(|line| line.contains("WARN") && line.contains(names))
        });
        let lost = daemon.json(&["diagnostics"])["udp_lost"][counted].clone();
        assert!(lost.as_u64().unwrap() > 0, "{lost}");
    }
}

#[test]
fn a_program_that_took_all_places_gives_way_to_others_of_its_address() {
    let daemon = limited("flows_by_client: 12");
    let places: Vec<_> = (0..12).map(|_| echo("127.0.0.1:0")).collect();
    let greedy = Client::new(&daemon);
    // All are answered, and none is idle.
    for place in &places {
        assert!(greedy.echoes(&to(*place), b"mine"));
    }
    let modest = Client::new(&daemon);
    for place in &places[..5] {
        assert!(modest.echoes(&to(*place), b"at once"));
    }
    // Neither takes more than the other from now on, however much it asks for.
    for _ in 0..3 {
        for place in &places {
            greedy.send(&to(*place), b"mine");
        }
        while !greedy.hears_nothing() {}
        for place in &places[..5] {
            assert!(modest.echoes(&to(*place), b"still there"));
        }
    }
    let gave_way: Vec<_> = ended(&daemon)
        .into_iter()
        .filter(|it| it["ended"] == "failed")
        .collect();
    assert!(gave_way.len() >= 5, "{gave_way:?}");
    let all = records(&daemon);
    let live = all.iter().filter(|it| it["ended"].is_null()).count();
    assert_eq!(live, 12, "all places are taken");
    let text = gave_way[0].to_string();
    assert!(text.contains("`udp.flows_by_client` is 12"), "{text}");
    assert!(text.contains("gave way"), "{text}");
}

#[test]
fn who_answers_from_elsewhere_is_heard_as_far_as_the_limits_say() {
    for (nat, other_port, other_address) in [
        ("address", true, false),
        ("full-cone", true, true),
        ("port", false, false),
    ] {
        let daemon = limited(&format!("nat: {nat}"));
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let head = to(server.local_addr().unwrap());
        let client = Client::new(&daemon);
        client.send(&head, b"hello");
        let mut bytes = [0; 16];
        let (_, outer) = server.recv_from(&mut bytes).unwrap();
        for (at, is_heard) in [("127.0.0.1:0", other_port), ("127.0.0.2:0", other_address)] {
            let elsewhere = UdpSocket::bind(at).unwrap();
            elsewhere.send_to(b"here", outer).unwrap();
            match is_heard {
                true => {
                    let from = to(elsewhere.local_addr().unwrap());
                    let expected = [&from, &b"here"[..]].concat();
                    assert_eq!(client.receive(), Some(expected), "{nat} {at}");
                }
                false => assert!(client.hears_nothing(), "{nat} {at}"),
            }
        }
        server.send_to(b"there", outer).unwrap();
        assert_eq!(client.receive(), Some([&head, &b"there"[..]].concat()));
    }
}

#[test]
fn who_is_not_admitted_any_more_loses_the_association() {
    let place = echo("127.0.0.1:0");
    let with = |users: &str| {
        format!(
            "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\"{users} }}\n\
             rules:\n  - FALLBACK, DIRECT\n"
        )
    };
    let daemon = Daemon::native(&with(""));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(place), b"hello"));
    daemon.write(
        "pointsman.yaml",
        &with(", users: { alice: \"long enough\" }")
            .replace("127.0.0.1:0", &daemon.address("desk").to_string()),
    );
    assert!(daemon.client(&["reload"]).status.success());
    client.send(&to(echo("127.0.0.1:0")), b"a new flow");
    eventually("the association ends", || {
        UdpSocket::bind(client.relay).is_ok()
    });
}

#[test]
fn nothing_goes_to_port_0_and_it_is_on_record() {
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let client = Client::new(&daemon);
    let nowhere = to("192.0.2.1:0".parse().unwrap());
    client.send(&nowhere, b"hello?");
    client.send(&nowhere, b"hello?");
    eventually("it is refused", || !records(&daemon).is_empty());
    let records = records(&daemon);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["ended"], "refused");
    let why = records[0]["reason"].as_str().unwrap();
    assert!(why.contains("nothing listens on port 0"), "{why}");
}

#[test]
fn an_association_without_flows_does_not_hold_up_the_end() {
    let place = echo("127.0.0.1:0");
    let mut daemon = Daemon::native(&format!(
        "{MIXED}shutdown: {{ grace: 60s }}\nudp: {{ idle: 1s }}\nrules:\n  - FALLBACK, DIRECT\n"
    ));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(place), b"hello"));
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
}
