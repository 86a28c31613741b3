//! The outline as Graphviz text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pointsman_policy::Policy;

use super::outline::{Kind, Row, Target, outline};

/// The longest label, in characters.
const MAX_LABEL: usize = 80;

/// Policies as a digraph that `dot -Tsvg` reads, each in a cluster of its own; ends with a line end.
#[must_use]
pub fn as_dot<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> String {
    let mut dot = Dot {
        text: "digraph policy {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", \
               fillcolor=\"#f4f5f7\", color=\"#9aa3b2\", fontname=\"monospace\", fontsize=11];\n  \
               edge [color=\"#9aa3b2\", fontname=\"monospace\", fontsize=10];\n"
            .to_owned(),
        next: 0,
        targets: BTreeSet::new(),
    };
    for (number, policy) in policies.into_iter().enumerate() {
        dot.line(&format!("subgraph cluster_{number} {{"));
        dot.line(&format!(
            "  label={}; color=\"#c5cad3\"; fontname=\"sans-serif\";",
            quoted(&policy.name)
        ));
        let root = dot.node(
            &policy.name,
            "",
            ", shape=circle, label=\"\", width=0.2, fillcolor=\"#4a5568\"",
        );
        dot.rows(&outline(policy), root, number);
        for (name, class) in std::mem::take(&mut dot.targets) {
            let colour = colour(class);
            let label = quoted(&name);
            let id = target_id(number, &name);
            dot.line(&format!(
                "  {id} [label={label}, fillcolor=\"{colour}\", color=\"{colour}\", fontcolor=white];"
            ));
        }
        dot.line("}");
    }
    dot.text.push_str("}\n");
    dot.text
}

struct Dot {
    text: String,
    next: usize,
    /// The ways out of the cluster.
    targets: BTreeSet<(String, &'static str)>,
}

impl Dot {
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
            let label = match row.count {
                1 => row.text.clone(),
                count => format!("{count} rules: {}", row.text),
            };
            let style = match row.kind {
                Kind::Note => ", style=\"rounded,dashed\"",
                Kind::Branch | Kind::Else | Kind::Rest | Kind::Rule => "",
            };
            let id = self.node(&label, &row.told.join("\n"), style);
            self.line(&format!("  n{parent} -> n{id} [label=\"{}\"];", order + 1));
            if let Some(Target { name, class }) = &row.target {
                self.line(&format!(
                    "  n{id} -> {} [style=bold];",
                    target_id(cluster, name)
                ));
                self.targets.insert((name.clone(), class));
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

fn colour(class: &str) -> &'static str {
    match class {
        "direct" => "#2f855a",
        "group" => "#6b46c1",
        "refused" => "#c53030",
        "silent" => "#4a5568",
        _ => "#2b6cb0",
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_LABEL) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// A quoted string of the DOT language.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
