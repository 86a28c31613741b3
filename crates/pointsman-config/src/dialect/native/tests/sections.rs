//! Each section of a native file: its keys, defaults and problems.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use expect_test::expect;

use super::{check, problems, setup};
use crate::setup::{DatagramLimits, Filtering, NameServer, Retry, Setup, Timeouts};
use pointsman_policy::fact::Protocol;

#[test]
fn inbounds_are_checked() {
    let inbound =
        |text: &str, expected: &[&str]| check(&format!("inbounds:\n  a: {{ {text} }}"), expected);
    inbound("type: mixed, listen: 7890", &[]);
    inbound(
        "type: mixed, listen: 0.0.0.0:7890, users: { alice: secret }",
        &[],
    );
    inbound(
        "type: mixed, listen: 0.0.0.0:7890",
        &["2:29: warning[open-proxy]: everybody who reaches this address can use the proxy"],
    );
    inbound(
        "type: mixed, listen: ':7890'",
        &["2:29: warning[open-proxy]: everybody who reaches this address can use the proxy"],
    );
    // Empty is not everybody.
    inbound(
        "type: mixed, listen: 0.0.0.0:7890, allow: []",
        &[
            "2:29: warning[open-proxy]: everybody who reaches this address can use the proxy",
            "2:50: error[empty-list]: `allow` is empty: nobody could use it",
        ],
    );
    inbound(
        "type: http",
        &["2:6: error[missing-key]: an inbound needs the key `listen`"],
    );
    inbound(
        "listen: 1",
        &["2:6: error[missing-key]: an inbound needs the key `type`"],
    );
    inbound(
        "type: sock5, listen: 1",
        &["2:14: error[invalid-value]: `type` must be one of `mixed`, `socks5`, `http`"],
    );
    inbound(
        "type: mixed, listen: example.com:1",
        &["2:29: error[invalid-address]: `listen`: `example.com` is neither a name nor an address"],
    );
    inbound(
        "type: mixed, listen: 1, users: {}",
        &["2:39: error[missing-key]: `users` names nobody: leave it out, or name who may come in"],
    );
    inbound(
        "type: mixed, listen: 1, users: { 'a:b': c }",
        &["2:41: error[invalid-value]: the name of a user has at most 255 bytes and no colon"],
    );
    inbound(
        "type: mixed, listen: 1, users: { a: '' }",
        &["2:44: error[invalid-value]: a user's password has 1 to 255 bytes"],
    );
    inbound(
        "type: mixed, listen: 1, resolver: isp",
        &["2:42: error[unknown-resolver]: `dns.upstreams` has no `isp`"],
    );
    inbound(
        "type: tproxy, port: 1",
        &["2:14: note[not-yet]: not yet: inbounds of type `tproxy`; this one is not opened"],
    );
    check(
        "inbounds:\n  a: { type: mixed, listen: 1 }\n  b: { type: mixed, listen: 1 }\n  c: { type: mixed, listen: 0 }\n  d: { type: mixed, listen: 0 }",
        &["3:29: error[duplicate-listen]: `a` listens on 127.0.0.1:1 already"],
    );
}

#[test]
fn users_bring_secrets_and_aliases() {
    let setup = setup(
        "inbounds:\n  a: { type: mixed, listen: 1, users: { alice: { from_file: password }, bob: { password: { from_env: TOKEN }, alias: phone }, carol: s3cret } }",
    );
    let users = &setup.inbounds[0].users;
    assert!(users.iter().all(|user| user.password.reveal() == "s3cret"));
    assert_eq!(users[1].alias.as_deref(), Some("phone"));
    assert_eq!(setup.inbounds[0].alias.as_deref(), Some("a"));
    assert!(!format!("{setup:?}").contains("s3cret"));
    assert!(setup.files.contains(&PathBuf::from("conf/password")));
}

