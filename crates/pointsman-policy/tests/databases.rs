//! GeoIP databases, against MaxMind's own test data where it is at hand.

use std::net::IpAddr;
use std::path::PathBuf;

use pointsman_policy::fact::{Fact, Geo, Provenance};
use pointsman_policy::geo::{GeoDatabase, GeoDatabases};
use serde_json::Value;

#[test]
fn bytes_that_are_no_database_are_refused() {
    for bytes in [vec![], vec![0; 100], b"\xab\xcd\xefMaxMind.com".to_vec()] {
        assert!(GeoDatabase::from_bytes(bytes).is_err());
    }
    let none = GeoDatabases::default();
    assert!(!none.has_country() && !none.has_asn());
    assert_eq!(none.lookup("1.1.1.1".parse().unwrap()), Fact::Absent);
}

#[test]
fn every_network_answers_what_its_source_says() {
    let (Some(country), Some(asn)) = (file("Country-Test.mmdb"), file("ASN-Test.mmdb")) else {
        return;
    };
    let country = GeoDatabase::from_bytes(country).unwrap();
    let asn = GeoDatabase::from_bytes(asn).unwrap();
    assert_eq!(country.kind(), "GeoLite2-Country");
    assert!(country.has_country() && !country.has_asn());
    assert!(!asn.has_country() && asn.has_asn());
    let both = GeoDatabases::new(Some(country), Some(asn));
    assert!(both.has_country() && both.has_asn());
    let known = |network: &str| match both.lookup(first(network)) {
        Fact::Known(geo, Provenance::Database) => geo,
        other => panic!("{network}: {other:?}"),
    };
    let mut checked = 0;
    for (network, record) in networks("Country-Test.json") {
        let code = |key: &str| record[key]["iso_code"].as_str().map(str::to_owned);
        let Some(expected) = code("country").or_else(|| code("registered_country")) else {
            continue;
        };
        assert_eq!(
            known(&network).country.as_deref(),
            Some(&*expected),
            "{network}"
        );
        checked += 1;
    }
    for (network, record) in networks("ASN-Test.json") {
        let Some(expected) = record["autonomous_system_number"].as_u64() else {
            continue;
        };
        assert_eq!(
            known(&network).asn.map(u64::from),
            Some(expected),
            "{network}"
        );
        checked += 1;
    }
    assert!(checked > 900, "only {checked} networks");
    assert_eq!(both.lookup("192.0.2.1".parse().unwrap()), Fact::Absent);
}

#[test]
fn one_database_may_serve_for_both() {
    let Some(asn) = file("ASN-Test.mmdb") else {
        return;
    };
    let one = GeoDatabases::new(Some(GeoDatabase::from_bytes(asn).unwrap()), None);
    assert!(!one.has_country() && one.has_asn());
    let geo = Geo {
        country: None,
        asn: Some(15169),
    };
    let found = one.lookup("1.0.0.1".parse().unwrap());
    assert_eq!(found, Fact::Known(geo, Provenance::Database));
}

/// Damaged databases answer wrongly, or that they are broken; they never panic or hang.
#[test]
fn damaged_databases_do_no_harm() {
    let Some(whole) = file("Country-Test.mmdb") else {
        return;
    };
    // Every 37th byte, so that tree, data and metadata are all hit.
    for at in (0..whole.len()).step_by(37) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        if let Ok(database) = GeoDatabase::from_bytes(damaged) {
            let databases = GeoDatabases::new(Some(database), None);
            for address in ["2.125.160.216", "2a02:d500::1", "255.255.255.255"] {
                let _ = databases.lookup(address.parse().unwrap());
            }
        }
    }
}

fn first(network: &str) -> IpAddr {
    let (address, _) = network.split_once('/').unwrap_or((network, ""));
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(error) => panic!("{network}: {error}"),
    }
}

fn networks(name: &str) -> Vec<(String, Value)> {
    let Some(text) = file(name) else {
        return vec![];
    };
    let list: Vec<serde_json::Map<String, Value>> = match serde_json::from_slice(&text) {
        Ok(list) => list,
        Err(error) => panic!("{name}: {error}"),
    };
    list.into_iter().flatten().collect()
}

/// A file of the test databases; `None` where they are not at hand, said aloud.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn file(name: &str) -> Option<Vec<u8>> {
    let shared = match std::env::var_os("POINTSMAN_SHARED") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let path = shared.join("data/mmdb").join(format!("GeoLite2-{name}"));
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {}: {error}", path.display());
            None
        }
    }
}
