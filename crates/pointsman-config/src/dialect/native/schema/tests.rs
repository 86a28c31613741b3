//! The schema beside the reader: the same keys, and what one takes the other takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use super::super::tests::{read, shown_in_documents};
use super::*;
use crate::yaml::{self, Node, Style, Value as Yaml, seen};
use crate::{Problems, Source};

/// Has a mapping of every kind, with every type that is built.
const EVERYTHING: &str = r#"version: 1
log: { level: info, format: text }
access_log: flows.log
history: { keep: 10, redact: false }
watch: true
shutdown: { grace: 30s }
sniff: { timeout: 300ms, max_bytes: 16KiB }
timeouts: { handshake: 10s, dial: 10s, resolve: 1s, first_byte: 10s, half_closed: off, idle: 1d, keep_alive: 60s, blackhole: 30s }
udp: { idle: 5m, idle_by_protocol: { dns: 10s, quic: 1m }, nat: full-cone, flows: 20000, flows_by_client: 2000, held: 16KiB, offload: off }
on_unknown: skip
ip_rules_resolve: true
domain_order: all
inbounds:
  desk:
    type: mixed
    listen: "127.0.0.1:7890"
    users:
      alice: secret
      bob: { password: { from_env: BOB_PASSWORD }, alias: phone }
      carol: { from_file: password }
    alias: mine
    allow: [127.0.0.0/8]
    policy: guests
    resolver: isp
  lan: { type: socks5, listen: 1080 }
  web: { type: http, listen: ":8080", allow: ["::1"] }
  house: { type: tun }
outbounds:
  privacy: { type: socks5, server: "127.0.0.1:2123", udp: true, username: me, password: { from_file: office.password }, interface: lo, source: 127.0.0.1, mark: 3, served_by: { user: nobody } }
  office: { type: http, server: "proxy.example:8080", username: me, password: 1234, interface: lo, source: 127.0.0.1, mark: 3, served_by: { program: /usr/bin/true } }
  work: { type: direct, interface: lo, source: "::1", mark: 0 }
  both: { type: chain, hops: [work, privacy] }
  choice: { type: select, members: [privacy, office, direct] }
  auto: { type: fastest, members: [privacy, direct], probe: { url: "http://www.gstatic.com/generate_204", interval: 5m } }
forwards:
  postgres:
    listen: ["tcp://0.0.0.0:5432", "unix:///run/pg.sock"]
    allow: [10.0.0.0/8]
    targets:
      - { name: a, address: "tcp://10.0.0.5:5432", via: work }
      - { name: b, address: "unix:///run/b", attempts: 3, backoff: 200ms, connect_timeout: 2s, resolve_timeout: 1s, read_timeout: 1s, write_timeout: 1s, keepalive: off, family: ipv4, tls: {} }
    balance: failover
    tls: {}
    connection_limit: 100
    lifetime: 1d
    read_timeout: 1h
    write_timeout: 1h
    half_closed: 1h
    retry: { targets: 2, pause: 1s, most: 2s }
    access_log: postgres.log
    proxy_header: true
    same_family: true
  other: { listen: "fd://3", targets: [{ name: c, address: "fd://4" }] }
rule_sets:
  adservers: { path: lists/ads.txt, format: domains, strict: true }
  typed: { path: lists/clash.yaml, format: yaml, behavior: domain }
  fetched: { url: "http://lists.example/x", via: work, interval: 1h, limit: 1MiB, select: cn }
  secret-sites: { domains: [reddit.com, twitter.com] }
  worknet: { ips: [10.3.5.0/24] }
  builders: { rules: ["PROCESS-NAME, cargo"] }
