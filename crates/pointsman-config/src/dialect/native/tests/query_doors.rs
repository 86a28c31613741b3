//! Listeners of the DNS server by TLS and HTTPS: addresses, certificates, and what is wrong with them.

use expect_test::expect;

use super::{check, files, load, problems, setup};
use crate::files::{Files, Memory};

const PAIR: &str = "tls: { certificates: [{ certificate: dns.pem, key: dns.key }] }";

fn listen(value: &str, expected: &[&str]) {
    check(&format!("dns: {{ listen: {value} }}"), expected);
}

#[test]
fn listeners_by_tls_and_https_have_ports_paths_and_a_certificate() {
    let setup = setup(&format!(
        "dns:\n  listen:\n  - {{ address: 'tls://127.0.0.1', {PAIR} }}\n  - {{ address: 'https://[::1]', name: web, {PAIR} }}\n  \
         - {{ address: 'https://127.0.0.1:8443/q', {PAIR}, allow: [127.0.0.0/8] }}\n"
    ));
    let doors = setup.dns.unwrap().doors;
    let shown: Vec<String> = doors
        .iter()
        .map(|door| {
            let listen: Vec<String> = door.listen.iter().map(|it| it.at.to_string()).collect();
            let path = door.web_path.as_deref().unwrap_or("-");
            format!("{} {} {path}", door.name, listen.join(","))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "dns 127.0.0.1:853 -",
            "web [::1]:443 /dns-query",
            "dns-3 127.0.0.1:8443 /q"
        ]
    );
    let tls = doors[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].chain.len(), 1);
    let shown = format!("{tls:?}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
    for file in ["conf/dns.pem", "conf/dns.key"] {
        assert!(setup.files.iter().any(|it| it.ends_with(file)), "{file}");
    }
}

#[test]
fn what_no_listener_can_be_is_told() {
    let pair = |address: &str| format!("{{ address: '{address}', {PAIR} }}");
    listen(
        "'tls://127.0.0.1'",
        &["1:16: error[missing-key]: a listener by `tls://` needs `tls`: a certificate to show"],
    );
    listen(
        "{ address: 'https://127.0.0.1/dns-query' }",
        &["1:27: error[missing-key]: a listener by `https://` needs `tls`: a certificate to show"],
    );
    listen(
        &pair("udp://127.0.0.1"),
        &[
            "1:46: error[invalid-value]: `udp://` speaks no TLS: queries and answers are for all to read",
        ],
    );
    listen(
        &pair("https://127.0.0.1/a?b"),
        &["1:27: error[invalid-address]: `listen`: `/a?b` is no path that a request can name"],
    );
    listen(
        &pair("tls://127.0.0.1:853/x"),
        &[
            "1:27: error[invalid-address]: `listen`: the port `853/x` is not a number from 0 to 65535",
        ],
    );
    listen(
        &pair("tls://0.0.0.0"),
        &["1:27: warning[open-resolver]: anybody who reaches 0.0.0.0:853 can ask this DNS server"],
    );
}

