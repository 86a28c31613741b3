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
    let known = SystemFiles {
        hosts,
        ..SystemFiles::default()
    };
    let [four, six] = [[127, 0, 0, 1].into(), IpAddr::from(Ipv6Addr::LOCALHOST)];
    assert_eq!(known.hosts(&domain("a")), [four, six]);
    assert_eq!(known.hosts(&domain("ip6")), [six]);
    assert!(known.hosts(&domain("y")).is_empty());
    let ten = IpAddr::from([10, 0, 0, 5]);
    assert_eq!(known.hosts(&domain("mapped")), [ten]);
}

#[test]
fn the_configuration_is_read_as_its_manual_says() {
    let configuration = parse_configuration(
        "# x\nsearch a.test b.test\nnameserver 9.9.9.9 ; c\nnameserver x\nnameserver fe80::1%eth0\n\
         nameserver 9.9.9.9%eth0\nnameserver fe80::2%3\nnameserver ::1\n",
    );
    assert_eq!(
        shown(&configuration.servers),
        [
            "9.9.9.9:53",
            "[fe80::1%eth0]:53",
            "[fe80::2%3]:53",
            "[::1]:53"
        ]
    );
    let known = SystemFiles {
        configuration,
        ..SystemFiles::default()
    };
    assert_eq!(known.patience(), Patience::default());
    assert_eq!(
        known.searched(&domain("nas")),
        [domain("nas.a.test"), domain("nas.b.test")]
    );
    assert!(known.searched(&domain("nas.test")).is_empty());
    assert_eq!(shown(&parse_configuration("").servers), ["127.0.0.1:53"]);
    let many = "nameserver 1.1.1.1\n".repeat(100);
    assert_eq!(parse_configuration(&many).servers.len(), MAX_SERVERS);
}

fn known(text: &str) -> SystemFiles {
    SystemFiles {
        configuration: parse_configuration(text),
        ..SystemFiles::default()
    }
}

#[test]
fn short_names_are_those_with_fewer_dots_than_the_options_say() {
    let searched = |options: &str, name: &str| {
        let known = known(&format!("search a.test b.test\n{options}\n"));
        known.searched(&domain(name)).len()
    };
    for (options, counts) in [
        ("", [2, 0, 0]),
        ("options edns0 ndots:x trust-ad", [2, 0, 0]),
        ("options ndots:2", [2, 2, 0]),
        ("options rotate ndots:5", [2, 2, 2]),
        ("options ndots:99", [2, 2, 2]),
        ("options ndots:0", [0, 0, 0]),
    ] {
        let names = ["nas", "nas.svc", "nas.svc.lan"];
        assert_eq!(
            names.map(|name| searched(options, name)),
            counts,
            "{options}"
        );
    }
}

#[test]
fn the_options_say_how_long_servers_are_waited_for() {
    let patience = |options: &str| {
        let servers = "nameserver 1.1.1.1\nnameserver 2.2.2.2\n";
        let Patience { whole, datagrams } = known(&format!("{servers}{options}")).patience();
        (whole.as_secs(), datagrams)
    };
    assert_eq!(patience("options timeout:1 attempts:1"), (2, 1));
    assert_eq!(patience("options timeout:3"), (12, 3));
    assert_eq!(patience("options attempts:2"), (4, 2));
    assert_eq!(patience("options timeout:0 attempts:0"), (2, 1));
    assert_eq!(patience("options timeout:4000000000 attempts:99"), (30, 5));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changed_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (hosts, configuration) = (directory.path().join("h"), directory.path().join("c"));
    std::fs::write(&hosts, "10.0.0.1 a\n").unwrap();
    let system = System::new(&hosts, &configuration);
    let first = system.known().await.unwrap();
    assert_eq!(first.hosts(&domain("a")), [IpAddr::from([10, 0, 0, 1])]);
    // Unchanged, it is the same index.
    tokio::time::advance(LOOK_EVERY).await;
    assert!(Arc::ptr_eq(&first, &system.known().await.unwrap()));
    std::fs::write(&hosts, "10.0.0.22 a\n").unwrap();
    assert!(Arc::ptr_eq(&first, &system.known().await.unwrap()));
    tokio::time::advance(LOOK_EVERY).await;
    let next = system.known().await.unwrap();
    assert_eq!(next.hosts(&domain("a")), [IpAddr::from([10, 0, 0, 22])]);
}

#[tokio::test]
async fn files_that_cannot_be_read_cost_a_bounded_time() {
    let directory = tempfile::tempdir().unwrap();
    // Not a file: it would never end.
    let system = System::new("/dev/zero", directory.path());
    assert_eq!(
        shown(system.known().await.unwrap().servers()),
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
    let known = Arc::<SystemFiles>::default();
    *system.latest.lock().unwrap() = Some((Arc::clone(&known), Instant::now()));
    tokio::time::advance(LOOK_EVERY).await;
    let begun = Instant::now();
    assert!(Arc::ptr_eq(&known, &system.known().await.unwrap()));
    assert_eq!(begun.elapsed(), NEXT_READ);
}
