//! bitflow's reader from outside: the sample, whole files and their problems.

mod parts;

use std::path::Path;

use expect_test::{Expect, expect};

use crate::damage;
use crate::files::{Disk, Memory};
use crate::fuzz_checks::survives_damage;
use crate::load::{Loaded, load};
use crate::setup::{Dialect, Endpoint, Setup};

fn load_one(text: &str) -> Loaded {
    let files = Memory::new([("conf/config.yaml", text)]);
    load(Path::new("conf/config.yaml"), None, None, &files)
}

/// The problems of a whole file.
fn problems(text: &str, expected: Expect) {
    let files = Memory::new([("conf/config.yaml", text)]);
    let path = Path::new("conf/config.yaml");
    let loaded = load(path, Some(Dialect::Bitflow), None, &files);
    assert_eq!(loaded.setup.is_none(), loaded.problems.has_errors());
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    expected.assert_eq(&shown.join("\n"));
}

/// A file with one proxy in flow style; its first lines are the same each time.
fn one(rest: &str) -> String {
    format!("{{ server: {{ proxies: [ {{ name: p,\n{rest}\n}} ] }} }}\n")
}

/// The first lines of the problems of one proxy.
fn check(proxy: &str, expected: &[&str]) {
    let loaded = load_one(&one(proxy));
    assert_eq!(loaded.dialect, Some(Dialect::Bitflow));
    assert_eq!(
        loaded.setup.is_none(),
        loaded.problems.has_errors(),
        "{proxy}"
    );
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    let first: Vec<&str> = shown
        .iter()
        .filter_map(|problem| problem.lines().next()?.strip_prefix("config.yaml:"))
        .collect();
    assert_eq!(first, expected, "{proxy}");
}

/// A proxy that loads.
fn setup(proxy: &str) -> Setup {
    load_one(&one(proxy)).setup.unwrap()
}

/// What a part of a proxy comes to.
fn reads(proxy: &str, expected: &str, show: impl Fn(&Setup) -> String) {
    assert_eq!(show(&setup(proxy)), expected, "{proxy}");
}

#[test]
fn the_sample_loads() {
    let Some(path) = damage::shared("samples/bitflow/config.yaml") else {
        return;
    };
    let loaded = load(&path, None, None, &Disk);
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    let setup = loaded.setup.unwrap();
    expect![[r#"
        config.yaml:2:3: note[not-yet]: not yet: `metrics` of `application`
          |   metrics:
          |   ^^^^^^^"#]]
    .assert_eq(&shown.join("\n"));
    expect![[r#"
        [
            smtp [Tcp(Server { host: Name(Domain(localhost)), port: 25 })] => None
            allow [Prefix(127.0.0.1/32), Prefix(10.0.0.0/8)] limit 5 lifetime Some(30s) log Some("/var/log/bitflow/smtp.log") header true family false read Some(30s) write Some(30s)
            target Target { address: Tcp(Server { host: Name(Domain(mail.example.com)), port: 26 }), via: None, attempts: 5, backoff: 100ms, connect_timeout: Some(5s), resolve_timeout: None, read_timeout: Some(30s), write_timeout: Some(30s), keepalive: Every(10s), families: PreferIpv4, proxy_header: true }
            ,
            ssh [Tcp(Server { host: Address(0.0.0.0), port: 22 })] => None
            allow [] limit 0 lifetime None log None header false family true read None write None
            target Target { address: Tcp(Server { host: Name(Domain(localhost)), port: 2222 }), via: None, attempts: 1, backoff: 0ns, connect_timeout: Some(1s), resolve_timeout: Some(100ms), read_timeout: None, write_timeout: None, keepalive: Default, families: PreferIpv4, proxy_header: false }
            ,
            http [Unix("/var/run/http/http.sock")] => None
            allow [] limit 0 lifetime None log None header false family false read None write None
            target Target { address: Tcp(Server { host: Name(Domain(web.example.com)), port: 80 }), via: None, attempts: 1, backoff: 0ns, connect_timeout: Some(5s), resolve_timeout: None, read_timeout: None, write_timeout: None, keepalive: Default, families: PreferIpv4, proxy_header: false }
            ,
        ]"#]].assert_eq(&format!(
        "{:#?}",
        setup
            .forwards
            .iter()
            .map(|forward| Brief(&setup, forward))
            .collect::<Vec<_>>()
    ));
    assert_eq!(setup.log.level.as_deref(), Some("info"));
    let text = std::fs::read_to_string(&path).unwrap();
    survives_damage(Dialect::Bitflow, "config.yaml", &text);
}

/// A forward without its places.
struct Brief<'a>(&'a Setup, &'a crate::setup::Forward);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(setup, forward) = self;
        let balancing = setup.balancing_of(forward).unwrap();
        let listen: Vec<&Endpoint> = forward.listen.iter().map(|it| &it.at).collect();
        writeln!(f, "{} {listen:?} => {:?}", forward.name, balancing.balance)?;
        writeln!(
            f,
            "allow {:?} limit {} lifetime {:?} log {:?} header {} family {} read {:?} write {:?}",
            forward.allow,
            balancing.connection_limit,
            forward.limits.lifetime,
            forward.access_log,
            setup.targets_of(forward).any(|(_, it)| it.proxy_header),
            forward.same_family,
            forward.limits.read_timeout,
            forward.limits.write_timeout,
        )?;
        for (name, target) in setup.targets_of(forward) {
            writeln!(f, "{name} {target:?}")?;
        }
        Ok(())
    }
}

