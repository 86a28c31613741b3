//! TLS contexts: checked, so that a configuration that will work is told from one that never can.
//! Deliberately absent: reading the files they name, for nothing uses them yet.

use super::{first_line, given};
use crate::problem::Problems;
use crate::value;
use crate::yaml::{KeyStyle, Node};

/// Whose context it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// It must have a certificate.
    Listener,
    /// It may have certificates of its own, and authorities alone.
    Target,
}

/// Checks a context.
pub(super) fn check(node: &Node, side: Side, problems: &mut Problems) {
    let mut keys = node.keys("`tls_context`", KeyStyle::Exact, problems);
    if let Some(mode) = given(&mut keys, "verify_mode") {
        let modes = ["", "none", "relaxed", "strict"].map(|mode| (mode, ()));
        value::choice(mode, "`verify_mode`", &modes, problems);
    }
    if let Some(protocols) = given(&mut keys, "application_protocols") {
        for protocol in protocols.list("`application_protocols`", problems) {
            value::name(protocol, "an application protocol", problems);
        }
    }
    let certificates = given(&mut keys, "certificates");
    let certificates = certificates.map_or(&[][..], |n| n.list("`certificates`", problems));
    let has_certificate = certificates
        .iter()
        .filter(|node| certificate(node, side, problems))
        .count()
        > 0;
    if side == Side::Listener && !has_certificate {
        let message = "the `tls_context` of a listener needs a certificate and its key";
        problems.error("missing-key", &first_line(&node.span), message);
    }
    keys.finish(problems);
}

/// Whether it has a certificate with its key; one without the other is an error.
fn certificate(node: &Node, side: Side, problems: &mut Problems) -> bool {
    let mut keys = node.keys("a certificate", KeyStyle::Exact, problems);
    let authority = given(&mut keys, "authority");
    let alone = side == Side::Target
        && authority.is_some()
        && given(&mut keys, "key").is_none()
        && given(&mut keys, "certificate").is_none();
    if let Some(node) = authority {
        value::name(node, "`authority`", problems);
    }
    let mut whole = !alone;
    if !alone {
        for (key, what) in [("key", "`key`"), ("certificate", "`certificate`")] {
            let path = keys.require(key, problems);
            whole &= path.is_some_and(|node| value::name(node, what, problems).is_some());
        }
    }
    keys.finish(problems);
    whole
}
