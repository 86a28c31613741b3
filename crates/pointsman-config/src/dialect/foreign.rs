//! Configurations that are converted and not served, told by their shape: Clash's and sing-box's.
//!
//! Deliberately absent: what they mean, which the converter knows.

use std::collections::HashSet;
use std::sync::Arc;

use crate::json::{self, Broken, Lines};
use crate::problem::Source;
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
}

/// A configuration of such a language, parsed.
#[derive(Debug)]
pub struct Document {
    /// Its text.
    pub source: Arc<Source>,
    /// What the text was parsed to.
    pub tree: Tree,
}

/// A text of such a language as a tree.
#[derive(Debug)]
pub enum Tree {
    /// Clash's YAML.
    Clash(Parsed),
    /// sing-box's JSON, or what is wrong with it.
    SingBox(Result<serde_json::Value, Broken>),
}

impl Document {
    /// A text that is said to be of this language.
    #[must_use]
    pub fn of(language: Foreign, source: &Arc<Source>) -> Self {
        let tree = match language {
            Foreign::Clash => Tree::Clash(Parsed::of(source)),
            Foreign::SingBox => Tree::SingBox(json::value(&source.text)),
        };
        let source = Arc::clone(source);
        Self { source, tree }
    }

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
}

/// Keys at the top that Clash had before 2020, each with today's word for it.
pub const CLASH_KEYS_OF_OLD: [(&str, &str); 6] = [
    ("Proxy", "proxies"),
    ("Proxy Group", "proxy-groups"),
    ("Proxy Provider", "proxy-providers"),
    ("Rule", "rules"),
    ("proxy-provider", "proxy-providers"),
    ("rule-provider", "rule-providers"),
];

fn is_sing_box(root: &serde_json::Value) -> bool {
    let has = |key: &str| root.get(key).is_some();
    let parts = has("route") || has("inbounds");
    // V2Ray's have the same keys, and say `protocol` where sing-box says `type`.
    let others = ["inbounds", "outbounds"].iter().any(|key| {
        let first = root[*key].get(0);
        first.is_some_and(|one| one["protocol"].is_string() && one["type"].is_null())
    });
    root["outbounds"].is_array() && parts && !others && !has("version")
}

fn names_sing_box(text: &str) -> bool {
    let has = |key: &str| text.contains(&format!("\"{key}\""));
    has("outbounds") && (has("route") || has("inbounds")) && !Lines::of(text).has("version")
}

fn is_clash(parsed: &Parsed) -> bool {
    let keys: HashSet<&str> = keys_at_top(parsed).collect();
    let has = |key: &str| keys.contains(key);
    let of_old = CLASH_KEYS_OF_OLD.iter().filter(|(key, _)| has(key));
    let clash = has("proxy-groups")
        || has("rule-providers")
        || has("mixed-port")
        || has("socks-port")
        || has("redir-port")
        || (has("rules") && (has("port") || has("allow-lan")))
        || of_old.count() > 1;
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
