//! `allow`: who may use an inbound or a forward.
//!
//! Invariant: a list that is there and empty is no "everybody".

use pointsman_policy::Prefix;
use pointsman_policy::model::Origin;

use crate::forward;
use crate::problem::Problems;
use crate::value;
use crate::yaml::Node;

/// Ranges that a rule's text shows; more are counted.
const SHOWN: usize = 3;

/// The sources, and where they stand for explanations; none where the key was missing, or is wrong.
pub(super) fn read(
    pair: Option<(&Node, &Node)>,
    problems: &mut Problems,
) -> Option<(Vec<Prefix>, Origin)> {
    let (key, list) = pair?;
    let before = problems.total();
    let ranges = value::prefixes(list, "`allow`", problems);
    if ranges.is_empty() {
        if problems.total() == before {
            let message = "`allow` is empty: nobody could use it";
            let hint = "leave `allow` out for everybody, or write the ranges that may: `allow: [127.0.0.0/8]`";
            problems.error("empty-list", &list.span, message).hint = Some(hint.into());
        }
        return None;
    }
    let origin = forward::origin(&key.span, text(&ranges));
    Some((ranges, origin))
}

/// As the rule that it is: it holds for those who may not.
fn text(ranges: &[Prefix]) -> String {
    let shown: Vec<String> = ranges.iter().take(SHOWN).map(Prefix::to_string).collect();
    match ranges.len().saturating_sub(SHOWN) {
        0 => format!("not in allow: {}", shown.join(", ")),
        more => format!("not in allow: {}, and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ranges_are_counted() {
        let ranges = [
            "10.0.0.0/8",
            "::1/128",
            "127.0.0.0/8",
            "192.168.0.0/16",
            "fd00::/8",
        ];
        let ranges = ranges.map(|range| range.parse().unwrap());
        assert_eq!(text(&ranges[..1]), "not in allow: 10.0.0.0/8");
        assert_eq!(
            text(&ranges[..3]),
            "not in allow: 10.0.0.0/8, ::1/128, 127.0.0.0/8"
        );
        let many = "not in allow: 10.0.0.0/8, ::1/128, 127.0.0.0/8, and 2 more";
        assert_eq!(text(&ranges), many);
    }
}
