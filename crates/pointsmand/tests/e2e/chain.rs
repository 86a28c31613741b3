//! Ways out through other proxies: real ones, chains of them, wrong logins, dead and broken ones.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::process::Command;

use crate::client::{echoes, socks};
use crate::curl;
use crate::daemon::Daemon;
use crate::origin::{Http, echo, nobody};
use crate::upstream::{NAME, PASSWORD, SingBox, USER, scripted};

const MIXED: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n";

/// A daemon with these ways out, where all goes by `last`.
fn daemon(outbounds: &str, last: &str) -> Daemon {
    Daemon::native(&format!(
        "{MIXED}outbounds:\n{outbounds}rules:\n  - FALLBACK, {last}\n"
    ))
}

/// The code that curl got of the proxy and the origin, by HTTP.
fn http_code(daemon: &Daemon, url: &str) -> String {
    let proxy = format!("http://{}", daemon.address("desk"));
    let words = ["--proxy", &proxy, "--write-out", "|%{http_code}", url];
    let (text, _) = curl(&words);
    text.rsplit('|').next().unwrap().to_owned()
}

/// The code of the SOCKS answer, by curl's last words: `... (5)`. The test's own process serves some of the proxies,
/// so flows of its own would go direct.
fn socks_code(daemon: &Daemon, url: &str) -> u8 {
    let proxy = format!("socks5h://{}", daemon.address("desk"));
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "",
        ])
        .args(["--proxy", &proxy, url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = said
        .trim()
        .rsplit_once('(')
        .map(|(_, code)| code.trim_end_matches(')'));
    code.and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn names_reach_the_last_proxy_as_names() {
    let origin = Http::start("origin");
    let port = origin.address.port();
    let sing_box = SingBox::start();
    // A second daemon of ours that knows the name too; its system does not.
    let second = Daemon::native(&format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\", users: {{ bob: \"pass word\" }} }}\n\
         dns: {{ upstreams: {{ none: \"udp://127.0.0.1:9\" }}, hosts: {{ {NAME}: 127.0.0.1 }} }}\n\
         policy: |\n  direct\n"
    ));
    let login = format!("username: {USER}, password: \"{PASSWORD}\"");
    let (socks_at, http_at, second_at) = (sing_box.socks, sing_box.http, second.address("desk"));
    let outbounds = format!(
        "  socks: {{ type: socks5, server: \"{socks_at}\", {login} }}\n\
         \x20 http: {{ type: http, server: \"{http_at}\", {login} }}\n\
         \x20 ours: {{ type: socks5, server: \"{second_at}\", username: bob, password: \"pass word\" }}\n\
         \x20 ours-http: {{ type: http, server: \"{second_at}\", username: bob, password: \"pass word\" }}\n\
         \x20 socks-http: {{ type: chain, hops: [socks, http] }}\n\
         \x20 http-socks: {{ type: chain, hops: [http, socks] }}\n\
         \x20 deep: {{ type: chain, hops: [socks, http, ours] }}\n\
         \x20 deep-back: {{ type: chain, hops: [ours-http, socks, http] }}\n"
    );
    // Who is last, and where the second daemon was asked to go.
    let ours_is_last = Some((NAME.to_owned(), port));
    let ours_is_first = Some((socks_at.ip().to_string(), socks_at.port()));
    let cases = [
        ("socks", None),
        ("http", None),
        ("ours", ours_is_last.clone()),
        ("ours-http", ours_is_last.clone()),
        ("socks-http", None),
        ("http-socks", None),
        ("deep", ours_is_last),
        ("deep-back", ours_is_first),
    ];
    let url = format!("http://{NAME}:{port}/x");
    for (outbound, second_saw) in cases {
        let daemon = daemon(&outbounds, outbound);
        for scheme in ["socks5h", "http"] {
            let proxy = format!("{scheme}://{}", daemon.address("desk"));
            let said_before = sing_box.log().matches(&format!("{NAME}:{port}")).count();
            let (text, code) = curl(&["--proxy", &proxy, &url]);
            let expected = format!("origin GET /x host={NAME}:{port} body=0\n");
            assert_eq!((text, code), (expected, 0), "{outbound} by {scheme}");
            match &second_saw {
                Some((host, port)) => {
                    let saw = second.last_flow();
                    assert_eq!(saw["destination"]["host"], *host, "{outbound}: {saw}");
                    assert_eq!(saw["destination"]["port"], *port, "{outbound}: {saw}");
                    assert_eq!(saw["inbound"]["user"], "bob");
                }
                None => {
                    let said = sing_box.log().matches(&format!("{NAME}:{port}")).count();
                    assert!(said > said_before, "{outbound}:\n{}", sing_box.log());
                }
            }
            let flow = daemon.last_flow();
            assert_eq!(flow["outbound"], *outbound);
            assert_eq!(flow["action"], "proxy");
            assert_eq!(flow["domain"], NAME);
        }
    }
    // The name is nobody else's: by itself the first daemon cannot reach it.
    let direct = daemon(&outbounds, "DIRECT");
    assert_eq!(http_code(&direct, &url), "502");
    let error = direct.last_flow()["error"].as_str().unwrap().to_owned();
    assert!(error.contains(NAME), "{error}");
}

#[test]
fn failures_name_the_proxy_and_what_it_said() {
    let sing_box = SingBox::start();
    let (dead, origin) = (nobody(), Http::start("origin"));
    let gone = scripted(&[b""]);
    let babble = scripted(&[b"SSH-2.0-OpenSSH_9.2\r\n"]);
    let refused = scripted(&[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"]);
    let unreachable = scripted(&[b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"]);
    let forbidden = scripted(&[b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]);
    let slow = scripted(&[b"HTTP/1.1 504 Gateway Timeout\r\n\r\n"]);
    let wrong = format!("username: {USER}, password: wr0ng-word");
    let socks_proxy =
        |at, rest: &str| format!("  out: {{ type: socks5, server: \"{at}\"{rest} }}\n");
    let http_proxy = |at, rest: &str| format!("  out: {{ type: http, server: \"{at}\"{rest} }}\n");
    let with_wrong = format!(", {wrong}");
    let login = "the proxy `out` does not accept our login";
    let no_connect = format!("outbound `out` could not connect: {dead}: Connection refused");
    // The outbound; what the record says; the SOCKS code (RFC 1928, 6); the HTTP status.
    let cases = [
        (socks_proxy(sing_box.socks, &with_wrong), login, 1, "502"),
        (socks_proxy(sing_box.socks, ""), login, 1, "502"),
        (http_proxy(sing_box.http, &with_wrong), login, 1, "502"),
        (http_proxy(sing_box.http, ""), login, 1, "502"),
        (socks_proxy(dead, ""), no_connect.as_str(), 5, "502"),
        (http_proxy(dead, ""), no_connect.as_str(), 5, "502"),
        (socks_proxy(gone, ""), "closed the connection", 1, "502"),
        (http_proxy(gone, ""), "closed the connection", 1, "502"),
        (socks_proxy(babble, ""), "broke its protocol", 1, "502"),
        (http_proxy(babble, ""), "broke its protocol", 1, "502"),
        (socks_proxy(refused, ""), "connection refused", 5, "502"),
        (socks_proxy(unreachable, ""), "host unreachable", 4, "502"),
        (http_proxy(forbidden, ""), "status 403", 1, "502"),
        (http_proxy(slow, ""), "status 504", 6, "504"),
    ];
    for (outbound, reason, code, status) in &cases {
        let daemon = daemon(outbound, "out");
        assert_eq!(socks_code(&daemon, "http://a.test/"), *code, "{outbound}");
        for by in ["SOCKS", "HTTP"] {
            if by == "HTTP" {
                assert_eq!(http_code(&daemon, &origin.url()), *status, "{outbound}");
            }
            let flow = daemon.last_flow();
            assert_eq!(flow["ended"], "failed", "{flow}");
            let error = flow["error"].as_str().unwrap();
            assert!(error.contains(reason), "{outbound}: {error}");
        }
        assert!(!daemon.log().contains("wr0ng-word"), "{}", daemon.log());
    }
    // None of them went direct instead.
    assert!(origin.heads.lock().unwrap().is_empty());
}

/// As OpenSSH's `-D` where it does not reach the target: no answer, and the end.
#[test]
fn a_proxy_that_closes_instead_of_answering_is_told_as_that() {
    let at = scripted(&[b"\x05\x00", b""]);
    let daemon = daemon(
        &format!("  out: {{ type: socks5, server: \"{at}\" }}\n"),
        "out",
    );
    assert_eq!(socks_code(&daemon, "http://a.test/"), 1);
    assert_eq!(
        daemon.last_flow()["error"],
        "the proxy `out` closed the connection instead of answering the SOCKS5 request to connect: it may not reach the target \
         (`ssh -D` says so in this way)"
    );
}

#[test]
fn a_switch_moves_new_flows_and_leaves_old_ones() {
    let (mut one, two) = (SingBox::start(), SingBox::start());
    let outbound = |name: &str, at| {
        format!(
            "  {name}: {{ type: socks5, server: \"{at}\", username: {USER}, password: \"{PASSWORD}\" }}\n"
        )
    };
    let outbounds = outbound("one", one.socks)
        + &outbound("two", two.socks)
        + "  pick: { type: select, members: [one, two] }\n";
    let daemon = daemon(&outbounds, "pick");
    let echo = echo();
    let ask = || socks(daemon.address("desk"), &echo.ip().to_string(), echo.port()).unwrap();
    let (code, mut old) = ask();
    assert_eq!((code, echoes(&mut old, "before")), (0, true));
    assert!(
        daemon
            .client(&["outbounds", "select", "pick", "two"])
            .status
            .success()
    );
    let (code, mut new) = ask();
    assert_eq!((code, echoes(&mut new, "after")), (0, true));
    assert!(echoes(&mut old, "still"));
    let flows = daemon.json(&["flows", "list"]);
    let members: Vec<_> = flows["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["member"])
        .collect();
    assert_eq!(members, ["one", "two"], "{flows}");
    // Where each really goes: without the first proxy the old flow ends, the new one does not.
    one.kill();
    assert!(!echoes(&mut old, "gone"));
    assert!(echoes(&mut new, "still"));
    drop(two);
}

#[test]
fn many_bytes_and_the_end_of_each_side_pass_every_hop() {
    const LENGTH: usize = 16 << 20;
    let sing_box = SingBox::start();
    let second = Daemon::native(&format!("{MIXED}policy: |\n  direct\n"));
    let login = format!("username: {USER}, password: \"{PASSWORD}\"");
    let (socks_at, http_at) = (sing_box.socks, sing_box.http);
    let outbounds = format!(
        "  socks: {{ type: socks5, server: \"{socks_at}\", {login} }}\n\
         \x20 http: {{ type: http, server: \"{http_at}\", {login} }}\n\
         \x20 ours: {{ type: http, server: \"{}\" }}\n\
         \x20 deep: {{ type: chain, hops: [ours, socks, http] }}\n",
        second.address("desk")
    );
    let echo = echo();
    // A period that is prime to every buffer's size.
    let sent: Vec<u8> = (0..251_u8).cycle().take(LENGTH).collect();
    for outbound in ["DIRECT", "socks", "http", "ours", "deep"] {
        let daemon = daemon(&outbounds, outbound);
        let (code, mut reader) =
            socks(daemon.address("desk"), &echo.ip().to_string(), echo.port()).unwrap();
        assert_eq!(code, 0, "{outbound}");
        let mut writer = reader.try_clone().unwrap();
        let mut back = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            reader.read_to_end(&mut back).unwrap();
        });
        assert!(
            back.strip_suffix(b"bye") == Some(&sent),
            "{outbound}: {}",
            back.len()
        );
        let flow = daemon.last_flow();
        assert_eq!(flow["bytes_sent"], LENGTH, "{flow}");
        assert_eq!(flow["bytes_received"], LENGTH + 3, "{flow}");
        assert_eq!(flow["ended"], "closed", "{flow}");
    }
}
