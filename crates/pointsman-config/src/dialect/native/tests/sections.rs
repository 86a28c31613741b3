//! Each section of a native file: its keys, defaults and problems.

use std::path::PathBuf;

use super::{check, setup};

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
