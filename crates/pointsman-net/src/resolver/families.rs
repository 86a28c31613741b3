//! Two families, two look-ups: how long one waits for the other (RFC 8305, section 3).
//!
//! Invariant: a family that has addresses waits for the other no longer than that one's patience; one that has none
//! waits to the end.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// "Resolution Delay" of RFC 8305, section 8.
pub(super) const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Which families are asked for, and whose addresses come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// A alone.
    Ipv4Only,
    /// AAAA alone.
    Ipv6Only,
    /// Both, A first.
    #[default]
    PreferIpv4,
    /// Both, AAAA first.
    PreferIpv6,
}

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

impl Half {
    /// How many times its patience the other half is worth waiting for; `None`: to the end.
    fn waits(&self) -> Option<u32> {
        match self {
            Self::Told(Told::Addresses(addresses)) if !addresses.is_empty() => Some(1),
            // A lost datagram of the other family is sent again within that time.
            Self::Told(Told::NoSuchName(_)) => Some(20),
            Self::Told(_) | Self::Asking(_) => None,
        }
    }
}

/// Asks for both at once. `patience` says, family by family, how long it is waited for when the other has addresses;
/// what then still has no answer is given back as it is.
pub(super) async fn both(mut halves: [Half; 2], patience: [Duration; 2]) -> [Half; 2] {
    let mut delay: Option<Pin<Box<Sleep>>> = None;
    let order = if patience[0] < patience[1] {
        [1, 0]
    } else {
        [0, 1]
    };
    poll_fn(|cx| {
        for index in order {
            let enough = halves[1 - index].waits().is_some() && patience[index].is_zero();
            if let Half::Asking(asking) = &mut halves[index]
                && !enough
                && let Poll::Ready(told) = asking.as_mut().poll(cx)
            {
                halves[index] = Half::Told(told);
            }
        }
        let (index, worth) = match &halves {
            [Half::Told(_), Half::Told(_)] => return Poll::Ready(()),
            [told @ Half::Told(_), Half::Asking(_)] => (1, told.waits()),
            [Half::Asking(_), told @ Half::Told(_)] => (0, told.waits()),
            [Half::Asking(_), Half::Asking(_)] => return Poll::Pending,
        };
        let Some(worth) = worth else {
            return Poll::Pending;
        };
        let wait = patience[index] * worth;
        if wait.is_zero() {
            return Poll::Ready(());
        }
        let delay = delay.get_or_insert_with(|| Box::pin(sleep(wait)));
        delay.as_mut().poll(cx)
    })
    .await;
    halves
}

#[cfg(test)]
mod tests;
