//! What refuses a flow that its rules let go: own listeners, and addresses of this host for clients of others.

use pointsman_policy::settle;

use super::*;
use crate::Dialect;
use crate::flow::Situation;

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
    told_by(TEXT, flow)
}

fn told_by(text: &str, flow: &str) -> String {
    let files = Memory::new([("c.yaml", text)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let query = Query::parse(flow).unwrap();
    let explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
    let outbound = explained.decision.outbound.unwrap_or_default();
    let action = explained.decision.action.as_str();
    let reason = &explained.reason;
    let above = [
        "loop guard: own listener",
        "local address",
        "no destination",
        "a name like an address",
    ];
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

#[test]
fn what_is_no_destination_is_refused() {
    for dst in [
        "10.1.1.1:0",
        "a.test:0",
        "224.0.0.1:80",
        "[ff02::1]:80",
        "255.255.255.255:80",
    ] {
        assert_eq!(
            told(&format!("dst={dst}")),
            "DIRECT reject no destination",
            "{dst}"
        );
    }
    assert_eq!(told("dst=far.test:0"), "up reject no destination");
    // What a name is matters where it is dialled here; with several addresses, each of them.
    for (flow, expected) in [
        (
            "dst=a.test:80 resolved=224.0.0.1",
            "DIRECT reject no destination",
        ),
        (
            "dst=a.test:80 resolved=10.1.1.1,255.255.255.255",
            "DIRECT reject no destination",
        ),
        ("dst=far.test:80 resolved=224.0.0.1", "up proxy "),
        (
            "dst=a.test:80 network=udp resolved=224.0.0.1",
            "DIRECT direct ",
        ),
        (
            "src=10.0.0.7:5000 dst=a.test:80 network=udp resolved=224.0.0.1",
            "DIRECT reject no destination",
        ),
    ] {
        assert_eq!(told(flow), expected, "{flow}");
    }
    assert_eq!(told("dst=no.test:0"), "REJECT reject ");
    assert_eq!(told("dst=0.0.0.0:80"), "DIRECT direct ");
}

/// A proxy may read it as an address that the rules did not see.
#[test]
fn a_name_that_ends_in_a_number_goes_to_no_proxy() {
    let text = TEXT.replace("FALLBACK, DIRECT", "FALLBACK, up");
    for name in ["10.5", "0x0a.5", "a.167772165", "0x7f000001", "a.0x"] {
        for network in ["tcp", "udp"] {
            let flow = format!("dst={name}:80 network={network}");
            let by_proxy = told_by(
                &text.replace("type: http", "type: socks5, udp: true"),
                &flow,
            );
            assert_eq!(by_proxy, "up reject a name like an address", "{flow}");
            assert_eq!(told(&flow), "DIRECT direct ", "{flow}");
        }
    }
    for name in ["10.5.test", "5.a0", "0xg", "x0x1"] {
        assert_eq!(
            told_by(&text, &format!("dst={name}:80")),
            "up proxy ",
            "{name}"
        );
    }
}

#[test]
fn what_refuses_is_a_row_that_does_not_say_twice_what_it_is() {
    let files = Memory::new([("c.yaml", TEXT)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded.setup.unwrap();
    for (flow, row, because) in [
        (
            "dst=127.0.0.1:7890 inbound=desk",
            "loop guard",
            "own listener: ",
        ),
        (
            "src=10.0.0.7:5000 dst=[::1]:22",
            "local address",
            "::1 is not for ",
        ),
        (
            "dst=10.1.1.1:0",
            "no destination",
            "nothing listens on port 0",
        ),
    ] {
        let query = Query::parse(flow).unwrap();
        let explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
        let Some(TraceLine::Visit(last)) = explained.trace.last() else {
            panic!("{:?}", explained.trace);
        };
        assert_eq!(last.text, row, "{flow}");
        assert!(
            last.because.starts_with(because),
            "{flow}: {}",
            last.because
        );
    }
}

/// The hints of a flow in a configuration.
fn hints(text: &str, flow: &str) -> Vec<String> {
    let files = Memory::new([("c.yaml", text)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let query = Query::parse(flow).unwrap();
    let explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
    explained.hints
}

#[test]
fn who_asks_for_a_listener_is_told_whose_it_is() {
    let text = format!(
        "{TEXT}forwards:\n  db: {{ listen: 'tcp://127.0.0.1:5432', targets: [{{ name: a, address: 'tcp://192.0.2.1:1' }}] }}\n"
    );
    let check = |flow: &str, expected: &str| {
        let hints = hints(&text, flow);
        assert!(
            hints.iter().any(|hint| hint == expected),
            "{flow}: {hints:?}"
        );
    };
    check(
        "127.0.0.1:5432",
        "this is where forward `db` listens: `inbound=forward:db` explains what its clients get",
    );
    check(
        "localhost:7890 resolved=127.0.0.1",
        "this is where inbound `desk` listens: `dst=HOST:PORT inbound=desk` explains what its clients get",
    );
    for flow in ["inbound=forward:db", "127.0.0.1:5432 inbound=desk"] {
        let hints = hints(&text, flow);
        assert!(
            !hints.iter().any(|hint| hint.contains("listens")),
            "{flow}: {hints:?}"
        );
    }
}

#[test]
fn the_hops_of_a_chain_are_told() {
    let text = "version: 1\ninbounds: { a: { type: mixed, listen: 1 } }\noutbounds:\n  \
                one: { type: socks5, server: '192.0.2.1:1' }\n  two: { type: http, server: '192.0.2.2:1' }\n  \
                both: { type: chain, hops: [one, two] }\n  group: { type: select, members: [both, one] }\n\
                rules:\n  - DOMAIN, a.example, both\n  - DOMAIN, b.example, group\n  - FALLBACK, one\n";
    let files = Memory::new([("c.yaml", text)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded.setup.unwrap();
    for (flow, expected) in [
        ("a.example:1", &["one", "two"][..]),
        ("b.example:1", &["one", "two"]),
        ("c.example:1", &[]),
    ] {
        let query = Query::parse(flow).unwrap();
        let explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
        assert_eq!(explained.hops, expected, "{flow}");
    }
}

#[test]
fn a_look_up_that_failed_is_told_as_such() {
    let text = "version: 1\ninbounds: { a: { type: mixed, listen: 1 } }\nrules:\n  - IP-CIDR, 10.0.0.0/8, RESET\n  \
                - FALLBACK, DIRECT\nip_rules_resolve: true\n";
    let files = Memory::new([("c.yaml", text)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let query = Query::parse("foo.example:443").unwrap();
    let situation = Situation::new(&setup, &query).unwrap();
    let mut facts = situation.facts.clone();
    let settled = settle(situation.policy, &mut facts, |need, facts| match need {
        Need::Resolve => {
            facts.sought.to_mut().resolved = pointsman_policy::Fact::Failed("no such name".into());
        }
        need => situation.answer(&setup, &query, need, facts),
    });
    let mut trace = Trace::default();
    let step = situation.policy.decide_traced(&facts, &mut trace);
    let explanation = render(&View {
        dialect: setup.dialect,
        policy: situation.policy,
        facts: &facts,
        step: &step,
        trace: &trace,
        asked: &settled.asked,
        said: Some(&query),
        world: World {
            selection: &First,
            listeners: &Listeners::of(&setup),
            dialled: &[],
        },
        detail: Detail::Folded,
    });
    assert_eq!(
        explanation.hints,
        [
            "the look-up of the name's address failed (no such name), and a rule looks at it: `resolved=ADDRESS` says what it would be"
        ]
    );
    assert_eq!(
        explanation.reason,
        "no earlier rule decided (1 tried): `FALLBACK, DIRECT` (c.yaml:5); 1 rule could not be decided"
    );
}

/// Which member is selected is known to the daemon alone: here the first.
#[test]
fn a_forward_of_udp_by_what_carries_none_is_refused() {
    let told = |members: &str, targets: &str| {
        let text = format!(
            "version: 1\noutbounds:\n  web: {{ type: http, server: \"p.test:1\" }}\n  near: {{ type: socks5, server: \"p.test:2\", udp: true }}\n  \
             any: {{ type: select, members: [{members}] }}\nforwards:\n  dns: {{ listen: 'udp://127.0.0.1:5300', targets: [{targets}] }}\n"
        );
        let files = Memory::new([("c.yaml", &*text)]);
        let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
        let setup = loaded
            .setup
            .unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let query = Query::parse("inbound=forward:dns").unwrap();
        let explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
        let member = explained.decision.member.unwrap_or_default();
        let action = explained.decision.action.as_str();
        let reason = explained.reason.split("; ").next().unwrap_or_default();
        let refused = reason.contains("carries no UDP").then_some(reason);
        format!("{member} {action} {}", refused.unwrap_or_default())
    };
    let a = "{ name: a, address: 'udp://192.0.2.1:53', via: any }";
    let b = "{ name: b, address: 'udp://192.0.2.2:53' }";
    assert_eq!(told("near, web", a), "a proxy ");
    assert_eq!(
        told("web, near", a),
        "a reject outbound `web` carries no UDP: `http` proxies carry no UDP"
    );
    // The next one is tried.
    assert_eq!(told("web, near", &format!("{a}, {b}")), "b direct ");
}

#[test]
fn a_forward_is_meant_by_its_address_and_by_its_name() {
    let text = "version: 1\nforwards:\n  web: { listen: 'tcp://127.0.0.1:8080', targets: [{ name: a, address: 'tcp://192.0.2.1:1' }] }\n  \
                dns: { listen: 'udp://127.0.0.1:5300', targets: [{ name: b, address: 'udp://192.0.2.1:53' }] }\n";
    let files = Memory::new([("c.yaml", text)]);
    let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
    let setup = loaded.setup.unwrap();
    let told = |flow: &str| {
        let query = Query::parse(flow).unwrap();
        match explain(&setup, &query, &First, Detail::Folded) {
            Ok(explained) => (
                explained.decision.outbound.unwrap_or_default(),
                explained.hints.join("; "),
            ),
            Err(error) => ("error".to_owned(), error.to_string()),
        }
    };
    let there =
        "forward `dns` listens there, so this is what its clients get: `inbound=forward:dns`";
    let of_dns = ("dns".to_owned(), there.to_owned());
    assert_eq!(told("127.0.0.1:5300"), of_dns);
    assert_eq!(told("udp://127.0.0.1:5300"), of_dns);
    assert_eq!(told("udp://localhost:5300"), of_dns);
    let by_name = ("dns".to_owned(), String::new());
    assert_eq!(told("inbound=dns"), by_name);
    assert_eq!(told("127.0.0.1:5300 inbound=dns"), by_name);
    assert_eq!(told("inbound=forward:dns"), by_name);
    assert_eq!(told("127.0.0.1:8080").0, "web");
    assert_eq!(told("inbound=web"), ("web".to_owned(), String::new()));
    let (_, why) = told("udp://192.0.2.9:5301");
    assert_eq!(
        why,
        "`network`: `web` takes flows over tcp alone; add `inbound=forward:dns`"
    );
    let (_, why) = told("inbound=tun");
    assert!(why.contains("there is no inbound of type `tun`"), "{why}");
}
