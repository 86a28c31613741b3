//! Queries over TLS and HTTPS, by other people's clients.

use std::process::Command;

use super::{World, told};
use crate::daemon::eventually;
use crate::namespace::Namespace;

/// Listeners by TLS at 8853 and by HTTPS at 8443, at all addresses of the host.
const LISTEN: &str = "    - \"udp://127.0.0.1:53535\"\n    \
    - { address: \"tls://0.0.0.0:8853\", name: dot, tls: { certificates: [{ certificate: dns.pem, key: dns.key }] }, allow: [127.0.0.0/8] }\n    \
    - { address: \"https://127.0.0.1:8443/dns-query\", name: doh, tls: { certificates: [{ certificate: dns.pem, key: dns.key }] } }\n";

/// A certificate for that name and 127.0.0.1, and its key.
fn certificate(name: &str) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let at = |file: &str| directory.path().join(file).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "3"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-subj", &format!("/CN={name}")])
        .args([
            "-addext",
            &format!("subjectAltName=DNS:{name},IP:127.0.0.1"),
        ])
        .args(["-keyout", &at("key"), "-out", &at("certificate")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let read = |file| std::fs::read_to_string(at(file)).unwrap();
    (read("certificate"), read("key"))
}

fn world(more: &str) -> World {
    let text = format!(
        "version: 1\npolicy: direct\ndns:\n  listen:\n{LISTEN}  upstreams: {{ near: \"udp://192.168.1.1\" }}\n{more}"
    );
    let (chain, key) = certificate("dns.test");
    World::with(vec![("conf", text), ("dns.pem", chain), ("dns.key", key)])
}

/// What a program prints on both outputs.
fn output(host: &Namespace, program: &str, words: &[&str]) -> String {
    let output = host.command(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn kdig(world: &World, words: &str) -> String {
    let mut all = vec!["+retry=0", "+timeout=6"];
    all.extend(words.split(' '));
    output(&world.host, "kdig", &all)
}

/// The code of a response, and what it says of itself.
fn curl(world: &World, words: &[&str]) -> String {
    let form = "%{http_code} %{http_version} %{content_type}";
    let mut all = vec!["--silent", "--insecure", "--output", "/dev/null"];
    all.extend(["--max-time", "8", "--write-out", form]);
    all.extend(words);
    output(&world.host, "curl", &all)
}

const URL: &str = "https://127.0.0.1:8443/dns-query";
/// A query for the address of `a.test`, and the same in base64url.
const QUERY: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";
const ENCODED: &str = "AAABAAABAAAAAAAAAWEEdGVzdAAAAQAB";

#[test]
fn queries_come_over_tls_and_by_http() {
    let world = world("");
    let doh = world.daemon.ready.get("doh").map(|(_, address)| &**address);
    assert_eq!(doh, Some("https://127.0.0.1:8443"));
    let pem = world.daemon.directory.path().join("dns.pem");
    let ca = format!("+tls-ca={}", pem.display());
    for words in [
        format!("@127.0.0.1 -p 8853 {ca} +tls-hostname=dns.test a.test A"),
        format!("@127.0.0.1 -p 8853 {ca} +tls-hostname=dns.test +keepopen a.test A a.test A"),
        format!("@127.0.0.1 -p 8443 {ca} +tls-hostname=dns.test +https=/dns-query a.test A"),
        format!(
            "@127.0.0.1 -p 8443 {ca} +tls-hostname=dns.test +https=/dns-query +https-get a.test A"
        ),
    ] {
        let reply = kdig(&world, &words);
        let (_, records) = told(&reply);
        assert!(
            reply.contains("QUERY; status: NOERROR;"),
            "{words}: {reply}"
        );
        assert!(
            !records.is_empty() && records.iter().all(|it| it == "A 10.0.0.1"),
            "{words}: {reply}"
        );
        // It pads its queries, so that nobody tells a reply by its length.
        assert!(reply.contains("Received 468 B"), "{words}: {reply}");
    }
    assert_eq!(world.near.all().len(), 1);
    // A longer one is padded to twice as much; it is asked for anew.
    let reply = kdig(
        &world,
        &format!("@127.0.0.1 -p 8853 {ca} +tls-hostname=dns.test a.test TXT"),
    );
    assert!(reply.contains("Received 936 B"), "{reply}");
    let elsewhere = kdig(
        &world,
        &format!("@127.0.0.1 -p 8853 {ca} +tls-hostname=other.test a.test A"),
    );
    assert!(!elsewhere.contains("NOERROR"), "{elsewhere}");
    // A browser's way: the name that a request goes to is asked for by HTTP/2.
    let _refused = curl(
        &world,
        &[
            "--doh-insecure",
            "--doh-url",
            URL,
            "--connect-timeout",
            "2",
            "http://b.test:9/",
        ],
    );
    eventually("it was asked for", || world.near.asked("b.test 1") == 1);
}

#[test]
fn requests_have_the_response_that_they_deserve() {
    let world = world("  rules: [\"DOMAIN, drop.test, drop\", \"FALLBACK, near\"]\n");
    let file = world.daemon.directory.path().join("query");
    std::fs::write(&file, QUERY).unwrap();
    let data = format!("@{}", file.display());
    let message = "content-type: application/dns-message";
    let big = world.daemon.directory.path().join("big");
    std::fs::write(&big, vec![0; 70_000]).unwrap();
    let big = format!("@{}", big.display());
    let get = |query: &str| format!("{URL}{query}");
    let good = get(&format!("?dns={ENCODED}"));
    let post = ["--data-binary", &data, "--header", message];
    let check = |words: &[&str], expected: &str| {
        for (version, shown) in [("--http2", "2"), ("--http1.1", "1.1")] {
            let words = [&[version], words].concat();
            let expected = expected.replace('V', shown);
            assert_eq!(curl(&world, &words), expected, "{words:?}");
        }
    };
    check(&[&good], "200 V application/dns-message");
    check(
        &[&post[..], &[URL]].concat(),
        "200 V application/dns-message",
    );
    check(
        &[&get(&format!("?a=b&dns={ENCODED}"))],
        "200 V application/dns-message",
    );
    check(&[URL], "400 V text/plain");
    check(&[&get("?dns=a%20b")], "400 V text/plain");
    check(&[&get("?dns=AAAA")], "400 V text/plain");
    check(
        &[&get(&format!("?dns={ENCODED}&dns={ENCODED}"))],
        "400 V text/plain",
    );
    check(&["https://127.0.0.1:8443/"], "404 V text/plain");
    check(&["https://127.0.0.1:8443/dns-query/"], "404 V text/plain");
    check(&["--request", "PUT", &good], "405 V text/plain");
    check(&["--data-binary", &data, URL], "415 V text/plain");
    check(
        &[
            "--data-binary",
            &big,
            "--header",
            message,
            "--header",
            "expect:",
            URL,
        ],
        "413 V text/plain",
    );
    // Nothing is answered, and nothing is held.
    let drop = QUERY.to_vec();
    let drop = [&drop[..12], b"\x04drop", &drop[14..]].concat();
    std::fs::write(&file, drop).unwrap();
    assert_eq!(
        curl(&world, &[&post[..], &["--http2", URL]].concat()),
        "000 0 "
    );
    let headers = output(
        &world.host,
        "curl",
        &["-sk", "-D", "-", "-o", "/dev/null", &good],
    );
    let age = headers
        .split("cache-control: max-age=")
        .nth(1)
        .unwrap_or_else(|| panic!("{headers}"));
    let age: u32 = age.split_whitespace().next().unwrap().parse().unwrap();
    assert!((40..=60).contains(&age), "{headers}");
    assert_eq!(world.near.all().len(), 1);
}

#[test]
fn who_speaks_something_else_is_told_of_and_strangers_get_no_handshake() {
    let world = world("");
    let plain = kdig(&world, "@127.0.0.1 -p 8853 +tcp +noedns a.test A");
    assert!(!plain.contains("NOERROR"), "{plain}");
    eventually("it is told", || {
        world
            .daemon
            .log()
            .contains("no TLS with a client of `dot`: the client speaks no TLS")
    });
    let web = output(
        &world.host,
        "curl",
        &[
            "--silent",
            "--max-time",
            "5",
            "http://127.0.0.1:8443/dns-query",
        ],
    );
    assert_eq!(web, "");
    let begun = std::time::Instant::now();
    let hello = kdig(&world, "@127.0.0.1 -p 53535 +tls a.test A");
    assert!(
        !hello.contains("NOERROR") && begun.elapsed().as_secs() < 4,
        "{hello}"
    );
    let stranger = kdig(&world, "@10.9.9.1 -p 8853 -b 10.9.9.2 +tls a.test A");
    assert!(!stranger.contains("NOERROR"), "{stranger}");
    let counts = String::from_utf8_lossy(
        &world
            .daemon
            .client(&["diagnostics", "--format", "json"])
            .stdout,
    )
    .into_owned();
    assert!(counts.contains("\"connections_refused\":4"), "{counts}");
    assert_eq!(world.near.all().len(), 0);
}

#[test]
fn a_reload_shows_another_certificate_to_new_connections() {
    let world = world("");
    let shown = || {
        output(
            &world.host,
            "sh",
            &[
                "-c",
                "echo | openssl s_client -connect 127.0.0.1:8853 -alpn dot 2>&1",
            ],
        )
    };
    let first = shown();
    assert!(
        first.contains("CN = dns.test") && first.contains("ALPN protocol: dot"),
        "{first}"
    );
    let (chain, key) = certificate("next.test");
    world.daemon.write("dns.pem", &chain);
    // The pair does not match: what is in force stays.
    let refused = world.daemon.client(&["reload"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("is not the key of"),
        "{said}"
    );
    assert!(shown().contains("CN = dns.test"));
    world.daemon.write("dns.key", &key);
    assert!(world.daemon.client(&["reload"]).status.success());
    assert!(shown().contains("CN = next.test"));
}

/// Resets, heads and bodies without end, replies that nobody takes, handshakes that never come: each ends, and nobody else is
/// kept waiting.
#[test]
fn floods_end_and_keep_nobody_out() {
    let world = world("  limits: { tcp_idle: 2s }\ntimeouts: { handshake: 3s }\n");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/dns/floods.py");
    let told = output(
        &world.host,
        "timeout",
        &["60", "python3", script, "127.0.0.1", "8443", "8853"],
    );
    let expected = [
        "reset: True [11]",
        "bodies: True",
        "head: [11]",
        "continuation: [11]",
        "first head: HTTP/1.1 431 Request Header Fields Too Large",
        "unread: True",
        "answered: True",
        "handshakes: True",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}
