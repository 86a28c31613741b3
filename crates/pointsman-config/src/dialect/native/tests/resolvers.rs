//! `dns` of a native file: keys, defaults and problems.

use super::{check, setup};
use crate::setup::{NameServer, Turns};

#[test]
fn resolvers_are_checked() {
    let dns = |text: &str, expected: &[&str]| {
        check(
            &format!(
                "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ] }} }}\ndns: {{ {text} }}"
            ),
            expected,
        );
    };
    dns(
        "upstreams: { a: 'udp://1.1.1.1', b: { address: 'tcp://1.1.1.1', via: direct } }, resolver: b",
        &[],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, resolver: system, hosts: { nas: 192.168.1.5, .lan: [192.168.1.6, '::1'] }, domains: { corp.example: a }, family: ipv4",
        &[],
    );
    dns(
        "upstreams: { a: 1.1.1.1 }",
        &[
            "2:24: error[invalid-address]: an upstream: `1.1.1.1` must begin with one of `udp://`, `tcp://`, `tls://`, `https://`",
        ],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, resolver: b",
        &["2:53: error[unknown-resolver]: `dns.upstreams` has no `b`"],
    );
    dns(
        "upstreams: { system: 'udp://1.1.1.1' }",
        &[
            "2:21: error[reserved-name]: `system` is the system's own configuration and cannot be redefined",
        ],
    );
    dns(
        "upstreams: { a: { address: 'udp://1.1.1.1', via: b } }",
        &["2:57: error[unknown-outbound]: there is no outbound `b`"],
    );
    dns("upstreams: { a: system, b: 'udp://[fe80::1%eth0]' }", &[]);
    dns(
        "upstreams: { a: { address: system, via: direct } }",
        &[
            "2:48: error[invalid-value]: `system` is asked as the system is configured, by no other way",
        ],
    );
    dns(
        "upstreams: { a: { address: 'udp://fe80::1%eth0', via: direct } }",
        &[
            "2:62: error[invalid-value]: a link-local server is reached by its interface, by no other way",
        ],
    );
    dns(
        "upstreams: { a: 'udp://fe80::1' }",
        &["2:24: error[invalid-address]: `fe80::1` is on every link: say on which interface"],
    );
    dns(
        "upstreams: { a: { address: 'tcp://fe80::1', via: direct } }",
        &["2:35: error[invalid-address]: `fe80::1` is on every link: say on which interface"],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1' }, hosts: { a: b }",
        &["2:55: error[invalid-address]: `hosts`: `b` is no address"],
    );
    let note = "2:24: note[not-yet]: not yet: DNS over `quic://`; look-ups through it fail";
    let unbuilt = "warning[unbuilt-resolver]: none of these name servers is of a kind that is built: all that needs this resolver fails";
    dns(
        "upstreams: { a: 'quic://a' }",
        &[&format!("2:24: {unbuilt}"), note],
    );
    dns(
        "upstreams: { a: ['quic://a', 'udp://1.1.1.1'] }",
        &[&note.replace("2:24", "2:25")],
    );
    // Nobody is harmed by one that nothing asks.
    dns(
        "upstreams: { a: 'udp://1.1.1.1', b: 'quic://a' }",
        &[&note.replace("2:24", "2:44")],
    );
    let named = format!("2:44: {unbuilt}");
    dns(
        "upstreams: { a: 'udp://1.1.1.1', b: 'quic://a' }, domains: { x.test: b }",
        &[&named, &note.replace("2:24", "2:44")],
    );
    dns(
        "upstreams: { a: 'udp://1.1.1.1', b: 'quic://a' }, resolver: b",
        &[&named, &note.replace("2:24", "2:44")],
    );
    // What stands for a server that could not be converted says nothing of DNS over HTTPS.
    dns(
        "upstreams: { a: ['https://not-carried-over.invalid', 'udp://1.1.1.1'] }",
        &[
            "2:25: note[no-name-server]: `https://not-carried-over.invalid` is no name server: look-ups through it fail",
        ],
    );
    let dns =
        "upstreams: { a: 'udp://1.1.1.1', b: 'quic://b' }, domains: { example: b, www.example: a }";
    let setup = setup(&format!("dns: {{ {dns} }}"));
    let by_domain = &setup.resolvers[0].by_domain;
    assert_eq!(by_domain[0].0.as_str(), "www.example");
    assert!(
        matches!(&by_domain[1].2[..], [NameServer::NotYet(why)] if why == "DNS over `quic://` is not built yet")
    );
    // A name alone stands before all that is below it.
    let dns = "upstreams: { a: 'udp://1.1.1.1' }, domains: { x.example: a, =x.example: system, =example: a }";
    let setup = super::setup(&format!("dns: {{ {dns} }}"));
    let shown = setup.resolvers[0].by_domain.iter();
    let shown: Vec<_> = shown
        .map(|(name, below, _)| (name.as_str(), *below))
        .collect();
    assert_eq!(
        shown,
        [
            ("x.example", false),
            ("x.example", true),
            ("example", false)
        ]
    );
}

