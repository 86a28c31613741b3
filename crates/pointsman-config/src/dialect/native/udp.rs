//! `udp`: how long flows over UDP last without a datagram, from whom they are answered, and how many there may be.
//!
//! Invariant: each of these has an end. Nothing says over UDP that a flow is over, so that one without a limit would keep
//! its place and its socket for ever.

use std::time::Duration;

use pointsman_policy::fact::{Network, Protocol};

use super::given;
use crate::problem::{Problems, nearest};
use crate::setup::{DatagramLimits, Filtering};
use crate::value::{self, Others};
use crate::yaml::{KeyStyle, Node};

/// The words of `nat`.
pub(super) const NATS: [(&str, Filtering); 3] = [
    (Filtering::Address.as_str(), Filtering::Address),
    (Filtering::FullCone.as_str(), Filtering::FullCone),
    (Filtering::Port.as_str(), Filtering::Port),
];

/// What others call them.
const OTHER_NATS: Others = Others {
    later: &[],
    foreign: &[
        ("endpoint-independent", FULL_CONE),
        ("fullcone", FULL_CONE),
        ("open", FULL_CONE),
        ("moderate", "write `address`"),
        ("restricted", "write `address`"),
        ("address-dependent", "write `address`"),
        ("restricted-cone", "write `address`"),
        ("port-restricted", PORT),
        ("port-restricted-cone", PORT),
        ("strict", PORT),
        (
            "symmetric",
            "a client's socket always has one outer address for all places; the strictest is `port`",
        ),
    ],
};
const FULL_CONE: &str = "write `full-cone`";
const PORT: &str = "write `port`";

/// The words of `offload`, and whether they mean that it is tried.
pub(super) const OFFLOADS: [(&str, bool); 2] = [("auto", true), ("off", false)];

/// The most that `flows` and `flows_by_client` may be: some gigabyte, and as many descriptors as a process may have.
pub(super) const MOST_FLOWS: i64 = 1_000_000;

/// Of `idle`: the table of flows counts whole seconds.
const LEAST_IDLE: Duration = Duration::from_secs(1);
/// Of `idle`: what was silent for a day is over, and nothing else would ever end it.
const MOST_IDLE: Duration = Duration::from_secs(24 * 3600);

/// Of `held`: any datagram that fits a packet of Ethernet; less would lose the first one of most flows.
const LEAST_HELD: usize = 1500;
/// Of `held`: the four longest datagrams that there are.
const MOST_HELD: usize = 256 * 1024;

pub(super) fn read(node: &Node, problems: &mut Problems) -> DatagramLimits {
    let mut keys = node.keys("`udp`", KeyStyle::Exact, problems);
    let mut key = |key: &'static str| given(&mut keys, key);
    let (idle, by_protocol, nat) = (key("idle"), key("idle_by_protocol"), key("nat"));
    let (flows, flows_by_client) = (key("flows"), key("flows_by_client"));
    let (held, offload) = (key("held"), key("offload"));
    keys.finish(problems);
    let usual = DatagramLimits::default();
    let idle = idle.and_then(|node| silence(node, "`idle`", problems));
    let mut idle_by_protocol = usual.idle_by_protocol;
    if let Some(node) = by_protocol {
        protocols(node, &mut idle_by_protocol, problems);
    }
    let filtering =
        nat.and_then(|node| value::choice_with(node, "`nat`", &NATS, &OTHER_NATS, problems));
    let mut number = |node: Option<&Node>, what| {
        let number = node?.number(what, 1..=MOST_FLOWS, problems)?;
        usize::try_from(number).ok()
    };
    let flows = number(flows, "`flows`").unwrap_or(usual.flows);
    let by_client = number(flows_by_client, "`flows_by_client`");
    if let Some(node) = flows_by_client
        && by_client.is_some_and(|by_client| by_client > flows)
    {
        let message = format!("`flows_by_client` is more than `flows`, which is {flows}");
        problems.warning("invalid-value", &node.span, message).hint =
            Some("one client could then take all places".into());
    }
    let held = held.and_then(|node| {
        let size = value::size(node, "`held`", problems)?;
        if !(LEAST_HELD..=MOST_HELD).contains(&size) {
            let message = "`held` must be from 1500B, which a datagram of Ethernet may have, to 256KiB, which is four of the longest";
            problems.error("invalid-value", &node.span, message);
        }
        Some(size)
    });
    let offload = offload.and_then(|node| value::choice(node, "`offload`", &OFFLOADS, problems));
    DatagramLimits {
        idle: idle.unwrap_or(usual.idle),
        idle_by_protocol,
        filtering: filtering.unwrap_or(usual.filtering),
        flows,
        flows_by_client: by_client.unwrap_or(usual.flows_by_client),
        held: held.unwrap_or(usual.held),
        offload: offload.unwrap_or(usual.offload),
    }
}

/// Reads `idle_by_protocol` over what is usual.
fn protocols(node: &Node, all: &mut Vec<(Protocol, Duration)>, problems: &mut Problems) {
    for (key, value) in node.map("`idle_by_protocol`", problems) {
        let Some(word) = key.scalar() else {
            let message = "a protocol must be a word";
            problems.error("wrong-type", &key.span, message);
            continue;
        };
        let idle = silence(value, &format!("`{word}`"), problems);
        let protocol = match Protocol::of(word) {
            Some(protocol) if is_told(protocol) => protocol,
            Some(Protocol::Other) => {
                let message = "`other` is no protocol by itself";
                problems.error("invalid-value", &key.span, message).hint =
                    Some("`idle` is for all that are not named".into());
                continue;
            }
            Some(_) => {
                let message = format!("`{word}` is spoken over TCP");
                problems.error("invalid-value", &key.span, message).hint =
                    Some("`timeouts.idle` is for flows over TCP".into());
                continue;
            }
            None => {
                let known: Vec<_> = told().map(Protocol::as_str).collect();
                let message = format!("no flow over UDP is recognised as `{word}`");
                let near = nearest(word, known.iter().copied());
                let near = near.map(|near| format!("did you mean `{near}`?"));
                problems.error("invalid-value", &key.span, message).hint =
                    Some(near.unwrap_or_else(|| format!("there are {}", known.join(", "))));
                continue;
            }
        };
        let Some(idle) = idle else { continue };
        match all.iter_mut().find(|(known, _)| *known == protocol) {
            Some((_, known)) => *known = idle,
            None => all.push((protocol, idle)),
        }
    }
}

/// The protocols that flows over UDP are told to be.
fn told() -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().filter(|one| is_told(*one))
}

fn is_told(protocol: Protocol) -> bool {
    protocol != Protocol::Other && protocol.network() != Some(Network::Tcp)
}

/// For how long a flow may be silent: of `udp`, and of forwards of UDP.
pub(super) fn silence(node: &Node, what: &str, problems: &mut Problems) -> Option<Duration> {
    if node.scalar() == Some("off") {
        let message = format!(
            "{what} cannot be off: nothing says over UDP that a flow is over, so it would keep its place for ever"
        );
        problems.error("invalid-value", &node.span, message);
        return None;
    }
    let idle = value::duration(node, what, problems)?;
    let whole = idle.subsec_nanos() == 0;
    if !(LEAST_IDLE..=MOST_IDLE).contains(&idle) || !whole {
        let message = format!("{what} must be whole seconds, from `1s` to `1d`");
        problems.error("invalid-value", &node.span, message).hint =
            Some("two minutes are the least for most flows (RFC 4787): five are usual".into());
        return None;
    }
    Some(idle)
}
