//! The outline as Graphviz text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::outline::{Row, RowKind, Target, outline};
use super::scene::{Runs, Scene};
use super::style::colour;

/// The longest label, in characters.
const MAX_LABEL: usize = 80;
/// The most inbounds that are drawn at one policy.
const MAX_ENTRANCES: usize = 50;

/// A digraph that `dot -Tsvg` reads.
pub(super) fn draw(scenes: &[Scene<'_>], runs: Runs) -> String {
    let mut dot = Dot {
        text: "digraph policy {\n  rankdir=LR; ordering=out;\n  node [shape=box, style=\"rounded,filled\", \
               fillcolor=\"#f4f5f7\", color=\"#9aa3b2\", fontname=\"monospace\", fontsize=11];\n  \
               edge [color=\"#9aa3b2\", fontname=\"monospace\", fontsize=10];\n"
            .to_owned(),
        next: 0,
        targets: BTreeMap::new(),
    };
    for (number, scene) in scenes.iter().enumerate() {
        dot.scene(number, scene, &outline(scene, runs));
    }
    dot.text.push_str("}\n");
    dot.text
}

struct Dot {
    text: String,
    next: usize,
    /// The ways out of the cluster, each with what is behind it.
    targets: BTreeMap<(String, &'static str), Option<String>>,
}

impl Dot {
    fn scene(&mut self, number: usize, scene: &Scene<'_>, rows: &[Row]) {
        let name = &scene.policy.name;
        self.line(&format!("subgraph cluster_{number} {{"));
        self.line(&format!(
            "  label={}; color=\"#c5cad3\"; fontname=\"sans-serif\";",
            quoted(&shortened(name))
        ));
        let root = self.node(
            name,
            "",
            ", shape=circle, label=\"\", width=0.2, fillcolor=\"#4a5568\"",
        );
        self.rows(rows, root, number);
        for ((name, class), told) in std::mem::take(&mut self.targets) {
            let colour = colour(class);
            let label = quoted(&shortened(&name));
            let told = quoted(told.as_ref().unwrap_or(&name));
            let id = target_id(number, &name);
            self.line(&format!(
                "  {id} [label={label}, tooltip={told}, fillcolor=\"{colour}\", color=\"{colour}\", fontcolor=white];"
            ));
        }
        self.line("}");
        for entrance in scene.entrances.iter().take(MAX_ENTRANCES) {
            let from = entrance.only_from.as_ref();
            let from = from.map_or_else(String::new, |from| format!("\nonly from {from}"));
            let label = format!(
                "{}\n{}{}",
                shortened(&entrance.name),
                shortened(&entrance.listens),
                shortened(&from)
            );
            self.entrance(&label, root);
        }
        if scene.entrances.len() > MAX_ENTRANCES {
            let more = scene.entrances.len() - MAX_ENTRANCES;
            self.entrance(&format!("and {more} more inbounds"), root);
        }
    }

    fn entrance(&mut self, label: &str, root: usize) {
        let id = self.next;
        self.next += 1;
        let label = quoted(label);
        self.line(&format!(
            "n{id} [label={label}, fillcolor=white, color=\"#0b7285\", fontcolor=\"#0b7285\"];"
        ));
        self.line(&format!("n{id} -> n{root} [color=\"#0b7285\"];"));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str("  ");
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn node(&mut self, label: &str, told: &str, more: &str) -> usize {
        let id = self.next;
        self.next += 1;
        let (label, told) = (quoted(&shortened(label)), quoted(told));
        self.line(&format!("  n{id} [label={label}, tooltip={told}{more}];"));
        id
    }

    fn rows(&mut self, rows: &[Row], parent: usize, cluster: usize) {
        for (order, row) in rows.iter().enumerate() {
            let style = match row.kind {
                RowKind::Note => ", style=\"rounded,dashed\"",
                RowKind::Branch | RowKind::Else | RowKind::Rest | RowKind::Rule => "",
            };
            let id = self.node(&row.label(), &row.told.join("\n"), style);
            self.line(&format!("  n{parent} -> n{id} [label=\"{}\"];", order + 1));
            if let Some(Target { name, class, told }) = &row.target {
                self.line(&format!(
                    "  n{id} -> {} [style=bold];",
                    target_id(cluster, name)
                ));
                self.targets.insert((name.clone(), class), told.clone());
            }
            self.rows(&row.rows, id, cluster);
        }
    }
}

fn target_id(cluster: usize, name: &str) -> String {
    let mut id = format!("t{cluster}");
    for byte in name.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(id, "_{byte:02x}");
    }
    id
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_LABEL) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// A quoted string of the DOT language, in whose texts `&` begins an entity.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '&' => out.push_str("&amp;"),
            '\n' => out.push_str("\\n"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
