//! Problems of a configuration, and the answer of a daemon that says no.

use serde::{Deserialize, Serialize};

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// Stable, kebab-case: `unknown-key`, `unknown-outbound`, `not-yet` ...
    pub code: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// From `check` as the caller finds it, from the daemon relative to the configuration's directory.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What to do about it.
    pub hint: Option<String>,
    /// Another place that belongs to it.
    pub related: Option<Related>,
    /// How many places say the very same, this one counted; `text` names the next two.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: usize,
    /// All of it as `check` prints it, with the line and a caret.
    pub text: String,
}

fn one() -> usize {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_one(count: &usize) -> bool {
    *count == 1
}

/// Another place that belongs to a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// Why it belongs to it.
    pub message: String,
    /// From `check` as the caller finds it, from the daemon relative to the configuration's directory.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// What `check` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemList {
    /// The configuration's path; `-` is stdin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The dialect read; `null` when not even that could be told.
    pub dialect: Option<String>,
    /// How many of `problems` are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// How many make `check` fail: the errors, and with `--deny warnings` the warnings.
    #[serde(default)]
    pub denied: usize,
    /// In order of files and places.
    pub problems: Vec<Problem>,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// One sentence.
    pub error: String,
    /// Stable, kebab-case: `unknown-flow`, `unknown-group`, `bad-request`, `reload-refused` ...
    pub code: String,
    /// Of a configuration that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

impl Error {
    /// An error without problems.
    #[must_use]
    pub fn new(code: &str, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            code: code.to_owned(),
            problems: Vec::new(),
        }
    }
}

/// What is said of so many warnings and notes to people whose configuration has errors; `None` where there are none.
#[must_use]
pub fn harmless(warnings: usize, notes: usize) -> Option<String> {
    let counted = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let all = [counted(warnings, "warning"), counted(notes, "note")];
    let all: Vec<String> = all.into_iter().flatten().collect();
    let verb = if warnings + notes == 1 {
        "refuses"
    } else {
        "refuse"
    };
    (!all.is_empty()).then(|| {
        format!(
            "{} {verb} nothing: `pointsman check` tells them",
            all.join(" and ")
        )
    })
}
