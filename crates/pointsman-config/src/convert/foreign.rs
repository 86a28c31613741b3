//! Configurations that are converted and not served: Clash's and sing-box's.

use std::path::Path;
use std::sync::Arc;

use super::{Conversion, clash, mend, sing_box};
use crate::files::Files;
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
        if text.trim_start().starts_with(['{', '/']) {
            let root: serde_json::Value = serde_json::from_str(&without_comments(text)).ok()?;
            let has = |key: &str| root.get(key).is_some();
            let parts = has("route") || has("inbounds");
            return (root["outbounds"].is_array() && parts && !has("version"))
                .then_some(Self::SingBox);
        }
        let shape = Shape::of(text, path)?;
        let has = |key: &str| shape.keys.iter().any(|known| known == key);
        let clash =
            has("proxy-groups") || has("rule-providers") || has("mixed-port") || has("socks-port");
        if (clash || (has("proxies") && has("rules"))) && !has("rule-local") && !has("version") {
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
                .map(|root| clash::convert(&root)),
            Self::SingBox => {
                json(&source, &mut problems).map(|root| sing_box::convert(&root, name))
            }
        };
        match draft.filter(|_| !problems.has_errors()) {
            Some(draft) => {
                let mut conversion = mend::finish(draft, directory, files);
                for remark in &mut conversion.report {
                    remark.text = source.said(&remark.text).into_owned();
                }
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

/// Reads sing-box's JSON: an object, perhaps with comments.
fn json(source: &Arc<Source>, problems: &mut Problems) -> Option<serde_json::Value> {
    match serde_json::from_str::<serde_json::Value>(&without_comments(&source.text)) {
        Ok(root) if root.is_object() => return Some(root),
        Ok(_) => {
            let message = "a configuration is an object";
            problems.error("json-syntax", &source.span(0, 0), message);
        }
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(1).max(1);
            let place = source.line(line);
            let message = format!("the JSON cannot be read: {error}");
            problems.error("json-syntax", &place, message);
        }
    }
    None
}

/// The text with blanks for `//`, `#` and `/* */` outside of strings; lines stay where they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('"', _) => quoted = !quoted,
            ('\\', _) if quoted => {
                out.push(c);
                out.extend(rest.next());
                continue;
            }
            ('#', _) | ('/', Some('/')) if !quoted => {
                while rest.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            ('/', Some('*')) if !quoted => {
                let mut before = ' ';
                rest.next();
                for c in rest.by_ref() {
                    if c == '\n' {
                        out.push(c);
                    }
                    if (before, c) == ('*', '/') {
                        break;
                    }
                    before = c;
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// The keys at the top.
struct Shape {
    keys: Vec<String>,
}

impl Shape {
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
