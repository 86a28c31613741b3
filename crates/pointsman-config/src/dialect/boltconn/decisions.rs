//! What rule lists decide, as data: `decisions.txt`.

use std::path::Path;

use crate::files::Memory;
use crate::{Dialect, case, damage, load};

/// What every configuration gets besides its own sections.
const OUTBOUNDS: &str = "proxy_local:\n  A: { type: http, server: a.example, port: 1 }\n  B: { type: http, server: b.example, port: 1 }\n  S: { type: socks5, server: s.example, port: 1 }\n";

const DOMAINS: &str = "payload:\n  - example.com # exact\n  - '*.star.test'\n  - +.plus.test\n  - \".facebook.com\"\n  - +.telemetry.google.com\n  - test.google.com\n";
const RANGES: &str = "# ranges\n192.168.0.0/16\n1.1.1.1/32 # one\n2001:db8::/32\n";
const RULES: &str = "payload:\n  - DOMAIN, exact.test\n  - DOMAIN-SUFFIX,suffix.test\n  - IP-CIDR,1.2.3.0/24\n  - IP-CIDR,1.2.4.0/24,no-resolve\n  - PROCESS-NAME,Google Chrome\n  - SRC-IP-CIDR, 10.9.0.0/16\n  - AND, [DOMAIN, logic.test], [DST-PORT, 443]\n";
const ADBLOCK: &str = "[Adblock Plus]\n! a title\n||ads.test^\nexact.test\n@@||fine.ads.test^\n||script.test^$script\n##.advert\na.test##.box\n||path.test/x\n@@||query.test^$script\n";
const MODULE: &str = "rule-local:\n  - DOMAIN, a.test, A\nrule-provider:\n  of-module: { type: file, behavior: domain, path: lists/domains.yaml }\n";

#[test]
fn lists_decide_as_written() {
    let mut files = Memory::new([
        ("lists/domains.yaml", DOMAINS),
        ("lists/ranges.txt", RANGES),
        ("lists/rules.yaml", RULES),
        ("lists/adblock.txt", ADBLOCK),
        ("lists/module.yaml", MODULE),
    ]);
    let country = damage::shared("data/mmdb/GeoLite2-Country-Test.mmdb");
    let asn = damage::shared("data/mmdb/GeoLite2-ASN-Test.mmdb");
    let databases = country.zip(asn).map(|(country, asn)| {
        for (name, from) in [("country.mmdb", country), ("asn.mmdb", asn)] {
            files
                .files
                .insert(name.into(), std::fs::read(from).unwrap());
        }
        "dispatching: { geoip_db: country.mmdb, asn_db: asn.mmdb }\n"
    });
    let (mut blocks, mut cases_run, mut failed) = (0, 0, String::new());
    for block in include_str!("decisions.txt").split("\n=== ").skip(1) {
        let (title, rest) = block.split_once('\n').unwrap();
        let (config, cases) = rest.split_once("\n---\n").unwrap();
        let mut text = format!("{config}\n{OUTBOUNDS}");
        if config.contains("GEOIP") {
            let Some(databases) = databases else { continue };
            text.push_str(databases);
        }
        files.files.insert("c.yml".into(), text.into());
        let loaded = load(Path::new("c.yml"), Some(Dialect::Boltconn), None, &files);
        let Some(setup) = loaded.setup else {
            panic!("{title}: {:?}", loaded.problems.0);
        };
        let (cases, broken) = case::parse(title, cases);
        for failure in broken.into_iter().chain(case::run(&setup, &cases)) {
            let got = failure.outbound().unwrap_or("nothing");
            let case = &failure.case;
            let line = format!(
                "{title}: {} => {}, but {got}: {}\n",
                case.flow,
                case.expect,
                failure.reason()
            );
            failed.push_str(&line);
        }
        blocks += 1;
        cases_run += cases.len();
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(blocks >= 24 && cases_run >= 120, "{blocks} {cases_run}");
}

#[test]
fn udp_for_a_proxy_without_it_is_refused() {
    use pointsman_api::Action;

    use crate::explain::{Detail, First, explain};
    use crate::flow::Query;

    let text = format!("{OUTBOUNDS}rule_local:\n  - FALLBACK, A\n");
    let files = Memory::new([("c.yml", text.as_str())]);
    let loaded = load(Path::new("c.yml"), None, None, &files);
    let setup = loaded.setup.unwrap();
    let check = |flow: &str, expected: Action| {
        let query = Query::parse(flow).unwrap();
        let told = explain(&setup, &query, &First, Detail::Folded).unwrap();
        assert_eq!(told.decision.outbound.as_deref(), Some("A"));
        assert_eq!(told.decision.action, expected, "{flow}");
        assert_eq!(
            told.rule.map(|rule| (rule.file, rule.line)),
            Some(("c.yml".into(), 6))
        );
    };
    check("dst=a.test:1", Action::Proxy);
    check("dst=a.test:1 network=udp", Action::Reject);
}
