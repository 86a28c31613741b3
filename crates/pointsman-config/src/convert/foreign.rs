//! Configurations that are converted and not served: Clash's and sing-box's.

use std::path::Path;

use super::Conversion;
use crate::problem::{Problems, Source};

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
        let _ = (path, text);
        None
    }

    /// The configuration in the native language.
    ///
    /// # Errors
    /// The problems of a text that is not of this language at all.
    pub fn convert(self, name: &str, text: String) -> Result<Conversion, Problems> {
        let source = Source::new(name, text);
        let mut problems = Problems::default();
        let message = format!("a {} configuration cannot be converted yet", self.as_str());
        problems.error("invalid-value", &source.span(0, 0), message);
        Err(problems)
    }
}
