//! The same lists in several formats: the readers agree entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;

use pointsman_policy::Prefix;
use pointsman_policy::set::{Item, Place, Sink};
use serde_json::Value;

use super::numbered::canonical;
use super::ranges::ranges_of;
use super::{Behavior, Format, ReadReport, Recipe, Surroundings, read};
use crate::damage;

/// What a list holds, without places.
#[derive(Default)]
struct Held {
    names: BTreeSet<String>,
    /// Keywords, patterns and logic.
    others: BTreeSet<String>,
    prefixes: Vec<Prefix>,
    last_line: u32,
}

impl Sink for Held {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        assert!(place.line > 0 && !place.written.is_empty());
        assert!(place.line >= self.last_line, "entries come in their order");
        self.last_line = place.line;
        match item {
            Item::Below(name) => self.names.insert(format!(".{}", name.as_str())),
            Item::Exact(name) => self.names.insert(name.as_str().to_owned()),
            Item::Suffix(name) => self.names.insert(format!("+.{}", name.as_str())),
            Item::Other(condition) => self.others.insert(canonical(&condition)),
            Item::Prefix(prefix) => {
                self.prefixes.push(prefix);
                true
            }
            Item::Except(_)
            | Item::ExceptBelow(_)
            | Item::ExceptExact(_)
            | Item::ExceptSuffix(_)
            | Item::Important { .. } => panic!("no list here has exceptions"),
        };
    }
}

fn held(path: &str, format: Format, behavior: Option<Behavior>, select: Option<&str>) -> Held {
    let root = damage::shared("data").unwrap();
    let file = File::open(root.join(path)).unwrap();
    let recipe = Recipe {
        format: Some(format),
        behavior,
        select: select.map(str::to_owned),
        ..Recipe::default()
    };
    let (mut sink, mut told) = (Held::default(), ReadReport::default());
    let mut bytes = BufReader::new(file);
    let done = read(
        &mut bytes,
        path,
        &recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    );
    done.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(told.left_out(), 0, "{path}: {:?}", told.reasons);
    // `+.x` says `x` too, which some lists say besides.
    let said = sink.names.clone();
    sink.names
        .retain(|name| !said.contains(&format!("+.{name}")));
    sink
}

fn same(what: &str, a: &BTreeSet<String>, b: &BTreeSet<String>) {
    let only_a: Vec<_> = a.difference(b).take(5).collect();
    let only_b: Vec<_> = b.difference(a).take(5).collect();
    assert!(
        only_a.is_empty() && only_b.is_empty(),
        "{what}: only in the first {only_a:?}, only in the second {only_b:?}"
    );
}

/// A rule without the sign that case counts, as it does to sing-box and not to Clash.
fn uncased(rule: &str) -> String {
    rule.replace("(?-i)", "")
}

#[test]
fn names_are_the_same_in_every_format() {
    use Behavior::{Classical, Domain};
    if damage::shared("data").is_none() {
        return;
    }
    for (list, at_least) in [
        ("google", 800),
        ("category-ads-all", 700),
        ("geolocation-!cn", 25_000),
    ] {
        let here = |file: &str, format, behavior| {
            held(&format!("geosite/{list}/{file}"), format, behavior, None)
        };
        let text = here("domain.list", Format::Text, Some(Domain));
        assert!(text.names.len() >= at_least, "{list}: {}", text.names.len());
        assert!(text.others.is_empty() && text.prefixes.is_empty());
        let yaml = here("domain.yaml", Format::Yaml, Some(Domain));
        same(&format!("{list}: text, YAML"), &text.names, &yaml.names);
        let mrs = here("domain.mrs", Format::Mrs, None);
        same(&format!("{list}: text, .mrs"), &text.names, &mrs.names);
        assert!(mrs.others.is_empty());
        let classical = here("classical.list", Format::Text, Some(Classical));
        same(
            &format!("{list}: text, rules"),
            &text.names,
            &classical.names,
        );
        let rules = here("classical.yaml", Format::Yaml, Some(Classical));
        same(&format!("{list}: rules"), &classical.names, &rules.names);
        same(&format!("{list}: rules"), &classical.others, &rules.others);
        let json = here("sing-box.json", Format::SrsJson, None);
        same(&format!("{list}: text, JSON"), &text.names, &json.names);
        let srs = here("sing-box.srs", Format::Srs, None);
        same(&format!("{list}: JSON, .srs"), &json.names, &srs.names);
        same(&format!("{list}: JSON, .srs"), &json.others, &srs.others);
        // What rules in text leave out is patterns alone.
        let uncased: BTreeSet<String> = json.others.iter().map(|r| uncased(r)).collect();
        let patterns = uncased.difference(&classical.others);
        assert!(patterns.clone().all(|p| p.starts_with("DOMAIN-REGEX, ")));
        assert!(classical.others.is_subset(&uncased));
        let dat = held("geosite/dlc.dat", Format::Dat, None, Some(list));
        // Another list of the same purpose by others: most of it is the same, not all.
        let common = dat.names.intersection(&json.names).count();
        eprintln!(
            "{list}: of {} and {} names {common} are common",
            dat.names.len(),
            json.names.len()
        );
        assert!(
            common * 10 >= dat.names.len() * 8,
            "{list}: {common} of {}",
            dat.names.len()
        );
    }
}

