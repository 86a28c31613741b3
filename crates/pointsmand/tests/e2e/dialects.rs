//! Samples that the seeds came with, served as they are: where real requests go, by the address they arrive from.

use std::path::PathBuf;

use serde_json::Value;

use crate::daemon::{Daemon, Running, Start, client_path};
use crate::namespace::Namespace;
use crate::reflow::shared;
use crate::upstream::leaving_by;

/// A sample's path, or what is skipped.
fn sample(path: &str) -> Option<PathBuf> {
    Some(shared()?.join("samples").join(path))
}

/// What curl got from `http://NAME/` by the default inbound: the client's address as the server saw
/// it, or the proxy's status.
fn arrives_from(namespace: &Namespace, name: &str) -> String {
    let output = namespace
        .command("curl")
        .args(["--silent", "--max-time", "20", "--noproxy", ""])
        .args(["--proxy", "http://127.0.0.1:7890"])
        .args(["--write-out", "|%{http_code}", &format!("http://{name}/")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.rsplit_once('|') {
        Some((body, "200")) => body.trim().to_owned(),
        Some((_, status)) => status.to_owned(),
        None => format!("{output:?}"),
    }
}

#[test]
fn the_policy_router_sample_serves() {
    let Some(config) = sample("policy-router/config.toml") else {
        return;
    };
    const VPN: &str = "127.0.0.33";
    const PROXY: &str = "127.0.0.22";
    const DIRECT: &str = "127.0.0.1";
    let host = Namespace::new("router");
    let directory = tempfile::tempdir().unwrap();
    let _web = host.inet(&["web"]);
    // The proxies know all names, the system those that go direct: nobody else resolves.
    let proxied = [
        "youtube.com",
        "r1---sn-x.googlevideo.com",
        "chatgpt.com",
        "www.github.com",
    ];
    let known: Vec<String> = proxied.map(|n| format!("\"{n}\":\"127.0.0.1\"")).into();
    let start = |port: u16, address| {
        let at = ([127, 0, 0, 1], port).into();
        leaving_by(&host, directory.path(), at, address, &known.join(","))
    };
    let (_vpn, proxy) = (start(1488, VPN), start(1080, PROXY));
    let daemon = Daemon::start(&Start {
        config: config.to_str().unwrap(),
        namespace: Some(&host.name),
        hosts: "127.0.0.1 localhost example.org ya.ru a.lan notyoutube.com\n",
        ..Start::default()
    });
    let status = daemon.json(&["status"]);
    assert_eq!(status["dialect"], "policy-router");
    assert_eq!(status["inbounds"][0]["address"], "127.0.0.1:7890");
    let cases = [
        ("youtube.com", PROXY),
        ("YouTube.COM", PROXY),
        ("r1---sn-x.googlevideo.com", PROXY),
        ("chatgpt.com", VPN),
        ("www.github.com", VPN),
        ("ya.ru", DIRECT),
        ("a.lan", DIRECT),
        ("example.org", DIRECT),
        ("notyoutube.com", DIRECT),
    ];
    for (name, from) in cases {
        assert_eq!(arrives_from(&host, name), from, "{name}");
        // And explained as it went.
        let id = daemon.last_flow()["id"].to_string();
        let explained = daemon.json(&["explain", "--id", &id]);
        let outbound = match from {
            VPN => "vpn",
            PROXY => "proxy",
            _ => "direct",
        };
        assert_eq!(explained["decision"]["outbound"], outbound, "{name}");
    }
    // Without its proxy a name does not go another way.
    drop(proxy);
    assert_eq!(arrives_from(&host, "youtube.com"), "502");
    let error = daemon.last_flow()["error"].to_string();
    assert!(error.contains("`proxy` could not connect"), "{error}");
    explains_apps(&daemon);
}

/// What the running daemon says of imagined flows.
fn explains_apps(daemon: &Daemon) {
    // (process, domain) is (outbound, source, matcher)
    let exact = |pattern: &str| serde_json::json!({ "type": "exact", "pattern": pattern });
    let suffix = |pattern: &str| serde_json::json!({ "type": "suffix", "pattern": pattern });
    let cases = [
        (
            "zen.exe",
            "youtube.com",
            "proxy",
            "domain_rule",
            exact("youtube.com"),
        ),
        (
            "zen.exe",
            "unknown.example",
            "vpn",
            "app_rule",
            exact("zen.exe"),
        ),
        (
            "notepad.exe",
            "unknown.example",
            "direct",
            "default",
            Value::Null,
        ),
        (
            "zen.exe",
            "r1---sn-x.googlevideo.com",
            "proxy",
            "domain_rule",
            suffix("googlevideo.com"),
        ),
        (
            "zen.exe",
            "YouTube.COM",
            "proxy",
            "domain_rule",
            exact("youtube.com"),
        ),
        (
            "ZEN.EXE",
            "unknown.example",
            "vpn",
            "app_rule",
            exact("zen.exe"),
        ),
        (
            r"C:\Program Files\Zen\zen.exe",
            "unknown.example",
            "vpn",
            "app_rule",
            exact("zen.exe"),
        ),
        (
            "ciadpi.exe",
            "youtube.com",
            "proxy",
            "domain_rule",
            exact("youtube.com"),
        ),
        (
            "ciadpi.exe",
            "unknown.example",
            "direct",
            "app_rule",
            exact("ciadpi.exe"),
        ),
    ];
    for (process, domain, outbound, source, matcher) in cases {
        let answer = daemon.json(&["explain", "--process", process, "--domain", domain]);
        let got = (
            &answer["decision"]["outbound"],
            &answer["source"],
            &answer["matcher"],
        );
        let expected = (&outbound.into(), &source.into(), &matcher);
        assert_eq!(got, expected, "{process} {domain}");
    }
    let nothing = daemon.json(&["explain"]);
    assert_eq!(
        (&nothing["source"], &nothing["matcher"]),
        (&"default".into(), &Value::Null)
    );
}

/// Two links to the outside; what a name server at 8.8.8.8 knows; two proxies of a home network.
struct Boltconn {
    host: Namespace,
    inet: Namespace,
    _directory: tempfile::TempDir,
    _running: Vec<Running>,
}

const UP: &str = "172.31.0.1";
const TUNNEL: &str = "172.31.9.1";
const LAN_HTTP: &str = "172.31.0.80";
const LAN_SOCKS: &str = "172.31.0.108";
/// Where all names lead.
const SITE: &str = "9.9.9.9";

impl Boltconn {
    fn new() -> Self {
        let (host, inet) = (Namespace::new("bolthost"), Namespace::new("boltinet"));
        host.join(("up0", "172.31.0.1/24"), &inet, ("down0", "172.31.0.2/24"));
        host.ip(&["route", "add", "default", "via", "172.31.0.2"]);
        for address in [LAN_HTTP, LAN_SOCKS] {
            host.ip(&["address", "add", &format!("{address}/32"), "dev", "up0"]);
        }
        for address in ["172.17.10.1", "192.168.1.1", "8.8.8.8"] {
            host.ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        inet.ip(&["address", "add", &format!("{SITE}/32"), "dev", "lo"]);
        let directory = tempfile::tempdir().unwrap();
        let names = [
            "www.wikipedia.org",
            "maps.google.com",
            "twitter.com",
            "example.org",
            "apple.com",
        ];
        let known = names.map(|name| format!("{name}={SITE}"));
        let mut words = vec!["dns", "8.8.8.8"];
        words.extend(known.iter().map(String::as_str));
        let hosts = format!("\"maps.google.com\":\"{SITE}\",\"t.me\":\"{SITE}\"");
        let proxy = |at: &str, address| {
            leaving_by(
                &host,
                directory.path(),
                at.parse().unwrap(),
                address,
                &hosts,
            )
        };
        let running = vec![
            inet.inet(&["web"]),
            host.inet(&words),
            proxy("172.17.10.1:8080", LAN_HTTP),
            proxy("192.168.1.1:1080", LAN_SOCKS),
        ];
        Self {
            host,
            inet,
            _directory: directory,
            _running: running,
        }
    }

    /// The VPN comes up: another link, which no route of the main table prefers.
    fn tunnel_up(&self) {
        self.host.join(
            ("tun1", "172.31.9.1/24"),
            &self.inet,
            ("far1", "172.31.9.2/24"),
        );
        let words = [
            "route",
            "add",
            "default",
            "via",
            "172.31.9.2",
            "dev",
            "tun1",
            "metric",
            "1000",
        ];
        self.host.ip(&words);
    }
}

#[test]
fn the_boltconn_sample_serves() {
    let Some(config) = sample("boltconn/config.yml") else {
        return;
    };
    let checked = std::process::Command::new(client_path())
        .args(["--format", "json", "check"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let world = Boltconn::new();
    let daemon = Daemon::start(&Start {
        config: config.to_str().unwrap(),
        namespace: Some(&world.host.name),
        ..Start::default()
    });
    let served: Vec<_> = daemon.ready.values().collect();
    assert_eq!(served, [&("mixed".to_owned(), "127.0.0.1:7890".to_owned())]);
    // (name, from where it arrives or the status, outbound, member, what the error says)
    let check = |name: &str, expected: &str, outbound: &str, member: Option<&str>, why: &str| {
        assert_eq!(
            arrives_from(&world.host, name),
            expected,
            "{name}\n{:#}",
            daemon.last_flow()
        );
        let flow = daemon.last_flow();
        assert_eq!(
            (&flow["outbound"], &flow["member"]),
            (&outbound.into(), &member.into()),
            "{flow}"
        );
        let error = flow["error"].as_str().unwrap_or_default();
        assert!(
            error.contains(why) && error.is_empty() == why.is_empty(),
            "{name}: {error}"
        );
    };
    check("example.org", UP, "DIRECT", None, "");
    check("twitter.com", "403", "REJECT", None, "");
    check("maps.google.com", LAN_HTTP, "Relay", Some("lan_http"), "");
    check("t.me", LAN_SOCKS, "lan_socks", None, "");
    // Shadowsocks is not built; it never goes another way.
    check(
        "apple.com",
        "502",
        "US",
        Some("Redmond"),
        "type ss, which is not built yet",
    );
    // By an interface that is not there, and then is.
    check("www.wikipedia.org", "502", "VPN", Some("DIRECT"), "tun1");
    world.tunnel_up();
    check("www.wikipedia.org", TUNNEL, "VPN", Some("DIRECT"), "");
    check("example.org", UP, "DIRECT", None, "");
    // A group that is a member brings its interface along.
    for (member, from, last) in [
        ("DIRECT", UP, "DIRECT"),
        ("VPN", TUNNEL, "DIRECT"),
        ("lan_socks", LAN_SOCKS, "lan_socks"),
    ] {
        let selected = daemon.client(&["outbounds", "select", "Relay", member]);
        assert!(selected.status.success(), "{selected:?}");
        check("maps.google.com", from, "Relay", Some(last), "");
    }
}
