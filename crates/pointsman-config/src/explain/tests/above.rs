//! What refuses a flow that its rules let go: own listeners, and addresses of this host for clients of others.

use super::*;
use crate::Dialect;

const TEXT: &str = "version: 1
inbounds:
  desk: { type: mixed, listen: \"127.0.0.1:7890\" }
  house: { type: mixed, listen: \"0.0.0.0:7891\", allow: [10.0.0.0/8] }
outbounds: { up: { type: http, server: \"proxy.example:8080\" } }
dns: { upstreams: { isp: \"udp://192.0.2.53\" }, hosts: { here.test: 127.0.0.1, dev.test: 127.0.0.1 } }
rules:
  - DOMAIN, no.test, REJECT
  - DOMAIN, far.test, up
  - DOMAIN, dev.test, DIRECT
  - IP-CIDR, 127.0.0.53/32, DIRECT
  - IP-CIDR, 10.9.0.0/16, up
  - FALLBACK, DIRECT
";

/// Outbound, action, and the reason as far as its first colon but one.
fn told(flow: &str) -> String {
    let files = Memory::new([("c.yaml", TEXT)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let query = Query::parse(flow).unwrap();
    let explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
    let outbound = explained.decision.outbound.unwrap_or_default();
    let action = explained.decision.action.as_str();
    let reason = &explained.reason;
    let above = ["loop guard: own listener", "local address"];
    let above = above.iter().find(|above| reason.starts_with(**above));
    format!("{outbound} {action} {}", above.unwrap_or(&""))
}

#[test]
fn a_flow_to_an_own_listener_is_refused_by_any_spelling() {
    for dst in [
        "127.0.0.1:7890",
        "0.0.0.0:7890",
        "[::ffff:127.0.0.1]:7890",
        "127.0.0.1:7891",
        "127.9.9.9:7891",
        "here.test:7890",
    ] {
        let said = told(&format!("dst={dst} inbound=desk"));
        assert_eq!(said, "DIRECT reject loop guard: own listener", "{dst}");
    }
    // Which way it would go does not matter.
    let far = told("dst=far.test:7890 resolved=127.0.0.1 inbound=desk");
    assert_eq!(far, "up reject loop guard: own listener");
    // Refused by the rules is refused by the rules.
    assert_eq!(
        told("dst=no.test:7890 resolved=127.0.0.1"),
        "REJECT reject "
    );
    for dst in ["127.0.0.1:7892", "192.0.2.1:7890", "192.0.2.1:7891"] {
        assert_eq!(told(&format!("dst={dst}")), "DIRECT direct ", "{dst}");
    }
}

#[test]
fn clients_of_other_hosts_are_not_lent_this_hosts_addresses() {
    for dst in [
        "127.0.0.1:22",
        "0.0.0.0:22",
        "[::1]:22",
        "[::]:22",
        "169.254.169.254:80",
        "[fe80::1]:22",
        "here.test:80",
        "other.test:80 resolved=10.1.1.1,127.0.0.1",
    ] {
        let stranger = told(&format!("src=10.0.0.7:5000 dst={dst}"));
        assert_eq!(stranger, "DIRECT reject local address", "{dst}");
        for near in ["", "src=127.0.0.1:5000 ", "src=[::1]:5000 "] {
            assert_eq!(
                told(&format!("{near}dst={dst}")),
                "DIRECT direct ",
                "{near}{dst}"
            );
        }
    }
    // Named in particular, sent to a proxy, or not local at all.
    for (dst, expected) in [
        ("127.0.0.53:53", "DIRECT direct "),
        ("dev.test:80", "DIRECT direct "),
        ("127.0.0.54:53", "DIRECT reject local address"),
        ("far.test:80 resolved=127.0.0.1", "up proxy "),
        ("192.168.1.1:80", "DIRECT direct "),
    ] {
        assert_eq!(
            told(&format!("src=10.0.0.7:5000 dst={dst}")),
            expected,
            "{dst}"
        );
    }
}
