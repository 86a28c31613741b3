//! Single values: addresses, durations, sizes, secrets.

use crate::list::Shelf;
use std::path::Path;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::files::Memory;
use crate::input::Input;
use crate::problem::Source;
use crate::setup::NameServer;
use crate::yaml;

#[test]
fn native_durations() {
    let check = |text: &str, expected: Option<u64>| {
        let got = parse_duration(text).ok().map(|d| d.as_millis() as u64);
        assert_eq!(got, expected, "{text}");
    };
    check("100ms", Some(100));
    check("30s", Some(30_000));
    check("5m", Some(300_000));
    check("1h", Some(3_600_000));
    check("1d", Some(86_400_000));
    check("0s", Some(0));
    check("1h30m", None);
    check("1.5s", None);
    check("-1s", None);
    check("+1s", None);
    check("30", None);
    check("s", None);
    check("", None);
    check("30 s", None);
    check("30S", None);
    check("99999999999999999999s", None);
    check("200000d", None);
}

#[test]
fn go_durations() {
    let check = |text: &str, expected: Option<i64>| {
        assert_eq!(parse_go_duration(text).ok(), expected, "{text}");
    };
    check("0", Some(0));
    check("-0", Some(0));
    check("100ms", Some(100_000_000));
    check("30s", Some(30_000_000_000));
    check("1m30s", Some(90_000_000_000));
    check("1h15m30.918s", Some(4_530_918_000_000));
    check("1.5h", Some(5_400_000_000_000));
    check(".5s", Some(500_000_000));
    check("1.s", Some(1_000_000_000));
    check("-1s", Some(-1_000_000_000));
    check("+5s", Some(5_000_000_000));
    check("10us", Some(10_000));
    check("10µs", Some(10_000));
    check("7ns", Some(7));
    check("0.3333333333333333333h", Some(1_200_000_000_000 - 1));
    check("9223372036854775807ns", Some(i64::MAX));
    check("9223372036854775808ns", None);
    check("99999999999999999999999h", None);
    check("3000000h", None);
    check("1d", None);
    check("30", None);
    check("", None);
    check("-", None);
    check(".s", None);
    check("1s ", None);
    check("1s2", None);
}

