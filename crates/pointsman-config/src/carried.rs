//! Ways out that carry no UDP, in words: for rules and targets that send them some.

use pointsman_policy::OutboundId;
use pointsman_policy::model::udp::{NOT_SAID, NoUdp, never_udp};
use pointsman_policy::model::{OutboundInfo, OutboundKind};

/// Why no UDP leaves by an outbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriesNone {
    /// What carries none and why, for the end of a sentence.
    pub what: String,
    /// What to write where a proxy may well carry it.
    pub key: Option<String>,
}

impl CarriesNone {
    /// Of an outbound by which no UDP leaves, whichever members of groups are selected.
    #[must_use]
    pub fn of(outbounds: &[OutboundInfo], outbound: OutboundId) -> Option<Self> {
        let name = |id: OutboundId| outbounds.get(id.0 as usize).map(|it| &it.name);
        let NoUdp { outbound: at, why } = never_udp(outbounds, outbound)?;
        let (named, end) = (name(outbound)?, name(at)?);
        let what = match &outbounds.get(outbound.0 as usize)?.kind {
            OutboundKind::Group(_) => format!("no member of `{named}` carries any"),
            OutboundKind::Plain(_) if at == outbound => format!("`{named}` carries none ({why})"),
            OutboundKind::Plain(_) => {
                format!("`{named}` carries none, because its hop `{end}` does not ({why})")
            }
        };
        let key = format!("add `udp: true` to `{end}` if its server carries UDP");
        Some(Self {
            what,
            key: (why == NOT_SAID).then_some(key),
        })
    }
}
