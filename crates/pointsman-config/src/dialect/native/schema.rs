//! The JSON Schema of this dialect, for editors: what may stand where, and what the reference says of it.
//!
//! Invariants: what the reader takes, the schema takes, but for keys of a single value that stand empty, which an
//! editor may tell of; a key is in the schema if the reader knows it (`tests.rs` has the reader tell). Words come from the
//! reader's own tables, descriptions and defaults from `docs/reference/native.md`. Deliberately absent: what takes
//! more than a look at one value (whether a name exists, whether two keys go together); that is `check`.

mod mappings;
mod reference;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use mappings::ROOT;
use reference::Reference;

/// Draft 7: what the language servers of editors know best.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// What is said of words that are taken and do nothing yet.
const NOT_BUILT: &str = "Not built yet: `check` notes it, and it carries no flow";

/// The schema of a native configuration, also of a file that one includes.
#[must_use]
pub fn schema() -> Value {
    let reference = Reference::read();
    let mut whole = json!({
        "$schema": DRAFT,
        "title": "Pointsman's native configuration",
        "definitions": { "rule": rule() },
    });
    if let (Some(whole), Value::Object(root)) = (whole.as_object_mut(), ROOT.schema(&reference)) {
        whole.extend(root);
    }
    whole
}

/// What a value may be.
enum ValueKind {
    /// Not built yet, or not looked into.
    Any,
    /// `true` or `false`.
    Flag,
    /// A whole number within a range.
    Whole(i64, i64),
    /// Any scalar: the reader takes its text.
    Text,
    /// The number 1.
    One,
    /// A scalar whose text matches; a plain number counts as its digits.
    Digits(&'static str),
    /// A text that matches an expression.
    Matching(&'static str),
    /// One of a few words.
    Words(fn() -> Vec<&'static str>),
    /// One of a few words, or of those that are not built yet.
    BuiltOrLater(fn() -> Vec<&'static str>, fn() -> Vec<&'static str>),
    /// A mapping with keys of its own.
    Mapping(&'static Mapping),
    /// The path of a file that is written, or of a database.
    File,
    /// A mapping whose keys are names that people choose.
    ByName(&'static Self),
    /// A list; the key may stand empty.
    List(&'static Self),
    /// A list with at least so many items.
    Items(&'static Self, usize),
    /// A rule of a list.
    Rule,
    /// One of these.
    Either(&'static [Self]),
}

/// A mapping with keys of its own.
struct Mapping {
    /// Where the reference has its keys: a section, and what stands before the key there (`log.`).
    place: (&'static str, &'static str),
    keys: &'static [Key],
    /// What else there is, by the word of `type`.
    types: &'static [Type],
    /// Exactly one of these keys is there.
    one_of: &'static [&'static str],
    /// At least one of these keys is there.
    any_of: &'static [&'static str],
}

/// The keys that come with words of `type`.
struct Type {
    words: fn() -> Vec<&'static str>,
    keys: &'static [Key],
    /// Whether further keys are not looked into.
    open: bool,
}

struct Key {
    name: &'static str,
    required: bool,
    kind: ValueKind,
    /// Where the reference has no row for it.
    about: &'static str,
}

const fn key(name: &'static str, kind: ValueKind) -> Key {
    Key {
        name,
        required: false,
        kind,
        about: "",
    }
}

const fn needed(name: &'static str, kind: ValueKind) -> Key {
    Key {
        required: true,
        ..key(name, kind)
    }
}

const fn told(name: &'static str, kind: ValueKind, about: &'static str) -> Key {
    Key {
        about,
        ..key(name, kind)
    }
}

const fn needed_told(name: &'static str, kind: ValueKind, about: &'static str) -> Key {
    Key {
        required: true,
        ..told(name, kind, about)
    }
}

impl ValueKind {
    fn schema(&self, reference: &Reference) -> Value {
        let boxed = |kind: &Self| kind.schema(reference);
        match self {
            Self::Any => json!({}),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Whole(low, high) => {
                json!({ "type": "integer", "minimum": low, "maximum": high })
            }
            Self::One => json!({ "enum": [1, "1"] }),
            Self::Text => json!({ "type": ["string", "number", "boolean"] }),
            // What the reader takes for a switch is no path.
            Self::File => json!({
                "type": ["string", "number"],
                "not": { "enum": crate::value::SWITCHES },
            }),
            Self::Digits(pattern) => json!({ "type": ["string", "integer"], "pattern": pattern }),
            Self::Matching(pattern) => json!({ "type": "string", "pattern": pattern }),
            Self::Words(words) => json!({ "enum": words() }),
            Self::BuiltOrLater(words, later) => json!({ "anyOf": [
                { "enum": words() },
                { "enum": later(), "description": NOT_BUILT, "deprecated": true },
            ] }),
            Self::Mapping(mapping) => mapping.schema(reference),
            Self::ByName(kind) => {
                json!({ "type": ["object", "null"], "additionalProperties": boxed(kind) })
            }
            Self::List(kind) => json!({ "type": ["array", "null"], "items": boxed(kind) }),
            Self::Items(kind, least) => {
                json!({ "type": "array", "items": boxed(kind), "minItems": least })
            }
            Self::Rule => json!({ "$ref": "#/definitions/rule" }),
            Self::Either(kinds) => {
                json!({ "anyOf": kinds.iter().map(boxed).collect::<Vec<_>>() })
            }
        }
    }
}

impl Mapping {
    fn schema(&self, reference: &Reference) -> Value {
        let required: Vec<&str> = self.required().collect();
        let mut schema = Map::new();
        // An empty one has no more than no keys.
        let empty = required.is_empty() && self.one_of.is_empty() && self.any_of.is_empty();
        let kinds = if empty {
            json!(["object", "null"])
        } else {
            json!("object")
        };
        schema.insert("type".into(), kinds);
        if !required.is_empty() {
            schema.insert("required".into(), json!(required));
        }
        schema.insert("properties".into(), self.properties(self.keys, reference));
        if self.types.is_empty() {
            schema.insert("additionalProperties".into(), json!(false));
        } else {
            let types = self.types.iter().map(|kind| self.of_type(kind, reference));
            schema.insert("allOf".into(), types.collect());
        }
        for (word, keys) in [("oneOf", self.one_of), ("anyOf", self.any_of)] {
            if !keys.is_empty() {
                let one = |key: &&str| json!({ "required": [key] });
                schema.insert(word.into(), keys.iter().map(one).collect());
            }
        }
        Value::Object(schema)
    }

    /// If it is of this type it has these keys and no others.
    fn of_type(&self, kind: &Type, reference: &Reference) -> Value {
        let is =
            json!({ "properties": { "type": { "enum": (kind.words)() } }, "required": ["type"] });
        let mut properties = self.properties(kind.keys, reference);
        if let Some(properties) = properties.as_object_mut() {
            for common in self.keys {
                properties.insert(common.name.into(), json!({}));
            }
        }
        let required = kind
            .keys
            .iter()
            .filter(|key| key.required)
            .map(|key| key.name);
        let required: Vec<&str> = required.collect();
        let has = json!({
            "properties": properties, "required": required, "additionalProperties": kind.open,
        });
        json!({ "if": is, "then": has })
    }

    fn required(&self) -> impl Iterator<Item = &'static str> {
        let required = self.keys.iter().filter(|key| key.required);
        required.map(|key| key.name)
    }

    fn properties(&self, keys: &[Key], reference: &Reference) -> Value {
        let properties = keys.iter().map(|key| {
            let mut schema = key.kind.schema(reference);
            if let Some(schema) = schema.as_object_mut() {
                let (section, prefix) = self.place;
                let row = reference.row(section, &format!("{prefix}{}", key.name));
                if let Some(row) = row.filter(|_| key.about.is_empty()) {
                    schema.insert("description".into(), row.about.as_str().into());
                    if let Some(default) = row.default_of(&key.kind) {
                        schema.insert("default".into(), default);
                    }
                } else if !key.about.is_empty() {
                    schema.insert("description".into(), key.about.into());
                }
            }
            (key.name.to_owned(), schema)
        });
        Value::Object(properties.collect())
    }
}

/// A rule: one line, or an action with its settings below it. Words of rules are not looked into; actions in lower case
/// are taken as they are.
fn rule() -> Value {
    let text = || json!({ "type": ["string", "number", "boolean"] });
    let subscriber = || json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let action = |about: &str, required: &[&str], properties: Value| {
        json!({
            "type": "object",
            "description": about,
            "required": required,
            "properties": properties,
            "additionalProperties": false,
        })
    };
    let subrules = json!({ "type": ["array", "null"], "items": { "$ref": "#/definitions/rule" } });
    let actions = json!({
        ".SUB-DISPATCH": action(
            "Rules for the flows that match",
            &["matches", "subrules"],
            json!({ "matches": text(), "subrules": subrules }),
        ),
        ".INSTRUMENT": action(
            "Tells subscribers of the flows that match",
            &["id", "matches", "message"],
            json!({ "id": subscriber(), "matches": text(), "message": text() }),
        ),
        ".REQUEST": action(
            "Asks a subscriber about the flows that match",
            &["id", "matches"],
            json!({
                "id": subscriber(),
                "matches": text(),
                "timeout": { "type": ["string", "integer"], "pattern": "^[0-9]+(ms|s|m|h|d)?$" },
                "request-route": text(),
                "request_route": text(),
                "fallback": text(),
            }),
        ),
        ".LOCAL-RESOLVE": { "type": "null", "description": "Names are resolved from here on" },
    });
    json!({
        "anyOf": [
            { "type": "string" },
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": actions,
                "patternProperties": { "^\\.": {} },
                "additionalProperties": false,
            },
        ],
    })
}
