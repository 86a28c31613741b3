//! Where flows to a name may end while nothing else of them is known: compared with where they end.

#![expect(clippy::unwrap_used, reason = "the vocabulary is fixed")]

mod flow;
mod random;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use flow::{
    compiled, end, ends, leaf, learn, name, not, origin, policy, port, rule, selecting, set,
    suffix, unlearned, with_sets, zone,
};
use pointsman_policy::condition::{AddressKind, Asks, Condition, ZoneOf};
use pointsman_policy::decision::Step;
use pointsman_policy::fact::{Fact, Facts, Need, Network, Provenance};
use pointsman_policy::model::{DomainOrder, OutboundId, Policy, SelectOn};
use pointsman_policy::set::{Key, RuleSet, RuleSetBuilder};
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{Domain, Host, Node};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use random::{NAMES, any_flow, any_picky_policy_of, any_policy, domain_test, logic, number, zones};

/// How a flow to a name comes in.
#[derive(Clone, Debug)]
struct Coming {
    name: Domain,
    /// By a fake address.
    faked: bool,
    client: Option<IpAddr>,
    port: Option<u16>,
    network: Network,
}

fn any_coming() -> impl Strategy<Value = Coming> {
    (
        select(NAMES).prop_map(name),
        any::<bool>(),
        option::of(select(&["10.1.1.1", "192.0.2.1", "127.0.0.1", "::1"][..])),
        option::of(select(&[22, 80, 443, 8080][..])),
        select(&[Network::Icmp, Network::Tcp, Network::Udp][..]),
    )
        .prop_map(|(name, faked, client, port, network)| Coming {
            name,
            faked,
            client: client.map(|text| text.parse().unwrap()),
            port,
            network,
        })
}

/// A flow that is in all else as `world`. Its domain is the name in every order.
fn coming(
    mut world: Facts,
    Coming {
        name,
        faked,
        client,
        port,
        network,
    }: Coming,
) -> Facts {
    let host = match faked {
        true => Host::Address([198, 18, 0, 1].into()),
        false => Host::Name(name.clone()),
    };
    world.destination = Fact::Known(host, Provenance::Request);
    world.port = Fact::from_option(port, Provenance::Request);
    world.network = network;
    if let Some(client) = client {
        let from = SocketAddr::new(client, world.source.known().map_or(0, SocketAddr::port));
        world.source = Fact::Known(from, Provenance::Inbound);
    }
    let sought = world.sought.to_mut();
    if faked {
        sought.fake_ip = Fact::Known(name.clone(), Provenance::FakeIp);
    }
    world
}

/// What first bytes that count before the request say: the name, or none.
fn saying(mut world: Facts, order: DomainOrder, name: &Domain) -> Facts {
    let sought = world.sought.to_mut();
    match (order, &mut sought.look) {
        // Whatever an outer name is, the requested one counts.
        (DomainOrder::SniffedElseRequested, Fact::Known(look, _))
            if look.domain.is_some() && !look.ech =>
        {
            look.domain = Some(name.clone());
        }
        (DomainOrder::SniffedElseRequested, look @ Fact::Failed(_)) => *look = Fact::Absent,
        _ => {}
    }
    world
}

/// A rule on a set that holds the policy's sets stands among its rules.
fn with_nested(policy: Policy, asks: Asks) -> Policy {
    let mut outer = RuleSetBuilder::new("outer", "outer.txt", Key::default());
    outer.add_other(Condition::And(vec![set(0, asks), port(80)]), 1, "and");
    outer.add_other(set(1, asks), 2, "inner");
    let mut body = policy.body.nodes().to_vec();
    body.insert(body.len() / 2, rule(0, set(2, asks), OutboundId(3)));
    number(&mut body, &mut 0);
    let sets = policy.sets.iter().cloned();
    Policy {
        sets: sets.chain([Arc::new(outer.finish())]).collect(),
        body: body.into(),
        ..policy
    }
}

fn check(policy: &Policy, world: Facts, told: u8, coming_in: Coming) -> Result<(), TestCaseError> {
    let Coming { name, client, .. } = coming_in.clone();
    let order = policy.domain_order;
    let world = saying(coming(world, coming_in), order, &name);
    let step = policy.decide_plainly(&world);
    let possible = policy.possible_for(&name, client);
    // Whether rules are skipped is not to be seen.
    let compiled = compiled(policy);
    prop_assert_eq!(&compiled.possible_for(&name, client), &possible);
    let possible = ends(&possible);
    // Sound: whatever the flow is like, it ends at one of these.
    prop_assert!(
        possible.contains(&end(&step)),
        "{step:?} is not in {possible:?}"
    );
    // Whoever knows the client takes no further ends for possible, and whoever knows more of the flow neither.
    let of_all = policy.possible_for(&name, None);
    prop_assert_eq!(&compiled.possible_for(&name, None), &of_all);
    let of_all = ends(&of_all);
    prop_assert!(possible.iter().all(|end| of_all.contains(end)));
    if order != DomainOrder::SniffedElseRequested {
        let mut partial = unlearned(&world);
        for (at, need) in Need::ALL.into_iter().enumerate() {
            if told & (1 << at) != 0 {
                learn(need, &mut partial, &world);
            }
        }
        let closer = ends(&policy.possible(&partial, &[]));
        prop_assert!(
            closer.iter().all(|end| possible.contains(end)),
            "{closer:?}"
        );
    }
    // Nobody looks at a client whom no end depends on.
    if !policy.looks_at_clients() {
        prop_assert_eq!(possible, of_all);
    }
    Ok(())
}

