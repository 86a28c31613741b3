//! Which addresses are own listeners, and which guards are told.

use std::path::Path;

use pointsman_policy::fact::Network;

use crate::files::Memory;
use crate::{Dialect, load};

fn problems(text: &str) -> Vec<String> {
    let files = Memory::new([("c.yaml", text)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let said = loaded
        .problems
        .0
        .iter()
        .map(|problem| format!("{}: {}", problem.code, problem.sentence()));
    said.filter(|said| {
        ["own-listener", "guard", "lookup-cycle"]
            .iter()
            .any(|code| said.starts_with(code))
    })
    .collect()
}

fn with_server(listen: &str, server: &str) -> Vec<String> {
    problems(&format!(
        "version: 1\ninbounds: {{ desk: {{ type: mixed, listen: \"{listen}\", users: {{ a: {{ password: b }} }} }} }}\n\
         outbounds: {{ up: {{ type: http, server: \"{server}\", served_by: {{ user: x }} }} }}\n\
         rules: [\"FALLBACK, up\"]\n"
    ))
}

#[test]
fn a_server_that_is_an_own_listener_is_an_error_in_every_spelling() {
    for (listen, server) in [
        ("127.0.0.1:7890", "127.0.0.1:7890"),
        ("127.0.0.1:7890", "localhost:7890"),
        ("127.0.0.1:7890", "x.localhost:7890"),
        ("127.0.0.1:7890", "0.0.0.0:7890"),
        ("127.0.0.1:7890", "[::ffff:127.0.0.1]:7890"),
        ("0.0.0.0:7890", "127.5.0.1:7890"),
        ("[::]:7890", "127.0.0.1:7890"),
        ("[::]:7890", "[::1]:7890"),
        ("[::1]:7890", "[::]:7890"),
        ("192.0.2.1:7890", "192.0.2.1:7890"),
    ] {
        let told = with_server(listen, server);
        assert_eq!(told.len(), 1, "{listen} {server}: {told:?}");
        assert!(told[0].starts_with("own-listener: the server "), "{told:?}");
    }
    for (listen, server) in [
        ("127.0.0.1:7890", "127.0.0.1:7891"),
        ("127.0.0.1:7890", "127.0.0.2:7890"),
        ("0.0.0.0:7890", "[::1]:7890"),
        ("0.0.0.0:7890", "192.0.2.1:7890"),
        ("127.0.0.1:7890", "proxy.example:7890"),
    ] {
        assert_eq!(with_server(listen, server), [""; 0], "{listen} {server}");
    }
}

#[test]
fn targets_that_are_own_listeners_are_errors() {
    let forwards = |target: &str| {
        problems(&format!(
            "version: 1\nforwards:\n  a: {{ listen: [\"tcp://127.0.0.1:1001\", \"unix:///run/a.sock\"], targets: [{{ name: t, address: \"{target}\" }}] }}\n\
             \x20 b: {{ listen: \"tcp://127.0.0.1:1002\", targets: [{{ name: t, address: \"tcp://192.0.2.1:1\" }}] }}\n"
        ))
    };
    for target in [
        "tcp://127.0.0.1:1001",
        "tcp://localhost:1002",
        "tcp://0.0.0.0:1002",
        "unix:///run/a.sock",
    ] {
        let told = forwards(target);
        assert_eq!(told.len(), 1, "{target}: {told:?}");
    }
    assert_eq!(forwards("tcp://127.0.0.1:1003"), [""; 0]);
}

#[test]
fn each_transport_has_listeners_of_its_own() {
    let forwards = |target: &str, via: &str| {
        problems(&format!(
            "version: 1\noutbounds: {{ far: {{ type: socks5, server: \"192.0.2.1:1080\", udp: true }} }}\n\
             forwards:\n  a: {{ listen: \"udp://127.0.0.1:1001\", targets: [{{ name: t, address: \"udp://{target}\", via: {via} }}] }}\n\
             \x20 b: {{ listen: \"tcp://127.0.0.1:1002\", targets: [{{ name: t, address: \"tcp://127.0.0.1:1001\" }}] }}\n"
        ))
    };
    for target in ["127.0.0.1:1001", "localhost:1001", "0.0.0.0:1001"] {
        let told = forwards(target, "direct");
        assert_eq!(told.len(), 1, "{target}: {told:?}");
        assert_eq!(forwards(target, "far"), [""; 0], "{target}");
    }
    assert_eq!(forwards("127.0.0.1:1002", "direct"), [""; 0]);
}

#[test]
fn what_another_host_reaches_is_no_own_listener() {
    let forward = |via: &str| {
        problems(&format!(
            "version: 1\noutbounds:\n  bastion: {{ type: socks5, server: \"192.0.2.1:1080\" }}\n\
             \x20 near: {{ type: direct, interface: lo }}\n  picked: {{ type: select, members: [near, bastion] }}\n\
             \x20 far: {{ type: select, members: [bastion] }}\n\
             forwards:\n  db: {{ listen: \"tcp://127.0.0.1:5432\", targets: [{{ name: t, address: \"tcp://127.0.0.1:5432\", via: {via} }}] }}\n"
        ))
    };
    // As `ssh -L 5432:127.0.0.1:5432 bastion`.
    // A group may have selected it: the data plane refuses what comes back.
    for via in ["bastion", "far", "picked"] {
        assert_eq!(forward(via), [""; 0], "{via}");
    }
    for via in ["direct", "near"] {
        let told = forward(via);
        assert_eq!(told.len(), 1, "{via}: {told:?}");
        assert!(told[0].starts_with("own-listener: the target "), "{told:?}");
    }
    let chain = |hops: &str, rules: &str| {
        problems(&format!(
            "version: 1\ninbounds: {{ desk: {{ type: socks5, listen: \"127.0.0.1:1080\" }} }}\n\
             outbounds:\n  bastion: {{ type: socks5, server: \"192.0.2.1:1080\" }}\n\
             \x20 inner: {{ type: socks5, server: \"127.0.0.1:1080\", served_by: {{ user: x }} }}\n\
             \x20 both: {{ type: chain, hops: [{hops}] }}\n\
             rules: [{rules}]\n"
        ))
    };
    assert_eq!(chain("bastion, inner", "\"FALLBACK, both\""), [""; 0]);
    for (hops, rules) in [
        ("inner, bastion", "\"FALLBACK, both\""),
        ("direct, inner", "\"FALLBACK, both\""),
        // Also reached from here.
        (
            "bastion, inner",
            "\"DST-PORT, 1, inner\", \"FALLBACK, both\"",
        ),
    ] {
        let told = chain(hops, rules);
        assert_eq!(told.len(), 1, "{hops} {rules}: {told:?}");
        assert!(
            told[0].starts_with("own-listener: the server 127.0.0.1:1080 of `inner`"),
            "{told:?}"
        );
    }
}

#[test]
fn a_chain_that_never_leaves_this_host_is_direct() {
    let files = Memory::new([(
        "c.yaml",
        "version: 1\ninbounds: { i: { type: mixed, listen: 1 } }\noutbounds:\n  p: { type: socks5, server: '192.0.2.1:1' }\n\
         \x20 near: { type: chain, hops: [direct] }\n  picked: { type: select, members: [direct, near] }\n\
         \x20 nearer: { type: chain, hops: [near, picked] }\n  far: { type: chain, hops: [direct, p] }\npolicy: near\n",
    )]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded.setup.unwrap();
    let action = |name: &str| {
        let outbounds = &setup.policies[0].outbounds;
        let found = outbounds.iter().find(|it| &*it.name == name);
        format!("{:?}", found.unwrap().kind)
    };
    assert_eq!(action("near"), "Plain(Direct)");
    assert_eq!(action("nearer"), "Plain(Direct)");
    assert_eq!(action("far"), "Plain(Proxy)");
}

#[test]
fn what_is_listened_on_in_truth_is_known_by_its_port() {
    let at = |text: &str| text.parse().unwrap();
    let listeners = super::Listeners::bound([
        ("i", false, Network::Tcp, at("127.0.0.1:40001")),
        ("f", true, Network::Tcp, at("[::]:40002")),
        ("u", true, Network::Udp, at("127.0.0.1:40001")),
    ]);
    let of = |network, host: &str, port| {
        let host = pointsman_policy::Host::parse(host).unwrap();
        listeners.at(network, &host, port, |_| false)
    };
    let whose = |host: &str, port| of(Network::Tcp, host, port);
    assert_eq!(of(Network::Udp, "localhost", 40001), Some("u"));
    assert_eq!(of(Network::Udp, "localhost", 40002), None);
    assert_eq!(whose("127.0.0.1", 40001), Some("i"));
    assert_eq!(whose("localhost", 40002), Some("f"));
    assert_eq!(whose("127.0.0.1", 40003), None);
}

#[test]
fn name_servers_that_are_own_listeners_are_errors() {
    let with = |upstream: &str, more: &str| {
        problems(&format!(
            "version: 1\ninbounds: {{ desk: {{ type: mixed, listen: 7890 }} }}\n\
             outbounds: {{ wg: {{ type: direct, interface: wg0 }}, up: {{ type: http, server: \"192.0.2.1:1\" }} }}\n\
             dns: {{ upstreams: {{ first: \"udp://192.0.2.53\", own: {upstream} }}{more} }}\n\
             rules: [\"FALLBACK, up\"]\n"
        ))
    };
    for upstream in [
        "\"tcp://127.0.0.1:7890\"",
        "[\"udp://192.0.2.1\", \"tcp://[::ffff:127.0.0.1]:7890\"]",
        "{ address: \"tcp://0.0.0.0:7890\", via: wg }",
    ] {
        for more in ["", ", domains: { a.test: own, b.test: own }"] {
            let told = with(upstream, more);
            assert_eq!(told.len(), 1, "{upstream}: {told:?}");
            assert!(
                told[0].starts_with("own-listener: the name server tcp "),
                "{told:?}"
            );
        }
    }
    for upstream in [
        "\"tcp://127.0.0.1:7891\"",
        // Another program's.
        "\"udp://127.0.0.1:7890\"",
        // Another host's loopback.
        "{ address: \"tcp://127.0.0.1:7890\", via: up }",
    ] {
        assert_eq!(with(upstream, ""), [""; 0], "{upstream}");
    }
}

#[test]
fn name_servers_of_other_dialects_are_looked_at_too() {
    for (file, dialect, text) in [
        (
            "config.yml",
            Dialect::Boltconn,
            "http-port: 7890\ndns:\n  nameserver-policy: { a.test: \"tcp, 127.0.0.1:7890\" }\n  nameserver: [\"udp, 192.0.2.1\"]\n\
             rule-local:\n  - FALLBACK, DIRECT\n",
        ),
        (
            "config",
            Dialect::Reflow,
            "relay {\n rule=r\n listen=socks5 127.0.0.1:7890\n resolver=tcp 127.0.0.1:7890\n}\nrule r = direct\n",
        ),
    ] {
        let files = Memory::new([(file, text)]);
        let loaded = load(Path::new(file), Some(dialect), None, &files);
        let codes: Vec<&str> = loaded.problems.0.iter().map(|it| it.code).collect();
        assert!(codes.contains(&"own-listener"), "{:?}", loaded.problems);
    }
}

#[test]
fn a_guard_that_goes_by_the_endpoint_alone_is_told() {
    let outbound = |more: &str, server: &str| {
        problems(&format!(
            "version: 1\ninbounds: {{ desk: {{ type: mixed, listen: 7890 }} }}\n\
             outbounds: {{ up: {{ type: socks5, server: \"{server}\"{more} }} }}\nrules: [\"FALLBACK, up\"]\n"
        ))
    };
    let told = outbound("", "127.0.0.1:1080");
    assert!(
        told[0].starts_with("guard-by-endpoint: any program that listens on 127.0.0.1:1080"),
        "{told:?}"
    );
    assert_eq!(outbound("", "192.0.2.1:1080"), [""; 0]);
    for known in ["program: /usr/bin/core", "user: core"] {
        let more = format!(", served_by: {{ {known} }}");
        assert_eq!(outbound(&more, "127.0.0.1:1080"), [""; 0]);
    }
}

#[test]
fn a_server_that_is_looked_up_by_way_of_itself_is_an_error() {
    let with = |dns: &str, outbounds: &str| {
        problems(&format!(
            "version: 1\ninbounds: {{ desk: {{ type: mixed, listen: 7890 }} }}\ndns: {dns}\n\
             outbounds: {{ {outbounds} }}\nrules: [\"FALLBACK, up\"]\n"
        ))
    };
    let far = "{ upstreams: { far: { address: \"tcp://192.0.2.53\", via: up } } }";
    let up = "up: { type: http, server: \"proxy.example:8080\" }";
    let told = with(far, up);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("lookup-cycle: the server proxy.example:8080 of `up`"),
        "{told:?}"
    );
    // By way of others that need each other, too.
    let long = "up: { type: chain, hops: [a, b] }, a: { type: select, members: [c] }, \
        c: { type: socks5, server: \"c.example:1\" }, b: { type: http, server: \"b.example:1\" }";
    let told = with(far, long);
    // `b` is told to `c` by name: only when it is used by itself it would be looked up.
    assert_eq!(told.len(), 2, "{told:?}");
    for (dns, outbounds) in [
        (far, "up: { type: http, server: \"192.0.2.1:8080\" }"),
        (
            far,
            "up: { type: select, members: [direct, p] }, p: { type: http, server: \"p.example:1\" }",
        ),
        ("{ upstreams: { near: \"udp://192.0.2.1\" } }", up),
        (
            "{ upstreams: { near: \"udp://192.0.2.1\", far: { address: \"tcp://192.0.2.53\", via: up } }, resolver: far, \
          domains: { proxy.example: near } }",
            up,
        ),
        (
            "{ upstreams: { far: { address: \"tcp://192.0.2.53\", via: up } }, hosts: { proxy.example: 192.0.2.1 } }",
            up,
        ),
    ] {
        assert_eq!(with(dns, outbounds), [""; 0], "{dns} {outbounds}");
    }
}
