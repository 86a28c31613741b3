//! Which values are secrets, so that problems, which end in logs, show the lines without them.
//!
//! This goes by the names of keys, for all dialects, before anything else is known: a problem may be
//! told long before a reader would have come to the secret.

use super::{Node, Value};
use crate::problem::Span;

/// Keys whose values, or all values below, are secrets in one dialect or another.
const SECRET: [&str; 13] = [
    "auth",
    "pass",
    "passwd",
    "password",
    "preshared_key",
    "private_key",
    "psk",
    "secret",
    "sentry_dsn",
    "token",
    "users",
    "user_password",
    "uuid",
];

/// Hides the value of a key that names a secret from problems.
pub(super) fn hide_value(key: &str, value: &Node) {
    let key = key.to_ascii_lowercase().replace('-', "_");
    if SECRET.contains(&key.as_str()) {
        hide(value);
    } else if key == "url" {
        hide_in_url(value);
    }
}

/// Hides a URL's login and query: subscriptions carry their tokens there.
fn hide_in_url(node: &Node) {
    let text = node.span.text();
    if let Some((before, _)) = text.split_once('?') {
        node.span.part(before.len(), text.len()).hide();
    }
    if let (Some(scheme), Some(at)) = (text.find("://"), text.rfind('@'))
        && scheme + 3 < at
    {
        node.span.part(scheme + 3, at).hide();
    }
}

fn hide(node: &Node) {
    match &node.value {
        Value::Scalar(..) => node.span.hide(),
        Value::List(nodes) => nodes.iter().for_each(hide),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| hide(value)),
    }
}

/// Hides a line that broke before it was understood, where it may hold a secret.
pub(super) fn hide_line(place: &Span) {
    let text = &place.source.text;
    let start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.start..]
        .find('\n')
        .map_or(text.len(), |at| place.start + at);
    let line = text[start..end].to_ascii_lowercase().replace('-', "_");
    if SECRET.iter().any(|word| line.contains(word)) {
        place.source.span(start, end).hide();
    }
}

#[cfg(test)]
mod tests {
    use crate::problem::{Problems, Source};
    use crate::yaml;

    #[test]
    fn problems_show_no_secret() {
        let check = |text: &str| {
            let source = Source::new("t.yaml", text.into());
            let mut problems = Problems::default();
            if let Some(root) = yaml::parse(&source, &mut problems) {
                problems.error("unknown-key", &root.span, "whatever");
            }
            assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                assert!(!problem.to_string().contains("hunter2"), "{problem}");
            }
        };
        check("{ password: hunter2, x: 1 }");
        check("{ \"private-key\": 'hunter2' }");
        check("{ users: { alice: hunter2, bob: { password: hunter2 } } }");
        check("{ auth: [a, hunter2] }");
        check("{ url: 'https://a.b/x?token=hunter2' }");
        check("{ url: https://a:hunter2@a.b/x }");
        check("{ password: hunter2, password: hunter2 }");
        check("{ password: hunter2, x: ] }");
    }
}
