//! Who is asked for the names that flows bring: the same as for queries, so that no name is asked elsewhere.

use super::{Names, World};
use crate::daemon::{Daemon, Start, eventually};
use crate::namespace::Namespace;

/// A host with this native file beside two upstreams, 10.9.9.2 (`near`) and 10.9.9.1 (`far`), and two inbounds.
fn world(rest: &str) -> World {
    World::with(vec![("conf", text(rest))])
}

fn text(rest: &str) -> String {
    format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:1080\" }}\n  \
         guest: {{ type: mixed, listen: \"127.0.0.1:1081\", resolver: far }}\n\
         outbounds:\n  privacy: {{ type: socks5, server: \"127.0.0.1:2123\" }}\n  work: {{ type: direct, interface: lo }}\n  \
         either: {{ type: select, members: [direct, privacy] }}\n{rest}"
    )
}

/// By SOCKS a client brings that name, which leads nowhere; what curl says of it.
fn bring(world: &World, port: u16, name: &str) -> Option<i32> {
    let mut curl = world.host.command("curl");
    let (proxy, url) = (
        format!("socks5h://127.0.0.1:{port}"),
        format!("http://{name}:9/"),
    );
    let words = ["--silent", "--max-time", "5", "--noproxy", "", "--proxy"];
    curl.args(words).args([proxy, url]).status().unwrap().code()
}

/// How often the near and the far one were asked for the addresses of a name.
fn counts(world: &World, name: &str) -> (usize, usize) {
    let of = |names: &Names| names.asked(&format!(" {name} ")).min(1);
    (of(&world.near), of(&world.far))
}

const UPSTREAMS: &str = "dns:\n  upstreams:\n    near: \"udp://10.9.9.2\"\n    \
     far: { address: \"udp://10.9.9.1\", via: privacy }\n";

#[test]
fn a_name_is_asked_where_its_flow_leaves_and_where_rules_send_it() {
    let rules = "rules:\n- DOMAIN-SUFFIX, corp.test, work\n- DOMAIN-SUFFIX, picked.test, either\n- FALLBACK, direct\n";
    let server = "  listen: \"udp://127.0.0.1:53535\"\n  ask: { work: far, either: far }\n  hosts: { fixed.test: 10.0.0.3 }\n  \
                  domains: { only.test: far }\n  rules:\n  - DOMAIN-SUFFIX, secret.test, far\n  - DOMAIN, blocked.test, nxdomain\n  \
                  - DOMAIN, zero.test, zero\n  - FALLBACK, follow\n";
    let world = world(&format!("{rules}{UPSTREAMS}{server}").replace("direct\n", "DIRECT\n"));
    for (port, name, expected) in [
        (1080, "plain.test", (1, 0)),
        // The rules for queries.
        (1080, "a.secret.test", (0, 1)),
        (1080, "a.only.test", (0, 1)),
        (1080, "blocked.test", (0, 0)),
        (1080, "zero.test", (0, 0)),
        (1080, "fixed.test", (0, 0)),
        // Means nothing to the world.
        (1080, "printer.local", (0, 0)),
        // The ways.
        (1080, "a.corp.test", (0, 1)),
        (1080, "a.picked.test", (0, 1)),
        // The inbound's own.
        (1081, "guest.test", (0, 1)),
    ] {
        bring(&world, port, name);
        assert_eq!(counts(&world, name), expected, "{name}");
    }
    for (words, upstream, reason) in [
        ("dst=plain.test:80", "near", "leaves by `DIRECT`"),
        ("dst=a.corp.test:80", "far", "leaves by `work`"),
        ("dst=a.secret.test:80", "far", "a rule for queries"),
        (
            "dst=x.test:80 inbound=guest",
            "far",
            "the inbound's resolver",
        ),
    ] {
        let words: Vec<&str> = ["explain"].into_iter().chain(words.split(' ')).collect();
        let told = world.daemon.json(&words)["look_up"].clone();
        assert_eq!(told["upstream"], upstream, "{words:?}: {told}");
        assert!(
            told["reason"].as_str().unwrap().contains(reason),
            "{words:?}: {told}"
        );
    }
    let told = world.daemon.json(&["explain", "dst=blocked.test:80"])["look_up"].clone();
    assert_eq!(told["servers"], serde_json::json!([]), "{told}");
    assert!(
        told["rule"]["text"]
            .as_str()
            .unwrap()
            .contains("blocked.test"),
        "{told}"
    );
}

