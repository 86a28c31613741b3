//! `timeouts`: how long flows may wait, for the whole configuration.
//!
//! Invariant: what would keep a client waiting for somebody who never comes always has an end; what
//! only ends the silent may be switched off.

use std::time::Duration;

use super::given;
use crate::problem::Problems;
use crate::setup::Timeouts;
use crate::value;
use crate::yaml::{KeyStyle, Node};

pub(super) fn read(node: &Node, problems: &mut Problems) -> Timeouts {
    let mut keys = node.keys("`timeouts`", KeyStyle::Exact, problems);
    let mut key = |key: &'static str| given(&mut keys, key);
    let (handshake, dial, resolve) = (key("handshake"), key("dial"), key("resolve"));
    let (first_byte, half_closed, idle) = (key("first_byte"), key("half_closed"), key("idle"));
    let (keep_alive, blackhole) = (key("keep_alive"), key("blackhole"));
    keys.finish(problems);
    let Timeouts {
        handshake: usual_handshake,
        dial: usual_dial,
        resolve: usual_resolve,
        first_byte: usual_first_byte,
        half_closed: usual_half_closed,
        idle: usual_idle,
        keep_alive: usual_keep_alive,
        blackhole: usual_blackhole,
    } = Timeouts::default();
    let mut always = |node: Option<&Node>, what, usual| {
        node.and_then(|node| limited(node, what, problems))
            .unwrap_or(usual)
    };
    let handshake = always(handshake, "`handshake`", usual_handshake);
    let dial = always(dial, "`dial`", usual_dial);
    let resolve = always(resolve, "`resolve`", usual_resolve);
    let keep_alive = always(keep_alive, "`keep_alive`", usual_keep_alive);
    let blackhole = always(blackhole, "`blackhole`", usual_blackhole);
    let mut or_off = |node: Option<&Node>, what, usual| {
        node.and_then(|node| value::duration_or_off(node, what, problems))
            .unwrap_or(usual)
    };
    Timeouts {
        handshake,
        dial,
        resolve,
        first_byte: or_off(first_byte, "`first_byte`", usual_first_byte),
        half_closed: or_off(half_closed, "`half_closed`", usual_half_closed),
        idle: or_off(idle, "`idle`", usual_idle),
        keep_alive,
        blackhole,
    }
}

/// A limit that cannot be switched off.
fn limited(node: &Node, what: &str, problems: &mut Problems) -> Option<Duration> {
    if node.scalar() == Some("off") {
        let message = format!(
            "{what} cannot be off: a peer that never answers would hold its place for ever"
        );
        problems.error("invalid-value", &node.span, message).hint =
            Some("`first_byte`, `half_closed` and `idle` can".into());
        return None;
    }
    value::duration(node, what, problems)
}
