//! Parts of a proxy, one by one.

use std::path::PathBuf;

use expect_test::expect;

use super::{check, reads, setup};

/// Systems wait for no longer: whoever writes more is told.
#[test]
fn long_silences_are_what_systems_can_do() {
    let told = |seconds: u32| {
        let text = format!(
            "server: {{ proxies: [ {{ name: a, listener: {{ address: ':1' }}, target: {{ address: 'b:1', keepalive_interval: {seconds}s }} }} ] }}\n"
        );
        let files = crate::files::Memory::new([("config.yaml", text.as_str())]);
        let path = std::path::Path::new("config.yaml");
        let told = crate::load(path, Some(crate::setup::Dialect::Bitflow), None, &files).problems;
        let long = told.0.iter().filter(|it| it.code == "invalid-value");
        long.map(|it| it.sentence()).collect::<Vec<_>>()
    };
    assert_eq!(told(32_767), [""; 0]);
    assert_eq!(
        told(32_768),
        ["`keepalive_interval` counts as 32767s (9h6m7s), which is the longest that systems wait"]
    );
}

#[test]
fn options_are_checked() {
    let options = |options: &str, expected: &[&str]| {
        check(
            &format!(
                "listener: {{ address: ':1' }}, target: {{ address: 'a:1' }}, options: {{\n{options} }}"
            ),
            expected,
        );
    };
    options(
        "connection_limit: 5, connection_lifetime: 30s, enable_proxy_header: true",
        &[],
    );
    options(
        "connection_limit: -1",
        &[
            "3:19: error[wrong-type]: `connection_limit` must be a whole number from 0 to 4294967295",
        ],
    );
    options("connection_lifetime: 30000000000", &[]);
    options(
        "connection_lifetime: 30",
        &[
            "3:22: warning[bare-nanoseconds]: `connection_lifetime`: 30 without a unit is 30 nanoseconds",
        ],
    );
    options(
        "connection_lifetime: -30s",
        &["3:22: error[invalid-value]: `connection_lifetime` cannot be negative"],
    );
    options(
        "connection_lifetime: 30 s",
        &[
            "3:22: error[invalid-value]: `connection_lifetime`: `30 s` is no duration; write it as `100ms`, `30s` or `1m30s`",
        ],
    );
    options(
        "connection_load_balancer: roundrobin",
        &[
            "3:27: error[invalid-value]: `connection_load_balancer` must be one of an empty text, `none`, `failover`, `round-robin`",
        ],
    );
    options(
        "enable_dual_stack: yes",
        &["3:20: error[wrong-type]: `enable_dual_stack` must be `true` or `false`"],
    );
    options(
        "connection_log: [x]",
        &["3:17: error[wrong-type]: `connection_log` must be a text"],
    );
}

#[test]
fn targets_are_checked() {
    let targets = |targets: &str, expected: &[&str]| {
        check(
            &format!("listener: {{ address: ':1' }},\n{targets}"),
            expected,
        );
    };
    targets(
        "targets: [ { name: a, address: 'a:1' }, { name: b, address: 'b:1' } ], options: { connection_load_balancer: failover }",
        &[],
    );
    targets(
        "targets: [ { name: a, address: 'a:1' }, { name: b, address: 'b:1' } ]",
        &["3:41: warning[unused-target]: without a balance only the first target is used"],
    );
    targets(
        "targets: [ { address: 'a:1' } ]",
        &["3:12: error[missing-key]: a target needs the key `name`"],
    );
    targets(
        "targets: [ { name: a, address: 'a:1' }, { name: a, address: 'b:1' } ], options: { connection_load_balancer: round-robin }",
        &[
            "3:49: warning[duplicate-name]: two targets are named `a`: explanations cannot tell them apart",
        ],
    );
    targets(
        "target: { address: 'a:1' }, targets: [ { name: a, address: 'a:1' } ]",
        &["3:1: error[conflicting-keys]: a proxy has `target` or `targets`, not both"],
    );
    targets(
        "target: { address: 'a:1', connect_attempts: many }",
        &["3:45: error[wrong-type]: `connect_attempts` must be a whole number from 0 to 1000000"],
    );
    targets(
        "target: { address: 'a:1', proxy: 'fd:3' }",
        &["3:34: error[invalid-address]: a `proxy` is reached over TCP or a Unix socket"],
    );
    targets(
        "target: { address: 'a:1', proxy: 'unix:/tor' }",
        &[
            "3:34: note[not-yet]: not yet: a `proxy` that is not plain `tcp:`; connections through it are refused",
        ],
    );
    targets(
        "target: { address: 'unix:/a' }, options: { enable_dual_stack: true }",
        &[
            "3:20: error[invalid-value]: `enable_dual_stack` needs a target `tcp:host:port`: the client chooses the family",
        ],
    );
    targets(
        "target: { address: 'tcp4:a:1' }, options: { enable_dual_stack: true }",
        &[
            "3:20: error[invalid-value]: `enable_dual_stack` needs a target `tcp:host:port`: the client chooses the family",
        ],
    );
}