/// What is asked within TLS is called by a name or an address, and proves to be that or what `tls` says.
#[test]
fn encrypted_upstreams_are_checked() {
    let dns = |text: &str, expected: &[&str]| {
        check(
            &format!("dns: {{ listen: 'udp://127.0.0.1:5353', {text} }}"),
            expected,
        );
    };
    dns(
        "upstreams: { a: 'tls://a.test', b: 'https://9.9.9.9/q' }, resolver: a",
        &[],
    );
    dns(
        "bootstrap: ['udp://1.1.1.1', 'tls://1.1.1.1'], upstreams: { a: { address: 'tls://a.test', \
         addresses: [192.0.2.1, '2001:db8::1'], tls: { name: b.test, authorities: lists/ca.pem }, via: direct } }",
        &[],
    );
    for (keys, expected) in [
        (
            "address: 'udp://1.1.1.1', tls: {}",
            "1:89: error[conflicting-keys]: `tls` is for servers by `tls://` and `https://`",
        ),
        (
            "address: system, addresses: []",
            "1:86: error[conflicting-keys]: `addresses` is for servers by `tls://` and `https://`",
        ),
        (
            "address: 'tls://9.9.9.9', addresses: 1.1.1.1",
            "1:95: error[conflicting-keys]: the server is an address already",
        ),
        (
            "address: 'tls://a.test', addresses: b.test",
            "1:94: error[invalid-address]: `addresses`: `b.test` is no address",
        ),
        (
            "address: 'tls://a.test', tls: { name: 'a b' }",
            "1:96: error[invalid-address]: `a b` is neither a name nor an address",
        ),
        (
            "address: 'tls://a.test', tls: { authorities: nowhere.pem }",
            "1:103: error[missing-file]: `authorities`: `nowhere.pem` cannot be read: entity not found",
        ),
        (
            "address: 'tls://a.test', tls: { authorities: lists/ads.txt }",
            "1:103: error[invalid-value]: `authorities`: `lists/ads.txt` holds no certificate",
        ),
        (
            "address: 'tls://[fe80::1]'",
            "1:67: error[invalid-address]: a link-local address is on every link: it is for `udp://` and `tcp://`",
        ),
    ] {
        dns(&format!("upstreams: {{ a: {{ {keys} }} }}"), &[expected]);
    }
    let bootstrap = |server: &str, expected: &str| {
        dns(
            &format!("bootstrap: '{server}', upstreams: {{ a: 'tls://a.test' }}"),
            &[expected],
        );
    };
    bootstrap(
        "tls://a.test",
        "1:51: error[invalid-address]: `bootstrap` takes addresses: nobody could be asked for this name",
    );
    bootstrap(
        "udp://127.0.0.1:5353",
        "1:51: error[dns-loop]: `dns` listens on 127.0.0.1:5353: it would ask itself",
    );
    let setup = setup("dns: { hosts: { x.test: 1.1.1.1 }, upstreams: { a: 'tls://a.test' } }");
    assert_eq!(setup.bootstrap.what.servers, [NameServer::System]);
    assert_eq!(
        (
            setup.bootstrap.what.hosts.len(),
            setup.bootstrap.for_outbounds
        ),
        (1, false)
    );
}

