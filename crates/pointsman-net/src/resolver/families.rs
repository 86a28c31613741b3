//! Two families, two look-ups: how long one waits for the other (RFC 8305, section 3).
//!
//! Invariant: a family with addresses that can be reached waits a little for the other; one with none, or with those
//! that this host has no route to, waits to the end.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use pointsman_policy::Domain;
use tokio::time::{Sleep, sleep};

use crate::lookup::{self, Families};

/// "Resolution Delay" of RFC 8305, section 8.
pub(super) const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// A lost datagram of the other family is sent again within that time.
const NO_NAME_DELAY: Duration = Duration::from_secs(1);

impl Families {
    /// The addresses in this order, without those that are not wanted.
    pub(super) fn ordered(self, v4: Vec<IpAddr>, v6: Vec<IpAddr>) -> Vec<IpAddr> {
        match self {
            Self::Ipv4Only => v4,
            Self::Ipv6Only => v6,
            Self::PreferIpv4 => [v4, v6].concat(),
            Self::PreferIpv6 => [v6, v4].concat(),
        }
    }

    /// The answer for a name with fixed addresses, which nobody else is asked for; `None` where it has none.
    pub(super) fn fixed(
        self,
        name: &Domain,
        v4: Vec<IpAddr>,
        v6: Vec<IpAddr>,
    ) -> Option<lookup::Answer> {
        let known = !(v4.is_empty() && v6.is_empty());
        let wanted = self.ordered(v4, v6);
        known.then(|| match self {
            Self::Ipv4Only if wanted.is_empty() => {
                Err(format!("{name} has no IPv4 address").into())
            }
            Self::Ipv6Only if wanted.is_empty() => {
                Err(format!("{name} has no IPv6 address").into())
            }
            _ => Ok(wanted),
        })
    }
}

/// What is known of one family of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// These, maybe none.
    Addresses(Vec<IpAddr>),
    /// The name does not exist, in no family: but there are servers that say so of the one that they lack.
    NoSuchName(Arc<str>),
    /// Nobody could tell.
    Failed(Arc<str>),
}

/// A question under way. It owns what it needs, so that it may outlive whoever asked.
pub(super) type Asking = Pin<Box<dyn Future<Output = Told> + Send>>;

/// One of two families.
pub(super) enum Half {
    Told(Told),
    Asking(Asking),
}

/// What is known beforehand of a half that is still out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Out {
    /// Another look-up has waited for this very question already.
    pub(super) late: bool,
    /// Nobody said anything of this family for a whole budget.
    pub(super) silent: bool,
}

impl Out {
    /// How long it is waited for when the other half is told; `None`: to the end.
    fn worth(self, told: &Told, reachable: impl Fn(&[IpAddr]) -> bool) -> Option<Duration> {
        match told {
            Told::Addresses(addresses) if addresses.is_empty() || !reachable(addresses) => None,
            Told::Addresses(_) if self.late => Some(Duration::ZERO),
            Told::Addresses(_) => Some(RESOLUTION_DELAY),
            Told::NoSuchName(_) if self.silent => Some(RESOLUTION_DELAY),
            Told::NoSuchName(_) => Some(NO_NAME_DELAY),
            Told::Failed(_) => None,
        }
    }
}

/// Asks for both at once. Addresses that are not `reachable` are not worth going on with; what is not waited for is
/// given back as it is.
pub(super) async fn both(
    mut halves: [Half; 2],
    out: [Out; 2],
    reachable: impl Fn(&[IpAddr]) -> bool,
) -> [Half; 2] {
    let mut wait: Option<Option<Pin<Box<Sleep>>>> = None;
    poll_fn(|cx| {
        for half in &mut halves {
            if let Half::Asking(asking) = half
                && let Poll::Ready(told) = asking.as_mut().poll(cx)
            {
                *half = Half::Told(told);
            }
        }
        let (out, told) = match &halves {
            [Half::Told(_), Half::Told(_)] => return Poll::Ready(()),
            [Half::Told(told), Half::Asking(_)] => (out[1], told),
            [Half::Asking(_), Half::Told(told)] => (out[0], told),
            [Half::Asking(_), Half::Asking(_)] => return Poll::Pending,
        };
        let begin = || {
            out.worth(told, &reachable)
                .map(|worth| Box::pin(sleep(worth)))
        };
        match wait.get_or_insert_with(begin) {
            Some(wait) => wait.as_mut().poll(cx),
            None => Poll::Pending,
        }
    })
    .await;
    halves
}

#[cfg(test)]
mod tests;