#[test]
fn allowed_sources_are_checked() {
    let sources = |address: &str, list: &str, expected: &[&str]| {
        check(
            &format!(
                "target: {{ address: 'a:1' }}, listener: {{ address: '{address}',\nauthorized_sources: {list} }}"
            ),
            expected,
        );
    };
    sources(":1", "[127.0.0.1/32, 10.0.0.0/8, '::1']", &[]);
    sources(
        ":1",
        "[127.0.0.1/33]",
        &[
            "3:22: error[invalid-address]: `authorized_sources`: `/33` is not a prefix length here (0 to 32)",
        ],
    );
    sources(
        ":1",
        "[localhost]",
        &[
            "3:22: error[invalid-address]: `authorized_sources`: `localhost` is not an IPv4 or IPv6 address",
        ],
    );
    sources(
        ":1",
        "10.0.0.0/8",
        &["3:21: error[wrong-type]: `authorized_sources` must be a list"],
    );
    sources(
        "unix:/x",
        "[10.0.0.0/8]",
        &[
            "3:1: warning[unreachable-forward]: clients of a Unix socket have no address, so none is in `authorized_sources`: every connection is refused",
        ],
    );
}

#[test]
fn what_is_not_built_refuses_every_connection() {
    let check = |proxy: &str, notes: &[&str], reason: &str| {
        check(proxy, notes);
        let setup = setup(proxy);
        assert_eq!(
            setup
                .balancing_of(&setup.forwards[0])
                .and_then(|it| it.not_yet.as_deref()),
            Some(reason),
            "{proxy}"
        );
    };
    check(
        "listener: { address: ':1', tls_context: { certificates: [ { key: k, certificate: c } ] } }, target: { address: 'a:1' }",
        &["2:28: note[not-yet]: not yet: TLS at a listener; every connection is refused"],
        "TLS at a listener is not built yet",
    );
    check(
        "listener: { address: ':1' }, target: { address: 'a:1', tls_context: { verify_mode: strict } }",
        &["2:56: note[not-yet]: not yet: TLS to a target; every connection is refused"],
        "TLS to a target is not built yet",
    );
    check(
        "listener: { address: ':1' }, target: { address: 'a:1', tls_context: { certificates: [ { authority: ca } ] } }",
        &["2:56: note[not-yet]: not yet: TLS to a target; every connection is refused"],
        "TLS to a target is not built yet",
    );
    check(
        "listener: { address: ':1' }, target: { address: 'a:1' }, options: { connection_load_balancer: sni }",
        &[
            "2:69: note[not-yet]: not yet: the balance `sni`; every connection is refused",
            "2:95: warning[sni-needs-tls]: `sni` needs a listener with a `tls_context`: every connection is closed",
        ],
        "choosing a target by server name is not built yet",
    );
}