#[test]
fn endpoints() {
    let check = |text: &str, expected: &str| {
        let got = parse_endpoint(text, Path::new("conf"), EmptyHost::Any);
        let got = match got {
            Ok(Endpoint::Tcp(server)) => format!("tcp {server}"),
            Ok(Endpoint::Udp(server)) => format!("udp {server}"),
            Ok(Endpoint::Unix(path)) => format!("unix {}", path.display()),
            Ok(Endpoint::Fd(number)) => format!("fd {number}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{text}");
    };
    check("tcp://0.0.0.0:5432", "tcp 0.0.0.0:5432");
    check("tcp://[::1]:1", "tcp [::1]:1");
    check("tcp://[::ffff:1.2.3.4]:1", "tcp 1.2.3.4:1");
    check("tcp://:80", "tcp [::]:80");
    check("tcp://Www.Example.COM:0", "tcp www.example.com:0");
    check("unix:///run/pg.sock", "unix /run/pg.sock");
    check("unix://pg.sock", "unix conf/pg.sock");
    check("fd://3", "fd 3");
    check("unix://", "`` has no path");
    check(
        "unix://@x",
        "`@x` names an abstract socket; only sockets with a path are supported",
    );
    check(
        "fd://-1",
        "`-1` is no descriptor; write its number, as in `3`",
    );
    check(
        "fd://+1",
        "`+1` is no descriptor; write its number, as in `3`",
    );
    check("tcp://a", "`a` has no port; write `host:port`");
    check(
        "tcp://a:http",
        "the port `http` is not a number from 0 to 65535",
    );
    check(
        "tcp://a:65536",
        "the port `65536` is not a number from 0 to 65535",
    );
    check(
        "tcp://a:+1",
        "the port `+1` is not a number from 0 to 65535",
    );
    check(
        "tcp://::1:80",
        "`::1:80` must have its IPv6 address in brackets, as in `[::1]:53`",
    );
    check("tcp://[::1:80", "`[::1:80` has no port; write `host:port`");
    check("tcp://a b:80", "`a b` is neither a name nor an address");
    check(
        "a:80",
        "`a:80` must begin with one of `tcp://`, `udp://`, `unix://`, `fd://`",
    );
    check(
        "quic://a:80",
        "`quic://a:80` must begin with one of `tcp://`, `udp://`, `unix://`, `fd://`",
    );
}

#[test]
fn places_to_go_to_have_a_host_and_a_port() {
    assert_eq!(parse_server(":80"), Err(BadAddress::Host(String::new())));
    assert_eq!(parse_server("a:0"), Err(BadAddress::Port("0".into(), 1)));
    assert_eq!(parse_server("a:1").unwrap().to_string(), "a:1");
}

#[test]
fn listening_addresses() {
    let check = |text: &str, expected: Option<&str>| {
        let got = parse_bind(text).ok().map(|address| address.to_string());
        assert_eq!(got.as_deref(), expected, "{text}");
    };
    check("7890", Some("127.0.0.1:7890"));
    check("0", Some("127.0.0.1:0"));
    check(":7890", Some("[::]:7890"));
    check("localhost:1", Some("127.0.0.1:1"));
    check("[::1]:7890", Some("[::1]:7890"));
    check("192.168.1.1:7890", Some("192.168.1.1:7890"));
    check("", None);
    check("example.com:80", None);
    check("127.0.0.1", None);
    check("70000", None);
}

#[test]
fn name_servers() {
    let check = |text: &str, expected: &str| {
        let got = match parse_name_server(text) {
            Ok(NameServer::Udp(place)) => format!("udp {place}"),
            Ok(NameServer::Tcp(place)) => format!("tcp {place}"),
            Ok(NameServer::NotYet(why)) => why,
            Ok(server @ (NameServer::Https(_) | NameServer::Tls(_))) => server.to_string(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{text}");
    };
    check("udp://192.168.1.1", "udp 192.168.1.1:53");
    check("udp://2001:db8::1", "udp [2001:db8::1]:53");
    check("udp://[::1]", "udp [::1]:53");
    check("tcp://[::1]:5353", "tcp [::1]:5353");
    check("udp://fe80::1%eth0", "udp [fe80::1%eth0]:53");
    check("udp://[fe80::1%eth0.7]", "udp [fe80::1%eth0.7]:53");
    check("tcp://[fe80::1%3]:5353", "tcp [fe80::1%3]:5353");
    for bad in [
        "::1%eth0",
        "1.1.1.1%eth0",
        "fe80::1%",
        "[fe80::1%a/b]:53",
        "[fe80::1%eth0",
        "fe80::1%sixteen-letters-",
        "[fe80::1%eth0]53",
    ] {
        let why = "only a link-local IPv6 address has an interface behind it, as in `fe80::1%eth0`";
        check(&format!("udp://{bad}"), &format!("`{bad}`: {why}"));
    }
    check("system", "System");
    check("https://1.1.1.1", "https 1.1.1.1:443/dns-query");
    check(
        "https://a.test:8443/q?x=%20{?dns}",
        "https a.test:8443/q?x=%20",
    );
    check("https://[::1]/q", "https [::1]:443/q");
    check("tls://dns.google", "tls dns.google:853");
    check("tls://[::1]:8853", "tls [::1]:8853");
    check("tls://::1", "tls [::1]:853");
    check("quic://dns.google", "DNS over `quic://`");
    for (bad, why) in [
        ("https://", "`` is neither a name nor an address"),
        (
            "https://u:p@a.test/q",
            "the port `p@a.test` is not a number from 1 to 65535",
        ),
        (
            "https://u@a.test/q",
            "`u@a.test` is neither a name nor an address",
        ),
        ("https://a.test/q#x", "`/q#x` is no path of a URL"),
        ("https://a.test/q x", "`/q x` is no path of a URL"),
        (
            "tls://a.test/q",
            "`a.test/q` is neither a name nor an address",
        ),
        (
            "tls://a.test:0",
            "the port `0` is not a number from 1 to 65535",
        ),
    ] {
        check(bad, why);
    }
    check(
        "udp://dns.google",
        "`dns.google` must be an address: a name server is not looked up by name",
    );
    check(
        "udp://dns.google:53",
        "`dns.google` must be an address: a name server is not looked up by name",
    );
    check(
        "udp://1.1.1.1:0",
        "the port `0` is not a number from 1 to 65535",
    );
    check(
        "1.1.1.1",
        "`1.1.1.1` must begin with one of `udp://`, `tcp://`, `tls://`, `https://`",
    );
}

/// Reads `text` with a reader, shows what it gave and its problems.
fn read(text: &str, reader: impl Fn(&Node, &Input<'_>, &mut Problems) -> String, expected: Expect) {
    let mut files = Memory::new([("conf/key", "s3cret\r\n"), ("conf/empty", "\n")]);
    files.variables.insert("TOKEN".into(), "s3cret".into());
    let source = Source::open("t.yaml", text.into());
    let mut problems = Problems::default();
    let node = yaml::parse(&source, &mut problems).unwrap();
    let input = Input {
        source,
        path: "conf/t.yaml".into(),
        directory: "conf".into(),
        files: &files,
        state: None,
        shelf: &Shelf::fresh(),
        lists: Default::default(),
        patience: Default::default(),
    };
    let mut shown = reader(&node, &input, &mut problems);
    for problem in &problems.0 {
        shown.push_str(&format!("\n{problem}"));
    }
    expected.assert_eq(&shown);
}

fn check_size(text: &str, expected: Expect) {
    let reader = |n: &Node, _: &Input<'_>, p: &mut Problems| format!("{:?}", size(n, "`max`", p));
    read(text, reader, expected);
}

#[test]
fn sizes() {
    check_size("512B", expect!["Some(512)"]);
    check_size("16KiB", expect!["Some(16384)"]);
    check_size("1GiB", expect!["Some(1073741824)"]);
    check_size(
        "16KB",
        expect![[r#"
        None
        t.yaml:1:1: error[invalid-value]: `max` must be a size such as `512B`, `16KiB` or `8MiB`
          | 16KB
          | ^^^^"#]],
    );
    check_size(
        "99999999999999GiB",
        expect![[r#"
        None
        t.yaml:1:1: error[invalid-value]: `max` must be a size such as `512B`, `16KiB` or `8MiB`
          | 99999999999999GiB
          | ^^^^^^^^^^^^^^^^^"#]],
    );
}

fn check_secret(text: &str, expected: Expect) {
    let reader = |node: &Node, input: &Input<'_>, problems: &mut Problems| {
        let mut files = Vec::new();
        let secret = secret(node, "`password`", input, &mut files, problems);
        let shown = format!("{secret:?} {files:?}");
        assert!(!shown.contains("s3cret"));
        format!("{} {shown}", secret.is_some_and(|s| s.is("s3cret")))
    };
    read(text, reader, expected);
}

#[test]
fn secrets_come_from_three_places_and_are_never_shown() {
    check_secret("s3cret", expect!["true Some(Secret(...)) []"]);
    check_secret(
        "{ from_file: key }",
        expect![[r#"true Some(Secret(...)) ["conf/key"]"#]],
    );
    check_secret("{ from_env: TOKEN }", expect!["true Some(Secret(...)) []"]);
    check_secret(
        "{ from_file: empty }",
        expect![[r#"
        false None ["conf/empty"]
        t.yaml:1:14: error[empty-secret]: `password`: `empty` is empty
          | { from_file: empty }
          |              ^^^^^"#]],
    );
    check_secret(
        "{ from_file: none }",
        expect![[r#"
        false None []
        t.yaml:1:14: error[missing-file]: `password`: `none` cannot be read: entity not found
          | { from_file: none }
          |              ^^^^"#]],
    );
    check_secret(
        "{ from_env: NONE }",
        expect![[r#"
        false None []
        t.yaml:1:13: error[empty-secret]: `password`: the environment has no `NONE`
          | { from_env: NONE }
          |             ^^^^"#]],
    );
    check_secret(
        "{ from_env: TOKEN, from_file: key }",
        expect![[r#"
        false None []
        t.yaml:1:1: error[invalid-value]: `password` needs one of `from_file` and `from_env`
          | { from_env: TOKEN, from_file: key }
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#]],
    );
    check_secret(
        "{ from_fil: key }",
        expect![[r#"
        false None []
        t.yaml:1:3: error[unknown-key]: `password` has no key `from_fil`
          | { from_fil: key }
          |   ^^^^^^^^
          hint: did you mean `from_file`?
        t.yaml:1:1: error[invalid-value]: `password` needs one of `from_file` and `from_env`
          | { from_fil: key }
          | ^^^^^^^^^^^^^^^^^"#]],
    );
    check_secret(
        "[1]",
        expect![[r#"
            false None []
            t.yaml:1:1: error[wrong-type]: `password` must be a text
              | [1]
              | ^^^"#]],
    );
}

proptest! {
    #[test]
    fn no_text_breaks_a_reader(text in "[0-9a-zµ.:/@+-]{0,24}|\\PC{0,24}") {
        let _ = parse_duration(&text);
        let _ = parse_go_duration(&text);
        let _ = parse_bind(&text);
        let _ = parse_name_server(&text);
        if let Ok(Endpoint::Tcp(server)) = parse_endpoint(&text, Path::new(""), EmptyHost::Refused) {
            prop_assert!(server.port != 0);
        }
    }

    #[test]
    fn a_server_reads_as_it_is_printed(text in "([a-z]{1,8}(\\.[a-z]{1,8})?|\\[[0-9a-f]{1,4}::[0-9a-f]{1,4}\\]|[0-9]{1,3}\\.1\\.1\\.1):[0-9]{1,5}") {
        if let Ok(server) = parse_server(&text) {
            prop_assert_eq!(parse_server(&server.to_string()), Ok(server));
        }
    }
}
