//! Resolvers of configurations: what rules see of names, what is dialled, and what happens without an answer.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::curl;
use crate::daemon::{Daemon, Start};
use crate::nameserver::{Mood, NameServer};
use crate::namespace::Namespace;
use crate::origin::Http;
use crate::upstream::{PASSWORD, SingBox, USER};

/// A BoltConn configuration: what resolves to 127.0.0.5 is rejected, the rest goes by `last`.
fn boltconn(servers: &str, last: &str) -> Daemon {
    let text = format!(
        "http-port: 0\nsocks5-port: 0\ndns:\n  nameserver:\n{servers}\
         proxy-local:\n  far: {{ type: http, server: 127.0.0.1, port: 9 }}\n\
         rule-local:\n  - .LOCAL-RESOLVE\n  - IP-CIDR, 127.0.0.5/32, REJECT\n  - FALLBACK, {last}\n"
    );
    Daemon::start(&Start {
        files: vec![("config.yml", text)],
        config: "config.yml",
        // A name that the system's own resolver would answer.
        hosts: "127.0.0.1 localhost in-hosts.test\n",
        ..Start::default()
    })
}

/// The status that curl got, and what the record says.
fn ask(daemon: &Daemon, name: &str, port: u16) -> (String, serde_json::Value) {
    let (_, address) = daemon.ready.values().next().unwrap();
    let proxy = format!("http://{address}");
    let url = format!("http://{name}:{port}/");
    let (text, _) = curl(&["--proxy", &proxy, "--write-out", "|%{http_code}", &url]);
    let status = text.rsplit('|').next().unwrap().to_owned();
    (status, daemon.last_flow())
}

const NAMES: &[(&str, [u8; 4])] = &[("good.test", [127, 0, 0, 1]), ("bad.test", [127, 0, 0, 5])];

#[test]
fn rules_see_and_direct_dials_what_the_resolver_answers() {
    let origin = Http::start("origin");
    for (mood, kind) in [
        (Mood::Plain, "udp"),
        (Mood::Short, "udp"),
        (Mood::Plain, "tcp"),
    ] {
        let server = NameServer::start(mood, NAMES);
        let daemon = boltconn(&format!("    - {kind}, {}\n", server.address), "DIRECT");
        let (status, flow) = ask(&daemon, "bad.test", origin.address.port());
        assert_eq!(status, "403", "{kind} {mood:?}: {flow}");
        assert!(
            flow["rule"]["text"].as_str().unwrap().contains("127.0.0.5"),
            "{flow}"
        );
        // Nobody else knows the name, so the answer's address was dialled.
        let (status, flow) = ask(&daemon, "good.test", origin.address.port());
        assert_eq!(
            (status.as_str(), &flow["outbound"]),
            ("200", &"DIRECT".into()),
            "{kind} {mood:?}"
        );
        let (udp, tcp) = server.asked();
        assert_eq!(
            (udp > 0, tcp > 0),
            (kind == "udp", kind == "tcp" || mood == Mood::Short)
        );
        // What it does not know does not exist, whatever the system says.
        let (status, flow) = ask(&daemon, "in-hosts.test", origin.address.port());
        assert_eq!(status, "502");
        assert!(
            flow["error"]
                .as_str()
                .unwrap()
                .contains("no name in-hosts.test"),
            "{flow}"
        );
    }
}

