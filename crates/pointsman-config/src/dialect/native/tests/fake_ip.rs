//! `dns.fake_ip` and the end `fake`: ranges, exceptions and problems.

use std::time::Duration;

use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::{Domain, Host};

use super::{check, read, setup};
use crate::setup::DnsEnd;

const AROUND: &str = "inbounds: { d: { type: socks5, listen: '127.0.0.1:1080' } }\n\
                      rule_sets: { own: { domains: [own.test] }, more: { domains: [more.test] } }\n";

/// Problems of a server with these keys; its keys are in the fourth line.
fn dns(keys: &str, expected: &[&str]) {
    let server = "dns: { listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://192.0.2.1' },";
    check(&format!("{AROUND}{server}\n  {keys} }}\n"), expected);
}

#[test]
fn ranges_are_of_their_family_and_one_may_be_off() {
    let ranges = |ranges: &str, expected: &[&str]| {
        let rules = "rules: ['DOMAIN, x.test, fake', 'FALLBACK, follow']";
        dns(&format!("fake_ip: {ranges}, {rules}"), expected);
    };
    ranges("{}", &[]);
    ranges(
        "{ v4: 10.77.0.0/16, v6: off, ttl: 10s, except: [own, more] }",
        &[],
    );
    ranges("{ v4: off, v6: 'fd00:1::/96', except: own }", &[]);
    ranges(
        "{ v4: off, v6: off }",
        &["4:12: error[invalid-value]: `fake_ip` has neither a range of IPv4 nor one of IPv6"],
    );
    ranges(
        "{ v4: 'fd00::/64' }",
        &[
            "4:18: error[invalid-value]: `fd00::/64` is not a range of IPv4 of 4 addresses or more, as `198.18.0.0/15`, or `off`",
        ],
    );
    ranges(
        "{ v4: 10.0.0.1/32 }",
        &[
            "4:18: error[invalid-value]: `10.0.0.1/32` is not a range of IPv4 of 4 addresses or more, as `198.18.0.0/15`, or `off`",
        ],
    );
    ranges(
        "{ ttl: 2d }",
        &[
            "4:12: error[invalid-value]: `fake_ip.ttl` is from 1s to 1d: DNS tells whole seconds, and a day is the longest that is kept",
        ],
    );
    ranges(
        "{ except: [owm] }",
        &["4:23: error[unknown-rule-set]: there is no rule set `owm`"],
    );
    ranges(
        "{ v4: 192.0.2.0/24 }",
        &[
            "4:3: error[fake-overlap]: the upstream `a` is 192.0.2.1, which is a fake address here (192.0.2.0/24): nothing is sent there",
        ],
    );
}

#[test]
fn rules_say_whose_names_are_fake() {
    dns(
        "rules: ['DOMAIN, x.test, fake', 'FALLBACK, follow']",
        &[
            "4:28: error[unknown-end]: `fake` answers with addresses that stand for names, and `dns.fake_ip` is not given",
        ],
    );
    dns(
        "fake_ip: {}, rules: ['FALLBACK, a']",
        &[
            "4:3: warning[unused-key]: no rule of `dns.rules` ends in `fake`, so that no name has such an address",
        ],
    );
    dns("fake_ip: {}, rules: ['FALLBACK, fake']", &[]);
    dns(
        "fake_ip: { except: own }, rules: ['FALLBACK, fake']",
        &[
            "4:3: error[invalid-value]: names of `fake_ip.except` fall to the next rule, and the last one is `fake`",
        ],
    );
    check(
        "dns: { listen: 'udp://127.0.0.1:53', fake_ip: {}, upstreams: { a: 'udp://192.0.2.1' }, rules: ['FALLBACK, fake'] }",
        &[
            "1:38: warning[fake-unreachable]: names get fake addresses, and no inbound takes flows to them: nothing is reached there",
        ],
    );
    let loaded = read(
        "dns: { listen: 'udp://127.0.0.1:53', fake_ip: {}, upstreams: { a: 'udp://192.0.2.1' }, rules: ['FALLBACK, fake'] }",
    );
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    assert!(shown[0].contains("1:38: error[unknown-end]"), "{shown:?}");
}

#[test]
fn names_of_except_fall_to_the_next_rule() {
    let keys = "fake_ip: { except: [own, more], ttl: 5s }, rules: ['DOMAIN-SUFFIX, test, fake', 'FALLBACK, follow']";
    let setup = setup(&format!(
        "{AROUND}dns: {{ listen: 'udp://127.0.0.1:53', upstreams: {{ a: 'udp://192.0.2.1' }}, {keys} }}\n"
    ));
    let what = setup.dns.unwrap().what;
    let fake = what.fake.unwrap();
    assert_eq!(fake.ttl, Duration::from_secs(5));
    assert_eq!(fake.v4.unwrap().to_string(), "198.18.0.0/15");
    assert_eq!(fake.v6.unwrap().to_string(), "fdfe:706f:696e:7400::/64");
    assert!(what.follow.is_some());
    let end = |name: &str| {
        let name = Host::Name(Domain::parse(name).unwrap());
        let facts = Facts {
            destination: Fact::Known(name, Provenance::Request),
            ..Facts::default()
        };
        let decision = what.policy.decide_query(facts).unwrap();
        what.ends[usize::try_from(decision.outbound.unwrap().0).unwrap()]
    };
    for (name, expected) in [
        ("a.test", DnsEnd::Fake),
        ("own.test", DnsEnd::Follow),
        ("x.more.test", DnsEnd::Follow),
        ("other.example", DnsEnd::Follow),
    ] {
        assert_eq!(end(name), expected, "{name}");
    }
}