#[test]
fn outbounds_are_checked() {
    let outbounds = |text: &str, expected: &[&str]| {
        check(
            &format!(
                "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ] }} }}\noutbounds:\n  a: {text}"
            ),
            expected,
        );
    };
    outbounds(
        "{ type: direct, interface: wg0, source: 10.0.0.1, mark: 7 }",
        &[],
    );
    outbounds(
        "{ type: socks5, server: 'proxy.example:1080', username: a, password: { from_env: TOKEN }, udp: true }",
        &[],
    );
    outbounds(
        "{ type: http, server: '[::1]:1', interface: eth0, served_by: { program: /usr/bin/core } }",
        &[],
    );
    outbounds(
        "{ type: socks5, server: 'a:1', served_by: { user: core } }",
        &[],
    );
    for (served_by, at, message) in [
        (
            "{ program: core }",
            "69",
            "`program`: `core` is no absolute path",
        ),
        ("{}", "58", "`served_by` is either a `program` or a `user`"),
        (
            "{ user: a, program: /b }",
            "58",
            "`served_by` is either a `program` or a `user`",
        ),
    ] {
        outbounds(
            &format!("{{ type: http, server: 'proxy.example:1', served_by: {served_by} }}"),
            &[&format!("3:{at}: error[invalid-value]: {message}")],
        );
    }
    outbounds(
        "{ type: chain, hops: [b] }\n  b: { type: select, members: [direct, c] }\n  c: { type: http, server: 'a:1' }",
        &[],
    );
    outbounds(
        "{}",
        &["3:6: error[missing-key]: an outbound needs the key `type`"],
    );
    outbounds(
        "{ type: socks, server: 'a:1' }",
        &[
            "3:14: error[invalid-value]: `type` must be one of `direct`, `socks5`, `http`, `chain`, `select`",
        ],
    );
    outbounds(
        "{ type: reset }",
        &["3:14: error[invalid-value]: `reset` is built in: name it where you need it"],
    );
    outbounds(
        "{ type: socks5 }",
        &["3:6: error[missing-key]: an outbound needs the key `server`"],
    );
    outbounds(
        "{ type: socks5, server: a }",
        &["3:30: error[invalid-address]: `server`: `a` has no port; write `host:port`"],
    );
    outbounds(
        "{ type: socks5, server: 'a:1', username: u }",
        &["3:47: error[missing-key]: `username` and `password` are given together"],
    );
    outbounds(
        "{ type: direct, source: eth0 }",
        &["3:30: error[invalid-address]: `source`: `eth0` is no address"],
    );
    outbounds(
        "{ type: direct, mark: -1 }",
        &["3:28: error[wrong-type]: `mark` must be a whole number from 0 to 4294967295"],
    );
    outbounds(
        "{ type: chain, hops: [] }",
        &["3:27: error[missing-key]: `hops` needs at least one outbound"],
    );
    outbounds(
        "{ type: chain, hops: [nowhere] }",
        &["3:28: error[unknown-outbound]: there is no outbound `nowhere`"],
    );
    outbounds(
        "{ type: chain, hops: [reset] }",
        &["3:28: error[invalid-value]: a refusal is no hop of a chain"],
    );
    outbounds(
        "{ type: chain, hops: [b, direct] }\n  b: { type: http, server: 'a:1' }",
        &[
            "3:31: error[invalid-value]: `direct` leaves from this host, so it can only be the first hop",
        ],
    );
    outbounds(
        "{ type: chain, hops: [a] }",
        &["3:3: error[outbound-cycle]: `a` comes back to itself: `a` -> `a`"],
    );
    outbounds(
        "{ type: chain, hops: [b] }\n  b: { type: select, members: [direct, c] }\n  c: { type: chain, hops: [a] }",
        &["3:3: error[outbound-cycle]: `a` comes back to itself: `a` -> `b` -> `c` -> `a`"],
    );
    outbounds(
        "{ type: wireguard, key: x, peers: [] }",
        &["3:14: note[not-yet]: not yet: outbounds of type `wireguard`; `a` refuses every flow"],
    );
    outbounds(
        "{ type: failover, members: [nowhere] }",
        &[
            "3:14: note[not-yet]: not yet: outbounds of type `failover`; `a` refuses every flow",
            "3:34: error[unknown-outbound]: there is no outbound `nowhere`",
        ],
    );
    outbounds(
        "{ type: direct }\n  Direct: { type: direct }",
        &["4:3: error[reserved-name]: `Direct` is built in and cannot be redefined"],
    );
    outbounds(
        "{ type: direct }\n  f: { type: direct }",
        &["1:13: error[duplicate-outbound]: the outbound `f` is defined twice"],
    );
}