dns:
  upstreams:
    isp: "udp://192.168.1.1"
    far: { address: "tcp://1.1.1.1", via: privacy, reuse: off }
    row: { order: ["udp://192.168.1.1"], reuse: 5s }
    all: { race: ["udp://192.168.1.1"], via: privacy }
    one: { fastest: ["udp://192.168.1.1"], timeout: 2s }
    two: ["udp://192.168.1.1", { address: "tls://dns.example", timeout: 2s, addresses: [192.0.2.1], client_subnet: off, tls: { name: a.example, authorities: lists/ca.pem } }]
  resolver: isp
  hosts: { nas.lan: 192.168.1.5, .test: [127.0.0.1, "::1"] }
  domains: { corp.example: far }
  family: prefer-ipv4
  listen: ["udp://127.0.0.1", { address: "udp://[::1]:53", name: six, allow: ["::1"] }, { address: "https://[::1]", tls: { certificates: [{ certificate: dns.pem, key: dns.key, ocsp: dns.ocsp, directory: certs }], client: {}, alpn: [h2], minimum: "1.2", resume: 12h } }]
  rules: ["RULE-SET, secret-sites, nxdomain", "FALLBACK, isp"]
  ask: { privacy: far }
  undecided: isp
  limits: { waiting: 100, client_waiting: 10, tcp_clients: 5, tcp_idle: 5s, client_rate: 200 }
  answers: []
  bootstrap: ["udp://192.168.1.1"]
  cache: { size: 8MiB, min_ttl: off, max_ttl: 1d, negative_ttl: 15m, stale: 1d, prefetch: true }
  fake_ip: {}
  log: off
  strip_ech: false
control: {}
policy: |
  any [
    cond domain { secret-sites => privacy }
    direct
  ]
policies:
  tree: direct
  guests:
    - RULE-SET, adservers, REJECT
    - .LOCAL-RESOLVE
    - .INSTRUMENT: { id: 1, matches: ALWAYS, message: hello }
    - .REQUEST: { id: 1, matches: "DST-PORT, 1", timeout: 10, request-route: CONTINUE, fallback: REJECT }
    - .SUB-DISPATCH: { matches: "DST-PORT, 80", subrules: ["FALLBACK, DIRECT"] }
    - FALLBACK, REJECT
tests:
  - { flow: "dst=a.test:443", expect: direct }
"#;

struct Validator {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let mut compiler = boon::Compiler::new();
        let place = "schema.json";
        compiler.add_resource(place, schema()).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile(place, &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// What the validator says of a configuration.
    fn judge(&self, text: &str) -> Result<(), String> {
        let source = Source::new("pointsman.yaml", text.to_owned());
        let node = yaml::parse(&source, &mut Problems::default()).unwrap();
        let value = json(&node);
        let verdict = self.schemas.validate(&value, self.index);
        verdict.map_err(|error| error.to_string())
    }
}

/// As editors read it: YAML 1.2's core schema.
fn json(node: &Node) -> Json {
    match &node.value {
        Yaml::Map(pairs) => {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(key, value)| (key.scalar().unwrap().to_owned(), json(value)));
            Json::Object(pairs.collect())
        }
        Yaml::List(items) => items.iter().map(json).collect(),
        Yaml::Scalar(..) if node.is_null() => Json::Null,
        Yaml::Scalar(text, Style::Plain) => match text.as_str() {
            "true" | "True" | "TRUE" => true.into(),
            "false" | "False" | "FALSE" => false.into(),
            number if number.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                let plain = number.strip_prefix('+').unwrap_or(number);
                let whole = plain.parse::<i64>().map(Json::from);
                whole
                    .or_else(|_| plain.parse::<f64>().map(Json::from))
                    .unwrap_or_else(|_| text.as_str().into())
            }
            text => text.into(),
        },
        Yaml::Scalar(text, _) => text.as_str().into(),
    }
}

/// Problems that a look at the shape of a text finds, without knowing names.
const SHAPE: [&str; 3] = ["unknown-key", "missing-key", "wrong-type"];

