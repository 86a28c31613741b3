//! Who is asked for the names of flows: each place that says so, before those behind it.

use super::*;

/// Flows leave directly but for some names; `guest` names a resolver of its own.
const FLOWS: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: '127.0.0.1:1' }\n  \
    guest: { type: mixed, listen: '127.0.0.1:2', resolver: far }\n\
outbounds:\n  privacy: { type: socks5, server: '192.0.2.1:1080' }\n  work: { type: direct, interface: wg0 }\n  \
    bare: { type: direct, interface: wg1 }\n  either: { type: select, members: [direct, privacy] }\n\
rules:\n- DOMAIN-SUFFIX, work.test, work\n- DOMAIN-SUFFIX, bare.test, bare\n- DOMAIN-SUFFIX, either.test, either\n\
- DOMAIN-SUFFIX, proxied.test, privacy\n- .LOCAL-RESOLVE\n- IP-CIDR, 192.0.2.9/32, privacy\n\
- AND, [DOMAIN-SUFFIX, looked.test], [IP-CIDR, 192.0.2.8/32], privacy\n- DOMAIN-SUFFIX, looked.test, privacy\n- FALLBACK, DIRECT\n\
dns:\n  upstreams:\n    isp: 'udp://192.0.2.2'\n    far: { address: 'udp://192.0.2.3', via: privacy }\n    \
    corp: { address: 'udp://192.0.2.4', via: work }\n    spare: 'udp://192.0.2.5'\n";

/// `UPSTREAM: reason` of each of these flows in words, by this rest of `dns`; without a DNS server `SERVER: reason`.
fn check(rest: &str, expected: &[(&str, &str)]) {
    let setup = {
        let text = format!("{FLOWS}{rest}");
        let files = Memory::new([("a.yaml", text.as_str())]);
        let loaded = load(Path::new("a.yaml"), None, None, &files);
        loaded
            .setup
            .unwrap_or_else(|| panic!("{rest}: {:?}", loaded.problems))
    };
    for (flow, expected) in expected {
        let query = Query::parse(flow).unwrap();
        let told = explain(&setup, &query, &First, Detail::Folded).unwrap();
        let told = told.look_up.map(|told| {
            let whom = told.upstream.or_else(|| told.servers.first().cloned());
            format!("{}: {}", whom.unwrap_or_default(), told.reason)
        });
        assert_eq!(told.unwrap_or_default(), *expected, "{flow}, {rest}");
    }
}

#[test]
fn without_a_dns_server_the_ways_and_the_resolver_count() {
    check(
        "",
        &[
            (
                "dst=a.work.test:1",
                "udp 192.0.2.4:53 by work: who is asked for what leaves by `work`",
            ),
            (
                "dst=a.bare.test:1",
                "udp 192.0.2.2:53: the resolver for all that is not said otherwise",
            ),
            // A proxy is told the name.
            ("dst=a.proxied.test:1", ""),
            ("dst=192.0.2.7:1", ""),
            (
                "dst=a.looked.test:1",
                "udp 192.0.2.3:53 by privacy: all ways that it may take lead where it is asked",
            ),
            (
                "dst=a.test:1",
                "udp 192.0.2.2:53: the resolver for all that is not said otherwise",
            ),
            (
                "dst=a.work.test:1 inbound=guest",
                "udp 192.0.2.3:53 by privacy: the inbound's resolver",
            ),
        ],
    );
    check(
        "  ask: { bare: spare, either: far }\n  undecided: far\n  hosts: { fixed.work.test: 192.0.2.6 }\n",
        &[
            (
                "dst=a.bare.test:1",
                "udp 192.0.2.5:53: who is asked for what leaves by `bare`",
            ),
            (
                "dst=a.either.test:1",
                "udp 192.0.2.3:53 by privacy: who is asked for what leaves by `either`",
            ),
            (
                "dst=a.test:1",
                "udp 192.0.2.3:53 by privacy: it may leave by several ways that ask different upstreams: `dns.undecided`",
            ),
            (
                "dst=fixed.work.test:1",
                ": nobody is asked: its addresses are fixed: 192.0.2.6",
            ),
        ],
    );
}

#[test]
fn rules_for_queries_count_before_and_behind_the_ways() {
    let listen = "  listen: 'udp://127.0.0.1:53'\n";
    let named = "- DOMAIN-SUFFIX, a.work.test, far\n  - DOMAIN, b.work.test, nxdomain\n  ";
    let rules = format!("{listen}  rules:\n  {named}- FALLBACK, spare\n");
    let ruled = "far: a rule for queries names them";
    check(
        &rules,
        &[
            ("dst=x.a.work.test:1", ruled),
            ("dst=x.a.work.test:1 inbound=guest", ruled),
            (
                "dst=b.work.test:1",
                ": nobody is asked: a rule for queries says `nxdomain`",
            ),
            (
                "dst=c.work.test:1",
                "corp: who is asked for what leaves by `work`",
            ),
            ("dst=a.bare.test:1", "spare: a rule for queries names them"),
            (
                "dst=printer.local.bare.test:1",
                "spare: a rule for queries names them",
            ),
        ],
    );
    // Who is named for all goes before rules that look at no name.
    check(
        &format!("{rules}  resolver: isp\n"),
        &[
            ("dst=x.a.work.test:1", ruled),
            (
                "dst=a.bare.test:1",
                "isp: the resolver for all that is not said otherwise",
            ),
        ],
    );
    // `follow` for a name is the way, whatever the inbound names.
    check(
        &format!(
            "{listen}  undecided: far\n  ask: {{ bare: isp, either: isp }}\n  rules:\n  - DOMAIN-SUFFIX, work.test, follow\n  - FALLBACK, spare\n"
        ),
        &[
            (
                "dst=c.work.test:1 inbound=guest",
                "corp: who is asked for what leaves by `work`",
            ),
            (
                "dst=c.bare.test:1 inbound=guest",
                "far: the inbound's resolver",
            ),
        ],
    );
}
