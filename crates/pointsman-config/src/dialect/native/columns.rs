//! Keys that stand among names, since they begin in the wrong column.

use crate::problem::Problems;
use crate::yaml::{Node, Value};

/// What stands at the left edge.
const SECTIONS: [&str; 9] = [
    "dns",
    "forwards",
    "inbounds",
    "outbounds",
    "policies",
    "policy",
    "rule_sets",
    "rules",
    "tests",
];

/// The keys that are below a name of a section, where people forget to indent them.
fn keys_of(section: &str) -> &'static [&'static str] {
    match section {
        "`forwards`" => &["listen", "targets", "balance", "allow", "access_log"],
        "`inbounds`" => &[
            "type", "listen", "users", "alias", "allow", "policy", "resolver",
        ],
        "`outbounds`" => &[
            "type",
            "server",
            "username",
            "password",
            "members",
            "hops",
            "interface",
            "source",
            "via",
            "served_by",
        ],
        "`rule_sets`" => &["path", "url", "format", "interval", "via"],
        _ => &[],
    }
}

/// Which pairs of a section are no names and what they hold; told once.
pub(super) fn misplaced(
    pairs: &[(Node, Node)],
    section: &str,
    problems: &mut Problems,
) -> Vec<usize> {
    let keys = keys_of(section);
    if keys.is_empty() {
        return Vec::new();
    }
    let is_key = |key: &Node| key.scalar().is_some_and(|key| keys.contains(&key));
    let mut found = Vec::new();
    // The name that has nothing below it.
    let mut bare: Option<usize> = None;
    for (at, (key, value)) in pairs.iter().enumerate() {
        let Some(word) = key.scalar() else { continue };
        let holds_own = match &value.value {
            Value::Map(below) => below.iter().any(|(key, _)| is_key(key)),
            Value::List(_) | Value::Scalar(..) => false,
        };
        if is_key(key)
            && !matches!(value.value, Value::Map(_))
            && (bare.is_some() || word != "policy")
        {
            if found.is_empty() {
                let hint = match bare.and_then(|at| pairs[at].0.scalar()) {
                    Some(name) => format!("indent it below `{name}`"),
                    None => "write `NAME:` above it, and indent it below that name".to_owned(),
                };
                let message = format!("`{word}` stands where {section} has a name");
                problems.error("unknown-key", &key.span, message).hint = Some(hint);
            }
            found.extend(bare);
            found.push(at);
        } else if SECTIONS.contains(&word) && !holds_own && !value.is_null() {
            if found.is_empty() {
                let message = format!("`{word}` stands within {section}");
                problems.error("unknown-key", &key.span, message).hint =
                    Some("move it to the left edge".to_owned());
            }
            found.push(at);
        } else {
            bare = value.is_null().then_some(at);
        }
    }
    found
}