/// Whether the reader refuses it; and whether by its shape.
fn refused(text: &str) -> (bool, bool) {
    let loaded = read(text);
    let errors = loaded.problems.0.iter();
    let errors: Vec<&str> = errors
        .filter(|problem| problem.severity == crate::Severity::Error)
        .map(|problem| problem.code)
        .collect();
    let by_shape = errors.iter().any(|code| SHAPE.contains(code));
    (!errors.is_empty(), by_shape)
}

/// The keys that the schema has, by what the reader calls a mapping and its type.
fn schema_keys() -> seen::Known {
    let whole = schema();
    let mut known = BTreeMap::new();
    let mut add = |what: &str, word: &str, schema: &Json, common: &[&str]| {
        let keys = schema["properties"].as_object().unwrap();
        let keys = keys
            .keys()
            .map(String::as_str)
            .chain(common.iter().copied());
        let keys: BTreeSet<String> = keys.map(str::to_owned).collect();
        known.insert((what.to_owned(), word.to_owned()), keys);
    };
    let at = |path: &str| {
        let found = whole.pointer(path);
        found.unwrap_or_else(|| panic!("{path}"))
    };
    let by_name = "additionalProperties";
    add("the configuration", "", &whole, &[]);
    for (what, path) in [
        ("`log`", "/properties/log".to_owned()),
        ("`history`", "/properties/history".to_owned()),
        ("`shutdown`", "/properties/shutdown".to_owned()),
        ("`sniff`", "/properties/sniff".to_owned()),
        ("`timeouts`", "/properties/timeouts".to_owned()),
        ("`udp`", "/properties/udp".to_owned()),
        ("`dns`", "/properties/dns".to_owned()),
        ("`limits`", "/properties/dns/properties/limits".to_owned()),
        ("`cache`", "/properties/dns/properties/cache".to_owned()),
        ("`fake_ip`", "/properties/dns/properties/fake_ip".to_owned()),
        (
            "a listener of `dns`",
            "/properties/dns/properties/listen/anyOf/1".to_owned(),
        ),
        (
            "`tls`",
            "/properties/dns/properties/listen/anyOf/1/properties/tls".to_owned(),
        ),
        (
            "a certificate",
            "/properties/dns/properties/listen/anyOf/1/properties/tls/properties/certificates/anyOf/0"
                .to_owned(),
        ),
        ("a test", "/properties/tests/items/anyOf/1".to_owned()),
        ("a forward", format!("/properties/forwards/{by_name}")),
        (
            "`retry`",
            format!("/properties/forwards/{by_name}/properties/retry"),
        ),
        (
            "a target",
            format!("/properties/forwards/{by_name}/properties/targets/items"),
        ),
        ("a rule set", format!("/properties/rule_sets/{by_name}")),
        (
            "an upstream",
            format!("/properties/dns/properties/upstreams/{by_name}/anyOf/1"),
        ),
        (
            "an upstream with `order`",
            format!("/properties/dns/properties/upstreams/{by_name}/anyOf/2"),
        ),
        (
            "an upstream with `race`",
            format!("/properties/dns/properties/upstreams/{by_name}/anyOf/3"),
        ),
        (
            "an upstream with `fastest`",
            format!("/properties/dns/properties/upstreams/{by_name}/anyOf/4"),
        ),
        (
            "a server of an upstream",
            format!("/properties/dns/properties/upstreams/{by_name}/anyOf/5/items/anyOf/1"),
        ),
        (
            "`tls` of an upstream",
            format!("/properties/dns/properties/upstreams/{by_name}/anyOf/1/properties/tls"),
        ),
        (
            "a user's password",
            format!(
                "/properties/inbounds/{by_name}/allOf/0/then/properties/users/{by_name}/anyOf/1"
            ),
        ),
        (
            "a user",
            format!(
                "/properties/inbounds/{by_name}/allOf/0/then/properties/users/{by_name}/anyOf/2"
            ),
        ),
        (
            "`password`",
            format!("/properties/outbounds/{by_name}/allOf/1/then/properties/password/anyOf/1"),
        ),
        (
            "`served_by`",
            format!("/properties/outbounds/{by_name}/allOf/1/then/properties/served_by"),
        ),
    ] {
        add(what, "", at(&path), &[]);
    }
    for (what, section) in [("an inbound", "inbounds"), ("an outbound", "outbounds")] {
        let types = at(&format!("/properties/{section}/{by_name}/allOf"));
        for kind in types.as_array().unwrap() {
            // Not built: the reader does not look into it.
            if kind["then"]["additionalProperties"] == true {
                continue;
            }
            for word in kind["if"]["properties"]["type"]["enum"].as_array().unwrap() {
                add(what, word.as_str().unwrap(), &kind["then"], &["type"]);
            }
        }
    }
    known
}