#[test]
fn several_servers_are_asked_as_the_upstream_says() {
    let setup = setup(
        "dns: { upstreams: { a: { race: ['tls://9.9.9.9', { address: 'udp://1.1.1.1' }], via: direct, reuse: off, timeout: 2s }, \
         b: { fastest: ['udp://1.1.1.1', 'udp://1.1.1.2'] }, c: { order: ['udp://1.1.1.1'], reuse: 5s }, d: ['udp://1.1.1.1'] } }",
    );
    let told: Vec<_> = setup.resolvers.iter().map(|it| &it.servers).collect();
    let shown = told
        .iter()
        .map(|it| (it.turns, it.len(), it.reuse.as_secs()));
    let expected = [
        (Turns::Race, 2, 0),
        (Turns::Fastest, 2, 30),
        (Turns::Order, 1, 5),
        (Turns::Order, 1, 30),
        (Turns::Order, 1, 30),
    ];
    assert!(shown.eq(expected), "{told:?}");
    assert!(told[0].iter().all(|server| server.via().is_some()));
    let dns = |upstream: &str, expected: &str| {
        let whole =
            format!("dns: {{ listen: 'udp://127.0.0.1:5353', upstreams: {{ a: {upstream} }} }}");
        let loaded = super::read(&format!("{whole}\npolicy: direct\n"));
        let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
        assert!(shown.join("\n").contains(expected), "{shown:?}");
    };
    dns(
        "{ race: ['udp://1.1.1.1', { address: 'udp://9.9.9.9', via: direct }] }",
        "note[told-to-all]: all of these hear each name, and they are reached by different ways",
    );
    dns(
        "{ race: ['udp://1.1.1.1'], address: system }",
        "error[unknown-key]",
    );
    dns("{ via: direct }", "error[missing-key]");
    dns(
        "{ order: [] }",
        "error[missing-key]: an upstream needs at least one address",
    );
}

#[test]
fn the_systems_resolver_has_hosts_domains_and_family_like_any() {
    // The section; the resolver for servers, as (its servers, hosts, domains).
    for (dns, servers, hosts, domains) in [
        ("hosts: { a: 1.1.1.1 }", "[System]", 1, 0),
        ("family: ipv6", "[System]", 0, 0),
        (
            "upstreams: { corp: 'udp://10.3.0.53' }, resolver: system, hosts: { a: 1.1.1.1 }, domains: { corp.example: corp }",
            "[System]",
            1,
            1,
        ),
        (
            "upstreams: { own: system, corp: 'udp://10.3.0.53' }, domains: { x.example: own }",
            "[System]",
            0,
            1,
        ),
        (
            "upstreams: { far: 'udp://10.3.0.53' }, domains: { x.example: system }, family: ipv6",
            "[Udp(",
            0,
            1,
        ),
    ] {
        let setup = setup(&format!("dns: {{ {dns} }}"));
        let resolver = &setup.resolvers[setup.server_resolver.unwrap().0];
        let shown = format!("{:?}", resolver.servers.list);
        assert!(shown.starts_with(servers), "{dns}: {shown}");
        assert_eq!(resolver.hosts.len(), hosts, "{dns}");
        assert_eq!(resolver.by_domain.len(), domains, "{dns}");
        let last = setup.resolvers.last().unwrap();
        assert_eq!(last.servers, [NameServer::System]);
        assert_eq!(
            last.families == crate::setup::Families::Ipv6Only,
            dns.contains("ipv6")
        );
    }
    // An inbound that names the system's does not get the first upstream in its stead.
    let text = "inbounds: { a: { type: mixed, listen: 1, resolver: system } }\ndns: { upstreams: { far: 'udp://10.3.0.53' } }";
    let setup = setup(text);
    let own = setup.inbounds[0].resolver.unwrap();
    assert_eq!(setup.resolvers[own.0].servers, [NameServer::System]);
}

/// What a link-local address is depends on the link: that of the outbound, or on the proxy's side another one.
#[test]
fn a_link_local_server_is_on_some_link() {
    let told = |outbound: &str, expected: &[&str]| {
        check(
            &format!(
                "forwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'fd://4' }} ] }} }}\n\
                 outbounds: {{ x: {outbound} }}\ndns: {{ upstreams: {{ a: {{ address: 'udp://fe80::1', via: x }} }} }}"
            ),
            expected,
        );
    };
    told("{ type: direct, interface: lo }", &[]);
    told("{ type: http, server: '192.0.2.1:1' }", &[]);
    let on_none =
        "3:35: error[invalid-address]: `fe80::1` is on every link: say on which interface";
    told("{ type: direct }", &[on_none]);
    told("{ type: direct, source: 10.0.0.1 }", &[on_none]);
}
