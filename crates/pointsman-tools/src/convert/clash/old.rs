//! The keys that Clash had before 2020, in today's words.

use pointsman_config::dialect::foreign::CLASH_KEYS_OF_OLD;
use pointsman_config::yaml::{Node, Value};

/// The configuration with today's keys; one that has both stays as it is, and the old one is told.
pub(super) fn renamed(root: &Node) -> Node {
    let mut root = root.clone();
    let Value::Map(pairs) = &mut root.value else {
        return root;
    };
    for (old, new) in CLASH_KEYS_OF_OLD {
        let has = |key: &str| pairs.iter().position(|(k, _)| k.scalar() == Some(key));
        if let (Some(at), None) = (has(old), has(new))
            && let Some((
                Node {
                    value: Value::Scalar(key, _),
                    ..
                },
                _,
            )) = pairs.get_mut(at)
        {
            new.clone_into(key);
        }
    }
    let rules = pairs
        .iter_mut()
        .filter(|(key, _)| key.scalar() == Some("rules"));
    for (_, rules) in rules {
        let Value::List(rules) = &mut rules.value else {
            continue;
        };
        for rule in rules {
            if let Value::Scalar(text, _) = &mut rule.value {
                last_rule(text);
            }
        }
    }
    root
}

/// `FINAL,,Proxy` and `MATCH,,Proxy` are `MATCH,Proxy`.
fn last_rule(rule: &mut String) {
    let Some((kind, rest)) = rule.split_once(',') else {
        return;
    };
    let kind = kind.trim().to_ascii_uppercase();
    if !matches!(kind.as_str(), "FINAL" | "MATCH") {
        return;
    }
    let target = rest.trim_start().trim_start_matches(',').trim_start();
    *rule = format!("MATCH,{target}");
}
