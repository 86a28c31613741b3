//! Configurations that are converted and not served: Clash's and sing-box's.

use std::path::Path;
use std::sync::Arc;

use super::{Conversion, clash, mend, sing_box, told};
use crate::files::Files;
use crate::json;
use crate::problem::{Problems, Source};
use crate::yaml::{self, Value};

/// A language that is converted alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Clash's and mihomo's YAML.
    Clash,
    /// sing-box's JSON.
    SingBox,
}

impl Foreign {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clash => "Clash",
            Self::SingBox => "sing-box",
        }
    }

    /// Tells by the file's shape; `None` where it is neither.
    #[must_use]
    pub fn tell(path: &Path, text: &str) -> Option<Self> {
        if json::begins_object(text) {
            match json::value(text) {
                Ok(root) if is_sing_box(&root) => return Some(Self::SingBox),
                // What is broken is told by the reader that it is meant for.
                Err(_) if names_sing_box(text) && !Shape::has_version(text, path) => {
                    return Some(Self::SingBox);
                }
                Ok(_) | Err(_) => {}
            }
        }
        let shape = Shape::of(text, path)?;
        let has = |key: &str| shape.keys.iter().any(|known| known == key);
        let clash = has("proxy-groups")
            || has("rule-providers")
            || has("mixed-port")
            || has("socks-port")
            || has("redir-port")
            || (has("rules") && (has("port") || has("allow-lan")))
            || (shape.keys.iter().filter(|key| clash::is_old(key)).count() > 1);
        if (clash || ((has("proxies") || has("proxy-providers")) && has("rules")))
            && !has("rule-local")
            && !has("version")
        {
            return Some(Self::Clash);
        }
        None
    }

    /// The configuration in the native language. `name` is what the report calls it; relative paths of
    /// lists start from `directory`.
    ///
    /// # Errors
    /// The problems of a text that is not of this language at all.
    pub fn convert(
        self,
        name: &str,
        text: String,
        directory: &Path,
        files: &dyn Files,
    ) -> Result<Conversion, Problems> {
        let source = Source::new(name, text);
        let mut problems = Problems::default();
        let draft = match self {
            Self::Clash => yaml::parse(&source, &mut problems)
                .filter(|root| matches!(root.value, Value::Map(_)))
                .map(|root| clash::convert(&root, &mut problems)),
            Self::SingBox => json(&source, &mut problems)
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
                told::in_order(&mut conversion.report, name);
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
}

fn is_sing_box(root: &serde_json::Value) -> bool {
    let has = |key: &str| root.get(key).is_some();
    let parts = has("route") || has("inbounds");
    root["outbounds"].is_array() && parts && !has("version")
}

fn names_sing_box(text: &str) -> bool {
    let has = |key: &str| text.contains(&format!("\"{key}\""));
    has("outbounds") && (has("route") || has("inbounds")) && !sing_box::has_key(text, "version")
}

/// Reads sing-box's JSON: an object, perhaps with comments.
fn json(source: &Arc<Source>, problems: &mut Problems) -> Option<serde_json::Value> {
    match json::value(&source.text) {
        Ok(root) if root.is_object() => return Some(root),
        Ok(_) => {
            let message = "a configuration is an object";
            problems.error("json-syntax", &source.span(0, 0), message);
        }
        Err((error, at)) => {
            let rest = source.text.get(at..).unwrap_or_default();
            let width = rest.chars().next().map_or(0, char::len_utf8);
            let message = format!("the JSON cannot be read: {error}");
            problems.error("json-syntax", &source.span(at, at + width), message);
        }
    }
    None
}

/// The keys at the top.
struct Shape {
    keys: Vec<String>,
}

impl Shape {
    /// Whether it is a native text in YAML's brackets.
    fn has_version(text: &str, path: &Path) -> bool {
        let shape = Self::of(text, path);
        shape.is_some_and(|shape| shape.keys.iter().any(|key| key == "version"))
    }

    fn of(text: &str, path: &Path) -> Option<Self> {
        let source = Source::new(&path.display().to_string(), text.to_owned());
        let root = yaml::parse(&source, &mut Problems::default())?;
        let Value::Map(pairs) = root.value else {
            return None;
        };
        let keys = pairs.iter().filter_map(|(key, _)| key.scalar());
        Some(Self {
            keys: keys.map(str::to_owned).collect(),
        })
    }
}
