//! `dns.cache`: what is kept of answers, for clients and for flows.

use std::time::Duration;

use super::given;
use crate::problem::Problems;
use crate::setup::CacheLimits;
use crate::value;
use crate::yaml::{KeyStyle, Node};

/// The smallest cache in bytes: some hundred answers. With less, what a page asks for pushes itself out.
const LEAST: usize = 64 << 10;
/// The largest.
const MOST: usize = 1 << 30;

/// Times to live are numbers of seconds, and longer ones than a week are nobody's wish.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Reads the mapping.
pub(super) fn read(node: &Node, problems: &mut Problems) -> CacheLimits {
    let usual = CacheLimits::default();
    let mut keys = node.keys("`cache`", KeyStyle::Exact, problems);
    let size = given(&mut keys, "size");
    let min_ttl = given(&mut keys, "min_ttl");
    let max_ttl = given(&mut keys, "max_ttl");
    let negative_ttl = given(&mut keys, "negative_ttl");
    let stale = given(&mut keys, "stale");
    let prefetch = given(&mut keys, "prefetch");
    let prefetch = prefetch.and_then(|node| node.boolean("`prefetch`", problems));
    keys.finish(problems);
    let size = size.and_then(|node| {
        let size = value::size(node, "`size`", problems)?;
        if !(LEAST..=MOST).contains(&size) {
            let message = "`size` must be from 64KiB to 1GiB";
            problems.error("invalid-value", &node.span, message);
            return None;
        }
        u64::try_from(size).ok()
    });
    let mut seconds = |node: Option<&Node>, what, usual, off: Option<Duration>| {
        let Some(node) = node else { return usual };
        let read = match off {
            Some(off) => value::duration_or_off(node, what, problems).map(|it| it.unwrap_or(off)),
            None => value::duration(node, what, problems),
        };
        match read {
            Some(read) if read.subsec_nanos() != 0 || read > LONGEST => {
                let message = format!("{what} is a number of seconds, and a week at most");
                problems.error("invalid-value", &node.span, message);
                usual
            }
            read => read.unwrap_or(usual),
        }
    };
    let off = Some(Duration::ZERO);
    let limits = CacheLimits {
        size: size.unwrap_or(usual.size),
        min_ttl: seconds(min_ttl, "`min_ttl`", usual.min_ttl, off),
        max_ttl: seconds(max_ttl, "`max_ttl`", usual.max_ttl, None),
        negative_ttl: seconds(negative_ttl, "`negative_ttl`", usual.negative_ttl, None),
        stale: seconds(stale, "`stale`", usual.stale, off),
        prefetch: prefetch.unwrap_or(usual.prefetch),
    };
    if limits.min_ttl > limits.max_ttl {
        let place = min_ttl.or(max_ttl).map_or(&node.span, |node| &node.span);
        let message = "`min_ttl` is longer than `max_ttl`";
        problems.error("invalid-value", place, message);
    }
    limits
}