/// Steps that look at names alone.
fn any_naming_node() -> impl Strategy<Value = Node> {
    let condition = || {
        logic(prop_oneof![
            6 => domain_test().prop_map(Condition::Domain),
            2 => (0..2_u32).prop_map(|id| set(id, Asks::Resolve)),
            2 => (0..2_u32).prop_map(|id| Condition::Zone(ZoneOf::Domain, ZoneId(id), Asks::Never)),
            1 => select(vec![AddressKind::Domain, AddressKind::Ip]).prop_map(Condition::AddressKind),
        ])
    };
    let outbound = || (0..4_u32).prop_map(OutboundId);
    let plain = prop_oneof![
        6 => (condition(), outbound()).prop_map(|(condition, to)| rule(0, condition, to)),
        1 => outbound().prop_map(|to| leaf(0, to)),
    ];
    plain.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Node::Any),
            (condition(), vec(inner.clone(), 1..3)).prop_map(|(condition, body)| Node::Sub {
                condition,
                body,
                origin: origin(0),
            }),
            (condition(), inner.clone(), option::of(inner.clone())).prop_map(
                |(condition, then, otherwise)| Node::When {
                    condition,
                    then: Box::new(then),
                    otherwise: otherwise.map(Box::new),
                    origin: origin(0),
                }
            ),
            vec(inner, 2).prop_map(|branches| {
                selecting(
                    SelectOn::Zone(ZoneOf::Domain, Asks::Never),
                    (0..).map(zone).zip(branches),
                )
            }),
        ]
    })
}

/// Names, exceptions, keywords.
fn any_naming_set() -> impl Strategy<Value = RuleSet> {
    (
        vec((select(NAMES), 0..3_u8), 0..4),
        vec(domain_test(), 0..6),
    )
        .prop_map(|(names, others)| {
            let mut set = RuleSetBuilder::new("set", "set.txt", Key::default());
            for (line, (text, kind)) in (1..).zip(names) {
                match kind {
                    0 => set.add_exact(name(text), line, text),
                    1 => set.add_suffix(name(text), line, text),
                    _ => set.add_other(not(suffix(text)), line, text),
                }
            }
            for (line, test) in (11..).zip(others) {
                set.add_other(Condition::Domain(test), line, "other");
            }
            set.finish()
        })
}

fn any_naming_policy() -> impl Strategy<Value = Policy> {
    let sets = vec(any_naming_set(), 2);
    let orders = DomainOrder::ALL.to_vec();
    (vec(any_naming_node(), 0..6), sets, select(orders)).prop_map(
        |(mut body, sets, domain_order)| {
            number(&mut body, &mut 0);
            Policy {
                domain_order,
                zones: Arc::new(zones()),
                ..with_sets(policy(body), sets)
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_flow_ends_where_its_name_said(
        policy in any_policy(),
        nested in option::of(select(vec![Asks::Never, Asks::Resolve])),
        world in any_flow(),
        told in any::<u8>(),
        coming_in in any_coming(),
    ) {
        let policy = match nested {
            Some(asks) => with_nested(policy, asks),
            None => policy,
        };
        check(&policy, world, told, coming_in)?;
    }

    #[test]
    fn a_flow_ends_where_its_name_said_of_a_long_list(
        policy in any_picky_policy_of(4..30),
        world in any_flow(),
        told in any::<u8>(),
        coming_in in any_coming(),
    ) {
        check(&policy, world, told, coming_in)?;
    }

    #[test]
    fn rules_on_names_alone_leave_one_end(
        policy in any_naming_policy(),
        world in any_flow(),
        coming_in in any_coming(),
    ) {
        let Coming { name, client, .. } = coming_in.clone();
        let world = saying(coming(world, coming_in), policy.domain_order, &name);
        let step = policy.decide_plainly(&world);
        let possible = policy.possible_for(&name, client);
        prop_assert_eq!(&compiled(&policy).possible_for(&name, client), &possible);
        prop_assert_eq!(ends(&possible), vec![end(&step)]);
        if let Step::Decided(decision) = &step {
            prop_assert_eq!(&possible[0].rule, &decision.rule);
        }
        prop_assert!(!policy.looks_at_clients());
    }
}
