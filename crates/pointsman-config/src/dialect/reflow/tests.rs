//! What loads, what is refused and how that is told, and how the sample decides.

use std::path::Path;

use expect_test::{Expect, expect};
use pointsman_policy::fact::{Look, Protocol};
use pointsman_policy::{Domain, Fact, Facts, Host, Policy, Provenance, Step};

use crate::damage;
use crate::files::{Disk, Memory};
use crate::load::{Loaded, load};
use crate::setup::Dialect;

const ZONES: [(&str, &str); 8] = [
    (
        "c/namezone/hidden",
        "# hidden\norg.example.www # exact\norg.twig\n",
    ),
    ("c/namezone/plain", "org.search.www\n"),
    ("c/namezone/ads/a", "net.clicks\n"),
    ("c/namezone/ads/b", "org.example.ad\n"),
    ("c/addrzone/office/one", "10.3.5.0/24\n"),
    ("c/addrzone/office/two", "192.168.100.0/24\n"),
    ("c/addrzone/mars", "192.168.131.0/24\n192.1.1.1\n"),
    ("c/addrzone/home", "192.168.1.0/24\n2001:db8::1/56\n"),
];

/// Loads `config` beside [`ZONES`].
fn load_config(config: &str) -> Loaded {
    let files = Memory::new(ZONES.into_iter().chain([("c/config", config)]));
    load(Path::new("c"), None, None, &files)
}

fn rendered(loaded: &Loaded) -> String {
    loaded.problems.0.iter().map(|p| format!("{p}\n")).collect()
}

/// A configuration that loads without an error.
fn check_good(config: &str) {
    let loaded = load_config(config);
    assert!(
        !loaded.problems.has_errors(),
        "{config}\n{}",
        rendered(&loaded)
    );
    assert!(loaded.setup.is_some(), "{config}");
}

/// All problems of a configuration, as printed.
fn check_problems(config: &str, expected: Expect) {
    let loaded = load_config(config);
    assert!(loaded.setup.is_none(), "{config}");
    expected.assert_eq(&rendered(&loaded));
}

#[test]
fn good_configurations_load() {
    check_good("rule r = direct");
    check_good("rule r = any[direct]\n");
    check_good("rule r = any [direct ]\n");
    check_good("rule r = cond ip { mars => direct }\n");
    check_good("rule r=cond ip{mars=>direct}\n");
    check_good(
        "rule r = any [\r\n  direct # always\r\n]\r\nrelay {\r\n rule=r\r\n listen=socks5 127.0.0.1:0\r\n}\r\n",
    );
    check_good("# only a comment\n");
    check_good("");
    check_good("egress e = socks5 [::1]:1080 # comment\negress f = bind 10.0.0.1#comment\n");
    check_good(
        "relay {\n resolver=p|tcp 1.1.1.1:53\n listen=socks5 127.0.0.1:0\n rule=r\n}\nrule r=direct\negress p=socks5 127.0.0.1:1",
    );
    check_good(
        "relay {listen=socks5 127.0.0.1:0\n\n# c\nrule=r }\nrule r = p\negress p = socks5 127.0.0.1:1",
    );
    check_good("rule r = any[ cond port eq 22 => any[\n direct ]\n reset\n]");
    check_good(
        "dns {\n forward={\n hidden => tcp 1.1.1.1:53\n else => udp 1.1.1.1:53 }\n listen=udp 127.0.0.1:5353\n}",
    );
    check_good("rule r = cond protocol { quic => direct\n other => reset }");
    check_good("rule r = cond user-agent has \"curl\" => direct");
}