#[test]
fn a_resolver_behind_a_proxy_is_asked_over_tcp_through_it() {
    let (sing_box, origin) = (SingBox::start(), Http::start("origin"));
    let server = NameServer::start(Mood::Plain, NAMES);
    let address = server.address;
    let daemon = Daemon::native(&format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         outbounds:\n  far: {{ type: socks5, server: \"{}\", username: {USER}, password: \"{PASSWORD}\" }}\n\
         dns: {{ upstreams: {{ far: {{ address: \"udp://{address}\", via: far }} }} }}\n\
         rules:\n  - .LOCAL-RESOLVE\n  - IP-CIDR, 127.0.0.5/32, REJECT\n  - FALLBACK, DIRECT\n",
        sing_box.socks
    ));
    assert_eq!(ask(&daemon, "bad.test", origin.address.port()).0, "403");
    assert_eq!(ask(&daemon, "good.test", origin.address.port()).0, "200");
    let (udp, tcp) = server.asked();
    assert_eq!((udp, tcp > 0), (0, true));
    let log = sing_box.log();
    assert!(log.contains(&address.to_string()), "{log}");
    // The names' own connections do not go that way.
    assert!(!log.contains(&origin.address.to_string()), "{log}");
}

#[test]
fn without_an_answer_nobody_else_is_asked() {
    let origin = Http::start("origin");
    let port = origin.address.port();
    let broken = NameServer::start(Mood::Broken, NAMES);
    let dead = crate::origin::nobody();
    // The system would answer: where no name server is given, it does.
    let system = Daemon::start(&Start {
        hosts: "127.0.0.1 localhost in-hosts.test\n",
        files: vec![(
            "config.yml",
            "http-port: 0\nsocks5-port: 0\nrule-local:\n  - FALLBACK, DIRECT\n".to_owned(),
        )],
        config: "config.yml",
        args: vec!["--dialect", "boltconn"],
        ..Start::default()
    });
    assert_eq!(ask(&system, "in-hosts.test", port).0, "200");
    for server in [dead, broken.address] {
        let daemon = boltconn(&format!("    - udp, {server}\n"), "DIRECT");
        let (status, flow) = ask(&daemon, "in-hosts.test", port);
        assert_eq!(status, "502", "{flow}");
        let error = flow["error"].as_str().unwrap();
        assert!(
            error.contains("`in-hosts.test` was not resolved"),
            "{error}"
        );
        assert!(error.contains(&server.to_string()), "{error}");
        // The rule on addresses could not be told, and the trace says so.
        let id = flow["id"].to_string();
        let explained = daemon.json(&["explain", "--id", &id, "--full"]);
        assert_eq!(explained["asked"], serde_json::json!(["resolve"]));
        let visits = explained["trace"].as_array().unwrap();
        let visit = visits
            .iter()
            .find(|v| v["text"].as_str().unwrap_or_default().contains("127.0.0.5"));
        assert_eq!(visit.unwrap()["result"], "unknown", "{explained}");
        assert_eq!(flow["outbound"], "DIRECT");
    }
    assert!(origin.heads.lock().unwrap().len() == 1);
    // A proxy needs no answer of ours: the flow gets as far as the proxy.
    let daemon = boltconn(&format!("    - udp, {dead}\n"), "far");
    let (_, flow) = ask(&daemon, "in-hosts.test", port);
    assert_eq!(flow["outbound"], "far");
    let error = flow["error"].as_str().unwrap();
    assert!(
        error.contains("outbound `far` could not connect"),
        "{error}"
    );
}

#[test]
fn a_relays_resolver_answers_for_its_tree() {
    let origin = Http::start("origin");
    for mood in [Mood::Plain, Mood::Short, Mood::Broken] {
        let server = NameServer::start(mood, NAMES);
        let config = format!(
            "relay {{\n rule=r\n listen=socks5 127.0.0.1:0\n resolver=udp {}\n}}\n\
             rule r = any [\n cond ip {{\n  bad => reset\n }}\n cond ip {{\n  good => direct\n }}\n]\n",
            server.address
        );
        let daemon = Daemon::start(&Start {
            files: vec![
                ("reflow/config", config),
                ("reflow/addrzone/bad", "127.0.0.5\n".to_owned()),
                ("reflow/addrzone/good", "127.0.0.1\n".to_owned()),
            ],
            config: "reflow",
            ..Start::default()
        });
        let (_, address) = daemon.ready.values().next().unwrap();
        let proxy = format!("socks5h://{address}");
        let port = origin.address.port();
        let ask = |name: &str| curl(&["--proxy", &proxy, &format!("http://{name}:{port}/")]).1;
        let works = mood != Mood::Broken;
        assert_eq!(ask("good.test") == 0, works, "{mood:?}");
        assert_eq!(
            daemon.last_flow()["outbound"],
            if works {
                "direct".into()
            } else {
                serde_json::Value::Null
            }
        );
        assert_ne!(ask("bad.test"), 0, "{mood:?}");
        let flow = daemon.last_flow();
        assert_eq!(
            flow["outbound"],
            if works {
                "reset".into()
            } else {
                serde_json::Value::Null
            },
            "{flow}"
        );
    }
}

#[test]
fn a_relay_dials_what_its_own_resolver_says() {
    let origin = Http::start("origin");
    let server = NameServer::start(Mood::Plain, NAMES);
    let daemon = Daemon::start(&Start {
        files: vec![(
            "reflow/config",
            format!(
                "relay {{\n rule=r\n listen=socks5 127.0.0.1:0\n resolver=udp {}\n}}\nrule r = direct\n",
                server.address
            ),
        )],
        config: "reflow",
        // What the system says is not asked for.
        hosts: "127.0.0.1 localhost in-hosts.test\n",
        ..Start::default()
    });
    let (_, address) = daemon.ready.values().next().unwrap();
    let proxy = format!("socks5h://{address}");
    let port = origin.address.port();
    let ask = |name: &str| curl(&["--proxy", &proxy, &format!("http://{name}:{port}/")]).1;
    assert_eq!(ask("good.test"), 0, "{}", daemon.last_flow());
    assert_ne!(ask("in-hosts.test"), 0);
    let error = daemon.last_flow()["error"].to_string();
    assert!(error.contains("no name in-hosts.test"), "{error}");
    assert!(server.asked().0 >= 2);
}

#[test]
fn names_are_split_beside_the_systems_resolver() {
    let origin = Http::start("origin");
    let corp = NameServer::start(Mood::Plain, &[("a.corp.test", [127, 0, 0, 1])]);
    let daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            format!(
                "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
                 dns:\n  upstreams: {{ corp: \"udp://{}\", own: system }}\n  resolver: system\n\
                 \x20 hosts: {{ nas.test: 127.0.0.1 }}\n  domains: {{ corp.test: corp, own.corp.test: own }}\n\
                 rules:\n  - FALLBACK, DIRECT\n",
                corp.address
            ),
        )],
        config: "pointsman.yaml",
        hosts: "127.0.0.1 localhost in-hosts.test b.corp.test own.corp.test\n",
        ..Start::default()
    });
    let port = origin.address.port();
    for (name, status) in [
        // The system's, the configuration's own, the upstream's.
        ("in-hosts.test", "200"),
        ("nas.test", "200"),
        ("a.corp.test", "200"),
        // What the upstream does not know does not exist, whatever the system says ...
        ("b.corp.test", "502"),
        // ... but where the system is asked for a part of it.
        ("own.corp.test", "200"),
    ] {
        let (got, flow) = ask(&daemon, name, port);
        assert_eq!(got, status, "{name}: {flow}");
    }
    assert!(corp.asked().0 > 0);
}

