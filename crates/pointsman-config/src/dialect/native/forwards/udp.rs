//! What forwards of UDP do not have of those of TCP, and what only they have.
//!
//! Invariant: a word that would do nothing is an error that says what to write, or why there is nothing to write.

use pointsman_policy::OutboundId;

use crate::carried::CarriesNone;
use crate::outbounds::Outbounds;
use crate::own::is_loopback;
use crate::problem::Problems;
use crate::setup::{Endpoint, Listen, Server, Target};
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

/// Refuses to reach a target by what carries no UDP, whichever members of groups are selected.
pub(super) fn check_via(
    node: &Node,
    via: OutboundId,
    outbounds: &Outbounds,
    problems: &mut Problems,
) {
    let Some(CarriesNone { what, key }) = CarriesNone::of(&outbounds.infos(), via) else {
        return;
    };
    let message = format!("the target takes UDP, and {what}");
    problems.error("udp-not-carried", &node.span, message).hint = Some(match key {
        Some(key) => format!("{key}; else name another outbound"),
        None => "name an outbound that carries UDP".into(),
    });
}

/// Warns of the first listener by which anybody, under any address, may have others sent what a target answers.
pub(super) fn tell_open(node: &Node, listeners: &[Listen], problems: &mut Problems) {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
    };
    // Where one could not be read there is an error, and the numbers do not fit.
    let mut open = items
        .iter()
        .zip(listeners)
        .filter(|(_, it)| is_open(&it.at));
    if let Some((item, _)) = open.next() {
        let message = "everybody who reaches this address is answered, and so is whoever a sender pretends to be";
        problems.warning("open-forward", &item.span, message).hint = Some(
            "give it an `allow` list, or `answers: off` where nobody waits for an answer".into(),
        );
    }
}

/// Whether others than this host may reach a listener of UDP.
fn is_open(at: &Endpoint) -> bool {
    match at {
        Endpoint::Udp(Server { host, .. }) => !is_loopback(host),
        Endpoint::Fd(_) | Endpoint::Tcp(_) | Endpoint::Unix(_) => false,
    }
}
