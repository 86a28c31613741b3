//! Configurations that are converted and not served: Clash's and sing-box's.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::{Conversion, clash, mend, sing_box, told};
use crate::files::Files;
use crate::json;
use crate::problem::{Problems, Source};
use crate::yaml::{Parsed, Value};

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
        let tree = match self {
            Self::Clash => Tree::Clash(Parsed::of(&source)),
            Self::SingBox => Tree::SingBox(json::value(&source.text)),
        };
        Document { source, tree }.convert(directory, files)
    }
}

/// A configuration of such a language, parsed.
#[derive(Debug)]
pub struct Document {
    source: Arc<Source>,
    tree: Tree,
}

#[derive(Debug)]
enum Tree {
    Clash(Parsed),
    SingBox(Json),
}

/// A value; else what is wrong and the byte where.
type Json = Result<serde_json::Value, (String, usize)>;

impl Document {
    /// Tells by the shape of a file's text.
    ///
    /// # Errors
    /// The text's tree as YAML, where it is of neither language.
    pub fn tell(source: &Arc<Source>) -> Result<Self, Parsed> {
        let of = |tree| {
            let source = Arc::clone(source);
            Self { source, tree }
        };
        let object = json::begins_object(&source.text);
        let broken = match object.then(|| json::value(&source.text)) {
            Some(Ok(root)) if is_sing_box(&root) => return Ok(of(Tree::SingBox(Ok(root)))),
            Some(Err(broken)) if names_sing_box(&source.text) => Some(broken),
            Some(_) | None => None,
        };
        let parsed = Parsed::of(source);
        match broken {
            // What is broken is told by the reader that it is meant for.
            Some(broken) if !has_version(&parsed) => Ok(of(Tree::SingBox(Err(broken)))),
            _ if is_clash(&parsed) => Ok(of(Tree::Clash(parsed))),
            _ => Err(parsed),
        }
    }

    /// The language.
    #[must_use]
    pub fn language(&self) -> Foreign {
        match self.tree {
            Tree::Clash(_) => Foreign::Clash,
            Tree::SingBox(_) => Foreign::SingBox,
        }
    }

    /// The configuration in the native language; relative paths of lists start from `directory`.
    ///
    /// # Errors
    /// The problems of a text that is not of this language at all.
    pub fn convert(self, directory: &Path, files: &dyn Files) -> Result<Conversion, Problems> {
        let Self { source, tree } = self;
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

/// sing-box's JSON as it was read: an object, perhaps with comments.
fn object(read: Json, source: &Arc<Source>, problems: &mut Problems) -> Option<serde_json::Value> {
    match read {
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

fn is_clash(parsed: &Parsed) -> bool {
    let keys: HashSet<&str> = keys_at_top(parsed).collect();
    let has = |key: &str| keys.contains(key);
    let clash = has("proxy-groups")
        || has("rule-providers")
        || has("mixed-port")
        || has("socks-port")
        || has("redir-port")
        || (has("rules") && (has("port") || has("allow-lan")))
        || (keys.iter().filter(|key| clash::is_old(key)).count() > 1);
    (clash || ((has("proxies") || has("proxy-providers")) && has("rules")))
        && !has("rule-local")
        && !has("version")
}

/// Whether it is a native text in YAML's brackets.
fn has_version(parsed: &Parsed) -> bool {
    keys_at_top(parsed).any(|key| key == "version")
}

fn keys_at_top(parsed: &Parsed) -> impl Iterator<Item = &str> {
    let pairs = match parsed.root().map(|root| &root.value) {
        Some(Value::Map(pairs)) => pairs.as_slice(),
        Some(Value::List(_) | Value::Scalar(..)) | None => &[],
    };
    pairs.iter().filter_map(|(key, _)| key.scalar())
}
