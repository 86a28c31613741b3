//! How trees decide: one like the sample's, the sample itself, the seed's text; and that printed
//! policies are the same policies.

use std::path::Path;

use pointsman_policy::fact::{Look, Protocol};
use pointsman_policy::{Domain, Fact, Facts, Host, Policy, Provenance, SoughtFacts, Step};

use super::tests::{load_config, rendered};
use crate::damage;
use crate::files::{Disk, Memory};
use crate::fuzz_checks::survives_damage;
use crate::load::load;
use crate::setup::Dialect;

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
        sought: SoughtFacts {
            look: Fact::Known(Box::new(look), Provenance::Given),
            resolved: Fact::from_option(resolved, Provenance::Given),
            ..SoughtFacts::default()
        }
        .into(),
        ..Facts::default()
    }
}

/// The outbound and the rule's line and text; `none` where nothing decides.
fn decide(policy: &Policy, facts: &Facts) -> String {
    match policy.decide(facts) {
        Step::Decided(decision) => {
            let rule = decision.rule.unwrap();
            let entry = decision.entry.map_or(String::new(), |matched| {
                let e = matched.entry();
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
    survives_damage(Dialect::Reflow, "config", &text);
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
