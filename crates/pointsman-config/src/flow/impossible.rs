//! Flows that cannot be: what is said of one part rules out what is said of another.
//!
//! Invariant: only what is known of the protocols themselves counts, as `check` knows it of rules; whatever may be is let pass.

use pointsman_policy::fact::{Look, Network, Protocol};

use super::{Query, Situation};

impl Situation<'_> {
    /// Why there is no such flow, and what to write instead; `None` where there may be one.
    #[must_use]
    pub fn impossible(&self, query: &Query) -> Option<String> {
        let look = query.first_bytes()?;
        let (network, protocol) = (self.facts.network, look.protocol);
        if let Some(told) = protocol.network().filter(|told| *told != network) {
            let (network, protocol) = (network.as_str(), protocol.as_str());
            let instead = match self.forward {
                Some(forward) => format!("`{}` takes flows over {network} alone", forward.name),
                None => instead(query, told),
            };
            return Some(format!(
                "no flow is both `{network}` and `{protocol}`: {instead}"
            ));
        }
        // Nobody said what the first bytes are.
        if protocol == Protocol::Other {
            return None;
        }
        let (key, of) = unspoken(&look)?;
        let (own, of) = (protocol.as_str(), of.as_str());
        Some(format!(
            "no first bytes of `{own}` have what `{key}` says: leave it out, or write `protocol={of}`"
        ))
    }
}

fn instead(query: &Query, told: Network) -> String {
    let told = told.as_str();
    match (query.network, &query.look) {
        (None, _) => format!("add `network={told}`"),
        // The scheme of a URL said it.
        (Some(_), None) => {
            format!("write `network={told}`, or say the protocol with `protocol=`")
        }
        (Some(_), Some(_)) => format!("write `network={told}`, or another protocol"),
    }
}

/// The first thing that was said which first bytes of that protocol do not have, and a protocol whose have it.
fn unspoken(look: &Look) -> Option<(&'static str, Protocol)> {
    let protocol = look.protocol;
    let hello = matches!(protocol, Protocol::Quic | Protocol::Tls);
    let said = [
        ("method", look.method.is_some(), Protocol::Http),
        ("user-agent", look.user_agent.is_some(), Protocol::Http),
        ("quic-version", look.quic_version.is_some(), Protocol::Quic),
        ("alpn", !hello && !look.alpn.is_empty(), Protocol::Tls),
        (
            "tls-version",
            !hello && look.tls_version.is_some(),
            Protocol::Tls,
        ),
        ("ech", !hello && look.ech, Protocol::Tls),
    ];
    let mut wrong = said
        .into_iter()
        .filter(|(_, is_said, of)| *is_said && *of != protocol);
    wrong.next().map(|(key, _, of)| (key, of))
}