#[test]
fn the_reader_and_the_schema_know_the_same_keys() {
    seen::take();
    let loaded = read(EVERYTHING);
    let mut known = seen::take();
    // Rules are one definition, read by those who read lists of them.
    known.retain(|(what, _), _| !what.starts_with("`."));
    assert!(!loaded.problems.has_errors(), "{:?}", loaded.problems);
    let mine = schema_keys();
    for (what, keys) in &known {
        assert_eq!(mine.get(what), Some(keys), "{what:?}");
    }
    let built = super::super::outbounds::BUILT.map(|word| ("an outbound", word));
    let kinds = super::super::inbounds::KINDS.map(|(word, _)| ("an inbound", word));
    for (what, word) in built.into_iter().chain(kinds) {
        let name = (what.to_owned(), word.to_owned());
        assert!(mine.contains_key(&name), "{what} of type {word}");
    }
    for what in mine.keys() {
        assert!(known.contains_key(what), "nobody read {what:?}");
    }
}

#[test]
fn the_reference_and_the_schema_have_the_same_keys() {
    let reference = Reference::read();
    let mut rows: BTreeSet<(&str, &str)> = reference.keys().collect();
    let mut missing = Vec::new();
    let mut open = vec![&ROOT];
    let mut seen = 0;
    while let Some(mapping) = open.pop() {
        let of_types = mapping.types.iter().map(|kind| kind.keys);
        for key in mapping.keys.iter().chain(of_types.flatten()) {
            let (section, prefix) = mapping.place;
            let name = format!("{prefix}{}", key.name);
            let row = rows
                .iter()
                .find(|(s, k)| *s == section && *k == name)
                .copied();
            match row {
                Some(row) => drop(rows.remove(&row)),
                None if key.about.is_empty() => missing.push((section, name)),
                None => {}
            }
            mappings_of(&key.kind, &mut open);
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} keys");
    assert!(missing.is_empty(), "no row: {missing:?}");
    // The rows of whole sections have headings of their own in the page.
    assert!(rows.is_empty(), "not in the schema: {rows:?}");
}

fn mappings_of(kind: &ValueKind, open: &mut Vec<&'static Mapping>) {
    match kind {
        ValueKind::Mapping(mapping) => open.push(mapping),
        ValueKind::ByName(kind) | ValueKind::List(kind) | ValueKind::Items(kind, _) => {
            mappings_of(kind, open);
        }
        ValueKind::Either(kinds) => kinds.iter().for_each(|kind| mappings_of(kind, open)),
        ValueKind::Any
        | ValueKind::File
        | ValueKind::Flag
        | ValueKind::Whole(..)
        | ValueKind::Text
        | ValueKind::Digits(_)
        | ValueKind::Matching(_)
        | ValueKind::One
        | ValueKind::Words(_)
        | ValueKind::BuiltOrLater(..)
        | ValueKind::Rule => {}
    }
}

#[test]
fn descriptions_and_defaults_are_those_of_the_page() {
    let schema = schema();
    let timeouts = &schema["properties"]["timeouts"]["properties"];
    assert_eq!(timeouts["idle"]["default"], "4h");
    let keep = &schema["properties"]["history"]["properties"]["keep"];
    assert_eq!(keep["default"], 1000);
    assert_eq!(schema["properties"]["watch"]["default"], false);
    let policy = schema["properties"]["policy"]["description"].as_str();
    assert!(policy.unwrap().contains("see policy.md"), "{policy:?}");
    let text = schema.to_string();
    assert!(
        !text.contains("]("),
        "a link of the page leads nowhere here"
    );
}

#[test]
fn what_is_not_built_is_marked() {
    let schema = schema();
    let check = |section: &str, key: &str, built: &str, later: &str| {
        let of = &schema["properties"][section]["additionalProperties"]["properties"][key];
        let words = |at: usize| of["anyOf"][at]["enum"].as_array().unwrap().clone();
        assert!(words(0).contains(&built.into()) && !words(0).contains(&later.into()));
        assert!(words(1).contains(&later.into()));
        let about = of["anyOf"][1]["description"].as_str().unwrap();
        assert!(about.starts_with("Not built yet"), "{about}");
    };
    check("outbounds", "type", "select", "fastest");
    check("inbounds", "type", "mixed", "tun");
    check("forwards", "balance", "failover", "sni");
}

#[test]
fn examples_and_documents_are_valid() {
    let validator = Validator::new();
    validator.judge(EVERYTHING).unwrap();
    validator.judge(super::super::DEFAULT).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packaged = std::fs::read_to_string(root.join("packaging/pointsman.yaml")).unwrap();
    validator.judge(&packaged).unwrap();
    assert!(read(&packaged).problems.0.is_empty());
    let examples = root.join("examples");
    let mut open = vec![examples];
    let mut files = 0;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let native = path.extension().is_some_and(|e| e == "yaml");
            // bitflow's, and lists.
            let other = path.ends_with("config.yaml") || path.to_str().unwrap().contains("/lists/");
            if native && !other {
                let text = std::fs::read_to_string(&path).unwrap();
                validator
                    .judge(&text)
                    .unwrap_or_else(|why| panic!("{}: {why}", path.display()));
                files += 1;
            }
        }
    }
    assert!(files >= 7, "{files} files");
    let documents = shown_in_documents();
    assert!(documents.len() >= 4);
    for text in documents {
        validator
            .judge(&text)
            .unwrap_or_else(|why| panic!("{text}\n{why}"));
    }
}