#[test]
fn unknown_keys_are_errors_everywhere() {
    problems(
        "aplication: {}\nserver:\n  proxies:\n    - name: a\n      listner: {}\n      listener:\n        address: :1\n        read_timout: 1s\n        tls_context:\n          certs: []\n      target:\n        address: a:1\n        conect_attempts: 2\n      options:\n        conection_limit: 1\n",
        expect![[r#"
            config.yaml:1:1: error[unknown-key]: the configuration has no key `aplication`
              | aplication: {}
              | ^^^^^^^^^^
              hint: did you mean `application`?
            config.yaml:5:7: error[unknown-key]: a proxy has no key `listner`
              |       listner: {}
              |       ^^^^^^^
              hint: did you mean `listener`?
            config.yaml:8:9: error[unknown-key]: `listener` has no key `read_timout`
              |         read_timout: **
              |         ^^^^^^^^^^^
              hint: did you mean `read_timeout`?
            config.yaml:9:9: note[not-yet]: not yet: TLS at a listener; every connection is refused
              |         tls_context:
              |         ^^^^^^^^^^^
            config.yaml:10:11: error[missing-key]: the `tls_context` of a listener needs a certificate and its key
              |           certs: []
              |           ^^^^^^^^^
            config.yaml:10:11: error[unknown-key]: `tls_context` has no key `certs`
              |           certs: []
              |           ^^^^^
              hint: there is: verify_mode, application_protocols, certificates
            config.yaml:13:9: error[unknown-key]: a target has no key `conect_attempts`
              |         conect_attempts: *
              |         ^^^^^^^^^^^^^^^
              hint: did you mean `connect_attempts`?
            config.yaml:15:9: error[unknown-key]: `options` has no key `conection_limit`
              |         conection_limit: *
              |         ^^^^^^^^^^^^^^^
              hint: did you mean `connection_limit`?"#]],
    );
    problems(
        "application: { loging: 1, metrics: { adress: x }, log: { levl: info } }\nserver: { proxys: [], proxies: [] }\n",
        expect![[r#"
            config.yaml:1:16: error[unknown-key]: `application` has no key `loging`
              | application: { loging: *, metrics: { adress: * }, log: { levl: info } }
              |                ^^^^^^
              hint: there is: sentry_dsn, metrics, log
            config.yaml:1:27: note[not-yet]: not yet: `metrics` of `application`
              | application: { loging: *, metrics: { adress: * }, log: { levl: info } }
              |                           ^^^^^^^
            config.yaml:1:38: error[unknown-key]: `metrics` has no key `adress`
              | application: { loging: *, metrics: { adress: * }, log: { levl: info } }
              |                                      ^^^^^^
              hint: did you mean `address`?
            config.yaml:1:56: error[missing-key]: `log` needs the key `level`
              | application: { loging: *, metrics: { adress: * }, log: { levl: info } }
              |                                                        ^^^^^^^^^^^^^^^
            config.yaml:1:58: error[unknown-key]: `log` has no key `levl`
              | application: { loging: *, metrics: { adress: * }, log: { levl: info } }
              |                                                          ^^^^
              hint: did you mean `level`?
            config.yaml:2:11: error[unknown-key]: `server` has no key `proxys`
              | server: { proxys: [], proxies: [] }
              |           ^^^^^^
              hint: did you mean `proxies`?
            config.yaml:2:32: error[missing-key]: `proxies` needs at least one proxy
              | server: { proxys: [], proxies: [] }
              |                                ^^^"#]],
    );
}

#[test]
fn what_is_missing_is_named() {
    problems(
        "",
        expect!["config.yaml:1:1: error[missing-key]: the file is empty: it needs `server`"],
    );
    problems(
        "server: { proxies: }\n",
        expect![[r#"
        config.yaml:1:18: error[missing-key]: `proxies` needs at least one proxy
          | server: { proxies: }
          |                  ^"#]],
    );
    problems(
        "server: { proxies: [ {} ] }\n",
        expect![[r#"
        config.yaml:1:22: error[missing-key]: a proxy needs the key `name`
          | server: { proxies: [ {} ] }
          |                      ^^^
        config.yaml:1:22: error[missing-key]: a proxy needs the key `listener`
          | server: { proxies: [ {} ] }
          |                      ^^^
        config.yaml:1:22: error[missing-key]: a proxy needs at least one target
          | server: { proxies: [ {} ] }
          |                      ^^^"#]],
    );
    problems(
        "server: { proxies: [ { name: '', listener: { address: ':1' }, targets: [] } ] }\n",
        expect![[r#"
            config.yaml:1:30: error[invalid-value]: `name` must be a word, without control characters
              | server: { proxies: [ { name: '', listener: { address: ':1' }, targets: [] } ] }
              |                              ^^
            config.yaml:1:63: error[missing-key]: a proxy needs at least one target
              | server: { proxies: [ { name: '', listener: { address: ':1' }, targets: [] } ] }
              |                                                               ^^^^^^^"#]],
    );
    problems(
        "server: { proxies: [ { name: a, listener: {}, targets: [ {} ] } ] }\n",
        expect![[r#"
            config.yaml:1:43: error[missing-key]: `listener` needs the key `address`
              | server: { proxies: [ { name: a, listener: {}, targets: [ {} ] } ] }
              |                                           ^^
            config.yaml:1:58: error[missing-key]: a target needs the key `name`
              | server: { proxies: [ { name: a, listener: {}, targets: [ {} ] } ] }
              |                                                          ^^^
            config.yaml:1:58: error[missing-key]: a target needs the key `address`
              | server: { proxies: [ { name: a, listener: {}, targets: [ {} ] } ] }
              |                                                          ^^^"#]],
    );
    problems(
        "server: { proxies: [ 7 ] }\n",
        expect![[r#"
        config.yaml:1:22: error[wrong-type]: a proxy must be a mapping
          | server: { proxies: [ 7 ] }
          |                      ^
        config.yaml:1:22: error[missing-key]: a proxy needs the key `name`
          | server: { proxies: [ 7 ] }
          |                      ^
        config.yaml:1:22: error[missing-key]: a proxy needs the key `listener`
          | server: { proxies: [ 7 ] }
          |                      ^
        config.yaml:1:22: error[missing-key]: a proxy needs at least one target
          | server: { proxies: [ 7 ] }
          |                      ^"#]],
    );
    problems(
        "application: { log: {} }\nserver: { proxies: [ { name: direct, listener: { address: ':1' }, target: { address: 'a:1' } } ] }\n",
        expect![[r#"
            config.yaml:1:21: error[missing-key]: `log` needs the key `level`
              | application: { log: {} }
              |                     ^^^
            config.yaml:2:30: error[reserved-name]: `direct` is built in and cannot be redefined
              | server: { proxies: [ { name: direct, listener: { address: ':1' }, target: { address: 'a:1' } } ] }
              |                              ^^^^^^"#]],
    );
}

#[test]
fn addresses_are_checked() {
    let listener = |address: &str, expected: &[&str]| {
        check(
            &format!("listener: {{ address: '{address}' }}, target: {{ address: 'a:1' }}"),
            expected,
        );
    };
    listener("localhost:25", &[]);
    listener(":25", &[]);
    listener("tcp:0.0.0.0:0", &[]);
    listener("tcp6:[::1]:25", &[]);
    listener("unix:/run/x.sock", &[]);
    listener("fd:3", &[]);
    listener(
        "localhost:smtp",
        &[
            "2:22: error[invalid-address]: `address`: the port `smtp` is not a number from 0 to 65535",
        ],
    );
    listener(
        "localhost",
        &["2:22: error[invalid-address]: `address`: `localhost` has no port; write `host:port`"],
    );
    listener(
        "tcp4:[::1]:25",
        &["2:22: error[invalid-address]: `::1` is no address for `tcp4:`"],
    );
    listener(
        "tcp6:1.2.3.4:25",
        &["2:22: error[invalid-address]: `1.2.3.4` is no address for `tcp6:`"],
    );
    listener(
        "fd:three",
        &[
            "2:22: error[invalid-address]: `address`: `three` is no descriptor; write its number, as in `3`",
        ],
    );
    listener(
        "unix:",
        &["2:22: error[invalid-address]: `address`: `` has no path"],
    );
    listener(
        "udp:a:53",
        &[
            "2:22: error[invalid-address]: `address`: `udp:a:53` must have its IPv6 address in brackets, as in `[::1]:53`",
        ],
    );
    let target = |address: &str, expected: &[&str]| {
        check(
            &format!("listener: {{ address: ':1' }}, target: {{ address: '{address}' }}"),
            expected,
        );
    };
    target("unix:/run/x.sock", &[]);
    target("fd:4", &[]);
    target("tcp4:a:1", &[]);
    target(
        ":80",
        &["2:49: error[invalid-address]: `address`: `` is neither a name nor an address"],
    );
    target(
        "a:0",
        &["2:49: error[invalid-address]: `address`: the port `0` is not a number from 1 to 65535"],
    );
}

#[test]
fn listeners_and_targets_mean_what_they_say() {
    let show = |setup: &Setup| {
        let forward = &setup.forwards[0];
        let shown = |endpoint: &Endpoint| match endpoint {
            Endpoint::Tcp(server) => server.to_string(),
            Endpoint::Udp(server) => format!("udp {server}"),
            Endpoint::Unix(path) => path.display().to_string(),
            Endpoint::Fd(number) => format!("fd {number}"),
        };
        let (_, target) = setup.targets_of(forward).next().unwrap();
        format!(
            "{} {:?} -> {} {:?}",
            shown(&forward.listen[0].at),
            forward.listen[0].families,
            shown(&target.address),
            target.families
        )
    };
    let check = |listener: &str, target: &str, expected: &str| {
        let proxy =
            format!("listener: {{ address: '{listener}' }}, target: {{ address: '{target}' }}");
        reads(&proxy, expected, show);
    };
    check(":25", "a:1", "[::]:25 PreferIpv4 -> a:1 PreferIpv4");
    check(
        "tcp4::25",
        "tcp6:a:1",
        "0.0.0.0:25 Ipv4Only -> a:1 Ipv6Only",
    );
    check(
        "tcp6::25",
        "tcp4:1.2.3.4:1",
        "[::]:25 Ipv6Only -> 1.2.3.4:1 Ipv4Only",
    );
    check(
        "unix:x.sock",
        "fd:7",
        "conf/x.sock PreferIpv4 -> fd 7 PreferIpv4",
    );
    check(
        "fd:3",
        "unix:/y.sock",
        "fd 3 PreferIpv4 -> /y.sock PreferIpv4",
    );
}