#[test]
fn addresses_are_the_same_in_every_format() {
    if damage::shared("data").is_none() {
        return;
    }
    for (list, at_least) in [("cn", 5_000), ("jp", 15_000)] {
        let here = |path: String, format, behavior| held(&path, format, behavior, None);
        let ip = Some(Behavior::IpCidr);
        let text = here(format!("geoip/text/{list}.txt"), Format::Text, ip);
        assert!(text.prefixes.len() >= at_least, "{}", text.prefixes.len());
        let expected = ranges_of(text.prefixes);
        let check = |held: Held, what: &str| {
            assert!(held.names.is_empty() && held.others.is_empty());
            let got = ranges_of(held.prefixes);
            let differs = expected.iter().zip(&got).find(|(a, b)| a != b);
            assert_eq!(differs, None, "{list}: text, {what}");
            assert_eq!(got.len(), expected.len(), "{list}: text, {what}");
        };
        let yaml = here(format!("geoip/clash/ipcidr/{list}.txt"), Format::Yaml, ip);
        check(yaml, "YAML");
        let rules = format!("geoip/clash/classical/{list}.txt");
        let rules = here(rules, Format::Yaml, Some(Behavior::Classical));
        check(rules, "rules");
        let dat = here(format!("geoip/dat/{list}.dat"), Format::Dat, None);
        check(dat, ".dat");
        let mrs = here(format!("geoip/mrs/{list}.mrs"), Format::Mrs, None);
        check(mrs, ".mrs");
        let srs = here(format!("geoip/srs/{list}.srs"), Format::Srs, None);
        check(srs, ".srs");
    }
}

#[test]
fn databases_hold_the_networks_of_their_source() {
    let Some(root) = damage::shared("data/mmdb") else {
        return;
    };
    let source = |name: &str| -> Vec<(Prefix, Value)> {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        let all: Vec<BTreeMap<String, Value>> = serde_json::from_str(&text).unwrap();
        let pairs = all.into_iter().flatten();
        pairs
            .map(|(net, value)| (net.parse().unwrap(), value))
            .collect()
    };
    let check = |name: &str, select: &str, of_source: Vec<Prefix>| {
        let path = format!("mmdb/{name}.mmdb");
        let got = held(&path, Format::Mmdb, None, Some(select));
        assert!(!of_source.is_empty());
        assert_eq!(
            unaliased(got.prefixes),
            unaliased(of_source),
            "{name}: {select}"
        );
    };
    let countries = source("GeoLite2-Country-Test.json");
    let code = |value: &Value| {
        let of = |key: &str| value[key]["iso_code"].as_str().map(str::to_owned);
        of("country").or_else(|| of("registered_country"))
    };
    let codes: BTreeSet<String> = countries.iter().filter_map(|(_, v)| code(v)).collect();
    assert!(codes.len() > 20, "{codes:?}");
    for wanted in &codes {
        let of = countries
            .iter()
            .filter(|(_, v)| code(v).as_ref() == Some(wanted));
        let select = wanted.to_ascii_lowercase();
        check(
            "GeoLite2-Country-Test",
            &select,
            of.map(|(p, _)| *p).collect(),
        );
    }
    let systems = source("GeoLite2-ASN-Test.json");
    let number = |value: &Value| value["autonomous_system_number"].as_u64();
    let numbers: BTreeSet<u64> = systems.iter().filter_map(|(_, v)| number(v)).collect();
    assert!(numbers.len() > 20);
    for wanted in numbers {
        let of = systems.iter().filter(|(_, v)| number(v) == Some(wanted));
        let of: Vec<Prefix> = of.map(|(p, _)| *p).collect();
        check("GeoLite2-ASN-Test", &format!("AS{wanted}"), of.clone());
        check("GeoLite2-ASN-Test", &wanted.to_string(), of);
    }
}

