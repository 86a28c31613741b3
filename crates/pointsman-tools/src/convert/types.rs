//! The types that other programs take for their keys.
//!
//! Invariant: readers of foreign configurations take a value of another type for none; so each key that
//! one of them reads stands in its program's table, and a value of another type is told before: as an
//! error, as it is to that program, too.

/// A list.
pub(super) const LIST: u8 = 1;
/// A mapping or object.
pub(super) const MAP: u8 = 2;
/// A text; in YAML, any scalar.
pub(super) const TEXT: u8 = 4;
/// A number.
pub(super) const NUMBER: u8 = 8;
/// `true` or `false`.
pub(super) const FLAG: u8 = 16;
/// One text or several.
pub(super) const TEXTS: u8 = TEXT | LIST;

/// Where a key stands, and which types are taken there. `[]` is each item of a list, `{}` each value of
/// a mapping, `*` the rule itself and all that stand in its `rules`.
pub(super) type KeyTypes<'s> = [(&'s str, u8)];

/// More are not told: a file in another shape is one mistake.
const MOST_TOLD: usize = 100;

/// A tree of values in either notation.
pub(super) trait Tree {
    /// Which types it may be read as; none for null.
    fn types(&self) -> u8;
    /// What stands under a key.
    fn under(&self, key: &str) -> Option<&Self>;
    /// The items of a list.
    fn each(&self) -> Vec<&Self>;
    /// The keys of a mapping.
    fn keys(&self) -> Vec<&str>;
}

/// A value of another type than the program takes.
pub(super) struct Wrong<'t, T> {
    pub(super) value: &'t T,
    /// `route.rules[0].domain`
    pub(super) path: String,
    /// What it must be, and what it is.
    pub(super) text: String,
}

/// All values of a tree that have another type than a table says.
pub(super) fn wrong<'t, T: Tree>(root: &'t T, table: &KeyTypes<'_>) -> Vec<Wrong<'t, T>> {
    let mut found: Vec<Wrong<'t, T>> = Vec::new();
    for (pattern, types) in table {
        walk(root, pattern, &mut String::new(), &mut |value, path| {
            let is = value.types();
            if is != 0 && is & types == 0 && found.len() < MOST_TOLD {
                let what = format!(
                    "`{path}` must be {}, and is {}",
                    shown(*types, " or "),
                    shown(is, " and ")
                );
                found.push(Wrong {
                    value,
                    path: path.to_owned(),
                    text: what,
                });
            }
        });
    }
    found
}

fn walk<'t, T: Tree>(
    value: &'t T,
    pattern: &str,
    path: &mut String,
    found: &mut dyn FnMut(&'t T, &str),
) {
    let (head, rest) = match pattern.split_once('.') {
        _ if pattern.is_empty() => return found(value, path),
        None => (pattern, ""),
        Some(parts) => parts,
    };
    let length = path.len();
    match head {
        "[]" => {
            for (number, item) in value.each().into_iter().enumerate() {
                path.push_str(&format!("[{number}]"));
                walk(item, rest, path, found);
                path.truncate(length);
            }
        }
        "{}" => {
            for key in value.keys() {
                under(value, key, rest, path, found);
            }
        }
        "*" => {
            walk(value, rest, path, found);
            under(value, "rules", &format!("[].{pattern}"), path, found);
        }
        key => under(value, key, rest, path, found),
    }
}

fn under<'t, T: Tree>(
    value: &'t T,
    key: &str,
    rest: &str,
    path: &mut String,
    found: &mut dyn FnMut(&'t T, &str),
) {
    let Some(inner) = value.under(key) else {
        return;
    };
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    path.push_str(key);
    walk(inner, rest, path, found);
    path.truncate(length);
}

fn shown(types: u8, joint: &str) -> String {
    let words = [
        (MAP, "a mapping"),
        (FLAG, "`true` or `false`"),
        (NUMBER, "a number"),
        (TEXT, "a text"),
        (LIST, "a list"),
    ];
    let all = words.iter().filter(|(one, _)| types & one != 0);
    // What is a number or a word for yes may stand for a text, too.
    let all = all.filter(|(one, _)| joint == " or " || *one != TEXT || types == TEXT);
    let all: Vec<&str> = all.map(|(_, word)| *word).collect();
    all.join(joint)
}