#[test]
fn what_is_wrong_is_told() {
    let check = check_problems;
    check(
        "rule r = any[direct reset]\n",
        expect![[r#"
            config:1:21: error[unexpected-text]: `reset` is left over: a line holds one branch
              | rule r = any[direct reset]
              |                     ^^^^^
              hint: put it on a line of its own, or remove it
        "#]],
    );
    check(
        "rule r = any[]\nrule s = cond domain {}\n",
        expect![[r#"
            config:1:10: error[empty-list]: this `any` has no branches
              | rule r = any[]
              |          ^^^^^
              hint: add a branch, or remove it
            config:2:10: error[empty-list]: this `cond domain` has no keys
              | rule s = cond domain {}
              |          ^^^^^^^^^^^^^^
              hint: add a line `key => branch`, or remove it
        "#]],
    );
    check(
        "rule r = any[\n cond port neq 22 => direct\n cond port eq 70000 => direct\n cond user eq bob => direct\n direct\n]\n",
        expect![[r#"
            config:2:12: error[unknown-operator]: `neq` is no operator here
              |  cond port neq 22 => direct
              |            ^^^
              hint: write `not` before the condition: `cond not port eq 22 => ...`
            config:3:15: error[invalid-value]: `70000` is no port
              |  cond port eq 70000 => direct
              |               ^^^^^
              hint: a number from 0 to 65535, a range `8000-8100`, or `443/tcp`
            config:4:7: error[unknown-subject]: `cond` knows no `user`
              |  cond user eq bob => direct
              |       ^^^^
              hint: did you mean `process.user`?
        "#]],
    );
    check(
        "rule r = cond user { bob => direct }\n",
        expect![[r#"
            config:1:15: error[unknown-subject]: `cond` knows no `user` with a list of keys
              | rule r = cond user { bob => direct }
              |               ^^^^
              hint: `cond domain`, `cond ip` and `cond protocol` have one
        "#]],
    );
    check(
        "egress p = socks5 localhost:1080\negress q = bind eth0\negress s = http 127.0.0.1:1\negress = bind 1.1.1.1\n",
        expect![[r#"
            config:1:19: error[invalid-address]: `localhost:1080` is no IP address and port
              | egress p = socks5 localhost:1080
              |                   ^^^^^^^^^^^^^^
              hint: write the address in numbers: `127.0.0.1:1080` or `[::1]:1080`
            config:2:17: error[invalid-address]: `eth0` is no IP address
              | egress q = bind eth0
              |                 ^^^^
              hint: the address of an interface, such as `192.168.1.2`
            config:3:12: error[unknown-method]: an egress has no method `http`
              | egress s = http 127.0.0.1:1
              |            ^^^^
              hint: write `socks5 ADDRESS:PORT` or `bind ADDRESS`
            config:4:8: error[unexpected-text]: `=` stands here, but the name of an egress is expected
              | egress = bind 1.1.1.1
              |        ^
        "#]],
    );
    check(
        "dns {\n listen=udp 127.0.0.1:53\n forward={\n hidden => udp 1.1.1.1:53\n }\n}\n",
        expect![[r#"
            config:1:1: note[not-yet]: not yet: the DNS proxy; its names are checked, nothing listens
              | dns {
              | ^^^
            config:3:10: error[missing-key]: `forward` needs the key `else`
              |  forward={
              |          ^
              hint: add `else => udp ADDRESS:53` for all other names
        "#]],
    );
    check(
        "relay {\n listen=socks5 127.0.0.1:1080\n}\nrelay {\n rule=nosuch\n listen=socks5 127.0.0.1:0\n listen=http 127.0.0.1:0\n lissten=x\n}",
        expect![[r#"
            config:1:1: error[missing-key]: `relay` needs the key `rule`
              | relay {
              | ^^^^^
            config:5:7: error[unknown-policy]: there is no rule `nosuch`
              |  rule=nosuch
              |       ^^^^^^
              hint: add `rule nosuch = ...`
            config:7:2: error[duplicate-key]: `listen` is given twice
              |  listen=http 127.0.0.1:0
              |  ^^^^^^
              config:6:2: first here
            config:7:9: error[unknown-method]: there is no listener `http` here
              |  listen=http 127.0.0.1:0
              |         ^^^^
              hint: write `socks5 ADDRESS:PORT`
            config:8:2: error[unknown-key]: `relay` has no key `lissten`
              |  lissten=x
              |  ^^^^^^^
              hint: did you mean `listen`?
        "#]],
    );
    check(
        "rule a = direct\ngarbage here [ a\nb ]\nrule b = direct }\n",
        expect![[r#"
            config:2:1: error[unknown-item]: `garbage` begins no item
              | garbage here [ a
              | ^^^^^^^
              hint: items begin with egress, rule, relay or dns
            config:4:17: error[unexpected-text]: `}` is left over: a line holds one item (`egress`, `rule`, `relay`, `dns`)
              | rule b = direct }
              |                 ^
              hint: put it on a line of its own, or remove it
        "#]],
    );
    check(
        "rule r = any[\n proxy\n cond domain {\n hidden => direct\n hiden => direct\n mars => direct\n hidden => reset\n }\n cond protocol { htp => direct }\n]\n",
        expect![[r#"
            config:2:2: error[unknown-outbound]: there is no outbound `proxy`
              |  proxy
              |  ^^^^^
              hint: defined: direct, reset
            config:5:2: error[unknown-zone]: there is no name zone `hiden`
              |  hiden => direct
              |  ^^^^^
              hint: did you mean `hidden`?
            config:6:2: error[unknown-zone]: there is no name zone `mars`
              |  mars => direct
              |  ^^^^
              hint: `mars` is an address zone: it belongs in `cond ip`
            config:7:2: error[duplicate-key]: the key `hidden` is given twice
              |  hidden => reset
              |  ^^^^^^
              config:4:2: first here
              hint: join both branches in one `any [ ... ]`
            config:9:18: error[unknown-protocol]: there is no protocol `htp`
              |  cond protocol { htp => direct }
              |                  ^^^
              hint: did you mean `http`?
        "#]],
    );
    check(
        "rule r = any[\n direct\nrule s = any[\n direct }\negress p = bind 10.0.0.1\n",
        expect![[r#"
            config:1:13: error[unclosed]: this `[` is never closed
              | rule r = any[
              |             ^
              config:3:1: `rule` stands here
            config:3:13: error[unclosed]: this `[` is never closed
              | rule s = any[
              |             ^
              config:4:9: `}` stands here
        "#]],
    );
    check(
        "rule r = direct\nrule r = reset\negress direct = bind 10.0.0.1\negress any = bind 10.0.0.1\nrule bind = direct\negress e = bind 1.1.1.1\negress e = bind 1.1.1.1\n",
        expect![[r#"
            config:2:6: error[duplicate-name]: the rule `r` is defined twice
              | rule r = reset
              |      ^
              config:1:6: first here
            config:3:8: error[reserved-name]: `direct` is built in and cannot be redefined
              | egress direct = bind 10.0.0.1
              |        ^^^^^^
            config:4:8: error[reserved-name]: `any` is a word of the language and cannot be a name
              | egress any = bind 10.0.0.1
              |        ^^^
            config:5:6: error[reserved-name]: `bind` is a word of the language and cannot be a name
              | rule bind = direct
              |      ^^^^
            config:7:8: error[duplicate-outbound]: the outbound `e` is defined twice
              | egress e = bind 1.1.1.1
              |        ^
              config:6:8: first here
        "#]],
    );
    check(
        "relay { rule=r listen=socks5 127.0.0.1:1 }\nrule r = direct",
        expect![[r#"
        config:1:1: error[missing-key]: `relay` needs the key `listen`
          | relay { rule=r listen=socks5 127.0.0.1:1 }
          | ^^^^^
        config:1:16: error[unexpected-text]: `listen` is left over: a line holds one `key = value`
          | relay { rule=r listen=socks5 127.0.0.1:1 }
          |                ^^^^^^
          hint: put it on a line of its own, or remove it
    "#]],
    );
    check(
        "rule r = else => direct\nrule s = cond port eq 22 direct\nrule t =\n",
        expect![[r#"
            config:1:10: error[unexpected-text]: `else` belongs to the `cond` before it
              | rule r = else => direct
              |          ^^^^
              hint: write `else =>` on the line on which that branch ends, or inside its braces
            config:2:26: error[unexpected-text]: `direct` stands here, but `=>` after the condition is expected
              | rule s = cond port eq 22 direct
              |                          ^^^^^^
            config:3:8: error[unexpected-text]: the text ends here, but a branch (an outbound, `any [` or `cond`) is expected
              | rule t =
              |        ^
        "#]],
    );
}

// === decisions ===

/// A tree like the sample's, in names of its own.
const TREE: &str = "
egress privacy = socks5 127.0.0.1:2123
egress work = bind 192.168.33.83
egress proxy1 = socks5 127.0.0.1:7223
egress moon = bind 10.1.2.3
relay {
  rule = main
  listen = socks5 127.0.0.1:0
}
rule main = any [
  cond domain {
    hidden => privacy
    plain => cond protocol {
      http => reset
    }
    ads => reset
  }
  cond ip {
    office => work
    home => direct
  }
  cond protocol {
    ssh => any [
      cond ip {
        mars => moon
      }
      cond port eq 22 => proxy1
      direct
    ]
  }
  direct
]
";

fn facts(sniff: &str, destination: &str, resolved: &str) -> Facts {
    let (protocol, name) = sniff.split_once(' ').unwrap_or((sniff, ""));
    let protocol = match protocol {
        "http" => Protocol::Http,
        "ssh" => Protocol::Ssh,
        "tls" => Protocol::Tls,
        _ => Protocol::Other,
    };
    let look = Look {
        protocol,
        domain: Domain::parse(name).ok(),
        ..Look::default()
    };
    let (host, port) = destination.rsplit_once(':').unwrap();
    let resolved = resolved.parse().ok().map(|address| vec![address]);
    Facts {
        destination: Fact::Known(Host::parse(host).unwrap(), Provenance::Given),
        port: Fact::Known(port.parse().unwrap(), Provenance::Given),
        look: Fact::Known(look, Provenance::Given),
        resolved: Fact::from_option(resolved, Provenance::Given),
        ..Facts::default()
    }
}

/// The outbound and the rule's line and text; `none` where nothing decides.
fn decide(policy: &Policy, facts: &Facts) -> String {
    match policy.decide(facts) {
        Step::Decided(decision) => {
            let rule = decision.rule.unwrap();
            let entry = decision.entry.map_or(String::new(), |e| {
                format!(" < {} {}:{}", e.text, e.file, e.line)
            });
            let outbound = &policy.outbound(decision.outbound.unwrap()).name;
            format!(
                "{outbound} {}:{}: {}{entry}",
                rule.file, rule.line, rule.text
            )
        }
        Step::NoRoute => "none".into(),
        Step::Need(need) => format!("asks {}", need.as_str()),
    }
}

#[test]
fn a_tree_decides_as_the_original_says() {
    let setup = load_config(TREE).setup.unwrap();
    let check = |sniff, destination, resolved, expected: &str| {
        let got = decide(&setup.policies[0], &facts(sniff, destination, resolved));
        assert_eq!(got, expected, "{sniff} {destination} {resolved}");
    };
    let last = "direct config:31: direct";
    check(
        "tls m.twig.org",
        "1.2.3.4:443",
        "",
        "privacy config:12: hidden => privacy < org.twig namezone/hidden:3",
    );
    check("tls i.example.org", "1.2.3.4:443", "", last);
    check(
        "http www.search.org",
        "1.2.3.4:80",
        "",
        "reset config:14: http => reset",
    );
    check("tls www.search.org", "1.2.3.4:443", "", last);
    check(
        "tls www.search.org",
        "10.3.5.9:443",
        "",
        "work config:19: office => work < 10.3.5.0/24 addrzone/office/one:1",
    );
    check(
        "ssh",
        "192.1.1.1:2222",
        "",
        "moon config:25: mars => moon < 192.1.1.1 addrzone/mars:2",
    );
    check(
        "ssh",
        "8.8.8.8:22",
        "",
        "proxy1 config:27: cond port eq 22 => proxy1",
    );
    check("ssh", "8.8.8.8:23", "", "direct config:28: direct");
    check(
        "ssh",
        "192.168.1.5:22",
        "",
        "direct config:20: home => direct < 192.168.1.0/24 addrzone/home:1",
    );
    check(
        "tls stats.g.clicks.net",
        "1.2.3.4:443",
        "",
        "reset config:16: ads => reset < net.clicks namezone/ads/a:1",
    );
    check("tls twig.org.evil.net", "1.2.3.4:443", "", last);
    // The name in the request counts where the first bytes have none; it resolves for `cond ip`.
    check(
        "ssh",
        "m.twig.org:22",
        "",
        "privacy config:12: hidden => privacy < org.twig namezone/hidden:3",
    );
    check(
        "other",
        "other.test:99",
        "10.3.5.1",
        "work config:19: office => work < 10.3.5.0/24 addrzone/office/one:1",
    );
    check(
        "other",
        "other.test:99",
        "2001:db8::7",
        "direct config:20: home => direct < 2001:db8::1/56 addrzone/home:2",
    );
    check("other", "other.test:99", "", last);
}

#[test]
fn a_tree_without_an_end_may_decide_nothing() {
    let check = |tree: &str, sniff, destination, expected: &str| {
        let setup = load_config(&format!("rule r = {tree}")).setup.unwrap();
        let got = decide(&setup.policies[0], &facts(sniff, destination, ""));
        assert_eq!(got, expected, "{tree} {sniff} {destination}");
    };
    check("cond ip { mars => reset }", "tls", "1.1.1.1:443", "none");
    check(
        "any[ cond protocol { http => reset }\n cond ip { home => direct } ]",
        "tls",
        "1.1.1.1:443",
        "none",
    );
    // www.example.org is of `hidden` alone, and there is no climbing from a zone that has no key.
    check(
        "any[ cond domain { ads => reset }\n direct ]",
        "tls www.example.org",
        "1.1.1.1:1",
        "direct config:2: direct",
    );
    check(
        "cond domain { ads => reset\n else => direct }",
        "tls www.example.org",
        "1.1.1.1:1",
        "direct config:2: else => direct",
    );
    check(
        "cond domain { ads => cond port eq 1 => reset\n else => direct }",
        "tls ad.example.org",
        "1.1.1.1:2",
        "none",
    );
    check(
        "cond domain { ads => cond port eq 1 => reset else => direct }",
        "tls ad.example.org",
        "1.1.1.1:2",
        "direct config:1: else => direct",
    );
}

#[test]
fn the_sample_decides_as_its_comments_say() {
    let Some(directory) = damage::shared("samples/reflow") else {
        return;
    };
    let loaded = load(&directory, None, None, &Disk);
    assert_eq!(loaded.dialect, Some(Dialect::Reflow));
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    let policy = &setup.policies[0];
    let check = |sniff, destination, expected: &str| {
        let got = decide(policy, &facts(sniff, destination, ""));
        assert!(got.starts_with(expected), "{sniff} {destination}: {got}");
    };
    check(
        "tls m.twitter.com",
        "1.2.3.4:443",
        "privacyproxy config:38: secret-sites => privacyproxy < com.twitter namezone/secret-sites:5",
    );
    check("tls www.reddit.com", "1.2.3.4:443", "privacyproxy");
    check(
        "tls i.reddit.com",
        "1.2.3.4:443",
        "direct config:67: direct",
    );
    check("http www.google.com", "1.2.3.4:80", "reset");
    check("tls www.google.com", "1.2.3.4:443", "direct");
    check("tls www.google.com", "10.3.5.9:443", "workvpn0");
    check("ssh", "192.1.1.1:2222", "moon");
    check("ssh", "8.8.8.8:22", "proxy1");
    check("ssh", "8.8.8.8:23", "direct");
    check("ssh", "192.168.1.5:22", "direct");
    check("tls stats.g.doubleclick.net", "1.2.3.4:443", "reset");
    check("tls twitter.com.evil.org", "1.2.3.4:443", "direct");
    let text = std::fs::read_to_string(directory.join("config")).unwrap();
    damage::survives_damage(Dialect::Reflow, "config", &text);
}

/// The seed's example, in whose text the lines of brackets alone are missing, with them put back.
#[test]
fn the_seeds_text_loads() {
    let Some(path) = damage::shared("seeds/reflow.txt") else {
        return;
    };
    let seed = std::fs::read_to_string(path).unwrap();
    let start = seed.find("    # when your computer").unwrap();
    let end = seed.find("The enclosing any[").unwrap();
    let mut config = String::from(
        "egress privacyproxy = socks5 127.0.0.1:1\negress workvpn0 = bind 10.0.0.1\n\
         egress moon = bind 10.0.0.2\negress proxy1 = socks5 127.0.0.1:2\nrule seed = any [\n",
    );
    for line in seed[start..end].lines() {
        config.push_str(line);
        config.push_str(match line.trim() {
            "http => reset" => "\n}\n}\n",
            "homelan => direct" | "mars => moon" => "\n}\n",
            "# this will always match sucessfully for ssh traffic" => "\ndirect\n]\n}\n",
            "# catch-all rule for everything else" => "\ndirect\n",
            _ => "\n",
        });
    }
    config.push_str("]\n");
    let zones = [
        ("c/namezone/secret-sites", "com.secret"),
        ("c/namezone/adservers", "com.ads"),
        ("c/namezone/https-only", "com.safe"),
        ("c/addrzone/worknet", "10.3.0.0/16"),
        ("c/addrzone/homelan", "10.4.0.0/16"),
        ("c/addrzone/mars", "10.5.0.0/16"),
    ];
    let files = Memory::new(zones.into_iter().chain([("c/config", &*config)]));
    let loaded = load(Path::new("c"), None, None, &files);
    let told = rendered(&loaded);
    let setup = loaded.setup.unwrap_or_else(|| panic!("{told}"));
    let policy = &setup.policies[0];
    let outbound = |sniff, destination| {
        let got = decide(policy, &facts(sniff, destination, ""));
        got.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        outbound("tls www.secret.com", "1.1.1.1:443"),
        "privacyproxy"
    );
    assert_eq!(outbound("tls ads.com", "1.1.1.1:443"), "reset");
    assert_eq!(outbound("http safe.com", "1.1.1.1:80"), "reset");
    assert_eq!(outbound("tls safe.com", "10.3.1.1:443"), "workvpn0");
    assert_eq!(outbound("ssh", "10.5.1.1:22"), "moon");
    assert_eq!(outbound("ssh", "1.1.1.1:22"), "proxy1");
    assert_eq!(outbound("ssh", "1.1.1.1:23"), "direct");
    assert_eq!(outbound("other", "1.1.1.1:23"), "direct");
}

/// The nodes without their places.
fn structure(policy: &Policy) -> String {
    let origin =
        regex::Regex::new(r#"Origin \{ file: "[^"]*", line: \d+, text: "(?:[^"\\]|\\.)*" \}"#)
            .unwrap();
    origin
        .replace_all(&format!("{:?}", policy.body), "")
        .into_owned()
}

#[test]
fn a_printed_policy_is_the_same_policy() {
    let check = |config: &str| {
        let setup = load_config(config).setup.unwrap();
        let first = &setup.policies[0];
        let tree = crate::tree::print::as_tree(first);
        let egresses = config.lines().filter(|line| line.starts_with("egress"));
        let egresses: Vec<&str> = egresses.collect();
        let again = format!("{}\nrule {} = {tree}", egresses.join("\n"), first.name);
        let loaded = load_config(&again);
        let told = rendered(&loaded);
        let again = loaded.setup.unwrap_or_else(|| panic!("{again}\n{told}"));
        assert_eq!(structure(first), structure(&again.policies[0]), "{tree}");
    };
    check(TREE);
    check("rule r = direct");
    check("rule r = any[ any[ direct ] ]");
    check("rule r = cond ip { mars => cond port eq 1 => reset\n home => direct }");
    check("rule r = cond domain { ads => reset\n else => cond ip in mars => direct }");
    check(
        "rule r = any [\n cond domain in ads or ip zone mars no-resolve => reset\n resolve\n log 1 \"x\"\n ]",
    );
}
