//! The files as their manuals say, and a disk that does not answer.

use super::*;

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn shown(servers: &[NameServer]) -> Vec<String> {
    let place = |server: &NameServer| match server {
        NameServer::Udp(place) => place.to_string(),
        other => format!("{other:?}"),
    };
    servers.iter().map(place).collect()
}

#[test]
fn hosts_are_read_as_their_manual_says() {
    let hosts = parse_hosts(
        "127.0.0.1 localhost a # b\n\n::1 ip6 A\nx y\n127.0.0.1 a\n::ffff:10.0.0.5 mapped\n",
    );
    let known = Known {
        hosts,
        ..Known::default()
    };
    let (v4, v6) = known.hosts(&domain("a"));
    assert_eq!(v4, [IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(v6, [IpAddr::from(Ipv6Addr::LOCALHOST)]);
    assert!(known.hosts(&domain("ip6")).0.is_empty());
    assert_eq!(known.hosts(&domain("y")), (vec![], vec![]));
    let ten = IpAddr::from([10, 0, 0, 5]);
    assert_eq!(known.hosts(&domain("mapped")), (vec![ten], vec![]));
}

#[test]
fn the_configuration_is_read_as_its_manual_says() {
    let (servers, search) = parse_configuration(
        "# x\nsearch a.test b.test\nnameserver 9.9.9.9 ; c\nnameserver x\nnameserver fe80::1%eth0\n\
         nameserver 9.9.9.9%eth0\nnameserver fe80::2%3\nnameserver ::1\n",
    );
    assert_eq!(
        shown(&servers),
        [
            "9.9.9.9:53",
            "[fe80::1%eth0]:53",
            "[fe80::2%3]:53",
            "[::1]:53"
        ]
    );
    let known = Known {
        search,
        ..Known::default()
    };
    assert_eq!(
        known.searched(&domain("nas")),
        [domain("nas.a.test"), domain("nas.b.test")]
    );
    assert!(known.searched(&domain("nas.test")).is_empty());
    assert_eq!(shown(&parse_configuration("").0), ["127.0.0.1:53"]);
    let many = "nameserver 1.1.1.1\n".repeat(100);
    assert_eq!(parse_configuration(&many).0.len(), MAX_SERVERS);
}

#[test]
fn the_systems_servers_stand_where_it_is_named() {
    let (servers, _) = parse_configuration("nameserver 1.1.1.1\nnameserver 2.2.2.2\n");
    let known = Known {
        servers,
        ..Known::default()
    };
    let own = name_server("9.9.9.9").unwrap();
    let all = known.in_place_of_system(&[own, NameServer::System]);
    assert_eq!(shown(&all), ["9.9.9.9:53", "1.1.1.1:53", "2.2.2.2:53"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changed_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (hosts, configuration) = (directory.path().join("h"), directory.path().join("c"));
    std::fs::write(&hosts, "10.0.0.1 a\n").unwrap();
    let system = System::new(&hosts, &configuration);
    let first = system.known().await.unwrap();
    assert_eq!(first.hosts(&domain("a")).0, [IpAddr::from([10, 0, 0, 1])]);
    // Unchanged, it is the same index.
    tokio::time::advance(LOOK_EVERY).await;
    assert!(Arc::ptr_eq(&first, &system.known().await.unwrap()));
    std::fs::write(&hosts, "10.0.0.22 a\n").unwrap();
    assert!(Arc::ptr_eq(&first, &system.known().await.unwrap()));
    tokio::time::advance(LOOK_EVERY).await;
    let next = system.known().await.unwrap();
    assert_eq!(next.hosts(&domain("a")).0, [IpAddr::from([10, 0, 0, 22])]);
}

#[tokio::test]
async fn files_that_cannot_be_read_cost_a_bounded_time() {
    let directory = tempfile::tempdir().unwrap();
    // Not a file: it would never end.
    let system = System::new("/dev/zero", directory.path());
    assert_eq!(
        shown(&system.known().await.unwrap().servers),
        ["127.0.0.1:53"]
    );
}

#[allow(
    clippy::disallowed_methods,
    reason = "a task that never ends, in a test"
)]
#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let system = System::new(directory.path().join("h"), directory.path().join("c"));
    // Who reads, and never comes to an end.
    *system.reading.lock().await =
        Some(tokio::runtime::Handle::current().spawn(std::future::pending()));
    let begun = Instant::now();
    let (first, second) = tokio::join!(system.known(), system.known());
    assert!(first.unwrap_err().contains("could not be read within 3s"));
    assert!(second.is_err());
    assert_eq!(begun.elapsed(), FIRST_READ);
    // With something known it is taken instead.
    let known = Arc::<Known>::default();
    *system.latest.lock().unwrap() = Some((Arc::clone(&known), Instant::now()));
    tokio::time::advance(LOOK_EVERY).await;
    let begun = Instant::now();
    assert!(Arc::ptr_eq(&known, &system.known().await.unwrap()));
    assert_eq!(begun.elapsed(), NEXT_READ);
}
