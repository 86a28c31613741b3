//! Lists as data: what each holds, what is wrong with each, and real ones.

use std::io::Cursor;

use pointsman_policy::Host;
use pointsman_policy::set::{Key, RuleSet, RuleSetBuilder};

use super::*;
use crate::damage;
use crate::problem::Problems;

mod adblock;
mod bombs;
mod formats;
mod forms;
mod golden;
mod majority;
mod odd;
mod precedence;
mod published;
mod real;
mod sense;
mod shelf;
mod told;

fn read_text(text: &str, behavior: Behavior, format: Option<Format>) -> (RuleSet, Problems) {
    let mut set = RuleSetBuilder::new("l", "l", Key::default());
    let mut problems = Problems::default();
    let recipe = Recipe {
        format,
        behavior: Some(behavior),
        ..Recipe::default()
    };
    let mut told = ReadReport::default();
    let mut bytes = Cursor::new(text);
    match read(
        &mut bytes,
        "l",
        &recipe,
        &Surroundings::default(),
        &mut set,
        &mut told,
    ) {
        Ok(()) => told.report("l", false, &mut problems),
        Err(error) => error.report("l", None, &mut problems),
    }
    (set.finish(), problems)
}

/// `LINE TEXT` of the entry that holds each of the hosts, `-` where none does.
fn found(set: &RuleSet, hosts: &str) -> String {
    let told = hosts.split(' ').map(|host| {
        let host = Host::parse(host).unwrap();
        let entry = match &host {
            Host::Address(address) => set.find_address(*address),
            Host::Name(name) => set.find_name(name),
        };
        let entry = entry.map(|found| set.entry(found));
        entry.map_or_else(|| "-".to_owned(), |e| format!("{} {}", e.line, e.text))
    });
    told.collect::<Vec<_>>().join("; ")
}

#[test]
fn entries_know_their_lines() {
    use Behavior::{Classical, Domain, IpCidr};
    let check = |text: &str, behavior, hosts: &str, expected: &str| {
        let (set, problems) = read_text(text, behavior, None);
        assert!(problems.0.is_empty(), "{text}: {:?}", problems.0);
        assert_eq!(found(&set, hosts), expected, "{text}");
    };
    let yaml = "# head\npayload:\n\n  # inner\n  - a.test # one\n  - '+.b.test'\n  - \".c.test\"\n  - *.d.test\n";
    check(
        yaml,
        Domain,
        "a.test x.a.test x.b.test c.test x.d.test",
        "5 a.test; -; 6 +.b.test; -; -",
    );
    check(
        "---\npayload:\n- a.test\n- b.test",
        Domain,
        "b.test",
        "4 b.test",
    );
    check(
        "payload:\r\n  - a.test\r\n  - b.test\r\n",
        Domain,
        "b.test",
        "3 b.test",
    );
    check(
        "payload: [a.test,\n  +.b.test]\n",
        Domain,
        "a.test x.b.test",
        "1 a.test; 2 +.b.test",
    );
    check("{payload: ['a.test']}\n", Domain, "a.test", "1 a.test");
    check(
        "other: 1\npayload:\n  - \"a\\u002etest\"\n",
        Domain,
        "a.test",
        "3 a.test",
    );
    check(
        "payload:\n  - \"a\\u002etest\"\n",
        Domain,
        "a.test",
        "2 a.test",
    );
    check("payload:\n", Domain, "a.test", "-");
    check(
        "a.test\n\n# no\n+.b.test # suffix\n",
        Domain,
        "a.test b.test",
        "1 a.test; 4 +.b.test",
    );
    check(
        "1.0.0.0/8\n1.2.0.0/16,no-resolve\n::/1",
        IpCidr,
        "1.1.1.1 1.2.1.1 ::1",
        "1 1.0.0.0/8; 2 1.2.0.0/16,no-resolve; 3 ::/1",
    );
    check(
        "DOMAIN,a.test\nIP-CIDR,1.0.0.0/8,no-resolve\nDOMAIN-SUFFIX, b.test # x",
        Classical,
        "a.test 1.1.1.1 x.b.test",
        "1 DOMAIN,a.test; 2 IP-CIDR,1.0.0.0/8,no-resolve; 3 DOMAIN-SUFFIX, b.test",
    );
}