#[test]
fn a_reload_forgets_no_name_and_a_way_that_changed_is_asked_anew() {
    let origin = Http::start("origin");
    let names = NameServer::start(Mood::Plain, NAMES);
    let text = |source: &str| {
        format!(
            "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
             outbounds:\n  link: {{ type: direct, source: {source} }}\n\
             dns: {{ upstreams: {{ own: {{ address: \"udp://{}\", via: link }} }}, family: ipv4 }}\n\
             rules:\n  - FALLBACK, DIRECT\n",
            names.address
        )
    };
    let daemon = Daemon::native(&text("127.0.0.7"));
    let port = origin.address.port();
    for (source, asked) in [("127.0.0.7", 1), ("127.0.0.7", 1), ("127.0.0.8", 2)] {
        daemon.write("pointsman.yaml", &text(source));
        assert!(daemon.client(&["reload"]).status.success());
        assert_eq!(ask(&daemon, "good.test", port).0, "200");
        assert_eq!(names.asked(), (asked, 0), "{source}");
    }
    // There is no such name, and the client of the daemon says so.
    let words = ["explain", "--resolve", "gone.test:1"];
    let config = daemon.control().with_file_name("pointsman.yaml");
    let offline = [&words[..], &["--config", config.to_str().unwrap()]].concat();
    let output = daemon.client(&offline);
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = format!("there is no name gone.test, says udp {}", names.address);
    assert!(error.contains(&expected), "{error}");
}

/// The link is part of where it is, also where it is asked by an outbound that is direct.
#[test]
fn a_name_server_on_a_link_is_asked_over_tcp_by_a_direct_outbound() {
    let namespace = Namespace::new("on-link");
    namespace.ip(&["-6", "address", "add", "fe80::1/64", "dev", "lo", "nodad"]);
    let _web = namespace.inet(&["web"]);
    let _names = namespace.inet(&["dns-tcp", "fe80::1%lo", "near.test=127.0.0.1"]);
    // The loopback is the first link everywhere.
    let text = "egress link=bind ::1\nrule r=direct\n\
                relay {\n resolver=link|tcp [fe80::1%1]:53\n listen=socks5 127.0.0.1:1080\n rule=r\n}\n";
    let daemon = Daemon::start(&Start {
        files: vec![("config", text.to_owned())],
        config: ".",
        namespace: Some(&namespace.name),
        args: vec!["--dialect", "reflow"],
        ..Start::default()
    });
    let output = namespace
        .command("curl")
        .args(["--silent", "--noproxy", "", "--max-time", "20"])
        .args(["--proxy", "socks5h://127.0.0.1:1080", "http://near.test/"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "127.0.0.1\n", "{output:?} {}", daemon.log());
}

#[test]
fn a_family_that_does_not_answer_costs_little() {
    let namespace = Namespace::new("families");
    // What is sent to 2001:db8::2 vanishes: nobody has that link address.
    for words in [
        "link add hole type veth peer name end",
        "link set end up",
        "link set hole up",
        "address add 2001:db8::1/64 dev hole nodad",
        "neighbour add 2001:db8::2 lladdr 02:00:00:00:00:02 dev hole",
    ] {
        namespace.ip(&words.split(' ').collect::<Vec<_>>());
    }
    let _web = namespace.inet(&["web"]);
    let _names = namespace.inet(&[
        "dns",
        "127.0.0.1",
        "silent.test=127.0.0.1,2001:db8::2",
        "nowhere.test=127.0.0.1,2001:db9::2",
        "only.test=2001:db8::2",
        "four.test=127.0.0.1",
    ]);
    let _daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:1080\" }\n\
             dns: { upstreams: { own: \"udp://127.0.0.1\" }, family: prefer-ipv6 }\n\
             policy: |\n  direct\n"
                .to_owned(),
        )],
        config: "pointsman.yaml",
        namespace: Some(&namespace.name),
        ..Start::default()
    });
    let ask = |name: &str, limit: &str| {
        let begun = Instant::now();
        let output = namespace
            .command("curl")
            .args([
                "--silent",
                "--output",
                "/dev/null",
                "--noproxy",
                "",
                "--max-time",
                limit,
            ])
            .args([
                "--proxy",
                "socks5h://127.0.0.1:1080",
                &format!("http://{name}/"),
            ])
            .stdin(Stdio::null())
            .status()
            .unwrap();
        (output.success(), begun.elapsed())
    };
    // (name, at least so long, at most)
    let cases = [
        ("four.test", 0, 1000),
        // The other family is tried after 250 ms (RFC 8305, 8) ...
        ("silent.test", 250, 1000),
        // ... or at once where the first fails at once.
        ("nowhere.test", 0, 240),
    ];
    for (name, least, most) in cases {
        let best = (0..3)
            .map(|_| ask(name, "10"))
            .min_by_key(|(_, took)| *took)
            .unwrap();
        eprintln!("{name}: {:?}", best.1);
        assert!(best.0, "{name}");
        assert!(best.1 >= Duration::from_millis(least), "{name}: {best:?}");
        assert!(best.1 < Duration::from_millis(most), "{name}: {best:?}");
    }
    // That address does vanish: alone it never connects.
    assert!(!ask("only.test", "1").0);
}