#[test]
fn certificates_are_checked_where_they_are_read() {
    let tls = |tls: &str, expected| {
        problems(
            &format!(
                "dns:\n  listen: {{ address: 'tls://127.0.0.1', tls: {tls} }}\npolicy: direct\n"
            ),
            expected,
        );
    };
    tls(
        "{ certificates: [{ certificate: gone.pem, key: dns.key }] }",
        expect![[r#"
            pointsman.yaml:2:78: error[missing-file]: `certificate`: `gone.pem` cannot be read: entity not found
              |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [{ certificate: gone.pem, key: ******* }] } }
              |                                                                              ^^^^^^^^"#]],
    );
    tls(
        "{ certificates: [{ certificate: dns.pem, key: other.key }] }",
        expect![[r#"
            pointsman.yaml:2:92: error[bad-certificate]: this is not the key of `dns.pem`
              |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [{ certificate: dns.pem, key: ********* }] } }
              |                                                                                            ^^^^^^^^^
              pointsman.yaml:2:78: the certificate is here
              hint: the server's own certificate stands first in the file, those of authorities behind it"#]],
    );
    tls(
        "{ certificates: [{ certificate: dns.key, key: dns.pem }] }",
        expect![[r#"
            pointsman.yaml:2:78: error[bad-certificate]: `certificate`: `dns.key` holds a key and no certificate
              |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [{ certificate: dns.key, key: ******* }] } }
              |                                                                              ^^^^^^^
              hint: are `certificate` and `key` the other way round?"#]],
    );
    tls(
        "{ certificates: [{ certificate: dns.pem, key: password }] }",
        expect![[r#"
            pointsman.yaml:2:92: error[bad-certificate]: `key`: the file holds no private key in PEM
              |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [{ certificate: dns.pem, key: ******** }] } }
              |                                                                                            ^^^^^^^^"#]],
    );
    tls(
        "{ certificates: [] }",
        expect![[r#"
        pointsman.yaml:2:62: error[empty-list]: `certificates` is empty: there is nothing to show to clients
          |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [] } }
          |                                                              ^^^
          hint: write `tls: { certificates: [{ certificate: dns.pem, key: dns.key }] }`"#]],
    );
    tls(
        "{ minimum: '1.3', certificates: [{ certificate: dns.pem, key: dns.key }, { directory: certs }] }",
        expect![[r#"
            pointsman.yaml:2:48: note[not-yet]: not yet: `minimum` of `tls`
              |   listen: { address: 'tls://127.0.0.1', tls: { minimum: '***', certificates: [{ certificate: dns.pem, key: ******* }, { directory: ***** }] } }
              |                                                ^^^^^^^
            pointsman.yaml:2:119: note[not-yet]: not yet: choosing among certificates by name: the first is shown to all
              |   listen: { address: 'tls://127.0.0.1', tls: { minimum: '***', certificates: [{ certificate: dns.pem, key: ******* }, { directory: ***** }] } }
              |                                                                                                                       ^^^^^^^^^^^^^^^^^^^^"#]],
    );
}

/// A host at whose time nothing holds, and whose files all can read.
struct Careless(Memory);

impl Files for Careless {
    fn beneath(&self) -> Option<&dyn Files> {
        Some(&self.0)
    }

    fn is_open_to_others(&self, _: &std::path::Path) -> Option<bool> {
        Some(true)
    }

    fn time(&self) -> Option<std::time::Duration> {
        Some(std::time::Duration::from_secs(1 << 33))
    }
}

#[test]
fn an_expired_certificate_and_a_key_that_all_can_read_are_warnings() {
    let text =
        format!("dns:\n  listen: {{ address: 'tls://127.0.0.1', {PAIR} }}\npolicy: direct\n");
    let careless = Careless(files(&text));
    let path = std::path::Path::new("conf/pointsman.yaml");
    let loaded = load(path, None, None, &careless);
    assert!(loaded.setup.is_some());
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    expect![[r#"
        pointsman.yaml:2:78: warning[certificate-expired]: `dns.pem` has expired: clients refuse it
          |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [{ certificate: dns.pem, key: ******* }] } }
          |                                                                              ^^^^^^^
        pointsman.yaml:2:92: warning[key-readable]: everybody on this host can read this key
          |   listen: { address: 'tls://127.0.0.1', tls: { certificates: [{ certificate: dns.pem, key: ******* }] } }
          |                                                                                            ^^^^^^^
          hint: `chmod o= FILE` leaves it to its owner and group"#]].assert_eq(&shown.join("\n"));
}

#[test]
fn what_is_kept_of_answers_is_said_in_sizes_and_times() {
    let cache = |keys: &str, expected: &[&str]| {
        let listen = "listen: 'udp://127.0.0.1:53', upstreams: { a: 'udp://1.1.1.1' }";
        check(
            &format!("dns: {{ {listen}, cache: {{ {keys} }} }}"),
            expected,
        );
    };
    cache(
        "size: 64KiB, min_ttl: off, max_ttl: 7d, negative_ttl: 3h, stale: off, prefetch: false",
        &[],
    );
    cache(
        "size: 1KiB",
        &["1:88: error[invalid-value]: `size` must be from 64KiB to 1GiB"],
    );
    cache(
        "max_ttl: 8d",
        &["1:91: error[invalid-value]: `max_ttl` is a number of seconds, and a week at most"],
    );
    cache(
        "min_ttl: 1500ms",
        &["1:91: error[invalid-value]: `min_ttl` is a number of seconds, and a week at most"],
    );
    cache(
        "min_ttl: 2h, max_ttl: 1h",
        &["1:91: error[invalid-value]: `min_ttl` is longer than `max_ttl`"],
    );
    let read =
        setup("dns: { upstreams: { a: 'udp://1.1.1.1' }, cache: { size: 1MiB, stale: off } }")
            .cache;
    assert_eq!(
        (read.size, read.stale.as_secs(), read.prefetch),
        (1 << 20, 0, true)
    );
}
