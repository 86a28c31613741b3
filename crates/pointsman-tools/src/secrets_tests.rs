//! No problem, report or configuration shows a secret, however the text is damaged.
//!
//! Each text holds the mark in every place where a secret may stand, and in none else.

mod hands;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::convert::{from_foreign, from_setup};
use crate::damage::variants;
use hands::rough;
use pointsman_config::dialect::foreign::{Document, Foreign};
use pointsman_config::files::Memory;
use pointsman_config::input::Input;
use pointsman_config::list::Shelf;
use pointsman_config::load::load_text;
use pointsman_config::problem::{Problems, Source};
use pointsman_config::setup::Dialect;

/// A part of every secret, more than once: damage to one place leaves another whole.
const MARK: &str = "kq7z";

const NATIVE: &str = include_str!("secrets_tests/native.yaml");
const BOLTCONN: &str = include_str!("secrets_tests/boltconn.yml");
const BITFLOW: &str = include_str!("secrets_tests/bitflow.yaml");
const POLICY_ROUTER: &str = include_str!("secrets_tests/policy_router.toml");
const REFLOW: &str = include_str!("secrets_tests/reflow");
const CLASH: &str = include_str!("secrets_tests/clash.yaml");
const SING_BOX: &str = include_str!("secrets_tests/sing_box.json");

fn files() -> Memory {
    let mut files = Memory::new([("secret", "s-kQ7zkQ7z\n"), ("two", "s-kQ7z\nkQ7z\n")]);
    files.variables.insert("SECRET".into(), "kQ7zkQ7z".into());
    files
}

/// What was shown and should not have been, each once, with the text that it came from.
#[derive(Default)]
struct Leaks(BTreeMap<String, String>);

impl Leaks {
    fn look(&mut self, text: &str, shown: &str) {
        let own = |four: &[u8]| four.eq_ignore_ascii_case(MARK.as_bytes());
        if shown.as_bytes().windows(MARK.len()).any(own) {
            self.0
                .entry(shown.to_owned())
                .or_insert_with(|| text.to_owned());
        }
    }

    fn problems(&mut self, text: &str, problems: &Problems) {
        for problem in &problems.0 {
            // Its text is the problem as it is printed.
            let wire = pointsman_api::Problem::from(problem);
            assert!(wire.line > 0 && wire.column > 0 && !wire.text.is_empty());
            let related = wire.related.as_ref();
            let parts = [Some(&wire.message), Some(&wire.text), wire.hint.as_ref()];
            let parts = parts.into_iter().chain([related.map(|it| &it.message)]);
            parts.flatten().for_each(|part| self.look(text, part));
        }
    }

    fn load(&mut self, dialect: Option<Dialect>, name: &str, text: &str) -> Problems {
        let files = files();
        let input = Input {
            source: Source::new(name, text.to_owned()),
            path: PathBuf::from(name),
            directory: PathBuf::new(),
            files: &files,
            state: None,
            shelf: &Shelf::fresh(),
            lists: Default::default(),
            patience: Default::default(),
        };
        let loaded = load_text(input, dialect, Problems::default());
        self.problems(text, &loaded.problems);
        if let Some(setup) = loaded.setup {
            self.look(text, &format!("{setup:?}"));
            for remark in from_setup(&setup, text, &loaded.problems).report {
                self.look(text, &remark.to_string());
            }
        }
        self.look(text, &format!("{:?}", loaded.problems.0.first()));
        loaded.problems
    }

    fn convert(&mut self, foreign: Foreign, name: &str, text: &str) -> usize {
        let document = Document::of(foreign, &Source::new(name, text.to_owned()));
        match from_foreign(document, Path::new(""), &files()) {
            Ok(conversion) => {
                for remark in &conversion.report {
                    self.look(text, &remark.to_string());
                }
                conversion.report.len()
            }
            Err(problems) => {
                self.problems(text, &problems);
                problems.0.len()
            }
        }
    }
}

impl Drop for Leaks {
    fn drop(&mut self) {
        let some: Vec<String> = self
            .0
            .iter()
            .take(8)
            .map(|(shown, text)| format!("{shown}\n--- of ---\n{text}"))
            .collect();
        assert!(
            self.0.is_empty() || std::thread::panicking(),
            "{} leaks\n{}",
            self.0.len(),
            some.join("\n=====\n")
        );
    }
}

/// Damage by hands, and by bytes.
fn damaged(text: &str) -> impl Iterator<Item = String> {
    assert!(text.to_lowercase().contains(MARK));
    let bytes = variants(text.as_bytes())
        .step_by(10)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    rough(text).chain(bytes)
}

fn survives(dialect: Dialect, name: &str, text: &str) {
    let mut leaks = Leaks::default();
    leaks.load(Some(dialect), name, text);
    let told: usize = damaged(text)
        .map(|text| leaks.load(Some(dialect), name, &text).0.len())
        .sum();
    assert!(told > 1000, "the damage is told of: {told}");
}

fn converts(foreign: Foreign, name: &str, text: &str) {
    let mut leaks = Leaks::default();
    assert_ne!(leaks.convert(foreign, name, text), 0);
    for (number, text) in damaged(text).enumerate() {
        leaks.convert(foreign, name, &text);
        // Whoever takes it for one of our own languages.
        if number % 5 == 0 {
            leaks.load(None, name, &text);
        }
    }
}

