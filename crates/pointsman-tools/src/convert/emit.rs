//! Pieces of YAML as text: scalars that are read back as they were, flow maps and lists.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A text as a scalar: bare where nobody could take it for something else.
pub(super) fn text(value: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let letter = value.starts_with(|c: char| c.is_ascii_alphabetic());
    let reserved = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan",
    ];
    let taken = reserved.iter().any(|r| r.eq_ignore_ascii_case(value));
    match letter && value.chars().all(word) && !taken {
        true => value.to_owned(),
        false => quoted(value),
    }
}

/// A text in double quotes.
pub(super) fn quoted(value: &str) -> String {
    pointsman_config::yaml::write::quoted(value)
}

/// `[a, b]`
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(", "))
}

/// A duration in the largest unit that says it whole.
pub(super) fn duration(value: Duration) -> String {
    let millis = value.as_millis().max(1);
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    match units.iter().find(|(unit, _)| millis.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// A flow map that grows.
#[derive(Default)]
pub(super) struct Map {
    pairs: Vec<(String, String)>,
    secret: bool,
}

impl Map {
    /// Adds a value that is YAML already.
    pub(super) fn raw(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        self.pairs.push((text(key), value.into()));
        self
    }

    /// Adds a text.
    pub(super) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, text(value))
    }

    /// Adds a map.
    pub(super) fn map(&mut self, key: &str, map: &Self) -> &mut Self {
        self.secret |= map.secret;
        self.raw(key, map.flow())
    }

    /// Adds a password; an empty one is nobody's secret.
    pub(super) fn secret(&mut self, key: &str, value: &str) -> &mut Self {
        self.secret |= !value.is_empty();
        self.raw(key, quoted(value))
    }

    /// The value of a key, as it is written.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        let found = pairs.find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether it has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == key)
    }

    /// Whether a key has this word as its value.
    pub(super) fn says(&self, key: &str, word: &str) -> bool {
        let word = text(word);
        self.pairs
            .iter()
            .any(|(known, value)| known == key && *value == word)
    }

    /// Whether a password stands in it.
    pub(super) fn has_secret(&self) -> bool {
        self.secret
    }

    /// Adds a text where there is one.
    pub(super) fn some(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    /// Adds `true` where it holds.
    pub(super) fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        if value {
            self.raw(key, "true");
        }
        self
    }

    /// Adds a duration where there is one.
    pub(super) fn time(&mut self, key: &str, value: Option<Duration>) -> &mut Self {
        if let Some(value) = value {
            self.raw(key, duration(value));
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// `{ a: 1, b: 2 }`
    pub(super) fn flow(&self) -> String {
        let pairs: Vec<String> = self
            .pairs
            .iter()
            .map(|(k, v)| format!("{k}: {v}"))
            .collect();
        format!("{{ {} }}", pairs.join(", "))
    }
}

/// The sections of a file, as they are written.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    lines: u32,
}

impl Page {
    pub(super) fn line(&mut self, indent: usize, line: &str) {
        self.lines += 1;
        let _infallible = writeln!(self.text, "{:indent$}{line}", "", indent = indent * 2);
    }

    /// `key:` and its pairs, one a line; nothing where there are none.
    pub(super) fn section(&mut self, key: &str, pairs: &Map) {
        if pairs.is_empty() {
            return;
        }
        self.line(0, "");
        self.line(0, &format!("{key}:"));
        self.pairs(1, pairs);
    }

    /// Pairs, one a line.
    pub(super) fn pairs(&mut self, indent: usize, pairs: &Map) {
        for (key, value) in &pairs.pairs {
            self.line(indent, &format!("{key}: {value}"));
        }
    }

    /// Text that stands as it is, each line indented.
    pub(super) fn block(&mut self, indent: usize, block: &str) {
        for line in block.lines() {
            self.line(indent, line);
        }
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> u32 {
        self.lines
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A path as the native file says it.
pub(super) fn relative(path: &Path, directory: &Path) -> String {
    let path = match directory.as_os_str().is_empty() {
        true => path,
        false => path.strip_prefix(directory).unwrap_or(path),
    };
    let parts = path.components();
    let plain: std::path::PathBuf = parts
        .filter(|part| *part != std::path::Component::CurDir)
        .collect();
    plain.to_string_lossy().into_owned()
}

/// Ranges as a list.
pub(super) fn ranges(ranges: &[pointsman_policy::Prefix]) -> String {
    list(ranges.iter().map(|range| quoted(&range.to_string())))
}
