//! No problem, report or configuration shows a secret, however the text is damaged.
//!
//! Each text holds the mark in every place where a secret may stand, and in none else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::convert::{self, Foreign};
use crate::damage::{rough, variants};
use crate::files::Memory;
use crate::list::Shelf;
use crate::load::{Input, load_text};
use crate::problem::{Problems, Source};
use crate::setup::Dialect;

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
            for remark in convert::from_setup(&setup, text, &loaded.problems).report {
                self.look(text, &remark.to_string());
            }
        }
        self.look(text, &format!("{:?}", loaded.problems.0.first()));
        loaded.problems
    }

    fn convert(&mut self, foreign: Foreign, name: &str, text: &str) -> usize {
        match foreign.convert(name, text.to_owned(), Path::new(""), &files()) {
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