#[test]
fn wrong_configurations_are_not_valid() {
    let validator = Validator::new();
    for wrong in [
        "inbound: {}",
        "version: 2",
        "log: { level: loud }",
        "log: verbose",
        "watch: yes",
        "history: { keep: 100001 }",
        "shutdown: { grace: 10 }",
        "sniff: { max_bytes: 16 }",
        "timeouts: { dial: off }",
        "timeouts: { idle: 1h30m }",
        "udp: { idle: off }",
        "udp: { nat: symmetric }",
        "udp: { flows: 0 }",
        "inbounds: { a: { listen: 1080 } }",
        "inbounds: { a: { type: mixed } }",
        "inbounds: { a: { type: socks4, listen: 1080 } }",
        "inbounds: { a: { type: mixed, listen: localhost } }",
        "inbounds: { a: { type: mixed, listen: 1080, allowed: [] } }",
        "inbounds: { a: { type: mixed, listen: 1080, users: { me: { secret: x } } } }",
        "inbounds: { a: { type: mixed, listen: 1080, users: { me: { from_file: x, from_env: y } } } }",
        "outbounds: { a: { type: direct, server: \"h:1\" } }",
        "outbounds: { a: { type: socks5 } }",
        "outbounds: { a: { type: socks5, server: \"socks5://h\" } }",
        "outbounds: { a: { type: http, server: \"h:1\", udp: true } }",
        "outbounds: { a: { type: url-test, members: [direct] } }",
        "outbounds: { a: { type: chain, hops: [] } }",
        "outbounds: { a: { type: direct, mark: \"1\" } }",
        "forwards: { a: { listen: \"tcp://:1\" } }",
        "forwards: { a: { listen: \"tcp://:1\", targets: [] } }",
        "forwards: { a: { listen: \":1\", targets: [{ name: t, address: \"tcp://h:1\" }] } }",
        "forwards: { a: { listen: \"tcp://:1\", targets: [{ name: t, address: \"h:1\" }] } }",
        "forwards: { a: { listen: \"tcp://:1\", targets: [{ name: t, address: \"tcp://h:1\" }], balance: leastconn } }",
        "rule_sets: { a: { path: x, format: clash } }",
        "rule_sets: { a: { url: \"ftp://x\" } }",
        "dns: { upstreams: { a: 1.1.1.1 } }",
        "dns: { family: both }",
        "policy: [\"FALLBACK, DIRECT\"]",
        "rules: \"FALLBACK, DIRECT\"",
        "rules: [{ DOMAIN: a.test }]",
        "rules: [[a]]",
        "tests: [{ flow: \"dst=a:1\" }]",
        "include: { a: b }",
    ] {
        assert!(validator.judge(wrong).is_err(), "valid: {wrong}");
        assert!(refused(wrong).0, "the reader takes it: {wrong}");
    }
}

