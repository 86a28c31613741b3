//! Each policy is shown once, with what leads to it; rules with one way out are folded.

use std::path::Path;

use super::outline::{Row, outline};
use super::scene::{Runs, Scene, need_headings, scenes};
use super::{as_dot, as_svg};
use crate::files::Memory;
use crate::load::load;
use crate::setup::Setup;

fn native(text: &str) -> Setup {
    let files = Memory::new([("pointsman.yaml", text)]);
    let loaded = load(Path::new("pointsman.yaml"), None, None, &files);
    loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems.0))
}

fn headings(setup: &Setup) -> Vec<String> {
    scenes(setup).iter().map(Scene::heading).collect()
}

/// The rows of the first policy, each with its way out; rows below others are indented.
fn rows(setup: &Setup, runs: Runs) -> Vec<String> {
    fn tell(rows: &[Row], depth: usize, told: &mut Vec<String>) {
        for row in rows {
            let to = row.target.as_ref();
            let to = to.map_or_else(String::new, |target| format!(" -> {}", target.name));
            told.push(format!("{}{}{to}", "  ".repeat(depth), row.label()));
            tell(&row.rows, depth + 1, told);
        }
    }
    let mut told = Vec::new();
    let scenes = scenes(setup);
    tell(&outline(&scenes[0], runs), 0, &mut told);
    told
}

#[test]
fn a_policy_is_shown_once_with_all_inbounds_that_lead_to_it() {
    let setup = native(
        "version: 1
inbounds:
  desk: { type: mixed, listen: '127.0.0.1:1' }
  house: { type: socks5, listen: '192.168.1.1:2', allow: [192.168.1.0/24] }
  wide: { type: http, listen: '192.168.1.1:3', allow: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.1] }
  guests: { type: mixed, listen: '192.168.1.1:4', allow: [192.168.9.0/24], policy: guests }
rules:
  - DST-PORT, 25, REJECT
  - FALLBACK, DIRECT
policies:
  guests: |
    cond port in 80,443 => direct
  nobody: |
    reject
",
    );
    assert_eq!(
        headings(&setup),
        [
            "main, from desk (mixed on 127.0.0.1:1), house (socks5 on 192.168.1.1:2, only from 192.168.1.0/24), \
             wide (http on 192.168.1.1:3, only from 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, ... and 1 more)",
            "guests, from guests (mixed on 192.168.1.1:4, only from 192.168.9.0/24)",
            "nobody",
        ]
    );
    assert!(need_headings(&scenes(&setup)));
    assert_eq!(
        rows(&setup, Runs::Folded),
        ["port eq 25 -> REJECT", "everything else -> DIRECT"]
    );
    let svg = as_svg(&setup, Runs::Folded);
    for once in ["port eq 25</text>", ">desk</text>", ">house</text>"] {
        assert_eq!(svg.matches(once).count(), 1, "{once}");
    }
    assert!(svg.contains("no inbound leads here"));
    let dot = as_dot(&setup, Runs::Folded);
    assert_eq!(dot.matches("subgraph").count(), 3);
    assert!(dot.contains("house\\nsocks5 on 192.168.1.1:2\\nonly from 192.168.1.0/24"));
}

/// A policy that itself begins with a rule on sources is no list of allowed ones.
#[test]
fn what_was_written_is_shown() {
    let setup = native(
        "version: 1
inbounds: { desk: { type: mixed, listen: '127.0.0.1:1', policy: second } }
policies:
  first: |
    any [
      direct
    ]
  second: |
    any [
      cond not source in 10.0.0.0/8 => reject
      direct
    ]
",
    );
    assert_eq!(
        headings(&setup),
        ["first", "second, from desk (mixed on 127.0.0.1:1)"]
    );
}

#[test]
fn one_policy_with_one_open_inbound_needs_no_heading() {
    let setup = native(
        "version: 1
inbounds: { desk: { type: mixed, listen: '127.0.0.1:1' } }
rules: ['FALLBACK, DIRECT']
",
    );
    assert!(!need_headings(&scenes(&setup)));
}

#[test]
fn a_crowd_of_inbounds_is_counted() {
    let inbounds = |count: usize| {
        let inbound = |n| format!("  in{n}: {{ type: mixed, listen: '127.0.0.1:{n}' }}\n");
        let all: String = (1..=count).map(inbound).collect();
        native(&format!(
            "version: 1\ninbounds:\n{all}rules: ['FALLBACK, DIRECT']\n"
        ))
    };
    assert!(!as_svg(&inbounds(12), Runs::Folded).contains("more inbounds"));
    assert!(as_svg(&inbounds(60), Runs::Folded).contains("and 49 more inbounds"));
    assert!(as_dot(&inbounds(60), Runs::Folded).contains("and 10 more inbounds"));
}

