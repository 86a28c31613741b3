//! Sources: a socket leaves by the interface that owns its address, whatever the default route says.

use std::process::{Command, Stdio};

use crate::daemon::{Daemon, Start};
use crate::namespace::Namespace;

/// Words of `ip`, a line each.
fn set_up(namespace: &Namespace, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        namespace.ip(&line.split_whitespace().collect::<Vec<_>>());
    }
}

/// Whether the daemon took a connection to `host:port`.
fn connects(home: &Namespace, host: &str, port: u16) -> bool {
    let mut curl: Command = home.command("curl");
    let status = curl
        .args([
            "--silent",
            "--max-time",
            "20",
            "--noproxy",
            "",
            "--output",
            "/dev/null",
        ])
        .args(["--proxy", "socks5h://127.0.0.1:1080"])
        .arg(format!("telnet://{host}:{port}"))
        .stdin(Stdio::null())
        .status()
        .unwrap();
    // 97: the proxy refused.
    assert!(
        matches!(status.code(), Some(0 | 97)),
        "{host}:{port}: {status}"
    );
    status.success()
}

/// Two ways out of one host, to two routers that both have 10.9.9.9 and serve other ports of it.
#[test]
fn a_source_leaves_by_the_interface_that_owns_it() {
    let home = Namespace::new("home");
    let (first, second) = (Namespace::new("first"), Namespace::new("second"));
    home.join(("eth0", "10.1.0.1/24"), &first, ("wan", "10.1.0.2/24"));
    home.join(("eth1", "10.2.0.1/24"), &second, ("wan", "10.2.0.2/24"));
    for (namespace, links) in [
        (&home, &["all", "eth0", "eth1"][..]),
        (&first, &["all", "wan"]),
        (&second, &["all", "wan"]),
    ] {
        for link in links {
            let key = format!("net.ipv4.conf.{link}.rp_filter=0");
            let status = namespace.command("sysctl").args(["-qw", &key]).status();
            assert!(status.unwrap().success());
        }
    }
    // 10.3.0.1 is on the loopback, 10.4.0.1 has a rule of its own.
    set_up(
        &home,
        "address add fd01::1/64 dev eth0 nodad
         address add fd02::1/64 dev eth1 nodad
         address add 10.3.0.1/32 dev lo
         address add fd03::1/128 dev lo nodad
         address add 10.4.0.1/24 dev eth1
         address add fd04::1/64 dev eth1 nodad
         route add default via 10.1.0.2 dev eth0
         route add default via 10.2.0.2 dev eth1 metric 100
         -6 route add default via fd01::2 dev eth0 metric 50
         -6 route add default via fd02::2 dev eth1 metric 100
         rule add from 10.4.0.1 lookup 100
         -6 rule add from fd04::1 lookup 100
         route add default via 10.1.0.2 dev eth0 table 100
         -6 route add default via fd01::2 dev eth0 table 100",
    );
    for (router, number) in [(&first, 1), (&second, 2)] {
        set_up(
            router,
            &format!(
                "address add 10.9.9.9/32 dev lo
                 address add fd09::9/128 dev lo nodad
                 address add fd0{number}::2/64 dev wan nodad
                 route add default via 10.{number}.0.1
                 -6 route add default via fd0{number}::1"
            ),
        );
    }
    // The way that is right serves the port; over the other one the connection is refused.
    let _serving = [
        first.inet(&["banner", "10.9.9.9", "8003", "8004", "8006"]),
        first.inet(&["banner", "fd09::9", "9003", "9004", "9006"]),
        second.inet(&["banner", "10.9.9.9", "8002", "8005"]),
        second.inet(&["banner", "fd09::9", "9002", "9005"]),
        first.inet(&["dns", "10.9.9.9", "four.test=127.0.0.1"]),
        first.inet(&["dns", "fd09::9", "six.test=127.0.0.1"]),
        second.inet(&["dns", "10.9.9.9", "four.test=127.0.0.2"]),
        second.inet(&["dns", "fd09::9", "six.test=127.0.0.2"]),
    ];
    let mut outbounds = String::new();
    let mut rules = String::new();
    for (base, prefix) in [(8000, "10."), (9000, "fd0")] {
        for number in 2..=5 {
            let name = format!("from{}", base + number);
            let end = if base == 8000 { ".0.1" } else { "::1" };
            outbounds +=
                &format!("  {name}: {{ type: direct, source: \"{prefix}{number}{end}\" }}\n");
            rules += &format!("  - DST-PORT, {}, {name}\n", base + number);
        }
    }
    let daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            format!(
                "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:1080\" }}\n\
                 outbounds:\n{outbounds}\
                 dns:\n  upstreams:\n    four: {{ address: \"udp://10.9.9.9\", via: from8002 }}\n\
                 \x20   six: {{ address: \"udp://fd09::9\", via: from9002 }}\n  domains: {{ six.test: six }}\n\
                 rules:\n{rules}  - .LOCAL-RESOLVE\n  - IP-CIDR, 127.0.0.2/32, REJECT\n  - FALLBACK, DIRECT\n"
            ),
        )],
        config: "pointsman.yaml",
        namespace: Some(&home.name),
        ..Start::default()
    });
    for (host, base) in [("10.9.9.9", 8000), ("[fd09::9]", 9000)] {
        // The second interface's; the loopback's and that of a rule, both left to the kernel; the default route's.
        for (number, why) in [(2, "owner"), (3, "loopback"), (4, "rule"), (6, "no source")] {
            assert!(
                connects(&home, host, base + number),
                "{host}: {why}: {}",
                daemon.last_flow()
            );
        }
        // Nobody's: not even where such addresses could be bound.
        for nonlocal in ["0", "1"] {
            for family in ["ipv4", "ipv6"] {
                let key = format!("net.{family}.ip_nonlocal_bind={nonlocal}");
                let status = home.command("sysctl").args(["-qw", &key]).status();
                assert!(status.unwrap().success());
            }
            assert!(!connects(&home, host, base + 5), "{host}: nobody's");
            let flow = daemon.last_flow();
            let error = flow["error"].as_str().unwrap();
            assert!(
                error.contains("no interface of this host owns it"),
                "{error}"
            );
        }
        // The second interface's from the moment that it is there.
        let (own, family) = match base {
            8000 => ("10.5.0.1/24 dev eth1", "-4"),
            _ => ("fd05::1/64 dev eth1 nodad", "-6"),
        };
        set_up(&home, &format!("{family} address add {own}"));
        assert!(
            connects(&home, host, base + 5),
            "{own}: {}",
            daemon.last_flow()
        );
    }
    // Questions over UDP leave the same way.
    for name in ["four.test", "six.test"] {
        assert!(!connects(&home, name, 9));
        let flow = daemon.last_flow();
        assert_eq!(flow["outbound"], "REJECT", "{name}: {flow}");
    }
}
