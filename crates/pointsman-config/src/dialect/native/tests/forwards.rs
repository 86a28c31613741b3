//! `forwards` of a native file: keys, defaults and problems.

use std::num::NonZeroUsize;
use std::time::Duration;

use expect_test::expect;

use super::{check, setup};
use crate::setup::{Retry, Setup};

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
    let forward =
        |text: &str, expected: &[&str]| forward(&format!("{text}, allow: [10.0.0.0/8]"), expected);
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
    // As `udp.idle`, whose place it takes; over TCP it may be shorter and longer.
    for (idle, expected) in [
        ("100ms", "`idle` must be whole seconds, from `1s` to `1d`"),
        ("1500ms", "`idle` must be whole seconds, from `1s` to `1d`"),
        ("2d", "`idle` must be whole seconds, from `1s` to `1d`"),
        (
            "off",
            "`idle` cannot be off: nothing says over UDP that a flow is over, so it would keep its place for ever",
        ),
    ] {
        forward(
            &format!(
                "listen: 'udp://:53', targets: [ {{ name: a, address: 'udp://a:1' }} ], idle: {idle}"
            ),
            &[&format!("2:83: error[invalid-value]: {expected}")],
        );
    }
    forward(
        "listen: 'tcp://:53', targets: [ { name: a, address: 'tcp://a:1' } ], idle: 100ms",
        &[],
    );
}

#[test]
fn a_target_of_udp_goes_by_what_carries_it() {
    let target = |via: &str, expected: &[&str]| {
        let text = format!(
            "outbounds:\n  web: {{ type: http, server: 'p.test:1' }}\n  far: {{ type: socks5, server: 'p.test:2' }}\n  \
             near: {{ type: socks5, server: 'p.test:3', udp: true }}\n  both: {{ type: chain, hops: [near, web] }}\n  \
             any: {{ type: select, members: [web, near] }}\n  none: {{ type: select, members: [web, far] }}\n\
             forwards:\n  f: {{ listen: 'udp://127.0.0.1:53', targets: [ {{ name: a, address: 'udp://a:1', via: {via} }} ] }}"
        );
        check(&text, expected);
    };
    target("near", &[]);
    // As its member does at the time.
    target("any", &[]);
    target(
        "web",
        &[
            "9:87: error[udp-not-carried]: the target takes UDP, and `web` carries none (`http` proxies carry no UDP)",
        ],
    );
    target(
        "far",
        &[
            "9:87: error[udp-not-carried]: the target takes UDP, and `far` carries none (`udp: true` is not set)",
        ],
    );
    target(
        "both",
        &[
            "9:87: error[udp-not-carried]: the target takes UDP, and `both` carries none, because its hop `web` does not (`http` proxies carry no UDP)",
        ],
    );
    target(
        "none",
        &[
            "9:87: error[udp-not-carried]: the target takes UDP, and no member of `none` carries any",
        ],
    );
}

#[test]
fn a_forward_of_udp_that_answers_everybody_is_told() {
    let open = |text: &str, expected: &[&str]| {
        let text = format!(
            "forwards:\n  f: {{ {text}, targets: [ {{ name: a, address: '{}://a:1' }} ] }}",
            if text.contains("udp") { "udp" } else { "tcp" }
        );
        check(&text, expected);
    };
    let told = "2:16: warning[open-forward]: everybody who reaches this address is answered, and so is whoever a sender pretends to be";
    open("listen: 'udp://0.0.0.0:53'", &[told]);
    open("listen: 'udp://:53', answers: on", &[told]);
    open("listen: 'udp://nas.test:53'", &[told]);
    open(
        "listen: ['udp://127.0.0.1:53', 'udp://10.0.0.1:53']",
        &[
            "2:39: warning[open-forward]: everybody who reaches this address is answered, and so is whoever a sender pretends to be",
        ],
    );
    open(
        "listen: ['udp://127.0.0.1:53', 'udp://[::1]:53', 'udp://localhost:54']",
        &[],
    );
    open("listen: 'udp://:53', answers: off", &[]);
    open("listen: 'udp://:53', allow: [10.0.0.0/8]", &[]);
    // Who means everybody says so.
    open("listen: 'udp://:53', allow: [0.0.0.0/0, '::/0']", &[]);
    open("listen: 'tcp://0.0.0.0:53'", &[]);
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
