//! `timeouts` and `udp` of a native file: keys, defaults and problems.

use std::time::Duration;

use super::{check, setup};
use crate::setup::{DatagramLimits, Filtering, Timeouts};
use pointsman_policy::fact::Protocol;

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
