//! Secrets: written inline, or taken from a file or the environment.

use std::path::PathBuf;

use crate::input::Input;
use crate::problem::Problems;
use crate::setup::Secret;
use crate::yaml::{KeyStyle, Node, Value};

/// The longest secret, in bytes: a token or a password, never a data file named by mistake.
pub const MAX_SECRET: u64 = 64 << 10;

/// Reads a text, `{ from_file: PATH }` (one final line break is cut off) or `{ from_env: NAME }`.
/// The file read is added to `read`. No problem shows what was read.
pub fn secret(
    node: &Node,
    what: &str,
    input: &Input<'_>,
    read: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Option<Secret> {
    if !matches!(node.value, Value::Map(_)) {
        return node.text(what, problems).map(Secret::new);
    }
    let mut keys = node.keys(what, KeyStyle::Exact, problems);
    let file = keys.take("from_file");
    let variable = keys.take("from_env");
    keys.finish(problems);
    match (file, variable) {
        (Some(file), None) => from_file(file, what, input, read, problems),
        (None, Some(variable)) => from_variable(variable, what, input, problems),
        (Some(_), Some(_)) | (None, None) => {
            let message = format!("{what} needs one of `from_file` and `from_env`");
            problems.error("invalid-value", &node.span, message);
            None
        }
    }
}

fn from_file(
    node: &Node,
    what: &str,
    input: &Input<'_>,
    read: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Option<Secret> {
    let written = super::name(node, what, problems)?;
    let path = input.directory.join(written);
    let text = input.handed(&path, MAX_SECRET).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_has_the_bytes| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8")
        })
    });
    match text {
        Ok(text) => {
            read.push(path);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if text.is_empty() {
                let message = format!("{what}: `{written}` is empty");
                problems.error("empty-secret", &node.span, message);
                return None;
            }
            Some(Secret::new(text))
        }
        Err(error) => {
            let message = format!("{what}: `{written}` cannot be read: {error}");
            problems.error("missing-file", &node.span, message);
            None
        }
    }
}

fn from_variable(
    node: &Node,
    what: &str,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Option<Secret> {
    let name = super::name(node, what, problems)?;
    match input.files.variable(name) {
        Some(value) if !value.is_empty() => Some(Secret::new(value)),
        Some(_) | None => {
            let message = format!("{what}: the environment has no `{name}`");
            problems.error("empty-secret", &node.span, message);
            None
        }
    }
}
