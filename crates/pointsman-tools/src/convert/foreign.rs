//! Configurations that are converted and not served: Clash's and sing-box's.

use std::path::Path;
use std::sync::Arc;

use super::{Conversion, clash, mend, sing_box, told};
use pointsman_config::dialect::foreign::{Document, Tree};
use pointsman_config::files::Files;
use pointsman_config::json::Broken;
use pointsman_config::problem::{Problems, Source};
use pointsman_config::yaml::Value;

/// A configuration of such a language in the native one; relative paths of lists start from `directory`.
///
/// # Errors
/// The problems of a text that is not of this language at all.
pub fn from_foreign(
    document: Document,
    directory: &Path,
    files: &dyn Files,
) -> Result<Conversion, Problems> {
    let Document { source, tree } = document;
    let mut problems = Problems::default();
    let draft = match tree {
        Tree::Clash(parsed) => parsed
            .take(&mut problems)
            .filter(|root| matches!(root.value, Value::Map(_)))
            .map(|root| clash::convert(&root, &mut problems)),
        Tree::SingBox(read) => object(read, &source, &mut problems)
            .map(|root| sing_box::convert(&root, &source, &mut problems)),
    };
    match draft.filter(|_| !problems.has_errors()) {
        Some(draft) => {
            let mut conversion = mend::finish(draft, directory, files);
            for remark in &mut conversion.report {
                remark.text = source.said(&remark.text).into_owned();
            }
            for line in conversion.summary.lines_mut() {
                *line = source.said(line).into_owned();
            }
            told::in_order(&mut conversion.report, &source.file);
            Ok(conversion)
        }
        None => {
            if problems.0.is_empty() {
                let message = "a configuration is a mapping";
                problems.error("yaml-syntax", &source.span(0, 0), message);
            }
            Err(problems)
        }
    }
}

/// sing-box's JSON as it was read: an object, perhaps with comments.
fn object(
    read: Result<serde_json::Value, Broken>,
    source: &Arc<Source>,
    problems: &mut Problems,
) -> Option<serde_json::Value> {
    match read {
        Ok(root) if root.is_object() => return Some(root),
        Ok(_) => {
            let message = "a configuration is an object";
            problems.error("json-syntax", &source.span(0, 0), message);
        }
        Err(Broken { why, at }) => {
            let rest = source.text.get(at..).unwrap_or_default();
            let width = rest.chars().next().map_or(0, char::len_utf8);
            let message = format!("the JSON cannot be read: {why}");
            problems.error("json-syntax", &source.span(at, at + width), message);
        }
    }
    None
}
