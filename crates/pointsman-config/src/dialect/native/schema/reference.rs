//! The rows of `docs/reference/native.md`: what is said of each key, and its default.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ValueKind;

const PAGE: &str = include_str!("../../../../../../docs/reference/native.md");

/// What the page says of keys, by section and key.
pub(super) struct Reference {
    rows: BTreeMap<(&'static str, &'static str), Row>,
}

/// What the page says of a key.
pub(super) struct Row {
    /// As the page has it, in Markdown without links.
    pub(super) about: String,
    default: Option<&'static str>,
}

impl Reference {
    /// Reads the tables that begin with `| key | default |`. A section is a heading, or the line `A target:`.
    pub(super) fn read() -> Self {
        let mut rows = BTreeMap::new();
        let (mut section, mut inside) = ("", false);
        for line in PAGE.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                section = heading.trim_matches('`');
            } else if line == "A target:" {
                section = "target";
            }
            let cells = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |"));
            let Some(cells) = cells else {
                inside = inside && line.starts_with("|-");
                continue;
            };
            let Some((keys, rest)) = cells.split_once(" | ") else {
                continue;
            };
            // An empty cell in the middle: `| key | | text |`.
            let (default, about) = match rest.strip_prefix("| ") {
                Some(about) => ("", about),
                None => rest.split_once(" | ").unwrap_or((rest, "")),
            };
            if keys == "key" {
                inside = true;
                continue;
            }
            if !inside {
                continue;
            }
            let quoted = |text: &'static str| text.strip_prefix('`')?.strip_suffix('`');
            let keys = keys.split([' ', '·']).filter_map(quoted);
            let defaults: Vec<&str> = default.split(" · ").collect();
            for (at, key) in keys.enumerate() {
                let default = defaults.get(at).or_else(|| defaults.first()).copied();
                let row = Row {
                    about: without_links(about),
                    default: default.and_then(quoted),
                };
                rows.insert((section, key), row);
            }
        }
        Self { rows }
    }

    /// What is said of a key.
    pub(super) fn row(&self, section: &str, key: &str) -> Option<&Row> {
        // By hand: the tuple's lifetimes are those of the page.
        let mut rows = self.rows.iter();
        let found = rows.find(|((s, k), _)| *s == section && *k == key);
        found.map(|(_, row)| row)
    }

    /// Every section and key.
    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.rows.keys().copied()
    }
}

impl Row {
    /// The default as a value of its kind.
    pub(super) fn default_of(&self, kind: &ValueKind) -> Option<Value> {
        let text = self.default?;
        Some(match kind {
            ValueKind::Flag => (text == "true").into(),
            ValueKind::Whole(..) => text.parse::<i64>().ok()?.into(),
            _ => text.into(),
        })
    }
}

/// `[text](place)` is `text`: places are those of the page.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let linked = link.split_once("](").and_then(|(shown, after)| {
            let (_, after) = after.split_once(')')?;
            (!shown.contains('[')).then_some((shown, after))
        });
        match linked {
            Some((shown, after)) => {
                plain.push_str(shown);
                rest = after;
            }
            None => {
                plain.push('[');
                rest = link;
            }
        }
    }
    plain + rest
}
