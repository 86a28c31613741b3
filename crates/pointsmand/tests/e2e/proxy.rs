//! Proxy inbounds with curl: what a person does first.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::curl;
use crate::daemon::{Daemon, Start};
use crate::namespace::Namespace;
use crate::origin::{Http, nobody};

const MIXED: &str = r#"
version: 1
inbounds:
  desk: { type: mixed, listen: "127.0.0.1:0" }
"#;

fn everything_direct() -> Daemon {
    Daemon::native(&format!("{MIXED}policy: |\n  direct\n"))
}

#[test]
fn every_way_of_asking_reaches_the_origin() {
    let daemon = everything_direct();
    let origin = Http::start("origin");
    let inbound = daemon.address("desk");
    for scheme in ["socks5", "socks5h", "socks4", "socks4a", "http"] {
        let proxy = format!("{scheme}://{inbound}");
        let (text, code) = curl(&["--proxy", &proxy, &format!("{}/a?b=c", origin.url())]);
        assert_eq!(
            (text.as_str(), code),
            (
                &*format!("origin GET /a?b=c host={} body=0\n", origin.address),
                0
            ),
            "{scheme}"
        );
    }
    let proxy = format!("http://{inbound}");
    let (text, code) = curl(&[
        "--proxytunnel",
        "--proxy",
        &proxy,
        &format!("{}/t", origin.url()),
    ]);
    assert_eq!((text.contains("GET /t"), code), (true, 0), "CONNECT");
}

#[test]
fn one_connection_carries_plain_requests_to_different_hosts() {
    let daemon = everything_direct();
    let (one, two) = (Http::start("one"), Http::start("two"));
    let proxy = format!("http://{}", daemon.address("desk"));
    let urls = [one.url(), two.url(), one.url()];
    let (text, code) = curl(&["--proxy", &proxy, &urls[0], &urls[1], &urls[2]]);
    let names: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!((names, code), (vec!["one", "two", "one"], 0));
    // Hop-by-hop fields stay here.
    let heads = one.heads.lock().unwrap().concat().to_ascii_lowercase();
    assert!(!heads.contains("proxy-connection"), "{heads}");
}

#[test]
fn a_post_with_a_body_arrives_whole() {
    let daemon = everything_direct();
    let origin = Http::start("origin");
    let proxy = format!("http://{}", daemon.address("desk"));
    let body = "x".repeat(200_000);
    let file = daemon.directory.path().join("body");
    std::fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let (text, code) = curl(&["--proxy", &proxy, "--data-binary", &data, &origin.url()]);
    assert_eq!(
        (
            text.contains("POST / host"),
            text.contains("body=200000"),
            code
        ),
        (true, true, 0)
    );
}

#[test]
fn users_are_asked_for_their_password() {
    let daemon = Daemon::native(
        r#"
version: 1
inbounds:
  desk: { type: mixed, listen: "127.0.0.1:0", users: { alice: "s:ecret" } }
policy: |
  direct
"#,
    );
    let origin = Http::start("origin");
    let inbound = daemon.address("desk");
    let ask = |proxy: &str, user: &str| {
        let words = [
            "--proxy",
            proxy,
            "--proxy-user",
            user,
            "--write-out",
            "%{http_code}",
            &origin.url(),
        ];
        curl(&words)
    };
    let http = format!("http://{inbound}");
    assert!(ask(&http, "alice:s:ecret").0.ends_with("200"));
    assert!(ask(&http, "alice:wrong").0.ends_with("407"));
    assert!(
        curl(&[
            "--proxy",
            &http,
            "--write-out",
            "%{http_code}",
            &origin.url()
        ])
        .0
        .ends_with("407")
    );
    let socks = format!("socks5h://{inbound}");
    assert!(ask(&socks, "alice:s:ecret").0.ends_with("200"));
    assert_eq!(ask(&socks, "alice:wrong").1, 97);
    assert_eq!(curl(&["--proxy", &socks, &origin.url()]).1, 97);
    assert!(!daemon.log().contains("ecret"), "{}", daemon.log());
}

#[test]
fn who_guesses_passwords_is_a_line_of_the_log() {
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: socks5, listen: \"127.0.0.1:0\", users: { alice: secret } }\n\
         rules: [ \"FALLBACK, DIRECT\" ]\n",
    );
    let inbound = daemon.address("desk");
    for guess in 0..12 {
        let mut client = TcpStream::connect(inbound).unwrap();
        client.write_all(&[5, 1, 2]).unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        if guess < 10 {
            assert!(!daemon.log().contains("wrong passwords"), "{guess}");
        }
        client.write_all(b"\x01\x05alice\x01x").unwrap();
        let mut answer = [0; 2];
        client.read_exact(&mut answer).unwrap();
        assert_ne!(answer[1], 0, "let in");
    }
    let log = daemon.log();
    let told: Vec<_> = log
        .lines()
        .filter(|it| it.contains("wrong passwords"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains("WARN") && told[0].contains("127.0.0.1"),
        "{log}"
    );
}

#[test]
fn refusals_speak_the_clients_protocol() {
    let origin = Http::start("origin");
    let nobody = nobody();
    let daemon = Daemon::native(&format!(
        "{MIXED}rules:\n  - DOMAIN-SUFFIX, rejected.test, REJECT\n  - DOMAIN-SUFFIX, reset.test, RESET\n  - FALLBACK, DIRECT\n"
    ));
    let inbound = daemon.address("desk");
    let (http, socks) = (format!("http://{inbound}"), format!("socks5h://{inbound}"));
    let status = ["--write-out", "%{http_code}"];
    let http_code = |url: &str| curl(&[&["--proxy", &http], &status[..], &[url]].concat());
    assert!(http_code("http://a.rejected.test/").0.ends_with("403"));
    assert!(http_code(&format!("http://{nobody}/")).0.ends_with("502"));
    // curl 97: the proxy handshake failed; its message names the SOCKS code.
    assert_eq!(curl(&["--proxy", &socks, "http://a.rejected.test/"]).1, 97);
    // No rule needs first bytes here, so the answer waits for the dial.
    let plain = everything_direct();
    let socks_plain = format!("socks5h://{}", plain.address("desk"));
    assert_eq!(
        curl(&["--proxy", &socks_plain, &format!("http://{nobody}/")]).1,
        97
    );
    // A reset is a reset: 56 is a failed receive, 97 a handshake cut off.
    let (_, code) = curl(&["--proxy", &socks, "http://a.reset.test/"]);
    assert!(code == 56 || code == 97, "{code}");
    assert!(http_code(&origin.url()).0.ends_with("200"));
}

#[test]
fn without_a_configuration_everything_goes_direct() {
    // The embedded default listens on a fixed port, so it runs where that port is surely free.
    let namespace = Namespace::new("default");
    let daemon = Daemon::start(&Start {
        namespace: Some(&namespace.name),
        ..Start::default()
    });
    assert_eq!(daemon.ready.len(), 1, "{:?}", daemon.ready);
    let (kind, address) = daemon.ready.values().next().unwrap();
    assert_eq!(
        (kind.as_str(), address.as_str()),
        ("mixed", "127.0.0.1:7890")
    );
}
