//! Every example of BoltConn's document and its sample configuration load as they are.
//!
//! Without the shared documents the tests say so and pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files::{Disk, Memory};
use crate::{Dialect, Loaded, Severity, damage, load};

fn shared() -> Option<PathBuf> {
    damage::shared("seeds/boltconn-rules.md")?;
    damage::shared(".")
}

/// The YAML examples of the document, without the indentation of the list that they stand in.
fn examples(document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for (number, line) in (1..).zip(document.lines()) {
        let bare = line.trim_start();
        match &mut open {
            None if bare == "```yaml" => {
                open = Some((number, line.len() - bare.len(), String::new()));
            }
            Some(_) if bare == "```" => {
                if let Some((at, _, text)) = open.take() {
                    found.push((at, text));
                }
            }
            Some((_, indent, text)) => {
                text.push_str(line.get(*indent..).unwrap_or(""));
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

/// The outbounds that the rules of a text name: the last element of each.
fn named_outbounds(text: &str) -> BTreeSet<String> {
    let built_in = ["DIRECT", "REJECT"];
    let rules = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "));
    rules
        .filter(|rule| rule.contains(',') && !rule.starts_with('<'))
        .filter_map(|rule| {
            let rule = rule.split("  #").next()?.trim();
            let rule = rule.strip_suffix(", no-resolve").unwrap_or(rule);
            Some(rule.rsplit(',').next()?.trim().to_owned())
        })
        .filter(|name| !built_in.contains(&name.as_str()) && !name.contains(['"', ']']))
        .collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// What an example is wrapped into: what it refers to and does not bring.
fn wrapped(example: &str) -> String {
    let mut text = if example.starts_with("- ")
        || example.starts_with('#') && !example.contains(":\n")
    {
        format!("rule_local:\n{}", indented(example))
    } else if example.contains("rule_local:") {
        example.to_owned()
    } else {
        // Rules below comments, or a section without rules.
        match example.lines().find(|line| !line.starts_with('#')) {
            Some(line) if line.starts_with("- ") => format!("rule_local:\n{}", indented(example)),
            Some(_) | None => format!("{example}\nrule_local:\n"),
        }
    };
    if !text.contains("- FALLBACK") || !ends_with_fallback(&text) {
        text.push_str("  - FALLBACK, DIRECT\n");
    }
    if text.contains("RULE-SET, ad-blocking") && !text.contains("  ad-blocking:") {
        let provider = "{ type: http, behavior: domain, url: \"https://example.com/\", path: ads }";
        text.push_str(&format!("rule_provider:\n  ad-blocking: {provider}\n"));
    }
    if !text.contains("dispatching:") {
        text.push_str("dispatching: { geoip_db: GeoLite2-Country.mmdb, asn_db: asn.mmdb }\n");
    }
    text.push_str("proxy_local:\n  appended: { type: http, server: proxy.example, port: 8080 }\n");
    for name in named_outbounds(&text) {
        text.push_str(&format!(
            "  {name}: {{ type: socks5, server: 10.0.0.1, port: 1080 }}\n"
        ));
    }
    text
}

/// Whether the main list (indented by two) has its last rule already.
fn ends_with_fallback(text: &str) -> bool {
    let mut rules = text.lines().filter(|line| line.starts_with("  - "));
    rules
        .next_back()
        .is_some_and(|rule| rule.starts_with("  - FALLBACK"))
}

fn files(shared: &Path) -> Memory {
    let mut files = Memory::new([
        (
            "./rules/custom-domains.yaml",
            "payload:\n  - custom.example\n",
        ),
        (
            "./rules/my-rules.yaml",
            "payload:\n  - google.com\n  - \".facebook.com\"  # suffix\n",
        ),
        ("./rules/private-ip.yaml", "payload:\n  - 192.168.0.0/16\n"),
        (
            "./rules/private-networks.yaml",
            "payload:\n  - 192.168.0.0/16\n",
        ),
    ]);
    for (name, from) in [
        (
            "GeoLite2-Country.mmdb",
            "data/mmdb/GeoLite2-Country-Test.mmdb",
        ),
        ("asn.mmdb", "data/mmdb/GeoLite2-ASN-Test.mmdb"),
    ] {
        let bytes = std::fs::read(shared.join(from)).unwrap();
        files.files.insert(name.into(), bytes);
    }
    files
}

fn load_memory(mut files: Memory, text: &str) -> Loaded {
    files.files.insert("config.yml".into(), text.into());
    load(
        Path::new("config.yml"),
        Some(Dialect::Boltconn),
        None,
        &files,
    )
}

fn told(loaded: &Loaded) -> String {
    loaded.problems.0.iter().map(|p| format!("{p}\n")).collect()
}

fn document(shared: &Path) -> String {
    std::fs::read_to_string(shared.join("seeds/boltconn-rules.md")).unwrap()
}

#[test]
fn every_example_loads() {
    let Some(shared) = shared() else { return };
    let mut loaded_count = 0;
    for (line, example) in examples(&document(&shared)) {
        // Sketches of the syntax (`<rule1>`), not examples.
        if example.contains("RULE-TYPE") || example.contains('<') {
            continue;
        }
        if example.contains("payload:") {
            continue;
        }
        let text = wrapped(&example);
        let loaded = load_memory(files(&shared), &text);
        assert!(
            loaded.setup.is_some(),
            "line {line}:\n{text}\n{}",
            told(&loaded)
        );
        loaded_count += 1;
    }
    assert_eq!(loaded_count, 47);
}

#[test]
fn every_list_of_the_document_loads() {
    let Some(shared) = shared() else { return };
    let mut loaded_count = 0;
    for (line, example) in examples(&document(&shared)) {
        if !example.contains("payload:") {
            continue;
        }
        // One block shows the three behaviours one under the other.
        for part in example.split("payload:").skip(1) {
            let list = format!("payload:{part}");
            let behavior = if part.contains("DOMAIN,") {
                "classical"
            } else if part.contains('/') {
                "ipcidr"
            } else {
                "domain"
            };
            let mut files = files(&shared);
            files.files.insert("list.yaml".into(), list.clone().into());
            let text = format!(
                "rule_provider: {{ l: {{ type: file, path: list.yaml, behavior: {behavior}, strict: true }} }}\nrule_local:\n  - RULE-SET, l, REJECT\n  - FALLBACK, DIRECT\n"
            );
            let loaded = load_memory(files, &text);
            let setup = loaded.setup.as_ref();
            let set = setup.map(|s| s.policies[0].sets[0].len());
            assert!(
                set.is_some_and(|n| n >= 3),
                "line {line}:\n{list}\n{}",
                told(&loaded)
            );
            loaded_count += 1;
        }
    }
    assert_eq!(loaded_count, 6);
}

#[test]
fn the_complete_example_loads_verbatim() {
    let Some(shared) = shared() else { return };
    let document = document(&shared);
    let complete = examples(&document)
        .into_iter()
        .find(|(_, text)| text.starts_with("# Configure GeoIP database"))
        .map(|(_, text)| text)
        .unwrap();
    let appended = "proxy_local:\n  Proxy: { type: http, server: proxy.example, port: 8080 }\nproxy_group:\n  Work-Proxies: { proxies: [Proxy, DIRECT] }\n  Personal-Proxies: { proxies: [Proxy] }\n  Netflix-Proxies: { proxies: [Proxy] }\n";
    let loaded = load_memory(files(&shared), &format!("{complete}{appended}"));
    let setup = loaded.setup.as_ref();
    assert!(setup.is_some(), "{}", told(&loaded));
    let steps = setup.map(|s| s.policies[0].body.len());
    assert_eq!(steps, Some(17), "{}", told(&loaded));
    assert!(
        loaded
            .problems
            .0
            .iter()
            .all(|p| p.severity < Severity::Error)
    );
    // Fetched lists serve from their cache.
    let mut cached = files(&shared);
    cached
        .files
        .insert("cache/ad-blocking.yaml".into(), b"ads.example\n".to_vec());
    let loaded = load_memory(cached, &format!("{complete}{appended}"));
    assert!(!told(&loaded).contains("not-fetched"), "{}", told(&loaded));
}

#[test]
fn the_sample_loads() {
    let Some(shared) = shared() else { return };
    let sample = shared.join("samples/boltconn/config.yml");
    for dialect in [None, Some(Dialect::Boltconn)] {
        let loaded = load(&sample, dialect, None, &Disk);
        assert_eq!(loaded.dialect, Some(Dialect::Boltconn));
        let setup = loaded
            .setup
            .as_ref()
            .unwrap_or_else(|| panic!("{}", told(&loaded)));
        let inbounds: Vec<String> = setup
            .inbounds
            .iter()
            .map(|i| format!("{}={:?}@{}", i.name, i.kind, i.listen))
            .collect();
        assert_eq!(inbounds, ["mixed-7890=Mixed@127.0.0.1:7890"]);
        assert_eq!(setup.policies[0].sets[0].len(), 27, "Apple");
        assert_eq!(
            setup.policies[0].body.len(),
            7,
            "one rule of the module, six of its own"
        );
        assert!(setup.outbounds.iter().any(|o| &*o.name == "Mountain View"));
        assert_eq!(setup.files.len(), 5, "{:?}", setup.files);
    }
}