#[test]
fn tls_contexts_are_checked() {
    let context = |context: &str, expected: &[&str]| {
        let proxy = format!(
            "target: {{ address: 'a:1' }}, listener: {{ address: ':1', tls_context: {{\n{context} }} }}"
        );
        let mut all =
            vec!["2:56: note[not-yet]: not yet: TLS at a listener; every connection is refused"];
        all.extend(expected);
        check(&proxy, &all);
    };
    context(
        "verify_mode: strict, application_protocols: [h2], certificates: [ { key: k, certificate: c, authority: a } ]",
        &[],
    );
    context(
        "verify_mode: lax, certificates: [ { key: k, certificate: c } ]",
        &[
            "3:14: error[invalid-value]: `verify_mode` must be one of an empty text, `none`, `relaxed`, `strict`",
        ],
    );
    context(
        "certificates: [ { key: k } ]",
        &[
            "2:69: error[missing-key]: the `tls_context` of a listener needs a certificate and its key",
            "3:17: error[missing-key]: a certificate needs the key `certificate`",
        ],
    );
    context(
        "certificates: []",
        &[
            "2:69: error[missing-key]: the `tls_context` of a listener needs a certificate and its key",
        ],
    );
}

#[test]
fn a_proxy_lowers_to_its_list_and_its_group() {
    let setup = setup(
        "listener: { address: ':1',\nauthorized_sources: [10.0.0.0/8] }, target: { address: 'a:1', proxy: '127.0.0.1:9050', keepalive_interval: -1, connect_attempts: 0 }",
    );
    let names: Vec<&str> = setup.outbounds.iter().map(|o| &*o.name).collect();
    assert_eq!(
        names,
        [
            "direct",
            "reset",
            "reject",
            "blackhole",
            "socks5://127.0.0.1:9050",
            "p",
            "target"
        ]
    );
    let forward = &setup.forwards[0];
    assert_eq!(forward.group.0, 5);
    let (_, target) = setup.targets_of(forward).next().unwrap();
    assert_eq!(target.via.map(|id| id.0), Some(4));
    assert_eq!(target.attempts, 1);
    assert_eq!(target.keepalive, crate::setup::Keepalive::Off);
    let by = setup.outbounds[4].kind.upstream().map(|it| &it.protocol);
    assert_eq!(by, Some(&crate::setup::Protocol::Socks5(None)));
    let policy = &setup.policies[forward.policy.0];
    expect![[r#"
        [
            Rule(
                Rule {
                    condition: Not(
                        Or(
                            [
                                Address {
                                    of: Source,
                                    prefix: Prefix(10.0.0.0/8),
                                    asks: Never,
                                },
                            ],
                        ),
                    ),
                    outbound: OutboundId(
                        1,
                    ),
                    origin: Origin {
                        file: "config.yaml",
                        line: 3,
                        text: "not in authorized_sources: 10.0.0.0/8",
                    },
                    class: None,
                },
            ),
            Leaf {
                outbound: OutboundId(
                    5,
                ),
                origin: Origin {
                    file: "config.yaml",
                    line: 3,
                    text: "target: target",
                },
            },
        ]"#]]
    .assert_eq(&format!("{:#?}", policy.body));
    assert_eq!(setup.files, [PathBuf::from("conf/config.yaml")]);
}

#[test]
fn a_target_is_reached_as_its_proxy_says() {
    reads(
        "listener: { address: ':1' },\ntargets: [{ name: a, address: 'a:1', proxy: '127.0.0.1:9050' }, { name: b, address: 'b:1' }]",
        "a: Plain(Proxy), b: Plain(Direct)",
        |setup| {
            let outbounds = setup.policies[0].outbounds.iter();
            let targets = outbounds.filter(|outbound| ["a", "b"].contains(&&*outbound.name));
            let shown = targets.map(|target| format!("{}: {:?}", target.name, target.kind));
            shown.collect::<Vec<_>>().join(", ")
        },
    );
}
