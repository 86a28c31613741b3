//! Clash's and sing-box's configurations, against tables written by hand.

use std::path::Path;

use super::{loaded, way};
use crate::convert::{Conversion, from_foreign};
use crate::damage::variants;
use crate::fuzz_checks::{check_clash, check_sing_box};
use pointsman_config::dialect::foreign::{Document, Foreign};
use pointsman_config::files::Memory;
use pointsman_config::problem::{Problems, Source};

/// The language of a text, where it is one that is converted alone.
pub(super) fn told_by_shape(text: &str) -> Option<Foreign> {
    let told = Document::tell(&Source::new("c", text.to_owned()));
    told.ok().map(|document| document.language())
}

/// What comes of a text that is said to be of a language; its lists are in `files`, below `directory`.
pub(super) fn convert(
    language: Foreign,
    text: &str,
    directory: &str,
    files: &Memory,
) -> Result<Conversion, Problems> {
    let source = Source::new("c", text.to_owned());
    from_foreign(Document::of(language, &source), Path::new(directory), files)
}

pub(super) fn converted(foreign: Foreign, text: &str) -> Conversion {
    assert_eq!(told_by_shape(text), Some(foreign));
    let done = convert(foreign, text, "", &Memory::default());
    done.unwrap_or_else(|problems| panic!("{:?}", problems.0))
}

fn check_table(foreign: Foreign, text: &str, table: &str) -> Vec<String> {
    let conversion = converted(foreign, text);
    let setup = loaded(&conversion.text, Path::new(""), &Memory::default());
    let mut wrong = Vec::new();
    for line in table.lines() {
        let (flow, expected) = line.split_once(" => ").unwrap();
        let found = way(&setup, flow);
        if found != expected {
            wrong.push(format!("{flow} => {found}, not {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{}",
        wrong.join("\n"),
        conversion.text
    );
    let lost = conversion.report.iter().filter(|remark| !remark.equal);
    lost.map(ToString::to_string).collect()
}

/// 300 damaged variants keep what [`pointsman_config::fuzz_checks`] asks for.
fn survives(check: fn(&[u8]), text: &str) {
    variants(text.as_bytes())
        .take(300)
        .for_each(|bytes| check(&bytes));
}

#[test]
fn clash_goes_where_it_went() {
    let text = include_str!("clash.yaml");
    let lost = check_table(Foreign::Clash, text, include_str!("clash.expected"));
    let named = [
        "later",
        "auto",
        "no UDP goes by `web`",
        "a*b.odd.test",
        "UID,1001",
        "IP-SUFFIX",
    ];
    for name in named {
        assert!(
            lost.iter().any(|line| line.contains(name)),
            "{name}: {lost:?}"
        );
    }
    assert_eq!(lost.len(), named.len(), "{lost:#?}");
    assert!(
        lost.iter().any(|line| line.starts_with("c:31: ")),
        "{lost:?}"
    );
    survives(check_clash, text);
}

#[test]
fn a_load_names_the_language() {
    let files = Memory::new([("c.yaml", include_str!("clash.yaml"))]);
    let loaded = pointsman_config::load(Path::new("c.yaml"), None, None, &files);
    let problem = loaded.problems.0.first().unwrap().to_string();
    assert!(problem.contains("foreign-configuration"), "{problem}");
    assert!(problem.contains("`pointsman convert`"), "{problem}");
}

#[test]
fn sing_box_goes_where_it_went() {
    let text = include_str!("sing_box.json");
    let lost = check_table(Foreign::SingBox, text, include_str!("sing_box.expected"));
    let named = ["tun", "several addresses", "wifi_ssid"];
    for name in named {
        assert!(
            lost.iter().any(|line| line.contains(name)),
            "{name}: {lost:?}"
        );
    }
    assert_eq!(lost.len(), named.len(), "{lost:#?}");
    survives(check_sing_box, text);
}

#[test]
fn the_systems_name_servers_stay_the_systems() {
    let clash = "dns: { enable: true, nameserver: [system, 'fe80::1%eth0'] }\nproxies: []\nrules:\n  - MATCH,DIRECT\n";
    let sing_box = r#"{"dns": {"servers": [{"type": "local", "tag": "own"}, {"type": "udp", "server": "1.1.1.1", "tag": "far"}]},
        "inbounds": [], "outbounds": [{"type": "direct", "tag": "d"}], "route": {"final": "d"}}"#;
    for (foreign, text, expected) in [(Foreign::Clash, clash, 2), (Foreign::SingBox, sing_box, 1)] {
        let conversion = converted(foreign, text);
        let lost = conversion.report.iter().filter(|remark| !remark.equal);
        assert_eq!(lost.count(), 0, "{:?}", conversion.text);
        let setup = loaded(&conversion.text, Path::new(""), &Memory::default());
        let servers = &setup.resolvers[setup.server_resolver.unwrap().0].servers;
        assert_eq!(
            servers[0],
            pointsman_config::setup::NameServer::System,
            "{}",
            conversion.text
        );
        assert_eq!(servers.len(), expected, "{}", conversion.text);
        // Written anew from what was read, it is still the same.
        let again = crate::convert::from_setup(&setup, &conversion.text, &Problems::default());
        let again = loaded(&again.text, Path::new(""), &Memory::default());
        assert_eq!(
            &again.resolvers[again.server_resolver.unwrap().0].servers,
            servers
        );
    }
}

#[test]
fn json_with_comments_and_last_commas_is_read_and_broken_one_told_at_its_place() {
    let parts = "\"inbounds\": [ { \"type\": \"mixed\", \"tag\": \"in\", \"listen_port\": 7890 } ],\n\
                 \"outbounds\": [ { \"type\": \"direct\", \"tag\": \"direct\" }COMMA ], # last\n\
                 \"route\": { \"final\": \"direct\" } }";
    let plain = converted(
        Foreign::SingBox,
        &format!("{{ {}", parts.replace("COMMA", "").replace("# last", "")),
    );
    for begin in ["{ ", "{ // a, b\n", "// a\n# b\n/* c */ {\n"] {
        let text = format!("{begin}{}", parts.replace("COMMA", ","));
        assert_eq!(
            converted(Foreign::SingBox, &text).text,
            plain.text,
            "{text}"
        );
    }
    let text = format!("{{ // a\n{}", parts.replace("COMMA", " x"));
    assert_eq!(told_by_shape(&text), Some(Foreign::SingBox));
    let broken = convert(Foreign::SingBox, &text, "", &Memory::default());
    let problems: Problems = broken.err().unwrap();
    let shown: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    let [shown] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    let expected = "c:3:54: error[json-syntax]: the JSON cannot be read: expected `,` or `]`\n";
    assert!(shown.starts_with(expected), "{shown}");
}

/// The tree is taken that told the language: the text is not parsed a second time.
#[test]
fn what_was_parsed_is_converted() {
    let check = |text: &str| {
        let whole = converted(told_by_shape(text).unwrap(), text);
        let source = Source::new("c", text.to_owned());
        let mut document = Document::tell(&source).unwrap();
        document.source = Source::new("c", "}".repeat(text.len()));
        let again = from_foreign(document, Path::new(""), &Memory::default()).unwrap();
        assert_eq!(again.text, whole.text);
    };
    check("mixed-port: 1\nrules: [\"MATCH,DIRECT\"]\n");
    check("{\"outbounds\": [{\"type\": \"direct\"}], \"route\": {}}\n");
}