#[test]
fn forwards_are_checked() {
    let forward =
        |text: &str, expected: &[&str]| check(&format!("forwards:\n  f: {{ {text} }}"), expected);
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1' } ], lifetime: 1h, connection_limit: 5",
        &[],
    );
    forward(
        "listen: [], targets: []",
        &[
            "2:16: error[missing-key]: `listen` needs at least one address",
            "2:29: error[missing-key]: a forward needs at least one target",
        ],
    );
    forward(
        "listen: ':80', targets: [ { name: a, address: 'a:1' } ]",
        &[
            "2:16: error[invalid-address]: `listen`: `:80` must begin with one of `tcp://`, `udp://`, `unix://`, `fd://`",
            "2:54: error[invalid-address]: `address`: `a:1` must begin with one of `tcp://`, `udp://`, `unix://`, `fd://`",
        ],
    );
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1', via: nowhere } ]",
        &["2:78: error[unknown-outbound]: there is no outbound `nowhere`"],
    );
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1', attempts: 0 } ]",
        &["2:83: error[wrong-type]: `attempts` must be a whole number from 1 to 1000"],
    );
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1' } ], lifetime: 1h30m",
        &[
            "2:87: error[invalid-value]: `lifetime`: `1h30m` is no duration; write a whole number and `ms`, `s`, `m`, `h` or `d`, as in `30s`",
        ],
    );
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1' } ], lifetime: 0s",
        &["2:87: error[invalid-value]: `lifetime` must be longer than zero"],
    );
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1' } ], balance: random",
        &[
            "2:86: error[invalid-value]: `balance` must be one of `failover`, `round-robin`, `source`, `none`",
        ],
    );
    forward(
        "listen: 'unix://x', allow: [10.0.0.0/8], targets: [ { name: a, address: 'tcp://a:1' } ]",
        &[
            "2:28: warning[unreachable-forward]: clients of a Unix socket have no address, so none is in `allow`: every connection is refused",
        ],
    );
    forward(
        "listen: ['tcp://:80', 'unix://x'], allow: [10.1.2.3/8], targets: [ { name: a, address: 'tcp://a:1' } ]",
        &[
            "2:43: warning[unreachable-forward]: clients of a Unix socket have no address, so none is in `allow`: each of theirs is refused",
            "2:51: warning[host-bits]: `allow`: `10.1.2.3/8` is all of `10.0.0.0/8`",
        ],
    );
    forward(
        "listen: 'tcp://:80', targets: [ { name: a, address: 'tcp://a:1' } ], tls: {}",
        &["2:77: note[not-yet]: not yet: TLS at a listener; every connection is refused"],
    );
}

#[test]
fn forwards_of_udp_are_checked() {
    let forward =
        |text: &str, expected: &[&str]| check(&format!("forwards:\n  f: {{ {text} }}"), expected);
    forward(
        "listen: ['udp://:53', 'udp://[::1]:54'], targets: [ { name: a, address: 'udp://a:1', via: direct, family: ipv4 } ], idle: 10s, answers: off, balance: source, connection_limit: 5",
        &[],
    );
    forward(
        "listen: ['tcp://:80', 'udp://:53'], targets: [ { name: a, address: 'tcp://a:1' } ]",
        &[
            "2:30: error[invalid-value]: a forward is of TCP or of UDP, and this address is of the other one",
        ],
    );
    forward(
        "listen: 'udp://:53', targets: [ { name: a, address: 'tcp://a:1' }, { name: b, address: 'udp://a:1' } ]",
        &["2:40: error[invalid-value]: the forward listens for UDP, and this target takes none"],
    );
    forward(
        "listen: 'tcp://:53', targets: [ { name: a, address: 'udp://a:1' } ], idle: 1h, answers: on",
        &[
            "2:40: error[invalid-value]: the forward listens for connections, and this target takes none",
            "2:87: error[invalid-value]: `answers` is for forwards of UDP: over TCP both sides speak",
        ],
    );
    forward(
        "listen: 'udp://:53', targets: [ { name: a, address: 'udp://a:1', attempts: 2, keepalive: 5s } ], lifetime: 1h, proxy_header: true, balance: sni",
        &[
            "2:73: error[invalid-value]: `attempts` is no word for a target of UDP",
            "2:86: error[invalid-value]: `keepalive` is no word for a target of UDP",
            "2:105: error[invalid-value]: `lifetime` is no word for a forward of UDP",
            "2:119: error[invalid-value]: `proxy_header` is no word for a forward of UDP",
            "2:148: error[invalid-value]: `sni` is a name of TLS over TCP; datagrams have none to choose by",
        ],
    );
}