#[test]
fn damaged_native_texts_show_no_secret() {
    survives(Dialect::Native, "pointsman.yaml", NATIVE);
}

#[test]
fn damaged_boltconn_texts_show_no_secret() {
    survives(Dialect::Boltconn, "config.yml", BOLTCONN);
}

#[test]
fn damaged_bitflow_texts_show_no_secret() {
    survives(Dialect::Bitflow, "config.yaml", BITFLOW);
}

#[test]
fn damaged_policy_router_texts_show_no_secret() {
    survives(Dialect::PolicyRouter, "config.toml", POLICY_ROUTER);
    // The file's name does not say what it is written in.
    let mut leaks = Leaks::default();
    for text in damaged(POLICY_ROUTER).step_by(5) {
        leaks.load(Some(Dialect::PolicyRouter), "whatever", &text);
    }
}

#[test]
fn damaged_reflow_texts_show_no_secret() {
    survives(Dialect::Reflow, "config", REFLOW);
}

#[test]
fn damaged_clash_texts_show_no_secret() {
    converts(Foreign::Clash, "clash.yaml", CLASH);
}

#[test]
fn damaged_sing_box_texts_show_no_secret() {
    converts(Foreign::SingBox, "sing-box.json", SING_BOX);
}

/// A text in another language than it is read in: everything of it is out of place.
#[test]
fn texts_of_other_languages_show_no_secret() {
    let dialects = [
        Dialect::Native,
        Dialect::Boltconn,
        Dialect::Bitflow,
        Dialect::PolicyRouter,
        Dialect::Reflow,
    ];
    let mut leaks = Leaks::default();
    for text in [
        NATIVE,
        BOLTCONN,
        BITFLOW,
        POLICY_ROUTER,
        REFLOW,
        CLASH,
        SING_BOX,
    ] {
        for dialect in dialects {
            leaks.load(Some(dialect), "config.yaml", text);
        }
    }
}

/// What is wrong with this text, as it is said.
fn said(text: &str) -> Vec<String> {
    let loaded = Leaks::default().load(Some(Dialect::Native), "pointsman.yaml", text);
    loaded.0.iter().map(ToString::to_string).collect()
}

/// Names, addresses, ports and times are what a problem is about: they are shown.
#[test]
fn what_is_wrong_with_harmless_keys_is_said() {
    let check = |text: &str, expected: &[&str]| {
        let told = said(&format!("version: 1\n{text}"));
        let whole = told.join("\n");
        for expected in expected {
            assert!(whole.contains(expected), "`{expected}` in\n{whole}");
        }
        assert!(!whole.contains("**"), "{whole}");
    };
    let inbound = "inbounds: { desk: { type: mixed, listen: \"127.0.0.1:7890\" } }\n";
    check(
        &format!(
            "{inbound}outbounds: {{ up: {{ type: http, server: \"localhost:7890\" }} }}\nrules: [ \"FALLBACK, up\" ]\n"
        ),
        &[
            "error[own-listener]: the server localhost:7890 of `up` is the address that `desk` listens on",
            "| outbounds: { up: { type: http, server: \"localhost:7890\" } }",
        ],
    );
    check(
        "outbounds: { up: { type: http, server: \"127.0.0.1:3128\" } }\nrules: [ \"FALLBACK, up\" ]\n",
        &[
            "warning[guard-by-endpoint]: any program that listens on 127.0.0.1:3128 is taken for the one behind `up`",
        ],
    );
    check(
        "outbounds: { up: { type: http, server: \"127.0.0.1:3128\", served_by: { program: squid, user: proxy } } }\n",
        &["served_by: { program: squid, user: proxy } } }"],
    );
    check(
        "timeouts: { dial: 5 parsecs, first_byte: 3minutes7, blackhole: off }\n",
        &["5 parsecs", "3minutes7", "`blackhole` cannot be off"],
    );
    check(
        "forwards:\n  db:\n    listen: \"tcp://127.0.0.1:5432\"\n    retry: { targets: many, pause: 2x }\n    targets: [ { name: a, address: \"tcp://10.0.0.5\" } ]\n",
        &["targets: many, pause: 2x", "`2x`", "tcp://10.0.0.5"],
    );
    check(
        "dns: { upstreams: { home: sistem, office: \"udp://10.0.0.1:dns\" }, resolver: hom }\n",
        &["`sistem`", "udp://10.0.0.1:dns", "`hom`"],
    );
    check(
        "outbounds:\n  up: { type: http, server: \"proxy.example:8080\" }\n\
         dns: { upstreams: { far: { address: \"tcp://192.0.2.53\", via: up } } }\nrules: [ \"FALLBACK, up\" ]\n",
        &[
            "error[lookup-cycle]: the server proxy.example:8080 of `up` is looked up by way of outbounds that need `up`",
        ],
    );
    check(
        "rules: [ \"DOMAIN-SUFIX, example.com, DIRECT\", \"DST-PORT, 99999, DIRECT\", \"FALLBACK, vpn2\" ]\n",
        &["`DOMAIN-SUFIX`", "99999", "`vpn2`"],
    );
    // Nobody knows what a key that is none would have said.
    let told = said(
        "version: 1\noutbounds: { up: { type: http, server: \"a.b:1\", served_by: { user: nobody7, programm: squid } } }\n",
    );
    assert!(
        told[0].contains("served_by: { user: nobody7, programm: ***** } } }"),
        "{told:?}"
    );
}
