//! Files laid out in one way: what `pointsman fmt` writes.
//!
//! Invariant: the text that comes out means what the one that went in means, has every comment of it,
//! and is laid out as itself. A text that cannot be read is refused and stays as it is. Deliberately
//! absent: what names mean; a policy whose outbounds do not exist is laid out all the same.

use std::path::Path;
use std::sync::Arc;

use pointsman_config::problem::{Problems, Source};
use pointsman_config::tree;

mod reflow;
mod rules;
#[cfg(test)]
mod tests;
mod tokens;
mod trees;
mod weave;
mod yaml;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// reflow's `config`: all of it is laid out.
    Reflow,
    /// One rule, name or range a line.
    Rules,
    /// One tree and nothing else.
    Tree,
    /// A native file: trees in block scalars and rule lists are laid out, all else stays byte for byte.
    Yaml,
}

impl FileKind {
    /// By a file's name, else by what it begins with.
    #[must_use]
    pub fn tell(path: &Path, text: &str) -> Self {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => return Self::Yaml,
            "tree" => return Self::Tree,
            "list" | "rules" | "txt" => return Self::Rules,
            _ => {}
        }
        let lines = text.lines().map(str::trim);
        let first = lines
            .clone()
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .unwrap_or("");
        let word = first.split([' ', '\t', '=', '{', '[']).next().unwrap_or("");
        match word {
            "egress" | "rule" | "relay" | "dns" => Self::Reflow,
            "any" | "cond" | "only" => Self::Tree,
            _ if path.file_name().is_some_and(|name| name == "config") => Self::Reflow,
            _ if first.starts_with("- ")
                || first
                    .split_once(':')
                    .is_some_and(|(key, rest)| is_key(key, rest)) =>
            {
                Self::Yaml
            }
            _ => Self::Rules,
        }
    }
}

fn is_key(key: &str, rest: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !key.is_empty() && key.chars().all(plain) && (rest.is_empty() || rest.starts_with(' '))
}

/// The text laid out; `None` where it cannot be read, which was told.
pub fn format(kind: FileKind, source: &Arc<Source>, problems: &mut Problems) -> Option<String> {
    let text = match kind {
        FileKind::Reflow => reflow::whole(source, problems),
        FileKind::Rules => rules::lines(source, problems),
        FileKind::Tree => {
            let all = 0..source.text.len();
            let ast = tree::parse(source, all.clone(), problems);
            ast.map(|ast| trees::block(&ast, source, all, 0))
        }
        FileKind::Yaml => yaml::blocks(source, problems),
    };
    text.filter(|_| !problems.has_errors())
}

/// The line end that a text uses.
fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