#[test]
fn the_defaults_of_a_target() {
    let setup = setup(
        "forwards:\n  f: { listen: 'unix://x.sock', targets: [ { name: a, address: 'tcp://a:1' } ] }",
    );
    let forward = &setup.forwards[0];
    let (name, target) = setup.targets_of(forward).next().unwrap();
    let balancing = setup.balancing_of(forward).unwrap();
    expect![[r#"
        [Listen { at: Unix("conf/x.sock"), families: PreferIpv4 }] Failover "a" Target {
            address: Tcp(
                Server {
                    host: Name(
                        Domain(a),
                    ),
                    port: 1,
                },
            ),
            via: None,
            attempts: 1,
            backoff: 100ms,
            connect_timeout: Some(
                10s,
            ),
            resolve_timeout: None,
            read_timeout: None,
            write_timeout: None,
            keepalive: Default,
            families: PreferIpv4,
            proxy_header: false,
        }"#]]
    .assert_eq(&format!(
        "{:?} {:?} {name:?} {target:#?}",
        forward.listen, balancing.balance
    ));
}

#[test]
fn rule_sets_are_checked() {
    let set = |text: &str, expected: &[&str]| {
        check(
            &format!(
                "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ] }} }}\nrule_sets:\n  s: {text}"
            ),
            expected,
        );
    };
    set(
        "{ domains: [a.example, .b.example], ips: [10.0.0.0/8, '::1'], rules: ['DST-PORT, 22'] }",
        &[],
    );
    set("{ path: lists/ads.txt, format: domains }", &[]);
    set("{ path: lists/ads.txt }", &[]);
    set("{ path: lists/clash.yaml, format: auto }", &[]);
    set(
        "{ path: lists/ads.txt, format: text, behavior: domain }",
        &[],
    );
    set(
        "{ path: lists/ads.txt, format: domains, behavior: domain }",
        &["3:56: error[conflicting-keys]: `format` says already what the entries are"],
    );
    set(
        "{ path: lists/ads.txt, interval: 1d, via: direct }",
        &[
            "3:39: error[conflicting-keys]: `interval` is for lists that are fetched, and there is no `url`",
            "3:48: error[conflicting-keys]: `via` is for lists that are fetched, and there is no `url`",
        ],
    );
    set(
        "{ domains: [a], format: text }",
        &["3:30: error[conflicting-keys]: `format` is for lists in files, and there is no `path`"],
    );
    set(
        "{ url: 'https://a.test/l' }",
        &["3:3: warning[not-fetched]: `s` was not fetched yet: it is empty"],
    );
    set(
        "{ url: 'https://a.test/l', path: lists/clash.yaml, interval: 1d, limit: 1MiB, via: direct, format: auto }",
        &[],
    );
    set(
        "{ url: 'ftp://a.test', path: lists/ads.txt, via: nowhere, interval: 5ms }",
        &[
            "3:13: error[invalid-value]: this is no `http://` or `https://` address",
            "3:55: error[unknown-outbound]: there is no outbound `nowhere`",
            "3:74: error[invalid-value]: `interval` is at least 1s",
        ],
    );
    set(
        "{ url: 'http://me:pw@a.test/l?k=1', path: lists/ads.txt }",
        &[
            "3:13: error[invalid-value]: a list's `url` has no login: it would be sent on and logged",
        ],
    );
    set(
        "{ url: 'ftp://me:pw@a.test/l?k=1', path: lists/ads.txt }",
        &["3:13: error[invalid-value]: this is no `http://` or `https://` address"],
    );
    set(
        "{ path: lists/none.txt, format: ips }",
        &["3:14: error[missing-file]: `lists/none.txt` cannot be read: entity not found"],
    );
    set(
        "{ path: lists/ads.txt, format: domain }",
        &[
            "3:37: error[invalid-value]: `format` must be one of `auto`, `domains`, `ips`, `rules`, `clash-domains`, `clash-ips`, `clash-rules`, `text`, `yaml`, `adblock`, `hosts`, `dnsmasq`, `dat`, `mmdb`, `mrs`, `srs`, `srs-json`",
        ],
    );
    set(
        "{ path: lists/ads.txt, domains: [a] }",
        &["3:38: error[conflicting-keys]: a rule set has a file or lists of its own, not both"],
    );
    set(
        "{}",
        &[
            "3:6: error[missing-key]: a rule set needs `path` or `url`, or `domains`, `ips`, `rules`",
        ],
    );
    set(
        "{ domains: ['a b'] }",
        &[
            "3:18: error[invalid-address]: `a b`: the name has the character ' ', which no host name carries",
        ],
    );
    set(
        "{ ips: [10.0.0.0/40] }",
        &["3:14: error[invalid-address]: `/40` is not a prefix length here (0 to 32)"],
    );
    set(
        "{ rules: ['RULE-SET, s'] }",
        &["3:16: error[unknown-rule-set]: there is no rule set `s`"],
    );
    problems(
        "policy: direct\nrule_sets:\n  a: { path: lists/bad.txt, format: domains }\n  b: { path: lists/rules.txt, format: rules }\n  c: { path: lists/bad.txt, format: domains, strict: true }\n",
        expect![[r#"
            lists/bad.txt:2:1: error[invalid-entry]: `bad example` is no domain: the name has the character ' ', which no host name carries
              | bad example
              | ^^^^^^^^^^^
              pointsman.yaml:5:14: rule set `c` reads this list
            lists/bad.txt:2:1: warning[invalid-entry]: `bad example` is no domain: the name has the character ' ', which no host name carries
              | bad example
              | ^^^^^^^^^^^
              pointsman.yaml:3:14: rule set `a` reads this list
              hint: left out; `strict: true` makes it an error
            lists/rules.txt:3:8: warning[invalid-entry]: `GEOIP` needs a database (set `geoip_db`)
              | GEOIP, CN
              |        ^^
              pointsman.yaml:4:14: rule set `b` reads this list
              hint: left out; `strict: true` makes it an error"#]],
    );
    // What is wrong with a list as a whole stands where the list is named.
    problems(
        "policy: direct\nrule_sets:\n  a: { path: lists/ads.txt, format: yaml }\n  b: { path: lists/ads.txt, select: x }\n",
        expect![[r#"
            lists/ads.txt:5:1: error[invalid-list]: this line does not belong to what stands before it
              | *.metrics.example
              | ^^^^^^^^^^^^^^^^^
              pointsman.yaml:3:14: rule set `a` reads this list
              hint: YAML is lines of `KEY: VALUE`, and what belongs to a key is indented below it
            pointsman.yaml:4:14: error[invalid-list]: `lists/ads.txt`: `select: x`: a list of format `text` is one list
              |   b: { path: lists/ads.txt, select: x }
              |              ^^^^^^^^^^^^^
              hint: leave `select` out: only files of format `dat` and `mmdb` hold many lists"#]],
    );
}

#[test]
fn resolvers_are_checked() {
    let dns = |text: &str, expected: &[&str]| {
        check(
            &format!(
                "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ] }} }}\ndns: {{ {text} }}"
            ),
            expected,
        );
    };
    dns(
        "upstreams: { a: 'udp://1.1.1.1', b: { address: 'tcp://1.1.1.1', via: direct } }, resolver: b",
        &[],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, resolver: system, hosts: { nas: 192.168.1.5, .lan: [192.168.1.6, '::1'] }, domains: { corp.example: a }, family: ipv4",
        &[],
    );
    dns(
        "upstreams: { a: 1.1.1.1 }",
        &[
            "2:24: error[invalid-address]: an upstream: `1.1.1.1` must begin with one of `udp://`, `tcp://`, `tls://`, `https://`",
        ],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, resolver: b",
        &["2:53: error[unknown-resolver]: `dns.upstreams` has no `b`"],
    );
    dns(
        "upstreams: { system: 'udp://1.1.1.1' }",
        &[
            "2:21: error[reserved-name]: `system` is the system's own configuration and cannot be redefined",
        ],
    );
    dns(
        "upstreams: { a: { address: 'udp://1.1.1.1', via: b } }",
        &["2:57: error[unknown-outbound]: there is no outbound `b`"],
    );
    dns(
        "upstreams: { a: system, b: [{ address: 'udp://fe80::1', via: direct }, 'udp://[fe80::1%eth0]'] }",
        &[],
    );
    dns(
        "upstreams: { a: { address: system, via: direct } }",
        &[
            "2:48: error[invalid-value]: `system` is asked as the system is configured, by no other way",
        ],
    );
    dns(
        "upstreams: { a: { address: 'udp://fe80::1%eth0', via: direct } }",
        &[
            "2:62: error[invalid-value]: a link-local server is reached by its interface, by no other way",
        ],
    );
    dns(
        "upstreams: { a: 'udp://fe80::1' }",
        &["2:24: error[invalid-address]: `fe80::1` is on every link: say on which interface"],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, hosts: { a: b }",
        &["2:55: error[invalid-address]: `hosts`: `b` is no address"],
    );
    let note = "2:24: note[not-yet]: not yet: DNS over `https://`; look-ups through it fail";
    let unbuilt = "warning[unbuilt-resolver]: none of these name servers is of a kind that is built: all that needs this resolver fails";
    dns(
        "upstreams: { a: 'https://a/q' }",
        &[&format!("2:24: {unbuilt}"), note],
    );
    dns(
        "upstreams: { a: ['https://a/q', 'udp://1.1.1.1'] }",
        &[&note.replace("2:24", "2:25")],
    );
    // What stands for a server that could not be converted says nothing of DNS over HTTPS.
    dns(
        "upstreams: { a: ['https://not-carried-over.invalid', 'udp://1.1.1.1'] }",
        &[
            "2:25: note[no-name-server]: `https://not-carried-over.invalid` is no name server: look-ups through it fail",
        ],
    );
    let dns = "upstreams: { a: 'udp://1.1.1.1', b: 'https://b/q' }, domains: { example: b, www.example: a }";
    let setup = setup(&format!("dns: {{ {dns} }}"));
    let by_domain = &setup.resolvers[0].by_domain;
    assert_eq!(by_domain[0].0.as_str(), "www.example");
    assert!(
        matches!(&by_domain[1].2[..], [NameServer::NotYet(why)] if why == "DNS over `https://` is not built yet")
    );
    // A name alone stands before all that is below it.
    let dns = "upstreams: { a: 'udp://1.1.1.1' }, domains: { x.example: a, =x.example: system, =example: a }";
    let setup = super::setup(&format!("dns: {{ {dns} }}"));
    let shown = setup.resolvers[0].by_domain.iter();
    let shown: Vec<_> = shown
        .map(|(name, below, _)| (name.as_str(), *below))
        .collect();
    assert_eq!(
        shown,
        [
            ("x.example", false),
            ("x.example", true),
            ("example", false)
        ]
    );
}

#[test]
fn the_systems_resolver_has_hosts_domains_and_family_like_any() {
    // The section; the resolver for servers, as (its servers, hosts, domains).
    for (dns, servers, hosts, domains) in [
        ("hosts: { a: 1.1.1.1 }", "[System]", 1, 0),
        ("family: ipv6", "[System]", 0, 0),
        (
            "upstreams: { corp: 'udp://10.3.0.53' }, resolver: system, hosts: { a: 1.1.1.1 }, domains: { corp.example: corp }",
            "[System]",
            1,
            1,
        ),
        (
            "upstreams: { own: system, corp: 'udp://10.3.0.53' }, domains: { x.example: own }",
            "[System]",
            0,
            1,
        ),
        (
            "upstreams: { far: 'udp://10.3.0.53' }, domains: { x.example: system }, family: ipv6",
            "[Udp(",
            0,
            1,
        ),
    ] {
        let setup = setup(&format!("dns: {{ {dns} }}"));
        let resolver = &setup.resolvers[setup.server_resolver.unwrap().0];
        let shown = format!("{:?}", resolver.servers);
        assert!(shown.starts_with(servers), "{dns}: {shown}");
        assert_eq!(resolver.hosts.len(), hosts, "{dns}");
        assert_eq!(resolver.by_domain.len(), domains, "{dns}");
        let last = setup.resolvers.last().unwrap();
        assert_eq!(last.servers, [NameServer::System]);
        assert_eq!(
            last.families == crate::setup::Families::Ipv6Only,
            dns.contains("ipv6")
        );
    }
    // An inbound that names the system's does not get the first upstream in its stead.
    let text = "inbounds: { a: { type: mixed, listen: 1, resolver: system } }\ndns: { upstreams: { far: 'udp://10.3.0.53' } }";
    let setup = setup(text);
    let own = setup.inbounds[0].resolver.unwrap();
    assert_eq!(setup.resolvers[own.0].servers, [NameServer::System]);
}

#[test]
fn tests_name_outbounds_that_exist() {
    check(
        "tests: [ { flow: 'dst=a:1', expect: nowhere }, { flow: '', expect: direct }, 7 ]",
        &[
            "1:37: error[unknown-outbound]: there is no outbound `nowhere`",
            "1:56: error[invalid-value]: `flow` must be a word, without control characters",
            "1:78: error[wrong-type]: a test must be a mapping",
        ],
    );
}

#[test]
fn built_in_outbounds_are_known_by_any_spelling() {
    let text = "inbounds: { a: { type: mixed, listen: 1, policy: p } }\n\
                outbounds: { g: { type: select, members: [DIRECT, Reject] } }\n\
                dns: { upstreams: { u: { address: 'udp://10.0.0.1', via: Direct } } }\n\
                policies:\n  p: |\n    any [\n      cond domain under a.test => RESET\n      g\n    ]\n\
                tests: [ { flow: 'dst=a.test:1', expect: Reset }, { flow: 'dst=b.test:1', expect: none } ]\n";
    check(text, &[]);
    // A tree of that name goes first.
    check(
        "policies: { Reset: direct, p: Reset }\ninbounds: { a: { type: mixed, listen: 1, policy: p } }\n\
         tests: [ { flow: 'dst=a:1', expect: direct } ]",
        &[],
    );
}

#[test]
fn timeouts_are_read_and_have_defaults() {
    let usual = setup("").timeouts;
    assert_eq!(usual, Timeouts::default());
    let seconds = Duration::from_secs;
    let some = setup(
        "timeouts: { handshake: 1s, dial: 2s, resolve: 3s, first_byte: 4s, half_closed: 5s, idle: 6s, keep_alive: 7s, blackhole: 8s }",
    );
    let expected = Timeouts {
        handshake: seconds(1),
        dial: seconds(2),
        resolve: seconds(3),
        first_byte: Some(seconds(4)),
        half_closed: Some(seconds(5)),
        idle: Some(seconds(6)),
        keep_alive: seconds(7),
        blackhole: seconds(8),
    };
    assert_eq!(some.timeouts, expected);
    let off = setup("timeouts: { first_byte: off, half_closed: off, idle: off, dial: 1m }");
    let expected = Timeouts {
        dial: seconds(60),
        first_byte: None,
        half_closed: None,
        idle: None,
        ..Timeouts::default()
    };
    assert_eq!(off.timeouts, expected);
}

#[test]
fn timeouts_are_checked() {
    let timeouts = |text: &str, expected: &[&str]| {
        check(
            &format!("inbounds: {{ a: {{ type: mixed, listen: 1 }} }}\ntimeouts: {{ {text} }}"),
            expected,
        );
    };
    timeouts("dial: 1s, idle:", &[]);
    for key in ["handshake", "dial", "resolve", "keep_alive", "blackhole"] {
        let at = key.len() + 15;
        let expected = format!(
            "2:{at}: error[invalid-value]: `{key}` cannot be off: a peer that never answers would hold its place for ever"
        );
        timeouts(&format!("{key}: off"), &[&expected]);
    }
    for key in [
        "handshake",
        "dial",
        "resolve",
        "first_byte",
        "half_closed",
        "idle",
        "keep_alive",
        "blackhole",
    ] {
        let at = key.len() + 15;
        let zero = format!("2:{at}: error[invalid-value]: `{key}` must be longer than zero");
        timeouts(&format!("{key}: 0s"), &[&zero]);
        let list = format!("2:{at}: error[wrong-type]: `{key}` must be a text");
        timeouts(&format!("{key}: []"), &[&list]);
    }
    timeouts(
        "idel: 1h",
        &["2:13: error[unknown-key]: `timeouts` has no key `idel`"],
    );
}

#[test]
fn limits_of_udp_are_read_and_have_defaults() {
    let usual = setup("").datagrams;
    assert_eq!(usual, DatagramLimits::default());
    let seconds = Duration::from_secs;
    let some = setup(
        "udp: { idle: 2m, idle_by_protocol: { DNS: 5s, quic: 1m }, nat: full-cone, flows: 10, flows_by_client: 5, held: 2KiB, offload: off }",
    );
    let expected = DatagramLimits {
        idle: seconds(120),
        // What is not named stays as it is.
        idle_by_protocol: vec![
            (Protocol::Dns, seconds(5)),
            (Protocol::Ntp, seconds(10)),
            (Protocol::Stun, seconds(30)),
            (Protocol::Quic, seconds(60)),
        ],
        filtering: Filtering::FullCone,
        flows: 10,
        flows_by_client: 5,
        held: 2048,
        offload: false,
    };
    assert_eq!(some.datagrams, expected);
    let strict = setup("udp: { nat: port, offload: auto, idle: }").datagrams;
    assert_eq!(
        (strict.filtering, strict.offload, strict.idle),
        (Filtering::Port, true, usual.idle)
    );
}

#[test]
fn limits_of_udp_are_checked_all_at_once() {
    let udp = |text: &str, expected: &[&str]| {
        check(
            &format!("inbounds: {{ a: {{ type: mixed, listen: 1 }} }}\nudp: {{ {text} }}"),
            expected,
        );
    };
    let never = "cannot be off: nothing says over UDP that a flow is over, so it would keep its place for ever";
    udp(
        "idle: off, idle_by_protocol: { dns: off, tls: 1s, other: 1s, dsn: 0s }, flows: 0, held: 1B",
        &[
            &format!("2:14: error[invalid-value]: `idle` {never}"),
            &format!("2:44: error[invalid-value]: `dns` {never}"),
            "2:49: error[invalid-value]: `tls` is spoken over TCP",
            "2:58: error[invalid-value]: `other` is no protocol by itself",
            "2:69: error[invalid-value]: no flow over UDP is recognised as `dsn`",
            "2:74: error[invalid-value]: `dsn` must be longer than zero",
            "2:87: error[wrong-type]: `flows` must be a whole number from 1 to 1000000",
            "2:96: error[invalid-value]: `held` must be from 1500B, which a datagram of Ethernet may have, to 256KiB, which is four of the longest",
        ],
    );
    for idle in ["500ms", "1500ms", "25h"] {
        udp(
            &format!("idle: {idle}"),
            &["2:14: error[invalid-value]: `idle` must be whole seconds, from `1s` to `1d`"],
        );
    }
    udp(
        "flows: 10, flows_by_client: 11",
        &["2:36: warning[invalid-value]: `flows_by_client` is more than `flows`, which is 10"],
    );
    udp(
        "nat: symmetric",
        &["2:13: error[invalid-value]: `nat` must be one of `address`, `full-cone`, `port`"],
    );
    udp(
        "offload: true",
        &["2:17: error[invalid-value]: `offload` must be one of `auto`, `off`"],
    );
    udp(
        "idel: 1s",
        &["2:8: error[unknown-key]: `udp` has no key `idel`"],
    );
}

#[test]
fn a_forward_says_how_it_goes_on() {
    let forward = |text: &str| {
        format!(
            "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ], {text} }} }}"
        )
    };
    let usual = setup(&forward("balance: failover"));
    let retry_of = |setup: &Setup| setup.balancing_of(&setup.forwards[0]).map(|it| it.retry);
    assert_eq!(retry_of(&usual), Some(Retry::default()));
    assert_eq!(usual.forwards[0].limits.half_closed, None);
    let said = setup(&forward(
        "half_closed: 1m, retry: { targets: 2, pause: 100ms, most: 3s }",
    ));
    let retry = Retry {
        targets: NonZeroUsize::new(2),
        pause: Duration::from_millis(100),
        most: Duration::from_secs(3),
    };
    assert_eq!(retry_of(&said), Some(retry));
    let half_closed = said.forwards[0].limits.half_closed;
    assert_eq!(half_closed, Some(Duration::from_secs(60)));
    check(
        &forward("retry: { targets: 0, paus: 1s }"),
        &[
            "1:99: error[wrong-type]: `targets` must be a whole number from 1 to 4294967295",
            "1:102: error[unknown-key]: `retry` has no key `paus`",
        ],
    );
}
