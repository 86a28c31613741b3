//! Configurations that are converted and not served: Clash's and sing-box's.

use std::path::Path;

use super::{Conversion, clash, sing_box};
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
        if text.trim_start().starts_with('{') {
            let root: serde_json::Value = serde_json::from_str(text).ok()?;
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

    /// The configuration in the native language.
    ///
    /// # Errors
    /// The problems of a text that is not of this language at all.
    pub fn convert(self, name: &str, text: String) -> Result<Conversion, Problems> {
        let source = Source::new(name, text);
        let mut problems = Problems::default();
        if self == Self::Clash {
            let root = yaml::parse(&source, &mut problems);
            return match root.filter(|root| matches!(root.value, Value::Map(_))) {
                Some(root) if !problems.has_errors() => Ok(clash::convert(&root).finish()),
                _ => Err(problems),
            };
        }
        match serde_json::from_str::<serde_json::Value>(&source.text) {
            Ok(root) if root.is_object() => return Ok(sing_box::convert(&root, name).finish()),
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
        Err(problems)
    }
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
