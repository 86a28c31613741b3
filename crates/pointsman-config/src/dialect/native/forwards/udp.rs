//! What forwards of UDP do not have of those of TCP.
//!
//! Invariant: a word that would do nothing is an error that says what to write, or why there is nothing to write.

use crate::problem::Problems;
use crate::setup::{Endpoint, Target};
use crate::yaml::{Node, Value};

/// Keys of forwards that say nothing of datagrams, and what to do.
pub(super) const OF_FORWARDS: [(&str, &str); 6] = [
    (
        "half_closed",
        "nothing says over UDP that a side has ended; `idle` ends a flow",
    ),
    ("lifetime", IDLE),
    (
        "proxy_header",
        "the PROXY protocol begins a connection, and there is none; leave it out",
    ),
    ("read_timeout", IDLE),
    (
        "tls",
        "a forward passes DTLS and QUIC on as they are; leave it out",
    ),
    ("write_timeout", IDLE),
];

/// The same for targets.
const OF_TARGETS: [(&str, &str); 7] = [
    ("attempts", NO_CONNECTION),
    ("backoff", NO_CONNECTION),
    ("connect_timeout", NO_CONNECTION),
    ("keepalive", NO_CONNECTION),
    ("read_timeout", IDLE_OF_FORWARD),
    (
        "tls",
        "a forward passes DTLS and QUIC on as they are; leave it out",
    ),
    ("write_timeout", IDLE_OF_FORWARD),
];

const IDLE: &str = "`idle` says how long a flow may be silent";
const IDLE_OF_FORWARD: &str = "`idle` of the forward says how long a flow may be silent";
const NO_CONNECTION: &str = "there is no connection to make; leave it out";

/// Refuses each of those words.
pub(super) fn refuse_words(
    node: &Node,
    what: &str,
    words: &[(&str, &'static str)],
    problems: &mut Problems,
) {
    let Value::Map(pairs) = &node.value else {
        return;
    };
    for (key, _) in pairs {
        let found = words.iter().find(|(word, _)| key.scalar() == Some(word));
        if let Some((word, hint)) = found {
            let message = format!("`{word}` is no word for {what} of UDP");
            problems.error("invalid-value", &key.span, message).hint = Some((*hint).to_owned());
        }
    }
}

/// Refuses a target of another transport than the forward's, and words that say nothing of it.
pub(super) fn check_target(node: &Node, target: &Target, is_udp: bool, problems: &mut Problems) {
    let fits = match &target.address {
        Endpoint::Udp(_) => is_udp,
        Endpoint::Fd(_) | Endpoint::Tcp(_) | Endpoint::Unix(_) => !is_udp,
    };
    if !fits {
        let (message, hint) = match is_udp {
            true => (
                "the forward listens for UDP, and this target takes none",
                "its address begins with `udp://`",
            ),
            false => (
                "the forward listens for connections, and this target takes none",
                "listen on a `udp://` address, or go to a `tcp://` one",
            ),
        };
        problems.error("invalid-value", &node.span, message).hint = Some(hint.into());
    } else if is_udp {
        refuse_words(node, "a target", &OF_TARGETS, problems);
    }
}
