//! Rules that look at answers when they have come, asked by `dig`.

use crate::dns::{dig, native, told};

/// Without rules of their own, names that an answer leads to are blocked as the name itself is; one that a rule before
/// sends to somebody is not.
#[test]
fn a_name_that_hides_behind_another_is_blocked() {
    let world = native(
        "  rules:\n  - DOMAIN-SUFFIX, fine.test, near\n  - RULE-SET, ads, nxdomain\n  - FALLBACK, near\n",
    );
    // The first is asked for, the second is known.
    for _ in 0..2 {
        let reply = dig(&world.host, "a.to-tracker.test A");
        assert_eq!(told(&reply), ("NXDOMAIN".to_owned(), vec![]), "{reply}");
        let why = "EDE: 15 (Blocked): (what it leads to: conf:12: RULE-SET, ads, nxdomain)";
        assert!(reply.contains(why), "{reply}");
    }
    assert_eq!(world.near.all().len(), 1);
    let alias = ["CNAME tracker.test.", "A 10.0.0.1"];
    world.check("a.to-tracker.fine.test A", "NOERROR", &alias);
    world.check(
        "a.to-friend.test A",
        "NOERROR",
        &["CNAME friend.test.", "A 10.0.0.1"],
    );
    let reply = dig(&world.host, "ads.test A");
    assert!(
        reply.contains("EDE: 15 (Blocked): (conf:12: RULE-SET, ads, nxdomain)"),
        "{reply}"
    );
    // As the cache has it: what a rule says counts at once.
    let text = std::fs::read_to_string(world.daemon.directory.path().join("conf")).unwrap();
    world.daemon.write(
        "conf",
        &text.replace("RULE-SET, ads, nxdomain", "DOMAIN, y.test, zero"),
    );
    assert!(world.daemon.client(&["reload"]).status.success());
    let before = world.near.all().len();
    world.check("a.to-tracker.test A", "NOERROR", &alias);
    assert_eq!(world.near.all().len(), before);
}

/// Private addresses of public names, failures, and who is asked in their stead: each once.
#[test]
fn answers_are_refused_or_asked_for_elsewhere() {
    let rules = "  rules: [\"DOMAIN-SUFFIX, far.test, far\", \"FALLBACK, near\"]\n  answers:\n  \
        - AND, [ANSWER-IP, 192.168.0.0/16], [NOT, [DOMAIN-SUFFIX, lan.test]], refused\n  \
        - ANSWER-IP, 10.9.0.0/16, far\n  - AND, [ANSWER-CODE, SERVFAIL], [DNS-UPSTREAM, near], far\n  \
        - ANSWER-IP, 10.9.0.0/16, near\n  - AND, [ANSWER-IP, 10.9.0.0/16], [DNS-TYPE, A], drop\n";
    let world = native(rules);
    let reply = dig(&world.host, "at-192-168-1-1.test A");
    assert_eq!(told(&reply).0, "REFUSED", "{reply}");
    assert!(
        reply.contains("EDE: 15 (Blocked): (what it leads to: conf:"),
        "{reply}"
    );
    world.check("at-192-168-1-1.lan.test A", "NOERROR", &["A 192.168.1.1"]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (2, 0));
    // Both say the same: each is asked once, and the last rule is come to; so from memory.
    for _ in 0..2 {
        world.check("+time=2 at-10-9-1-1.test A", "none", &[]);
        assert_eq!((world.near.all().len(), world.far.all().len()), (3, 1));
    }
    world.check("+time=2 +tcp at-10-9-1-1.test A", "none", &[]);
    // The other way round.
    world.check("+time=2 at-10-9-1-1.far.test A", "none", &[]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (4, 2));
    // Who fails is asked no more, but the other one is; what failed there too is told.
    let reply = dig(&world.host, "a.servfail.test A");
    assert_eq!(told(&reply).0, "SERVFAIL", "{reply}");
    assert_eq!((world.near.all().len(), world.far.all().len()), (5, 3));
}
