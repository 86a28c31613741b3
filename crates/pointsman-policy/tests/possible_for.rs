//! Where flows to a name may end while nothing else of them is known: the cases.

#![expect(clippy::unwrap_used, reason = "the vocabulary is fixed")]

mod flow;
mod random;

use std::net::IpAddr;
use std::sync::Arc;

use flow::{
    DIRECT, PROXY, RESET, WORK, ends, ends_told, ip, leaf, name, not, origin, policy, port, rule,
    selecting, set, suffix, with_sets, zone,
};
use pointsman_policy::condition::{
    AddressKind, AddressOf, Asks, Condition, DomainTest, NumberField, Side, TextField, TextTest,
    ZoneOf,
};
use pointsman_policy::fact::{InboundKind, Network, Protocol};
use pointsman_policy::model::{ArmKey, DomainOrder, OnUnknown, Policy, SelectOn};
use pointsman_policy::request::{Request, Route};
use pointsman_policy::set::{Item, Key, Place, RuleSet, RuleSetBuilder, Sink as _};
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{End, Node};
use random::zones;

fn client(text: &str) -> Option<IpAddr> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

fn told(policy: &Policy, of: &str) -> String {
    ends_told(policy, &policy.possible_for(&name(of), None))
}

#[test]
fn an_upstream_is_told_by_the_name_unless_other_facts_count() {
    let body = vec![
        rule(1, suffix("corp.test"), WORK),
        rule(2, Condition::And(vec![port(443), suffix("x.test")]), PROXY),
        leaf(3, DIRECT),
    ];
    let policy = policy(body);
    assert_eq!(told(&policy, "a.corp.test"), "work by 1");
    assert_eq!(told(&policy, "y.test"), "direct by 3");
    assert_eq!(told(&policy, "b.x.test"), "proxy by 2, direct by 3");
}