#[test]
fn a_forward_shows_where_it_connects_to() {
    let check = |more: &str, expected: &[&str]| {
        let setup = native(&format!(
            "version: 1
outbounds: {{ site: {{ type: socks5, server: '10.0.0.1:1080' }} }}
forwards:
  orders:
    listen: ['tcp://127.0.0.1:5432', 'unix:///run/orders']
    allow: [127.0.0.0/8]
{more}"
        ));
        assert_eq!(
            headings(&setup),
            [
                "orders, from orders (forward on tcp://127.0.0.1:5432, unix:///run/orders, only from 127.0.0.0/8)"
            ]
        );
        assert_eq!(rows(&setup, Runs::Folded), expected);
    };
    let here = "    targets:\n      - { name: here, address: 'tcp://10.0.0.5:5432' }\n";
    check(here, &["here at tcp://10.0.0.5:5432 -> direct"]);
    let two =
        format!("{here}      - {{ name: there, address: 'tcp://10.7.0.5:5432', via: site }}\n");
    for (balance, told) in [
        ("failover", "the first that can be reached"),
        ("round-robin", "each in turn"),
    ] {
        check(
            &format!("{two}    balance: {balance}\n"),
            &[
                told,
                "  here at tcp://10.0.0.5:5432 -> direct",
                "  there at tcp://10.7.0.5:5432 -> site",
            ],
        );
    }
}

fn rules(lines: &str) -> Setup {
    native(&format!(
        "version: 1
inbounds: {{ desk: {{ type: mixed, listen: '127.0.0.1:1' }} }}
outbounds: {{ vpn: {{ type: socks5, server: '127.0.0.1:2' }} }}
rules:\n{lines}  - FALLBACK, DIRECT\n"
    ))
}

/// Kinds of rules that take turns are no runs, but have one way out.
#[test]
fn stretches_with_one_way_out_are_folded() {
    let pair = |n| format!("  - DOMAIN, a{n}.example, vpn\n  - DST-PORT, {n}, vpn\n");
    let pairs = |count| rules(&(0..count).map(pair).collect::<String>());
    assert_eq!(rows(&pairs(4), Runs::Folded).len(), 9);
    assert_eq!(
        rows(&pairs(5), Runs::Folded),
        [
            "10 \u{d7} domain eq a0.example; port eq 0; ... and 8 more -> vpn",
            "everything else -> DIRECT",
        ]
    );
    assert_eq!(rows(&pairs(5), Runs::Open).len(), 11);
    // What is tried between them with another way out stays where it is.
    let between = format!(
        "{}  - DST-PORT, 99, REJECT\n{}",
        (0..5).map(pair).collect::<String>(),
        (5..10).map(pair).collect::<String>()
    );
    assert_eq!(
        rows(&rules(&between), Runs::Folded),
        [
            "10 \u{d7} domain eq a0.example; port eq 0; ... and 8 more -> vpn",
            "port eq 99 -> REJECT",
            "10 \u{d7} domain eq a5.example; port eq 5; ... and 8 more -> vpn",
            "everything else -> DIRECT",
        ]
    );
}

#[test]
fn runs_open_to_a_row_each() {
    let lines: String = (0..50)
        .map(|n| format!("  - DOMAIN-SUFFIX, s{n}.example, vpn\n"))
        .collect();
    let setup = rules(&lines);
    assert_eq!(
        rows(&setup, Runs::Folded)[0],
        "50 \u{d7} domain under s0.example, s1.example, s2.example, ... and 47 more -> vpn"
    );
    let open = rows(&setup, Runs::Open);
    assert_eq!(open.len(), 51);
    assert_eq!(open[49], "domain under s49.example -> vpn");
}

/// The tooltips of a folded row name its rules with their places.
#[test]
fn what_is_folded_is_told() {
    let lines: String = (0..50)
        .map(|n| format!("  - DOMAIN-SUFFIX, s{n}.example, vpn\n"))
        .collect();
    let svg = as_svg(&rules(&lines), Runs::Folded);
    assert!(svg.contains("DOMAIN-SUFFIX, s0.example, vpn (pointsman.yaml:5)\n"));
    assert!(svg.contains("... to DOMAIN-SUFFIX, s49.example, vpn (pointsman.yaml:54)<"));
    assert!(!svg.contains("s30.example"));
}

#[test]
fn arms_with_one_way_out_are_folded() {
    let arms: String = (0..5).map(|n| format!("    z{n} => away\n")).collect();
    let config = format!(
        "egress away = socks5 127.0.0.1:2
relay {{
  rule = house
  listen = socks5 127.0.0.1:1
}}
rule house = any [
  cond domain {{
{arms}    z5 => reset
    z6 => cond port eq 1 => reset
  }}
  direct
]
"
    );
    let zones: Vec<(String, String)> = (0..7)
        .map(|n| (format!("c/namezone/z{n}"), format!("example.z{n}\n")))
        .collect();
    let zones = zones.iter().map(|(path, text)| (&**path, &**text));
    let files = Memory::new([("c/config", &*config)].into_iter().chain(zones));
    let loaded = load(Path::new("c"), None, None, &files);
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems.0));
    assert_eq!(
        rows(&setup, Runs::Folded),
        [
            "domain is in zone",
            "  5 \u{d7} z0, z1, z2, ... and 2 more -> away",
            "  z5 -> reset",
            "  z6",
            "    port eq 1 -> reset",
            "everything else -> direct",
        ]
    );
    assert_eq!(rows(&setup, Runs::Open).len(), 10);
}

/// What is beyond the bound is counted, and the last word stands all the same.
#[test]
fn the_last_word_is_always_there() {
    let lines: String = (0..20_100)
        .map(|n| format!("  - DOMAIN-SUFFIX, s{n}.example, vpn\n"))
        .collect();
    let open = rows(&rules(&lines), Runs::Open);
    assert_eq!(
        open[open.len() - 2..],
        ["and 100 more", "everything else -> DIRECT"]
    );
    assert_eq!(open.len(), 20_002);
}