/// Rules that look at addresses ask before it is known where the flow leaves.
#[test]
fn what_rules_resolve_is_asked_where_the_flow_may_leave() {
    let rules = "rules:\n- DOMAIN-SUFFIX, clear.test, DIRECT\n- .LOCAL-RESOLVE\n- IP-CIDR, 10.0.0.9/32, privacy\n\
                 - AND, [DOMAIN-SUFFIX, both.test], [IP-CIDR, 10.0.0.2/32], DIRECT\n- DOMAIN-SUFFIX, both.test, DIRECT\n- FALLBACK, privacy\n";
    let world = world(&format!("{rules}{UPSTREAMS}"));
    for (name, expected) in [
        ("clear.test", (1, 0)),
        // Nowhere but by the proxy.
        ("all.test", (0, 1)),
        // By either, and nobody is named for that: the first.
        ("both.test", (1, 0)),
    ] {
        bring(&world, 1080, name);
        assert_eq!(counts(&world, name), expected, "{name}");
    }
    let undecided = text(&format!("{rules}{UPSTREAMS}  undecided: far\n"));
    world.daemon.write("conf", &undecided);
    assert!(world.daemon.client(&["reload"]).status.success());
    bring(&world, 1080, "x.both.test");
    assert_eq!(counts(&world, "x.both.test"), (0, 1));
    let told = world.daemon.json(&["explain", "dst=x.both.test:80"])["look_up"].clone();
    assert_eq!(told["upstream"], serde_json::Value::Null, "{told}");
    assert_eq!(told["servers"][0], "udp 10.9.9.1:53 by privacy", "{told}");
    assert!(
        told["reason"].as_str().unwrap().contains("dns.undecided"),
        "{told}"
    );
}

/// D25: the relay's resolver alone hears of a name, not the system's.
#[test]
fn a_relays_resolver_is_asked_and_not_the_systems() {
    let host = Namespace::new("asks");
    for address in ["10.9.9.1/32", "10.9.9.2/32"] {
        host.ip(&["address", "add", address, "dev", "lo"]);
    }
    let relays = Names::start(&host, "10.9.9.1", "127.0.0.9");
    let systems = Names::start(&host, "10.9.9.2", "127.0.0.9");
    let directory = tempfile::tempdir().unwrap();
    let resolv = directory.path().join("resolv.conf");
    std::fs::write(&resolv, "nameserver 10.9.9.2\n").unwrap();
    let mount = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$@\"",
        resolv.display()
    );
    let start = |path: &str, config: &str, text: &str| {
        let words = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
        Daemon::start(&Start {
            files: vec![(path, text.to_owned())],
            config,
            namespace: Some(&host.name),
            starter: words.map(str::to_owned).to_vec(),
            ..Start::default()
        })
    };
    let bring = |name: &str| {
        let mut curl = host.command("curl");
        let words = [
            "--silent",
            "--max-time",
            "5",
            "--proxy",
            "socks5h://127.0.0.1:1080",
        ];
        let _refused = curl
            .args(words)
            .arg(format!("http://{name}:9/"))
            .status()
            .unwrap();
    };
    let relay = "relay {\n rule=all\n listen=socks5 127.0.0.1:1080\n resolver=udp 10.9.9.1:53\n}\nrule all = direct\n";
    let daemon = start("conf/config", "conf", relay);
    bring("a.test");
    eventually("it was asked for", || relays.asked("a.test") > 0);
    assert_eq!(systems.asked("a.test"), 0);
    drop(daemon);
    // So that the test tells both apart.
    let desk = "inbounds: { desk: { type: socks5, listen: \"127.0.0.1:1080\" } }";
    let native = format!("version: 1\n{desk}\npolicy: direct\n");
    let _daemon = start("one.yaml", "one.yaml", &native);
    bring("b.test");
    eventually("it was asked for", || systems.asked("b.test") > 0);
    assert_eq!(relays.asked("b.test"), 0);
}

/// D24: where the system's resolver is this server, it does not start with `system` as an upstream, and says which file.
#[test]
fn a_server_that_the_system_asks_does_not_ask_the_system() {
    let host = Namespace::new("asks");
    host.ip(&["address", "add", "10.9.9.2/32", "dev", "lo"]);
    let names = Names::start(&host, "10.9.9.2", "127.0.0.9");
    let directory = tempfile::tempdir().unwrap();
    let resolv = directory.path().join("resolv.conf");
    std::fs::write(&resolv, "nameserver 127.0.0.1\n").unwrap();
    let mount = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$@\"",
        resolv.display()
    );
    let start = |upstreams: &str| {
        let text = format!(
            "version: 1\npolicy: direct\ndns: {{ listen: \"udp://127.0.0.1:53\"{upstreams} }}\n"
        );
        let words = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
        Daemon::try_start(&Start {
            files: vec![("pointsman.yaml", text)],
            config: "pointsman.yaml",
            namespace: Some(&host.name),
            starter: words.map(str::to_owned).to_vec(),
            ..Start::default()
        })
    };
    for upstreams in [
        "",
        ", rules: [\"FALLBACK, system\"], upstreams: { near: \"udp://10.9.9.2\" }",
    ] {
        let Err((status, log)) = start(upstreams) else {
            panic!("it started with {upstreams}");
        };
        assert_eq!(status.code(), Some(78), "{log}");
        assert!(log.contains("error[dns-loop]"), "{log}");
        assert!(log.contains("/etc/resolv.conf names 127.0.0.1"), "{log}");
    }
    let started = start(", upstreams: { near: \"udp://10.9.9.2\" }");
    let daemon = started.map_err(|(_, log)| log).unwrap();
    let packets = || {
        let output = host
            .command("cat")
            .arg("/sys/class/net/lo/statistics/rx_packets")
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    let before = packets();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(packets() - before < 10);
    let mut dig = host.command("dig");
    let reply = dig
        .args(["+tries=1", "@127.0.0.1", "a.test"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&reply.stdout).contains("127.0.0.9"),
        "{reply:?}"
    );
    assert_eq!(names.asked("a.test"), 1);
    drop(daemon);
}