/// Each value of a configuration is exchanged for others: what the reader takes the schema takes; what it refuses by
/// its shape the schema refuses.
#[test]
fn the_reader_and_the_schema_agree_on_what_is_taken() {
    let validator = Validator::new();
    let samples = [
        "0",
        "1",
        "-1",
        "70000",
        "1.5",
        "\"1\"",
        "true",
        "word",
        "\"two words\"",
        "10s",
        "0s",
        "off",
        "16KiB",
        "127.0.0.1",
        "\"::1\"",
        "10.0.0.0/8",
        "127.0.0.1:80",
        "\":80\"",
        "\"tcp://127.0.0.1:80\"",
        "\"udp://127.0.0.1\"",
        "\"http://a.test/x\"",
        "/dev/null",
        "direct",
        "[]",
        "{}",
        "[word]",
        "{ word: word }",
        "[1]",
        "null",
    ];
    let source = Source::new("pointsman.yaml", EVERYTHING.to_owned());
    let root = yaml::parse(&source, &mut Problems::default()).unwrap();
    let mut places = Vec::new();
    let mut open = vec![&root];
    while let Some(node) = open.pop() {
        match &node.value {
            Yaml::Map(pairs) => open.extend(pairs.iter().map(|(_, value)| value)),
            Yaml::List(items) => open.extend(items),
            Yaml::Scalar(..) => {}
        }
        let flow = node.span.text().starts_with(['{', '[']);
        if flow || matches!(node.value, Yaml::Scalar(_, Style::Plain | Style::Quoted)) {
            places.push((node.span.start, node.span.end));
        }
    }
    let (mut taken, mut refusals) = (0, 0);
    let mut apart = Vec::new();
    for (at, (start, end)) in places.into_iter().enumerate() {
        // A third of them at each place: values of a kind stand in many.
        for sample in samples.into_iter().skip(at % 3).step_by(3) {
            let text = format!("{}{sample}{}", &EVERYTHING[..start], &EVERYTHING[end..]);
            let line = EVERYTHING[..start].lines().count();
            let place = format!("{sample} in line {line} for {}", &EVERYTHING[start..end]);
            let (no, by_shape) = refused(&text);
            match validator.judge(&text) {
                // A key of a single value that stands empty is one that somebody still writes.
                Err(why) if !no && sample != "null" => {
                    apart.push(format!("the reader takes {place}: {why}"));
                }
                Ok(()) if by_shape => apart.push(format!("the schema takes {place}")),
                Err(_) => refusals += 1,
                Ok(()) => taken += 1,
            }
        }
    }
    assert!(apart.is_empty(), "{}", apart.join("\n"));
    assert!(
        taken > 300 && refusals > 1000,
        "{taken} taken, {refusals} refused"
    );
}
