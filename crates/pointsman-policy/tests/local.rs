//! Addresses of this host: both spellings of "here", and which rules name them in particular.

mod flow;

use flow::{DIRECT, PROXY, flow as facts, ip, leaf, name, origin, policy, rule, told};
use pointsman_policy::Policy;
use pointsman_policy::condition::{Asks, Condition, DomainTest};
use pointsman_policy::model::Node;

fn exact(text: &str) -> Condition {
    Condition::Domain(DomainTest::Exact(name(text)))
}

fn below(text: &str) -> Condition {
    Condition::Domain(DomainTest::Suffix(name(text)))
}

#[test]
fn a_rule_holds_for_either_spelling_of_this_host() {
    for (range, taken, other) in [
        ("127.0.0.0/8", "dst=0.0.0.0:1", "dst=[::]:1"),
        ("127.0.0.1", "dst=0.0.0.0:1", "dst=[::]:1"),
        ("0.0.0.0", "dst=0.0.0.0:1", "dst=127.0.0.1:1"),
        ("0.0.0.0", "dst=[::ffff:0.0.0.0]:1", "dst=127.0.0.1:1"),
        ("::1", "dst=[::]:1", "dst=0.0.0.0:1"),
        ("::", "dst=[::]:1", "dst=[::1]:1"),
    ] {
        let policy = policy(vec![
            rule(1, ip(range, Asks::Resolve), PROXY),
            leaf(2, DIRECT),
        ]);
        assert_eq!(told(&policy, taken), "proxy by 1", "{range} {taken}");
        assert_eq!(told(&policy, other), "direct by 2", "{range} {other}");
    }
    // A name that was resolved to it is no other.
    let policy = policy(vec![
        rule(1, ip("127.0.0.0/8", Asks::Resolve), PROXY),
        leaf(2, DIRECT),
    ]);
    assert_eq!(told(&policy, "dst=x.test:1 resolved=0.0.0.0"), "proxy by 1");
}

/// What the rules name in particular, and whether loopback is among it.
fn particular(policy: &Policy, words: &str) -> bool {
    let found = policy.particular(&facts(words));
    found.names(std::net::Ipv4Addr::LOCALHOST.into())
}

fn ruled(condition: Condition) -> Policy {
    policy(vec![rule(1, condition, DIRECT), leaf(2, DIRECT)])
}

#[test]
fn only_a_rule_that_names_the_address_lends_it() {
    let never = |range| ip(range, Asks::Never);
    let to = "dst=127.0.0.1:80";
    for range in ["127.0.0.0/8", "127.0.0.1"] {
        assert!(particular(&ruled(never(range)), to), "{range}");
        assert!(
            particular(&ruled(never(range)), "dst=0.0.0.0:80"),
            "{range}"
        );
    }
    for range in ["0.0.0.0/0", "126.0.0.0/7"] {
        assert!(!particular(&ruled(never(range)), to), "{range}");
    }
    assert!(!particular(&policy(vec![leaf(1, DIRECT)]), to));
    assert!(!particular(&ruled(Condition::Always), to));
    // A rule that does not hold names nothing.
    assert!(!particular(&ruled(never("127.0.0.2")), to));
    let not = Condition::Not(Box::new(never("127.0.0.2")));
    assert!(!particular(&ruled(not), to));
    let both = Condition::And(vec![Condition::Always, never("127.0.0.1")]);
    assert!(particular(&ruled(both), to));
    let any = |one, other| ruled(Condition::Or(vec![one, other]));
    assert!(particular(&any(never("127.0.0.2"), never("127.0.0.1")), to));
    assert!(!particular(&any(never("127.0.0.2"), Condition::Always), to));
}

#[test]
fn only_the_name_that_was_asked_for_counts() {
    let name = ruled(exact("nas.home"));
    assert!(particular(&name, "dst=nas.home:80"));
    assert!(!particular(&name, "dst=other.home:80"));
    // Whoever says it in his first bytes alone chooses it himself.
    assert!(!particular(
        &name,
        "dst=127.0.0.1:80 look=http:nas.home:curl:GET"
    ));
    // Names below are anybody's who has the zone.
    assert!(!particular(&ruled(below("home")), "dst=nas.home:80"));
    for asked in ["dst=localhost:80", "dst=x.localhost:80"] {
        assert!(particular(&ruled(below("localhost")), asked), "{asked}");
    }
}

#[test]
fn a_branch_that_came_to_nothing_is_forgotten() {
    let when = |then: Vec<Node>| Node::When {
        condition: ip("127.0.0.1", Asks::Never),
        then: Box::new(Node::Any(then)),
        otherwise: None,
        origin: origin(1),
    };
    let nothing = rule(2, Condition::Never, DIRECT);
    let fallen = policy(vec![when(vec![nothing]), leaf(3, DIRECT)]);
    assert!(!particular(&fallen, "dst=127.0.0.1:80"));
    let led = policy(vec![when(vec![leaf(2, DIRECT)]), leaf(3, DIRECT)]);
    assert!(particular(&led, "dst=127.0.0.1:80"));
}