/// What a condition may come to for `a.test`: `yes`, `no`, `yes no ?`.
fn may(policy: &Policy, condition: Condition, from: &str) -> String {
    let body = vec![rule(1, condition, PROXY), leaf(2, DIRECT)];
    let policy = Policy {
        body: body.into(),
        on_unknown: OnUnknown::Reject,
        ..policy.clone()
    };
    let ends = ends(&policy.possible_for(&name("a.test"), client(from)));
    let words = [
        (End::To(PROXY), "yes"),
        (End::To(DIRECT), "no"),
        (End::Refused, "?"),
    ];
    let told = words.iter().filter(|(end, _)| ends.contains(end));
    told.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

#[test]
fn facts_that_a_query_does_not_have_may_be_anything() {
    use Condition as C;
    let policy = Policy {
        zones: Arc::new(zones()),
        ..policy(Vec::new())
    };
    let check = |condition: C, expected: &str| {
        assert_eq!(
            may(&policy, condition.clone(), ""),
            expected,
            "{condition:?}"
        );
    };
    let text = |field| C::Text(field, TextTest::Exact("x".into()));
    let range = |side, network| C::Port {
        side,
        ranges: vec![1..=99],
        network,
    };
    let of = |of, asks| C::Address {
        of,
        prefix: "10.0.0.0/8".parse().unwrap(),
        asks,
    };
    // Those of the name are known.
    check(suffix("test"), "yes");
    check(suffix("b.test"), "no");
    check(C::Domain(DomainTest::Keyword("a.t".into())), "yes");
    check(C::AddressKind(AddressKind::Domain), "yes");
    check(C::AddressKind(AddressKind::Ipv4), "no");
    check(C::Zone(ZoneOf::Domain, ZoneId(1), Asks::Never), "yes");
    check(C::Zone(ZoneOf::Domain, ZoneId(0), Asks::Never), "no");
    // Those of a flow that came in.
    for network in [
        None,
        Some(Network::Icmp),
        Some(Network::Tcp),
        Some(Network::Udp),
    ] {
        check(range(Side::Destination, network), "yes no");
        check(range(Side::Source, network), "yes no");
    }
    check(C::Network(Network::Icmp), "yes no");
    check(C::Network(Network::Tcp), "yes no");
    check(
        C::Inbound {
            kind: Some(InboundKind::Http),
            port: None,
            user: None,
        },
        "yes no",
    );
    check(text(TextField::InboundName), "yes no");
    check(of(AddressOf::Source, Asks::Never), "yes no");
    // Those that may be asked for, or not be found.
    for field in NumberField::ALL {
        // The type is a query's alone, and no flow has one.
        let expected = match field {
            NumberField::DnsType => "no",
            _ => "yes no ?",
        };
        check(C::Number(field, 1..=1), expected);
    }
    for protocol in [
        Protocol::Http,
        Protocol::Quic,
        Protocol::Tls,
        Protocol::Other,
    ] {
        check(C::Protocol(protocol), "yes no ?");
    }
    for field in [
        TextField::Alpn,
        TextField::Cgroup,
        TextField::Method,
        TextField::ParentName,
        TextField::ServerName,
        TextField::SshSoftware,
        TextField::User,
        TextField::UserAgent,
    ] {
        check(text(field), "yes no ?");
    }
    check(of(AddressOf::Outgoing, Asks::Never), "yes no ?");
    check(of(AddressOf::Destination, Asks::Resolve), "yes no ?");
    check(of(AddressOf::Either, Asks::Resolve), "yes no ?");
    check(C::Asn(1, Asks::Resolve), "yes no ?");
    check(C::Country("DE".into(), Asks::Resolve), "yes no ?");
    check(
        C::Zone(ZoneOf::Address, ZoneId(0), Asks::Resolve),
        "yes no ?",
    );
    // Nobody has the address of a name that is not resolved.
    check(of(AddressOf::Destination, Asks::Never), "no");
    check(of(AddressOf::Either, Asks::Never), "yes no");
    check(C::Asn(1, Asks::Never), "no");
    check(C::Country("DE".into(), Asks::Never), "no");
    check(C::Zone(ZoneOf::Address, ZoneId(0), Asks::Never), "no");
}

#[test]
fn a_client_that_is_known_tells_its_address() {
    let policy = policy(Vec::new());
    let of = |of, asks| Condition::Address {
        of,
        prefix: "10.0.0.0/8".parse().unwrap(),
        asks,
    };
    let check = |condition: Condition, from: &str, expected: &str| {
        assert_eq!(may(&policy, condition, from), expected, "{from}");
    };
    check(of(AddressOf::Source, Asks::Never), "10.0.0.1", "yes");
    check(of(AddressOf::Source, Asks::Never), "::ffff:10.0.0.1", "yes");
    check(of(AddressOf::Source, Asks::Never), "192.0.2.1", "no");
    check(of(AddressOf::Either, Asks::Never), "10.0.0.1", "yes");
    check(of(AddressOf::Either, Asks::Never), "192.0.2.1", "no");
    check(
        of(AddressOf::Either, Asks::Resolve),
        "192.0.2.1",
        "yes no ?",
    );
    let from = Condition::Port {
        side: Side::Source,
        ranges: vec![0..=0],
        network: None,
    };
    check(from, "10.0.0.1", "yes no");
}

/// Behind a rule that may have the name resolved, those that do not ask see the address.
#[test]
fn an_address_is_seen_behind_whoever_has_it_resolved() {
    let unasked = || rule(2, ip("10.0.0.0/8", Asks::Never), PROXY);
    let check = |first: Node, expected: &str| {
        let policy = policy(vec![first, unasked(), leaf(3, DIRECT)]);
        assert_eq!(told(&policy, "a.test"), expected);
    };
    let resolving = || ip("192.0.2.0/24", Asks::Resolve);
    check(rule(1, port(1), WORK), "work by 1, direct by 3");
    check(Node::Resolve(origin(1)), "proxy by 2, direct by 3");
    let behind = |first| Condition::And(vec![first, resolving()]);
    check(rule(1, behind(suffix("b.test")), WORK), "direct by 3");
    check(
        rule(1, behind(port(1)), WORK),
        "work by 1, proxy by 2, direct by 3",
    );
}

#[test]
fn sets_tell_by_names_what_is_certain() {
    let build = |fill: &dyn Fn(&mut RuleSetBuilder)| {
        let mut set = RuleSetBuilder::new("list", "list.txt", Key::default());
        fill(&mut set);
        set.finish()
    };
    let check = |asks: Asks, sets: Vec<RuleSet>, expected: &str| {
        let last = u32::try_from(sets.len() - 1).unwrap();
        let policy = with_sets(policy(Vec::new()), sets);
        assert_eq!(may(&policy, set(last, asks), ""), expected);
    };
    let named = |set: &mut RuleSetBuilder| set.add_suffix(name("a.test"), 1, "a.test");
    let other = |set: &mut RuleSetBuilder| set.add_suffix(name("b.test"), 1, "b.test");
    let free = |set: &mut RuleSetBuilder| set.add_other(port(443), 2, "DST-PORT,443");
    let ranges = |set: &mut RuleSetBuilder| {
        set.add_prefix("10.0.0.0/8".parse().unwrap(), 3, "10.0.0.0/8");
    };
    let excepted = |set: &mut RuleSetBuilder| {
        let (name, written) = (name("a.test"), "@@||a.test^");
        set.add(
            Item::ExceptSuffix((&name).into()),
            Place { line: 4, written },
        );
    };
    // Names alone.
    check(Asks::Resolve, vec![build(&named)], "yes");
    check(Asks::Resolve, vec![build(&other)], "no");
    // Rules beside them.
    check(
        Asks::Resolve,
        vec![build(&|set| (named(set), free(set)).1)],
        "yes",
    );
    check(
        Asks::Resolve,
        vec![build(&|set| (other(set), free(set)).1)],
        "yes no",
    );
    check(
        Asks::Resolve,
        vec![build(&|set| (other(set), free(set), excepted(set)).2)],
        "no",
    );
    // Addresses are seen where somebody asks for them.
    check(Asks::Never, vec![build(&ranges)], "no");
    check(Asks::Resolve, vec![build(&ranges)], "yes no ?");
    check(
        Asks::Resolve,
        vec![build(&|set| (named(set), ranges(set)).1)],
        "yes",
    );
    // The same of sets within sets.
    let around = |set: &mut RuleSetBuilder| set.add_other(flow::set(0, Asks::Resolve), 1, "inner");
    check(Asks::Resolve, vec![build(&named), build(&around)], "yes");
    check(Asks::Resolve, vec![build(&other), build(&around)], "no");
    check(Asks::Resolve, vec![build(&free), build(&around)], "yes no");
    check(Asks::Never, vec![build(&ranges), build(&around)], "no");
    check(
        Asks::Resolve,
        vec![build(&ranges), build(&around)],
        "yes no ?",
    );
}

/// Many keywords have an index, with other entries between them.
#[test]
fn keywords_of_sets_count_in_their_order() {
    let mut list = RuleSetBuilder::new("list", "list.txt", Key::default());
    for line in 1..20_u32 {
        let test = DomainTest::Keyword(format!("word{line}").into());
        list.add_other(Condition::Domain(test), line, "word");
    }
    list.add_other(port(443), 20, "DST-PORT,443");
    let policy = with_sets(
        policy(vec![rule(1, set(0, Asks::Never), RESET)]),
        vec![list.finish()],
    );
    assert_eq!(told(&policy, "word7.test"), "reset by 1");
    assert_eq!(told(&policy, "word.test"), "reset by 1, no route");
}

#[test]
fn every_arm_that_may_be_is_gone_through() {
    let protocols = [Protocol::Quic, Protocol::Http].map(ArmKey::Protocol);
    let body = |on, keys: [ArmKey; 2]| {
        let branches = [leaf(2, PROXY), leaf(3, WORK)];
        vec![
            selecting(on, keys.into_iter().zip(branches)),
            leaf(4, DIRECT),
        ]
    };
    let check = |on, keys, of: &str, expected: &str| {
        let policy = Policy {
            zones: Arc::new(zones()),
            ..policy(body(on, keys))
        };
        assert_eq!(told(&policy, of), expected, "{of}");
    };
    let all = "proxy by 2, work by 3, direct by 4";
    check(SelectOn::Protocol, protocols, "a.test", all);
    let both = [0, 1].map(zone);
    let of = |of, asks| SelectOn::Zone(of, asks);
    check(
        of(ZoneOf::Domain, Asks::Never),
        both,
        "b.test",
        "proxy by 2",
    );
    check(of(ZoneOf::Domain, Asks::Never), both, "a.test", "work by 3");
    check(
        of(ZoneOf::Domain, Asks::Never),
        both,
        "other.org",
        "direct by 4",
    );
    check(of(ZoneOf::Address, Asks::Resolve), both, "a.test", all);
    check(
        of(ZoneOf::Address, Asks::Never),
        both,
        "a.test",
        "direct by 4",
    );
}

/// `cond protocol` of datagrams alone, and `cond port` with its `else`.
#[test]
fn trees_branch_on_networks_and_ports() {
    let quic = (ArmKey::Protocol(Protocol::Quic), leaf(2, PROXY));
    let mut policy = policy(vec![selecting(SelectOn::Protocol, [quic])]);
    assert_eq!(told(&policy, "a.test"), "proxy by 2, no route");
    policy.on_unknown = OnUnknown::Reject;
    assert_eq!(
        told(&policy, "a.test"),
        "proxy by 2, refused by 1, no route"
    );
    let branches = Node::When {
        condition: port(443),
        then: Box::new(rule(2, suffix("a.test"), PROXY)),
        otherwise: Some(Box::new(leaf(3, WORK))),
        origin: origin(1),
    };
    policy.body = vec![branches, leaf(4, DIRECT)].into();
    assert_eq!(told(&policy, "a.test"), "proxy by 2, work by 3");
    assert_eq!(told(&policy, "b.test"), "work by 3, direct by 4");
}

#[test]
fn whoever_is_asked_may_answer_anything() {
    let mut request = Request::new(7, RESET, PROXY);
    let body = |request| {
        vec![
            Node::Request {
                condition: suffix("a.test"),
                request,
                origin: origin(1),
            },
            leaf(2, DIRECT),
        ]
    };
    let check = |policy: &Policy| {
        assert_eq!(
            told(policy, "a.test"),
            "reset by 1, proxy by 1, direct by 2"
        );
        assert_eq!(told(policy, "b.test"), "direct by 2");
    };
    check(&policy(body(request.clone())));
    request.fallback = Route::Blackhole;
    check(&policy(body(request)));
}

/// The first bytes say the same name, so nobody waits for them.
#[test]
fn the_name_is_the_domain_in_every_order() {
    let body = vec![rule(1, suffix("a.test"), PROXY), leaf(2, DIRECT)];
    for domain_order in DomainOrder::ALL {
        let policy = Policy {
            domain_order,
            on_unknown: OnUnknown::Reject,
            ..policy(body.clone())
        };
        assert_eq!(told(&policy, "b.a.test"), "proxy by 1");
        assert_eq!(told(&policy, "b.test"), "direct by 2");
    }
}

#[test]
fn clients_are_looked_at_by_their_addresses() {
    let check = |condition: Condition, expected: bool| {
        let mut inner = RuleSetBuilder::new("inner", "", Key::default());
        inner.add_other(condition.clone(), 1, "");
        let mut outer = RuleSetBuilder::new("outer", "", Key::default());
        outer.add_other(not(set(0, Asks::Never)), 1, "");
        let sets = vec![inner.finish(), outer.finish()];
        for condition in [not(condition), set(1, Asks::Never)] {
            let node = Node::Any(vec![rule(1, condition, PROXY)]);
            let policy = with_sets(policy(vec![node]), sets.clone());
            assert_eq!(policy.looks_at_clients(), expected);
        }
        let nobody = with_sets(policy(vec![rule(1, port(1), PROXY)]), sets);
        assert!(!nobody.looks_at_clients());
    };
    let of = |of| Condition::Address {
        of,
        prefix: "10.0.0.0/8".parse().unwrap(),
        asks: Asks::Never,
    };
    check(of(AddressOf::Source), true);
    check(of(AddressOf::Either), true);
    check(of(AddressOf::Destination), false);
    check(of(AddressOf::Outgoing), false);
    check(suffix("a.test"), false);
}