#[test]
fn bad_entries_are_told_and_left_out() {
    use Behavior::{Classical, Domain, IpCidr};
    let check = |text: &str, behavior, entries: usize, expected: &str| {
        let (set, problems) = read_text(text, behavior, None);
        let told = problems.0.iter().map(|p| {
            let (line, column) = p.span.line_column();
            format!("{line}:{column} {}", p.sentence())
        });
        assert_eq!(told.collect::<Vec<_>>().join("; "), expected, "{text}");
        assert_eq!(set.len(), entries, "{text}");
    };
    check(
        "a.test\n  b c\n",
        Domain,
        1,
        "2:3 `b c` is no domain: the name has the character ' ', which no host name carries",
    );
    check(
        "payload:\n  - 1.2.3.4/33\n  - 1.2.3.4\n",
        IpCidr,
        1,
        "2:5 `/33` is not a prefix length here (0 to 32)",
    );
    check(
        "1.0.0.0/8, resolve\n",
        IpCidr,
        0,
        "1:12 `resolve` means nothing behind a range, where `no-resolve` may stand",
    );
    check(
        "payload:\n  - DOMAIN, a.test, P\n",
        Classical,
        0,
        "2:21 `P` means nothing here: an entry names no outbound",
    );
    check(
        "payload:\n  - DOMAN, a.test\n",
        Classical,
        0,
        "2:5 there is no rule type `DOMAN` (did you mean `DOMAIN`?)",
    );
    check(
        "payload:\n  - a.test\n  - [b.test]\n",
        Domain,
        1,
        "3:5 an entry is one text: a list or a mapping is none",
    );
    check(
        "payload:\n  - a: b\n",
        Domain,
        0,
        "2:5 an entry is one text: a list or a mapping is none",
    );
    let many = "x y\n".repeat(30);
    let (_, problems) = read_text(&many, Domain, None);
    assert_eq!(problems.0.len(), 1);
    let shown = problems.0[0].to_string();
    let again = "the same on the lines 2 and 3, and of 27 more";
    assert!(shown.contains(again), "{shown}");
    let odd: String = (1..40)
        .map(|n| format!("DOMAIN,{n}.test,{}\n", "P,".repeat(n)))
        .collect();
    let (_, problems) = read_text(&odd, Classical, None);
    assert!(problems.0.len() < 30, "{}", problems.0.len());
    let (_, problems) = read_text("a.test\n", Domain, Some(Format::Yaml));
    assert_eq!(problems.0[0].code, "invalid-list");
}

#[test]
fn real_lists_are_read_whole() {
    let check = |path: &str, behavior, least: usize| {
        let Some(path) = damage::shared(path) else {
            return;
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text
            .lines()
            .filter(|l| l.trim_start().starts_with("- "))
            .count();
        let (set, problems) = read_text(&text, behavior, None);
        assert!(problems.0.is_empty(), "{path:?}: {:?}", problems.0.first());
        assert!(
            set.len() >= least && set.len() <= lines,
            "{path:?}: {} of {lines}",
            set.len()
        );
    };
    check("data/clash-yaml/direct.txt", Behavior::Domain, 110_000);
    check("data/clash-yaml/proxy.txt", Behavior::Domain, 25_000);
    check("data/clash-yaml/gfw.txt", Behavior::Domain, 4_000);
    check("data/clash-yaml/cncidr.txt", Behavior::IpCidr, 5_000);
    check("data/clash-yaml/lancidr.txt", Behavior::IpCidr, 10);
    check("data/clash-yaml/telegramcidr.txt", Behavior::IpCidr, 10);
    check("data/clash-yaml/applications.txt", Behavior::Classical, 90);
    check(
        "data/geosite/google/classical.yaml",
        Behavior::Classical,
        500,
    );
    check("samples/boltconn/Rules/Telegram", Behavior::Classical, 21);
}
