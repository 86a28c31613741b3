//! What to write where a list or a mapping was expected and something else stands.

use super::{Node, Value};

/// The hint at what must be a list, of rules or of something else.
pub(super) fn of_list(node: &Node, rules: bool) -> Option<String> {
    let text = node.scalar()?.trim_start();
    let hint = if text.starts_with('-') && !text.starts_with("- ") {
        "a space is missing behind the dash: write `- ITEM`"
    } else if rules {
        "write each rule on a line of its own, as `- TYPE, CONTENT, OUTBOUND`"
    } else if text.contains(", ") || text.contains('\n') {
        "write each item on a line of its own, after `- `"
    } else {
        "write `[A, B]`"
    };
    Some(hint.to_owned())
}

/// The hint at what must be a mapping.
pub(super) fn of_map(what: &str, node: &Node) -> Option<String> {
    if let Value::Scalar(text, _) = &node.value
        && let Some((key, value)) = text.split_once(':')
        && !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        && value.starts_with(|c: char| !c.is_whitespace())
    {
        return Some("a space is missing behind the colon: write `KEY: VALUE`".to_owned());
    }
    let of_names = |one: &str| format!("write `NAME: {one}` below it; the name is yours to choose");
    let hint = match what {
        "the configuration" => "a configuration is lines of `KEY: VALUE`".to_owned(),
        "an inbound" => format!("write `{INBOUND}`"),
        "`inbounds`" => of_names(INBOUND),
        "an outbound" => format!("write `{OUTBOUND}`"),
        "`outbounds`" => of_names(OUTBOUND),
        "a forward" => format!("write `{FORWARD}`"),
        "`forwards`" => of_names(FORWARD),
        "a rule set" => format!("write `{RULE_SET}`"),
        "`rule_sets`" => of_names(RULE_SET),
        "`policies`" => of_names("direct"),
        "a test" => "write `{ flow: dst=example.com:443, expect: direct }`, or `dst=example.com:443 => direct`".to_owned(),
        _ => return None,
    };
    Some(hint)
}

const INBOUND: &str = "{ type: mixed, listen: 127.0.0.1:7890 }";
const OUTBOUND: &str = "{ type: socks5, server: 127.0.0.1:1080 }";
const FORWARD: &str =
    "{ listen: tcp://127.0.0.1:8080, targets: [{ name: a, address: tcp://192.0.2.1:80 }] }";
const RULE_SET: &str = "{ path: list.txt }";