/// Ranges without those parts of IPv6 where databases repeat IPv4.
fn unaliased(prefixes: Vec<Prefix>) -> Vec<(IpAddr, IpAddr)> {
    let alias = |prefix: &Prefix| {
        let aliases = ["2002::/16", "2001::/32", "::ffff:0:0/96"];
        let mut aliases = aliases.iter().map(|p| p.parse::<Prefix>().unwrap());
        aliases.any(|a| a.contains(prefix.address()) && a.length() <= prefix.length())
    };
    ranges_of(prefixes.into_iter().filter(|p| !alias(p)).collect())
}

#[test]
fn a_database_and_its_list_agree() {
    if damage::shared("data").is_none() {
        return;
    }
    let check = |database: &str, select: &str, dat: &str, list: &str, at_least: usize| {
        let a = held(database, Format::Mmdb, None, Some(select));
        let b = held(dat, Format::Dat, None, Some(list));
        assert!(!a.prefixes.is_empty());
        let (a, b) = (ranges_of(a.prefixes), ranges_of(b.prefixes));
        let within = |(from, to): &&(IpAddr, IpAddr)| b.iter().any(|(f, t)| f <= from && to <= t);
        let lost: Vec<_> = a.iter().filter(|range| !within(range)).take(3).collect();
        assert!(
            lost.is_empty(),
            "{database} {select}: {lost:?} are not in {dat}"
        );
        // A database gives each network to one list, so some of a list's are another's there.
        assert!(
            a.len() * 10 >= b.len() * at_least,
            "{database} {select}: {} of {}",
            a.len(),
            b.len()
        );
    };
    let asn = "geoip/Country-asn.mmdb";
    check(asn, "cloudflare", "geoip/geoip-asn.dat", "cloudflare", 9);
    check(asn, "telegram", "geoip/geoip-asn.dat", "Telegram", 9);
    let cn = "geoip/Country-only-cn-private.mmdb";
    check(cn, "cn", "geoip/dat/cn.dat", "cn", 10);
}

/// What is wrong with the selection of a list.
fn refused(path: &str, format: Format, select: Option<&str>) -> String {
    let root = damage::shared("data").unwrap();
    let mut bytes = BufReader::new(File::open(root.join(path)).unwrap());
    let recipe = Recipe {
        format: Some(format),
        select: select.map(str::to_owned),
        ..Recipe::default()
    };
    let (mut sink, mut told) = (Held::default(), ReadReport::default());
    match read(
        &mut bytes,
        path,
        &recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    ) {
        Ok(()) => "fine".to_owned(),
        Err(super::Unreadable::Malformed { message, hint, .. }) => {
            format!("{message} ({})", hint.unwrap_or_default())
        }
        Err(other) => other.to_string(),
    }
}

#[test]
fn a_wrong_selection_says_what_there_is() {
    if damage::shared("data").is_none() {
        return;
    }
    let dat = |select, expected: &str| {
        assert_eq!(refused("geosite/dlc.dat", Format::Dat, select), expected);
    };
    dat(Some("GOOGLE@ads"), "fine");
    dat(
        Some("gogle"),
        "there is no list `gogle` in the file (did you mean `google`?)",
    );
    dat(
        None,
        "the file holds many lists (choose one: `select: 0x0` (`--set 0x0`); `pointsman rule-set list` names all)",
    );
    let attribute = refused("geosite/dlc.dat", Format::Dat, Some("google@x"));
    let expected =
        "no entry of the list `google` has the attribute `x` (its entries have !cn, ads, cn)";
    assert_eq!(attribute, expected);
    let mmdb = |select, expected: &str| {
        let path = "mmdb/GeoLite2-Country-Test.mmdb";
        assert_eq!(refused(path, Format::Mmdb, select), expected);
    };
    mmdb(
        None,
        "the file is a whole database (choose from it: `select: cn` (`--set cn`) a country, `select: as13335` a system)",
    );
    mmdb(
        Some("as1"),
        "the database has no autonomous systems (databases have countries (`select: cn`) or autonomous systems (`select: as13335`))",
    );
    mmdb(
        Some("gbb"),
        "the database has no network of `gbb` (did you mean `GB`?)",
    );
}

#[test]
fn attributes_narrow_a_list() {
    if damage::shared("data").is_none() {
        return;
    }
    let of = |select| held("geosite/dlc.dat", Format::Dat, None, Some(select));
    let (all, ads) = (of("google"), of("google@ads"));
    assert!(!ads.names.is_empty() && ads.names.len() < all.names.len());
    assert!(ads.names.is_subset(&all.names));
    // `!cn` is an attribute of its own.
    assert!(of("google@!cn").names.len() < all.names.len());
}
